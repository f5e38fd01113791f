"""What a Prometheus server reads of a running account."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.simulation.live.rig import Rig
from tests.simulation.live.test_api import LINK, side, with_account
from workbench.live.metrics import CONTENT_TYPE, LagMeter


async def scraped(http: httpx.AsyncClient) -> dict[str, float]:
    answer = await http.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    rows = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            rows[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return rows


def test_an_entry_is_seen_in_orders_positions_and_decisions(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        before = await scraped(http)
        assert before["workbench_positions"] == 0
        assert not [name for name in before if name.startswith("workbench_orders_total{")]
        assert (await http.post(LINK, json=side())).json()["fate"] == "entered"
        await it.runner.drained()
        after = await scraped(http)
        entries = [value for name, value in after.items() if name.startswith("workbench_orders_total{purpose=entry")]
        assert sum(entries) == len(it.runner.engine.book.orders) == 1
        assert after["workbench_decisions_total{fate=entered}"] == 1
        assert after["workbench_halted"] == 0
        assert after["workbench_queue_length"] == 0

    with_account(tmp_path, work)


def test_a_halt_and_an_alert_turned_away_are_counted(tmp_path: Path) -> None:
    async def work(it: Rig, http: httpx.AsyncClient) -> None:
        await http.post("/api/halt", json={"reason": "a look at it"})
        await http.post(LINK, json=side(extra="key"))
        rows = await scraped(http)
        assert rows["workbench_halted"] == 1
        assert rows["workbench_alerts_turned_away_total"] == it.system.turned_away

    with_account(tmp_path, work)


def test_a_foreign_name_reads_no_metrics(tmp_path: Path) -> None:
    async def work(_: Rig, http: httpx.AsyncClient) -> None:
        assert (await http.get("/metrics", headers={"host": "evil.example"})).status_code == 403

    with_account(tmp_path, work)


def test_the_lag_of_a_blocked_loop_is_seen() -> None:
    async def run() -> LagMeter:
        meter = LagMeter()
        task = asyncio.create_task(meter.run())
        await asyncio.sleep(0.15)
        time.sleep(0.3)
        await asyncio.sleep(0.15)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return meter

    meter = asyncio.run(run())
    assert meter.quantile(1.0) is not None
    assert (meter.quantile(1.0) or 0) == pytest.approx(0.25, abs=0.2)
    assert LagMeter().quantile(0.5) is None
