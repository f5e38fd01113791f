"""The API and the webhook over the running account, request by request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulation.live.rig import DAY, NINE_THIRTY, SCALP, Rig, rig
from workbench.core.engine import Decision, Engine
from workbench.core.messages import AlertReceived, AlertTurnedAway, OperatorOrdered
from workbench.core.order import Purpose
from workbench.live.admin_token import admin_token
from workbench.live.api import create_app
from workbench.live.guard import TOKEN_HEADER
from workbench.live.webhook import READ_LIMIT_S

LINK = "/webhook/scalp-link"
TOKEN = "token-of-the-test"
Work = Callable[[Rig, httpx.AsyncClient], Awaitable[None]]


def side(**changes: Any) -> dict[str, Any]:
    return {
        "strategy": "SCALP_ATM",
        "symbol": "NIFTY",
        "side": "BUY",
        "timeframe": "5m",
        "price": 15700.5,
        "timestamp": NINE_THIRTY.isoformat(),
    } | changes


def flat(**changes: Any) -> dict[str, Any]:
    body = {"strategy": "SCALP_ATM", "symbol": "NIFTY", "position": "flat", "timestamp": NINE_THIRTY.isoformat()}
    return body | changes


@asynccontextmanager
async def client(it: Rig, *, host: str = "127.0.0.1:8700", token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(it.system))
    headers = {TOKEN_HEADER: token} if token else {}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as found:
        yield found


def with_account(folder: Path, work: Work) -> None:
    async def run() -> None:
        async with rig(folder) as it, client(it) as http:
            await it.quotes()
            await work(it, http)

    asyncio.run(run())


def test_an_alert_is_answered_with_its_fate_and_a_second_is_a_duplicate(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        first = await http.post(LINK, json=side())
        assert first.status_code == 200
        assert first.json()["status"] == "accepted"
        assert first.json()["fate"] == "entered"
        again = await http.post(LINK, json=side())
        assert (again.status_code, again.json()["status"]) == (200, "duplicate")
        await it.runner.drained()
        assert len(it.broker.placed) == 1

    with_account(tmp_path, work)


def test_twenty_posts_at_once_are_one_order(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(http.post(LINK, json=side()) for _ in range(20)))
        await it.runner.drained()
        told = [answer.json()["status"] for answer in answers]
        assert sorted(told) == ["accepted"] + ["duplicate"] * 19
        assert len(it.broker.of(Purpose.ENTRY)) == 1

    with_account(tmp_path, work)


def test_a_2xx_alert_is_on_the_disk(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        await http.post(LINK, json=side(id="tv-1"))
        kept = [entry.message for entry in it.journal.read_day("practice", DAY)]
        (alert,) = [item for item in kept if isinstance(item, AlertReceived)]
        assert alert.alert_id == "SCALP_ATM:tv-1"

    with_account(tmp_path, work)


def test_flat_closes_and_a_second_flat_opens_nothing(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        await http.post(LINK, json=side())
        await it.runner.drained()
        (entry,) = it.broker.of(Purpose.ENTRY)
        await it.fill(entry, "o1", "100.15")
        assert (await http.post(LINK, json=flat())).json()["fate"] == "exited"
        await it.runner.drained()
        (stop,) = it.broker.of(Purpose.STOP)
        await it.fill(stop, "o2", "99.00")
        later = (NINE_THIRTY + timedelta(seconds=5)).isoformat()
        again = (await http.post(LINK, json=flat(timestamp=later))).json()
        assert again["fate"] == "nothing_to_exit"
        await it.runner.drained()
        assert len(it.broker.of(Purpose.ENTRY)) == 1
        assert (await http.get("/live/positions")).json() == []
        (trade,) = (await http.get("/live/trades")).json()
        status = (await http.get("/api/status")).json()
        assert trade["net"] == status["pnl"]["net"] == status["pnl"]["realised"]

    with_account(tmp_path, work)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (side(price="15700"), 422, "price"),
        ({key: value for key, value in side().items() if key != "side"}, 422, "side"),
        (side(extra=1), 422, "extra"),
        (side(timestamp="2022-06-15T09:20:00+05:30"), 422, "timestamp"),
        (side(timestamp="2022-06-15T09:40:00+05:30"), 422, "timestamp"),
        (b'{"price": NaN}', 400, ""),
        (b"x" * 1_000_000, 413, ""),
        (b"not json", 400, ""),
    ],
)
def test_a_bad_alert_is_refused_recorded_and_disturbs_nothing(
    tmp_path: Path, body: dict[str, Any] | bytes, code: int, field: str
) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await http.post(LINK, content=raw)
        assert answer.status_code == code
        assert answer.json()["field"] == field
        assert answer.json()["error"]
        await it.runner.drained()
        (row,) = (await http.get("/live/alerts")).json()
        assert row["kind"] == "turned_away"
        assert row["fate"] == "refused"
        assert it.broker.placed == []
        assert (await http.post(LINK, json=side())).json()["fate"] == "entered"

    with_account(tmp_path, work)


def test_a_wrong_link_is_404_and_a_body_that_streams_on_is_cut(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        assert (await http.post("/webhook/nobody", json=side())).status_code == 404
        assert (await http.post(LINK, content=endless())).status_code == 413
        assert READ_LIMIT_S <= 2
        gzip = await http.post(LINK, content=b"x", headers={"content-encoding": "gzip"})
        assert gzip.status_code == 415

    with_account(tmp_path, work)


def test_a_closed_market_refuses_and_records(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        it.clock.time = NINE_THIRTY.replace(hour=16)
        answer = await http.post(LINK, json=side(timestamp=it.clock.time.isoformat()))
        assert answer.status_code == 409
        assert "closed" in answer.json()["error"]
        await it.runner.drained()
        assert (await http.get("/live/alerts")).json()[0]["reason"].startswith("the market is closed")

    with_account(tmp_path, work)


def test_a_flood_of_refusals_is_counted_and_few_are_kept(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        for _ in range(60):
            await http.post("/webhook/nobody", content=b"{}")
        await it.runner.drained()
        kept = [entry.message for entry in it.journal.read_day("practice", DAY)]
        assert 10 <= sum(isinstance(item, AlertTurnedAway) for item in kept) <= 20
        assert (await http.get("/api/status")).json()["alerts_turned_away"] == 60

    with_account(tmp_path, work)


def test_the_payloads_that_name_their_deployment_have_routes_of_their_own(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        entry = {"signal": "SCALP_ATM", "action": "ENTRY", "strike": 15650, "option_type": "PE", "spot_price": 15701}
        answer = (await http.post("/webhook/entry", json=entry | {"timestamp": NINE_THIRTY.isoformat()})).json()
        assert answer["fate"] == "waiting"
        await it.quotes()
        await it.runner.drained()
        (order,) = it.broker.of(Purpose.ENTRY)
        assert order.instrument.name == "NIFTY 16 JUN 15650 PUT"
        other = {"signal": "SCALP_ATM", "action": "EXIT", "strike": 15700, "option_type": "CE"}
        assert (await http.post("/webhook/exit", json=other)).json()["fate"] == "nothing_to_exit"
        bar = {"open": 15700, "high": 15710, "low": 15690, "close": 15705, "volume": 0}
        hour = {"ticker": "NIFTY", "timestamp": "2022-06-15T09:15:00+05:30", **bar}
        assert (await http.post("/webhook/hourly", json=hour)).json()["fate"] == "recorded"

    with_account(tmp_path, work)


def test_health_and_status_tell_what_the_page_needs(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        health = (await http.get("/health")).json()
        assert health["ready"] is True
        assert health["market_open"] is True
        assert health["now"] == "2022-06-15T09:30:00+05:30"
        assert {"pid", "mode"} <= set(health)
        await http.post(LINK, json=side())
        await it.runner.drained()
        (entry,) = it.broker.of(Purpose.ENTRY)
        await it.fill(entry, "o1", "100.15")
        status = (await http.get("/api/status")).json()
        (position,) = status["positions"]
        assert position["instrument"] == "NIFTY 16 JUN 15700 CALL"
        assert (position["lots"], position["units"]) == (1, 50)
        assert (position["stop"], position["stop_order_id"], position["protection_word"]) == (85.15, "o2", "at Dhan")
        assert (position["target"], position["at_risk"]) == (130.15, 750)
        assert (position["protection_rule"], position["target_order_id"]) == ("stop_only", "")
        assert status["phase"]["name"] == "open"
        assert status["phase"]["square_off_in_s"] == (5 * 60 + 46) * 60
        assert status["alerts"][0]["line"].startswith("entered")
        assert status["naked"] == []
        (one,) = [item for item in status["deployments"] if item["name"] == "SCALP_ATM"]
        assert one["armed"] is True
        by_id = await http.get(f"/live/position/{position['id']}")
        assert by_id.json()["id"] == position["id"]
        assert (await http.get("/live/position/none")).status_code == 404
        assert (await http.get("/live/spot-price")).json()["price"] == 15700
        assert len((await http.get("/live/orders")).json()) == 2

    with_account(tmp_path, work)


def test_a_preview_on_a_price_that_is_too_old_says_what_the_entry_would_be_denied_for(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        most = int(it.runner.engine.config.limits.max_quote_age_s)
        it.clock.pass_s(most)
        assert (await http.post("/api/preview", json={"action": "BUY CE"})).json()["possible"] is True
        it.clock.pass_s(1)
        shown = (await http.post("/api/preview", json={"action": "BUY CE"})).json()
        assert shown["possible"] is False
        assert shown["reason"].startswith("stale price: the last quote of NIFTY 16 JUN 15700 CALL is")

    with_account(tmp_path, work)


def test_the_four_buttons_show_first_and_then_do(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        shown = (await http.post("/api/preview", json={"action": "BUY CE"})).json()
        assert shown["possible"] is True
        assert (shown["instrument"], shown["units"], shown["lots"]) == ("NIFTY 16 JUN 15700 CALL", 50, 1)
        assert (shown["price"], shown["cost"], shown["stop"]) == (100.15, 5007.5, 85.15)
        assert 750 < shown["worst_loss"] < 850
        nothing = (await http.post("/api/preview", json={"action": "SELL CE"})).json()
        assert nothing["possible"] is False
        done = (await http.post("/api/manual", json={"action": "BUY_CE"})).json()
        assert done["fate"] == "entered"
        await it.runner.drained()
        await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
        wrong = (await http.post("/api/manual", json={"action": "SELL_PE"})).json()
        assert wrong["fate"] == "nothing_to_exit"
        left = (await http.post("/api/manual", json={"action": "SELL_CE"})).json()
        assert left["fate"] == "exited"
        bad = await http.post("/api/manual", json={"action": "BUY_XX"})
        assert bad.status_code == 422
        assert "unknown button" in bad.json()["error"]

    with_account(tmp_path, work)


def test_halt_stops_entries_and_resume_allows_them(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        assert (await http.post("/api/halt", json={"reason": "lunch"})).json()["halted"] is True
        denied = (await http.post(LINK, json=side(id="1"))).json()
        assert (denied["fate"], denied["gate"]) == ("denied", "trading_switch")
        assert (await http.post("/api/resume", json={})).json()["halted"] is False
        assert (await http.post(LINK, json=side(id="2"))).json()["fate"] == "entered"
        await it.runner.drained()
        await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
        await http.post("/api/flatten", json={})
        await it.runner.drained()
        assert it.broker.changes or it.broker.of(Purpose.EXIT)

    with_account(tmp_path, work)


def test_halt_and_resume_of_one_deployment_by_its_name(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        name = SCALP.name
        assert (await http.post("/api/halt", json={"deployment": name, "reason": "lunch"})).json()["halted"] is False
        denied = (await http.post(LINK, json=side(id="1"))).json()
        assert (denied["fate"], denied["gate"]) == ("denied", "trading_switch")
        status = (await http.get("/api/status")).json()
        assert status["deployments"][0]["halt_reason"] == "lunch"
        assert status["entries_refused"] == [f"{name} is halted: lunch; workbench resume {name}"]
        unknown = await http.post("/api/resume", json={"deployment": "NOBODY"})
        assert (unknown.status_code, name in unknown.text) == (422, True)
        assert (await http.post("/api/flatten", json={"deployment": name})).status_code == 422
        await http.post("/api/resume", json={"deployment": name})
        assert (await http.post(LINK, json=side(id="2"))).json()["fate"] == "entered"

    with_account(tmp_path, work)


@pytest.mark.parametrize(
    ("host", "token", "path", "headers", "code"),
    [
        ("127.0.0.1:8700", "", "/api/halt", {}, 401),
        ("127.0.0.1:8700", "wrong", "/api/halt", {}, 401),
        ("evil.example:8700", "token-of-the-test", "/api/halt", {}, 403),
        ("127.0.0.1:8700", "token-of-the-test", "/api/halt", {"origin": "https://evil.example"}, 403),
        ("127.0.0.1:8700", "token-of-the-test", "/api/halt", {"content-type": "text/plain"}, 415),
        ("evil.example", "", LINK, {}, 400),
    ],
)
def test_writing_needs_token_host_origin_and_json(
    tmp_path: Path, host: str, token: str, path: str, headers: dict[str, str], code: int
) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it, client(it, host=host, token=token) as http:
            answer = await http.post(path, content=b"?", headers={"content-type": "application/json"} | headers)
            assert answer.status_code == code
            assert not it.runner.engine.book.halted

    asyncio.run(run())


def test_reading_under_a_foreign_name_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it, client(it, host="evil.example", token="") as http:
            assert (await http.get("/api/status")).status_code == 403
            assert (await http.get("/health")).status_code == 403

    asyncio.run(run())


def test_an_engine_that_is_not_ready_takes_no_alert(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        it.system.ready = False
        answer = await http.post(LINK, json=side())
        assert answer.status_code == 503, "the one refusal after which a sender should try again"
        assert (await http.get("/health")).json()["ready"] is False

    with_account(tmp_path, work)


def test_the_admin_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = admin_token(tmp_path / "journal")
    assert len(token) >= 40
    assert admin_token(tmp_path / "journal") == token
    assert admin_token(tmp_path, given="from-env") == "from-env"


class Breaking(Engine):
    """An engine that breaks on what a person orders and on every alert."""

    def handle(self, message: Any, *, now: Any) -> Decision:
        if isinstance(message, OperatorOrdered | AlertReceived):
            raise RuntimeError("a bug in the engine")
        return super().handle(message, now=now)


def test_what_broke_the_engine_is_not_answered_as_done(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, make_engine=Breaking) as it, client(it) as http:
            await it.quotes()
            for answer in (await http.post("/api/flatten", json={}), await http.post(LINK, json=side())):
                assert answer.status_code == 500
                assert "a bug in the engine" in answer.json()["error"]
            assert not it.broker.placed

    asyncio.run(run())


def test_a_flood_of_strangers_turns_no_exit_away(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        await http.post(LINK, json=side())
        await it.runner.drained()
        (entry,) = it.broker.of(Purpose.ENTRY)
        await it.fill(entry, "o1", "100.15")
        flood = await asyncio.gather(*(http.post("/webhook/guess", content=b"{}") for _ in range(450)))
        assert {answer.status_code for answer in flood} >= {429}
        assert (await http.post(LINK, json=flat())).json()["fate"] == "exited"

    with_account(tmp_path, work)
