"""A new trading day: what lives on is told again, as events of the new day, so that recovery reads one day only.

Invariant: the events from `DayOpened` on give the same book in a fresh process as in the one that lived through it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from workbench.core.book import Book
from workbench.core.engine import postponing, slicing, steering
from workbench.core.engine.turn import DAILY_LOSS, Turn
from workbench.core.messages import (
    AccountFrozen,
    DayOpened,
    Event,
    ExitBegan,
    FeedJudged,
    FillBooked,
    FilledByHand,
    FundsSeen,
    LeftToExpire,
    Level,
    OrderMoved,
    OrderSubmitted,
    PositionCarried,
    PositionSettled,
    SpotLevelsMoved,
    StopMoved,
    StructureLeft,
    StructureTightened,
)
from workbench.core.money import ZERO
from workbench.core.order import Order, OrderState
from workbench.core.plan import Overnight
from workbench.core.position import BY_HAND, Position, PositionState
from workbench.core.structure import Structure


def open_day(turn: Turn, day: date) -> None:
    """Open a trading day: close the books of the old one and carry over what is still held.

    Our orders are orders of one day: what rested has expired at the exchange. What that cannot explain, the broker's
    snapshot shows.
    """
    before, now = turn.book, turn.now
    # A latched limit of the day ends with the day; a halt by a person stays until a person resumes.
    stays = before.halted and before.halted_by != DAILY_LOSS
    carried: list[Event] = []
    if before.funds is not None:
        carried.append(FundsSeen(available=before.funds, at=now))
    if before.frozen:
        carried.append(AccountFrozen(differences=before.frozen, at=now))
    if not before.feed_alive:
        carried.append(FeedJudged(alive=False, at=now, reason=before.feed_reason))
    carried += before.armed.values()
    carried += before.switched_off.values()
    forgotten, unsent = postponing.forgotten(turn), list(before.unsent.values())
    held = [position for position in before.live_positions() if position.open_quantity]
    # What was left whole and not closed yet, for the end of another order was never told: that order has expired.
    left = [position for position in before.live_positions() if position.fills and not position.open_quantity]
    live = before.live_positions()
    opening = [position for position in live if not position.fills and _is_entered_today(turn, position)]
    for structure in before.structures.values():
        if any(position.plan.structure == structure.structure_id for position in (*held, *opening)):
            carried += _structure_retold(structure)
    for position in (*left, *held, *opening):
        carried += _retold(before, position, turn)
    turn.emit(DayOpened(day=day, halted=stays, halt_reason=before.halt_reason if stays else ""))
    for event in carried:
        turn.emit(event)
    # An engine that starts after the open, or has slept over it, knows of the night no more than of a death.
    turn.desk.await_word(turn.now)
    for position in left:
        steering.close(turn, turn.book.positions[position.position_id], position.fills[-1].at)
    for wish in forgotten:
        name = wish.deployment
        turn.decide(wish.subject, name, "denied", "the day is over", gate="withdrawn", direction=wish.direction)
    slicing.give_up(turn, unsent, "the day is over")
    for position in held:
        level = Level.INFO if position.state is PositionState.CARRIED else Level.ALARM
        turn.tell(level, f"{position.plan.instrument.name} is carried over from {position.plan.at:%Y-%m-%d}")


def _retold(book: Book, position: Position, turn: Turn) -> Iterator[Event]:
    yield position.plan
    # Each order is told once, before its own first fill: attempts to leave are counted anew on a new day.
    for order in book.orders_of(position.position_id):
        yield from _order_retold(book, order, turn)
    for fill in position.fills:
        if fill.correlation_id.startswith(BY_HAND):
            number = fill.correlation_id.removeprefix(BY_HAND)
            yield FilledByHand(
                position_id=position.position_id, quantity=fill.quantity, price=fill.price, at=fill.at, order_id=number
            )
            continue
        if fill.settled:
            yield PositionSettled(
                position_id=position.position_id,
                at=fill.at,
                settlement_price=ZERO,
                value=fill.price,
                quantity=fill.quantity,
                side=fill.side,
            )
            continue
        yield FillBooked(
            correlation_id=fill.correlation_id,
            position_id=position.position_id,
            quantity=fill.quantity,
            price=fill.price,
            at=fill.at,
        )
    if position.stop is not None or position.target is not None:
        yield StopMoved(
            position_id=position.position_id,
            stop=position.initial_stop,
            target=position.target,
            peak=position.peak,
            at=turn.now,
            initial=True,
        )
    if position.was_trailed or position.initial_stop is None:
        yield StopMoved(
            position_id=position.position_id,
            stop=position.stop,
            at=turn.now,
            peak=position.peak,
            by=position.tightened_by,
        )
    yield from _spot_retold(position, turn)
    if position.state is PositionState.EXPIRING:
        yield LeftToExpire(position_id=position.position_id, at=turn.now, reason="told again")
    elif position.state in (PositionState.OPEN, PositionState.CARRIED) and is_kept(position):
        # One that was open at the close without a decision (nobody was there to decide) is taken up like the others.
        when = position.carried_at or position.opened_at or turn.now
        yield PositionCarried(position_id=position.position_id, at=when, reason=position.plan.overnight.value)
    elif position.exit_began is not None:
        yield ExitBegan(position_id=position.position_id, reason=position.exit_reason, at=position.exit_began)


def _structure_retold(structure: Structure) -> Iterator[Event]:
    yield structure.plan
    if structure.stood is not None:
        yield replace(structure.stood, stop=structure.stop)
    if structure.peak:
        yield StructureTightened(
            structure_id=structure.structure_id, at=structure.plan.at, peak=structure.peak, stop=structure.stop
        )
    if structure.left_at is not None:
        yield StructureLeft(structure_id=structure.structure_id, at=structure.left_at, reason=structure.left_for)


def is_kept(position: Position) -> bool:
    """Its plan lets it stay over the night."""
    return position.plan.overnight is not Overnight.SQUARE_OFF


def _spot_retold(position: Position, turn: Turn) -> Iterator[Event]:
    if position.spot_peak is None:
        return
    yield SpotLevelsMoved(
        position_id=position.position_id,
        at=turn.now,
        stop=position.spot_stop,
        target=position.spot_target,
        peak=position.spot_peak,
        initial=True,
    )


def _is_of_today(turn: Turn, order: Order) -> bool:
    """A day may be opened late, after its market: what was sent since rests, and a second one would sell twice."""
    return turn.book.submitted_at.get(order.ticket.correlation_id, turn.now).date() == turn.now.date()


def _is_entered_today(turn: Turn, position: Position) -> bool:
    entry = turn.book.resting_entry(position.position_id)
    return entry is not None and _is_of_today(turn, entry)


def _order_retold(book: Book, order: Order, turn: Turn) -> Iterator[Event]:
    ticket = order.ticket
    sent_at = book.submitted_at.get(ticket.correlation_id, turn.now)
    yield OrderSubmitted(ticket=replace(ticket), at=sent_at)
    has_expired = order.state.may_rest and not _is_of_today(turn, order)
    state = OrderState.EXPIRED if has_expired else order.state
    if state is not OrderState.SUBMITTED:
        yield OrderMoved(
            correlation_id=ticket.correlation_id,
            state=state,
            at=turn.now,
            order_id=order.order_id,
            reason=order.reason or ("the day is over" if has_expired else ""),
        )
