"""Deployments that only alerts drive, and plans of every kind on their way to one."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.bootstrap import commands
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.desk import Desk
from workbench.cli import main
from workbench.config import StrategySection
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput, UnknownName
from workbench.core.leg_rules import LegRight
from workbench.core.plan import (
    NAMED_PLANS,
    Combined,
    Distance,
    Exits,
    Hedge,
    Leg,
    Plan,
    ProtectionRule,
    plan_from_mapping,
)
from workbench.core.plan_checks import without_stop
from workbench.core.signal import Side
from workbench.research.promote import write_manifest

STOP = Exits(stop=Distance(percent=Decimal(30)))
SUPER = """contract: option
protection: super_order
exits: {stop: 30%, target: 60%}
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("plan", [name for name in sorted(NAMED_PLANS) if NAMED_PLANS[name].exits.stop is not None])
def test_each_named_plan_with_stops_becomes_a_deployment_of_alerts_that_reads_back(data: Path, plan: str) -> None:
    made = Desk(data).promote_alerts("MINE", symbol="nifty", plan=plan)
    assert promoted.load(data, "MINE") == made
    assert (made.strategy, made.symbol, made.plan.name) == (None, "NIFTY", plan)
    assert made.webhook_link.startswith("mine-")


@pytest.mark.parametrize("plan", ["straddle", "strangle", "credit_spread", "hedged_sell"])
def test_plans_of_several_legs_are_promoted_by_their_legs_stops(data: Path, plan: str) -> None:
    assert without_stop(NAMED_PLANS[plan]) == ""
    assert Desk(data).promote_alerts("LEGS", symbol="NIFTY", plan=plan).plan == NAMED_PLANS[plan]


def test_a_plan_file_with_a_super_order_is_deployed_by_the_command(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "sup.yaml").write_text(SUPER, encoding="utf-8")
    assert main(["promote", "SUP", "--alerts", "--plan", str(data / "sup.yaml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["strategy"], told["plan"]["protection"]) == ("alerts", "super_order")
    assert promoted.load(data, "SUP").plan.protection is ProtectionRule.SUPER_ORDER


def test_promoting_again_keeps_the_address_and_the_key(data: Path) -> None:
    desk = Desk(data)
    first = desk.promote_alerts("MINE", symbol="NIFTY", plan="scalp_atm")
    promoted.save(data, replace(first, key_sha256="a" * 64))
    again = desk.promote_alerts("MINE", symbol="NIFTY", plan="atm_option", account="paper")
    assert (again.webhook_link, again.key_sha256, again.account) == (first.webhook_link, "a" * 64, "paper")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(name="bare"), "options without a stop: give exits.stop"),
        (Plan(name="bought", legs=(Leg(right=LegRight.CE), Leg(right=LegRight.PE))), "the leg at ATM has no stop"),
    ],
    ids=lambda each: each.name if isinstance(each, Plan) else "",
)
def test_options_that_nothing_bounds_are_refused_in_words(data: Path, plan: Plan, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Desk(data).promote_alerts("MINE", symbol="NIFTY", plan=plan)
    assert promoted.load_all(data) == ()


def test_a_combined_stop_or_a_sold_leg_that_has_its_own_bounds_what_was_bought() -> None:
    pair = (Leg(right=LegRight.CE), Leg(right=LegRight.PE))
    together = Combined(stop=Distance(percent=Decimal(25)))
    hedged = Plan(name="h", side=Side.SELL, strike="OTM1", exits=STOP, hedge=Hedge(premium_ratio=Decimal("0.3")))
    assert without_stop(Plan(name="all", legs=pair, combined=together)) == ""
    assert without_stop(Plan(name="own", legs=tuple(replace(each, exits=STOP) for each in pair))) == ""
    assert without_stop(hedged) == ""


def test_what_could_not_trade_is_refused_with_the_way_out(data: Path) -> None:
    desk = Desk(data)
    with pytest.raises(UnknownName, match="did you mean 'NIFTY'"):
        desk.promote_alerts("MINE", symbol="NIFTI", plan="scalp_atm")
    with pytest.raises(BadInput, match="--new-key --account live"):
        desk.promote_alerts("MINE", symbol="NIFTY", plan="scalp_atm", account="live")
    with pytest.raises(BadInput, match="1 to 40 letters"):
        desk.promote_alerts("not a name", symbol="NIFTY", plan="scalp_atm")
    with pytest.raises(BadInput, match="nobody can buy"):
        desk.promote_alerts("MINE", symbol="NIFTY", plan="index_bracket", account="paper")
    made = desk.promote_alerts("MINE", symbol="NIFTY", plan="scalp_atm")
    promoted.save(data, replace(made, strategy="ema_cross"))
    with pytest.raises(BadInput, match="deployment of strategy ema_cross"):
        desk.promote_alerts("MINE", symbol="NIFTY", plan="scalp_atm")


def test_the_parameters_of_a_strategy_do_not_belong_to_alerts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "MINE", "--alerts", "--set", "fast=9"]) != 0
    assert "--alerts has no strategy" in capsys.readouterr().err


