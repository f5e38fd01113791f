"""An order whose target and stop rest at the broker with it: entry, target, stop, and a stop that trails by itself.

Target and stop are one-cancels-other at the broker. A target or stop that is cancelled alone cannot be added again.

Invariant: a stop at zero or a target at zero means that the leg was never wanted; the two are never both zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from workbench.core.instrument import Instrument
from workbench.core.messages import BrokerOrder, BrokerTrade, SnapshotTaken
from workbench.core.money import ZERO
from workbench.core.order import (
    Bracket,
    LegAddress,
    OrderChange,
    OrderState,
    OrderTicket,
    OrderType,
    Product,
    SuperLegName,
)
from workbench.core.order_rules import broken_price, broken_quantity
from workbench.core.signal import Side

__all__ = [
    "SuperLeg",
    "SuperLegName",
    "SuperOrder",
    "SuperTicket",
    "broken_super_rule",
    "is_shared_leg",
    "is_told_without_units",
    "shared_leg_id",
    "super_ticket",
    "with_legs",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperTicket:
    """A super order as we send it; the entry is a limit order.

    Parameters
    ----------
    quantity : int
        Units, a multiple of the lot.
    price, target_price, stop_price : Decimal
        Rupees on the tick; zero leaves target or stop out.
    trail_by : Decimal
        Rupees in steps of which the stop follows the price; zero for a stop that stands.
    """

    correlation_id: str
    instrument: Instrument
    side: Side
    quantity: int
    product: Product
    price: Decimal
    target_price: Decimal = ZERO
    stop_price: Decimal = ZERO
    trail_by: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperLeg:
    """Target or stop as the broker knows it; `triggered_quantity` units have been sent to the exchange."""

    name: SuperLegName
    order_id: str
    side: Side
    state: OrderState
    quantity: int
    remaining_quantity: int
    triggered_quantity: int
    price: Decimal
    trail_by: Decimal = ZERO
    raw_status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperOrder:
    """A super order as the broker knows it; `is_closed`: the entry and one exit are done."""

    entry: BrokerOrder
    legs: tuple[SuperLeg, ...] = ()
    is_closed: bool = False

    def leg(self, name: SuperLegName) -> SuperLeg | None:
        """Give target or stop, None if it is not there."""
        return next((each for each in self.legs if each.name is name), None)


def broken_super_rule(ticket: SuperTicket) -> str:
    """Say which rule a super order would break; empty if it may go."""
    name, sign = ticket.instrument.name, 1 if ticket.side is Side.BUY else -1
    if not ticket.target_price and not ticket.stop_price:
        return f"a super order of {name} needs a target or a stop"
    for price in filter(None, (ticket.price, ticket.target_price, ticket.stop_price, ticket.trail_by)):
        fault = broken_price(
            ticket.instrument, ticket.side, OrderChange(order_type=OrderType.LIMIT, quantity=1, price=price)
        )
        if fault:
            return fault
    if ticket.price <= 0:
        return f"a super order of {name} needs the price of its entry, also when it is to fill at once"
    if ticket.target_price and (ticket.target_price - ticket.price) * sign <= 0:
        return f"target {ticket.target_price} of {name} is not beyond the entry at {ticket.price}"
    if ticket.stop_price and (ticket.price - ticket.stop_price) * sign <= 0:
        return f"stop {ticket.stop_price} of {name} is not before the entry at {ticket.price}"
    return broken_quantity(ticket.instrument, ticket.quantity, is_exit=False)


def super_ticket(ticket: OrderTicket, bracket: Bracket) -> SuperTicket:
    """Give a super order from an order of ours that is its entry or one of its legs; the trail is kept by us."""
    return SuperTicket(
        correlation_id=ticket.leg_of or ticket.correlation_id,
        instrument=ticket.instrument,
        side=ticket.side.opposite if ticket.leg_of else ticket.side,
        quantity=bracket.quantity,
        product=ticket.product,
        price=bracket.price,
        target_price=bracket.target_price,
        stop_price=bracket.stop_price,
    )


def shared_leg_id(entry_id: str, name: SuperLegName) -> str:
    """Give the id of a leg that the broker shows without one, or under that of its entry or of the other leg."""
    return f"{entry_id}-{name.value}"


def is_shared_leg(row: BrokerOrder) -> bool:
    """Tell whether a row is of a leg without an id of its own."""
    return row.leg is not None and row.order_id == shared_leg_id(row.leg.entry_id, row.leg.name)


def is_told_without_units(row: BrokerOrder) -> bool:
    """Tell whether a word on a leg under its entry's id says more than that it rests, and nothing of what it sold.

    Whose units such a word counts nobody can say, so they are left out of it; only the list of super orders tells.
    """
    is_more = row.state not in (OrderState.ACCEPTED, OrderState.WORKING)
    return is_shared_leg(row) and not row.filled_quantity and is_more


def with_legs(seen: SnapshotTaken, supers: Iterable[SuperOrder]) -> SnapshotTaken:
    """Give the broker's truth with what only his list of super orders shows: the legs, and entries that lag.

    A leg that was sent to the exchange may stand in the order book too: then the book's units and prices of fills
    count, and the list's price. Nobody knows whether an entry stands in both, nor whether legs have ids of their own:
    the broker's published sample gives all three the same, and then the row of that id is the entry's alone.
    """
    rows = {row.order_id: row for row in seen.orders}
    for each in supers:
        if rows.setdefault(each.entry.order_id, each.entry).side is not each.entry.side:
            rows[each.entry.order_id] = each.entry
        for row in _legs(each, rows, seen.trades):
            rows[row.order_id] = row
    return replace(seen, orders=tuple(rows.values()))


def _legs(found: SuperOrder, rows: dict[str, BrokerOrder], trades: tuple[BrokerTrade, ...]) -> Iterator[BrokerOrder]:
    entry = found.entry
    for leg in found.legs:
        has_own_id = _has_own_id(leg, found)
        order_id = leg.order_id if has_own_id else shared_leg_id(entry.order_id, leg.name)
        is_stop = leg.name is SuperLegName.STOP
        address = LegAddress(entry_id=entry.order_id, name=leg.name)
        price, trigger = (ZERO, leg.price) if is_stop else (leg.price, ZERO)
        if order_id in rows:
            yield replace(rows[order_id], leg=address, correlation_id="", price=price, trigger_price=trigger)
            continue
        # A leg covers what its entry has filled, whatever the list says of it while it sleeps; and once it went to the
        # exchange, what was sent there: the entry may have filled more since.
        units = min(leg.quantity, entry.filled_quantity) or entry.filled_quantity
        units = min(units, leg.triggered_quantity or units)
        if not units and not leg.state.is_done:
            continue  # beside an entry that is told to have filled nothing a leg protects nothing: it is not shown
        own = [each for each in trades if each.order_id == order_id]
        mine = own if has_own_id else _shared(leg, found, trades, entered=_entered(found, rows, trades))
        filled = sum(each.quantity for each in mine)
        value = sum((each.price * each.quantity for each in mine), ZERO)
        yield BrokerOrder(
            order_id=order_id,
            correlation_id="",
            # "Traded" is a word: without executions that say how much, it may still be working.
            state=OrderState.WORKING if leg.state is OrderState.FILLED and not filled else leg.state,
            segment=entry.segment,
            security_id=entry.security_id,
            side=leg.side,
            quantity=max(units, filled),
            filled_quantity=filled,
            average_price=value / filled if filled else ZERO,
            price=price,
            trigger_price=trigger,
            raw_status=leg.raw_status,
            leg=address,
        )


def _has_own_id(leg: SuperLeg, found: SuperOrder) -> bool:
    others = {found.entry.order_id, *(each.order_id for each in found.legs if each.name is not leg.name)}
    return leg.order_id not in ("", "0", "NA", *others)


def _entered(found: SuperOrder, rows: dict[str, BrokerOrder], trades: tuple[BrokerTrade, ...]) -> int:
    """Units that the entry has filled by whichever list knows most: that of super orders may lag behind the others."""
    entry = found.entry
    mine = (each.quantity for each in trades if each.order_id == entry.order_id and each.side is entry.side)
    known = max(entry.filled_quantity, rows[entry.order_id].filled_quantity, sum(mine))
    return known or max((each.quantity for each in found.legs), default=0)  # a leg sells no more than it is for


def _shared(leg: SuperLeg, found: SuperOrder, trades: tuple[BrokerTrade, ...], *, entered: int) -> list[BrokerTrade]:
    """Give executions of a leg that has no id of its own: those out of the position under the ids of the order.

    They count once: for the leg that is said to have traded, else for the first that was sent to the exchange. What is
    more than the entry has filled is the other's, also while the list does not show it gone: then both have sold (fault
    R15). An execution that goes beyond that is some of each: a leg never sells more than its entry has filled.
    """
    gone = [each for each in found.legs if each.state is OrderState.FILLED or each.triggered_quantity]
    gone.sort(key=lambda each: (each.state is not OrderState.FILLED, not each.triggered_quantity))
    ids = (found.entry.order_id, leg.order_id)
    mine: dict[SuperLegName, list[BrokerTrade]] = {each.name: [] for each in found.legs}
    first, left = gone[0] if gone else leg, entered
    last = next((each for each in found.legs if each.name is not first.name), first)
    for each in trades:
        if each.order_id not in ids or each.side is not leg.side or not gone:
            continue
        within = min(each.quantity, left)
        for whose, units in ((first, within), (last, each.quantity - within)):
            if units:
                mine[whose.name].append(replace(each, quantity=units))
        left -= within
    return mine[leg.name]
