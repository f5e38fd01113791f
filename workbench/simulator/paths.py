"""A day's prices second by second: made up by seed, or grown between the corners of recorded minutes.

The market gets a `DayPath`: the price at each second of the session, and whether a trade took place in it. The
minutes that history shows are read off the same seconds, so a candle and the ticks behind it always agree.

Invariant: equal seeds and equal inputs give equal paths; a recorded minute's seconds visit its open, high, low and
close and never leave its range.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.session import IST, Session

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TICK = 0.05
_TRADING_DAYS = 252
_TREND_SHARE = 0.55
_TREND_LENGTH_S = 1500
_GAP_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class DayPath:
    """One underlying's day.

    Parameters
    ----------
    open : datetime
        Time of the first second.
    prices : array of float, one for each second
        Rupees; a second without a trade repeats the price before it.
    traded : array of bool
        Seconds in which a trade took place.
    """

    open: datetime
    prices: Floats
    traded: Flags


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minute candles: epoch seconds (true UTC) of each open time, and four price columns in rupees."""

    times: npt.NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def joined(cls, parts: Iterable[Minutes]) -> Minutes:
        """Put days one after the other."""
        days = list(parts)
        if not days:
            nothing = np.zeros(0)
            return cls(np.zeros(0, dtype=np.int64), nothing, nothing, nothing, nothing)
        return cls(
            np.concatenate([day.times for day in days]),
            np.concatenate([day.open for day in days]),
            np.concatenate([day.high for day in days]),
            np.concatenate([day.low for day in days]),
            np.concatenate([day.close for day in days]),
        )


