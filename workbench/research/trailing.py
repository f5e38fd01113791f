"""The trailing stop as vectorbt asks for it: a function of the stop's context, compiled by numba.

vectorbt trails by a share of the best price; a plan trails by rupees, arms after a profit, and never loosens a stop
that was there before. So the share is computed anew on each row from the level that the plan asks for.

Invariant: the level is that of `workbench.core.exits.trailed_stop`; tests lay the two beside each other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_HARDLY = 1e-9


@njit
def stop_share(context, initial, distance, after, tick, nudge):  # type: ignore[no-untyped-def]
    """Give the stop as a share of the best price so far, and that vectorbt shall follow the best price.

    Parameters
    ----------
    context : AdjustSLContext
    initial : array of float64
        By entry row: level of the first stop, rupees; NaN for none.
    distance, after : array of float64
        By entry row, rupees.
    tick : array of float64
        By entry row, rupees.
    nudge : float
        Share of a tick by which the level is drawn towards the price: floats meet it where decimals are equal.
    """
    position = context.position_now
    if position == 0:
        return np.nan, False
    row, peak, entry = context.init_i, context.curr_price, context.init_price
    level = initial[row]
    sign = 1.0 if position > 0 else -1.0
    gained = sign * (peak - entry)
    if gained > _HARDLY and gained >= after[row] - _HARDLY:
        asked = np.floor((peak - sign * distance[row]) / tick[row] + 0.5 + 1e-7) * tick[row]
        if np.isnan(level) or sign * (asked - level) > 0:
            level = asked
    if np.isnan(level):
        # Not met at any price; a share is needed all the same, or vectorbt forgets the best price.
        return (1.0 if position > 0 else 1e6), True
    return max(0.0, (sign * (peak - level) - nudge * tick[row]) / peak), True
