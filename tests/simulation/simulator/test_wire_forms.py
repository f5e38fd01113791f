"""What the broker's own library puts on the wire, byte by byte, and what has to be answered: line by line."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workbench.core.instrument import Instrument, Right
from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with running_simulator(config=SimulatorConfig(transit_s=0.05)) as running:
        running.open_market()
        yield running


def send(sim: RunningSimulator, method: str, path: str, body: object = None) -> tuple[int, Any, bytes]:
    """Send one request as the library does; give status, document (None where there is none) and bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    headers = {"access-token": sim.token, "client-id": sim.client_id, "Content-type": "application/json"}
    try:
        connection.request(method, f"/v2{path}", None if body is None else json.dumps(body), headers)
        answered = connection.getresponse()
        text = answered.read()
    finally:
        connection.close()
    return answered.status, json.loads(text) if text else None, text


def order_of(sim: RunningSimulator, option: Instrument, tag: str, **more: object) -> dict[str, object]:
    """Give the body that the library sends for a minimal order."""
    return {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "MARKET",
        "validity": "DAY", "securityId": option.security_id, "quantity": option.lot, "disclosedQuantity": 0,
        "price": 0.0, "afterMarketOrder": False, "boProfitValue": None, "boStopLossValue": None, "triggerPrice": 0.0,
        "correlationId": tag, "dhanClientId": sim.client_id, **more,
    }  # fmt: skip


