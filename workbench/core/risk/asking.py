"""What a gate is asked, and what it answers.

Invariant: a gate sees an entry, the book, the account's limits and the time, and nothing else; so its answer can be
given again from the journal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.deployment import Deployment, Limits
from workbench.core.exit_rules import Exits
from workbench.core.instrument import Instrument
from workbench.core.money import ZERO
from workbench.core.session import Session
from workbench.core.signal import Direction, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An entry that wants to be approved.

    Parameters
    ----------
    subject : str
        The signal or alert that asks; one subject enters once.
    origin : str
        "signal" or "alert".
    known_at : datetime or None
        When the signal became known or the alert fired.
    max_age : timedelta
        Oldest signal that still enters.
    price : Decimal
        Expected entry price, rupees.
    told_price : Decimal or None
        Price of the underlying by the alert's word.
    spot : Decimal or None
        Price of the underlying by our own feed.
    open_pnl, own_open_pnl : Decimal or None
        P&L of what is open now in the account and in the deployment, rupees, charges so far counted; None: not known.
    unsent_premium : Decimal
        Rupees of approved entries whose orders are still to be sent.
    unsent_lots, unsent_orders : int
        The same in lots and orders.
    beside_premium : Decimal
        Rupees that the other legs of this entry pay.
    beside_lots : int
        Lots of the other legs of this entry.
    margin : Decimal or None
        What the broker says the entry blocks, rupees; None: not asked.
    exits : Exits or None
        How this leg of several is left; None: as the plan says.
    worst_loss : Decimal or None
        What can be lost where several legs bound each other, rupees; None: what stop and price say.
    orders : int
        Orders into which the quantity is divided.
    largest_order : int or None
        Units of the largest of them; None: one order holds all.
    bare : str
        Contract of a position of the account that stands without its stop past its alarm; "": none does.
    """

    deployment: Deployment
    instrument: Instrument
    direction: Direction
    side: Side
    quantity: int
    quote: Quote
    price: Decimal
    subject: str
    origin: str
    known_at: datetime | None
    max_age: timedelta
    session: Session | None
    told_price: Decimal | None = None
    spot: Decimal | None = None
    open_pnl: Decimal | None = ZERO
    own_open_pnl: Decimal | None = ZERO
    unsent_premium: Decimal = ZERO
    unsent_lots: int = 0
    unsent_orders: int = 0
    beside_premium: Decimal = ZERO
    beside_lots: int = 0
    margin: Decimal | None = None
    exits: Exits | None = None
    worst_loss: Decimal | None = None
    orders: int = 1
    largest_order: int | None = None
    bare: str = ""

    @property
    def lots(self) -> Decimal:
        """Size in lots."""
        return Decimal(self.quantity) / self.instrument.lot


@dataclass(frozen=True, slots=True)
class Denied:
    """A gate's refusal."""

    gate: str
    reason: str


Gate = Callable[[Ask, Book, Limits, datetime], str | None]
"""Gives the reason to refuse, or None."""
