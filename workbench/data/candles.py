"""Dhan's candles, a window at a time: asked through the official library, read into bar frames.

Dhan stamps a candle with the true UTC second of its open (a daily one with midnight in India), unlike the live feed,
whose stamps are Indian wall time. Bars leave here in Asia/Kolkata, a daily bar named by its session's open.

Invariants: a window is asked at most twice and gives bars of that window only; a candle that is not over,
or outside every session of the calendar, is never given; a failure is told, never an empty frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from workbench.core.bars import MINUTE, Interval
from workbench.core.errors import CorruptData
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.session import IST, Calendar
from workbench.data.answers import Reading, Verdict, read
from workbench.data.frames import COLUMNS, broken_ohlc, empty

WINDOW_DAYS = 90
DAY = Interval(86_400)
DAY_SETTLES = timedelta(minutes=30)
"""How long after its close a day's candle may still change: the closing price is made after the last trade."""

_DAY_S = 86_400
_INDICES = frozenset({"NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "SENSEX", "BANKEX"})
_WORDS: Mapping[InstrumentKind, tuple[str, str]] = MappingProxyType(
    {
        InstrumentKind.INDEX: ("INDEX", "INDEX"),
        InstrumentKind.SYNTHETIC: ("INDEX", "INDEX"),
        InstrumentKind.EQUITY: ("EQUITY", "EQUITY"),
        InstrumentKind.FUTURE: ("FUTIDX", "FUTSTK"),
        InstrumentKind.OPTION: ("OPTIDX", "OPTSTK"),
    }
)


class CandleSource(Protocol):
    """What is used of the official library."""

    def intraday_minute_data(
        self,
        security_id: str,
        exchange_segment: str,
        instrument_type: str,
        from_date: str,
        to_date: str,
        interval: int = 1,
    ) -> Mapping[str, Any]:
        """Minute candles in the library's envelope."""
        ...

    def historical_daily_data(
        self, security_id: str, exchange_segment: str, instrument_type: str, from_date: str, to_date: str
    ) -> Mapping[str, Any]:
        """Daily candles in the library's envelope; the last date is not included."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """One window's answer.

    Parameters
    ----------
    frame : DataFrame
        Whole bars of sessions, sorted, each once.
    reading : Reading
        What Dhan said; `frame` is empty unless its verdict is data.
    dropped : mapping of str to int
        Candles that were not taken, by reason: outside_session, unusable (no price, or a broken low <= open, close <=
        high), doubled (a second one for the same time).
    """

    frame: pd.DataFrame
    reading: Reading
    dropped: Mapping[str, int] = field(default_factory=dict)


class CandleReader:
    """Asks for windows of candles.

    Parameters
    ----------
    api : CandleSource
        The library on a transport with the `data` endpoint.
    calendar : Calendar
    now : callable
        Market time: decides which candle is whole.
    pause : callable
        Waits between two tries.
    """

    def __init__(
        self,
        api: CandleSource,
        calendar: Calendar,
        now: Callable[[], datetime],
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api, self._calendar, self._now, self._pause = api, calendar, now, pause

    def minutes(self, instrument: Instrument, start: datetime, end: datetime) -> Candles:
        """Give the whole minutes with open time in ``[start, end)``; at most 90 days."""
        # Dhan's bounds are Indian wall-clock text; a minute more, since it is not said whether the end is included.
        since, until = (moment.astimezone(IST) for moment in (start, end + MINUTE.delta))
        reading = read(
            lambda: self._api.intraday_minute_data(
                security_id=instrument.security_id,
                exchange_segment=instrument.segment.value,
                instrument_type=instrument_word(instrument),
                from_date=f"{since:%Y-%m-%d %H:%M:%S}",
                to_date=f"{until:%Y-%m-%d %H:%M:%S}",
                interval=1,
            ),
            pause=self._pause,
        )
        if reading.verdict is not Verdict.DATA:
            return Candles(frame=empty(), reading=reading)
        table = candle_frame(reading.document, f"candles of {instrument.name}")
        frame = table[(table.index >= start) & (table.index < end) & (table.index <= self._now() - MINUTE.delta)]
        inside = frame[in_session(pd.DatetimeIndex(frame.index), self._calendar, instrument.segment)]
        return _candles(inside, reading, outside=len(frame) - len(inside))

    def days(self, instrument: Instrument, first: date, last: date) -> Candles:
        """Give the settled daily bars from `first` to `last`, both included."""
        following = last + timedelta(days=1)
        reading = read(
            lambda: self._api.historical_daily_data(
                security_id=instrument.security_id,
                exchange_segment=instrument.segment.value,
                instrument_type=instrument_word(instrument),
                from_date=first.isoformat(),
                to_date=following.isoformat(),
            ),
            pause=self._pause,
        )
        if reading.verdict is not Verdict.DATA:
            return Candles(frame=empty(), reading=reading)
        table = candle_frame(reading.document, f"daily candles of {instrument.name}")
        named, places, outside = [], [], 0
        for place, stamp in enumerate(table.index):
            if not first <= stamp.date() <= last:
                continue
            session = self._calendar.session(instrument.segment, stamp.date())
            if session is None:
                outside += 1
            elif session.close + DAY_SETTLES <= self._now():
                named.append(session.open)
                places.append(place)
        frame = table.iloc[places].set_axis(pd.DatetimeIndex(named, tz=IST, name="time").as_unit("ns"), axis=0)
        return _candles(frame, reading, outside=outside)


def _candles(frame: pd.DataFrame, reading: Reading, *, outside: int) -> Candles:
    usable = frame[usable_rows(frame)]
    single = once(usable)
    counts = {
        "outside_session": outside, "unusable": len(frame) - len(usable), "doubled": len(usable) - len(single)
    }  # fmt: skip
    return Candles(frame=single, reading=reading, dropped={name: count for name, count in counts.items() if count})


def instrument_word(instrument: Instrument) -> str:
    """Give Dhan's word for the kind of an instrument."""
    of_index, of_stock = _WORDS[instrument.kind]
    return of_index if instrument.symbol in _INDICES else of_stock


def candle_frame(data: object, what: str) -> pd.DataFrame:
    """Read parallel arrays into a frame that is not checked yet; `timestamp` is the true UTC second of the open.

    Raises
    ------
    CorruptData
        No table of candles.
    """
    return stamped(columns_of(data, what, COLUMNS), what)


def columns_of(data: object, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Read parallel arrays of equal length; a value that is missing reads as NaN.

    Raises
    ------
    CorruptData
        A column is missing, of another length, or holds what is no number.
    """
    wanted = (*names, "timestamp")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), list) for name in wanted):
        raise CorruptData(f"{what}: the answer is no table of candles; try again")
    if len({len(data[name]) for name in wanted}) != 1:
        raise CorruptData(f"{what}: columns of different length; try again")
    try:
        return {name: np.asarray(data[name], dtype=np.float64) for name in wanted}
    except (TypeError, ValueError):
        raise CorruptData(f"{what}: a value is no number; try again") from None


def stamped(columns: dict[str, Any], what: str) -> pd.DataFrame:
    """Put columns under their times in Asia/Kolkata.

    Raises
    ------
    CorruptData
        A stamp that is no whole minute.
    """
    stamps = columns.pop("timestamp")
    if not np.isfinite(stamps).all() or (stamps % 60 != 0).any() or (stamps < 0).any() or (stamps > 4e9).any():
        raise CorruptData(f"{what}: a stamp is no whole minute; try again")
    index = pd.DatetimeIndex(stamps.astype("int64").astype("datetime64[s]")).as_unit("ns").tz_localize("UTC")
    return pd.DataFrame(columns, index=index.tz_convert(IST).rename("time"))


def usable_rows(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark the rows that are bars: finite, above zero, low <= open, close <= high."""
    values = frame[list(COLUMNS)].to_numpy()
    usable: np.ndarray[Any, np.dtype[np.bool_]] = (
        np.isfinite(values).all(axis=1) & (values[:, :4] > 0).all(axis=1) & ~broken_ohlc(frame)
    )
    return usable


def once(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by time and keep the first of rows with one time."""
    frame = frame.sort_index(kind="stable")
    return frame[~frame.index.duplicated(keep="first")]


def in_session(opens: pd.DatetimeIndex, calendar: Calendar, segment: Segment) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark the times at which the segment trades.

    Raises
    ------
    UnknownSession
        The calendar has no rows for a year.
    """
    stamps = opens.as_unit("ns").asi8 // 1_000_000_000
    days = (stamps + 19_800) // _DAY_S
    keep = np.zeros(len(opens), dtype=bool)
    for number in np.unique(days):
        day = date(1970, 1, 1) + timedelta(days=int(number))
        session = calendar.session(segment, day)
        if session is None:
            continue
        keep |= (stamps >= int(session.open.timestamp())) & (stamps < int(session.close.timestamp()))
        for start, end in session.breaks:
            keep &= (stamps < int(start.timestamp())) | (stamps >= int(end.timestamp()))
    return keep
