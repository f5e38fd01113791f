"""Several legs held together: what they bring at expiry, when they are left together, which leg covers which.

Invariant: a bought leg that covers sold ones of its type is left only once those are bought back; the level of the
combined P&L below which all is left only ever rises.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import assert_never

from workbench.core import exits
from workbench.core.bars import Quote
from workbench.core.exit_rules import Distance
from workbench.core.instrument import Right
from workbench.core.leg_rules import Combined
from workbench.core.messages.structures import (
    PlannedLeg,
    StructureClosed,
    StructureLeft,
    StructurePlanned,
    StructureStood,
    StructureTightened,
)
from workbench.core.money import ZERO
from workbench.core.position import Position
from workbench.core.signal import Side

StructureEvent = StructurePlanned | StructureStood | StructureTightened | StructureLeft | StructureClosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Legs of one entry with what is known of them together; replaced, never mutated."""

    plan: StructurePlanned
    stood: StructureStood | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    peak: Decimal = ZERO
    left_for: str = ""
    left_at: datetime | None = None
    closed: StructureClosed | None = None

    @property
    def structure_id(self) -> str:
        """Our id of the structure."""
        return self.plan.structure_id

    @property
    def leg_ids(self) -> tuple[str, ...]:
        """Ids of the positions of its legs, in the order of entry."""
        return tuple(leg.position_id for leg in self.plan.legs)


def applied(known: dict[str, Structure], event: StructureEvent) -> None:
    """Change what is known by one event."""
    if isinstance(event, StructurePlanned):
        known[event.structure_id] = Structure(plan=event)
        return
    before = known[event.structure_id]
    match event:
        case StructureStood():
            after = replace(before, stood=event, stop=event.stop, target=event.target)
        case StructureTightened():
            after = replace(before, stop=event.stop, peak=event.peak)
        case StructureLeft():
            after = replace(before, left_for=event.reason, left_at=event.at)
        case StructureClosed():
            after = replace(before, closed=event)
        case _:
            assert_never(event)
    known[event.structure_id] = after


# --- at expiry ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payoff:
    """What legs bring when all expire: net premium, worst loss (rupees; None: not bounded), breakevens (rupees)."""

    premium: Decimal
    worst_loss: Decimal | None
    breakevens: tuple[Decimal, ...]


def payoff(legs: Iterable[PlannedLeg], *, without_cover: bool = False) -> Payoff:
    """Give what options of one expiry bring together.

    Parameters
    ----------
    legs : iterable of PlannedLeg
    without_cover : bool
        Leave out bought legs that have a sold one of their type beside them.
    """
    all_legs = tuple(legs)
    sold = {leg.instrument.right for leg in all_legs if leg.side is Side.SELL}
    kept = [leg for leg in all_legs if not (without_cover and leg.side is Side.BUY and leg.instrument.right in sold)]
    premium = sum((-leg.side.sign * leg.price * leg.quantity for leg in kept), ZERO)
    corners = sorted({ZERO, *(leg.instrument.strike or ZERO for leg in kept)})
    values = [premium + _intrinsic(kept, corner) for corner in corners]
    slope = sum(leg.side.sign * leg.quantity for leg in kept if leg.instrument.right is Right.CE)
    worst = None if slope < 0 else max(ZERO, -min(values))
    points = {
        low + (high - low) * first / (first - last)
        for (low, first), (high, last) in pairwise(zip(corners, values, strict=True))
        if (first < 0) is not (last < 0) and first != last
    }
    if slope and (values[-1] < 0) is not (slope < 0):
        points.add(corners[-1] - values[-1] / slope)
    return Payoff(premium, worst, tuple(sorted(point.quantize(Decimal("0.01")) for point in points)))


def _intrinsic(legs: Iterable[PlannedLeg], spot: Decimal) -> Decimal:
    total = ZERO
    for leg in legs:
        sign = 1 if leg.instrument.right is Right.CE else -1
        total += leg.side.sign * leg.quantity * max(ZERO, sign * (spot - (leg.instrument.strike or ZERO)))
    return total


# --- while it is held ---------------------------------------------------------------------------------------------


def level(distance: Distance | None, premium: Decimal) -> Decimal | None:
    """Rupees of a combined distance: told, or percent of the net premium received or paid."""
    return None if distance is None else distance.rupees(abs(premium))


def needs_premium(combined: Combined) -> bool:
    """Some level is percent of the net premium, so that must not be nothing."""
    after = None if combined.lock is None else combined.lock.after
    return any(each is not None and each.percent is not None for each in (combined.stop, combined.target, after))


def combined_pnl(legs: Iterable[Position], quotes: Mapping[str, Quote]) -> Decimal | None:
    """P&L of all legs at the prices at which they could be left now, before charges, rupees; None: not known."""
    total = ZERO
    for position in legs:
        quote = quotes.get(position.plan.instrument.key)
        if quote is None and position.open_quantity:
            return None
        price = ZERO if quote is None else exits.leaving_price(position.side, quote)
        total += position.gross_at(price)
    return total


def due(structure: Structure, pnl: Decimal) -> str:
    """Name the exit that a combined P&L asks for, or "" for none."""
    if structure.stop is not None and pnl <= structure.stop:
        return "combined_lock" if structure.peak > 0 and structure.stop > 0 else "combined_stop"
    if structure.target is not None and pnl >= structure.target:
        return "combined_target"
    return ""


def tightened(structure: Structure, peak: Decimal) -> Decimal | None:
    """Give the level that the profit lock asks for at that best P&L, or None where it does not rise."""
    lock, stood = structure.plan.combined.lock, structure.stood
    if lock is None or stood is None or peak < lock.after.rupees(abs(stood.premium)):
        return None
    asked = (peak * lock.keep / 100).quantize(Decimal("0.01"))
    return asked if structure.stop is None or asked > structure.stop else None


def sold_beside(positions: Mapping[str, Position], position: Position) -> list[Position]:
    """Sold legs that are or may come to be held and that this bought leg covers: of its structure and type."""
    plan = position.plan
    if not plan.structure or plan.side is not Side.BUY:
        return []
    return [
        other
        for other in positions.values()
        if other.is_live
        and other.plan.structure == plan.structure
        and other.plan.side is Side.SELL
        and other.plan.instrument.right is plan.instrument.right
    ]


def covers(structures: Mapping[str, Structure], position: Position) -> bool:
    """Tell whether a bought leg stands beside a sold one of its type: it has no stop, and needs none."""
    structure = structures.get(position.plan.structure)
    if structure is None or position.side is not Side.BUY:
        return False
    right = position.plan.instrument.right
    return any(leg.side is Side.SELL and leg.instrument.right is right for leg in structure.plan.legs)
