"""The order-update socket on a real socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.core.messages import BrokerOrder
from workbench.core.order import OrderState

TOKEN = "secret-token"
DATA: dict[str, Any] = {
    "exchange": "NSE",
    "segment": "D",
    "securityId": "55796",
    "orderNo": "11",
    "txnType": "B",
    "quantity": 75,
    "tradedQty": 75,
    "avgTradedPrice": 152.3,
    "status": "Traded",
    "correlationId": "abc",
}


def alert(**changes: object) -> str:
    return json.dumps({"Data": {**DATA, **changes}, "Type": "order_alert"})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


async def session(
    messages: list[str | bytes], wanted: Callable[[DhanOrderUpdates, list[BrokerOrder]], bool]
) -> tuple[DhanOrderUpdates, list[BrokerOrder], list[tuple[bool, str]], list[str]]:
    """Serve the messages at each login, and drop the connection after them."""
    logins: list[str] = []
    orders: list[BrokerOrder] = []
    states: list[tuple[bool, str]] = []

    async def handler(socket: ServerConnection) -> None:
        logins.append(str(await socket.recv()))
        for message in messages:
            await socket.send(message)

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        updates = DhanOrderUpdates(f"ws://127.0.0.1:{port}", "1000000001", TOKEN, backoff_s=(0.01, 0.02))
        task = asyncio.create_task(updates.run(orders.append, lambda up, why: states.append((up, why))))
        await until(lambda: wanted(updates, orders))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return updates, orders, states, logins


def test_it_logs_in_as_the_library_does_and_hands_orders_on() -> None:
    _, orders, states, logins = asyncio.run(session([alert()], lambda _, orders: bool(orders)))
    assert json.loads(logins[0]) == {
        "LoginReq": {"MsgCode": 42, "ClientId": "1000000001", "Token": TOKEN},
        "UserType": "SELF",
    }
    assert (orders[0].order_id, orders[0].state, orders[0].filled_quantity) == ("11", OrderState.FILLED, 75)
    assert states[0] == (True, "")


def test_s1_duplicates_are_handed_on_and_rubbish_is_counted_and_dropped() -> None:
    messages: list[str | bytes] = [
        "no json",
        b"\xff\xfe",
        "[1]",
        json.dumps({"Type": "order_alert"}),
        alert(orderNo=None),
        alert(quantity="many"),
        json.dumps({"Type": "login", "message": "welcome"}),
        alert(),
        alert(),
    ]
    updates, orders, *_ = asyncio.run(session(messages, lambda _, orders: len(orders) >= 2))
    assert orders[0] == orders[1]
    assert (updates.malformed, updates.other, updates.received) == (6, 1, 5)


def test_it_comes_back_after_a_drop_and_says_so() -> None:
    _, _, states, logins = asyncio.run(session([alert()], lambda _, orders: len(orders) >= 3))
    assert len(logins) >= 3
    assert [up for up, _ in states[:4]] == [True, False, True, False]


def test_a_server_that_is_not_there_is_told_and_tried_again() -> None:
    async def scenario() -> list[tuple[bool, str]]:
        states: list[tuple[bool, str]] = []
        updates = DhanOrderUpdates("ws://127.0.0.1:9", "1", TOKEN, backoff_s=(0.01, 0.02))
        task = asyncio.create_task(updates.run(lambda _: None, lambda up, why: states.append((up, why))))
        await until(lambda: len(states) >= 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return states

    assert [up for up, _ in asyncio.run(scenario())[:2]] == [False, False]


def test_i10_the_token_is_in_no_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("workbench").setLevel(logging.DEBUG)
    echo = json.dumps({"Type": "error", "message": f"bad token {TOKEN}"})
    updates, *_ = asyncio.run(session([echo, f"no json {TOKEN}", alert()], lambda _, orders: bool(orders)))
    captured = capsys.readouterr()
    assert TOKEN not in caplog.text + captured.out + captured.err + repr(updates)
    assert updates.malformed >= 1
