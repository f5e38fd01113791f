"""The market data line of a proof: broken and wild ticks, and the feed's own quarantine before them.

In two of three seeds quotes come to the engine as in production, through the quarantine, and then the line also tells
prices that never were. In the third they come as they are, for the engine must stand a quote without a price, or
without one side, by itself.

Invariant: what passes is the venue's own quote; the judge knows the true market and nothing of this line.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.data.feed_packets import TICKER, Tick
from workbench.data.feed_quarantine import INDIA_AHEAD_S, RECENT_S, Line, Quarantine, band_of

RAW_EVERY = 3
"""Of so many seeds one has no quarantine before the engine."""

TIMES = (Decimal(12), Decimal(150), Decimal("0.02"))
"""What a wild tick makes of the price before it, in turn: three that agree would rightly be believed."""

CHEAP = 10.0
"""Below it nothing can fall far enough to be wild."""


class MarketLine:
    """Carries quotes to the engine.

    Parameters
    ----------
    seed : int
    wild : float
        Share of quotes that are wild.
    instrument : callable
        Gives the instrument of a key.
    market_now : callable
    monotonic : callable
        Wire time, seconds.
    """

    def __init__(
        self,
        seed: int,
        wild: float,
        *,
        instrument: Callable[[str], Instrument],
        market_now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.quarantine = None if seed % RAW_EVERY == 0 else Quarantine(market_now)
        self._rng, self._wild, self._monotonic = random.Random(f"line {seed}"), wild, monotonic
        self._instrument, self._lines, self._turn = instrument, dict[str, Line](), 0

    def carried(self, quotes: Iterable[Quote]) -> Iterator[Quote]:
        """Give what reaches the engine."""
        if self.quarantine is None:
            yield from quotes
            return
        for quote in quotes:
            line = self._lines.get(quote.key) or self._line(quote.key)
            told = self._told(quote, line)
            if self.quarantine.passes(_tick(told), line, self._monotonic()):
                yield told

    def _line(self, key: str) -> Line:
        instrument = self._instrument(key)
        return self._lines.setdefault(key, Line([instrument], instrument.tick, band_of(instrument)))

    def _told(self, quote: Quote, line: Line) -> Quote:
        if not self._wild or self._rng.random() >= self._wild:
            return quote
        known = line.accepted
        # A first price, or one after a long pause, has nothing to be compared with and is believed.
        if known is None or _wire_time(quote.time) - known.traded_at > RECENT_S or known.last < CHEAP:
            return quote
        self._turn = (self._turn + 1) % len(TIMES)
        # Wild beside the last price that passed: the market itself may have jumped in the same second.
        last = Decimal(str(known.last)) * TIMES[self._turn]
        return replace(quote, last=last, bid=last, ask=last)


def _wire_time(moment: datetime) -> int:
    return int(moment.timestamp()) + INDIA_AHEAD_S


def _tick(quote: Quote) -> Tick:
    return Tick(
        segment=0,
        security_id=0,
        last=float(quote.last),
        traded_at=_wire_time(quote.time),
        volume=0,
        bid=float(quote.bid),
        ask=float(quote.ask),
        bid_quantity=quote.bid_quantity,
        ask_quantity=quote.ask_quantity,
        has_depth=True,
        numbers=(TICKER,),
    )
