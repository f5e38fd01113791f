"""Sessions that follow one another, out of minute bars: recorded ones, or ones that are drawn so that all happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd

from workbench.core.session import IST
from workbench.reference import calendar
from workbench.simulator.market import RecordedMarket, trading_session
from workbench.simulator.paths import DayPath, Minutes

SYMBOL = "NIFTY"


class Sessions:
    """Some sessions of one bar frame, one after the other; `simulator.market.Market`."""

    def __init__(self, frame: pd.DataFrame, days: Sequence[date]) -> None:
        self.symbols: tuple[str, ...] = (SYMBOL,)
        self.first_day = days[0]
        self._frame, self._days = frame, tuple(days)
        by_day = {day: self._between(SYMBOL, day, day) for day in days}
        self._recorded = {
            day: RecordedMarket(day, {SYMBOL: bars}, self._between, calendar()) for day, bars in by_day.items()
        }

    def next_day(self, day: date) -> date | None:
        return next((each for each in self._days if each > day), None)

    def path(self, symbol: str, day: date) -> DayPath:
        return self._recorded[day].path(symbol, day)

    def minutes(self, symbol: str, day: date) -> Minutes:
        return self._recorded[self._days[-1]].minutes(symbol, day)

    def closes(self, symbol: str, before: date) -> Sequence[float]:
        return self._recorded[self._days[-1]].closes(symbol, before)

    def facts(self) -> dict[str, object]:
        return {"market": "recorded", "days": [day.isoformat() for day in self._days]}

    def _between(self, _: str, first: date, last: date) -> pd.DataFrame:
        start = datetime.combine(first, time(), IST)
        return self._frame.loc[start : datetime.combine(last, time(23, 59), IST)]


def drawn(day: date, corners: Mapping[str, float]) -> pd.DataFrame:
    """Draw the minutes of a session: straight lines between prices at times, with a rupee of play on either side."""
    session = trading_session(calendar(), day)
    count = int((session.spot_end - session.open).total_seconds()) // 60
    times = [session.open + timedelta(minutes=each) for each in range(count + 1)]
    known = [datetime.combine(day, time.fromisoformat(text), IST).timestamp() for text in corners]
    line = np.round(np.interp([each.timestamp() for each in times], known, list(corners.values())), 2)
    body = {"open": line[:-1], "close": line[1:]}
    high, low = np.maximum(line[:-1], line[1:]) + 1.0, np.minimum(line[:-1], line[1:]) - 1.0
    index = pd.DatetimeIndex(times[:-1], tz="Asia/Kolkata", name="time")
    frame = pd.DataFrame({**body, "high": high, "low": low, "volume": 0.0}, index=index, dtype="float64")
    return frame[["open", "high", "low", "close", "volume"]]
