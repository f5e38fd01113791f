"""What the simulated broker refuses: at once in the answer, or after its receipt, as a rejection in the book.

Like Dhan, a body that makes no sense is refused with HTTP 400; whatever the exchange or the risk desk would say comes
later, as an order with status REJECTED and their text.

Invariant: nothing here changes state; each check returns its refusal or None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.money import ZERO
from workbench.core.session import Session
from workbench.core.signal import Side
from workbench.simulator.board import Level
from workbench.simulator.limits import Answer
from workbench.simulator.listing import Listed, Listing
from workbench.simulator.orders import SimOrder, WireType, is_derivative

LONGEST_TAG = 25
_TAG = re.compile(r"[A-Za-z0-9 _-]*")
_PRODUCTS = ("CNC", "INTRADAY", "MARGIN", "MTF", "CO", "BO")
_DERIVATIVE_PRODUCTS = ("INTRADAY", "MARGIN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An answer at once: HTTP status, Dhan's code and message."""

    message: str
    code: str = "DH-905"
    kind: str = "Input_Exception"
    status: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A readable order body."""

    listed: Listed
    side: Side
    product: str
    order_type: WireType
    validity: str
    quantity: int
    disclosed_quantity: int
    price: Decimal
    trigger_price: Decimal
    correlation_id: str


def number(value: Any) -> Decimal | None:
    """Read a JSON number or numeric text; None where there is none, and for NaN, infinities and booleans."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        read = Decimal(str(value))
    except InvalidOperation:
        return None
    return read if read.is_finite() else None


def read_terms(body: dict[str, Any], listing: Listing) -> Terms | Refused:
    """Read the body of a new order as Dhan's front door does."""
    try:
        side = Side(str(body.get("transactionType")))
        order_type = WireType(str(body.get("orderType")))
    except ValueError:
        return Refused(message="Missing required fields, bad values for parameters etc.")
    product, validity = str(body.get("productType")), str(body.get("validity"))
    if product not in _PRODUCTS or validity not in ("DAY", "IOC"):
        return Refused(message="Invalid productType or validity")
    segment, security_id = str(body.get("exchangeSegment")), str(body.get("securityId"))
    if segment not in {each.value for each in Segment}:
        return Refused(message="Invalid exchangeSegment")
    listed = listing.find(segment, security_id)
    if listed is None or listed.instrument.kind is InstrumentKind.INDEX:
        return Refused(message="Invalid SecurityId")
    tag = str(body.get("correlationId") or "")
    if len(tag) > LONGEST_TAG or not _TAG.fullmatch(tag):
        return Refused(message="Missing required fields, bad values for parameters etc.")
    if body.get("afterMarketOrder"):
        return Refused(message="After market orders are not accepted")
    quantity, price = number(body.get("quantity")), number(body.get("price", 0))
    trigger, disclosed = number(body.get("triggerPrice") or 0), number(body.get("disclosedQuantity") or 0)
    if quantity is None or price is None or trigger is None or disclosed is None or quantity != int(quantity):
        return Refused(message="Missing required fields, bad values for parameters etc.")
    terms = Terms(
        listed=listed, side=side, product=product, order_type=order_type, validity=validity, quantity=int(quantity),
        disclosed_quantity=int(disclosed), price=price, trigger_price=trigger, correlation_id=tag,
    )  # fmt: skip
    return bad_prices(order_type, price, trigger, int(quantity)) or terms


def bad_prices(order_type: WireType, price: Decimal, trigger: Decimal, quantity: int) -> Refused | None:
    """Refuse numbers that the order type cannot have."""
    if quantity <= 0:
        return Refused(message="Quantity should be greater than zero")
    if order_type in (WireType.LIMIT, WireType.STOP_LOSS) and price <= 0:
        return Refused(message="Price should be greater than zero for limit orders")
    if order_type in (WireType.STOP_LOSS, WireType.STOP_LOSS_MARKET) and trigger <= 0:
        return Refused(message="Trigger price should be greater than zero for stop loss orders")
    if price < 0 or trigger < 0:
        return Refused(message="Price and trigger price cannot be negative")
    return None


