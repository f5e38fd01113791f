"""Legs that are held together: when they stand, what they are worth, how they are left; a leg that failed unwinds all.

Invariant: sold legs are bought back before the bought ones that cover them are sold; nothing of a structure is held
on that was not entered in whole.
"""

from datetime import timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.engine import steering
from workbench.core.engine.turn import Turn
from workbench.core.messages import (
    Level,
    PlannedLeg,
    StructureClosed,
    StructureLeft,
    StructureStood,
    StructureTightened,
)
from workbench.core.money import ZERO
from workbench.core.position import Position, PositionState
from workbench.core.signal import Side
from workbench.core.structure import Structure, combined_pnl, due, level, payoff, sold_beside, tightened

COMPLETE_AT_MOST = timedelta(seconds=30)
"""Market seconds from the first order in which all legs must have filled; else all that was entered is left."""


def legs_of(turn: Turn, structure: Structure) -> list[Position]:
    """Positions of its legs that were sent, in the order of entry."""
    positions = turn.book.positions
    return [positions[each] for each in structure.leg_ids if each in positions]


def is_entered(turn: Turn, position_id: str) -> bool:
    """All of a leg has filled, and it is not being left."""
    position = turn.book.positions.get(position_id)
    if position is None or position.state is not PositionState.OPEN:
        return False
    return position.open_quantity == position.plan.quantity and turn.book.resting_entry(position_id) is None


def follow(turn: Turn) -> None:
    """Bring every structure one step nearer to stood, left or closed; safe to call at any time."""
    for structure in list(turn.book.structures.values()):
        legs = legs_of(turn, structure)
        is_live = any(leg.is_live for leg in legs)
        if structure.closed is not None:
            if is_live:
                _leave_legs(turn, structure, "late_fill")  # an order that was given up has filled after all
            continue
        _follow(turn, structure, legs)


def _follow(turn: Turn, structure: Structure, legs: list[Position]) -> None:
    if structure.stood is None and not structure.left_for:
        reason, why = _failed(turn, structure, legs)
        if reason:
            leave(turn, structure, reason, why)
        elif all(is_entered(turn, each) for each in structure.leg_ids):
            _stand(turn, structure, legs)
        return
    if structure.left_for:
        _leave_legs(turn, structure, structure.left_for)
    else:
        _release_cover(turn, legs)
    legs = legs_of(turn, structure)
    if not any(leg.is_live for leg in legs):
        _close(turn, structure, legs)


def _failed(turn: Turn, structure: Structure, legs: list[Position]) -> tuple[str, str]:
    """Say why an entry cannot become whole any more: the reason to leave it and words; two empty texts where it can."""
    for leg in legs:
        name = leg.plan.instrument.name
        entry = turn.book.resting_entry(leg.position_id)
        if leg.state in (PositionState.EXITING, PositionState.EXPIRING):
            return leg.exit_reason, f"{name} is being left: {leg.exit_reason}"
        if not leg.is_live or (entry is None and leg.entered_quantity < leg.plan.quantity):
            return "leg_failed", f"{name}: {leg.entered_quantity} of {leg.plan.quantity} units came: {leg.exit_reason}"
    building = turn.desk.building.get(structure.plan.deployment)
    is_sending = building is not None and building.structure_id == structure.structure_id
    if len(legs) < len(structure.leg_ids) and not is_sending:
        return "leg_failed", "the process was started again before all legs were sent"
    if turn.now - structure.plan.at > COMPLETE_AT_MOST:
        return "leg_failed", f"not whole after {COMPLETE_AT_MOST.total_seconds():.0f} s"
    return "", ""


def leave(turn: Turn, structure: Structure, reason: str, why: str = "") -> None:
    """Leave all legs, sold ones first; what of it was not sent yet never is."""
    known = turn.book.structures[structure.structure_id]
    if known.left_for or known.closed is not None:
        return
    turn.emit(StructureLeft(structure_id=structure.structure_id, at=turn.now, reason=reason))
    building = turn.desk.building.get(structure.plan.deployment)
    if building is not None and building.structure_id == structure.structure_id:
        del turn.desk.building[structure.plan.deployment]
    if known.stood is None:
        text = f"{structure.plan.deployment}: legs are not whole and are left, sold ones first: {why or reason}"
        turn.tell(Level.ALARM, text)
        turn.decide(structure.plan.subject, structure.plan.deployment, "unwound", why or reason)
    _leave_legs(turn, structure, reason)
    legs = legs_of(turn, structure)
    if not any(leg.is_live for leg in legs):
        _close(turn, turn.book.structures[structure.structure_id], legs)


def _leave_legs(turn: Turn, structure: Structure, reason: str) -> None:
    legs = legs_of(turn, structure)
    for leg in sorted(legs, key=lambda each: each.side.sign):
        if turn.book.positions[leg.position_id].is_live:
            steering.begin_exit(turn, leg.position_id, reason)


