"""One market second: clock exits, trail, chase, overdue orders, the latched loss, the search for lost orders."""

from datetime import timedelta
from decimal import Decimal

from workbench.core import exits
from workbench.core.engine import day_end, sending, siblings, steering, structures, supers, underlying
from workbench.core.engine.bare import IN_DOUBT, UNANSWERED_S, sure_units
from workbench.core.engine.turn import DAILY_LOSS, Desk, Turn
from workbench.core.instrument import InstrumentKind
from workbench.core.messages import Level, PeakMoved, StopMoved, SwitchTurned
from workbench.core.order import Order, OrderState, Purpose
from workbench.core.position import Position, PositionState
from workbench.core.risk.amounts import OWN_DAILY_LOSS, realised

TRANSIT_S = 8
"""Market seconds after which an order that was taken and has not reached the exchange is an alarm (fault R9)."""

NAKED_AT_MOST_S = 10
"""Market seconds that a position may be without its stop; then it is left."""


def on_beat(turn: Turn) -> None:
    """Once a market second: what the clock asks for, position by position."""
    minute = turn.now.replace(second=0, microsecond=0)
    new_minute = turn.desk.last_minute is not None and minute != turn.desk.last_minute
    turn.desk.last_minute = minute
    underlying.on_beat(turn, new_minute=new_minute)
    structures.on_beat(turn, new_minute=new_minute)
    for position in turn.book.live_positions():
        _overdue_entry(turn, position)
        if day_end.expires(turn, position):
            steering.steer(turn, position.position_id)
        elif steering.is_watched(turn, position):
            _watch(turn, position, new_minute=new_minute)
        elif position.state is PositionState.CARRIED:
            day_end.resume(turn, position)
            steering.steer(turn, position.position_id)
            _warn_of_naked(turn, turn.book.positions[position.position_id])
        elif position.state is PositionState.EXITING:
            if siblings.is_held_up(turn, position):
                _leave_otherwise(turn, position)
            _chase(turn, turn.book.positions[position.position_id])
    day_end.list_overnight(turn)
    _latch_daily_loss(turn)
    _leave_own_daily_loss(turn)
    _look_after_orders(turn)


def _watch(turn: Turn, position: Position, *, new_minute: bool) -> None:
    """Look after an open position: leave it by the clock or the stop, trail it, keep it protected."""
    reason = day_end.reason_to_leave(turn, position)
    if reason:
        steering.begin_exit(turn, position.position_id, reason)
        return
    if not _passed_stop(turn, position) and new_minute:
        _trail(turn, position)
    steering.steer(turn, position.position_id)
    _warn_of_naked(turn, turn.book.positions[position.position_id])


def _leave_otherwise(turn: Turn, position: Position) -> None:
    """Leave by the clock or the passed stop what is held up at its target (fault R15)."""
    reason = exits.due(
        position.plan.exits,
        turn.desk.session_of(position.plan.instrument, turn.now.date()),
        turn.now,
        turn.config.limits.square_off_at,
    )
    if reason:
        steering.begin_exit(turn, position.position_id, reason)
    elif position.open_quantity > 0:
        _passed_stop(turn, position)


def _warn_of_naked(turn: Turn, position: Position) -> None:
    """Hold a position to its stop: protected, or loud after five seconds, or being left after ten (fault R13).

    While the stop is not answered it may well rest at the broker, and nothing can be placed beside it: then loud only.
    """
    position_id, name = position.position_id, position.plan.instrument.name
    resting = turn.book.resting_exits(position_id)
    sure = sure_units(turn, position)
    is_watched = position.is_live and position.stop is not None and steering.market_trades(turn, position)
    is_blind = position_id in turn.desk.blind
    if not is_watched or is_blind or position.open_quantity <= 0 or sure >= position.open_quantity:
        turn.desk.naked_since.pop(position_id, None)
        return
    since = turn.now - turn.desk.naked_since.setdefault(position_id, turn.now)
    unanswered = next((order for order in resting if order.state in IN_DOUBT), None)
    if unanswered is not None and sending.older(turn, unanswered, UNANSWERED_S):
        key = unanswered.ticket.correlation_id
        turn.tell_once(Level.ALARM, f"{name} may have no stop at the broker: order {key} is not answered")
        return
    if position.plan.instrument.key in turn.desk.broker_holds or position.state is PositionState.EXITING:
        return
    if since >= timedelta(seconds=NAKED_AT_MOST_S):
        turn.tell(Level.ALARM, f"{name} is without its stop for {NAKED_AT_MOST_S} s; leaving it")
        steering.begin_exit(turn, position_id, "unprotected")
    elif since >= timedelta(seconds=UNANSWERED_S):
        turn.tell_once(Level.ALARM, f"{name}: the stop at the broker covers {sure} of {position.open_quantity} units")


def _chase(turn: Turn, position: Position) -> None:
    wait = timedelta(seconds=turn.config.chase_every_s)
    if not position.open_quantity:
        steering.steer(turn, position.position_id)
    elif position.last_attempt is None or turn.now - position.last_attempt >= wait:
        steering.press(turn, position, turn.book.resting_exit(position.position_id))


def _trail(turn: Turn, position: Position) -> None:
    """Move the peak over the minute that has ended, and the stop behind it.

    What was seen is kept: a later part of the entry lays the peak anew at the average, which may lie below it.
    """
    if (position.plan.exits.trail is None and position.plan.exits.lock is None) or position.peak is None:
        return
    seen = turn.desk.extremes.get(position.position_id)
    if seen is None:
        return
    peak = exits.better(position.side, position.peak, seen)
    if peak == position.peak:
        return
    turn.emit(PeakMoved(position_id=position.position_id, peak=peak))
    found = exits.tightened_stop(turn.book.positions[position.position_id], peak)
    if found is not None:
        turn.emit(StopMoved(position_id=position.position_id, stop=found[0], at=turn.now, by=found[1]))
        steering.steer(turn, position.position_id)


