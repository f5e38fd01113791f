"""Sessions and the calendar: the four closes, breaks, and the refusal of what is unknown."""

from datetime import UTC, date, datetime

import pytest

from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar, Phase, Session, SessionKind

DAY = date(2024, 3, 2)


def at(hour: int, minute: int, second: int = 0, *, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=IST)


def session(segment: Segment = Segment.NSE_FNO, day: date = DAY) -> Session:
    return Session(
        segment=segment,
        date=day,
        open=at(9, 15, day=day),
        close=at(12, 30, day=day),
        spot_end=at(12, 30, day=day),
        broker_square_off=at(12, 20, day=day),
        kind=SessionKind.SPECIAL,
        source="test",
        breaks=((at(10, 0, day=day), at(11, 30, day=day)),),
    )


def calendar(*days: date) -> Calendar:
    return Calendar({(Segment.NSE_FNO, day): session(day=day) for day in days}, years={2024})


def test_a_session_holds_its_open_but_not_its_close() -> None:
    assert session().contains(at(9, 15))
    assert not session().contains(at(9, 14, 59))
    assert not session().contains(at(12, 30))


def test_a_break_is_outside_from_its_first_moment_to_before_its_last() -> None:
    assert session().contains(at(9, 59, 59))
    assert not session().contains(at(10, 0))
    assert not session().contains(at(11, 29, 59))
    assert session().contains(at(11, 30))


def test_we_start_to_leave_four_minutes_before_the_broker_does() -> None:
    assert session().square_off_start == at(12, 16)


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        (at(9, 0), Phase.BEFORE_OPEN),
        (at(9, 15), Phase.OPEN),
        (at(10, 30), Phase.BREAK),
        (at(11, 30), Phase.OPEN),
        (at(12, 16), Phase.SQUARE_OFF),
        (at(12, 30), Phase.AFTER_CLOSE),
        (at(9, 30, day=date(2024, 3, 3)), Phase.CLOSED),
    ],
)
def test_every_moment_has_a_phase(moment: datetime, phase: Phase) -> None:
    assert calendar(DAY).phase(Segment.NSE_FNO, moment) is phase


def test_a_moment_in_another_zone_is_the_same_moment() -> None:
    assert calendar(DAY).is_open(Segment.NSE_FNO, datetime(2024, 3, 2, 3, 45, tzinfo=UTC))


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(BadInput, match="no time zone"):
        calendar(DAY).is_open(Segment.NSE_FNO, datetime(2024, 3, 2, 9, 30))  # noqa: DTZ001 (the naive one is the point)


def test_a_known_holiday_has_no_session_and_an_unknown_year_is_refused() -> None:
    assert calendar(DAY).session(Segment.NSE_FNO, date(2024, 3, 3)) is None
    with pytest.raises(UnknownSession, match=r"2025.*known years: 2024"):
        calendar(DAY).session(Segment.NSE_FNO, date(2025, 3, 3))


def test_a_segment_without_rows_is_refused() -> None:
    with pytest.raises(UnknownSession):
        calendar(DAY).session(Segment.BSE_EQ, DAY)


def test_neighbours_skip_closed_days_and_stop_at_the_edge_of_what_is_known() -> None:
    known = calendar(DAY, date(2024, 3, 7))
    assert known.next_session(Segment.NSE_FNO, DAY).date == date(2024, 3, 7)
    assert known.previous_session(Segment.NSE_FNO, date(2024, 3, 7)).date == DAY
    with pytest.raises(UnknownSession):
        known.next_session(Segment.NSE_FNO, date(2024, 3, 7))


def test_a_range_includes_both_ends() -> None:
    known = calendar(DAY, date(2024, 3, 7), date(2024, 3, 8))
    found = [each.date for each in known.sessions(Segment.NSE_FNO, DAY, date(2024, 3, 7))]
    assert found == [DAY, date(2024, 3, 7)]
    with pytest.raises(UnknownSession):
        known.sessions(Segment.NSE_FNO, date(2023, 12, 31), DAY)
