"""What a day beside its twin proves: nothing where nothing was traded, and nothing where they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workbench.testing.crash_same_day import SameDay

GOOD = SameDay(
    seed=1,
    kills=20,
    rounds=22,
    held=22,
    orders=44,
    differences=(),
    fills=44,
    fills_before_a_kill=2,
    early_differences=(),
    price_differences=("a kill's price",),
    findings=(),
    longest_naked_s=0.5,
    longest_recovery_s=1.5,
)


def test_p1_days_that_differ_in_the_prices_after_a_kill_only_are_the_same() -> None:
    assert GOOD.ok
    assert GOOD.as_dict()["ok"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"held": 0},
        {"orders": 0},
        {"fills_before_a_kill": 0},
        {"kills": 0},
        {"differences": ("round 3",)},
        {"early_differences": ("fill 1",)},
        {"findings": ("lost",)},
    ],
)
def test_p1_days_in_which_nothing_could_differ_or_something_did_are_no_proof(change: dict[str, Any]) -> None:
    assert not replace(GOOD, **change).ok
