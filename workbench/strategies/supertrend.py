"""Supertrend flips: long when the trend turns up, short when it turns down.

Invariant: a flip here is a flip on TradingView's chart of the same bars; pandas-ta's Supertrend turns on other bars
(docs/decisions/0020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench.core.strategy import Strategy, param
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import rma_settle, supertrend

BARS_TO_MEET = 120
"""Bars per unit of `factor` in which a trend begun anywhere has met the true one: over three times the slowest of
7,500 beginnings on index, crypto and generated bars (docs/decisions/0020)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupertrendFlip(Strategy):
    """Direction changes of Pine's ``ta.supertrend(factor, length)``."""

    name: ClassVar[str] = "supertrend"

    factor: float = param(3.0, 1.0, 6.0, step=0.5, doc="reach of the bands in average true ranges")
    length: int = param(10, 5, 50, doc="bars of the average true range")

    @property
    def settle_bars(self) -> int:
        """What the ATR needs to forget its seed, and what the trend needs to be the same from any beginning.

        The trend remembers its last turn, however long ago. Two trends that began apart are one after the price has
        left the width of the bands once. It cannot be promised for a price that stands still or bounces between two
        values for as long as this.
        """
        return rma_settle(self.length) + round(BARS_TO_MEET * max(self.factor, 3.0))

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Turns of the trend."""
        found = supertrend(bars["high"], bars["low"], bars["close"], factor=self.factor, length=self.length)
        up, down = found.turned_up, found.turned_down
        return signal_frame(bars.index, long_entry=up, long_exit=down, short_entry=down, short_exit=up)
