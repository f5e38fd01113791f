"""EMA cross: long when the fast average crosses over the slow one, short when it crosses under.

Invariant: it is always the opposite cross that calls a position out, so a flip is an exit and an entry on one bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench.core.errors import BadInput
from workbench.core.strategy import Strategy, param
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import crossed_over, crossed_under, ema, ema_settle


@dataclass(frozen=True, slots=True, kw_only=True)
class EmaCross(Strategy):
    """Two exponential averages of the close."""

    name: ClassVar[str] = "ema_cross"

    fast: int = param(9, 2, 50, doc="bars of the fast average")
    slow: int = param(21, 3, 200, doc="bars of the slow average")

    def check(self) -> None:
        """Refuse a fast average that is not the faster one."""
        if self.fast >= self.slow:
            raise BadInput(f"ema_cross: fast ({self.fast}) must be below slow ({self.slow})")

    @property
    def settle_bars(self) -> int:
        """What the slow average needs to forget its seed, and one bar for the cross."""
        return ema_settle(self.slow) + 1

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Crosses of the two averages."""
        fast, slow = ema(bars["close"], self.fast), ema(bars["close"], self.slow)
        up, down = crossed_over(fast, slow), crossed_under(fast, slow)
        return signal_frame(bars.index, long_entry=up, long_exit=down, short_entry=down, short_exit=up)
