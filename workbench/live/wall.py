"""Time as it passes for paper and live: quotes as they come, a beat each second, days by the calendar.

Nobody waits for us here. A beat that is late is not made up for; a quote is handed on the moment it comes.

Invariants: a day is opened before its market opens and closed after it, once each, and none before the last; a day
that cannot be opened (no instrument master, for instance) is told and tried again, and what is held is watched
meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import date, datetime

from workbench.core.bars import Quote
from workbench.core.errors import UnknownFact, WorkbenchError
from workbench.core.messages import BrokerOrder, Message, OrderUpdated, QuoteReceived, TimerBeat
from workbench.core.ports import Clock
from workbench.core.session import Calendar, Session
from workbench.live.quote_gate import QuoteGate
from workbench.live.schedule import EXPORT_AFTER_CLOSE, PRE_OPEN_LEAD
from workbench.live.system import MARKET

log = logging.getLogger(__name__)

TRY_AGAIN_S = 30.0
"""Real seconds before a day that could not be opened is tried again."""


def market_state(session: Session | None, now: datetime) -> str:
    """Give "waiting", "open" or "closed" of a day; empty where none is near."""
    if session is None or now < session.open - PRE_OPEN_LEAD:
        return ""
    if now >= session.close + EXPORT_AFTER_CLOSE:
        return "closed"
    return "waiting" if now < session.open else "open"


class WallBeat:
    """Moves a paper or live engine.

    Parameters
    ----------
    clock : Clock
    calendar : Calendar
    enqueue : callable
        Takes messages (the runner's).
    on_second : callable
        Done at each beat before the engine's own.
    on_state : callable
        Awaited when the market's state changes; a day that it cannot open raises a `WorkbenchError`.
    on_trouble : callable
        Told why a day cannot be opened, and "" when it could.
    every_s : float
        Real seconds between two beats.
    """

    def __init__(  # noqa: PLR0913 - the ends of a clock
        self,
        *,
        clock: Clock,
        calendar: Calendar,
        enqueue: Callable[[Message], None],
        on_second: Callable[[datetime], None],
        on_state: Callable[[str, datetime], Awaitable[None]],
        on_trouble: Callable[[str], None] = lambda _: None,
        every_s: float = 1.0,
    ) -> None:
        self._clock, self._calendar, self._every_s = clock, calendar, every_s
        self._enqueue, self._on_second = enqueue, on_second
        self.gate = QuoteGate(lambda quote: enqueue(QuoteReceived(quote=quote)))
        self._on_state, self._on_trouble = on_state, on_trouble
        self._state: tuple[str, date | None] = ("", None)
        self._not_before = float("-inf")
        self._is_back = False
        self.beats = 0

    def take_quote(self, quote: Quote) -> None:
        """Hand a quote on; behind, only the newest of its instrument."""
        self.gate.take(quote, time.monotonic())

    def take_order(self, order: BrokerOrder) -> None:
        """Hand an order update on."""
        self._enqueue(OrderUpdated(order=order))

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._every_s, loop.time())
            await asyncio.sleep(due - loop.time())
            await self._follow_the_calendar(loop.time())
            self._on_second(self._clock.now())
            self._enqueue(TimerBeat())
            self.beats += 1

    async def _follow_the_calendar(self, at: float) -> None:
        now = self._clock.now()
        found = (market_state(self._session(now), now), now.date())
        if self._is_before_its_day(found[1]):
            return
        if found == self._state or at < self._not_before:
            return
        before, day = self._state
        slept_through = before in ("waiting", "open") and day != found[1]
        if found[0] or slept_through:
            try:
                if slept_through:
                    # The close passed while this machine was shut: that day is ended before another begins.
                    await self._on_state("closed", now)
                    self._state = ("closed", day)
                if found[0]:
                    await self._on_state(found[0], now)
            except (WorkbenchError, OSError) as error:
                log.error("the day %s cannot be opened: %s", found[1], error)
                self._not_before = at + TRY_AGAIN_S
                self._on_trouble(f"{found[1]} cannot be opened: {error}")
                return
            self._on_trouble("")
        self._state = found

    def _is_before_its_day(self, today: date) -> bool:
        """Say whether the clock was set to before the open day; to open an earlier one would forget its orders."""
        day, was_back = self._state[1], self._is_back
        self._is_back = day is not None and today < day
        if self._is_back and not was_back:
            log.error("the clock went back from %s to %s", day, today)
            self._on_trouble(f"the clock went back to {today}, and {day} is open: set this machine's clock")
        elif was_back and not self._is_back:
            self._on_trouble("")
        return self._is_back

    def _session(self, now: datetime) -> Session | None:
        try:
            return self._calendar.session(MARKET, now.date())
        except UnknownFact:
            return None
