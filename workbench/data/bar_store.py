"""Bars on disk: Parquet, one file per symbol, interval and month.

``<root>/<SYMBOL>/<interval>/YYYY-MM.parquet``; the symbol's segment stands beside them in ``symbol.json``. Why months:
an import or a day's append rewrites a few kilobytes, a broken file costs one month and not the history, and a year
reads in milliseconds.

Invariants: a file is written beside its place and moved in at once, so a reader sees the old month or the new one; a
stored bar never changes unless `replace=True` says so; what cannot be read is named and never taken for "no bars".
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, CorruptData, UnknownName
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar
from workbench.data import frames
from workbench.data.bar_names import folder_name, symbol_name, symbol_of_folder

_SHOWN = 5
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What an append did.

    Parameters
    ----------
    added : int
        Bars that were not stored before.
    unchanged : int
        Bars that were stored with the same values.
    revised : int
        Bars that were stored with other values; the stored ones stay unless `replaced` says otherwise.
    replaced : bool
        True where the revised bars were taken over.
    revised_at : tuple of datetime
        The first of the revised bars.
    """

    added: int = 0
    unchanged: int = 0
    revised: int = 0
    replaced: bool = False
    revised_at: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What is stored of one symbol in one interval; `unreadable` names broken files."""

    interval: str
    first: datetime | None
    last: datetime | None
    bars: int
    unreadable: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Give it JSON-able."""
        return {
            "interval": self.interval,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "bars": self.bars,
            "unreadable": [str(path) for path in self.unreadable],
        }


