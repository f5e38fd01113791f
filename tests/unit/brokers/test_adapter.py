"""The adapter: our orders in Dhan's words, and its refusals in ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Bucket, Pace, Window
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.errors import BrokerUnavailable
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.messages import Outcome
from workbench.core.order import OrderChange, OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.session import IST
from workbench.core.signal import Side
from workbench.testing.wire_stub import Received, Reply, WireStub, http

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)
OPTION = Instrument(segment=Segment.NSE_FNO, security_id="55796", symbol="NIFTY", kind=InstrumentKind.OPTION, lot=75)
STOP = OrderTicket(
    correlation_id="wb-1_a",
    intent_id="i",
    position_id="p",
    deployment="d",
    purpose=Purpose.STOP,
    instrument=OPTION,
    side=Side.SELL,
    quantity=75,
    order_type=OrderType.STOP_LIMIT,
    product=Product.MARGIN,
    price=Decimal("151.80"),
    trigger_price=Decimal("152.05"),
)


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def broker_of(stub: WireStub, refusals: list[str] | None = None) -> DhanBroker:
    client = DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, timeouts_s=(0.3, 0.3))
    return DhanBroker(client, lambda: NOW, on_token_refused=None if refusals is None else refusals.append)


def test_a_stop_limit_is_dhans_stop_loss_under_our_tag(stub: WireStub) -> None:
    stub.replies.append(http(200, {"orderId": "7", "orderStatus": "TRANSIT"}))
    reply = broker_of(stub).place(STOP)
    assert (reply.outcome, reply.order_id, reply.state) == (Outcome.ACCEPTED, "7", OrderState.ACCEPTED)
    body = stub.requests[0].document()
    wanted = {
        "transactionType": "SELL",
        "exchangeSegment": "NSE_FNO",
        "productType": "MARGIN",
        "orderType": "STOP_LOSS",
        "securityId": "55796",
        "quantity": 75,
        "price": 151.8,
        "triggerPrice": 152.05,
        "correlationId": "wb-1_a",
        "validity": "DAY",
        "afterMarketOrder": False,
    }
    assert wanted.items() <= body.items()


def test_a_modification_sends_every_term(stub: WireStub) -> None:
    stub.replies.append(http(200, {"orderId": "7", "orderStatus": "PENDING"}))
    change = OrderChange(order_type=OrderType.LIMIT, quantity=150, price=Decimal("160.10"), trigger_price=Decimal(0))
    assert broker_of(stub).modify("7", STOP, change).outcome is Outcome.ACCEPTED
    request = stub.requests[0]
    assert (request.method, request.path) == ("PUT", "/v2/orders/7")
    assert request.document() == {
        "orderId": "7",
        "orderType": "LIMIT",
        "legName": "NA",
        "quantity": 150,
        "price": 160.1,
        "disclosedQuantity": 0,
        "triggerPrice": 0.0,
        "validity": "DAY",
        "dhanClientId": "1000000001",
    }


@pytest.mark.parametrize("tag", ["", "x" * 26, "a b", "ä", "a/b", "a?b"])
def test_a_correlation_id_that_dhan_would_refuse_does_not_leave(stub: WireStub, tag: str) -> None:
    assert broker_of(stub).place(replace(STOP, correlation_id=tag)).outcome is Outcome.NOT_SENT
    assert stub.connections == 0


def test_r9_a_cancel_in_transit_is_rejected_in_dhans_words(stub: WireStub) -> None:
    error = {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Order is in Transit state"}
    stub.replies.append(http(400, error))
    reply = broker_of(stub).cancel("7")
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "DH-906 Order is in Transit state")


def test_a_rejection_in_the_reply_keeps_the_order_id(stub: WireStub) -> None:
    stub.replies.append(http(200, {"orderId": "7", "orderStatus": "REJECTED"}))
    reply = broker_of(stub).place(STOP)
    assert (reply.outcome, reply.order_id, reply.state) == (Outcome.REJECTED, "7", OrderState.REJECTED)
    assert reply.reason


def test_r7_a_refused_token_is_told_once_for_each_refusal(stub: WireStub) -> None:
    refusals: list[str] = []
    stub.replies += [http(401, {"errorCode": "DH-901", "errorMessage": "expired"}), http(200, {"orderId": "7"})]
    broker = broker_of(stub, refusals)
    broker.place(STOP)
    broker.renew_token("another")
    broker.place(STOP)
    assert refusals == ["DH-901 expired"]
    assert stub.requests[1].headers["access-token"] == "another"


@pytest.mark.parametrize(
    "reply",
    [http(404, b"<html>"), http(404, {"errorCode": "DH-906", "errorMessage": "Invalid Token"}), Reply(close=True)],
)
def test_only_dhans_own_words_say_that_an_order_is_absent(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    with pytest.raises(BrokerUnavailable):
        broker_of(stub).order_by_correlation("a1")


def test_absence_is_none_by_either_id(stub: WireStub) -> None:
    stub.replies += [http(404, {"errorCode": "DH-906", "errorMessage": "Incorrect request"}), http(200, [])]
    broker = broker_of(stub)
    assert broker.order_by_correlation("a1") is None
    assert broker.order("7") is None


def test_r2_a_refused_pace_is_throttled_only_when_the_body_says_so(stub: WireStub) -> None:
    said = {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "Too many requests"}
    stub.replies += [http(429, said), http(429, b"<html>busy</html>")]
    broker = broker_of(stub)
    replies = [broker.place(STOP), broker.place(STOP)]
    assert [(reply.outcome, reply.throttled) for reply in replies] == [
        (Outcome.REJECTED, True),
        (Outcome.UNKNOWN, False),
    ]


def test_r2_an_entry_without_room_is_not_sent_and_throttled_while_a_stop_goes(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"orderId": "7", "orderStatus": "TRANSIT"})
    client = DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS)
    broker = DhanBroker(client, lambda: NOW, pace=Pace({Bucket.ORDERS: (Window(limit=10, length_s=3600.0),)}))
    entry = replace(STOP, purpose=Purpose.ENTRY)
    replies = [broker.place(entry) for _ in range(8)]
    assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED] * 7 + [Outcome.NOT_SENT]
    assert replies[7].throttled
    assert "rate limit of 7 orders in an hour (of 10; the rest is kept for exits)" in replies[7].reason
    change = OrderChange(
        order_type=OrderType.STOP_LIMIT, quantity=75, price=Decimal("151.80"), trigger_price=Decimal("152.05")
    )
    assert broker.modify("7", entry, change).throttled
    assert [broker.modify("7", STOP, change).outcome, broker.cancel("7").outcome] == [Outcome.ACCEPTED] * 2
    assert [broker.place(STOP).outcome for _ in range(5)] == [Outcome.ACCEPTED] * 5, "an exit goes past a spent hour"
    assert len(stub.requests) == 14


@pytest.mark.parametrize(
    "changed",
    [{"price": Decimal("151.81")}, {"trigger_price": Decimal("151.00")}, {"price": Decimal("NaN")}, {"quantity": 0}],
)
def test_r20_new_terms_that_break_a_rule_do_not_leave(stub: WireStub, changed: dict[str, Any]) -> None:
    good = {"quantity": 75, "price": Decimal("151.80"), "trigger_price": Decimal("152.05")}
    change = OrderChange(order_type=OrderType.STOP_LIMIT, **{**good, **changed})
    reply = broker_of(stub).modify("7", STOP, change)
    assert (reply.outcome, bool(reply.reason), reply.throttled) == (Outcome.NOT_SENT, True, False)
    assert stub.connections == 0


def test_no_order_type_of_ours_is_a_stop_at_the_market(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"orderId": "7", "orderStatus": "TRANSIT"})
    broker = broker_of(stub)
    for order_type in OrderType:
        broker.place(replace(STOP, order_type=order_type))
    assert [request.document()["orderType"] for request in stub.requests] == ["LIMIT", "MARKET", "STOP_LOSS"]


def test_r3_a_snapshot_does_not_ask_on_when_nobody_answers(stub: WireStub) -> None:
    stub.default = lambda _: Reply(reset=True)
    snapshot = broker_of(stub).snapshot()
    assert not snapshot.known
    assert "positions cannot be read" in snapshot.reason
    assert {request.path for request in stub.requests} == {"/v2/positions"}


def test_two_rows_for_one_id_are_unreadable(stub: WireStub) -> None:
    stub.replies.append(http(200, [{}, {}]))
    with pytest.raises(BrokerUnavailable, match="2 rows"):
        broker_of(stub).order("7")


def test_a_snapshot_names_every_part_that_could_not_be_read(stub: WireStub) -> None:
    def answer(request: Received) -> Reply:
        return {
            "/v2/positions": http(200, [{"netQty": "x"}]),
            "/v2/trades/": http(500, b"<html>"),
            "/v2/orders": http(200, []),
            "/v2/fundlimit": http(200, {"availabelBalance": 5000.5}),
        }[request.path]

    stub.default = answer
    snapshot = broker_of(stub).snapshot()
    assert not snapshot.known
    assert "trade book" in snapshot.reason
    assert "exchangesegment" in snapshot.reason
    assert (snapshot.available_funds, snapshot.taken_at) == (Decimal("5000.5"), NOW)


def test_a_snapshot_whose_funds_cannot_be_read_is_known_without_them(stub: WireStub) -> None:
    def answer(request: Received) -> Reply:
        return http(500, b"<html>") if request.path == "/v2/fundlimit" else http(200, [])

    stub.default = answer
    snapshot = broker_of(stub).snapshot()
    assert (snapshot.known, snapshot.available_funds, snapshot.positions) == (True, None, ())


def test_warming_asks_nothing_of_a_connection_that_is_warm(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"availabelBalance": 1, "orderId": "7"})
    client = DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS)
    client.transport.idle_limit_s = 45.0
    broker = DhanBroker(client, lambda: NOW)
    assert [broker.warm() for _ in range(5)] == [True] * 5
    assert len(stub.requests) == 1
    client.transport.idle_limit_s = 10.0
    assert broker.warm()
    assert len(stub.requests) == 2


def test_warming_never_holds_a_lane_up(stub: WireStub) -> None:
    stub.replies.append(http(503, b""))
    broker = broker_of(stub)
    assert not broker.warm()
    assert len(stub.requests) == 1
    broker._client.transport.pace.refused(Bucket.OTHER, sent_at=broker._client.transport.pace.clock())
    broker._client.transport.idle_limit_s = 0.0
    assert not broker.warm()
    assert len(stub.requests) == 1


def test_warming_opens_the_connection_that_the_order_then_uses(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"availabelBalance": 1, "orderId": "7"})
    broker = broker_of(stub)
    assert broker.warm()
    broker.place(STOP)
    assert (stub.connections, len(stub.requests)) == (1, 2)


def test_what_was_not_accepted_is_logged_without_the_token(stub: WireStub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stub.replies.append(http(500, b"token"))
    broker_of(stub).place(STOP)
    assert "wb-1_a: unknown" in caplog.text
    assert "token" not in caplog.text
