"""The rows that vectorbt walks over: four a minute, one at the end of each session.

`Portfolio.from_signals` takes one order a row, looks at stops before signals, at the stop before the target whichever
the open has met, and never inside the bar of an entry. So a minute is told in four rows:

* leaving (`+0`): the open, at which exits that were called fill. It has a price but no range, so no stop is met on it;
* entering (`+1`): the same open, at which entries fill;
* opening (`+2`): the same open, at which a stop or a target that it gapped beyond is met;
* the range (`+3`): open, high, low, close, at which stops and targets are met, in the minute of the entry too.

The row after a session's last minute leaves at the last close what is still held, because the bars ended early.

Invariant: rows are in the order in which things happen, so nothing is known before its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

import numpy as np

from workbench.core.errors import BadInput
from workbench.core.plan import OnOpposite, Plan
from workbench.research.calls import Booleans, Calls
from workbench.research.minutes import NANOSECONDS, Floats, Ints, Minutes

ROWS = 4
LEAVING, ENTERING, OPENING, RANGE, SESSION_END = 0, 1, 2, 3, -1


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Arrays of one length, ready for `Portfolio.from_signals`.

    Parameters
    ----------
    minute : array of int64
        Position of the minute that a row belongs to (the last one for a session's end).
    part : array of int64
        LEAVING, ENTERING, OPENING, RANGE or SESSION_END.
    price : array of float64
        Where an order of that row fills.
    open, high, low, close : array of float64
        NaN on rows at which no stop is met.
    size : array of float64
        Units of that day.
    """

    minute: Ints
    part: Ints
    price: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    size: Floats
    long_entries: Booleans
    long_exits: Booleans
    short_entries: Booleans
    short_exits: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """What the clock allows and asks for at the open of each minute; arrays by minute."""

    may_enter: Booleans
    session_ends: Booleans
    time_is_up: Booleans


