"""Dhan's rows in our words: orders, trades, positions and funds, from REST and from the order-update socket.

Dhan's casing, status words and sentinels are an open set: keys are read in lower case, an unknown status is taken for
a working order (it may fill), kept as it came and told loudly, and quantities outweigh words.

Invariant: a row that cannot be understood raises `CorruptData`; no field that matters is ever guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from workbench.core.errors import CorruptData
from workbench.core.messages import BrokerOrder, BrokerPosition, BrokerTrade
from workbench.core.money import ZERO
from workbench.core.order import OrderState
from workbench.core.session import IST
from workbench.core.signal import Side

log = logging.getLogger(__name__)

STATES: Mapping[str, OrderState] = MappingProxyType(
    {
        "TRANSIT": OrderState.ACCEPTED,
        "PENDING": OrderState.WORKING,
        "CONFIRM": OrderState.WORKING,
        "MODIFIED": OrderState.WORKING,
        "TRIGGERED": OrderState.WORKING,
        "PART_TRADED": OrderState.PARTLY_FILLED,
        "TRADED": OrderState.FILLED,
        "REJECTED": OrderState.REJECTED,
        "CANCELLED": OrderState.CANCELLED,
        "EXPIRED": OrderState.EXPIRED,
    }
)
_SIDES = MappingProxyType({"BUY": Side.BUY, "B": Side.BUY, "SELL": Side.SELL, "S": Side.SELL})
_SEGMENTS = MappingProxyType({"E": "EQ", "D": "FNO", "C": "CURRENCY", "M": "COMM"})
_NO_REASON = frozenset({"CONFIRMED", "NA", "NR", "NULL", "NONE", "0"})
_HAS_REASON = frozenset({OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED})

Row = Mapping[str, Any]


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
    low = _lower(row)
    status = _text(low, "orderstatus")
    quantity = _units(low, "quantity")
    filled_text = low.get("filledqty")
    if filled_text is None and status.upper() == "TRADED":
        filled = quantity
    elif filled_text is None and low.get("remainingquantity") is not None and status.upper() != "TRANSIT":
        filled = quantity - _units(low, "remainingquantity")
    else:
        filled = _units(low, "filledqty", missing=0)
    state = state_of(status, quantity, filled)
    return BrokerOrder(
        order_id=_text(low, "orderid"),
        correlation_id=_tag(low.get("correlationid")),
        state=state,
        segment=_text(low, "exchangesegment"),
        security_id=_text(low, "securityid"),
        side=_side(low, "transactiontype"),
        quantity=quantity,
        filled_quantity=filled,
        average_price=_price(low, "averagetradedprice"),
        price=_price(low, "price"),
        trigger_price=_price(low, "triggerprice"),
        reason=_reason(low.get("omserrordescription"), state),
        raw_status=status,
        updated_at=_moment(low.get("updatetime")),
    )


def order_from_update(data: Row) -> BrokerOrder:
    """Read the ``Data`` of an ``order_alert`` of the order-update socket, in either casing.

    Raises
    ------
    CorruptData
        The message lacks what an order must have.
    """
    low = _lower(data)
    status = _text(low, "status")
    quantity = _units(low, "quantity")
    filled = _units(low, "tradedqty", missing=0)
    state = state_of(status, quantity, filled)
    return BrokerOrder(
        order_id=_text(low, "orderno"),
        correlation_id=_tag(low.get("correlationid")),
        state=state,
        segment=_segment(low),
        security_id=_text(low, "securityid"),
        side=_side(low, "txntype"),
        quantity=quantity,
        filled_quantity=filled,
        average_price=_price(low, "avgtradedprice"),
        last_fill_price=_price(low, "tradedprice"),
        price=_price(low, "price"),
        trigger_price=_price(low, "triggerprice"),
        reason=_reason(low.get("reasondescription"), state),
        raw_status=status,
        updated_at=_moment(low.get("lastupdatedtime")),
    )


def trade_from_row(row: Row) -> BrokerTrade:
    """Read a row of the trade book (``GET /trades/``)."""
    low = _lower(row)
    price = _price(low, "tradedprice")
    if price <= 0:
        raise CorruptData(f"Dhan's trade row has the price {price}: {_shown(row)}")
    return BrokerTrade(
        order_id=_text(low, "orderid"),
        trade_id=_text(low, "exchangetradeid"),
        segment=_text(low, "exchangesegment"),
        security_id=_text(low, "securityid"),
        side=_side(low, "transactiontype"),
        quantity=_units(low, "tradedquantity"),
        price=price,
        time=_moment(low.get("exchangetime")) or _moment(low.get("updatetime")) or _moment(low.get("createtime")),
    )


def position_from_row(row: Row) -> BrokerPosition:
    """Read a row of ``GET /positions``; `net_quantity` is signed units."""
    low = _lower(row)
    return BrokerPosition(
        segment=_text(low, "exchangesegment"),
        security_id=_text(low, "securityid"),
        product=_text(low, "producttype"),
        net_quantity=_units(low, "netqty", signed=True),
        trading_symbol=str(low.get("tradingsymbol") or ""),
    )


def funds_from_row(row: Row) -> Decimal:
    """Read the free funds in rupees; Dhan spells the field ``availabelBalance``."""
    low = _lower(row)
    return _decimal(low, "availabelbalance" if "availabelbalance" in low else "availablebalance")


def _lower(row: Row) -> dict[str, Any]:
    # Real messages carry some fields twice, in both casings; the one that says something wins.
    low: dict[str, Any] = {}
    for key, value in row.items():
        name = key.lower()
        if low.get(name) in (None, ""):
            low[name] = value
    return low


def _text(low: Row, name: str) -> str:
    value = low.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise CorruptData(f"Dhan's row has no {name}: {_shown(low)}")
    return str(value).strip()


def _units(low: Row, name: str, *, missing: int | None = None, signed: bool = False) -> int:
    value = low.get(name)
    if value is None and missing is not None:
        return missing
    number = _decimal(low, name)
    if number != number.to_integral_value() or (number < 0 and not signed):
        raise CorruptData(f"Dhan's row has {name} {value!r}, no number of units: {_shown(low)}")
    return int(number)


def _price(low: Row, name: str) -> Decimal:
    value = low.get(name)
    return ZERO if value in (None, "", "NA") else _decimal(low, name)


def _decimal(low: Row, name: str) -> Decimal:
    value = low.get(name)
    try:
        number = Decimal("x") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        raise CorruptData(f"Dhan's row has {name} {value!r}, no number: {_shown(low)}") from None
    if not number.is_finite():
        raise CorruptData(f"Dhan's row has {name} {value!r}, no finite number: {_shown(low)}")
    return number


def _side(low: Row, name: str) -> Side:
    side = _SIDES.get(_text(low, name).upper())
    if side is None:
        raise CorruptData(f"Dhan's row has {name} {low.get(name)!r}, neither BUY nor SELL: {_shown(low)}")
    return side


def _segment(low: Row) -> str:
    exchange, segment = _text(low, "exchange").upper(), _text(low, "segment").upper()
    if segment == "I":
        return "IDX_I"
    if segment not in _SEGMENTS:
        raise CorruptData(f"Dhan's row has the segment {segment!r}, which is not known: {_shown(low)}")
    return f"{exchange}_{_SEGMENTS[segment]}"


def _tag(value: object) -> str:
    text = str(value or "").strip()
    return "" if text.upper() in ("NA", "NULL") else text


def _reason(value: object, state: OrderState) -> str:
    # "CONFIRMED" stands on every healthy order; the text means something only where an order ended badly.
    text = str(value or "").strip()
    return text if state in _HAS_REASON and text.upper() not in _NO_REASON else ""


def _moment(value: object) -> datetime | None:
    """Read ``YYYY-MM-DD HH:MM:SS`` in Indian time; sentinels (year 1, 1980, "NA") are no time."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.year < 2000:
        return None
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment.astimezone(IST)


def _shown(row: Row) -> str:
    fields = {key: value for key, value in row.items() if "client" not in key.lower()}
    text = str(fields)
    return text if len(text) <= 300 else text[:300] + "…"
