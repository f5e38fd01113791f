"""Protection and exits: one idempotent function brings each position one step nearer to what it should be.

A position has at most ONE order that could leave it: its stop, which is modified into the target or into a marketable
limit when it is time to go. So stop and target can never both fill, and an exit never holds more than the position.
What leaves in parts is several positions from the start (`slicing`), each with its one order.
Where the plan has the target rest beside the stop (`pairing`), one of the two is taken back before the other is moved.
Should two fill all the same (or an order that was given up has come back), what fills beyond the position is bought or
sold back at once.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core import exits
from workbench.core.bars import Quote
from workbench.core.engine import sending, siblings, supers
from workbench.core.engine.turn import Desk, Turn
from workbench.core.messages import (
    EntryFailed,
    ExitBegan,
    Level,
    PositionClosed,
    ProtectionChanged,
    SpotLevelsMoved,
    StopMoved,
    Unsubscribe,
)
from workbench.core.money import ZERO
from workbench.core.order import Order, OrderState, Purpose
from workbench.core.pnl import charges_so_far
from workbench.core.position import Position, PositionState, Protection
from workbench.core.structure import sold_beside

MODIFICATIONS_AT_MOST = 20
"""The broker takes 25 modifications of one order; beyond this the order is replaced (fault R11)."""

STOP_TRIES = 2
"""So often a refused stop is placed anew before the position is left instead (fault R13)."""

REFUSED_CHANGES = 3
"""So many refused changes in a row, and the order is taken back and placed anew."""

THROTTLE_PAUSE_S = 1.0
"""Market seconds before a wish that was refused for its pace is made again."""

TRIES_AT_ONCE = 2
"""Attempts to leave that follow each other at once; further ones keep the chase's interval."""

AVERAGE_PLACES = Decimal("0.000001")
"""An average price is rounded here before levels are laid: how its fills were told must not move a stop by a tick."""


def open_pnl(desk: Desk, deployment: str = "") -> Decimal:
    """P&L of live positions, of all or of one deployment, at the prices at which they could be left; after charges."""
    total = ZERO
    for position in desk.book.live_positions():
        if not position.fills or deployment not in ("", position.plan.deployment):
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
        if not is_watched(turn, position) or not exits.target_reached(position, quote):
            turn.desk.target_since.pop(position_id, None)
        elif not siblings.waits_at_target(turn, position):
            begin_exit(turn, position_id, "target")


def begin_exit(turn: Turn, position_id: str, reason: str) -> None:
    """Decide to leave a position; it is pursued until flat. Nothing can refuse this.

    An entry that has not filled yet is withdrawn, now or as soon as the broker has named it; what fills of it is left.
    An exit at the target waits for what rests there: any other reason takes its place.
    """
    position = turn.book.positions[position_id]
    if not position.is_live or position.state is PositionState.EXPIRING:
        return
    if position.state is PositionState.EXITING and (reason == "target" or not siblings.is_held_up(turn, position)):
        return
    for sold in sold_beside(turn.book.positions, position):
        begin_exit(turn, sold.position_id, reason)
    if sold_beside(turn.book.positions, position):
        return  # it covers them until they are bought back, and is left then (`structures`)
    turn.emit(ExitBegan(position_id=position_id, reason=reason, at=turn.now))
    sending.withdraw_entry(turn, position_id)
    steer(turn, position_id)


def steer(turn: Turn, position_id: str) -> None:
    """Bring a position one step nearer to closed, left or protected; safe to call at any time."""
    position = turn.book.positions[position_id]
    if not position.is_live or _finished(turn, position):
        return
    if position.state is PositionState.EXPIRING:
        for order in (*turn.book.resting_exits(position_id), *turn.book.resting_targets(position_id)):
            sending.cancel(turn, order)
        return
    if position.state is PositionState.EXITING:
        sending.withdraw_entry(turn, position_id)
        siblings.withdraw_targets(turn, position_id)
    if not position.open_quantity:
        return
    exit_orders = turn.book.resting_exits(position_id)
    for order in exit_orders[:-1]:
        sending.cancel(turn, order)
    resting = exit_orders[-1] if exit_orders else None
    if position.state is not PositionState.EXITING:
        _protect(turn, position, resting)
        return
    is_first = position.exit_attempts == 0 and not _is_filling(position, resting)
    is_free = resting is None and position.last_attempt != turn.now and position.exit_attempts < TRIES_AT_ONCE
    if is_first or is_free:
        press(turn, position, resting)


