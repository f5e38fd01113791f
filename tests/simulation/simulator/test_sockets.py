"""The two sockets as the broker documents them: packets, limits, codes, casings, goodbyes."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from workbench.core.errors import BadInput
from workbench.simulator import Simulator, SimulatorConfig, SyntheticMarket, packets
from workbench.simulator.server import Application, server_of
from workbench.simulator.updates import UpdateHub, cased
from workbench.testing.simulator import DAY, RunningSimulator, running_simulator

INDEX = ("IDX_I", "13")


@pytest.fixture
def sim() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def done() -> None:
        await work()

    asyncio.run(done())


def feed_of(sim: RunningSimulator, *, token: str | None = None, client: str | None = None) -> Any:
    query = f"?version=2&token={token or sim.token}&clientId={client or sim.client_id}&authType=2"
    return connect(sim.feed_url + query, proxy=None, close_timeout=0.5)


async def ask(feed: ClientConnection, code: int, *names: tuple[str, str]) -> None:
    rows = [{"ExchangeSegment": segment, "SecurityId": name} for segment, name in names]
    await feed.send(json.dumps({"RequestCode": code, "InstrumentCount": len(rows), "InstrumentList": rows}))


async def take(feed: ClientConnection, count: int) -> list[bytes]:
    return [await asyncio.wait_for(feed.recv(decode=False), 5) for _ in range(count)]


async def reason_of(feed: ClientConnection) -> int:
    (packet,) = await take(feed, 1)
    while packet[0] != 50:
        (packet,) = await take(feed, 1)
    assert len(packet) == 10
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(feed.recv(), 5)
    return int.from_bytes(packet[8:10], "little")


async def quiet(feed: ClientConnection) -> bool:
    """Say that nothing is on its way: a pong comes after all that was sent before it."""
    await asyncio.wait_for(await feed.ping(), 5)
    try:
        await asyncio.wait_for(feed.recv(), 0.02)
    except TimeoutError:
        return True
    return False


async def step(sim: RunningSimulator, seconds: int = 1) -> None:
    await asyncio.to_thread(sim.advance, seconds)


def codes(told: list[bytes]) -> list[int]:
    return [each[0] for each in told]


def test_each_packet_says_its_whole_length_and_stands_in_a_frame_of_its_own(sim: RunningSimulator) -> None:
    option, other = sim.option(), sim.option(steps=1)

    async def work() -> None:
        await asyncio.to_thread(sim.open_market)
        async with feed_of(sim) as feed:
            await ask(feed, 15, INDEX)
            assert codes(await take(feed, 2)) == [6, 2]
            await ask(feed, 17, ("NSE_FNO", option.security_id))
            assert codes(await take(feed, 2)) == [5, 4]
            await ask(feed, 21, ("NSE_FNO", other.security_id))
            assert codes(await take(feed, 1)) == [8]
            connection = sim.simulator.feed.connections[0]
            await step(sim, 30)
            told = await take(feed, connection.sent - 5)
            assert set(codes(told)) == {2, 4, 8}
            for packet in told:
                assert struct.unpack_from("<H", packet, 1)[0] == len(packet)
                assert packet[3] == (0 if packet[0] == 2 else 2)
            last = [each for each in told if each[0] == 2][-1]
            # The trade time is the Indian wall clock as if it were UTC.
            assert struct.unpack_from("<I", last, 12)[0] == int(sim.simulator.now.timestamp()) + 19800

    run(work)


def test_unsubscribed_is_unheard_by_each_code(sim: RunningSimulator) -> None:
    option = sim.option()
    name = ("NSE_FNO", option.security_id)

    async def work() -> None:
        await asyncio.to_thread(sim.open_market)
        async with feed_of(sim) as feed:
            for code, first in ((15, 1), (17, 2), (21, 1)):
                await ask(feed, code, name)
                await take(feed, first)
                await ask(feed, code + 1, name)
                await asyncio.wait_for(await feed.ping(), 5)
                await step(sim, 5)
                assert await quiet(feed), code
            # Rubbish is passed over, as is a code that nobody knows.
            for text in ("{", "[]", '{"RequestCode": 99}', '{"RequestCode": 15, "InstrumentList": [7]}'):
                await feed.send(text)
            assert await quiet(feed)

    run(work)


def test_the_previous_close_comes_for_indices_alone_or_for_all() -> None:
    async def work(sim: RunningSimulator, first: list[int]) -> None:
        option = sim.option()
        await asyncio.to_thread(sim.open_market)
        async with feed_of(sim) as feed:
            await ask(feed, 17, ("NSE_FNO", option.security_id))
            assert codes(await take(feed, len(first))) == first
            assert await quiet(feed)

    for config, first in ((SimulatorConfig(), [5, 4]), (SimulatorConfig(prev_close_for_all=True), [6, 5, 4])):
        with running_simulator(config=config) as sim:
            asyncio.run(work(sim, first))


def test_open_interest_is_told_again_every_minute(sim: RunningSimulator) -> None:
    option = sim.option()

    async def work() -> None:
        await asyncio.to_thread(sim.open_market)
        async with feed_of(sim) as feed:
            await ask(feed, 17, ("NSE_FNO", option.security_id))
            (before, _) = await take(feed, 2)
            connection = sim.simulator.feed.connections[0]
            await step(sim, 60)
            told = [each for each in await take(feed, connection.sent - 2) if each[0] == 5]
            assert len(told) == 1
            assert int.from_bytes(told[0][8:12], "little") > int.from_bytes(before[8:12], "little") > 0

    run(work)


def test_the_market_status_comes_at_open_and_at_close(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            await ask(feed, 15, INDEX)
            await take(feed, 1)
            connection = sim.simulator.feed.connections[0]
            await asyncio.to_thread(sim.open_market)
            told = await take(feed, connection.sent - 1)
            assert told[-1] == struct.pack("<BHBI", 7, 8, 0, 0)
            assert codes(told).count(7) == 1

            def nearly_over() -> None:
                while (sim.simulator.session.close - sim.simulator.now).total_seconds() > 1:
                    sim.simulator.board.move(sim.simulator.board.second + 1)

            sim.call(nearly_over)
            before = connection.sent
            await step(sim)
            assert sim.simulator.is_over
            told = await take(feed, connection.sent - before)
            assert told[-1][0] == 7

    run(work)


@pytest.mark.parametrize("too_many", [101, 5001])
def test_s5_too_many_instruments_end_the_connection(sim: RunningSimulator, too_many: int) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            names = [("NSE_FNO", str(each)) for each in range(too_many)]
            if too_many == 101:
                await ask(feed, 15, *names)
            else:
                for first in range(0, 5000, 100):
                    await ask(feed, 15, *names[first : first + 100])
                # Known ones again are no more than before.
                await ask(feed, 17, *names[:100])
                assert await quiet(feed)
                await ask(feed, 15, names[5000])
            assert await reason_of(feed) == 804

    run(work)


def test_s5_strangers_are_told_why() -> None:
    async def work(sim: RunningSimulator, reason: int, **shown: str) -> None:
        async with feed_of(sim, **shown) as feed:
            assert await reason_of(feed) == reason

    with running_simulator() as sim:
        asyncio.run(work(sim, 809, token="somebody-elses"))
        asyncio.run(work(sim, 810, client="2000000002"))
    with running_simulator(config=SimulatorConfig(data_plan="Deactive")) as sim:
        asyncio.run(work(sim, 806))


def test_the_librarys_goodbye_is_taken(sim: RunningSimulator) -> None:
    async def work() -> None:
        async with feed_of(sim) as feed:
            await ask(feed, 15, INDEX)
            await take(feed, 1)
            await feed.send(struct.pack("<bH30s50s", 12, 83, b"1000000001", b""))
            assert await quiet(feed)
            await feed.send(json.dumps({"RequestCode": 12}))
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(feed.recv(), 5)

    run(work)


def test_the_server_pings_every_ten_seconds_and_gives_up_after_forty() -> None:
    from workbench.reference import calendar, charge_table, contract_table

    simulator = Simulator(SyntheticMarket(7, calendar(), DAY), calendar(), contract_table(), charge_table())
    config = server_of(Application(simulator), 0).config
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (10, 30)


@pytest.mark.parametrize(
    ("casing", "names"),
    [
        ("pascal", {"OrderNo", "Status", "TradedQty"}),
        ("camel", {"orderNo", "status", "tradedQty"}),
        ("both", {"OrderNo", "orderNo", "Status", "status"}),
    ],
)
def test_s1_updates_come_in_the_casing_that_was_asked_for(casing: str, names: set[str]) -> None:
    async def work(sim: RunningSimulator) -> None:
        await asyncio.to_thread(sim.open_market)
        async with connect(sim.updates_url, proxy=None) as updates:
            login = {"LoginReq": {"MsgCode": 42, "ClientId": sim.client_id, "Token": sim.token}, "UserType": "SELF"}
            await updates.send(json.dumps(login))
            while not sim.simulator.updates.listeners:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(_buy, sim)
            told = [json.loads(await asyncio.wait_for(updates.recv(), 5)) for _ in range(3)]
            assert {each["Type"] for each in told} == {"order_alert"}
            for each in told:
                assert names <= set(each["Data"])
                assert casing == "both" or len({key[0].isupper() for key in each["Data"]}) == 1

    with running_simulator(config=SimulatorConfig(update_casing=casing)) as sim:
        asyncio.run(work(sim))


def test_a_casing_that_nobody_speaks_is_refused() -> None:
    with pytest.raises(BadInput, match="did you mean 'pascal'"):
        UpdateHub("token", "client", casing="pascall")
    assert cased({"OrderNo": 1}, "both") == {"orderNo": 1, "OrderNo": 1}


def _buy(sim: RunningSimulator) -> None:
    option = sim.option()
    body = {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 0,
        "orderType": "MARKET", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
    }  # fmt: skip
    with requests.Session() as session:
        session.trust_env = False
        headers = {"access-token": sim.token, "client-id": sim.client_id}
        assert session.post(f"{sim.base_url}/orders", json=body, headers=headers, timeout=5).status_code == 200


@pytest.mark.parametrize(
    "login",
    [
        "rubbish",
        "{}",
        '{"LoginReq": {"MsgCode": 42, "ClientId": "1000000001", "Token": "wrong"}}',
        '{"LoginReq": {"MsgCode": 41, "ClientId": "1000000001", "Token": "practice-token"}}',
        '{"LoginReq": {"MsgCode": 42, "ClientId": "2000000002", "Token": "practice-token"}}',
    ],
)
def test_a_wrong_login_hears_of_no_order(sim: RunningSimulator, login: str) -> None:
    async def work() -> None:
        async with connect(sim.updates_url, proxy=None) as updates:
            await updates.send(login)
            refused = json.loads(await asyncio.wait_for(updates.recv(), 5))
            assert refused["Type"] != "order_alert"
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(updates.recv(), 5)
        assert sim.simulator.updates.listeners == []

    run(work)


def test_r22_what_the_broker_does_by_itself_is_told_with_its_source(sim: RunningSimulator) -> None:
    async def work() -> None:
        await asyncio.to_thread(sim.open_market)
        await asyncio.to_thread(_buy, sim)
        async with connect(sim.updates_url, proxy=None) as updates:
            login = {"LoginReq": {"MsgCode": 42, "ClientId": sim.client_id, "Token": sim.token}, "UserType": "SELF"}
            await updates.send(json.dumps(login))
            while not sim.simulator.updates.listeners:
                await asyncio.sleep(0.005)
            await step(sim)

            def nearly() -> None:
                due = sim.simulator.session.broker_square_off
                while (due - sim.simulator.now).total_seconds() > 1:
                    sim.simulator.board.move(sim.simulator.board.second + 1)

            sim.call(nearly)
            await step(sim, 2)
            sources: list[tuple[str, str]] = []
            while not sources or sources[-1] != ("N", "TRADED"):
                told = json.loads(await asyncio.wait_for(updates.recv(), 5))["Data"]
                sources.append((told["Source"], told["Status"]))
            assert ("N", "TRANSIT") in sources

    run(work)


def test_sizes_are_those_of_the_document() -> None:
    head = (2, 40001)
    assert len(packets.ticker(*head, 1.0, 1)) == len(packets.previous_close(*head, 1.0, 1)) == 16
    assert len(packets.quote(head, (1.0, 99_999, 1), (1.0, 1, 1, 1), (1.0, 1.0, 1.0, 1.0))) == 50
    assert len(packets.open_interest(*head, 5)) == 12
    rows = [(75, 75, 1.0, 1.1)] * 5
    assert len(packets.full(head, (1.0, 1, 1), (1.0, 1, 1, 1), (1.0, 1.0, 1.0, 1.0), rows)) == 162
    assert (len(packets.market_status(2)), len(packets.disconnect(805))) == (8, 10)
