"""The real calendar against other people's calendars and against two years of real index files."""

import re
from datetime import date, time
from pathlib import Path

import pytest

from workbench.core.errors import UnknownSession
from workbench.core.instrument import Segment
from workbench.core.session import Phase, SessionKind
from workbench.reference import calendar
from workbench.reference.sessions import HOURS, SPECIAL_SESSIONS, YEARS

FIRST, LAST = date(2021, 1, 1), date(2026, 12, 31)

WEEKEND_SESSIONS = {
    date(2023, 11, 12): "Muhurat on a Sunday",
    date(2024, 1, 20): "full Saturday before the 22nd was closed",
    date(2024, 3, 2): "drill on the disaster recovery site",
    date(2024, 5, 18): "drill on the disaster recovery site",
    date(2025, 2, 1): "Budget Saturday",
    date(2026, 2, 1): "Budget Sunday",
    date(2026, 11, 8): "Muhurat on a Sunday",
}
WEEKDAY_MUHURATS = {date(2021, 11, 4), date(2022, 10, 24), date(2024, 11, 1), date(2025, 10, 21)}


def ours(segment: Segment = Segment.NSE_FNO) -> set[date]:
    return {each.date for each in calendar().sessions(segment, FIRST, LAST)}


# exchange_calendars 4.13 reads Series.values, which pandas 3.1 deprecates; not ours to mend.
@pytest.mark.filterwarnings("ignore:Series.values returning")
def test_exchange_calendars_differs_only_by_the_named_exceptions() -> None:
    exchange_calendars = pytest.importorskip("exchange_calendars")
    theirs = {day.date() for day in exchange_calendars.get_calendar("XBOM", start=FIRST, end=LAST).sessions}
    assert theirs - ours() == set()
    assert ours() - theirs == WEEKEND_SESSIONS.keys() | WEEKDAY_MUHURATS


def test_pandas_market_calendars_differs_only_by_the_named_exceptions() -> None:
    market_calendars = pytest.importorskip("pandas_market_calendars")
    schedule = market_calendars.get_calendar("NSE").schedule(FIRST.isoformat(), LAST.isoformat())
    theirs = {day.date() for day in schedule.index}
    assert theirs - ours() == set()
    assert ours() - theirs == WEEKEND_SESSIONS.keys()


def test_the_hours_are_those_of_pandas_market_calendars_until_the_change_of_2026() -> None:
    market_calendars = pytest.importorskip("pandas_market_calendars")
    schedule = market_calendars.get_calendar("NSE").schedule(FIRST.isoformat(), "2026-07-31")
    for day, opens, closes in schedule[["market_open", "market_close"]].itertuples():
        session = calendar().session(Segment.NSE_FNO, day.date())
        assert session is not None
        assert (session.open, session.close) == (opens, closes), day


def test_every_day_of_two_years_of_index_files_is_a_session_and_every_session_has_a_file(shared_data: Path) -> None:
    days = set()
    for file in (shared_data / "nifty-1m-2021-2022").glob("*.txt"):
        days |= set(re.findall(r"^[^,]+,(\d{8}),", file.read_text(encoding="utf-8"), flags=re.MULTILINE))
    sessions = calendar().sessions(Segment.IDX_I, date(2021, 1, 1), date(2022, 12, 31))
    assert days == {f"{each.date:%Y%m%d}" for each in sessions}


def test_the_year_after_the_last_one_is_refused() -> None:
    with pytest.raises(UnknownSession, match="2027"):
        calendar().session(Segment.NSE_FNO, date(2027, 1, 4))
    with pytest.raises(UnknownSession):
        calendar().next_session(Segment.NSE_FNO, date(2026, 12, 31))


def clock(moment: object) -> str:
    return f"{moment:%H:%M}"


