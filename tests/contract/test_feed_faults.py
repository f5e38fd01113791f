"""Our sockets under the simulator's faults by name: what is believed, what is made anew, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.core.bars import Quote
from workbench.core.instrument import Segment
from workbench.data.feed import DhanFeed
from workbench.data.feed_wishes import FeedMode
from workbench.live.feed_supervisor import FeedSupervisor, Patience
from workbench.live.system import FeedWatch
from workbench.reference import calendar
from workbench.simulator.faults import BAD_TICKS
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        running.advance(60)
        yield running


@pytest.fixture(autouse=True)
def _no_faults(simulator: RunningSimulator) -> Iterator[None]:
    yield
    simulator.clear_faults()


class Listening:
    """A feed that listens to the simulator."""

    def __init__(self, simulator: RunningSimulator, **options: Any) -> None:
        self.simulator = simulator
        self.quotes: list[Quote] = []
        self.states: list[tuple[bool, str]] = []
        self.refusals: list[str] = []
        self.disconnects: list[int] = []
        self.watch = FeedWatch(0.1)
        self.feed = DhanFeed(
            simulator.feed_url,
            simulator.client_id,
            simulator.token,
            backoff_s=(0.01, 0.02),
            on_token_refused=self.refusals.append,
            on_disconnect=lambda code, _: self.disconnects.append(code),
            **options,
        )

    def take(self, quote: Quote, received: float) -> None:
        self.quotes.append(quote)
        self.watch.saw_quote(received, quote.key)

    def state(self, up: bool, reason: str) -> None:
        self.states.append((up, reason))
        self.watch.feed_state(up, reason)

    async def until(self, condition: Callable[[], bool], *, moving: bool = False) -> None:
        """Wait; with `moving` the market goes on meanwhile."""
        async with asyncio.timeout(10):
            while not condition():
                if moving:
                    await asyncio.to_thread(self.simulator.advance, 1)
                await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(simulator: RunningSimulator, **options: Any) -> AsyncIterator[Listening]:
    made = Listening(simulator, **options)
    task = asyncio.create_task(made.feed.run(made.take, made.state))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("what", BAD_TICKS)
def test_s6_no_bad_tick_becomes_a_quote(simulator: RunningSimulator, what: str) -> None:
    index = simulator.simulator.listing.index("NIFTY").instrument
    option = simulator.option()

    async def scenario() -> None:
        async with listening(simulator, market_now=lambda: simulator.simulator.now) as made:
            made.feed.subscribe([index, option])
            await made.until(lambda: {quote.key for quote in made.quotes} == {index.key, option.key}, moving=True)
            before = {instrument.key: simulator.quote(instrument).last for instrument in (index, option)}
            sent = len(simulator.fired())
            simulator.fault("bad_ticks", what=what, count=4)
            await made.until(lambda: len(simulator.fired()) == sent + 4, moving=True)
            seen = len(made.quotes)
            await made.until(lambda: len(made.quotes) >= seen + 4, moving=True)
            for quote in made.quotes:
                assert abs(quote.last - before[quote.key]) < before[quote.key] / 2
                assert quote.time <= simulator.simulator.now
            for instrument in (index, option):
                times = [quote.time for quote in made.quotes if quote.key == instrument.key]
                assert times == sorted(times)
            names = "bad_prices", "jumps", "backwards", "future", "old", "short", "unknown", "unasked"
            assert sum(made.feed.counters[name] for name in names) >= 4

    asyncio.run(scenario())


@pytest.mark.parametrize(("reason", "refused"), [("805", False), ("806", False), ("807", True), ("808", True)])
def test_s5_a_disconnect_is_told_and_the_feed_comes_back(
    simulator: RunningSimulator, reason: str, refused: bool
) -> None:
    index = simulator.simulator.listing.index("NIFTY").instrument

    async def scenario() -> None:
        async with listening(simulator) as made:
            made.feed.subscribe([index])
            await made.until(lambda: bool(made.quotes))
            simulator.fault("disconnect", reason=reason)
            await made.until(lambda: made.feed.connections == 2, moving=True)
            assert made.disconnects == [int(reason)]
            assert bool(made.refusals) is refused
            seen = len(made.quotes)
            await made.until(lambda: len(made.quotes) > seen + 1, moving=True)

    asyncio.run(scenario())


def test_s5_the_sixth_connection_takes_the_line_of_the_oldest(simulator: RunningSimulator) -> None:
    async def scenario() -> None:
        async with listening(simulator) as oldest:
            await oldest.until(lambda: oldest.feed.connected)
            oldest.feed._backoff_s = (30.0, 30.0)  # it would take the line of the next one
            others = [listening(simulator) for _ in range(5)]
            for other in others:
                made = await other.__aenter__()
                await made.until(lambda made=made: made.feed.connected)  # type: ignore[misc]
            await oldest.until(lambda: bool(oldest.disconnects))
            assert oldest.disconnects == [805]
            assert oldest.states[-1][1].startswith("Dhan closed the feed: 805 too many connections")
            for other in others:
                await other.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_s3_a_silent_feed_is_found_and_made_anew(simulator: RunningSimulator) -> None:
    index = simulator.simulator.listing.index("NIFTY").instrument
    told: list[tuple[str, str]] = []

    class Notes:
        def send(self, level: str, text: str) -> None:
            told.append((level, text))

    async def scenario() -> None:
        async with listening(simulator) as made:
            made.feed.subscribe([index])
            supervisor = FeedSupervisor(
                made.feed,
                made.watch,
                session=lambda: calendar().session(Segment.NSE_FNO, simulator.simulator.now.date()),
                market_now=lambda: simulator.simulator.now,
                notifier=Notes(),
                patience=Patience(reconnect_after_s=0.3, ask_after_s=0.1),
            )
            await made.until(lambda: bool(made.quotes))
            simulator.fault("feed_silent", seconds=60)
            await made.until(lambda: any("feed connection" in str(each) for each in simulator.fired()), moving=True)
            frozen = False
            async with asyncio.timeout(10):
                while supervisor.stalls == 0:
                    await asyncio.to_thread(simulator.advance, 1)
                    judged = made.watch.judge(market_open=True)
                    frozen = frozen or (judged is not None and not judged.alive)
                    await supervisor.check()
                    await asyncio.sleep(0.01)
            assert frozen, "entries are frozen before the connection is made anew"
            seen = len(made.quotes)
            await made.until(lambda: len(made.quotes) > seen + 1, moving=True)
            await supervisor.check()
            assert [level for level, _ in told] == ["alarm", "info"]
            assert made.feed.connections == 2
            assert supervisor.half_open == 0, "pings were answered all the time"

    asyncio.run(scenario())


def test_s4_a_half_open_feed_is_found_and_subscribed_anew(simulator: RunningSimulator) -> None:
    index = simulator.simulator.listing.index("NIFTY").instrument

    async def scenario() -> None:
        async with listening(simulator, ping_s=0.2) as made:
            made.feed.subscribe([index])
            await made.until(lambda: bool(made.quotes))
            simulator.fault("feed_half_open", seconds=30)
            await made.until(lambda: made.feed.connections == 2, moving=True)
            assert "no answer to a ping" in made.states[1][1]
            seen = len(made.quotes)
            await made.until(lambda: len(made.quotes) > seen, moving=True)

    asyncio.run(scenario())


def test_a_door_that_says_429_is_tried_again_and_opens(simulator: RunningSimulator) -> None:
    async def scenario() -> None:
        simulator.fault("feed_refused_429", count=2)
        async with listening(simulator) as made:
            await made.until(lambda: made.feed.connected)
            assert [up for up, _ in made.states] == [False, False, True]
            assert "429" in made.states[0][1]

    asyncio.run(scenario())


def test_modes_give_interest_previous_close_and_day(simulator: RunningSimulator) -> None:
    index = simulator.simulator.listing.index("NIFTY").instrument
    quoted, whole = simulator.option(), simulator.option(steps=1)

    async def scenario() -> None:
        async with listening(simulator) as made:
            made.feed.subscribe([index, whole])
            made.feed.subscribe([quoted], FeedMode.QUOTE)
            keys = {each.key for each in (index, quoted, whole)}
            await made.until(lambda: {quote.key for quote in made.quotes} == keys, moving=True)
            of_index, of_quoted, of_whole = (made.feed.facts(each) for each in (index, quoted, whole))
            assert of_index is not None
            assert of_quoted is not None
            assert of_whole is not None
            assert of_index.previous_close is not None
            assert abs(of_index.previous_close - made.quotes[0].last) < made.quotes[0].last / 10
            assert (of_quoted.open_interest or 0) > 0
            assert (of_whole.open_interest or 0) > 0
            assert (len(of_whole.depth), of_quoted.depth) == (5, ())
            for facts in (of_quoted, of_whole):
                assert facts.day_low is not None
                assert facts.day_high is not None
                assert Decimal(0) < facts.day_low <= facts.day_high

    asyncio.run(scenario())


def test_s11_the_open_is_told_by_a_status_packet() -> None:
    seen: list[Segment] = []

    async def scenario(simulator: RunningSimulator) -> None:
        index = simulator.simulator.listing.index("NIFTY").instrument
        async with listening(simulator, on_status=seen.append) as made:
            made.feed.subscribe([index])
            await made.until(lambda: any(each.wanted for each in simulator.simulator.feed.connections))
            await asyncio.to_thread(simulator.open_market)
            await made.until(lambda: bool(seen), moving=True)

    with running_simulator() as simulator:
        asyncio.run(scenario(simulator))
    assert seen == [Segment.IDX_I]


def test_a_login_with_a_dead_token_is_told_by_both_sockets(simulator: RunningSimulator) -> None:
    told: list[str] = []

    async def scenario() -> None:
        url = (simulator.feed_url, simulator.client_id, "dead-token")
        feed = DhanFeed(*url, backoff_s=(0.01, 0.02), on_token_refused=told.append)
        updates = DhanOrderUpdates(
            simulator.updates_url,
            simulator.client_id,
            "dead-token",
            backoff_s=(0.01, 0.02),
            on_token_refused=told.append,
        )
        tasks = [
            asyncio.create_task(feed.run(lambda *_: None, lambda *_: None)),
            asyncio.create_task(updates.run(lambda _: None, lambda *_: None)),
        ]
        async with asyncio.timeout(10):
            while len({text[:3] for text in told}) < 2:
                await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())
    assert "dead-token" not in repr(told)