def _is_filling(position: Position, resting: Order | None) -> bool:
    """A stop that has begun to fill is left to fill; the chase takes over if it stands still."""
    return resting is not None and resting.filled_quantity > 0 and position.exit_reason in exits.STOP_REASONS


def lay_levels(turn: Turn, position_id: str) -> None:
    """Lay stop and target around the average entry after an entry fill; a stop that was trailed only tightens."""
    position = turn.book.positions[position_id]
    if position.plan.exits.underlying is not None and position.spot_peak is None:
        watched = exits.spot_levels(position)
        price = position.plan.underlying_price
        turn.emit(
            SpotLevelsMoved(
                position_id=position_id,
                at=turn.now,
                stop=watched.stop,
                target=watched.target,
                peak=price,
                initial=True,
            )
        )
    laid = exits.levels(
        position.plan.exits,
        position.side,
        position.entry_price.quantize(AVERAGE_PLACES),
        position.plan.instrument.tick,
    )
    if position.stop is not None and position.was_trailed:
        # The average has moved with this fill: the target moves with it, and no more is risked than the plan says.
        stop = position.stop if laid.stop is None else exits.better(position.side, position.stop, laid.stop)
        if (stop, laid.target) != (position.stop, position.target):
            turn.emit(StopMoved(position_id=position_id, stop=stop, target=laid.target, at=turn.now))
        return
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
    if siblings.awaits_sibling(turn, position):
        return False
    if not position.fills:
        orders = turn.book.orders_of(position.position_id)
        reason = next((order.reason or order.state.value for order in reversed(orders)), "no order")
        turn.emit(EntryFailed(position_id=position.position_id, at=turn.now, reason=reason))
        turn.tell(Level.WARNING, f"entry of {position.plan.instrument.name} came to nothing: {reason}")
    else:
        close(turn, position, turn.now)
    _forget(turn, position)
    return True


def close(turn: Turn, position: Position, at: datetime) -> None:
    """Book what a position has brought, now that nothing of it is held."""
    gross = position.gross_at(ZERO)
    charges = charges_so_far(position, turn.config.charges)
    turn.emit(
        PositionClosed(
            position_id=position.position_id,
            at=at,
            reason=position.exit_reason or "stop",
            entry_price=position.entry_price,
            exit_price=position.exit_price,
            gross=gross,
            charges=charges,
            net=gross - charges,
        )
    )
    turn.tell(Level.INFO, f"closed {position.plan.instrument.name}: Rs {gross - charges:.2f} after charges")


def _forget(turn: Turn, position: Position) -> None:
    instrument, desk = position.plan.instrument, turn.desk
    desk.forget(position.position_id)
    desk.refresh_held()
    for resting in turn.book.resting_exits(position.position_id):
        sending.cancel(turn, resting)
    if instrument.key not in desk.watched and instrument.key not in desk.held:
        turn.command(Unsubscribe(instrument=instrument))


def market_trades(turn: Turn, position: Position) -> bool:
    """Orders leave only while the exchange takes them (invariant I7); the wish to leave outlives the night."""
    session = turn.desk.session_of(position.plan.instrument, turn.now.date())
    return session is not None and session.contains(turn.now)


def throttle(turn: Turn, order: Order) -> None:
    """Note that a wish was refused for its pace; one about a target holds nothing back that protects or leaves."""
    is_target = order.ticket.purpose is Purpose.TARGET
    noted = turn.desk.targets_throttled if is_target else turn.desk.throttled
    noted[order.ticket.position_id] = turn.now


def is_throttled(turn: Turn, position: Position, *, for_target: bool = False) -> bool:
    """A wish about it was refused for its pace a moment ago: it is made again after a pause, not at once."""
    noted = turn.desk.targets_throttled if for_target else turn.desk.throttled
    refused = noted.get(position.position_id)
    return refused is not None and turn.now - refused < timedelta(seconds=THROTTLE_PAUSE_S)


def _refuses_changes(turn: Turn, order: Order) -> bool:
    """The broker has refused several changes of an order in a row: a fresh one may be taken where a change is not."""
    return turn.desk.refused.get(order.ticket.correlation_id, 0) >= REFUSED_CHANGES


