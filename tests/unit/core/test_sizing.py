"""Sizes are whole lots."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, bracket
from workbench.core.plan import Distance, Exits, Plan
from workbench.core.sizing import quantity

SHARE = Plan(lots=None, risk_share_pct=Decimal(1), exits=bracket("15"))


def test_fixed_lots_are_units_of_the_contracts_lot() -> None:
    assert quantity(Plan(lots=3), CALL, price=Decimal(120), capital=None) == 150


@pytest.mark.parametrize(("capital", "units"), [(74_999, 0), (75_000, 50), (149_999, 50), (150_000, 100), (0, 0)])
def test_a_share_of_risk_buys_the_whole_lots_that_the_stop_may_cost(capital: int, units: int) -> None:
    # One lot at a stop of 15 costs 750 rupees, one percent of 75,000.
    assert quantity(SHARE, CALL, price=Decimal(120), capital=Decimal(capital)) == units


def test_a_stop_in_percent_costs_more_at_a_higher_price() -> None:
    plan = Plan(lots=None, risk_share_pct=Decimal(1), exits=Exits(stop=Distance(percent=Decimal(10))))
    assert quantity(plan, CALL, price=Decimal(100), capital=Decimal(100_000)) == 100
    assert quantity(plan, CALL, price=Decimal(250), capital=Decimal(100_000)) == 0


def test_an_unknown_capital_buys_nothing() -> None:
    assert quantity(SHARE, CALL, price=Decimal(120), capital=None) == 0
