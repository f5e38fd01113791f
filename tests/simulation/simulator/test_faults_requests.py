"""Faults by name at requests and orders: what the client sees, and what the broker has done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from workbench.core.errors import BadInput
from workbench.core.instrument import Right
from workbench.simulator.fault_plan import HEALING, FaultPlan
from workbench.simulator.faults import BAD_TICKS, REQUESTS, FaultKind, read_fault
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def market() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        yield running


@pytest.fixture
def sim(market: RunningSimulator) -> Iterator[RunningSimulator]:
    yield market
    market.clear_faults()


@pytest.fixture
def http(sim: RunningSimulator) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update({"access-token": sim.token, "client-id": sim.client_id})
        yield session


def body(sim: RunningSimulator, tag: str) -> dict[str, Any]:
    option = sim.option(right=Right.PE)
    return {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "price": 1.0,
        "orderType": "LIMIT", "validity": "DAY", "securityId": option.security_id, "quantity": option.lot,
        "correlationId": tag,
    }  # fmt: skip


def place(sim: RunningSimulator, http: requests.Session, tag: str, timeout_s: float = 5.0) -> requests.Response:
    return http.post(f"{sim.base_url}/orders", json=body(sim, tag), timeout=timeout_s)


def truth(sim: RunningSimulator, tag: str) -> list[dict[str, Any]]:
    book: dict[str, Any] = sim.call(sim.simulator.book)
    return [each for each in book["orders"] if each["correlationId"] == tag]


def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> bool:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(condition())


CODES = ("http_429", "http_500", "http_502", "http_503", "http_504")


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("after", [False, True])
def test_r3_an_error_before_or_after_the_broker_has_accepted(
    sim: RunningSimulator, http: requests.Session, kind: str, after: bool
) -> None:
    tag = f"{kind}-{after}"
    sim.fault(kind, after=after)
    answered = place(sim, http, tag)
    assert answered.status_code == int(kind[-3:])
    assert len(truth(sim, tag)) == int(after)
    assert "Retry-After" not in answered.headers
    if kind == "http_429":
        assert answered.json()["errorCode"] == "DH-904"
    assert place(sim, http, f"{tag}-2").status_code == 200


def test_r1_the_broker_has_accepted_and_the_answer_comes_too_late(
    sim: RunningSimulator, http: requests.Session
) -> None:
    sim.fault("timeout_after_accept", seconds=1.0)
    with pytest.raises(requests.ReadTimeout):
        place(sim, http, "late", 0.2)
    assert len(truth(sim, "late")) == 1


def test_r1_the_broker_has_accepted_and_the_answer_is_lost(sim: RunningSimulator, http: requests.Session) -> None:
    sim.fault("lost_reply")
    with pytest.raises(requests.ConnectionError):
        place(sim, http, "lost")
    assert len(truth(sim, "lost")) == 1


def test_r5_a_reset_before_the_broker_saw_anything(sim: RunningSimulator, http: requests.Session) -> None:
    sim.fault("reset_before")
    with pytest.raises(requests.ConnectionError):
        place(sim, http, "reset")
    assert truth(sim, "reset") == []


@pytest.mark.parametrize("kind", ["html_body", "truncated_body", "empty_202"])
def test_r4_an_answer_that_is_none_though_the_order_exists(
    sim: RunningSimulator, http: requests.Session, kind: str
) -> None:
    sim.fault(kind, **({"after": True} if kind == "html_body" else {}))
    answered = place(sim, http, kind)
    assert answered.status_code == (202 if kind == "empty_202" else 200)
    with pytest.raises(requests.JSONDecodeError):
        answered.json()
    assert len(truth(sim, kind)) == 1


def test_r4_a_page_in_place_of_the_broker(sim: RunningSimulator, http: requests.Session) -> None:
    sim.fault("html_body", status=403)
    answered = place(sim, http, "page")
    assert (answered.status_code, answered.headers["content-type"]) == (403, "text/html")
    assert truth(sim, "page") == []


def test_r8_a_wrong_address_stops_writes_and_no_read(sim: RunningSimulator, http: requests.Session) -> None:
    placed = place(sim, http, "address").json()["orderId"]
    sim.fault("wrong_ip", count=3)
    url = f"{sim.base_url}/orders"
    answers = [
        place(sim, http, "address-2"),
        http.put(f"{url}/{placed}", json={"price": 2.0}, timeout=5),
        http.delete(f"{url}/{placed}", timeout=5),
    ]
    assert [(each.status_code, each.json()["errorCode"]) for each in answers] == [(400, "DH-905")] * 3
    assert {each.json()["errorMessage"] for each in answers} == {"Invalid IP"}
    assert http.get(url, timeout=5).status_code == 200
    assert http.delete(f"{url}/{placed}", timeout=5).status_code == 200


def test_a_rejection_comes_at_once_in_the_book(sim: RunningSimulator, http: requests.Session) -> None:
    sim.fault("reject", reason="RMS:1:Blocked for a test")
    assert place(sim, http, "rejected").status_code == 200
    assert eventually(lambda: truth(sim, "rejected")[0]["orderStatus"] == "REJECTED")
    assert truth(sim, "rejected")[0]["omsErrorDescription"] == "RMS:1:Blocked for a test"
    assert place(sim, http, "not-rejected").status_code == 200
    assert eventually(lambda: truth(sim, "not-rejected")[0]["orderStatus"] == "PENDING")


def test_a_rejection_comes_after_the_order_was_pending(sim: RunningSimulator, http: requests.Session) -> None:
    heard: list[str] = []
    tell = sim.simulator.updates.tell

    def listen(message: dict[str, Any]) -> None:
        if message["Data"]["CorrelationId"] == "acknowledged":
            heard.append(message["Data"]["Status"])
        tell(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sim.simulator.updates, "tell", listen)
        sim.fault("reject_after_ack", reason="EXCH:16283:Rejected by the exchange")
        assert place(sim, http, "acknowledged").status_code == 200
        assert eventually(lambda: "PENDING" in heard)
        sim.advance(2)
        assert eventually(lambda: heard[-1] == "REJECTED")
    assert heard == ["TRANSIT", "PENDING", "REJECTED"]


def test_r9_an_order_is_stuck_in_transit_and_can_be_neither_cancelled_nor_found(
    sim: RunningSimulator, http: requests.Session
) -> None:
    sim.fault("stuck_in_transit", seconds=5)
    placed = place(sim, http, "stuck").json()["orderId"]
    sim.advance(2)
    assert truth(sim, "stuck")[0]["orderStatus"] == "TRANSIT"
    cancelled = http.delete(f"{sim.base_url}/orders/{placed}", timeout=5)
    assert (cancelled.status_code, cancelled.json()["errorCode"]) == (400, "DH-906")
    assert "Transit" in cancelled.json()["errorMessage"]
    assert http.get(f"{sim.base_url}/orders/external/stuck", timeout=5).status_code == 404
    sim.advance(6)
    assert truth(sim, "stuck")[0]["orderStatus"] == "PENDING"


@pytest.mark.parametrize("book", [False, True])
def test_r1_a_lookup_that_lags_finds_the_order_later(sim: RunningSimulator, http: requests.Session, book: bool) -> None:
    tag = f"lag-{book}"
    sim.fault("lagging_lookup", seconds=600, book=book)
    placed = place(sim, http, tag).json()["orderId"]
    look_up, orders = f"{sim.base_url}/orders/external/{tag}", f"{sim.base_url}/orders"
    missing = http.get(look_up, timeout=5)
    assert (missing.status_code, missing.json()["errorCode"]) == (404, "DH-906")
    assert (placed not in {each["orderId"] for each in http.get(orders, timeout=5).json()}) is book
    assert (http.get(f"{orders}/{placed}", timeout=5).json() == []) is book
    assert len(truth(sim, tag)) == 1
    sim.fault("lagging_lookup", seconds=0.2, book=book)
    found = place(sim, http, f"{tag}-2").json()["orderId"]
    assert eventually(lambda: http.get(f"{look_up}-2", timeout=5).status_code == 200)
    assert found in {each["orderId"] for each in http.get(orders, timeout=5).json()}


def test_a_fault_passes_some_strikes_so_often_and_no_more(sim: RunningSimulator, http: requests.Session) -> None:
    sim.fault("http_500", match="GET /fundlimit", skip=1, count=2)
    codes = [http.get(f"{sim.base_url}/fundlimit", timeout=5).status_code for _ in range(5)]
    assert codes == [200, 500, 500, 200, 200]
    # A path is meant as a whole: /orders is not /orderslip.
    assert not read_fault({"kind": "delay", "match": "GET /orders"}).meets("GET", "/v2/orderslip")
    assert read_fault({"kind": "delay", "match": "GET"}).meets("GET", "/v2/anything")
    assert read_fault({"kind": "delay", "match": "/orders"}).meets("PUT", "/v2/orders/1")


def test_a_fault_waits_for_its_market_time(sim: RunningSimulator, http: requests.Session) -> None:
    due = sim.simulator.now.replace(microsecond=0)
    later = f"{due.hour:02d}:{due.minute + 1:02d}:{due.second:02d}"
    sim.fault("http_503", match="GET /positions", at=later)
    url = f"{sim.base_url}/positions"
    assert http.get(url, timeout=5).status_code == 200
    sim.advance(60)
    assert http.get(url, timeout=5).status_code == 503
    assert sim.fired()[-1]["at"] == sim.simulator.now.isoformat()
    assert sim.fired()[-1]["struck"] == "GET /v2/positions"
    with pytest.raises(BadInput, match="too late"):
        sim.fault("http_503", at="09:15")


def test_the_control_port_orders_lists_and_clears(sim: RunningSimulator, http: requests.Session) -> None:
    door = f"{sim.origin}/simulator"
    ordered = http.post(f"{door}/fault", json={"kind": "http_500", "match": "GET /trades", "count": 2}, timeout=5)
    assert ordered.status_code == 200
    assert http.get(f"{sim.base_url}/trades", timeout=5).status_code == 500
    listed = http.get(f"{door}/faults", timeout=5).json()
    assert [(each["kind"], each["count"]) for each in listed["waiting"]] == [("http_500", 1)]
    assert listed["fired"][-1]["kind"] == "http_500"
    assert http.delete(f"{door}/faults", timeout=5).json()["waiting"] == []
    assert http.get(f"{sim.base_url}/trades", timeout=5).status_code == 200
    refused = http.post(f"{door}/fault", json={"kind": "htp_500"}, timeout=5)
    assert refused.status_code == 400
    assert "did you mean 'http_500'" in refused.json()["error"]
    assert http.post(f"{door}/fault", data=b"rubbish", timeout=5).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "unknown fault"),
        ({"kind": "http_500", "cuont": 2}, "did you mean 'count'"),
        ({"kind": "http_500", "count": 0}, "at least 1"),
        ({"kind": "http_500", "count": True}, "at least 1"),
        ({"kind": "http_500", "count": "2"}, "at least 1"),
        ({"kind": "delay", "seconds": 0}, "above 0"),
        ({"kind": "delay", "seconds": float("nan")}, "above 0"),
        ({"kind": "http_500", "at": "half past ten"}, "10:30"),
        ({"kind": "http_500", "match": "PATCH /orders"}, "POST /orders"),
        ({"kind": "http_500", "match": "POST orders"}, "POST /orders"),
        ({"kind": "lost_reply", "after": True}, "its own place"),
        ({"kind": "bad_ticks", "what": "zerro"}, "did you mean 'zero'"),
        ({"kind": "bad_ticks", "match": "POST /orders"}, "leave 'match' out"),
        ({"kind": "disconnect", "match": "orders"}, "'feed' or 'updates'"),
        ({"kind": "disconnect", "reason": "expired"}, "805 to 810"),
    ],
)
def test_what_is_no_fault_is_refused_with_the_way_out(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_fault(wrong)


def test_a_plan_is_read_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    file.write_text('# a day\n\n{"kind": "http_500", "at": "10:30"}\n{"kind": "feed_silent"}\n', encoding="utf-8")
    plan = FaultPlan.read(file)
    assert [each.kind for each in plan.faults] == [FaultKind.HTTP_500, FaultKind.FEED_SILENT]
    for line, said in (('{"kind": "htp_500"}', "did you mean 'http_500'"), ("{", "no JSON"), ("[1]", "JSON object")):
        file.write_text(f"# a day\n{line}\n", encoding="utf-8")
        with pytest.raises(BadInput, match="line 2: ") as refused:
            FaultPlan.read(file)
        assert said in str(refused.value)
    with pytest.raises(BadInput, match="cannot be read"):
        FaultPlan.read(tmp_path / "missing")


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_a_seed_gives_the_same_plan_with_every_kind_in_it(tmp_path: Path, seed: int) -> None:
    plan = FaultPlan.seeded(seed, 6)
    assert plan.faults == FaultPlan.seeded(seed, 6).faults
    assert plan.faults != FaultPlan.seeded(seed + 1, 6).faults
    assert {each.kind for each in plan.faults} == set(HEALING)
    file = tmp_path / "faults.jsonl"
    file.write_text(plan.lines(), encoding="utf-8")
    assert FaultPlan.read(file).faults == plan.faults
    assert {each.kind for each in FaultPlan.seeded(seed, 20, sorted(REQUESTS)).faults} == set(REQUESTS)
    with pytest.raises(BadInput, match="faults an hour"):
        FaultPlan.seeded(seed, 0)


def test_the_page_names_every_fault_and_its_examples_are_faults() -> None:
    page = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert [each.value for each in FaultKind if f"`{each.value}`" not in page] == []
    assert [each for each in BAD_TICKS if f"`{each}`" not in page] == []
    examples = page.split("```json\n")[1].split("```")[0].splitlines()
    assert len([read_fault(json.loads(line)) for line in examples]) == 4


def test_a_seeded_plan_can_be_ordered_whole(sim: RunningSimulator) -> None:
    plan = FaultPlan.seeded(3, 6)
    sim.order(*plan.faults)
    assert len(sim.application.faults.waiting) == len(plan.faults)
    # The plan is untouched: it can be ordered again.
    assert plan.faults == FaultPlan.seeded(3, 6).faults
