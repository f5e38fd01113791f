"""Bars of the past from Dhan's intraday candles, as the BarHistory port.

Only 1-minute candles are fetched, and longer bars are made of them by `frames.aggregate`, so that history and live
bars are anchored alike. Dhan stamps a candle with the true UTC second of its open, unlike the live feed.

Invariants: the candle of a minute that is not over is never kept; what lies outside a session of the calendar is
dropped; a failure is raised, never an empty frame.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from workbench.core.bars import MINUTE, Interval
from workbench.core.errors import BadInput, BrokerUnavailable, CorruptData
from workbench.core.instrument import Instrument, InstrumentKind
from workbench.core.session import IST, Calendar
from workbench.data.frames import COLUMNS, aggregate, broken_ohlc, checked, empty

log = logging.getLogger(__name__)

WINDOW_DAYS = 90
_PRICES = COLUMNS[:4]
_INDICES = frozenset({"NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "SENSEX", "BANKEX"})
_ATTEMPTS = 3
_FIRST_WAIT_S = 0.3
# Worth a second try: rate limits and Dhan's own trouble.
_PASSING = frozenset({"DH-904", "DH-908", "DH-909", "800", "805"})
_NO_DATA = frozenset({"DH-907"})
_WORDS: Mapping[InstrumentKind, tuple[str, str]] = MappingProxyType(
    {
        InstrumentKind.INDEX: ("INDEX", "INDEX"),
        InstrumentKind.SYNTHETIC: ("INDEX", "INDEX"),
        InstrumentKind.EQUITY: ("EQUITY", "EQUITY"),
        InstrumentKind.FUTURE: ("FUTIDX", "FUTSTK"),
        InstrumentKind.OPTION: ("OPTIDX", "OPTSTK"),
    }
)


class CandleSource(Protocol):
    """The one method of the official library that is used here."""

    def intraday_minute_data(
        self,
        security_id: str,
        exchange_segment: str,
        instrument_type: str,
        from_date: str,
        to_date: str,
        interval: int = 1,
    ) -> Mapping[str, Any]:
        """Candles in the library's envelope."""
        ...


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
        self._api = api
        self._instruments = instruments
        self._calendar = calendar
        self._now = now
        self._pause = pause

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
            to = min(since + timedelta(days=WINDOW_DAYS), until)
            parts.append(self._window(instrument, since, to))
            since = to
        minutes = pd.concat(parts)
        minutes = minutes[~minutes.index.duplicated(keep="first")].sort_index()
        minutes = minutes[(minutes.index >= start) & (minutes.index < until)]
        minutes = self._in_session(minutes, instrument)
        whole = minutes[minutes.index <= now - MINUTE.delta]
        if interval == MINUTE or whole.empty:
            return checked(whole, f"history of {instrument.name}")
        longer = aggregate(
            checked(whole, f"history of {instrument.name}"), interval, self._calendar, instrument.segment
        )
        return longer[self._ended(longer, interval, instrument, now)]

    def _window(self, instrument: Instrument, start: datetime, end: datetime) -> pd.DataFrame:
        # Dhan's bounds are Indian wall-clock text; a minute more, since it is not said whether the end is included.
        since, until = (moment.astimezone(IST) for moment in (start, end + MINUTE.delta))
        envelope: Mapping[str, Any] = {}
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(_FIRST_WAIT_S * 2 ** (attempt - 1))
            envelope = self._api.intraday_minute_data(
                security_id=instrument.security_id,
                exchange_segment=instrument.segment.value,
                instrument_type=_word(instrument),
                from_date=f"{since:%Y-%m-%d %H:%M:%S}",
                to_date=f"{until:%Y-%m-%d %H:%M:%S}",
                interval=1,
            )
            if envelope["status"] == "success":
                return _frame(envelope["data"], instrument)
            remarks = envelope["remarks"]
            code = remarks.get("error_code") if isinstance(remarks, dict) else None
            if code in _NO_DATA:
                return empty()
            if code is not None and code not in _PASSING:
                break
        raise BrokerUnavailable(
            f"minutes of {instrument.name} from {since:%Y-%m-%d} to {until:%Y-%m-%d}: {_told(envelope['remarks'])}"
        )

    def _in_session(self, frame: pd.DataFrame, instrument: Instrument) -> pd.DataFrame:
        keep = np.zeros(len(frame), dtype=bool)
        for day in sorted({moment.date() for moment in frame.index}):
            session = self._calendar.session(instrument.segment, day)
            if session is not None:
                keep |= (frame.index >= session.open) & (frame.index < session.close)
        if not keep.all():
            log.info("history of %s: %d candles outside a session dropped", instrument.name, int((~keep).sum()))
        return frame[keep]

    def _ended(self, frame: pd.DataFrame, interval: Interval, instrument: Instrument, now: datetime) -> list[bool]:
        ended = []
        for opened in frame.index:
            session = self._calendar.session(instrument.segment, opened.date())
            end = opened + interval.delta
            ended.append((end if session is None else min(end, session.close)) <= now)
        return ended


def _word(instrument: Instrument) -> str:
    of_index, of_stock = _WORDS[instrument.kind]
    return of_index if instrument.symbol in _INDICES else of_stock


def _told(remarks: object) -> str:
    if isinstance(remarks, dict):
        return f"Dhan refuses: {remarks.get('error_code')} {remarks.get('error_message')}"
    return f"no usable answer ({remarks}); try again"


def _frame(data: object, instrument: Instrument) -> pd.DataFrame:
    """Read parallel arrays; `timestamp` is the true UTC second of the open."""
    what = f"candles of {instrument.name}"
    if not isinstance(data, dict) or not all(isinstance(data.get(name), list) for name in (*COLUMNS, "timestamp")):
        raise CorruptData(f"{what}: the answer is no table of candles; try again")
    arrays = {name: data[name] for name in (*COLUMNS, "timestamp")}
    if len({len(values) for values in arrays.values()}) != 1:
        raise CorruptData(f"{what}: columns of different length; try again")
    if not arrays["timestamp"]:
        return empty()
    try:
        columns = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
    except (TypeError, ValueError):
        raise CorruptData(f"{what}: a value is no number; try again") from None
    stamps = columns.pop("timestamp")
    if not np.isfinite(stamps).all() or (stamps % 60 != 0).any():
        raise CorruptData(f"{what}: a stamp is no whole minute; try again")
    index = pd.DatetimeIndex(stamps.astype("int64").astype("datetime64[s]")).as_unit("ns").tz_localize("UTC")
    frame = pd.DataFrame(columns, index=index.tz_convert(IST).rename("time"))
    values = frame.to_numpy()
    usable = np.isfinite(values).all(axis=1) & (values[:, :4] > 0).all(axis=1) & ~broken_ohlc(frame)
    if not usable.all():
        log.warning("%s: %d candles without a usable price dropped", what, int((~usable).sum()))
    kept: pd.DataFrame = frame.loc[usable]
    return kept