def exchange_refusal(order: SimOrder, session: Session, level: Level, *, is_open: bool) -> str | None:
    """Give what the exchange or the risk desk says against an order's terms, in their words, or None."""
    instrument = order.listed.instrument
    rms = f"RMS:{order.order_id}:"
    if not is_open:
        return "EXCH:16387:Security is not allowed to trade in this market"
    if is_derivative(instrument.kind) and order.product not in _DERIVATIVE_PRODUCTS:
        return f"{rms}Product type {order.product} is not allowed in this segment"
    if is_derivative(instrument.kind) and instrument.expiry is not None and instrument.expiry < session.date:
        return f"{rms}Contract has expired"
    if order.disclosed_quantity and not order.quantity * 3 < order.disclosed_quantity * 10 <= order.quantity * 10:
        return f"{rms}Disclosed quantity should be more than 30% of the order quantity"
    if order.quantity % instrument.lot:
        return f"{rms}Order quantity is not a multiple of lot size {instrument.lot}"
    if instrument.freeze is not None and order.quantity > instrument.freeze:
        return f"{rms}Order quantity exceeds the freeze quantity {instrument.freeze}"
    if instrument.kind is InstrumentKind.OPTION and order.order_type is WireType.STOP_LOSS_MARKET:
        return f"{rms}SL-M orders are not allowed for options"
    if any(price % instrument.tick for price in (order.price, order.trigger_price)):
        return f"EXCH:16418:The price is not a multiple of the tick size {instrument.tick}"
    return _stop_the_wrong_way(order) or _outside_the_band(order, level)


def _stop_the_wrong_way(order: SimOrder) -> str | None:
    if order.order_type is not WireType.STOP_LOSS:
        return None
    wrong = order.trigger_price > order.price if order.side is Side.BUY else order.trigger_price < order.price
    if not wrong:
        return None
    word = "above" if order.side is Side.BUY else "below"
    return f"RMS:{order.order_id}:Trigger price of a stop loss {order.side.value} cannot be {word} its limit"


def products_of(listed: Listed) -> tuple[str, ...]:
    """Give the products in which an instrument can be held."""
    return _DERIVATIVE_PRODUCTS if is_derivative(listed.instrument.kind) else ("CNC", "INTRADAY", "MTF")


def price_band(listed: Listed, level: Level) -> tuple[Decimal, Decimal]:
    """Give the lowest and highest price that the exchange takes, rupees.

    The real bands of options are not published in a form that could be computed; these are wide on purpose: one tick
    to five times the last price and 50 rupees more, and a fifth around it for futures. The index traded as a future is
    no contract of an exchange and has next to no band.
    """
    tick, last = listed.instrument.tick, Decimal(repr(level.last))
    if listed.instrument.kind is InstrumentKind.OPTION:
        low, high = tick, last * 5 + 50
    elif listed.instrument.kind is InstrumentKind.SYNTHETIC:
        low, high = last * Decimal("0.25"), last * Decimal("1.75")
    else:
        low, high = last * Decimal("0.8"), last * Decimal("1.2")
    return (low // tick) * tick, (high // tick) * tick


def _outside_the_band(order: SimOrder, level: Level) -> str | None:
    low, high = price_band(order.listed, level)
    prices = [price for price in (order.price, order.trigger_price) if price > ZERO]
    if all(low <= price <= high for price in prices):
        return None
    return f"RMS:{order.order_id}:Order Price needs to be Circuit Limits of {low:f} to {high:f}"


def refusal(refused: Refused) -> Answer:
    """Give a refusal as an answer."""
    body = {"errorType": refused.kind, "errorCode": refused.code, "errorMessage": refused.message}
    return refused.status, body


def unknown_order() -> Refused:
    """Give Dhan's word for an id that it does not know."""
    text = "Incorrect request for order and cannot be processed"
    return Refused(message=text, code="DH-906", kind="Order_Error", status=404)


def market_closed() -> Refused:
    """Give Dhan's word for a change outside the session, as recorded."""
    text = "Market is Closed! You cannot modify/cancel an order now."
    return Refused(message=text, code="DH-906", kind="Order_Error")


def already(order: SimOrder) -> Refused:
    """Give Dhan's word for an order that is over."""
    return Refused(message=f"Order is already {order.status.value.lower()}", code="DH-906", kind="Order_Error")
