"""Money: prices land on the tick, halves go away from zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.core.money import Rounding, snap_to_tick, to_paisa, to_rupee

TICK = Decimal("0.05")


@pytest.mark.parametrize(
    ("price", "rounding", "snapped"),
    [
        (Decimal("100.02"), Rounding.NEAREST, "100.00"),
        (Decimal("100.025"), Rounding.NEAREST, "100.05"),
        (Decimal("100.01"), Rounding.UP, "100.05"),
        (Decimal("100.04"), Rounding.DOWN, "100.00"),
        (100.05, Rounding.NEAREST, "100.05"),
        (0.1 + 0.2, Rounding.NEAREST, "0.30"),
    ],
)
def test_a_price_goes_to_the_tick(price: Decimal | float, rounding: Rounding, snapped: str) -> None:
    found = snap_to_tick(price, TICK, rounding)
    assert found == Decimal(snapped)
    assert str(found) == snapped


def test_a_float_means_its_shortest_text() -> None:
    assert snap_to_tick(100.05, TICK, Rounding.UP) == Decimal("100.05")


def test_ticks_of_a_rupee_and_more_work() -> None:
    assert snap_to_tick(Decimal("15712.4"), Decimal(5)) == 15710


def test_halves_of_a_paisa_and_of_a_rupee_go_away_from_zero() -> None:
    assert to_paisa(Decimal("1.005")) == Decimal("1.01")
    assert to_paisa(Decimal("-1.005")) == Decimal("-1.01")
    assert to_rupee(Decimal("2.50")) == 3
