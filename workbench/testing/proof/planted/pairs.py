"""Bugs of a target that rests beside its stop: which of the two is taken back, how much of each rests (R12, R15)."""

from __future__ import annotations

from typing import Any

from workbench.core.engine import building, pairing, sending, siblings, steering
from workbench.core.engine.turn import Turn
from workbench.core.order import Purpose
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("R15")
def sibling_not_cancelled() -> None:
    """Once the stop has filled, what rests at the target is left there."""

    def make(cancel: Any) -> Any:
        def but_targets(turn: Turn, order: Any) -> None:
            if order.ticket.purpose is not Purpose.TARGET:
                cancel(turn, order)

        return but_targets

    wrap(sending, "cancel", make)


@bug("R17")
def stop_whole_after_a_part_of_the_target() -> None:
    """A part that the target has filled is not taken from the stop."""

    def make(leavable: Any) -> Any:
        def whole(turn: Turn, position: Any) -> int:
            taken = sum(fill.quantity for fill in position.fills if fill.purpose is Purpose.TARGET)
            return sum((leavable(turn, position), taken))

        return whole

    wrap(steering, "leavable", make)


@bug("R15")
def excess_kept() -> None:
    """What stop and target have both filled is not bought back."""

    def make(press: Any) -> Any:
        def no_excess(turn: Turn, position: Any, resting: Any) -> None:
            if position.open_quantity > 0:
                press(turn, position, resting)

        return no_excess

    wrap(steering, "press", make)


@bug("R12")
def second_sale_without_margin() -> None:
    """The target is sent whatever the broker says about the margin of a second sale."""
    replace_with(building, "lacking", lambda turn, read: "")


@bug("R12")
def target_never_offered() -> None:
    """No target ever comes to rest beside a stop, and nobody says why."""
    replace_with(pairing, "_offer", lambda turn, position, units: None)


@bug("R15")
def both_at_the_target() -> None:
    """The stop's order goes to the target's price while the target still rests there."""
    replace_with(siblings, "awaits_target", lambda turn, position: False)
    replace_with(siblings, "TARGET_PATIENCE_S", 0)


@bug("R15")
def held_up_at_the_target() -> None:
    """An exit that hangs on a target which does not go is left for no other reason."""
    replace_with(siblings, "is_held_up", lambda turn, position: False)


@bug("R15")
def cancellation_awaited_without_end() -> None:
    """Every exit waits for its target to be gone for as long as that takes."""
    replace_with(
        siblings, "awaits_target", lambda turn, position: siblings.withdraw_targets(turn, position.position_id)
    )
