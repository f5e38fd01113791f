"""Indicators as TradingView's Pine defines them.

SMA, EMA, RMA, RSI and ATR come from pandas-ta-classic, which agrees with Pine. Supertrend and VWAP are our own: the
library's Supertrend turns on other bars and loads numba, and its VWAP knows no index without volume
(docs/decisions/0020).

Invariants: a value depends on its own bar and on earlier ones only; too few bars give NaN, never an error; nothing
here loads numba. Inputs are float64 series on one index without empty values.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.strategies.frames import Booleans, session_numbers

with warnings.catch_warnings():
    # Version 0.8.32 asks pandas for a deprecated attribute while it is imported.
    warnings.simplefilter("ignore")
    import pandas_ta_classic as ta

Series = pd.Series
Floats = npt.NDArray[np.float64]

RELATIVE_TOLERANCE = 1e-9
"""Two values nearer than this share of their size are the same: 0.00002 on an index of 20,000, far under any tick."""

_FORGOTTEN = 1e-12


def ema_settle(length: int) -> int:
    """Bars after which what came before weighs less than 1e-12 in an EMA of that length, its seed included."""
    return length + _bars_to_forget(1 - 2 / (length + 1))


def rma_settle(length: int) -> int:
    """Bars after which what came before weighs less than 1e-12 in an RMA (RSI, ATR) of that length; one for the
    difference.
    """
    return length + 1 + _bars_to_forget(1 - 1 / length)


def _bars_to_forget(keep: float) -> int:
    return math.ceil(math.log(_FORGOTTEN) / math.log(keep)) if keep > 0 else 1


def sma(values: Series[float], length: int) -> Series[float]:
    """Simple moving average; NaN for the first ``length - 1`` bars."""
    return _or_nan(ta.sma(values, length=length), values.index)


def ema(values: Series[float], length: int) -> Series[float]:
    """Exponential moving average with weight 2 / (length + 1), seeded as Pine does by the SMA of the first `length`
    values.
    """
    return _or_nan(ta.ema(values, length=length), values.index)


def rma(values: Series[float], length: int) -> Series[float]:
    """Wilder's average with weight 1 / length, seeded by the SMA of the first `length` values (Pine's ``ta.rma``)."""
    return _or_nan(ta.rma(values, length=length), values.index)


def rsi(values: Series[float], length: int) -> Series[float]:
    """Relative strength index, 0 to 100, on RMA (Pine's ``ta.rsi``).

    Where the price has stood still so long that its average move is forgotten, the index means nothing and is NaN.
    Pine keeps its last value there, which would depend on bars without end.
    """
    plain = _or_nan(ta.rsi(values, length=length), values.index)
    moves = rma(values.diff().abs(), length)
    return plain.where(moves > RELATIVE_TOLERANCE * values.abs())


def true_range(high: Series[float], low: Series[float], close: Series[float]) -> Series[float]:
    """True range in points; the first bar's is high less low (Pine's ``ta.tr(true)``)."""
    span = (high - low).to_numpy(dtype=np.float64)
    before = close.shift(1).to_numpy(dtype=np.float64)
    moved = np.fmax(np.abs(high.to_numpy() - before), np.abs(low.to_numpy() - before))
    return pd.Series(np.fmax(span, moved), index=close.index)


def atr(high: Series[float], low: Series[float], close: Series[float], length: int) -> Series[float]:
    """Average true range in points: RMA of the true range (Pine's ``ta.atr``)."""
    return rma(true_range(high, low, close), length)


def crossed_over(left: Series[float], right: Series[float] | float) -> Booleans:
    """True where `left` is above `right` and was not on the bar before (Pine's ``ta.crossover``).

    "Above" means by more than :data:`RELATIVE_TOLERANCE`: equal values that were summed in another order differ in
    their last digits, and a signal must not turn on those.
    """
    above = is_above(left, right)
    return _rises(above, _known(left, right))


def crossed_under(left: Series[float], right: Series[float] | float) -> Booleans:
    """True where `left` is below `right` and was not on the bar before (Pine's ``ta.crossunder``)."""
    below = is_below(left, right)
    return _rises(below, _known(left, right))


def is_above(left: Series[float], right: Series[float] | float) -> Booleans:
    """True where `left` exceeds `right` by more than the tolerance; False where either is NaN."""
    a, b = _pair(left, right)
    result: Booleans = a - b > RELATIVE_TOLERANCE * np.abs(b)
    return result


def is_below(left: Series[float], right: Series[float] | float) -> Booleans:
    """True where `left` falls short of `right` by more than the tolerance; False where either is NaN."""
    a, b = _pair(left, right)
    result: Booleans = b - a > RELATIVE_TOLERANCE * np.abs(b)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Supertrend:
    """Result of :func:`supertrend`, one entry a bar.

    Parameters
    ----------
    trend : ndarray of int8
        +1 up, -1 down, 0 while the ATR is unknown. Pine's ``direction`` is the negative of it.
    line : ndarray of float64
        The band that trails the price, rupees; NaN while unknown.
    turned_up, turned_down : ndarray of bool
        Bars on which the trend changed.
    """

    trend: npt.NDArray[np.int8]
    line: Floats

    @property
    def turned_up(self) -> Booleans:
        """Bars on which the trend turned from down to up."""
        return self._turned(-1, 1)

    @property
    def turned_down(self) -> Booleans:
        """Bars on which the trend turned from up to down."""
        return self._turned(1, -1)

    def _turned(self, before: int, now: int) -> Booleans:
        turned = np.zeros(len(self.trend), dtype=np.bool_)
        turned[1:] = (self.trend[:-1] == before) & (self.trend[1:] == now)
        return turned


def supertrend(
    high: Series[float], low: Series[float], close: Series[float], *, factor: float, length: int
) -> Supertrend:
    """Supertrend by the definition in Pine's reference manual (``ta.supertrend``).

    The bands are the middle of the bar plus and minus `factor` times the ATR. The lower band only rises until a close
    has fallen under it, the upper only falls until a close has risen over it; the trend turns when the close crosses
    the band of the present trend. It begins down on the first bar that has an ATR.
    """
    middle = ((high + low) / 2).to_numpy()
    reach = factor * atr(high, low, close, length).to_numpy()
    uppers, lowers, closes = (middle + reach).tolist(), (middle - reach).tolist(), close.to_numpy().tolist()
    count = len(closes)
    trend = np.zeros(count, dtype=np.int8)
    line = np.full(count, np.nan)
    if count < length:
        return Supertrend(trend=trend, line=line)
    # Plain lists and floats: a loop over them is several times faster than over an array, and needs no compiler.
    now, upper, lower = -1, uppers[length - 1], lowers[length - 1]
    trends, lines = [now], [upper]
    before = closes[length - 1]
    for new_upper, new_lower, price in zip(uppers[length:], lowers[length:], closes[length:], strict=True):
        if new_upper < upper or before > upper:
            upper = new_upper
        if new_lower > lower or before < lower:
            lower = new_lower
        if now < 0 and price > upper:
            now = 1
        elif now > 0 and price < lower:
            now = -1
        trends.append(now)
        lines.append(lower if now > 0 else upper)
        before = price
    trend[length - 1 :] = trends
    line[length - 1 :] = lines
    return Supertrend(trend=trend, line=line)


def session_vwap(bars: pd.DataFrame) -> Series[float]:
    """Volume-weighted average of the typical price since the session's first bar, rupees.

    While a session has no volume, as on an index, the plain mean of the typical price stands in; the strategy says so
    in its notes. Sums begin anew in each session, so the same session gives the same digits whatever came before it.
    """
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    session = session_numbers(bars.index)
    volume = bars["volume"].groupby(session).cumsum()
    weighted = (typical * bars["volume"]).groupby(session).cumsum()
    counted = typical.groupby(session).cumcount() + 1
    plain = typical.groupby(session).cumsum() / counted
    return (weighted / volume.where(volume > 0)).where(volume > 0, plain)


def lacks_volume(bars: pd.DataFrame) -> bool:
    """Tell whether some session of these bars has no volume at all, so that its VWAP is a plain mean."""
    totals = bars["volume"].groupby(session_numbers(bars.index)).sum()
    return bool((totals <= 0).any())


def _or_nan(result: Series[float] | None, index: pd.Index) -> Series[float]:
    """The library gives None for too few bars; a series of NaN is the same news without a special case."""
    return pd.Series(np.nan, index=index, dtype=np.float64) if result is None else result


def _pair(left: Series[float], right: Series[float] | float) -> tuple[Floats, Floats]:
    a = np.asarray(left, dtype=np.float64)
    return a, np.broadcast_to(np.asarray(right, dtype=np.float64), a.shape)


def _known(left: Series[float], right: Series[float] | float) -> Booleans:
    a, b = _pair(left, right)
    result: Booleans = ~(np.isnan(a) | np.isnan(b))
    return result


def _rises(state: Booleans, known: Booleans) -> Booleans:
    rises = np.zeros(len(state), dtype=np.bool_)
    rises[1:] = state[1:] & ~state[:-1] & known[:-1]
    return rises
