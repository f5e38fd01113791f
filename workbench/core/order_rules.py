"""What no exchange would take is not sent: tick, lot, freeze and the shape of an order's prices.

The engine makes orders that keep these rules; this is the net below it, at the door of every broker (fault catalogue
R20).

Invariant: facts of the day's master that may be wrong about a position that is already there (lot, freeze) hold up no
exit: the broker has the last word on those.
"""

from workbench.core.instrument import Instrument
from workbench.core.order import OrderChange, OrderTicket, OrderType, Purpose
from workbench.core.signal import Side


def broken_rule(ticket: OrderTicket, change: OrderChange | None = None) -> str:
    """Say which rule an order, or its new terms, would break.

    Parameters
    ----------
    ticket : OrderTicket
    change : OrderChange, optional
        New terms of that order; `quantity` is the total.

    Returns
    -------
    str
        What, where and the way out; empty if the order may go.
    """
    terms = change or OrderChange(
        order_type=ticket.order_type,
        quantity=ticket.quantity,
        price=ticket.price,
        trigger_price=ticket.trigger_price,
    )
    return broken_price(ticket.instrument, ticket.side, terms) or broken_quantity(
        ticket.instrument, terms.quantity, is_exit=ticket.purpose is not Purpose.ENTRY
    )


def broken_quantity(instrument: Instrument, quantity: int, *, is_exit: bool) -> str:
    """Say what is wrong with a quantity in units; an exit only has to be above zero."""
    if quantity <= 0:
        return f"quantity {quantity} of {instrument.name} is not above zero"
    if is_exit:
        return ""
    if quantity % instrument.lot:
        return f"quantity {quantity} of {instrument.name} is no multiple of its lot of {instrument.lot} units"
    if instrument.freeze is not None and quantity > instrument.freeze:
        return (
            f"quantity {quantity} of {instrument.name} is above the freeze quantity of {instrument.freeze} units; "
            "send it in slices"
        )
    return ""


def broken_price(instrument: Instrument, side: Side, terms: OrderChange) -> str:
    """Say what is wrong with the prices of an order: presence, tick, and a stop's limit on the right side."""
    wanted = [("price", terms.price)] if terms.order_type is not OrderType.MARKET else []
    if terms.order_type is OrderType.STOP_LIMIT:
        wanted.append(("trigger price", terms.trigger_price))
    for name, value in wanted:
        if not value.is_finite() or value <= 0:
            return f"{name} {value} of {instrument.name} is not above zero"
        if value % instrument.tick:
            return f"{name} {value} of {instrument.name} is not on its tick of {instrument.tick}"
    if terms.order_type is OrderType.STOP_LIMIT:
        behind = terms.price > terms.trigger_price if side is Side.SELL else terms.price < terms.trigger_price
        if behind:
            # Such a stop would wake and not be able to trade; the exchange refuses it.
            return f"price {terms.price} of a {side.value} stop of {instrument.name} lies before {terms.trigger_price}"
    return ""
