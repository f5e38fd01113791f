"""The order-update socket on a real socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.core.messages import BrokerOrder
from workbench.core.order import LegAddress, OrderState, SuperLegName

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
    messages: list[str | bytes], wanted: Callable[[DhanOrderUpdates, list[BrokerOrder]], bool], **options: Any
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
        updates = DhanOrderUpdates(
            f"ws://127.0.0.1:{port}", "1000000001", TOKEN, **{"backoff_s": (0.01, 0.02), **options}
        )
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


def pascal(data: dict[str, Any]) -> dict[str, Any]:
    return {key[0].upper() + key[1:]: value for key, value in data.items()}


def read(data: dict[str, Any], kind: str = "order_alert") -> BrokerOrder | None:
    updates = DhanOrderUpdates("ws://127.0.0.1:9", "1000000001", TOKEN)
    return updates.read(json.dumps({"Data": data, "Type": kind}))


def test_both_casings_and_both_in_one_message_are_read_alike() -> None:
    camel = {**DATA, "status": "Part_Traded", "tradedQty": 25, "reasonDescription": "CONFIRMED"}
    order = read(camel)
    assert order is not None
    assert (order.state, order.filled_quantity) == (OrderState.PARTLY_FILLED, 25)
    assert read(pascal(camel)) == order
    assert read({**camel, **pascal(camel)}) == order
    assert read({**dict.fromkeys(camel, ""), **pascal(camel)}) == order
    assert read({key.upper(): value for key, value in camel.items()}, "ORDER_ALERT") == order


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Cancelled", OrderState.CANCELLED),
        ("REJECTED", OrderState.REJECTED),
        ("Transit", OrderState.ACCEPTED),
        ("pending", OrderState.WORKING),
        ("a word of tomorrow", OrderState.WORKING),
    ],
)
def test_a_status_is_read_in_any_case(status: str, state: OrderState) -> None:
    order = read({**DATA, "status": status, "tradedQty": 0})
    assert order is not None
    assert (order.state, order.raw_status) == (state, status)


@pytest.mark.parametrize("status", ["ACTIVE", "DUMMY", "TRIGGERED", "Pending"])
@pytest.mark.parametrize("marks", [{"algoOrdNo": "11"}, {"legNo": 2, "remarks": "Super Order", "algoOrdNo": "11"}])
def test_a_leg_of_a_super_order_is_an_order_of_its_own(status: str, marks: dict[str, Any]) -> None:
    leg = {**DATA, "orderNo": "12", "txnType": "S", "tradedQty": 0, "status": status, **marks}
    order = read(leg)
    assert order is not None
    assert (order.order_id, order.correlation_id, order.state) == ("12", "", OrderState.WORKING)


@pytest.mark.parametrize(("number", "name"), [(2, SuperLegName.STOP), ("3", SuperLegName.TARGET)])
def test_a_leg_says_of_which_super_order_it_is(number: object, name: SuperLegName) -> None:
    leg = {**DATA, "orderNo": "12", "txnType": "S", "legNo": number, "remarks": "Super Order", "algoOrdNo": "11"}
    order = read(leg)
    assert order is not None
    assert order.leg == LegAddress(entry_id="11", name=name)


def test_a_leg_under_the_number_of_its_entry_has_an_id_of_its_own_and_tells_no_units() -> None:
    leg = {**DATA, "txnType": "S", "legNo": 3, "remarks": "Super Order", "algoOrdNo": "11", "status": "TRADED"}
    order = read({**leg, "tradedQty": 75, "avgTradedPrice": 120.5, "tradedPrice": 120.5})
    assert order is not None
    assert (order.order_id, order.correlation_id) == ("11-target", "")
    assert order.leg == LegAddress(entry_id="11", name=SuperLegName.TARGET)
    assert (order.state, order.filled_quantity, order.last_fill_price) == (OrderState.FILLED, 0, Decimal(0))


@pytest.mark.parametrize("entry", ["", "0", "NA", "11", None])
def test_an_order_that_is_its_own_entry_keeps_our_id(entry: str | None) -> None:
    order = read({**DATA, "legNo": 1, "algoOrdNo": entry, "remarks": "Super Order"})
    assert order is not None
    assert order.correlation_id == "abc"


@pytest.mark.parametrize(
    ("message", "is_refusal"),
    [
        ({"Type": "error", "remarks": "Authentication failed", "message": f"Invalid Token {TOKEN}"}, True),
        ({"Type": "login", "message": "token expired"}, True),
        ({"Type": "login", "message": "login successful"}, False),
        ({"Type": "heartbeat"}, False),
        ({"Type": "error", "message": "too many requests"}, False),
    ],
)
def test_a_refused_login_is_told_without_the_token(message: dict[str, Any], is_refusal: bool) -> None:
    told: list[str] = []
    updates, *_ = asyncio.run(
        session([json.dumps(message)], lambda updates, _: updates.other >= 2, on_token_refused=told.append)
    )
    assert bool(told) is is_refusal
    assert TOKEN not in repr(told)
    assert updates.malformed == 0


def test_a_refused_login_is_not_tried_again_in_a_hot_loop_and_a_new_token_ends_the_wait() -> None:
    async def scenario() -> list[str]:
        logins: list[str] = []

        async def handler(socket: ServerConnection) -> None:
            logins.append(json.loads(await socket.recv())["LoginReq"]["Token"])
            await socket.send(json.dumps({"Type": "error", "message": "Invalid Token"}))

        async with serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            updates = DhanOrderUpdates(f"ws://127.0.0.1:{port}", "1", TOKEN, backoff_s=(0.001, 3600.0))
            states: list[bool] = []
            task = asyncio.create_task(updates.run(lambda _: None, lambda up, _: states.append(up)))
            await until(lambda: states == [True, False])
            await asyncio.sleep(0.2)
            assert len(logins) == 1
            await asyncio.to_thread(updates.renew_token, "another")
            await until(lambda: len(logins) == 2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return logins

    assert asyncio.run(scenario()) == [TOKEN, "another"]


def test_a_renewed_token_logs_in_anew_since_a_socket_of_the_old_one_may_be_deaf() -> None:
    async def scenario() -> tuple[list[str], list[tuple[bool, str]]]:
        logins: list[str] = []
        states: list[tuple[bool, str]] = []

        async def handler(socket: ServerConnection) -> None:
            logins.append(json.loads(await socket.recv())["LoginReq"]["Token"])
            await socket.wait_closed()

        async with serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            updates = DhanOrderUpdates(f"ws://127.0.0.1:{port}", "1", TOKEN)
            task = asyncio.create_task(updates.run(lambda _: None, lambda up, why: states.append((up, why))))
            await until(lambda: len(logins) == 1)
            updates.renew_token(TOKEN)
            updates.renew_token("another")
            await until(lambda: len(logins) == 2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return logins, states

    logins, states = asyncio.run(scenario())
    assert logins == [TOKEN, "another"]
    assert states[:2] == [(True, ""), (False, "logging in with the new access token")]


def test_s4_a_half_open_socket_is_found_by_its_ping_and_made_again() -> None:
    async def scenario() -> list[tuple[bool, str]]:
        states: list[tuple[bool, str]] = []
        over = asyncio.Event()

        async def deaf(socket: ServerConnection) -> None:
            await socket.recv()
            socket.transport.pause_reading()
            await over.wait()
            socket.transport.abort()

        async with serve(deaf, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            updates = DhanOrderUpdates(f"ws://127.0.0.1:{port}", "1", TOKEN, backoff_s=(0.01, 0.02), ping_s=0.05)
            task = asyncio.create_task(updates.run(lambda _: None, lambda up, why: states.append((up, why))))
            await until(lambda: len(states) >= 3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            over.set()
        return states

    states = asyncio.run(scenario())
    assert [up for up, _ in states[:3]] == [True, False, True]
    assert "ping timeout" in states[1][1]


def test_r7_a_renewed_token_before_a_closed_door_is_no_storm_of_logins() -> None:
    async def attempts() -> int:
        knocks: list[int] = []

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            knocks.append(1)
            writer.write(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            updates = DhanOrderUpdates(f"ws://127.0.0.1:{port}", "1000000001", TOKEN, backoff_s=(60.0, 60.0))
            task = asyncio.create_task(updates.run(lambda _: None, lambda _up, _why: None))
            await until(lambda: len(knocks) == 1)
            updates.renew_token("another-token")
            await until(lambda: len(knocks) >= 2)
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return len(knocks)

    assert asyncio.run(attempts()) == 2
