"""Signals: entries on the rising edge only."""

from __future__ import annotations

import pytest

from workbench.core.signal import Direction, Side, SignalValues, entry_edge, exit_called

LONG = SignalValues(long_entry=True)
SHORT = SignalValues(short_entry=True)
BOTH = SignalValues(long_entry=True, short_entry=True)


@pytest.mark.parametrize(
    ("values", "previous", "edge"),
    [
        (LONG, None, Direction.LONG),
        (LONG, SignalValues(), Direction.LONG),
        (LONG, LONG, None),
        (SHORT, LONG, Direction.SHORT),
        (SignalValues(), SHORT, None),
        (BOTH, SignalValues(), None),
        (BOTH, LONG, Direction.SHORT),
    ],
)
def test_an_entry_is_taken_on_the_rising_edge(
    values: SignalValues, previous: SignalValues | None, edge: Direction | None
) -> None:
    assert entry_edge(values, previous) is edge


def test_an_exit_is_called_for_what_is_held_only() -> None:
    values = SignalValues(long_exit=True)
    assert exit_called(values, Direction.LONG)
    assert not exit_called(values, Direction.SHORT)


def test_opposites_are_opposite() -> None:
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert Direction.LONG.opposite is Direction.SHORT
    assert Direction.SHORT.opposite is Direction.LONG