def read_clock(minutes: Minutes, plan: Plan) -> Clock:
    """Lay the sessions and the plan's hours over the minutes."""
    count = len(minutes)
    may_enter, ends, up = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    of_day = (minutes.time // NANOSECONDS + 19_800) % 86_400
    for day in minutes.days:
        rows = slice(day.first, day.last)
        session, times = day.session, minutes.time[rows]
        leave = int(session.square_off_start.timestamp()) * NANOSECONDS
        ends[rows] = times >= leave
        opened = (times >= int(session.open.timestamp()) * NANOSECONDS) & (times < leave)
        for start, end in session.breaks:
            stopped = (times >= int(start.timestamp()) * NANOSECONDS) & (times < int(end.timestamp()) * NANOSECONDS)
            opened &= ~stopped
        may_enter[rows] = opened
    if plan.no_entry_before is not None:
        may_enter &= of_day >= _seconds(plan.no_entry_before)
    if plan.no_entry_after is not None:
        may_enter &= of_day < _seconds(plan.no_entry_after)
    if plan.leaves_at is not None:
        may_enter &= of_day < _seconds(plan.leaves_at)
    if plan.exits.time is not None:
        up = of_day >= _seconds(plan.exits.time)
    return Clock(may_enter, ends, np.asarray(up))


def build_grid(minutes: Minutes, calls: Calls, stale: Booleans, plan: Plan) -> Grid:
    """Lay calls on the rows.

    Parameters
    ----------
    stale : array of bool
        Calls that are too old to enter.

    Raises
    ------
    BadInput
        Calls that vectorbt cannot be told, with a pointer to `replay`.
    """
    rows = _lay_rows(minutes)
    opens = minutes.prices(0)
    price = opens[rows.minute]
    price[rows.closing] = minutes.prices(3)[rows.minute[rows.closing]]
    # An opening has no range: nothing lies between its high and its low, and no best price is taken from them.
    ranges = []
    for column, opening in enumerate((opens, -np.inf, np.inf, opens)):
        laid = np.full(len(rows.minute), np.nan)
        laid[rows.base + OPENING] = opening
        laid[rows.base + RANGE] = minutes.prices(column)
        ranges.append(laid)
    lots = np.array([float((plan.lots or 0) * day.instrument.lot) for day in minutes.days])
    long_entries, long_exits, short_entries, short_exits = _signals(minutes, calls, stale, plan, rows)
    return Grid(
        minute=rows.minute,
        part=rows.part,
        price=price,
        open=ranges[0],
        high=ranges[1],
        low=ranges[2],
        close=ranges[3],
        size=lots[minutes.day[rows.minute]],
        long_entries=long_entries,
        long_exits=long_exits,
        short_entries=short_entries,
        short_exits=short_exits,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Minute and part of every row, the first row of every minute, and the row that ends every session."""

    minute: Ints
    part: Ints
    base: Ints
    closing: Ints


def _lay_rows(minutes: Minutes) -> _Rows:
    count = len(minutes)
    total = ROWS * count + len(minutes.days)
    base = ROWS * np.arange(count) + minutes.day
    closing = np.array([ROWS * day.last + number for number, day in enumerate(minutes.days)])
    minute, part = np.zeros(total, dtype=np.int64), np.full(total, SESSION_END, dtype=np.int64)
    for offset in range(ROWS):
        minute[base + offset], part[base + offset] = np.arange(count), offset
    minute[closing] = [day.last - 1 for day in minutes.days]
    return _Rows(minute, part, base, closing)


def _signals(
    minutes: Minutes, calls: Calls, stale: Booleans, plan: Plan, rows: _Rows
) -> tuple[Booleans, Booleans, Booleans, Booleans]:
    """Give long entries, long exits, short entries, short exits."""
    clock = read_clock(minutes, plan)
    heard = calls.minute
    allowed = clock.may_enter[heard] & ~stale
    enter_long, enter_short = calls.long_edge & allowed, calls.short_edge & allowed
    leave_long, leave_short = calls.long_exit.copy(), calls.short_exit.copy()
    if plan.on_opposite is not OnOpposite.IGNORE:
        leave_long |= calls.short_edge
        leave_short |= calls.long_edge
    offset = LEAVING
    if plan.on_opposite is not OnOpposite.REVERSE:
        # vectorbt must see both on one row, to know that it closed and not to enter again.
        offset = ENTERING
        if (enter_long & leave_long).any() or (enter_short & leave_short).any():
            raise BadInput(
                f"the strategy calls entry and exit of one direction at the same bar; with on_opposite "
                f"{plan.on_opposite.value!r} backtest cannot tell what comes first: use replay"
            )
    arrays = [np.zeros(len(rows.minute), dtype=bool) for _ in range(4)]
    long_entries, long_exits, short_entries, short_exits = arrays
    long_entries[rows.base[heard[enter_long]] + ENTERING] = True
    short_entries[rows.base[heard[enter_short]] + ENTERING] = True
    long_exits[rows.base[heard[leave_long]] + offset] = True
    short_exits[rows.base[heard[leave_short]] + offset] = True
    for exits, against in ((long_exits, enter_short), (short_exits, enter_long)):
        exits[rows.closing] = True
        exits[_clock_rows(clock, rows, heard[against], offset)] = True
    return long_entries, long_exits, short_entries, short_exits


def _clock_rows(clock: Clock, rows: _Rows, against: Ints, offset: int) -> Ints:
    """Rows on which the clock calls positions of one side out.

    What is called out while an opposite entry is heard still counts as held: unless the plan reverses, that entry finds
    an opposite position. So there the exit stands on the row of the entry.
    """
    minutes = np.flatnonzero(clock.session_ends | clock.time_is_up)
    return rows.base[minutes] + np.where(np.isin(minutes, against), offset, LEAVING)


def _seconds(clock: time) -> int:
    return clock.hour * 3600 + clock.minute * 60 + clock.second
