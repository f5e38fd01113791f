"""Days by seed whose entries go as super orders, judged as a stranger would."""

from __future__ import annotations

import asyncio

import pytest

from workbench.core.messages import OrderMoved
from workbench.core.order import OrderState, SuperLegName
from workbench.testing.proof.run import run_seed
from workbench.testing.proof.scenario import scenario_of
from workbench.testing.proof.super_day import SupersDay
from workbench.testing.proof.super_weather import EACH, FIRST, PLACE, is_super, with_supers

BOTH_SELL = 718
"""A day on which two orders sell one position, and what is too much is bought back."""


@pytest.mark.parametrize(
    "seed", [46, 78, 110, 238, 270, BOTH_SELL, 1006, 1070, 1262, 1454, 1486, 1838, 2030, 3214, 7662]
)
def test_every_promise_is_kept(seed: int) -> None:
    assert is_super(with_supers(scenario_of(seed)))
    assert run_seed(seed).failure == ""


def test_r15_a_day_on_which_two_orders_sell_ends_flat() -> None:
    day = SupersDay(with_supers(scenario_of(BOTH_SELL)))
    asyncio.run(day.run())
    venue = day.super_venue
    assert any(venue.left(name).bought_back for name in venue.position_ids())
    assert all(venue.held(name) == 0 for name in venue.position_ids())
    assert any("have both filled" in text for text in day.notices.texts)


def test_the_days_are_not_idle() -> None:
    days = [SupersDay(with_supers(scenario_of(seed))) for seed in range(46, 46 + 12 * EACH, EACH)]
    for day in days:
        asyncio.run(day.run())
    legs = [leg for day in days for each in day.super_venue.supers.values() for leg in each.legs.values()]
    assert len(legs) > 40
    assert {leg.ticket.purpose.value for leg in legs if leg.filled} == {name.value for name in SuperLegName} - {"entry"}
    events = [event for day in days for entry in day.disk.read() for event in entry.events]
    assert any(isinstance(each, OrderMoved) and each.state is OrderState.ABANDONED for each in events)


def test_all_other_seeds_are_as_they_were() -> None:
    for seed in range(100):
        scenario = scenario_of(seed)
        assert (with_supers(scenario) is scenario) is (seed < FIRST or seed % EACH != PLACE)
