"""Three moments of a trade at which a fault hurts, each lived through to the end and judged by the broker's book."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.simulation.faults.books import assert_books_agree, assert_flat, assert_protected, net_at_broker, our_orders
from tests.simulation.faults.rig import LOOK_EVERY_S, Trading, playing_dhan, trading
from workbench.core.messages import AlertAction
from workbench.core.position import Protection
from workbench.testing.simulator import RunningSimulator

LOT = 65
MANY = 10_000
Faults = list[tuple[str, dict[str, Any]]]
SETTLED_S = 45
"""Market seconds after which no order is looked for any more, and a night of faults is over."""


class Moment(StrEnum):
    """What is on its way when the fault strikes."""

    ENTRY = "entry"
    STOP = "stop"
    EXIT = "exit"


MOMENTS = tuple(Moment)
_MATCH = {Moment.ENTRY: ("POST /orders", 0), Moment.STOP: ("POST /orders", 1), Moment.EXIT: ("PUT /orders", 0)}


@dataclass(slots=True)
class Told:
    """What one trade under a fault came to."""

    entered: bool = False
    protected: bool = False
    alarms: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)


def live_through(folder: Path, moment: Moment, kind: str, *, is_deaf: bool = False, **options: Any) -> Told:
    """Trade once with a fault that strikes one request of that moment, and leave; judge at each step.

    Parameters
    ----------
    is_deaf : bool
        The order socket tells nothing either: what became of an order can only be looked up.
    """
    match, skip = _MATCH[moment]
    faults = [(kind, {"match": match, "skip": skip, **options})]
    if is_deaf:
        faults.append(("updates_dropped", {"count": MANY}))
    with playing_dhan() as sim:
        return asyncio.run(_trade(sim, folder, moment, faults))


async def _trade(sim: RunningSimulator, folder: Path, moment: Moment, faults: Faults) -> Told:
    told = Told()
    async with trading(sim, folder) as it:
        if moment is not Moment.EXIT:
            _order(sim, faults)
        await it.alert(AlertAction.BULLISH)
        if moment is Moment.EXIT:
            await it.until(lambda: is_protected(it), "a stop at the broker")
            _order(sim, faults)
            await it.alert(AlertAction.TARGET_FLAT)
        await it.pass_s(SETTLED_S)
        assert_books_agree(sim, it)
        told.orders = our_orders(sim)
        told.entered = any(row["filledQty"] for row in told.orders)
        if net_at_broker(sim):
            assert_protected(sim, LOT)
            told.protected = True
        sim.clear_faults()
        kind, options = faults[0]
        assert sum(each["kind"] == kind for each in sim.fired()) == options.get("count", 1), sim.fired()
        await it.alert(AlertAction.TARGET_FLAT)
        await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
        await it.pass_s(LOOK_EVERY_S)
        assert_flat(sim, it)
        told.alarms = it.alarms
        told.warnings = [item.text for item in it.notifier.notices if item.level == "warning"]
        return told


def _order(sim: RunningSimulator, faults: Faults) -> None:
    for kind, options in faults:
        sim.fault(kind, **options)


def is_protected(it: Trading) -> bool:
    """Every position of the engine has its stop at the broker."""
    held = it.positions()
    return bool(held) and all(each.protection is Protection.AT_BROKER for each in held)
