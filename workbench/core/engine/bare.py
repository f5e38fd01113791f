"""Which position stands without its stop, and whether somebody was told: then nothing new is entered (fault R13).

Invariant: a position without a stop by its own plan is never bare, and what the broker has not confirmed is no stop.
"""

from datetime import timedelta

from workbench.core.engine.turn import Turn
from workbench.core.order import OrderState
from workbench.core.position import Position, PositionState, Protection

UNANSWERED_S = 5
"""Market seconds after which an unanswered order is looked for, and an unanswered stop is an alarm (fault R9)."""

IN_DOUBT = (OrderState.SUBMITTED, OrderState.UNKNOWN)


def sure_units(turn: Turn, position: Position) -> int:
    """Units that orders at the broker surely cover."""
    resting = turn.book.resting_exits(position.position_id)
    return sum(order.remaining_quantity for order in resting if order.state not in IN_DOUBT)


def bare_contract(turn: Turn) -> str:
    """Name the contract of a live position that stands without its stop past its alarm, or ""."""
    return next((each.plan.instrument.name for each in turn.book.live_positions() if _is_bare(turn, each)), "")


def _is_bare(turn: Turn, position: Position) -> bool:
    """Its stop was refused or lost and none rests again, or what rests has covered too little for too long."""
    if position.stop is None or position.open_quantity <= 0 or position.state is PositionState.EXPIRING:
        return False
    if position.stop_failures and position.protection in (Protection.NONE, Protection.PENDING):
        return True
    since = turn.desk.naked_since.get(position.position_id)
    is_late = since is not None and turn.now - since >= timedelta(seconds=UNANSWERED_S)
    return is_late and sure_units(turn, position) < position.open_quantity
