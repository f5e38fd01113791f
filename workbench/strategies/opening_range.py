"""Opening range: the first minutes of a session draw a range; the first close beyond it enters, once each way a
session.

Invariants: nothing is said while the range is being drawn, and no session knows another. The range is anchored at the
first bar of the day, whatever its hour, so an evening session has one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from workbench.core.strategy import Strategy, param
from workbench.strategies.frames import Booleans, session_numbers, signal_frame

LONGEST_SESSION_MINUTES = 480
"""No session since 2021 was longer: the outage day of 2021-02-24 ran from 09:15 to 17:00, 465 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRange(Strategy):
    """Break of the opening range by a close."""

    name: ClassVar[str] = "opening_range"
    supported_intervals: ClassVar[tuple[str, ...]] = ("1m", "2m", "3m", "5m", "10m", "15m")

    minutes: int = param(15, 5, 120, step=5, doc="minutes from the session's first bar that draw the range")

    @property
    def settle_bars(self) -> int:
        """A whole session in one-minute bars, and one bar for the rising edge."""
        return LONGEST_SESSION_MINUTES + 1

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """First close beyond the range each way; a close beyond the other end calls the position out."""
        times = pd.DatetimeIndex(bars.index).tz_localize(None).to_numpy()
        session = session_numbers(bars.index)
        starts = np.flatnonzero(np.diff(session, prepend=-1))
        drawing = times < times[starts][session] + np.timedelta64(self.minutes, "m")
        top = bars["high"].where(drawing).groupby(session).transform("max").to_numpy()
        bottom = bars["low"].where(drawing).groupby(session).transform("min").to_numpy()
        close = bars["close"].to_numpy()
        above, below = ~drawing & (close > top), ~drawing & (close < bottom)
        return signal_frame(
            bars.index,
            long_entry=_first(above, session),
            long_exit=below,
            short_entry=_first(below, session),
            short_exit=above,
        )


def _first(state: Booleans, session: np.ndarray) -> Booleans:
    """Keep only the first True of each session."""
    rows = np.flatnonzero(state)
    _, places = np.unique(session[rows], return_index=True)
    first = np.zeros(len(state), dtype=np.bool_)
    first[rows[places]] = True
    return first
