"""The judge of the day's loss goes by prices as they are told: each as it was a second before."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import pytest

from workbench.core.bars import Quote
from workbench.core.messages import PositionPlanned
from workbench.core.order import Product
from workbench.core.signal import Direction, Side
from workbench.testing.proof.belief import LATCHED_WITHIN_S, Belief
from workbench.testing.proof.day import Day
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.gatekeeper import Gatekeeper, Held
from workbench.testing.proof.market import CALL, TICK, at
from workbench.testing.proof.oracle import BrokenPromise
from workbench.testing.proof.scenario import scenario_of
from workbench.testing.proof.venue import Venue

NOW = at("10:14:00")
NAME = "P220615-1"


def judged(seconds: int, *, age_s: int = 1) -> None:
    """Judge so many seconds in which a position has lost more than the day may."""
    venue, day = Venue(random.Random(1), Faults(), NOW, NOW), Day(scenario_of(0))
    judge = Belief(venue, Gatekeeper(day.config))
    plan = PositionPlanned(
        position_id=NAME,
        deployment=day.config.deployments[0].name,
        direction=Direction.LONG,
        side=Side.BUY,
        instrument=CALL,
        quantity=50,
        product=Product.INTRADAY,
        exits=day.config.deployments[0].plan.exits,
        reference_price=Decimal(100),
        underlying_price=Decimal(15700),
        subject="n1",
        at=NOW,
    )
    paid = day.config.limits.max_daily_loss + 5_000
    judge.keeper.told.held[NAME] = Held(plan, units=50, flow=-paid)
    price = Decimal(100)
    for _ in range(seconds):
        venue.now += timedelta(seconds=1)
        judge.saw(Quote(CALL.key, venue.now - timedelta(seconds=age_s), price, price, price + TICK))
        judge._loss_is_latched()


def test_i7_a_loss_at_its_limit_is_latched_in_time() -> None:
    judged(LATCHED_WITHIN_S)
    with pytest.raises(BrokenPromise, match=r"I7: the day's loss is Rs .* and entries go on"):
        judged(LATCHED_WITHIN_S + 1)


def test_i7_a_price_of_long_ago_says_nothing_of_a_loss() -> None:
    judged(60, age_s=2)
