"""The file of the broker's instrument master: its two layouts, and a row of it as an instrument.

What the file gets wrong is set right here and nowhere else (reference: the broker's documentation of the master and its
known traps): ticks are in paise except on index rows; a strike of -0.01 is no strike; the clock part of an expiry means
nothing; segment `I` is `IDX_I`; the derivative rows name their underlying by another id than the index's own; one
trading symbol can name several weekly contracts, so nothing is keyed by it.

Invariant: nothing is guessed for a row that does not read: it is dropped with a reason.
"""

import csv
import gzip
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from workbench.core.errors import BadInput, CorruptData
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment

_SEGMENTS: Mapping[tuple[str, str], Segment] = MappingProxyType(
    {
        ("NSE", "I"): Segment.IDX_I,
        ("BSE", "I"): Segment.IDX_I,
        ("NSE", "E"): Segment.NSE_EQ,
        ("BSE", "E"): Segment.BSE_EQ,
        ("NSE", "D"): Segment.NSE_FNO,
        ("BSE", "D"): Segment.BSE_FNO,
    }
)
_KINDS: Mapping[str, InstrumentKind] = MappingProxyType(
    {
        "INDEX": InstrumentKind.INDEX,
        "EQUITY": InstrumentKind.EQUITY,
        "FUTIDX": InstrumentKind.FUTURE,
        "FUTSTK": InstrumentKind.FUTURE,
        "OPTIDX": InstrumentKind.OPTION,
        "OPTSTK": InstrumentKind.OPTION,
    }
)
# One field of ours, its name in the compact and in the detailed master.
_FIELDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "exchange": ("SEM_EXM_EXCH_ID", "EXCH_ID"),
        "segment": ("SEM_SEGMENT", "SEGMENT"),
        "id": ("SEM_SMST_SECURITY_ID", "SECURITY_ID"),
        "kind": ("SEM_INSTRUMENT_NAME", "INSTRUMENT"),
        "trading_symbol": ("SEM_TRADING_SYMBOL", "SYMBOL_NAME"),
        "lot": ("SEM_LOT_UNITS", "LOT_SIZE"),
        "display_name": ("SEM_CUSTOM_SYMBOL", "DISPLAY_NAME"),
        "expiry": ("SEM_EXPIRY_DATE", "SM_EXPIRY_DATE"),
        "strike": ("SEM_STRIKE_PRICE", "STRIKE_PRICE"),
        "right": ("SEM_OPTION_TYPE", "OPTION_TYPE"),
        "tick": ("SEM_TICK_SIZE", "TICK_SIZE"),
        "series": ("SEM_SERIES", "SERIES"),
    }
)
_UNDERLYING, _FREEZE = (
    "UNDERLYING_SYMBOL",
    "SM_FREEZE_QTY",
)  # only in the detailed master; the freeze column came during 2026
CONTRACT = re.compile(r"^(?P<symbol>.+?)-(?:\d{1,2})?[A-Za-z]{3}\d{4}-(?:FUT|[\d.]+-[CP]E)$")
_TEST_SYMBOL = "NSETEST"
_SERIES = ("EQ", "BE", "A", "B")  # the ordinary share before its other series


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields stand: `width` cells are read of a row, `underlying` and `freeze` may be absent."""

    name: str
    width: int
    at: Mapping[str, int]
    underlying: int | None
    freeze: int | None


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a master, plain or ``.gz``; what does not read as text is refused.

    Raises
    ------
    BadInput
        No such file.
    CorruptData
        No text, or an archive that is cut.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="") as stream
        ):
            yield stream
    except FileNotFoundError as error:
        raise BadInput(
            f"{path} does not exist; the instrument master is fetched at start-up, or copied there by hand"
        ) from error
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, csv.Error) as error:
        raise CorruptData(f"{path} does not read as an instrument master ({error}); fetch it again") from error


def layout_of(path: Path, header: str) -> Layout:
    """Read the header.

    Raises
    ------
    CorruptData
        Not the master's columns, or some are missing.
    """
    names = [name.strip() for name in next(csv.reader([header]), [])]
    position = {name: at for at, name in enumerate(names) if name}
    for which, layout in enumerate(("compact", "detailed")):
        at = {field: position[both[which]] for field, both in _FIELDS.items() if both[which] in position}
        if len(at) == len(_FIELDS):
            # The freeze column may be absent, the header may end in a comma: rows must reach the last column read.
            return Layout(layout, max(at.values()) + 1, at, position.get(_UNDERLYING), position.get(_FREEZE))
        if len(at) * 2 > len(_FIELDS):
            missing = [both[which] for field, both in _FIELDS.items() if field not in at]
            raise CorruptData(
                f"{path} looks like the {layout} master, but its columns {', '.join(missing)} are missing"
            )
    raise CorruptData(f"{path} is no instrument master: its first line has none of the master's columns")


def underlying_of(row: list[str], layout: Layout) -> str:
    """Give the symbol a row belongs to: the underlying's for derivatives, its own for indices and stocks."""
    if layout.underlying is not None and row[layout.underlying] not in ("", "NA"):
        return row[layout.underlying].strip().upper()
    symbol = row[layout.at["trading_symbol"]].strip()
    contract = CONTRACT.match(symbol)
    return (contract["symbol"] if contract else symbol).upper()


