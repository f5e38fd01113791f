"""Stop and target that rest beside each other: which of them is taken back, and what waits until it surely is.

Both could fill, so they count as one: whoever leaves by the one takes the other back first (fault R15). An exit does
not hang on a cancellation that nobody answers: only at the target's own price is waited for it without a bound, and
any other reason to leave ends that. A position is not closed while something of it may still fill.

Invariant: of an order that was asked back nothing is believed until the broker shows that it is gone.
"""

from datetime import timedelta

from workbench.core import exits
from workbench.core.engine import sending, supers
from workbench.core.engine.turn import Turn
from workbench.core.messages import ExitBegan, Level
from workbench.core.plan import ProtectionRule
from workbench.core.position import Position, PositionState

TARGET_PATIENCE_S = 4
"""Market seconds at a target that rests at the broker and does not fill; then it is left by the stop's order."""

LOUD_AFTER_S = 5
"""Market seconds after which an exit that is held up by a target that does not answer is an alarm."""

ZERO_TIME = timedelta()


def target_filled(turn: Turn, position_id: str) -> None:
    """The target at the broker has filled: all of it ends the position, of a part the stop covers what is left."""
    position = turn.book.positions[position_id]
    if position.state not in (PositionState.OPEN, PositionState.CARRIED):
        return
    if position.open_quantity > 0:
        name = position.plan.instrument.name
        turn.tell(Level.INFO, f"target of {name}: {position.open_quantity} units are left, covered by the stop")
        return
    turn.emit(ExitBegan(position_id=position_id, reason="target", at=turn.now))
    sending.withdraw_entry(turn, position_id)


def warn_of_excess(turn: Turn, before: Position) -> None:
    """Say that stop and target have both filled; what is too much is taken back at once (fault R15)."""
    held = turn.book.positions[before.position_id].open_quantity
    if before.plan.protection is not ProtectionRule.STOP_ONLY and held < 0 <= before.open_quantity:
        text = f"stop and target of {before.plan.instrument.name} have both filled: {-held} units too many, taken back"
        turn.tell(Level.ALARM, text)


def waits_at_target(turn: Turn, position: Position) -> bool:
    """Its target rests at the broker and fills there; where the market stays and it does not fill, nobody waits on."""
    if not position.is_paired or not turn.book.resting_targets(position.position_id):
        return False
    since = turn.desk.target_since.setdefault(position.position_id, turn.now)
    return turn.now - since < timedelta(seconds=TARGET_PATIENCE_S)


def withdraw_targets(turn: Turn, position_id: str) -> bool:
    """Take back what rests at the target; tell whether some of it may still rest."""
    resting = turn.book.resting_targets(position_id)
    for order in resting:
        sending.cancel(turn, order)
    return bool(resting)


def awaits_target(turn: Turn, position: Position) -> bool:
    """An exit waits until its target is surely gone, so that the two cannot both fill; but not for long (fault R15).

    Where it is left for its target and the market stands there, both would fill for sure: then it is waited for as long
    as that is so and nothing else asks to leave, and the stop rests meanwhile. After a restart the market stands where
    it stood until a price is heard. Where his positions show that units are gone, and no list has told yet who sold
    them, it may be the target that did: it is waited for a little longer, and then it is left all the same.
    """
    if not withdraw_targets(turn, position.position_id):
        return False
    waited = ZERO_TIME if position.exit_began is None else turn.now - position.exit_began
    if position.exit_reason == "target" and waited >= timedelta(seconds=LOUD_AFTER_S):
        name = position.plan.instrument.name
        turn.tell_once(Level.ALARM, f"{name} is to be left at its target, and what rests there does not answer")
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    is_there = position.open_quantity > 0 and (quote is None or exits.target_reached(position, quote))
    is_at_its_price = position.exit_reason == "target" and is_there
    patience = timedelta(seconds=turn.config.chase_every_s)
    return is_at_its_price or waited < (supers.SOLD_GRACE if supers.lacks_units(turn, position) else patience)


def is_held_up(turn: Turn, position: Position) -> bool:
    """It is left for its target, and what rests there may still fill: any other reason to leave takes its place."""
    is_left_for_it = position.state is PositionState.EXITING and position.exit_reason == "target"
    return is_left_for_it and position.open_quantity > 0 and bool(turn.book.resting_targets(position.position_id))


def awaits_sibling(turn: Turn, position: Position) -> bool:
    """Of stop and target one has left it all: the other is taken back, and that is waited for (fault R15).

    What has expired cannot fill any more, whatever a list goes on to show.
    """
    if position.plan.protection is ProtectionRule.STOP_ONLY or position.state is PositionState.EXPIRING:
        return False
    resting = turn.book.resting_exits(position.position_id)
    for order in resting:
        sending.cancel(turn, order)
    return withdraw_targets(turn, position.position_id) or bool(resting)
