"""The average true range that a plan's exits ask for, of the bars that the strategy sees.

Invariant: it is taken over the same number of bars everywhere, so that live, replay and practice lay the same levels.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from workbench.core.plan import Exits
from workbench.strategies.indicators import atr, rma_settle

PLACES = 4


def bars_needed(exits: Exits) -> int:
    """Bars over which the exits' average has settled; 0 where they ask for none."""
    return max((rma_settle(length) for length in exits.atr_lengths), default=0)


def average_range(bars: pd.DataFrame, exits: Exits) -> Decimal | None:
    """Give the average true range at the last of the bars, rupees; None where none is asked for or bars are missing.

    Parameters
    ----------
    bars : DataFrame
        Bar frame, shape (n, 5).
    """
    need = bars_needed(exits)
    if not need or len(bars) < need:
        return None
    window = bars.tail(need)
    (length,) = exits.atr_lengths
    found = float(atr(window["high"], window["low"], window["close"], length).iloc[-1])
    return Decimal(repr(round(found, PLACES))) if found > 0 else None  # NaN is not above zero either
