"""Days and nights by seed whose targets rest beside their stops, judged as a stranger would."""

from __future__ import annotations

import asyncio

import pytest

from workbench.core.plan import ProtectionRule
from workbench.testing.proof.pair_day import PairsDay, is_paired, with_pairs
from workbench.testing.proof.run import run_seed
from workbench.testing.proof.scenario import scenario_of

BOTH_FILL = 356
"""A day on which stop and target of one position both fill, and the excess is bought back."""


@pytest.mark.parametrize("seed", [20, 23, 28, 31, 36, 39, 47, BOTH_FILL])
def test_every_promise_is_kept(seed: int) -> None:
    assert is_paired(with_pairs(scenario_of(seed)))
    assert run_seed(seed).failure == ""


def test_r15_a_day_on_which_both_fill_ends_flat_with_an_alarm() -> None:
    day = PairsDay(with_pairs(scenario_of(BOTH_FILL)))
    asyncio.run(day.run())
    bought = [name for name in day.pair_venue.position_ids() if day.pair_venue.left(name).bought_back]
    assert bought
    assert all(day.pair_venue.held(name) == 0 for name in bought)
    assert any("have both filled" in text for text in day.notices.texts)


def test_the_first_sixteen_seeds_are_as_they_were() -> None:
    for seed in range(16):
        plans = [each.plan for each in with_pairs(scenario_of(seed)).deployments]
        assert all(plan.protection is ProtectionRule.STOP_ONLY for plan in plans)
