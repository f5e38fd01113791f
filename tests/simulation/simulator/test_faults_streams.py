"""Faults by name at the two sockets: silence, dead lines, codes, bad packets; late, doubled, lost, swapped updates."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from workbench.core.instrument import Right
from workbench.simulator import SimulatorConfig, packets
from workbench.simulator.faults import BAD_TICKS
from workbench.simulator.tokens import TokenKind
from workbench.testing.simulator import RunningSimulator, running_simulator

INDEX = {"ExchangeSegment": "IDX_I", "SecurityId": "13"}


@pytest.fixture(scope="module")
def market() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        yield running


@pytest.fixture
def sim(market: RunningSimulator) -> Iterator[RunningSimulator]:
    yield market
    market.clear_faults()
    streams = (market.simulator.feed.connections, market.simulator.updates.listeners)
    asyncio.run(eventually(lambda: not streams[0] and not streams[1]))


@asynccontextmanager
async def feed_of(sim: RunningSimulator, code: int = 15, **more: str) -> AsyncIterator[ClientConnection]:
    query = f"?version=2&token={sim.token}&clientId={sim.client_id}&authType=2"
    async with connect(sim.feed_url + query, proxy=None, ping_interval=None, close_timeout=0.2) as feed:
        wanted = [INDEX, *([more] if more else [])]
        await feed.send(json.dumps({"RequestCode": code, "InstrumentCount": len(wanted), "InstrumentList": wanted}))
        # Where things stand: previous close and the newest prices.
        for _ in range(2):
            await asyncio.wait_for(feed.recv(), 5)
        yield feed


@asynccontextmanager
async def updates_of(sim: RunningSimulator) -> AsyncIterator[ClientConnection]:
    before = len(sim.simulator.updates.listeners)
    async with connect(sim.updates_url, proxy=None, ping_interval=None, close_timeout=0.2) as updates:
        login = {"LoginReq": {"MsgCode": 42, "ClientId": sim.client_id, "Token": sim.token}, "UserType": "SELF"}
        await updates.send(json.dumps(login))
        await eventually(lambda: len(sim.simulator.updates.listeners) > before)
        yield updates


async def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    until = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < until, "it never came to be"
        await asyncio.sleep(0.01)


async def packet_of(feed: ClientConnection) -> bytes:
    packet = await asyncio.wait_for(feed.recv(), 5)
    assert isinstance(packet, bytes)
    return packet


async def closing_reason(feed: ClientConnection) -> int:
    while (packet := await packet_of(feed))[0] != 50:
        pass
    reason: int = struct.unpack_from("<H", packet, 8)[0]
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(feed.recv(), 5)
    return reason


async def nothing_from(link: ClientConnection, seconds: float = 0.2) -> bool:
    try:
        await asyncio.wait_for(link.recv(), seconds)
    except TimeoutError:
        return True
    return False


async def step(sim: RunningSimulator, seconds: int = 1) -> None:
    await asyncio.to_thread(sim.advance, seconds)


async def order(sim: RunningSimulator, kind: str, **options: object) -> None:
    await asyncio.to_thread(lambda: sim.fault(kind, **options))


async def buy(sim: RunningSimulator, tag: str) -> None:
    option = sim.option(right=Right.CE)
    body = {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 0,
        "orderType": "MARKET", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
        "correlationId": tag,
    }  # fmt: skip

    def send() -> None:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"access-token": sim.token, "client-id": sim.client_id}
            assert session.post(f"{sim.base_url}/orders", json=body, headers=headers, timeout=5).status_code == 200

    await asyncio.to_thread(send)


async def statuses(updates: ClientConnection, count: int) -> list[tuple[str, str]]:
    found = []
    for _ in range(count):
        told: dict[str, Any] = json.loads(await asyncio.wait_for(updates.recv(), 5))
        found.append((told["Data"]["CorrelationId"], told["Data"]["Status"]))
    return found


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def done() -> None:
        await work()

    asyncio.run(done())


LIFE = ["TRANSIT", "PENDING", "TRADED"]


def test_s3_a_silent_feed_answers_pings_and_sends_nothing(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with feed_of(sim) as silent:
            await order(sim, "feed_silent", seconds=600)
            await step(sim, 5)
            assert await nothing_from(silent)
            await asyncio.wait_for(await silent.ping(), 5)
            # The fault was one connection's: another one hears of the market.
            async with feed_of(sim) as other:
                await step(sim, 5)
                assert (await packet_of(other))[0] == 2
            assert await nothing_from(silent, 0.05)

    run(work)


def test_s3_a_silence_ends_and_the_newest_price_comes(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            await order(sim, "feed_silent", seconds=0.1)
            await asyncio.sleep(0.15)
            await step(sim, 5)
            assert (await packet_of(feed))[0] == 2

    run(work)


@pytest.mark.parametrize("stream", ["feed", "updates"])
def test_s4_a_half_open_line_answers_no_ping_and_is_not_closed(sim: RunningSimulator, stream: str) -> None:
    async def work() -> None:
        async with feed_of(sim) if stream == "feed" else updates_of(sim) as link:
            await asyncio.wait_for(await link.ping(), 5)
            await order(sim, "feed_half_open", match=stream, seconds=600)
            await step(sim, 3)
            await buy(sim, "unheard")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(await link.ping(), 0.2)
            assert await nothing_from(link, 0.05)
        # The client gave up; the broker's side is gone with it.
        streams = (sim.simulator.feed.connections, sim.simulator.updates.listeners)
        await eventually(lambda: not streams[0] and not streams[1])
        async with feed_of(sim) as again:
            await step(sim)
            assert (await packet_of(again))[0] == 2

    run(work)


def test_s4_a_dead_line_is_reset_in_the_end(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            await order(sim, "feed_half_open", seconds=0.1)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(feed.recv(), 5)

    run(work)


@pytest.mark.parametrize("stream", ["feed", "updates"])
def test_s4_no_goodbye_gets_through_a_dead_line(sim: RunningSimulator, stream: str) -> None:
    async def work() -> None:
        async with feed_of(sim) if stream == "feed" else updates_of(sim) as link:
            await order(sim, "feed_half_open", match=stream, seconds=600)
            await order(sim, "disconnect", match=stream)
            await step(sim)
            assert sim.application.faults.waiting == []
            assert await nothing_from(link, 0.1)

    run(work)


@pytest.mark.parametrize("reason", [805, 806, 807, 808, 809, 810])
def test_s5_a_disconnect_says_its_reason_and_closes(sim: RunningSimulator, reason: int) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            await order(sim, "disconnect", reason=str(reason))
            assert await closing_reason(feed) == reason
        async with feed_of(sim):
            assert sim.application.faults.waiting == []

    run(work)


def test_s5_the_order_socket_is_closed(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with updates_of(sim) as updates:
            await order(sim, "disconnect", match="updates")
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(updates.recv(), 5)

    run(work)


def test_s5_a_fault_of_two_connections_strikes_the_open_one_and_the_next(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            await order(sim, "disconnect", reason="808", count=2)
            assert await closing_reason(feed) == 808
        query = f"?version=2&token={sim.token}&clientId={sim.client_id}&authType=2"
        async with connect(sim.feed_url + query, proxy=None) as second:
            assert await closing_reason(second) == 808
        async with feed_of(sim) as third:
            await step(sim)
            assert (await packet_of(third))[0] == 2

    run(work)


@pytest.mark.parametrize("stream", ["feed", "updates"])
def test_s5_a_reconnect_that_is_too_fast_is_answered_with_429(sim: RunningSimulator, stream: str) -> None:
    async def work() -> None:
        await order(sim, "feed_refused_429", match=stream)
        with pytest.raises(InvalidStatus) as refused:
            await connect(sim.feed_url if stream == "feed" else sim.updates_url, proxy=None)
        assert refused.value.response.status_code == 429
        async with feed_of(sim), updates_of(sim):
            assert sim.application.faults.waiting == []

    run(work)


@pytest.mark.parametrize("what", BAD_TICKS)
@pytest.mark.parametrize("code", [15, 17, 21])
def test_s6_a_bad_tick_is_bad_in_one_thing_and_the_truth_follows(sim: RunningSimulator, what: str, code: int) -> None:
    option = sim.option()
    good = {15: 16, 17: 50, 21: 162}[code]
    time_at = 12 if code == 15 else 14
    number = int(option.security_id)

    async def work() -> None:
        async with feed_of(sim, code, ExchangeSegment="NSE_FNO", SecurityId=option.security_id) as feed:
            await order(sim, "bad_ticks", what=what, security_id=option.security_id)
            connection = sim.simulator.feed.connections[-1]
            # What came with the subscription and has not been read, and what comes in two seconds.
            read = 2
            while sim.application.faults.waiting:
                await step(sim)
            await step(sim)
            told: list[bytes] = []
            while read < connection.sent:
                told.append(await asyncio.wait_for(feed.recv(decode=False), 5))
                read += 1
            assert sim.fired()[-1]["struck"] == f"packet of {option.security_id}"
            sound = packets.trade_time(sim.simulator.now)
            level = float(sim.quote(option).last)
            assert [each for each in told if _is_of(each, number, good)][-1][8:12] == struct.pack("<f", level)
            bad = [each for each in told if not _is_sound(each, good, time_at, (level, sound, number))]
            assert len(bad) == 1
            assert _wrong_in(bad[0], good, time_at, (level, sound)) == what

    run(work)


def _is_of(packet: bytes, number: int, size: int) -> bool:
    return len(packet) == size and packet[4:8] == struct.pack("<I", number)


def _is_sound(packet: bytes, size: int, time_at: int, truth: tuple[float, int, int]) -> bool:
    """Say whether a packet is an index packet, open interest, or a good one of the option."""
    level, now, number = truth
    if packet[0] in (5, 6, 7) or (len(packet) >= 8 and packet[4:8] == struct.pack("<I", 13)):
        return True
    if not _is_of(packet, number, size) or packet[0] == 99:
        return False
    last: float = struct.unpack_from("<f", packet, 8)[0]
    traded: int = struct.unpack_from("<I", packet, time_at)[0]
    return abs(last - level) < level / 2 and abs(traded - now) < 60


def _wrong_in(packet: bytes, size: int, time_at: int, truth: tuple[float, int]) -> str:
    """Name what is wrong with a packet."""
    level, now = truth
    if len(packet) < size:
        return "short_frame"
    if packet[0] == 99:
        return "unknown_code"
    if struct.unpack_from("<I", packet, 4)[0] == 0xFFFFFFF0:
        return "wrong_id"
    last, traded = struct.unpack_from("<f", packet, 8)[0], struct.unpack_from("<I", packet, time_at)[0]
    if abs(traded - now) > 60:
        return "stale_time" if traded < now else "future_time"
    if math.isnan(last):
        return "nan"
    return "zero" if last == 0 else "negative" if last < 0 else "times_100" if last > 50 * level else "nothing"


def test_r7_an_expired_token_closes_both_streams_and_rest_until_a_new_one() -> None:
    async def work(sim: RunningSimulator) -> None:
        async with feed_of(sim) as feed, updates_of(sim) as updates:
            old = sim.token
            await order(sim, "token_expired")
            assert await closing_reason(feed) == 807
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(updates.recv(), 5)
            with requests.Session() as session:
                session.trust_env = False
                answered = await asyncio.to_thread(
                    session.get, f"{sim.base_url}/fundlimit", headers={"access-token": old}, timeout=5
                )
            assert (answered.status_code, answered.json()["errorCode"]) == (401, "DH-901")
            query = f"?version=2&token={old}&clientId={sim.client_id}&authType=2"
            async with connect(sim.feed_url + query, proxy=None) as again:
                assert await closing_reason(again) == 807
            sim.call(sim.simulator.tokens.renew)
            assert sim.token != old
            async with feed_of(sim) as renewed:
                await step(sim)
                assert (await packet_of(renewed))[0] == 2

    with running_simulator(config=SimulatorConfig(token_kind=TokenKind.WEB)) as sim:
        sim.open_market()
        asyncio.run(work(sim))


def test_r7_a_new_token_ends_the_streams_of_the_one_before() -> None:
    async def work(sim: RunningSimulator) -> None:
        async with feed_of(sim) as feed, updates_of(sim) as updates:
            sim.call(sim.simulator.tokens.renew)
            assert await closing_reason(feed) == 807
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(updates.recv(), 5)

    with running_simulator(config=SimulatorConfig(token_kind=TokenKind.WEB)) as sim:
        sim.open_market()
        asyncio.run(work(sim))


def test_s1_updates_are_dropped(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with updates_of(sim) as updates:
            await order(sim, "updates_dropped", count=2)
            await buy(sim, "a")
            assert await statuses(updates, 1) == [("a", "TRADED")]
            assert sim.simulator.updates.updates == 1

    run(work)


def test_s1_updates_come_twice(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with updates_of(sim) as updates:
            await order(sim, "updates_doubled", count=2)
            await buy(sim, "a")
            found = [status for _, status in await statuses(updates, 5)]
            assert found == ["TRANSIT", "TRANSIT", "PENDING", "PENDING", "TRADED"]
            # Both are counted, so that whoever waits for so many messages waits for as many as come.
            assert sim.simulator.updates.updates == 5

    run(work)


def test_s1_two_updates_change_places(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with updates_of(sim) as updates:
            await order(sim, "updates_reordered", seconds=600)
            await buy(sim, "a")
            assert [status for _, status in await statuses(updates, 3)] == ["PENDING", "TRANSIT", "TRADED"]
            # One that nothing follows comes by itself.
            await order(sim, "updates_reordered", skip=2, seconds=0.1)
            await buy(sim, "b")
            assert [status for _, status in await statuses(updates, 3)] == LIFE

    run(work)


def test_s1_a_late_update_makes_the_stream_late_and_keeps_its_order(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with updates_of(sim) as updates:
            await order(sim, "updates_delayed", seconds=0.5, skip=1)
            begin = asyncio.get_running_loop().time()
            await buy(sim, "a")
            assert await statuses(updates, 1) == [("a", "TRANSIT")]
            assert [status for _, status in await statuses(updates, 2)] == LIFE[1:]
            assert asyncio.get_running_loop().time() - begin >= 0.5
            await buy(sim, "b")
            assert [status for _, status in await statuses(updates, 3)] == LIFE

    run(work)