def rank(row: list[str], layout: Layout) -> int:
    """Order rows of one contract: the ordinary share before its other series."""
    series = row[layout.at["series"]]
    return _SERIES.index(series) if series in _SERIES else 0 if row[layout.at["kind"]] != "EQUITY" else len(_SERIES)


def instrument_of(row: list[str], layout: Layout, wanted: frozenset[str]) -> Instrument | str:
    """Read one row, or give the reason for dropping it ("" for rows that are none of ours)."""
    if len(row) < layout.width:
        return "cut_short"
    text = {field: row[at].strip() for field, at in layout.at.items()}
    symbol = underlying_of(row, layout)
    segment, kind = _SEGMENTS.get((text["exchange"], text["segment"])), _KINDS.get(text["kind"])
    if symbol not in wanted or segment is None or kind is None:
        return ""
    if _TEST_SYMBOL in symbol or _TEST_SYMBOL in text["trading_symbol"].upper():
        return "test_symbol"
    if kind is InstrumentKind.EQUITY and text["series"] not in _SERIES:
        return "other_series"
    try:
        tick = Decimal(text["tick"]) if kind is InstrumentKind.INDEX else Decimal(text["tick"]) / 100
        strike = Decimal(text["strike"]) if kind is InstrumentKind.OPTION else None
        lot = int(Decimal(text["lot"]))
        expiry = (
            date.fromisoformat(text["expiry"][:10]) if kind in (InstrumentKind.FUTURE, InstrumentKind.OPTION) else None
        )
        right = Right(text["right"]) if kind is InstrumentKind.OPTION else None
        freeze = int(Decimal(row[layout.freeze] or 0)) if layout.freeze is not None and len(row) > layout.freeze else 0
    except (ValueError, InvalidOperation):
        return "unparsable"
    if lot <= 0 or tick <= 0 or (strike is not None and strike <= 0) or (expiry is not None and expiry.year < 2000):
        return "unparsable"
    return Instrument(
        segment=segment, security_id=text["id"], symbol=symbol, kind=kind, lot=lot, tick=_plain(tick),
        expiry=expiry, strike=_plain(strike) if strike is not None else None, right=right,
        freeze=freeze if freeze > 0 else None, display_name=text["display_name"], trading_symbol=text["trading_symbol"],
    )  # fmt: skip


def _plain(value: Decimal) -> Decimal:
    """Drop trailing zeros, but never write 19100 as 1.91E+4."""
    return Decimal(int(value)) if value == int(value) else value.normalize()
