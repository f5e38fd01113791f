"""A position's life: planned, filled, protected, left, flat. Built from events only.

Invariant: `open_quantity` is what was entered less what was exited; an exit order never holds more than that. It is
negative only after a double fill at the broker, and the excess is then taken back.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from workbench.core.instrument import Right
from workbench.core.messages import PositionPlanned
from workbench.core.money import ZERO
from workbench.core.order import Purpose
from workbench.core.plan import ProtectionRule
from workbench.core.signal import Direction, Side

BY_HAND = "external:"
"""Stands before the broker's order id in fills that are not of our orders."""

TOLD = "told-"
"""Stands for the broker's order id where a person says what he closed: the position and a count follow."""


class PositionState(StrEnum):
    """Where a position stands."""

    OPENING = "opening"
    OPEN = "open"
    CARRIED = "carried"
    EXITING = "exiting"
    EXPIRING = "expiring"
    CLOSED = "closed"
    FAILED = "failed"


class Protection(StrEnum):
    """Where the stop is."""

    NONE = "none"
    PENDING = "pending"
    AT_BROKER = "at_broker"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Units of one order executed at a price (rupees); `settled` where they expired instead."""

    correlation_id: str
    purpose: Purpose
    side: Side
    quantity: int
    price: Decimal
    at: datetime
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One position with all that is known of it; replaced, never mutated."""

    plan: PositionPlanned
    state: PositionState = PositionState.OPENING
    fills: tuple[Fill, ...] = ()
    stop: Decimal | None = None
    initial_stop: Decimal | None = None
    target: Decimal | None = None
    peak: Decimal | None = None
    tightened_by: str = ""
    spot_stop: Decimal | None = None
    spot_target: Decimal | None = None
    spot_peak: Decimal | None = None
    carried_at: datetime | None = None
    protection: Protection = Protection.NONE
    exit_reason: str = ""
    exit_began: datetime | None = None
    exit_attempts: int = 0
    last_attempt: datetime | None = None
    stop_failures: int = 0
    target_watched_for: str = ""
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    gross: Decimal = ZERO
    charges: Decimal = ZERO
    net: Decimal = ZERO

    @property
    def position_id(self) -> str:
        """Our id of the position."""
        return self.plan.position_id

    @property
    def side(self) -> Side:
        """Side of the entry."""
        return self.plan.side

    @property
    def view(self) -> Side:
        """Side on the underlying: BUY where it is expected to rise; a leg has its own, whatever its structure has."""
        right = self.plan.instrument.right
        if self.plan.structure and right is not None:
            return self.side if right is Right.CE else self.side.opposite
        return Side.BUY if self.plan.direction is Direction.LONG else Side.SELL

    @property
    def stop_reason(self) -> str:
        """Why the position is left when its stop fills: "stop", "trail" or "lock"."""
        return (self.tightened_by or "trail") if self.was_trailed else "stop"

    @property
    def entered_quantity(self) -> int:
        """Units filled on the way in."""
        return sum(fill.quantity for fill in self.fills if fill.purpose is Purpose.ENTRY)

    @property
    def exited_quantity(self) -> int:
        """Units filled on the way out, less what was taken back of an excess."""
        return self.entered_quantity - self.open_quantity

    @property
    def open_quantity(self) -> int:
        """Units held now, counted in the direction of the entry; below zero after a double fill."""
        return self.plan.side.sign * sum(fill.side.sign * fill.quantity for fill in self.fills)

    @property
    def entry_price(self) -> Decimal:
        """Average entry price, rupees; zero before the first fill."""
        return self._average(entry=True)

    @property
    def exit_price(self) -> Decimal:
        """Average exit price, rupees; zero before the first exit fill."""
        return self._average(entry=False)

    @property
    def is_paired(self) -> bool:
        """Its target rests at the broker beside its stop, or is to."""
        wants = self.plan.protection is not ProtectionRule.STOP_ONLY and self.target is not None
        return wants and not self.target_watched_for

    @property
    def is_live(self) -> bool:
        """Something is held or may come to be held."""
        return self.state not in (PositionState.CLOSED, PositionState.FAILED)

    @property
    def was_trailed(self) -> bool:
        """The stop stands better than where it began, or was set by trail or lock alone."""
        return self.stop is not None and self.stop != self.initial_stop

    def gross_at(self, price: Decimal) -> Decimal:
        """Gross P&L in rupees if what is open were left at `price`."""
        flow = sum((-fill.side.sign * fill.quantity * fill.price for fill in self.fills), ZERO)
        return flow + self.side.sign * self.open_quantity * price

    def _average(self, *, entry: bool) -> Decimal:
        chosen = [fill for fill in self.fills if (fill.purpose is Purpose.ENTRY) is entry]
        quantity = sum(fill.quantity for fill in chosen)
        if not quantity:
            return ZERO
        return sum((fill.price * fill.quantity for fill in chosen), ZERO) / quantity
