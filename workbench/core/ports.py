"""What the drivers need of the outer world, as small protocols; edges implement them, bootstrap joins them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

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
        """Index by symbol; UnknownName when it is not listed."""
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
