"""What the simulated broker keeps of an order and of a trade.

Invariant: an order's filled quantity and value are the sums of its trades, and its status follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from workbench.core.instrument import InstrumentKind
from workbench.core.money import ZERO
from workbench.core.order import OrderType
from workbench.core.signal import Side
from workbench.simulator.listing import Listed

MOST_MODIFICATIONS = 25

# Price protection of market orders (percent of the last price, by its height); the broker's own table is not published,
# this is the exchange's of the election week of 2024.
_PROTECTION: tuple[tuple[Decimal, Decimal], ...] = (
    (Decimal(50), Decimal(20)),
    (Decimal(200), Decimal(10)),
    (Decimal(1000), Decimal(5)),
    (Decimal("Infinity"), Decimal(2)),
)


class Status(StrEnum):
    """Dhan's words for the state of an order."""

    TRANSIT = "TRANSIT"
    PENDING = "PENDING"
    PART_TRADED = "PART_TRADED"
    TRADED = "TRADED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    TRIGGERED = "TRIGGERED"
    CLOSED = "CLOSED"

    @property
    def is_open(self) -> bool:
        """The order rests at the exchange."""
        return self in (Status.PENDING, Status.PART_TRADED)


class Leg(StrEnum):
    """Which part of a super order an order is."""

    NONE = "NA"
    ENTRY = "ENTRY_LEG"
    STOP_LOSS = "STOP_LOSS_LEG"
    TARGET = "TARGET_LEG"


class WireType(StrEnum):
    """Dhan's order types."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_MARKET = "STOP_LOSS_MARKET"

    @property
    def rule(self) -> OrderType:
        """How it is matched."""
        match self:
            case WireType.LIMIT:
                return OrderType.LIMIT
            case WireType.MARKET:
                return OrderType.MARKET
            case _:
                return OrderType.STOP_LIMIT


@dataclass(slots=True, kw_only=True)
class SimOrder:
    """One order in the broker's book.

    `source` is P for the API and N for the broker itself; `parent` is the id of the super order's entry, on its other
    legs; `shown_as` is the id that clients read instead of its own, empty where that is the same; `received_s` is when
    it came on the desk's own clock, real seconds.
    """

    order_id: str
    exchange_order_id: str
    correlation_id: str
    listed: Listed
    side: Side
    product: str
    order_type: WireType
    validity: str
    quantity: int
    price: Decimal
    trigger_price: Decimal
    disclosed_quantity: int
    created: datetime
    updated: datetime
    sequence: int
    source: str = "P"
    leg: Leg = Leg.NONE
    parent: str = ""
    shown_as: str = ""
    received_s: float = 0.0
    status: Status = Status.TRANSIT
    filled: int = 0
    value: Decimal = ZERO
    last_price: Decimal = ZERO
    modifications: int = 0
    error_code: str = ""
    reason: str = "CONFIRMED"

    @property
    def shown_id(self) -> str:
        """The id under which clients know it."""
        return self.shown_as or self.order_id

    @property
    def remaining(self) -> int:
        """Units not filled."""
        return self.quantity - self.filled

    @property
    def average(self) -> float:
        """Average traded price in rupees with all the digits that a float holds; 0 without a trade."""
        return float(self.value / self.filled) if self.filled else 0.0

    def take(self, quantity: int, price: Decimal, at: datetime) -> None:
        """Count a fill in."""
        self.filled += quantity
        self.value += price * quantity
        self.last_price, self.updated = price, at
        self.status = Status.TRADED if self.filled == self.quantity else Status.PART_TRADED

    def end(self, status: Status, reason: str, at: datetime, code: str = "") -> None:
        """Close the order without a fill."""
        self.status, self.reason, self.updated, self.error_code = status, reason, at, code


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One execution."""

    trade_id: str
    order: SimOrder
    quantity: int
    price: Decimal
    time: datetime


def protected_price(side: Side, last: Decimal) -> Decimal:
    """Give the limit that a market order gets, before the tick: so far beyond the last price as the table says."""
    percent = next(share for height, share in _PROTECTION if last <= height)
    return last * (1 + side.sign * percent / 100)


def is_derivative(kind: InstrumentKind) -> bool:
    """Say whether lots, freezes and margins of the derivatives segment apply."""
    return kind in (InstrumentKind.OPTION, InstrumentKind.FUTURE, InstrumentKind.SYNTHETIC)
