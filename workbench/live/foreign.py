"""Orders that bear our mark and that our book does not know: somebody else trades this account as we do.

It is a second machine on the same account, or a journal that was put back from an old copy. Both would enter what the
other has entered already, so both stop entering: each sees the other's orders.

Invariant: an order of our own start, however early its update comes, is in the book before it leaves, so it is never
taken for a foreign one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from workbench.core.book import Book
from workbench.core.messages import BrokerOrder, Message, OrderUpdated, SnapshotTaken

_TAIL = r"[0-9a-f]{0,4}%s\d{5}[A-Z]"


class ForeignOrders:
    """Listens to what the broker tells.

    Parameters
    ----------
    prefix : str
        First letters of the correlation ids of this mode, whoever has sent them.
    book : callable
        The account's book as it is now.
    on_found : callable
        Told once of each foreign order.
    """

    def __init__(self, prefix: str, book: Callable[[], Book], on_found: Callable[[str], None]) -> None:
        self._prefix, self._book, self._on_found = prefix, book, on_found
        self._told: set[str] = set()

    def listen(self, message: Message, _decision: object) -> None:
        """Look at a message that the runner has handled."""
        match message:
            case SnapshotTaken():
                orders = message.orders
            case OrderUpdated():
                orders = (message.order,)
            case _:
                return
        day = self._book().day
        if day is None:
            return
        for order in orders:
            self._judge(order, day)

    def _judge(self, order: BrokerOrder, day: date) -> None:
        tag = order.correlation_id
        if not tag or tag in self._told or not self._is_of_our_kind(tag, day):
            return
        if self._book().find(order.order_id, tag) is None:
            self._told.add(tag)
            self._on_found(tag)

    def _is_of_our_kind(self, tag: str, day: date) -> bool:
        return re.fullmatch(re.escape(self._prefix) + _TAIL % f"{day:%y%m%d}", tag) is not None
