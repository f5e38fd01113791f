"""Dhan's rows in our words: orders, trades, positions and funds, from REST and from the order-update socket.

Dhan's casing, status words and sentinels are an open set: keys are read in lower case, an unknown status is taken for
a working order (it may fill), kept as it came and told loudly, and quantities outweigh words.

Invariant: a row that cannot be understood raises `CorruptData`; no field that matters is ever guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from workbench.brokers.dhan.fields import (
    Row,
    decimal_of,
    lowered,
    moment_of,
    price_of,
    shown,
    side_of,
    text_of,
    units_of,
)
from workbench.core.errors import CorruptData
from workbench.core.messages import BrokerOrder, BrokerPosition, BrokerTrade
from workbench.core.order import LegAddress, OrderState, SuperLegName
from workbench.core.super_order import shared_leg_id

log = logging.getLogger(__name__)

STATES: Mapping[str, OrderState] = MappingProxyType(
    {
        "TRANSIT": OrderState.ACCEPTED,
        "PENDING": OrderState.WORKING,
        "CONFIRM": OrderState.WORKING,
        "MODIFIED": OrderState.WORKING,
        "TRIGGERED": OrderState.WORKING,
        # Legs of a super order: armed, or asleep until the entry has filled.
        "ACTIVE": OrderState.WORKING,
        "INACTIVE": OrderState.WORKING,
        "DUMMY": OrderState.WORKING,
        "PART_TRADED": OrderState.PARTLY_FILLED,
        "TRADED": OrderState.FILLED,
        # A super order whose entry and one exit are done; as everywhere, only quantities make it a fill.
        "CLOSED": OrderState.FILLED,
        "REJECTED": OrderState.REJECTED,
        "CANCELLED": OrderState.CANCELLED,
        "EXPIRED": OrderState.EXPIRED,
    }
)
_SEGMENTS = MappingProxyType({"E": "EQ", "D": "FNO", "C": "CURRENCY", "M": "COMM"})
_NO_REASON = frozenset({"CONFIRMED", "NA", "NR", "NULL", "NONE", "0"})
_LEGS = MappingProxyType({"TARGET_LEG": SuperLegName.TARGET, "STOP_LOSS_LEG": SuperLegName.STOP})
_HAS_REASON = frozenset({OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED})


def state_of(status: str, quantity: int, filled: int) -> OrderState:
    """Give the state of an order from Dhan's word and the quantities (units), which outweigh it.

    An unknown word means an order that may still fill.
    """
    word = status.strip().upper().replace(" ", "_")
    state = STATES.get(word)
    if state is None:
        log.error("order status %r of Dhan is not known; the order is taken to be working", status)
        state = OrderState.WORKING
    if state in (OrderState.ACCEPTED, OrderState.WORKING, OrderState.PARTLY_FILLED, OrderState.FILLED):
        if filled >= quantity > 0:
            return OrderState.FILLED
        if filled > 0:
            return OrderState.PARTLY_FILLED
        if state in (OrderState.FILLED, OrderState.PARTLY_FILLED):
            # The word outran the quantities: without a quantity there is no fill to book, so wait for it.
            return OrderState.WORKING
    return state


def order_from_row(row: Row) -> BrokerOrder:
    """Read a row of the order book (``GET /orders``).

    Raises
    ------
    CorruptData
        The row lacks what an order must have.
    """
    low = lowered(row)
    status = text_of(low, "orderstatus")
    quantity = units_of(low, "quantity")
    filled_text = low.get("filledqty")
    if filled_text is None and status.upper() == "TRADED":
        filled = quantity
    elif filled_text is None and low.get("remainingquantity") is not None and status.upper() != "TRANSIT":
        filled = quantity - units_of(low, "remainingquantity")
    else:
        filled = units_of(low, "filledqty", missing=0)
    state = state_of(status, quantity, filled)
    # A leg of a super order may carry its entry's tag; it is an order of its own and must not be taken for the entry.
    leg = _LEGS.get(str(low.get("legname") or "").strip().upper())
    return BrokerOrder(
        order_id=text_of(low, "orderid"),
        correlation_id="" if leg else _tag(low.get("correlationid")),
        state=state,
        segment=text_of(low, "exchangesegment"),
        security_id=text_of(low, "securityid"),
        side=side_of(low, "transactiontype"),
        quantity=quantity,
        filled_quantity=filled,
        average_price=price_of(low, "averagetradedprice"),
        price=price_of(low, "price"),
        trigger_price=price_of(low, "triggerprice"),
        reason=_reason(low.get("omserrordescription"), state),
        raw_status=status,
        updated_at=moment_of(low.get("updatetime")),
        leg=None if leg is None else LegAddress(entry_id="", name=leg),
    )


def legs_apart(orders: Iterable[BrokerOrder]) -> tuple[BrokerOrder, ...]:
    """Give an order book in which legs that stand under the id of their entry are orders of their own, as they are.

    Left under that id, a sale would read as a contradiction of the purchase, and freeze the account at each start.
    A leg that has an id of its own does not say whose it is: the list of super orders does.
    """
    listed = tuple(orders)
    entries = {row.order_id for row in listed if row.leg is None}
    return tuple(row if row.leg is None else _apart(row, row.leg.name, entries) for row in listed)


def _apart(row: BrokerOrder, name: SuperLegName, entries: AbstractSet[str]) -> BrokerOrder:
    if row.order_id not in entries:
        return replace(row, leg=None)
    address = LegAddress(entry_id=row.order_id, name=name)
    return replace(row, order_id=shared_leg_id(row.order_id, name), leg=address)


def order_from_update(data: Row) -> BrokerOrder:
    """Read the ``Data`` of an ``order_alert`` of the order-update socket, in either casing.

    Raises
    ------
    CorruptData
        The message lacks what an order must have.
    """
    low = lowered(data)
    status = text_of(low, "status")
    quantity = units_of(low, "quantity")
    filled = units_of(low, "tradedqty", missing=0)
    state = state_of(status, quantity, filled)
    return BrokerOrder(
        order_id=text_of(low, "orderno"),
        correlation_id=_tag(low.get("correlationid")),
        state=state,
        segment=_segment(low),
        security_id=text_of(low, "securityid"),
        side=side_of(low, "txntype"),
        quantity=quantity,
        filled_quantity=filled,
        average_price=price_of(low, "avgtradedprice"),
        last_fill_price=price_of(low, "tradedprice"),
        price=price_of(low, "price"),
        trigger_price=price_of(low, "triggerprice"),
        reason=_reason(low.get("reasondescription"), state),
        raw_status=status,
        updated_at=moment_of(low.get("lastupdatedtime")),
    )


def trade_from_row(row: Row) -> BrokerTrade:
    """Read a row of the trade book (``GET /trades/``)."""
    low = lowered(row)
    price = price_of(low, "tradedprice")
    if price <= 0:
        raise CorruptData(f"Dhan's trade row has the price {price}: {shown(row)}")
    return BrokerTrade(
        order_id=text_of(low, "orderid"),
        trade_id=text_of(low, "exchangetradeid"),
        segment=text_of(low, "exchangesegment"),
        security_id=text_of(low, "securityid"),
        side=side_of(low, "transactiontype"),
        quantity=units_of(low, "tradedquantity"),
        price=price,
        time=moment_of(low.get("exchangetime")) or moment_of(low.get("updatetime")) or moment_of(low.get("createtime")),
    )


def position_from_row(row: Row) -> BrokerPosition:
    """Read a row of ``GET /positions``; `net_quantity` is signed units."""
    low = lowered(row)
    return BrokerPosition(
        segment=text_of(low, "exchangesegment"),
        security_id=text_of(low, "securityid"),
        product=text_of(low, "producttype"),
        net_quantity=units_of(low, "netqty", signed=True),
        trading_symbol=str(low.get("tradingsymbol") or ""),
    )


def funds_from_row(row: Row) -> Decimal:
    """Read the free funds in rupees; Dhan spells the field ``availabelBalance``."""
    low = lowered(row)
    return decimal_of(low, "availabelbalance" if "availabelbalance" in low else "availablebalance")


def _segment(low: Row) -> str:
    exchange, segment = text_of(low, "exchange").upper(), text_of(low, "segment").upper()
    if segment == "I":
        return "IDX_I"
    if segment not in _SEGMENTS:
        raise CorruptData(f"Dhan's row has the segment {segment!r}, which is not known: {shown(low)}")
    return f"{exchange}_{_SEGMENTS[segment]}"


def _tag(value: object) -> str:
    text = str(value or "").strip()
    return "" if text.upper() in ("NA", "NULL") else text


def _reason(value: object, state: OrderState) -> str:
    # "CONFIRMED" stands on every healthy order; the text means something only where an order ended badly.
    text = str(value or "").strip()
    return text if state in _HAS_REASON and text.upper() not in _NO_REASON else ""
