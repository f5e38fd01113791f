"""The market that is traded: days of made-up prices, or one recorded day.

A market knows its days, the path of each underlying on a day, and the minutes of earlier days. What was made up for a
day is kept as its history, so that warm-up candles and what was traded are the same thing.

Invariant: asking for a day again gives the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Protocol

import pandas as pd

from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Segment
from workbench.core.session import Calendar, Session
from workbench.simulator.paths import (
    DayPath,
    Minutes,
    Walk,
    minutes_of,
    minutes_of_frame,
    recorded_path,
    synthetic_path,
)

CLOCK_SEGMENT = Segment.NSE_FNO
"""Whose session the market's clock follows: options outlive the index since 2026-08-03."""

WARM_UP_SESSIONS = 30

LEVELS: Mapping[str, float] = {
    "NIFTY": 24000.0,
    "BANKNIFTY": 52000.0,
    "FINNIFTY": 24500.0,
    "MIDCPNIFTY": 12500.0,
    "SENSEX": 79000.0,
}
_WALKS: Mapping[str, Walk] = {
    "NIFTY": Walk("NIFTY", 1.0, 0.98),
    "BANKNIFTY": Walk("BANKNIFTY", 1.2, 0.85),
    "SENSEX": Walk("SENSEX", 1.0, 0.97),
}


class Market(Protocol):
    """What the simulator asks of a market."""

    symbols: tuple[str, ...]
    first_day: date

    def next_day(self, day: date) -> date | None:
        """The trading day after that one; None when the market stays closed."""
        ...

    def path(self, symbol: str, day: date) -> DayPath:
        """Seconds of one underlying on the current or a later day."""
        ...

    def minutes(self, symbol: str, day: date) -> Minutes:
        """Minute candles of an earlier day; empty when there are none."""
        ...

    def closes(self, symbol: str, before: date) -> Sequence[float]:
        """Daily closes of the sessions before that day, oldest first."""
        ...

    def facts(self) -> dict[str, object]:
        """What makes this market repeatable."""
        ...


def trading_session(calendar: Calendar, day: date) -> Session:
    """Give the session that the clock follows, or refuse a day without one."""
    session = calendar.session(CLOCK_SEGMENT, day)
    if session is None:
        why = calendar.closure(day) or "a weekend"
        following = calendar.next_session(CLOCK_SEGMENT, day).date
        raise BadInput(f"there is no trading on {day} ({why}); the next session is {following}")
    return session


class SyntheticMarket:
    """Seeded days that follow one another, with warm-up days before the first.

    Parameters
    ----------
    seed : int
    calendar : Calendar
    start_date : date
        First traded day; a day without a session is moved to the next one.
    symbols : sequence of str
        Underlyings, of those in `LEVELS`.
    """

    def __init__(
        self, seed: int, calendar: Calendar, start_date: date, symbols: Sequence[str] = ("NIFTY", "BANKNIFTY")
    ) -> None:
        unknown = [symbol for symbol in symbols if symbol not in LEVELS]
        if unknown:
            raise BadInput(f"the synthetic market has no {unknown[0]}; it has {', '.join(LEVELS)}")
        self.seed, self.symbols = seed, tuple(symbols)
        self._calendar = calendar
        session = calendar.session(CLOCK_SEGMENT, start_date)
        self.first_day = (session or calendar.next_session(CLOCK_SEGMENT, start_date)).date
        self._paths: dict[tuple[str, date], DayPath] = {}
        self._minutes: dict[tuple[str, date], Minutes] = {}
        self._closes: dict[str, list[tuple[date, float]]] = {symbol: [] for symbol in symbols}
        for day in self._warm_up_days():
            self._make(day)

    def next_day(self, day: date) -> date | None:
        """Give the next session's day; the last day of the calendar is the market's last."""
        try:
            return self._calendar.next_session(CLOCK_SEGMENT, day).date
        except UnknownSession:
            return None

    def path(self, symbol: str, day: date) -> DayPath:
        """Give the seconds of that day; days before it are walked first, a day long past is walked again."""
        days = [each for each, _ in self._closes[symbol]]
        if (symbol, day) not in self._paths and day in days:
            place = days.index(day)
            return self._walk(symbol, day, self._closes[symbol][place - 1][1] if place else LEVELS[symbol])
        while (symbol, day) not in self._paths:
            made = self._closes[symbol]
            following = self.next_day(made[-1][0]) if made else self.first_day
            if following is None or following > day:
                raise BadInput(f"the synthetic market has no {day}: it starts on {self.first_day}")
            self._make(following)
        return self._paths[symbol, day]

    def minutes(self, symbol: str, day: date) -> Minutes:
        """Give the candles of a day that was walked."""
        if (symbol, day) not in self._minutes and (symbol, day) in self._paths:
            self._minutes[symbol, day] = minutes_of(self._paths[symbol, day])
        return self._minutes.get((symbol, day), Minutes.joined(()))

    def closes(self, symbol: str, before: date) -> Sequence[float]:
        """Give the closes of the days walked before that one."""
        return [close for day, close in self._closes[symbol] if day < before]

    def facts(self) -> dict[str, object]:
        """Name the seed and the first day."""
        return {"market": "synthetic", "seed": self.seed, "first_day": self.first_day.isoformat()}

    def _warm_up_days(self) -> list[date]:
        days: list[date] = []
        day = self.first_day
        while len(days) < WARM_UP_SESSIONS:
            try:
                day = self._calendar.previous_session(CLOCK_SEGMENT, day).date
            except UnknownSession:
                break
            days.append(day)
        return days[::-1]

    def _walk(self, symbol: str, day: date, before: float) -> DayPath:
        walk = _WALKS.get(symbol, Walk(symbol))
        return synthetic_path(walk, trading_session(self._calendar, day), seed=self.seed, before=before)

    def _make(self, day: date) -> None:
        for symbol in self.symbols:
            made = self._closes[symbol]
            path = self._walk(symbol, day, made[-1][1] if made else LEVELS[symbol])
            self._paths[symbol, day] = path
            made.append((day, float(path.prices[-1])))
            if len(made) > 2:
                # Seconds are big: of a finished day only its minutes stay.
                old = made[-3][0]
                if (symbol, old) in self._paths:
                    self._minutes[symbol, old] = minutes_of(self._paths[symbol, old])
                    del self._paths[symbol, old]


