"""The real `workbench up` as a child process on free ports, for tests that go the whole way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningWorkbench:
    """One `workbench up`; ended, with all its children, by `stop`."""

    def __init__(self, data: Path, *arguments: str, panel: bool = False) -> None:
        self.data = data
        self.engine_port, self.simulator_port, self.panel_port = free_port(), free_port(), free_port()
        self.env = {
            **os.environ,
            "WORKBENCH_DATA": str(data),
            "WORKBENCH_ENGINE_PORT": str(self.engine_port),
            "WORKBENCH_SIMULATOR_PORT": str(self.simulator_port),
            "WORKBENCH_PANEL_PORT": str(self.panel_port),
        }
        command = [sys.executable, "-m", "workbench", "up", *arguments, *([] if panel else ["--no-panel"])]
        self.log = data / "up.log"
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, env=self.env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def get(self, path: str, port: int | None = None) -> Any:
        url = f"http://127.0.0.1:{port or self.engine_port}{path}"
        with urllib.request.urlopen(url, timeout=5) as reply:
            return json.loads(reply.read())

    def truth(self) -> Any:
        """The simulator's own book."""
        return self.get("/simulator/book", self.simulator_port)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.engine_port}{path}", data=data, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def wait(self, what: str, until: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        """Wait until something is true; the log tells what went wrong when it does not come."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"up ended early:\n{self.log.read_text(encoding='utf-8')}"
            try:
                found = until()
            except (OSError, ValueError, KeyError):
                found = None
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def wait_open(self) -> Any:
        def is_open() -> Any:
            told = self.get("/health")
            return told if told["ready"] and told["market_open"] else None

        return self.wait("an open market", is_open)

    def workbench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the command line against this workbench."""
        return subprocess.run(
            [sys.executable, "-m", "workbench", *arguments],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def stop(self) -> list[int]:
        """Ask it to end as Ctrl-C does; gives the ids of processes that are left (none, it is hoped)."""
        family = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        _, alive = psutil.wait_procs(family, timeout=5)
        for process in alive:
            process.kill()
        return [process.pid for process in alive]
