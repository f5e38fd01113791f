"""A person trades beside us in the broker's own app (fault R23): seen, booked where it is known, never fought."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, PUT, SPOT, Stand, at, scalp
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.messages import (
    AlertAction,
    BrokerOrder,
    BrokerTrade,
    CancelOrder,
    ClosedByHand,
    DayBegan,
    FilledByHand,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
    TakeSnapshot,
)
from workbench.core.order import OrderState
from workbench.core.plan import Overnight
from workbench.core.pnl import charges_so_far
from workbench.core.position import PositionState
from workbench.core.signal import Side

HAND = "H1"


def his(side: Side = Side.SELL, units: int = 50, order_id: str = HAND, instrument: Any = CALL) -> BrokerOrder:
    return BrokerOrder(
        order_id=order_id,
        correlation_id="",
        state=OrderState.FILLED,
        segment=instrument.segment.value,
        security_id=instrument.security_id,
        side=side,
        quantity=units,
        filled_quantity=units,
    )


def trade(price: str, side: Side = Side.SELL, units: int = 50, order_id: str = HAND) -> BrokerTrade:
    return BrokerTrade(
        order_id=order_id,
        trade_id=f"T{order_id}{price}",
        segment=CALL.segment.value,
        security_id=CALL.security_id,
        side=side,
        quantity=units,
        price=Decimal(price),
    )


def held(lots: int = 1) -> Stand:
    stand = Stand(scalp(lots=lots)) if lots > 1 else Stand()
    stand.protected()
    return stand


def two_held() -> Stand:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    for name in ("ONE", "TWO"):
        stand.alert(AlertAction.BULLISH, name, deployment=name)
        stand.answer(stand.ticket("E"))
        stand.update(stand.ticket("E"), 50, 120)
        stand.answer(stand.ticket("S"))
        stand.update(stand.ticket("S"))
    return stand


def rows(stand: Stand) -> list[BrokerOrder]:
    entries = [stand.row(each, each.quantity, 120) for each in stand.tickets("E")]
    stops = [stand.row(each, state=stand.book.orders[each.correlation_id].state) for each in stand.tickets("S")]
    return entries + stops


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]


def test_r23_what_was_closed_by_hand_is_booked_at_its_price_and_freezes_the_account() -> None:
    stand = held()
    looks = len(stand.of(TakeSnapshot))
    stand.tell(OrderUpdated(order=his()))
    assert len(stand.of(TakeSnapshot)) == looks + 1, "another's order trades what we hold: we look at once"
    stand.snapshot(*rows(stand), his(), trades=(trade("125.50"),), held={CALL: 0})
    position = stand.position
    assert (position.state, position.exit_reason, position.exit_price) == (
        PositionState.CLOSED, "external", Decimal("125.50")
    )  # fmt: skip
    assert position.gross == Decimal("5.50") * 50
    assert position.net == position.gross - charges_so_far(position, stand.config.charges)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stand.ticket("S").correlation_id]
    assert any("left without us at 125.50 (order H1" in each for each in alarms(stand))
    assert len(stand.book.frozen) == 1


def test_r23_after_unfreeze_the_books_agree_and_nothing_is_booked_twice() -> None:
    stand = held()
    stand.snapshot(*rows(stand), his(), trades=(trade("125.50"),), held={CALL: 0})
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    stand.tell(OperatorOrdered(command=Operator.UNFREEZE))
    for _ in range(2):
        stand.snapshot(*rows(stand), his(), trades=(trade("125.50"),), held={CALL: 0})
        stand.wait(6)
    assert stand.book.frozen == ()
    assert len([each for each in stand.events if isinstance(each, FilledByHand)]) == 1
    stand.spot(SPOT)
    stand.price(CALL, 120)
    stand.alert(AlertAction.BULLISH, "again")
    assert stand.fates("again") == ["entered"]


def test_r23_a_part_that_was_closed_by_hand_shrinks_the_stop_and_the_rest_is_held() -> None:
    stand = held(lots=2)
    stand.snapshot(*rows(stand), his(), trades=(trade("126"),), held={CALL: 50})
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.OPEN, 50)
    assert stand.of(ModifyOrder)[-1].change.quantity == 50
    assert stand.book.frozen


def test_r23_executions_at_several_prices_are_booked_one_by_one_to_the_paisa() -> None:
    stand = held(lots=2)
    first = (trade("126.05", units=15), trade("125.95", units=35))
    stand.snapshot(*rows(stand), his(), trades=first, held={CALL: 50})
    stand.change(stand.ticket("S"))
    then = (trade("124.85", units=25, order_id="H2"), trade("124.80", units=25, order_id="H2"))
    stand.snapshot(*rows(stand), his(), his(order_id="H2"), trades=(*first, *then), held={CALL: 0})
    assert stand.position.state is PositionState.CLOSED
    prices = [(each.quantity, str(each.price)) for each in stand.events if isinstance(each, FilledByHand)]
    assert prices == [(15, "126.05"), (35, "125.95"), (25, "124.85"), (25, "124.80")]
    assert stand.position.gross == Decimal("540.25")


def test_r23_of_two_positions_the_newest_is_taken_first() -> None:
    stand = two_held()
    stand.snapshot(*rows(stand), his(), trades=(trade("126"),), held={CALL: 50})
    assert [each.state for each in stand.book.positions.values()] == [PositionState.OPEN, PositionState.CLOSED]


@pytest.mark.parametrize(
    ("orders", "trades", "left"),
    [
        ((his(),), (), 0),
        ((his(),), (trade("126", units=25),), 0),
        ((his(), his(Side.BUY, order_id="H2")), (trade("126"), trade("120", Side.BUY, order_id="H2")), 0),
        ((), (trade("126"),), 0),
        ((his(units=100),), (trade("126", units=100),), -50),
    ],
)
def test_r23_what_the_trade_book_does_not_explain_is_not_guessed_and_our_stop_is_taken_back(
    orders: tuple[BrokerOrder, ...], trades: tuple[BrokerTrade, ...], left: int
) -> None:
    stand = held()
    for _ in range(2):
        stand.snapshot(*rows(stand), *orders, trades=trades, held={CALL: left})
        stand.wait(6)
    stand.snapshot(*rows(stand), *orders, trades=trades, held={CALL: left})
    assert not [each for each in stand.events if isinstance(each, FilledByHand)]
    assert stand.book.frozen
    assert [each.correlation_id for each in stand.of(CancelOrder)][:1] == [stand.ticket("S").correlation_id]
    assert stand.position.is_live


def test_r23_an_order_of_another_that_trades_what_we_hold_shrinks_our_exits_at_once() -> None:
    stand = held()
    stand.snapshot(*rows(stand), his(), held={CALL: 0})
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stand.ticket("S").correlation_id]
    assert not stand.book.frozen, "that is confirmed first"


def test_r23_while_an_order_of_ours_is_under_way_nothing_is_taken_for_another_s() -> None:
    stand = held()
    stand.alert(AlertAction.TARGET_FLAT, "flat")
    assert stand.book.changes_pending
    stand.snapshot(*rows(stand), his(), trades=(trade("125.50"),), held={CALL: 0})
    assert not [each for each in stand.events if isinstance(each, FilledByHand)]


def test_r23_an_exit_that_is_chased_asks_for_no_more_once_another_has_sold_it() -> None:
    stand = held()
    stand.alert(AlertAction.TARGET_FLAT, "flat")
    assert stand.book.changes_pending, "a chase is changed again and again"
    stand.snapshot(*rows(stand), his(), held={CALL: 0})
    stand.change(stand.ticket("S"))
    stand.wait(3)
    assert stand.of(CancelOrder), "nothing of it may rest, for nothing is there to be sold"


def test_r23_an_entry_that_is_not_answered_does_not_put_off_that_less_is_sold() -> None:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    stand.alert(AlertAction.BULLISH, "one", deployment="ONE")
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stand.answer(stand.ticket("S"))
    stand.update(stand.ticket("S"))
    stand.alert(AlertAction.BULLISH, "two", deployment="TWO")
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    stand.snapshot(stand.row(entry, 50, 120), stand.row(stand.ticket("S")), his(), held={CALL: 0})
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stand.ticket("S").correlation_id]


def test_r23_an_exit_that_is_not_answered_may_be_what_has_sold() -> None:
    stand = two_held()
    entries, stops = stand.tickets("E"), stand.tickets("S")
    stand.update(stops[1], state=OrderState.CANCELLED)
    assert stand.book.orders[stand.ticket("S").correlation_id].state is OrderState.SUBMITTED
    seen = [stand.row(each, 50, 120) for each in entries] + [stand.row(stops[0])]
    stand.snapshot(*seen, his(), held={CALL: 0})
    assert not stand.of(CancelOrder)


def test_r23_what_has_left_since_the_look_began_is_not_sold_once_more() -> None:
    stand = two_held()
    first, second = stand.tickets("S")
    stand.snapshot(*rows(stand), his(), held={CALL: 50})
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [second.correlation_id]
    older = rows(stand)
    stand.update(second, state=OrderState.CANCELLED)
    stand.update(first, 50, 105)
    sent = len(stand.tickets())
    stand.snapshot(*older, his(), held={CALL: 50})
    stand.wait(3)
    assert len(stand.tickets()) == sent, "the 50 units that the look shows are those that our own stop has sold"


def test_r23_a_fill_that_the_positions_had_before_the_list_is_taken_off_once() -> None:
    stand = held(lots=3)
    stop, entry = stand.ticket("S"), stand.row(stand.ticket("E"), 150, 120)

    def look(at_broker: int) -> None:
        terms = stand.book.orders[stop.correlation_id].ticket
        stand.snapshot(entry, stand.row(terms), his(), trades=(trade("125.50"),), held={CALL: at_broker})

    look(100)
    stand.change(stop)
    stand.tell(OperatorOrdered(command=Operator.UNFREEZE))
    stand.tell(OperatorOrdered(command=Operator.CLOSE))
    stand.change(stop)
    look(50)
    stand.update(stop, 50, 118, quantity=100)
    stand.wait(3)
    assert stand.position.open_quantity == 50
    assert not stand.of(CancelOrder), "50 units are held, and the exit that leaves them rests on"


def test_r23_an_execution_by_hand_is_booked_while_something_is_under_way_in_another_contract() -> None:
    stand = Stand(scalp(), scalp("PUTS"))
    stand.protected()
    seen = rows(stand)
    stand.alert(AlertAction.BEARISH, "other", deployment="PUTS")
    assert stand.ticket("E").instrument == PUT
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    stand.snapshot(*seen, his(), trades=(trade("125.50"),), held={CALL: 0})
    assert next(iter(stand.book.positions.values())).state is PositionState.CLOSED


def test_r23_units_that_a_person_adds_are_his_own() -> None:
    stand = held()
    sent = len(stand.commands)
    seen = (his(Side.BUY),)
    stand.tell(OrderUpdated(order=seen[0]))
    for _ in range(3):
        stand.snapshot(*rows(stand), *seen, trades=(trade("121", Side.BUY),), held={CALL: 100})
        stand.wait(6)
    assert stand.position.open_quantity == 50
    assert not [each for each in stand.commands[sent:] if isinstance(each, CancelOrder | ModifyOrder)]
    assert any("broker holds 100 units, our book 50" in each for each in stand.book.frozen)


def test_r23_a_stop_that_a_person_takes_back_is_laid_again_and_loud() -> None:
    stand = held()
    before = len(stand.tickets("S"))
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    assert len(stand.tickets("S")) == before + 1
    assert any("has no stop at the broker" in each for each in alarms(stand))


def told(stand: Stand, **changes: Any) -> list[str]:
    body: dict[str, Any] = {"position_id": stand.position.position_id, "quantity": 50, "price": Decimal("123.45")}
    decision = stand.tell(ClosedByHand(**{**body, **changes}))
    return [each.text for each in decision.commands if isinstance(each, Notify)]


def short_at_broker() -> Stand:
    stand = held()
    for _ in range(2):
        stand.snapshot(*rows(stand), held={CALL: 0})
        stand.wait(6)
    stand.snapshot(*rows(stand), held={CALL: 0})
    assert stand.book.frozen
    return stand


def test_r23_a_person_tells_the_price_where_nothing_else_does() -> None:
    stand = short_at_broker()
    told(stand)
    assert stand.position.state is PositionState.CLOSED
    assert (stand.position.exit_reason, stand.position.exit_price) == ("external", Decimal("123.45"))
    assert isinstance(stand.commands[-1], TakeSnapshot) or stand.of(TakeSnapshot)
    fresh = Book()
    fresh.apply_all([decode(encode(each)) for each in stand.events])
    assert fresh.positions == stand.book.positions, "after a restart it is the same"


def test_r1_a_told_closing_that_was_a_given_up_stop_is_booked_once() -> None:
    stand = Stand(scalp())
    stand.entered()
    lost, entry = stand.ticket("S"), stand.row(stand.ticket("E"), 50, 120)
    stand.answer(lost, Outcome.UNKNOWN)
    for _ in range(12):
        stand.wait(1)
        stand.snapshot(entry, held={CALL: 0})
    assert stand.book.orders[lost.correlation_id].state is OrderState.ABANDONED
    told(stand)
    assert stand.position.state is PositionState.CLOSED
    stand.wait(60)
    sent = len(stand.tickets())
    stand.snapshot(entry, stand.row(lost, 50, 105), held={CALL: 0})
    stand.wait(2)
    assert (stand.position.open_quantity, stand.position.exit_price) == (0, Decimal(105))
    assert stand.tickets()[sent:] == []
    assert stand.reborn() == stand.book


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"quantity": 51}, "50 units of"),
        ({"quantity": 0}, "cannot be"),
        ({"price": Decimal(0)}, "cannot be"),
        ({"position_id": "none"}, "no open position none"),
    ],
)
def test_r23_what_a_person_tells_must_be_possible(changes: dict[str, Any], why: str) -> None:
    stand = short_at_broker()
    assert any(why in each for each in told(stand, **changes))
    assert stand.position.is_live


def test_r23_what_the_broker_still_holds_is_not_closed_whatever_is_told() -> None:
    stand = held()
    stand.snapshot(*rows(stand), held={CALL: 50})
    assert any("0 units of" in each for each in told(stand))
    assert stand.position.open_quantity == 50
    assert not stand.of(CancelOrder)


def test_r23_a_part_by_hand_is_carried_over_the_night_as_such() -> None:
    deployment = scalp(lots=2, overnight=Overnight.KEEP, product="MARGIN")
    stand = Stand(deployment)
    stand.protected()
    stand.snapshot(*rows(stand), his(), trades=(trade("126"),), held={CALL: 50})
    stand.tell(OperatorOrdered(command=Operator.UNFREEZE))
    stand.go_to("15:29:00")
    stand.price(CALL, 130)
    stand.wait(2)
    stand.now = at("09:10:00", date(2022, 6, 16))
    stand.tell(DayBegan(day=date(2022, 6, 16)))
    (position,) = stand.book.live_positions()
    assert (position.open_quantity, position.exit_price) == (50, Decimal(126))


def test_another_instrument_traded_by_hand_touches_nothing_of_ours() -> None:
    stand = held()
    looks = len(stand.of(TakeSnapshot))
    stand.tell(OrderUpdated(order=his(instrument=PUT)))
    assert len(stand.of(TakeSnapshot)) == looks
