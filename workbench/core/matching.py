"""How resting orders meet quotes: one instrument, quotes only, the same rules for replay and simulator.

An order trades against the best bid or ask of a quote and never against a bar: a bar is expanded into quotes first
(`workbench.core.bars.path`). So a gap through a stop's trigger fills at the quote behind the gap, or not at all when
the stop's limit does not reach there.

Invariant: equal orders and equal quotes give equal fills in equal order; no fill is worse than its order's limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.money import ZERO
from workbench.core.order import OrderType
from workbench.core.signal import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An order that waits for a price.

    Parameters
    ----------
    id : str
        Whatever the caller knows it by.
    quantity : int
        Units that are not filled yet.
    price, trigger_price : Decimal
        Rupees; zero where the order type has none.
    triggered : bool
        A stop-limit whose trigger was reached: from then on it is a limit order at `price`.
    sequence : int
        Arrival: at one price the lower number trades first.
    """

    id: str
    side: Side
    quantity: int
    order_type: OrderType
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    triggered: bool = False
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFill:
    """One execution, units and rupees."""

    order_id: str
    side: Side
    quantity: int
    price: Decimal
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchBook:
    """Resting orders of ONE instrument, the last quote, and what of its displayed size is left.

    `bid_left` and `ask_left` are units, None where the quote told no size (then any size trades).
    """

    orders: tuple[RestingOrder, ...] = ()
    quote: Quote | None = None
    bid_left: int | None = None
    ask_left: int | None = None

    def without(self, order_id: str) -> MatchBook:
        """Give the book without that order (cancelled, or about to come back changed)."""
        return replace(self, orders=tuple(order for order in self.orders if order.id != order_id))


Matched = tuple[tuple[MatchFill, ...], MatchBook]
"""Fills in their order, and the book after them."""


def step(book: MatchBook, quote: Quote) -> Matched:
    """Let a new quote meet the resting orders.

    Returns
    -------
    (fills, book)
        The book holds the quote, what still rests, and which stops have been triggered.
    """
    fresh = replace(
        book,
        quote=quote,
        bid_left=quote.bid_quantity or None,
        ask_left=quote.ask_quantity or None,
    )
    return _match(fresh, book.orders, ()) if book.orders else ((), fresh)


def arrive(book: MatchBook, order: RestingOrder) -> Matched:
    """Let a new or changed order meet the current quote; without one it just rests.

    Only the arriving order is looked at: what rests already has met this quote, and a displayed size that others took
    is not there a second time.
    """
    others = book.without(order.id)
    if others.quote is None:
        return (), replace(others, orders=(*others.orders, order))
    return _match(others, (order,), others.orders)


def _match(book: MatchBook, orders: Iterable[RestingOrder], beside: tuple[RestingOrder, ...]) -> Matched:
    quote = book.quote
    if quote is None:
        return (), book
    left: dict[Side, int | None] = {Side.BUY: book.ask_left, Side.SELL: book.bid_left}
    awake = [_woken(order, quote) for order in orders]
    fills: list[MatchFill] = []
    resting = {order.id: order for order in (*beside, *awake)}
    for order in sorted(awake, key=_priority):
        price = _price_for(order, quote)
        size = left[order.side]
        quantity = order.quantity if size is None else min(order.quantity, size)
        if price is None or quantity <= 0:
            continue
        if size is not None:
            left[order.side] = size - quantity
        fills.append(MatchFill(order_id=order.id, side=order.side, quantity=quantity, price=price, time=quote.time))
        if quantity == order.quantity:
            del resting[order.id]
        else:
            resting[order.id] = replace(order, quantity=order.quantity - quantity)
    kept = tuple(sorted(resting.values(), key=lambda order: order.sequence))
    return tuple(fills), replace(book, orders=kept, ask_left=left[Side.BUY], bid_left=left[Side.SELL])


def _woken(order: RestingOrder, quote: Quote) -> RestingOrder:
    """Trigger a stop whose price was reached by the last trade (by bid or ask where there is none)."""
    if order.order_type is not OrderType.STOP_LIMIT or order.triggered:
        return order
    if order.side is Side.BUY:
        reached = (quote.last or quote.ask) >= order.trigger_price
    else:
        seen = quote.last or quote.bid
        reached = ZERO < seen <= order.trigger_price
    return replace(order, triggered=True) if reached else order


def _price_for(order: RestingOrder, quote: Quote) -> Decimal | None:
    """Give the price at which the quote takes the order now: its own best price, or None."""
    if order.order_type is OrderType.STOP_LIMIT and not order.triggered:
        return None
    best = quote.ask if order.side is Side.BUY else quote.bid
    if best <= 0:
        return None
    if order.order_type is OrderType.MARKET:
        return best
    inside = best <= order.price if order.side is Side.BUY else best >= order.price
    return best if inside else None


def _priority(order: RestingOrder) -> tuple[bool, bool, Decimal, int]:
    """Buyers before sellers (they never meet each other); market orders first, then the best price, then arrival."""
    price = ZERO if order.order_type is OrderType.MARKET else order.price
    return (
        order.side is Side.SELL,
        order.order_type is not OrderType.MARKET,
        -price if order.side is Side.BUY else price,
        order.sequence,
    )
