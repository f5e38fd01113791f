"""HALT stops the bot and nothing else: what is held is watched, trailed, stopped out, left by the clock as before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import time
from decimal import Decimal
from pathlib import Path

import httpx

from tests.simulation.live.rig import NINE_THIRTY, SCALP, Rig, rig
from tests.simulation.live.test_api import LINK, client, side
from workbench.core.bars import Quote
from workbench.core.exit_rules import Distance, Exits, Trail
from workbench.core.messages import QuoteReceived
from workbench.core.order import Purpose
from workbench.core.position import Position, PositionState

FIFTEEN = Distance(points=Decimal(15))
TRAILED = replace(
    SCALP,
    plan=replace(
        SCALP.plan,
        exits=Exits(
            stop=Distance(points=Decimal(15)), trail=Trail(distance=Distance(points=Decimal(15))), time=time(9, 45)
        ),
    ),
)
Work = Callable[[Rig, httpx.AsyncClient, Position], Awaitable[None]]


def halted(folder: Path, work: Work) -> None:
    """Hold a protected position under HALT."""

    async def run() -> None:
        async with rig(folder, deployments=(TRAILED,)) as it, client(it) as http:
            await it.quotes()
            assert (await http.post(LINK, json=side())).json()["fate"] == "entered"
            await it.runner.drained()
            await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
            assert len(it.broker.of(Purpose.STOP)) == 1
            assert (await http.post("/api/halt", json={"reason": "stop-bot"})).json()["halted"] is True
            await work(it, http, it.runner.engine.book.live_positions()[0])
            assert len(it.broker.of(Purpose.ENTRY)) == 1

    asyncio.run(run())


async def premium(it: Rig, position: Position, price: str) -> None:
    last = Decimal(price)
    key, half = position.plan.instrument.key, Decimal("0.15")
    quote = Quote(key, it.clock.now(), last, last - half, last + half, 5000, 5000)
    it.runner.enqueue(QuoteReceived(quote=quote))
    await it.runner.drained()


def test_under_halt_the_trail_still_moves_the_stop_at_the_broker(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient, position: Position) -> None:
        await it.beats(5)
        await premium(it, position, "130")
        await it.beats(60)
        moved = it.runner.engine.book.positions[position.position_id]
        assert moved.stop == Decimal(115)
        (order_id, change) = it.broker.changes[-1]
        assert (order_id, change.trigger_price) == ("o2", Decimal(115))

    halted(tmp_path, work)


def test_a_person_is_told_all_that_still_refuses_entries(tmp_path: Path) -> None:
    large = replace(TRAILED, plan=replace(TRAILED.plan, lots=5))

    async def run() -> None:
        async with rig(tmp_path, deployments=(large,)) as it, client(it) as http:
            await it.quotes()
            await http.post(LINK, json=side())
            await it.runner.drained()
            await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
            await http.post("/api/halt", json={"reason": "lunch"})
            assert (await http.get("/api/status")).json()["entries_refused"] == ["halted: lunch; workbench resume"]
            assert (await http.post("/api/resume", json={"reason": ""})).json()["entries_refused"] == []
            await premium(it, it.runner.engine.book.live_positions()[0], "50")
            answer = (await http.post("/api/resume", json={"reason": ""})).json()
            assert answer["halted"] is False
            (refused,) = answer["entries_refused"]
            assert "the limit is Rs 10000: halted again" in refused
            await it.beats(1)
            assert (await http.get("/api/status")).json()["halted"] is True

    asyncio.run(run())


def test_under_halt_a_stop_that_fills_closes_the_position(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient, position: Position) -> None:
        await it.fill(it.broker.of(Purpose.STOP)[0], "o2", "85.00")
        closed = it.runner.engine.book.positions[position.position_id]
        assert (closed.state, closed.exit_reason) == (PositionState.CLOSED, "stop")
        assert (await http.get("/api/status")).json()["halted"] is True

    halted(tmp_path, work)


def test_under_halt_a_stop_that_the_market_has_passed_is_chased(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient, position: Position) -> None:
        for _ in range(4):
            await it.beats(1)
            await premium(it, position, "70")
        assert it.runner.engine.book.positions[position.position_id].state is PositionState.EXITING
        assert it.broker.changes, "the resting stop has become what leaves"

    halted(tmp_path, work)


def test_under_halt_the_clock_still_leaves(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient, position: Position) -> None:
        it.clock.time = NINE_THIRTY.replace(minute=44, second=59)
        await premium(it, position, "104")
        await it.beats(2)
        leaving = it.runner.engine.book.positions[position.position_id]
        assert leaving.state is PositionState.EXITING
        assert "time" in leaving.exit_reason
        assert it.broker.changes

    halted(tmp_path, work)


def test_under_halt_a_person_and_the_alert_that_closes_still_leave(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient, position: Position) -> None:
        body = {"strategy": "SCALP_ATM", "symbol": "NIFTY", "position": "flat", "timestamp": NINE_THIRTY.isoformat()}
        assert (await http.post(LINK, json=body)).json()["fate"] == "exited"
        denied = (await http.post(LINK, json=side(id="after"))).json()
        assert denied["fate"] in ("denied", "waiting")
        await it.runner.drained()
        await it.fill(it.broker.of(Purpose.STOP)[0], "o2", "99.00")
        rows = (await http.get("/live/alerts")).json()
        assert [row["gate"] for row in rows if row["id"].endswith("after")] == ["trading_switch"]

    halted(tmp_path, work)