class BarStore:
    """Bars of many symbols under one folder.

    Parameters
    ----------
    root : Path
        Usually ``<data>/bars``; made when the first bar is written.
    calendar : Calendar, optional
        Needed only to read an interval that is not stored itself.
    """

    def __init__(self, root: Path, calendar: Calendar | None = None) -> None:
        self.root = root
        self.calendar = calendar

    def append(
        self,
        symbol: str,
        interval: Interval | str,
        frame: pd.DataFrame,
        *,
        segment: Segment | None = None,
        replace: bool = False,
    ) -> Appended:
        """Add bars; the same bars again add nothing.

        Parameters
        ----------
        symbol : str
            "NIFTY", or an instrument's key.
        interval : Interval
        frame : DataFrame
            A bar frame, see :mod:`workbench.data.frames`.
        segment : Segment, optional
            Whose sessions these bars follow; needed with the first bars of a symbol, afterwards it must stay the same.
        replace : bool
            Take revised bars over. Without it they are counted and shown, and the stored ones stay.

        Raises
        ------
        BadInput
            A frame that is no bar frame, or another segment than before.
        CorruptData
            A month that has to be rewritten cannot be read.
        """
        symbol, interval = symbol_name(symbol), _interval(interval)
        shaped = frames.checked(frame, f"bars of {symbol} {interval}")
        known = self.segment(symbol) if self._folder(symbol).is_dir() else None
        if known is not None and segment is not None and known is not segment:
            raise BadInput(f"{symbol} is stored as {known}; bars of {segment} need another symbol")
        if shaped.empty:
            return Appended(replaced=replace)
        merged: dict[Path, pd.DataFrame] = {}
        parts = []
        months = pd.DatetimeIndex(shaped.index).strftime("%Y-%m")
        for month in sorted(set(months)):
            path = self._folder(symbol) / str(interval) / f"{month}.parquet"
            whole, part = _merge(
                self._load(path) if path.exists() else frames.empty(), shaped[months == month], replace
            )
            parts.append(part)
            if part.added or (replace and part.revised):
                merged[path] = whole
        if known is None:
            self._note_segment(symbol, segment or Segment.IDX_I)
        for path, whole in merged.items():
            _write(path, whole)
        return Appended(
            added=sum(part.added for part in parts),
            unchanged=sum(part.unchanged for part in parts),
            revised=sum(part.revised for part in parts),
            replaced=replace,
            revised_at=tuple(moment for part in parts for moment in part.revised_at)[:_SHOWN],
        )

    def read(
        self,
        symbol: str,
        interval: Interval | str,
        start: date | datetime | None = None,
        end: date | datetime | None = None,
    ) -> pd.DataFrame:
        """Give the bars whose open lies in ``[start, end)``; a date as `end` includes that day.

        An interval that is not stored (or covers less) is made of the finest stored one that divides it, anchored at
        the session open.

        Raises
        ------
        UnknownName
            No such symbol.
        BadInput
            An inverted range, a range without any bar, an interval that cannot be made of what is stored.
        CorruptData
            A month of the range cannot be read.
        """
        symbol, interval = self._known(symbol), _interval(interval)
        first, last = frames.as_bound(start, end=False), frames.as_bound(end, end=True)
        frames.check_range(first, last)
        stored = self._source(symbol, interval, first, last)
        if stored == interval:
            bars = self._stored(symbol, stored, first, last)
        else:
            if self.calendar is None:
                raise BadInput(
                    f"{symbol} is stored in {stored}; to make {interval} of it, give the calendar: BarStore(root, cal)"
                )
            whole_days = self._stored(
                symbol, stored, _midnight(first), _midnight(last, following=True)
            )  # a bar is whole or absent, never cut by the range
            bars = frames.aggregate(whole_days, interval, self.calendar, self.segment(symbol))
            bars = _between(bars, first, last)
        if bars.empty:
            raise BadInput(
                f"no {interval} bars of {symbol} from {start or 'the first'} to {end or 'the last'}; "
                f"{self._covered(symbol)}"
            )
        return bars

    def symbols(self) -> list[str]:
        """Give the stored symbols, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(
            symbol_of_folder(path.name)
            for path in self.root.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )

    def intervals(self, symbol: str) -> list[Interval]:
        """Give the intervals stored of a symbol, finest first."""
        found = []
        for path in self._folder(self._known(symbol)).iterdir():
            if path.is_dir() and any(path.glob("*.parquet")):
                with contextlib.suppress(BadInput):
                    found.append(Interval.parse(path.name))
        return sorted(found)

    def coverage(self, symbol: str) -> list[Coverage]:
        """Give what is stored of a symbol, a row per interval; a broken file is named and hides no other."""
        rows = []
        symbol = self._known(symbol)
        for interval in self.intervals(symbol):
            counts, firsts, lasts, unreadable = 0, [], [], []
            for path in self._files(symbol, interval):
                try:
                    month = self._load(path)
                except CorruptData:
                    unreadable.append(path)
                    continue
                counts += len(month)
                firsts.append(month.index[0].to_pydatetime())
                lasts.append(month.index[-1].to_pydatetime())
            rows.append(
                Coverage(
                    interval=str(interval),
                    first=min(firsts, default=None),
                    last=max(lasts, default=None),
                    bars=counts,
                    unreadable=tuple(unreadable),
                )
            )
        return rows

    def segment(self, symbol: str) -> Segment:
        """Give the segment whose sessions the symbol's bars follow.

        Raises
        ------
        CorruptData
            The note beside the bars is missing or broken.
        """
        path = self._folder(self._known(symbol)) / "symbol.json"
        try:
            note: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))
            return Segment(note["segment"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptData(
                f"{path} does not name the segment of {symbol} ({error}); "
                'write {"segment": "IDX_I"} (or NSE_EQ, ...) into it'
            ) from error

    def opens(
        self, symbol: str, interval: Interval | str, start: date | datetime | None, end: date | datetime | None
    ) -> pd.DatetimeIndex:
        """Give the opens of the bars that are stored in that very interval; none is no error.

        Raises
        ------
        CorruptData
            A month of the range cannot be read.
        """
        symbol, interval = symbol_name(symbol), _interval(interval)
        first, last = frames.as_bound(start, end=False), frames.as_bound(end, end=True)
        parts = [_times(path) for path in self._months(symbol, interval, first, last)]
        stamps = np.concatenate(parts) if parts else np.empty(0, dtype="datetime64[ns]")
        found = pd.DatetimeIndex(stamps, tz="UTC").tz_convert(IST)
        low = 0 if first is None else found.searchsorted(pd.Timestamp(first), side="left")
        return found[low : len(found) if last is None else found.searchsorted(pd.Timestamp(last), side="left")]

    def fingerprint(
        self,
        symbol: str,
        interval: Interval | str,
        start: date | datetime | None = None,
        end: date | datetime | None = None,
    ) -> str:
        """Give the SHA-256 of what :meth:`read` gives; equal bars have equal fingerprints on every machine."""
        return frames.fingerprint(self.read(symbol, interval, start, end))

    def _known(self, symbol: str) -> str:
        name = symbol_name(symbol)
        if not self._folder(name).is_dir():
            error = UnknownName("symbol", name, self.symbols())
            error.args = (
                f"{error}. Import bars with: workbench data import FILE... --symbol {name} --interval 1m --label end",
            )
            raise error
        return name

    def _folder(self, symbol: str) -> Path:
        return self.root / folder_name(symbol)

    def _files(self, symbol: str, interval: Interval) -> list[Path]:
        return sorted((self._folder(symbol) / str(interval)).glob("????-??.parquet"))

    def _months(self, symbol: str, interval: Interval, first: datetime | None, last: datetime | None) -> list[Path]:
        low = f"{first:%Y-%m}" if first else ""
        high = f"{last:%Y-%m}" if last else "9999-99"
        return [path for path in self._files(symbol, interval) if low <= path.stem <= high]

    def _source(self, symbol: str, interval: Interval, first: datetime | None, last: datetime | None) -> Interval:
        """Choose what to read: most months in the range, then the interval itself, then the finest that divides it."""
        fitting = [have for have in self.intervals(symbol) if interval.seconds % have.seconds == 0]
        if not fitting:
            raise BadInput(f"no stored interval of {symbol} divides {interval}; {self._covered(symbol)}")
        return min(fitting, key=lambda have: (-len(self._months(symbol, have, first, last)), have != interval, have))

    def _stored(self, symbol: str, interval: Interval, first: datetime | None, last: datetime | None) -> pd.DataFrame:
        parts = [self._load(path) for path in self._months(symbol, interval, first, last)]
        return _between(pd.concat(parts) if parts else frames.empty(), first, last)

    def _covered(self, symbol: str) -> str:
        rows = [
            f"{row.interval} {row.first:%Y-%m-%d} to {row.last:%Y-%m-%d}"
            for row in self.coverage(symbol)
            if row.first and row.last
        ]
        return f"stored: {', '.join(rows) or 'nothing that can be read'}"

    def _load(self, path: Path) -> pd.DataFrame:
        try:
            with pq.ParquetFile(path) as file:
                table = file.read(columns=["time", *frames.COLUMNS])
            stamps = table.column("time").cast(pa.timestamp("ns", tz="UTC")).to_numpy()
            values = {name: table.column(name).to_numpy().astype(np.float64, copy=False) for name in frames.COLUMNS}
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
        index = pd.DatetimeIndex(stamps, tz="UTC").tz_convert(IST).rename("time")
        try:
            return frames.checked(pd.DataFrame(values, index=index), str(path))
        except BadInput as error:
            raise CorruptData(f"{error}; move that file away and import its month again") from error

    def _note_segment(self, symbol: str, segment: Segment) -> None:
        folder = self._folder(symbol)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".symbol.json.{os.getpid()}.tmp"
        temporary.write_text(json.dumps({"symbol": symbol, "segment": segment.value}) + "\n", encoding="utf-8")
        temporary.replace(folder / "symbol.json")


def _times(path: Path) -> npt.NDArray[np.datetime64]:
    """Read the times of a month alone, which is several times faster than reading its bars."""
    try:
        with pq.ParquetFile(path) as file:
            stamps = file.read(columns=["time"]).column("time").cast(pa.timestamp("ns", tz="UTC")).to_numpy()
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return np.asarray(stamps, dtype="datetime64[ns]")


def _unreadable(path: Path, error: BaseException) -> CorruptData:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CorruptData(
        f"{path} cannot be read as bars ({reason}); the other months are not touched. "
        "Move that file away and import its month again."
    )


def _merge(have: pd.DataFrame, new: pd.DataFrame, replace: bool) -> tuple[pd.DataFrame, Appended]:
    """Put two frames of one month together and say what that did."""
    unknown = new[~new.index.isin(have.index)]
    common = new.index.intersection(have.index)
    differs = (have.loc[common].to_numpy() != new.loc[common].to_numpy()).any(axis=1)
    revised = common[differs]
    if replace and len(revised):
        have = have.drop(revised)
        unknown = pd.concat([unknown, new.loc[revised]])
    whole = pd.concat([have, unknown]).sort_index() if len(unknown) else have
    added = len(unknown) - (len(revised) if replace else 0)
    shown = tuple(moment.to_pydatetime() for moment in revised[:_SHOWN])
    return whole, Appended(added=added, unchanged=len(common) - len(revised), revised=len(revised), revised_at=shown)


def _write(path: Path, frame: pd.DataFrame) -> None:
    """Write a month beside its place, bring it to the disk, then move it in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = [pa.array(frames.stamps(frame), type=pa.int64()).cast(pa.timestamp("ns", tz="UTC"))]
    arrays += [pa.array(frame[name].to_numpy(dtype=np.float64)) for name in frames.COLUMNS]
    table = pa.Table.from_arrays(arrays, names=["time", *frames.COLUMNS])
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(table, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _between(frame: pd.DataFrame, first: datetime | None, last: datetime | None) -> pd.DataFrame:
    """Cut a sorted frame to ``[first, last)``."""
    low = 0 if first is None else frame.index.searchsorted(pd.Timestamp(first), side="left")
    high = len(frame) if last is None else frame.index.searchsorted(pd.Timestamp(last), side="left")
    return frame.iloc[low:high]


def _midnight(moment: datetime | None, *, following: bool = False) -> datetime | None:
    """Midnight before a moment, or the one that is not before it."""
    if moment is None:
        return None
    if not following or (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
        return frames.as_bound(moment.date(), end=False)
    return frames.as_bound(moment.date(), end=True)


def _interval(interval: Interval | str) -> Interval:
    return interval if isinstance(interval, Interval) else Interval.parse(interval)
