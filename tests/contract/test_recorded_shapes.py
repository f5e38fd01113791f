"""The simulator's answer beside Dhan's to the same request: the same keys, kinds of values and HTTP status.

A request is put to what the simulator lists (its own options for a share, its own orders for an order); nothing else of
it is changed. Where the two may differ stands in a table, with the reason.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.recordings import Exchange, read_all
from workbench.core.instrument import Instrument
from workbench.testing.simulator import RunningSimulator, running_simulator

pytestmark = pytest.mark.shared

OWN_KEYS = re.compile(r"[\d.]+|[A-Z]{2,3}_[A-Z]{1,4}")
"""Keys that are data: ids, strikes, segments."""


def shape(value: Any, *, with_points: bool = True) -> Any:
    """Give what a JSON value is made of: keys with their kinds; a list and a table of ids as the kinds of their items.

    Parameters
    ----------
    with_points : bool
        Tell numbers with a point from those without.
    """

    def kinds(values: Any) -> tuple[Any, ...]:
        found: list[Any] = []
        for each in values:
            kind = shape(each, with_points=with_points)
            if kind not in found:
                found.append(kind)
        return tuple(sorted(found, key=repr))

    match value:
        case dict() if value and all(OWN_KEYS.fullmatch(key) for key in value):
            return {"<key>": kinds(value.values())}
        case dict():
            return {key: shape(item, with_points=with_points) for key, item in value.items()}
        case list():
            return [kinds(value)]
        case None:
            return "null"
        case bool() | str():
            return type(value).__name__
        case _:
            return type(value).__name__ if with_points else "number"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1.0}, {"a": 2.5}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {"a": 1}, False),
        ([1, 2], [3], True),
        ([1], ["1"], False),
        ({"17750.000000": {"ce": 1}}, {"24000.000000": {"ce": 2}, "24050.000000": {"ce": 2}}, True),
        ({"NSE_FNO": {"49081": 1}}, {"IDX_I": {"13": 1}}, True),
        ([{"a": 1}], [{"a": 1}, {"a": "x"}], False),
    ],
)
def test_shapes_tell_apart_what_differs(one: object, other: object, same: bool) -> None:
    assert (shape(one) == shape(other)) is same


def test_shapes_may_pass_over_the_point_of_a_number() -> None:
    assert shape([{"a": 1}, {"a": 2.5}], with_points=False) == shape([{"a": 7}], with_points=False)
    assert shape([{"a": 1}], with_points=False) != shape([{"a": "1"}], with_points=False)


@dataclass(slots=True)
class Floor:
    """A simulator with an account that has a yesterday, and orders in several states."""

    sim: RunningSimulator
    option: Instrument
    resting: str = ""
    cancelled: str = ""
    days: tuple[str, str] = ("", "")
    expiry: str = ""

    def send(self, method: str, path: str, body: object = None, *, token: str = "") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=10)
        headers = {"access-token": token or self.sim.token, "Content-type": "application/json"}
        try:
            connection.request(method, f"/v2{path}", None if body is None else json.dumps(body), headers)
            answered = connection.getresponse()
            text = answered.read()
        finally:
            connection.close()
        return answered.status, json.loads(text) if text else None

    def order(self, **more: object) -> dict[str, object]:
        """Give the body of an order, as it was recorded, for something that is listed here."""
        return {
            "correlationId": "a-tag", "transactionType": "BUY", "exchangeSegment": "NSE_FNO", "orderType": "MARKET",
            "productType": "INTRADAY", "validity": "DAY", "securityId": self.option.security_id, "price": 0.0,
            "quantity": self.option.lot, **more,
        }  # fmt: skip

    def place(self, **more: object) -> str:
        status, answer = self.send("POST", "/orders", self.order(**more))
        assert status == 200, answer
        order_id = str(answer["orderId"])
        self.sim.advance()
        return order_id


@pytest.fixture(scope="module")
def floor() -> Iterator[Floor]:
    with running_simulator() as sim:
        sim.open_market()
        floor = Floor(sim, sim.option())
        floor.place()
        floor.send("DELETE", "/positions")
        sim.advance()
        first = sim.simulator.day.isoformat()
        sim.call(sim.simulator.next_day)
        sim.open_market()
        sim.advance(60)
        floor.days = first, sim.simulator.day.isoformat()
        floor.option = sim.option()
        floor.expiry = str(floor.option.expiry)
        floor.place()
        floor.place(transactionType="SELL")
        floor.cancelled = floor.place(orderType="LIMIT", price=1.0)
        floor.send("DELETE", f"/orders/{floor.cancelled}")
        floor.resting = floor.place(orderType="LIMIT", price=1.0)
        yield floor


@pytest.fixture(scope="module")
def exchanges(shared_data: Path) -> dict[str, Exchange]:
    return {each.name: each for each in read_all(shared_data / "dhan-recorded")}


Asked = tuple[str, str, object]


def _same(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, exchange.path, exchange.request


def _index(floor: Floor, exchange: Exchange) -> Asked:
    """Candles of the index, of the day before."""
    until = floor.days[0] if exchange.path.endswith("intraday") else floor.days[1]
    index = {"securityId": "13", "exchangeSegment": "IDX_I", "instrument": "INDEX"}
    return exchange.method, exchange.path, exchange.request | index | {"fromDate": floor.days[0], "toDate": until}


def _one_option(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, exchange.path, {"NSE_FNO": [int(floor.option.security_id)]}


def _margin(floor: Floor, exchange: Exchange) -> Asked:
    option = {"exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "securityId": floor.option.security_id}
    return exchange.method, exchange.path, exchange.request | option


def _nearest_expiry(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, exchange.path, exchange.request | {"Expiry": floor.expiry}


def _new_order(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, exchange.path, floor.order()


def _resting(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, f"/orders/{floor.resting}", exchange.request


def _cancelled(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, f"/orders/{floor.cancelled}", exchange.request


def _day_before(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, f"/trades/{floor.days[0]}/{floor.days[0]}/0", exchange.request


def _two_days(floor: Floor, exchange: Exchange) -> Asked:
    return exchange.method, f"/ledger?from-date={floor.days[0]}&to-date={floor.days[1]}", exchange.request


PUT_TO: Mapping[str, Callable[[Floor, Exchange], Asked]] = {
    "base_api/charts_historical.yml#0": _index,
    "base_api/charts_historical.yml#1": _same,
    "base_api/margin_calculator.yml#0": _margin,
    "base_api/marketfeed_ltp.yml#0": _same,
    "base_api/marketfeed_ohlc.yml#0": _one_option,
    "base_api/marketfeed_quote.yml#0": _one_option,
    "base_api/optionchain.yml#0": _nearest_expiry,
    "base_api/optionchain_expirylist.yml#0": _same,
    "client/error_400.yml#0": _same,
    "client/error_500.yml#0": _same,
    "client/error_dh_901.yml#0": _same,
    "client/error_invalid_payload.yml#0": _same,
    "client/error_response.yml#0": _same,
    "client/error_unknown.yml#0": _same,
    "client/invalid_json_response.yml#0": _same,
    "client/large_payload.yml#0": _same,
    "client/margin_calculator.yml#0": _margin,
    "client/market_quote.yml#0": _one_option,
    "client/marketfeed_ltp.yml#0": _same,
    "client/marketfeed_ohlc.yml#0": _same,
    "client/marketfeed_quote.yml#0": _same,
    "client/optionchain.yml#0": _nearest_expiry,
    "client/optionchain_expirylist.yml#0": _same,
    "models/funds.yml#0": _same,
    "models/historical_data.yml#0": _index,
    "models/historical_data.yml#1": _index,
    "models/ledger_entry.yml#0": _two_days,
    "models/margin.yml#0": _margin,
    "models/market_feed.yml#0": _same,
    "models/market_feed.yml#1": _same,
    "models/market_feed.yml#2": _same,
    "models/option_chain.yml#0": _nearest_expiry,
    "models/orders/all.yml#0": _same,
    "models/orders/create.yml#0": _new_order,
    "models/orders/order.yml#0": _resting,
    "models/orders/update.yml#0": _cancelled,
    "models/trade.yml#0": _day_before,
    "models/trade_history.yml#0": _day_before,
    "models/trade_today.yml#0": _same,
}
"""What is asked of the simulator for each recorded request."""

DEAD_TOKEN = {"base_api/charts_historical.yml#1", "client/error_dh_901.yml#0"}
"""Requests whose token was not good."""

NOT_COMPARED = {
    "client/error_dh_905.yml#0": "an unknown order was refused in January 2025 and was [] in February (recorded too)",
    "models/holdings.yml#0": "no share is listed in the simulator, so nothing can be held over night",
    "models/orders/update.yml#1": "the market has to be closed: a test of its own",
}

GAINED = {"average_price": "chains", "security_id": "chains"}
"""Keys that the broker's replies have gained since they were recorded (documents of 2026), and where."""

