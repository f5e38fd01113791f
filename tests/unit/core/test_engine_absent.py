"""Orders that nobody answered and no book shows: looked for, given up, replaced, and taken back when they come."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.core.builders import CALL, Stand
from workbench.core.engine.settling import ABSENT_LOOKS, EXIT_ABSENT_S
from workbench.core.messages import (
    AlertAction,
    BrokerPosition,
    CancelOrder,
    Level,
    Notify,
    Outcome,
    SnapshotTaken,
    TakeSnapshot,
)
from workbench.core.order import OrderState
from workbench.core.position import PositionState

A = AlertAction


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]


def test_an_unknown_stop_that_was_never_at_the_broker_is_given_up_and_placed_anew() -> None:
    stand = Stand()
    stand.entered()
    entry = stand.row(stand.ticket("E"), 50, 120)
    stand.answer(stand.ticket("S"), Outcome.UNKNOWN)
    for _ in range(ABSENT_LOOKS):
        stand.snapshot(entry, held={CALL: 50})
    assert len(stand.tickets("S")) == 1
    stand.wait(15)
    stand.snapshot(entry, held={CALL: 50})
    assert len(stand.tickets("S")) == 2


def test_r13_a_stop_that_never_arrived_is_looked_for_each_second_and_replaced_within_ten() -> None:
    stand = Stand()
    stand.entered()
    entry, first = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    stand.answer(first, Outcome.UNKNOWN)
    seconds = 0
    while len(stand.tickets("S")) == 1:
        asked, seconds = len(stand.of(TakeSnapshot)), seconds + 1
        stand.wait(1)
        look = stand.of(TakeSnapshot)[asked]
        assert look.unanswered == (first.correlation_id,)
        stand.snapshot(entry, held={CALL: 50})
        assert seconds < 10
    assert seconds == EXIT_ABSENT_S


def test_r1_a_stop_is_not_given_up_by_a_look_that_began_before_it_could_be_listed() -> None:
    stand = Stand()
    stand.entered()
    entry = stand.row(stand.ticket("E"), 50, 120)
    stand.answer(stand.ticket("S"), Outcome.UNKNOWN)
    began = stand.now
    stand.wait(30)
    held = (BrokerPosition(segment="NSE_FNO", security_id=CALL.security_id, product="INTRADAY", net_quantity=50),)
    for _ in range(ABSENT_LOOKS + 1):
        stand.tell(SnapshotTaken(taken_at=began + timedelta(seconds=2), orders=(entry,), positions=held))
    assert len(stand.tickets("S")) == 1


def test_r1_an_entry_is_looked_for_every_five_seconds_and_given_up_after_thirty() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    asked = len(stand.of(TakeSnapshot))
    stand.wait(20)
    assert len(stand.of(TakeSnapshot)) - asked == 4
    for _ in range(5):
        stand.snapshot()
    assert stand.book.orders[stand.ticket("E").correlation_id].state is OrderState.UNKNOWN
    stand.wait(10)
    stand.snapshot()
    assert stand.book.orders[stand.ticket("E").correlation_id].state is OrderState.ABANDONED


def test_a_stop_that_was_given_up_and_comes_back_is_taken_back() -> None:
    stand = Stand()
    stand.entered()
    first = stand.ticket("S")
    entry = stand.row(stand.ticket("E"), 50, 120)
    stand.answer(first, Outcome.UNKNOWN)
    stand.wait(15)
    for _ in range(ABSENT_LOOKS):
        stand.snapshot(entry, held={CALL: 50})
    second = stand.ticket("S")
    stand.answer(second)
    stand.update(first)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [first.correlation_id]
    assert stand.book.resting_exit(stand.position.position_id) is stand.book.orders[second.correlation_id]


def test_r15_a_double_fill_is_taken_back_at_once_and_said_aloud() -> None:
    stand = Stand()
    stand.entered()
    first, entry = stand.ticket("S"), stand.row(stand.ticket("E"), 50, 120)
    stand.answer(first, Outcome.UNKNOWN)
    stand.wait(15)
    for _ in range(ABSENT_LOOKS):
        stand.snapshot(entry, held={CALL: 50})
    second = stand.ticket("S")
    stand.answer(second)
    stand.update(second, 50, 104)
    assert stand.position.state is PositionState.CLOSED
    stand.update(first, 50, 104)
    assert stand.position.open_quantity == -50
    back = stand.ticket("X")
    assert (back.side.value, back.quantity) == ("BUY", 50)
    stand.answer(back)
    stand.update(back, 50, 105)
    assert stand.position.state is PositionState.CLOSED
    assert stand.position.gross == 50 * (104 + 104 - 120 - 105)
    assert any("lives" in text for text in alarms(stand))
