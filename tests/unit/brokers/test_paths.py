"""What may leave on which connection, asked of every method that the library has."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.transport import Answer, Endpoint, Fate
from workbench.testing.wire_stub import WireStub, http

TOKEN = "secret-token-of-a-trader"


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def client_of(stub: WireStub, endpoint: Endpoint = Endpoint.ORDERS) -> DhanClient:
    return DhanClient(stub.url, "1000000001", TOKEN, endpoint, timeouts_s=(0.3, 0.3))


ARGUMENTS: dict[str, Any] = {
    "security_id": "55796",
    "under_security_id": 13,
    "exchange_segment": "NSE_FNO",
    "under_exchange_segment": "IDX_I",
    "transaction_type": "BUY",
    "quantity": 75,
    "order_type": "LIMIT",
    "product_type": "INTRADAY",
    "price": 100.0,
    "targetPrice": 110.0,
    "stopLossPrice": 90.0,
    "leg_name": "ENTRY_LEG",
    "order_leg": "ENTRY_LEG",
    "action": "ACTIVATE",
    "condition": {"exchangeSegment": "NSE_EQ"},
    "orders": [{"securityId": "1"}],
    "securities": {"NSE_EQ": [1]},
    "scrip_list": [{"securityId": "1"}],
    "expiry_flag": "WEEK",
    "expiry_code": 1,
    "drv_option_type": "CALL",
    "required_data": ["close"],
    "profit_value": 1.0,
    "loss_value": 1.0,
    "trigger_price": 99.0,
    "disclosed_quantity": 0,
    "triggerPrice": 99.0,
    "trigger_Price": 99.0,
    "order_flag": "SINGLE",
}
# What these do is not a request of the library's own HTTP object (a file, a browser) or no request at all.
ELSEWHERE = {"fetch_security_list", "fetch_global_security_list", "open_browser_for_tpin", "convert_to_date_time"}


def call_every_method(client: DhanClient) -> dict[str, list[Answer]]:
    """Call all that the library offers and give the answers that each method saw."""
    seen: dict[str, list[Answer]] = {}
    sent = client.transport._call

    def spy(method: str, path: str, payload: dict[str, Any] | None) -> dict[str, Any]:
        envelope = sent(method, path, payload)
        seen.setdefault(name, []).append(envelope["answer"])
        return envelope

    client.transport._call = spy  # type: ignore[method-assign]
    for name in dir(client.api):
        method = getattr(client.api, name)
        if name.startswith("_") or name in ELSEWHERE or not inspect.ismethod(method):
            continue
        wanted = inspect.signature(method).parameters.values()
        arguments = {each.name: ARGUMENTS.get(each.name, "1") for each in wanted if each.default is each.empty}
        optional = {each.name: ARGUMENTS[each.name] for each in wanted if each.name in ARGUMENTS}
        # Two methods stumble over a failure of their own making, after the request.
        with contextlib.suppress(TypeError, KeyError):
            method(**{**arguments, **optional})
    return seen


def test_i6_no_method_of_the_library_writes_on_a_data_connection(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"status": "success", "data": {}})
    seen = call_every_method(client_of(stub, Endpoint.DATA))
    assert len(seen) > 45, "the library lost methods, or they are no longer called"
    reached = {name for name, answers in seen.items() if any(each.fate is not Fate.NOT_SENT for each in answers)}
    assert reached == {
        "expired_options_data", "expiry_list", "historical_daily_data", "intraday_minute_data",
        "ohlc_data", "option_chain", "quote_data", "ticker_data",
    }  # fmt: skip
    assert {request.method for request in stub.requests} == {"POST"}
    assert {request.path.split("/")[2] for request in stub.requests} == {"charts", "marketfeed", "optionchain"}


def test_i6_an_order_connection_lets_out_only_what_the_project_uses(stub: WireStub) -> None:
    seen = call_every_method(client_of(stub))
    reached = {name for name, answers in seen.items() if any(each.fate is not Fate.NOT_SENT for each in answers)}
    assert reached == {
        "place_order", "modify_order", "cancel_order", "get_order_list", "get_order_by_id",
        "get_order_by_correlationID", "get_trade_book", "get_positions", "get_holdings", "get_fund_limits",
        "margin_calculator", "margin_calculator_multi", "place_super_order", "modify_super_order", "cancel_super_order",
        "get_super_order_list", "kill_switch", "status_kill_switch", "set_pnl_exit", "get_pnl_exit", "stop_pnl_exit",
        "exit_all_positions", "convert_position",
    }  # fmt: skip
