"""Protection and exits: one order to leave by, pursued until flat, never more than is held, and never silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, DAY, LIMITS, SCALP, Stand, at, bracket, scalp
from workbench import reference
from workbench.core.engine.steering import MODIFICATIONS_AT_MOST
from workbench.core.instrument import Segment
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    DayBegan,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    SnapshotTaken,
    TakeSnapshot,
    TimerBeat,
    Unsubscribe,
    WriteKind,
)
from workbench.core.order import OrderState, OrderType
from workbench.core.plan import Distance, Exits, Trail
from workbench.core.position import PositionState, Protection

A = AlertAction
TRAIL = bracket("15", "90", trail=Trail(distance=Distance(points=Decimal(10))))


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]


def changes(stand: Stand) -> list[ModifyOrder]:
    return stand.of(ModifyOrder)


def test_a_filled_entry_has_its_stop_at_the_broker_at_once() -> None:
    stand = Stand()
    position = stand.entered()
    stop = stand.ticket("S")
    assert (stop.order_type, stop.trigger_price, stop.quantity) == (OrderType.STOP_LIMIT, Decimal("105.00"), 50)
    assert position.protection is Protection.PENDING
    stand.answer(stop)
    stand.update(stop)
    assert stand.position.protection is Protection.AT_BROKER


def test_a_stop_that_fills_closes_the_position_with_its_result() -> None:
    stand = Stand()
    stand.protected()
    stand.update(stand.ticket("S"), 50, "104.5")
    position = stand.position
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "stop")
    assert position.gross == Decimal("-775.0")
    assert position.net == position.gross - position.charges
    assert stand.book.realised() == position.net
    assert stand.tickets("X") == []


def test_the_target_is_taken_by_the_stop_order_itself() -> None:
    stand = Stand()
    stand.protected()
    stand.price(CALL, 151)
    change = changes(stand)[-1].change
    assert (change.order_type, change.price, change.quantity) == (OrderType.LIMIT, Decimal("150.00"), 50)
    assert len(stand.tickets()) == 2
    stop = stand.ticket("S")
    stand.change(stop)
    stand.update(stop, 50, 150)
    assert stand.position.exit_reason == "target"


def test_a_position_without_a_stop_leaves_by_an_order_of_its_own(bare_is_entered: None) -> None:
    stand = Stand(scalp(exits=Exits(target=Distance(points=Decimal(5)))))
    stand.entered()
    assert stand.tickets("S") == []
    stand.price(CALL, 126)
    assert stand.ticket("X").price == Decimal("125.00")


def test_r14_an_exit_is_chased_ever_further_until_it_fills() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    prices = [changes(stand)[-1].change.price]
    for _ in range(3):
        stand.change(stand.ticket("S"))
        stand.wait(2)
        prices.append(changes(stand)[-1].change.price)
    assert prices == sorted(prices, reverse=True)
    assert len(set(prices)) == 4
    assert stand.position.exit_attempts == 4
    assert any("still leaving" in text for text in alarms(stand))


def test_an_exit_is_not_changed_while_its_last_change_is_unanswered() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    stand.wait(20)
    assert len(changes(stand)) == 1


def test_an_exit_waits_for_a_stop_that_is_not_answered_yet() -> None:
    stand = Stand()
    stand.entered()
    stand.alert(A.TARGET_FLAT)
    assert len(stand.tickets()) == 2
    assert changes(stand) == []
    stand.answer(stand.ticket("S"))
    assert changes(stand)[-1].change.order_type is OrderType.LIMIT


def test_r11_an_order_that_used_its_changes_up_is_replaced_by_a_fresh_one() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    stop = stand.ticket("S")
    for _ in range(MODIFICATIONS_AT_MOST):
        stand.change(stop)
        stand.wait(2)
    assert stand.tickets("X") == []
    assert stand.of(CancelOrder)[-1].correlation_id == stop.correlation_id
    stand.answer(stop, kind=WriteKind.CANCEL)
    stand.update(stop, state=OrderState.CANCELLED)
    stand.wait(2)
    assert stand.ticket("X").quantity == 50


def test_r10_the_answer_of_a_cancellation_ends_nothing_for_a_fill_may_have_crossed_it() -> None:
    stand = Stand(scalp(lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.wait(5)
    stand.answer(entry, kind=WriteKind.CANCEL, state=OrderState.CANCELLED)
    assert stand.position.state is PositionState.OPENING
    assert stand.of(TakeSnapshot)
    stand.update(entry, 50, 120, state=OrderState.CANCELLED)
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.OPEN, 50)


def test_a_cancellation_is_not_asked_again_and_again() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.wait(5)
    stand.answer(entry, Outcome.REJECTED, WriteKind.CANCEL)
    assert len(stand.of(CancelOrder)) == 1
    stand.wait(2)
    assert len(stand.of(CancelOrder)) == 2


def test_a_refused_withdrawal_of_an_entry_is_not_repeated_in_the_same_breath() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.alert(A.TARGET_FLAT)
    stand.answer(entry, Outcome.REJECTED, WriteKind.CANCEL)
    assert len(stand.of(CancelOrder)) == 1
    stand.wait(2)
    assert len(stand.of(CancelOrder)) == 2


# --- stops that fail ------------------------------------------------------------------------------------------------


def test_r13_a_refused_stop_is_placed_anew_twice_and_then_the_position_is_left() -> None:
    stand = Stand()
    stand.entered()
    for tries in (1, 2, 3):
        assert len(stand.tickets("S")) == tries
        stand.answer(stand.ticket("S"), Outcome.REJECTED, reason="band")
    assert len(stand.tickets("S")) == 3
    assert stand.position.exit_reason == "unprotected"
    assert stand.ticket("X").quantity == 50
    assert len([text for text in alarms(stand) if "no stop at the broker" in text]) == 3


def test_refused_exits_are_repeated_at_the_pace_of_the_chase(bare_is_entered: None) -> None:
    stand = Stand(scalp(exits=Exits()))
    stand.entered()
    stand.alert(A.TARGET_FLAT)
    for _ in range(5):
        stand.now += timedelta(milliseconds=50)
        stand.answer(stand.ticket("X"), Outcome.REJECTED, reason="rms")
    assert len(stand.tickets("X")) == 2
    for _ in range(3):
        stand.wait(2)
        stand.answer(stand.ticket("X"), Outcome.REJECTED, reason="rms")
    assert len(stand.tickets("X")) == 5


def test_a_refused_change_of_a_stop_is_repeated_at_the_pace_of_the_chase() -> None:
    stand = Stand(scalp(exits=TRAIL))
    stand.protected()
    stand.price(CALL, 140)
    stand.wait(60)
    stop = stand.ticket("S")
    assert len(changes(stand)) == 1
    stand.answer(stop, Outcome.REJECTED, WriteKind.MODIFY)
    assert len(changes(stand)) == 1
    stand.wait(2)
    assert len(changes(stand)) == 2


def test_r9_a_stop_without_an_answer_is_said_aloud() -> None:
    stand = Stand()
    stand.entered()
    stand.wait(10)
    assert len([text for text in alarms(stand) if "may have no stop" in text]) == 1
    assert len(stand.tickets("S")) == 1


def test_r1_an_unknown_stop_is_looked_up_and_not_sent_again() -> None:
    stand = Stand()
    stand.entered()
    stop = stand.ticket("S")
    entry = stand.row(stand.ticket("E"), 50, 120)
    stand.answer(stop, Outcome.UNKNOWN)
    stand.wait(6)
    assert len(stand.of(TakeSnapshot)) >= 2
    stand.snapshot(entry, stand.row(stop), held={CALL: 50})
    assert len(stand.tickets("S")) == 1
    assert stand.position.protection is Protection.AT_BROKER


def test_what_rests_for_a_finished_position_is_taken_back() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry, Outcome.NOT_SENT)
    assert stand.position.state is PositionState.FAILED
    stand.update(entry)
    stand.wait(1)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [entry.correlation_id]


# --- reasons to leave -------------------------------------------------------------------------------------------------


def test_r14_a_stop_that_the_market_has_passed_is_chased() -> None:
    stand = Stand()
    stand.protected()
    stand.price(CALL, 99)
    stand.wait(3)
    assert stand.position.exit_reason == "stop"
    assert changes(stand)[-1].change.order_type is OrderType.LIMIT
    assert any("was passed" in text for text in alarms(stand))


def test_a_stop_that_is_only_touched_is_left_to_the_broker() -> None:
    stand = Stand()
    stand.protected()
    stand.price(CALL, 105)
    stand.wait(1)
    stand.price(CALL, 107)
    stand.wait(5)
    assert stand.position.state is PositionState.OPEN


def test_r17_a_stop_that_fills_in_part_is_chased_for_the_rest() -> None:
    stand = Stand(scalp(lots=2))
    stand.protected()
    stop = stand.ticket("S")
    stand.update(stop, 50, 104)
    assert changes(stand) == []
    stand.wait(2)
    assert changes(stand)[-1].change.quantity == 100
    stand.change(stop)
    stand.update(stop, 100, 103)
    assert stand.position.state is PositionState.CLOSED


def test_a_stop_that_fires_withdraws_what_has_not_filled_of_the_entry() -> None:
    stand = Stand(scalp(lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stop = stand.ticket("S")
    stand.answer(stop)
    stand.update(stop, 50, 104)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [entry.correlation_id]
    assert stand.position.state is PositionState.EXITING
    stand.update(entry, 100, 119)
    assert stand.position.open_quantity == 50
    stand.wait(1)
    assert stand.ticket("X").quantity == 50


def test_the_trail_moves_at_the_minute_and_only_tightens() -> None:
    stand = Stand(scalp(exits=TRAIL))
    stand.protected()
    stand.price(CALL, 140)
    assert stand.position.stop == 105
    stand.wait(60)
    assert stand.position.stop == 130
    stand.change(stand.ticket("S"))
    stand.price(CALL, 133)
    stand.wait(60)
    assert stand.position.stop == 130
    stand.price(CALL, "129.9")
    stand.wait(3)
    assert stand.position.exit_reason == "trail"


def test_a_stop_that_was_trailed_is_not_laid_anew_by_a_later_fill() -> None:
    stand = Stand(scalp(exits=TRAIL, lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.update(entry, 50, 120)
    stand.price(CALL, 140)
    stand.wait(60)
    stand.update(entry, 100, 118)
    assert stand.position.stop == 130


def test_the_best_price_from_before_a_cheaper_fill_still_moves_the_trail() -> None:
    stand = Stand(scalp(exits=TRAIL, lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.update(entry, 50, 120)
    stand.price(CALL, "119.50")
    stand.wait(60)
    assert stand.position.stop == 105
    stand.price(CALL, 117)
    stand.update(entry, 100, 118)  # told is the average of both parts
    assert stand.position.stop == 103
    stand.wait(60)
    assert stand.position.stop == Decimal("109.50")


def test_a_later_fill_moves_the_target_of_a_position_whose_stop_was_trailed() -> None:
    stand = Stand(scalp(exits=replace(TRAIL, target=Distance(points=Decimal(25))), lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.update(entry, 50, 120)
    stand.price(CALL, 125)
    stand.wait(60)
    assert stand.position.stop == 115
    assert stand.position.target == 145
    stand.update(entry, 100, 121)  # told is the average of both parts
    assert stand.position.stop == 115
    assert stand.position.target == 146
    stand.price(CALL, "145.50")
    assert stand.position.exit_reason == ""


def test_a_later_dearer_fill_tightens_a_trailed_stop_to_what_the_plan_risks() -> None:
    stand = Stand(scalp(exits=TRAIL, lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.update(entry, 50, 120)
    stand.price(CALL, 121)
    stand.wait(60)
    assert stand.position.stop == 111
    stand.update(entry, 100, 130)
    assert stand.position.stop == 115
    assert stand.position.was_trailed


def test_the_clock_of_the_plan_and_of_the_session_ends_positions() -> None:
    stand = Stand(scalp(exits=replace(bracket(), time=at("10:05:00").time())))
    stand.protected()
    stand.go_to("10:05:00")
    assert stand.position.exit_reason == "time"
    session = reference.calendar().session(Segment.NSE_FNO, DAY)
    assert session is not None
    other = Stand()
    other.protected()
    other.go_to(f"{session.square_off_start:%H:%M:%S}")
    assert other.position.exit_reason == "session_end"


def test_a_person_closes_one_position_or_all() -> None:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    for name in ("ONE", "TWO"):
        stand.alert(A.BULLISH, deployment=name)
        stand.update(stand.ticket("E"), 50, 120)
    one, two = stand.book.positions.values()
    stand.tell(OperatorOrdered(command=Operator.CLOSE, target=two.position_id))
    assert [each.exit_reason for each in stand.book.positions.values()] == ["", "manual"]
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    assert stand.book.positions[one.position_id].exit_reason == "manual"


def test_r21_nothing_is_sent_while_the_market_is_closed_and_the_wish_to_leave_stays() -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    stand.go_to("15:30:00")
    stand.update(stop, state=OrderState.EXPIRED)
    sent = len(stand.tickets()) + len(changes(stand))
    stand.wait(120)
    assert len(stand.tickets()) + len(changes(stand)) == sent == 2
    assert len([text for text in alarms(stand) if "market is closed" in text]) == 1
    assert stand.position.state is PositionState.EXITING


# --- the daily loss --------------------------------------------------------------------------------------------------


def losing() -> Stand:
    stand = Stand(limits=replace(LIMITS, max_daily_loss=Decimal(500)))
    stand.protected()
    stand.price(CALL, 110)
    return stand


def test_r25_the_daily_loss_latches_and_leaves_everything() -> None:
    stand = losing()
    stand.wait(1)
    assert stand.book.halted
    assert stand.position.exit_reason == "daily_loss"
    stand.wait(5)
    assert len([text for text in alarms(stand) if text.startswith("HALT")]) == 1
    stand.alert(A.BEARISH, "b")
    stand.update(stand.ticket("S"), 50, 109)
    assert stand.fates("b")[-1] == "denied"


def test_r25_who_leaves_everything_on_a_day_that_its_loss_has_halted_halts_the_next_day_too() -> None:
    stand = losing()
    stand.wait(1)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN, who="page"))
    stand.update(stand.ticket("S"), 50, 109)
    stand.now += timedelta(days=1)
    stand.tell(DayBegan(day=stand.now.date()))
    assert (stand.book.halted, stand.book.halt_reason) == (True, "everything was left by page")


def test_a_halt_by_a_person_does_not_keep_a_losing_position_open_and_outlives_the_day() -> None:
    stand = losing()
    stand.tell(OperatorOrdered(command=Operator.HALT, reason="lunch"))
    stand.wait(1)
    assert stand.position.exit_reason == "daily_loss"
    assert stand.book.halt_reason == "lunch"
    stand.update(stand.ticket("S"), 50, 109)
    stand.now += timedelta(days=1)
    stand.tell(DayBegan(day=stand.now.date()))
    assert stand.book.halt_reason == "lunch"


def test_a_latched_loss_ends_with_its_day() -> None:
    stand = losing()
    stand.wait(1)
    stand.update(stand.ticket("S"), 50, 109)
    stand.now += timedelta(days=1)
    stand.tell(DayBegan(day=stand.now.date()))
    assert not stand.book.halted


def test_quotes_are_given_back_when_nobody_needs_them() -> None:
    stand = Stand()
    stand.protected()
    stand.spot(Decimal(16100))
    assert CALL.key not in [each.instrument.key for each in stand.of(Unsubscribe)]
    stand.update(stand.ticket("S"), 50, 104)
    assert CALL.key in [each.instrument.key for each in stand.of(Unsubscribe)]


@pytest.mark.parametrize("message", [TimerBeat(), SnapshotTaken(taken_at=at("10:00:00"), known=False, reason="504")])
def test_nothing_is_decided_on_nothing(message: TimerBeat | SnapshotTaken) -> None:
    stand = Stand()
    assert stand.tell(message).events == ()
    assert SCALP == "SCALP_ATM"
