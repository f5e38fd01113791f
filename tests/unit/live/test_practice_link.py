"""The link to the practice clock: every second complete, in one order, acknowledged when it is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from workbench.core.bars import Quote
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import BrokerOrder, Message, OrderUpdated, QuoteReceived, TimerBeat
from workbench.core.order import OrderState
from workbench.core.session import IST
from workbench.core.signal import Side
from workbench.live import practice_link
from workbench.live.clock import PracticeClock
from workbench.live.practice_link import PracticeLink

OPEN = datetime(2022, 6, 15, 9, 15, tzinfo=IST)


class Counter:
    """A socket client of which only the count matters."""

    def __init__(self) -> None:
        self.received = 0


def quote(key: str, second: int) -> Quote:
    price = Decimal(100)
    return Quote(key, OPEN + timedelta(seconds=second), price, price, price)


def order() -> BrokerOrder:
    return BrokerOrder(
        order_id="1",
        correlation_id="c1",
        state=OrderState.FILLED,
        segment="NSE_FNO",
        security_id="1",
        side=Side.BUY,
        quantity=50,
    )


class Bench:
    """A fake clock server and the link under test."""

    def __init__(self) -> None:
        self.feed, self.updates = Counter(), Counter()
        self.clock = PracticeClock(OPEN)
        self.seen: list[tuple[str, datetime]] = []
        self.states: list[str] = []
        self.seconds: list[datetime] = []
        self.refuse_states = 0
        self.link: PracticeLink | None = None

    def enqueue(self, message: Message) -> None:
        self.seen.append((type(message).__name__, self.clock.now()))

    async def drained(self) -> None:
        await asyncio.sleep(0)

    async def on_state(self, state: str, moment: datetime) -> None:
        if self.refuse_states:
            self.refuse_states -= 1
            raise BrokerUnavailable("no master today")
        self.states.append(state)

    def run(self, play: Callable[[Bench, ServerConnection], Awaitable[None]], *, connections: int = 1) -> None:
        played = 0

        async def main() -> None:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            async def handler(socket: ServerConnection) -> None:
                nonlocal played
                try:
                    await play(self, socket)
                except Exception as error:  # noqa: BLE001 - handed to the test
                    over.set_exception(error)
                else:
                    played += 1
                    if played == connections:
                        over.set_result(None)
                await socket.wait_closed()

            async with serve(handler, "127.0.0.1", 0) as server:
                port = next(iter(server.sockets)).getsockname()[1]
                self.link = PracticeLink(
                    f"ws://127.0.0.1:{port}/simulator/sync",
                    clock=self.clock,
                    feed=self.feed,
                    updates=self.updates,
                    enqueue=self.enqueue,
                    drained=self.drained,
                    on_second=self.seconds.append,
                    on_state=self.on_state,
                )
                task = asyncio.create_task(self.link.run())
                try:
                    async with asyncio.timeout(8):
                        await over
                finally:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

        asyncio.run(main())


def step(number: int, *, state: str = "open", packets: int = 0, updates: int = 0, speed: object = "max") -> str:
    moment = OPEN + timedelta(seconds=number)
    return json.dumps(
        {
            "step": number,
            "time": moment.isoformat(),
            "packets": packets,
            "updates": updates,
            "state": state,
            "speed": speed,
        }
    )


async def answered(socket: ServerConnection) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(await socket.recv())
    return body


def test_it_is_ready_while_the_market_waits_and_asks_for_the_next_day() -> None:
    async def play(bench: Bench, socket: ServerConnection) -> None:
        await socket.send(step(0, state="waiting"))
        assert await answered(socket) == {"ack": 0, "ready": True}
        await socket.send(step(1))
        assert await answered(socket) == {"ack": 1}
        await socket.send(step(2, state="closed"))
        assert await answered(socket) == {"ack": 2, "next": True}
        assert bench.states == ["waiting", "open", "closed"]
        assert bench.clock.now() == OPEN + timedelta(seconds=2)

    Bench().run(play)


def test_a_second_is_handled_in_one_order_at_its_own_time() -> None:
    async def play(bench: Bench, socket: ServerConnection) -> None:
        assert bench.link is not None
        await socket.send(step(0, state="waiting"))
        await answered(socket)
        bench.seen.clear()
        await socket.send(step(1, packets=2, updates=1))
        await asyncio.sleep(0.02)
        assert bench.seen == [], "nothing of a second before all of it is there"
        bench.link.take_order(order())
        bench.updates.received += 1
        for _ in range(2):
            bench.link.take_quote(quote("IDX_I:NIFTY", 1))
            bench.feed.received += 1
        await answered(socket)
        at = OPEN + timedelta(seconds=1)
        names = [QuoteReceived.__name__, QuoteReceived.__name__, OrderUpdated.__name__, TimerBeat.__name__]
        assert bench.seen == [(name, at) for name in names]
        assert bench.seconds[-1] == at

    Bench().run(play)


def test_where_time_flows_an_order_update_does_not_wait_for_its_second() -> None:
    async def play(bench: Bench, socket: ServerConnection) -> None:
        assert bench.link is not None
        await socket.send(step(0, state="waiting", speed=10))
        await answered(socket)
        bench.seen.clear()
        bench.link.take_order(order())
        assert [name for name, _ in bench.seen] == ["OrderUpdated"]

    Bench().run(play)


def test_counters_that_begin_anew_or_packets_that_never_come_do_not_stop_the_market() -> None:
    async def play(bench: Bench, socket: ServerConnection) -> None:
        bench.feed.received = 100
        await socket.send(step(0, state="waiting", packets=100))
        await answered(socket)
        await socket.send(step(1, packets=3))
        assert (await answered(socket))["ack"] == 1
        await socket.send(step(2, packets=9))
        assert (await answered(socket))["ack"] == 2
        assert bench.link is not None
        assert bench.link.rebased == 1

    before, practice_link.LATE_S = practice_link.LATE_S, 0.05
    try:
        Bench().run(play)
    finally:
        practice_link.LATE_S = before


def test_a_day_that_cannot_be_opened_is_tried_again_while_the_market_waits() -> None:
    bench = Bench()
    bench.refuse_states = 1
    connections: list[str] = []

    async def play(bench: Bench, socket: ServerConnection) -> None:
        connections.append("one more")
        await socket.send(step(0, state="waiting"))
        if len(connections) == 1:
            await socket.wait_closed()
            return
        assert await answered(socket) == {"ack": 0, "ready": True}
        assert bench.states == ["waiting"]

    bench.run(play, connections=2)


def test_prices_of_derivatives_are_marked_as_the_models() -> None:
    bench = Bench()
    link = PracticeLink(
        "ws://unused",
        clock=bench.clock,
        feed=bench.feed,
        updates=bench.updates,
        enqueue=lambda _: None,
        drained=bench.drained,
        on_second=lambda _: None,
        on_state=bench.on_state,
    )
    link.take_quote(quote("NSE_FNO:NIFTY:2022-06-16:15700:CE", 1))
    link.take_quote(quote("IDX_I:NIFTY", 1))
    assert [item.model for item in link._quotes] == [True, False]
