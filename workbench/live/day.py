"""A trading day from its opening to its report: what happens when a day begins and when it ends.

Invariant: a day is opened in one order (listings, engine, the broker's truth, bars) and its export is written after the
last event is on the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.core.legs import Listings
from workbench.core.messages import DayBegan, Level, TakeSnapshot
from workbench.live.settlement import settle
from workbench.live.signal_source import SignalSource
from workbench.live.system import LiveSystem

log = logging.getLogger(__name__)


class TradingDay:
    """Opens and closes the days of one running account, and has settled what expired at their end.

    Parameters
    ----------
    system : LiveSystem
    source : SignalSource or None
    load_listings : callable or None
        Gives the contracts listed on a day (the master is read in a thread); None keeps what the engine has.
    on_listings : callable
        Told of new listings, so that an engine made after a fault has them too.
    """

    def __init__(
        self,
        system: LiveSystem,
        source: SignalSource | None,
        *,
        load_listings: Callable[[date], Listings] | None = None,
        on_listings: Callable[[Listings], None] = lambda _: None,
    ) -> None:
        self.system, self.source = system, source
        self._load, self._on_listings = load_listings, on_listings
        self.opened: date | None = None
        self.exports: list[dict[str, Any]] = []

    async def open(self, day: date, *, fresh_listings: bool = True) -> None:
        """Open a day; opening it again (a restart within the day) changes no book."""
        runner = self.system.runner
        if fresh_listings and self._load is not None:
            listings = await asyncio.to_thread(self._load, day)
            self._on_listings(listings)
            runner.engine.list_instruments(listings)
        runner.enqueue(DayBegan(day=day))
        await runner.drained()
        runner.lanes.look(TakeSnapshot(reason=f"{day} is opened"))
        await runner.drained()
        if self.source is not None:
            self.source.open_day(day, self.system.now)
            await self.source.drained()
        await runner.drained()
        await settle(self.system)
        self.opened = day

    async def close(self) -> dict[str, Any] | None:
        """Write the day's export, when everything of it is on the disk; a failed export never stops the next day."""
        runner = self.system.runner
        await runner.drained()
        await settle(self.system)
        await runner.drained()
        if self.system.report is None or self.opened is None:
            return None
        try:
            told = dict(await asyncio.to_thread(self.system.report, self.opened))
        except (WorkbenchError, OSError) as error:
            runner.notifier.send(Level.WARNING.value, f"the export of {self.opened} failed: {error}")
            return None
        self.exports.append(told)
        runner.notifier.send(Level.INFO.value, _exported(told))
        return told

    async def on_market_state(self, state: str, moment: datetime) -> None:
        """Follow a practice market: "waiting" before an open begins a day, "closed" ends it."""
        day = moment.date()
        if state == "closed":
            await self.close()
        elif self.opened != day:
            await self.open(day)


def _exported(told: Mapping[str, Any]) -> str:
    """Say an export in words that fit a phone."""
    trades, net, folder = told.get("trades"), told.get("net"), told.get("folder")
    return f"the day {told.get('day')} is exported: {trades} trades, net Rs {net}, in {folder}"


def second_hand(
    system: LiveSystem, source: SignalSource | None, also: Callable[[datetime], None] = lambda _: None
) -> Callable[[datetime], None]:
    """Give what is done at each market second before the engine's beat: bars close, the feed is judged."""

    def tick(now: datetime) -> None:
        if source is not None:
            source.on_beat(now)
        judged = system.watch.judge(market_open=system.market_open)
        if judged is not None:
            if source is not None and judged.alive:
                source.on_gap(now)
            system.runner.enqueue(judged)
        also(now)

    return tick
