"""Frames of signals: built in one way, read in one way.

Invariant: a frame made here has exactly the four boolean columns of a strategy, and an entry counts where it rises.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.strategy import SIGNAL_COLUMNS

Booleans = npt.NDArray[np.bool_]


def signal_frame(
    index: pd.Index, *, long_entry: Booleans, long_exit: Booleans, short_entry: Booleans, short_exit: Booleans
) -> pd.DataFrame:
    """Put four boolean arrays on the index of their bars."""
    columns = {"long_entry": long_entry, "long_exit": long_exit, "short_entry": short_entry, "short_exit": short_exit}
    return pd.DataFrame(columns, index=index, columns=list(SIGNAL_COLUMNS), dtype=bool)


def rising_edges(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the frame with entries only where they rise.

    A condition that stays true enters once; both entries rising on one bar contradict each other and enter nothing,
    exactly as `workbench.core.signal.entry_edge` decides it one bar at a time. Exits are left as they are.
    """
    edges = {}
    for column in ("long_entry", "short_entry"):
        state = frame[column].to_numpy(dtype=bool)
        edges[column] = state & ~np.concatenate(([False], state[:-1])) if len(state) else state
    both = edges["long_entry"] & edges["short_entry"]
    return signal_frame(
        frame.index,
        long_entry=edges["long_entry"] & ~both,
        long_exit=frame["long_exit"].to_numpy(dtype=bool),
        short_entry=edges["short_entry"] & ~both,
        short_exit=frame["short_exit"].to_numpy(dtype=bool),
    )


def session_numbers(index: pd.Index) -> npt.NDArray[np.int64]:
    """Number the sessions of the bars 0, 1, 2, ...: a session is a calendar day in India."""
    times = pd.DatetimeIndex(index)
    if not len(times):
        return np.zeros(0, dtype=np.int64)
    days = times.tz_localize(None).to_numpy().astype("datetime64[D]")
    return np.concatenate(([0], np.cumsum(days[1:] != days[:-1]))).astype(np.int64)
