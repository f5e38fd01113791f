"""Every strategy keeps the law, on generated bars and on two years of real minutes; what breaks it is caught."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from workbench import strategies
from workbench.core.strategy import SIGNAL_COLUMNS, Strategy, param
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import crossed_over, crossed_under, ema
from workbench.testing.strategy_law import assert_causal, assert_settled, generated_bars

EXTREMES = [
    ("ema_cross", {"fast": 50, "slow": 200}),
    ("ema_cross", {"fast": 2, "slow": 3}),
    ("rsi_bands", {"length": 2}),
    ("rsi_bands", {"length": 50}),
    ("supertrend", {"factor": 6.0, "length": 50}),
    ("supertrend", {"factor": 1.0, "length": 5}),
    ("sma_cross", {"fast": 50, "slow": 200}),
    ("opening_range", {"minutes": 120}),
    ("scalp_ema_vwap", {"slow": 100, "atr_length": 50}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crosses(Strategy):
    length: int = param(21, 2, 50)

    @property
    def settle_bars(self) -> int:
        return 300

    def average(self, bars: pd.DataFrame) -> pd.Series[float]:
        return ema(bars["close"], self.length)

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        average = self.average(bars)
        up, down = crossed_over(bars["close"], average), crossed_under(bars["close"], average)
        return signal_frame(bars.index, long_entry=up, long_exit=down, short_entry=down, short_exit=up)


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksAhead(_Crosses):
    """Reads the next bar's average."""

    name: ClassVar[str] = "looks_ahead"

    def average(self, bars: pd.DataFrame) -> pd.Series[float]:
        return ema(bars["close"], self.length).shift(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowsTheWhole(_Crosses):
    """Measures against the mean of all bars, later ones too."""

    name: ClassVar[str] = "knows_the_whole"

    def average(self, bars: pd.DataFrame) -> pd.Series[float]:
        return pd.Series(bars["close"].mean(), index=bars.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled(_Crosses):
    """Says that it needs 40 bars, and needs more."""

    name: ClassVar[str] = "unsettled"

    @property
    def settle_bars(self) -> int:
        return 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverSettles(_Crosses):
    """Alternates by the count of all bars since the first."""

    name: ClassVar[str] = "never_settles"

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        odd = np.arange(len(bars)) % 2 == 1
        return signal_frame(bars.index, long_entry=odd, long_exit=~odd, short_entry=~odd, short_exit=odd)


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return generated_bars(100_000, seed=7)


@pytest.fixture(scope="module")
def nifty(shared_data: Path) -> pd.DataFrame:
    """Two years of real minutes, labelled by their end in the files, 09:15 to 15:29 kept."""
    files = sorted((shared_data / "nifty-1m-2021-2022").glob("*.txt"))
    names = ["symbol", "day", "clock", "open", "high", "low", "close", "volume", "interest"]
    rows = pd.concat([pd.read_csv(file, header=None, names=names, dtype={"day": str}) for file in files])
    ends = pd.to_datetime(rows["day"] + " " + rows["clock"], format="%Y%m%d %H:%M")
    rows.index = pd.DatetimeIndex(ends - pd.Timedelta(minutes=1)).tz_localize("Asia/Kolkata").rename("time")
    rows = rows.sort_index()[["open", "high", "low", "close", "volume"]].astype(np.float64)
    return rows[~rows.index.duplicated()].between_time("09:15", "15:29")


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_keeps_the_law_on_generated_bars(name: str, bars: pd.DataFrame) -> None:
    strategy = strategies.build(name)
    assert strategy.signals(bars)[["long_entry", "short_entry"]].any().all()
    assert_causal(strategy, bars)
    assert_settled(strategy, bars, rows=500)


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_keeps_the_law_on_an_index_without_volume(name: str) -> None:
    bars = generated_bars(12_000, seed=23, volume=False)
    strategy = strategies.build(name)
    assert_causal(strategy, bars)
    assert_settled(strategy, bars, rows=200)


@pytest.mark.parametrize(("name", "parameters"), EXTREMES)
def test_the_ends_of_the_ranges_keep_the_law(name: str, parameters: dict[str, float]) -> None:
    bars = generated_bars(10_000, seed=11)
    strategy = strategies.build(name, parameters)
    assert_causal(strategy, bars, cuts=12)
    assert_settled(strategy, bars, rows=200)


def test_the_scalp_keeps_the_law_on_half_minutes() -> None:
    bars = generated_bars(12_000, seed=5, interval="30s", session_bars=750)
    assert_causal(strategies.build("scalp_ema_vwap"), bars)
    assert_settled(strategies.build("scalp_ema_vwap"), bars, rows=200)


@pytest.mark.shared
@pytest.mark.parametrize("minutes", [1, 5])
@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_keeps_the_law_on_real_minutes(name: str, minutes: int, nifty: pd.DataFrame) -> None:
    # 09:15 is a whole multiple of five minutes, so flooring the clock anchors five-minute bars at the session's open.
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bars = (
        nifty
        if minutes == 1
        else nifty.groupby(pd.DatetimeIndex(nifty.index).floor("5min")).agg(how).rename_axis("time")
    )
    assert_causal(strategies.build(name), bars, cuts=12)
    assert_settled(strategies.build(name), bars, rows=150)


@pytest.mark.parametrize("wrong", [LooksAhead(), KnowsTheWhole()])
def test_a_strategy_that_looks_ahead_is_caught(wrong: Strategy, bars: pd.DataFrame) -> None:
    with pytest.raises(AssertionError, match="is not causal: the row of 20"):
        assert_causal(wrong, bars.iloc[:5_000])


@pytest.mark.parametrize("wrong", [Unsettled(), NeverSettles()])
def test_a_strategy_that_remembers_too_long_is_caught(wrong: Strategy, bars: pd.DataFrame) -> None:
    assert_causal(wrong, bars.iloc[:5_000])
    with pytest.raises(AssertionError, match="is not settled: at 20"):
        assert_settled(wrong, bars.iloc[:5_000])


def test_the_law_is_not_tested_on_too_few_bars(bars: pd.DataFrame) -> None:
    with pytest.raises(AssertionError, match="needs more than 634 bars"):
        assert_settled(strategies.build("supertrend"), bars.iloc[:600])


def test_generated_bars_are_what_they_say(bars: pd.DataFrame) -> None:
    assert len(bars) == 100_000
    assert bars.index.is_unique
    assert bars.index.is_monotonic_increasing
    assert str(pd.DatetimeIndex(bars.index).tz) == "Asia/Kolkata"
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert bars.equals(generated_bars(100_000, seed=7))
    assert (bars["close"].diff() == 0).sum() > 1_000
    assert list(Unsettled().signals(bars).columns) == list(SIGNAL_COLUMNS)
