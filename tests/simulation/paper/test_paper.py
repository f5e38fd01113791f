"""A paper account through the real processes: Dhan's prices, orders to the mirror, and not one order to Dhan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.simulation.paper.running import FAR, Dhan, Up, deploy, playing_dhan

pytestmark = pytest.mark.timeout(300)

DATA_POSTS = ("/v2/charts/", "/v2/marketfeed/", "/v2/optionchain")


@pytest.fixture(scope="module")
def dhan() -> Iterator[Dhan]:
    with playing_dhan() as made:
        yield made


@pytest.fixture(scope="module")
def up(dhan: Dhan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("paper")
    deploy(folder / "data", "paper", plan=FAR)
    running = Up(folder, dhan.proxy.url, "--mode", "paper")
    try:
        running.wait_open()
        yield running
    finally:
        assert running.stop() == []


def mirror(up: Up, method: str, path: str, body: Any = None) -> Any:
    headers = {"access-token": "practice-token", "client-id": "1000000001"}
    address = f"http://127.0.0.1:{up.simulator_port}{path}"
    return httpx.request(method, address, json=body, headers=headers, trust_env=False).json()


def ours(up: Up, position: dict[str, Any]) -> list[Any]:
    wanted = {row["order_id"] for row in up.orders_of(position["id"])}
    return [row for row in up.truth()["orders"] if row["orderId"] in wanted]


def test_p11_the_paper_account_has_its_own_name_journal_and_mode(up: Up) -> None:
    told = up.get("/api/status")
    assert told["mode"] == "paper"
    assert told["account"].startswith("paper-")
    assert (up.data / "journal" / "journal-paper.db").is_file()
    assert not (up.data / "journal" / "journal.db").exists()


def test_a_paper_account_hears_prices_and_orders(up: Up) -> None:
    up.wait("live prices", lambda: up.get("/api/status")["feed"]["alive"])
    up.wait("the order socket", lambda: up.get("/api/status")["order_socket"]["up"])


def test_i6_an_alert_fills_at_a_forwarded_price_and_rests_its_stop_at_the_mirror(up: Up, dhan: Dhan) -> None:
    position = up.enter()
    up.wait("the stop to rest", lambda: ours(up, position)[1]["orderStatus"] == "PENDING")
    entry, stop = ours(up, position)[:2]
    assert (entry["orderStatus"], entry["filledQty"]) == ("TRADED", position["units"])
    assert entry["correlationId"].startswith("q")
    assert (stop["orderStatus"], stop["orderType"]) == ("PENDING", "STOP_LOSS")
    trade = up.truth()["trades"][0]
    second = int(_second(trade["exchangeTime"], dhan))
    # The mirror is a little behind the market that it mirrors, never ahead of it.
    assert Decimal(str(trade["tradedPrice"])) in dhan.asks_and_bids(position["key"], second + 10, 60)
    assert position["priced_by_model"] is False
    assert dhan.orders() == []


def test_i6_a_flat_alert_leaves_at_the_mirror_and_the_books_agree(up: Up, dhan: Dhan) -> None:
    status, answer = up.flat()
    assert (status, answer["fate"]) in ((200, "exited"), (200, "nothing_to_exit"))
    up.wait("a flat book", lambda: up.positions() == [] and up.get("/api/status")["pnl"]["trades"] >= 1)
    assert {row["netQty"] for row in up.truth()["positions"]} == {0}
    gross = sum(Decimal(str(row["realizedProfit"])) for row in up.truth()["positions"])
    assert Decimal(str(up.get("/api/status")["pnl"]["gross"])) == pytest.approx(gross)
    assert dhan.orders() == []


def test_s4_a_silent_feed_makes_the_mirror_stale_and_nothing_fills_though_prices_pass(up: Up, dhan: Dhan) -> None:
    option = dhan.simulator.option()
    entry = next(row for row in up.truth()["orders"] if row["orderStatus"] == "TRADED")
    known, far = entry["securityId"], float(round(entry["averageTradedPrice"] * 1.5))
    dhan.proxy.silence(True)
    try:
        told = up.wait("a stale mirror", lambda: _stale(mirror(up, "GET", "/simulator/clock")), 30)
        assert "dead" in told["why_stale"] or "forwarded" in told["why_stale"]
        up.wait("entries to be refused", lambda: not up.get("/api/status")["feed"]["alive"], 30)
        body = {
            "dhanClientId": "1000000001", "correlationId": "by-hand", "transactionType": "BUY",
            "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "LIMIT", "validity": "DAY",
            "securityId": known, "quantity": option.lot, "price": far, "triggerPrice": 0,
            "disclosedQuantity": 0,
        }  # fmt: skip
        order = mirror(up, "POST", "/v2/orders", body)
        before = dhan.simulator.call(lambda: dhan.simulator.simulator.board.second)
        while dhan.simulator.call(lambda: dhan.simulator.simulator.board.second) < before + 20:
            time.sleep(0.05)
        row = next(row for row in up.truth()["orders"] if row["orderId"] == order["orderId"])
        assert (row["orderStatus"], row["filledQty"]) == ("PENDING", 0), row
        count = len(up.truth()["orders"])
        spot = dhan.simulator.call(lambda: dhan.simulator.simulator.board.spot("NIFTY"))
        now = up.get("/health")["now"]
        status, answer = up.send({"side": "BUY", "timeframe": "1m", "price": spot, "timestamp": now})
        assert (status, answer["fate"], answer["gate"]) == (200, "denied", "stale_feed"), answer
        assert len(up.truth()["orders"]) == count
        mirror(up, "DELETE", f"/v2/orders/{order['orderId']}")
    finally:
        dhan.proxy.silence(False)
    up.wait("a mirror that fills again", lambda: not mirror(up, "GET", "/simulator/clock")["stale"], 60)
    up.wait("entries to be allowed", lambda: up.get("/api/status")["feed"]["alive"], 60)


def test_i6_no_order_path_of_dhan_has_seen_a_write(up: Up, dhan: Dhan) -> None:
    assert up.process.poll() is None
    lines = sorted(set(dhan.proxy.lines))
    assert lines, "the proxy stood aside"
    assert dhan.proxy.sockets == [line for line in dhan.proxy.sockets if line == "GET /feed"]
    writes = [line for line in dhan.proxy.writes() if not line.split()[1].startswith(DATA_POSTS)]
    assert writes == [], lines
    assert not [line for line in lines if "/orders" in line or "/positions" in line or "order-update" in line], lines
    assert dhan.orders() == []


def _stale(told: dict[str, Any]) -> dict[str, Any] | None:
    return told if told["stale"] else None


def _second(text: str, dhan: Dhan) -> float:
    session = dhan.simulator.simulator.session
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=session.open.tzinfo)
    return (moment - session.open).total_seconds()
