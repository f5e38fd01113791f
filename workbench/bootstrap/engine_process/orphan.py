"""What an engine does whose `workbench up` has died: nobody starts it again, ends it, or keeps a simulator for it.

Practice and paper end: their market was a process of that `up`. Live goes on with exits and the watch of what is
held, takes no entry, says so loudly, and ends itself when book and broker both say that nothing is held and nothing
rests, so that a new `workbench up` can begin.

Invariant: a live engine never ends itself while book or broker holds anything, or while either cannot be read.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from workbench.core.deployment import Mode
from workbench.core.messages import Level
from workbench.live.kill import what_is_left
from workbench.live.parent import when_parent_is_gone
from workbench.live.runner import Runner
from workbench.live.system import FeedWatch

log = logging.getLogger("workbench.engine")

LOOK_EVERY_S = 10.0
ALARM_EVERY_S = 600.0


def parent_watch() -> asyncio.Event:
    """Give an event of the running loop that is set when the parent is gone."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(gone.set)
        except RuntimeError:
            return  # the loop has ended before the parent did, as it does at every ordinary end

    when_parent_is_gone(tell)
    return gone


async def outlive(
    gone: asyncio.Event, runner: Runner, watch: FeedWatch, *, mode: Mode, end: Callable[[], None]
) -> None:
    """Wait for the parent's death and do what the mode asks for; runs until cancelled, as all that runs beside does.

    Parameters
    ----------
    gone : asyncio.Event
    runner, watch, mode
        The engine's.
    end : callable
        Ends the process in its own order.
    """
    await gone.wait()
    if mode is Mode.LIVE:
        await _until_nothing_is_left(runner, watch)
    else:
        log.error("workbench up has died, and with it the market of this %s engine: it ends", mode.value)
    end()
    await asyncio.Event().wait()


async def _until_nothing_is_left(runner: Runner, watch: FeedWatch) -> None:
    watch.hold("parent", "workbench up has died: exits only, nobody starts this engine again")
    loop = asyncio.get_running_loop()
    told = float("-inf")
    while True:
        left = _left_by_book(runner)
        if not left:
            seen = await runner.lanes.read(with_legs=runner.engine.book.has_super_orders)
            runner.enqueue(seen)
            left = what_is_left(seen) or _left_by_book(runner)
        if loop.time() - told >= ALARM_EVERY_S or not left:
            told = loop.time()
            runner.notifier.send(Level.ALARM.value, _words(left))
        if not left:
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _words(left: str) -> str:
    died = "workbench up has died; entries are refused"
    if not left:
        return f"{died}, nothing is held and nothing rests: this engine ends; start again: workbench up --mode live"
    return (
        f"{died}, exits and commands go on in process {os.getpid()}, which ends when nothing is left ({left}); to take "
        "over before that, end that process (stops stay at the broker) and start again: workbench up --mode live"
    )


def _left_by_book(runner: Runner) -> str:
    """Say what keeps the process: also what waits for its settlement price, which only a running engine can be told."""
    book = runner.engine.book
    held = [f"{item.open_quantity} units of {item.plan.instrument.name}" for item in book.live_positions()]
    resting = [f"order {item.order_id or key}" for key, item in book.orders.items() if item.state.may_rest]
    return "; ".join((*held, *resting))
