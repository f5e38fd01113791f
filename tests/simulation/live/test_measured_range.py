"""A plan in average true ranges, driven by alerts, on a practice day: warm from history, and equal after a restart."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from tests.simulation.live.practice import Practice, practice
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, AlertReceived, RangeMeasured
from workbench.core.plan import Distance, Exits, Plan, Underlying
from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator

FACTOR = Decimal(2)
EXITS = Exits(stop=Distance(percent=Decimal(30)), underlying=Underlying(stop=Distance(atr=FACTOR, atr_length=7)))
ALERTS = Deployment(name="RANGES", symbol="NIFTY", plan=Plan(name="ranges", exits=EXITS), interval="1m")


async def alert(it: Practice, alert_id: str, action: AlertAction) -> None:
    now = it.clock.now()
    await it.runner.put_alert(
        AlertReceived(
            alert_id=alert_id, deployment="RANGES", action=action, symbol="NIFTY", received_at=now, fired_at=now
        )
    )


def told(it: Practice) -> list[RangeMeasured]:
    entries = it.journal.read_day("practice", it.clock.now().date())
    return [each.message for each in entries if isinstance(each.message, RangeMeasured)]


def test_an_alert_enters_on_the_average_range_of_history_and_a_restart_measures_the_same(tmp_path: Path) -> None:
    async def first(sim: RunningSimulator) -> list[RangeMeasured]:
        async with practice(sim, tmp_path, (ALERTS,)) as it:
            await it.until(9, 16, 10)
            await alert(it, "RANGES:1", AlertAction.BULLISH)
            await it.until(9, 16, 30)
            (position,) = it.runner.engine.book.live_positions()
            watched = position.plan.exits.underlying
            assert watched is not None
            assert watched.stop is not None
            found = told(it)
            assert found[0].bar_time is not None
            assert found[0].bar_time.date() < it.clock.now().date(), "it is warm from the days before"
            assert all(each.atr for each in found)
            assert watched.stop.points == FACTOR * (found[-1].atr or 0)
            await it.until(9, 25, 10)
            return told(it)

    async def second(sim: RunningSimulator, before: list[RangeMeasured]) -> None:
        async with practice(sim, tmp_path, (ALERTS,)) as it:
            warmed = told(it)[len(before) :]
            assert warmed, "it is measured anew before anything else is done"
            live = {each.bar_time: each.atr for each in before}
            assert live[warmed[0].bar_time] == warmed[0].atr

    with running_simulator(follow=True, config=SimulatorConfig(speed=None)) as sim:
        before = asyncio.run(first(sim))
        assert len(before) >= 10
        asyncio.run(second(sim, before))
