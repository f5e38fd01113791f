"""Which bars a range should hold by the calendar, which of them are missing, and which of those the source lacks.

A minute without a trade is absent and not invented, so a missing bar is either not fetched yet or a hole in the source;
the difference is a note of what was asked and not given.

Invariants: no bar is expected before it is over; a note never hides a bar that was stored once and is gone: a day with
more missing bars than noted counts as not asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, CorruptData
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar, Session
from workbench.data.bar_names import folder_name, symbol_name
from workbench.data.candles import DAY, DAY_SETTLES
from workbench.data.import_report import SessionGap

_DERIVATIVES = frozenset({Segment.NSE_FNO, Segment.BSE_FNO})
NOTES_FOLDER = ".fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What is looked for: bars of one length, of one segment's sessions, from one day to another, both included."""

    segment: Segment
    interval: Interval
    first: date
    last: date


def missing(want: Want, have: pd.DatetimeIndex, calendar: Calendar, now: datetime) -> dict[date, SessionGap]:
    """Give the sessions that lack bars, by day.

    Parameters
    ----------
    have : DatetimeIndex
        Opens of the stored bars, sorted.
    now : datetime
        Market time.

    Raises
    ------
    UnknownSession
        The calendar has no rows for a year of the range.
    """
    stored = have.as_unit("ns").asi8 // 1_000_000_000
    found: dict[date, SessionGap] = {}
    for session in calendar.sessions(want.segment, want.first, want.last):
        expected = _expected(session, want, now)
        if not len(expected):
            continue
        low, high = np.searchsorted(stored, (expected[0], expected[-1] + 1))
        if high - low == len(expected) and np.array_equal(stored[low:high], expected):
            continue
        absent = expected[~np.isin(expected, stored[low:high])]
        if len(absent):
            found[session.date] = SessionGap(
                date=session.date,
                missing=len(absent),
                expected=len(expected),
                first_missing=datetime.fromtimestamp(int(absent[0]), IST).isoformat(),
            )
    return found


def settled(want: Want, day: date, calendar: Calendar, now: datetime) -> bool:
    """Say whether nothing more is to be expected of a day's bars than what the source gives now."""
    session = calendar.session(want.segment, day)
    return session is None or session.close + 2 * DAY_SETTLES <= now


def windows(days: Sequence[date], longest: int) -> list[tuple[date, date]]:
    """Put days into windows of at most `longest` calendar days, both ends included, as few as can be."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and (day - found[-1][0]).days < longest:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _expected(session: Session, want: Want, now: datetime) -> npt.NDArray[np.int64]:
    """Opens of the bars that are over; stocks and indices are surely traded only until the spot's end."""
    start = int(session.open.timestamp())
    if want.interval == DAY:
        over = session.close + DAY_SETTLES <= now
        return np.array([start] if over else [], dtype=np.int64)
    end = session.close if want.segment in _DERIVATIVES else min(session.close, session.spot_end)
    step = want.interval.seconds
    opens = np.arange(start, int(end.timestamp()), step, dtype=np.int64)
    for halt, resumed in session.breaks:
        opens = opens[(opens + step <= int(halt.timestamp())) | (opens >= int(resumed.timestamp()))]
    return opens[opens + step <= int(now.timestamp())]


class SourceHoles:
    """Notes of what the source was asked for and did not have, beside the bars.

    Parameters
    ----------
    root : Path
        The folder of the bar store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / NOTES_FOLDER

    def claim(self, source: str) -> None:
        """Say where the bars of this store are fetched from; made-up prices and the market's never mix.

        Raises
        ------
        BadInput
            Others were fetched before.
        """
        path = self._root / "source.txt"
        before = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        if before and before != source:
            raise BadInput(
                f"{self._root.parent} holds bars fetched from {before}, and these would come from {source}: give them "
                "a data folder of their own (WORKBENCH_DATA)"
            )
        if not before:
            self._root.mkdir(parents=True, exist_ok=True)
            path.write_text(source + "\n", encoding="utf-8")

    def of(self, symbol: str, interval: Interval) -> Mapping[date, int]:
        """Give the missing bars by day.

        Raises
        ------
        CorruptData
            The note does not read.
        """
        path = self._path(symbol, interval)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return {date.fromisoformat(day): int(count) for day, count in document.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise CorruptData(f"{path} does not read ({error}); delete it, and its days are asked again") from error

    def note(self, symbol: str, interval: Interval, holes: Mapping[date, int]) -> None:
        """Remember the days' missing bars; 0 forgets a day."""
        if not holes:
            return
        path = self._path(symbol, interval)
        merged = {**self.of(symbol, interval), **holes}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        rows = {day.isoformat(): count for day, count in sorted(merged.items()) if count}
        temporary.write_text(json.dumps(rows) + "\n", encoding="utf-8")
        temporary.replace(path)

    def _path(self, symbol: str, interval: Interval) -> Path:
        return self._root / folder_name(symbol_name(symbol)) / f"{interval}.json"
