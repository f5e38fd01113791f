"""What is known of one wire id, and the quarantine through which its ticks have to pass (fault S6).

A price that cannot be (zero, negative, not finite, an index beyond its circuit breaker, a trade in the future, an
index trade of minutes ago) is dropped. A price that may be true but is far from the one before it, or an older trade
than one that we have, waits for two more ticks that say the same; one that nothing confirms is dropped when the next
ordinary tick comes, and a price that its own packet's high and low deny is never confirmed.

Invariants: a quarantined tick becomes no quote; one wrong tick that did pass cannot shut out the right ones, since
three possible ones that agree always pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from workbench.core.instrument import Instrument, InstrumentKind
from workbench.data.feed_packets import Tick

INDIA_AHEAD_S = 19800
"""The wire counts the Indian wall clock as if it were UTC."""

MOST_RUPEES = 1e8
FUTURE_S = 30
"""A trade this far ahead of market time cannot be; the clock check refuses a machine that is itself so far off."""

OLD_INDEX_S = 60
BACKWARDS_S = 5
CONFIRMING = 2
"""Ticks that have to agree with a suspect."""

BREAKER = 0.25
"""An index stops at 20 % from its previous close, on all exchanges together; with room for the last prints."""

RECENT_S = 300
"""Trades further apart are not compared: a contract that nobody traded for so long may stand anywhere."""


@dataclass(frozen=True, slots=True)
class Band:
    """How far a price may go from one tick to the next: by `share` of the smaller one, or by `rupees`."""

    share: float
    rupees: float

    def is_jump(self, before: float, after: float) -> bool:
        """Tell whether the step leaves the band."""
        apart = abs(after - before)
        return apart > self.rupees and apart > self.share * min(before, after)


INDEX_BAND, OUTRIGHT_BAND = Band(0.05, 0.0), Band(0.2, 1.0)
# An option of a few paise becomes one of rupees within seconds on the day it ends.
OPTION_BAND = Band(9.0, 5.0)


def band_of(instrument: Instrument) -> Band:
    """Give the band for a kind of instrument."""
    match instrument.kind:
        case InstrumentKind.INDEX | InstrumentKind.SYNTHETIC:
            return INDEX_BAND
        case InstrumentKind.OPTION:
            return OPTION_BAND
        case _:
            return OUTRIGHT_BAND


@dataclass(slots=True)
class Line:
    """One wire id; two instruments can share it (an index and the index traded as a future).

    `accepted` is the newest tick that passed, `suspect` one that waits to be confirmed, `book` the newest of this
    connection with depth; `received_at` is wire time.
    """

    instruments: list[Instrument]
    tick_size: Decimal
    band: Band
    accepted: Tick | None = None
    suspect: Tick | None = None
    agreed: int = 0
    book: Tick | None = None
    volume: int = 0
    received_at: float | None = None
    open_interest: int | None = None
    previous_close: float | None = None
    previous_interest: int | None = None


class Quarantine:
    """Judges ticks.

    Parameters
    ----------
    market_now : callable or None
        Market time; None where it is not known ahead of the feed (practice: the feed is ahead of the clock), so that
        neither the future nor the age of a trade can be judged.

    Attributes
    ----------
    bad_prices, future, old : int
        Ticks that were dropped: no possible price, a trade ahead of time, an index trade of long ago.
    jumps, backwards : int
        Ticks that were held back: a price far from the last, a trade before the last.
    confirmed : int
        How often such a price or time was confirmed in the end.
    """

    def __init__(self, market_now: Callable[[], datetime] | None = None) -> None:
        self._market_now = market_now
        self._now_s, self._now_at = 0.0, float("-inf")
        self.bad_prices = self.future = self.old = 0
        self.jumps = self.backwards = self.confirmed = 0

    @property
    def counters(self) -> dict[str, int]:
        """What was dropped and held back, by name."""
        names = "bad_prices", "future", "old", "jumps", "backwards", "confirmed"
        return {name: getattr(self, name) for name in names}

    def passes(self, tick: Tick, line: Line, at: float) -> bool:
        """Tell whether a tick is to be believed; `at` is wire time, seconds."""
        # Written so that NaN fails too.
        if not 0.0 < tick.last < MOST_RUPEES or tick.traded_at <= INDIA_AHEAD_S:
            self.bad_prices += 1
            return False
        if tick.has_depth and not (0.0 <= tick.bid < MOST_RUPEES and 0.0 <= tick.ask < MOST_RUPEES):
            self.bad_prices += 1
            return False
        if line.band is INDEX_BAND and _is_beyond_the_breaker(tick, line):
            self.bad_prices += 1
            return False
        if self._market_now is not None and not self._is_timely(tick, line, at):
            return False
        if self._is_suspicious(tick, line) and not self._is_confirmed(tick, line):
            return False
        line.accepted, line.suspect = tick, None
        return True

    def _is_confirmed(self, tick: Tick, line: Line) -> bool:
        suspect, line.suspect = line.suspect, tick
        agrees = suspect is not None and tick.traded_at >= suspect.traded_at and not _jumps(suspect, tick, line.band)
        line.agreed = line.agreed + 1 if agrees else 0
        if line.agreed < CONFIRMING or _is_out_of_its_day(tick):
            return False
        self.confirmed += 1
        return True

    def _is_timely(self, tick: Tick, line: Line, at: float) -> bool:
        if at - self._now_at > 0.2 and self._market_now is not None:
            self._now_s, self._now_at = self._market_now().timestamp() + INDIA_AHEAD_S, at
        ahead_s = tick.traded_at - self._now_s
        if ahead_s > FUTURE_S:
            self.future += 1
            return False
        # An index is computed every second; a contract's last trade may be hours old under a living book.
        if ahead_s < -OLD_INDEX_S and line.band is INDEX_BAND:
            self.old += 1
            return False
        return True

    def _is_suspicious(self, tick: Tick, line: Line) -> bool:
        known = line.accepted
        if known is not None:
            later_s = tick.traded_at - known.traded_at
            if later_s < -BACKWARDS_S:
                self.backwards += 1
                return True
            if later_s <= RECENT_S:
                if _jumps(known, tick, line.band):
                    self.jumps += 1
                    return True
                return False
        # A first price, or one after long silence, has nothing but its own packet to be compared with.
        if _is_out_of_its_day(tick):
            self.jumps += 1
            return True
        return False


def _jumps(before: Tick, after: Tick, band: Band) -> bool:
    if band.is_jump(before.last, after.last):
        return True
    if not (before.has_depth and after.has_depth):
        return False
    # A side of the book that was or is empty has no price to compare.
    return (before.bid > 0 < after.bid and band.is_jump(before.bid, after.bid)) or (
        before.ask > 0 < after.ask and band.is_jump(before.ask, after.ask)
    )


def _is_out_of_its_day(tick: Tick) -> bool:
    """Tell whether a price lies outside of the day that its own packet tells (zeros before the first trade)."""
    day = tick.day
    if day is None or not 0.0 < day.low <= day.high < MOST_RUPEES:
        return False
    return not day.low * 0.99 <= tick.last <= day.high * 1.01


def _is_beyond_the_breaker(tick: Tick, line: Line) -> bool:
    close = line.previous_close
    return close is not None and abs(tick.last - close) > BREAKER * close
