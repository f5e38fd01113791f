"""Thousands of short days by seed: whatever broker and market do, the promises hold. A failure prints its seed.

`WORKBENCH_SEEDS=2000` runs more days than the sixty of a normal run; `WORKBENCH_SEED=17` runs that one only.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation.engine.day import run_day

SEEDS = int(os.environ.get("WORKBENCH_SEEDS", "60"))
ONE = os.environ.get("WORKBENCH_SEED")
CHUNK = 10
FIRST_SEEDS = [int(ONE)] if ONE else list(range(0, SEEDS, CHUNK))


@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_whatever_happens_the_promises_hold(first: int) -> None:
    last = first + 1 if ONE else min(first + CHUNK, SEEDS)
    for seed in range(first, last):
        run_day(seed)


def test_the_days_are_not_idle() -> None:
    exits: Counter[str] = Counter()
    for seed in range(1000, 1012):
        exits += run_day(seed).exits
    assert {"stop", "target", "alert", "opposite"} <= exits.keys()
    assert exits.total() > 40