WITHOUT_POINTS = ("/marketfeed/", "/optionchain")
"""Here a whole number is written without a point, so whether it has one is chance."""


def test_every_real_reply_is_compared_or_named(exchanges: Mapping[str, Exchange]) -> None:
    real = {name for name, each in exchanges.items() if not each.template}
    assert set(PUT_TO) | set(NOT_COMPARED) == real
    assert not set(PUT_TO) & set(NOT_COMPARED)


@pytest.mark.parametrize("name", sorted(PUT_TO))
def test_the_simulator_answers_in_the_shape_of_the_real_reply(
    floor: Floor, exchanges: Mapping[str, Exchange], name: str
) -> None:
    exchange = exchanges[name]
    method, path, body = PUT_TO[name](floor, exchange)
    status, document = floor.send(method, path, body, token="dead" if name in DEAD_TOKEN else "")
    exact = not exchange.path.startswith(WITHOUT_POINTS)
    if exchange.path == "/optionchain":
        document = _as_then(document)
    assert status == exchange.status
    assert shape(document, with_points=exact) == shape(exchange.document, with_points=exact)
    if status != 200:
        assert _lasting(document) == _lasting(exchange.document)


def _lasting(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give an answer without the moment at which it was given."""
    return {key: each for key, each in document.items() if key != "timestamp"}


def _as_then(document: Any) -> Any:
    """Give a chain without the keys that it has gained."""
    match document:
        case dict():
            return {key: _as_then(each) for key, each in document.items() if GAINED.get(key) != "chains"}
        case _:
            return document


def test_a_closed_market_refuses_a_change_in_the_recorded_words(exchanges: Mapping[str, Exchange]) -> None:
    exchange = exchanges["models/orders/update.yml#1"]
    with running_simulator() as sim:
        floor = Floor(sim, sim.option())
        order_id = floor.send("POST", "/orders", floor.order(orderType="LIMIT", price=1.0))[1]["orderId"]
        assert floor.send("PUT", f"/orders/{order_id}", exchange.request) == (exchange.status, exchange.document)
