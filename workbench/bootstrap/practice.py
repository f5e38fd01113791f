"""Practice: a simulator is the market, the broker and the clock."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.places import Places
from workbench.bootstrap.venue import RUN_VARIABLE, Host, Login, Moved, Wires, wires_of
from workbench.brokers.dhan.login import read_profile
from workbench.config import Config
from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.legs import Listings
from workbench.core.messages import Level
from workbench.data.instruments import InstrumentMaster, install_master
from workbench.data.master_download import download_master
from workbench.live.clock import PracticeClock
from workbench.live.practice_link import PracticeLink
from workbench.reference import contract_table

PRACTICE_CLIENT = "1000000001"
PRACTICE_TOKEN = "practice-token"  # noqa: S105 - the simulator's, no secret


class PracticeVenue:
    """The practice account; implements `venue.Venue`.

    Parameters
    ----------
    config : Config
    data : Path
    """

    mode = Mode.PRACTICE
    dry_run = False
    stale_after_s: float | None = None
    clock: PracticeClock
    wires: Wires

    def __init__(self, config: Config, data: Path) -> None:
        self._config, self._data = config, data
        self.scope = os.environ.get(RUN_VARIABLE, "")
        self.account_id = f"practice-{self.scope}" if self.scope else "practice"
        self.id_prefix = f"p{self.scope[:5]}"
        self._places = Places.simulator(config.server.simulator_port)
        self._login = Login(client_id=PRACTICE_CLIENT, token=PRACTICE_TOKEN)
        self._told: dict[str, Any] = {}
        self._left_out: list[str] = []

    def choose(self) -> tuple[Deployment, ...]:
        """Read the practice deployments; the first two are laid down where they do not exist.

        One whose symbol the practice market does not have is named and left out: the others are not to wait for it.
        """
        promoted.ensure_practice(self._data, self._config.strategy)
        mine = [item for item in promoted.load_all(self._data) if item.account == self.mode.value]
        why = {item.name: promoted.not_in_practice(item) for item in mine}
        self._left_out = [text for text in why.values() if text]
        for text in self._left_out:
            show(text)
        return tuple(item for item in mine if not why[item.name])

    def begin(self) -> str:
        """Ask the simulator for its time."""
        self._told = self._places.clock_facts()
        self.clock = PracticeClock(dt.datetime.fromisoformat(self._told["now"]))
        return "practice account"

    def log_in(self) -> str:
        """Read the profile, as a real login would."""
        read_profile(PRACTICE_CLIENT, PRACTICE_TOKEN, base_url=self._places.rest)
        return f"client {PRACTICE_CLIENT} at {self._places.origin}"

    async def connect(self, host: Host) -> None:
        """Make the clients."""
        self._host = host
        for text in self._left_out:
            host.notifier.send(Level.WARNING.value, text)
        self.wires = wires_of(
            self._places, self._places, self._login, self._login, now=self.clock.now, scale=self.speed()
        )

    def load_listings(self, symbols: Sequence[str], day: dt.date) -> Listings:
        """Fetch the simulator's master of that day, and its facts: spot, volatility and date are others each day."""
        self._told = self._places.clock_facts()
        folder = self._data / "instruments"
        folder.mkdir(parents=True, exist_ok=True)
        fetched, kept = folder / "practice-master.part.csv", folder / "practice-master.csv"
        kept.unlink(missing_ok=True)  # another practice day lists other contracts: no comparison of row counts
        download_master(self._places.master, fetched)
        install_master(fetched, kept, underlyings=symbols)
        return Listings(InstrumentMaster.load(kept, symbols, on=day), contract_table())

    def mover(self, moved: Moved) -> PracticeLink:
        """Give the link that follows the simulator second by second."""
        return PracticeLink(
            self._places.sync,
            clock=self.clock,
            feed=self.wires.feed,
            updates=self.wires.updates,
            enqueue=moved.enqueue,
            drained=moved.drained,
            on_second=moved.on_second,
            on_state=moved.on_state,
        )

    def speed(self) -> float:
        """Market seconds in a real second; 0 in lockstep."""
        return 0.0 if self._told["speed"] == "max" else float(self._told["speed"])

    def facts(self) -> dict[str, Any]:
        """Give the simulator's own facts."""
        return {"market": self._told.get("facts", {}), "speed": self._told["speed"]}

    def hours_left(self) -> float | None:
        """Give None: the practice token does not end."""
        return None

    def close(self) -> None:
        """End nothing: there is nothing beside the process's own tasks."""


def limits_of(config: Config) -> Limits:
    """Turn the sections risk and trading of ``workbench.yaml`` into the account's limits; each has one name in both."""
    names = {item.name for item in fields(Limits)}
    values = {
        name: getattr(section, name)
        for section in (config.risk, config.trading)
        for name in type(section).model_fields
        if name in names
    }
    return Limits(needs_funds=True, **values)


def show(line: str) -> None:
    """Print one line at once; whose terminal was closed goes on without it."""
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
