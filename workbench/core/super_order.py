"""An order whose target and stop rest at the broker with it: entry, target, stop, and a stop that trails by itself.

Target and stop are one-cancels-other at the broker. A target or stop that is cancelled alone cannot be added again.

Invariant: a stop at zero or a target at zero means that the leg was never wanted; the two are never both zero.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from workbench.core.instrument import Instrument
from workbench.core.messages import BrokerOrder
from workbench.core.money import ZERO
from workbench.core.order import OrderChange, OrderState, OrderType, Product
from workbench.core.order_rules import broken_price, broken_quantity
from workbench.core.signal import Side


class SuperLegName(StrEnum):
    """The three legs."""

    ENTRY = "entry"
    TARGET = "target"
    STOP = "stop"


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
