"""Contracts: rows by day and by expiry, expiries moved off holidays, refusals that help."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from workbench.core.contracts import (
    ContractTable,
    ExpiryKind,
    ExpiryRule,
    FreezeRow,
    ListingRow,
    LotRow,
    StepRow,
    TickRow,
    Underlying,
)
from workbench.core.errors import UnknownContract, UnknownName, UnknownSession
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.session import IST, Calendar, Session, SessionKind

YEAR = 2024
MUHURAT = date(2024, 3, 14)
HOLIDAY = date(2024, 3, 21)


def day_session(day: date) -> Session:
    def at(hour: int) -> datetime:
        return datetime(day.year, day.month, day.day, hour, tzinfo=IST)

    kind = SessionKind.MUHURAT if day == MUHURAT else SessionKind.NORMAL
    return Session(
        segment=Segment.NSE_FNO, date=day, open=at(9), close=at(15), spot_end=at(15), broker_square_off=at(14),
        kind=kind, source="test",
    )  # fmt: skip


def calendar() -> Calendar:
    days = [date(YEAR, 1, 1) + timedelta(days=n) for n in range(366)]
    open_days = [day for day in days if day.weekday() < 5 and day != HOLIDAY]
    return Calendar({(Segment.NSE_FNO, day): day_session(day) for day in open_days}, years={YEAR})


def rule(kind: ExpiryKind, first_day: str, weekday: int | None) -> ExpiryRule:
    return ExpiryRule(
        underlying="X", kind=kind, first_day=date.fromisoformat(first_day), weekday=weekday, source="test"
    )


def lot(units: int | None, kind: ExpiryKind | None, first_expiry: str, first_day: str) -> LotRow:
    return LotRow(
        underlying="X", lot=units, kind=kind, first_expiry=date.fromisoformat(first_expiry),
        first_day=date.fromisoformat(first_day), source="test",
    )  # fmt: skip


WEEKLY, MONTHLY = ExpiryKind.WEEKLY, ExpiryKind.MONTHLY
START = date(2024, 1, 1)


def table(*lots: LotRow, rules: tuple[ExpiryRule, ...] | None = None) -> ContractTable:
    return ContractTable(
        underlyings=(Underlying(symbol="X", index_id="1", derivatives=Segment.NSE_FNO),),
        lots=lots or (lot(50, None, "2024-01-01", "2024-01-01"),),
        expiry_rules=rules or (rule(WEEKLY, "2024-01-01", 3), rule(MONTHLY, "2024-01-01", 3)),
        steps=(StepRow(underlying="X", first_day=START, step=Decimal(50), source="test"),),
        freezes=(
            FreezeRow(underlying="X", first_day=START, freeze=2800, source="test"),
            FreezeRow(underlying="X", first_day=date(2024, 6, 3), freeze=1800, source="test", lower_bound=True),
        ),
        ticks=(
            TickRow(kind=InstrumentKind.FUTURE, first_day=START, tick=Decimal("0.05"), source="test"),
            TickRow(
                kind=InstrumentKind.FUTURE, underlying="X", first_day=date(2024, 6, 3), tick=Decimal("0.10"),
                source="test",
            ),
        ),
        listings=(
            ListingRow(underlying="X", first_day=START, weeks=2, months=2, quarters=1, half_years=1, source="test"),
        ),
        calendar=calendar(),
    )  # fmt: skip


def test_a_weekly_expiry_is_every_week_but_that_of_the_month() -> None:
    def days(kind: ExpiryKind | None = None) -> list[int]:
        return [day.day for day in table().expiries("X", start=date(2024, 3, 1), end=date(2024, 3, 31), kind=kind)]

    assert days() == [7, 13, 20, 28]
    assert days(MONTHLY) == [28]
    assert days(WEEKLY) == [7, 13, 20]


def test_a_holiday_and_an_evening_session_move_an_expiry_to_the_trading_day_before() -> None:
    days = table().expiries("X", start=date(2024, 3, 11), end=date(2024, 3, 22))
    assert days == (MUHURAT - timedelta(days=1), HOLIDAY - timedelta(days=1))


def test_a_week_on_another_day_is_left_out_where_its_month_expires() -> None:
    moved = table(rules=(rule(WEEKLY, "2024-01-01", 2), rule(MONTHLY, "2024-01-01", 3)))
    days = moved.expiries("X", start=date(2024, 2, 12), end=date(2024, 3, 6))
    assert days == (date(2024, 2, 14), date(2024, 2, 21), date(2024, 2, 29), date(2024, 3, 6))


def test_a_monthly_day_changes_within_a_month_only_if_the_new_day_is_still_to_come() -> None:
    monthly = (rule(MONTHLY, "2024-01-01", 3), rule(MONTHLY, "2024-05-30", 1))
    days = table(rules=monthly).expiries("X", start=date(2024, 5, 1), end=date(2024, 6, 30))
    assert days == (date(2024, 5, 30), date(2024, 6, 25))


def test_a_series_that_has_ended_is_known_to_have_ended() -> None:
    ended = table(
        rules=(rule(WEEKLY, "2024-01-01", 3), rule(WEEKLY, "2024-06-07", None), rule(MONTHLY, "2024-01-01", 3))
    )
    assert ended.has_weekly("X", date(2024, 6, 6))
    assert not ended.has_weekly("X", date(2024, 6, 7))
    assert ended.expiries("X", start=date(2024, 6, 7), end=date(2024, 7, 31)) == (date(2024, 6, 27), date(2024, 7, 25))


def test_a_lot_depends_on_the_expiry_and_on_the_day_of_the_trade() -> None:
    lots = table(
        lot(75, None, "2024-01-01", "2024-01-01"),
        lot(50, MONTHLY, "2024-03-28", "2024-01-15"),
        lot(50, MONTHLY, "2024-01-01", "2024-03-01"),
    )
    assert lots.lot("X", date(2024, 3, 28), date(2024, 1, 12)) == 75
    assert lots.lot("X", date(2024, 3, 28), date(2024, 1, 15)) == 50
    assert lots.lot("X", date(2024, 2, 29), date(2024, 1, 15)) == 75
    assert lots.lot("X", date(2024, 3, 7), date(2024, 3, 1)) == 75


def test_a_day_that_is_no_expiry_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownContract, match=r"2024-03-21 is not an expiry of X; nearest expiries: 2024-03-20"):
        table().lot("X", HOLIDAY, START)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(UnknownContract, match="has expired"):
        table().lot("X", date(2024, 3, 7), date(2024, 3, 8))
    with pytest.raises(UnknownContract, match="lot of X"):
        table(lot(None, None, "2024-01-01", "2024-01-01")).lot("X", date(2024, 3, 7), START)
    with pytest.raises(UnknownContract, match="strike step of X is not known for 2023-12-29"):
        table().strike_step("X", date(2023, 12, 29))
    with pytest.raises(UnknownContract, match="tick of a option"):
        table().tick("X", InstrumentKind.OPTION, START)
    with pytest.raises(UnknownContract, match="expiry days of X"):
        table().expiries("X", start=date(2023, 12, 1), end=START)
    with pytest.raises(UnknownSession):
        table().expiries("X", start=START, end=date(2025, 1, 31))
    with pytest.raises(UnknownName, match="known: X"):
        table().freeze("Y", START)


def test_the_latest_row_up_to_the_day_counts() -> None:
    known = table()
    assert [known.freeze("X", day) for day in (date(2024, 6, 2), date(2024, 6, 3))] == [2800, 1800]
    assert known.freeze_row("X", date(2024, 6, 3)).lower_bound
    assert known.tick("X", InstrumentKind.FUTURE, date(2024, 6, 2)) == Decimal("0.05")
    assert known.tick("X", InstrumentKind.FUTURE, date(2024, 6, 3)) == Decimal("0.10")
    assert known.strike_step("X", START) == 50


def test_listed_are_weeks_between_months_then_months_quarters_and_half_years() -> None:
    listed = table().listed_expiries("X", date(2024, 3, 7))
    assert [f"{day:%m-%d}" for day in listed] == ["03-07", "03-13", "03-28", "04-25", "06-27", "12-26"]
