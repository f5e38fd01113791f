"""The Broker port on the official library.

A write is one call of one library method; what became of it is judged from the wire (`outcomes`), never from the
library's words. A read that cannot be understood is unknown, which is never empty and never flat.

An order that no exchange would take, or that has no room in the rate limits, ends here as `NOT_SENT` with its reason.
Dhan's own slicing of large orders is not used: it gives several orders one correlation id, and an order that cannot be
looked up by an id of its own cannot be found after an unclear end.

Invariants: nothing is sent twice from here; `place`, `modify` and `cancel` do not raise for what Dhan or a network can
do. One object serves several threads (an entry lane, an exit lane, a reader): each has its own connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from workbench.brokers.dhan.answers import Answer, Fate
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.control import DhanControl
from workbench.brokers.dhan.fields import Row
from workbench.brokers.dhan.margins import DhanMargins
from workbench.brokers.dhan.outcomes import Verdict, is_absent, judge_write, read_list, read_one
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.rows import (
    funds_from_row,
    legs_apart,
    order_from_row,
    position_from_row,
    state_of,
    trade_from_row,
)
from workbench.brokers.dhan.supers import DhanSuperOrders
from workbench.brokers.dhan.writer import Writer, tag_fault
from workbench.core.errors import BrokerUnavailable, CorruptData
from workbench.core.messages import BrokerOrder, Outcome, SnapshotTaken
from workbench.core.order import OrderChange, OrderTicket, OrderType, Purpose
from workbench.core.order_rules import broken_rule
from workbench.core.ports import WriteReply

log = logging.getLogger(__name__)

_ORDER_TYPES = MappingProxyType(
    {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET", OrderType.STOP_LIMIT: "STOP_LOSS"}
)
# A connection that can be used for so long is warm; the funds need not be asked for.
WARM_S = 15.0
_T = TypeVar("_T")


class DhanBroker:
    """One account at Dhan (or at a simulator that speaks Dhan's wire); implements `core.ports.Broker`.

    Parameters
    ----------
    client : DhanClient
        With the `orders` endpoint; with the `data` endpoint every write ends `NOT_SENT`.
    now : callable
        Market time, stamped on snapshots.
    pace : Pace, optional
        Turns of the client id; default: those that the client has.
    on_token_refused : callable, optional
        Told once, in the calling thread, when Dhan refuses the access token.

    Attributes
    ----------
    supers : DhanSuperOrders
    control : DhanControl
    margins : DhanMargins
    """

    def __init__(
        self,
        client: DhanClient,
        now: Callable[[], datetime],
        *,
        pace: Pace | None = None,
        on_token_refused: Callable[[str], None] | None = None,
    ) -> None:
        if pace is not None:
            client.transport.pace = pace
        if on_token_refused is not None:
            client.tell_token_refused(on_token_refused)
        self._client = client
        self._api = client.api
        self._now = now
        self._writer = Writer(client)
        self.supers = DhanSuperOrders(client)
        self.control = DhanControl(client)
        self.margins = DhanMargins(client)

    def __repr__(self) -> str:
        return f"DhanBroker({self._client!r})"

    def renew_token(self, token: str) -> None:
        """Use another access token from the next request on."""
        self._client.renew_token(token)

    def warm(self) -> bool:
        """Open this thread's connection before an order needs it, unless it is open and used lately.

        Returns
        -------
        bool
            The connection is good: Dhan answered just now, or a short while ago.
        """
        if self._client.transport.idle_left_s > WARM_S:
            return True
        with self._client.transport.hurried():
            answer: Answer = self._api.get_fund_limits()["answer"]
        return answer.status == 200

    def place(self, ticket: OrderTicket) -> WriteReply:
        """Send a new order, at most once."""
        if reason := tag_fault(ticket.correlation_id) or broken_rule(ticket):
            return _refused(reason)
        verdict = self._writer.send(
            f"placing {ticket.correlation_id}",
            lambda: self._api.place_order(
                security_id=ticket.instrument.security_id,
                exchange_segment=ticket.instrument.segment.value,
                transaction_type=ticket.side.value,
                quantity=ticket.quantity,
                order_type=_ORDER_TYPES[ticket.order_type],
                product_type=ticket.product.value,
                price=float(ticket.price),
                trigger_price=float(ticket.trigger_price),
                tag=ticket.correlation_id,
            ),
            is_exit=ticket.purpose is not Purpose.ENTRY,
        )
        return _reply(verdict)

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        """Change a resting order; all terms are sent, since the library sends null for what is left out."""
        if reason := broken_rule(ticket, change):
            return _refused(reason)
        verdict = self._writer.send(
            f"modifying {ticket.correlation_id} ({order_id})",
            lambda: self._api.modify_order(
                order_id=order_id,
                order_type=_ORDER_TYPES[change.order_type],
                leg_name="NA",
                quantity=change.quantity,
                price=float(change.price),
                trigger_price=float(change.trigger_price),
                disclosed_quantity=0,
                validity="DAY",
            ),
            is_exit=ticket.purpose is not Purpose.ENTRY,
            judge=lambda answer: judge_write(answer, order_id=order_id),
        )
        return _reply(verdict)

    def cancel(self, order_id: str) -> WriteReply:
        """Take an order back; a refusal ("in Transit state", already filled) keeps Dhan's words."""
        verdict = self._writer.send(
            f"cancelling {order_id}",
            lambda: self._api.cancel_order(order_id),
            # Whoever's order it is: taking it back lessens risk.
            is_exit=True,
            judge=lambda answer: judge_write(answer, order_id=order_id),
        )
        return _reply(verdict)

    def order(self, order_id: str) -> BrokerOrder | None:
        """One order by Dhan's id; None when Dhan does not know it."""
        return self._one(self._api.get_order_by_id(order_id)["answer"], f"order {order_id}")

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        """One order by our id. None is no proof: Dhan answers 404 while an order is in TRANSIT."""
        answer = self._api.get_order_by_correlationID(correlation_id)["answer"]
        return self._one(answer, f"order with correlation id {correlation_id}")

    def snapshot(self) -> SnapshotTaken:
        """Orders, trades, positions and funds; without one of the first three all of it is unknown."""
        faults: list[str] = []

        nobody = False

        def ask(read: Callable[[], dict[str, Any]], what: str) -> Answer:
            nonlocal nobody
            if nobody:
                # Unknown it is already; each further part would only wait for another time-out.
                raise BrokerUnavailable(f"{what} was not asked for")
            answer: Answer = read()["answer"]
            nobody = answer.fate is not Fate.ANSWERED
            return answer

        def rows(read: Callable[[], dict[str, Any]], what: str, mapped: Callable[[Row], _T]) -> tuple[_T, ...]:
            try:
                return tuple(mapped(row) for row in read_list(ask(read, what), what))
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
            row = read_one(ask(self._api.get_fund_limits, "fund limit"), "fund limit")
            funds = None if row is None else funds_from_row(row)
        except (BrokerUnavailable, CorruptData) as error:
            # Exits wait for a look that is known, and none of them needs funds.
            log.warning("funds could not be read: %s", error)
        if faults:
            log.warning("snapshot is incomplete: %s", "; ".join(faults))
        return SnapshotTaken(
            taken_at=taken_at,
            orders=legs_apart(orders),
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


def _refused(reason: str) -> WriteReply:
    log.error("not sent: %s", reason)
    return WriteReply(outcome=Outcome.NOT_SENT, reason=reason)


def _reply(verdict: Verdict) -> WriteReply:
    return WriteReply(
        outcome=verdict.outcome,
        order_id=verdict.order_id,
        reason=verdict.reason,
        state=state_of(verdict.status, 0, 0) if verdict.status else None,
        throttled=verdict.too_fast and verdict.outcome is not Outcome.UNKNOWN,
    )
