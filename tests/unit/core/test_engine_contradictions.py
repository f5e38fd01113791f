"""Words of the broker that contradict what we sent: believed in nothing, loudly."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.unit.core.builders import Stand
from workbench.core.messages import ModifyOrder, OrderUpdated, Outcome, WriteAnswered, WriteKind
from workbench.core.signal import Side


def test_a_row_under_our_id_about_another_contract_freezes_and_books_nothing() -> None:
    stand = Stand()
    stand.protected()
    row = stand.row(stand.ticket("S"), 50, "104.5")
    stand.tell(OrderUpdated(order=replace(row, security_id="999")))
    assert stand.position.open_quantity == 50
    assert any("999" in each for each in stand.book.frozen)


def test_a_row_under_our_id_on_the_other_side_freezes_and_books_nothing() -> None:
    stand = Stand()
    stand.protected()
    row = stand.row(stand.ticket("S"), 50, "104.5")
    stand.tell(OrderUpdated(order=replace(row, side=Side.BUY)))
    assert stand.position.open_quantity == 50
    assert stand.book.frozen


def test_a_late_answer_to_an_earlier_change_does_not_book_the_one_under_way() -> None:
    stand = Stand()
    position = stand.protected()
    stop = stand.ticket("S")
    stand.price(position.plan.instrument, 151)  # the target is reached: the stop is being changed into its limit
    under_way = stand.of(ModifyOrder)[-1].change
    earlier = replace(under_way, price=under_way.price - Decimal(1))
    stand.tell(
        WriteAnswered(
            kind=WriteKind.MODIFY, correlation_id=stop.correlation_id, outcome=Outcome.ACCEPTED, change=earlier
        )
    )
    assert stop.correlation_id in stand.book.changes_pending
    assert stand.book.orders[stop.correlation_id].ticket.order_type is stop.order_type
