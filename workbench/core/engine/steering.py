"""Protection and exits: one idempotent function brings each position one step nearer to what it should be.

A position has at most ONE order that could leave it: its stop, which is modified into the target or into a marketable
limit when it is time to go. So stop and target can never both fill, and an exit never holds more than the position.
"""

from datetime import timedelta
from decimal import Decimal

from workbench.core import exits
from workbench.core.bars import Quote
from workbench.core.engine.turn import Desk, Turn
from workbench.core.errors import WorkbenchError
from workbench.core.instrument import InstrumentKind
from workbench.core.messages import (
    CancelAsked,
    CancelOrder,
    EntryFailed,
    ExitBegan,
    Level,
    ModifyOrder,
    OrderChangeAsked,
    OrderSubmitted,
    PeakMoved,
    PlaceOrder,
    PositionClosed,
    ProtectionChanged,
    StopMoved,
    SwitchTurned,
    TakeSnapshot,
    Unsubscribe,
)
from workbench.core.money import ZERO
from workbench.core.order import Order, OrderChange, OrderState, OrderTicket, Purpose
from workbench.core.pnl import charges_so_far
from workbench.core.position import Position, PositionState, Protection

MODIFICATIONS_AT_MOST = 20
"""The broker takes 25 modifications of one order; beyond this the order is replaced (fault R11)."""

STOP_TRIES = 2
"""So often a refused stop is placed anew before the position is left instead (fault R13)."""


def underlying_key(turn: Turn, symbol: str) -> str:
    """Key under which the quotes of an underlying come."""
    try:
        return turn.config.listings.instruments.index(symbol).key
    except WorkbenchError:
        return f"IDX_I:{symbol}"


def open_pnl(desk: Desk) -> Decimal:
    """P&L of live positions at the prices at which they could be left, charges so far counted, rupees."""
    total = ZERO
    for position in desk.book.live_positions():
        if not position.fills:
            continue
        quote = desk.quotes.get(position.plan.instrument.key)
        price = exits.leaving_price(position.side, quote) if quote else position.entry_price
        total += position.gross_at(price) - charges_so_far(position, desk.config.charges)
    return total


def on_quote(turn: Turn, quote: Quote) -> None:
    """Follow the positions of one instrument: note the extreme, take the target."""
    for position_id in turn.desk.held.get(quote.key, ()):
        position = turn.book.positions[position_id]
        if not position.open_quantity:
            continue
        seen = turn.desk.extremes.get(position_id, quote.last)
        turn.desk.extremes[position_id] = exits.better(position.side, seen, quote.last)
        if position.state is PositionState.OPEN and exits.target_reached(position, quote):
            begin_exit(turn, position_id, "target")


def on_beat(turn: Turn) -> None:
    """Once a market second: clock exits, the trail at each new minute, the chase, overdue entries, latched loss."""
    minute = turn.now.replace(second=0, microsecond=0)
    new_minute = turn.desk.last_minute is not None and minute != turn.desk.last_minute
    turn.desk.last_minute = minute
    for position in turn.book.live_positions():
        _overdue_entry(turn, position)
        if position.state is PositionState.OPEN:
            session = turn.desk.session(position.plan.instrument.segment, turn.now.date())
            reason = exits.due(position.plan.exits, session, turn.now, turn.config.limits.square_off_at)
            if reason:
                begin_exit(turn, position.position_id, reason)
            elif not _passed_stop(turn, position) and new_minute:
                _trail(turn, position)
        elif position.state is PositionState.EXITING:
            _chase(turn, position)
    _latch_daily_loss(turn)
    _look_for_unknown(turn)


def begin_exit(turn: Turn, position_id: str, reason: str) -> None:
    """Decide to leave a position; it is pursued until flat. Nothing can refuse this."""
    position = turn.book.positions[position_id]
    if not position.is_live or position.state is PositionState.EXITING:
        return
    entry = turn.book.resting_entry(position_id)
    if entry is not None:
        _cancel(turn, entry)
    if position.open_quantity:
        turn.emit(ExitBegan(position_id=position_id, reason=reason, at=turn.now))
    steer(turn, position_id)


