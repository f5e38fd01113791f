"""One-minute bars as arrays on the tick grid, with the session that each belongs to.

Invariant: a price here is the float nearest to a price on the tick, so that its way back to `Decimal` is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.core.bars import Bar
from workbench.core.contracts import ContractTable
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, Segment
from workbench.core.legs import synthetic
from workbench.core.session import IST, Calendar, Session

if TYPE_CHECKING:
    import pandas as pd

NANOSECONDS = 1_000_000_000
MINUTE_NS = 60 * NANOSECONDS
_OFFSET_NS = 19_800 * NANOSECONDS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TradingDay:
    """One session with its bars: rows `first` (included) to `last` (excluded) of the minutes."""

    session: Session
    instrument: Instrument
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """One-minute bars as arrays.

    Parameters
    ----------
    time : array of int64
        Opens, nanoseconds since 1970 UTC.
    ticks : array of int64, shape (n, 4)
        Open, high, low, close in whole ticks.
    day : array of int64
        Position in `days`.
    days : sequence of TradingDay
    """

    time: Ints
    ticks: Ints
    day: Ints
    days: Sequence[TradingDay]

    def __len__(self) -> int:
        return len(self.time)

    def prices(self, column: int) -> Floats:
        """Give one column (0 open, 1 high, 2 low, 3 close) in rupees."""
        sizes = np.array([float(day.instrument.tick) for day in self.days])[self.day]
        rounded: Floats = np.round(self.ticks[:, column] * sizes, 6)
        return rounded

    def moment(self, row: int) -> datetime:
        """Open time of a bar."""
        return moment(int(self.time[row]))

    def price(self, row: int, column: int) -> Decimal:
        """One price, exact."""
        return int(self.ticks[row, column]) * self.days[int(self.day[row])].instrument.tick

    def bar(self, row: int) -> Bar:
        """One bar, exact."""
        tick = self.days[int(self.day[row])].instrument.tick
        o, h, low, c = self.ticks[row].tolist()
        return Bar(self.moment(row), o * tick, h * tick, low * tick, c * tick)

    def closing_moment(self, day: TradingDay) -> datetime:
        """When a position that is still held is priced at the last close: the bars ended before the square-off."""
        end = self.moment(day.last - 1) + timedelta(minutes=1)
        return max(end, day.session.square_off_start)


def moment(nanoseconds: int) -> datetime:
    """Read a stamp as Indian time."""
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=IST)


def stamps(index: pd.Index) -> Ints:
    """Open times of a bar frame as nanoseconds since 1970 UTC."""
    import pandas as pd

    return pd.DatetimeIndex(index).as_unit("ns").asi8


def local_days(times: Ints) -> Ints:
    """Days since 1970 in India."""
    return (times + _OFFSET_NS) // (86_400 * NANOSECONDS)


def day_of(number: int) -> date:
    """Date of a day that is counted since 1970."""
    return date(1970, 1, 1) + timedelta(days=number)


def session_of_index(calendar: Calendar, day: date, segment: Segment = Segment.IDX_I) -> Session:
    """Session that the index, or another segment's bars, keep on a day with bars.

    Raises
    ------
    BadInput
        There is none: the bars are wrong.
    """
    session = calendar.session(segment, day)
    if session is None:
        raise BadInput(f"bars on {day}, which has no session; import them again through the importer")
    return session


def read_minutes(
    frame: pd.DataFrame, symbol: str, calendar: Calendar, contracts: ContractTable, *, share: Instrument | None = None
) -> Minutes:
    """Lay a bar frame on the tick grid and its sessions.

    Parameters
    ----------
    frame : DataFrame
        One-minute bar frame, shape (n, 5).
    symbol : str
        Underlying; lot and tick of each day are those of the index traded as a future.
    share : Instrument or None
        What the bars are of, where they are a share's: its tick, and the hours of its segment.
    """
    times = stamps(frame.index)
    unique, firsts, codes = np.unique(local_days(times), return_index=True, return_inverse=True)
    ends = [*firsts[1:].tolist(), len(times)]
    days = []
    for number, first, last in zip(unique.tolist(), firsts.tolist(), ends, strict=True):
        on = day_of(number)
        if share is None:
            days.append(TradingDay(session_of_index(calendar, on), synthetic(symbol, on, contracts), first, last))
        else:
            days.append(TradingDay(session_of_index(calendar, on, share.segment), share, first, last))
    sizes = np.array([float(day.instrument.tick) for day in days])[codes]
    prices = frame[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
    # Halves go up as in `snap_to_tick`; the nudge takes back what the division lost.
    ticks = np.floor(prices / sizes[:, None] + 0.5 + 1e-7).astype(np.int64)
    return Minutes(times, ticks, codes.astype(np.int64), tuple(days))


def index_hours(calendar: Calendar, days: Sequence[TradingDay]) -> Calendar:
    """Give a calendar of these days on which derivatives keep the index's hours.

    An index that is traded as if it were a future has a price only while the index has one, and since 2026-08-03 its
    derivatives trade longer than that.
    """
    sessions: dict[tuple[Segment, date], Session] = {}
    for day in days:
        for segment in (Segment.IDX_I, Segment.NSE_FNO, Segment.BSE_FNO):
            sessions[segment, day.session.date] = replace(day.session, segment=segment)
    return Calendar(sessions, calendar.years)
