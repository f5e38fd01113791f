"""Replay carries out a target that rests at the broker beside the stop: one of the two leaves, and leaves all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache

import pytest

from tests.parity.worlds import faulty_bars, market_of, study_of
from workbench.core.errors import BadInput
from workbench.core.plan import Distance, Exits, Plan, ProtectionRule
from workbench.research.replay import replay
from workbench.research.trades import StudyResult

START = date(2022, 2, 14)
PAIRED = Plan(
    name="paired",
    exits=Exits(stop=Distance(points=Decimal(12)), target=Distance(points=Decimal(9))),
    protection=ProtectionRule.STOP_AND_TARGET,
    lots=2,
)


@cache
def replayed(*, abridge: bool) -> StudyResult:
    return replay(study_of(PAIRED, start=START), market_of(faulty_bars()), abridge=abridge)


def test_quiet_minutes_decide_nothing_while_both_rest() -> None:
    short, long = replayed(abridge=True), replayed(abridge=False)
    assert len(short.trades) > 5
    assert short.trades == long.trades


def test_a_target_at_the_broker_is_taken_at_its_price_or_better() -> None:
    trades = [each for each in replayed(abridge=True).trades if each.exit_reason == "target"]
    assert trades
    assert all(each.exit_price >= each.entry_price + 9 for each in trades)


def test_a_super_order_is_refused_with_the_way_out() -> None:
    plan = replace(PAIRED, protection=ProtectionRule.SUPER_ORDER)
    with pytest.raises(BadInput, match="replay it with protection stop_and_target"):
        replay(study_of(plan, start=START), market_of(faulty_bars()))