def steer(turn: Turn, position_id: str) -> None:
    """Bring a position one step nearer to closed, left or protected; safe to call at any time."""
    position = turn.book.positions[position_id]
    if not position.is_live or _finished(turn, position) or not position.open_quantity:
        return
    resting = turn.book.resting_exit(position_id)
    if position.state is PositionState.EXITING:
        if (position.exit_attempts == 0 and not _is_filling(position, resting)) or (
            resting is None and position.last_attempt != turn.now
        ):
            _press(turn, position, resting)
        return
    _protect(turn, position, resting)


def _is_filling(position: Position, resting: Order | None) -> bool:
    """A stop that has begun to fill is left to fill; the chase takes over if it stands still."""
    return resting is not None and resting.filled_quantity > 0 and position.exit_reason in ("stop", "trail")


def lay_levels(turn: Turn, position_id: str) -> None:
    """Lay stop and target around the average entry after an entry fill (not once the stop has been trailed)."""
    position = turn.book.positions[position_id]
    if position.was_trailed:
        return
    laid = exits.levels(position.plan.exits, position.side, position.entry_price, position.plan.instrument.tick)
    turn.emit(
        StopMoved(
            position_id=position_id,
            stop=laid.stop,
            target=laid.target,
            peak=position.entry_price,
            at=turn.now,
            initial=True,
        )
    )


def _finished(turn: Turn, position: Position) -> bool:
    """Close the position when nothing is held and no entry can come; tell whether it is over."""
    if position.open_quantity or turn.book.resting_entry(position.position_id) is not None:
        return False
    if not position.fills:
        orders = turn.book.orders_of(position.position_id)
        reason = next((order.reason or order.state.value for order in reversed(orders)), "no order")
        turn.emit(EntryFailed(position_id=position.position_id, at=turn.now, reason=reason))
        turn.tell(Level.WARNING, f"entry of {position.plan.instrument.name} came to nothing: {reason}")
    else:
        gross = position.gross_at(ZERO)
        charges = charges_so_far(position, turn.config.charges)
        turn.emit(
            PositionClosed(
                position_id=position.position_id,
                at=turn.now,
                reason=position.exit_reason or "stop",
                entry_price=position.entry_price,
                exit_price=position.exit_price,
                gross=gross,
                charges=charges,
                net=gross - charges,
            )
        )
        turn.tell(Level.INFO, f"closed {position.plan.instrument.name}: Rs {gross - charges:.2f} after charges")
    _forget(turn, position)
    return True


def _forget(turn: Turn, position: Position) -> None:
    instrument, desk = position.plan.instrument, turn.desk
    desk.extremes.pop(position.position_id, None)
    desk.passed_since.pop(position.position_id, None)
    desk.refresh_held()
    resting = turn.book.resting_exit(position.position_id)
    if resting is not None:
        _cancel(turn, resting)
    if instrument.key not in desk.watched and instrument.key not in desk.held:
        turn.command(Unsubscribe(instrument=instrument))


def _protect(turn: Turn, position: Position, resting: Order | None) -> None:
    """See to it that the stop rests at the broker for all that is held."""
    if position.stop is None:
        return
    if resting is None:
        if position.stop_failures > STOP_TRIES:
            turn.tell(Level.ALARM, f"{position.plan.instrument.name} cannot be protected; leaving it")
            begin_exit(turn, position.position_id, "unprotected")
            return
        terms = exits.stop_terms(position, position.open_quantity)
        _place(turn, position, Purpose.STOP, terms)
        _set_protection(turn, position, Protection.PENDING)
        return
    if not _is_ready(turn, resting):
        return
    terms = exits.stop_terms(position, resting.filled_quantity + position.open_quantity)
    if (resting.ticket.quantity, resting.ticket.trigger_price) != (terms.quantity, terms.trigger_price):
        if resting.modifications >= MODIFICATIONS_AT_MOST:
            # Placed anew as soon as the cancellation is confirmed; until then the old, looser stop rests.
            _cancel(turn, resting)
            return
        _change(turn, resting, terms, Purpose.STOP)
    _set_protection(turn, position, Protection.AT_BROKER)


