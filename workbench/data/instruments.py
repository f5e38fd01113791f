"""The broker's instrument master: a day's list of contracts, read row by row and kept only for the underlyings in use.

What the file gets wrong is set right here and nowhere else (reference: the broker's documentation of the master and its
known traps): ticks are in paise except on index rows; a strike of -0.01 is no strike; the clock part of an expiry means
nothing; segment `I` is `IDX_I`; the derivative rows name their underlying by another id than the index's own; one
trading symbol can name several weekly contracts, so nothing is keyed by it.

Invariant: of two rows for one contract or one id the first is kept and the other counted; nothing is guessed for a row
that does not read.
"""

import csv
import gzip
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from workbench.core.errors import BadInput, CorruptData, UnknownName
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
_CONTRACT = re.compile(r"^(?P<symbol>.+?)-(?:\d{1,2})?[A-Za-z]{3}\d{4}-(?:FUT|[\d.]+-[CP]E)$")
_TEST_SYMBOL = "NSETEST"
_SERIES = ("EQ", "BE", "A", "B")  # the ordinary share before its other series
_ROW_CHANGE = 0.20
_RAGGED_SHARE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterFacts:
    """What :func:`verify_master` found."""

    layout: str
    rows: int
    by_segment: Mapping[str, int]

    def to_dict(self) -> dict[str, object]:
        """Give it JSON-able."""
        return {"layout": self.layout, "rows": self.rows, "by_segment": dict(self.by_segment)}


@dataclass(frozen=True, slots=True)
class _Layout:
    name: str
    width: int
    at: Mapping[str, int]
    underlying: int | None
    freeze: int | None