def is_watched(turn: Turn, position: Position) -> bool:
    """Its exits are live: it is open, or it stays over the night and the market of its day still trades."""
    if position.state is PositionState.CARRIED:
        return _was_carried_today(turn, position) and market_trades(turn, position)
    return position.state is PositionState.OPEN


def _was_carried_today(turn: Turn, position: Position) -> bool:
    return position.carried_at is not None and position.carried_at.date() == turn.now.date()


def leavable(turn: Turn, position: Position) -> int:
    """Units that an order may leave: never more than the broker holds, where that is known to be less (fault R23)."""
    held = position.open_quantity
    if position.position_id in turn.desk.blind:
        return 0
    at_broker = turn.desk.broker_holds.get(position.plan.instrument.key)
    if held < 0 or at_broker is None:
        return abs(held)
    # Of several positions in one contract the oldest is served first: together they leave no more than is there.
    for older in turn.book.live_positions():
        if older.position_id == position.position_id:
            break
        if older.plan.instrument.key == position.plan.instrument.key:
            at_broker -= older.side.sign * older.open_quantity
    return min(held, max(0, position.side.sign * at_broker))


def _protect(turn: Turn, position: Position, resting: Order | None) -> None:
    """See to it that the stop rests at the broker for all that is held."""
    if position.stop is None or not market_trades(turn, position) or is_throttled(turn, position):
        return
    if position.state is PositionState.CARRIED and not _was_carried_today(turn, position):
        return  # taken up again at the open, which may lie beyond the stop
    units = supers.spared(turn, position, resting) or leavable(turn, position)
    if units <= 0:
        _stand_back(turn, resting)
        return
    if resting is None:
        _place_stop(turn, position, units)
        return
    if not sending.is_ready(turn, resting):
        return
    is_leg = bool(resting.ticket.leg_of)
    if is_leg and resting.remaining_quantity > units:
        sending.cancel(turn, resting)  # a leg cannot be made smaller: a plain stop takes its place
        return
    terms = exits.stop_terms(position, resting.filled_quantity + units)
    terms = supers.stop_terms(position, resting) if is_leg else terms
    if (resting.ticket.quantity, resting.ticket.trigger_price) != (terms.quantity, terms.trigger_price):
        is_short, is_stuck = resting.remaining_quantity < units, _refuses_changes(turn, resting)
        is_wrong = resting.ticket.quantity != terms.quantity
        if is_wrong and is_stuck and not is_short:
            rests = f"the stop of {position.plan.instrument.name} rests for {resting.remaining_quantity} units"
            turn.tell_once(Level.ALARM, f"{rests}, {units} are held, and it cannot be changed: it is placed anew")
        if resting.modifications >= MODIFICATIONS_AT_MOST or (is_wrong and is_stuck):
            # Placed anew as soon as the cancellation is confirmed; until then the old, looser stop rests.
            sending.cancel(turn, resting)
            return
        if not sending.asked_lately(turn, resting):
            sending.change(turn, resting, terms, Purpose.STOP)
    # The broker's receipt alone is no stop yet: the exchange can still refuse what is in transit.
    in_transit = resting.state is OrderState.ACCEPTED
    _set_protection(turn, position, Protection.PENDING if in_transit else Protection.AT_BROKER)


def _place_stop(turn: Turn, position: Position, units: int) -> None:
    """Place a stop where none rests; one that was refused too often is not tried again, and the position is left."""
    if supers.other_leg_decides(turn, position):
        return
    if supers.has_lost_its_leg(turn, position):
        _lost_its_leg(turn, position)
        position = turn.book.positions[position.position_id]
    if position.stop_failures > STOP_TRIES:
        turn.tell(Level.ALARM, f"{position.plan.instrument.name} cannot be protected; leaving it")
        begin_exit(turn, position.position_id, "unprotected")
        return
    sending.place(turn, position, Purpose.STOP, exits.stop_terms(position, units))
    _set_protection(turn, position, Protection.PENDING)


def _lost_its_leg(turn: Turn, position: Position) -> None:
    """Say that a leg was the stop and is gone, before a plain one is placed: loudly where no target rests either."""
    reason = "its leg was cancelled and cannot be added again"
    _set_protection(turn, position, Protection.NONE, reason)
    level = Level.WARNING if turn.book.resting_targets(position.position_id) else Level.ALARM
    turn.tell(level, f"the stop of {position.plan.instrument.name} is placed anew: {reason}")


