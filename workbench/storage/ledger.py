"""The ledger of a day: trades, fills, alerts and their fate, P&L. Folded from the journal, entry by entry.

There is one ledger behind the API, the page and the report, so a number on two of them is the same number.

Invariants: `net` is what the closed trades' own numbers add up to, to the paisa; `rounding` is the one line between
them and the broker's contract note; a fill is counted once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from workbench.core.book import Book
from workbench.core.charges import ChargeTable
from workbench.core.messages import (
    AlertReceived,
    AlertTurnedAway,
    DayOpened,
    DecisionMade,
    Event,
    FillBooked,
    FilledByHand,
    Message,
    PositionClosed,
    PositionSettled,
)
from workbench.core.money import ZERO
from workbench.core.order import OrderTicket
from workbench.core.pnl import charges_so_far, day_note
from workbench.core.ports import JournalEntry
from workbench.core.position import BY_HAND, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One round trip, as every face shows it; prices and money in rupees, `quantity` in units."""

    position_id: str
    deployment: str
    subject: str
    instrument: str
    instrument_key: str
    direction: str
    side: str
    quantity: int
    lots: Decimal
    entry_time: datetime
    exit_time: datetime
    entry_price: Decimal
    exit_price: Decimal
    gross: Decimal
    charges: Decimal
    net: Decimal
    reason: str
    priced_by_model: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One execution beside the price that was expected; `slippage` is rupees a unit, above zero when it cost us."""

    position_id: str
    correlation_id: str
    purpose: str
    instrument: str
    side: str
    quantity: int
    price: Decimal
    reference_price: Decimal
    slippage: Decimal | None
    time: datetime
    priced_by_model: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """An alert or a signal with what became of it, in one line.

    `kind` is "alert", "turned_away" or "signal"; `fate` and `reason` are the engine's words.
    """

    subject: str
    kind: str
    deployment: str
    time: datetime
    action: str
    fate: str
    gate: str = ""
    reason: str = ""
    text: str = ""

    @property
    def line(self) -> str:
        """One line why it traded or not."""
        gate = f" [{self.gate}]" if self.gate else ""
        return f"{self.fate}{gate}: {self.reason}" if self.reason else f"{self.fate}{gate}"


class DayLedger:
    """The books of one account on one day.

    Parameters
    ----------
    charges : ChargeTable
        The dated rates that bill the day's note.
    """

    def __init__(self, charges: ChargeTable) -> None:
        self._table = charges
        self.book = Book()
        self._begin()

    def _begin(self) -> None:
        self._decisions: dict[str, DecisionRow] = {}
        self._fills: list[FillRow] = []
        self._trades: dict[str, Trade] = {}

    @property
    def day(self) -> date | None:
        """The day that was opened."""
        return self.book.day

    def fold(self, entry: JournalEntry) -> None:
        """Count one journal entry in; a `DayOpened` begins a new ledger."""
        if entry.message is not None:
            self._heard(entry.message)
        for event in entry.events:
            self._happened(event)

    @classmethod
    def of(cls, entries: Iterable[JournalEntry], charges: ChargeTable) -> DayLedger:
        """Build the ledger of a day from its entries."""
        ledger = cls(charges)
        for entry in entries:
            ledger.fold(entry)
        return ledger

    @property
    def trades(self) -> tuple[Trade, ...]:
        """Closed round trips in the order of their exits."""
        return tuple(self._trades.values())

    @property
    def fills(self) -> tuple[FillRow, ...]:
        """All executions in order."""
        return tuple(self._fills)

    @property
    def decisions(self) -> tuple[DecisionRow, ...]:
        """Alerts, refused alerts and signals that led to a decision, in order."""
        return tuple(self._decisions.values())

    @property
    def gross(self) -> Decimal:
        """Gross P&L of the closed trades, rupees."""
        return sum((trade.gross for trade in self._trades.values()), ZERO)

    @property
    def charges(self) -> Decimal:
        """Charges of the closed trades, rupees to the paisa."""
        return sum((trade.charges for trade in self._trades.values()), ZERO)

    @property
    def net(self) -> Decimal:
        """P&L of the closed trades after charges, rupees."""
        return sum((trade.net for trade in self._trades.values()), ZERO)

    @property
    def rounding(self) -> Decimal:
        """What the broker's note adds to the trades' charges by rounding STT and stamp once a day."""
        return day_note(self.book.positions.values(), self._table, self.day).rounding

    @property
    def open_charges(self) -> Decimal:
        """Charges of fills of positions that are still open."""
        return sum((charges_so_far(item, self._table) for item in self.book.positions.values() if item.is_live), ZERO)

    def _heard(self, message: Message) -> None:
        if isinstance(message, AlertReceived):
            self._decisions[message.alert_id] = DecisionRow(
                subject=message.alert_id,
                kind="alert",
                deployment=message.deployment,
                time=message.received_at,
                action=message.action.value,
                fate="received",
                text=message.text,
            )
        elif isinstance(message, AlertTurnedAway):
            self._decisions[message.alert_id] = DecisionRow(
                subject=message.alert_id,
                kind="turned_away",
                deployment=message.deployment,
                time=message.received_at,
                action="",
                fate="refused",
                reason=message.reason,
                text=message.text,
            )

    def _happened(self, event: Event) -> None:
        self.book.apply(event)
        match event:
            case DayOpened():
                self._begin()
            case DecisionMade():
                self._decided(event)
            case FillBooked():
                position, order = self.book.positions[event.position_id], self.book.orders[event.correlation_id]
                # Fills of a position that was carried over are told again with the new day, and belong to the old one.
                if self.day is None or event.at.date() >= self.day:
                    if event.booked_as:
                        self._fills = _without(self._fills, BY_HAND + event.booked_as, event.quantity)
                    self._fills.append(_fill_row(event, order.ticket, position.plan.priced_by_model))
            case PositionSettled():
                if self.day is None or event.at.date() >= self.day:
                    self._fills.append(_row_without_order(self.book.positions[event.position_id], "settlement"))
            case FilledByHand():
                if self.day is None or event.at.date() >= self.day:
                    self._fills.append(_row_without_order(self.book.positions[event.position_id], "external"))
            case PositionClosed():
                self._closed(event)
            case _:
                pass

    def _decided(self, event: DecisionMade) -> None:
        known = self._decisions.get(event.subject)
        if known is None:
            known = DecisionRow(
                subject=event.subject,
                kind="signal" if event.subject.startswith("signal:") else "alert",
                deployment=event.deployment,
                time=event.at,
                action="" if event.direction is None else event.direction.value,
                fate=event.fate,
            )
        self._decisions[event.subject] = replace(known, fate=event.fate, gate=event.gate, reason=event.reason)

    def _closed(self, event: PositionClosed) -> None:
        # Keyed by position: one that a late fill opened again is closed twice, and the last word holds.
        self._trades.pop(event.position_id, None)
        self._trades[event.position_id] = _trade(self.book.positions[event.position_id], event)


def _trade(position: Position, event: PositionClosed) -> Trade:
    plan = position.plan
    quantity = position.entered_quantity
    return Trade(
        position_id=plan.position_id,
        deployment=plan.deployment,
        subject=plan.subject,
        instrument=plan.instrument.name,
        instrument_key=plan.instrument.key,
        direction=plan.direction.value,
        side=plan.side.value,
        quantity=quantity,
        lots=Decimal(quantity) / plan.instrument.lot,
        entry_time=position.opened_at or plan.at,
        exit_time=event.at,
        entry_price=event.entry_price,
        exit_price=event.exit_price,
        gross=event.gross,
        charges=event.charges,
        net=event.net,
        reason=event.reason,
        priced_by_model=plan.priced_by_model,
    )


def _row_without_order(position: Position, purpose: str) -> FillRow:
    fill = position.fills[-1]
    return FillRow(
        position_id=position.position_id,
        correlation_id=fill.correlation_id,
        purpose=purpose,
        instrument=position.plan.instrument.name,
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        reference_price=fill.price,
        slippage=None,
        time=fill.at,
        priced_by_model=position.plan.priced_by_model,
    )


def _without(rows: list[FillRow], correlation_id: str, quantity: int) -> list[FillRow]:
    """Give rows of fills less units of one order: they were taken for another's, and are told anew as ours."""
    kept, left = [], quantity
    for row in rows:
        units = min(left, row.quantity) if row.correlation_id == correlation_id else 0
        left -= units
        if row.quantity > units:
            kept.append(replace(row, quantity=row.quantity - units))
    return kept


def _fill_row(event: FillBooked, ticket: OrderTicket, priced_by_model: bool) -> FillRow:
    expected = event.reference_price
    slippage = (event.price - expected) * ticket.side.sign if expected else None
    return FillRow(
        position_id=event.position_id,
        correlation_id=event.correlation_id,
        purpose=ticket.purpose.value,
        instrument=ticket.instrument.name,
        side=ticket.side.value,
        quantity=event.quantity,
        price=event.price,
        reference_price=expected,
        slippage=slippage,
        time=event.at,
        priced_by_model=priced_by_model,
    )
