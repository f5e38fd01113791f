"""Plans of several legs as text: what they mean, what is refused, and that they come back as they went."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import option
from workbench.core.errors import BadInput, WorkbenchError
from workbench.core.exit_rules import Exits
from workbench.core.instrument import Right
from workbench.core.leg_rules import DISASTER_STOP_SOLD, LegRight, StrikeKind, read_strike
from workbench.core.messages import PlannedLeg
from workbench.core.plan import NAMED_PLANS, Plan, plan_from_mapping, plan_to_mapping
from workbench.core.signal import Direction, Side
from workbench.core.structure import payoff

SELL_CE = {"side": "sell", "right": "CE", "exits": {"stop": "40%"}}


@pytest.mark.parametrize("name", sorted(NAMED_PLANS))
def test_named_plans_come_back_as_they_went(name: str) -> None:
    assert plan_from_mapping(plan_to_mapping(NAMED_PLANS[name])) == NAMED_PLANS[name]


def test_a_plan_of_one_contract_says_nothing_of_legs() -> None:
    body = plan_to_mapping(NAMED_PLANS["atm_option"])
    assert not {"legs", "combined", "hedge"} & body.keys()
    assert not NAMED_PLANS["atm_option"].is_structure


def test_bought_legs_come_first_and_a_covered_sold_one_gets_its_disaster_stop() -> None:
    plan = plan_from_mapping(
        {"legs": [{"side": "sell", "right": "CE"}, {"side": "buy", "right": "CE", "strike": "OTM3"}]}
    )
    assert [leg.side for leg in plan.legs] == [Side.BUY, Side.SELL]
    assert plan.legs[1].exits.stop == DISASTER_STOP_SOLD


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"legs": [SELL_CE] * 5}, "one to 4 legs"),
        ({"legs": [{"side": "sell", "right": "CE"}]}, "needs exits.stop"),
        ({"side": "SELL"}, "needs exits.stop"),
        ({"legs": [{"contract": "future"}]}, "options as legs"),
        ({"legs": [{"rihgt": "CE"}]}, "rihgt"),
        ({"legs": [{"lots": 0}]}, "1 lot or more"),
        ({"legs": [SELL_CE], "contract": "future"}, "are for options"),
        ({"side": "SELL", "exits": {"stop": 9}, "risk_share_pct": 1}, "take lots"),
        ({"legs": [SELL_CE], "overnight": "keep", "product": "MARGIN"}, "square_off"),
        ({"legs": [SELL_CE], "pyramiding": 1}, "nothing is added"),
        ({"legs": [SELL_CE], "hedge": {"premium_ratio": 0.3}}, "one sold option"),
        ({"hedge": {"premium_ratio": 0.3}}, "needs side SELL"),
        ({"side": "SELL", "hedge": {"premium_ratio": 3}}, "between 0 and 1"),
        ({"legs": [SELL_CE], "strike": "OTM1"}, "stand in each leg"),
        ({"legs": [{**SELL_CE, "strike": "hedge"}]}, "premium_ratio"),
        ({"legs": [{**SELL_CE, "strike": "premium_near x"}]}, "not understood"),
        ({"legs": [{**SELL_CE, "right": "view"}, {"right": "CE"}]}, "all by the signal"),
        ({"legs": [SELL_CE, {"right": "CE", "strike": "OTM2", "exits": {"stop": 5}}]}, "leaves after it"),
        ({"legs": [SELL_CE], "combined": {"stop": {"atr": {"factor": 1}}}}, "not in ATR"),
        ({"legs": [SELL_CE], "combined": {"lock": {"keep": "100%"}}}, "between 0 and 100"),
        ({"legs": [{**SELL_CE, "exits": {"stop": 5, "scale_out": [{"lots": 1, "at": 5}]}}]}, "leaves as a whole"),
        ({"contract": "future", "strike": "premium_near 100"}, "none of a plan of future"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_when_it_is_read(body: dict[str, Any], words: str) -> None:
    with pytest.raises(WorkbenchError, match=words):
        plan_from_mapping(body)


def test_strike_rules_read() -> None:
    assert (read_strike("otm3").kind, read_strike("otm3").value) == (StrikeKind.STEPS, Decimal(-3))
    assert read_strike("premium_near 100").needs_chain
    assert read_strike("delta_near 0.30").value == Decimal("0.30")
    assert not read_strike("given").needs_chain
    with pytest.raises(BadInput, match="delta_near"):
        read_strike("delta_near 30")


def test_types_by_the_signal() -> None:
    assert LegRight.AGAINST.of(Direction.LONG) is Right.PE
    assert LegRight.VIEW.of(Direction.SHORT) is Right.PE
    assert LegRight.CE.of(Direction.SHORT) is Right.CE


def test_a_sold_option_with_a_stop_is_a_structure_of_one_leg() -> None:
    plan = plan_from_mapping({"side": "SELL", "exits": {"stop": "50%"}})
    assert plan.is_structure
    assert [leg.side for leg in plan.carried_legs()] == [Side.SELL]


# --- payoff -------------------------------------------------------------------------------------------------------


def leg(strike: int, right: Right, side: Side, price: int, lots: int = 1) -> PlannedLeg:
    return PlannedLeg(
        position_id=f"{strike}{right}{side}",
        instrument=option(strike, right),
        side=side,
        quantity=50 * lots,
        exits=Exits(),
        price=Decimal(price),
    )


LEGS = st.lists(
    st.builds(
        leg,
        st.sampled_from(range(15000, 16401, 50)),
        st.sampled_from(list(Right)),
        st.sampled_from(list(Side)),
        st.integers(1, 400),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=4,
)


def brings(legs: list[PlannedLeg], spot: Decimal) -> Decimal:
    total = Decimal(0)
    for each in legs:
        strike = each.instrument.strike or Decimal(0)
        away = spot - strike if each.instrument.right is Right.CE else strike - spot
        total += each.side.sign * each.quantity * (max(Decimal(0), away) - each.price)
    return total


@given(LEGS, st.integers(0, 40_000))
def test_no_price_of_the_underlying_loses_more_than_the_worst_loss(legs: list[PlannedLeg], spot: int) -> None:
    found = payoff(legs)
    if found.worst_loss is not None:
        assert brings(legs, Decimal(spot)) >= -found.worst_loss
    else:
        assert brings(legs, Decimal(10_000_000)) < brings(legs, Decimal(100_000))


@given(LEGS)
def test_at_a_breakeven_nothing_is_won_or_lost(legs: list[PlannedLeg]) -> None:
    for point in payoff(legs).breakevens:
        # A breakeven is told to the paisa.
        assert abs(brings(legs, point)) <= Decimal("0.01") * sum(each.quantity for each in legs)


def test_condor_by_hand() -> None:
    legs = [
        leg(15900, Right.CE, Side.BUY, 20),
        leg(15500, Right.PE, Side.BUY, 20),
        leg(15800, Right.CE, Side.SELL, 60),
        leg(15600, Right.PE, Side.SELL, 60),
    ]
    found = payoff(legs)
    assert (found.premium, found.worst_loss) == (Decimal(4000), Decimal(1000))
    assert found.breakevens == (Decimal("15520.00"), Decimal("15880.00"))
    assert payoff(legs, without_cover=True).worst_loss is None


def test_a_plan_value_is_read_from_itself() -> None:
    plan = NAMED_PLANS["straddle"]
    assert Plan(name="again", legs=plan.legs, combined=plan.combined).legs == plan.legs


def test_the_plans_of_the_decision_page_read() -> None:
    page = (Path(__file__).parents[3] / "docs/decisions/0075-legs-and-hedge.md").read_text(encoding="utf-8")
    bodies = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    plans = [plan_from_mapping(yaml.safe_load(body)) for body in bodies]
    assert [plan.name for plan in plans if plan.is_structure] == [
        "my_straddle",
        "my_strangle",
        "my_credit_spread",
        "my_hedged_sell",
    ]
