"""What counts as found: a judge's word only, never a run that broke on a plant that does not fit any more."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from workbench.core.engine import settling
from workbench.testing.proof import hunt
from workbench.testing.proof.day import Day
from workbench.testing.proof.run import BROKE, run_seed


def told_by_the_child(monkeypatch: pytest.MonkeyPatch, **told: Any) -> None:
    """Each child of the hunt says this."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        body = {"seed": None, "says": ""} if hunt.CLEAN in command else told
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(body), stderr="")

    monkeypatch.setattr(subprocess, "run", run)


def test_an_engine_that_raises_is_a_run_that_broke_and_no_finding_of_a_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "on_snapshot", lambda: None)
    failure = run_seed(0).failure
    assert failure.startswith(BROKE)
    assert "engine fault on" in failure
    assert "TypeError" in failure


def test_a_proof_that_raises_is_a_run_that_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    async def raises(self: Day) -> None:
        raise AttributeError("no such name")

    monkeypatch.setattr(Day, "run", raises)
    assert run_seed(0).failure == f"{BROKE}AttributeError: no such name"


def test_a_plant_that_has_rotted_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    told_by_the_child(monkeypatch, seed=0, says=f"{BROKE}proof is frozen: engine fault on TimerBeat: TypeError: lambda")
    lines: list[str] = []
    report = hunt.hunt(["no_stop"], seeds=3, tell=lines.append)
    assert (report.missed, report.found, report.is_good) == (["no_stop"], [], False)
    assert "seed 0: the run itself broke: proof is frozen: engine fault on TimerBeat" in lines[0]


def test_a_judges_word_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    told_by_the_child(monkeypatch, seed=8, says="I5: P220615-5 without any order")
    report = hunt.hunt(["no_stop"], seeds=3, tell=lambda _: None)
    assert [(each.bug, each.seed) for each in report.found] == [("no_stop", 8)]
    assert report.is_good
