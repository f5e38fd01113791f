"""Words of the broker that contradict what we sent: believed in nothing, loudly."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

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


@pytest.mark.parametrize(
    ("average", "last", "total"),
    [
        ("118.0833", "118.35", "5904.165"),  # two executions unseen: the last price alone does not make that average
        ("118.0000", "118.00", "5900"),
        ("118.02", "118.00", "5901"),  # 50 units and two places: the average says more than the last price
        ("118.00", "118.00", "5900"),
        ("118.004", "118.00", "5900.2"),  # within two places, and told to three: not the last price
    ],
)
def test_s1_what_filled_unseen_is_booked_by_the_average_as_finely_as_the_broker_tells_it(
    average: str, last: str, total: str
) -> None:
    stand = Stand()
    stand.protected()
    stand.update(stand.ticket("S"), 50, average, last_fill_price=Decimal(last))
    (leave,) = (fill for fill in stand.position.fills if fill.correlation_id == stand.ticket("S").correlation_id)
    assert leave.price * leave.quantity == Decimal(total)


def test_s1_an_average_that_is_a_float_does_not_hide_the_price_of_the_execution() -> None:
    stand = Stand()
    stand.protected()
    stand.update(stand.ticket("S"), 50, "104.55000000000001", last_fill_price=Decimal("104.55"))
    assert stand.position.fills[-1].price == Decimal("104.55")
