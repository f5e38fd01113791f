"""What the broker says, in our words."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from workbench.core.money import ZERO
from workbench.core.order import LegAddress, OrderState
from workbench.core.signal import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """One order as the broker knows it (order book row or order update).

    `filled_quantity` is cumulative, units; `average_price` rupees; `last_fill_price` the price of the newest
    execution where it is told. `leg` is set on the target and the stop of a super order, which share nothing else with
    their entry.
    """

    order_id: str
    correlation_id: str
    state: OrderState
    segment: str
    security_id: str
    side: Side
    quantity: int
    filled_quantity: int = 0
    average_price: Decimal = ZERO
    last_fill_price: Decimal = ZERO
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    reason: str = ""
    raw_status: str = ""
    updated_at: datetime | None = None
    leg: LegAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTrade:
    """One execution from the trade book."""

    order_id: str
    trade_id: str
    segment: str
    security_id: str
    side: Side
    quantity: int
    price: Decimal
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """Net position of one instrument at the broker, units."""

    segment: str
    security_id: str
    product: str
    net_quantity: int
    trading_symbol: str = ""


class Outcome(StrEnum):
    """The four ways in which a write to the broker ends."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class WriteKind(StrEnum):
    """Which write was answered."""

    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"
