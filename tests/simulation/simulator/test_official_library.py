"""The broker's own library, unmodified, against the simulator: only its addresses are re-pointed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dhanhq
import pytest
from dhanhq import DhanContext, DhanHTTP, DhanLogin, MarketFeed, OrderUpdate, Security

from workbench.core.instrument import Right
from workbench.simulator import SimulatorConfig
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with running_simulator(config=SimulatorConfig()) as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DhanHTTP, "API_BASE_URL", running.base_url)
        patch.setattr(DhanLogin, "API_BASE_URL", running.base_url)
        patch.setattr(MarketFeed, "market_feed_wss", running.feed_url)
        patch.setattr(Security, "COMPACT_CSV_URL", running.compact_master_url)
        patch.setattr(Security, "DETAILED_CSV_URL", running.detailed_master_url)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        running.open_market()
        running.advance(60)
        yield running


@pytest.fixture(scope="module")
def context(sim: RunningSimulator) -> Any:
    return DhanContext(sim.client_id, sim.token)


@pytest.fixture(scope="module")
def dhan(context: Any) -> Iterator[Any]:
    client = dhanhq.dhanhq(context)
    yield client
    context.get_dhan_http().session.close()


def eventually(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    until = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def test_places_and_reads_a_market_order(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option(steps=1)
    placed = dhan.place_order(
        option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0, tag="library-1"
    )
    assert placed["status"] == "success"
    assert placed["data"]["orderStatus"] == "TRANSIT"
    order_id = placed["data"]["orderId"]
    order = eventually(lambda: _traded(dhan, order_id))
    assert order["orderType"] == "LIMIT"  # Dhan turns a market order into a limit order with price protection
    assert order["correlationId"] == "library-1"
    assert (order["filledQty"], order["remainingQuantity"]) == (option.lot, 0)
    assert dhan.get_order_by_correlationID("library-1")["data"]["orderId"] == order_id
    assert order_id in [each["orderId"] for each in dhan.get_order_list()["data"]]
    trades = dhan.get_trade_book(order_id)["data"]
    assert sum(each["tradedQuantity"] for each in trades) == option.lot
    assert trades[0]["tradedPrice"] == order["averageTradedPrice"]
    assert dhan.get_trade_book()["data"]
    positions = {each["securityId"]: each for each in dhan.get_positions()["data"]}
    assert positions[option.security_id]["netQty"] == option.lot
    funds = dhan.get_fund_limits()["data"]
    assert funds["availabelBalance"] < funds["sodLimit"]
    assert funds["utilizedAmount"] == pytest.approx(order["averageTradedPrice"] * option.lot)


def _traded(dhan: Any, order_id: str) -> Any:
    order = dhan.get_order_by_id(order_id)["data"][0]
    return order if order["orderStatus"] == "TRADED" else None


def test_modifies_and_cancels_a_resting_order(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option(right=Right.PE, steps=-2)
    low = float(sim.quote(option).last) * 0.5
    price = round(round(low / 0.05) * 0.05, 2)
    order_id = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "LIMIT", "INTRADAY", price)["data"][
        "orderId"
    ]
    eventually(lambda: dhan.get_order_by_id(order_id)["data"][0]["orderStatus"] == "PENDING")
    changed = dhan.modify_order(order_id, "LIMIT", None, option.lot * 2, price + 0.05, 0, 0, "DAY")
    assert changed["status"] == "success"
    order = dhan.get_order_by_id(order_id)["data"][0]
    assert (order["quantity"], order["price"]) == (option.lot * 2, pytest.approx(price + 0.05))
    assert dhan.cancel_order(order_id)["data"] == {"orderId": order_id, "orderStatus": "CANCELLED"}
    again = dhan.cancel_order(order_id)
    assert again["status"] == "failure"
    assert again["remarks"]["error_code"] == "DH-906"


def test_reads_what_is_not_there_as_dhan_answers_it(dhan: Any) -> None:
    assert dhan.get_order_by_id("999")["data"] == []
    assert dhan.get_order_by_correlationID("nobody")["remarks"]["error_code"] == "DH-906"
    assert dhan.get_holdings()["remarks"]["error_code"] == "DH-1111"
    refused = dhan.place_order("1", "NSE_FNO", "BUY", 50, "LIMIT", "INTRADAY", 10)
    assert refused["remarks"]["error_code"] == "DH-905"
    assert dhan.cancel_order("999")["remarks"]["error_code"] == "DH-906"


def test_refuses_a_wrong_token(sim: RunningSimulator) -> None:
    stranger = DhanContext(sim.client_id, "wrong")
    answer = dhanhq.dhanhq(stranger).get_fund_limits()
    stranger.get_dhan_http().session.close()
    assert answer["remarks"]["error_code"] == "DH-901"


def test_reads_snapshots_candles_chain_and_margin(sim: RunningSimulator, dhan: Any) -> None:
    option = sim.option()
    number = int(option.security_id)
    last = dhan.ticker_data({"IDX_I": [13], "NSE_FNO": [number]})["data"]["data"]
    assert last["IDX_I"]["13"]["last_price"] > 1000
    assert set(dhan.ohlc_data({"NSE_FNO": [number]})["data"]["data"]["NSE_FNO"][str(number)]["ohlc"]) == {
        "open", "high", "low", "close",
    }  # fmt: skip
    quote = dhan.quote_data({"NSE_FNO": [number, 1]})["data"]["data"]["NSE_FNO"]
    assert list(quote) == [str(number)]
    assert len(quote[str(number)]["depth"]["buy"]) == 5
    today = sim.simulator.day.isoformat()
    candles = dhan.intraday_minute_data("13", "IDX_I", "INDEX", "2026-11-02", today)["data"]
    # Nine full sessions (the 10th is a holiday), the Muhurat hour of Sunday the 8th, two minutes of today.
    assert len(candles["timestamp"]) == 9 * 360 + 60 + 2
    assert candles["close"][-1] == last["IDX_I"]["13"]["last_price"]
    daily = dhan.historical_daily_data("13", "IDX_I", "INDEX", "2026-11-02", today)["data"]
    assert len(daily["close"]) == 9 + 1
    expiry = dhan.expiry_list(13, "IDX_I")["data"]["data"][0]
    chain = dhan.option_chain(13, "IDX_I", expiry)["data"]["data"]["oc"]
    assert chain[f"{option.strike:.6f}"]["ce"]["security_id"] == number
    assert 0.2 < chain[f"{option.strike:.6f}"]["ce"]["greeks"]["delta"] < 0.8
    margin = dhan.margin_calculator(option.security_id, "NSE_FNO", "BUY", option.lot, "INTRADAY", 100)["data"]
    assert margin["totalMargin"] == 100 * option.lot
    assert margin["brokerage"] == 20


def test_downloads_both_masters(
    sim: RunningSimulator, dhan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    compact = dhan.fetch_security_list("compact", "compact.csv")
    detailed = dhan.fetch_security_list("detailed", "detailed.csv")
    assert len(compact) == len(detailed) > 300
    assert sim.option().display_name in set(compact["SEM_CUSTOM_SYMBOL"])


def test_profile_kill_switch_and_renewal(sim: RunningSimulator, dhan: Any) -> None:
    login = DhanLogin(sim.client_id)
    assert login.user_profile(sim.token)["dhanClientId"] == sim.client_id
    assert login.renew_token(sim.token)["accessToken"] == sim.token
    assert dhan.status_kill_switch()["data"]["killSwitchStatus"] == "DEACTIVATE"
    option = sim.option(steps=4)
    resting = dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "LIMIT", "INTRADAY", 0.05)["data"]
    assert eventually(lambda: dhan.get_order_by_id(resting["orderId"])["data"][0]["orderStatus"] == "PENDING")
    busy = dhan.kill_switch("activate")
    assert busy["status"] == "failure"  # an order rests
    assert dhan.cancel_order(resting["orderId"])["status"] == "success"


def test_streams_ticker_quote_and_full(sim: RunningSimulator, context: Any) -> None:
    option, other = sim.option(), sim.option(steps=3)
    kinds = {"Ticker Data", "Quote Data", "Full Data", "Previous Close", "OI Data"}
    seen: dict[str, dict[str, Any]] = {}
    done = threading.Event()

    def listen() -> None:
        feed = MarketFeed(
            context,
            [
                (MarketFeed.IDX, "13", 15),
                (MarketFeed.NSE_FNO, option.security_id, 17),
                (MarketFeed.NSE_FNO, other.security_id, 21),
            ],
        )
        feed.run_forever()
        while set(seen) != kinds:
            packet = feed.get_data()
            seen[packet["type"]] = packet
        feed.close_connection()
        feed.loop.close()
        done.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert eventually(lambda: set(seen) == kinds), f"only {set(seen)}"
    assert done.wait(20)
    thread.join(5)
    assert seen["Quote Data"]["security_id"] == int(option.security_id)
    assert seen["Quote Data"]["LTP"] == f"{sim.quote(option).last:.2f}"
    assert seen["Quote Data"]["LTT"] == f"{sim.simulator.now:%H:%M:%S}"
    depth = seen["Full Data"]["depth"][0]
    quote = sim.quote(other)
    assert (depth["bid_price"], depth["ask_price"]) == (f"{quote.bid:.2f}", f"{quote.ask:.2f}")
    assert (depth["bid_quantity"], depth["ask_quantity"]) == (quote.bid_quantity, quote.ask_quantity)
    assert seen["Ticker Data"]["exchange_segment"] == 0


def test_hears_of_its_orders(
    sim: RunningSimulator, context: Any, dhan: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[dict[str, Any]] = []
    listener = OrderUpdate(context)
    listener.order_feed_wss = sim.updates_url
    listener.on_update = heard.append
    thread = threading.Thread(target=listener.connect_to_dhan_websocket_sync, daemon=True)
    thread.start()
    assert eventually(lambda: sim.simulator.updates.listeners)
    option = sim.option()
    dhan.place_order(option.security_id, "NSE_FNO", "BUY", option.lot, "MARKET", "INTRADAY", 0, tag="heard")
    assert eventually(lambda: [each for each in heard if each["Data"]["Status"] == "TRADED"])
    of_it = [each["Data"] for each in heard if each["Data"]["CorrelationId"] == "heard"]
    assert [each["Status"] for each in of_it] == ["TRANSIT", "PENDING", "TRADED"]
    assert of_it[-1]["TradedQty"] == option.lot
    assert of_it[-1]["DisplayName"] == option.display_name
    assert json.dumps(heard[-1])
    assert "Error" not in capsys.readouterr().out


def test_own_truth_agrees_with_the_wire(sim: RunningSimulator, dhan: Any) -> None:
    book = sim.call(sim.simulator.book)
    assert book["orders"] == dhan.get_order_list()["data"]
    assert book["trades"] == dhan.get_trade_book()["data"]
    assert book["positions"] == dhan.get_positions()["data"]