def _release_cover(turn: Turn, legs: list[Position]) -> None:
    """Leave bought legs whose sold ones are bought back; and sold ones whose cover is gone (closed by hand)."""
    for leg in legs:
        if leg.side is Side.BUY and not leg.is_live:
            for sold in sold_beside(turn.book.positions, leg):
                if not sold.exit_reason:
                    turn.tell(Level.ALARM, f"{sold.plan.instrument.name} is not covered any more; leaving it")
                    steering.begin_exit(turn, sold.position_id, "uncovered")
            continue
        if leg.side is not Side.BUY or leg.state is not PositionState.OPEN or sold_beside(turn.book.positions, leg):
            continue
        right = leg.plan.instrument.right
        covered = [each for each in legs if each.side is Side.SELL and each.plan.instrument.right is right]
        if covered:
            steering.begin_exit(turn, leg.position_id, covered[-1].exit_reason or "cover")


def _stand(turn: Turn, structure: Structure, legs: list[Position]) -> None:
    """All legs have filled: lay the levels of the combined P&L around the premium of the fills."""
    plan = structure.plan
    filled = [
        PlannedLeg(
            position_id=leg.position_id,
            instrument=leg.plan.instrument,
            side=leg.side,
            quantity=leg.entered_quantity,
            exits=leg.plan.exits,
            price=leg.entry_price,
        )
        for leg in legs
    ]
    together, alone = payoff(filled), payoff(filled, without_cover=True)
    basis = together.premium or plan.premium
    stop = level(plan.combined.stop, basis)
    turn.emit(
        StructureStood(
            structure_id=structure.structure_id,
            at=turn.now,
            premium=together.premium,
            breakevens=together.breakevens,
            worst_loss=together.worst_loss,
            worst_loss_unhedged=alone.worst_loss,
            stop=None if stop is None else -stop,
            target=level(plan.combined.target, basis),
        )
    )
    worst = "not bounded" if together.worst_loss is None else f"Rs {together.worst_loss:.2f}"
    points = ", ".join(f"{each:.2f}" for each in together.breakevens) or "none"
    word = "received" if together.premium > 0 else "paid"
    turn.tell(
        Level.INFO,
        f"{plan.deployment}: {len(legs)} legs stand, Rs {abs(together.premium):.2f} {word}; breakeven {points}; "
        f"worst loss at expiry {worst}",
    )


def _close(turn: Turn, structure: Structure, legs: list[Position]) -> None:
    last = max(legs, key=lambda leg: (leg.closed_at is not None, leg.closed_at or turn.now), default=None)
    gross = sum((leg.gross for leg in legs), ZERO)
    charges = sum((leg.charges for leg in legs), ZERO)
    reason = structure.left_for or ("" if last is None else last.exit_reason)
    turn.emit(
        StructureClosed(
            structure_id=structure.structure_id,
            at=turn.now,
            reason=reason,
            gross=gross,
            charges=charges,
            net=gross - charges,
        )
    )
    turn.desk.best_pnl.pop(structure.structure_id, None)
    turn.tell(Level.INFO, f"{structure.plan.deployment}: all legs are closed ({reason}): Rs {gross - charges:.2f} net")


# --- while it stands ----------------------------------------------------------------------------------------------


def on_quote(turn: Turn, quote: Quote) -> None:
    """Follow the combined P&L of what holds this contract."""
    book = turn.book
    for structure_id in {book.positions[each].plan.structure for each in turn.desk.held.get(quote.key, ())} - {""}:
        structure = book.structures[structure_id]
        if structure.stood is None or structure.left_for or structure.closed is not None:
            continue
        pnl = combined_pnl(legs_of(turn, structure), turn.desk.quotes)
        if pnl is None:
            continue
        best = turn.desk.best_pnl
        best[structure_id] = max(pnl, best.get(structure_id, pnl))
        reason = due(structure, pnl)
        if reason:
            leave(turn, structure, reason)


def on_beat(turn: Turn, *, new_minute: bool) -> None:
    """Leave by the clock, and tighten over the minute that has ended."""
    clock = turn.now.timetz().replace(tzinfo=None)
    for structure in list(turn.book.structures.values()):
        if structure.left_for or structure.closed is not None:
            continue
        at = structure.plan.combined.time
        if at is not None and clock >= at:
            leave(turn, structure, "time")
        elif new_minute and structure.stood is not None:
            _tighten(turn, structure)


def _tighten(turn: Turn, structure: Structure) -> None:
    best = turn.desk.best_pnl.pop(structure.structure_id, Decimal(0))
    stop = tightened(structure, best) if best > structure.peak else None
    if stop is not None:
        turn.emit(StructureTightened(structure_id=structure.structure_id, at=turn.now, peak=best, stop=stop))
