"""From ticks on the wire to quotes in rupees on the tick and in Indian time.

Invariants: a price is on the instrument's tick; a time is aware and Indian; an instrument without a book has bid and
ask at its last price and says so by quantities of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.money import ZERO, snap_to_tick
from workbench.core.session import IST
from workbench.data.feed_packets import DepthRow, Tick
from workbench.data.feed_quarantine import INDIA_AHEAD_S, Line

_CACHE_SIZE = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the feed told of an instrument besides its quote; None where it has not told.

    Interest is in units; prices are rupees; `depth` has five rows, best first, with the wire's own numbers.
    """

    open_interest: int | None
    previous_close: Decimal | None
    previous_interest: int | None
    day_open: Decimal | None
    day_high: Decimal | None
    day_low: Decimal | None
    depth: tuple[DepthRow, ...]


class QuoteMaker:
    """Makes quotes of ticks that were accepted; prices and times that come again are not computed again."""

    def __init__(self) -> None:
        self._prices: dict[tuple[float, Decimal], Decimal] = {}
        self._moments: dict[int, datetime] = {}

    def quotes(self, tick: Tick, line: Line) -> list[Quote]:
        """One quote for each instrument of the line."""
        if tick.has_depth:
            line.book = tick
        book = line.book
        line.volume = volume = tick.volume or line.volume
        size = line.tick_size
        last = self.price(tick.last, size)
        moment = self.moment(tick.traded_at)
        if book is None:
            return [Quote(each.key, moment, last, last, last, 0, 0, volume) for each in line.instruments]
        bid, ask = self.price(book.bid, size), self.price(book.ask, size)
        return [
            Quote(each.key, moment, last, bid, ask, book.bid_quantity, book.ask_quantity, volume)
            for each in line.instruments
        ]

    def facts(self, line: Line) -> Facts:
        """What is known of a line besides its quotes."""
        tick = line.accepted
        day = tick.day if tick is not None else None
        interest = tick.open_interest if tick is not None else None
        previous = line.previous_close or (day.close if day is not None else None)
        return Facts(
            open_interest=interest[0] if interest is not None else line.open_interest,
            previous_close=self._told(previous, line),
            previous_interest=line.previous_interest,
            day_open=self._told(day.open if day is not None else None, line),
            day_high=self._told(day.high if day is not None else None, line),
            day_low=self._told(day.low if day is not None else None, line),
            depth=line.book.depth if line.book is not None else (),
        )

    def price(self, price: float, tick_size: Decimal) -> Decimal:
        """Snap to the tick."""
        # float32 on the wire: 25000.05 arrives as 25000.05078, so the tick grid says what was meant.
        found = self._prices.get((price, tick_size))
        if found is None:
            if len(self._prices) > _CACHE_SIZE:
                self._prices.clear()
            found = snap_to_tick(price, tick_size) if price else ZERO
            self._prices[price, tick_size] = found
        return found

    def moment(self, traded_at: int) -> datetime:
        """Read the wire's count as Indian time."""
        found = self._moments.get(traded_at)
        if found is None:
            if len(self._moments) > _CACHE_SIZE:
                self._moments.clear()
            found = datetime.fromtimestamp(traded_at - INDIA_AHEAD_S, IST)
            self._moments[traded_at] = found
        return found

    def _told(self, price: float | None, line: Line) -> Decimal | None:
        # Written so that NaN is not told either; before the first trade Dhan sends 0.
        return self.price(price, line.tick_size) if price is not None and 0.0 < price < float("inf") else None
