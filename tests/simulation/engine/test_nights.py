"""Nights by seed: what is carried is named, protected or left seconds after the open, and nothing outlives its day."""

from __future__ import annotations

import os

import pytest

from tests.simulation.engine.night import Night

SEEDS = int(os.environ.get("WORKBENCH_SEEDS", "60"))
ONE = os.environ.get("WORKBENCH_SEED")
CHUNK = 10


def run_night(seed: int) -> Night:
    """Run one; a failure prints the seed and the tail of the log."""
    night = Night(seed)
    try:
        night.run()
    except Exception as error:
        tail = "\n".join(night.log[-80:])
        raise AssertionError(f"seed {seed}: {error}\n{night.faults}\n{night.plan}\n{tail}") from error
    return night


@pytest.mark.parametrize("first", [int(ONE)] if ONE else list(range(0, SEEDS, CHUNK)))
def test_whatever_happens_over_night_the_promises_hold(first: int) -> None:
    for seed in range(first, first + 1 if ONE else min(first + CHUNK, SEEDS)):
        run_night(seed)


def test_the_nights_are_not_idle() -> None:
    nights = [run_night(seed) for seed in range(1000, 1015)]
    assert sum(each.carried for each in nights) >= 5
    assert sum(each.gapped for each in nights) >= 1
    assert sum(each.expired for each in nights) >= 1
