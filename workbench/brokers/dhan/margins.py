"""Margin of an order and of a basket, and holdings, read from Dhan.

The shape of a basket's answer is not confirmed by any recording: Dhan's two documents show snake_case text and
camelCase numbers. Both are read, by names without casing and underscores.

Invariant: an answer without a total is unreadable, never free of margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from workbench.brokers.dhan.answers import error_of
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.fields import Row, decimal_of, lowered, price_of, text_of, units_of
from workbench.brokers.dhan.outcomes import read_list, read_one
from workbench.core.account import Holding, Margin
from workbench.core.errors import BrokerUnavailable, CorruptData
from workbench.core.order import OrderTicket


class DhanMargins:
    """What orders would block; implements `core.ports.MarginSource`.

    Parameters
    ----------
    client : DhanClient
        With the `orders` endpoint.
    """

    def __init__(self, client: DhanClient) -> None:
        self._api = client.api

    def margin(self, ticket: OrderTicket) -> Margin:
        """Margin of one order.

        Raises
        ------
        BrokerUnavailable
            Dhan gave no readable answer.
        """
        reply = self._api.margin_calculator(
            security_id=ticket.instrument.security_id,
            exchange_segment=ticket.instrument.segment.value,
            transaction_type=ticket.side.value,
            quantity=ticket.quantity,
            product_type=ticket.product.value,
            price=float(ticket.price),
            trigger_price=float(ticket.trigger_price),
        )
        return _read(read_one(reply["answer"], "margin"), "margin")

    def basket_margin(
        self, tickets: Sequence[OrderTicket], *, with_positions: bool = False, with_orders: bool = False
    ) -> Margin:
        """Margin of several orders together, hedges counted.

        Parameters
        ----------
        tickets : sequence of OrderTicket
        with_positions, with_orders : bool
            Count in what the account holds, and what rests.

        Raises
        ------
        BrokerUnavailable
            Dhan gave no readable answer.
        """
        rows = [
            {
                "exchangeSegment": ticket.instrument.segment.value,
                "transactionType": ticket.side.value,
                "quantity": ticket.quantity,
                "productType": ticket.product.value,
                "securityId": ticket.instrument.security_id,
                "price": float(ticket.price),
                "triggerPrice": float(ticket.trigger_price),
            }
            for ticket in tickets
        ]
        reply = self._api.margin_calculator_multi(rows, include_position=with_positions, include_order=with_orders)
        return _read(read_one(reply["answer"], "basket margin"), "basket margin")

    def holdings(self) -> tuple[Holding, ...]:
        """Shares held over night.

        Raises
        ------
        BrokerUnavailable
            Dhan gave no readable answer; "No holdings available" (HTTP 500, DH-1111) is one.
        """
        answer = self._api.get_holdings()["answer"]
        if error_of(answer.document)[0] == "DH-1111":
            return ()
        try:
            return tuple(_holding(row) for row in read_list(answer, "holdings"))
        except CorruptData as error:
            raise BrokerUnavailable(f"holdings cannot be read: {error}") from error


def _read(row: Row | None, what: str) -> Margin:
    if row is None:
        raise BrokerUnavailable(f"{what} cannot be read: the answer is empty")
    inner = row.get("data")
    low = lowered(inner if isinstance(inner, dict) else row)
    try:
        return Margin(
            total=decimal_of(low, "totalmargin"),
            span=price_of(low, "spanmargin"),
            exposure=price_of(low, "exposuremargin"),
            hedge_benefit=price_of(low, "hedgebenefit"),
            available=_maybe(low, "availablebalance"),
            insufficient=price_of(low, "insufficientbalance"),
            brokerage=price_of(low, "brokerage"),
        )
    except CorruptData as error:
        raise BrokerUnavailable(f"{what} cannot be read: {error}") from error


def _maybe(low: Row, name: str) -> Decimal | None:
    return None if low.get(name) in (None, "", "NA") else decimal_of(low, name)


def _holding(row: Row) -> Holding:
    low = lowered(row)
    return Holding(
        security_id=text_of(low, "securityid"),
        trading_symbol=str(low.get("tradingsymbol") or ""),
        quantity=units_of(low, "totalqty"),
        available_quantity=units_of(low, "availableqty", missing=0),
        average_price=price_of(low, "avgcostprice"),
    )
