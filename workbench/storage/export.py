"""The day export: what the daily report reads, written by the engine to ``reports/DATE/`` as JSON and Parquet.

``day.json`` holds everything; ``trades``, ``fills``, ``decisions``, ``equity`` and ``stays`` (what is carried or will
stay) also stand as Parquet of the same name; ``trades.csv``, ``tradebook.csv`` (the fills) and ``stays.csv`` are for a
spreadsheet. Money and prices are exact decimals:
text in JSON, decimal128 in Parquet. The key ``priced_by_model`` marks prices that come from the pricing model and not
from a market.

Invariant: every number comes from the day's ledger, so the report equals page and API to the paisa.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.bars import Quote
from workbench.core.charges import ChargeTable
from workbench.core.exits import leaving_price
from workbench.core.money import ZERO, to_paisa
from workbench.core.pnl import charges_so_far
from workbench.core.ports import JournalEntry
from workbench.core.stays import Staying, staying
from workbench.storage.ledger import DayLedger, DecisionRow, FillRow, Trade
from workbench.storage.tape import Hole, TapeRecord
from workbench.storage.tradebook import to_csv

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """P&L of the day at one moment, rupees after the charges of what has filled by then."""

    time: datetime
    realised: Decimal
    open: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayExport:
    """One exported day: its folder and the figures that a caller wants to show."""

    folder: Path
    day: date
    trades: int
    net: Decimal


def export_day(
    folder: Path,
    entries: Sequence[JournalEntry],
    *,
    charges: ChargeTable,
    tape: Iterable[TapeRecord | Hole] = (),
    facts: Mapping[str, Any] | None = None,
    closes_at: datetime | None = None,
) -> DayExport:
    """Write one day of one account.

    Parameters
    ----------
    folder : Path
        The reports folder; the day's own folder is made in it. Files of an earlier export of the day are replaced.
    entries : Sequence of JournalEntry
        The day from its opening on, as the journal reads it.
    charges : ChargeTable
    tape : Iterable
        The day's quotes, for the equity curve between the closes.
    facts : Mapping, optional
        What else the report tells: mode, account, limits, pricing inputs (plain JSON values).
    closes_at : datetime, optional
        When the day's session ends: what an entry after it still finds held is told to stay.
    """
    ledger = DayLedger(charges)
    quotes: dict[str, Quote] = {}
    equity, holes = _equity(entries, tape, ledger, charges, quotes=quotes)
    day = ledger.day or entries[-1].now.date()
    is_over = closes_at is not None and entries[-1].now >= closes_at
    stays = staying(ledger.book.live_positions(), quotes, charges=charges, today=day, is_over=is_over)
    target = folder / day.isoformat()
    target.mkdir(parents=True, exist_ok=True)
    tables: dict[str, tuple[type, Sequence[Any]]] = {
        "trades": (Trade, ledger.trades),
        "fills": (FillRow, ledger.fills),
        "decisions": (DecisionRow, ledger.decisions),
        "equity": (EquityPoint, equity),
        "stays": (Staying, stays),
    }
    body = {
        "schema": SCHEMA,
        "day": day.isoformat(),
        "account": entries[-1].account_id if entries else "",
        "totals": totals(ledger),
        "facts": dict(facts or {}),
        "holes": [f"{hole.reason} ({hole.lost_bytes} bytes)" for hole in holes],
        **{name: [plain(row) for row in rows] for name, (_, rows) in tables.items()},
    }
    for name, (kind, rows) in tables.items():
        _write_parquet(target / f"{name}.parquet", kind, rows)
    for name, table in (("trades", "trades"), ("tradebook", "fills"), ("stays", "stays")):
        _replace(target / f"{name}.csv", to_csv(*tables[table]).encode())
    _replace(target / "day.json", json.dumps(body, ensure_ascii=False, indent=1).encode())
    return DayExport(folder=target, day=day, trades=len(ledger.trades), net=ledger.net)


def totals(ledger: DayLedger) -> dict[str, Any]:
    """Give the day's figures; `net_after_note` is what the broker's contract note comes to."""
    trades = ledger.trades
    slips = [row.slippage * row.quantity for row in ledger.fills if row.slippage is not None]
    return {
        "trades": len(trades),
        "winners": sum(trade.net > 0 for trade in trades),
        "gross": str(to_paisa(ledger.gross)),
        "charges": str(to_paisa(ledger.charges)),
        "net": str(to_paisa(ledger.net)),
        "note_rounding": str(to_paisa(ledger.rounding)),
        "net_after_note": str(to_paisa(ledger.net - ledger.rounding)),
        "slippage": str(to_paisa(sum(slips, ZERO))),
        "priced_by_model": any(trade.priced_by_model for trade in trades),
    }


def plain(row: Any) -> dict[str, Any]:
    """Give a row of the ledger as JSON values; decimals and times as text."""
    return {item.name: _plain(getattr(row, item.name)) for item in dataclasses.fields(row)}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize() if value == value.to_integral_value() else value, "f")
    return value.isoformat() if isinstance(value, datetime) else value


def _equity(
    entries: Sequence[JournalEntry],
    tape: Iterable[TapeRecord | Hole],
    ledger: DayLedger,
    charges: ChargeTable,
    *,
    quotes: dict[str, Quote],
) -> tuple[list[EquityPoint], list[Hole]]:
    """Fold the day in its own order and mark the account each minute and at each close; `quotes` ends with the last."""
    first = entries[0].seq if entries else 0
    holes: list[Hole] = []
    points: list[EquityPoint] = []
    minute: datetime | None = None
    streams: list[Iterable[JournalEntry | TapeRecord]] = [entries, _of_run(tape, first, holes)]
    for item in heapq.merge(*streams, key=lambda item: item.seq):
        closed = len(ledger.trades)
        at = item.now.replace(second=0, microsecond=0)
        if minute is not None and at > minute and ledger.book.positions:
            points.append(_mark(ledger, quotes, charges, at))
        minute = at
        if isinstance(item, JournalEntry):
            ledger.fold(item)
            if len(ledger.trades) > closed:
                points.append(_mark(ledger, quotes, charges, item.now))
        elif item.quote is not None:
            quotes[item.quote.key] = item.quote
    return points, holes


def _of_run(tape: Iterable[TapeRecord | Hole], first: int, holes: list[Hole]) -> Iterator[TapeRecord]:
    """Records of the day's newest run; a practice day may have been played before on the same tape."""
    for record in tape:
        if isinstance(record, Hole):
            holes.append(record)
        elif record.seq >= first:
            yield record


