"""The days with several legs of the proof: which seeds, what a plan asks for, how a loss at expiry is bounded."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from workbench.core.exit_rules import Exits
from workbench.core.instrument import Right
from workbench.core.messages import PlannedLeg
from workbench.core.plan import NAMED_PLANS
from workbench.core.risk import GATES
from workbench.core.signal import Direction, Side
from workbench.testing.proof.market import option
from workbench.testing.proof.scenario import scenario_of
from workbench.testing.proof.structure_day import LegsDay
from workbench.testing.proof.structure_gates import LEGS_RULES, at_expiry
from workbench.testing.proof.structure_plans import LEGS, has_legs, wanted_legs


def leg(side: Side, strike: int, right: Right, price: str) -> PlannedLeg:
    return PlannedLeg(
        position_id=f"P{strike}",
        instrument=option(strike, right),
        side=side,
        quantity=50,
        exits=Exits(),
        price=Decimal(price),
    )


def test_a_share_of_the_seeds_trades_legs_on_days_and_on_nights() -> None:
    chosen = [seed for seed in range(160) if has_legs(seed)]
    assert 40 <= len(chosen) <= 60
    assert {scenario_of(seed).is_night for seed in chosen} == {True, False}
    for seed in range(32):
        names = [each.name for each in scenario_of(seed).deployments]
        assert (LEGS in names) is has_legs(seed)


def test_every_gate_has_its_rule_for_legs() -> None:
    assert set(LEGS_RULES) == set(GATES)


def test_what_a_plan_asks_for_follows_the_signal() -> None:
    bullish = wanted_legs(NAMED_PLANS["credit_spread"], Direction.LONG)
    bearish = wanted_legs(NAMED_PLANS["credit_spread"], Direction.SHORT)
    assert {each.right for each in bullish} == {"PE"}
    assert {each.right for each in bearish} == {"CE"}
    hedged = wanted_legs(NAMED_PLANS["hedged_sell"], Direction.SHORT)
    assert [(each.side, each.right, each.strike) for each in hedged] == [
        (Side.SELL, "CE", "OTM1"),
        (Side.BUY, "CE", "hedge"),
    ]


@pytest.mark.parametrize(
    ("legs", "loss"),
    [
        ([leg(Side.SELL, 15700, Right.CE, "100")], None),
        ([leg(Side.SELL, 15700, Right.CE, "100"), leg(Side.BUY, 15800, Right.CE, "40")], "2000"),
        ([leg(Side.BUY, 15700, Right.CE, "100")], "5000"),
    ],
)
def test_the_loss_at_expiry_is_bounded_by_the_strikes(legs: list[PlannedLeg], loss: str | None) -> None:
    assert at_expiry(legs) == (None if loss is None else Decimal(loss))


def test_a_day_with_legs_enters_them_and_leaves_them() -> None:
    day = LegsDay(scenario_of(13))
    asyncio.run(day.run())
    assert day.judge.whole > 0
    assert all(each.closed is not None for each in day.judge.known.values() if each.was_whole)
    assert not any(day.venue.held(each) for each in day.venue.position_ids())
