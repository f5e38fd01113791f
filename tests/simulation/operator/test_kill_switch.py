"""The kill switch against a simulator that plays Dhan: out of everything, seen to be out, and only then the switch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.simulation.faults.books import assert_nothing_twice, book_of, net_at_broker
from tests.simulation.faults.rig import Trading, playing_dhan, trading
from tests.simulation.operator.hand import Hand
from workbench.core.account import KillSwitch
from workbench.core.deployment import Mode
from workbench.core.messages import AlertAction
from workbench.core.signal import Side
from workbench.live.kill import KillRun
from workbench.testing.simulator import RunningSimulator


def kill_of(it: Trading, within_s: float = 60.0) -> KillRun:
    return KillRun(
        it.runner,
        mode=Mode.LIVE,
        control=it.broker.control,
        flat_within_s=within_s,
        alarm_every_s=0.5,
        look_every_s=0.1,
    )


async def order(kill: KillRun) -> None:
    await kill.begin(kill.ask()["nonce"], who="test", reason="")


async def ended(it: Trading, kill: KillRun, *, seconds: int = 60) -> dict[str, Any]:
    """Let market seconds pass until the run has ended."""
    for _ in range(seconds):
        if not kill.is_running:
            break
        await it.second()
        await asyncio.sleep(0.05)
    else:
        await it.for_real(lambda: not kill.is_running, "the end of the kill switch")
    seen = kill.view()
    assert seen is not None
    return seen


def states(seen: dict[str, Any]) -> list[str]:
    return [item["state"] for item in seen["steps"]]


def is_killed(sim: RunningSimulator) -> bool:
    return sim.call(lambda: sim.simulator.desk.killed)


def resting(sim: RunningSimulator) -> list[str]:
    return [row["orderId"] for row in book_of(sim)["orders"] if row["orderStatus"] in ("PENDING", "TRANSIT")]


async def holding(it: Trading) -> None:
    await it.alert(AlertAction.BULLISH)
    await it.until(lambda: it.positions() and it.positions()[0].protection == "at_broker", "a stop", seconds=20)


def test_it_leaves_everything_and_dhan_is_told_when_nothing_is_left(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            await holding(it)
            assert await asyncio.to_thread(it.broker.control.kill_switch) is KillSwitch.OFF
            kill = kill_of(it)
            await order(kill)
            assert it.engine.book.halted, "before anything else"
            assert not is_killed(sim)
            seen = await ended(it, kill)
            assert (seen["state"], states(seen)) == ("done", ["done"] * 4), it.story()
            assert is_killed(sim)
            assert await asyncio.to_thread(it.broker.control.kill_switch) is KillSwitch.ON
            assert (net_at_broker(sim), resting(sim), it.positions()) == ({}, [], [])
            assert_nothing_twice(sim, it)
            told = [item.text for item in it.notifier.notices if "kill switch" in item.text]
            assert [text.split(": ")[1].split(" ")[0] for text in told] == ["halt", "flatten", "verify", "broker"]
            assert "flat and verified" in it.engine.book.halt_reason

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_a_person_s_own_order_keeps_the_switch_off_until_he_has_taken_it_back(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            await holding(it)
            security = it.positions()[0].plan.instrument.security_id
            lot, hand = it.positions()[0].plan.instrument.lot, Hand(sim)
            his = await asyncio.to_thread(
                hand.trade, Side.BUY, security, lot, orderType="LIMIT", price=1.0, triggerPrice=0.0
            )
            await it.pass_s(2)
            kill = kill_of(it, within_s=6.0)
            await order(kill)
            seen = await ended(it, kill)
            assert (seen["state"], states(seen)) == ("failed", ["done", "done", "failed", "waiting"]), it.story()
            assert his in seen["steps"][2]["text"]
            assert resting(sim) == [his], "what is his is not taken back"
            assert not is_killed(sim)
            assert it.engine.book.halted
            assert any("NOT DONE, verify failed" in text for text in it.alarms)
            await asyncio.to_thread(hand.cancel, his)
            await order(kill)
            assert (await ended(it, kill))["state"] == "done"
            assert is_killed(sim)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_a_refused_switch_is_never_called_done(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            sim.fault("http_500", match="POST /killswitch", count=1)
            kill = kill_of(it)
            await order(kill)
            seen = await ended(it, kill)
            assert (seen["state"], states(seen)[3]) == ("failed", "failed"), it.story()
            assert "turn the kill switch" in seen["must_do"]
            assert it.engine.book.halted
            assert not is_killed(sim)
            await order(kill)
            assert (await ended(it, kill))["state"] == "done"

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_an_answer_that_is_lost_counts_by_what_is_read_back(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            sim.fault("lost_reply", match="POST /killswitch", count=1)
            kill = kill_of(it)
            await order(kill)
            assert (await ended(it, kill))["state"] == "done", it.story()
            assert is_killed(sim)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_r22_an_exit_that_is_refused_again_and_again_keeps_the_switch_off_and_is_told(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            await holding(it)
            sim.fault("http_500", match="PUT /orders", count=1000)
            sim.fault("http_500", match="POST /orders", count=1000)
            sim.fault("http_500", match="DELETE /orders", count=1000)
            kill = kill_of(it, within_s=1.5)
            await order(kill)
            seen = await ended(it, kill)
            assert (seen["state"], states(seen)[2]) == ("failed", "failed")
            assert any("not flat yet" in text for text in it.alarms)
            assert not is_killed(sim)
            assert net_at_broker(sim)
            assert resting(sim), "the stop still rests"
            sim.clear_faults()
            await it.until(lambda: not it.positions(), "the exit that goes on", seconds=60)
            await order(kill)
            assert (await ended(it, kill))["state"] == "done"

    with playing_dhan() as sim:
        asyncio.run(day(sim))
