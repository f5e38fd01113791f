"""A practice day on real sockets: the adapter that trades live, the simulator, and everything between them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.simulation.live.practice import Practice, practice
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, AlertReceived
from workbench.core.order import Purpose
from workbench.core.plan import NAMED_PLANS
from workbench.core.position import PositionState, Protection
from workbench.simulator import SimulatorConfig
from workbench.storage.tape import TapeRecord, read_tape, tape_path
from workbench.testing.simulator import RunningSimulator, running_simulator

SCALP = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=NAMED_PLANS["scalp_atm"], webhook_link="link")
EMA = Deployment(name="EMA", symbol="NIFTY", plan=NAMED_PLANS["atm_option"], strategy="ema_cross", interval="5m")


def alert(it: Practice, alert_id: str, action: AlertAction) -> AlertReceived:
    now = it.clock.now()
    return AlertReceived(
        alert_id=alert_id, deployment="SCALP_ATM", action=action, symbol="NIFTY", received_at=now, fired_at=now
    )


async def book_of(sim: RunningSimulator) -> dict[str, Any]:
    body: dict[str, Any] = (await asyncio.to_thread(httpx.get, f"{sim.origin}/simulator/book")).json()
    return body


def test_an_alert_trades_survives_a_restart_and_is_closed_once(tmp_path: Path) -> None:
    async def first(sim: RunningSimulator) -> None:
        async with practice(sim, tmp_path, (SCALP, EMA)) as it:
            assert it.runner.engine.book.armed["EMA"].armed, it.runner.engine.book.armed["EMA"].reason
            await it.until(9, 16)
            answers = await asyncio.gather(
                *(it.runner.put_alert(alert(it, "SCALP_ATM:1", AlertAction.BULLISH)) for _ in range(20))
            )
            assert sum(answer is not None for answer in answers) == 1
            await it.until(9, 16, 10)
            (position,) = [
                item for item in it.runner.engine.book.live_positions() if item.plan.deployment == "SCALP_ATM"
            ]
            assert position.state is PositionState.OPEN
            assert position.protection is Protection.AT_BROKER
            assert position.plan.priced_by_model

    async def second(sim: RunningSimulator) -> None:
        async with practice(sim, tmp_path, (SCALP, EMA)) as it:
            (position,) = [
                item for item in it.runner.engine.book.live_positions() if item.plan.deployment == "SCALP_ATM"
            ]
            assert position.stop is not None
            assert position.target is not None
            assert await it.runner.put_alert(alert(it, "SCALP_ATM:1", AlertAction.BULLISH)) is None
            await it.runner.put_alert(alert(it, "SCALP_ATM:2", AlertAction.TARGET_FLAT))
            now = it.clock.now()
            await it.until(now.hour, now.minute + 1, 0)
            assert it.runner.engine.book.live_of("SCALP_ATM") is None
            flat_again = await it.runner.put_alert(alert(it, "SCALP_ATM:3", AlertAction.TARGET_FLAT))
            assert flat_again is not None
            assert flat_again.commands == ()
            assert it.runner.engine.book.frozen == ()
            entries = [
                order for order in it.runner.engine.book.orders.values() if order.ticket.purpose is Purpose.ENTRY
            ]
            mine = [order for order in entries if order.ticket.deployment == "SCALP_ATM"]
            assert len(mine) == 1
            told = await asyncio.to_thread(it.system.report or (lambda _: {}), now.date())
            assert told["net"] == str(it.runner.ledger.net)
            it.runner.tape.flush()
            tape = list(read_tape(tape_path(tmp_path / "tape", "practice", now.date())))
            assert sum(isinstance(item, TapeRecord) for item in tape) > 200

    with running_simulator(follow=True, config=SimulatorConfig(speed=None)) as sim:
        asyncio.run(first(sim))
        asyncio.run(second(sim))
        truth = asyncio.run(book_of(sim))
        sent = [row for row in truth["orders"] if row["transactionType"] == "BUY"]
        assert len(sent) == len({row["correlationId"] for row in sent}), "nothing was sent twice"


def test_two_runs_of_the_same_day_are_the_same_day(tmp_path: Path) -> None:
    def run(folder: Path) -> list[str]:
        async def morning(sim: RunningSimulator) -> list[str]:
            async with practice(sim, folder, (EMA,)) as it:
                await it.until(10, 10)
                return [row.line for row in it.runner.ledger.decisions]

        with running_simulator(follow=True, config=SimulatorConfig(speed=None)) as sim:
            return asyncio.run(morning(sim))

    one, other = run(tmp_path / "one"), run(tmp_path / "other")
    assert one == other
    assert one, "the morning has signals"