def minutes_of(path: DayPath, seconds: int | None = None) -> Minutes:
    """Read the minute candles off a path, of its first `seconds` seconds (the last one may be unfinished).

    A minute without a trade has no candle.
    """
    length = len(path.prices) if seconds is None else max(0, min(seconds, len(path.prices)))
    rows: list[tuple[float, float, float, float]] = []
    times: list[int] = []
    start = int(path.open.timestamp())
    for first in range(0, length, 60):
        seen = path.prices[first : min(first + 60, length)][path.traded[first : min(first + 60, length)]]
        if len(seen):
            times.append(start + first)
            rows.append((float(seen[0]), float(seen.max()), float(seen.min()), float(seen[-1])))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Minutes(np.array(times, dtype=np.int64), table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def minutes_of_frame(frame: pd.DataFrame) -> Minutes:
    """Read the candles of a bar frame (index: open time, aware)."""
    stamps = pd.DatetimeIndex(frame.index).as_unit("s").asi8.astype(np.int64)
    columns = [frame[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close")]
    return Minutes(stamps, columns[0], columns[1], columns[2], columns[3])


def generator(seed: int, day: date, name: str) -> np.random.Generator:
    """Give the random numbers of one thing on one day, apart from all others."""
    return np.random.default_rng([seed, day.toordinal(), zlib.crc32(name.encode())])


@dataclass(frozen=True, slots=True)
class Walk:
    """How one underlying walks: its share of the common move and its size relative to the market's."""

    symbol: str
    beta: float = 1.0
    common: float = 0.85


def yearly_volatility(seed: int, day: date) -> float:
    """Give the volatility regime of a day, 12 to 18 % a year, that changes over weeks."""
    phase = (day.toordinal() + 37 * (seed % 97)) / 23
    return 0.15 + 0.03 * float(np.sin(phase))


def synthetic_path(walk: Walk, session: Session, *, seed: int, before: float) -> DayPath:
    """Walk one day from the previous close: a gap, trends that last some twenty minutes, noise that is U-shaped.

    Parameters
    ----------
    session : Session
        Of the derivatives: its whole length is walked, the index rests from `spot_end` on.
    before : float
        Previous close, rupees.
    """
    length = int((session.close - session.open).total_seconds())
    active = int((session.spot_end - session.open).total_seconds())
    sigma = walk.beta * yearly_volatility(seed, session.date) / _TRADING_DAYS**0.5
    shared, own = generator(seed, session.date, "market"), generator(seed, session.date, walk.symbol)
    mix, rest = walk.common, (1 - walk.common**2) ** 0.5
    gap, trend, noise = (
        mix * ours + rest * theirs for ours, theirs in zip(_draws(shared, active), _draws(own, active), strict=True)
    )
    place = np.linspace(-1.0, 1.0, active)
    shape = 0.7 + 1.3 * place**2
    noise *= shape / np.sqrt(np.mean(shape**2))
    steps = sigma * ((_TREND_SHARE**0.5) * trend + (1 - _TREND_SHARE) ** 0.5 * noise / active**0.5)
    logs = np.cumsum(steps) + sigma * _GAP_SHARE * gap[0]
    prices = np.full(length, 0.0)
    prices[:active] = before * np.exp(logs)
    prices[active:] = prices[active - 1]
    traded = np.arange(length) < active
    for start, end in session.breaks:
        a, b = (int((moment - session.open).total_seconds()) for moment in (start, end))
        prices[a:b] = prices[a - 1]
        traded[a:b] = False
    return DayPath(session.open, np.round(np.round(prices / TICK) * TICK, 2), traded)


def _draws(rng: np.random.Generator, length: int) -> tuple[Floats, Floats, Floats]:
    """Give (gap, trend per second, noise per second); the trend's steps add up to about one deviation a day."""
    gap = rng.standard_normal(1)
    trend = np.zeros(length)
    at, parts = 0, max(1.0, length / _TREND_LENGTH_S)
    while at < length:
        run = int(rng.uniform(0.4, 1.6) * _TREND_LENGTH_S)
        trend[at : at + run] = rng.standard_normal() / (parts**0.5 * run)
        at += run
    return gap, trend, rng.standard_normal(length)


def recorded_path(frame: pd.DataFrame, session: Session, *, seed: int, before: float) -> DayPath:
    """Grow the seconds of a recorded day out of its minutes.

    Each minute opens at its open in its first second and ends at its close in its last; high and low come in random
    order between them. A minute without a bar has no trade and repeats the price before it.
    """
    length = int((session.close - session.open).total_seconds())
    prices, traded = np.full(length, before), np.zeros(length, dtype=np.bool_)
    rng = generator(seed, session.date, "minutes")
    bars = {int(stamp): place for place, stamp in enumerate(minutes_of_frame(frame).times)}
    minutes = minutes_of_frame(frame)
    start, last = int(session.open.timestamp()), before
    for first in range(0, length, 60):
        row = bars.get(start + first)
        size = min(60, length - first)
        if row is None:
            prices[first : first + size] = last
            continue
        corners = tuple(float(column[row]) for column in (minutes.open, minutes.high, minutes.low, minutes.close))
        prices[first : first + size] = _seconds(corners, size, rng)
        traded[first : first + size] = True
        last = corners[3]
    return DayPath(session.open, prices, traded)


def _seconds(corners: tuple[float, ...], size: int, rng: np.random.Generator) -> Floats:
    """Give the seconds of one minute that visit open, high, low and close; between them a jittered straight line."""
    first, high, low, last = corners
    places = np.sort(rng.choice(np.arange(1, size - 1), size=2, replace=False))
    extremes = (high, low) if rng.random() < 0.5 else (low, high)
    line = np.interp(np.arange(size), [0, places[0], places[1], size - 1], [first, *extremes, last])
    jitter = rng.standard_normal(size) * (high - low) * 0.06
    fixed = np.array([0, places[0], places[1], size - 1])
    jitter[fixed] = 0.0
    seconds = np.clip(np.round((line + jitter) / TICK) * TICK, low, high)
    seconds[fixed] = [first, *extremes, last]
    return np.round(seconds, 2)


def midnight(day: date) -> datetime:
    """Give the start of a day in India."""
    return datetime(day.year, day.month, day.day, tzinfo=IST)


def days_between(start: date, end: date) -> Iterable[date]:
    """Give all days from `start` to `end`, both included."""
    return (start + timedelta(days=each) for each in range((end - start).days + 1))
