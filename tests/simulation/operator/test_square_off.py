"""The square-off fails (fault R22): it is chased and told, and the broker's own is taken as what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, time
from pathlib import Path

from tests.simulation.faults.books import assert_nothing_twice, book_of, net_at_broker
from tests.simulation.faults.rig import Trading, trading
from tests.simulation.operator.test_by_hand import price_of, resting_at_broker
from workbench.core.messages import AlertAction, BrokerPosition, SnapshotTaken
from workbench.core.position import PositionState
from workbench.live.flat_check import left_over, watch_flat
from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator

Work = Callable[[Trading], Awaitable[None]]


def at_the_end_of_the_day(folder: Path, work: Work) -> None:
    """Hold a protected position a quarter of an hour before the square-off at 15:16."""

    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, folder) as it:
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: resting_at_broker(it), "the stop at the broker", seconds=20)
            await work(it)
            assert_nothing_twice(sim, it)
            assert it.runner.faults == []

    with running_simulator(config=SimulatorConfig()) as sim:
        sim.open_market()
        sim.advance(5 * 3600 + 47 * 60)
        asyncio.run(day(sim))


async def go_to(it: Trading, clock: str) -> None:
    """Let the market run to that time of its day without the engine's beats, and one second more with one."""
    moment = it.clock.now()
    then = datetime.combine(moment.date(), time.fromisoformat(clock), moment.tzinfo)
    await asyncio.to_thread(it.sim.advance, max(0, int((then - moment).total_seconds()) - 1))
    await it.second()


def storm(it: Trading) -> None:
    """Let the broker refuse whatever would leave."""
    for match in ("POST /orders", "PUT /orders", "DELETE /orders"):
        it.sim.fault("http_500", match=match, count=10_000)


def test_r22_in_a_storm_of_refusals_the_square_off_is_chased_and_then_done(tmp_path: Path) -> None:
    async def work(it: Trading) -> None:
        await go_to(it, "15:15:55")
        storm(it)
        await it.pass_s(30)
        (position,) = it.positions()
        assert (position.state, position.exit_reason) == (PositionState.EXITING, "session_end")
        assert resting_at_broker(it), "its stop still rests"
        it.sim.clear_faults()
        await it.until(lambda: not it.positions(), "being flat", seconds=40)
        assert net_at_broker(it.sim) == {}
        assert it.clock.now().strftime("%H:%M") < "15:20"

    at_the_end_of_the_day(tmp_path, work)


def test_r22_what_the_broker_squares_off_himself_is_booked_at_his_price_and_nothing_is_sold_twice(
    tmp_path: Path,
) -> None:
    async def work(it: Trading) -> None:
        position = it.positions()[0]
        await go_to(it, "15:15:55")
        storm(it)
        await it.pass_s(10)
        await go_to(it, "15:19:55")
        assert it.positions(), "nothing has left it"
        await it.until(lambda: not net_at_broker(it.sim), "the broker's own square-off", seconds=20)
        await it.until(lambda: not it.positions(), "our book to know", seconds=20)
        closed = it.engine.book.positions[position.position_id]
        own = [row for row in book_of(it.sim)["trades"] if row["transactionType"] == "SELL"]
        assert closed.exit_price == price_of(it, own[-1]["orderId"])
        assert closed.exit_reason == "session_end"
        assert any("were left without us" in text for text in it.engine.book.frozen)
        await it.pass_s(5)
        assert net_at_broker(it.sim) == {}
        assert resting_at_broker(it) == []

    at_the_end_of_the_day(tmp_path, work)


def test_r22_a_minute_after_the_square_off_a_person_is_told_until_it_is_flat(tmp_path: Path) -> None:
    async def work(it: Trading) -> None:
        await go_to(it, "15:15:55")
        storm(it)
        await go_to(it, "15:17:00")
        watching = asyncio.create_task(watch_flat(it.runner, lambda: True, look_every_s=0.02))
        await it.for_real(lambda: any("not flat after the square-off" in text for text in it.alarms), "the alarm")
        assert not watching.done()
        it.sim.clear_faults()
        await it.until(lambda: not it.positions(), "being flat", seconds=40)
        async with asyncio.timeout(20):
            assert await watching == ""

    at_the_end_of_the_day(tmp_path, work)


def test_r22_a_closed_market_ends_the_watch_and_says_what_is_left(tmp_path: Path) -> None:
    async def work(it: Trading) -> None:
        left = await watch_flat(it.runner, lambda: False)
        assert "units of" in left
        assert "the broker holds" in left
        assert "could not be read" in left_over(
            it.engine.book.positions.values(), SnapshotTaken(taken_at=it.clock.now(), known=False)
        )
        his = BrokerPosition(segment="NSE_EQ", security_id="1", product="INTRADAY", net_quantity=1)
        assert left_over([], SnapshotTaken(taken_at=it.clock.now(), positions=(his,))) == ""

    at_the_end_of_the_day(tmp_path, work)
