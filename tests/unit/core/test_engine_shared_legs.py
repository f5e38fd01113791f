"""Legs of super orders under their entry's number: whose units a word counts, only the list of them says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.core.builders import CALL
from tests.unit.core.test_engine_supers import SuperStand
from workbench.core.messages import (
    BrokerOrder,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.money import ZERO
from workbench.core.order import OrderState, Purpose, SuperLegName
from workbench.core.super_order import shared_leg_id

LEGS = (Purpose.STOP, Purpose.TARGET)


class SharedStand(SuperStand):
    """The broker gives a leg its entry's number, so the adapter names it by its place and leaves its units out."""

    def shared(self, purpose: Purpose, *, filled: int = 0, state: OrderState = OrderState.WORKING) -> BrokerOrder:
        """A leg as the list of super orders shows it, with what it sold."""
        name = SuperLegName.STOP if purpose is Purpose.STOP else SuperLegName.TARGET
        row = self.row(self.leg(purpose).ticket, filled, 150, state=state)
        return replace(
            self.leg_row(purpose, state=state, order_id=shared_leg_id(self.entry_id, name)),
            filled_quantity=row.filled_quantity,
            average_price=row.average_price,
            last_fill_price=row.last_fill_price,
        )

    def word(self, purpose: Purpose, state: OrderState) -> None:
        """What the socket tells of a leg."""
        row = self.shared(purpose, state=state)
        self.tell(OrderUpdated(order=replace(row, filled_quantity=0, average_price=ZERO, last_fill_price=ZERO)))

    def looks(self) -> int:
        return len(self.of(TakeSnapshot))


@pytest.fixture
def stand() -> SharedStand:
    made = SharedStand()
    made.entered()
    made.shows(made.shared(Purpose.STOP), made.shared(Purpose.TARGET))
    for key in list(made.book.changes_pending):
        made.change(made.book.orders[key].ticket)
    return made


@pytest.mark.parametrize("state", [OrderState.PARTLY_FILLED, OrderState.FILLED, OrderState.CANCELLED])
def test_r13_a_word_on_a_shared_leg_is_looked_up_and_ends_nothing(stand: SharedStand, state: OrderState) -> None:
    before, looks = stand.leg(Purpose.TARGET), stand.looks()
    stand.word(Purpose.TARGET, state)
    assert stand.leg(Purpose.TARGET) == before
    assert stand.looks() == looks + 1
    assert stand.of(TakeSnapshot)[-1].with_legs


def test_r16_what_a_shared_leg_sold_before_it_was_taken_back_is_not_sold_again(stand: SharedStand) -> None:
    stand.word(Purpose.TARGET, OrderState.PARTLY_FILLED)  # 25 of 50 at the broker
    stand.tell(OperatorOrdered(command=Operator.FLATTEN, who="trader"))
    stand.wait(1)
    for purpose in (Purpose.TARGET, Purpose.STOP):
        key = stand.leg(purpose).ticket.correlation_id
        stand.tell(WriteAnswered(kind=WriteKind.CANCEL, correlation_id=key, outcome=Outcome.ACCEPTED))
        stand.word(purpose, OrderState.CANCELLED)
    assert stand.tickets("X") == []
    stand.shows(
        stand.shared(Purpose.STOP, state=OrderState.CANCELLED),
        stand.shared(Purpose.TARGET, filled=25, state=OrderState.CANCELLED),
        held={CALL: 25},
    )
    stand.wait(1)
    leaving = [each for each in stand.tickets() if each.position_id == stand.position.position_id][1:]
    plain = [each.quantity for each in leaving if not each.leg_of]
    assert (stand.position.open_quantity, plain) == (25, [25])


@pytest.mark.parametrize("left_by", LEGS)
def test_s1_a_sale_that_the_next_look_gives_to_the_other_leg_is_booked_once(
    stand: SharedStand, left_by: Purpose
) -> None:
    other = next(each for each in LEGS if each is not left_by)
    done, gone = OrderState.FILLED, OrderState.CANCELLED
    stand.shows(stand.shared(left_by, filled=50, state=done), stand.shared(other, state=gone), held={CALL: 0})
    assert stand.position.open_quantity == 0
    sent = len(stand.tickets())
    for _ in range(3):
        stand.shows(stand.shared(left_by, state=gone), stand.shared(other, filled=50, state=done), held={CALL: 0})
        stand.wait(7)
    assert stand.position.open_quantity == 0
    assert stand.tickets()[sent:] == []
    assert stand.book.frozen == ()
    assert stand.reborn() == stand.book


def test_r15_a_second_sale_is_booked_whichever_leg_the_first_was_booked_for(stand: SharedStand) -> None:
    done = OrderState.FILLED
    stand.shows(stand.shared(Purpose.STOP, filled=50, state=done), stand.shared(Purpose.TARGET), held={CALL: 0})
    both = [stand.shared(each, filled=50, state=done) for each in LEGS]
    stand.shows(*both, held={CALL: -50})
    assert [(each.side.value, each.quantity) for each in stand.tickets("X")] == [("BUY", 50)]


def test_r15_no_stop_is_placed_for_units_that_the_other_leg_seems_to_have_sold(stand: SharedStand) -> None:
    gone = stand.shared(Purpose.STOP, state=OrderState.CANCELLED)
    for _ in range(4):
        stand.shows(gone, stand.shared(Purpose.TARGET), held={CALL: 0})  # sent, and no list of executions has it yet
        stand.wait(1)
    plain = [each for each in stand.tickets("S") if not each.leg_of]
    assert plain == []
    stand.shows(gone, stand.shared(Purpose.TARGET, filled=50, state=OrderState.FILLED), held={CALL: 0})
    assert (stand.position.open_quantity, stand.book.frozen) == (0, ())
    assert [each for each in stand.tickets("S") if not each.leg_of] == []


def test_r18_where_the_units_are_there_a_leg_that_went_is_replaced_soon(stand: SharedStand) -> None:
    gone = stand.shared(Purpose.STOP, state=OrderState.CANCELLED)
    for _ in range(3):
        stand.shows(gone, stand.shared(Purpose.TARGET), held={CALL: 50})
        stand.wait(1)
    assert [each.quantity for each in stand.tickets("S") if not each.leg_of] == [50]
