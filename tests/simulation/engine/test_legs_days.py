"""Days of several legs by seed: flat at the end, books agree, no sold leg without what covers it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.engine.legs_day import run_legs_day
from workbench.core.engine import structures

SEEDS = range(24)


@pytest.mark.parametrize("seed", SEEDS)
def test_days_of_several_legs_end_flat_and_nothing_is_ever_sold_naked(seed: int) -> None:
    day = run_legs_day(seed)
    planned, stood, _ = day.counts
    assert stood <= planned


def _guard_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.core.engine.steering.sold_beside", lambda *_: [])


def _too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structures, "is_entered", lambda turn, position_id: position_id in turn.book.positions)


def _not_unwound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structures, "_failed", lambda *_: ("", ""))


@pytest.mark.parametrize("plant", [_guard_off, _too_early, _not_unwound])
def test_days_of_several_legs_find_what_is_broken(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        for seed in SEEDS:
            run_legs_day(seed)
