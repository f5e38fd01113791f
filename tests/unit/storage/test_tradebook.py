"""The tradebook: the ledger's figures in a file that a spreadsheet may open without harm."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.storage.builders import a_trade, opened
from workbench.reference import charge_table
from workbench.storage.export import export_day
from workbench.storage.ledger import DayLedger
from workbench.storage.tradebook import to_csv


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    text: str
    amount: Decimal | None


def test_the_tables_of_a_day_are_the_ledger_to_the_paisa(tmp_path: Path) -> None:
    entries = [opened(), *a_trade(2), *a_trade(10, alert_id="a2", tag="y")]
    ledger = DayLedger.of(entries, charge_table())
    folder = export_day(tmp_path, entries, charges=charge_table()).folder
    with (folder / "trades.csv").open(encoding="utf-8", newline="") as file:
        trades = list(csv.DictReader(file))
    with (folder / "tradebook.csv").open(encoding="utf-8", newline="") as file:
        fills = list(csv.DictReader(file))
    assert sum(Decimal(row["net"]) for row in trades) == ledger.net == Decimal("877.74")
    assert [(row["correlation_id"], int(row["quantity"]), Decimal(row["price"])) for row in fills] == [
        (fill.correlation_id, fill.quantity, fill.price) for fill in ledger.fills
    ]
    assert [row["entry_time"] for row in trades] == [trade.entry_time.isoformat() for trade in ledger.trades]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")'])
def test_w10_a_text_that_is_a_formula_is_defused_and_a_negative_number_stays_one(text: str) -> None:
    lines = to_csv(Row, [Row(text=text, amount=Decimal("-12.50")), Row(text="plain, with comma", amount=None)])
    (_, first, second) = csv.reader(io.StringIO(lines, newline=""))
    assert first == [f"'{text}", "-12.50"]
    assert second == ["plain, with comma", ""]