def press(turn: Turn, position: Position, resting: Order | None) -> None:
    """Make the next attempt to leave: change the resting order, or place one where none rests."""
    name = position.plan.instrument.name
    if is_throttled(turn, position) or siblings.awaits_target(turn, position):
        return
    if not market_trades(turn, position):
        turn.tell_once(Level.ALARM, f"{name} is to be left and the market is closed: it is left when it opens")
        return
    units = leavable(turn, position)
    if units <= 0:
        if not supers.spared(turn, position, resting):
            _stand_back(turn, resting)
        return
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    is_beside = bool(turn.book.resting_targets(position.position_id))
    begun = _begun_again(turn, position)
    if resting is None:
        terms = exits.leaving_terms(position, quote, units, at_target=not is_beside, begun_at=begun)
        sending.place(turn, position, Purpose.EXIT, terms)
    elif resting.ticket.leg_of:
        sending.cancel(turn, resting)  # a leg cannot be moved to the market: it is taken back, and then it is left
        if supers.waits_no_longer(turn, position):
            text = f"{name} is left beside a leg of its super order that was asked back and does not go"
            turn.tell_once(Level.ALARM, text)
            terms = exits.leaving_terms(position, quote, units, at_target=not is_beside, begun_at=begun)
            sending.place(turn, position, Purpose.EXIT, terms)
    elif sending.is_ready(turn, resting):
        is_excess = position.open_quantity < 0
        is_used_up = resting.modifications >= MODIFICATIONS_AT_MOST or _refuses_changes(turn, resting)
        if is_used_up or (resting.ticket.side is position.side) is not is_excess:
            sending.cancel(turn, resting)
            return
        total = resting.filled_quantity + units
        terms = exits.leaving_terms(position, quote, total, at_target=not is_beside, begun_at=begun)
        sending.change(turn, resting, terms, Purpose.EXIT)
    if position.exit_attempts >= 2:
        text = f"still leaving {name} ({position.exit_reason}), {position.exit_attempts} tries"
        turn.tell(Level.ALARM, text)


def exit_refused(turn: Turn, position_id: str) -> None:
    """The broker has refused an attempt to leave: after one at the last step the chase begins again with the first.

    A limit outside of the price band is refused for ever, and nobody tells the engine where the band ends (fault R13).
    """
    position = turn.book.positions[position_id]
    tried = position.exit_attempts - _begun_again(turn, position)
    if position.state is PositionState.EXITING and tried >= len(exits.escalation(position.plan.instrument)):
        turn.desk.begun_again[position_id] = position.exit_attempts


def _begun_again(turn: Turn, position: Position) -> int:
    """Attempts that were made before the chase began again; none where they are counted anew since."""
    begun = turn.desk.begun_again.get(position.position_id, 0)
    return begun if begun <= position.exit_attempts else 0


def _stand_back(turn: Turn, resting: Order | None) -> None:
    """The broker holds nothing of it: an order that rests could only open the opposite (fault R23)."""
    if resting is not None and resting.ticket.position_id not in turn.desk.blind:
        sending.cancel(turn, resting)


def _set_protection(turn: Turn, position: Position, protection: Protection, reason: str = "") -> None:
    if turn.book.positions[position.position_id].protection is not protection:
        turn.emit(
            ProtectionChanged(position_id=position.position_id, protection=protection.value, at=turn.now, reason=reason)
        )


def stop_filled(turn: Turn, position_id: str) -> None:
    """The stop at the broker has fired: name why the position is being left."""
    position = turn.book.positions[position_id]
    if position.state in (PositionState.OPEN, PositionState.CARRIED):
        turn.emit(ExitBegan(position_id=position_id, reason=position.stop_reason, at=turn.now))
        sending.withdraw_entry(turn, position_id)


def lost_protection(turn: Turn, position_id: str, reason: str) -> None:
    """Note that no stop rests at the broker, loudly."""
    position = turn.book.positions[position_id]
    turn.emit(ProtectionChanged(position_id=position_id, protection=Protection.NONE.value, at=turn.now, reason=reason))
    turn.tell(Level.ALARM, f"{position.plan.instrument.name} has no stop at the broker: {reason}")