def test_a_super_order_of_a_strategy_is_studied_as_the_two_orders_that_a_replay_can_rest() -> None:
    from tests.unit.research.test_results import study
    from workbench.research.checks import playable

    super_order = plan_from_mapping({"protection": "super_order", "exits": {"stop": "30%", "target": "60%"}})
    wished = study(super_order)
    assert playable(wished).plan == replace(super_order, protection=ProtectionRule.STOP_AND_TARGET)
    assert playable(study()) == study()


def test_what_is_replayed_under_the_shipped_deployments_plan_is_what_trades_under_it(data: Path) -> None:
    promoted.ensure_practice(data, StrategySection())
    shipped = promoted.load(data, "EMA_CROSS_ATM")
    desk = Desk(data)
    studied = desk.study(desk.strategy("ema_cross"), plan=shipped.plan.name)
    assert (shipped.plan.name, studied.plan) == ("EMA_CROSS_ATM", shipped.plan)
    assert studied.plan != NAMED_PLANS["atm_option"]


def test_a_stored_plan_with_other_exits_than_its_name_says_goes_by_its_deployments(data: Path) -> None:
    changed = replace(NAMED_PLANS["atm_option"], exits=STOP)
    made = Desk(data).promote_alerts("OLDER", symbol="NIFTY", plan=changed)
    assert made.plan.name == "atm_option"
    assert promoted.load(data, "OLDER").plan == replace(changed, name="OLDER")


def test_a_plan_file_may_not_call_itself_as_a_shipped_plan_does(data: Path) -> None:
    file = data / "atm_option.yaml"
    file.write_text("contract: option\nexits: {stop: 30%}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="'atm_option' comes with the workbench and is another; give yours a name"):
        promoted.read_plan(str(file), data)
    with pytest.raises(UnknownName, match="did you mean 'atm_option'"):
        promoted.read_plan("atm_optio", data)


def test_promote_says_which_checks_have_not_passed(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def promote(desk: Desk, name: str, *_: object, **__: object) -> Deployment:
        checks = [
            {"name": "causal", "weight": "must", "passed": True, "detail": "20000 bars of 5m"},
            {"name": "costs", "weight": "should", "passed": False, "detail": "60% of gross profits go to charges"},
        ]
        write_manifest(data, {"format": 1, "name": name, "checks": checks})
        return desk.promote_alerts(name, symbol="NIFTY", plan="scalp_atm")

    monkeypatch.setattr(Desk, "promote", promote)
    assert main(["promote", "FIRST", "--strategy", "ema_cross", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checks_not_passed"] == ["costs: 60% of gross profits go to charges"]


def test_a_test_alert_to_a_deployment_of_another_account_names_both(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Engine:
        def get(self, path: str) -> object:
            assert path == "/health", "nothing is sent"
            return {"mode": "paper", "now": "2026-09-28T10:00:00+05:30"}

    monkeypatch.setattr(commands, "_client", Engine)
    Desk(data).promote_alerts("MINE", symbol="NIFTY", plan="scalp_atm")
    assert main(["alert", "test", "MINE"]) == 2
    assert "MINE is on account practice, this engine trades paper" in capsys.readouterr().err
