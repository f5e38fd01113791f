"""The feed's connection: lost, refused, half open, flooded, and with another token."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import struct
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.unit.data.feed_wire import NIFTY, Run, keep, option, ticker
from workbench.data.feed import BURST, DhanFeed
from workbench.data.feed_wishes import FeedMode


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
                await run.until(lambda: run.feed.connected and bool(requests))
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
