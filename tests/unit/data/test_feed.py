"""The feed on a real socket: subscriptions, quotes in rupees, reconnects, and what the wire can do to it."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.data.feed import DhanFeed

TOKEN = "secret/token"
NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
SYNTHETIC = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.SYNTHETIC)


def option(number: int) -> Instrument:
    return Instrument(
        segment=Segment.NSE_FNO,
        security_id=str(number),
        symbol="NIFTY",
        kind=InstrumentKind.OPTION,
        lot=75,
        strike=Decimal(number),
        right=Right.CE,
    )


def seconds(moment: datetime) -> int:
    """Dhan's count: the Indian wall clock written as if it were UTC."""
    return int(moment.timestamp()) + 19800


AT = datetime(2026, 11, 20, 10, 1, 2, tzinfo=IST)


def ticker(segment: int, security_id: int, last: float, at: datetime = AT) -> bytes:
    return struct.pack("<BHBIfI", 2, 16, segment, security_id, last, seconds(at))


def full(security_id: int, last: float, bid: float, ask: float) -> bytes:
    head = struct.pack(
        "<BHBIfHIfIIIIIIffff", 8, 162, 2, security_id, last, 75, seconds(AT), last, 5000, 1, 2, 0, 0, 0, *[last] * 4
    )
    return head + struct.pack("<IIHHff", 150, 300, 2, 4, bid, ask) * 5


class Run:
    """One feed against one server, both ended with the block."""

    def __init__(self, serve_one: Callable[[ServerConnection], Awaitable[None]], refusals: int = 0) -> None:
        self.serve_one = serve_one
        self.refusals = refusals
        self.quotes: list[Quote] = []
        self.states: list[tuple[bool, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []

    async def __aenter__(self) -> Run:
        async def handler(socket: ServerConnection) -> None:
            await self.serve_one(socket)

        async def upgrade(connection: ServerConnection, request: Request) -> Response | None:
            self.paths.append(request.path)
            if self.refusals:
                self.refusals -= 1
                return connection.respond(429, "slow down")
            return None

        self.server = await serve(handler, "127.0.0.1", 0, process_request=upgrade)
        port = self.server.sockets[0].getsockname()[1]
        self.feed = DhanFeed(f"ws://127.0.0.1:{port}/feed", "1000000001", TOKEN, backoff_s=(0.01, 0.02))
        return self

    def start(self) -> None:
        self.task = asyncio.create_task(
            self.feed.run(lambda quote, _: self.quotes.append(quote), lambda up, why: self.states.append((up, why)))
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.server.close()
        await self.server.wait_closed()


def keep(run_requests: list[dict[str, Any]], *frames: bytes | str) -> Callable[[ServerConnection], Awaitable[None]]:
    """Send the frames at the first request, then note the requests."""

    async def handler(socket: ServerConnection) -> None:
        first = True
        async for message in socket:
            run_requests.append(json.loads(message))
            if first:
                for frame in frames:
                    await socket.send(frame)
            first = False

    return handler


def test_quotes_are_rupees_on_the_tick_and_indian_time() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        frames = ticker(0, 13, 25000.07), full(101, 152.3, 152.25, 152.35), full(101, 0.05, 0.0, 0.05)
        async with Run(keep(requests, *frames)) as run:
            run.feed.subscribe([NIFTY, option(101)])
            run.start()
            await run.until(lambda: len(run.quotes) == 3)
            index, first, second = run.quotes
            assert index == Quote(NIFTY.key, AT, Decimal("25000.07"), Decimal("25000.07"), Decimal("25000.07"))
            assert index.time.utcoffset() == AT.utcoffset()
            assert (first.last, first.bid, first.ask) == (Decimal("152.30"), Decimal("152.25"), Decimal("152.35"))
            assert (first.bid_quantity, first.ask_quantity, first.volume) == (150, 300, 5000)
            assert (second.bid, second.ask) == (Decimal(0), Decimal("0.05"))
            assert run.feed.received == 3
            age = run.feed.age_s(option(101))
            assert age is not None and 0 <= age < 5
            assert run.states == [(True, "")]

    asyncio.run(scenario())


def test_indices_are_asked_as_ticker_derivatives_as_full_in_hundreds() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests)) as run:
            run.feed.subscribe([NIFTY, SYNTHETIC, *(option(number) for number in range(100, 350))])
            run.start()
            await run.until(lambda: len(requests) == 4)
            assert [(r["RequestCode"], r["InstrumentCount"]) for r in requests] == [
                (15, 1),
                (21, 100),
                (21, 100),
                (21, 50),
            ]
            assert requests[0]["InstrumentList"] == [{"ExchangeSegment": "IDX_I", "SecurityId": "13"}]
            run.feed.subscribe([option(400), option(401)])
            run.feed.unsubscribe([option(100), option(401), option(999)])
            await run.until(lambda: len(requests) == 6)
            assert [r["RequestCode"] for r in requests[4:]] == [21, 22]
            assert requests[4]["InstrumentList"] == [{"ExchangeSegment": "NSE_FNO", "SecurityId": "400"}]
            assert len(requests[5]["InstrumentList"]) == 2

    asyncio.run(scenario())


def test_an_index_and_the_index_as_future_share_one_line() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests, ticker(0, 13, 25000.0))) as run:
            run.feed.subscribe([NIFTY])
            run.feed.subscribe([SYNTHETIC, NIFTY])
            run.start()
            await run.until(lambda: len(run.quotes) == 2)
            assert {quote.key for quote in run.quotes} == {NIFTY.key, SYNTHETIC.key}
            run.feed.unsubscribe([NIFTY])
            await asyncio.sleep(0.02)
            assert len(requests) == 1

    asyncio.run(scenario())


