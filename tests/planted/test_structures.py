"""Planted bugs of several legs: a sample is found by the seed that is known for it, which clean code passes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from workbench.testing.proof.planted import structures
from workbench.testing.proof.planted.catalogue import BUGS
from workbench.testing.proof.run import run_seed
from workbench.testing.proof.structure_plans import has_legs

SAMPLE = {
    "hedge_sold_first": ("L3", 27),
    "sold_before_the_hedge_has_filled": ("L1", 27),
    "half_a_leg_is_enough": ("L4", 21),
    "margin_ignored": ("L2", 1),
    "combined_target_ignored": ("L6", 25),
    "cover_forgotten": ("L5", 33),
}
"""What it breaks, and the seed that shows it."""


def _said_with(bug: str, seed: int) -> str:
    command = [sys.executable, "-m", "workbench.testing.proof", "--plant", bug, "--from", str(seed), "--seeds", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert json.loads(done.stdout)["failures"] == [seed]
    return done.stderr


def test_bugs_of_legs_are_on_the_list_and_many() -> None:
    mine = [each for each in BUGS.values() if each.apply.__module__ == structures.__name__]
    assert len(mine) >= 20
    assert {f"L{number}" for number in range(1, 7)} <= {each.breaks for each in mine}
    assert set(SAMPLE) <= {each.name for each in mine}


@pytest.mark.slow
@pytest.mark.parametrize("bug", SAMPLE)
def test_a_bug_of_legs_is_found_by_its_seed(bug: str) -> None:
    breaks, seed = SAMPLE[bug]
    assert f"FAILED: {breaks}:" in _said_with(bug, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", sorted({seed for _, seed in SAMPLE.values()}))
def test_clean_code_passes_the_seeds_of_the_bugs(seed: int) -> None:
    assert has_legs(seed)
    assert run_seed(seed).failure == ""
