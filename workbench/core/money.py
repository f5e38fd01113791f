"""Money and prices: exact decimals, and the one named crossing from floats.

Invariant: a price that reaches an order is a `Decimal` on its instrument's tick.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum

ZERO = Decimal(0)
PAISA = Decimal("0.01")
RUPEE = Decimal(1)


class Rounding(StrEnum):
    """Where a price goes that lies between two ticks."""

    NEAREST = "nearest"
    DOWN = "down"
    UP = "up"


_MODES = {Rounding.NEAREST: ROUND_HALF_UP, Rounding.DOWN: ROUND_FLOOR, Rounding.UP: ROUND_CEILING}


def snap_to_tick(price: Decimal | float, tick: Decimal, rounding: Rounding = Rounding.NEAREST) -> Decimal:
    """Put a price on the tick grid: the only crossing from float prices to decimals.

    Parameters
    ----------
    price : Decimal or float
        Rupees. A float is read through its shortest text, so that ``100.05`` means 100.05.
    tick : Decimal
        Rupees, above zero.
    rounding : Rounding
        Nearest (a half goes away from zero), down or up.
    """
    value = price if isinstance(price, Decimal) else Decimal(repr(float(price)))
    steps = (value / tick).quantize(Decimal(1), rounding=_MODES[rounding])
    return (steps * tick).quantize(tick) if tick < 1 else steps * tick


def to_paisa(amount: Decimal) -> Decimal:
    """Round an amount to the paisa, halves away from zero."""
    return amount.quantize(PAISA, rounding=ROUND_HALF_UP)


def to_rupee(amount: Decimal) -> Decimal:
    """Round an amount to the rupee, halves away from zero (STT and stamp on a contract note)."""
    return amount.quantize(RUPEE, rounding=ROUND_HALF_UP)
