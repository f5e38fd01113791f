"""Trading sessions of NSE and BSE from 2021-01-01 on, as dated rows, and the calendar built from them.

Invariant: a row names its source; a year that is not in `YEARS` does not exist (2027 is not published). Weekdays that
are no holiday trade by the hours in force on that day; every other session is a row of `SPECIAL_SESSIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar, Session, SessionKind

YEARS = (2021, 2022, 2023, 2024, 2025, 2026)

XC = "exchange_calendars XBOM 4.13.2 and pandas_market_calendars NSE 5.5.0"

# What is closed though it is a weekday: "MM-DD name". A Muhurat session may still take place on such a day.
HOLIDAYS: dict[int, tuple[str, tuple[str, ...]]] = {
    2021: (
        f"NSE list of 2021 as in {XC}",
        (
            "01-26 Republic Day", "03-11 Mahashivratri", "03-29 Holi", "04-02 Good Friday", "04-14 Ambedkar Jayanti",
            "04-21 Ram Navami", "05-13 Id-ul-Fitr", "07-21 Bakri Id", "08-19 Muharram", "09-10 Ganesh Chaturthi",
            "10-15 Dussehra", "11-04 Diwali Laxmi Pujan", "11-05 Diwali Balipratipada", "11-19 Guru Nanak Jayanti",
        ),
    ),
    2022: (
        f"NSE list of 2022 as in {XC}",
        (
            "01-26 Republic Day", "03-01 Mahashivratri", "03-18 Holi", "04-14 Ambedkar and Mahavir Jayanti",
            "04-15 Good Friday", "05-03 Id-ul-Fitr", "08-09 Muharram", "08-15 Independence Day",
            "08-31 Ganesh Chaturthi", "10-05 Dussehra", "10-24 Diwali Laxmi Pujan", "10-26 Diwali Balipratipada",
            "11-08 Guru Nanak Jayanti",
        ),
    ),
    2023: (
        f"NSE list of 2023 as in {XC}",
        (
            "01-26 Republic Day", "03-07 Holi", "03-30 Ram Navami", "04-04 Mahavir Jayanti", "04-07 Good Friday",
            "04-14 Ambedkar Jayanti", "05-01 Maharashtra Day", "06-29 Bakri Id (moved from 28 June)",
            "08-15 Independence Day", "09-19 Ganesh Chaturthi", "10-02 Gandhi Jayanti", "10-24 Dussehra",
            "11-14 Diwali Balipratipada", "11-27 Guru Nanak Jayanti", "12-25 Christmas",
        ),
    ),
    2024: (
        f"NSE list of 2024 as in {XC}",
        (
            "01-22 Ram temple consecration (declared on 19 January)", "01-26 Republic Day", "03-08 Mahashivratri",
            "03-25 Holi", "03-29 Good Friday", "04-11 Id-ul-Fitr", "04-17 Ram Navami", "05-01 Maharashtra Day",
            "05-20 General election in Mumbai", "06-17 Bakri Id", "07-17 Muharram", "08-15 Independence Day",
            "10-02 Gandhi Jayanti", "11-01 Diwali Laxmi Pujan", "11-15 Guru Nanak Jayanti",
            "11-20 Maharashtra assembly election", "12-25 Christmas",
        ),
    ),
    2025: (
        f"NSE list of 2025 as in {XC}",
        (
            "02-26 Mahashivratri", "03-14 Holi", "03-31 Id-ul-Fitr", "04-10 Mahavir Jayanti",
            "04-14 Ambedkar Jayanti", "04-18 Good Friday", "05-01 Maharashtra Day", "08-15 Independence Day",
            "08-27 Ganesh Chaturthi", "10-02 Gandhi Jayanti and Dussehra", "10-21 Diwali Laxmi Pujan",
            "10-22 Diwali Balipratipada", "11-05 Guru Nanak Jayanti", "12-25 Christmas",
        ),
    ),
    2026: (
        f"NSE circular of 2025-12-12 with the addition of 15 January, as in {XC}",
        (
            "01-15 Maharashtra municipal elections", "01-26 Republic Day", "03-03 Holi", "03-26 Ram Navami",
            "03-31 Mahavir Jayanti", "04-03 Good Friday", "04-14 Ambedkar Jayanti", "05-01 Maharashtra Day",
            "05-28 Bakri Id", "06-26 Muharram", "09-14 Ganesh Chaturthi", "10-02 Gandhi Jayanti", "10-20 Dussehra",
            "11-10 Diwali Balipratipada", "11-24 Guru Nanak Jayanti", "12-25 Christmas",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursRow:
    """Hours of a normal session of some segments, from `first_day` until the next row of that segment."""

    first_day: date
    segments: tuple[Segment, ...]
    open: str
    close: str
    spot_end: str
    broker_square_off: str
    source: str
    note: str = ""
    single_source: bool = False
    square_off_assumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialRow:
    """One session that is not a normal weekday; times are in India, `breaks` as "HH:MM-HH:MM"."""

    day: date
    kind: SessionKind
    open: str
    close: str
    source: str
    segments: tuple[Segment, ...] = tuple(Segment)
    broker_square_off: str | None = None
    breaks: tuple[str, ...] = ()
    note: str = ""
    single_source: bool = False
    times_confirmed: bool = True


DHAN_15_20 = "Dhan help centre: INTRADAY of cash and derivatives is squared off at 15:20"
CASH = (Segment.NSE_EQ, Segment.BSE_EQ)
DERIVATIVES = (Segment.NSE_FNO, Segment.BSE_FNO)
NSE = (Segment.IDX_I, Segment.NSE_EQ, Segment.NSE_FNO)
BSE = (Segment.BSE_EQ, Segment.BSE_FNO)

HOURS: tuple[HoursRow, ...] = (
    HoursRow(
        first_day=date(2021, 1, 1), segments=tuple(Segment), open="09:15", close="15:30", spot_end="15:30",
        broker_square_off="15:20", source=f"NSE and BSE market timings; {DHAN_15_20}",
    ),
    HoursRow(
        first_day=date(2026, 8, 3), segments=DERIVATIVES, open="09:15", close="15:40", spot_end="15:15",
        broker_square_off="15:20",
        source=f"NSE circular of 2026-05-29 and BSE notice of 2026-08-01 on derivatives until 15:40; {DHAN_15_20}",
        note="whether the broker moved its 15:20 after August 2026 is unconfirmed; the index stops at 15:15",
    ),
    HoursRow(
        first_day=date(2026, 8, 3), segments=CASH, open="09:15", close="15:30", spot_end="15:15",
        broker_square_off="15:15",
        source="NSE circular of 2026-05-29 on the closing auction",
        note="stocks with derivatives leave continuous trading at 15:15 and stops are not taken in the auction, so we "
        "leave before it; the broker's published 15:20 would fall into the auction",
        square_off_assumed=True,
    ),
    HoursRow(
        first_day=date(2026, 8, 3), segments=(Segment.IDX_I,), open="09:15", close="15:15", spot_end="15:15",
        broker_square_off="15:15",
        source="NSE circular of 2026-05-29 on the closing auction",
        note="the constituents trade continuously until 15:15 only",
        square_off_assumed=True,
    ),
)  # fmt: skip

SPECIAL_SESSIONS: tuple[SpecialRow, ...] = (
    SpecialRow(
        day=date(2021, 2, 24), kind=SessionKind.OUTAGE, segments=NSE, open="09:15", close="17:00",
        breaks=("11:40-15:45",),
        source="SEBI statement and NSE press release of 2021-02-24; zerodha.com z-connect; livemint.com",
        note="outage: indices froze at 10:06, trading halted at 11:40, resumed at 15:45 and ran to 17:00",
    ),
    SpecialRow(
        day=date(2021, 2, 24), kind=SessionKind.OUTAGE, segments=BSE, open="09:15", close="17:00",
        source="BSE statement of 2021-02-24 (devdiscourse.com, money9.com)",
        note="BSE traded on without a halt and was extended to 17:00 with NSE",
    ),
    SpecialRow(
        day=date(2021, 11, 4), kind=SessionKind.MUHURAT, open="18:15", close="19:15",
        source="freepressjournal.in 2021-11-04; pandas_market_calendars NSE",
    ),
    SpecialRow(
        day=date(2022, 10, 24), kind=SessionKind.MUHURAT, open="18:15", close="19:15",
        source="livemint.com 2022-10-21; pandas_market_calendars NSE",
    ),
    SpecialRow(
        day=date(2023, 11, 12), kind=SessionKind.MUHURAT, open="18:15", close="19:15",
        source="business-standard.com 2023-11-02; tradingqna.com 155247 (a Sunday)",
    ),
    SpecialRow(
        day=date(2024, 1, 20), kind=SessionKind.SPECIAL, open="09:15", close="15:30", broker_square_off="15:20",
        source="zeenews.india.com 2024-02-15 and press of 2024-01-19: full session on a Saturday",
        note="Saturday; traded in place of Monday the 22nd",
    ),
    SpecialRow(
        day=date(2024, 3, 2), kind=SessionKind.SPECIAL, open="09:15", close="12:30", breaks=("10:00-11:30",),
        source="NSE circular of 2024-02-14 (zeenews.india.com 2024-02-15)",
        note="Saturday drill on the disaster recovery site, two parts; open orders die between them",
    ),
    SpecialRow(
        day=date(2024, 5, 18), kind=SessionKind.SPECIAL, open="09:15", close="12:30", breaks=("10:00-11:30",),
        source="NSE circular of 2024-05-07 (bigul.co, freepressjournal.in); two papers print 11:45-12:40",
        note="Saturday drill on the disaster recovery site, two parts; brokers allowed no intraday products",
    ),
    SpecialRow(
        day=date(2024, 11, 1), kind=SessionKind.MUHURAT, open="18:00", close="19:00",
        source="businesstimes.co 2024-10-21; pandas_market_calendars NSE",
    ),
    SpecialRow(
        day=date(2025, 2, 1), kind=SessionKind.SPECIAL, open="09:15", close="15:30", broker_square_off="15:20",
        source="NSE and BSE circulars of 2024-12-23 (rediff.com, hindustantimes.com, business-standard.com)",
        note="Saturday, Union Budget",
    ),
    SpecialRow(
        day=date(2025, 10, 21), kind=SessionKind.MUHURAT, open="13:45", close="14:45",
        source="newsbytesapp.com 2025-09-22; pandas_market_calendars NSE",
        note="in the afternoon for the first time",
    ),
    SpecialRow(
        day=date(2026, 2, 1), kind=SessionKind.SPECIAL, open="09:15", close="15:30", broker_square_off="15:20",
        source="NSE and BSE circulars of 2026-01-16 (deccanherald.com, thehansindia.com)",
        note="Sunday, Union Budget",
    ),
    SpecialRow(
        day=date(2026, 11, 8), kind=SessionKind.MUHURAT, open="13:45", close="14:45",
        source="NSE holiday list of 2026 for the date; hours are those of 2025", single_source=True,
        times_confirmed=False,
        note="hours not confirmed: they are those of 2025; live trading is refused",
    ),
)  # fmt: skip

UNPUBLISHED_LEAD = timedelta(minutes=10)
"""Assumed distance of the broker's square-off from the close of a special session.

