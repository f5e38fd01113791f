"""Indicators against hand-written definitions of Pine's manual, on small inputs."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from workbench.strategies import indicators
from workbench.strategies.frames import rising_edges, session_numbers, signal_frame
from workbench.testing.strategy_law import generated_bars

BARS = generated_bars(1_200, seed=3)
CLOSE = BARS["close"]


def pine_average(values: list[float], length: int, weight: float) -> list[float]:
    """``sum := na(sum[1]) ? ta.sma(src, length) : alpha * src + (1 - alpha) * sum[1]``, as the manual writes it."""
    result: list[float] = []
    for index, value in enumerate(values):
        last = result[-1] if result else math.nan
        seed = values[index + 1 - length : index + 1] if index + 1 >= length else []
        usable = len(seed) == length and not any(math.isnan(item) for item in seed)
        if math.isnan(last):
            result.append(sum(seed) / length if usable else math.nan)
        else:
            result.append(weight * value + (1 - weight) * last)
    return result


def test_ema_is_pines() -> None:
    np.testing.assert_allclose(indicators.ema(CLOSE, 9), pine_average(CLOSE.tolist(), 9, 2 / 10), rtol=1e-12)


def test_rma_is_pines() -> None:
    np.testing.assert_allclose(indicators.rma(CLOSE, 14), pine_average(CLOSE.tolist(), 14, 1 / 14), rtol=1e-12)


def test_sma_is_the_mean() -> None:
    expected = [math.nan] * 20 + [CLOSE.iloc[i - 20 : i + 1].mean() for i in range(20, len(CLOSE))]
    np.testing.assert_allclose(indicators.sma(CLOSE, 21), expected, rtol=1e-12)


def test_rsi_is_pines() -> None:
    moves = CLOSE.diff().tolist()
    up = pine_average([max(move, 0.0) if not math.isnan(move) else move for move in moves], 14, 1 / 14)
    down = pine_average([max(-move, 0.0) if not math.isnan(move) else move for move in moves], 14, 1 / 14)
    expected = [100.0 if d == 0 else 100 - 100 / (1 + u / d) for u, d in zip(up, down, strict=True)]
    np.testing.assert_allclose(indicators.rsi(CLOSE, 14), expected, rtol=1e-9)


def test_rsi_is_unknown_where_the_price_has_stood_still_for_long() -> None:
    still = pd.concat([CLOSE.iloc[:200], pd.Series(CLOSE.iloc[199], index=CLOSE.index[200:800])])
    assert math.isnan(indicators.rsi(still, 7).iloc[-1])
    assert not math.isnan(indicators.rsi(still, 7).iloc[199])


def test_atr_is_pines_and_its_first_true_range_is_the_first_bars_span() -> None:
    high, low = BARS["high"], BARS["low"]
    ranges = [high.iloc[0] - low.iloc[0]]
    for i in range(1, len(BARS)):
        before = CLOSE.iloc[i - 1]
        ranges.append(max(high.iloc[i] - low.iloc[i], abs(high.iloc[i] - before), abs(low.iloc[i] - before)))
    np.testing.assert_allclose(indicators.atr(high, low, CLOSE, 10), pine_average(ranges, 10, 1 / 10), rtol=1e-12)


def test_supertrend_is_pines() -> None:
    """The manual's ``pine_supertrend``, statement by statement."""
    found = indicators.supertrend(BARS["high"], BARS["low"], CLOSE, factor=2.0, length=7)
    atr = indicators.atr(BARS["high"], BARS["low"], CLOSE, 7).tolist()
    closes, middle = CLOSE.tolist(), ((BARS["high"] + BARS["low"]) / 2).tolist()
    upper_before = lower_before = line_before = atr_before = math.nan
    for i, price in enumerate(closes):
        upper, lower = middle[i] + 2 * atr[i], middle[i] - 2 * atr[i]
        last_upper = 0.0 if math.isnan(upper_before) else upper_before
        last_lower = 0.0 if math.isnan(lower_before) else lower_before
        close_before = closes[i - 1] if i else math.nan
        lower = lower if lower > last_lower or close_before < last_lower else last_lower
        upper = upper if upper < last_upper or close_before > last_upper else last_upper
        if math.isnan(atr_before):
            direction = 1
        elif line_before == last_upper:
            direction = -1 if price > upper else 1
        else:
            direction = 1 if price < lower else -1
        line = lower if direction == -1 else upper
        if not math.isnan(atr[i]):
            assert found.trend[i] == -direction, i
            assert found.line[i] == pytest.approx(line, rel=1e-12), i
            upper_before, lower_before, line_before = upper, lower, line
        atr_before = atr[i]
    assert found.turned_up.any()
    assert found.turned_down.any()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_bars_give_nothing_known_and_no_error(count: int) -> None:
    few = BARS.iloc[:count]
    for value in (
        indicators.sma(few["close"], 9),
        indicators.ema(few["close"], 9),
        indicators.rsi(few["close"], 9),
        indicators.atr(few["high"], few["low"], few["close"], 9),
    ):
        assert len(value) == count
        assert value.isna().all()
    assert not indicators.supertrend(few["high"], few["low"], few["close"], factor=3, length=10).trend.any()


