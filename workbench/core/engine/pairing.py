"""A target that rests at the broker beside the stop; whichever fills first, the other is taken back.

The stop comes first. Once it rests for all that is held, and no entry can add to it, the broker is asked what a second
sale would block; where free funds allow it, the target is sent, and from then on it is resized with every fill of the
stop. A target that cannot be had, or that ends without filling, is watched by the engine as every other target is: the
position goes on with its stop alone, and a person is told.

What was asked may be lost with the process: then it is asked again.

Invariant: a target is sent and changed for no more than what is held, and never before the stop rests for as much.
"""

from decimal import Decimal

from workbench.core.engine import building, sending, steering, supers
from workbench.core.engine.turn import MarginAsked, Turn
from workbench.core.exits import target_reached
from workbench.core.messages import Level, MarginRead, ReadMargin, TargetWatched
from workbench.core.order import Order, OrderChange, OrderState, OrderType, Purpose
from workbench.core.plan import ProtectionRule
from workbench.core.position import Position, PositionState

CHANGES_AT_MOST = 20
"""The broker takes 25 changes of one order (fault R11); a target that would need more is watched instead."""

REFUSED_CHANGES = 3
"""So many refused changes in a row, and a target is taken back and watched instead."""

NOT_SENT_AT_MOST = 2
"""So often a target that did not leave is sent anew."""

AT_BROKER = (OrderState.WORKING, OrderState.PARTLY_FILLED)


def follow(turn: Turn) -> None:
    """Bring the target of every paired position one step nearer to where it should be; safe to call at any time."""
    for position_id in turn.desk.pairs:
        position = turn.book.positions[position_id]
        if position.state not in (PositionState.OPEN, PositionState.CARRIED) or not position.open_quantity:
            continue
        is_held_back = steering.is_throttled(turn, position) or steering.is_throttled(turn, position, for_target=True)
        if steering.market_trades(turn, position) and not is_held_back:
            _follow(turn, position)


def on_read(turn: Turn, read: MarginRead) -> None:
    """Take the margin that a target waits for."""
    for asked in turn.desk.margins.values():
        if asked.asked_by == read.asked_by:
            asked.read = read


def _follow(turn: Turn, position: Position) -> None:
    if position.position_id in turn.desk.blind:
        if position.plan.protection is ProtectionRule.SUPER_ORDER:
            supers.look_after(turn, position, 0)
        return  # after a start nothing is moved before the broker was read
    resting = turn.book.resting_targets(position.position_id)
    target = resting[-1] if resting else None
    units = supers.spared(turn, position, target) or steering.leavable(turn, position)
    for order in resting if not position.is_paired or units <= 0 else resting[:-1]:
        sending.cancel(turn, order)
    if position.plan.protection is ProtectionRule.SUPER_ORDER:
        supers.look_after(turn, position, units)
    if not position.is_paired or units <= 0:
        return
    if resting:
        _resize(turn, position, resting[-1], units)
    elif position.state is PositionState.OPEN:
        _offer(turn, position, units)


def _resize(turn: Turn, position: Position, order: Order, units: int) -> None:
    if not sending.is_ready(turn, order):
        return
    if order.ticket.leg_of and order.remaining_quantity > units:
        _watch(turn, position, "a leg of a super order cannot be made smaller")
        sending.cancel(turn, order)
        return
    terms = _terms(position, order.ticket.quantity if order.ticket.leg_of else order.filled_quantity + units)
    if (order.ticket.quantity, order.ticket.price) == (terms.quantity, terms.price):
        return
    refused = turn.desk.refused.get(order.ticket.correlation_id, 0)
    if terms.quantity > order.ticket.quantity and not _is_covered(turn, position, units):
        return  # more of it is offered once the stop rests for as much
    if order.modifications >= CHANGES_AT_MOST or refused >= REFUSED_CHANGES:
        _watch(turn, position, "the broker takes no more changes of it")
        sending.cancel(turn, order)
    elif not sending.asked_lately(turn, order):
        sending.change(turn, order, terms, Purpose.TARGET)


def _offer(turn: Turn, position: Position, units: int) -> None:
    """Send the target, once the stop rests for as much and the margin was read."""
    ended = [each for each in turn.book.orders_of(position.position_id) if each.ticket.purpose is Purpose.TARGET]
    against = _why_not_again(ended)
    is_super = position.plan.protection is ProtectionRule.SUPER_ORDER
    if is_super and (not against or supers.other_leg_decides(turn, position)):
        return  # it came with the entry, and none is ever added
    if against:
        _watch(turn, position, against)
        return
    entry = turn.book.resting_entry(position.position_id)
    if entry is not None or not _is_covered(turn, position, units):
        return
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    if quote is None or target_reached(position, quote):
        return  # it is being left by the stop's order
    terms = _terms(position, units)
    asked = turn.desk.margins.get(position.position_id)
    wish = f"{position.position_id}|target|{units}"
    if asked is None or asked.asked_by != wish:
        until = turn.now + building.MARGIN_WAIT
        turn.desk.margins[position.position_id] = MarginAsked(asked_by=wish, until=until)
        turn.command(ReadMargin(asked_by=wish, tickets=(sending.ticket(turn, position, Purpose.TARGET, terms),)))
        return
    if asked.read is None and turn.now <= asked.until:
        return
    lacking = building.lacking(turn, asked.read or _unread(wish))
    del turn.desk.margins[position.position_id]
    if lacking:
        _watch(turn, position, lacking)
        return
    sending.place(turn, position, Purpose.TARGET, terms)


def _is_covered(turn: Turn, position: Position, units: int) -> bool:
    """The stop rests for that many units, and nothing about it is under way."""
    stop = turn.book.resting_exit(position.position_id)
    is_there = stop is not None and stop.state in AT_BROKER and sending.is_ready(turn, stop)
    return stop is not None and is_there and stop.remaining_quantity == units


def _unread(wish: str) -> MarginRead:
    return MarginRead(asked_by=wish, known=False, reason="nobody answered")


def _why_not_again(ended: list[Order]) -> str:
    """Say why no further target is sent after those that have ended, or ""."""
    if not ended or ended[-1].state in (OrderState.FILLED, OrderState.EXPIRED):
        return ""  # none yet, one of the day before, or units that came after it had filled
    last = ended[-1]
    if last.state is OrderState.NOT_SENT and len(ended) < NOT_SENT_AT_MOST:
        return ""
    return f"{last.state.value}: {last.reason}" if last.reason else last.state.value


def _watch(turn: Turn, position: Position, reason: str) -> None:
    """Go on with the stop alone."""
    turn.emit(TargetWatched(position_id=position.position_id, at=turn.now, reason=reason))
    name = position.plan.instrument.name
    text = f"the target of {name} does not rest at the broker ({reason}): it is watched here, the stop rests as before"
    turn.tell(Level.WARNING, text)


def _terms(position: Position, total_quantity: int) -> OrderChange:
    return OrderChange(order_type=OrderType.LIMIT, quantity=total_quantity, price=position.target or Decimal(0))
