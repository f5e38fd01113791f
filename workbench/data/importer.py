"""Importing bars: what is kept, what is dropped and why, and which sessions have gaps.

A file is judged against the calendar. Rows before the open, after the close, in a trading halt or on a day without a
session are dropped and counted, never moved. Gaps of the source are listed, never filled.

Invariants: rows read = bars kept + rows dropped + duplicates + quarantined; nothing is written before every file has
been checked; importing the same files again adds nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, did_you_mean
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar, Session, SessionKind
from workbench.data import frames
from workbench.data.bar_store import BarStore
from workbench.data.bar_text import TextBars, read_text
from workbench.data.import_report import ImportReport, SessionGap

_DAY_S = 86_400
_CLOSING_S = 600  # a print in the ten minutes after the close belongs to that close
_SHOWN = 5
_INDICES = frozenset(
    {
        "NIFTY",
        "BANKNIFTY",
        "FINNIFTY",
        "MIDCPNIFTY",
        "NIFTYNXT50",
        "SENSEX",
        "BANKEX",
        "SENSEX50",
        "INDIA VIX",
        "INDIAVIX",
    }
)
_PRICES = ("open", "high", "low", "close")


class Label(StrEnum):
    """Which end of a bar its time names."""

    START = "start"
    END = "end"

    @classmethod
    def parse(cls, text: str) -> "Label":
        """Read a label.

        Raises
        ------
        BadInput
            Neither `start` nor `end`.
        """
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise BadInput(f"unknown label {text!r}{did_you_mean(text, [label.value for label in cls])}") from None


def import_bars(  # noqa: PLR0913  # the import command's arguments
    files: Sequence[Path],
    *,
    symbol: str,
    interval: Interval,
    label: Label | str,
    store: BarStore,
    calendar: Calendar,
    segment: Segment | None = None,
    columns: Sequence[str] | None = None,
    date_order: str | None = None,
    replace: bool = False,
) -> ImportReport:
    """Check files of bars and add what is good to the store.

    Parameters
    ----------
    files : sequence of Path
    symbol : str
        Rows of other symbols are dropped.
    interval : Interval
        Length of the bars in the files.
    label : Label or str
        `start` where a row's time is the bar's open, `end` where it is the close.
    store : BarStore
    calendar : Calendar
    segment : Segment, optional
        Whose sessions the bars follow; see :func:`segment_of` for what is taken without it.
    columns : sequence of str, optional
        Column names in order; without them each file needs a header.
    date_order : {"dmy", "mdy"}, optional
        See :func:`workbench.data.bar_text.read_text`.
    replace : bool
        Take bars over that the store has with other values.

    Raises
    ------
    BadInput
        Files that cannot be read, that are labelled the other way, that overlap and disagree, or that leave no bar.
    UnknownSession
        The calendar knows no year of the files (if it knows some, the rows of the others are dropped).
    """
    label, segment = Label.parse(label), segment or segment_of(symbol, store)
    text = read_text(files, symbol, columns, date_order=date_order)
    report = ImportReport(
        symbol=symbol.strip().upper(), interval=str(interval), label=label.value, segment=segment.value,
        files=[path.name for path in files],
        rows_read=text.rows_read, dropped=dict(text.dropped), dropped_examples=text.examples,
    )  # fmt: skip
    judge = _Judge(report, [path.name for path in files], interval, calendar, segment)
    bars = judge.bars(text, label)
    if bars.empty:
        counts = (
            ", ".join(f"{reason} {count}" for reason, count in report.dropped.items()) or f"bad_ohlc {report.bad_ohlc}"
        )
        raise BadInput(
            f"no bar of {report.symbol} is left of {report.rows_read} rows read ({counts}); nothing was written"
        )
    appended = store.append(report.symbol, interval, bars, segment=segment, replace=replace)
    report.added, report.unchanged, report.revised = appended.added, appended.unchanged, appended.revised
    report.revised_at = [moment.isoformat() for moment in appended.revised_at]
    return report


def segment_of(symbol: str, store: BarStore) -> Segment:
    """Give the segment a symbol is stored as, else the one its name tells: index, contract key, or stock."""
    name = symbol.strip().upper()
    if name in store.symbols():
        return store.segment(name)
    head = name.partition(":")[0]
    if head in Segment.__members__:
        return Segment[head]
    return Segment.IDX_I if name in _INDICES else Segment.NSE_EQ


@dataclass(slots=True)
class _Hours:
    """One session in seconds since 1970 UTC."""

    session: Session
    open: int
    close: int
    breaks: list[tuple[int, int]]

    def grid(self, step: int) -> npt.NDArray[np.int64]:
        """Open times of all bars that the session's hours hold."""
        opens = np.arange(self.open, self.close, step, dtype=np.int64)
        for start, end in self.breaks:
            opens = opens[(opens + step <= start) | (opens >= end)]
        return opens


