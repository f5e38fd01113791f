"""The feed on a real socket: subscriptions, quotes in rupees, reconnects, and what the wire can do to it."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.data.feed import BURST, DhanFeed
from workbench.data.feed_quotes import QuoteMaker
from workbench.data.feed_wishes import FeedMode

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


def names(request: dict[str, Any]) -> list[str]:
    return [each["SecurityId"] for each in request["InstrumentList"]]


class Run:
    """One feed against one server, both ended with the block."""

    def __init__(
        self,
        serve_one: Callable[[ServerConnection], Awaitable[None]],
        refusals: int = 0,
        status: int = 429,
        **options: Any,
    ) -> None:
        self.serve_one = serve_one
        self.refusals, self.status = refusals, status
        self.options: dict[str, Any] = {"backoff_s": (0.01, 0.02), **options}
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
                return connection.respond(self.status, "slow down")
            return None

        self.server = await serve(handler, "127.0.0.1", 0, process_request=upgrade)
        port = self.server.sockets[0].getsockname()[1]
        self.feed = DhanFeed(f"ws://127.0.0.1:{port}/feed", "1000000001", TOKEN, **self.options)
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
        frames = ticker(0, 13, 25000.07), full(101, 152.3, 152.25, 152.35), full(102, 0.05, 0.0, 0.05)
        async with Run(keep(requests, *frames)) as run:
            run.feed.subscribe([NIFTY, option(101), option(102)])
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
            assert [(r["RequestCode"], names(r)) for r in requests[4:]] == [(22, ["100"]), (21, ["400"])]

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
            assert (run.feed.quarantine.bad_prices, run.feed.unasked, counts.short, counts.unknown) == (8, 1, 1, 2)
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


@pytest.mark.parametrize(("code", "refused"), [(805, False), (806, False), (807, True), (808, True), (809, True)])
def test_s5_who_can_help_is_told_of_a_disconnect(code: int, refused: bool) -> None:
    async def scenario() -> None:
        told: list[int] = []
        refusals: list[str] = []
        async with Run(
            keep([], struct.pack("<BHBIH", 50, 10, 0, 0, code)),
            on_disconnect=lambda number, _: told.append(number),
            on_token_refused=refusals.append,
        ) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(run.states) >= 2)
        assert told[0] == code
        assert bool(refusals) is refused

    asyncio.run(scenario())


def test_s5_a_disconnect_is_not_followed_by_knocking_in_a_hot_loop() -> None:
    async def scenario() -> None:
        frame = struct.pack("<BHBIH", 50, 10, 0, 0, 806)
        async with Run(keep([], frame), backoff_s=(0.001, 3600.0)) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(run.states) >= 2)
            # The first wait alone would be over by now a hundred times.
            await asyncio.sleep(0.2)
            assert len(run.paths) == 1
            run.feed.renew_token("another")
            await run.until(lambda: len(run.paths) == 2)

    asyncio.run(scenario())


def test_a_token_refused_at_the_door_is_told() -> None:
    async def scenario() -> None:
        refusals: list[str] = []
        async with Run(keep([]), refusals=1, status=401, on_token_refused=refusals.append) as run:
            run.start()
            await run.until(lambda: run.feed.connected)
        assert refusals == ["the feed refused the access token: HTTP 401"]

    asyncio.run(scenario())


def test_a_token_renewed_from_another_thread_ends_the_wait() -> None:
    async def scenario() -> None:
        async with Run(keep([]), refusals=1, status=401, backoff_s=(0.01, 3600.0)) as run:
            run.start()
            await run.until(lambda: len(run.states) == 1)
            await asyncio.to_thread(run.feed.renew_token, "another")
            await run.until(lambda: run.feed.connected)
            assert "token=another&" in run.paths[1]

    asyncio.run(scenario())


def test_an_instrument_is_watched_in_the_mode_that_was_asked_last() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests)) as run:
            run.feed.subscribe([option(101)], FeedMode.QUOTE)
            run.feed.subscribe([option(102)], FeedMode.TICKER)
            run.feed.subscribe([option(102)], FeedMode.FULL)
            run.start()
            await run.until(lambda: len(requests) == 2)
            run.feed.subscribe([option(101)], FeedMode.FULL)
            run.feed.subscribe([option(102)])
            await run.until(lambda: len(requests) == 4)
            assert [(r["RequestCode"], names(r)) for r in requests] == [
                (17, ["101"]),
                (21, ["102"]),
                (18, ["101"]),
                (21, ["101"]),
            ]

    asyncio.run(scenario())


def test_a_connection_that_is_made_again_asks_for_all_in_hundreds_and_the_last_wish_counts() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests)) as run:
            run.feed.subscribe([option(number) for number in range(100, 350)])
            run.start()
            await run.until(lambda: len(requests) == 3)
            await run.feed.reconnect()
            run.feed.unsubscribe([option(100), option(101)])
            run.feed.subscribe([option(101)], FeedMode.QUOTE)
            await run.until(lambda: len(requests) == 7)
            assert [(r["RequestCode"], r["InstrumentCount"]) for r in requests[3:]] == [
                (21, 100),
                (21, 100),
                (21, 48),
                (17, 1),
            ]

    asyncio.run(scenario())


def test_one_more_than_a_connection_carries_is_refused_and_nothing_of_it_done() -> None:
    async def scenario() -> None:
        feed = DhanFeed("ws://127.0.0.1:9/feed", "1", "t")
        feed.subscribe([option(number) for number in range(1, 5000)])
        with pytest.raises(BadInput, match="2 more instruments cannot be subscribed: 4999 are"):
            feed.subscribe([option(5000), option(5001)])
        assert feed.counters["instruments"] == 4999
        feed.subscribe([option(5000), option(1)])
        feed.unsubscribe([option(2)])
        feed.subscribe([option(5001)])
        assert feed.counters["instruments"] == 5000

    asyncio.run(scenario())


def test_interest_previous_close_and_day_are_kept_as_facts() -> None:
    async def scenario() -> None:
        frames = [
            struct.pack("<BHBIfI", 6, 16, 0, 13, 24900.5, 0),
            struct.pack("<BHBII", 5, 12, 2, 101, 123_450),
            struct.pack("<BHBII", 5, 12, 2, 999, 1),
            struct.pack("<BHBIfI", 6, 16, 2, 999, 1.0, 0),
            struct.pack("<BHBIfI", 6, 16, 2, 102, float("nan"), 0),
            full(102, 10.0, 9.95, 10.05),
            ticker(0, 13, 25000.0),
        ]
        async with Run(keep([], *frames)) as run:
            run.feed.subscribe([NIFTY, option(101), option(102)])
            run.start()
            await run.until(lambda: len(run.quotes) == 2)
            index, quoted, traded = (run.feed.facts(each) for each in (NIFTY, option(101), option(102)))
            assert index is not None
            assert (index.previous_close, index.open_interest, index.depth) == (Decimal("24900.50"), None, ())
            assert quoted is not None
            assert (quoted.open_interest, quoted.day_high) == (123_450, None)
            assert traded is not None
            assert (traded.previous_close, traded.day_high, traded.open_interest) == (Decimal(10), Decimal(10), 0)
            assert traded.depth[4] == pytest.approx((150, 300, 2, 4, 9.95, 10.05))
            assert run.feed.facts(option(103)) is None

    asyncio.run(scenario())


def test_s11_a_change_of_the_market_status_is_told_with_its_segment() -> None:
    async def scenario() -> None:
        seen: list[Segment] = []
        frames = [struct.pack("<BHBI", 7, 8, code, 0) for code in (2, 77, 0)]
        async with Run(keep([], *frames, ticker(0, 13, 25000.0)), on_status=seen.append) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: bool(run.quotes))
        assert seen == [Segment.NSE_FNO, Segment.IDX_I]

    asyncio.run(scenario())


def test_s6_a_jump_waits_for_two_more_ticks_that_say_the_same() -> None:
    async def scenario() -> None:
        prices = [25000.0, 2_500_000.0, 25001.0, 27000.0, 27001.0, 27002.0, 27003.0]
        async with Run(keep([], *(ticker(0, 13, price) for price in prices))) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(run.quotes) == 4)
            assert [int(quote.last) for quote in run.quotes] == [25000, 25001, 27002, 27003]
            assert (run.feed.counters["jumps"], run.feed.counters["confirmed"]) == (4, 1)

    asyncio.run(scenario())


def test_s4_a_half_open_connection_is_found_by_its_silence_and_made_again() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        over = asyncio.Event()

        async def deaf_at_first(socket: ServerConnection) -> None:
            requests.append(json.loads(await socket.recv()))
            if len(requests) == 1:
                # Nothing is read any more, so no ping is answered, and nobody says that the connection is over.
                socket.transport.pause_reading()
            else:
                await socket.send(ticker(0, 13, 25000.0))
            await over.wait()
            socket.transport.abort()

        async with Run(deaf_at_first, ping_s=0.05) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            try:
                await run.until(lambda: run.feed.connected)
                assert not await run.feed.pong(0.02)
                await run.until(lambda: bool(run.quotes))
                assert requests[0] == requests[1]
                assert "no answer to a ping" in run.states[1][1]
            finally:
                over.set()

    asyncio.run(scenario())


def test_s8_a_line_whose_pings_stand_behind_a_flood_is_kept() -> None:
    async def scenario() -> None:
        over = asyncio.Event()

        async def flood(socket: ServerConnection) -> None:
            await socket.recv()
            socket.transport.pause_reading()
            while not over.is_set():
                await socket.send(ticker(0, 13, 25000.0))
                await asyncio.sleep(0.005)
            socket.transport.abort()

        async with Run(flood, ping_s=0.05) as run:
            try:
                run.feed.subscribe([NIFTY])
                run.start()
                await run.until(lambda: len(run.quotes) > 60)
                assert run.states == [(True, "")]
            finally:
                over.set()

    asyncio.run(scenario())


def test_it_says_goodbye_when_it_is_ended() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests)) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(requests) == 1)
        assert requests[-1] == {"RequestCode": 12}

    asyncio.run(scenario())


def test_a_flood_of_frames_leaves_turns_to_others_on_the_loop() -> None:
    async def scenario() -> None:
        turns: list[int] = []

        async def count_turns(run: Run) -> None:
            while True:
                turns.append(len(run.quotes))
                await asyncio.sleep(0)

        async with Run(keep([], *([ticker(0, 13, 25000.0)] * 2000))) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            other = asyncio.create_task(count_turns(run))
            await run.until(lambda: len(run.quotes) == 2000)
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
        steps = [after - before for before, after in itertools.pairwise(turns)]
        assert max(steps) <= BURST

    asyncio.run(scenario())


@given(st.integers(0, 70 * 366 * 86400))
@example(0)
@example(86400 - 1)
@example(5 * 3600 + 30 * 60 - 1)
def test_the_indian_wall_clock_on_the_wire_becomes_that_moment(passed_s: int) -> None:
    midnight = datetime(2021, 1, 1, tzinfo=IST)
    # What stands on the wire is the wall clock read as if it were UTC.
    on_the_wire = int(midnight.replace(tzinfo=UTC).timestamp()) + passed_s
    read = QuoteMaker().moment(on_the_wire)
    assert read == midnight + timedelta(seconds=passed_s)
    assert read.utcoffset() == timedelta(hours=5, minutes=30)


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
