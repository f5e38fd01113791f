"""The broker's own library, unmodified: login, super orders, limits of trading, papers, rate limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dhanhq
import pyotp
import pytest
from dhanhq import DhanContext, DhanHTTP, DhanLogin

from workbench.core.instrument import Right
from workbench.simulator import SimulatorConfig
from workbench.simulator.tokens import TokenKind
from workbench.testing.simulator import RunningSimulator, running_simulator

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
EMPTY = "Expecting value: line 1 column 1 (char 0)"
"""What the library says of an answer without a body, which is a success."""


@contextmanager
def market(**options: Any) -> Iterator[RunningSimulator]:
    with running_simulator(config=SimulatorConfig(**options)) as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DhanHTTP, "API_BASE_URL", running.base_url)
        patch.setattr(DhanLogin, "API_BASE_URL", running.base_url)
        patch.setattr(DhanLogin, "AUTH_BASE_URL", running.origin)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        running.open_market()
        running.advance(60)
        yield running


@contextmanager
def library(sim: RunningSimulator, token: str = "") -> Iterator[Any]:
    context = DhanContext(sim.client_id, token or sim.token)
    yield dhanhq.dhanhq(context)
    context.get_dhan_http().session.close()


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with market() as running:
        yield running


@pytest.fixture
def dhan(sim: RunningSimulator) -> Iterator[Any]:
    with library(sim) as client:
        yield client


def eventually(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    until = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def tick(price: float) -> float:
    return round(round(price / 0.05) * 0.05, 2)


def leg(dhan: Any, order_id: str, name: str) -> Any:
    rows = dhan.get_super_order_list()["data"]
    found = next(each for each in rows if each["orderId"] == order_id)
    return next(each for each in found["legDetails"] if each["legName"] == name)


def test_logs_in_by_pin_and_totp_and_the_old_token_is_dead() -> None:
    with market(pin="4321", totp_secret=SECRET) as sim:
        login = DhanLogin(sim.client_id)
        old = sim.token
        assert login.generate_token("4321", "000000") == {"status": "error", "message": "Invalid TOTP"}
        minted = eventually(lambda: _minted(login))
        assert {"dhanClientName", "dhanClientUcc", "expiryTime", "givenPowerOfAttorney"} <= set(minted)
        again = login.generate_token("4321", pyotp.TOTP(SECRET).now())
        assert again == {"status": "error", "message": "Token can be generated once every 2 minutes."}
        assert login.user_profile(minted["accessToken"])["dataPlan"] == "Active"
        with library(sim, old) as stale, library(sim, minted["accessToken"]) as fresh:
            assert stale.get_fund_limits()["remarks"]["error_code"] == "DH-901"
            assert fresh.get_fund_limits()["status"] == "success"
        with pytest.raises(Exception, match="Only tokens generated from Dhan Web"):
            login.renew_token(minted["accessToken"])


def _minted(login: Any) -> Any:
    """Mint; a code of a window that has just ended is refused, and the next one is taken."""
    answer = login.generate_token("4321", pyotp.TOTP(SECRET).now())
    return answer if "accessToken" in answer else None


def test_renews_a_token_of_the_web_page() -> None:
    with market(token_kind=TokenKind.WEB) as sim:
        login, old = DhanLogin(sim.client_id), sim.token
        renewed = login.renew_token(old)["accessToken"]
        assert renewed != old
        assert login.user_profile(renewed)["dhanClientId"] == sim.client_id
        with pytest.raises(Exception, match="DH-901"):
            login.user_profile(old)


def test_orders_need_the_registered_address() -> None:
    with market(ip_allowed=False) as sim, library(sim) as dhan:
        login, option = DhanLogin(sim.client_id), sim.option()
        shown = login.get_ip(sim.token)["data"]
        assert (shown["ordersAllowed"], shown["ipMatchStatus"]) == (False, "MISMATCH")
        refused = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0)
        assert refused["remarks"]["error_message"] == "Invalid IP"
        assert dhan.get_order_list()["data"] == []
        assert login.modify_ip(sim.token, shown["detectedIP"], "PRIMARY")["status"] == "success"
        placed = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0)
        assert placed["status"] == "success"


def test_breaks_a_rate_limit() -> None:
    with market(rate_scale=0.01) as sim, library(sim) as dhan:
        first = dhan.ticker_data({"IDX_I": [13]})
        second = dhan.ticker_data({"IDX_I": [13]})
        assert first["status"] == "success"
        assert second["remarks"]["error_code"] == "DH-904"
        assert dhan.get_positions()["status"] == "success"


def test_market_data_without_the_plan_is_refused_in_two_ways() -> None:
    with market(data_plan="Deactive") as sim, library(sim) as dhan:
        assert DhanLogin(sim.client_id).user_profile(sim.token)["dataPlan"] == "Deactive"
        candles = dhan.intraday_minute_data("13", "IDX_I", "INDEX", "2026-11-13", "2026-11-13")
        assert candles["remarks"]["error_code"] == "DH-902"
        quotes = dhan.ticker_data({"IDX_I": [13]})
        assert quotes["status"] == "failure"
        assert quotes["remarks"]["error_code"] is None  # The library loses the code of this shape.


def test_a_super_order_lives_through_all_its_methods(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option(right=Right.PE, steps=-1)
    last = float(sim.quote(option).ask)
    entry, target, stop = tick(last * 1.02), tick(last * 3), tick(last * 0.3)
    placed = dhan.place_super_order(
        option.security_id, "NSE_FNO", "BUY", option.lot, "LIMIT", "INTRADAY", entry, target, stop, 1.0, tag="super"
    )
    order_id = placed["data"]["orderId"]
    assert placed["data"]["orderStatus"] == "TRANSIT"
    assert eventually(lambda: dhan.get_order_by_id(order_id)["data"][0]["orderStatus"] == "TRADED")
    assert dhan.get_order_by_id(order_id)["data"][0]["legName"] == "ENTRY_LEG"
    sim.advance()
    assert leg(dhan, order_id, "STOP_LOSS_LEG")["orderStatus"] == "PENDING"
    moved = dhan.modify_super_order(order_id, "LIMIT", "STOP_LOSS_LEG", stopLossPrice=tick(stop + 1), trailingJump=0)
    assert moved["status"] == "success"
    assert leg(dhan, order_id, "STOP_LOSS_LEG")["price"] == tick(stop + 1)
    cancelled = dhan.cancel_super_order(order_id, "TARGET_LEG")
    assert (cancelled["status"], cancelled["remarks"]) == ("failure", EMPTY)
    assert leg(dhan, order_id, "TARGET_LEG")["orderStatus"] == "CANCELLED"
    # A stop above the market goes at once.
    high = tick(float(sim.quote(option).last) * 1.5)
    assert dhan.modify_super_order(order_id, "LIMIT", "STOP_LOSS_LEG", stopLossPrice=high)["status"] == "success"
    sim.advance()
    rows = {each["orderId"]: each for each in dhan.get_super_order_list()["data"]}
    assert rows[order_id]["orderStatus"] == "CLOSED"
    assert leg(dhan, order_id, "STOP_LOSS_LEG")["orderStatus"] == "TRIGGERED"
    assert sim.call(sim.simulator.book)["superOrders"] == dhan.get_super_order_list()["data"]


def test_the_account_is_read_and_stopped(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option(steps=2)
    legs = [
        {"securityId": option.security_id, "exchangeSegment": "NSE_FNO", "transactionType": side, "price": 100.0}
        | {"quantity": option.lot, "productType": "INTRADAY", "triggerPrice": 0}
        for side in ("BUY", "SELL")
    ]
    single = dhan.margin_calculator(option.security_id, "NSE_FNO", "SELL", option.lot, "INTRADAY", 100)["data"]
    both = dhan.margin_calculator_multi(legs)["data"]
    assert float(both["total_margin"]) == pytest.approx(single["totalMargin"] + 100 * option.lot, abs=0.01)
    order_id = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0)["data"]
    assert eventually(lambda: dhan.get_order_by_id(order_id["orderId"])["data"][0]["orderStatus"] == "TRADED")
    converted = dhan.convert_position("INTRADAY", "NSE_FNO", "LONG", option.security_id, option.lot, "MARGIN")
    assert (converted["status"], converted["remarks"]) == ("failure", EMPTY)
    rows = [each for each in dhan.get_positions()["data"] if each["securityId"] == option.security_id]
    assert {each["productType"]: each["netQty"] for each in rows} == {"INTRADAY": 0, "MARGIN": option.lot}
    assert dhan.set_pnl_exit(100_000, 100_000, ["INTRADAY", "DELIVERY"])["data"]["pnlExitStatus"] == "ACTIVE"
    assert dhan.get_pnl_exit()["data"]["productType"] == ["DELIVERY", "INTRADAY"]
    assert dhan.stop_pnl_exit()["data"]["pnlExitStatus"] == "DISABLED"
    assert dhan.kill_switch("activate")["status"] == "failure"
    assert dhan.exit_all_positions()["status"] == "success"
    assert all(each["netQty"] == 0 for each in dhan.get_positions()["data"])
    assert dhan.kill_switch("activate")["status"] == "success"
    assert dhan.status_kill_switch()["data"]["killSwitchStatus"] == "ACTIVATE"
    refused = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0)
    assert refused["remarks"]["error_code"] == "DH-906"
    assert dhan.kill_switch("deactivate")["status"] == "success"
    assert dhan.get_holdings()["remarks"]["error_code"] == "DH-1111"


def test_slices_over_the_freeze(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option(steps=-3)
    answer = dhan.place_slice_order(
        option.security_id, "NSE_FNO", "BUY", option.lot * 30, "LIMIT", "INTRADAY", 0.05, tag="slices"
    )
    ids = [each["orderId"] for each in answer["data"]]
    assert len(ids) == 2
    rows = {each["orderId"]: each for each in dhan.get_order_list()["data"]}
    assert [rows[each]["quantity"] for each in ids] == [option.lot * 27, option.lot * 3]
    assert {rows[each]["correlationId"] for each in ids} == {"slices"}


def test_the_papers_of_a_day_are_read_the_day_after() -> None:
    with market() as sim, library(sim) as dhan:
        option, day = sim.option(), sim.simulator.day.isoformat()
        order_id = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0)["data"]
        assert eventually(lambda: dhan.get_order_by_id(order_id["orderId"])["data"][0]["orderStatus"] == "TRADED")
        dhan.exit_all_positions()
        assert dhan.get_trade_history(day, day)["data"] == []
        sim.call(sim.simulator.next_day)
        history = dhan.get_trade_history(day, day)["data"]
        assert [each["transactionType"] for each in history] == ["SELL", "BUY"]
        assert [each["brokerageCharges"] for each in history] == [20.0, 20.0]
        assert history[0]["stt"] > history[1]["stt"] == 0
        ledger = dhan.ledger_report(day, day)["data"]
        assert float(ledger[-1]["runbal"]) == dhan.get_fund_limits()["data"]["sodLimit"]
        assert dhan.get_trade_book()["data"] == []


def test_conditions_are_listed_and_forever_orders_refused_in_words(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option()
    condition = {"comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": "IDX_I", "securityId": "13"}
    condition |= {"operator": "LESS_THAN", "comparingValue": "1.0", "frequency": "ONCE", "expDate": "2026-12-31"}
    order: dict[str, Any] = {"transactionType": "BUY", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY"}
    order |= {"securityId": option.security_id, "quantity": option.lot, "validity": "DAY", "price": "1.0"}
    order |= {"discQuantity": "0", "triggerPrice": "0", "orderType": "LIMIT"}
    alert_id = dhan.place_conditional_order(condition, [order])["data"]["alertId"]
    assert [each["alertId"] for each in dhan.get_conditional_orders()["data"]] == [alert_id]
    changed = dhan.modify_conditional_order(alert_id, condition | {"comparingValue": "2.0"})
    assert changed["data"]["alertStatus"] == "ACTIVE"
    assert dhan.get_conditional_order(alert_id)["data"]["condition"]["comparingValue"] == "2.0"
    assert dhan.cancel_conditional_order(alert_id)["data"]["alertStatus"] == "CANCELLED"
    assert dhan.get_forever()["data"] == []
    refused = dhan.place_forever(option.security_id, "NSE_FNO", "BUY", "CNC", "LIMIT", option.lot, 1.0, 1.0)
    assert "CNC and MTF" in refused["remarks"]["error_message"]
    assert dhan.cancel_forever("1")["remarks"]["error_code"] == "DH-906"
