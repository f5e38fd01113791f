"""What each strategy says on bars made for it, and how it refuses nonsense."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from workbench import strategies
from workbench.core.errors import BadInput
from workbench.core.strategy import validate_signals
from workbench.strategies.frames import rising_edges
from workbench.testing.strategy_law import generated_bars


def closes(values: list[float], start: str = "2022-06-15 09:15", minutes: int = 5) -> pd.DataFrame:
    times = pd.date_range(start, periods=len(values), freq=f"{minutes}min", tz="Asia/Kolkata", name="time")
    column = np.array(values, dtype=np.float64)
    frame = {"open": column, "high": column + 1, "low": column - 1, "close": column, "volume": column * 0}
    return pd.DataFrame(frame, index=times)


def said(frame: pd.DataFrame, column: str) -> list[int]:
    return np.flatnonzero(frame[column].to_numpy()).tolist()


@pytest.mark.parametrize("name", ["ema_cross", "sma_cross"])
def test_a_cross_flips_both_ways(name: str) -> None:
    bars = closes(
        [100.0 - i for i in range(40)] + [60.0 + 3 * i for i in range(20)] + [120.0 - 4 * i for i in range(20)]
    )
    frame = strategies.build(name, {"fast": 3, "slow": 8}).signals(bars)
    assert len(said(frame, "long_entry")) == 1
    assert 40 < said(frame, "long_entry")[0] < 46
    assert len(said(frame, "short_entry")) == 1
    assert 60 < said(frame, "short_entry")[0] < 66
    assert said(frame, "long_entry") == said(frame, "short_exit")
    assert said(frame, "short_entry") == said(frame, "long_exit")


def test_rsi_comes_back_out_of_its_bands() -> None:
    bars = closes(
        [100.0 + (i % 2) for i in range(30)] + [100.0 - 3 * i for i in range(10)] + [73.0 + 4 * i for i in range(30)]
    )
    frame = strategies.build("rsi_bands").signals(bars)
    assert 40 < said(frame, "long_entry")[0] < 44
    assert not said(frame, "short_entry")


def test_opening_range_enters_once_each_way_and_never_while_it_is_drawn() -> None:
    day = [100.0, 105, 95, 100, 107, 103, 108, 90, 100, 89, 110]
    frame = strategies.build("opening_range", {"minutes": 15}).signals(closes(day))
    assert said(frame, "long_entry") == [4]
    assert said(frame, "short_entry") == [7]
    assert said(frame, "long_exit") == [7, 9]
    assert said(frame, "short_exit") == [4, 6, 10]


def test_opening_range_begins_anew_each_session_also_in_the_evening() -> None:
    first, muhurat = closes([100.0, 105, 95, 107, 90]), closes([200.0, 210, 190, 220, 180], "2022-10-24 18:15")
    frame = strategies.build("opening_range", {"minutes": 15}).signals(pd.concat([first, muhurat]))
    assert said(frame, "long_entry") == [3, 8]
    assert said(frame, "short_entry") == [4, 9]


def test_scalp_enters_when_all_agree_and_declares_its_stop() -> None:
    rise = (
        [100.0 + 0.2 * (i % 2) for i in range(60)] + [100.0 + i for i in range(30)] + [130.0 - 2 * i for i in range(40)]
    )
    bars = closes(rise, minutes=1)
    scalp = strategies.build("scalp_ema_vwap")
    frame = scalp.signals(bars)
    assert not (frame["long_entry"] & frame["short_entry"]).any()
    edges = rising_edges(frame)
    assert any(60 <= row < 70 for row in said(edges, "long_entry"))
    assert any(90 < row < 110 for row in said(edges, "short_entry"))
    stops = scalp.stop_points(bars)
    assert stops is not None
    assert stops.iloc[:13].isna().all()
    assert (stops.iloc[13:] > 0).all()


def test_scalp_says_that_an_index_has_no_volume() -> None:
    scalp = strategies.build("scalp_ema_vwap")
    assert scalp.notes(generated_bars(500, volume=False)) == ("VWAP without volume: session mean of typical price",)
    assert scalp.notes(generated_bars(500)) == ()


def test_only_the_scalp_declares_a_stop() -> None:
    bars = generated_bars(500)
    declaring = [name for name in strategies.names() if strategies.build(name).stop_points(bars) is not None]
    assert declaring == ["scalp_ema_vwap"]


@pytest.mark.parametrize("count", [0, 1, 2, 30])
@pytest.mark.parametrize("name", strategies.names())
def test_few_bars_are_no_error(name: str, count: int) -> None:
    bars = generated_bars(1_000).iloc[:count]
    strategy = strategies.build(name)
    validate_signals(bars, strategy.signals(bars))


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("ema_cross", {"fast": 21, "slow": 21}, "fast"),
        ("sma_cross", {"fast": 30, "slow": 21}, "fast"),
        ("rsi_bands", {"lower": 50, "upper": 50}, "below upper"),
        ("scalp_ema_vwap", {"fast": 9, "middle": 9}, "fast < middle < slow"),
    ],
)
def test_parameters_that_make_no_sense_together_are_refused(name: str, parameters: dict[str, int], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        strategies.build(name, parameters)


def test_a_hundred_thousand_bars_take_far_less_than_a_fifth_of_a_second() -> None:
    bars = generated_bars(100_000)
    for name in strategies.names():
        strategy = strategies.build(name)
        strategy.signals(bars.iloc[:2_000])
        spent = []
        for _ in range(3):
            start = time.perf_counter()
            strategy.signals(bars)
            spent.append(time.perf_counter() - start)
        assert min(spent) < 0.2, name