def test_s6_bad_prices_strangers_and_rubbish_are_counted_and_become_no_quote() -> None:
    async def scenario() -> None:
        bad: list[bytes | str] = [ticker(0, 13, value) for value in (0.0, -1.0, float("nan"), float("inf"), 1e9)]
        bad += [full(101, 10.0, float("nan"), 1.0), full(101, 10.0, -1.0, 1.0)]
        no_time = struct.pack("<BHBIfI", 2, 16, 0, 13, 25000.0, 0)
        frames = [*bad, no_time, ticker(0, 99, 1.0), b"\x01\x02", b"\xff" * 30, "text", ticker(0, 13, 25001.0)]
        async with Run(keep([], *frames)) as run:
            run.feed.subscribe([NIFTY, option(101)])
            run.start()
            await run.until(lambda: bool(run.quotes))
            assert [quote.last for quote in run.quotes] == [Decimal("25001.00")]
            counts = run.feed.counts
            assert (run.feed.bad_prices, run.feed.unasked, counts.short, counts.unknown) == (8, 1, 1, 2)
            assert run.feed.received == len(frames)

    asyncio.run(scenario())


def test_a_lost_connection_is_made_again_and_subscribed_again() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []

        async def once(socket: ServerConnection) -> None:
            requests.append(json.loads(await socket.recv()))
            await socket.send(ticker(0, 13, 25000.0))

        async with Run(once) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(run.quotes) >= 2)
            assert requests[0] == requests[1]
            assert [up for up, _ in run.states[:3]] == [True, False, True]
            assert "closed by the server" in run.states[1][1]

    asyncio.run(scenario())


def test_s5_a_disconnect_packet_ends_the_connection_with_its_reason() -> None:
    async def scenario() -> None:
        async with Run(keep([], struct.pack("<BHBIH", 50, 10, 0, 0, 807))) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(run.states) >= 2)
            assert run.states[1] == (False, "Dhan closed the feed: 807 access token expired")

    asyncio.run(scenario())


def test_a_renewed_token_is_used_at_the_next_connection() -> None:
    async def scenario() -> None:
        async with Run(keep([])) as run:
            run.start()
            await run.until(lambda: run.feed.connected)
            run.feed.renew_token("another")
            await run.feed.reconnect()
            await run.until(lambda: len(run.paths) == 2)
            assert "token=another&clientId=1000000001&authType=2" in run.paths[1]

    asyncio.run(scenario())


def test_i10_a_refused_upgrade_is_retried_and_no_token_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario() -> None:
        async with Run(keep([]), refusals=2) as run:
            run.start()
            await run.until(lambda: run.feed.connected)
            assert "429" in run.states[0][1]
            assert await run.feed.pong()
            # The server of this test tells what it gets; it is not ours.
            ours = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
            assert ours
            assert "secret" not in repr((ours, run.states, run.feed))

    asyncio.run(scenario())


def test_pong_without_a_connection_is_no() -> None:
    async def scenario() -> None:
        assert not await DhanFeed("ws://127.0.0.1:9/feed", "1", "t").pong()

    asyncio.run(scenario())
