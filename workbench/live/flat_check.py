"""A minute after the square-off everything that goes with the day must be gone, by the broker's own word (fault R22).

The broker squares intraday positions off by himself two minutes later, and his orders and ours get in each other's
way: so from here on he is asked every few seconds, and our exits are held to what he still holds.

Invariant: silence means that book and broker were both seen to hold nothing of it; what cannot be read is not flat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from workbench.core.messages import Level, SnapshotTaken
from workbench.core.plan import Overnight
from workbench.core.position import Position, PositionState
from workbench.live.runner import Runner

LOOK_EVERY_S = 2.0
ALARM_EVERY_S = 30.0


async def watch_flat(
    runner: Runner,
    is_open: Callable[[], bool],
    *,
    look_every_s: float = LOOK_EVERY_S,
    alarm_every_s: float = ALARM_EVERY_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """Ask the broker again and again, and alarm, until nothing is left that goes with the day or the market closes.

    Returns
    -------
    str
        What was left when it ended; empty where all is gone.
    """
    told, left = float("-inf"), ""
    while not runner.stopped_because:
        seen = await runner.lanes.read(with_legs=runner.engine.book.has_super_orders)
        runner.enqueue(seen)
        await asyncio.sleep(0)
        left = left_over(runner.engine.book.positions.values(), seen)
        if not left or not is_open():
            break
        if monotonic() - told >= alarm_every_s:
            told = monotonic()
            runner.notifier.send(Level.ALARM.value, f"not flat after the square-off, the exits go on: {left}")
        await asyncio.sleep(look_every_s)
    return left


def left_over(positions: Iterable[Position], seen: SnapshotTaken) -> str:
    """Say what of ours that goes with the day is left by the book, or by the broker's word."""
    of_the_day = [item for item in positions if item.plan.overnight is Overnight.SQUARE_OFF]
    held = [
        f"{item.open_quantity} units of {item.plan.instrument.name} are {item.state.value}"
        for item in of_the_day
        if item.is_live and item.state is not PositionState.EXPIRING
    ]
    if not seen.known:
        unread = f"the broker's positions could not be read ({seen.reason or 'no reason told'})"
        return "; ".join((*held, unread)) if of_the_day else ""
    ours = {(item.plan.instrument.segment.value, item.plan.instrument.security_id) for item in of_the_day}
    at_broker = [
        f"the broker holds {row.net_quantity} of {row.trading_symbol or row.security_id}"
        for row in seen.positions
        if row.net_quantity and (row.segment, row.security_id) in ours and row.product == "INTRADAY"
    ]
    return "; ".join((*held, *at_broker))
