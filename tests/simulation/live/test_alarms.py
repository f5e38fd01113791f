"""Alarms wait on the page until a person has seen them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.simulation.live.rig import Rig
from tests.simulation.live.test_api import with_account
from workbench.notify import AlarmFile

AT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def test_p13_an_alarm_is_shown_until_it_is_acknowledged_and_only_with_the_token(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        it.system.alarms = AlarmFile(tmp_path / "alarms.jsonl")
        it.system.alarms.raise_alarm("no stop at the broker", AT)
        it.system.alarms.raise_alarm("no stop at the broker", AT)
        (shown,) = (await http.get("/api/status")).json()["alarms"]
        assert shown == {"number": 1, "text": "no stop at the broker", "at": AT.isoformat(), "times": 2}
        refused = await http.post("/api/alarms/1/seen", json={}, headers={"X-Workbench-Token": "wrong"})
        assert refused.status_code == 401
        assert (await http.post("/api/alarms/1/seen", json={"who": "operator"})).json()["waiting"] == 0
        assert (await http.get("/api/alarms")).json() == []
        again = await http.post("/api/alarms/1/seen", json={})
        assert again.status_code == 422
        assert "alarm 1 is not waiting" in again.json()["error"]

    with_account(tmp_path, work)
