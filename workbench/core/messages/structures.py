"""Words about several legs that are held together, and the questions that they need answered: chain and margin."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from workbench.core.exit_rules import Exits
from workbench.core.instrument import Instrument, Right
from workbench.core.leg_rules import Combined
from workbench.core.order import OrderTicket
from workbench.core.signal import Direction, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLeg:
    """One leg: its position, what it trades, its expected price (rupees)."""

    position_id: str
    instrument: Instrument
    side: Side
    quantity: int
    exits: Exits
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StructurePlanned:
    """An approved entry of several legs, or of a sold option, in the order in which they are entered.

    Parameters
    ----------
    premium : Decimal
        Net premium at the expected prices, rupees: received above zero, paid below.
    breakevens : tuple of Decimal
        Prices of the underlying at expiry between profit and loss, ascending.
    worst_loss, worst_loss_unhedged : Decimal or None
        Rupees at expiry, as planned and without what covers the sold legs; None: not bounded.
    margin : Decimal or None
        What it blocks by the broker's word, rupees.
    """

    structure_id: str
    deployment: str
    direction: Direction
    legs: tuple[PlannedLeg, ...]
    combined: Combined
    underlying_price: Decimal
    subject: str
    at: datetime
    premium: Decimal
    breakevens: tuple[Decimal, ...]
    worst_loss: Decimal | None
    worst_loss_unhedged: Decimal | None
    margin: Decimal | None = None
    is_hedged: bool = False
    priced_by_model: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureStood:
    """All legs have filled; levels of the combined P&L (rupees) count from the premium of the fills."""

    structure_id: str
    at: datetime
    premium: Decimal
    breakevens: tuple[Decimal, ...]
    worst_loss: Decimal | None
    worst_loss_unhedged: Decimal | None
    stop: Decimal | None = None
    target: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureTightened:
    """The best combined P&L (rupees) has moved, and with it the P&L below which all is left."""

    structure_id: str
    at: datetime
    peak: Decimal
    stop: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureLeft:
    """All legs are being left together, sold ones first, for `reason`."""

    structure_id: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureClosed:
    """No leg is held any more; rupees over all legs."""

    structure_id: str
    at: datetime
    reason: str
    gross: Decimal
    charges: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadChain:
    """Read the prices of all options of one expiry."""

    asked_by: str
    symbol: str
    expiry: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMargin:
    """Ask what these orders would block together."""

    asked_by: str
    tickets: tuple[OrderTicket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainQuote:
    """One option of a chain, rupees; zero where nobody quotes. `delta` is None where it is not told."""

    strike: Decimal
    right: Right
    bid: Decimal
    ask: Decimal
    delta: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRead:
    """A chain as it was read; `known` False with the reason where it could not be."""

    asked_by: str
    symbol: str
    expiry: date
    rows: tuple[ChainQuote, ...] = ()
    known: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRead:
    """What orders would block together, and what is free, rupees; None: the broker did not say."""

    asked_by: str
    total: Decimal | None = None
    available: Decimal | None = None
    known: bool = True
    reason: str = ""
