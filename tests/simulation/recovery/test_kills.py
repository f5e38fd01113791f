"""The real engine process, killed at named points of an order's life (P1); more of them by `workbench prove`."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.testing.crash_points import KillPoint
from workbench.testing.crash_runner import run_day_with_kills, standings

pytestmark = pytest.mark.timeout(180)


def test_p1_a_killed_engine_loses_doubles_and_leaves_nothing_naked(tmp_path: Path) -> None:
    points = (KillPoint.IN_FLIGHT, KillPoint.STOP_IN_FLIGHT, KillPoint.FILLED, KillPoint.RANDOM)
    report = run_day_with_kills(11, 4, folder=tmp_path, points=points)
    assert report.ok, report.findings
    assert (report.kills, report.lost, report.doubled, report.unprotected) == (4, 0, 0, 0)
    assert report.orders > 0
    assert report.longest_recovery_s > 0


def test_p1_a_market_that_runs_on_while_the_engine_is_dead_is_caught_up_with(tmp_path: Path) -> None:
    report = run_day_with_kills(12, 2, folder=tmp_path, points=(KillPoint.PROTECTED,), runs_on_at=20.0)
    assert report.ok, report.findings
    assert report.kills == 2


def test_p1_a_day_with_random_kills_stands_as_the_day_without_them(tmp_path: Path) -> None:
    killed, plain = standings(13, 4, tmp_path)
    assert killed == plain
    assert len(killed) == 4
    assert any(len(each) > 1 for each in killed), "something was held"
