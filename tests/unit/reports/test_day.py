"""The report's sections: every figure is the ledger's, every doubt is a sentence."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.storage.builders import a_trade, opened
from workbench.core.errors import BadInput, CorruptData
from workbench.reference import charge_table
from workbench.reports.curve import equity_curve
from workbench.reports.day import Day
from workbench.reports.markup import rupees
from workbench.storage.export import export_day
from workbench.storage.ledger import DayLedger

FACTS = {
    "mode": "practice",
    "limits": {"max_daily_loss": "5000", "max_trades_per_day": 10},
    "pricing": {"skew": "linear"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entries = [opened(), *a_trade(2), *a_trade(10, alert_id="a2", tag="y")]
    return export_day(tmp_path, entries, charges=charge_table(), facts=FACTS).folder


def edited(folder: Path, **changes: Any) -> Day:
    path = folder / "day.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**body, **changes}), encoding="utf-8")
    return Day.read(folder)


def test_the_net_is_the_ledgers_to_the_paisa(folder: Path) -> None:
    ledger = DayLedger.of([opened(), *a_trade(2), *a_trade(10, alert_id="a2", tag="y")], charge_table())
    day = Day.read(folder)
    assert day.net == ledger.net == Decimal("877.74")
    assert "+₹877.74" in day.headline().text
    assert rupees(ledger.net - ledger.rounding, sign=True) in day.profit_and_loss().text


def test_trades_that_do_not_add_up_are_told_in_red(folder: Path) -> None:
    assert "report this as a fault" not in Day.read(folder).profit_and_loss().text
    totals = json.loads((folder / "day.json").read_text(encoding="utf-8"))["totals"]
    text = edited(folder, totals={**totals, "net": "900.00"}).profit_and_loss().text
    assert 'class="bad">The trades add up to ₹877.74, not to ₹900.00' in text


def test_model_prices_are_marked_in_the_headline_and_on_each_trade(folder: Path) -> None:
    day = Day.read(folder)
    assert "priced: model" in day.headline().text
    assert day.trades().text.count("(priced: model)") == 2


def test_the_synthetic_instrument_is_marked(folder: Path) -> None:
    trades = json.loads((folder / "day.json").read_text(encoding="utf-8"))["trades"]
    day = edited(folder, trades=[{**trade, "instrument_key": "IDX_I:NIFTY:index_as_future"} for trade in trades])
    assert "synthetic_instrument" in day.headline().text


def test_a_hole_in_the_tape_is_told(folder: Path) -> None:
    assert "torn tail (12 bytes)" in edited(folder, holes=["torn tail (12 bytes)"]).headline().text


def test_slippage_is_told_per_fill_and_in_all(folder: Path) -> None:
    text = Day.read(folder).slippage().text
    assert "+0.10" in text
    assert "+10.0" in text  # basis points of 100.00
    assert "Slippage cost ₹10.00" in text
    assert "-0.00" not in text


def test_a_fill_without_an_expected_price_is_unknown_and_not_zero(folder: Path) -> None:
    fills = json.loads((folder / "day.json").read_text(encoding="utf-8"))["fills"]
    fills[0] |= {"slippage": None, "reference_price": "0"}
    text = edited(folder, fills=fills).slippage().text
    assert "unknown" in text
    assert "1 fills had no expected price" in text


def test_an_order_that_left_is_called_as_its_trade_says_why_and_not_by_its_kind(folder: Path) -> None:
    body = json.loads((folder / "day.json").read_text(encoding="utf-8"))
    fills = [row | {"purpose": "stop"} if row["purpose"] != "entry" else row for row in body["fills"]]
    trades = [
        row | {"reason": reason} for row, reason in zip(body["trades"], ("target", "opposite_signal"), strict=True)
    ]
    text = edited(folder, fills=fills, trades=trades).slippage().text
    assert "<td>entry</td>" in text
    assert "<td>target</td>" in text
    assert "<td>opposite signal</td>" in text
    assert "stop" not in text
    # Two orders left the first position: which of them met the target is not told.
    twice = [*fills, fills[1] | {"correlation_id": "another", "purpose": "exit"}]
    text = edited(folder, fills=twice, trades=trades).slippage().text
    assert "<td>stop order</td>" in text
    assert "<td>exit order</td>" in text
    assert "<td>target</td>" not in text


def test_risk_use_names_the_share_of_each_limit(folder: Path) -> None:
    equity = [
        {"time": "2022-06-15T10:00:00+05:30", "realised": "0", "open": "500", "equity": "500"},
        {"time": "2022-06-15T10:01:00+05:30", "realised": "0", "open": "-1000", "equity": "-1000"},
    ]
    text = edited(folder, equity=equity).risk_use().text
    assert "20.0 % of ₹5,000.00" in text
    assert "-₹1,500.00" in text  # the fall from the high
    assert "2 of 10" in text


def test_limits_that_are_not_exported_are_not_guessed(folder: Path) -> None:
    text = edited(folder, facts={}).risk_use().text
    assert "the export does not name the limit" in text
    assert "2 of unknown" in text


def test_each_alert_has_its_fate(folder: Path) -> None:
    text = Day.read(folder).alerts().text
    assert "entered: 2" in text
    assert "bought 1 lot" in text


def test_an_empty_day_says_so(tmp_path: Path) -> None:
    day = Day.read(export_day(tmp_path, [opened()], charges=charge_table()).folder)
    assert "No trades." in day.trades().text
    assert "nothing was held" in day.equity().text
    assert "No fills." in day.slippage().text
    assert "No alerts and no signals." in day.alerts().text
    assert day.net == 0


def test_text_of_others_cannot_become_markup(folder: Path) -> None:
    decisions = json.loads((folder / "day.json").read_text(encoding="utf-8"))["decisions"]
    decisions[0]["reason"] = "<script>alert(1)</script>"
    text = edited(folder, decisions=decisions).alerts().text
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_missing_or_broken_export_is_refused_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="workbench report daily"):
        Day.read(tmp_path / "nowhere")
    with pytest.raises(CorruptData, match="version 99"):
        edited(folder, schema=99)
    (folder / "day.json").write_text('{"schema": 1, "day"', encoding="utf-8")
    with pytest.raises(CorruptData, match="export the day again"):
        Day.read(folder)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "₹0.00"),
        ("-5.5", "-₹5.50"),
        ("1234567.891", "₹12,34,567.89"),
        ("100000", "₹1,00,000.00"),
        ("999", "₹999.00"),
    ],
)
def test_rupees_are_grouped_the_indian_way(amount: str, text: str) -> None:
    assert rupees(Decimal(amount)) == text


def test_the_curve_passes_through_its_points_and_draws_the_limit_when_near(folder: Path) -> None:
    day = Day.read(folder)
    assert day.equity().text.count("<circle") == 2
    assert 'class="limit"' not in day.equity().text
    moment = opened().now
    deep = equity_curve([(moment, Decimal(0)), (moment.replace(hour=12), Decimal(-4000))], limit=Decimal(5000))
    assert 'class="limit"' in deep.text
    assert "12:00" in deep.text
