"""What a finding stops."""

from __future__ import annotations

import pytest

from workbench.bootstrap.findings import Blocks, Finding, Readiness, told
from workbench.config import Mode

GOOD = Finding.good("token", "taken")


@pytest.mark.parametrize(
    ("blocks", "stopped", "not_ok"),
    [
        (Blocks.NOTHING, set(), set(Mode)),
        (Blocks.LIVE, {Mode.LIVE}, {Mode.LIVE}),
        (Blocks.PAPER, {Mode.PAPER, Mode.LIVE}, set(Mode)),
        (Blocks.ALL, set(Mode), set(Mode)),
    ],
)
def test_a_finding_stops_what_it_says_and_no_other_mode(blocks: Blocks, stopped: set[Mode], not_ok: set[Mode]) -> None:
    bad = Finding.bad("clock", "off", "set it", blocks=blocks)
    looks = [Readiness(mode=mode, findings=[GOOD, bad]) for mode in Mode]
    assert {each.mode for each in looks if each.stops == (bad,)} == stopped
    assert {each.mode for each in looks if not each.ok} == not_ok
    assert bad.to_dict()["blocks"] == blocks.value and bad.to_dict()["way_out"] == "set it"


def test_what_is_right_has_no_way_out_and_stops_nothing() -> None:
    look = Readiness(mode=Mode.LIVE, findings=[GOOD])
    assert look.ok and not look.stops
    assert look.to_dict() == {"ok": True, "mode": "live", "checks": [GOOD.to_dict()]}
    assert "way_out" not in GOOD.to_dict()


def test_stops_are_told_in_one_line_with_their_ways_out() -> None:
    bad = Finding.bad("token", "expired", "run workbench login", blocks=Blocks.PAPER)
    assert told([bad, bad]) == "token: expired (run workbench login); token: expired (run workbench login)"


def test_a_person_reads_each_finding_with_its_way_out() -> None:
    bad = Finding.bad("address", "another", "register it", blocks=Blocks.LIVE)
    assert list(Readiness(mode=Mode.LIVE, findings=[GOOD, bad]).lines()) == [
        "NOT ready for live",
        "  ok      token: taken",
        "  NOT OK  address: another",
        "          way out: register it (stops live)",
    ]
    paper = Readiness(mode=Mode.PAPER, findings=[GOOD, bad])
    assert next(paper.lines()) == "ready for paper; what is NOT OK does not stop it"
    assert next(Readiness(mode=Mode.PAPER, findings=[GOOD]).lines()) == "ready for paper"
