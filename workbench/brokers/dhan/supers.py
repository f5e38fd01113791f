"""Super orders: entry, target and stop as one, the exits one-cancels-other at Dhan, the stop trailing by itself.

Dhan cancels the trail when a change leaves it out or sends zero, and the library fills what is left out with zeros: so
every value is sent with every change. A cancellation is answered by HTTP 202 without a body: it is read back.

Invariants: nothing is sent twice from here; a leg's change or cancellation is `confirmed` only if the list shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.fields import Row, lowered, price_of, shown, side_of, text_of, units_of
from workbench.brokers.dhan.outcomes import judge_words, judge_write, read_list
from workbench.brokers.dhan.rows import order_from_row, state_of
from workbench.brokers.dhan.writer import Writer, read_back, tag_fault
from workbench.core.account import ControlReply
from workbench.core.errors import BrokerUnavailable, CorruptData
from workbench.core.messages import Outcome
from workbench.core.order import OrderState
from workbench.core.ports import WriteReply
from workbench.core.super_order import SuperLeg, SuperLegName, SuperOrder, SuperTicket, broken_super_rule

PATIENCE_S = 1.5
_LEGS = MappingProxyType(
    {SuperLegName.ENTRY: "ENTRY_LEG", SuperLegName.TARGET: "TARGET_LEG", SuperLegName.STOP: "STOP_LOSS_LEG"}
)
_NAMES = MappingProxyType({word: name for name, word in _LEGS.items()})


class DhanSuperOrders:
    """Super orders of one account; implements `core.ports.SuperOrders`.

    Parameters
    ----------
    client : DhanClient
        With the `orders` endpoint.
    """

    def __init__(self, client: DhanClient) -> None:
        self._api = client.api
        self._writer = Writer(client)

    def place(self, ticket: SuperTicket) -> WriteReply:
        """Send a super order, at most once."""
        if reason := tag_fault(ticket.correlation_id) or broken_super_rule(ticket):
            return WriteReply(outcome=Outcome.NOT_SENT, reason=reason)
        verdict = self._writer.send(
            f"placing super order {ticket.correlation_id}",
            lambda: self._api.place_super_order(
                security_id=ticket.instrument.security_id,
                exchange_segment=ticket.instrument.segment.value,
                transaction_type=ticket.side.value,
                quantity=ticket.quantity,
                order_type="LIMIT",
                product_type=ticket.product.value,
                price=float(ticket.price),
                targetPrice=float(ticket.target_price),
                stopLossPrice=float(ticket.stop_price),
                trailingJump=float(ticket.trail_by),
                tag=ticket.correlation_id,
            ),
            is_exit=False,
        )
        state = state_of(verdict.status, 0, 0) if verdict.status else None
        return WriteReply(
            outcome=verdict.outcome,
            order_id=verdict.order_id,
            reason=verdict.reason,
            state=state,
            throttled=verdict.too_fast and verdict.outcome is not Outcome.UNKNOWN,
        )

    def change_entry(self, order_id: str, ticket: SuperTicket) -> ControlReply:
        """Give an entry that has not filled new terms; `ticket` holds all of them."""
        if reason := broken_super_rule(ticket):
            return ControlReply(outcome=Outcome.NOT_SENT, reason=reason)

        def wanting(order: SuperOrder) -> str:
            found = (order.entry.quantity, order.entry.price)
            return "" if found == (ticket.quantity, ticket.price) else f"the entry is {found[0]} at {found[1]}"

        return self._change(order_id, SuperLegName.ENTRY, _terms(ticket), wanting)

    def change_target(self, order_id: str, ticket: SuperTicket) -> ControlReply:
        """Move the target to `ticket.target_price`."""
        return self._change(
            order_id, SuperLegName.TARGET, _terms(ticket), _at(SuperLegName.TARGET, ticket.target_price)
        )

    def change_stop(self, order_id: str, ticket: SuperTicket) -> ControlReply:
        """Move the stop to `ticket.stop_price`, trailing by `ticket.trail_by` (zero ends the trail)."""
        return self._change(order_id, SuperLegName.STOP, _terms(ticket), _at(SuperLegName.STOP, ticket.stop_price))

    def cancel(self, order_id: str, leg: SuperLegName = SuperLegName.ENTRY) -> ControlReply:
        """Cancel a leg; the entry takes all legs along, and a cancelled target or stop cannot be added again."""

        def wanting(order: SuperOrder) -> str:
            state = order.entry.state if leg is SuperLegName.ENTRY else _state_of_leg(order, leg)
            if state is None:
                return f"the {leg.value} is not in the list, which proves nothing"
            return "" if state.is_done else f"the {leg.value} is {state.value}"

        what = f"cancelling the {leg.value} of super order {order_id}"
        verdict = self._writer.send(
            what, lambda: self._api.cancel_super_order(order_id, _LEGS[leg]), is_exit=True, judge=judge_words
        )
        return self._confirm(order_id, verdict.outcome, verdict.reason, wanting)

    def all(self) -> tuple[SuperOrder, ...]:
        """Give the day's super orders.

        Raises
        ------
        BrokerUnavailable
            The list cannot be read.
        """
        rows = read_list(self._api.get_super_order_list()["answer"], "super orders")
        try:
            return tuple(super_from_row(row) for row in rows)
        except CorruptData as error:
            raise BrokerUnavailable(f"super orders cannot be read: {error}") from error

    def _change(
        self, order_id: str, leg: SuperLegName, terms: dict[str, Any], wanting: Callable[[SuperOrder], str]
    ) -> ControlReply:
        verdict = self._writer.send(
            f"changing the {leg.value} of super order {order_id}",
            lambda: self._api.modify_super_order(order_id, "LIMIT", _LEGS[leg], **terms),
            is_exit=leg is not SuperLegName.ENTRY,
            judge=lambda answer: judge_write(answer, order_id=order_id),
        )
        return self._confirm(order_id, verdict.outcome, verdict.reason, wanting)

    def _confirm(
        self, order_id: str, outcome: Outcome, reason: str, wanting: Callable[[SuperOrder], str]
    ) -> ControlReply:
        if outcome in (Outcome.NOT_SENT, Outcome.REJECTED):
            return ControlReply(outcome=outcome, reason=reason)

        def look() -> str:
            try:
                found = [order for order in self.all() if order.entry.order_id == order_id]
            except BrokerUnavailable as error:
                return str(error)
            return wanting(found[0]) if found else f"super order {order_id} is not in the list"

        missing = read_back(look, patience_s=PATIENCE_S)
        if not missing:
            return ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)
        return ControlReply(outcome=outcome, reason="; ".join(filter(None, (reason, f"not confirmed: {missing}"))))


def super_from_row(row: Row) -> SuperOrder:
    """Read a row of ``GET /super/orders``; no real one was ever recorded, so little is taken for granted.

    Raises
    ------
    CorruptData
        The row lacks what an order must have.
    """
    entry = order_from_row(row)
    details = lowered(row).get("legdetails")
    if details is not None and not (isinstance(details, list) and all(isinstance(each, dict) for each in details)):
        raise CorruptData(f"Dhan's super order has no list of legs: {shown(row)}")
    legs = [leg for each in details or () if (leg := _leg(each, entry.quantity)) is not None]
    return SuperOrder(entry=entry, legs=tuple(legs), is_closed=entry.raw_status.upper() == "CLOSED")


def _leg(row: Row, quantity: int) -> SuperLeg | None:
    low = lowered(row)
    name = _NAMES.get(text_of(low, "legname").upper())
    if name is None:
        raise CorruptData(f"Dhan's super order has a leg that is not known: {shown(row)}")
    if name is SuperLegName.ENTRY:
        return None
    # The documents spell it totalQuatity; whether the server does is not known.
    total = next((low[key] for key in ("totalquantity", "totalquatity") if low.get(key) is not None), quantity)
    status = text_of(low, "orderstatus")
    remaining = units_of(low, "remainingquantity", missing=units_of({"total": total}, "total"))
    return SuperLeg(
        name=name,
        order_id=str(low.get("orderid") or ""),
        side=side_of(low, "transactiontype"),
        # A leg is filled when the broker says so: its remaining units are zero also while it sleeps.
        state=state_of(status, 1, 1 if status.upper() == "TRADED" else 0),
        quantity=units_of({"total": total}, "total"),
        remaining_quantity=remaining,
        triggered_quantity=units_of(low, "triggeredquantity", missing=0),
        price=price_of(low, "price"),
        trail_by=price_of(low, "trailingjump"),
        raw_status=status,
    )


def _terms(ticket: SuperTicket) -> dict[str, Any]:
    return {
        "quantity": ticket.quantity,
        "price": float(ticket.price),
        "targetPrice": float(ticket.target_price),
        "stopLossPrice": float(ticket.stop_price),
        "trailingJump": float(ticket.trail_by),
    }


def _at(name: SuperLegName, price: Decimal) -> Callable[[SuperOrder], str]:
    def wanting(order: SuperOrder) -> str:
        leg = order.leg(name)
        found = None if leg is None else leg.price
        return "" if found == price else f"the {name.value} is at {found}"

    return wanting


def _state_of_leg(order: SuperOrder, name: SuperLegName) -> OrderState | None:
    leg = order.leg(name)
    return None if leg is None else leg.state
