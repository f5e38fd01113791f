"""A clock that jumps past the day, and past the expiry, under an open position (rows S9, S10)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from tests.simulation.live.rig import Rig, rig
from tests.simulation.live.test_runner import bought
from workbench.core.messages import Operator, OperatorOrdered, TimerBeat
from workbench.core.order import Purpose
from workbench.core.position import PositionState
from workbench.live.settlement import waiting
from workbench.live.trusted_clock import TrustedClock


@pytest.mark.parametrize("days", [1, 2, 30])
def test_s9_a_clock_that_jumps_days_expires_and_settles_nothing_and_exits_go_on(tmp_path: Path, days: int) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            jump, passed = timedelta(days=days), [0.0]
            began = it.clock.now()
            clock = TrustedClock(it.clock.now, lambda: passed[0])
            it.runner.clock = clock
            await bought(it)
            stops = len(it.broker.of(Purpose.STOP))
            it.clock.time += jump
            for _ in range(20):
                passed[0] += 1
                it.clock.pass_s(1)
                it.runner.enqueue(TimerBeat())
                await it.runner.drained()
            (position,) = it.runner.engine.book.live_positions()
            assert position.state is PositionState.OPEN
            assert waiting(it.system) == {}
            assert (len(it.broker.of(Purpose.STOP)), it.broker.cancelled) == (stops, [])
            assert clock.doubt
            assert (clock.now() - began).total_seconds() < 60
            await leaves(it)

    asyncio.run(run())


async def leaves(it: Rig) -> None:
    """An exit is carried out as ever."""
    it.runner.enqueue(OperatorOrdered(command=Operator.FLATTEN))
    await it.runner.drained()
    (position,) = it.runner.engine.book.live_positions()
    assert position.state is PositionState.EXITING
    assert it.broker.changes or it.broker.of(Purpose.EXIT)
