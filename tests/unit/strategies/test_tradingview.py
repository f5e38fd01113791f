"""Our strategies against trade lists that TradingView exported, trade by trade, wherever that data is found.

The exports: orders fill at the next bar's open, an opposite entry reverses, times are UTC+8, the exit row stands before
the entry row, the file begins with a byte-order mark. The candles begin months earlier, so all has settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandas_ta_classic as ta
import pytest

from workbench import strategies
from workbench.core.strategy import Strategy
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import atr, crossed_over, crossed_under, ema, supertrend

pytestmark = pytest.mark.shared

Trade = tuple[pd.Timestamp, str, float]


@pytest.fixture(scope="module")
def candles(shared_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared_data / "tradingview" / "ohlcv_ETH-USDT-USDT_15m.csv.gz")
    times = pd.to_datetime(frame.pop("timestamp"), unit="ms", utc=True)
    frame.index = pd.DatetimeIndex(times).tz_convert("Asia/Kolkata").rename("time")
    return frame.astype(np.float64)


def exported(shared_data: Path, name: str, row: str = "Entry") -> list[Trade]:
    rows = pd.read_csv(shared_data / "tradingview" / f"{name}-01.trades.csv", encoding="utf-8-sig")
    rows = rows[rows["Type"].str.startswith(row)]
    # UTC+8 the whole year: Asia/Shanghai has had no summer time since 1991.
    times = pd.to_datetime(rows["Date and time"]).dt.tz_localize("Asia/Shanghai").dt.tz_convert("Asia/Kolkata")
    sides = rows["Type"].str.split().str[1]
    return list(zip(times, sides, rows["Price USDT"], strict=True))


def entries(candles: pd.DataFrame, signals: pd.DataFrame) -> list[Trade]:
    """Trade signals the way the exports do: one position, the next bar's open, a reversal on the opposite entry."""
    rows = signals.to_numpy()
    times, opens = candles.index, candles["open"].to_numpy()
    held, found = "", []
    for i in range(len(candles) - 1):
        long_entry, long_exit, short_entry, short_exit = rows[i]
        if (held == "long" and long_exit) or (held == "short" and short_exit):
            held = ""
        side = "long" if long_entry else "short" if short_entry else ""
        if side and side != held:
            held = side
            found.append((times[i + 1], side, float(opens[i + 1])))
    return found


def within(found: list[Trade], asked: list[Trade]) -> list[Trade]:
    return [trade for trade in found if asked[0][0] <= trade[0] <= asked[-1][0]]


@pytest.mark.parametrize(
    ("export", "strategy", "count"),
    [
        ("ta-supertrend-direction-flip", strategies.build("supertrend", {"factor": 3, "length": 10}), 819),
        ("ta-sma-dual-cross", strategies.build("sma_cross", {"fast": 9, "slow": 21}), 2150),
        ("ta-rsi14-bands-30-70", strategies.build("rsi_bands", {"length": 14, "lower": 30, "upper": 70}), 256),
    ],
    ids=["supertrend", "sma_cross", "rsi_bands"],
)
def test_every_trade_is_tradingviews(
    export: str, strategy: Strategy, count: int, candles: pd.DataFrame, shared_data: Path
) -> None:
    asked = exported(shared_data, export)
    assert len(asked) == count
    assert within(entries(candles, strategy.signals(candles)), asked) == asked


def test_a_keltner_channel_of_our_ema_and_atr_trades_as_tradingviews(candles: pd.DataFrame, shared_data: Path) -> None:
    close, middle = candles["close"], ema(candles["close"], 20)
    reach = 2 * atr(candles["high"], candles["low"], close, 10)
    upper, lower = middle + reach, middle - reach
    signals = signal_frame(
        candles.index,
        long_entry=crossed_over(close, upper),
        long_exit=crossed_under(close, middle),
        short_entry=crossed_under(close, lower),
        short_exit=crossed_over(close, middle),
    )
    asked = exported(shared_data, "ta-keltner-channel-break")
    assert within(entries(candles, signals), asked) == asked


@dataclass(frozen=True, slots=True)
class Turns:
    """Bars on which a trend changed, and to what."""

    rows: frozenset[tuple[int, int]]

    @classmethod
    def of(cls, trend: np.ndarray) -> Turns:
        changed = np.flatnonzero(np.diff(trend) != 0) + 1
        return cls(frozenset((int(row), int(trend[row])) for row in changed))


def test_the_librarys_supertrend_turns_elsewhere(candles: pd.DataFrame, shared_data: Path) -> None:
    """Why Supertrend is our own. If this fails, the library has changed: look again at decision 0020."""
    first = exported(shared_data, "ta-supertrend-direction-flip")[0][0]
    begin = int(candles.index.searchsorted(first))
    high, low, close = candles["high"], candles["low"], candles["close"]
    theirs = ta.supertrend(high, low, close, length=10, multiplier=3).iloc[:, 1].to_numpy()
    ours = supertrend(high, low, close, factor=3, length=10).trend
    differing = {turn for turn in Turns.of(theirs).rows ^ Turns.of(ours).rows if turn[0] >= begin}
    assert len(differing) == 24
