"""The broker's updates in any order, doubled or with some missing: the same book in the end (fault S1)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import Stand, scalp
from workbench.core.engine import Engine
from workbench.core.messages import (
    AlertAction,
    BrokerOrder,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import Order, OrderState, Purpose
from workbench.core.position import Position

LOTS = 4
UNITS = LOTS * 50


@dataclass(frozen=True)
class Story:
    """A true history of one entry order, as the broker would tell it."""

    fills: tuple[tuple[int, Decimal], ...]
    cancelled: bool

    def rows(self, stand: Stand) -> list[BrokerOrder]:
        ticket = stand.ticket("E")
        told = [stand.row(ticket, state=OrderState.ACCEPTED), stand.row(ticket)]
        filled, value = 0, Decimal(0)
        for units, price in self.fills:
            filled += units
            value += units * price
            told.append(stand.row(ticket, filled, str(value / filled), last_fill_price=price))
        if self.cancelled and filled < UNITS:
            average = str(value / filled) if filled else "0"
            told.append(stand.row(ticket, filled, average, state=OrderState.CANCELLED))
        return told


@st.composite
def stories(draw: st.DrawFn) -> Story:
    parts = draw(st.lists(st.integers(1, 2), max_size=3))
    prices = st.integers(2300, 2500).map(lambda ticks: ticks * Decimal("0.05"))
    fills = tuple((lots * 50, draw(prices)) for lots in parts if lots)
    kept, total = [], 0
    for units, price in fills:
        if total + units <= UNITS:
            kept.append((units, price))
            total += units
    return Story(tuple(kept), draw(st.booleans()))


def told(story: Story, arrange: st.DataObject | None) -> tuple[Order, Position, int]:
    """Tell the story straight, or as a bad line would; the newest word always arrives, at last by the poll."""
    stand = Stand(scalp(lots=LOTS))
    stand.alert(AlertAction.BULLISH)
    rows = story.rows(stand)
    ticket = stand.ticket("E")
    answer = WriteAnswered(
        kind=WriteKind.PLACE, correlation_id=ticket.correlation_id, outcome=Outcome.ACCEPTED, order_id=rows[0].order_id
    )
    messages: list[OrderUpdated | WriteAnswered] = [answer, *(OrderUpdated(order=row) for row in rows)]
    if arrange is not None:
        line: list[OrderUpdated | WriteAnswered] = arrange.draw(st.permutations(messages * 2))
        kept = arrange.draw(st.lists(st.booleans(), min_size=len(line), max_size=len(line)))
        messages = [*(each for each, keep in zip(line, kept, strict=True) if keep), OrderUpdated(order=rows[-1])]
    for message in messages:
        stand.tell(message)
    stops = [each for each in stand.of(PlaceOrder) if each.ticket.purpose is not Purpose.ENTRY]
    fresh = Engine(stand.config)
    fresh.recover(stand.events)
    assert fresh.book == stand.book
    return stand.book.orders[ticket.correlation_id], stand.position, len(stops)


@settings(max_examples=150)
@given(story=stories(), arrange=st.data())
def test_any_order_of_the_updates_ends_in_the_same_book(story: Story, arrange: st.DataObject) -> None:
    order, position, stops = told(story, None)
    other_order, other_position, other_stops = told(story, arrange)
    assert (order.state, order.filled_quantity, order.order_id) == (
        other_order.state,
        other_order.filled_quantity,
        other_order.order_id,
    )
    assert abs(order.filled_value - other_order.filled_value) < Decimal("1e-15")
    assert (position.state, position.open_quantity) == (other_position.state, other_position.open_quantity)
    assert (position.stop, position.target) == (other_position.stop, other_position.target)
    assert stops == other_stops == (1 if position.open_quantity else 0)
