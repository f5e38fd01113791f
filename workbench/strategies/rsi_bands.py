"""RSI bands: long when the RSI comes up out of the lower band, short when it comes down out of the upper one.

Invariant: it is always the opposite entry that calls a position out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench.core.errors import BadInput
from workbench.core.strategy import Strategy, param
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import crossed_over, crossed_under, rma_settle, rsi


@dataclass(frozen=True, slots=True, kw_only=True)
class RsiBands(Strategy):
    """Crosses of the RSI with two levels."""

    name: ClassVar[str] = "rsi_bands"

    length: int = param(14, 2, 50, doc="bars of the RSI")
    lower: float = param(30.0, 5.0, 50.0, step=5.0, doc="level that is crossed upwards to go long")
    upper: float = param(70.0, 50.0, 95.0, step=5.0, doc="level that is crossed downwards to go short")

    def check(self) -> None:
        """Refuse bands without room between them."""
        if self.lower >= self.upper:
            raise BadInput(f"rsi_bands: lower ({self.lower}) must be below upper ({self.upper})")

    @property
    def settle_bars(self) -> int:
        """What the RSI needs to forget its seed, and two bars for the cross and its rising edge."""
        return rma_settle(self.length) + 2

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Crosses of the two levels."""
        strength = rsi(bars["close"], self.length)
        up, down = crossed_over(strength, self.lower), crossed_under(strength, self.upper)
        return signal_frame(bars.index, long_entry=up, long_exit=down, short_entry=down, short_exit=up)
