"""Throttled answers, refused changes, the naked timer, and flatten: protected, flat or loud."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, Stand, scalp
from workbench.core.engine.steering import REFUSED_CHANGES
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket
from workbench.core.plan import Distance, Exits
from workbench.core.position import PositionState, Protection

A = AlertAction


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]


def throttle(
    stand: Stand, ticket: OrderTicket, kind: WriteKind = WriteKind.PLACE, outcome: Outcome = Outcome.NOT_SENT
) -> None:
    """Answer that the pace was too high."""
    change = stand.book.changes_pending.get(ticket.correlation_id) if kind is WriteKind.MODIFY else None
    stand.tell(
        WriteAnswered(
            kind=kind,
            correlation_id=ticket.correlation_id,
            outcome=outcome,
            reason="429",
            change=change,
            throttled=True,
        )
    )


# --- r2: refused for its pace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.REJECTED])
def test_r2_a_throttled_stop_comes_again_after_a_pause_and_is_no_failure_of_the_stop(outcome: Outcome) -> None:
    stand = Stand()
    stand.entered()
    for tries in range(1, 5):
        assert len(stand.tickets("S")) == tries
        throttle(stand, stand.ticket("S"), outcome=outcome)
        assert len(stand.tickets("S")) == tries
        stand.wait(1)
    assert stand.position.stop_failures == 0
    assert stand.position.exit_reason == ""
    assert alarms(stand) == []
    stand.answer(stand.ticket("S"))
    stand.update(stand.ticket("S"))
    assert stand.position.protection is Protection.AT_BROKER


def test_r2_a_throttled_exit_comes_again_after_a_pause(bare_is_entered: None) -> None:
    stand = Stand(scalp(exits=Exits()))
    stand.entered()
    stand.alert(A.TARGET_FLAT)
    throttle(stand, stand.ticket("X"))
    assert len(stand.tickets("X")) == 1
    stand.wait(2)
    assert len(stand.tickets("X")) == 2


def test_r2_a_throttled_change_asks_the_broker_nothing_more_and_is_made_again() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    asked = len(stand.of(TakeSnapshot))
    throttle(stand, stand.ticket("S"), WriteKind.MODIFY)
    assert len(stand.of(TakeSnapshot)) == asked
    assert len(stand.of(ModifyOrder)) == 1
    stand.wait(2)
    assert len(stand.of(ModifyOrder)) == 2


def test_r2_a_throttled_entry_is_dropped_and_the_record_says_rate_limit() -> None:
    stand = Stand()
    stand.alert(A.BULLISH, "a")
    throttle(stand, stand.ticket("E"))
    stand.wait(3)
    assert len(stand.tickets("E")) == 1
    assert stand.fates("a") == ["entered", "denied"]
    assert (stand.book.decisions[-1].gate, stand.book.decisions[-1].reason) == ("rate_limit", "rate limit")
    assert stand.position.state is PositionState.FAILED


def test_r2_a_throttled_cancellation_is_asked_again() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.wait(5)
    asked = len(stand.of(TakeSnapshot))
    throttle(stand, entry, WriteKind.CANCEL)
    assert (len(stand.of(CancelOrder)), len(stand.of(TakeSnapshot))) == (1, asked)
    stand.wait(2)
    assert len(stand.of(CancelOrder)) == 2


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.REJECTED])
def test_r2_a_cancellation_that_is_throttled_again_and_again_needs_no_longer_pause_each_time(outcome: Outcome) -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.wait(5)
    for asked in range(1, 6):
        assert len(stand.of(CancelOrder)) == asked
        throttle(stand, entry, WriteKind.CANCEL, outcome)
        stand.wait(2)


# --- r13: the naked timer --------------------------------------------------------------------------------------------


def test_r13_a_stop_that_is_throttled_again_and_again_ends_in_leaving_within_ten_seconds() -> None:
    stand = Stand()
    stand.entered()
    for _ in range(12):
        if stand.position.exit_reason:
            break
        throttle(stand, stand.ticket("S"))
        stand.wait(1)
        stand.price(CALL, 120)
    assert stand.position.exit_reason == "unprotected"
    assert stand.now - (stand.position.opened_at or stand.now) <= timedelta(seconds=12)
    assert any("without its stop" in text for text in alarms(stand))


def test_r13_a_stop_that_covers_too_little_is_loud_and_then_the_position_is_left() -> None:
    stand = Stand(scalp(lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stop = stand.ticket("S")
    stand.answer(stop)
    stand.update(entry, 100, 120)
    for _ in range(12):
        if stop.correlation_id in stand.book.changes_pending:
            stand.answer(stop, Outcome.REJECTED, WriteKind.MODIFY, reason="no")
        if stand.of(CancelOrder):
            stand.answer(stop, Outcome.REJECTED, WriteKind.CANCEL, reason="no")
        stand.wait(1)
    assert any("covers 50 of 100" in text for text in alarms(stand))
    assert stand.position.exit_reason == "unprotected"


def test_r13_an_unanswered_stop_is_loud_and_nothing_is_placed_beside_it() -> None:
    stand = Stand()
    stand.entered()
    stand.wait(14)
    assert any("may have no stop" in text for text in alarms(stand))
    assert len(stand.tickets()) == 2
    assert stand.position.exit_reason == ""


def test_an_exit_whose_changes_are_refused_is_placed_anew_instead() -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    stand.alert(A.TARGET_FLAT)
    for _ in range(REFUSED_CHANGES):
        assert stand.of(CancelOrder) == []
        stand.answer(stop, Outcome.REJECTED, WriteKind.MODIFY, reason="no")
        stand.wait(2)
    assert stand.of(CancelOrder)[-1].correlation_id == stop.correlation_id
    stand.answer(stop, kind=WriteKind.CANCEL)
    stand.update(stop, state=OrderState.CANCELLED)
    stand.wait(2)
    assert stand.ticket("X").quantity == 50


def test_a_change_that_is_accepted_forgives_the_refused_ones() -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    stand.alert(A.TARGET_FLAT)
    for outcome in (Outcome.REJECTED, Outcome.REJECTED, Outcome.ACCEPTED, Outcome.REJECTED, Outcome.REJECTED):
        stand.answer(stop, outcome, WriteKind.MODIFY)
        stand.wait(2)
    assert stand.of(CancelOrder) == []


# --- the operator ----------------------------------------------------------------------------------------------------


def test_flatten_halts_so_that_nothing_enters_again_and_a_person_resumes() -> None:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    stand.alert(A.BULLISH, deployment="ONE")
    stand.update(stand.ticket("E"), 50, 120)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    assert (stand.book.halted, stand.book.halted_by) == (True, "flatten")
    assert stand.position.exit_reason == "manual"
    stand.alert(A.BULLISH, "again", deployment="TWO")
    assert stand.fates("again") == ["denied"]
    stand.tell(OperatorOrdered(command=Operator.RESUME))
    stand.alert(A.BULLISH, "later", deployment="TWO")
    assert stand.fates("later") == ["entered"]


def test_a_halt_that_was_there_keeps_its_reason_when_everything_is_left() -> None:
    stand = Stand()
    stand.tell(OperatorOrdered(command=Operator.HALT, reason="lunch", who="me"))
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    assert (stand.book.halt_reason, stand.book.halted_by) == ("lunch", "me")


def test_closing_one_position_halts_nothing() -> None:
    stand = Stand(scalp(exits=Exits(stop=Distance(points=Decimal(15)))))
    position = stand.protected()
    stand.tell(OperatorOrdered(command=Operator.CLOSE, target=position.position_id))
    assert stand.position.exit_reason == "manual"
    assert not stand.book.halted
