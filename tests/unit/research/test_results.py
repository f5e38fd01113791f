"""Figures, parity and its witnesses, promotion: what is said about trades that are given."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, CorruptData, UnknownName
from workbench.core.plan import NAMED_PLANS, Exits, Plan, index_as_future
from workbench.core.session import IST
from workbench.core.signal import Side
from workbench.research.checks import Check, CheckReport, Weight, plan_checks
from workbench.research.market import Study
from workbench.research.parity import SlippageWitness, compare, decisions_of
from workbench.research.promote import Promotion, read_manifest, refuse_promotion, write_manifest
from workbench.research.statistics import drawdown, statistics
from workbench.research.trades import StudyResult, Trade
from workbench.strategies import registry

MORNING = datetime(2022, 6, 15, 9, 30, tzinfo=IST)
DAYS = (date(2022, 6, 14), date(2022, 6, 15))


def trade(gross: str, *, minute: int = 0, charges: str = "50", reason: str = "signal", price: str = "15700") -> Trade:
    start = MORNING + timedelta(minutes=minute)
    return Trade(
        entry_time=start,
        exit_time=start + timedelta(minutes=10),
        side=Side.BUY,
        quantity=50,
        entry_price=Decimal(price),
        exit_price=Decimal(price) + Decimal(gross) / 50,
        gross=Decimal(gross),
        charges=Decimal(charges),
        pnl=Decimal(gross) - Decimal(charges),
        exit_reason=reason,
        instrument="NSE_FNO:NIFTY:index_as_future",
    )


def study(plan: Plan | None = None) -> Study:
    strategy = registry.build("ema_cross")
    return Study(strategy=strategy, symbol="NIFTY", interval=Interval.parse("5m"), plan=plan or index_as_future())


def result(of: Study, *trades: Trade) -> StudyResult:
    return StudyResult(
        source="backtest",
        study=of,
        trades=trades,
        stats=statistics(trades, DAYS, 750),
        bars=150,
        minutes=750,
        days=DAYS,
        elapsed_s=0.1,
    )


def report(of: Study, *checks: Check) -> CheckReport:
    return CheckReport(checks=checks, result=result(of, trade("100")))


def wish(of: Study, account: str = "practice", name: str = "first") -> Promotion:
    return Promotion(name=name, study=of, account=account, created_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_figures_are_after_charges_and_add_up() -> None:
    found = statistics([trade("1000"), trade("-400", minute=20, reason="stop"), trade("40", minute=40)], DAYS, 750)
    assert (found["net"], found["gross"], found["charges"]) == (490.0, 640.0, 150.0)
    assert found["win_rate"] == pytest.approx(1 / 3)
    assert found["profit_factor"] == pytest.approx(950 / 460)
    assert found["max_drawdown"] == 460.0
    assert found["exposure"] == pytest.approx(30 / 750)
    assert found["by_exit_reason"] == {"signal": {"trades": 2, "net": 940.0}, "stop": {"trades": 1, "net": -450.0}}
    assert found["sharpe"] is not None


def test_figures_of_nothing_are_empty_and_not_zero_divided() -> None:
    found = statistics([], DAYS, 750)
    assert (found["trades"], found["net"], found["win_rate"], found["sharpe"]) == (0, 0.0, None, None)


def test_a_drawdown_is_measured_from_the_highest_point_and_from_the_start() -> None:
    assert drawdown([Decimal(-5), Decimal(3), Decimal(-4), Decimal(20), Decimal(-1)]) == Decimal(6)


def test_equal_records_have_no_difference_and_every_trade_is_two_decisions() -> None:
    decisions = decisions_of([trade("10"), trade("20", minute=30)])
    assert len(decisions) == 4
    assert compare(decisions, decisions) == ()


def test_one_paisa_is_a_difference_and_without_a_witness_it_is_unexplained() -> None:
    (found,) = compare(decisions_of([trade("10")]), decisions_of([trade("10", charges="50.01")]))
    assert (found.differs, found.cause) == (("charges", "pnl"), "unexplained")


def test_slippage_explains_a_price_and_nothing_else() -> None:
    witness = SlippageWitness()
    left = decisions_of([trade("100")])
    slipped = decisions_of([trade("90")])
    missing = compare(left, (), [witness])
    later = compare(left, decisions_of([replace(trade("90"), exit_time=MORNING + timedelta(minutes=11))]), [witness])
    larger = compare(left, decisions_of([replace(trade("90"), quantity=75)]), [witness])
    assert [each.cause for each in compare(left, slipped, [witness])] == ["slippage"]
    assert {each.cause for each in missing} == {"unexplained"}
    assert [each.differs for each in missing] == [("missing",), ("missing",)]
    assert {each.cause for each in later} == {"unexplained"}
    assert {each.cause for each in larger} == {"unexplained"}


def test_a_failed_must_stops_promotion_and_a_failed_should_stops_live_only() -> None:
    plan = NAMED_PLANS["atm_option"]
    must = Check(name="causal", weight=Weight.MUST, passed=False, detail="it looks ahead")
    should = Check(name="costs", weight=Weight.SHOULD, passed=False, detail="60 % go to charges")
    with pytest.raises(BadInput, match="looks ahead"):
        refuse_promotion(wish(study(plan)), report(study(plan), must))
    refuse_promotion(wish(study(plan), "paper"), report(study(plan), should))
    with pytest.raises(BadInput, match="60 % go to charges"):
        refuse_promotion(wish(study(plan), "live"), report(study(plan), should))


def test_an_index_as_future_goes_no_further_than_practice() -> None:
    refuse_promotion(wish(study()), report(study()))
    with pytest.raises(BadInput, match="nobody can buy"):
        refuse_promotion(wish(study(), "paper"), report(study()))


def test_an_option_plan_without_a_stop_is_not_promoted() -> None:
    bare = replace(NAMED_PLANS["atm_option"], exits=Exits())
    assert [each.passed for each in plan_checks(bare)] == [False]
    with pytest.raises(BadInput, match=r"exits\.stop"):
        refuse_promotion(wish(study(bare)), report(study(bare)))


def test_checks_of_another_study_are_not_taken() -> None:
    with pytest.raises(BadInput, match="another study"):
        refuse_promotion(wish(study()), report(study(NAMED_PLANS["atm_option"])))


@pytest.mark.parametrize("name", ["", "a b", "../up", "x" * 41])
def test_a_name_that_no_alert_could_carry_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="deployment name"):
        refuse_promotion(wish(study(), name=name), report(study()))


def test_a_manifest_reads_back_and_a_torn_one_is_named(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, {"format": 1, "name": "first", "strategy": "ema_cross"})
    assert read_manifest(tmp_path, "first")["strategy"] == "ema_cross"
    with pytest.raises(UnknownName, match="did you mean 'first'"):
        read_manifest(tmp_path, "frist")
    path.write_text(path.read_text(encoding="utf-8")[:20], encoding="utf-8")
    with pytest.raises(CorruptData, match="promote first again"):
        read_manifest(tmp_path, "first")


def test_a_result_is_json_and_says_that_its_instrument_is_synthetic() -> None:
    body = json.loads(json.dumps(result(study(), trade("100")).to_dict()))
    assert body["synthetic_instrument"] is True
    assert body["trades"][0]["entry_time"] == "2022-06-15T09:30:00+05:30"
    assert set(body["trades"][0]) >= {
        "entry_time", "exit_time", "side", "quantity", "entry_price", "exit_price", "charges", "pnl", "exit_reason",
    }  # fmt: skip


def test_a_study_refuses_an_empty_range_and_bars_below_a_minute() -> None:
    with pytest.raises(BadInput, match="empty"):
        replace(study(), start=date(2022, 1, 2), end=date(2022, 1, 1))
    with pytest.raises(BadInput, match="whole minutes"):
        replace(study(), interval=Interval.parse("30s"))
