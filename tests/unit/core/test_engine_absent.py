"""Orders that nobody answered and no book shows: looked for, given up, replaced, and taken back when they come."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, Stand, scalp
from workbench.core.engine.settling import ABSENT_LOOKS, ENTRY_ABSENT_S, EXIT_ABSENT_S, EXIT_HELD_S
from workbench.core.instrument import Instrument
from workbench.core.messages import (
    AlertAction,
    BrokerOrder,
    BrokerPosition,
    CancelOrder,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    SnapshotTaken,
    TakeSnapshot,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket
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


def test_r1_an_exit_that_the_positions_show_to_have_filled_is_not_sent_once_more() -> None:
    stand, exit_order, rows = leaving()
    stand.answer(exit_order, Outcome.UNKNOWN)
    for _ in range(14):
        stand.wait(1)
        stand.snapshot(*rows, held={CALL: 0})
    assert stand.tickets("X") == [exit_order]
    assert stand.book.orders[exit_order.correlation_id].state is OrderState.ABANDONED
    assert len(stand.book.frozen) == 1
    stand.update(exit_order, 50, 119)
    stand.wait(2)
    assert (stand.position.state, stand.position.exit_price) == (PositionState.CLOSED, Decimal(119))
    assert stand.tickets("X") == [exit_order]


def test_r1_a_stop_that_the_positions_show_to_have_filled_is_not_placed_anew() -> None:
    stand = Stand()
    stand.entered()
    first, entry = stand.ticket("S"), stand.row(stand.ticket("E"), 50, 120)
    stand.answer(first, Outcome.UNKNOWN)
    for _ in range(14):
        stand.wait(1)
        stand.snapshot(entry, held={CALL: 0})
    assert stand.tickets("S") == [first]
    stand.update(first, 50, 105)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.CLOSED, "stop")


def test_r1_the_late_fill_of_an_order_that_was_given_up_leaves_another_position_its_stop() -> None:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    for name in ("ONE", "TWO"):
        stand.alert(A.BULLISH, name, deployment=name)
        stand.answer(stand.ticket("E"))
        stand.update(stand.ticket("E"), 50, 120)
        if name == "ONE":
            stand.answer(stand.ticket("S"))
            stand.update(stand.ticket("S"))
    first, lost = stand.tickets("S")
    rows = [stand.row(each, 50, 120) for each in stand.tickets("E")] + [stand.row(first)]
    stand.answer(lost, Outcome.UNKNOWN)
    for _ in range(9):
        stand.wait(1)
        stand.snapshot(*rows, held={CALL: 50})
    assert stand.tickets("S") == [first, lost]
    stand.update(lost, 50, 105)
    stand.wait(2)
    assert not [each for each in stand.of(CancelOrder) if each.correlation_id == first.correlation_id]
    assert stand.book.orders[first.correlation_id].remaining_quantity == 50


def test_r1_an_entry_that_the_positions_show_to_have_filled_freezes_the_account_when_it_is_given_up() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    while stand.book.orders[stand.ticket("E").correlation_id].state is OrderState.UNKNOWN:
        assert not stand.book.frozen
        stand.wait(5)
        stand.snapshot(held={CALL: 50})
    assert len(stand.book.frozen) == 1
    stand.update(stand.ticket("E"), 50, 120)
    assert stand.ticket("S").quantity == 50, "what has come all the same is protected"


def test_r1_a_fill_that_the_positions_lag_behind_is_not_taken_for_the_one_of_a_lost_stop() -> None:
    stand = Stand(scalp(lots=3))
    stand.alert(A.BULLISH)
    stand.answer(stand.ticket("E"))
    stand.update(stand.ticket("E"), 50, 120)
    lost = stand.ticket("S")
    stand.answer(lost, Outcome.UNKNOWN)
    for _ in range(EXIT_ABSENT_S - 1):
        stand.wait(1)
        stand.snapshot(stand.row(stand.ticket("E"), 50, 120), held={CALL: 50})
    stand.update(stand.ticket("E"), 100, 120)
    stand.wait(1)
    stand.snapshot(stand.row(stand.ticket("E"), 100, 120), held={CALL: 50})
    assert stand.book.orders[lost.correlation_id].state is OrderState.ABANDONED
    assert not stand.book.frozen
    assert stand.ticket("S").quantity == 50, "what may have been sold is not sold once more"
    stand.wait(1)
    stand.answer(stand.ticket("S"))
    stand.update(stand.ticket("S"))
    stand.snapshot(stand.row(stand.ticket("E"), 100, 120), stand.row(stand.ticket("S")), held={CALL: 100})
    assert [each.change.quantity for each in stand.of(ModifyOrder)] == [100]


def test_r1_a_lost_stop_that_has_filled_behind_a_young_fill_freezes_once_the_difference_has_stood() -> None:
    stand = Stand(scalp(lots=3))
    stand.alert(A.BULLISH)
    stand.answer(stand.ticket("E"))
    stand.update(stand.ticket("E"), 50, 120)
    stand.answer(stand.ticket("S"), Outcome.UNKNOWN)
    stand.wait(EXIT_ABSENT_S - 1)
    stand.update(stand.ticket("E"), 100, 120)
    seconds = 0
    while not stand.book.frozen:
        stand.wait(1)
        seconds += 1
        stand.snapshot(stand.row(stand.ticket("E"), 100, 120), held={CALL: 50})
        if len(stand.tickets("S")) == 2 and stand.ticket("S").correlation_id in stand.book.orders:
            stand.answer(stand.ticket("S"))
        assert seconds < 15
        assert sum(each.quantity for each in stand.tickets("S")[1:]) <= 50


@pytest.mark.parametrize("failed", [True, False])
def test_r1_a_look_up_that_failed_counts_as_no_look(failed: bool) -> None:
    stand = Stand()
    stand.entered()
    entry, first = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    stand.answer(first, Outcome.UNKNOWN)
    seconds = 0
    while len(stand.tickets("S")) == 1:
        stand.wait(1)
        seconds += 1
        unsure = (first.correlation_id,) if failed else ()
        stand.snapshot(entry, held={CALL: 50}, not_looked_up=unsure)
        assert seconds <= ENTRY_ABSENT_S + ABSENT_LOOKS
    assert seconds == (ENTRY_ABSENT_S + ABSENT_LOOKS - 1 if failed else EXIT_ABSENT_S)
    assert any("neither be seen nor looked up" in text for text in alarms(stand)) is failed


def test_r1_look_ups_that_fail_now_and_then_put_a_lost_stop_off_by_no_more_than_they_are() -> None:
    stand = Stand()
    stand.entered()
    entry, first = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    stand.answer(first, Outcome.UNKNOWN)
    for second in range(1, EXIT_ABSENT_S + 1):
        stand.wait(1)
        stand.snapshot(entry, held={CALL: 50}, not_looked_up=(first.correlation_id,) if second % 2 else ())
    assert len(stand.tickets("S")) == 1
    stand.wait(1)
    stand.snapshot(entry, held={CALL: 50})
    assert len(stand.tickets("S")) == 2


def leaving() -> tuple[Stand, OrderTicket, list[BrokerOrder]]:
    """Give a stand whose exit has just been sent, and what the list shows without it."""
    stand = Stand()
    stand.protected()
    entry, stop = stand.ticket("E"), stand.ticket("S")
    stand.tell(OperatorOrdered(command=Operator.FLATTEN, who="me"))
    stand.answer(stop, Outcome.REJECTED, WriteKind.MODIFY, reason="it is not open")
    stand.update(stop, state=OrderState.CANCELLED)
    stand.wait(3)
    return stand, stand.ticket("X"), [stand.row(entry, 50, 120), stand.row(stop, state=OrderState.CANCELLED)]


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


def seconds_until_the_next_exit(
    stand: Stand, lost: OrderTicket, rows: list[BrokerOrder], held: dict[Instrument, int]
) -> int:
    """Look each second, and let the question about the lost exit fail each time."""
    seconds = 0
    while stand.ticket("X") == lost:
        stand.wait(1)
        seconds += 1
        stand.snapshot(*rows, held=held, not_looked_up=(lost.correlation_id,))
        assert seconds <= ENTRY_ABSENT_S + ABSENT_LOOKS
    return seconds


def test_r13_an_exit_that_cannot_be_looked_up_is_replaced_sooner_while_all_it_was_to_sell_is_there() -> None:
    stand, first, rows = leaving()
    stand.answer(first, Outcome.UNKNOWN)
    assert seconds_until_the_next_exit(stand, first, rows, {CALL: 50}) == EXIT_HELD_S + ABSENT_LOOKS - 1
    assert stand.ticket("X").quantity == 50
    assert not stand.book.frozen


@pytest.mark.parametrize("there", [0, 30])
def test_r1_an_exit_that_cannot_be_looked_up_and_may_have_sold_is_looked_for_as_long_as_an_entry(there: int) -> None:
    stand, first, rows = leaving()
    stand.answer(first, Outcome.UNKNOWN)
    for _ in range(ENTRY_ABSENT_S):
        stand.wait(1)
        stand.snapshot(*rows, held={CALL: there}, not_looked_up=(first.correlation_id,))
        assert stand.book.orders[first.correlation_id].state is OrderState.UNKNOWN
    assert stand.ticket("X") == first


def test_r1_units_that_an_unanswered_entry_may_have_bought_do_not_speak_for_a_lost_exit() -> None:
    stand = Stand(scalp(), scalp("B"))
    stand.protected()
    entry, stop = stand.ticket("E"), stand.ticket("S")
    stand.alert(A.BULLISH, deployment="B")
    bought = stand.ticket("E")
    stand.answer(bought, Outcome.UNKNOWN)
    stand.tell(OperatorOrdered(command=Operator.CLOSE, target=entry.position_id, who="me"))
    stand.answer(stop, Outcome.REJECTED, WriteKind.MODIFY, reason="it is not open")
    stand.update(stop, state=OrderState.CANCELLED)
    stand.wait(3)
    lost = stand.ticket("X")
    stand.answer(lost, Outcome.UNKNOWN)
    rows, failed = [stand.row(entry, 50, 120)], (lost.correlation_id, bought.correlation_id)
    for _ in range(ENTRY_ABSENT_S - 1):
        stand.wait(1)
        stand.snapshot(*rows, held={CALL: 50}, not_looked_up=failed)
        assert stand.book.orders[lost.correlation_id].state is OrderState.UNKNOWN


def test_r1_a_look_in_which_units_of_a_lost_exit_are_missing_does_not_count() -> None:
    stand, first, rows = leaving()
    stand.answer(first, Outcome.UNKNOWN)
    for second in range(1, ENTRY_ABSENT_S):
        stand.wait(1)
        there = 50 if second % (EXIT_HELD_S + 1) else 20
        stand.snapshot(*rows, held={CALL: there}, not_looked_up=(first.correlation_id,))
        if second == EXIT_HELD_S + 1:
            assert stand.book.orders[first.correlation_id].state is OrderState.UNKNOWN
        if stand.ticket("X") != first:
            break
    assert second == EXIT_HELD_S + ABSENT_LOOKS
