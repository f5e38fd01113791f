"""The law of strategies as functions that any test can call: causal and settled.

Both functions raise `AssertionError` and name the first bar that breaks the law, so a user's own strategy is tested in
two lines. They take the cut points from a seed, and besides prefer the bars around signals, where a breach shows.

Invariant: a strategy that looks ahead, or that remembers more than `settle_bars`, is caught (the tests of this module
prove it).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.core.strategy import SIGNAL_COLUMNS, Strategy, validate_bars, validate_signals
from workbench.strategies.frames import rising_edges


def generated_bars(
    count: int = 100_000, *, seed: int = 7, interval: str = "1min", session_bars: int = 375, volume: bool = True
) -> pd.DataFrame:
    """Make bars with what breaks strategies: trends, calm, standstill, gaps overnight, missing bars, prices on a tick
    of 0.05.

    Parameters
    ----------
    count : int
        Bars.
    seed : int
    interval : str
        Distance of two bars, as pandas writes it.
    session_bars : int
        Bars of a session, which opens at 09:15.
    volume : bool
        False: zero, as on an index.
    """
    rng = np.random.default_rng(seed)
    sessions = count // session_bars + 2
    opens = pd.bdate_range("2021-01-01", periods=sessions, tz="Asia/Kolkata") + pd.Timedelta(hours=9, minutes=15)
    offsets = pd.to_timedelta(np.arange(session_bars) * pd.Timedelta(interval).total_seconds(), unit="s")
    times = opens.repeat(session_bars) + pd.TimedeltaIndex(np.tile(offsets.to_numpy(), sessions))
    keep = np.sort(rng.permutation(len(times))[: max(count, int(len(times) * 0.995))])[:count]
    times = times[keep]
    regime = np.repeat(rng.choice([0.0, 0.3, 1.0, 3.0], p=[0.03, 0.27, 0.5, 0.2], size=count // 150 + 1), 150)[:count]
    drift = np.repeat(rng.normal(0, 0.2, size=count // 150 + 1), 150)[:count]
    steps = rng.normal(0, 4, size=(count, 4)) * regime[:, None] + drift[:, None] * (regime > 0)[:, None]
    first_of_day = np.flatnonzero(np.diff(times.normalize().asi8, prepend=0))
    steps[first_of_day, 0] += rng.normal(0, 60, size=len(first_of_day))
    path = np.abs(18_000 + steps.ravel().cumsum()).reshape(count, 4) + 100
    path = np.round(np.round(path / 0.05) * 0.05, 2)
    traded = rng.integers(0, 5_000, size=count).astype(np.float64) if volume else np.zeros(count)
    columns = {
        "open": path[:, 0],
        "high": path.max(axis=1),
        "low": path.min(axis=1),
        "close": path[:, 3],
        "volume": traded,
    }
    return pd.DataFrame(columns, index=times.rename("time"))


def assert_causal(strategy: Strategy, bars: pd.DataFrame, *, cuts: int = 24, seed: int = 1) -> None:
    """Fail unless the signals of prefixes of the bars are prefixes of the signals.

    Parameters
    ----------
    strategy : Strategy
    bars : pandas.DataFrame
    cuts : int
        Prefixes to try: half of them random, half ending on or just before a bar that says something; besides, very
        short ones.
    seed : int

    Raises
    ------
    AssertionError
        Names the first bar whose row changed when later bars were taken away.
    """
    validate_bars(bars)
    whole = _evaluate(strategy, bars)
    rng = np.random.default_rng(seed)
    speaking = np.flatnonzero(whole.to_numpy().any(axis=1))
    chosen = rng.integers(1, len(bars), size=cuts - cuts // 2).tolist()
    if len(speaking):
        chosen += (rng.choice(speaking, size=cuts // 2) + rng.integers(0, 2, size=cuts // 2)).tolist()
    for cut in sorted({0, 1, 2, 30, *chosen}):
        part = _evaluate(strategy, bars.iloc[:cut])
        differs = (part.to_numpy() != whole.iloc[:cut].to_numpy()).any(axis=1)
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise AssertionError(
                f"{strategy} is not causal: the row of {bars.index[row]} (bar {row}) is {_row(part, row)} when the "
                f"bars end at bar {cut - 1}, and {_row(whole, row)} when they go on"
            )


def assert_settled(strategy: Strategy, bars: pd.DataFrame, *, rows: int = 400, seed: int = 2) -> None:
    """Fail unless the last row over the last `settle_bars` bars equals the row computed from all history.

    Rising edges and the stop distance are compared as well, since live takes both from the same window.

    Parameters
    ----------
    strategy : Strategy
    bars : pandas.DataFrame
        More than `settle_bars`.
    rows : int
        Rows to try: half of them random, half on bars that say something.
    seed : int

    Raises
    ------
    AssertionError
        Names the first bar that differs.
    """
    validate_bars(bars)
    settle = strategy.settle_bars
    if len(bars) <= settle:
        raise AssertionError(f"{strategy} needs more than {settle} bars to be tested, not {len(bars)}")
    whole = _evaluate(strategy, bars)
    edges = rising_edges(whole)
    stops = strategy.stop_points(bars)
    rng = np.random.default_rng(seed)
    speaking = np.flatnonzero(edges.to_numpy().any(axis=1))
    speaking = speaking[speaking >= settle]
    chosen = rng.integers(settle, len(bars), size=rows - rows // 2).tolist()
    chosen += rng.choice(speaking, size=rows // 2).tolist() if len(speaking) else []
    for row in sorted(set(chosen)):
        window = bars.iloc[row + 1 - settle : row + 1]
        part = _evaluate(strategy, window)
        seen, told = (
            _row(part, -1) | _row(rising_edges(part), -1, "edge_"),
            _row(whole, row) | _row(edges, row, "edge_"),
        )
        where = f"at {bars.index[row]} (bar {row}), over the last {settle} bars"
        if seen != told:
            raise AssertionError(f"{strategy} is not settled: {where}, it says {seen}, with all history {told}")
        if stops is not None:
            near = strategy.stop_points(window)
            if near is None or not np.isclose(near.iloc[-1], stops.iloc[row], rtol=1e-9, atol=1e-9, equal_nan=True):
                raise AssertionError(f"{strategy} is not settled: {where}, its stop distance differs")


def _evaluate(strategy: Strategy, bars: pd.DataFrame) -> pd.DataFrame:
    frame = strategy.signals(bars)
    validate_signals(bars, frame)
    return frame


def _row(frame: pd.DataFrame, row: int, prefix: str = "") -> dict[str, bool]:
    return {prefix + column: bool(frame[column].iloc[row]) for column in SIGNAL_COLUMNS}
