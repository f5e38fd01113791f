"""A target that rests at the broker beside the stop, over real sockets: margin, races, lost answers, deaf hours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulation.faults.books import (
    assert_books_agree,
    assert_flat,
    assert_nothing_twice,
    assert_protected,
    net_at_broker,
    our_orders,
)
from tests.simulation.faults.moments import LOT, MANY, SETTLED_S
from tests.simulation.faults.rig import FAR, Trading, playing_dhan, trading
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, ChainQuote
from workbench.core.order import OrderState, Purpose
from workbench.core.plan import Distance, Exits, Plan, ProtectionRule
from workbench.live.questions import Questions
from workbench.testing.simulator import RunningSimulator

NEAR = Exits(stop=Distance(percent=Decimal(30)), target=Distance(percent=Decimal(1)))
TIGHT = Exits(stop=Distance(percent=Decimal(1)), target=Distance(percent=Decimal(1)))
Day = Callable[[RunningSimulator], Awaitable[None]]


@asynccontextmanager
async def paired(sim: RunningSimulator, folder: Path, exits: Exits = FAR) -> AsyncIterator[Trading]:
    """An account whose targets rest beside their stops, and whose questions of margin the simulator answers."""
    plan = Plan(name="paired", exits=exits, protection=ProtectionRule.STOP_AND_TARGET)
    deployment = Deployment(name="ALERTS", symbol="NIFTY", plan=plan, webhook_link="link")
    async with trading(sim, folder, deployments=(deployment,)) as it:

        def no_chain(symbol: str, expiry: date) -> Sequence[ChainQuote]:
            return ()

        answers = Questions(chain=no_chain, margins=it.broker.margins)
        answers.start(asyncio.get_running_loop(), it.runner.enqueue)
        it.runner.answers = answers
        try:
            yield it
        finally:
            await asyncio.to_thread(answers.close)


def targets(it: Trading) -> list[OrderState]:
    """States of all targets that were sent."""
    return [each.state for each in it.engine.book.orders.values() if each.ticket.purpose is Purpose.TARGET]


async def rests(it: Trading) -> None:
    """Enter, and wait until stop and target rest."""
    await it.alert(AlertAction.BULLISH)
    await it.until(lambda: targets(it) == [OrderState.WORKING], "a target at the broker", seconds=20)


async def is_over(sim: RunningSimulator, it: Trading) -> None:
    """Wait until nothing is held, and judge what is left."""
    await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
    await it.pass_s(3)
    assert_flat(sim, it)
    assert_books_agree(sim, it)
    assert_nothing_twice(sim, it)


def test_the_target_fills_at_the_broker_and_the_stop_is_taken_back(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with paired(sim, tmp_path, NEAR) as it:
            await rests(it)
            assert_protected(sim, LOT)
            await it.until(lambda: not it.positions(), "the target", seconds=3600)
            (position,) = it.engine.book.positions.values()
            assert (position.exit_reason, targets(it)) == ("target", [OrderState.FILLED])
            assert sorted(row["orderStatus"] for row in our_orders(sim)) == ["CANCELLED", "TRADED", "TRADED"]
            await is_over(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_r15_both_fill_before_anybody_is_told_and_the_excess_is_bought_back_once(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with paired(sim, tmp_path, TIGHT) as it:
            await rests(it)
            sim.fault("updates_dropped", count=MANY)
            for _ in range(3600):  # no look and no beat either: the process sleeps while the market goes both ways
                await asyncio.to_thread(sim.advance)
                if min(net_at_broker(sim).values(), default=0) < 0:
                    break
            assert list(net_at_broker(sim).values()) == [-LOT]
            sim.clear_faults()
            it.clock.set(sim.simulator.now)
            await is_over(sim, it)
            assert any(f"both filled: {LOT} units too many" in text for text in it.alarms)
            bought = [row for row in our_orders(sim) if row["transactionType"] == "BUY"]
            assert len(bought) == 2

    with playing_dhan() as sim:
        asyncio.run(day(sim))


@pytest.mark.parametrize("kind", ["reject", "reject_after_ack"])
def test_r12_a_target_that_is_refused_leaves_the_stop_and_is_watched(tmp_path: Path, kind: str) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with paired(sim, tmp_path, NEAR) as it:
            sim.fault(kind, match="POST /orders", skip=2)
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: targets(it) == [OrderState.REJECTED], "a refused target", seconds=20)
            await it.pass_s(SETTLED_S)
            assert len(targets(it)) == 1
            for position in it.positions():
                assert position.target_watched_for
                assert_protected(sim, LOT)
            await it.until(lambda: not it.positions(), "the target", seconds=3600)
            (position,) = it.engine.book.positions.values()
            assert position.exit_reason == "target"
            await is_over(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_r12_without_funds_for_a_second_sale_no_target_is_sent(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with paired(sim, tmp_path) as it:
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: it.positions()[0].target_watched_for, "a word on the margin", seconds=20)
            assert "blocks Rs" in it.positions()[0].target_watched_for
            assert targets(it) == []
            assert_protected(sim, LOT)
            await it.flatten()
            await is_over(sim, it)

    with playing_dhan(starting_funds=Decimal(50_000)) as sim:
        asyncio.run(day(sim))


@pytest.mark.parametrize("is_deaf", [False, True], ids=["heard", "deaf"])
@pytest.mark.parametrize("kind", ["lost_reply", "http_503", "timeout_after_accept", "http_429"])
@pytest.mark.parametrize(("match", "skip"), [("POST /orders", 2), ("DELETE /orders", 0)], ids=["sent", "taken back"])
def test_r15_r1_a_target_whose_answer_is_lost_holds_up_no_exit_and_leaves_nothing(
    tmp_path: Path, match: str, skip: int, kind: str, is_deaf: bool
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with paired(sim, tmp_path) as it:
            if skip:
                sim.fault(kind, match=match, skip=skip)
                await it.alert(AlertAction.BULLISH)
                await it.until(lambda: targets(it), "a target on its way", seconds=20)
                await it.pass_s(2)
            else:
                await rests(it)
                sim.fault(kind, match=match)
            if is_deaf:
                sim.fault("updates_dropped", count=MANY)
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim), "being flat at the broker", seconds=20)
            await it.pass_s(SETTLED_S)
            sim.clear_faults()
            await is_over(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_a_restart_finds_stop_and_target_as_they_rest(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with paired(sim, tmp_path) as it:
            await rests(it)
        await asyncio.to_thread(sim.advance, 20)
        async with paired(sim, tmp_path) as it:
            await it.pass_s(15)
            assert targets(it) == [OrderState.WORKING]
            assert len(our_orders(sim)) == 3
            assert_protected(sim, LOT)
            await it.flatten()
            await is_over(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))
