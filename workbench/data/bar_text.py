"""Reading bars out of CSV and text files: separators, headers, dates, numbers. It judges no bar, it only reads.

Nothing is guessed that could be wrong: a date that could be two days, a column that nobody named, a header that
contradicts the columns given: each is refused with the way out. What one row says wrongly costs that row, and it is
counted with its reason.

Invariant: every row of every file is either in `rows` or counted in `dropped`.
"""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import BadInput, did_you_mean
from workbench.core.session import IST

COLUMN_NAMES = ("symbol", "date", "time", "datetime", "timestamp", "open", "high", "low", "close", "volume", "oi")
SKIP = "skip"
_PRICES = ("open", "high", "low", "close")
_EPOCH = date(1970, 1, 1)
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_ISO_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_COMPACT_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})")
_PARTED_DAY = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_NAMED_DAY = re.compile(r"(\d{1,2})[- /]([A-Za-z]{3})[A-Za-z]*[- /](\d{4})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?")
_ZONED = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(slots=True)
class TextBars:
    """What the files say, row by row, before any judgement.

    Parameters
    ----------
    rows : DataFrame
        `stamp` (seconds since 1970 UTC, of the label as written), `open, high, low, close, volume` (float64, NaN where
        the file says NaN), `file` (position in the list of files), `line` (from 1).
    rows_read : int
        All rows but headers and blank lines.
    dropped : Counter
        Rows that could not be used, by reason.
    examples : dict
        First places of each reason, "name:line".
    """

    rows: pd.DataFrame
    rows_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Reader:
    symbol: str
    date_order: str | None
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    other_symbols: Counter[str] = field(default_factory=Counter)
    rows_read: int = 0

    def drop(self, reason: str, place: str) -> None:
        self.dropped[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < 5:
            shown.append(place)


def read_text(
    files: Sequence[Path], symbol: str, columns: Sequence[str] | None = None, *, date_order: str | None = None
) -> TextBars:
    """Read all files; no bar is judged yet.

    Parameters
    ----------
    files : sequence of Path
        CSV or text, UTF-8 with or without byte-order mark, also ``.gz``; separated by comma, semicolon or tab.
    symbol : str
        Rows of other symbols are dropped, where there is a `symbol` column.
    columns : sequence of str, optional
        Names of the columns in order, out of :data:`COLUMN_NAMES` (or `skip`); without it each file needs a header.
    date_order : {"dmy", "mdy"}, optional
        How to read 03-04-2021; without it such a date is refused, unless other dates of the files prove the order.

    Raises
    ------
    BadInput
        A file that is missing, empty or no text; an unknown, missing or doubled column; an ambiguous date; only other
        symbols.
    """
    if not files:
        raise BadInput("no file to import was given")
    if columns is not None:
        columns = _checked_columns(columns, "the columns given")
    reader = _Reader(symbol.strip().upper(), date_order)
    tables = [_split(path, columns) for path in files]
    reader.date_order = date_order or _proven_order(tables)
    parts = [_read_table(reader, position, table) for position, table in enumerate(tables)]
    rows = pd.concat(parts, ignore_index=True)
    if rows.empty and reader.other_symbols:
        hint = did_you_mean(reader.symbol, reader.other_symbols)
        raise BadInput(f"no row is of {reader.symbol}{hint}. Import with --symbol of one of them")
    return TextBars(rows, reader.rows_read, reader.dropped, reader.examples)


@dataclass(slots=True)
class _Table:
    path: Path
    names: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> int | None:
        return self.names.index(name) if name in self.names else None


def _checked_columns(columns: Sequence[str], where: str) -> list[str]:
    names = [name.strip().lower() for name in columns]
    for name in names:
        if name not in COLUMN_NAMES and name != SKIP:
            raise BadInput(f"unknown column {name!r} in {where}{did_you_mean(name, [*COLUMN_NAMES, SKIP])}")
    doubled = [name for name, count in Counter(names).items() if count > 1 and name != SKIP]
    if doubled:
        raise BadInput(f"column {doubled[0]!r} stands twice in {where}")
    missing = [name for name in _PRICES if name not in names]
    if missing:
        raise BadInput(f"{where}: columns {', '.join(missing)} are missing")
    if not {"date", "datetime", "timestamp"} & set(names):
        raise BadInput(f"{where}: nothing tells the time; name a column date (with time), datetime or timestamp")
    return names


def _split(path: Path, columns: Sequence[str] | None) -> _Table:
    """Cut one file into fields and find its header."""
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), None)
    if first is None:
        raise BadInput(f"{path} is empty")
    separator = max(",;\t", key=first.count)
    records = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    rows, lines = [], []
    try:
        for row in records:
            if row and any(row):
                rows.append(row)
                lines.append(records.line_num)
    except csv.Error as error:
        raise BadInput(f"{path}, line {records.line_num}: {error}") from error
    head = [name.strip().lower() for name in rows[0]]
    has_header = not any(_NUMBER.fullmatch(name) for name in head) and any(name in COLUMN_NAMES for name in head)
    if has_header:
        rows, lines = rows[1:], lines[1:]
    if columns is None:
        if not has_header:
            raise BadInput(
                f"{path} has no header; name its {len(head)} columns, for example --columns symbol,date,time,open,..."
            )
        names = _checked_columns(head, f"the header of {path.name}")
    else:
        names = list(columns)
        named = [
            (have, want)
            for have, want in zip(head, names, strict=False)
            if have in COLUMN_NAMES and want not in (SKIP, have)
        ]
        if has_header and named:
            have, want = named[0]
            raise BadInput(
                f"the header of {path.name} says {have!r} where the columns given say {want!r}; leave --columns away"
            )
    if len(head) < len(names):
        raise BadInput(f"{path.name} has {len(head)} columns separated by {separator!r}, but {len(names)} were named")
    if not rows:
        raise BadInput(f"{path} holds no row below its header")
    return _Table(path, names, rows, lines)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except (OSError, EOFError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is no UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8 CSV"
        ) from error


