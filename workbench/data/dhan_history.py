"""Bars of the past from Dhan's intraday candles, as the BarHistory port.

Only 1-minute candles are fetched, and longer bars are made of them by `frames.aggregate`, so that history and live
bars are anchored alike.

Invariants: the candle of a minute that is not over is never kept; what lies outside a session of the calendar is
dropped; a failure is raised, never an empty frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pandas as pd

from workbench.core.bars import MINUTE, Interval
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument
from workbench.core.session import Calendar
from workbench.data.answers import Verdict
from workbench.data.candles import WINDOW_DAYS, CandleReader, CandleSource
from workbench.data.frames import aggregate, checked, empty


class DhanHistory:
    """Past bars by symbol; implements `core.ports.BarHistory`.

    Parameters
    ----------
    api : CandleSource
        The library on a transport with the `data` endpoint.
    instruments : callable
        Gives the instrument of a symbol (``master.index``), or raises `UnknownName`.
    calendar : Calendar
    now : callable
        Market time: decides which candle is whole.
    pause : callable
        Waits between two tries.
    """

    def __init__(
        self,
        api: CandleSource,
        instruments: Callable[[str], Instrument],
        calendar: Calendar,
        now: Callable[[], datetime],
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reader = CandleReader(api, calendar, now, pause=pause)
        self._instruments = instruments
        self._calendar = calendar
        self._now = now

    def read(self, symbol: str, interval: str, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        """Bars with open time in [start, end), by symbol; see `bars`."""
        return self.bars(self._instruments(symbol), Interval.parse(interval), start, end)

    def bars(
        self, instrument: Instrument, interval: Interval, start: datetime | None, end: datetime | None
    ) -> pd.DataFrame:
        """Give closed bars with open time in [start, end).

        Parameters
        ----------
        start : datetime
            Aware; without one there is no bound to what would be fetched, so it is refused.
        end : datetime, optional
            Aware; now by default.

        Raises
        ------
        BadInput
            No start, an empty range, or an interval below a minute (Dhan keeps none).
        BrokerUnavailable
            Dhan did not answer, or refused.
        CorruptData
            The answer is no table of candles.
        """
        if start is None:
            raise BadInput(f"history of {instrument.name}: give a start; Dhan keeps five years of minutes")
        if interval.seconds < MINUTE.seconds:
            raise BadInput(f"history of {instrument.name}: {interval} is below a minute, which Dhan does not keep")
        now = self._now()
        until = min(end, now) if end is not None else now
        if start >= until:
            if end is not None and start >= end:
                raise BadInput(f"history of {instrument.name}: {start} is not before {end}")
            return empty()
        parts = []
        since = start
        while since < until:
            # The reader asks for a minute more, and 90 days and a minute would be refused.
            to = min(since + timedelta(days=WINDOW_DAYS) - MINUTE.delta, until)
            parts.append(self._window(instrument, since, to))
            since = to
        minutes = pd.concat(parts)
        whole = minutes[~minutes.index.duplicated(keep="first")].sort_index()
        if interval == MINUTE or whole.empty:
            return checked(whole, f"history of {instrument.name}")
        longer = aggregate(
            checked(whole, f"history of {instrument.name}"), interval, self._calendar, instrument.segment
        )
        return longer[self._ended(longer, interval, instrument, now)]

    def _window(self, instrument: Instrument, start: datetime, end: datetime) -> pd.DataFrame:
        candles = self._reader.minutes(instrument, start, end)
        if candles.reading.verdict in (Verdict.DATA, Verdict.NOTHING):
            return candles.frame
        raise candles.reading.error(f"minutes of {instrument.name} from {start:%Y-%m-%d} to {end:%Y-%m-%d}")

    def _ended(self, frame: pd.DataFrame, interval: Interval, instrument: Instrument, now: datetime) -> list[bool]:
        ended = []
        for opened in frame.index:
            session = self._calendar.session(instrument.segment, opened.date())
            end = opened + interval.delta
            ended.append((end if session is None else min(end, session.close)) <= now)
        return ended
