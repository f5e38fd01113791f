"""The law of strategies on a study's own bars: repeatable, causal, settled.

A user's strategy comes here before it may be promoted. The cut points are spread over the bars and besides prefer rows
that call something, where a breach shows.

Invariant: a finding names the first bar that breaks the law, or says how much was looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.core.strategy import SIGNAL_COLUMNS, Strategy, validate_signals
from workbench.strategies.frames import rising_edges

if TYPE_CHECKING:
    import pandas as pd

CUTS = 16
WINDOWS = 120


def broken_repeatability(strategy: Strategy, bars: pd.DataFrame) -> str:
    """Say where two evaluations of the same bars differ; empty: nowhere."""
    first, second = strategy.signals(bars), strategy.signals(bars)
    validate_signals(bars, first)
    differs = (first.to_numpy() != second.to_numpy()).any(axis=1)
    return f"two evaluations differ first at {bars.index[int(np.argmax(differs))]}" if differs.any() else ""


def broken_causality(strategy: Strategy, bars: pd.DataFrame, cuts: int = CUTS) -> str:
    """Say which row changes when later bars are taken away; empty: none of those tried."""
    whole = strategy.signals(bars).to_numpy()
    for cut in _rows(whole, 1, len(bars), cuts):
        part = strategy.signals(bars.iloc[:cut]).to_numpy()
        differs = (part != whole[:cut]).any(axis=1)
        if differs.any():
            row = int(np.argmax(differs))
            return (
                f"the row of {bars.index[row]} changes when bars after {bars.index[cut - 1]} are known: it looks ahead"
            )
    return ""


def broken_settlement(strategy: Strategy, bars: pd.DataFrame, windows: int = WINDOWS) -> str:
    """Say which row differs when only `settle_bars` bars are known; empty: none of those tried."""
    settle = strategy.settle_bars
    if len(bars) <= settle:
        return f"{len(bars)} bars do not show whether {settle} are enough: choose a longer range"
    frame = strategy.signals(bars)
    whole, edges = frame.to_numpy(), rising_edges(frame).to_numpy()
    for row in _rows(whole, settle, len(bars), windows):
        window = strategy.signals(bars.iloc[row + 1 - settle : row + 1])
        same = (window.to_numpy()[-1] == whole[row]).all()
        if not same or (rising_edges(window).to_numpy()[-1] != edges[row]).any():
            told = dict(zip(SIGNAL_COLUMNS, whole[row].tolist(), strict=True))
            return f"at {bars.index[row]} the last {settle} bars do not give what all history gives: {told}"
    return ""


def _rows(whole: np.ndarray, first: int, last: int, count: int) -> list[int]:
    """Rows to try: half spread evenly, half on or just after rows that call something."""
    spread = np.linspace(first, last - 1, num=max(2, count // 2)).astype(int).tolist()
    speaking = np.flatnonzero(whole.any(axis=1))
    speaking = speaking[(speaking >= first) & (speaking < last - 1)]
    if len(speaking):
        chosen = speaking[np.linspace(0, len(speaking) - 1, num=count // 2).astype(int)]
        spread += (chosen + np.arange(len(chosen)) % 2).tolist()
    return sorted(set(spread))