def test_index_options_outlive_the_index_since_august_2026() -> None:
    before = calendar().session(Segment.NSE_FNO, date(2026, 7, 31))
    after = calendar().session(Segment.NSE_FNO, date(2026, 8, 3))
    assert before is not None
    assert after is not None
    assert (clock(before.spot_end), clock(before.close)) == ("15:30", "15:30")
    assert (clock(after.spot_end), clock(after.close)) == ("15:15", "15:40")
    assert clock(before.broker_square_off) == clock(after.broker_square_off) == "15:20"
    assert clock(after.square_off_start) == "15:16"


def test_cash_is_left_before_the_closing_auction() -> None:
    session = calendar().session(Segment.NSE_EQ, date(2026, 8, 3))
    assert session is not None
    assert session.broker_square_off <= session.spot_end
    assert session.square_off_assumed
    assert (clock(session.last_minute), clock(session.trading_end), clock(session.close)) == ("15:14", "15:15", "15:30")
    assert not session.contains(session.trading_end)
    assert session.phase(session.trading_end) is Phase.AFTER_CLOSE


@pytest.mark.parametrize(
    ("segment", "day", "end"),
    [
        (Segment.NSE_EQ, date(2022, 6, 15), "15:30"),
        (Segment.NSE_FNO, date(2026, 8, 3), "15:40"),
        (Segment.BSE_FNO, date(2026, 8, 3), "15:40"),
        (Segment.IDX_I, date(2026, 8, 3), "15:15"),
    ],
)
def test_without_an_auction_trading_ends_with_the_session(segment: Segment, day: date, end: str) -> None:
    session = calendar().session(segment, day)
    assert session is not None
    assert clock(session.trading_end) == clock(session.close) == end


def test_the_outage_day_is_halted_at_nse_and_not_at_bse() -> None:
    day = date(2021, 2, 24)
    nse, bse = calendar().session(Segment.NSE_FNO, day), calendar().session(Segment.BSE_FNO, day)
    assert nse is not None
    assert bse is not None
    assert nse.kind is SessionKind.OUTAGE
    assert [(clock(start), clock(end)) for start, end in nse.breaks] == [("11:40", "15:45")]
    assert clock(nse.close) == clock(bse.close) == "17:00"
    assert bse.breaks == ()


def test_only_the_muhurat_of_2026_has_unconfirmed_hours() -> None:
    unsure = {each.date for each in calendar().sessions(Segment.NSE_FNO, FIRST, LAST) if not each.times_confirmed}
    assert unsure == {date(2026, 11, 8)}


@pytest.mark.parametrize("segment", list(Segment))
def test_every_session_is_in_order_and_in_india(segment: Segment) -> None:
    for each in calendar().sessions(segment, FIRST, LAST):
        assert each.open.date() == each.date
        assert str(each.open.tzinfo) == "Asia/Kolkata"
        assert each.open < each.square_off_start < each.broker_square_off <= each.close
        assert each.open < each.spot_end <= each.close
        assert all(each.open < start < end < each.close for start, end in each.breaks)
        assert each.source


def test_every_row_says_where_it_comes_from() -> None:
    assert all(row.source and row.first_day for row in HOURS)
    assert all(row.source and row.day.year in YEARS for row in SPECIAL_SESSIONS)
    assert {row.day for row in SPECIAL_SESSIONS if row.day.weekday() >= 5} == WEEKEND_SESSIONS.keys()


def test_holidays_are_named_weekdays() -> None:
    assert calendar().closure(date(2026, 11, 24)) == "Guru Nanak Jayanti"
    assert calendar().session(Segment.NSE_FNO, date(2026, 11, 24)) is None
    assert calendar().closure(date(2026, 11, 23)) is None


def test_a_normal_day_opens_at_a_quarter_past_nine() -> None:
    assert {each.open.time() for each in calendar().sessions(Segment.NSE_EQ, FIRST, LAST)} == {
        time(9, 15), time(18, 15), time(18, 0), time(13, 45),
    }  # fmt: skip