class InstrumentMaster:
    """The contracts of the chosen underlyings on one day; implements `core.ports.InstrumentSource`.

    Parameters
    ----------
    instruments : sequence of Instrument
    dropped : mapping
        Rows of these underlyings that were not kept, by reason.
    """

    def __init__(self, instruments: Sequence[Instrument], dropped: Mapping[str, int] = MappingProxyType({})) -> None:
        counts = Counter(dropped)
        self._by_id: dict[tuple[Segment, str], Instrument] = {}
        self._by_key: dict[str, Instrument] = {}
        self._options: dict[tuple[str, date], list[Instrument]] = {}
        for instrument in instruments:
            place = (instrument.segment, instrument.security_id)
            if place in self._by_id:
                counts["duplicate_id"] += 1
            elif instrument.key in self._by_key:
                counts["same_contract"] += 1
            else:
                self._by_id[place] = self._by_key[instrument.key] = instrument
                if instrument.kind is InstrumentKind.OPTION and instrument.expiry is not None:
                    self._options.setdefault((instrument.symbol, instrument.expiry), []).append(instrument)
        for chain in self._options.values():
            chain.sort(key=lambda option: (option.strike or Decimal(0), option.right or ""))
        self.dropped: Mapping[str, int] = MappingProxyType(dict(counts))

    @classmethod
    def load(cls, path: Path, underlyings: Collection[str], *, on: date | None = None) -> "InstrumentMaster":
        """Read a compact or detailed master (also ``.gz``), keeping only the given underlyings.

        Parameters
        ----------
        path : Path
        underlyings : collection of str
            Symbols of indices and stocks, as "NIFTY".
        on : date, optional
            The trading day: contracts that expired before it are dropped (their ids may be in use again).

        Raises
        ------
        BadInput
            No such file, or an underlying of which the file has no row at all.
        CorruptData
            The file is no instrument master.
        """
        wanted = frozenset(name.strip().upper() for name in underlyings)
        found: list[tuple[int, Instrument]] = []
        dropped: Counter[str] = Counter()
        with _opened(path) as stream:
            layout = _layout(path, stream.readline())
            # Most of the 200,000 rows are of other underlyings; a search in the text spares splitting them.
            mine = (line for line in stream if any(name in line for name in wanted))
            for row in csv.reader(mine):
                outcome = _instrument(row, layout, wanted)
                if isinstance(outcome, str):
                    if outcome:
                        dropped[outcome] += 1
                elif on is not None and outcome.expiry is not None and outcome.expiry < on:
                    dropped["expired"] += 1
                else:
                    found.append((_rank(row, layout), outcome))
        found.sort(key=lambda pair: pair[0])
        master = cls([instrument for _, instrument in found], dropped)
        missing = wanted - {instrument.symbol for instrument in master}
        if missing:
            raise BadInput(
                f"{path.name} has no row of {', '.join(sorted(missing))}; check the symbols, or fetch the master again"
            )
        return master

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def symbols(self) -> list[str]:
        """Give the underlyings held, sorted."""
        return sorted({instrument.symbol for instrument in self})

    def index(self, underlying: str) -> Instrument:
        """Give the index itself (segment IDX_I: the id that quotes and chains want).

        Raises
        ------
        UnknownName
            Not an index of this master.
        """
        found = self._by_key.get(f"{Segment.IDX_I}:{underlying}")
        if found is None:
            raise UnknownName("index", underlying, [one.symbol for one in self if one.kind is InstrumentKind.INDEX])
        return found

    def equity(self, symbol: str, segment: Segment = Segment.NSE_EQ) -> Instrument:
        """Give a stock.

        Raises
        ------
        UnknownName
            Not a stock of this master.
        """
        found = self._by_key.get(f"{segment}:{symbol}")
        if found is None:
            raise UnknownName("stock", symbol, [one.symbol for one in self if one.kind is InstrumentKind.EQUITY])
        return found

    def expiries(self, underlying: str) -> Sequence[date]:
        """Give the listed option expiries, ascending."""
        return sorted(expiry for symbol, expiry in self._options if symbol == underlying)

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        """Give the listed options of one expiry by strike, then CE before PE; empty when there are none."""
        return tuple(self._options.get((underlying, expiry), ()))

    def future(self, underlying: str, expiry: date) -> Instrument | None:
        """Give the future of that expiry, None when there is none."""
        for segment in (Segment.NSE_FNO, Segment.BSE_FNO):
            if (found := self._by_key.get(f"{segment}:{underlying}:{expiry.isoformat()}")) is not None:
                return found
        return None

    def futures(self, underlying: str) -> Sequence[Instrument]:
        """Give the listed futures by expiry."""
        held = [one for one in self if one.kind is InstrumentKind.FUTURE and one.symbol == underlying]
        return sorted(held, key=lambda future: future.expiry or date.max)

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        """Give the instrument of the broker's id."""
        return self._by_id.get((segment, str(security_id)))

    def by_key(self, key: str) -> Instrument | None:
        """Give the instrument of our key."""
        return self._by_key.get(key)


def verify_master(path: Path, *, previous_rows: int | None = None, underlyings: Collection[str] = ()) -> MasterFacts:
    """Check a fetched master before it takes the place of the last good one.

    Parameters
    ----------
    path : Path
    previous_rows : int, optional
        Rows of the last good master; more than 20 % away from it means a file that was cut or doubled.
    underlyings : collection of str
        Each must have a row.

    Raises
    ------
    CorruptData
        A required column is missing, ragged rows, a row count far from the last, a derivative with a lot or tick that
        is not above zero.
    """
    rows, ragged, by_segment, seen = 0, 0, Counter[str](), set[str]()
    wanted = frozenset(name.strip().upper() for name in underlyings)
    with _opened(path) as stream:
        layout = _layout(path, stream.readline())
        for row in csv.reader(stream):
            rows += 1
            if len(row) < layout.width:
                ragged += 1
                continue
            by_segment[f"{row[layout.at['exchange']]}_{row[layout.at['segment']]}"] += 1
            seen.update(wanted & {_underlying(row, layout)})
            lot, tick = row[layout.at["lot"]], row[layout.at["tick"]]
            if row[layout.at["kind"]] in ("FUTIDX", "OPTIDX") and not (_positive(lot) and _positive(tick)):
                raise CorruptData(f"{path}, row {rows + 1}: lot {lot!r} or tick {tick!r} is not above zero")
    if rows == 0:
        raise CorruptData(f"{path} has a header and no row; keep the last good master and fetch again")
    if ragged > rows * _RAGGED_SHARE:
        raise CorruptData(f"{path}: {ragged} of {rows} rows are cut short; keep the last good master and fetch again")
    if previous_rows and abs(rows - previous_rows) > previous_rows * _ROW_CHANGE:
        raise CorruptData(
            f"{path} has {rows} rows, the last good master had {previous_rows}: more than 20 % apart; fetch again"
        )
    if missing := wanted - seen:
        raise CorruptData(
            f"{path} has no row of {', '.join(sorted(missing))}; keep the last good master and fetch again"
        )
    return MasterFacts(layout=layout.name, rows=rows, by_segment=MappingProxyType(dict(by_segment)))


