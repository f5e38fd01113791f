"""The real engine process, killed at named points of an order's life (P1); more of them by `workbench prove`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.testing.crash_points import KillPoint
from workbench.testing.crash_runner import BOUND_S, run_day_with_kills
from workbench.testing.crash_same_day import QUIET_ROUNDS, run_same_day

pytestmark = pytest.mark.timeout(400)


def test_p1_fifteen_kills_of_a_day_lose_double_and_leave_nothing_naked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workbench", "prove", "--seeds", "0", "--kills", "15", "--from", "11", "--json"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, encoding="utf-8", timeout=380, check=False
    )
    told = json.loads(done.stdout)
    (line,) = (tmp_path / "seeds.jsonl").read_text(encoding="utf-8").splitlines()
    assert (done.returncode, told["failures"]) == (0, []), json.loads(line)["failure"]
    assert (told["kills"], told["lost"], told["doubled"], told["unprotected"]) == (15, 0, 0, 0)
    assert told["orders"] > 15
    assert 0 < told["crash_longest_naked_s"] <= BOUND_S
    assert told["crash_longest_recovery_s"] > 0


@pytest.mark.parametrize("seed", [7, 15], ids=["own_ids", "shared_ids"])
def test_p1_kills_while_a_super_order_is_on_its_way_or_left_lose_double_and_leave_nothing_naked(
    seed: int, tmp_path: Path
) -> None:
    points = (
        KillPoint.SUPER_IN_FLIGHT,
        KillPoint.FILLED,
        KillPoint.TARGET_LEG_IN_FLIGHT,
        KillPoint.STOP_LEG_IN_FLIGHT,
        KillPoint.LEFT_IN_FLIGHT,
    )
    report = run_day_with_kills(seed, 5, folder=tmp_path, points=points)
    assert report.ok, report.findings
    assert (report.kills, report.missed) == (5, 0)
    assert report.longest_naked_s <= BOUND_S
    assert report.orders >= 5


def test_p1_a_market_that_runs_on_while_the_engine_is_dead_is_caught_up_with(tmp_path: Path) -> None:
    report = run_day_with_kills(12, 2, folder=tmp_path, points=(KillPoint.PROTECTED,), runs_on_at=20.0)
    assert report.ok, report.findings
    assert report.kills == 2


def test_p1_a_day_with_random_kills_stands_as_the_day_without_them() -> None:
    found = run_same_day(13, 4)
    assert found.ok, found.as_dict()
    assert (found.kills, found.rounds) == (4, QUIET_ROUNDS + 4)
    assert found.fills_before_a_kill > 0, "something was compared that no kill could change"
    assert found.held > QUIET_ROUNDS, "something was held"


def _is_engine(process: psutil.Process) -> bool:
    try:
        return "engine" in process.cmdline()
    except psutil.Error:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="a process there is ended without being asked")
def test_a_proof_that_is_told_to_end_takes_its_engine_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workbench", "prove", "--seeds", "0", "--kills", "15", "--from", "11"]
    proof = subprocess.Popen([*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, encoding="utf-8")
    family: dict[int, psutil.Process] = {}
    try:
        until = time.monotonic() + 60
        while not any(_is_engine(each) for each in family.values()):
            assert time.monotonic() < until, "no engine was started"
            family |= {each.pid: each for each in psutil.Process(proof.pid).children(recursive=True)}
            time.sleep(0.2)
        proof.terminate()
        _, told = proof.communicate(timeout=60)
        left = psutil.wait_procs(list(family.values()), timeout=10)[1]
        assert left == []
        assert "the same command goes on where it was" in told
    finally:
        for each in family.values():
            if each.is_running():
                each.kill()