def eventually(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    until = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def row_of(sim: RunningSimulator, order_id: str, *statuses: str) -> Any:
    """Wait for an order to be in one of these states and give it."""

    def found() -> Any:
        rows = send(sim, "GET", f"/orders/{order_id}")[1]
        return rows[0] if rows and rows[0]["orderStatus"] in statuses else None

    return eventually(found)


def test_the_life_of_a_market_order_nulls_and_further_keys_included(sim: RunningSimulator) -> None:
    option = sim.option()
    status, receipt, _ = send(sim, "POST", "/orders", order_of(sim, option, "life"))
    assert (status, receipt["orderStatus"]) == (200, "TRANSIT")
    row = row_of(sim, receipt["orderId"], "TRADED")
    # A market order is a limit order with price protection.
    assert row["orderType"] == "LIMIT"
    assert row["price"] > row["averageTradedPrice"] > 0
    assert (row["filledQty"], row["remainingQuantity"], row["legName"]) == (option.lot, 0, "NA")
    assert send(sim, "GET", "/orders/external/life")[1]["orderId"] == receipt["orderId"]


def test_a_modification_with_nulls_and_floats_for_whole_numbers(sim: RunningSimulator) -> None:
    option = sim.option(right=Right.PE)
    body = order_of(sim, option, "modified", orderType="LIMIT", price=1.0, quantity=float(option.lot))
    order_id = send(sim, "POST", "/orders", body)[1]["orderId"]
    assert row_of(sim, order_id, "PENDING")
    change = {
        "dhanClientId": sim.client_id, "orderId": order_id, "orderType": "LIMIT", "legName": None, "quantity": None,
        "price": 1.05, "disclosedQuantity": None, "triggerPrice": None, "validity": None,
    }  # fmt: skip
    assert send(sim, "PUT", f"/orders/{order_id}", change)[0] == 200
    [row] = send(sim, "GET", f"/orders/{order_id}")[1]
    assert (row["price"], row["quantity"], row["omsErrorDescription"]) == (1.05, option.lot, "CONFIRMED")
    assert isinstance(row["quantity"], int)
    status, cancelled, _ = send(sim, "DELETE", f"/orders/{order_id}")
    assert (status, cancelled) == (200, {"orderId": order_id, "orderStatus": "CANCELLED"})


def test_transit_is_found_in_the_book_and_not_by_its_tag_and_cannot_be_cancelled(sim: RunningSimulator) -> None:
    sim.fault("stuck_in_transit")
    order_id = send(sim, "POST", "/orders", order_of(sim, sim.option(), "transit"))[1]["orderId"]
    status, refused, _ = send(sim, "GET", "/orders/external/transit")
    assert (status, refused["errorCode"]) == (404, "DH-906")
    assert send(sim, "GET", f"/orders/{order_id}")[1][0]["orderStatus"] == "TRANSIT"
    status, refused, _ = send(sim, "DELETE", f"/orders/{order_id}")
    assert (status, refused["errorCode"]) == (400, "DH-906")


def test_partial_fills_are_counted_up_with_one_trade_each(sim: RunningSimulator) -> None:
    option = sim.option(steps=4)
    quote = sim.quote(option)
    lots = quote.ask_quantity // option.lot + 1
    body = order_of(sim, option, "parts", orderType="LIMIT", price=float(quote.ask), quantity=lots * option.lot)
    order_id = send(sim, "POST", "/orders", body)[1]["orderId"]
    row = row_of(sim, order_id, "PART_TRADED")
    assert row["filledQty"] == quote.ask_quantity
    assert row["remainingQuantity"] == row["quantity"] - row["filledQty"]
    trades = send(sim, "GET", f"/trades/{order_id}")[1]
    assert sum(each["tradedQuantity"] for each in trades) == row["filledQty"]
    assert send(sim, "DELETE", f"/orders/{order_id}")[0] == 200


def test_the_trade_book_stands_behind_a_trailing_slash(sim: RunningSimulator) -> None:
    status, trades, _ = send(sim, "GET", "/trades/")
    assert (status, trades) == (200, send(sim, "GET", "/trades")[1])


def test_an_unknown_order_is_an_empty_list_and_an_unknown_path_a_page_of_another_kind(sim: RunningSimulator) -> None:
    assert send(sim, "GET", "/orders/1234567890")[:2] == (200, [])
    status, missing, _ = send(sim, "GET", "/forever/all")
    assert status == 404
    assert set(missing) >= {"timestamp", "status", "error", "path"}


def test_no_holdings_is_an_error_of_500(sim: RunningSimulator) -> None:
    status, refused, _ = send(sim, "GET", "/holdings")
    assert (status, refused["errorCode"]) == (500, "DH-1111")


def test_the_kill_switch_takes_no_body(sim: RunningSimulator) -> None:
    status, refused, _ = send(sim, "POST", "/killswitch?killSwitchStatus=ACTIVATE")
    # There are positions: it is refused for them and not for its form.
    assert (status, refused["errorCode"]) == (400, "DH-906")
    assert send(sim, "GET", "/killswitch")[1]["killSwitchStatus"] == "DEACTIVATE"
    assert send(sim, "POST", "/killswitch?killSwitchStatus=DEACTIVATE")[0] == 200


def test_a_conversion_is_answered_with_202_and_nothing(sim: RunningSimulator) -> None:
    option = sim.option(steps=2)
    order_id = send(sim, "POST", "/orders", order_of(sim, option, "converted"))[1]["orderId"]
    assert row_of(sim, order_id, "TRADED")
    body = {
        "dhanClientId": sim.client_id, "fromProductType": "INTRADAY", "exchangeSegment": "NSE_FNO",
        "positionType": "LONG", "securityId": option.security_id, "convertQty": option.lot, "toProductType": "MARGIN",
    }  # fmt: skip
    assert send(sim, "POST", "/positions/convert", body) == (202, None, b"")


def test_a_super_order_is_cancelled_with_202_and_nothing(sim: RunningSimulator) -> None:
    option = sim.option(steps=1)
    price = float(sim.quote(option).last) // 2
    body = {
        "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "LIMIT",
        "securityId": option.security_id, "quantity": option.lot, "price": price, "targetPrice": price + 20,
        "stopLossPrice": price - 20, "trailingJump": 0.0, "correlationId": "super", "dhanClientId": sim.client_id,
    }  # fmt: skip
    order_id = send(sim, "POST", "/super/orders", body)[1]["orderId"]
    assert eventually(lambda: send(sim, "GET", "/super/orders")[1][0]["orderStatus"] == "PENDING")
    assert send(sim, "DELETE", f"/super/orders/{order_id}/ENTRY_LEG") == (202, None, b"")


@pytest.mark.parametrize(("tag", "status"), [("x" * 25, 200), ("x" * 26, 400), ("a b-c_1", 200), ("a/b", 400)])
def test_a_tag_has_25_characters_of_the_allowed_ones(sim: RunningSimulator, tag: str, status: int) -> None:
    body = order_of(sim, sim.option(right=Right.PE), tag, orderType="LIMIT", price=1.0)
    assert send(sim, "POST", "/orders", body)[0] == status


def test_an_order_without_a_tag_gets_one(sim: RunningSimulator) -> None:
    body = order_of(sim, sim.option(right=Right.PE), "", orderType="LIMIT", price=1.0)
    del body["correlationId"]
    order_id = send(sim, "POST", "/orders", body)[1]["orderId"]
    assert send(sim, "GET", f"/orders/{order_id}")[1][0]["correlationId"]


def test_errors_have_the_three_words(sim: RunningSimulator) -> None:
    for body in (order_of(sim, sim.option(), "x", price=""), {}, order_of(sim, sim.option(), "x", securityId="1")):
        status, refused, _ = send(sim, "POST", "/orders", body)
        assert (status, set(refused)) == (400, {"errorType", "errorCode", "errorMessage"})
        assert refused["errorCode"] == "DH-905"
