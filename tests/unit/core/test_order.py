"""The order's table of transitions, and the position that its fills make."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, at
from workbench.core.book import Book
from workbench.core.errors import IllegalMove
from workbench.core.messages import EntryFailed, FillBooked, OrderMoved, OrderSubmitted, PositionClosed, PositionPlanned
from workbench.core.order import TRANSITIONS, Order, OrderChange, OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.plan import Exits
from workbench.core.position import PositionState
from workbench.core.signal import Direction, Side

NOW = at("10:00:00")
S = OrderState


def ticket(
    key: str = "wE", purpose: Purpose = Purpose.ENTRY, side: Side = Side.BUY, quantity: int = 100
) -> OrderTicket:
    return OrderTicket(
        correlation_id=key, intent_id=f"P1:{purpose.value}", position_id="P1", deployment="D", purpose=purpose,
        instrument=CALL, side=side, quantity=quantity, order_type=OrderType.LIMIT, product=Product.INTRADAY,
        price=Decimal(120),
    )  # fmt: skip


def planned() -> PositionPlanned:
    return PositionPlanned(
        position_id="P1", deployment="D", direction=Direction.LONG, side=Side.BUY, instrument=CALL, quantity=100,
        product=Product.INTRADAY, exits=Exits(), reference_price=Decimal(120), underlying_price=Decimal(15700),
        subject="a", at=NOW,
    )  # fmt: skip


def test_the_table_knows_every_state() -> None:
    assert set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize("state", [s for s in OrderState if s.is_done])
def test_a_fill_is_believed_after_every_end(state: OrderState) -> None:
    assert S.FILLED in TRANSITIONS[state]


@pytest.mark.parametrize(
    ("before", "after"),
    [(S.FILLED, S.CANCELLED), (S.CANCELLED, S.WORKING), (S.REJECTED, S.CANCELLED), (S.PARTLY_FILLED, S.UNKNOWN),
     (S.WORKING, S.NOT_SENT), (S.EXPIRED, S.WORKING)],
)  # fmt: skip
def test_an_illegal_move_is_refused(before: OrderState, after: OrderState) -> None:
    with pytest.raises(IllegalMove, match="wE"):
        Order(ticket=ticket(), state=before).moved(after)


@pytest.mark.parametrize("state", [S.CANCELLED, S.FILLED, S.REJECTED, S.WORKING])
def test_an_update_may_outrun_the_answer(state: OrderState) -> None:
    assert Order(ticket=ticket()).moved(state, order_id="B1").state is state


def test_unknown_is_neither_over_nor_rejected() -> None:
    assert S.UNKNOWN.may_rest
    assert not S.UNKNOWN.is_done


def test_moving_keeps_what_is_known() -> None:
    order = Order(ticket=ticket()).moved(S.ACCEPTED, order_id="B1", reason="first").moved(S.WORKING)
    assert (order.order_id, order.reason) == ("B1", "first")


def test_a_change_sets_new_terms_and_is_counted() -> None:
    change = OrderChange(order_type=OrderType.STOP_LIMIT, quantity=50, price=Decimal(99), trigger_price=Decimal(105))
    order = Order(ticket=ticket()).changed(change)
    assert (order.ticket.quantity, order.ticket.trigger_price, order.modifications) == (50, Decimal(105), 1)


def test_fills_average_by_value() -> None:
    order = Order(ticket=ticket()).filled(25, Decimal(100)).filled(75, Decimal(104))
    assert (order.filled_quantity, order.average_price, order.remaining_quantity) == (100, Decimal(103), 0)
    assert Order(ticket=ticket()).average_price == 0


def book(*orders: OrderTicket) -> Book:
    fresh = Book()
    fresh.apply(planned())
    for each in orders or (ticket(),):
        fresh.apply(OrderSubmitted(ticket=each, at=NOW))
    return fresh


def fill(key: str, quantity: int, price: int) -> FillBooked:
    return FillBooked(correlation_id=key, position_id="P1", quantity=quantity, price=Decimal(price), at=NOW)


EXIT = ticket("wX", Purpose.EXIT, Side.SELL)


def test_the_first_fill_opens_the_position() -> None:
    after = book()
    assert after.positions["P1"].state is PositionState.OPENING
    after.apply(fill("wE", 50, 120))
    position = after.positions["P1"]
    assert (position.state, position.open_quantity, position.entry_price) == (PositionState.OPEN, 50, Decimal(120))
    assert position.opened_at == NOW


def test_an_entry_that_was_given_up_and_fills_lives_again() -> None:
    after = book()
    after.apply(EntryFailed(position_id="P1", at=NOW, reason="absent"))
    assert not after.positions["P1"].is_live
    after.apply(fill("wE", 100, 120))
    position = after.positions["P1"]
    assert (position.state, position.exit_reason, position.closed_at) == (PositionState.OPEN, "", None)


def test_a_closed_position_that_fills_again_has_no_result_until_it_is_closed_again() -> None:
    after = book(ticket(), EXIT)
    after.apply_all([fill("wE", 50, 120), fill("wX", 50, 130)])
    after.apply(
        PositionClosed(
            position_id="P1",
            at=NOW,
            reason="target",
            entry_price=Decimal(120),
            exit_price=Decimal(130),
            gross=Decimal(500),
            charges=Decimal(50),
            net=Decimal(450),
        )
    )
    assert after.realised() == 450
    after.apply(fill("wE", 50, 121))
    position = after.positions["P1"]
    assert (position.state, position.open_quantity, position.net) == (PositionState.EXITING, 50, Decimal(0))
    assert after.realised() == 0


def test_a_double_fill_shows_as_less_than_nothing() -> None:
    after = book(ticket(), EXIT)
    after.apply_all([fill("wE", 50, 120), fill("wX", 100, 130)])
    assert after.positions["P1"].open_quantity == -50
    assert after.net_by_instrument() == {("NSE_FNO", CALL.security_id): -50}


def test_what_is_taken_back_of_an_excess_makes_it_whole() -> None:
    back = replace(ticket("wB", Purpose.EXIT), quantity=50)
    after = book(ticket(), EXIT, back)
    after.apply_all([fill("wE", 50, 120), fill("wX", 100, 130), fill("wB", 50, 131)])
    position = after.positions["P1"]
    assert (position.open_quantity, position.entered_quantity, position.exited_quantity) == (0, 50, 50)
    assert position.gross_at(Decimal(0)) == -50 * 120 + 100 * 130 - 50 * 131


def test_an_order_is_found_by_either_id() -> None:
    after = book()
    after.apply(OrderMoved(correlation_id="wE", state=S.ACCEPTED, at=NOW, order_id="B1"))
    assert after.find("B1", "") is after.find("", "wE") is after.orders["wE"]
    assert after.find("B2", "other") is None


def test_an_end_clears_what_was_under_way() -> None:
    from workbench.core.messages import CancelAsked, OrderChangeAsked

    after = book()
    change = OrderChange(order_type=OrderType.LIMIT, quantity=100, price=Decimal(121))
    after.apply(OrderChangeAsked(correlation_id="wE", change=change, purpose="entry", at=NOW))
    after.apply(CancelAsked(correlation_id="wE", at=NOW))
    after.apply(OrderMoved(correlation_id="wE", state=S.CANCELLED, at=NOW))
    assert not after.changes_pending
    assert not after.cancels_pending


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(TypeError, match="not an event"):
        Book().apply("filled")  # type: ignore[arg-type]
