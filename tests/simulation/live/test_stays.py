"""What stays over the night, as a person reads it: by the API, and in the day's export."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.simulation.live.rig import DAY, SCALP, Rig, rig
from tests.simulation.live.test_api import LINK, client, side
from workbench.bootstrap.reporting import exporter
from workbench.core.messages import TimerBeat
from workbench.core.order import Product, Purpose
from workbench.core.plan import Overnight

KEEPS = replace(SCALP, plan=replace(SCALP.plan, product=Product.MARGIN, overnight=Overnight.KEEP))


async def at_a_price_of(it: Rig, hour: int, minute: int) -> None:
    """Let the day go on to that time, with a price of then."""
    now = it.clock.now()
    it.clock.pass_s((now.replace(hour=hour, minute=minute, second=0) - now).total_seconds())
    await it.quotes(premium="105")
    it.runner.enqueue(TimerBeat())
    await it.runner.drained()


async def stays(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await http.get("/api/stays")).json())


def test_what_is_carried_is_listed_with_all_that_a_person_needs_by_the_api_and_in_the_export(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, deployments=(KEEPS,)) as it, client(it) as http:
            await it.quotes()
            assert await stays(http) == []
            await http.post(LINK, json=side())
            await it.runner.drained()
            await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100")
            await at_a_price_of(it, 12, 0)
            (row,) = await stays(http)
            assert (row["state"], row["why"].split(",")[0]) == ("open", "will stay")
            await at_a_price_of(it, 15, 29)
            (row,) = await stays(http)
            (position,) = it.runner.engine.book.live_positions()
            assert (row["state"], row["position_id"]) == ("carried", position.position_id)
            assert row["why"] == "stays over the night: its plan says overnight: keep"
            assert (row["deployment"], row["product"]) == ("SCALP_ATM", "MARGIN")
            assert (row["entry_price"], row["contract"]) == (100.0, position.plan.instrument.name)
            asked = ("symbol", "expiry", "strike", "type", "side", "quantity")
            assert [row[name] for name in asked] == ["NIFTY", "2022-06-16", 15700.0, "CE", "BUY", 50]
            assert (row["last_price"], row["stop"]) == (104.85, float(position.stop or 0))
            assert row["pnl"] == float(round(it.runner.engine.open_pnl(), 4))
            await at_a_price_of(it, 15, 31)
            it.runner.tape.flush()
            await asyncio.to_thread(exporter(tmp_path, it.journal, "practice"), DAY)
        folder = tmp_path / "reports" / DAY.isoformat()
        (told,) = json.loads((folder / "day.json").read_text(encoding="utf-8"))["stays"]
        with (folder / "stays.csv").open(encoding="utf-8", newline="") as file:
            (line,) = csv.DictReader(file)
        for found in (told, line):
            words = ("position_id", "symbol", "expiry", "type", "side", "state", "why")
            assert {name: found[name] for name in words} == {name: row[name] for name in words}
            assert (float(found["strike"]), int(found["quantity"])) == (15700.0, 50)
            assert (float(found["pnl"]), float(found["last_price"])) == (row["pnl"], row["last_price"])

    asyncio.run(run())


def test_what_was_not_left_before_the_close_is_told_to_stay_and_nothing_before(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it, client(it) as http:
            await it.quotes()
            await http.post(LINK, json=side())
            await it.runner.drained()
            await it.fill(it.broker.of(Purpose.ENTRY)[0], "o1", "100")
            await at_a_price_of(it, 15, 29)
            assert await stays(http) == []
            await at_a_price_of(it, 15, 31)
            (row,) = await stays(http)
            assert row["why"] == "was not left before the close; it is taken up at the next open"

    asyncio.run(run())
