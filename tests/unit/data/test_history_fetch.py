"""Fetching history: resumable, at most 90 days a window, holes listed, nothing half-formed, nothing overwritten."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from workbench.core.bars import MINUTE, Interval
from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST, Calendar
from workbench.data.bar_store import BarStore
from workbench.data.candles import DAY, CandleReader
from workbench.data.gaps import SourceHoles, Want, missing, windows
from workbench.data.history_fetch import FetchOrder, HistoryFetch, Target

NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
STOCK = Instrument(segment=Segment.NSE_EQ, security_id="2885", symbol="RELIANCE", kind=InstrumentKind.EQUITY)
OPTION = Instrument(
    segment=Segment.NSE_FNO,
    security_id="40001",
    symbol="NIFTY",
    kind=InstrumentKind.OPTION,
    lot=65,
    expiry=date(2026, 6, 16),
    strike=Decimal(25000),
    right=Right.CE,
)
NOTHING = {"error_code": "DH-907", "error_type": "Data_Error", "error_message": "no data present"}


def at(day: date, hour: int, minute: int) -> datetime:
    return datetime.combine(day, time(hour, minute), IST)


class Dhan:
    """A source with a bar for every minute of every weekday, but for those in `lacking`; failures by turn."""

    def __init__(self, *, lacking: set[datetime] | None = None, since: date = date(2020, 1, 1)) -> None:
        self.lacking = lacking or set()
        self.since = since
        self.price = 100.0
        self.asked: list[tuple[str, str, str]] = []
        self.failures: dict[int, object] = {}
        self.killed_after: int | None = None
        self._lock = threading.Lock()

    def intraday_minute_data(
        self,
        security_id: str,
        exchange_segment: str,
        instrument_type: str,
        from_date: str,
        to_date: str,
        interval: int = 1,
    ) -> Mapping[str, Any]:
        assert (exchange_segment, interval) != ("", 0)
        with self._lock:
            self.asked.append((security_id, from_date, to_date))
            number = len(self.asked)
        if number in self.failures:
            return {"status": "failure", "remarks": self.failures[number], "data": ""}
        start, end = (datetime.fromisoformat(text).replace(tzinfo=IST) for text in (from_date, to_date))
        assert end - start <= timedelta(days=90)
        stamps: list[int] = []
        day = max(start.date(), self.since)
        while day <= end.date():
            if day.weekday() < 5:
                opened = int(at(day, 9, 0).timestamp())
                stamps += range(opened, opened + 405 * 60, 60)
            day += timedelta(days=1)
        low, high = start.timestamp(), end.timestamp()
        lacking = {int(moment.timestamp()) for moment in self.lacking}
        stamps = [stamp for stamp in stamps if low <= stamp <= high and stamp not in lacking]
        return self._table(stamps)

    def historical_daily_data(
        self, security_id: str, exchange_segment: str, instrument_type: str, from_date: str, to_date: str
    ) -> Mapping[str, Any]:
        with self._lock:
            self.asked.append((security_id, from_date, to_date))
        day, last = date.fromisoformat(from_date), date.fromisoformat(to_date)
        stamps = []
        while day <= last:  # as observed: the last day is given, whatever the documents say
            if day.weekday() < 5:
                stamps.append(int(at(day, 0, 0).timestamp()))
            day += timedelta(days=1)
        return self._table(stamps)

    def _table(self, stamps: list[int]) -> Mapping[str, Any]:
        flat = {name: [self.price] * len(stamps) for name in ("open", "high", "low", "close")}
        return {
            "status": "success",
            "remarks": "",
            "data": {**flat, "volume": [1.0] * len(stamps), "timestamp": stamps},
        }


class Bench:
    """A fetch of its own folder."""

    def __init__(self, folder: Path, market: Calendar, source: Dhan, now: datetime) -> None:
        self.store = BarStore(folder / "bars", market)
        self.now = now
        self.market = market
        self.source = source
        self.reader = CandleReader(source, market, lambda: self.now, pause=lambda _: None)
        self.fetch = HistoryFetch(self.reader, self.store, market, lambda: self.now, workers=3, spread_s=0)

    def with_one_thread(self) -> None:
        """Ask one window after the other, so that failures by number are those of windows in order."""
        self.fetch = HistoryFetch(self.reader, self.store, self.market, lambda: self.now, workers=1, spread_s=0)

    def run(
        self, *instruments: Instrument, first: date, last: date, interval: Interval = MINUTE, **more: bool
    ) -> dict[str, Any]:
        targets = [Target.of(each) for each in instruments]
        order = FetchOrder(targets=targets, interval=interval, first=first, last=last, **more)
        return self.fetch.run(order).to_dict()


MONDAY, FRIDAY = date(2026, 6, 15), date(2026, 6, 19)


@pytest.fixture
def bench(tmp_path: Path, market: Calendar) -> Bench:
    return Bench(tmp_path, market, Dhan(), at(date(2026, 6, 20), 12, 0))


def test_a_week_is_fetched_whole_and_a_second_fetch_asks_nothing(bench: Bench) -> None:
    report = bench.run(NIFTY, first=MONDAY, last=FRIDAY)
    assert report["whole"]
    assert (report["requests"], report["symbols"][0]["added"]) == (1, 5 * 375)
    frame = bench.store.read("NIFTY", MINUTE)
    assert (frame.index[0], frame.index[-1]) == (at(MONDAY, 9, 15), at(FRIDAY, 15, 29))
    again = bench.run(NIFTY, first=MONDAY, last=FRIDAY)
    assert again["whole"]
    assert (again["requests"], len(bench.source.asked)) == (0, 1)


def test_a_year_is_asked_in_windows_of_at_most_90_days(bench: Bench) -> None:
    report = bench.run(STOCK, first=date(2025, 6, 20), last=FRIDAY)
    assert report["whole"]
    assert report["requests"] == len(bench.source.asked) == 5
    assert bench.store.segment("RELIANCE") is Segment.NSE_EQ
    assert (
        report["symbols"][0]["sessions_without_bars"] == 1
    )  # the Sunday of the Budget: the source knows weekdays only
    assert report["symbols"][0]["empty_sessions"] == ["2026-02-01"]


def test_a_killed_fetch_goes_on_where_it_stood(bench: Bench) -> None:
    bench.with_one_thread()
    bench.source.failures = dict.fromkeys(range(3, 100), "the connection broke")
    broken = bench.run(NIFTY, STOCK, first=date(2025, 6, 20), last=FRIDAY)
    assert not broken["whole"]
    assert "try again" in broken["stopped"]
    assert "same command" in broken["way_out"]
    assert len(bench.store.opens("NIFTY", MINUTE, None, None)) > 40_000
    bench.source.failures = {}
    before = len(bench.source.asked)
    rest = bench.run(NIFTY, STOCK, first=date(2025, 6, 20), last=FRIDAY)
    assert rest["whole"]
    assert len(bench.source.asked) - before == rest["requests"] == 8
    assert sum(row["unchanged"] for row in rest["symbols"]) == 0


def test_the_minute_that_is_not_over_is_not_stored_and_comes_later(bench: Bench) -> None:
    bench.now = at(MONDAY, 10, 7) + timedelta(seconds=30)
    bench.run(NIFTY, first=MONDAY, last=MONDAY)
    assert bench.store.opens("NIFTY", MINUTE, None, None)[-1] == at(MONDAY, 10, 6)
    bench.now = at(MONDAY, 10, 9)
    report = bench.run(NIFTY, first=MONDAY, last=MONDAY)
    assert report["symbols"][0]["added"] == 2
    assert bench.store.opens("NIFTY", MINUTE, None, None)[-1] == at(MONDAY, 10, 8)


def test_the_day_that_is_not_settled_is_not_stored_as_a_daily_bar(bench: Bench) -> None:
    bench.now = at(FRIDAY, 15, 40)
    report = bench.run(STOCK, first=MONDAY, last=FRIDAY, interval=DAY)
    assert report["symbols"][0]["added"] == 4
    bench.now = at(FRIDAY, 16, 1)
    assert bench.run(STOCK, first=MONDAY, last=FRIDAY, interval=DAY)["symbols"][0]["added"] == 1
    days = bench.store.opens("RELIANCE", DAY, None, None)
    assert [day.hour for day in days] == [9] * 5
    assert days[-1] == at(FRIDAY, 9, 15)


def test_holes_of_the_source_are_listed_and_not_asked_again(tmp_path: Path, market: Calendar) -> None:
    lacking = {at(MONDAY, 11, 0), at(MONDAY, 11, 1), at(FRIDAY, 9, 15)}
    bench = Bench(tmp_path, market, Dhan(lacking=lacking), at(date(2026, 6, 20), 12, 0))
    report = bench.run(STOCK, first=MONDAY, last=FRIDAY)
    row = report["symbols"][0]
    assert report["whole"]
    assert (row["missing_bars"], row["sessions_with_holes"]) == (3, 2)
    assert [hole["first_missing"] for hole in row["holes"]] == [
        "2026-06-15T11:00:00+05:30",
        "2026-06-19T09:15:00+05:30",
    ]
    again = bench.run(STOCK, first=MONDAY, last=FRIDAY)
    assert (again["requests"], again["symbols"][0]["missing_bars"]) == (0, 3)


def test_a_gap_that_the_source_has_by_now_is_filled(tmp_path: Path, market: Calendar) -> None:
    bench = Bench(tmp_path, market, Dhan(lacking={at(MONDAY, 11, 0)}), at(MONDAY, 15, 40))
    bench.run(STOCK, first=MONDAY, last=MONDAY)
    bench.source.lacking = set()
    bench.now = at(MONDAY, 18, 0)
    report = bench.run(STOCK, first=MONDAY, last=MONDAY)
    assert (report["symbols"][0]["added"], report["symbols"][0]["missing_bars"]) == (1, 0)


def test_a_gap_of_an_index_is_looked_at_twice(tmp_path: Path, market: Calendar) -> None:
    bench = Bench(tmp_path, market, Dhan(lacking={at(MONDAY, 11, 0)}), at(date(2026, 6, 20), 12, 0))
    report = bench.run(NIFTY, first=MONDAY, last=FRIDAY)
    assert report["whole"]
    assert [day for _, day, _ in bench.source.asked] == ["2026-06-15 00:00:00"] * 2
    assert report["symbols"][0]["missing_bars"] == 1


def test_bars_that_were_lost_are_asked_again_though_a_hole_was_noted(tmp_path: Path, market: Calendar) -> None:
    bench = Bench(tmp_path, market, Dhan(lacking={at(MONDAY, 11, 0)}), at(date(2026, 6, 20), 12, 0))
    bench.run(STOCK, first=MONDAY, last=FRIDAY)
    for month in (bench.store.root / "RELIANCE" / "1m").glob("*.parquet"):
        month.unlink()
    assert bench.run(STOCK, first=MONDAY, last=FRIDAY)["symbols"][0]["added"] == 5 * 375 - 1


def test_revised_candles_are_told_and_the_stored_ones_stay(bench: Bench) -> None:
    bench.run(STOCK, first=MONDAY, last=MONDAY)
    bench.source.price = 101.0
    report = bench.run(STOCK, first=MONDAY, last=MONDAY, again=True)
    assert (report["symbols"][0]["revised"], report["symbols"][0]["added"]) == (375, 0)
    assert bench.store.read("RELIANCE", MINUTE)["close"].iloc[0] == 100.0
    taken = bench.run(STOCK, first=MONDAY, last=MONDAY, again=True, replace=True)
    assert taken["symbols"][0]["revised"] == 375
    assert bench.store.read("RELIANCE", MINUTE)["close"].iloc[0] == 101.0


def test_no_data_before_a_listing_is_an_empty_window_and_not_an_error(bench: Bench) -> None:
    bench.source.since = date(2026, 6, 1)
    bench.source.failures = {1: NOTHING, 2: NOTHING}
    bench.with_one_thread()
    report = bench.run(STOCK, first=date(2025, 12, 1), last=FRIDAY)
    assert report["whole"], report
    assert report["symbols"][0]["added"] == 15 * 375
    asked = len(bench.source.asked)
    assert bench.run(STOCK, first=date(2025, 12, 1), last=FRIDAY)["requests"] == 0
    assert len(bench.source.asked) == asked


def test_no_data_in_any_window_is_told_because_the_question_may_be_wrong(bench: Bench) -> None:
    bench.source.failures = {1: NOTHING}
    report = bench.run(STOCK, first=MONDAY, last=FRIDAY)
    assert not report["whole"]
    assert (
        "RELIANCE 2026-06-15 to 2026-06-19: Dhan gives nothing (no data present)" in report["symbols"][0]["failed"][0]
    )
    assert bench.store.symbols() == []


def test_a_refusal_of_one_symbol_does_not_stop_the_others(bench: Bench) -> None:
    refused = {"error_code": "DH-905", "error_type": "Input_Exception", "error_message": "bad values for parameters"}
    bench.source.failures = {1: refused}
    report = bench.run(STOCK, NIFTY, first=MONDAY, last=FRIDAY)
    assert not report["whole"]
    assert "stopped" not in report
    assert sorted((row["whole"], row["added"]) for row in report["symbols"]) == [(False, 0), (True, 5 * 375)]
    assert any("DH-905 bad values" in text for row in report["symbols"] for text in row["failed"])


@pytest.mark.parametrize("code", ["DH-901", "806", "DH-902"])
def test_r7_a_refused_login_stops_at_once_and_says_the_way_out(bench: Bench, code: str) -> None:
    bench.source.failures = {1: {"error_code": code, "error_type": "x", "error_message": "expired"}}
    report = bench.run(NIFTY, STOCK, first=date(2022, 1, 3), last=FRIDAY)
    assert "workbench doctor" in report["stopped"]
    assert len(bench.source.asked) <= 6  # what was on the wire already


def test_a_contract_is_stored_by_its_key_and_not_asked_past_its_expiry(bench: Bench) -> None:
    report = bench.run(OPTION, first=MONDAY, last=FRIDAY)
    assert report["symbols"][0]["symbol"] == "NSE_FNO:NIFTY:2026-06-16:25000:CE"
    assert report["symbols"][0]["last"] == "2026-06-16"
    assert report["symbols"][0]["added"] == 2 * 375


def test_orders_that_make_no_sense_are_refused_before_anything_is_asked(bench: Bench) -> None:
    with pytest.raises(BadInput, match="at least one symbol"):
        bench.run(first=MONDAY, last=FRIDAY)
    with pytest.raises(BadInput, match="fetch 1m or 1d"):
        bench.run(NIFTY, first=MONDAY, last=FRIDAY, interval=Interval(300))
    with pytest.raises(BadInput, match="range is empty"):
        bench.run(NIFTY, first=FRIDAY, last=MONDAY)
    with pytest.raises(UnknownSession, match="2019"):
        bench.run(NIFTY, first=date(2019, 1, 1), last=FRIDAY)
    assert bench.source.asked == []


def test_progress_ends_at_what_was_planned(bench: Bench) -> None:
    seen: list[tuple[int, int]] = []
    order = FetchOrder(targets=[Target.of(STOCK)], interval=MINUTE, first=date(2025, 6, 20), last=FRIDAY)
    bench.fetch.run(order, lambda done, planned: seen.append((done, planned)))
    assert seen == [(n, 5) for n in range(6)]


def test_windows_are_few_and_never_longer_than_allowed() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(200)]
    assert [(last - first).days + 1 for first, last in windows(days, 90)] == [90, 90, 20]
    assert windows([days[0], days[150]], 90) == [(days[0], days[0]), (days[150], days[150])]
    assert windows([], 90) == []


def test_a_halt_of_trading_is_no_gap(market: Calendar) -> None:
    outage = date(2021, 2, 24)
    want = Want(segment=Segment.IDX_I, interval=MINUTE, first=outage, last=outage)
    session = market.session(Segment.IDX_I, outage)
    assert session is not None
    bench_now = at(date(2021, 2, 25), 9, 0)
    store = BarStore(Path("unused"), market)
    gap = missing(want, store.opens("NIFTY", MINUTE, outage, outage), market, bench_now)[outage]
    minutes = int((session.close - session.open).total_seconds() // 60)
    assert gap.expected < minutes


def test_notes_that_do_not_read_say_what_to_do(tmp_path: Path) -> None:
    notes = SourceHoles(tmp_path)
    notes.note("NIFTY", MINUTE, {MONDAY: 3})
    assert notes.of("NIFTY", MINUTE) == {MONDAY: 3}
    notes.note("NIFTY", MINUTE, {MONDAY: 0, FRIDAY: 1})
    assert notes.of("nifty", MINUTE) == {FRIDAY: 1}
    (tmp_path / ".fetched" / "NIFTY" / "1m.json").write_text("[", encoding="utf-8")
    with pytest.raises(Exception, match="delete it"):
        notes.of("NIFTY", MINUTE)
