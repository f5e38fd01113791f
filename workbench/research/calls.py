"""What a strategy calls for, bar by bar, and the minute at which each call is heard.

All history is evaluated once; the law of strategies makes that the same as evaluating at each close. A call is known at
its bar's close and heard at the open of the next minute of that session: nothing can happen in between. A call without
such a minute is not heard. Backtest and replay both read this one list.

Invariant: a row is heard only if the strategy had its `settle_bars` by then, as live would have been armed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.core.errors import BadInput
from workbench.core.money import snap_to_tick
from workbench.core.plan import Exits
from workbench.core.signal import SignalValues
from workbench.core.strategy import SIGNAL_COLUMNS, validate_signals
from workbench.research.market import Market, Study
from workbench.research.minutes import NANOSECONDS, Ints, Minutes, day_of, local_days, moment, session_of_index, stamps
from workbench.strategies.average_range import average_range
from workbench.strategies.frames import rising_edges

if TYPE_CHECKING:
    import pandas as pd

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """The rows of a strategy that are heard, oldest first; arrays of one length.

    Parameters
    ----------
    row : array of int64
        Position in the evaluated bars.
    minute : array of int64
        Position of the minute at whose open the call is heard.
    known : array of int64
        When the bar closed, nanoseconds since 1970 UTC.
    long_edge, short_edge : array of bool
        A rising entry; never both.
    long_exit, short_exit : array of bool
    values : array of bool, shape (bars, 4)
        The strategy's whole frame.
    ranges : mapping of int to Decimal
        Average true range by row of a call for entry, rupees, where the plan's exits ask for it.
    """

    row: Ints
    minute: Ints
    known: Ints
    long_edge: Booleans
    short_edge: Booleans
    long_exit: Booleans
    short_exit: Booleans
    values: Booleans
    opened: Ints
    closes: npt.NDArray[np.float64]
    notes: tuple[str, ...]
    bars: int
    ranges: Mapping[int, Decimal] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row)

    def at(self, index: int) -> SignalValues:
        """Values of the bar in that position of the evaluated bars."""
        return SignalValues(**dict(zip(SIGNAL_COLUMNS, self.values[index].tolist(), strict=True)))

    def bar_time(self, number: int) -> datetime:
        """Open of the bar behind a call."""
        return moment(int(self.opened[self.row[number]]))

    def known_at(self, number: int) -> datetime:
        """Close of the bar behind a call."""
        return moment(int(self.known[number]))

    def close(self, number: int) -> Decimal:
        """Close of the bar behind a call, to the paisa."""
        return snap_to_tick(float(self.closes[self.row[number]]), Decimal("0.01"))


def evaluate(study: Study, market: Market, minutes: Minutes, frame: pd.DataFrame) -> Calls:
    """Evaluate the strategy on its bars and find the minute of every call.

    Parameters
    ----------
    minutes : Minutes
        One-minute bars of the range.
    frame : DataFrame
        Bars of the signals, shape (m, 5), with what the strategy settles on before the range.

    Raises
    ------
    BadInput
        Too few bars for the strategy to settle.
    """
    signals = study.strategy.signals(frame)
    validate_signals(frame, signals)
    settle = study.strategy.settle_bars
    if len(frame) < settle:
        raise BadInput(
            f"{study.strategy.name} needs {settle} bars of {study.interval} before it trades, not {len(frame)}: "
            "import more days or choose a longer range"
        )
    opened = stamps(frame.index)
    known = np.minimum(opened + study.interval.seconds * NANOSECONDS, _session_ends(opened, market))
    heard = np.searchsorted(minutes.time, known)
    exists = heard < len(minutes)
    heard = np.minimum(heard, len(minutes) - 1)
    same_day = local_days(minutes.time[heard]) == local_days(opened)
    settled = np.arange(len(frame)) + 1 >= settle
    within = known >= minutes.time[0]
    kept = np.flatnonzero(exists & same_day & settled & within)
    edges = rising_edges(signals)
    entering = (edges["long_entry"] | edges["short_entry"]).to_numpy(dtype=bool)
    return Calls(
        row=kept,
        minute=heard[kept].astype(np.int64),
        known=known[kept],
        long_edge=edges["long_entry"].to_numpy(dtype=bool)[kept],
        short_edge=edges["short_entry"].to_numpy(dtype=bool)[kept],
        long_exit=edges["long_exit"].to_numpy(dtype=bool)[kept],
        short_exit=edges["short_exit"].to_numpy(dtype=bool)[kept],
        values=signals[list(SIGNAL_COLUMNS)].to_numpy(dtype=bool),
        opened=opened,
        closes=frame["close"].to_numpy(dtype=np.float64),
        notes=(*study.strategy.notes(frame), *_unheard(within & ~settled, opened)),
        bars=int((opened >= minutes.time[0]).sum()),
        ranges=_ranges(study.plan.exits, frame, kept[entering[kept]]),
    )


def _ranges(exits: Exits, frame: pd.DataFrame, rows: Ints) -> dict[int, Decimal]:
    if not exits.atr_lengths:
        return {}
    found = {row: average_range(frame.iloc[: row + 1], exits) for row in rows.tolist()}
    return {row: value for row, value in found.items() if value is not None}


def too_old(calls: Calls, minutes: Minutes, study: Study) -> Booleans:
    """Mark calls that are heard more than one bar after they became known: they enter nothing."""
    waited = minutes.time[calls.minute] - calls.known
    return np.asarray(waited > study.interval.seconds * NANOSECONDS)


def _unheard(rows: Booleans, opened: Ints) -> tuple[str, ...]:
    """Say how much of the range only settled the strategy, because nothing older is stored."""
    count = int(rows.sum())
    if not count:
        return ()
    last = moment(int(opened[np.flatnonzero(rows)[-1]]))
    return (f"the first {count} bars, to {last:%Y-%m-%d %H:%M}, settle the strategy and are not traded",)


def _session_ends(opened: Ints, market: Market) -> Ints:
    """Close of the index's session for each bar: a last bar that is cut short is known there."""
    unique, codes = np.unique(local_days(opened), return_inverse=True)
    ends = [
        int(session_of_index(market.calendar, day_of(number)).close.timestamp()) * NANOSECONDS
        for number in unique.tolist()
    ]
    return np.array(ends, dtype=np.int64)[codes]
