"""The test stand: a simulator and an engine as children on ports of their own, over a data folder that is thrown away.

The engine's way to the broker leads through the recorder. Three strategies are deployed, as the promised speeds say,
and one deployment that alerts drive; it trades another number of lots, so that its orders can be told apart.

Invariant: it ends the processes that it started and no others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tests.bench.recorder import Recorder
from tests.bench.sender import get
from workbench import strategies
from workbench.bootstrap import deployments
from workbench.core.deployment import Deployment
from workbench.core.plan import NAMED_PLANS, Distance, Exits
from workbench.testing.wire_stub import free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = (("ema_cross", "5m"), ("supertrend", "5m"), ("scalp_ema_vwap", "1m"))
ALERTED = "BENCH"
LINK = "bench-link"
OWN_LOTS, OTHER_LOTS = 1, 2
SPEED = 5
SETTINGS: dict[str, dict[str, Any]] = {
    "risk": {
        "max_trades_per_day": 100_000,
        "max_daily_loss": 100_000_000,
        "risk_per_trade_pct": 100,
        "capital": 100_000_000,
        "min_premium": 1,
        "max_premium": 100_000,
        "max_alert_age_s": 3600,
    },
    "strategy": {"name": "ema_cross", "lots": OTHER_LOTS},
}


class NotReadyError(OSError):
    """A child did not come up, or has ended."""


class Child:
    """A process of the stand, with its output in a file."""

    def __init__(self, name: str, command: list[str], *, folder: Path, env: dict[str, str]) -> None:
        self.name, self.output = name, folder / f"{name}.log"
        with self.output.open("wb") as sink:
            self.process = subprocess.Popen(
                command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
            )

    def wait_for(self, port: int, path: str, timeout_s: float) -> Any:
        """Ask until it answers 200, and with ``ready`` true if it tells; give the answer."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise NotReadyError(f"{self.name} ended with code {self.process.returncode}: {self.tail()}")
            try:
                answer = get(port, path, timeout_s=2)
            except OSError:
                answer = None
            if answer is not None and answer.get("ready", True):
                return answer
            time.sleep(0.01)
        raise NotReadyError(f"{self.name} was not ready in {timeout_s:g} s: {self.tail()}")

    def tail(self) -> str:
        """The last that it printed."""
        return self.output.read_text(encoding="utf-8", errors="replace")[-1500:]

    def end(self) -> None:
        """End this process."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


@dataclass(slots=True)
class Stand:
    """A running simulator, and engines one after the other."""

    folder: Path
    simulator_port: int
    engine_port: int
    recorder: Recorder
    stack: ExitStack

    def environment(self, simulator_port: int) -> dict[str, str]:
        """What a child is given: our ports and folder, and no proxy of the machine."""
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "WORKBENCH_DATA": str(self.folder / "data"),
            "WORKBENCH_SIMULATOR_PORT": str(simulator_port),
            "WORKBENCH_ENGINE_PORT": str(self.engine_port),
            "WORKBENCH_PANEL_PORT": str(free_port()),
        }

    def child(self, name: str, command: list[str], *, simulator_port: int) -> Child:
        """Start a child that is ended with the stand."""
        started = Child(name, command, folder=self.folder, env=self.environment(simulator_port))
        self.stack.callback(started.end)
        return started

    def engine(self, *options: str) -> Child:
        """Start an engine; `options` are the interpreter's."""
        command = [sys.executable, *options, "-m", "workbench", "engine", "--mode", "practice"]
        return self.child("engine", command, simulator_port=self.recorder.port)


@contextmanager
def stand(speed: float = SPEED) -> Iterator[Stand]:
    """Give a stand whose simulator answers; its market stands until an engine is ready."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        (folder / "workbench.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
        lay_deployments(folder / "data")
        port = free_port()
        recorder = stack.enter_context(Recorder(port))
        made = Stand(folder, port, free_port(), recorder, stack)
        command = [sys.executable, "-m", "workbench", "simulator", "--market", "synthetic:7", "--speed", f"{speed:g}"]
        made.child("simulator", command, simulator_port=port).wait_for(port, "/simulator/clock", 30)
        yield made


def lay_deployments(data: Path) -> None:
    """Write the deployments of the stand."""
    for name, interval in DEPLOYED:
        kind = strategies.get(name)
        made = Deployment(
            name=name.upper(),
            symbol="NIFTY",
            strategy=name,
            parameters=dict(strategies.build(name).parameters()),
            plan=replace(NAMED_PLANS["atm_option"], lots=OTHER_LOTS),
            interval=interval,
            webhook_link=deployments.new_link(name),
            strategy_hash=strategies.code_hash(kind),
        )
        deployments.save(data, made)
    # A stop far away and no target: nothing but our alerts moves this position in the seconds that it lives.
    plan = replace(
        NAMED_PLANS["scalp_atm"], name="bench", lots=OWN_LOTS, exits=Exits(stop=Distance(percent=Decimal(50)))
    )
    alerted = Deployment(name=ALERTED, symbol="NIFTY", plan=plan, interval="1m", webhook_link=LINK)
    deployments.save(data, alerted)
