"""The broker's updates in any order, doubled or with some missing: the same book in the end (fault S1)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import Stand, scalp
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
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
from workbench.core.signal import Side

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


WORDS = {
    OrderState.ACCEPTED: "TRANSIT",
    OrderState.WORKING: "PENDING",
    OrderState.PARTLY_FILLED: "PART_TRADED",
    OrderState.FILLED: "TRADED",
    OrderState.CANCELLED: "CANCELLED",
}


def on_the_wire(row: BrokerOrder, **changes: object) -> dict[str, Any]:
    """Write an order as Dhan's socket tells it."""
    exchange, segment = row.segment.split("_")
    return {
        "Exchange": exchange,
        "Segment": {"FNO": "D", "EQ": "E"}[segment],
        "SecurityId": row.security_id,
        "OrderNo": row.order_id,
        "TxnType": row.side.value[0],
        "Quantity": row.quantity,
        "TradedQty": row.filled_quantity,
        "AvgTradedPrice": str(row.average_price),
        "TradedPrice": str(row.last_fill_price),
        "Price": str(row.price),
        "TriggerPrice": str(row.trigger_price),
        "Status": WORDS[row.state],
        "CorrelationId": row.correlation_id,
        "LegNo": 1,
        "AlgoOrdNo": "",
        **changes,
    }


def cased(draw: st.DataObject, data: dict[str, Any]) -> str:
    """Write a message in one of the casings that were seen, keys and status."""
    kind = draw.draw(st.sampled_from(["pascal", "camel", "both"]))
    camel = {key[0].lower() + key[1:]: value for key, value in data.items()}
    word = draw.draw(st.sampled_from([str.upper, str.lower, str.title]))(data["Status"])
    body = {"pascal": data, "camel": camel, "both": camel | data}[kind]
    body = {key: word if key.lower() == "status" else value for key, value in body.items()}
    return json.dumps({"Data": body, "Type": "order_alert"})


@settings(max_examples=80)
@given(story=stories(), arrange=st.data())
def test_s1_over_the_wire_in_any_casing_and_among_legs_and_strangers_it_is_the_same_book(
    story: Story, arrange: st.DataObject
) -> None:
    order, position, _ = told(story, None)
    stand = Stand(scalp(lots=LOTS))
    stand.alert(AlertAction.BULLISH)
    rows = story.rows(stand)
    ticket = stand.ticket("E")
    updates = DhanOrderUpdates("ws://127.0.0.1:9", "1000000001", "secret")
    noise = [
        # A leg of a super order: a sale that carries the id of its entry.
        on_the_wire(
            replace(rows[0], side=Side.SELL), OrderNo="90", LegNo=2, AlgoOrdNo=rows[0].order_id, Status="DUMMY"
        ),
        on_the_wire(replace(rows[0], side=Side.SELL), LegNo=3, AlgoOrdNo=rows[0].order_id, Remarks="Super Order"),
        # An order of a person in the broker's own app.
        on_the_wire(rows[0], OrderNo="91", CorrelationId="NA", Status="PENDING"),
    ]
    line = arrange.draw(st.permutations([*(on_the_wire(row) for row in rows), *noise, *noise]))
    for data in [*line, on_the_wire(rows[-1])]:
        read = updates.read(cased(arrange, data))
        if read is not None:
            stand.tell(OrderUpdated(order=read))
    other = stand.book.orders[ticket.correlation_id]
    assert (other.state, other.filled_quantity, other.order_id) == (order.state, order.filled_quantity, order.order_id)
    assert stand.position.open_quantity == position.open_quantity
    assert stand.book.frozen == ()
    assert (updates.malformed, updates.other, updates.legs) == (0, 0, 4)
