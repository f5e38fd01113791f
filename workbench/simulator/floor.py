"""The exchange's side of the desk: what rests there, by instrument, and how it meets the quotes of a second.

Orders trade by `core.matching` against bid, ask and the size that is displayed; what a quote cannot fill rests for the
next one. Orders of one account never trade with each other: the one that comes last is cancelled for what is left of it
(self-trade prevention), after it took what others offered at as good a price.

Invariant: a displayed size is taken once in a second, whoever comes; every fill is told once, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from workbench.core.bars import Quote
from workbench.core.matching import MatchBook, Matched, MatchFill, RestingOrder, arrive, step
from workbench.core.money import ZERO
from workbench.core.order import OrderType
from workbench.core.signal import Side
from workbench.simulator.board import Level
from workbench.simulator.listing import Listed, Listing
from workbench.simulator.orders import SimOrder

SELF_TRADE = "EXCH:17071:The order was cancelled by the exchange: self trade prevention"


class Prices(Protocol):
    """What the desk reads of a market, whoever makes its prices."""

    listing: Listing
    second: int
    now: datetime

    def level(self, listed: Listed) -> Level:
        """Give bid, last, ask and sizes of this second."""
        ...

    def quote(self, listed: Listed) -> Quote:
        """Give the same as the matching rules want it."""
        ...

    def spot(self, symbol: str) -> float:
        """Give the price of an underlying, rupees."""
        ...


class Floor:
    """Resting orders of one day.

    Parameters
    ----------
    on_fill : callable
        Told of every fill.
    """

    def __init__(self, on_fill: Callable[[MatchFill], None]) -> None:
        self._on_fill = on_fill
        self._books: dict[str, MatchBook] = {}
        self._listed: dict[str, Listed] = {}

    def open_day(self, board: Prices) -> None:
        """Start with nothing resting."""
        self._board = board
        self._books, self._listed = {}, {}

    def step(self, changed: Collection[str] | None = None) -> list[str]:
        """Let the quotes of this second meet what rests: of the instruments that have changed, or of all.

        Returns
        -------
        list of str
            Ids of stops that woke against an order of the same account, and are taken off for what is left of them.
        """
        stopped: list[str] = []
        for key in list(self._books) if changed is None else [key for key in changed if key in self._books]:
            book = self._books[key]
            if not book.orders:
                del self._books[key]
                continue
            quote = self._board.quote(self._listed[key])
            waking = [each for each in book.orders if _own_price_against(book, _awake(each)) and _wakes(each, quote)]
            for each in waking:
                book = book.without(each.id)
            self._apply(key, step(book, quote))
            stopped += [each.id for each in waking if not self._let_in(key, _awake(each))]
        return stopped

    def arrive(self, order: SimOrder) -> str | None:
        """Let a new or changed order meet the quote of this second.

        Returns
        -------
        str or None
            Why the exchange takes what is left of it off at once.
        """
        key = order.listed.instrument.key
        self._listed[key] = order.listed
        book = self._books[key] = self._fresh(key, order)
        before = next((each for each in book.orders if each.id == order.order_id), None)
        resting = RestingOrder(
            id=order.order_id,
            side=order.side,
            quantity=order.remaining,
            order_type=order.order_type.rule,
            price=order.price,
            trigger_price=order.trigger_price,
            triggered=before is not None and before.triggered and before.trigger_price == order.trigger_price,
            sequence=order.sequence,
        )
        return None if self._let_in(key, resting) else SELF_TRADE

    def remove(self, order: SimOrder) -> None:
        """Take an order off."""
        key = order.listed.instrument.key
        if key in self._books:
            self._books[key] = self._books[key].without(order.order_id)

    def _let_in(self, key: str, order: RestingOrder) -> bool:
        """Let an order meet its quote; False if it would trade with the account's own for what is left of it."""
        others = self._books[key].without(order.id)
        if others.quote is not None and _wakes(order, others.quote):
            order = _awake(order)
        own = _own_price_against(others, order)
        if own is not None and not _others_come_first(others.quote, order.side, own):
            self._books[key] = others
            return False
        self._apply(key, arrive(others, order))
        return own is None or all(each.id != order.id for each in self._books[key].orders)

    def _fresh(self, key: str, order: SimOrder) -> MatchBook:
        book = self._books.get(key)
        quote = self._board.quote(order.listed)
        if book is not None and book.quote is not None and book.quote.time == quote.time:
            return book
        # Nothing rested here in this second, so its quote has not been met by anybody.
        _, fresh = step(MatchBook(), quote)
        return replace(fresh, orders=book.orders if book else ())

    def _apply(self, key: str, matched: Matched) -> None:
        fills, self._books[key] = matched
        for fill in fills:
            self._on_fill(fill)


def _awake(order: RestingOrder) -> RestingOrder:
    return replace(order, triggered=True)


def _wakes(order: RestingOrder, quote: Quote) -> bool:
    """Say whether a quote triggers a stop that sleeps: asked of the matching rules, which know."""
    if order.order_type is not OrderType.STOP_LIMIT or order.triggered:
        return False
    fills, after = step(MatchBook(orders=(order,)), quote)
    return bool(fills) or any(each.triggered for each in after.orders)


def _own_price_against(book: MatchBook, order: RestingOrder) -> Decimal | None:
    """Give the best price of the account's own orders that the new one would trade with; None if it would with none.

    A stop that is not triggered is in nobody's way yet.
    """
    if order.order_type is OrderType.MARKET or (order.order_type is OrderType.STOP_LIMIT and not order.triggered):
        return None
    against = [
        each.price
        for each in book.orders
        if each.side is not order.side
        and (each.order_type is OrderType.LIMIT or each.triggered)
        and (each.price <= order.price if order.side is Side.BUY else each.price >= order.price)
    ]
    if not against:
        return None
    return min(against) if order.side is Side.BUY else max(against)


def _others_come_first(quote: Quote | None, side: Side, own: Decimal) -> bool:
    if quote is None:
        return False
    best = quote.ask if side is Side.BUY else quote.bid
    return best > ZERO and (best <= own if side is Side.BUY else best >= own)
