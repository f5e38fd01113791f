"""A hedged sale over the wire: chain and margin from the simulator, hedge first, and the faults on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

from tests.simulation.faults.books import assert_books_agree, assert_flat, assert_nothing_twice, net_at_broker
from tests.simulation.faults.rig import ANSWER_S, Trading, playing_dhan, trading
from workbench.bootstrap.asking import chain_quotes
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, ChainQuote
from workbench.core.order import Purpose
from workbench.core.plan import plan_from_mapping
from workbench.core.signal import Side
from workbench.data.chain import read_chain
from workbench.live.questions import Questions
from workbench.testing.simulator import RunningSimulator

HEDGED = plan_from_mapping(
    {"name": "hedged", "side": "SELL", "strike": "OTM1", "hedge": {"premium_ratio": "30%"}, "exits": {"stop": "90%"}}
)
DEPLOYMENT = Deployment(name="ALERTS", symbol="NIFTY", plan=HEDGED, webhook_link="link")


@asynccontextmanager
async def selling(sim: RunningSimulator, folder: Path) -> AsyncIterator[Trading]:
    """An account whose engine's questions are asked at the simulator."""
    data = DhanClient(sim.base_url, sim.client_id, sim.token, Endpoint.DATA, timeouts_s=(ANSWER_S, ANSWER_S))
    async with trading(sim, folder, deployments=(DEPLOYMENT,)) as it:

        def chain(symbol: str, expiry: date) -> Sequence[ChainQuote]:
            index = it.engine.config.listings.instruments.index(symbol)
            return chain_quotes(read_chain(data.api, index, expiry))

        answers = Questions(chain=chain, margins=it.broker.margins)
        answers.start(asyncio.get_running_loop(), it.runner.enqueue)
        it.runner.answers = answers
        try:
            yield it
        finally:
            await asyncio.to_thread(answers.close)


async def _stand(it: Trading) -> None:
    await it.alert(AlertAction.BULLISH)
    await it.until(lambda: any(each.stood for each in it.engine.book.structures.values()), "both legs", seconds=20)


def test_the_hedge_is_bought_first_and_the_short_is_left_first(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with selling(sim, tmp_path) as it:
            await _stand(it)
            entries = [each.ticket for each in it.engine.book.orders.values() if each.ticket.purpose is Purpose.ENTRY]
            assert [each.side for each in entries] == [Side.BUY, Side.SELL]
            assert sorted(net_at_broker(sim).values()) == [-entries[1].quantity, entries[0].quantity]
            hedge, main = (each.instrument.strike for each in entries)
            assert hedge is not None
            assert main is not None
            assert hedge < main, "the hedge of a sold put lies below it"
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim), "being flat", seconds=30)
            positions = it.engine.book.positions
            await it.until(lambda: all(each.closed_at for each in positions.values()), "being told of it", seconds=30)
            closed = [each.closed_at for each in positions.values()]
            assert closed[0] is not None
            assert closed[1] is not None
            assert closed[1] <= closed[0]
            await it.pass_s(3)
            assert_flat(sim, it)
            assert_books_agree(sim, it)
            assert_nothing_twice(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_a_short_that_is_refused_lets_the_hedge_go_again(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with selling(sim, tmp_path) as it:
            sim.fault("reject", match="POST /orders", skip=1, count=1)
            await it.alert(AlertAction.BULLISH)
            await it.until(
                lambda: any(each.closed for each in it.engine.book.structures.values()), "unwinding", seconds=40
            )
            assert any("legs are not whole" in text for text in it.alarms)
            await it.pass_s(2)
            assert_flat(sim, it)
            assert_books_agree(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def test_a_chain_that_cannot_be_read_buys_nothing(tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with selling(sim, tmp_path) as it:
            sim.fault("http_503", match="POST /optionchain", count=9)
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: it.engine.book.decisions[-1].fate == "denied", "a refusal", seconds=20)
            assert not it.engine.book.orders
            assert "option chain" in it.engine.book.decisions[-1].reason

    with playing_dhan() as sim:
        asyncio.run(day(sim))
