"""The broker leaves a position by himself, and a person reads in his app at which price.

Invariant: this acts at the venue; of the engine's book it reads only what a person would see on his page.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from workbench.core.book import Book
from workbench.core.messages import ClosedByHand
from workbench.core.money import ZERO
from workbench.core.order import OrderState, OrderTicket, OrderType, Purpose
from workbench.testing.proof.venue import Resting, Venue


def left_by_broker(venue: Venue, position_id: str) -> list[Resting]:
    """Take back all that rests for a position and leave what it holds, by an order that has no id of ours.

    Gives the orders that have moved by it.
    """
    units, entry = venue.held(position_id), venue.of(position_id)[0].ticket
    resting = [each for each in venue.of(position_id) if each.state.may_rest]
    for each in resting:
        each.state = OrderState.CANCELLED
    if not units:
        return resting
    ticket = OrderTicket(
        correlation_id=f"rms{len(venue.orders)}",
        intent_id="rms",
        position_id=position_id,
        deployment=entry.deployment,
        purpose=Purpose.EXIT,
        instrument=entry.instrument,
        side=entry.side.opposite,
        quantity=units,
        order_type=OrderType.MARKET,
        product=entry.product,
    )
    order_id = f"V{len(venue.orders) + 1}"
    order = Resting(order_id=order_id, ticket=ticket, since=venue.now, state=OrderState.FILLED, hand=True)
    order.filled, order.last_price = units, venue.prices[entry.instrument.key]
    order.value = order.last_price * units
    venue.orders[order_id] = order
    venue.of(position_id).append(order)
    return [*resting, order]


def missing(book: Book, venue: Venue) -> dict[str, int]:
    """Give the units by position that have left at the broker, and that the book still holds."""
    held = {each.position_id: each.open_quantity for each in book.live_positions()}
    gone = {position_id: units - venue.held(position_id) for position_id, units in held.items()}
    return {position_id: units for position_id, units in gone.items() if units > 0}


def told_by_a_person(book: Book, venue: Venue, units_by_position: Mapping[str, int]) -> list[ClosedByHand]:
    """Give what a person reads in the broker's app of what was left, and tells."""
    told = []
    for position_id, units in units_by_position.items():
        position = book.positions[position_id]
        rupees = venue.value_of(position_id) - position.gross_at(ZERO)
        price = (position.side.sign * rupees / units).quantize(Decimal("0.0001"))
        told.append(ClosedByHand(position_id=position_id, quantity=units, price=price))
    return told