Zerodha published ten minutes for 2023-11-12 (tradingqna.com 155247); Dhan published nothing that we found.
"""


def build_calendar() -> Calendar:
    """Build the calendar of all segments from the rows of this module."""
    closures = {
        date.fromisoformat(f"{year}-{entry[:5]}"): entry[6:]
        for year, (_, entries) in HOLIDAYS.items()
        for entry in entries
    }
    sessions: dict[tuple[Segment, date], Session] = {}
    for year in YEARS:
        list_source = HOLIDAYS[year][0]
        for day in _days(year):
            if day.weekday() < 5 and day not in closures:
                for segment in Segment:
                    sessions[segment, day] = _normal(segment, day, list_source)
    for row in SPECIAL_SESSIONS:
        for segment in row.segments:
            sessions[segment, row.day] = _special(row, segment)
    return Calendar(sessions, YEARS, closures)


def _normal(segment: Segment, day: date, list_source: str) -> Session:
    hours = [row for row in HOURS if segment in row.segments and row.first_day <= day][-1]
    return Session(
        segment=segment,
        date=day,
        open=_at(day, hours.open),
        close=_at(day, hours.close),
        spot_end=_at(day, hours.spot_end),
        broker_square_off=_at(day, hours.broker_square_off),
        kind=SessionKind.NORMAL,
        source=f"{list_source}; {hours.source}",
        note=hours.note,
        single_source=hours.single_source,
        square_off_assumed=hours.square_off_assumed,
    )


def _special(row: SpecialRow, segment: Segment) -> Session:
    close = _at(row.day, row.close)
    square_off = close - UNPUBLISHED_LEAD if row.broker_square_off is None else _at(row.day, row.broker_square_off)
    breaks = tuple((_at(row.day, text[:5]), _at(row.day, text[6:])) for text in row.breaks)
    return Session(
        segment=segment,
        date=row.day,
        open=_at(row.day, row.open),
        close=close,
        spot_end=close,
        broker_square_off=square_off,
        kind=row.kind,
        source=row.source,
        note=row.note,
        breaks=breaks,
        single_source=row.single_source,
        times_confirmed=row.times_confirmed,
        square_off_assumed=row.broker_square_off is None,
    )


def _at(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=IST)


def _days(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)
