"""The four ends of a write, told apart on real sockets; row ids are those of the fault catalogue."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.outcomes import judge_write, read_list
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.transport import Answer, Endpoint, Fate, Transport
from workbench.core.errors import BadInput, BrokerUnavailable
from workbench.core.messages import Outcome
from workbench.testing.wire_stub import Received, Reply, WireStub, free_port, http

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


def place(client: DhanClient) -> Answer:
    answer = client.api.place_order(**ORDER)["answer"]
    assert isinstance(answer, Answer)
    return answer


def error(code: str, message: str = "no", kind: str = "Order_Error") -> dict[str, str]:
    return {"errorType": kind, "errorCode": code, "errorMessage": message}


def test_the_bytes_are_those_of_the_unchanged_library(stub: WireStub) -> None:
    stub.replies.append(http(200, {"orderId": "112111182198", "orderStatus": "TRANSIT"}))
    verdict = judge_write(place(client_of(stub)))
    assert (verdict.outcome, verdict.order_id, verdict.status) == (Outcome.ACCEPTED, "112111182198", "TRANSIT")
    request = stub.requests[0]
    assert (request.method, request.path) == ("POST", "/v2/orders")
    assert request.headers["access-token"] == TOKEN
    assert request.headers["client-id"] == "1000000001"
    assert request.headers["content-type"] == "application/json"
    assert list(request.document().items()) == list(
        {
            "transactionType": "BUY",
            "exchangeSegment": "NSE_FNO",
            "productType": "INTRADAY",
            "orderType": "LIMIT",
            "validity": "DAY",
            "securityId": "55796",
            "quantity": 75,
            "disclosedQuantity": 0,
            "price": 152.3,
            "afterMarketOrder": False,
            "boProfitValue": None,
            "boStopLossValue": None,
            "triggerPrice": 0.0,
            "correlationId": "a1",
            "dhanClientId": "1000000001",
        }.items()
    )


def test_r5_a_port_on_which_nobody_listens_is_provably_not_sent() -> None:
    client = DhanClient(f"http://127.0.0.1:{free_port()}/v2", "1", TOKEN, Endpoint.ORDERS)
    assert judge_write(place(client)).outcome is Outcome.NOT_SENT


def test_r5_a_name_that_does_not_resolve_is_provably_not_sent() -> None:
    client = DhanClient("http://nowhere.invalid/v2", "1", TOKEN, Endpoint.ORDERS)
    client.transport._is_loopback = True  # keeps a proxy of the environment out of this test
    assert judge_write(place(client)).outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(wait=True), id="R1_no_reply"),
        pytest.param(Reply(close=True), id="R5_closed_after_the_request"),
        pytest.param(Reply(reset=True), id="R5_reset_after_the_request"),
        pytest.param(Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le", close=True), id="R5_cut_in_the_headers"),
        pytest.param(
            Reply(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"orderId":"1","ord', close=True),
            id="R4_cut_in_the_body",
        ),
        pytest.param(Reply(raw=b"\x16\x03\x01garbage\r\n\r\n", close=True), id="R4_no_http"),
        *(
            pytest.param(http(status, error("DH-905")), id=f"R3_{status}_even_with_an_error_body")
            for status in (500, 502, 503, 504)
        ),
        pytest.param(http(200, b"<html>Bad gateway</html>", kind="text/html"), id="R4_html"),
        pytest.param(http(403, b"<html>Forbidden</html>", kind="text/html"), id="R4_html_403"),
        pytest.param(http(200, b""), id="R4_empty"),
        pytest.param(http(202, b""), id="R4_empty_202"),
        pytest.param(http(200, b'{"orderId": NaN}'), id="R4_nan"),
        pytest.param(http(200, {"orderStatus": "TRANSIT"}), id="R4_200_without_order_id"),
        pytest.param(http(200, {"orderId": None}), id="R4_200_with_null_id"),
        pytest.param(http(200, {"orderId": True}), id="R4_200_with_true_as_id"),
        pytest.param(http(200, [{"orderId": "1"}]), id="R4_200_with_a_list"),
        pytest.param(http(200, error("DH-905")), id="R4_200_with_an_error"),
        pytest.param(http(429, b"slow down", kind="text/plain"), id="R2_429_that_does_not_say"),
        pytest.param(http(429, {"message": "too many"}), id="R2_429_without_code"),
        pytest.param(http(429, error("DH-906", "slow down")), id="R2_429_with_the_code_of_something_else"),
        pytest.param(http(400, error("DH-908")), id="R3_internal_error_as_400"),
        pytest.param(http(400, error("DH-909")), id="R3_network_error_as_400"),
        pytest.param(http(400, {"message": "no"}), id="R4_400_without_code"),
        pytest.param(http(404, {"timestamp": "x", "status": 404}), id="R4_unknown_path"),
    ],
)
def test_an_answer_that_proves_nothing_is_unknown_and_is_sent_once(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    verdict = judge_write(place(client_of(stub)))
    assert verdict.outcome is Outcome.UNKNOWN
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (http(400, error("DH-905", "Invalid IP")), "DH-905 Invalid IP"),
        (http(401, error("DH-901", "expired")), "DH-901 expired"),
        (http(400, error("DH-906", "Order is in Transit state")), "DH-906 Order is in Transit state"),
        (http(429, error("DH-904", "Too many", "Rate_Limit")), "DH-904 Too many"),
        (http(400, {"status": "failed", "data": {"813": "Invalid SecurityId"}}), "813 Invalid SecurityId"),
    ],
)
def test_r2_a_refusal_in_dhans_own_words_is_a_rejection(stub: WireStub, reply: Reply, reason: str) -> None:
    stub.replies.append(reply)
    verdict = judge_write(place(client_of(stub)))
    assert (verdict.outcome, verdict.reason) == (Outcome.REJECTED, reason)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (http(401, error("DH-901", "expired")), ["DH-901 expired"]),
        (http(400, error("DH-906", "Invalid Token")), ["DH-906 Invalid Token"]),
        (http(400, {"status": "failed", "data": {"807": "Access token is expired"}}), ["807 Access token is expired"]),
        (http(400, error("DH-905", "Invalid IP")), []),
        (http(401, b"<html>proxy</html>"), []),
    ],
)
def test_r7_a_refused_token_is_told_apart(stub: WireStub, reply: Reply, told: list[str]) -> None:
    stub.replies.append(reply)
    client, refusals = client_of(stub), list[str]()
    client.tell_token_refused(refusals.append)
    place(client)
    assert refusals == told


def test_r7_one_token_is_told_once_until_it_is_good_again_or_another_one(stub: WireStub) -> None:
    refused, good = http(401, error("DH-901", "expired")), http(200, [])
    stub.replies += [refused, refused, good, refused, refused]
    client, refusals = client_of(stub), list[str]()
    client.tell_token_refused(refusals.append)
    for _ in range(4):
        client.api.get_order_list()
    assert len(refusals) == 2
    client.renew_token("another")
    client.api.get_order_list()
    assert len(refusals) == 3


def test_r7_a_token_that_one_door_goes_on_to_refuse_is_told_again_and_again_for_its_keeper_to_count(
    stub: WireStub,
) -> None:
    stub.default = lambda _: http(401, error("DH-901", "expired"))
    client, refusals, now = client_of(stub), list[str](), [1000.0]
    client.transport.pace = Pace({}, clock=lambda: now[0])
    client.tell_token_refused(refusals.append)
    for _ in range(12):
        client.api.get_order_list()
        now[0] += 10.0
    assert len(refusals) == 4


def test_r7_an_answer_to_the_former_token_says_nothing_of_the_new_one(stub: WireStub) -> None:
    client, refusals = client_of(stub), list[str]()
    client.tell_token_refused(refusals.append)

    def renewed_meanwhile(_: Received) -> Reply:
        client.renew_token("another")
        return http(401, error("DH-901", "expired"))

    stub.default = renewed_meanwhile
    place(client)
    assert refusals == []


def test_an_error_with_http_200_is_no_success_for_the_library(stub: WireStub) -> None:
    stub.replies.append(http(200, {"errorCode": 806, "errorMessage": "Data APIs not subscribed"}))
    envelope = client_of(stub, Endpoint.DATA).api.ticker_data({"NSE_EQ": [1]})
    assert envelope["status"] == "failure"
    assert envelope["remarks"]["error_code"] == "806"


def test_r6_a_redirect_is_not_followed(stub: WireStub) -> None:
    with WireStub() as other:
        stub.replies.append(http(307, b"", extra=f"Location: {other.url}/orders\r\n"))
        assert judge_write(place(client_of(stub))).outcome is Outcome.UNKNOWN
        assert (len(stub.requests), other.connections) == (1, 0)


@pytest.mark.parametrize("method", ["modify", "cancel"])
def test_r6_nothing_is_repeated_by_the_libraries_below(stub: WireStub, method: str) -> None:
    stub.replies.append(Reply(reset=True))
    api = client_of(stub).api
    if method == "modify":
        api.modify_order("7", "LIMIT", "NA", 75, 1.0, 0.0, 0, "DAY")
    else:
        api.cancel_order("7")
    assert len(stub.requests) == 1


def test_an_answer_about_another_order_proves_nothing(stub: WireStub) -> None:
    stub.replies.append(http(200, {"orderId": "8", "orderStatus": "CANCELLED"}))
    answer = client_of(stub).api.cancel_order("7")["answer"]
    assert judge_write(answer, order_id="7").outcome is Outcome.UNKNOWN


def test_an_answer_that_drips_is_given_up(stub: WireStub) -> None:
    # Each byte comes within the read time-out, yet the whole would take for ever.
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    stub.replies.append(Reply(raw=head, drip_s=0.05))
    answer = place(client_of(stub))
    assert answer.fate is Fate.UNANSWERED
    assert "too slowly" in answer.reason
    assert answer.elapsed_s < 1.0


@pytest.mark.parametrize("path", ["/orders/../funds", "/orders/1/2", "/orders/1?x=/y", "//host/orders", "/orders/a b"])
def test_only_listed_paths_leave(stub: WireStub, path: str) -> None:
    transport = client_of(stub).transport
    envelope = transport.delete(path)
    sent = path.startswith("/orders/1?")
    assert (envelope["answer"].fate is Fate.ANSWERED) is sent
    assert stub.connections == int(sent)


def test_the_connection_is_kept_alive(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"orderId": "1"})
    client = client_of(stub)
    for _ in range(5):
        place(client)
    assert (stub.connections, len(stub.requests)) == (1, 5)


def test_an_idle_connection_is_not_used_again(stub: WireStub) -> None:
    transport = Transport(stub.url, "1", TOKEN, Endpoint.ORDERS)
    transport.idle_limit_s = 0.0
    transport.get("/orders")
    transport.get("/orders")
    assert stub.connections == 2


def test_a_look_that_keeps_a_lane_warm_holds_up_an_exit_for_a_second_or_two_at_most(stub: WireStub) -> None:
    stub.default = lambda _: Reply(wait=True)
    client = DhanClient(stub.url, "1000000001", TOKEN, Endpoint.ORDERS)
    began = time.monotonic()
    with client.transport.hurried():
        assert client.api.get_fund_limits()["answer"].fate is Fate.UNANSWERED
    assert time.monotonic() - began < 4.0


def test_a_connection_that_broke_is_not_called_warm(stub: WireStub) -> None:
    stub.replies += [http(200, []), Reply(reset=True)]
    client = client_of(stub)
    client.api.get_order_list()
    assert client.transport.idle_left_s > 0
    place(client)
    assert client.transport.idle_left_s < 0


def test_each_thread_has_a_connection_of_its_own(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"orderId": "1"})
    client = client_of(stub)
    place(client)
    lane = threading.Thread(target=place, args=(client,))
    lane.start()
    lane.join()
    place(client)
    assert stub.connections == 2


def test_a_renewed_token_is_used_from_the_next_request_on(stub: WireStub) -> None:
    client = client_of(stub)
    client.api.get_order_list()
    client.renew_token("another")
    client.api.get_order_list()
    assert [request.headers["access-token"] for request in stub.requests] == [TOKEN, "another"]


def test_i10_no_token_in_repr_reasons_or_logs(stub: WireStub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stub.replies += [http(400, error("DH-901", f"bad {TOKEN}")), Reply(reset=True), http(200, TOKEN.encode())]
    client = client_of(stub)
    answers = [place(client) for _ in range(3)]
    shown = "".join((repr(client), repr(client.transport), caplog.text, *(answer.reason for answer in answers)))
    assert TOKEN not in shown
    assert "1000000001" not in shown


def test_i10_a_token_renewed_while_its_request_was_under_way_is_hidden_too(stub: WireStub) -> None:
    client = client_of(stub)

    def renewed_meanwhile(_: Received) -> Reply:
        client.renew_token("another")
        return http(400, error("DH-905", f"bad {TOKEN}"))

    stub.default = renewed_meanwhile
    answer = place(client)
    assert TOKEN not in answer.reason
    assert judge_write(answer).reason == "DH-905 bad ***"


def test_a_price_that_is_no_number_does_not_leave(stub: WireStub) -> None:
    answer = client_of(stub).api.place_order(**{**ORDER, "price": float("nan")})["answer"]
    assert answer.fate is Fate.NOT_SENT
    assert stub.connections == 0


def test_a_client_without_token_is_refused() -> None:
    with pytest.raises(BadInput, match="DHAN_ACCESS_TOKEN"):
        DhanClient("http://127.0.0.1:1/v2", "1", "", Endpoint.ORDERS)


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b""),
        http(200, {"a": 1}),
        http(200, [1, 2]),
        http(200, [{"message": "no", "status": "ERROR"}]),
        http(500, []),
        http(500, error("DH-908")),
        Reply(reset=True),
        http(200, b"<html>"),
    ],
)
def test_a_list_that_cannot_be_read_is_never_empty(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    answer = client_of(stub).api.get_order_list()["answer"]
    with pytest.raises(BrokerUnavailable, match="order book cannot be read"):
        read_list(answer, "order book")


@given(status=st.integers(200, 599), body=st.binary(max_size=60))
def test_r4_rubbish_is_never_accepted_nor_rejected(status: int, body: bytes) -> None:
    try:
        document, is_json = json.loads(body), True
    except (ValueError, RecursionError):
        document, is_json = None, False
    answer = Answer(fate=Fate.ANSWERED, status=status, body=body, document=document, is_json=is_json)
    assert judge_write(answer).outcome is Outcome.UNKNOWN


@pytest.mark.shared
def test_recorded_answers_to_writes_are_judged_as_what_they_were(shared_data: Path) -> None:
    folder = shared_data / "dhan-recorded"
    ends: dict[str, Outcome] = {}
    for name in (
        "models/orders/create",
        "base_api/put_request",
        "client/error_invalid_payload",
        "models/orders/update",
    ):
        document = yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))
        response = document["http_interactions"][-1]["response"]
        body = response["body"]["string"].encode()
        answer = Answer(
            fate=Fate.ANSWERED, status=response["status"]["code"], body=body, document=json.loads(body), is_json=True
        )
        ends[name.split("/")[-1]] = judge_write(answer).outcome
    assert ends == {
        "create": Outcome.ACCEPTED,
        "put_request": Outcome.ACCEPTED,
        "error_invalid_payload": Outcome.REJECTED,
        "update": Outcome.REJECTED,
    }