def _press(turn: Turn, position: Position, resting: Order | None) -> None:
    """Make the next attempt to leave: change the resting order, or place one where none rests."""
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    if resting is None:
        terms = exits.leaving_terms(position, quote, position.open_quantity)
        _place(turn, position, Purpose.EXIT, terms)
    elif _is_ready(turn, resting):
        if resting.modifications >= MODIFICATIONS_AT_MOST:
            _cancel(turn, resting)
            return
        terms = exits.leaving_terms(position, quote, resting.filled_quantity + position.open_quantity)
        _change(turn, resting, terms, Purpose.EXIT)
    if position.exit_attempts >= 2:
        text = f"still leaving {position.plan.instrument.name} ({position.exit_reason}), {position.exit_attempts} tries"
        turn.tell(Level.ALARM, text)


def _chase(turn: Turn, position: Position) -> None:
    wait = timedelta(seconds=turn.config.chase_every_s)
    if position.last_attempt is None or turn.now - position.last_attempt >= wait:
        _press(turn, position, turn.book.resting_exit(position.position_id))


def _trail(turn: Turn, position: Position) -> None:
    """Move the peak over the minute that has ended, and the stop behind it."""
    if position.plan.exits.trail is None or position.peak is None:
        return
    seen = turn.desk.extremes.pop(position.position_id, None)
    if seen is None:
        return
    peak = exits.better(position.side, position.peak, seen)
    if peak == position.peak:
        return
    turn.emit(PeakMoved(position_id=position.position_id, peak=peak))
    stop = exits.trailed_stop(turn.book.positions[position.position_id], peak)
    if stop is not None:
        turn.emit(StopMoved(position_id=position.position_id, stop=stop, at=turn.now))
        steer(turn, position.position_id)


def _passed_stop(turn: Turn, position: Position) -> bool:
    """Chase a stop that the market has passed for two seconds without filling (fault R14)."""
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    if quote is None or not exits.stop_passed(position, quote):
        turn.desk.passed_since.pop(position.position_id, None)
        return False
    since = turn.desk.passed_since.setdefault(position.position_id, turn.now)
    if turn.now - since >= timedelta(seconds=turn.config.chase_every_s):
        turn.tell(Level.ALARM, f"stop of {position.plan.instrument.name} was passed and has not filled; chasing")
        begin_exit(turn, position.position_id, "trail" if position.was_trailed else "stop")
    return True


def _overdue_entry(turn: Turn, position: Position) -> None:
    entry = turn.book.resting_entry(position.position_id)
    if entry is None or not entry.order_id or entry.ticket.correlation_id in turn.book.cancels_pending:
        return
    submitted = turn.book.submitted_at.get(entry.ticket.correlation_id, turn.now)
    if entry.ticket.instrument.kind is InstrumentKind.SYNTHETIC:
        return
    if turn.now - submitted >= timedelta(seconds=turn.config.entry_ttl_s):
        _cancel(turn, entry)


def _latch_daily_loss(turn: Turn) -> None:
    """Halt entries and leave everything once the day's loss has reached its limit; a person un-latches."""
    if turn.book.halted or not turn.book.positions:
        return
    pnl = turn.book.realised() + open_pnl(turn.desk)
    if pnl > -turn.config.limits.max_daily_loss:
        return
    reason = f"daily loss limit: Rs {pnl:.2f}"
    turn.emit(SwitchTurned(halted=True, at=turn.now, reason=reason, who="daily_loss"))
    turn.tell(Level.ALARM, f"HALT: {reason}")
    for position in turn.book.live_positions():
        begin_exit(turn, position.position_id, "daily_loss")


