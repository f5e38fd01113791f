"""A hundred days and nights by seed: whatever broker, market, people and deaths do, the promises hold.

`WORKBENCH_SEEDS=2000` runs more; `workbench prove --seed 17 --verbose` tells one that fails in words.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from workbench.core.messages import AccountFrozen, DayOpened, DecisionMade, ExitBegan, FilledByHand
from workbench.testing.proof.cut_off_day import Cut, CutOffDay
from workbench.testing.proof.day import Day
from workbench.testing.proof.late_night import LateNight
from workbench.testing.proof.market import SECOND_DAY
from workbench.testing.proof.night import Night
from workbench.testing.proof.run import day_of, run_seed
from workbench.testing.proof.scenario import DEATH_STAGES, scenario_of
from workbench.testing.proof.slept_night import SleptNight

SEEDS = int(os.environ.get("WORKBENCH_SEEDS", "100"))
CHUNK = 10
# fmt: off
KEPT = (
    112, 533, 658, 659, 662, 684, 1097, 1268, 1336, 1661, 1670, 1786, 1982, 2110, 2452, 2631, 3107, 3535, 3628, 3659,
    4178, 4672, 4732, 4842, 5175, 5424, 5545, 6647, 6761, 6941, 7662, 7695, 7729, 8352, 9326, 10358,
)
"""Seeds whose day once broke a promise."""
# fmt: on


def ran(seed: int) -> Day:
    """Give a day after it has run."""
    day = day_of(scenario_of(seed))
    asyncio.run(day.run())
    return day


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_happens_the_promises_hold(first: int) -> None:
    results = [run_seed(seed) for seed in range(first, min(first + CHUNK, SEEDS))]
    assert [(each.seed, each.failure) for each in results if each.failure] == []
    assert sum(each.lost + each.doubled + each.unprotected for each in results) == 0


@pytest.mark.parametrize("seed", KEPT)
def test_days_that_once_broke_a_promise_keep_it(seed: int) -> None:
    assert run_seed(seed).failure == ""


def test_the_days_are_not_idle() -> None:
    days = [ran(seed) for seed in range(1000, 1026)]
    events = [event for day in days for entry in day.disk.read() for event in entry.events]
    exits = Counter(event.reason for event in events if isinstance(event, ExitBegan))
    assert {"stop", "target", "alert", "opposite", "manual", "session_end"} <= exits.keys()
    gates = Counter(event.gate for event in events if isinstance(event, DecisionMade) and event.gate)
    assert len(gates) >= 12
    assert sum(day.measures.orders for day in days) > 200
    assert sum(day.measures.restarts for day in days) >= 5


def test_the_nights_are_not_idle() -> None:
    nights = [night for seed in range(1003, 1103, 4) if isinstance(night := ran(seed), Night)]
    assert sum(night.carried for night in nights) >= 5
    assert sum(night.gapped for night in nights) >= 1
    assert sum(night.expired for night in nights) >= 1


def test_r22_on_some_mornings_the_engine_starts_late_and_finds_that_the_broker_has_left_what_it_held() -> None:
    nights = [night for seed in (15, 147) if isinstance(night := ran(seed), LateNight)]
    assert all(night.squared_off for night in nights)
    frozen = [event for night in nights for each in night.disk.read() for event in each.events]
    assert sum(isinstance(event, AccountFrozen) for event in frozen) >= len(nights) == 2


def test_r22_on_some_mornings_the_computer_slept_over_the_open_of_a_day_that_was_opened_or_is_late() -> None:
    nights = [night for seed in (19, 35, 803, 819) if isinstance(night := ran(seed), SleptNight)]
    assert len(nights) == 4
    assert sum(bool(night.squared_off) for night in nights) >= 2
    events = [event for night in nights for each in night.disk.read() for event in each.events]
    opened = [event.day for event in events if isinstance(event, DayOpened)]
    assert opened.count(SECOND_DAY) == len(nights)


def test_r22_where_the_line_is_cut_while_the_broker_squares_off_nothing_is_sold_again_and_the_rest_is_left() -> None:
    days = [day for seed in (18, 22, 200, 210, 726, 806) if isinstance(day := ran(seed), CutOffDay)]
    assert {day.how for day in days} == set(Cut)
    assert {day.is_late for day in days} == {True, False}
    assert sum(bool(day.squared_off) for day in days) == 5
    assert [bool(day.left_over) for day in days] == [False, False, True, False, False, False]
    for day in days:
        told = {
            event.position_id: event.price
            for each in day.disk.read()
            for event in each.events
            if isinstance(event, FilledByHand)
        }
        assert told == {position_id: order.last_price for position_id, order in day.squared_off.items()}
        for position_id, his in day.squared_off.items():
            assert not [each for each in day.venue.of(position_id) if each.since > his.since], day.scenario.seed
        assert not any(map(day.venue.held, day.left_over))


def test_a_seed_is_the_same_day_each_time() -> None:
    one, other = ran(10), ran(10)
    assert one.disk.entries == other.disk.entries
    assert one.notices.texts == other.notices.texts


def test_p1_the_process_dies_before_and_after_each_step_around_the_disk() -> None:
    stages = Counter(death.stage for seed in range(SEEDS) for death in scenario_of(seed).deaths)
    assert set(stages) == set(DEATH_STAGES)
