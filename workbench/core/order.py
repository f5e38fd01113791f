"""The life of one order: one table of transitions, with the ugly truths written in.

A cancelled order can still fill (the cancel crossed the fill). An unanswered order is UNKNOWN: not rejected, not to be
sent again, not to be read as flat. DENIED is us, REJECTED is the broker.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from workbench.core.errors import IllegalMove
from workbench.core.instrument import Instrument
from workbench.core.money import ZERO
from workbench.core.signal import Side


class OrderType(StrEnum):
    """Order types that we send. SL-M does not exist for options, so a stop is always a stop-limit."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP_LIMIT = "STOP_LIMIT"


class Product(StrEnum):
    """Margin products."""

    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"
    CNC = "CNC"


class Purpose(StrEnum):
    """Why an order exists."""

    ENTRY = "entry"
    STOP = "stop"
    EXIT = "exit"
    TARGET = "target"


class OrderState(StrEnum):
    """States of an order, ours and the broker's in one list."""

    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    WORKING = "working"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_SENT = "not_sent"
    ABANDONED = "abandoned"

    @property
    def is_done(self) -> bool:
        """Nothing more is expected (yet a late fill is still believed)."""
        return self in _DONE

    @property
    def may_rest(self) -> bool:
        """The order may be resting at the broker."""
        return not self.is_done


S = OrderState
_DONE = frozenset({S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.NOT_SENT, S.ABANDONED})
_LIVE = frozenset({S.ACCEPTED, S.WORKING, S.PARTLY_FILLED, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED})

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    # The update can outrun the answer to our own request, so every broker state is reachable at once.
    S.SUBMITTED: _LIVE | {S.UNKNOWN, S.NOT_SENT, S.ABANDONED},
    S.UNKNOWN: _LIVE | {S.NOT_SENT, S.ABANDONED},
    S.ACCEPTED: _LIVE | {S.UNKNOWN, S.ABANDONED},
    S.WORKING: _LIVE,
    S.PARTLY_FILLED: frozenset({S.PARTLY_FILLED, S.WORKING, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED}),
    S.FILLED: frozenset({S.FILLED}),
    # A cancel that crossed a fill; a rejection or abandonment that turns out wrong: the fill is believed.
    S.CANCELLED: frozenset({S.CANCELLED, S.PARTLY_FILLED, S.FILLED}),
    S.EXPIRED: frozenset({S.EXPIRED, S.PARTLY_FILLED, S.FILLED}),
    # A refusal for the pace can be an answer to an order that was taken: the broker's book is believed (fault R2).
    S.REJECTED: frozenset({S.REJECTED, S.ACCEPTED, S.WORKING, S.PARTLY_FILLED, S.FILLED}),
    S.NOT_SENT: frozenset({S.NOT_SENT, S.ACCEPTED, S.WORKING, S.PARTLY_FILLED, S.FILLED}),
    S.ABANDONED: _LIVE,
}


class SuperLegName(StrEnum):
    """The three legs of a super order."""

    ENTRY = "entry"
    TARGET = "target"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAddress:
    """Where the broker finds a leg of a super order: by his id of the entry, and its name."""

    entry_id: str
    name: SuperLegName


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Terms of a super order as a whole; all of them are sent with each change (a zero would take a leg away).

    Parameters
    ----------
    quantity : int
        Units of the entry.
    price, stop_price, target_price : Decimal
        Rupees on the tick, none of them zero.
    """

    quantity: int
    price: Decimal
    stop_price: Decimal
    target_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """An order as we send it.

    Parameters
    ----------
    correlation_id : str
        At most 25 characters of letters, digits, ``-`` and ``_`` (the broker's own cap); unique for all time.
    intent_id, position_id, deployment : str
        What it belongs to.
    quantity : int
        Units, a multiple of the lot.
    price, trigger_price : Decimal
        Rupees on the tick; zero where the order type has none.
    bracket : Bracket or None
        On an entry: it goes as a super order with these legs.
    leg_of : str
        On a leg of a super order: our correlation id of its entry.
    """

    correlation_id: str
    intent_id: str
    position_id: str
    deployment: str
    purpose: Purpose
    instrument: Instrument
    side: Side
    quantity: int
    order_type: OrderType
    product: Product
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    bracket: Bracket | None = None
    leg_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """New terms of a resting order; `quantity` is the TOTAL quantity, as the broker counts it."""

    order_type: OrderType
    quantity: int
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of ours with all that we know of it."""

    ticket: OrderTicket
    state: OrderState = OrderState.SUBMITTED
    order_id: str = ""
    filled_quantity: int = 0
    filled_value: Decimal = ZERO
    modifications: int = 0
    reason: str = ""

    @property
    def average_price(self) -> Decimal:
        """Average fill price in rupees, zero without a fill."""
        return self.filled_value / self.filled_quantity if self.filled_quantity else ZERO

    @property
    def remaining_quantity(self) -> int:
        """Units not filled yet."""
        return self.ticket.quantity - self.filled_quantity

    def moved(self, state: OrderState, *, order_id: str = "", reason: str = "") -> "Order":
        """Give the order in its new state.

        Raises
        ------
        IllegalMove
            When the table of transitions does not know that move.
        """
        if state is not self.state and state not in TRANSITIONS[self.state]:
            raise IllegalMove(f"order {self.ticket.correlation_id}: {self.state} cannot become {state}")
        return replace(self, state=state, order_id=order_id or self.order_id, reason=reason or self.reason)

    def changed(self, change: OrderChange) -> "Order":
        """Give the order with the terms of an accepted modification."""
        ticket = replace(
            self.ticket,
            order_type=change.order_type,
            quantity=change.quantity,
            price=change.price,
            trigger_price=change.trigger_price,
        )
        return replace(self, ticket=ticket, modifications=self.modifications + 1)

    def filled(self, quantity: int, price: Decimal) -> "Order":
        """Give the order with one more fill counted in (units, rupees)."""
        return replace(
            self, filled_quantity=self.filled_quantity + quantity, filled_value=self.filled_value + price * quantity
        )
