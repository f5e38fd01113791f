"""Reads are asked again and wait for their turn; writes are asked once, whatever comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Bucket, Pace, Window
from workbench.brokers.dhan.transport import READ_ATTEMPTS, Endpoint, Fate
from workbench.testing.wire_stub import Reply, WireStub, http

TOKEN = "secret-token-of-a-trader"


ORDER: dict[str, Any] = {
    "security_id": "55796",
    "exchange_segment": "NSE_FNO",
    "transaction_type": "BUY",
    "quantity": 75,
    "order_type": "LIMIT",
    "product_type": "INTRADAY",
    "price": 152.3,
    "tag": "a1",
}


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def client_of(stub: WireStub, endpoint: Endpoint = Endpoint.ORDERS) -> DhanClient:
    return DhanClient(stub.url, "1000000001", TOKEN, endpoint, timeouts_s=(0.3, 0.3))


def error(code: str, message: str = "no", kind: str = "Order_Error") -> dict[str, str]:
    return {"errorType": kind, "errorCode": code, "errorMessage": message}


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(http(500, error("DH-908")), id="R3_500"),
        pytest.param(http(503, b"<html>"), id="R3_503"),
        pytest.param(http(429, error("DH-904", kind="Rate_Limit")), id="R2_429"),
        pytest.param(Reply(reset=True), id="R5_reset"),
    ],
)
@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_a_read_is_asked_again_after_a_failure(stub: WireStub, bad: Reply, endpoint: Endpoint) -> None:
    stub.replies += [bad, http(200, [])]
    api = client_of(stub, endpoint).api
    reply = api.get_order_list() if endpoint is Endpoint.ORDERS else api.ticker_data({"NSE_EQ": [1]})
    assert (reply["status"], len(stub.requests)) == ("success", 2)


@pytest.mark.parametrize(
    "bad",
    [
        http(400, error("DH-905")),
        http(401, error("DH-901")),
        http(500, error("DH-1111", "No holdings available", "HOLDING_ERROR")),
        http(200, b"<html>"),
    ],
)
def test_an_answer_that_will_not_get_better_is_not_asked_for_again(stub: WireStub, bad: Reply) -> None:
    stub.replies.append(bad)
    client_of(stub).api.get_holdings()
    assert len(stub.requests) == 1


def test_a_read_is_asked_a_few_times_at_most(stub: WireStub) -> None:
    stub.default = lambda _: http(502, b"")
    assert client_of(stub).api.get_order_list()["answer"].status == 502
    assert len(stub.requests) == READ_ATTEMPTS


@pytest.mark.parametrize("write", ["place", "modify", "cancel", "super", "exit_all", "kill_switch", "pnl_exit"])
@pytest.mark.parametrize("bad", [http(503, b""), http(429, b""), Reply(reset=True)])
def test_r6_a_write_is_never_asked_twice(stub: WireStub, write: str, bad: Reply) -> None:
    stub.replies.append(bad)
    api = client_of(stub).api
    {
        "place": lambda: api.place_order(**ORDER),
        "modify": lambda: api.modify_order("7", "LIMIT", "NA", 75, 1.0, 0.0, 0, "DAY"),
        "cancel": lambda: api.cancel_order("7"),
        "super": lambda: api.cancel_super_order("7", "ENTRY_LEG"),
        "exit_all": api.exit_all_positions,
        "kill_switch": lambda: api.kill_switch("activate"),
        "pnl_exit": api.stop_pnl_exit,
    }[write]()
    assert len(stub.requests) == 1


def test_r2_a_refused_pace_pauses_its_own_bucket_and_honours_retry_after(stub: WireStub) -> None:
    stub.replies.append(http(429, error("DH-904"), extra="Retry-After: 50\r\n"))
    client = client_of(stub)
    assert client.api.place_order(**ORDER)["answer"].retry_after_s == 50.0
    assert "pause" in client.transport.pace.entry_turn(patience_s=0.0)
    assert client.transport.pace.read_turn(Bucket.OTHER) == ""


def test_reads_are_counted_where_dhan_counts_them(stub: WireStub) -> None:
    counted: list[tuple[Bucket, str]] = []

    class Counting(Pace):
        def read_turn(self, bucket: Bucket, *, unique: str = "", patience_s: float | None = None) -> str:
            counted.append((bucket, unique))
            return ""

    pace = Counting()
    stub.default = lambda _: http(200, [])
    data = DhanClient(stub.url, "1", TOKEN, Endpoint.DATA, pace=pace).api
    orders = DhanClient(stub.url, "1", TOKEN, Endpoint.ORDERS, pace=pace).api
    data.ticker_data({"NSE_EQ": [1]})
    data.option_chain(13, "IDX_I", "2026-11-23")
    data.option_chain(25, "IDX_I", "2026-11-23")
    data.intraday_minute_data("1", "NSE_EQ", "EQUITY", "2026-11-20", "2026-11-20")
    orders.get_order_list()
    orders.margin_calculator("1", "NSE_FNO", "BUY", 75, "INTRADAY", 1.0)
    orders.place_order(**ORDER)
    wanted = [Bucket.QUOTE, Bucket.DATA, Bucket.DATA, Bucket.DATA, Bucket.OTHER, Bucket.OTHER]
    assert [bucket for bucket, _ in counted] == wanted
    questions = [unique for _, unique in counted if unique]
    assert len(set(questions)) == len(questions) == 2


def test_a_read_is_counted_from_the_moment_when_it_left(stub: WireStub) -> None:
    told: list[tuple[Bucket, bool]] = []

    class Listening(Pace):
        def left(self, bucket: Bucket, turn_at: float) -> None:
            told.append((bucket, turn_at <= self.clock()))
            super().left(bucket, turn_at)

    stub.default = lambda _: http(200, [])
    client = DhanClient(stub.url, "1", TOKEN, Endpoint.ORDERS, pace=Listening())
    client.api.get_order_list()
    client.api.cancel_order("7")
    client.api.get_positions()
    assert told == [(Bucket.OTHER, True)] * 2


def test_a_turn_that_does_not_come_is_not_sent_and_says_why(stub: WireStub) -> None:
    pace = Pace({Bucket.DATA: (Window(limit=1, length_s=86400.0),)})
    api = DhanClient(stub.url, "1", TOKEN, Endpoint.DATA, pace=pace).api
    api.ohlc_data({"NSE_EQ": [1]})
    api.option_chain(13, "IDX_I", "2026-11-23")
    answer = api.option_chain(25, "IDX_I", "2026-11-23")["answer"]
    assert (answer.fate, len(stub.requests)) == (Fate.NOT_SENT, 2)
    assert "rate limit of 1 data in a day" in answer.reason
