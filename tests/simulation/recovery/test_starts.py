"""The real engine process after what a machine can do to it: old journals, second engines, ends by request."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from workbench.core.deployment import webhook_path
from workbench.core.session import IST
from workbench.live.supervise import read_latch
from workbench.reference import calendar
from workbench.simulator import SimulatorConfig, SyntheticMarket
from workbench.storage.backup import restore_backup, take_backup
from workbench.testing.crash_points import KillPoint
from workbench.testing.crash_runner import DAY, CrashDay, run_day_with_kills
from workbench.testing.simulator import running_simulator

pytestmark = pytest.mark.timeout(180)


@contextmanager
def a_day(folder: Path, seed: int = 21) -> Iterator[CrashDay]:
    """A market that is held some seconds after its open, and an engine that trades it."""
    market = SyntheticMarket(seed, calendar(), DAY)
    with running_simulator(market=market, config=SimulatorConfig()) as simulator:
        day = CrashDay(seed, folder, simulator, points=(), bound_s=20.0)
        try:
            day.begin()
            yield day
        finally:
            day.close()


def now() -> dt.datetime:
    return dt.datetime.now(IST)


def orders(day: CrashDay) -> list[dict[str, Any]]:
    rows: Any = day.simulator.call(day.simulator.simulator.book)["orders"]
    return list(rows)


def wait_told(day: CrashDay, name: str) -> Any:
    """Let the market run, second by second, until the status tells something."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if told := day.engine.get("/api/status")[name]:
            return told
        day.valve.let_go(seconds=1)
        day.wait_held()
        time.sleep(0.05)
    raise AssertionError(f"the status never told {name}")


def wait_halted(day: CrashDay) -> str:
    return str(wait_told(day, "halt_reason"))


def test_p10_an_old_journal_that_was_put_back_halts_and_the_stop_stays(tmp_path: Path) -> None:
    with a_day(tmp_path) as day:
        old = take_backup(tmp_path, now())  # the engine runs and writes
        deployment = day.deployments[0]
        day.quietly(deployment, "long")
        assert [row["orderType"] for row in orders(day)] == ["LIMIT", "STOP_LOSS"]
        day.engine.end()
        restore_backup(tmp_path, old, now())
        day.engine.start()
        day.engine.wait_ready()
        assert "bears our mark" in wait_halted(day)
        assert "bears our mark" in str(read_latch(tmp_path / "journal"))
        body = day._body(deployment, "short")
        status, answer = day.engine.post(webhook_path(deployment), body)
        assert (status, answer["fate"]) == (200, "denied"), answer
        assert [row["orderStatus"] for row in orders(day)] == ["TRADED", "PENDING"]
        known = {row["correlation_id"] for row in day.engine.get("/live/orders")}
        assert known.isdisjoint({row["correlationId"] for row in orders(day)})


def test_p1_a_reversal_that_a_kill_cuts_in_two_is_carried_on_and_entered_once(tmp_path: Path) -> None:
    with a_day(tmp_path) as day:
        deployment = day.deployments[0]
        day.quietly(deployment, "long")
        body = day._body(deployment, "short")
        status, _ = day.engine.post(webhook_path(deployment), body)  # the market stands: nothing is closed yet
        assert status == 200
        assert any(event.get("type") == "EntryPostponed" for event in day.eyes.news())
        day.engine.kill()
        day.engine.start()
        day.engine.wait_ready()
        day.valve.let_go(seconds=20)
        day.wait_held()
        (held,) = day.engine.get("/live/positions")
        assert (held["direction"], held["protection"]) == ("short", "at_broker")
        list(day.eyes.news())
        fates = {fate: count for (subject, fate), count in day.eyes.decided.items() if subject.endswith(body["id"])}
        assert fates == {"reversed": 1, "entered": 1}
        kinds = [(row["orderType"], row["orderStatus"]) for row in orders(day)]
        assert [kind for kind in kinds if kind[1] == "PENDING"] == [("STOP_LOSS", "PENDING")]
        assert len(kinds) == 4


def test_p9_an_order_of_a_second_machine_halts_this_one(tmp_path: Path) -> None:
    with a_day(tmp_path) as day:
        day.quietly(day.deployments[0], "long")
        ours = orders(day)[0]
        foreign = {
            "dhanClientId": ours["dhanClientId"],
            "correlationId": f"{ours['correlationId'][:6]}beef{DAY:%y%m%d}00001E",
            "transactionType": "BUY",
            "exchangeSegment": ours["exchangeSegment"],
            "productType": ours["productType"],
            "orderType": "LIMIT",
            "validity": "DAY",
            "securityId": ours["securityId"],
            "quantity": ours["quantity"],
            "price": 0.05,
        }
        headers = {"Content-Type": "application/json", "access-token": day.simulator.token}
        request = urllib.request.Request(
            f"{day.simulator.base_url}/orders", data=json.dumps(foreign).encode(), headers=headers
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.status == 200
        assert "beef" in wait_halted(day)
        assert "beef" in str(read_latch(tmp_path / "journal"))


def test_p8_a_second_engine_on_the_same_folder_ends_with_the_reason(tmp_path: Path) -> None:
    with a_day(tmp_path) as day:
        env = {**os.environ, **day.engine._env}
        second = subprocess.run(
            [sys.executable, "-m", "workbench", "engine", "--mode", "practice"],
            env=env, capture_output=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 2
        assert "another engine runs" in second.stdout
        assert day.engine.get("/health")["ready"]
        day.engine.kill()
        day.engine.start()  # the lock has died with the process
        day.engine.wait_ready()


def test_p14_an_engine_that_is_asked_to_end_leaves_the_stop_at_the_broker(tmp_path: Path) -> None:
    report = run_day_with_kills(14, 2, folder=tmp_path, points=(KillPoint.TERMINATED,))
    assert report.ok, report.findings
    assert (report.kills, report.missed) == (2, 0)
    log = (tmp_path / "engine.log").read_text(encoding="utf-8")
    assert "Traceback" not in log


def test_p5_a_damaged_journal_is_set_aside_and_a_person_must_look(tmp_path: Path) -> None:
    with a_day(tmp_path) as day:
        day.quietly(day.deployments[0], "long")
        day.engine.end()
        path = tmp_path / "journal" / "journal.db"
        data = bytearray(path.read_bytes())
        data[4096 : len(data) - 4096] = os.urandom(len(data) - 8192)
        path.write_bytes(bytes(data))
        day.engine.start()
        day.engine.wait_ready()
        assert "damaged" in wait_halted(day)
        assert [each.read_bytes() for each in path.parent.glob("journal.broken-*.db")] == [bytes(data)]
        assert [row["orderStatus"] for row in orders(day)] == ["TRADED", "PENDING"]
        assert "broker holds" in " ".join(wait_told(day, "frozen"))
