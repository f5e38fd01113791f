"""Scalp: three EMAs in line, the close on their side of VWAP, the RSI with them; a stop distance from the ATR.

Long while EMA 5 > EMA 9 > EMA 21, close > VWAP and RSI 7 above its level; short is the mirror. The entry counts where
all become true together (rising edge). A position is called out when the two faster averages change places.

Invariants: entries of both sides never stand on one bar; on bars without volume VWAP is the session's mean of the
typical price, and the notes say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench.core.errors import BadInput
from workbench.core.strategy import Strategy, param
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import (
    atr,
    ema,
    ema_settle,
    is_above,
    is_below,
    lacks_volume,
    rma_settle,
    rsi,
    session_vwap,
)

LONGEST_SESSION_BARS = 960
"""Eight hours in bars of 30 seconds; no session since 2021 was longer (2021-02-24: 465 minutes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalpEmaVwap(Strategy):
    """EMA 5/9/21, VWAP and RSI 7 in agreement."""

    name: ClassVar[str] = "scalp_ema_vwap"
    supported_intervals: ClassVar[tuple[str, ...]] = ("30s", "1m")

    fast: int = param(5, 2, 20, doc="bars of the fastest average")
    middle: int = param(9, 3, 40, doc="bars of the middle average")
    slow: int = param(21, 5, 100, doc="bars of the slow average")
    rsi_length: int = param(7, 2, 30, doc="bars of the RSI")
    rsi_long: float = param(55.0, 40.0, 90.0, step=5.0, doc="RSI that a long needs at least")
    rsi_short: float = param(45.0, 10.0, 60.0, step=5.0, doc="RSI that a short needs at most")
    atr_length: int = param(14, 2, 50, doc="bars of the average true range")
    atr_factor: float = param(1.5, 0.5, 5.0, step=0.5, doc="stop distance in average true ranges")

    def check(self) -> None:
        """Refuse averages out of order."""
        if not self.fast < self.middle < self.slow:
            raise BadInput(f"scalp_ema_vwap: need fast < middle < slow, not {self.fast}, {self.middle}, {self.slow}")

    @property
    def settle_bars(self) -> int:
        """A whole session for VWAP, or what the slowest average, RSI or ATR needs; one bar for the rising edge."""
        averages = max(ema_settle(self.slow), rma_settle(self.rsi_length), rma_settle(self.atr_length))
        return max(LONGEST_SESSION_BARS, averages) + 1

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        """States that stay true as long as all agree."""
        close = bars["close"]
        fast, middle, slow = ema(close, self.fast), ema(close, self.middle), ema(close, self.slow)
        vwap, strength = session_vwap(bars), rsi(close, self.rsi_length)
        rising, falling = is_above(fast, middle), is_below(fast, middle)
        long_entry = rising & is_above(middle, slow) & is_above(close, vwap) & is_above(strength, self.rsi_long)
        short_entry = falling & is_below(middle, slow) & is_below(close, vwap) & is_below(strength, self.rsi_short)
        return signal_frame(
            bars.index, long_entry=long_entry, long_exit=falling, short_entry=short_entry, short_exit=rising
        )

    def stop_points(self, bars: pd.DataFrame) -> pd.Series[float]:
        """`atr_factor` average true ranges, points of the underlying."""
        return atr(bars["high"], bars["low"], bars["close"], self.atr_length) * self.atr_factor

    def notes(self, bars: pd.DataFrame) -> tuple[str, ...]:
        """Say where VWAP is not weighted by volume."""
        if lacks_volume(bars):
            return ("VWAP without volume: session mean of typical price",)
        return ()
