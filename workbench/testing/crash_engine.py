"""The real engine process beside a simulator, started, killed and asked from outside.

It is started without the supervisor, so that a test alone decides when it lives. It is ended by its own process id.

Invariant: when `end` returns, the process is gone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from workbench.bootstrap import deployments
from workbench.bootstrap.desk import Desk
from workbench.bootstrap.venue import RUN_VARIABLE
from workbench.core.deployment import Deployment
from workbench.core.errors import WorkbenchError
from workbench.core.plan import plan_from_mapping

SYMBOL = "NIFTY"
START_LIMIT_S = 60.0
PLANS: Mapping[str, Mapping[str, Any]] = {
    "K_ONE": {"exits": {"stop": 15, "target": 30}},
    "K_TRAIL": {"exits": {"stop": "10%", "trail": {"distance": "4%", "step": "1%"}}},
    "K_PARTS": {"lots": 3, "exits": {"stop": "15%", "target": "30%", "scale_out": [{"at": "3%", "lots": 1}]}},
    "K_SPOT": {"lots": 2, "exits": {"underlying": {"stop": 20, "target": 40}}},
}
SUPERS: Mapping[str, Mapping[str, Any]] = {
    "K_SUPER": {"protection": "super_order", "exits": {"stop": 15, "target": 30}},
    "K_SUPER_TRAIL": {
        "protection": "super_order",
        "exits": {"stop": "10%", "target": "40%", "trail": {"distance": "4%", "step": "1%"}},
    },
    "K_SUPER_LOTS": {"lots": 2, "protection": "super_order", "exits": {"stop": "30%", "target": "3%"}},
}
"""Entries that take stop and target along."""
WIDE: Mapping[str, Mapping[str, Any]] = {
    "K_WIDE": {"exits": {"stop": "70%"}},
    "K_WIDER": {"lots": 2, "exits": {"stop": "80%"}},
}
"""Exits that no price of a few minutes reaches: then a day depends on its alerts alone."""

_SETTINGS = """\
risk:
  max_trades_per_day: 100000
  max_daily_loss: 100000000
  risk_per_trade_pct: 100
  max_premium: 100000
"""


class EngineFailed(WorkbenchError):
    """The engine did not start, or does not answer; its log says why."""


class EngineProcess:
    """One engine after the other on one folder and one port.

    Parameters
    ----------
    data : Path
        Data folder; the settings of the runs are written beside it.
    simulator_port : int
    run : str
        Name of the practice run: an engine that is started again carries its day on.
    """

    def __init__(self, data: Path, simulator_port: int, run: str) -> None:
        self.data, self.port = data, free_port()
        self.log = data / "engine.log"
        self._folder = data / "settings"
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "workbench.yaml").write_text(_SETTINGS, encoding="utf-8")
        self._env = {
            **os.environ,
            RUN_VARIABLE: run,
            "WORKBENCH_DATA": str(data),
            "WORKBENCH_ENGINE_PORT": str(self.port),
            "WORKBENCH_SIMULATOR_PORT": str(simulator_port),
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def lives(self) -> bool:
        """The process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; it is ready later."""
        self.starts += 1
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"--- start {self.starts}\n")
            log.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench", "engine", "--mode", "practice"],
                env=self._env,
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        """Kill it, with no chance to tidy up."""
        if self._process is None or not self.lives:
            return
        # Windows runs a venv's interpreter as a child of a launcher: that child is the engine.
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in family:
            child.kill()
        self._process.wait()

    def end(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._process is None or not self.lives:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait_ready(self, look: Callable[[], None] = lambda: None) -> None:
        """Wait until it is ready to trade.

        Raises
        ------
        EngineFailed
            It ended, or took too long.
        """
        give_up = time.monotonic() + START_LIMIT_S
        while time.monotonic() < give_up:
            look()
            if not self.lives:
                raise EngineFailed(f"the engine ended while it started:\n{self._tail()}")
            try:
                if self.get("/health")["ready"]:
                    return
            except EngineFailed:
                time.sleep(0.02)
        raise EngineFailed(f"the engine was not ready in {START_LIMIT_S:g} s:\n{self._tail()}")

    def get(self, path: str) -> Any:
        """Ask its API."""
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}"))[1]

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Send it an alert; gives status and answer."""
        data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers))

    def _ask(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=15) as reply:  # noqa: S310 - this machine only
                return int(reply.status), json.loads(reply.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())
        except (OSError, ValueError) as error:  # nobody listens, or it died while it answered
            raise EngineFailed(f"no answer from the engine: {error}") from error

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]


def free_port() -> int:
    """Give a port on this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lay_down(data: Path, plans: Mapping[str, Mapping[str, Any]]) -> list[Deployment]:
    """Write the deployments that the alerts drive, and the bars that a start looks for."""
    Desk(data).import_sample()
    made = []
    for name, plan in plans.items():
        deployment = Deployment(
            name=name,
            symbol=SYMBOL,
            plan=plan_from_mapping({"name": name.lower(), **plan}),
            interval="1m",
            webhook_link=f"{name.lower()}-link",
        )
        deployments.save(data, deployment)
        made.append(deployment)
    return made
