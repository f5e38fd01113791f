"""What a strategy says at a closed bar, and when that becomes an entry.

Invariant: an entry is taken on the rising edge only, so a condition that stays true does not enter again.
"""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Side of an order or a position's direction at the market."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class Direction(StrEnum):
    """What is expected of the underlying."""

    LONG = "long"
    SHORT = "short"

    @property
    def opposite(self) -> "Direction":
        """The other direction."""
        return Direction.SHORT if self is Direction.LONG else Direction.LONG


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalValues:
    """One row of a strategy's frame."""

    long_entry: bool = False
    long_exit: bool = False
    short_entry: bool = False
    short_exit: bool = False


def entry_edge(values: SignalValues, previous: SignalValues | None) -> Direction | None:
    """Direction of a rising entry edge, or None.

    Both edges at once contradict each other and enter nothing.
    """
    before = previous or SignalValues()
    long_edge = values.long_entry and not before.long_entry
    short_edge = values.short_entry and not before.short_entry
    if long_edge == short_edge:
        return None
    return Direction.LONG if long_edge else Direction.SHORT


def exit_called(values: SignalValues, held: Direction) -> bool:
    """Tell whether the strategy asks to leave a position of that direction."""
    return values.long_exit if held is Direction.LONG else values.short_exit