def _passed_stop(turn: Turn, position: Position) -> bool:
    """Chase a stop that the market has passed for two seconds without filling (fault R14)."""
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    if quote is None or not exits.stop_passed(position, quote):
        turn.desk.passed_since.pop(position.position_id, None)
        return False
    since = turn.desk.passed_since.setdefault(position.position_id, turn.now)
    if turn.now - since >= timedelta(seconds=turn.config.chase_every_s):
        turn.tell(Level.ALARM, f"stop of {position.plan.instrument.name} was passed and has not filled; chasing")
        steering.begin_exit(turn, position.position_id, position.stop_reason)
    return True


def _overdue_entry(turn: Turn, position: Position) -> None:
    """Take back what has not filled in time, or what is not wanted any more."""
    entry = turn.book.resting_entry(position.position_id)
    if entry is None:
        return
    is_overdue = sending.older(turn, entry, turn.config.entry_ttl_s)
    is_synthetic = entry.ticket.instrument.kind is InstrumentKind.SYNTHETIC
    if position.state is PositionState.EXITING or (is_overdue and not is_synthetic):
        sending.cancel(turn, entry)


def day_loss_reached(desk: Desk) -> Decimal | None:
    """Give the day's P&L, open positions counted, where it is at the account's limit or beyond; else None."""
    if not desk.book.positions:
        return None
    pnl = desk.book.realised() + steering.open_pnl(desk)
    return pnl if pnl <= -desk.config.limits.max_daily_loss else None


def _latch_daily_loss(turn: Turn) -> None:
    """Halt entries and leave everything once the day's loss has reached its limit; a person un-latches.

    A halt by a person stays his, but it does not keep losing positions open.
    """
    positions = turn.book.live_positions()
    if turn.book.halted and not positions:
        return
    pnl = day_loss_reached(turn.desk)
    if pnl is None:
        return
    reason = f"daily loss limit: Rs {pnl:.2f}"
    if not turn.book.halted:
        turn.emit(SwitchTurned(halted=True, at=turn.now, reason=reason, who=DAILY_LOSS))
        turn.tell(Level.ALARM, f"HALT: {reason}")
    for position in positions:
        steering.begin_exit(turn, position.position_id, "daily_loss")


def _leave_own_daily_loss(turn: Turn) -> None:
    """Leave what a deployment holds once it has lost what it may lose in a day; its gate then keeps it out."""
    for deployment in turn.config.deployments:
        most, held = deployment.limits.max_daily_loss, turn.book.all_of(deployment.name)
        if most is None or not any(position.open_quantity for position in held):
            continue
        mine = [item for item in turn.book.positions.values() if item.plan.deployment == deployment.name]
        pnl = realised(mine) + steering.open_pnl(turn.desk, deployment.name)
        if pnl > -most:
            continue
        if not all(position.exit_reason for position in held):
            turn.tell(Level.ALARM, f"{deployment.name} has lost Rs {-pnl:.2f} today, its limit; leaving what it holds")
        for position in held:
            steering.begin_exit(turn, position.position_id, OWN_DAILY_LOSS)


def _look_after_orders(turn: Turn) -> None:
    """Ask for the broker's truth while something is unknown (fault R1); take back orders of finished positions."""
    doubtful, exit_unknown = bool(turn.desk.mismatches or turn.desk.blind), _is_held_blindly(turn)
    for order in turn.book.orders.values():
        if order.ticket.leg_of and order.state is OrderState.ABANDONED and not turn.desk.blind:
            doubtful = supers.take_back_lost(turn, order) or doubtful
        if not order.state.may_rest:
            continue
        doubtful = doubtful or _is_doubtful(turn, order)
        exit_unknown = exit_unknown or (order.state is OrderState.UNKNOWN and order.ticket.purpose is not Purpose.ENTRY)
        _warn_of_transit(turn, order)
        if not turn.book.positions[order.ticket.position_id].is_live:
            sending.cancel(turn, order)
    asked = turn.desk.last_snapshot_asked
    # A position may be bare behind an exit that is not answered, or for want of his word: asked at each beat (R13).
    if exit_unknown or (doubtful and (asked is None or turn.now - asked >= timedelta(seconds=UNANSWERED_S))):
        sending.ask_snapshot(turn, "an order is unknown, or the books differ")


def _is_held_blindly(turn: Turn) -> bool:
    """Nothing can protect or leave a position before the broker was read, and its market trades."""
    blind = (each for each in turn.book.live_positions() if each.position_id in turn.desk.blind)
    return any(each.open_quantity and steering.market_trades(turn, each) for each in blind)


def _is_doubtful(turn: Turn, order: Order) -> bool:
    if order.state is OrderState.UNKNOWN:
        return True
    is_under_way = order.state in (OrderState.SUBMITTED, OrderState.ACCEPTED)
    return is_under_way and sending.older(turn, order, UNANSWERED_S)


def _warn_of_transit(turn: Turn, order: Order) -> None:
    """An order in transit can be neither taken back nor counted on, and it may still fill: only a person can help."""
    if order.state is OrderState.ACCEPTED and sending.older(turn, order, TRANSIT_S):
        ticket = order.ticket
        what = f"{ticket.purpose.value} {ticket.correlation_id} of {ticket.instrument.name} (order {order.order_id})"
        turn.tell_once(Level.ALARM, f"{what} was taken and has not reached the exchange: look it up at the broker")
