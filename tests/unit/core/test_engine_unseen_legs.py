"""What is traded under numbers that nobody knows, while legs of super orders were not shown: booked once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.unit.core.builders import CALL, Stand
from tests.unit.core.test_engine_supers import SuperStand
from workbench.core.messages import (
    AlertAction,
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    CancelOrder,
    ClosedByHand,
    FillBooked,
    FilledByHand,
    Level,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
    SnapshotTaken,
    TakeSnapshot,
)
from workbench.core.order import OrderState, Purpose
from workbench.core.position import PositionState
from workbench.core.signal import Side

NUMBER = "L9"


def lost_legs() -> SuperStand:
    """A position whose legs were given up while their list could not be read: a plain stop rests for it."""
    stand = SuperStand()
    stand.entered()
    for _ in range(9):
        stand.wait(1)
        unread(stand)
    stand.answer(stand.ticket("S"))
    assert [stand.leg(each).state for each in (Purpose.STOP, Purpose.TARGET)] == [OrderState.ABANDONED] * 2
    return stand


def unread(stand: SuperStand, *more: BrokerOrder, held: int = 50, trades: tuple[BrokerTrade, ...] = ()) -> None:
    rows = [stand.row(stand.ticket("E"), 50, 120), *plain(stand), *more]
    stand.snapshot(*rows, held={CALL: held}, trades=trades, with_legs=True, legs_unread=True)


def plain(stand: SuperStand) -> list[BrokerOrder]:
    return [stand.row(each, state=stand.book.orders[each.correlation_id].state) for each in stand.tickets("S")]


def traded(stand: SuperStand) -> tuple[BrokerOrder, tuple[BrokerTrade, ...]]:
    """The target leg as the order book and the trade book show it: a number, and nothing that says whose it is."""
    row = stand.row(stand.leg(Purpose.TARGET).ticket, 50, 150, order_id=NUMBER, correlation_id="")
    body: dict[str, Any] = {
        "order_id": NUMBER,
        "trade_id": "t1",
        "segment": row.segment,
        "security_id": row.security_id,
    }
    return row, (BrokerTrade(**body, side=Side.SELL, quantity=50, price=Decimal(150)),)


def shown(stand: SuperStand) -> None:
    """The list of super orders is read again, and shows the leg under that number."""
    leg = stand.leg_row(Purpose.TARGET, filled=50, price=150, order_id=NUMBER)
    stand.snapshot(stand.row(stand.ticket("E"), 50, 120), *plain(stand), leg, held={CALL: 0}, with_legs=True)


def is_booked_once_as_the_legs(stand: SuperStand) -> bool:
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    stand.wait(3)
    position = stand.position
    keys = [stand.ticket("E").correlation_id, stand.leg(Purpose.TARGET).ticket.correlation_id]
    assert [fill.correlation_id for fill in position.fills] == keys
    assert stand.leg(Purpose.TARGET).state is OrderState.FILLED
    assert (position.state, position.open_quantity, position.gross) == (PositionState.CLOSED, 0, Decimal(1500))
    assert stand.reborn() == stand.book
    return {each.side for each in stand.tickets() if each.purpose is not Purpose.ENTRY} <= {Side.SELL}


def test_r23_a_trade_that_may_be_an_unread_legs_is_nobodys_until_the_list_tells() -> None:
    stand = lost_legs()
    row, trades = traded(stand)
    unread(stand, row, held=0, trades=trades)
    assert not [each for each in stand.events if isinstance(each, FilledByHand)]
    assert stand.position.open_quantity == 50
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.wait(3)
    assert stand.tickets("X") == [], "it is gone at the broker: nothing asks for it"
    shown(stand)
    assert is_booked_once_as_the_legs(stand)


def test_r23_a_list_that_lags_behind_the_order_book_makes_no_leg_a_persons_trade() -> None:
    stand = SuperStand()
    stand.entered()
    rows = [stand.row(stand.ticket("E"), 50, 120)]
    for _ in range(9):
        stand.wait(1)
        stand.snapshot(*rows, *plain(stand), held={CALL: 50}, with_legs=True)
    row, trades = traded(stand)
    stand.snapshot(*rows, *plain(stand), row, held={CALL: 0}, trades=trades, with_legs=True)
    assert not [each for each in stand.events if isinstance(each, FilledByHand)]
    shown(stand)
    assert is_booked_once_as_the_legs(stand)


def test_r23_what_was_taken_for_a_persons_trade_is_moved_to_the_leg_that_it_turns_out_to_be() -> None:
    stand = lost_legs()
    stand.wait(60)
    stand.snapshot(stand.row(stand.ticket("E"), 50, 120), *plain(stand), held={CALL: 50}, with_legs=True)
    row, trades = traded(stand)
    unread(stand, row, held=0, trades=trades)
    assert [each.order_id for each in stand.events if isinstance(each, FilledByHand)] == [NUMBER]
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    stand.wait(1)
    assert stand.position.state is PositionState.CLOSED
    shown(stand)
    assert not [text for text in stand.said(Level.ALARM) if "has filled" in text]
    assert is_booked_once_as_the_legs(stand)
    assert [each.booked_as for each in stand.events if isinstance(each, FillBooked)] == ["", NUMBER]
    assert any(f"order {NUMBER} was taken for another's" in text for text in stand.said(Level.WARNING))


def test_r23_units_that_come_back_to_a_position_that_was_closed_for_them_are_left() -> None:
    stand = Stand()
    first = stand.protected().position_id
    book, stop = stand.book, stand.ticket("S").correlation_id
    stand.update(stand.ticket("S"), 50, 105)
    assert book.positions[first].state is PositionState.CLOSED
    now = stand.now
    book.positions[first] = replace(book.positions[first], fills=book.positions[first].fills[:1])
    book.apply(FilledByHand(position_id=first, quantity=50, price=Decimal(150), at=now, order_id=NUMBER))
    other = replace(book.positions[first], plan=replace(book.positions[first].plan, position_id="other"))
    book.positions["other"] = replace(other, fills=other.fills[:1], state=PositionState.OPEN)
    book.orders[stop] = replace(
        book.orders[stop], ticket=replace(book.orders[stop].ticket, position_id="other"), filled_quantity=0
    )
    body: dict[str, Any] = {
        "correlation_id": stop,
        "position_id": "other",
        "price": Decimal(150),
        "at": now,
        "booked_as": NUMBER,
    }
    book.apply(FillBooked(**body, quantity=50))
    assert (book.positions["other"].open_quantity, book.by_hand(NUMBER)) == (0, 0)
    assert (book.positions[first].open_quantity, book.positions[first].state) == (50, PositionState.EXITING)


def test_a_person_is_not_taken_at_his_word_for_what_may_be_a_legs_until_the_list_was_read() -> None:
    stand = lost_legs()
    row, trades = traded(stand)
    unread(stand, row, held=0, trades=trades)
    told = ClosedByHand(position_id=stand.position.position_id, quantity=50, price=Decimal(150), who="me")
    stand.tell(told)
    assert stand.position.open_quantity == 50
    assert "may have left by a leg of a super order" in stand.said(Level.WARNING)[-1]
    shown(stand)
    assert is_booked_once_as_the_legs(stand)


def test_r1_looks_that_do_not_ask_for_super_orders_have_not_missed_one() -> None:
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry, Outcome.UNKNOWN)
    for _ in range(40):
        stand.wait(1)
        stand.snapshot(held={})
    assert stand.book.orders[entry.correlation_id].state is OrderState.UNKNOWN
    for _ in range(3):
        stand.wait(1)
        stand.snapshot(held={}, with_legs=True)
    assert stand.book.orders[entry.correlation_id].state is OrderState.ABANDONED


def test_a_leg_that_was_shown_is_not_missed_in_lists_that_could_not_be_read() -> None:
    stand = SuperStand()
    stand.rests("120.05")
    for _ in range(6):
        stand.wait(5)
        unread(stand)
    assert not [text for text in stand.said(Level.ALARM) if "is not in the broker's" in text]
    for _ in range(2):
        stand.wait(5)
        stand.shows()
    stand.shows(stand.leg_row(Purpose.STOP), stand.leg_row(Purpose.TARGET))
    stand.wait(5)
    stand.shows()
    assert not [text for text in stand.said(Level.ALARM) if "is not in the broker's" in text]


def test_two_looks_that_began_before_a_fill_of_ours_confirm_nothing() -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    contract: dict[str, Any] = {"segment": CALL.segment.value, "security_id": CALL.security_id, "product": "INTRADAY"}
    old = SnapshotTaken(
        taken_at=stand.now,
        orders=(stand.row(stand.ticket("E"), 50, 120), stand.row(stop)),
        positions=(BrokerPosition(**contract, net_quantity=50),),
    )
    stand.now += timedelta(seconds=1)
    stand.update(stop, 50, 105)
    for _ in range(2):
        stand.tell(old)
        stand.now += timedelta(seconds=7)
    assert stand.book.frozen == ()
    stand.tell(replace(old, taken_at=stand.now))
    assert len(stand.book.frozen) == 1


def test_r13_who_leaves_beside_a_leg_that_does_not_go_says_so() -> None:
    stand = SuperStand()
    stand.rests("120.05")
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.gone(Purpose.TARGET)
    stand.wait(4)
    assert stand.tickets("X") == []
    assert stand.of(CancelOrder)
    stand.wait(6)
    assert len(stand.tickets("X")) == 1
    assert any("is left beside a leg of its super order" in text for text in stand.said(Level.ALARM))


def test_r18_a_leg_under_what_is_its_entrys_contradicts_it_in_no_look() -> None:
    stand = SuperStand()
    stand.rests("120.05")
    looks = len(stand.of(TakeSnapshot))
    for tag in ("", stand.ticket("E").correlation_id):
        leg = stand.row(stand.leg(Purpose.STOP).ticket, 50, 105, order_id=stand.entry_id, correlation_id=tag)
        stand.snapshot(stand.row(stand.ticket("E"), 50, 120), leg, held={CALL: 50})
        stand.tell(OrderUpdated(order=leg))
    assert (stand.book.frozen, stand.position.open_quantity) == ((), 50)
    assert len(stand.of(TakeSnapshot)) == looks + 2, "which leg it is and how far, the list tells"
    wrong = stand.row(stand.ticket("E"), 50, 120, security_id="1")
    stand.snapshot(wrong, held={CALL: 50})
    assert len(stand.book.frozen) == 1


def test_r23_what_a_leg_that_nobody_can_name_has_sold_is_sold_by_nothing_else() -> None:
    stand = SuperStand()
    stand.rests("120.05")
    leg = stand.row(stand.leg(Purpose.STOP).ticket, 50, 105, order_id=stand.entry_id, correlation_id="")
    unread(stand, leg, held=0)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.wait(4)
    assert stand.book.frozen == ()
    stand.wait(6)
    assert stand.tickets("X") == []
