"""Whether a fetched instrument master may take the place of the last good one.

A wrong lot or tick is a wrong order, and an id that names another contract is an order in that contract; so a file that
is cut, old, doubled, shifted or no master at all is refused as a whole, with words, and the last good one stays.

Invariant: a master that is installed was verified from its first row to its last.
"""

import csv
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType

from workbench.core.errors import CorruptData
from workbench.data.master_file import Layout, layout_of, opened, underlying_of

_ROW_CHANGE = 0.20
_BAD_SHARE = 0.001
_DERIVATIVES = frozenset({"FUTIDX", "OPTIDX", "FUTSTK", "OPTSTK"})
_OF_INDICES = frozenset({"FUTIDX", "OPTIDX"})
_OURS = frozenset({"I", "E", "D"})
# What a row is about: two rows of one id that differ in these name two contracts.
_CONTRACT_FIELDS = ("kind", "trading_symbol", "expiry", "strike", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterFacts:
    """What :func:`verify_master` found."""

    layout: str
    rows: int
    by_segment: Mapping[str, int]

    def to_dict(self) -> dict[str, object]:
        """Give it JSON-able."""
        return {"layout": self.layout, "rows": self.rows, "by_segment": dict(self.by_segment)}


@dataclass(slots=True)
class _Seen:
    """What was counted on the way through the file."""

    rows: int = 0
    ragged: int = 0
    ends_in_a_row: bool = True
    by_segment: Counter[str] = field(default_factory=Counter)
    symbols: set[str] = field(default_factory=set)
    last_expiry: dict[str, str] = field(default_factory=dict)
    contracts: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    disputed: list[str] = field(default_factory=list)


def verify_master(
    path: Path,
    *,
    previous_rows: int | None = None,
    underlyings: Collection[str] = (),
    on: date | None = None,
) -> MasterFacts:
    """Check a fetched master before it takes the place of the last good one.

    Parameters
    ----------
    path : Path
    previous_rows : int, optional
        Rows of the last good master; more than 20 % away from it means a file that was cut or doubled.
    underlyings : collection of str
        Each must have a row, and none of its ids may name two contracts.
    on : date, optional
        The trading day: the options of each underlying must not all have expired before it.

    Raises
    ------
    CorruptData
        A required column is missing, rows are cut short, a row count far from the last, a derivative whose lot or tick
        is not above zero or whose tick is not in paise, ids that name two contracts, or a file of another day.
    """
    wanted = frozenset(name.strip().upper() for name in underlyings)
    seen = _Seen()
    with opened(path) as stream:
        layout = layout_of(path, stream.readline())
        for row in csv.reader(stream):
            seen.rows += 1
            seen.ends_in_a_row = len(row) >= layout.width
            if seen.ends_in_a_row:
                _look(path, row, layout, wanted, seen)
            else:
                seen.ragged += 1
    _judge(path, seen, previous_rows, wanted)
    if on is not None:
        for symbol, last in seen.last_expiry.items():
            if last < on.isoformat():
                raise CorruptData(f"{path}: the last option of {symbol} expired on {last}, before {on}: an old file")
    return MasterFacts(layout=layout.name, rows=seen.rows, by_segment=MappingProxyType(dict(seen.by_segment)))


def install_master(
    fetched: Path,
    cached: Path,
    *,
    underlyings: Collection[str] = (),
    previous_rows: int | None = None,
    on: date | None = None,
) -> MasterFacts:
    """Verify a fetched master and move it into the cached one's place; refused, it leaves that one alone.

    Without `previous_rows` it is compared with the cached one, where there is one.

    Raises
    ------
    CorruptData
        See :func:`verify_master`.
    """
    if previous_rows is None and cached.exists():
        previous_rows = count_rows(cached)
    facts = verify_master(fetched, previous_rows=previous_rows, underlyings=underlyings, on=on)
    cached.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(cached)
    return facts


def count_rows(path: Path) -> int:
    """Count the rows below the header."""
    with opened(path) as stream:
        return max(0, sum(1 for _ in stream) - 1)


def _look(path: Path, row: list[str], layout: Layout, wanted: frozenset[str], seen: _Seen) -> None:
    at = layout.at
    exchange, letter, kind = row[at["exchange"]], row[at["segment"]], row[at["kind"]]
    seen.by_segment[f"{exchange}_{letter}"] += 1
    symbol = underlying_of(row, layout)
    if symbol in wanted:
        seen.symbols.add(symbol)
    if letter in _OURS:
        place, contract = (exchange, letter, row[at["id"]]), tuple(row[at[name]] for name in _CONTRACT_FIELDS)
        if seen.contracts.setdefault(place, contract) != contract:
            seen.disputed.append(" ".join(place))
            if symbol in wanted:
                raise CorruptData(
                    f"{path}, row {seen.rows + 1}: id {row[at['id']]} of {exchange} {letter} names two contracts of "
                    f"{symbol}: {' '.join(contract)} and {' '.join(seen.contracts[place])}; fetch again"
                )
    if kind in _OF_INDICES or (kind in _DERIVATIVES and symbol in wanted):
        lot, tick = _number(row[at["lot"]]), _number(row[at["tick"]])
        if lot <= 0 or tick <= 0:
            where = f"{path}, row {seen.rows + 1}"
            raise CorruptData(
                f"{where}: lot {row[at['lot']]!r} or tick {row[at['tick']]!r} is not above zero; fetch again"
            )
        if tick < 1:
            raise CorruptData(
                f"{path}, row {seen.rows + 1}: a tick of {row[at['tick']]} is not in paise; the file's units have "
                "changed, and every price would be wrong"
            )
    if kind in ("OPTIDX", "OPTSTK") and symbol in wanted:
        expiry = row[at["expiry"]][:10]
        seen.last_expiry[symbol] = max(expiry, seen.last_expiry.get(symbol, ""))


def _judge(path: Path, seen: _Seen, previous_rows: int | None, wanted: frozenset[str]) -> None:
    keep = "keep the last good master and fetch again"
    if seen.rows == 0:
        raise CorruptData(f"{path} has a header and no row; {keep}")
    if seen.ragged > seen.rows * _BAD_SHARE or not seen.ends_in_a_row:
        raise CorruptData(f"{path}: {seen.ragged} of {seen.rows} rows are cut short; {keep}")
    if previous_rows and abs(seen.rows - previous_rows) > previous_rows * _ROW_CHANGE:
        raise CorruptData(
            f"{path} has {seen.rows} rows, the last good master had {previous_rows}: more than 20 % apart; fetch again"
        )
    if len(seen.disputed) > seen.rows * _BAD_SHARE:
        raise CorruptData(
            f"{path}: {len(seen.disputed)} ids name two contracts (first {seen.disputed[0]}): a file put together "
            f"wrongly; {keep}"
        )
    if missing := wanted - seen.symbols:
        raise CorruptData(f"{path} has no row of {', '.join(sorted(missing))}; {keep}")


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return Decimal(-1)
    return value if value.is_finite() else Decimal(-1)