class _Judge:
    """Decides row by row what is a bar of a session, and fills the report."""

    def __init__(
        self, report: ImportReport, names: list[str], interval: Interval, calendar: Calendar, segment: Segment
    ) -> None:
        self.report, self.names, self.interval = report, names, interval
        self.calendar, self.segment = calendar, segment
        self._hours: dict[int, _Hours | None] = {}
        self._unknown_days: set[int] = set()

    def bars(self, text: TextBars, label: Label) -> pd.DataFrame:
        """Give the good bars, sorted."""
        rows = text.rows
        by_day = self.interval.seconds >= _DAY_S
        shift = self.interval.seconds if label is Label.END and not by_day else 0
        rows = rows.assign(start=rows["stamp"] - shift)
        rows["day"] = (rows["start"] + 19_800) // _DAY_S
        self._look_up(rows["day"].unique())
        if by_day:
            hours = rows["day"].map({day: found.open for day, found in self._hours.items() if found is not None})
            rows["start"] = hours.fillna(rows["start"]).astype(np.int64)
        else:
            self._check_label(rows, label)
            if label is Label.END:
                rows = self._short_last_bars(rows)
        rows = self._in_session(rows)
        rows = self._valued(rows)
        rows = self._once(rows)
        if rows.empty and self._unknown_days:
            on = date(1970, 1, 1) + timedelta(days=min(self._unknown_days))
            self.calendar.session(self.segment, on)  # raises, and says what to do
        bars = self._frame(rows)
        self._describe(rows)
        return bars

    def _short_last_bars(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Give a bar that ends with its session before it is full (hours: 15:15 to 15:30) its own open again."""
        step = self.interval.seconds
        known = {day: hours for day, hours in self._hours.items() if hours is not None}
        last = {day: hours.open + (hours.close - hours.open - 1) // step * step for day, hours in known.items()}
        at_close = rows["stamp"] == rows["day"].map({day: hours.close for day, hours in known.items()})
        rows.loc[at_close, "start"] = rows.loc[at_close, "day"].map(last)
        return rows

    def _look_up(self, days: npt.NDArray[np.int64]) -> None:
        for day in days.tolist():
            on = date(1970, 1, 1) + timedelta(days=day)
            if not self.calendar.knows(self.segment, on):
                self._unknown_days.add(day)
                self._hours[day] = None
                continue
            session = self.calendar.session(self.segment, on)
            self._hours[day] = None if session is None else _hours(session, self.segment)

    def _check_label(self, rows: pd.DataFrame, label: Label) -> None:
        """Refuse files labelled the other way: by most sessions, the first or last label is one bar off."""
        step = self.interval.seconds
        asked = other = 0
        for day, stamps in rows.groupby("day")["stamp"]:
            hours = self._hours[cast(int, day)]
            if hours is None or hours.session.kind is not SessionKind.NORMAL:
                continue
            labels = set(stamps.tolist())
            if len(labels) * step * 2 < hours.close - hours.open:
                continue  # less than half a session proves nothing
            asked += 1
            first_is_open, has_close = hours.open in labels, hours.close in labels
            other += (has_close and not first_is_open) if label is Label.START else (first_is_open and not has_close)
        if asked and other * 2 > asked:
            self._refuse_label(label, other, asked)

    def _refuse_label(self, label: Label, other: int, asked: int) -> None:
        right = Label.END if label is Label.START else Label.START
        hours = next(
            found for found in self._hours.values() if found is not None and found.session.kind is SessionKind.NORMAL
        )
        step = self.interval.delta
        first = hours.session.open + (step if right is Label.END else timedelta())
        last = frames.as_bound(pd.Timestamp(hours.close, unit="s", tz="UTC").to_pydatetime(), end=False)
        assert last is not None  # noqa: S101  # as_bound gives None only for None
        last = last if right is Label.END else last - step
        count = len(hours.grid(self.interval.seconds))
        raise BadInput(
            f"the files are labelled by the bar's {right}, not by its {label}: {other} of {asked} sessions run from "
            f"{first:%H:%M} to {last:%H:%M} ({count} bars); import them with --label {right}. Nothing was written"
        )

    def _in_session(self, rows: pd.DataFrame) -> pd.DataFrame:
        start, day = rows["start"].to_numpy(), rows["day"].to_numpy()
        days = sorted(self._hours)
        position = np.searchsorted(days, day)
        found = [self._hours[number] for number in days]
        opens = np.array([-1 if hours is None else hours.open for hours in found], dtype=np.int64)[position]
        closes = np.array([-1 if hours is None else hours.close for hours in found], dtype=np.int64)[position]
        reason = np.full(len(rows), "", dtype=object)
        halted = np.zeros(len(rows), dtype=bool)
        for hours in found:
            for halt, resumed in hours.breaks if hours else ():
                halted |= (start >= halt) & (start < resumed)
        reason[(start - opens) % self.interval.seconds != 0] = "off_grid"
        reason[halted] = "trading_halt"
        reason[start >= closes] = "outside_session"
        reason[(start >= closes) & (start < closes + _CLOSING_S)] = "closing_print"
        reason[start < opens] = "pre_open"
        reason[opens < 0] = "holiday"
        reason[np.isin(day, sorted(self._unknown_days))] = "unknown_year"
        return self._drop(rows, reason)

    def _valued(self, rows: pd.DataFrame) -> pd.DataFrame:
        prices = rows[list(_PRICES)].to_numpy()
        reason = np.full(len(rows), "", dtype=object)
        reason[(prices <= 0).any(axis=1) | (rows["volume"].to_numpy() < 0)] = "not_positive"
        reason[~np.isfinite(prices).all(axis=1) | ~np.isfinite(rows["volume"].to_numpy())] = "nan"
        rows = self._drop(rows, reason)
        broken = frames.broken_ohlc(rows)
        self.report.bad_ohlc = int(broken.sum())
        self.report.bad_ohlc_rows = [
            {"place": self._place(row), **{name: float(getattr(row, name)) for name in _PRICES}}
            for row in rows[broken].head(_SHOWN).itertuples()
        ]
        return rows[~broken]

    def _once(self, rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.sort_values(["start", "file", "line"], kind="stable")
        again = rows["start"].duplicated(keep="first").to_numpy()
        if not again.any():
            return rows
        values = [*_PRICES, "volume"]
        first = rows.groupby("start")[[*values, "file"]].transform("first")
        differs = again & (first[values].to_numpy() != rows[values].to_numpy()).any(axis=1)
        across = differs & (first["file"].to_numpy() != rows["file"].to_numpy())
        if across.any():
            row = next(rows[across].itertuples())
            earlier = self.names[int(first["file"].to_numpy()[across][0])]
            raise BadInput(
                f"{earlier} and {self._place(row)} overlap and disagree about the bar of {_text(int(row.start))}"
                f" ({int(across.sum())} bars in all); import the file that is right. Nothing was written"
            )
        self.report.duplicates, self.report.conflicting = int(again.sum()), int(differs.sum())
        self.report.conflicting_rows = [self._place(row) for row in rows[differs].head(_SHOWN).itertuples()]
        return rows[~again]

    def _frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        index = pd.DatetimeIndex(rows["start"].to_numpy().astype("datetime64[s]").astype("datetime64[ns]"), tz="UTC")
        bars = rows[list(frames.COLUMNS)].set_axis(index, axis=0)
        return frames.checked(bars, f"bars of {self.report.symbol}") if len(bars) else frames.empty()

    def _describe(self, rows: pd.DataFrame) -> None:
        """Fill in the sessions, their gaps, and the days that are not normal."""
        report, step = self.report, self.interval.seconds
        report.kept = len(rows)
        for day, starts in rows.groupby("day")["start"]:
            hours = self._hours[cast(int, day)]
            assert hours is not None  # noqa: S101  # rows without a session are dropped before
            session = hours.session
            grid = hours.grid(step) if step < _DAY_S else np.array([hours.open], dtype=np.int64)
            absent = grid[~np.isin(grid, starts.to_numpy())]
            if len(absent):
                missed = _text(int(absent[0]))
                gap = SessionGap(date=session.date, missing=len(absent), expected=len(grid), first_missing=missed)
                report.sessions_with_gaps.append(gap)
            if session.kind is not SessionKind.NORMAL:
                named = {"date": session.date.isoformat(), "kind": session.kind.value, "note": session.note}
                report.special_days.append(named | {"bars": len(starts)})
        have = {date(1970, 1, 1) + timedelta(days=int(day)) for day in rows["day"].unique()}
        report.sessions = len(have)
        if not have:
            return
        report.first, report.last = _text(int(rows["start"].iloc[0])), _text(int(rows["start"].iloc[-1]))
        between = [min(have) + timedelta(days=n) for n in range((max(have) - min(have)).days + 1)]
        report.missing_sessions = [
            day.isoformat()
            for day in between
            if day not in have and self.calendar.session(self.segment, day) is not None
        ]

    def _drop(self, rows: pd.DataFrame, reason: npt.NDArray[np.object_]) -> pd.DataFrame:
        bad = reason != ""
        for name, count in Counter(reason[bad].tolist()).items():
            self.report.dropped[name] = self.report.dropped.get(name, 0) + count
            shown = [self._place(row) for row in rows[reason == name].head(_SHOWN).itertuples()]
            self.report.dropped_examples.setdefault(name, shown)
        return cast(pd.DataFrame, rows[~bad])

    def _place(self, row: Any) -> str:
        return f"{self.names[int(row.file)]}:{int(row.line)}"


def _hours(session: Session, segment: Segment) -> _Hours:
    """Read a session as seconds; an index ends with its spot (`spot_end`), whatever its options do."""
    close = min(session.close, session.spot_end) if segment is Segment.IDX_I and session.spot_end else session.close
    breaks = [(int(start.timestamp()), int(end.timestamp())) for start, end in session.breaks]
    return _Hours(session, int(session.open.timestamp()), int(close.timestamp()), breaks)


def _text(seconds: int) -> str:
    return pd.Timestamp(seconds, unit="s", tz="UTC").tz_convert(IST).isoformat()
