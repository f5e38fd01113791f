"""Prices of the current second, of whatever somebody asks for.

An index costs what its path says. Options and futures are priced by the model from that, when they are asked for and
once a second at most, so that a master of thousands of contracts costs nothing.

Invariant: within one second an instrument has one price for everybody, and bid < ask where there is an order book.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from workbench.core.bars import Quote
from workbench.core.instrument import InstrumentKind, Right
from workbench.core.money import snap_to_tick
from workbench.core.pricing import FUTURE_SPREAD_PCT, OptionPricer
from workbench.simulator.listing import Listed, Listing
from workbench.simulator.paths import DayPath, Floats, Minutes, minutes_of

LOTS_A_SECOND = 3
"""Traded in every contract in every second; a stand-in, no model of activity."""

_LEAST_LOTS, _MORE_LOTS = 4, 37
_DEPTH = 5
_LEAST_INTEREST_LOTS, _MORE_INTEREST_LOTS, _INTEREST_LOTS_A_MINUTE = 8_000, 60_000, 12


@dataclass(frozen=True, slots=True)
class Level:
    """Prices of one instrument in one second, rupees and units; an index has no sizes."""

    bid: float
    last: float
    ask: float
    bid_quantity: int
    ask_quantity: int
    volume: int


@dataclass(slots=True)
class DayRange:
    """Open, high and low of the day so far, rupees."""

    open: float
    high: float
    low: float

    def widen(self, price: float) -> None:
        """Take a price in."""
        self.high, self.low = max(self.high, price), min(self.low, price)


class Board:
    """The prices of one day at one second.

    Parameters
    ----------
    listing : Listing
    paths : mapping of symbol to DayPath
    pricers : mapping of symbol to OptionPricer
    previous : mapping of symbol to float
        Previous closes, rupees.
    opens_at : datetime, optional
        Open of the session, for a board without paths.
    """

    def __init__(
        self,
        listing: Listing,
        paths: Mapping[str, DayPath],
        pricers: Mapping[str, OptionPricer],
        previous: Mapping[str, float],
        *,
        opens_at: datetime | None = None,
    ) -> None:
        self.listing, self.paths, self.pricers, self.previous = listing, paths, pricers, previous
        self.second = -1
        self._start = opens_at or next(iter(paths.values())).open
        self.now = self._start - timedelta(seconds=1)
        self._levels: dict[str, Level] = {}
        self._ranges: dict[str, DayRange] = {}
        self._closes: dict[str, float] = {}
        self._tops: dict[str, tuple[Floats, Floats]] = {
            symbol: (np.maximum.accumulate(path.prices), np.minimum.accumulate(path.prices))
            for symbol, path in paths.items()
        }
        self._prices = {symbol: path.prices.tolist() for symbol, path in paths.items()}
        self._traded = {symbol: path.traded.tolist() for symbol, path in paths.items()}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Underlyings that have a price."""
        return tuple(self.paths)

    def move(self, second: int) -> None:
        """Go to a second of the session, -1 being before it."""
        self.second = second
        self.now = self._start + timedelta(seconds=second)
        self._levels.clear()

    def spot(self, symbol: str) -> float:
        """Give the price of an underlying, the previous close before the open."""
        if self.second < 0:
            return self.previous[symbol]
        prices = self._prices[symbol]
        return float(prices[min(self.second, len(prices) - 1)])

    def traded(self, symbol: str) -> bool:
        """Say whether the underlying trades in this second."""
        flags = self._traded[symbol]
        return 0 <= self.second < len(flags) and bool(flags[self.second])

    def seconds_left(self, listed: Listed) -> float:
        """Give the seconds until a contract expires."""
        return (listed.expires_at - self.now).total_seconds() if listed.expires_at else 0.0

    def level(self, listed: Listed) -> Level:
        """Give the prices of an instrument in this second."""
        instrument = listed.instrument
        key = instrument.security_id
        found = self._levels.get(key)
        if found is None:
            found = self._levels[key] = self._make(listed)
            known = self._ranges.get(key)
            if known is not None and self.second >= 0:
                known.widen(found.last)
        return found

    def quote(self, listed: Listed) -> Quote:
        """Give the prices as the matching rules want them: decimals on the tick."""
        level, instrument = self.level(listed), listed.instrument
        bid, last, ask = (snap_to_tick(each, instrument.tick) for each in (level.bid, level.last, level.ask))
        return Quote(
            key=instrument.key, time=self.now, last=last, bid=bid, ask=ask, bid_quantity=level.bid_quantity,
            ask_quantity=level.ask_quantity, volume=level.volume,
            model=instrument.kind in (InstrumentKind.OPTION, InstrumentKind.FUTURE),
        )  # fmt: skip

    def day_range(self, listed: Listed) -> DayRange:
        """Give open, high and low of the day so far; before the open they are the last price."""
        instrument = listed.instrument
        second = self.second
        if second < 0:
            last = self.level(listed).last
            return DayRange(last, last, last)
        if instrument.kind in (InstrumentKind.INDEX, InstrumentKind.SYNTHETIC):
            prices = self._prices[instrument.symbol]
            tops, bottoms = self._tops[instrument.symbol]
            place = min(second, len(prices) - 1)
            return DayRange(float(prices[0]), float(tops[place]), float(bottoms[place]))
        known = self._ranges.get(instrument.security_id)
        if known is None:
            candles = self.minutes(listed)
            last = self.level(listed).last
            known = DayRange(last, last, last)
            if len(candles):
                known = DayRange(float(candles.open[0]), float(candles.high.max()), float(candles.low.min()))
                known.widen(last)
            self._ranges[instrument.security_id] = known
        return known

    def minutes(self, listed: Listed) -> Minutes:
        """Give the minute candles of the day so far, the unfinished one included."""
        symbol = listed.instrument.symbol
        return model_minutes(listed, minutes_of(self.paths[symbol], self.second + 1), self.pricers[symbol])

    def previous_close(self, listed: Listed) -> float:
        """Give the previous close; of an option what the model gives for it at the previous close of the index."""
        instrument = listed.instrument
        spot = self.previous[instrument.symbol]
        if instrument.kind in (InstrumentKind.INDEX, InstrumentKind.SYNTHETIC) or listed.expires_at is None:
            return spot
        found = self._closes.get(instrument.security_id)
        if found is None:
            left = (listed.expires_at - self._start).total_seconds()
            fair = self.pricers[instrument.symbol].fair(instrument, spot, left)
            found = self._closes[instrument.security_id] = self.on_tick(listed, fair)
        return found

    def interest(self, listed: Listed) -> int:
        """Give the open interest of this minute in units."""
        return open_interest(listed, max(0, self.second) // 60)

    def depth(self, listed: Listed) -> list[tuple[int, int, float, float]]:
        """Give five rows of (bid units, ask units, bid, ask), best first; an index has zeros."""
        level, tick = self.level(listed), float(listed.instrument.tick)
        lot = listed.instrument.lot
        if listed.instrument.kind is InstrumentKind.SYNTHETIC:
            # It has no book of its own and is taken at the index's price, as much as is wanted.
            return [(lot * 100, lot * 100, level.bid, level.ask)] + [(0, 0, 0.0, 0.0)] * (_DEPTH - 1)
        if not level.bid_quantity:
            return [(0, 0, 0.0, 0.0)] * _DEPTH
        return [
            (
                level.bid_quantity + row * lot * 3,
                level.ask_quantity + row * lot * 3,
                max(0.0, round(level.bid - row * tick, 2)),
                round(level.ask + row * tick, 2),
            )
            for row in range(_DEPTH)
        ]

    @staticmethod
    def on_tick(listed: Listed, price: float) -> float:
        """Put a price on its tick, one tick at least."""
        tick = float(listed.instrument.tick)
        return round(max(1, round(price / tick)) * tick, 2)

    def _make(self, listed: Listed) -> Level:
        instrument, spot = listed.instrument, self.spot(listed.instrument.symbol)
        if instrument.kind is InstrumentKind.INDEX:
            return Level(spot, spot, spot, 0, 0, 0)
        tick = float(instrument.tick)
        if instrument.kind is InstrumentKind.SYNTHETIC:
            price = round(round(spot / tick) * tick, 2)
            return Level(price, price, price, 0, 0, 0)
        pricer = self.pricers[instrument.symbol]
        fair = pricer.fair(instrument, spot, self.seconds_left(listed))
        future = instrument.kind is InstrumentKind.FUTURE
        bid, last, ask = pricer.market(fair, tick, FUTURE_SPREAD_PCT if future else None)
        second = max(0, self.second)
        mixed = (listed.number * 2654435761 + second * 40503) & 0xFFFFFFFF
        return Level(
            round(bid * tick, 2),
            round(last * tick, 2),
            round(ask * tick, 2),
            instrument.lot * (_LEAST_LOTS + (mixed >> 8) % _MORE_LOTS),
            instrument.lot * (_LEAST_LOTS + (mixed >> 18) % _MORE_LOTS),
            instrument.lot * LOTS_A_SECOND * second,
        )


def open_interest(listed: Listed, minute: int) -> int:
    """Give an open interest in units: made up, different for each contract, growing with the minutes of the day."""
    instrument = listed.instrument
    if instrument.kind in (InstrumentKind.INDEX, InstrumentKind.SYNTHETIC):
        return 0
    lots = _LEAST_INTEREST_LOTS + listed.number % _MORE_INTEREST_LOTS
    return instrument.lot * (lots + _INTEREST_LOTS_A_MINUTE * minute)


def model_minutes(listed: Listed, spot: Minutes, pricer: OptionPricer) -> Minutes:
    """Give the candles of an instrument from those of its underlying.

    A call is dearest where the index is highest, a put where it is lowest, so that four prices make a candle.
    """
    instrument, expires_at = listed.instrument, listed.expires_at
    if expires_at is None:
        return spot
    end = expires_at.timestamp()
    tick = float(instrument.tick)

    def priced(column: Floats) -> Floats:
        fair = [
            pricer.fair(instrument, float(price), end - float(time))
            for price, time in zip(column, spot.times, strict=True)
        ]
        return np.round(np.maximum(1.0, np.round(np.array(fair, dtype=np.float64) / tick)) * tick, 2)

    high, low = (spot.low, spot.high) if instrument.right is Right.PE else (spot.high, spot.low)
    return Minutes(spot.times, priced(spot.open), priced(high), priced(low), priced(spot.close))
