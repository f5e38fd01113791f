"""Ledger and day export: one set of numbers, exact, on every face."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from tests.unit.storage.builders import CALL, DAY, MORNING, a_trade, entry, opened
from workbench.core.bars import Quote
from workbench.core.messages import AlertTurnedAway, DecisionMade, SignalRaised
from workbench.core.ports import JournalEntry
from workbench.core.signal import Direction, SignalValues
from workbench.reference import charge_table
from workbench.storage.export import export_day, totals
from workbench.storage.ledger import DayLedger
from workbench.storage.tape import TapeRecord


def refused(seq: int) -> JournalEntry:
    at = MORNING + timedelta(seconds=seq)
    return entry(
        seq,
        AlertTurnedAway(alert_id=f"refused:{seq}", deployment="SCALP_ATM", received_at=at, reason="side is missing"),
    )


def signal(seq: int) -> JournalEntry:
    at = MORNING + timedelta(seconds=seq)
    raised = SignalRaised(
        deployment="EMA",
        bar_time=at,
        known_at=at,
        values=SignalValues(long_entry=True),
        previous=None,
        strategy_hash="h",
        close=Decimal(15700),
    )
    decided = DecisionMade(
        subject=f"signal:EMA:{at.isoformat()}",
        deployment="EMA",
        at=at,
        fate="denied",
        gate="entry_window",
        reason="no entry after 15:00",
        direction=Direction.LONG,
    )
    return entry(seq, raised, decided)


def day() -> list[JournalEntry]:
    return [opened(), *a_trade(2), refused(6), signal(7), *a_trade(10, alert_id="a2", tag="y")]


def test_a_round_trip_becomes_one_trade_with_times_prices_and_charges() -> None:
    ledger = DayLedger.of([opened(), *a_trade()], charge_table())
    (trade,) = ledger.trades
    assert (trade.instrument, trade.side, trade.quantity, trade.lots) == (
        "NIFTY 16 JUN 15700 CALL",
        "BUY",
        50,
        Decimal(1),
    )
    assert (trade.entry_price, trade.exit_price) == (Decimal("100.10"), Decimal(110))
    assert (trade.entry_time, trade.exit_time) == (MORNING + timedelta(seconds=3), MORNING + timedelta(seconds=5))
    assert trade.net == trade.gross - trade.charges == Decimal("438.87")
    assert trade.priced_by_model


def test_slippage_is_above_zero_where_it_cost_us() -> None:
    bought, sold = DayLedger.of([opened(), *a_trade()], charge_table()).fills
    assert bought.slippage == Decimal("0.10")
    assert sold.slippage == 0


def test_every_alert_and_signal_has_one_line_with_its_fate() -> None:
    rows = {row.subject: row for row in DayLedger.of(day(), charge_table()).decisions}
    assert rows["a1"].line == "entered: bought 1 lot"
    assert rows["refused:6"].line == "refused: side is missing"
    assert (
        next(row for row in rows.values() if row.kind == "signal").line == "denied [entry_window]: no entry after 15:00"
    )
    assert len(rows) == 4


def test_a_new_day_begins_with_empty_books() -> None:
    ledger = DayLedger.of([*day(), opened(20, DAY + timedelta(days=1))], charge_table())
    assert ledger.trades == ()
    assert ledger.net == 0
    assert ledger.day == DAY + timedelta(days=1)


def test_the_export_equals_the_ledger_to_the_paisa(tmp_path: Path) -> None:
    ledger = DayLedger.of(day(), charge_table())
    done = export_day(tmp_path, day(), charges=charge_table(), facts={"mode": "practice"})
    body = json.loads((tmp_path / "2022-06-15" / "day.json").read_text(encoding="utf-8"))
    assert done.net == ledger.net
    assert body["totals"] == totals(ledger)
    assert body["totals"]["net"] == "877.74"
    assert sum(Decimal(row["net"]) for row in body["trades"]) == ledger.net
    assert body["facts"] == {"mode": "practice"}
    table = pq.read_table(tmp_path / "2022-06-15" / "trades.parquet").to_pylist()
    assert sum(row["net"] for row in table) == ledger.net
    assert table[0]["entry_time"] == MORNING + timedelta(seconds=3)
    assert not list((tmp_path / "2022-06-15").glob("*.new"))


def test_the_equity_curve_marks_open_positions_on_the_tape_and_ends_at_the_net(tmp_path: Path) -> None:
    entries = a_trade(2)
    held = [opened(), *entries[:2], *[_later(item, 120) for item in entries[2:]]]
    at = MORNING + timedelta(seconds=30)
    tape = [TapeRecord(seq=3, now=at, quote=Quote(CALL.key, at, Decimal(105), Decimal(104), Decimal(106)))]
    export_day(tmp_path, held, charges=charge_table(), tape=tape)
    points = json.loads((tmp_path / "2022-06-15" / "day.json").read_text(encoding="utf-8"))["equity"]
    assert Decimal(points[0]["open"]) < 50 * (Decimal(104) - Decimal("100.10"))
    assert Decimal(points[0]["open"]) > 150
    assert points[-1]["equity"] == "438.87"


def _later(item: JournalEntry, seconds: int) -> JournalEntry:
    return JournalEntry(
        seq=item.seq,
        now=item.now + timedelta(seconds=seconds),
        account_id=item.account_id,
        message=item.message,
        events=item.events,
    )


def test_a_day_without_trades_exports_empty_tables(tmp_path: Path) -> None:
    done = export_day(tmp_path, [opened()], charges=charge_table())
    assert done.trades == 0
    assert pq.read_table(done.folder / "trades.parquet").num_rows == 0