def _proven_order(tables: Sequence[_Table]) -> str | None:
    """Find out whether dates like 25-03-2021 are day first: only a part above twelve proves it."""
    first_day = second_day = ambiguous = None
    for table in tables:
        for name in ("date", "datetime", "timestamp"):
            position = table.column(name)
            if position is None:
                continue
            texts = {row[position].strip()[:10].split(" ")[0] for row in table.rows if len(row) > position}
            for text in sorted(texts):
                parted = _PARTED_DAY.fullmatch(text)
                if parted is None:
                    continue
                place = f"{text!r} in {table.path.name}"
                if int(parted[1]) > 12:
                    first_day = first_day or place
                elif int(parted[2]) > 12:
                    second_day = second_day or place
                elif parted[1] != parted[2]:
                    ambiguous = ambiguous or place
    if first_day and second_day:
        raise BadInput(f"dates contradict each other: {first_day} has the day first, {second_day} the month")
    if ambiguous and not first_day and not second_day:
        raise BadInput(
            f"the date {ambiguous} could be two days; write YYYY-MM-DD, or say which part is the day (dmy or mdy)"
        )
    return "dmy" if first_day else "mdy" if second_day else None


def _read_table(reader: _Reader, position: int, table: _Table) -> pd.DataFrame:
    """Read stamps and numbers of one file."""
    width = len(table.names)
    at = {name: table.column(name) for name in COLUMN_NAMES}
    clock = _Clock(reader.date_order)
    name_at, stamps, kept, lines = at["symbol"], [], [], []
    for row, line in zip(table.rows, table.lines, strict=True):
        reader.rows_read += 1
        if len(row) < width:
            reader.drop("unparsable", f"{table.path.name}:{line}")
            continue
        if name_at is not None and row[name_at].strip().upper() != reader.symbol:
            reader.other_symbols[row[name_at].strip().upper()] += 1
            reader.drop("other_symbol", f"{table.path.name}:{line}")
            continue
        stamp = clock.stamp(row, at)
        if stamp is None:
            reader.drop("unparsable", f"{table.path.name}:{line}")
            continue
        stamps.append(stamp)
        kept.append(row)
        lines.append(line)
    frame = pd.DataFrame({"stamp": np.array(stamps, dtype=np.int64)})
    bad = np.zeros(len(kept), dtype=bool)
    for name in (*_PRICES, "volume"):
        column = at[name]
        texts = [] if column is None else [row[column].strip() for row in kept]
        values, unread = (
            _numbers(texts, blank=0.0 if name == "volume" else np.nan)
            if column is not None
            else (np.zeros(len(kept)), bad)
        )
        frame[name] = values
        bad = bad | unread
    frame["file"] = np.int64(position)
    frame["line"] = np.array(lines, dtype=np.int64)
    for line in frame["line"][bad]:
        reader.drop("unparsable", f"{table.path.name}:{line}")
    return frame[~bad]


