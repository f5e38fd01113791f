"""History from Dhan's candles: windows, whole bars only, sessions only, failures raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, BrokerUnavailable, CorruptData
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.session import IST, Calendar
from workbench.data.candles import candle_frame, instrument_word, usable_rows
from workbench.data.dhan_history import DhanHistory
from workbench.reference import calendar

NIFTY = Instrument(
    segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX, tick=Decimal("0.05")
)
CALENDAR: Calendar = calendar()


def at(day: date, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, second), IST)


FRIDAY = date(2026, 6, 19)
Failure = dict[str, Any]


class Candles:
    """Minutes from 09:00 to 15:40 of each weekday, newest stamp included; failures first."""

    def __init__(self, *failures: Failure) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[str, str]] = []

    def intraday_minute_data(
        self,
        security_id: str,
        exchange_segment: str,
        instrument_type: str,
        from_date: str,
        to_date: str,
        interval: int = 1,
    ) -> Mapping[str, Any]:
        assert (security_id, exchange_segment, instrument_type, interval) == ("13", "IDX_I", "INDEX", 1)
        self.asked.append((from_date, to_date))
        if self.failures:
            return self.failures.pop(0)
        start, end = (datetime.fromisoformat(text).replace(tzinfo=IST) for text in (from_date, to_date))
        moment, stamps = start.replace(second=0), []
        while moment <= end:
            if moment.weekday() < 5 and time(9) <= moment.time() < time(15, 40):
                stamps.append(int(moment.timestamp()))
            moment += timedelta(minutes=1)
        prices = {name: [100.0 + n % 7] * len(stamps) for n, name in enumerate(("open", "high", "low", "close"))}
        flat = {name: [100.0] * len(stamps) for name in prices}
        return {
            "status": "success",
            "remarks": "",
            "data": {**flat, "volume": [0.0] * len(stamps), "timestamp": stamps},
        }

    def historical_daily_data(
        self, security_id: str, exchange_segment: str, instrument_type: str, from_date: str, to_date: str
    ) -> Mapping[str, Any]:
        raise AssertionError("bars are made of minutes")


def failure(remarks: object) -> Failure:
    return {"status": "failure", "remarks": remarks, "data": ""}


def history(source: Candles, now: datetime) -> DhanHistory:
    return DhanHistory(source, lambda _: NIFTY, CALENDAR, lambda: now, pause=lambda _: None)


def test_minutes_are_those_of_the_session_in_indian_time() -> None:
    frame = history(Candles(), at(FRIDAY, 18, 0)).read("NIFTY", "1m", at(FRIDAY, 0, 0), at(FRIDAY, 23, 0))
    assert len(frame) == 375
    assert (frame.index[0], frame.index[-1]) == (at(FRIDAY, 9, 15), at(FRIDAY, 15, 29))
    assert frame.index[0].tzinfo is not None and frame.index[0].utcoffset() == timedelta(hours=5, minutes=30)
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]


def test_a_candle_that_is_not_over_is_never_kept() -> None:
    now = at(FRIDAY, 10, 7, 30)
    minutes = history(Candles(), now).bars(NIFTY, Interval(60), at(FRIDAY, 9, 0), None)
    assert minutes.index[-1] == at(FRIDAY, 10, 6)
    fives = history(Candles(), now).bars(NIFTY, Interval(300), at(FRIDAY, 9, 0), None)
    assert fives.index[-1] == at(FRIDAY, 10, 0)
    hours = history(Candles(), at(FRIDAY, 15, 30)).bars(NIFTY, Interval(3600), at(FRIDAY, 9, 0), None)
    assert hours.index[-1] == at(FRIDAY, 15, 15)


def test_windows_are_at_most_90_days_and_overlap_without_doubles() -> None:
    source = Candles()
    frame = history(source, at(FRIDAY, 18, 0)).bars(NIFTY, Interval(300), at(date(2026, 1, 1), 0, 0), None)
    assert frame.index.is_unique and frame.index.is_monotonic_increasing
    spans = [datetime.fromisoformat(end) - datetime.fromisoformat(start) for start, end in source.asked]
    assert len(spans) == 2
    assert max(spans) <= timedelta(days=90)


def test_weekdays_without_a_session_are_dropped() -> None:
    holiday = date(2026, 6, 26)
    frame = history(Candles(), at(holiday, 18, 0)).bars(NIFTY, Interval(60), at(holiday, 0, 0), None)
    assert frame.empty


@pytest.mark.parametrize(
    "passing",
    [failure({"error_code": "DH-904", "error_type": "Rate_Limit", "error_message": "slow"}), failure("timed out")],
)
def test_a_passing_failure_is_tried_again(passing: Failure) -> None:
    source = Candles(passing)
    assert len(history(source, at(FRIDAY, 18, 0)).bars(NIFTY, Interval(60), at(FRIDAY, 9, 0), None)) == 375
    assert len(source.asked) == 2


def test_a_refusal_is_not_tried_again() -> None:
    refused = Candles(failure({"error_code": "DH-901", "error_type": "x", "error_message": "expired"}))
    with pytest.raises(BrokerUnavailable, match="DH-901 expired"):
        history(refused, at(FRIDAY, 18, 0)).bars(NIFTY, Interval(60), at(FRIDAY, 9, 0), None)
    assert len(refused.asked) == 1


def test_a_source_that_stays_silent_is_unavailable_and_not_empty() -> None:
    source = Candles(*[failure("timed out")] * 3)
    with pytest.raises(BrokerUnavailable, match="timed out"):
        history(source, at(FRIDAY, 18, 0)).bars(NIFTY, Interval(60), at(FRIDAY, 9, 0), None)


def test_ranges_and_intervals_that_make_no_sense_are_refused() -> None:
    asked = history(Candles(), at(FRIDAY, 18, 0))
    with pytest.raises(BadInput, match="give a start"):
        asked.read("NIFTY", "1m", None, None)
    with pytest.raises(BadInput, match="below a minute"):
        asked.read("NIFTY", "30s", at(FRIDAY, 9, 0), None)
    with pytest.raises(BadInput, match="not before"):
        asked.read("NIFTY", "1m", at(FRIDAY, 10, 0), at(FRIDAY, 9, 0))
    assert asked.read("NIFTY", "1m", at(FRIDAY, 18, 30), None).empty


STAMP = int(at(FRIDAY, 9, 15).timestamp())
ROW: dict[str, Any] = {
    "open": [1.0],
    "high": [1.0],
    "low": [1.0],
    "close": [1.0],
    "volume": [0],
    "timestamp": [STAMP],
}


@pytest.mark.parametrize(
    "data",
    [
        "text",
        {},
        {**ROW, "open": []},
        {**ROW, "open": "x"},
        {**ROW, "open": [{}]},
        {**ROW, "timestamp": [STAMP + 7]},
        {**ROW, "timestamp": [None]},
    ],
)
def test_an_answer_that_is_no_table_of_candles_is_corrupt(data: object) -> None:
    with pytest.raises(CorruptData, match="try again"):
        candle_frame(data, "candles of NIFTY")


@pytest.mark.parametrize(("field", "value"), [("open", None), ("close", 0.0), ("high", 0.5), ("low", -1.0)])
def test_a_candle_without_a_usable_price_is_dropped(field: str, value: object) -> None:
    frame = candle_frame({**ROW, field: [value]}, "candles of NIFTY")
    assert not usable_rows(frame).any()


def test_the_kind_of_instrument_is_said_in_dhans_words() -> None:
    def kind(symbol: str, kind: InstrumentKind) -> str:
        return instrument_word(Instrument(segment=Segment.NSE_FNO, security_id="1", symbol=symbol, kind=kind))

    assert kind("BANKNIFTY", InstrumentKind.OPTION) == "OPTIDX"
    assert kind("RELIANCE", InstrumentKind.OPTION) == "OPTSTK"
    assert kind("NIFTY", InstrumentKind.FUTURE) == "FUTIDX"
    assert kind("RELIANCE", InstrumentKind.EQUITY) == "EQUITY"
    assert kind("NIFTY", InstrumentKind.SYNTHETIC) == "INDEX"


@pytest.mark.shared
def test_recorded_candles_of_the_real_api_are_read(shared_data: Path) -> None:
    text = (shared_data / "dhan-recorded" / "models" / "historical_data.yml").read_text(encoding="utf-8")
    tables = [json.loads(item["response"]["body"]["string"]) for item in yaml.safe_load(text)["http_interactions"]]
    frames = [candle_frame(table, NIFTY.name) for table in tables if isinstance(table, dict) and "timestamp" in table]
    assert frames
    for frame in frames:
        assert isinstance(frame.index, pd.DatetimeIndex)
        assert not frame.empty
        assert usable_rows(frame).all()
