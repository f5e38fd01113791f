"""`workbench up --mode paper` or `live` as a child process, on a simulator that plays Dhan behind a recording proxy."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.journey.running import ROOT, RunningWorkbench, free_port
from tests.simulation.paper.recording import RecordingProxy, recording_proxy
from workbench.bootstrap import deployments as promoted
from workbench.config import StrategySection
from workbench.core.plan import NAMED_PLANS, Distance, Exits
from workbench.reference import calendar
from workbench.simulator import SimulatorConfig
from workbench.simulator.market import SyntheticMarket
from workbench.testing.simulator import DAY, RunningSimulator, running_simulator

KEY = "the key of the alerts"
NAME = "SCALP_ATM"
SPEED = 10.0
SENTENCE = "I trade real money on 001"
STOP = 60
FAR = replace(NAMED_PLANS["scalp_atm"], exits=Exits(stop=Distance(points=Decimal(STOP))))
"""A stop that the market does not reach while a test looks at it, at ten market seconds a second."""


class Up(RunningWorkbench):
    """One `workbench up` in a folder of its own, whose settings a test may write."""

    def __init__(self, folder: Path, dhan: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.data = folder / "data"
        self.engine_port, self.simulator_port, self.panel_port = free_port(), free_port(), free_port()
        self.folder = folder
        ports = (self.engine_port, self.simulator_port, self.panel_port)
        self.env = {**environment(folder, dhan, *ports), **(env or {})}
        self.log = folder / "up.log"
        command = [sys.executable, "-m", "workbench", "up", *arguments, "--no-panel"]
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, env=self.env, cwd=folder, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def send(self, body: dict[str, Any]) -> tuple[int, Any]:
        link = promoted.load(self.data, NAME).webhook_link
        # An id of its own: two equal alerts within one minute are one alert.
        named = {"key": KEY, "strategy": NAME, "symbol": "NIFTY", "id": secrets.token_hex(6)}
        return self.post(f"/webhook/{link}", {**named, **body})

    def buy(self) -> tuple[int, Any]:
        price = self.wait("a spot price", lambda: self.get("/live/spot-price"))["price"]
        now = self.get("/health")["now"]
        return self.send({"side": "BUY", "timeframe": "1m", "price": price, "timestamp": now})

    def enter(self) -> dict[str, Any]:
        """Buy, again where the market ran away from the limit, until there is a position with its stop."""
        answers = []
        for _ in range(10):
            status, answer = self.buy()
            answers.append(answer)
            assert (status, answer["status"]) == (200, "accepted"), answer
            subject = answer["id"]

            def settled(subject: str = subject) -> list[dict[str, Any]]:
                rows = [item for item in self.positions() if item["subject"] == subject]
                return [item for item in rows if item["protection"] == "at_broker"] if rows else [{}]

            if found := self.wait("an entry or its end", settled)[0]:
                return dict(found)
        raise AssertionError(f"ten entries came to nothing: {answers}")

    def orders_of(self, position_id: str) -> list[dict[str, Any]]:
        """Orders of a position as we know them."""
        return [row for row in self.get("/live/orders") if row["position_id"] == position_id]

    def flat(self) -> tuple[int, Any]:
        return self.send({"position": "flat", "timestamp": self.get("/health")["now"]})

    def positions(self) -> list[Any]:
        return list(self.get("/live/positions"))


def environment(folder: Path, dhan: str, engine: int, simulator: int, panel: int) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "WORKBENCH_DATA": str(folder / "data"),
        "WORKBENCH_ENGINE_PORT": str(engine),
        "WORKBENCH_SIMULATOR_PORT": str(simulator),
        "WORKBENCH_PANEL_PORT": str(panel),
        "WORKBENCH_DHAN_URL": dhan,
        "DHAN_CLIENT_ID": "1000000001",
        "DHAN_ACCESS_TOKEN": "practice-token",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


@dataclass(frozen=True)
class Dhan:
    """What the engine takes for Dhan, and what was asked of it."""

    simulator: RunningSimulator
    proxy: RecordingProxy

    def orders(self) -> list[Any]:
        book: dict[str, Any] = self.simulator.call(self.simulator.simulator.book)
        return list(book["orders"])

    def positions(self) -> list[Any]:
        book: dict[str, Any] = self.simulator.call(self.simulator.simulator.book)
        return list(book["positions"])

    def asks_and_bids(self, key: str, until: int, seconds: int) -> set[Decimal]:
        """Prices of both sides of an instrument in the last seconds before one."""

        def read() -> set[Decimal]:
            simulator = self.simulator.simulator
            listing, board = simulator._floor(simulator.day)
            listed = listing.by_key(key)
            assert listed is not None
            found: set[Decimal] = set()
            for second in range(max(0, until - seconds), until + 1):
                board.move(second)
                quote = board.quote(listed)
                found |= {quote.bid, quote.ask}
            return found

        return self.simulator.call(read)


@contextmanager
def playing_dhan(**changes: Any) -> Iterator[Dhan]:
    """Run a simulator at speed whose time nobody holds, with a proxy before it."""
    config = SimulatorConfig(speed=SPEED, free_run=True, **changes)
    market = SyntheticMarket(7, calendar(), DAY)
    with (
        running_simulator(market=market, config=config, follow=True) as simulator,
        recording_proxy(simulator.port) as proxy,
    ):
        yield Dhan(simulator, proxy)


def deploy(data: Path, account: str, **changes: Any) -> None:
    """Put the deployment of alerts on an account, with a key."""
    promoted.ensure_practice(data, StrategySection())
    key = hashlib.sha256(KEY.encode()).hexdigest()
    wanted = {"account": account, "key_sha256": key, **changes}
    promoted.save(data, replace(promoted.load(data, NAME), **wanted))
