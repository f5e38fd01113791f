"""What has expired is booked when a person tells at which price the exchange settled it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx

from tests.simulation.live.rig import Rig
from tests.simulation.live.test_api import LINK, side, with_account
from workbench.core.messages import SettlementTold
from workbench.core.order import Purpose
from workbench.core.position import PositionState


def test_a_settlement_books_what_was_left_to_expire_and_nothing_else(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        assert (await http.post(LINK, json=side())).json()["fate"] == "entered"
        await it.runner.drained()
        await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
        (position,) = it.runner.engine.book.live_positions()
        instrument = position.plan.instrument
        assert instrument.expiry is not None
        body = {"symbol": "NIFTY", "expiry": instrument.expiry.isoformat(), "price": "15800.25"}
        early = await http.post("/api/settlement", json=body)
        assert (early.status_code, "left to expire" in early.text) == (409, True)
        it.clock.pass_s(timedelta(days=9).total_seconds())
        told = await http.post("/api/settlement", json=body)
        assert told.json() == {"status": "done", "settled": [position.position_id]}
        booked = it.runner.engine.book.positions[position.position_id]
        assert (booked.state, booked.exit_reason) == (PositionState.CLOSED, "expired")

    with_account(tmp_path, work)


def test_a_settlement_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        for wrong in (
            {"symbol": "NIFTY", "expiry": "2022-13-40", "price": "1"},
            {"symbol": "nifty", "expiry": "2022-06-16", "price": "1"},
            {"symbol": "NIFTY", "expiry": "2022-06-16", "price": "-1"},
            {"symbol": "NIFTY", "expiry": "2022-06-16", "price": 15800},
        ):
            assert (await http.post("/api/settlement", json=wrong)).status_code == 422
        assert SettlementTold.__name__ not in it.runner.faults

    with_account(tmp_path, work)
