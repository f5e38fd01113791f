"""One practice day through the real processes: the alert, the stop at the broker, the kill, the exit, the report."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.journey.running import RunningWorkbench
from workbench.bootstrap.deployments import load
from workbench.bootstrap.desk import Desk

DAY = "2026-09-24"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkbench]:
    data = tmp_path_factory.mktemp("practice")
    Desk(data).import_sample()
    running = RunningWorkbench(data, "--mode", "practice", "--day", DAY, "--speed", "10")
    try:
        running.wait_open()
        yield running
    finally:
        assert running.stop() == []


def scalp(up: RunningWorkbench) -> str:
    return "/webhook/" + load(up.data, "SCALP_ATM").webhook_link


def held(up: RunningWorkbench) -> list[Any]:
    return [item for item in up.get("/live/positions") if item["deployment"] == "SCALP_ATM"]


def ours(up: RunningWorkbench) -> list[Any]:
    """Orders at the broker that came from the alert deployment."""
    wanted = {row["order_id"] for row in up.get("/live/orders") if row["deployment"] == "SCALP_ATM"}
    return [row for row in up.truth()["orders"] if row["orderId"] in wanted]


def alert(up: RunningWorkbench, **changes: Any) -> dict[str, Any]:
    body = {
        "strategy": "SCALP_ATM",
        "symbol": "NIFTY",
        "side": "BUY",
        "timeframe": "1m",
        "price": float(up.wait("a spot price", lambda: up.get("/live/spot-price"))["price"]),
        "timestamp": up.get("/health")["now"],
    }
    return {**body, **changes}


def flat(up: RunningWorkbench) -> dict[str, Any]:
    now = up.get("/health")["now"]
    return {"strategy": "SCALP_ATM", "symbol": "NIFTY", "position": "flat", "timestamp": now}


def test_twenty_equal_alerts_make_one_protected_position(up: RunningWorkbench) -> None:
    body = alert(up)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: up.post(scalp(up), body), range(20)))
    assert [status for status, _ in answers] == [200] * 20
    assert sorted(answer["status"] for _, answer in answers) == ["accepted"] + ["duplicate"] * 19
    position = up.wait("a stop at the broker", lambda: [p for p in held(up) if p["protection"] == "at_broker"])[0]
    spot = Decimal(str(body["price"]))
    assert position["option_type"] == "CE"
    assert abs(Decimal(str(position["strike"])) - spot) <= 50
    assert position["expiry"] == "2026-09-29"
    assert position["units"] == 65
    assert position["priced_by_model"] is True
    entry, stop = ours(up)
    assert (entry["orderStatus"], entry["transactionType"], entry["filledQty"]) == ("TRADED", "BUY", 65)
    assert (stop["orderStatus"], stop["orderType"], stop["transactionType"]) == ("PENDING", "STOP_LOSS", "SELL")
    assert stop["triggerPrice"] == pytest.approx(entry["averageTradedPrice"] - 15)
    assert position["target"] == pytest.approx(entry["averageTradedPrice"] + 30)


def test_a_killed_engine_is_back_with_its_position_and_sends_nothing_twice(up: RunningWorkbench) -> None:
    before, orders = held(up), len(ours(up))
    assert before
    pid = up.get("/health")["pid"]
    psutil.Process(pid).kill()

    def back() -> Any:
        told = up.get("/health")
        return told["ready"] and told["pid"] != pid

    up.wait("the engine to be back", back, timeout_s=10)
    told = [each["text"] for each in up.get("/api/status")["notices"]]
    assert any(text.startswith("started again and holds 65 NIFTY") for text in told), told
    after = held(up)
    assert len(ours(up)) == orders  # also if it has left since: an exit is a change of the stop that rests already
    if after:
        same = ("id", "key", "units", "stop", "target", "stop_order_id", "protection")
        assert [after[0][name] for name in same] == [before[0][name] for name in same]
    else:
        assert before[0]["id"] in {row["position_id"] for row in up.get("/live/trades")}


def test_a_flat_alert_closes_and_a_second_one_opens_nothing(up: RunningWorkbench) -> None:
    status, answer = up.post(scalp(up), flat(up))
    assert (status, answer["fate"]) in ((200, "exited"), (200, "nothing_to_exit"))
    up.wait("a flat book", lambda: not held(up))
    count = len(ours(up))
    status, answer = up.post(scalp(up), {**flat(up), "id": "second-flat"})
    assert (status, answer["fate"]) == (200, "nothing_to_exit")
    assert len(ours(up)) == count
    net = {row["securityId"]: row["netQty"] for row in up.truth()["positions"]}
    others = {item["key"] for item in up.get("/live/positions")}
    assert others or all(quantity == 0 for quantity in net.values())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"price": None}, 422),
        ({"side": "UP"}, 422),
        ({"timestamp": "2026-09-23T10:00:00+05:30"}, 422),
        ({"timestamp": "2026-09-24T23:00:00+05:30"}, 422),
        ({"extra": 1}, 422),
        ({"symbol": "SENSEX"}, 422),
    ],
)
def test_a_bad_alert_is_refused_with_its_field_and_disturbs_nothing(
    up: RunningWorkbench, change: dict[str, Any], status: int
) -> None:
    count = len(ours(up))
    told, answer = up.post(scalp(up), alert(up, **change))
    assert told == status
    assert answer["error"]
    assert answer["way_out"]
    assert len(ours(up)) == count
    assert up.get("/health")["ready"]


def status_of_a_large_body(up: RunningWorkbench) -> int:
    """Announce a megabyte and send a part: the answer comes before the rest, and the connection may be cut then."""
    connection = http.client.HTTPConnection("127.0.0.1", up.engine_port, timeout=10)
    try:
        connection.putrequest("POST", scalp(up))
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000002")
        connection.endheaders(b"{" + b" " * 16_000)
        return connection.getresponse().status
    finally:
        connection.close()


def test_nan_a_large_body_and_a_wrong_link_are_refused(up: RunningWorkbench) -> None:
    text = json.dumps(alert(up, price=1.0)).replace("1.0", "NaN")
    assert up.post(scalp(up), text.encode())[0] in (400, 422)
    assert status_of_a_large_body(up) == 413
    assert up.post("/webhook/no-such-link", alert(up))[0] == 404


def test_halt_refuses_entries_and_resume_allows_them(up: RunningWorkbench) -> None:
    assert up.workbench("halt").returncode == 0
    _, answer = up.post(scalp(up), alert(up, id="while-halted"))
    assert (answer["fate"], answer["gate"]) == ("denied", "trading_switch")
    assert up.workbench("resume").returncode == 0
    tested = up.workbench("alert", "test", "SCALP_ATM", "--side", "SELL", "--json")
    assert tested.returncode == 0, tested.stderr
    assert json.loads(tested.stdout)["fate"] in ("entered", "reversed")
    assert up.workbench("flatten").returncode == 0
    up.wait("a flat account", lambda: not up.get("/live/positions"))


def test_the_report_equals_the_ledger_to_the_paisa(up: RunningWorkbench) -> None:
    told = up.workbench("report", "daily", "--date", DAY, "--json")
    assert told.returncode == 0, told.stderr
    body = json.loads(told.stdout)
    html = Path(body["html"]).read_text(encoding="utf-8")
    exported = json.loads((up.data / "reports" / DAY / "day.json").read_text(encoding="utf-8"))
    net = Decimal(exported["totals"]["net"])
    trades = [Decimal(row["net"]) for row in exported["trades"]]
    assert sum(trades) == net
    assert f"{abs(net):,.2f}".split(".", maxsplit=1)[1] in html
    assert "priced: model" in html


def test_the_doctor_finds_everything_right(up: RunningWorkbench) -> None:
    told = up.workbench("doctor", "--json")
    assert told.returncode == 0, told.stdout
    assert json.loads(told.stdout)["ok"] is True
