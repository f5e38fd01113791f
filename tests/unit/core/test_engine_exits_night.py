"""The end of a day, the night, the next open: what stays is named and protected again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, DAY, Stand, at, bracket, scalp
from tests.unit.core.nights import NEXT, STOP, alarms, at_the_close, keeping, morning
from workbench import reference
from workbench.core.instrument import Segment
from workbench.core.messages import (
    CancelOrder,
    ModifyOrder,
    Operator,
    OperatorOrdered,
    OvernightListed,
)
from workbench.core.order import OrderState, OrderType, Product
from workbench.core.plan import Distance, Exits, Overnight
from workbench.core.position import PositionState, Protection


def test_what_is_kept_is_decided_a_minute_before_the_close_and_not_squared_off() -> None:
    stand = keeping()
    stand.go_to("15:28:59")
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.OPEN, "")
    at_the_close(stand)
    assert stand.position.state is PositionState.CARRIED
    assert stand.of(ModifyOrder) == []
    assert stand.of(CancelOrder) == []
    (stay,) = stand.book.overnight
    assert (stay.symbol, stay.expiry, stay.strike, stay.right) == ("NIFTY", NEXT, Decimal(15700), "CE")
    assert (stay.side, stay.quantity) == ("BUY", 50)
    assert stay.pnl == stand.engine.open_pnl()
    assert stand.reborn() == stand.book


def test_r22_an_intraday_position_is_left_four_minutes_before_the_brokers_own_square_off() -> None:
    stand = Stand()
    stand.protected()
    session = reference.calendar().session(Segment.NSE_FNO, DAY)
    assert session is not None
    assert session.square_off_start == session.broker_square_off - timedelta(minutes=4)
    stand.go_to(f"{session.square_off_start - timedelta(seconds=1):%H:%M:%S}")
    assert stand.position.exit_reason == ""
    stand.wait(1)
    assert stand.position.exit_reason == "session_end"


@pytest.mark.parametrize(("price", "stays"), [(121, True), (120, False), (110, False)])
def test_of_winners_and_losers_only_winners_stay(price: float, stays: bool) -> None:
    stand = keeping(Overnight.KEEP_WINNERS)
    at_the_close(stand, price)
    assert (stand.position.state is PositionState.CARRIED) is stays
    assert stand.position.exit_reason == ("" if stays else "session_end")


def test_without_a_fresh_price_nobody_is_a_winner() -> None:
    stand = keeping(Overnight.KEEP_WINNERS)
    stand.price(CALL, 140)
    stand.go_to("15:29:00")
    assert stand.position.exit_reason == "session_end"


def test_an_hour_of_the_account_ends_what_would_stay_too() -> None:
    from tests.unit.core.builders import LIMITS

    stand = Stand(
        scalp(exits=STOP, product=Product.MARGIN, overnight=Overnight.KEEP),
        limits=replace(LIMITS, square_off_at=at("15:00:00").time()),
    )
    stand.protected()
    stand.go_to("15:00:00")
    assert stand.position.exit_reason == "session_end"


def test_a_stop_that_fills_in_the_last_minute_takes_the_position_off_the_list() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.update(stand.ticket("S"), 50, 104)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.CLOSED, "stop")
    stand.wait(1)
    assert stand.book.overnight == ()
    assert len([each for each in stand.events if isinstance(each, OvernightListed)]) == 2


def test_a_stop_that_is_lost_in_the_last_minute_is_placed_anew() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    assert len(stand.tickets("S")) == 2
    assert any("no stop" in text for text in alarms(stand))


def test_a_target_that_is_reached_in_the_last_minute_is_taken() -> None:
    stand = keeping(exits=bracket())
    at_the_close(stand)
    assert stand.position.state is PositionState.CARRIED
    stand.price(CALL, 150.1)
    assert stand.position.exit_reason == "target"
    (change,) = stand.of(ModifyOrder)
    assert (change.change.order_type, change.change.price) == (OrderType.LIMIT, Decimal(150))


def test_r14_a_stop_that_is_jumped_over_in_the_last_minute_is_chased() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.price(CALL, 80)
    stand.wait(3)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "stop")


def test_a_price_after_the_close_takes_no_target() -> None:
    stand = keeping(exits=bracket())
    at_the_close(stand)
    stand.now = at("15:30:00")
    stand.price(CALL, 160)
    stand.wait(2)
    assert stand.position.state is PositionState.CARRIED


def test_the_stop_is_back_at_the_broker_with_the_first_price_of_the_next_day() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    assert stand.position.state is PositionState.CARRIED
    assert alarms(stand) == []
    assert stand.book.trades_today == 0
    stand.go_to("09:14:59")
    assert len(stand.tickets("S")) == 1
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stop = stand.ticket("S")
    assert len(stand.tickets("S")) == 2
    assert (stop.trigger_price, stop.quantity, stop.product) == (Decimal(105), 50, Product.MARGIN)
    assert (stand.position.state, stand.position.protection) == (PositionState.OPEN, Protection.PENDING)
    assert stand.reborn() == stand.book


def test_without_a_price_at_the_open_the_stop_is_back_within_five_seconds() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:14:59", NEXT)
    stand.wait(3)
    assert len(stand.tickets("S")) == 1
    stand.wait(1)
    assert len(stand.tickets("S")) == 2


def test_a_price_from_before_the_open_says_nothing() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:08:00", NEXT)
    stand.price(CALL, 60)
    stand.go_to("09:15:00")
    assert stand.position.state is PositionState.CARRIED


def test_a_gap_through_the_stop_is_chased_out_at_the_open() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 90)
    assert stand.position.exit_reason == "gap"
    leaving = stand.ticket("X")
    assert (leaving.quantity, leaving.price) == (50, Decimal("89.05"))
    assert len(stand.tickets("S")) == 1
    assert any("beyond its stop" in text for text in alarms(stand))


def test_a_carried_position_that_is_flattened_in_the_night_is_left_at_the_open() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    assert stand.tickets("X") == []
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stand.wait(1)
    assert stand.ticket("X").quantity == 50


def test_what_was_open_at_the_close_with_nobody_there_is_taken_up_like_the_others() -> None:
    stand = keeping()
    morning(stand)
    assert stand.position.state is PositionState.CARRIED
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    assert (stand.position.state, len(stand.tickets("S"))) == (PositionState.OPEN, 2)


def test_a_trailed_level_and_its_reason_live_through_the_night() -> None:
    from workbench.core.plan import Lock, Underlying

    plan = Exits(
        stop=Distance(points=Decimal(15)),
        lock=Lock(after=Distance(points=Decimal(5)), keep=Decimal(50)),
        underlying=Underlying(stop=Distance(points=Decimal(90))),
    )
    stand = keeping(exits=plan)
    stand.price(CALL, 130)
    stand.wait(60)
    assert (stand.position.stop, stand.position.tightened_by) == (Decimal(125), "lock")
    stand.change(stand.ticket("S"))
    at_the_close(stand, 130)
    before = stand.position
    morning(stand)
    after = stand.position
    assert (after.stop, after.initial_stop, after.peak) == (before.stop, before.initial_stop, before.peak)
    assert (after.spot_stop, after.spot_peak, after.tightened_by) == (before.spot_stop, before.spot_peak, "lock")
    assert after.stop_reason == "lock"


def test_a_position_that_may_not_stay_and_did_is_left_at_the_open() -> None:
    stand = Stand()
    stand.protected()
    morning(stand)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stand.wait(1)
    assert stand.position.exit_reason == "session_end"
    assert any("carried over" in text for text in alarms(stand))
