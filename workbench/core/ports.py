"""What the drivers need of the outer world, as small protocols; edges implement them, bootstrap joins them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from workbench.core.account import ControlReply, Conversion, Holding, KillSwitch, Margin, PnlExit
from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, Segment
from workbench.core.messages import (
    BrokerOrder,
    Event,
    Message,
    Outcome,
    SnapshotTaken,
)
from workbench.core.order import OrderChange, OrderState, OrderTicket
from workbench.core.super_order import SuperLegName, SuperOrder, SuperTicket

if TYPE_CHECKING:
    import pandas as pd


class Clock(Protocol):
    """Market time."""

    def now(self) -> datetime:
        """Aware market time in Asia/Kolkata."""
        ...


class InstrumentSource(Protocol):
    """The contracts listed on the day."""

    def index(self, underlying: str) -> Instrument:
        """Index, or stock of NSE, by symbol; UnknownName when it is not listed."""
        ...

    def expiries(self, underlying: str) -> Sequence[date]:
        """Listed option expiries, ascending."""
        ...

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        """Listed options of one expiry, by strike then right; empty when none."""
        ...

    def future(self, underlying: str, expiry: date) -> Instrument | None:
        """The future of that expiry."""
        ...

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        """Instrument by the broker's id."""
        ...

    def by_key(self, key: str) -> Instrument | None:
        """Instrument by our key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReply:
    """How a write to the broker ended; `state` is the broker's first word on the order where it said one.

    `throttled` says that it was refused for its pace alone (our own windows or the broker's): the same wish may be
    carried out a moment later.
    """

    outcome: Outcome
    order_id: str = ""
    reason: str = ""
    state: OrderState | None = None
    throttled: bool = False


class Broker(Protocol):
    """A broker account. Calls block and run in an order lane (a thread), never on the event loop.

    Contract: `place`, `modify` and `cancel` never raise for what a broker or a network can do; they tell the four
    outcomes apart. Nothing is ever sent twice by an implementation. Reads raise BrokerUnavailable.
    """

    def place(self, ticket: OrderTicket) -> WriteReply:
        """Send a new order, at most once."""
        ...

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        """Change a resting order; `change.quantity` is the total quantity."""
        ...

    def cancel(self, order_id: str) -> WriteReply:
        """Take an order back."""
        ...

    def snapshot(self) -> SnapshotTaken:
        """Orders, trades, positions and funds; parts that cannot be read make it `known=False`."""
        ...

    def order(self, order_id: str) -> BrokerOrder | None:
        """One order by the broker's id; None when the broker does not know it."""
        ...

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        """One order by our correlation id. None is not proof of absence (a look-up can lag)."""
        ...


class SuperOrders(Protocol):
    """Orders whose target and stop rest at the broker with them. The contract of `Broker` holds."""

    def place(self, ticket: SuperTicket) -> WriteReply:
        """Send a super order, at most once."""
        ...

    def change_entry(self, order_id: str, ticket: SuperTicket) -> ControlReply:
        """Give an entry that has not filled new terms."""
        ...

    def change_target(self, order_id: str, ticket: SuperTicket) -> ControlReply:
        """Move the target."""
        ...

    def change_stop(self, order_id: str, ticket: SuperTicket) -> ControlReply:
        """Move the stop and set its trail."""
        ...

    def cancel(self, order_id: str, leg: SuperLegName = SuperLegName.ENTRY) -> ControlReply:
        """Cancel a leg; the entry takes all legs along."""
        ...

    def all(self) -> Sequence[SuperOrder]:
        """Give the day's super orders."""
        ...


class AccountControl(Protocol):
    """Controls of a whole account. Orders never raise for what a broker can do; reads raise BrokerUnavailable."""

    def switch(self, wish: KillSwitch) -> ControlReply:
        """Turn the kill switch; ON needs flat positions and no resting order."""
        ...

    def kill_switch(self) -> KillSwitch:
        """Read the kill switch."""
        ...

    def set_pnl_exit(self, wish: PnlExit) -> ControlReply:
        """Let the broker leave all at a profit or a loss of the day."""
        ...

    def stop_pnl_exit(self) -> ControlReply:
        """Take the P&L exit back."""
        ...

    def pnl_exit(self) -> PnlExit | None:
        """Read the P&L exit; None when there is none."""
        ...

    def exit_all(self, *, patience_s: float = 5.0) -> ControlReply:
        """Close all positions and cancel all orders."""
        ...

    def convert(self, wish: Conversion) -> ControlReply:
        """Change the product of a position."""
        ...


class MarginSource(Protocol):
    """What orders would block. Reads raise BrokerUnavailable."""

    def margin(self, ticket: OrderTicket) -> Margin:
        """Margin of one order."""
        ...

    def basket_margin(
        self, tickets: Sequence[OrderTicket], *, with_positions: bool = False, with_orders: bool = False
    ) -> Margin:
        """Margin of several orders together, hedges counted."""
        ...

    def holdings(self) -> Sequence[Holding]:
        """Shares held over night."""
        ...


class MarketFeed(Protocol):
    """Live quotes, on the event loop."""

    async def run(self, on_quote: Callable[[Quote, float], None], on_state: Callable[[bool, str], None]) -> None:
        """Connect, decode and reconnect until cancelled; `on_quote(quote, monotonic receive time)`."""
        ...

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Ask for quotes; remembered over reconnects."""
        ...

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stop quotes of these."""
        ...


class OrderUpdates(Protocol):
    """The broker's order-update socket, on the event loop."""

    async def run(self, on_order: Callable[[BrokerOrder], None], on_state: Callable[[bool, str], None]) -> None:
        """Log in, decode and reconnect until cancelled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One stamped message and what was decided on it.

    `message` is None for events that were made without a message (never in normal running).
    """

    seq: int
    now: datetime
    account_id: str
    message: Message | None
    events: tuple[Event, ...]


class Journal(Protocol):
    """Append-only record; `append` returns at once and `on_durable` is called (on the event loop) after fsync."""

    def append(self, entry: JournalEntry, on_durable: Callable[[], None]) -> None:
        """Queue one entry for the writer thread (group commit)."""
        ...

    def read_day(self, account_id: str, day: date) -> Sequence[JournalEntry]:
        """All entries since that day's DayOpened event, in order."""
        ...


class AlertMemory(Protocol):
    """Knows every alert id for ever; the id becomes durable in the same commit as the alert's own journal entry."""

    def claim(self, alert_id: str) -> bool:
        """Take an id: True for the first, False ever after."""
        ...

    def release(self, alert_id: str) -> None:
        """Give a claim back whose alert never became durable."""
        ...


class BarHistory(Protocol):
    """Closed bars as a frame (see `docs/architecture.md` for the columns)."""

    def read(self, symbol: str, interval: str, start: datetime | None, end: datetime | None) -> "pd.DataFrame":
        """Bars with open time in [start, end)."""
        ...


class Notifier(Protocol):
    """Tells a person."""

    def send(self, level: str, text: str) -> None:
        """Queue a notice; never blocks, never raises."""
        ...


Json = dict[str, Any]