History = Callable[[str, date, date], pd.DataFrame]
"""``history(symbol, first, last)``: the minute frame of these days, both included; empty when there is none."""


class RecordedMarket:
    """One recorded day out of minute bars.

    Parameters
    ----------
    day : date
    bars : mapping of symbol to bar frame
        The day's minutes of each underlying.
    history : callable
        Gives the minute frames of earlier days.
    calendar : Calendar
    seed : int
        Decides the order of high and low inside a minute.
    """

    def __init__(
        self, day: date, bars: Mapping[str, pd.DataFrame], history: History, calendar: Calendar, seed: int = 0
    ) -> None:
        self.first_day, self.symbols, self.seed = day, tuple(bars), seed
        self._session = trading_session(calendar, day)
        self._calendar, self._history = calendar, history
        self._minutes: dict[tuple[str, date], Minutes] = {}
        self._closes: dict[str, list[tuple[date, float]]] = {}
        for symbol, frame in bars.items():
            if frame.empty:
                raise BadInput(f"no minutes of {symbol} are recorded for {day}: import them, or choose another day")
        self._paths = {symbol: self._grow(symbol, frame) for symbol, frame in bars.items()}

    def next_day(self, day: date) -> date | None:  # noqa: ARG002
        """Stay closed after the recorded day."""
        return None

    def path(self, symbol: str, day: date) -> DayPath:
        """Give the recorded day's seconds."""
        if day != self.first_day:
            raise BadInput(f"this market has recorded {self.first_day} only, not {day}")
        return self._paths[symbol]

    def minutes(self, symbol: str, day: date) -> Minutes:
        """Give the recorded minutes of an earlier day."""
        key = (symbol, day)
        if key not in self._minutes:
            frame = self._history(symbol, day, day)
            self._minutes[key] = Minutes.joined(()) if frame.empty else minutes_of_frame(frame)
        return self._minutes[key]

    def closes(self, symbol: str, before: date) -> Sequence[float]:
        """Give the closes of the recorded sessions of about six weeks before that day."""
        known = self._daily(symbol)
        return [close for day, close in known if day < before]

    def facts(self) -> dict[str, object]:
        """Name the recorded day."""
        return {"market": "recorded", "day": self.first_day.isoformat(), "seed": self.seed}

    def _daily(self, symbol: str) -> list[tuple[date, float]]:
        if symbol not in self._closes:
            last = self.first_day - timedelta(days=1)
            frame = self._history(symbol, self.first_day - timedelta(days=45), last)
            days: dict[date, float] = {}
            for moment, close in zip(pd.DatetimeIndex(frame.index), frame["close"], strict=True):
                days[moment.date()] = float(close)
            self._closes[symbol] = sorted(days.items())
        return self._closes[symbol]

    def _grow(self, symbol: str, frame: pd.DataFrame) -> DayPath:
        closes = self.closes(symbol, self.first_day)
        before = closes[-1] if closes else float(frame["open"].iloc[0])
        return recorded_path(frame, self._session, seed=self.seed, before=before)
