"""The bar frame: its shape, its aggregation to longer bars, and its face in JSON.

A bar frame is indexed by bar OPEN in Asia/Kolkata (name `time`, sorted, unique) with the float64 columns `open, high,
low, close, volume`. Everything that enters or leaves the store goes through :func:`checked`, so that no reader has to
ask again.

Invariant: a longer bar holds exactly the trades of the shorter bars that open inside it, anchored at the session open;
a bar without a trade is absent.
"""

import hashlib
from datetime import date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.bars import Interval
from workbench.core.errors import BadInput
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar

COLUMNS = ("open", "high", "low", "close", "volume")
_INDEX_TYPE = "datetime64[ns, Asia/Kolkata]"
_AGGREGATION = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
_NANOSECONDS = 1_000_000_000


def empty() -> pd.DataFrame:
    """Give a bar frame without rows."""
    index = pd.DatetimeIndex([], dtype=_INDEX_TYPE, name="time")
    return pd.DataFrame({name: np.empty(0, dtype=np.float64) for name in COLUMNS}, index=index)


def checked(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Give the frame in the one shape of the project, or say what is wrong with it.

    Parameters
    ----------
    frame : DataFrame
        At least `open, high, low, close`; `volume` is 0 where it is missing. The index must be aware.
    what : str
        Names the frame in the message.

    Raises
    ------
    BadInput
        Naive or unsorted times, a time twice, missing columns, NaN or infinite values, prices that break low <= open,
        close <= high.
    """
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise BadInput(f"{what}: the index must be aware times of the bars' opens; got {index.dtype}")
    missing = [name for name in COLUMNS[:4] if name not in frame.columns]
    if missing:
        raise BadInput(f"{what}: columns {missing} are missing; there are {list(frame.columns)}")
    if not index.is_monotonic_increasing or not index.is_unique:
        raise BadInput(f"{what}: bars must be sorted by time, each time once")
    volume = frame["volume"] if "volume" in frame.columns else pd.Series(0.0, index=index)
    data = {name: frame[name].to_numpy(dtype=np.float64) for name in COLUMNS[:4]}
    data["volume"] = volume.to_numpy(dtype=np.float64)
    shaped = pd.DataFrame(data, index=index.tz_convert(IST).astype(_INDEX_TYPE).rename("time"))
    if not np.isfinite(shaped.to_numpy()).all():
        raise BadInput(f"{what}: NaN or infinite values; drop those bars, an unknown bar is absent")
    broken = broken_ohlc(shaped)
    if broken.any():
        first = shaped.index[int(np.argmax(broken))]
        raise BadInput(
            f"{what}: {int(broken.sum())} bars break low <= open, close <= high, first at {first.isoformat()}"
        )
    return shaped


def broken_ohlc(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mark the rows that break ``low <= open, close <= high`` (NaN breaks it too)."""
    o, h, low, c = (frame[name].to_numpy(dtype=np.float64) for name in COLUMNS[:4])
    return ~((low <= o) & (o <= h) & (low <= c) & (c <= h))


def aggregate(frame: pd.DataFrame, interval: Interval, calendar: Calendar, segment: Segment) -> pd.DataFrame:
    """Make longer bars of shorter ones, anchored at each session's open.

    Parameters
    ----------
    frame : DataFrame
        A bar frame of a length that divides `interval`.
    interval : Interval
        `1d` is the whole session, named by its open.
    calendar : Calendar
    segment : Segment
        Whose sessions the bars belong to.

    Returns
    -------
    DataFrame
        A bar frame; the last bar of a session may be shorter than the others.

    Raises
    ------
    BadInput
        Bars on a day without a session.
    UnknownSession
        A year that the calendar does not know.
    """
    if frame.empty:
        return empty()
    opened = stamps(frame)
    days = local_days(opened)
    opens = session_opens(days, calendar, segment)
    step = interval.seconds * _NANOSECONDS
    starts = opens + (opened - opens) // step * step
    shorter = pd.DataFrame({name: frame[name].to_numpy(dtype=np.float64) for name in COLUMNS})
    longer = shorter.groupby(starts, sort=True).agg(_AGGREGATION)
    longer.index = (
        pd.DatetimeIndex(longer.index.to_numpy(), tz="UTC").tz_convert(IST).astype(_INDEX_TYPE).rename("time")
    )
    return longer


def stamps(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Give the bars' open times as ns since 1970 UTC."""
    return pd.DatetimeIndex(frame.index).as_unit("ns").asi8


def local_days(moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Days since 1970 in India (no daylight saving: +05:30 on every date of ours) of nanosecond stamps in UTC."""
    return (moments + 19_800 * _NANOSECONDS) // (86_400 * _NANOSECONDS)


def session_opens(days: npt.NDArray[np.int64], calendar: Calendar, segment: Segment) -> npt.NDArray[np.int64]:
    """Give the session open (ns, UTC) for each element of `days`."""
    unique, inverse = np.unique(days, return_inverse=True)
    opens = np.empty(len(unique), dtype=np.int64)
    for position, day in enumerate(unique):
        on = date(1970, 1, 1) + timedelta(days=int(day))
        session = calendar.session(segment, on)
        if session is None:
            raise BadInput(
                f"bars on {on}, but {segment} has no session on that day; import them again through the importer"
            )
        opens[position] = int(session.open.timestamp()) * _NANOSECONDS
    return opens[inverse]


def fingerprint(frame: pd.DataFrame) -> str:
    """Give the SHA-256 of the content: row count, times as ns since 1970 UTC, the five columns, little-endian."""
    digest = hashlib.sha256(f"bars/1 {len(frame)}\n".encode())
    digest.update(stamps(frame).astype("<i8").tobytes())
    for name in COLUMNS:
        digest.update((frame[name].to_numpy(dtype=np.float64) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def bars_to_json(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Give each bar as a mapping: `time` (ISO with offset, bar open), `open, high, low, close, volume`."""
    columns = [frame[name].tolist() for name in COLUMNS]
    return [
        {
            "time": moment.isoformat(),
            "open": o,
            "high": h,
            "low": low,
            "close": c,
            "volume": int(v) if v == int(v) else v,
        }
        for moment, o, h, low, c, v in zip(frame.index, *columns, strict=True)
    ]


def as_bound(value: date | datetime | None, *, end: bool) -> datetime | None:
    """Read one end of a range: a date counts as the whole day, so as an end it means the next midnight.

    Raises
    ------
    BadInput
        A naive datetime.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadInput(f"the time {value.isoformat()} has no zone; write {value.isoformat()}+05:30")
        return value.astimezone(IST)
    return datetime.combine(value + timedelta(days=1) if end else value, time(), tzinfo=IST)


def check_range(start: datetime | None, end: datetime | None) -> None:
    """Refuse a range that holds nothing.

    Raises
    ------
    BadInput
        `end` is not after `start`.
    """
    if start is not None and end is not None and end <= start:
        raise BadInput(f"the range from {start.isoformat()} to {end.isoformat()} is empty: it must end after it starts")
