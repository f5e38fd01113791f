"""Planted bugs: the list is whole, and a sample is found by the first seeds (all by `workbench prove --planted`)."""

from __future__ import annotations

import pytest

from workbench.core.risk import GATES
from workbench.testing.proof.gate_rules import RULES
from workbench.testing.proof.hunt import hunt
from workbench.testing.proof.planted.catalogue import BUGS, UNSEEN

SAMPLE = (
    "send_before_the_disk",
    "blind_resend",
    "flipped_oco",
    "trail_that_loosens",
    "dropped_dedupe",
    "paper_may_write",
)


def test_every_gate_has_its_rule_and_its_bug() -> None:
    assert set(RULES) == set(GATES)
    assert {f"gate_{name}" for name in GATES} <= set(BUGS)


def test_every_invariant_has_a_bug_and_they_are_many() -> None:
    assert set(UNSEEN) < set(BUGS)
    seen = [each for name, each in BUGS.items() if name not in UNSEEN]
    assert {f"I{number}" for number in range(1, 11)} <= {each.breaks for each in seen}
    assert len(seen) >= 40
    assert all(each.text for each in BUGS.values())


@pytest.mark.slow
def test_a_sample_of_bugs_is_found_and_clean_code_passes_the_same_seeds() -> None:
    report = hunt(SAMPLE, seeds=12, tell=lambda _: None)
    assert report.missed == []
    assert report.clean == ""
    assert {each.bug for each in report.found} == set(SAMPLE)
