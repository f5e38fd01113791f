"""`workbench demo`: the whole journey on the shipped sample, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journey.running import ROOT


@pytest.mark.timeout(300)
def test_the_demo_goes_the_whole_way_without_an_account_or_other_data(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "demo", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    steps = {step["step"]: step for step in told["steps"]}
    assert told["ok"] is True
    names = ["import", "backtest", "parity", "check", "promote", "practice day", "alerts", "exits", "report", "stopped"]
    assert list(steps) == names
    assert steps["import"]["bars"] > 20_000
    assert steps["import"]["added_again"] == 0
    assert steps["backtest"]["trades"] > 50
    assert steps["parity"]["unexplained"] == 0
    assert "SCALP_ATM" in steps["exits"]["deployments"]
    assert "DEMO_EMA" in steps["exits"]["deployments"]
    assert Path(steps["report"]["html"]).is_file()
    assert steps["stopped"]["exit_code"] == 0
