"""The switch of one deployment: its own entries stop, exits and other deployments go on, and a person turns it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.core.builders import LIMITS, PUT, SCALP, Stand, at, option, scalp
from tests.unit.core.legs_stand import LegsStand
from tests.unit.core.test_structures import SPREAD
from workbench.core.messages import AlertAction, DayBegan, Operator, OperatorOrdered
from workbench.core.position import PositionState

A = AlertAction


def two() -> Stand:
    """Give a stand with two deployments, the first halted by a person."""
    stand = Stand(scalp(), scalp("OTHER"))
    stand.tell(OperatorOrdered(command=Operator.HALT, target=SCALP, reason="lunch"))
    return stand


def test_a_halted_deployment_enters_nothing_and_the_others_do() -> None:
    stand = two()
    stand.alert(A.BULLISH, "mine")
    stand.alert(A.BULLISH, "theirs", deployment="OTHER")
    assert (stand.fates("mine"), stand.fates("theirs")) == (["denied"], ["entered"])
    denied = next(each for each in stand.book.decisions if each.subject == "mine")
    assert (denied.gate, denied.reason) == ("trading_switch", f"entries of {SCALP} are halted: lunch")
    assert stand.book.halted is False


def test_its_exits_go_on_and_only_its_own_resume_allows_entries_again() -> None:
    stand = Stand(scalp(), scalp("OTHER"))
    stand.protected()
    stand.tell(OperatorOrdered(command=Operator.HALT, target=SCALP))
    stand.tell(OperatorOrdered(command=Operator.RESUME, target="OTHER"))
    stand.tell(OperatorOrdered(command=Operator.RESUME))
    stand.alert(A.BEARISH, "turn")
    stand.update(stand.ticket("S"), 50, 119)
    stand.wait(1)
    assert (stand.fates("turn"), stand.position.state) == (["exited"], PositionState.CLOSED)
    stand.alert(A.BEARISH, "late")
    assert stand.fates("late") == ["denied"]
    stand.tell(OperatorOrdered(command=Operator.RESUME, target=SCALP))
    stand.alert(A.BEARISH, "again")
    assert stand.fates("again") == ["entered"]
    assert [each.instrument for each in stand.tickets("E")][-1] == PUT


def test_what_waits_of_it_is_given_up_and_what_waits_of_others_is_not() -> None:
    stand = Stand(scalp(), scalp("OTHER"))
    stand.spot(Decimal(15910))
    stand.alert(A.BULLISH, "mine")
    stand.alert(A.BULLISH, "theirs", deployment="OTHER")
    stand.tell(OperatorOrdered(command=Operator.HALT, target=SCALP))
    stand.price(option(15900), 80)
    assert (stand.fates("mine"), stand.fates("theirs")) == (["denied"], ["entered"])


def test_r19_the_rest_of_a_sliced_entry_is_not_sent() -> None:
    rich = replace(LIMITS, capital=Decimal(100_000_000), max_daily_loss=Decimal(10_000_000))
    stand = Stand(scalp(lots=72), limits=rich)
    stand.alert(A.BULLISH, "a")
    entry = stand.ticket("E")
    stand.tell(OperatorOrdered(command=Operator.HALT, target=SCALP))
    stand.answer(entry)
    assert len(stand.tickets("E")) == 1
    assert f"entries of {SCALP} are halted" in stand.book.decisions[-1].reason


def test_r19_the_sold_legs_are_not_sold_and_the_cover_is_sold_again() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    stand.tell(OperatorOrdered(command=Operator.HALT, target=stand.structure.plan.deployment))
    stand.fill(stand.ticket("E"))
    assert stand.structure.left_for == "leg_failed"
    assert len(stand.tickets("E")) == 1


def test_r25_it_outlives_a_death_and_the_night() -> None:
    stand = two()
    assert stand.reborn() == stand.book
    stand.now = at("09:20:00", stand.now.date().replace(day=16))
    stand.tell(DayBegan(day=stand.now.date()))
    assert set(stand.book.switched_off) == {SCALP}
    assert stand.reborn() == stand.book
    stand.alert(A.BULLISH, "mine")
    assert stand.fates("mine") == ["denied"]


@pytest.mark.parametrize("command", [Operator.HALT, Operator.RESUME])
def test_the_accounts_own_switch_leaves_it_as_it_is(command: Operator) -> None:
    stand = two()
    stand.tell(OperatorOrdered(command=command))
    assert set(stand.book.switched_off) == {SCALP}
