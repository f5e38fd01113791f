"""What the engine process needs besides `core.ports`, as small protocols; bootstrap hands in what implements them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.engine import Decision, EngineConfig
from workbench.core.legs import Listings
from workbench.core.messages import Event, Message
from workbench.core.ports import AlertMemory, Journal, JournalEntry


class TradingEngine(Protocol):
    """The deterministic state machine of one account (`core.engine.Engine`)."""

    @property
    def config(self) -> EngineConfig:
        """What it was given."""
        ...

    @property
    def book(self) -> Book:
        """The account's book, read only."""
        ...

    @property
    def quotes(self) -> dict[str, Quote]:
        """Last quote by instrument key, read only."""
        ...

    def open_pnl(self) -> Decimal:
        """P&L of what is open, rupees."""
        ...

    def day_loss_reached(self) -> Decimal | None:
        """P&L of a day that is at its limit of loss, rupees; else None."""
        ...

    def list_instruments(self, listings: Listings) -> None:
        """Take another day's listings."""
        ...

    def recover(self, events: Iterable[Event], since: datetime | None = None) -> None:
        """Apply journalled events."""
        ...

    def handle(self, message: Message, *, now: datetime) -> Decision:
        """Decide on one message."""
        ...


class AlertJournal(Journal, AlertMemory, Protocol):
    """A journal that also knows every alert id for ever."""


class WaitingAlarm(Protocol):
    """An alarm that nobody has acknowledged."""

    @property
    def number(self) -> int:
        """By which it is acknowledged."""
        ...

    @property
    def text(self) -> str:
        """What is wrong."""
        ...

    @property
    def at(self) -> datetime:
        """Since when."""
        ...

    @property
    def times(self) -> int:
        """How often the same was raised."""
        ...


class Alarms(Protocol):
    """Alarms that are kept until a person has seen them."""

    @property
    def waiting(self) -> Sequence[WaitingAlarm]:
        """Those that wait, oldest first."""
        ...

    def acknowledge(self, number: int, who: str, at: datetime) -> WaitingAlarm:
        """Take one as seen; BadInput when it does not wait."""
        ...


class QuoteTape(Protocol):
    """Where quotes and idle beats go."""

    def write(self, seq: int, now: datetime, quote: Quote | None) -> None:
        """Append a quote, or an idle beat."""
        ...

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        ...


class TradeRow(Protocol):
    """A closed round trip, as the ledger gives it (`storage.ledger.Trade`, a dataclass)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def position_id(self) -> str: ...
    @property
    def net(self) -> Decimal: ...


class DecisionLine(Protocol):
    """An alert or signal with its fate (`storage.ledger.DecisionRow`)."""

    @property
    def subject(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def deployment(self) -> str: ...
    @property
    def time(self) -> datetime: ...
    @property
    def action(self) -> str: ...
    @property
    def fate(self) -> str: ...
    @property
    def gate(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def line(self) -> str: ...


class Ledger(Protocol):
    """The day's books (`storage.ledger.DayLedger`): the one source of trades and P&L."""

    @property
    def day(self) -> date | None: ...
    @property
    def trades(self) -> Sequence[TradeRow]: ...
    @property
    def decisions(self) -> Sequence[DecisionLine]: ...
    @property
    def gross(self) -> Decimal: ...
    @property
    def charges(self) -> Decimal: ...
    @property
    def net(self) -> Decimal: ...
    @property
    def rounding(self) -> Decimal: ...
    @property
    def open_charges(self) -> Decimal: ...

    def fold(self, entry: JournalEntry) -> None:
        """Count one entry in."""
        ...


class DayReporter(Protocol):
    """Writes the day export (`storage.export.export_day` with its arguments bound)."""

    def __call__(self, day: date) -> Mapping[str, Any]:
        """Export the day and tell folder and figures."""
        ...
