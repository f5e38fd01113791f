"""One running account with all that its faces need: what API, webhook, schedule and clock link share.

Invariant: it holds no number of its own; P&L and trades come from the ledger, positions from the engine's book.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any

from workbench.core.bars import Quote
from workbench.core.deployment import Mode
from workbench.core.errors import UnknownFact, WorkbenchError
from workbench.core.instrument import Segment
from workbench.core.messages import FeedChecked
from workbench.core.session import Calendar, Phase, Session
from workbench.live.alerts import AlertDesk
from workbench.live.edges import Alarms, DayReporter
from workbench.live.kill import KillRun
from workbench.live.runner import Runner

MARKET = Segment.NSE_FNO


class FeedWatch:
    """Whether market data is alive, by wire time (the machine's monotonic clock).

    Parameters
    ----------
    stale_after_s : float or None
        Real seconds without any quote in an open market that make it stale. None for practice, whose market may stand
        still: there only the connection counts.
    monotonic : callable
        Wire time.

    Attributes
    ----------
    counters : callable
        What the feed counted, by name: packets, ticks, and what was dropped or held back.
    held : dict
        Why entries are held back besides, by what holds them.
    on_worse : callable
        Called when the feed is lost or a hold comes, so that it is judged at once and not at the next beat; called when
        it is set, too, where something is held already.
    """

    def __init__(self, stale_after_s: float | None = 5.0, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.stale_after_s = stale_after_s
        self.connected = False
        self.orders_connected = False
        self.reason = "not connected yet"
        self.orders_reason = "not connected yet"
        self._monotonic = monotonic
        self._last_quote: float | None = None
        self._ticking: dict[str, float | None] = {}
        self._are_due: Callable[[], bool] = lambda: True
        self._is_held: Callable[[], bool] = lambda: True
        self._judged: bool | None = None
        self._was_lost = False
        self.held: dict[str, str] = {}
        self._on_worse: Callable[[], None] = lambda: None
        self.counters: Callable[[], Mapping[str, int]] = dict

    @property
    def on_worse(self) -> Callable[[], None]:
        """What is called when entries have to be held back at once."""
        return self._on_worse

    @on_worse.setter
    def on_worse(self, callback: Callable[[], None]) -> None:
        self._on_worse = callback
        if self.held:
            # A hold that came before anybody listened must not wait for the first beat of the clock.
            callback()

    @property
    def last_quote_at(self) -> float | None:
        """Wire time of the newest quote; with instruments that must tick, of the one that is silent longest."""
        if not self._ticking or not self._are_due():
            return self._last_quote
        seen = [at for at in self._ticking.values() if at is not None]
        return min(seen) if len(seen) == len(self._ticking) else None

    @property
    def age_s(self) -> float | None:
        """Real seconds since the last quote; with instruments that must tick, of the one that is silent longest."""
        last = self.last_quote_at
        return None if last is None else self._monotonic() - last

    @property
    def expects_quotes(self) -> bool:
        """Something is listened to that trades now, as far as is known; else silence is no fault."""
        return not self._ticking or self._are_due() or self._is_held()

    def must_tick(
        self,
        keys: Iterable[str],
        are_due: Callable[[], bool] = lambda: True,
        is_held: Callable[[], bool] = lambda: True,
    ) -> None:
        """Ask of each of these liquid instruments (underlyings) that it ticks by itself, while `are_due` says so.

        Options outlive their index by some minutes each day, so an index is due only until its own end; from then on
        there are quotes only of what `is_held`.
        """
        self._ticking = {key: self._ticking.get(key) for key in keys}
        self._are_due, self._is_held = are_due, is_held

    def saw_quote(self, received: float, key: str = "") -> None:
        """Note a quote's monotonic receive time, and of which instrument it is."""
        self._last_quote = received
        if key in self._ticking:
            self._ticking[key] = received

    def feed_state(self, up: bool, reason: str) -> None:
        """Note that the feed connected or was lost."""
        self.connected, self.reason = up, reason
        self._was_lost = self._was_lost or not up
        if not up:
            self._on_worse()

    def orders_state(self, up: bool, reason: str) -> None:
        """Note that the order socket connected or was lost."""
        self.orders_connected, self.orders_reason = up, reason

    def lives(self) -> tuple[bool, str]:
        """Say whether the feed itself brings quotes now, and why not; holds and the market's hours do not count."""
        age = self.age_s
        if not self.connected:
            return False, self.reason
        if self.stale_after_s is None or not self.expects_quotes or (age is not None and age <= self.stale_after_s):
            return True, ""
        return False, f"no quote for {age or 0:.0f} s"

    def hold(self, what: str, reason: str) -> None:
        """Hold entries back, as a dead feed does, until `let_go`: the token is refused, paper orders cannot be matched.

        Unlike a HALT it ends by itself with its cause, and no person has to find out that it may.
        """
        self.held[what] = reason
        self._on_worse()

    def let_go(self, what: str) -> None:
        """Take a hold away."""
        self.held.pop(what, None)

    def judge(self, *, market_open: bool) -> FeedChecked | None:
        """Say whether the feed came alive or went stale since the last call; None where nothing changed.

        A connection that was lost and made again between two calls has come alive too: ticks are missing.
        """
        age = self.age_s
        judges_age = self.stale_after_s is not None and market_open and self.expects_quotes
        stale = judges_age and (age is None or age > (self.stale_after_s or 0.0))
        held = next(iter(self.held.values()), "")
        alive = self.connected and not stale and not held
        if alive == self._judged and not (alive and self._was_lost):
            return None
        self._judged = alive
        self._was_lost = self._was_lost and not alive
        reason = "" if alive else held or (self.reason if not self.connected else f"no quote for {age or 0:.0f} s")
        return FeedChecked(alive=alive, age_s=age or 0.0, reason=reason)


@dataclass(slots=True)
class LiveSystem:
    """The running account.

    Parameters
    ----------
    runner : Runner
    mode : Mode
    calendar : Calendar
    alerts : AlertDesk
    watch : FeedWatch
    admin_token : str
        Opens the writing routes of the API.
    notices : callable
        Newest notices as mappings with level, text and at.
    alarms : Alarms, optional
        Those that wait for a person.
    report : DayReporter, optional
        Writes the export of a day.
    token_hours_left : callable
        Hours until the broker's token ends; None where it does not.
    kill : KillRun, optional
        The kill switch.
    candles : callable
        (symbol, interval, count) to the newest closed bars as mappings.
    """

    runner: Runner
    mode: Mode
    calendar: Calendar
    alerts: AlertDesk
    watch: FeedWatch
    admin_token: str
    notices: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    alarms: Alarms | None = None
    report: DayReporter | None = None
    token_hours_left: Callable[[], float | None] = lambda: None
    candles: Callable[[str, str, int], Sequence[Mapping[str, Any]]] = lambda *_: ()
    kill: KillRun | None = None
    turned_away: int = 0
    ready: bool = False
    not_ready_because: str = "starting"

    @property
    def now(self) -> datetime:
        """Market time."""
        return self.runner.clock.now()

    def session(self, segment: Segment = MARKET) -> Session | None:
        """Today's session; None on a day without one or without facts."""
        try:
            return self.calendar.session(segment, self.now.date())
        except UnknownFact:
            return None

    @property
    def market_open(self) -> bool:
        """The market trades now."""
        session = self.session()
        return session is not None and session.contains(self.now)

    def phase(self) -> Phase:
        """Where the moment lies in its day."""
        session = self.session()
        return Phase.CLOSED if session is None else session.phase(self.now)

    def square_off(self, segment: Segment = MARKET) -> datetime | None:
        """Moment of the day at which positions of a segment begin to be left."""
        session = self.session(segment)
        if session is None:
            return None
        return _earlier(session.square_off_start, self.runner.engine.config.limits.square_off_at)

    def last_entry(self) -> datetime | None:
        """Moment of the day after which no deployment enters."""
        square_off = self.square_off()
        if square_off is None:
            return None
        config = self.runner.engine.config
        end = _earlier(square_off, config.limits.no_entry_after)
        return max((_earlier(end, item.plan.no_entry_after) for item in config.deployments), default=end)

    def last_alert(self) -> datetime | None:
        """When the newest alert came that was not refused at the door."""
        rows = self.runner.ledger.decisions
        return next((row.time for row in reversed(rows) if row.kind == "alert"), None)

    def spot_quote(self, symbol: str) -> Quote | None:
        """Last quote of an underlying."""
        engine = self.runner.engine
        try:
            key = engine.config.listings.instruments.index(symbol).key
        except WorkbenchError:
            return None
        return engine.quotes.get(key)

    def spot(self, symbol: str) -> Decimal | None:
        """Last price of an underlying, rupees; None when it is unknown or older than a minute."""
        quote = self.spot_quote(symbol)
        if quote is None or self.now - quote.time > timedelta(minutes=1):
            return None
        return quote.last


def _earlier(moment: datetime, clock: time_of_day | None) -> datetime:
    """The moment, or that time of its day if it comes first."""
    return moment if clock is None else min(moment, datetime.combine(moment.date(), clock, moment.tzinfo))
