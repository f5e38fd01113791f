"""What waits to be entered, and who may take it back: the exit that means it, a hand on its own deployment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, PUT, Stand, option, scalp
from workbench.core.instrument import Right
from workbench.core.messages import AlertAction, DecisionMade, Operator, OperatorOrdered, Subscribe

A = AlertAction


def test_a_quote_that_was_on_its_way_when_nobody_wanted_it_any_more_is_not_entered_on() -> None:
    stand = Stand()
    stray = option(15900, Right.PE)
    stand.price(stray, 95)
    stand.wait(30)
    stand.alert(A.ENTRY_GIVEN, "named", given_strike=Decimal(15900), given_right=Right.PE)
    assert Subscribe(instrument=stray) in stand.commands
    assert stand.fates("named") == []
    stand.price(stray, 96)
    assert stand.fates("named") == ["entered"]


def test_an_opposite_alert_under_halt_is_told_as_the_exit_that_it_is() -> None:
    stand = Stand()
    stand.protected(action=A.OPEN_PUT)
    stop = stand.ticket("S")
    stand.tell(OperatorOrdered(command=Operator.HALT, reason="lunch"))
    stand.alert(A.OPEN_CALL, "call")
    stand.alert(A.OPEN_CALL, "again")
    stand.change(stop)
    stand.update(stop, 50, 118)
    stand.tell(OperatorOrdered(command=Operator.RESUME))
    stand.wait(1)
    told = {each.subject: (each.fate, each.reason) for each in stand.events if isinstance(each, DecisionMade)}
    assert told["call"] == ("exited", "opposite signal; nothing is entered: entries are halted: lunch")
    assert told["again"] == ("denied", "entries are halted: lunch")
    assert len(stand.tickets("E")) == 1


@pytest.mark.parametrize("first", [A.OPEN_CALL, A.CLOSE_PUT])
def test_a_call_that_waits_and_an_exit_of_the_put_end_alike_in_either_order(first: A) -> None:
    stand = Stand()
    stand.protected(action=A.OPEN_PUT)
    stop = stand.ticket("S")
    stand.alert(first, "first")
    stand.alert(A.CLOSE_PUT if first is A.OPEN_CALL else A.OPEN_CALL, "second")
    stand.change(stop)
    stand.update(stop, 50, 118)
    stand.wait(1)
    assert [each.instrument for each in stand.tickets("E")] == [PUT, CALL]


@pytest.mark.parametrize(("exit_", "entries"), [(A.CLOSE_CALL, 1), (A.TARGET_FLAT, 1), (A.CLOSE_PUT, 2)])
def test_an_exit_takes_back_the_wish_that_it_means_and_no_other(exit_: A, entries: int) -> None:
    stand = Stand()
    stand.protected(action=A.OPEN_PUT)
    stop = stand.ticket("S")
    stand.alert(A.OPEN_CALL, "call")
    stand.alert(exit_, "exit")
    stand.change(stop)
    stand.update(stop, 50, 118)
    stand.wait(1)
    assert len(stand.tickets("E")) == entries
    assert stand.fates("call") == ["reversed", "entered" if entries == 2 else "denied"]


def test_an_exit_of_a_named_option_takes_back_the_wish_for_that_option_only() -> None:
    stand = Stand()
    named: dict[str, Any] = {"given_strike": Decimal(15900), "given_right": Right.PE}
    stand.alert(A.ENTRY_GIVEN, "it", **named)
    stand.alert(A.EXIT_GIVEN, "other", given_strike=Decimal(15800), given_right=Right.PE)
    assert stand.fates("it") == []
    stand.alert(A.EXIT_GIVEN, "same", **named)
    assert stand.fates("it") == ["denied"]


def test_closing_one_position_by_hand_takes_back_what_waits_in_its_own_deployment_alone() -> None:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    for name in ("ONE", "TWO"):
        stand.alert(A.OPEN_PUT, deployment=name)
        stand.update(stand.ticket("E"), 50, 120)
        stand.alert(A.OPEN_CALL, f"call {name}", deployment=name)
    one, _ = stand.book.positions.values()
    stand.tell(OperatorOrdered(command=Operator.CLOSE, target=one.position_id))
    assert (stand.fates("call ONE"), stand.fates("call TWO")) == (["reversed", "denied"], ["reversed"])
    assert (
        f"{one.position_id} was closed by hand"
        in [each for each in stand.events if isinstance(each, DecisionMade)][-1].reason
    )
