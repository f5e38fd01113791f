"""The Broker port on the official library.

A write is one call of one library method; what became of it is judged from the wire (`outcomes`), never from the
library's words. A read that cannot be understood is unknown, which is never empty and never flat.

Invariants: nothing is sent twice from here; `place`, `modify` and `cancel` do not raise for what Dhan or a network can
do. One object serves several threads (an entry lane, an exit lane, a reader): each has its own connection.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.outcomes import Verdict, is_absent, judge_write, read_list, read_one
from workbench.brokers.dhan.rows import (
    Row,
    funds_from_row,
    order_from_row,
    position_from_row,
    state_of,
    trade_from_row,
)
from workbench.brokers.dhan.transport import Answer
from workbench.core.errors import BrokerUnavailable, CorruptData
from workbench.core.messages import BrokerOrder, Outcome, SnapshotTaken
from workbench.core.order import OrderChange, OrderTicket, OrderType
from workbench.core.ports import WriteReply

log = logging.getLogger(__name__)

# Dhan documents 30 characters; its server refuses the 26th.
_TAG = re.compile(r"[A-Za-z0-9_-]{1,25}")
_ORDER_TYPES = MappingProxyType(
    {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET", OrderType.STOP_LIMIT: "STOP_LOSS"}
)
_T = TypeVar("_T")


class DhanBroker:
    """One account at Dhan (or at a simulator that speaks Dhan's wire); implements `core.ports.Broker`.

    Parameters
    ----------
    client : DhanClient
        With the `orders` endpoint; with the `data` endpoint every write ends `NOT_SENT`.
    now : callable
        Market time, stamped on snapshots.
    on_token_refused : callable, optional
        Told, in the calling thread, when Dhan refuses the access token.
    """

    def __init__(
        self,
        client: DhanClient,
        now: Callable[[], datetime],
        *,
        on_token_refused: Callable[[str], None] | None = None,
    ) -> None:
        self._client = client
        self._api = client.api
        self._now = now
        self._on_token_refused = on_token_refused

    def __repr__(self) -> str:
        return f"DhanBroker({self._client!r})"

    def renew_token(self, token: str) -> None:
        """Use another access token from the next request on."""
        self._client.renew_token(token)

    def warm(self) -> bool:
        """Open this thread's connection before an order needs it; True if Dhan answered with the funds."""
        answer: Answer = self._api.get_fund_limits()["answer"]
        return answer.status == 200

    def place(self, ticket: OrderTicket) -> WriteReply:
        """Send a new order, at most once."""
        if not _TAG.fullmatch(ticket.correlation_id):
            reason = f"correlation id {ticket.correlation_id!r} is not 1 to 25 letters, digits, '-' or '_'"
            return WriteReply(outcome=Outcome.NOT_SENT, reason=reason)
        reply = self._api.place_order(
            security_id=ticket.instrument.security_id,
            exchange_segment=ticket.instrument.segment.value,
            transaction_type=ticket.side.value,
            quantity=ticket.quantity,
            order_type=_ORDER_TYPES[ticket.order_type],
            product_type=ticket.product.value,
            price=float(ticket.price),
            trigger_price=float(ticket.trigger_price),
            tag=ticket.correlation_id,
        )
        return self._reply(judge_write(reply["answer"]), f"placing {ticket.correlation_id}")

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        """Change a resting order; all terms are sent, since the library sends null for what is left out."""
        reply = self._api.modify_order(
            order_id=order_id,
            order_type=_ORDER_TYPES[change.order_type],
            leg_name="NA",
            quantity=change.quantity,
            price=float(change.price),
            trigger_price=float(change.trigger_price),
            disclosed_quantity=0,
            validity="DAY",
        )
        verdict = judge_write(reply["answer"], order_id=order_id)
        return self._reply(verdict, f"modifying {ticket.correlation_id} ({order_id})")

    def cancel(self, order_id: str) -> WriteReply:
        """Take an order back; a refusal ("in Transit state", already filled) keeps Dhan's words."""
        verdict = judge_write(self._api.cancel_order(order_id)["answer"], order_id=order_id)
        return self._reply(verdict, f"cancelling {order_id}")

    def order(self, order_id: str) -> BrokerOrder | None:
        """One order by Dhan's id; None when Dhan does not know it."""
        return self._one(self._api.get_order_by_id(order_id)["answer"], f"order {order_id}")

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        """One order by our id. None is no proof: Dhan answers 404 while an order is in TRANSIT."""
        answer = self._api.get_order_by_correlationID(correlation_id)["answer"]
        return self._one(answer, f"order with correlation id {correlation_id}")

    def snapshot(self) -> SnapshotTaken:
        """Orders, trades, positions and funds; a part that cannot be read makes the whole of it unknown."""
        faults: list[str] = []

        def rows(read: Callable[[], dict[str, Any]], what: str, mapped: Callable[[Row], _T]) -> tuple[_T, ...]:
            try:
                return tuple(mapped(row) for row in read_list(read()["answer"], what))
            except (BrokerUnavailable, CorruptData) as error:
                faults.append(str(error))
                return ()

        taken_at = self._now()
        # Positions before trades and orders: a fill between two reads then shows up as a trade without a position,
        # which a second snapshot explains, and never as a position out of nowhere.
        positions = rows(self._api.get_positions, "positions", position_from_row)
        trades = rows(self._api.get_trade_book, "trade book", trade_from_row)
        orders = rows(self._api.get_order_list, "order book", order_from_row)
        funds = None
        try:
            row = read_one(self._api.get_fund_limits()["answer"], "fund limit")
            funds = None if row is None else funds_from_row(row)
        except (BrokerUnavailable, CorruptData) as error:
            faults.append(str(error))
        if faults:
            log.warning("snapshot is incomplete: %s", "; ".join(faults))
        return SnapshotTaken(
            taken_at=taken_at,
            orders=orders,
            trades=trades,
            positions=positions,
            available_funds=funds,
            known=not faults,
            reason="; ".join(faults),
        )

    def _one(self, answer: Answer, what: str) -> BrokerOrder | None:
        if is_absent(answer):
            return None
        row = read_one(answer, what)
        if row is None:
            return None
        try:
            return order_from_row(row)
        except CorruptData as error:
            raise BrokerUnavailable(f"{what} cannot be read: {error}") from error

    def _reply(self, verdict: Verdict, what: str) -> WriteReply:
        if verdict.outcome is not Outcome.ACCEPTED:
            log.warning("%s: %s, %s", what, verdict.outcome.value, verdict.reason)
        if verdict.token_refused and self._on_token_refused is not None:
            self._on_token_refused(verdict.reason)
        state = state_of(verdict.status, 0, 0) if verdict.status else None
        return WriteReply(outcome=verdict.outcome, order_id=verdict.order_id, reason=verdict.reason, state=state)