def _numbers(texts: list[str], *, blank: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Read numbers; give the values and a mark on texts that are none (NaN and its like are read as NaN)."""
    try:
        return np.array(texts, dtype=np.float64), np.zeros(len(texts), dtype=bool)
    except ValueError:
        pass
    values, unread = np.full(len(texts), np.nan), np.zeros(len(texts), dtype=bool)
    for position, text in enumerate(texts):
        if _NUMBER.fullmatch(text):
            values[position] = float(text)
        elif text == "":
            values[position] = blank
        elif text.lower() not in ("nan", "na", "null", "none", "inf", "+inf", "-inf"):
            unread[position] = True
    return values, unread


class _Clock:
    """Turns the time columns of a row into seconds since 1970 UTC; times without a zone are Indian."""

    def __init__(self, date_order: str | None) -> None:
        self._order = date_order
        self._days: dict[str, int | None] = {}
        self._clocks: dict[str, int | None] = {}

    def stamp(self, row: list[str], at: dict[str, int | None]) -> int | None:
        """Give the row's label, or None where it is no time."""
        if (position := at["timestamp"]) is not None:
            return self._epoch(row[position].strip())
        if (position := at["datetime"]) is not None:
            return self._text(row[position].strip())
        day_at, time_at = at["date"], at["time"]
        if day_at is None:
            return None
        if time_at is None:
            return self._text(row[day_at].strip())
        return self._joined(row[day_at].strip(), row[time_at].strip())

    def _epoch(self, text: str) -> int | None:
        if not _NUMBER.fullmatch(text):
            return self._text(text)
        value = float(text)
        for divisor in (1, 1_000, 1_000_000, 1_000_000_000):  # 2001 to 2100, whichever unit it is
            if 978_307_200 <= value / divisor < 4_102_444_800:
                return int(value // divisor)
        return None

    def _text(self, text: str) -> int | None:
        if _ZONED.search(text) and ":" in text:
            try:
                return int(datetime.fromisoformat(text).timestamp())
            except ValueError:
                return None
        day, _, clock = text.replace("T", " ", 1).partition(" ") if not _NAMED_DAY.match(text) else (text, "", "")
        return self._joined(day, clock.strip() or "00:00")

    def _joined(self, day: str, clock: str) -> int | None:
        if day not in self._days:
            self._days[day] = self._day(day)
        if clock not in self._clocks:
            self._clocks[clock] = _seconds(clock)
        days, seconds = self._days[day], self._clocks[clock]
        return None if days is None or seconds is None else days * 86_400 + seconds - _INDIA_S

    def _day(self, text: str) -> int | None:
        try:
            if parts := _ISO_DAY.fullmatch(text) or _COMPACT_DAY.fullmatch(text):
                found = date(int(parts[1]), int(parts[2]), int(parts[3]))
            elif parts := _PARTED_DAY.fullmatch(text):
                day, month = (2, 1) if self._order == "mdy" else (1, 2)
                found = date(int(parts[3]), int(parts[month]), int(parts[day]))
            elif parts := _NAMED_DAY.fullmatch(text):
                found = date(int(parts[3]), _MONTHS[parts[2].lower()], int(parts[1]))
            else:
                return None
        except (ValueError, KeyError):
            return None
        return (found - _EPOCH).days


_INDIA_S = int(datetime(1970, 1, 2, tzinfo=IST).utcoffset().total_seconds())  # type: ignore[union-attr]  # aware, so it has one


def _seconds(text: str) -> int | None:
    parts = _CLOCK.fullmatch(text)
    if parts is None:
        return None
    hours, minutes, seconds = int(parts[1]), int(parts[2]), int(parts[3] or 0)
    return hours * 3600 + minutes * 60 + seconds if hours < 24 and minutes < 60 and seconds < 60 else None