def install_master(fetched: Path, cached: Path, *, underlyings: Collection[str] = ()) -> MasterFacts:
    """Verify a fetched master and move it into the cached one's place; refused, it leaves that one alone.

    Raises
    ------
    CorruptData
        See :func:`verify_master`.
    """
    facts = verify_master(
        fetched, previous_rows=count_rows(cached) if cached.exists() else None, underlyings=underlyings
    )
    cached.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(cached)
    return facts


def count_rows(path: Path) -> int:
    """Count the rows below the header."""
    with _opened(path) as stream:
        return max(0, sum(1 for _ in stream) - 1)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
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


def _layout(path: Path, header: str) -> _Layout:
    names = [name.strip() for name in next(csv.reader([header]), [])]
    position = {name: at for at, name in enumerate(names) if name}
    for which, layout in enumerate(("compact", "detailed")):
        at = {field: position[both[which]] for field, both in _FIELDS.items() if both[which] in position}
        if len(at) == len(_FIELDS):
            # The freeze column may be absent, the header may end in a comma: rows must reach the last column read.
            return _Layout(layout, max(at.values()) + 1, at, position.get(_UNDERLYING), position.get(_FREEZE))
        if len(at) * 2 > len(_FIELDS):
            missing = [both[which] for field, both in _FIELDS.items() if field not in at]
            raise CorruptData(
                f"{path} looks like the {layout} master, but its columns {', '.join(missing)} are missing"
            )
    raise CorruptData(f"{path} is no instrument master: its first line has none of the master's columns")


def _underlying(row: list[str], layout: _Layout) -> str:
    """Give the symbol a row belongs to: the underlying's for derivatives, its own for indices and stocks."""
    if layout.underlying is not None and row[layout.underlying] not in ("", "NA"):
        return row[layout.underlying].strip().upper()
    symbol = row[layout.at["trading_symbol"]].strip()
    contract = _CONTRACT.match(symbol)
    return (contract["symbol"] if contract else symbol).upper()


def _rank(row: list[str], layout: _Layout) -> int:
    series = row[layout.at["series"]]
    return _SERIES.index(series) if series in _SERIES else 0 if row[layout.at["kind"]] != "EQUITY" else len(_SERIES)


def _instrument(row: list[str], layout: _Layout, wanted: frozenset[str]) -> Instrument | str:
    """Read one row, or give the reason for dropping it ("" for rows that are none of ours)."""
    if len(row) < layout.width:
        return "cut_short"
    text = {field: row[at].strip() for field, at in layout.at.items()}
    symbol = _underlying(row, layout)
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


def _positive(text: str) -> bool:
    try:
        return Decimal(text) > 0
    except InvalidOperation:
        return False


def _plain(value: Decimal) -> Decimal:
    """Drop trailing zeros, but never write 19100 as 1.91E+4."""
    return Decimal(int(value)) if value == int(value) else value.normalize()
