"""What has expired is settled at the simulated broker's own price, and in live a person is reminded of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulation.faults.rig import playing_dhan, trading
from tests.simulation.live.rig import DAY, EXPIRY, NIFTY, Rig, rig
from tests.simulation.live.test_api import LINK, client, side
from workbench.core.bars import Quote
from workbench.core.deployment import Mode
from workbench.core.messages import BrokerPosition, Level, QuoteReceived, SnapshotTaken
from workbench.core.order import Purpose
from workbench.core.position import Position, PositionState
from workbench.core.session import IST
from workbench.live.day import TradingDay
from workbench.live.settlement import settle
from workbench.testing.simulator import RunningSimulator

AT_CLOSE = datetime(EXPIRY.year, EXPIRY.month, EXPIRY.day, 15, 30, tzinfo=IST)


def with_position(folder: Path, work: Callable[[Rig, Position], Awaitable[None]], mode: Mode = Mode.PRACTICE) -> None:
    async def run() -> None:
        async with rig(folder) as it, client(it) as http:
            await it.quotes()
            assert (await http.post(LINK, json=side())).json()["fate"] == "entered"
            await it.runner.drained()
            await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
            it.system.mode = mode
            await work(it, it.runner.engine.book.live_positions()[0])

    asyncio.run(run())


async def spot(it: Rig, price: str) -> None:
    last = Decimal(price)
    it.runner.enqueue(QuoteReceived(quote=Quote(NIFTY.key, it.clock.now(), last, last, last)))
    await it.runner.drained()


def reminders(it: Rig) -> list[str]:
    return [item.text for item in it.notifier.notices if item.level == Level.ALARM and "settlement price" in item.text]


@pytest.mark.parametrize("mode", [Mode.PRACTICE, Mode.PAPER])
def test_a_simulated_broker_s_own_price_settles_what_is_left_at_the_close(tmp_path: Path, mode: Mode) -> None:
    async def work(it: Rig, position: Position) -> None:
        it.clock.time = AT_CLOSE.replace(minute=29)
        await spot(it, "15812.35")
        assert await settle(it.system) == [], "its session is not over"
        it.clock.time = AT_CLOSE
        day = TradingDay(it.system, None)
        day.opened = DAY
        await day.close()
        booked = it.runner.engine.book.positions[position.position_id]
        assert (booked.state, booked.exit_reason, booked.exit_price) == (
            PositionState.CLOSED, "expired", Decimal("112.35")
        )  # fmt: skip
        assert await settle(it.system) == []
        assert reminders(it) == []

    with_position(tmp_path, work, mode)


def test_in_live_a_person_is_reminded_and_nothing_is_settled_by_itself(tmp_path: Path) -> None:
    async def work(it: Rig, position: Position) -> None:
        it.clock.time = AT_CLOSE
        await spot(it, "15812.35")
        assert await settle(it.system) == []
        (text,) = reminders(it)
        assert "workbench settle NIFTY 2022-06-16 PRICE" in text
        assert it.runner.engine.book.positions[position.position_id].is_live

    with_position(tmp_path, work, Mode.LIVE)


def test_a_price_of_another_day_settles_nothing(tmp_path: Path) -> None:
    async def work(it: Rig, position: Position) -> None:
        it.clock.time = AT_CLOSE
        assert await settle(it.system) == [], "the last price is one of the day before"
        assert len(reminders(it)) == 1
        assert it.runner.engine.book.positions[position.position_id].is_live

    with_position(tmp_path, work)


def test_what_was_settled_and_still_stands_at_the_broker_freezes_nothing(tmp_path: Path) -> None:
    async def work(it: Rig, position: Position) -> None:
        it.clock.time = AT_CLOSE
        await spot(it, "15600")
        assert await settle(it.system) == [position.position_id]
        row = BrokerPosition(
            segment="NSE_FNO", security_id=position.plan.instrument.security_id, product="INTRADAY", net_quantity=50
        )
        for _ in range(3):
            it.runner.enqueue(SnapshotTaken(taken_at=it.clock.now(), positions=(row,)))
            await it.beats(6)
        assert it.runner.engine.book.frozen == ()

    with_position(tmp_path, work)


def test_the_price_that_we_saw_last_is_the_one_that_the_simulated_broker_settles_at(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            for _ in range(3):
                await it.pass_s(1)
                key = it.engine.config.listings.instruments.index("NIFTY").key
                assert it.engine.quotes[key].last == sim.call(lambda: sim.simulator.desk.spot("NIFTY"))

    with playing_dhan() as sim:
        asyncio.run(day(sim))