def test_vwap_weighs_by_volume_and_begins_anew_each_session() -> None:
    session = session_numbers(BARS.index)
    typical = (BARS["high"] + BARS["low"] + BARS["close"]) / 3
    last = np.flatnonzero(session == 1)
    expected = (typical * BARS["volume"]).iloc[last].sum() / BARS["volume"].iloc[last].sum()
    assert indicators.session_vwap(BARS).iloc[last[-1]] == pytest.approx(expected)
    assert indicators.session_vwap(BARS).iloc[last[0]] == pytest.approx(typical.iloc[last[0]])


def test_vwap_without_volume_is_the_sessions_mean_of_the_typical_price() -> None:
    bars = BARS.assign(volume=0.0)
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    expected = typical.groupby(session_numbers(bars.index)).expanding().mean().droplevel(0)
    np.testing.assert_allclose(indicators.session_vwap(bars), expected, rtol=1e-12)
    assert indicators.lacks_volume(bars)
    assert not indicators.lacks_volume(BARS)


def test_a_cross_is_not_made_of_last_digits() -> None:
    left = pd.Series([1.0, 1.0 + 1e-13, 1.0 - 1e-13, 1.0 + 1e-13, 2.0, 2.0, 0.5])
    assert indicators.crossed_over(left, 1.0).tolist() == [False, False, False, False, True, False, False]
    assert indicators.crossed_under(left, 1.0).tolist() == [False] * 6 + [True]


def test_nothing_is_crossed_out_of_the_unknown() -> None:
    left = pd.Series([np.nan, 2.0, 0.5])
    assert indicators.crossed_over(left, 1.0).tolist() == [False, False, False]
    assert indicators.crossed_under(left, 1.0).tolist() == [False, False, True]


def test_averages_forget_what_the_settle_rules_say() -> None:
    other = CLOSE.copy()
    other.iloc[:100] += 500.0
    for average, settle in (
        (indicators.ema(CLOSE, 21) - indicators.ema(other, 21), indicators.ema_settle(21)),
        (indicators.rma(CLOSE, 14) - indicators.rma(other, 14), indicators.rma_settle(14)),
    ):
        assert abs(average.iloc[100 + settle]) < 1e-8
        assert abs(average.iloc[110]) > 1.0


def test_an_entry_counts_once_where_it_rises() -> None:
    index = pd.RangeIndex(6)
    state = np.array([True, True, False, True, True, True])
    other = np.array([False, False, False, True, False, True])
    none = np.zeros(6, dtype=np.bool_)
    frame = signal_frame(index, long_entry=state, long_exit=state, short_entry=other, short_exit=none)
    edges = rising_edges(frame)
    assert edges["long_entry"].tolist() == [True, False, False, False, False, False]
    assert edges["short_entry"].tolist() == [False, False, False, False, False, True]
    assert edges["long_exit"].tolist() == state.tolist()
    assert rising_edges(frame.iloc[:0]).empty


def test_strategies_load_neither_numba_nor_vectorbt() -> None:
    code = (
        "import sys\n"
        "from workbench import strategies\n"
        "assert 'pandas' not in sys.modules\n"
        "from workbench.testing.strategy_law import generated_bars\n"
        "bars = generated_bars(1200)\n"
        "for name in strategies.names():\n"
        "    strategies.build(name).signals(bars)\n"
        "    strategies.build(name).stop_points(bars)\n"
        "heavy = {'numba', 'llvmlite', 'vectorbt', 'plotly', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 0, done.stderr