def _mark(ledger: DayLedger, quotes: Mapping[str, Quote], charges: ChargeTable, at: datetime) -> EquityPoint:
    realised = ledger.net
    open_pnl = ZERO
    for position in ledger.book.live_positions():
        if not position.fills:
            continue
        quote = quotes.get(position.plan.instrument.key)
        price = leaving_price(position.side, quote) if quote is not None else position.entry_price
        open_pnl += position.gross_at(price) - charges_so_far(position, charges)
    return EquityPoint(time=at, realised=realised, open=to_paisa(open_pnl), equity=to_paisa(realised + open_pnl))


def _write_parquet(path: Path, kind: type, rows: Sequence[Any]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(item.name, _arrow_type(str(item.type), pa)) for item in dataclasses.fields(kind)])
    columns = {item.name: [_arrow_value(getattr(row, item.name)) for row in rows] for item in dataclasses.fields(kind)}
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns, schema=schema), sink)
    _replace(path, sink.getvalue().to_pybytes())


def _arrow_type(name: str, arrow: Any) -> pa.DataType:
    kinds = {
        "str": arrow.string(),
        "int": arrow.int64(),
        "bool": arrow.bool_(),
        "datetime": arrow.timestamp("us", tz="Asia/Kolkata"),
        "Decimal": arrow.decimal128(20, 4),
    }
    return kinds[name.removesuffix(" | None")]


def _arrow_value(value: Any) -> Any:
    return value.quantize(Decimal("0.0001")) if isinstance(value, Decimal) else value


def _replace(path: Path, data: bytes) -> None:
    """Write beside the place, bring it to the disk, and move it in: a reader sees the old file or the new one."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
