"""A minute after the square-off everything that goes with the day must be gone, by the broker's own word (fault R22).

The broker squares intraday positions off by himself three minutes later, and his orders and ours get in each other's
way: so from here on he is asked every few seconds, and our exits are held to what he still holds. Shares go before
options since 2026-08-03: each segment is looked at by its own time.

Invariant: silence means that book and broker were both seen to hold nothing of it; what cannot be read is not flat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import partial

from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.messages import Level, SnapshotTaken
from workbench.core.plan import Overnight
from workbench.core.position import Position, PositionState
from workbench.core.reconcile import without_look_ups
from workbench.live.runner import Runner
from workbench.live.schedule import FLAT_AFTER_SQUARE_OFF, Point
from workbench.live.system import MARKET, LiveSystem

LOOK_EVERY_S = 2.0
ALARM_EVERY_S = 30.0


def flat_points(system: LiveSystem) -> tuple[Point, ...]:
    """Plan today's looks: one for each moment by which segments must be flat, a minute after their own square-off."""
    by_moment: dict[datetime, list[Segment]] = {}
    for segment in Segment:
        begins = system.square_off(segment)
        if begins is not None:
            by_moment.setdefault(begins + FLAT_AFTER_SQUARE_OFF, []).append(segment)
    return tuple(
        Point(
            name="must_be_flat" if MARKET in segments else f"must_be_flat ({', '.join(segments)})",
            at=at,
            job=partial(_look, system, tuple(segments)),
        )
        for at, segments in by_moment.items()
    )


async def _look(system: LiveSystem, segments: Collection[Segment]) -> None:
    await watch_flat(system.runner, lambda: system.market_open, segments=segments)


def hours_of(instrument: Instrument) -> Segment:
    """Give the segment whose hours an instrument keeps: an index traded as a future keeps those of the index."""
    return Segment.IDX_I if instrument.kind is InstrumentKind.SYNTHETIC else instrument.segment


async def watch_flat(
    runner: Runner,
    is_open: Callable[[], bool],
    *,
    segments: Collection[Segment] = tuple(Segment),
    look_every_s: float = LOOK_EVERY_S,
    alarm_every_s: float = ALARM_EVERY_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """Ask the broker again and again, and alarm, until nothing is left that goes with the day or the market closes.

    Parameters
    ----------
    segments : Collection of Segment
        Whose positions are looked at; he is not asked where there were none of them.

    Returns
    -------
    str
        What was left when it ended; empty where all is gone.
    """
    told, left = float("-inf"), ""
    while not runner.stopped_because:
        if not _of(runner, segments):
            return ""
        seen = await runner.lanes.read(with_legs=runner.engine.book.has_super_orders)
        runner.enqueue(without_look_ups(runner.engine.book, seen))
        await asyncio.sleep(0)
        left = left_over(_of(runner, segments), seen)
        if not left or not is_open():
            break
        if monotonic() - told >= alarm_every_s:
            told = monotonic()
            runner.notifier.send(Level.ALARM.value, f"not flat after the square-off, the exits go on: {left}")
        await asyncio.sleep(look_every_s)
    return left


def _of(runner: Runner, segments: Collection[Segment]) -> list[Position]:
    positions = runner.engine.book.positions.values()
    return [item for item in positions if hours_of(item.plan.instrument) in segments]


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