def _look_for_unknown(turn: Turn) -> None:
    """Ask for the broker's truth while an order of ours is unknown (fault R1)."""
    doubtful = any(
        order.state is OrderState.UNKNOWN or (order.state is OrderState.SUBMITTED and _older(turn, order, 5))
        for order in turn.book.orders.values()
    )
    asked = turn.desk.last_snapshot_asked
    if doubtful and (asked is None or turn.now - asked >= timedelta(seconds=5)):
        ask_snapshot(turn, "an order is unknown")


def ask_snapshot(turn: Turn, reason: str) -> None:
    """Have the broker's truth read."""
    turn.desk.last_snapshot_asked = turn.now
    turn.command(TakeSnapshot(reason=reason))


def _older(turn: Turn, order: Order, seconds: float) -> bool:
    submitted = turn.book.submitted_at.get(order.ticket.correlation_id, turn.now)
    return turn.now - submitted >= timedelta(seconds=seconds)


def _is_ready(turn: Turn, order: Order) -> bool:
    """The broker has it, and nothing of ours about it is under way."""
    correlation_id = order.ticket.correlation_id
    return (
        bool(order.order_id)
        and order.state in (OrderState.ACCEPTED, OrderState.WORKING, OrderState.PARTLY_FILLED)
        and correlation_id not in turn.book.changes_pending
        and correlation_id not in turn.book.cancels_pending
    )


def _set_protection(turn: Turn, position: Position, protection: Protection, reason: str = "") -> None:
    if turn.book.positions[position.position_id].protection is not protection:
        turn.emit(
            ProtectionChanged(position_id=position.position_id, protection=protection.value, at=turn.now, reason=reason)
        )


def stop_filled(turn: Turn, position_id: str) -> None:
    """The stop at the broker has fired: name why the position is being left."""
    position = turn.book.positions[position_id]
    if position.state is PositionState.OPEN:
        reason = "trail" if position.was_trailed else "stop"
        turn.emit(ExitBegan(position_id=position_id, reason=reason, at=turn.now))


def lost_protection(turn: Turn, position_id: str, reason: str) -> None:
    """Note that no stop rests at the broker, loudly."""
    position = turn.book.positions[position_id]
    turn.emit(ProtectionChanged(position_id=position_id, protection=Protection.NONE.value, at=turn.now, reason=reason))
    turn.tell(Level.ALARM, f"{position.plan.instrument.name} has no stop at the broker: {reason}")


def _place(turn: Turn, position: Position, purpose: Purpose, terms: OrderChange) -> None:
    plan = position.plan
    ticket = OrderTicket(
        correlation_id=turn.correlation_id("S" if purpose is Purpose.STOP else "X"),
        intent_id=f"{position.position_id}:{purpose.value}",
        position_id=position.position_id,
        deployment=plan.deployment,
        purpose=purpose,
        instrument=plan.instrument,
        side=plan.side.opposite,
        quantity=terms.quantity,
        order_type=terms.order_type,
        product=plan.product,
        price=terms.price,
        trigger_price=terms.trigger_price,
    )
    turn.emit(OrderSubmitted(ticket=ticket, at=turn.now))
    turn.command(PlaceOrder(ticket=ticket))


def _change(turn: Turn, order: Order, terms: OrderChange, purpose: Purpose) -> None:
    correlation_id = order.ticket.correlation_id
    turn.emit(OrderChangeAsked(correlation_id=correlation_id, change=terms, purpose=purpose.value, at=turn.now))
    turn.command(ModifyOrder(correlation_id=correlation_id, order_id=order.order_id, change=terms))


def _cancel(turn: Turn, order: Order) -> None:
    correlation_id = order.ticket.correlation_id
    if not order.order_id or correlation_id in turn.book.cancels_pending:
        return
    turn.emit(CancelAsked(correlation_id=correlation_id, at=turn.now))
    is_exit = order.ticket.purpose is not Purpose.ENTRY
    turn.command(CancelOrder(correlation_id=correlation_id, order_id=order.order_id, is_exit=is_exit))
