"""What an account's clients are made with."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from workbench.bootstrap.places import Places
from workbench.bootstrap.venue import Ears, Login, wires_of
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.server_time import ServerTime
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.session import IST
from workbench.testing.wire_stub import Reply, WireStub, http

LOGIN = Login(client_id="1000000001", token="a-token-of-a-trader")


def test_r1_an_answer_is_waited_for_as_long_as_the_settings_say() -> None:
    with WireStub() as stub:
        stub.default = lambda _: Reply(wait=True)
        places = Places.simulator(int(stub.url.rsplit(":", 1)[1].split("/")[0]))
        now = datetime(2026, 11, 20, 10, tzinfo=IST)
        wires = wires_of(places, places, LOGIN, LOGIN, now=lambda: now, scale=0.0, read_timeout_s=0.2)
        began = time.monotonic()
        wires.broker.cancel("1")
        assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("orders_elsewhere", [False, True])
def test_s9_dhans_answers_tell_his_time_and_those_of_this_machine_do_not(orders_elsewhere: bool) -> None:
    told: list[ServerTime] = []
    date = "Date: Fri, 20 Nov 2026 03:30:00 GMT\r\n"
    with WireStub() as stub:
        stub.default = lambda _: http(200, {}, extra=date)
        port = int(stub.url.rsplit(":", 1)[1].split("/")[0])
        dhan, mirror = Places.simulator(port), Places.simulator(port)

        def nothing(*_: object) -> None:
            return None

        ears = Ears(refused=nothing, disconnected=nothing, status=nothing, time=told.append)
        now = datetime(2026, 11, 20, 9, tzinfo=IST)
        orders = mirror if orders_elsewhere else dhan
        wires = wires_of(dhan, orders, LOGIN, LOGIN, now=lambda: now, scale=0.0, ears=ears)
        wires.broker.cancel("1")
        assert len(told) == (0 if orders_elsewhere else 1)
        wires.data.api.ticker_data({"IDX_I": [13]})
    assert told[-1].date == datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
    assert 0 < told[-1].unsure_s < 5


@pytest.mark.parametrize(
    "date",
    [
        "half past nine",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Fri, 20 Nov 2026 10:00:00 +99999999999999999999999",
        "Wed, 01 Jan 1000 00:00:00 +2300",
    ],
)
def test_s9_an_answer_whose_date_is_none_tells_no_time_and_is_read_all_the_same(date: str) -> None:
    told: list[ServerTime] = []
    with WireStub() as stub:
        stub.default = lambda _: http(200, {"orderId": "7"}, extra=f"Date: {date}\r\n")
        client = DhanClient(stub.url, LOGIN.client_id, LOGIN.token, Endpoint.ORDERS)
        client.tell_server_time(told.append)
        assert client.api.cancel_order("7")["data"] == {"orderId": "7"}
    assert told == []


@pytest.mark.parametrize("error", [OverflowError("date value out of range"), RuntimeError("the loop has ended")])
def test_s9_a_witness_that_fails_takes_no_answer_of_an_order_away(error: Exception) -> None:
    def fails(_: ServerTime) -> None:
        raise error

    with WireStub() as stub:
        stub.default = lambda _: http(200, {"orderId": "7"}, extra="Date: Fri, 20 Nov 2026 03:30:00 GMT\r\n")
        client = DhanClient(stub.url, LOGIN.client_id, LOGIN.token, Endpoint.ORDERS)
        client.tell_server_time(fails)
        assert client.api.cancel_order("7")["data"] == {"orderId": "7"}
