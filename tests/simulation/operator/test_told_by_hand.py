"""A person says through the API what he has closed himself, and is refused what cannot be."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import httpx

from tests.simulation.live.rig import Rig
from tests.simulation.live.test_api import LINK, client, side, with_account
from workbench.core.messages import SnapshotTaken
from workbench.core.order import Purpose
from workbench.core.position import PositionState


def test_r23_what_was_closed_by_hand_is_booked_at_the_price_that_is_told(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        assert (await http.post(LINK, json=side())).json()["fate"] == "entered"
        await it.runner.drained()
        await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100.15")
        (position,) = it.runner.engine.book.live_positions()
        path = f"/live/position/{position.position_id}/closed-by-hand"
        told = {"price": "104.65", "quantity": 50}
        early = await http.post(path, json=told)
        assert (early.status_code, "0 units of" in early.text) == (409, True)
        for _ in range(2):
            it.runner.enqueue(SnapshotTaken(taken_at=it.clock.now()))
            await it.beats(6)
        assert it.runner.engine.book.frozen
        async with client(it, token="") as stranger:
            assert (await stranger.post(path, json=told)).status_code == 401
        for wrong in ({"price": 104.65}, {"quantity": "50"}, {"quantity": 0}, {"price": "-1"}, {"more": 1}):
            assert (await http.post(path, json={**told, **wrong})).status_code == 422
        nobody = await http.post("/live/position/none/closed-by-hand", json=told)
        assert nobody.status_code == 409
        assert nobody.json()["error"].endswith("there is no open position none; see: workbench positions")
        done = (await http.post(path, json=told)).json()
        assert (done["status"], done["units_left"]) == ("done", 0)
        booked = it.runner.engine.book.positions[position.position_id]
        assert (booked.state, booked.exit_reason) == (PositionState.CLOSED, "external")
        assert booked.gross == Decimal("4.50") * 50
        (trade,) = (await http.get("/live/trades")).json()
        assert (trade["reason"], trade["net"]) == ("external", float(booked.net))
        assert (await http.get("/api/status")).json()["pnl"]["net"] == trade["net"]
        assert [row.purpose for row in it.runner.ledger.fills] == ["entry", "external"]  # type: ignore[attr-defined]

    with_account(tmp_path, work)
