"""The server: clock, lockstep, sockets, faults."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from workbench.core.session import IST
from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture
def sim() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture
def http(sim: RunningSimulator) -> Iterator[requests.Session]:
    with session_of(sim) as session:
        yield session


def session_of(sim: RunningSimulator) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers.update({"access-token": sim.token, "client-id": sim.client_id})
    return session


def clock(sim: RunningSimulator) -> dict[str, Any]:
    with session_of(sim) as session:
        read: dict[str, Any] = session.get(f"{sim.origin}/simulator/clock", timeout=5).json()
    return read


async def heard(link: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(link.recv(), 5))
    return message


async def acknowledge(link: ClientConnection, until: int) -> dict[str, Any]:
    while True:
        message = await heard(link)
        if message["step"] >= until:
            return message
        await link.send(json.dumps({"ack": message["step"]}))


async def silent(link: ClientConnection, seconds: float = 0.15) -> bool:
    try:
        await asyncio.wait_for(link.recv(), seconds)
    except TimeoutError:
        return True
    return False


def test_p1_a_client_that_dies_in_the_middle_of_its_order_leaves_no_order_and_no_traceback(
    sim: RunningSimulator, http: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    place = urlsplit(sim.origin)
    head = f"POST /v2/orders HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 400\r\n\r\n"
    for _ in range(3):
        with socket.create_connection((place.hostname, place.port), timeout=5) as wire:
            wire.sendall(head.encode() + b'{"dhanClientId": ')
            assert http.get(f"{sim.origin}/simulator/clock", timeout=5).ok
    for _ in range(3):
        assert http.get(f"{sim.origin}/v2/orders", timeout=5).json() == []
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_the_market_stands_until_somebody_is_ready() -> None:
    async def follow(sim: RunningSimulator) -> None:
        async with connect(sim.sync_url, proxy=None) as link:
            first = await heard(link)
            assert (first["state"], first["step"]) == ("waiting", 0)
            assert first["time"] == "2026-11-16T09:14:30+05:30"
            assert await silent(link)
            await link.send(json.dumps({"ready": True}))
            opened = await acknowledge(link, 30)
            assert (opened["state"], opened["time"]) == ("open", "2026-11-16T09:15:00+05:30")
            assert opened["speed"] == "max"

    with running_simulator(follow=True) as sim:
        asyncio.run(follow(sim))


def test_the_market_is_never_more_than_a_second_ahead() -> None:
    async def follow(sim: RunningSimulator) -> None:
        async with connect(sim.sync_url, proxy=None) as link:
            await heard(link)
            await link.send(json.dumps({"ready": True}))
            message = await acknowledge(link, 40)
            assert await silent(link)
            assert clock(sim)["step"] == 40
            await link.send(json.dumps({"ack": message["step"]}))
            assert (await heard(link))["step"] == 41
            assert await silent(link)

    with running_simulator(follow=True) as sim:
        asyncio.run(follow(sim))


def test_the_market_stands_when_the_client_disappears_and_goes_on_with_the_next() -> None:
    async def follow(sim: RunningSimulator) -> None:
        async with connect(sim.sync_url, proxy=None) as link:
            await heard(link)
            await link.send(json.dumps({"ready": True}))
            await acknowledge(link, 50)
            await link.send(json.dumps({"ack": 50}))
        await asyncio.sleep(0.1)
        stood = clock(sim)
        assert stood["state"] == "waiting"
        assert stood["step"] in (50, 51)
        await asyncio.sleep(0.1)
        assert clock(sim)["step"] == stood["step"]
        async with connect(sim.sync_url, proxy=None) as link:
            assert (await heard(link))["step"] == stood["step"]
            await link.send(json.dumps({"ready": True}))
            assert (await acknowledge(link, stood["step"] + 20))["state"] == "open"

    with running_simulator(follow=True) as sim:
        asyncio.run(follow(sim))


def test_speed_is_kept() -> None:
    with running_simulator(follow=True, config=SimulatorConfig(speed=200, free_run=True)) as sim:
        begin, start = time.monotonic(), clock(sim)["step"]
        time.sleep(0.5)
        rate = (clock(sim)["step"] - start) / (time.monotonic() - begin)
        assert 120 < rate < 220
        assert clock(sim)["speed"] == 200


def test_a_running_market_that_is_moved_by_hand_goes_on_from_there() -> None:
    with running_simulator(follow=True, config=SimulatorConfig(speed=50, free_run=True)) as sim:
        sim.advance(3000)
        moved = clock(sim)["step"]
        deadline = time.monotonic() + 20
        while clock(sim)["step"] < moved + 20:
            assert time.monotonic() < deadline, "the market stands until its clock has caught up with it"
            time.sleep(0.02)


def test_the_next_day_begins_when_it_is_asked_for() -> None:
    async def follow(sim: RunningSimulator) -> None:
        async with connect(sim.sync_url, proxy=None) as link:
            await heard(link)
            await link.send(json.dumps({"ready": True}))
            while (message := await heard(link))["state"] != "closed":
                await link.send(json.dumps({"ack": message["step"]}))
            assert message["time"] == "2026-11-16T15:40:00+05:30"
            await link.send(json.dumps({"ack": message["step"]}))
            await link.send(json.dumps({"next": True}))
            tomorrow = await heard(link)
            assert (tomorrow["state"], tomorrow["time"]) == ("waiting", "2026-11-17T09:14:30+05:30")
            assert tomorrow["step"] == message["step"]
            assert await silent(link)
            await link.send(json.dumps({"ready": True}))
            assert (await heard(link))["time"] == "2026-11-17T09:14:31+05:30"

    with running_simulator(follow=True, config=SimulatorConfig(closing_s=30)) as sim:

        def nearly_over() -> None:
            while sim.simulator.board.second < 23100 - 20:
                sim.simulator.step()

        sim.call(nearly_over)
        asyncio.run(follow(sim))


def test_packets_and_updates_are_counted(sim: RunningSimulator, http: requests.Session) -> None:
    async def follow() -> None:
        query = f"?version=2&token={sim.token}&clientId={sim.client_id}&authType=2"
        option = sim.option()
        async with (
            connect(sim.feed_url + query, proxy=None) as feed,
            connect(sim.updates_url, proxy=None) as updates,
            connect(sim.sync_url, proxy=None) as link,
        ):
            await heard(link)
            login = {"LoginReq": {"MsgCode": 42, "ClientId": sim.client_id, "Token": sim.token}, "UserType": "SELF"}
            await updates.send(json.dumps(login))
            wanted = [{"ExchangeSegment": "IDX_I", "SecurityId": "13"}]
            wanted.append({"ExchangeSegment": "NSE_FNO", "SecurityId": option.security_id})
            await feed.send(json.dumps({"RequestCode": 21, "InstrumentCount": 2, "InstrumentList": wanted}))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(sim.open_market)
            order = {
                "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 0,
                "orderType": "MARKET", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
            }  # fmt: skip
            await asyncio.to_thread(http.post, f"{sim.base_url}/orders", json=order, timeout=5)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(sim.advance, 5)
            while (message := await heard(link))["step"] < 35:
                pass
            packets = [await asyncio.wait_for(feed.recv(), 2) for _ in range(message["packets"])]
            assert {len(each) for each in packets} == {8, 16, 162}
            told = [json.loads(await asyncio.wait_for(updates.recv(), 2)) for _ in range(message["updates"])]
            assert [each["Data"]["Status"] for each in told] == ["TRANSIT", "PENDING", "TRADED"]
            assert await silent(feed)
            assert await silent(updates)

    asyncio.run(follow())


def test_a_wrong_token_gets_a_disconnect_packet(sim: RunningSimulator) -> None:
    async def follow() -> None:
        async with connect(f"{sim.feed_url}?version=2&token=x&clientId={sim.client_id}", proxy=None) as feed:
            packet = await feed.recv()
            assert isinstance(packet, bytes)
            assert (packet[0], int.from_bytes(packet[8:10], "little")) == (50, 809)
        async with connect(sim.updates_url, proxy=None) as updates:
            await updates.send("{}")
            assert json.loads(await updates.recv())["Type"] == "error"

    asyncio.run(follow())


def test_the_sixth_feed_closes_the_oldest(sim: RunningSimulator) -> None:
    async def follow() -> None:
        url = f"{sim.feed_url}?version=2&token={sim.token}&clientId={sim.client_id}&authType=2"
        feeds = [await connect(url, proxy=None) for _ in range(6)]
        packet = await asyncio.wait_for(feeds[0].recv(), 2)
        assert isinstance(packet, bytes)
        assert int.from_bytes(packet[8:10], "little") == 805
        for feed in feeds:
            await feed.close()

    asyncio.run(follow())


def test_an_order_in_transit_is_not_found_by_its_correlation_id() -> None:
    with running_simulator(config=SimulatorConfig(transit_s=0.3)) as sim, session_of(sim) as http:
        sim.open_market()
        option = sim.option()
        order = {
            "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 0,
            "orderType": "MARKET", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
            "correlationId": "slow-1",
        }  # fmt: skip
        http.post(f"{sim.base_url}/orders", json=order, timeout=5)
        look_up = f"{sim.base_url}/orders/external/slow-1"
        assert http.get(look_up, timeout=5).status_code == 404
        assert [each["orderStatus"] for each in http.get(f"{sim.base_url}/orders", timeout=5).json()] == ["TRANSIT"]
        time.sleep(0.4)
        assert http.get(look_up, timeout=5).json()["orderStatus"] == "TRADED"


def test_a_lost_reply_leaves_the_order(sim: RunningSimulator, http: requests.Session) -> None:
    sim.open_market()
    sim.fault("lost_reply")
    option = sim.option()
    order = {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 1.0,
        "orderType": "LIMIT", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
        "correlationId": "lost",
    }  # fmt: skip
    with pytest.raises(requests.ConnectionError):
        http.post(f"{sim.base_url}/orders", json=order, timeout=5)
    assert [each["correlationId"] for each in http.get(f"{sim.base_url}/orders", timeout=5).json()] == ["lost"]
    sim.fault("timeout_after_accept", seconds=1.0)
    with pytest.raises(requests.ReadTimeout):
        http.post(f"{sim.base_url}/orders", json=order | {"correlationId": "late"}, timeout=0.3)
    assert len(http.get(f"{sim.base_url}/orders", timeout=5).json()) == 2


def test_faults_that_answer(sim: RunningSimulator, http: requests.Session) -> None:
    sim.open_market()
    order_url = f"{sim.base_url}/orders"
    for kind, status in (("http_500", 500), ("http_429", 429)):
        sent = http.post(
            f"{sim.origin}/simulator/fault", json={"kind": kind, "count": 1, "match": "POST /orders"}, timeout=5
        )
        assert sent.status_code == 200
        assert http.post(order_url, json={}, timeout=5).status_code == status
        assert http.get(order_url, timeout=5).json() == []
    sim.fault("reject")
    option = sim.option()
    order = {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 0,
        "orderType": "MARKET", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
    }  # fmt: skip
    http.post(order_url, json=order, timeout=5)
    time.sleep(0.05)
    assert http.get(order_url, timeout=5).json()[0]["orderStatus"] == "REJECTED"
    wrong = http.post(f"{sim.origin}/simulator/fault", json={"kind": "lost_replay"}, timeout=5)
    assert wrong.status_code == 400
    assert "did you mean 'lost_reply'" in wrong.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "http://127.0.0.1:8800"},
        {"Origin": "null"},
        {"Host": "example.com"},
        {"Host": "example.com:8800"},
        {"Host": "127.0.0.1.example.com"},
    ],
)
def test_w15_a_page_and_a_foreign_name_get_nothing(
    sim: RunningSimulator, http: requests.Session, headers: dict[str, str]
) -> None:
    answered = http.get(f"{sim.origin}/simulator/book", headers=headers, timeout=5)
    assert answered.status_code == 403
    ordered = http.post(f"{sim.origin}/simulator/fault", json={"kind": "http_500"}, headers=headers, timeout=5)
    assert ordered.status_code == 403
    assert sim.application.faults.waiting == []

    async def follow() -> None:
        origin = headers.get("Origin")
        if origin is not None:
            with pytest.raises(InvalidStatus) as refused:
                await connect(sim.sync_url, proxy=None, additional_headers={"Origin": origin})
            assert refused.value.response.status_code == 403

    asyncio.run(follow())
    local = http.get(f"{sim.origin}/simulator/book", headers={"Host": "localhost"}, timeout=5)
    assert local.status_code == 200


def test_unknown_paths_and_broken_bodies(sim: RunningSimulator, http: requests.Session) -> None:
    missing = http.get(f"{sim.base_url}/nowhere", timeout=5)
    assert (missing.status_code, missing.json()["status"]) == (404, 404)
    for broken in (b"", b"{", b"[]", b"null", b"\xff"):
        refused = http.post(f"{sim.base_url}/orders", data=broken, timeout=5)
        assert (refused.status_code, refused.json()["errorCode"]) == (400, "DH-905")


def test_today_has_its_candles_up_to_now(sim: RunningSimulator, http: requests.Session) -> None:
    sim.open_market()
    sim.advance(60 * 17)
    ask = {"securityId": "13", "exchangeSegment": "IDX_I", "instrument": "INDEX", "interval": 5}
    ask |= {"fromDate": "2026-11-16 09:15:00", "toDate": "2026-11-16 15:30:00"}
    candles = http.post(f"{sim.base_url}/charts/intraday", json=ask, timeout=5).json()
    times = [datetime.fromtimestamp(each, IST).strftime("%H:%M") for each in candles["timestamp"]]
    assert times == ["09:15", "09:20", "09:25", "09:30"]
    ones = http.post(f"{sim.base_url}/charts/intraday", json=ask | {"interval": 1}, timeout=5).json()
    assert candles["open"][1] == ones["open"][5]
    assert candles["close"][1] == ones["close"][9]
    assert candles["high"][1] == max(ones["high"][5:10])
    far = http.post(f"{sim.base_url}/charts/intraday", json=ask | {"fromDate": "2026-01-01"}, timeout=5)
    assert (far.status_code, far.json()["errorCode"]) == (400, "DH-905")
    assert date.fromisoformat(clock(sim)["day"]) == sim.simulator.day
