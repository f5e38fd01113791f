"""The replay's venue behind the Broker port, with a hand on its wire: no sockets, no time, the same suite.

The venue of `research.venue` speaks in commands and messages and never fails. This puts the port before it: what the
venue said is folded into order book, trades and positions, and a test orders what becomes of the next writes and reads.

Invariant: matching, partial fills and refusals are the venue's own; only the ways in which a wire fails are made here.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from workbench.brokers.dhan.circuit import Circuit
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import (
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    CancelOrder,
    Message,
    ModifyOrder,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    SnapshotTaken,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderChange, OrderState, OrderTicket, Purpose
from workbench.core.order_rules import broken_rule
from workbench.core.ports import WriteReply
from workbench.core.signal import Side
from workbench.research.venue import Venue

_TAG = re.compile(r"[A-Za-z0-9_-]{1,25}")


class WireFault(StrEnum):
    """What becomes of a write."""

    WITHHELD = "withheld"
    LOST = "lost"
    THROTTLED = "throttled"


class ReplayBroker:
    """One account on a replay's venue; implements `core.ports.Broker`.

    Parameters
    ----------
    venue : Venue
    now : callable
        Market time.
    funds : Decimal
        Rupees at the start; what is bought is paid, what is sold is received.

    Attributes
    ----------
    write_faults : dict of WriteKind to deque of WireFault
        What becomes of the next writes of a kind, one each.
    unreadable : set of str
        Parts of the next snapshot that cannot be read ("/positions").
    look_up_lag : int
        How many look-ups by correlation id still miss an order that is there.
    is_deserted : bool
        Nobody listens: nothing is sent and nothing is read.
    """

    def __init__(self, venue: Venue, now: Callable[[], datetime], *, funds: Decimal = Decimal(1_000_000)) -> None:
        self._venue, self._now, self._funds = venue, now, funds
        self._circuit = Circuit()
        self._ticks = itertools.count(1)
        self._orders: dict[str, BrokerOrder] = {}
        self._tickets: dict[str, OrderTicket] = {}
        self._trades: list[BrokerTrade] = []
        self.write_faults: dict[WriteKind, deque[WireFault]] = {kind: deque() for kind in WriteKind}
        self.unreadable: set[str] = set()
        self.look_up_lag = 0
        self.is_deserted = False

    def place(self, ticket: OrderTicket) -> WriteReply:
        """Send a new order, at most once."""
        fault = "" if _TAG.fullmatch(ticket.correlation_id) else "the correlation id cannot be sent"
        if reason := fault or broken_rule(ticket):
            return WriteReply(outcome=Outcome.NOT_SENT, reason=reason)

        def send() -> Sequence[Message]:
            self._tickets[ticket.correlation_id] = ticket
            return self._venue.carry_out(PlaceOrder(ticket=ticket))

        return self._write(WriteKind.PLACE, send, is_exit=ticket.purpose is not Purpose.ENTRY)

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        """Change a resting order."""
        if reason := broken_rule(ticket, change):
            return WriteReply(outcome=Outcome.NOT_SENT, reason=reason)
        is_exit = ticket.purpose is not Purpose.ENTRY
        command = ModifyOrder(correlation_id=ticket.correlation_id, order_id=order_id, change=change, is_exit=is_exit)
        return self._write(WriteKind.MODIFY, lambda: self._venue.carry_out(command), is_exit=is_exit)

    def cancel(self, order_id: str) -> WriteReply:
        """Take an order back."""
        known = self._orders.get(order_id)
        correlation_id = known.correlation_id if known is not None else ""
        command = CancelOrder(correlation_id=correlation_id, order_id=order_id, is_exit=True)
        return self._write(WriteKind.CANCEL, lambda: self._venue.carry_out(command), is_exit=True)

    def snapshot(self) -> SnapshotTaken:
        """Orders, trades, positions and funds."""
        broken, self.unreadable = self.unreadable, set()
        funds = None if "/fundlimit" in broken else self._funds
        broken -= {"/fundlimit"}
        if broken or self.is_deserted:
            reason = f"cannot be read: {', '.join(sorted(broken)) or 'nobody listens'}"
            return SnapshotTaken(taken_at=self._now(), known=False, reason=reason)
        self._circuit.read_answered(next(self._ticks))
        return SnapshotTaken(
            taken_at=self._now(),
            orders=tuple(self._orders.values()),
            trades=tuple(self._trades),
            positions=self._positions(),
            available_funds=funds,
        )

    def order(self, order_id: str) -> BrokerOrder | None:
        """One order by the venue's id."""
        self._reached()
        return self._orders.get(order_id)

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        """One order by our id; a look-up may lag."""
        self._reached()
        found = [order for order in self._orders.values() if order.correlation_id == correlation_id]
        if found and self.look_up_lag:
            self.look_up_lag -= 1
            return None
        return found[-1] if found else None

    def take(self, messages: Sequence[Message]) -> None:
        """Fold what the venue says of itself (fills on a quote)."""
        for message in messages:
            match message:
                case OrderUpdated():
                    self._fold(message.order)
                case WriteAnswered(outcome=Outcome.ACCEPTED):
                    self._accept(message)
                case _:
                    pass

    def _write(self, kind: WriteKind, send: Callable[[], Sequence[Message]], *, is_exit: bool) -> WriteReply:
        if self.is_deserted:
            return WriteReply(outcome=Outcome.NOT_SENT, reason="nobody listens")
        if not is_exit and (reason := self._circuit.reason):
            return WriteReply(outcome=Outcome.NOT_SENT, reason=reason)
        faults = self.write_faults[kind]
        fault = faults.popleft() if faults else None
        if fault is WireFault.THROTTLED:
            return WriteReply(outcome=Outcome.REJECTED, reason="too many requests", throttled=True)
        messages = () if fault is WireFault.LOST else send()
        self.take(messages)
        self._circuit.write_ended(clear=fault is None, at=next(self._ticks))
        if fault is not None:
            return WriteReply(outcome=Outcome.UNKNOWN, reason="no answer")
        answer = next(message for message in messages if isinstance(message, WriteAnswered))
        return WriteReply(outcome=answer.outcome, order_id=answer.order_id, reason=answer.reason, state=answer.state)

    def _accept(self, answer: WriteAnswered) -> None:
        ticket = self._tickets[answer.correlation_id]
        known = self._orders.get(answer.order_id)
        if known is None:
            terms = OrderChange(
                order_type=ticket.order_type,
                quantity=ticket.quantity,
                price=ticket.price,
                trigger_price=ticket.trigger_price,
            )
            known = BrokerOrder(
                order_id=answer.order_id,
                correlation_id=ticket.correlation_id,
                state=OrderState.WORKING,
                segment=ticket.instrument.segment.value,
                security_id=ticket.instrument.security_id,
                side=ticket.side,
                quantity=ticket.quantity,
            )
        else:
            terms = answer.change or OrderChange(
                order_type=ticket.order_type,
                quantity=known.quantity,
                price=known.price,
                trigger_price=known.trigger_price,
            )
        self._orders[answer.order_id] = replace(
            known, quantity=terms.quantity, price=terms.price, trigger_price=terms.trigger_price
        )

    def _fold(self, told: BrokerOrder) -> None:
        known = self._orders[told.order_id]
        fresh = told.filled_quantity - known.filled_quantity
        if fresh > 0:
            sign = 1 if told.side is Side.BUY else -1
            self._funds -= sign * fresh * told.last_fill_price
            self._trades.append(
                BrokerTrade(
                    order_id=told.order_id,
                    trade_id=f"T{len(self._trades) + 1}",
                    segment=told.segment,
                    security_id=told.security_id,
                    side=told.side,
                    quantity=fresh,
                    price=told.last_fill_price,
                    time=self._now(),
                )
            )
        # The venue tells what traded; the terms of the order stand in what it accepted.
        self._orders[told.order_id] = replace(told, price=known.price, trigger_price=known.trigger_price)

    def _positions(self) -> tuple[BrokerPosition, ...]:
        net: dict[tuple[str, str], int] = {}
        for trade in self._trades:
            key = (trade.segment, trade.security_id)
            net[key] = net.get(key, 0) + (trade.quantity if trade.side is Side.BUY else -trade.quantity)
        return tuple(
            BrokerPosition(segment=segment, security_id=security_id, product="INTRADAY", net_quantity=quantity)
            for (segment, security_id), quantity in net.items()
        )

    def _reached(self) -> None:
        if self.is_deserted:
            raise BrokerUnavailable("nobody listens")
