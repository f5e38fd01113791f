"""Why a position was left, told from the fill: one rule for vectorbt's trades, and the witness of `parity`.

Invariant: levels come from `workbench.core.exits`, so that a name given here is the name that the engine gives.
"""

from __future__ import annotations

from decimal import Decimal

from workbench.core.exits import levels
from workbench.core.money import snap_to_tick
from workbench.core.plan import Exits
from workbench.core.signal import Side
from workbench.research.minutes import Minutes

HIGH, LOW = 1, 2


def stop_after(minutes: Minutes, exits: Exits, side: Side, *, entered: int, left: int) -> tuple[Decimal | None, bool]:
    """Give the stop that held in minute `left` of a position entered in minute `entered`, and whether it was trailed.

    The peak is taken over the completed minutes since the entry, the entry's own included.
    """
    fill = minutes.price(entered, 0)
    tick = minutes.days[int(minutes.day[entered])].instrument.tick
    stop = levels(exits, side, fill, tick).stop
    trail = exits.trail
    if trail is None or left == entered:
        return stop, False
    column = minutes.ticks[entered:left, HIGH if side is Side.BUY else LOW]
    peak = int(column.max() if side is Side.BUY else column.min()) * tick
    gained = side.sign * (peak - fill)
    if gained <= 0 or (trail.after is not None and gained < trail.after.rupees(fill)):
        return stop, False
    asked = snap_to_tick(peak - side.sign * trail.distance.rupees(fill), tick)
    if stop is not None and side.sign * (asked - stop) <= 0:
        return stop, False
    return asked, True


def why_left(minutes: Minutes, exits: Exits, side: Side, *, entered: int, left: int, price: Decimal) -> str:
    """Name the level that a fill inside a minute's range met: "stop", "trail" or "target"."""
    fill = minutes.price(entered, 0)
    tick = minutes.days[int(minutes.day[entered])].instrument.tick
    target = levels(exits, side, fill, tick).target
    if target is not None and side.sign * (price - target) >= 0:
        return "target"
    return "trail" if stop_after(minutes, exits, side, entered=entered, left=left)[1] else "stop"
