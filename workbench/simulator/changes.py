"""How an order's terms change: by a modification, and by the broker's protection of market orders.

Invariant: a modification is taken as a whole or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from workbench.core.money import ZERO, Rounding, snap_to_tick
from workbench.core.order import OrderType
from workbench.core.session import Session
from workbench.core.signal import Side
from workbench.simulator.admission import Refused, bad_prices, exchange_refusal, number, price_band
from workbench.simulator.board import Level
from workbench.simulator.orders import SimOrder, WireType, protected_price


def change(order: SimOrder, body: dict[str, Any], *, session: Session, level: Level, now: datetime) -> Refused | None:
    """Change an order as a body says, where null and what is missing stay as they are; or say why not."""
    instrument = order.listed.instrument
    try:
        order_type = WireType(str(body.get("orderType") or order.order_type.value))
    except ValueError as unknown:
        return Refused(message=f"Invalid request: {unknown}")
    read = {"quantity": Decimal(order.quantity), "price": order.price, "triggerPrice": order.trigger_price}
    for name in read:
        if body.get(name) is not None:
            value = number(body[name])
            if value is None:
                return Refused(message="Missing required fields, bad values for parameters etc.")
            read[name] = value
    quantity, price, trigger = int(read["quantity"]), read["price"], read["triggerPrice"]
    stopping = order_type in (WireType.STOP_LOSS, WireType.STOP_LOSS_MARKET)
    draft = replace(
        order, order_type=order_type, quantity=quantity, price=price, trigger_price=trigger if stopping else ZERO
    )
    refused = bad_prices(order_type, price, draft.trigger_price, quantity)
    if refused is None and quantity <= order.filled:
        refused = Refused(message="Quantity cannot be lower than what has traded")
    if refused is None and quantity % instrument.lot:
        refused = Refused(message=f"Quantity should be a multiple of lot size {instrument.lot}")
    if refused is not None:
        return refused
    why = exchange_refusal(draft, session, level, is_open=True)
    if why is not None:
        return Refused(message=why, code="DH-906", kind="Order_Error")
    protect(draft, Decimal(repr(level.last)), price_band(order.listed, level))
    order.order_type, order.quantity, order.price = draft.order_type, draft.quantity, draft.price
    order.trigger_price, order.updated = draft.trigger_price, now
    order.modifications += 1
    return None


def protect(order: SimOrder, last: Decimal, band: tuple[Decimal, Decimal]) -> None:
    """Turn a market order into a limit order with price protection, and a stop-market into a stop-limit."""
    instrument = order.listed.instrument
    if order.order_type.rule is OrderType.LIMIT or order.order_type is WireType.STOP_LOSS:
        return
    base = order.trigger_price if order.order_type is WireType.STOP_LOSS_MARKET else last
    way = Rounding.DOWN if order.side is Side.BUY else Rounding.UP
    price = snap_to_tick(protected_price(order.side, base), instrument.tick, way)
    order.price = max(instrument.tick, min(band[1], max(band[0], price)))
    order.order_type = WireType.STOP_LOSS if order.order_type is WireType.STOP_LOSS_MARKET else WireType.LIMIT
