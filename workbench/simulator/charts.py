"""Dhan's candles: minutes of up to 90 days, days of any length; times are true UTC epoch seconds of a bar's open.

Every number is a float, whole ones too, as the broker writes them here.

Invariant: what has not traded has no candle, so a holiday and an unknown instrument give empty columns; the last candle
of a running day is as far as the day is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from workbench.core.instrument import InstrumentKind
from workbench.core.session import IST
from workbench.simulator import wire
from workbench.simulator.board import LOTS_A_SECOND, model_minutes, open_interest
from workbench.simulator.exchange import Simulator
from workbench.simulator.listing import Listed
from workbench.simulator.market import CLOCK_SEGMENT
from workbench.simulator.paths import Minutes, days_between

MOST_DAYS = 90
INTERVALS = (1, 5, 15, 25, 60)


def moment(text: object, *, end_of_day: bool) -> datetime | None:
    """Read `YYYY-MM-DD[ HH:MM:SS]` in India; a bare end date includes its day."""
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if len(str(text)) <= 10 and end_of_day:
        read += timedelta(days=1)
    return read.replace(tzinfo=IST)


def bad_input(message: str) -> tuple[int, Any]:
    """Give the answer to a request that makes no sense."""
    return 400, wire.error("Input_Exception", "DH-905", message)


def _empty() -> dict[str, list[float]]:
    return {name: [] for name in ("open", "high", "low", "close", "volume", "timestamp")}


def intraday(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    """Give candles of minutes: status and body."""
    start = moment(body.get("fromDate"), end_of_day=False)
    end = moment(body.get("toDate"), end_of_day=True)
    if start is None or end is None or start > end:
        return bad_input("Missing required fields, bad values for parameters etc.")
    if (end - start).days > MOST_DAYS:
        return bad_input(f"Data for Intraday Charts can be fetched for {MOST_DAYS} days at a time")
    interval = read_interval(body)
    if interval is None:
        return bad_input("Invalid interval: use 1, 5, 15, 25 or 60")
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    if listed is None:
        return 200, _empty()
    first, last = start.date(), min(end.date(), simulator.day)
    parts = [bars(day, interval) for _, day in _days(simulator, listed, first, last)]
    inside = _inside(Minutes.joined(parts), start, end)
    columns = _columns(inside)
    if listed.expires_at is not None:
        # The board counts three lots a second; the last candle is as long as the day is.
        now = int(simulator.now.timestamp())
        lengths = [min(interval * 60, max(0, now + 1 - stamp)) for stamp in inside.times.tolist()]
        columns["volume"] = [float(listed.instrument.lot * LOTS_A_SECOND * each) for each in lengths]
    if body.get("oi"):
        columns["open_interest"] = _interest(listed, inside)
    return 200, columns


def historical(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    """Give candles of whole days: status and body."""
    start = moment(body.get("fromDate"), end_of_day=False)
    end = moment(body.get("toDate"), end_of_day=False)
    if start is None or end is None or start > end:
        return bad_input("Missing required fields, bad values for parameters etc.")
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    if listed is None:
        return 200, _empty()
    last = min(end.date(), simulator.day) - timedelta(days=1)  # toDate is exclusive; today is not a daily candle yet
    days = []
    for day, minutes in _days(simulator, listed, start.date(), last):
        if len(minutes):
            stamp = int(datetime(day.year, day.month, day.day, tzinfo=IST).timestamp())
            days.append(
                Minutes(
                    np.array([stamp], dtype=np.int64), minutes.open[:1], np.array([minutes.high.max()]),
                    np.array([minutes.low.min()]), minutes.close[-1:],
                )
            )  # fmt: skip
    inside = _inside(Minutes.joined(days), start, end)
    columns = _columns(inside)
    if body.get("oi"):
        columns["open_interest"] = _interest(listed, inside)
    return 200, columns


def read_interval(body: dict[str, Any]) -> int | None:
    """Read the minutes of a candle, a number or its text; None when the broker has no such candles."""
    try:
        interval = int(str(body.get("interval") or 1))
    except ValueError:
        return None
    return interval if interval in INTERVALS else None


def _days(simulator: Simulator, listed: Listed, first: date, last: date) -> Iterator[tuple[date, Minutes]]:
    """Give the minute candles of an instrument day by day."""
    market, symbol = simulator.market, listed.instrument.symbol
    of_index = listed.instrument.kind in (InstrumentKind.INDEX, InstrumentKind.SYNTHETIC)
    for day in days_between(first, last):
        if day == simulator.day:
            yield day, simulator.board.minutes(listed)
            continue
        known = simulator.calendar.knows(CLOCK_SEGMENT, day)
        if day < simulator.day and known and simulator.calendar.session(CLOCK_SEGMENT, day) is not None:
            minutes = market.minutes(symbol, day)
            yield day, minutes if of_index else model_minutes(listed, minutes, simulator.pricer(symbol, day))


def bars(minutes: Minutes, interval: int) -> Minutes:
    """Put the minutes of one day together, anchored at the first one's session open (09:15 on a normal day)."""
    if interval == 1 or not len(minutes):
        return minutes
    size = interval * 60
    anchor = int(minutes.times[0])
    anchor -= (anchor - _open_of(anchor)) % size
    groups = (minutes.times - anchor) // size
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    ends = np.append(starts[1:], len(groups)) - 1
    return Minutes(
        anchor + groups[starts] * size,
        minutes.open[starts],
        np.maximum.reduceat(minutes.high, starts),
        np.minimum.reduceat(minutes.low, starts),
        minutes.close[ends],
    )


def _open_of(stamp: int) -> int:
    """Give 09:15 of that day, or the full quarter before for an evening session."""
    moment = datetime.fromtimestamp(stamp, IST)
    return int(moment.replace(hour=9, minute=15, second=0).timestamp())


def _inside(minutes: Minutes, start: datetime, end: datetime) -> Minutes:
    keep = (minutes.times >= int(start.timestamp())) & (minutes.times < int(end.timestamp()))
    return Minutes(minutes.times[keep], minutes.open[keep], minutes.high[keep], minutes.low[keep], minutes.close[keep])


def _columns(minutes: Minutes) -> dict[str, list[float]]:
    return {
        "open": minutes.open.tolist(),
        "high": minutes.high.tolist(),
        "low": minutes.low.tolist(),
        "close": minutes.close.tolist(),
        "volume": [0.0] * len(minutes),
        "timestamp": minutes.times.astype(np.float64).tolist(),
    }


def _interest(listed: Listed, minutes: Minutes) -> list[float]:
    times = minutes.times.tolist()
    return [float(open_interest(listed, max(0, stamp - _open_of(stamp)) // 60)) for stamp in times]
