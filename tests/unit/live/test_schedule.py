"""The calendar of the day: market times become wall times, and a point fires once, never early."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from workbench.core.instrument import Segment
from workbench.core.session import IST
from workbench.live import schedule as schedule_module
from workbench.live.schedule import ClockTrigger, DaySchedule, points_of
from workbench.live.trusted_clock import TrustedClock
from workbench.reference import calendar

WALL = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
MARKET = datetime(2022, 6, 15, 15, 16, tzinfo=IST)
SQUARE_OFF = datetime(2022, 6, 15, 15, 17, tzinfo=IST)


def trigger(market: datetime, speed: float) -> ClockTrigger:
    return ClockTrigger(SQUARE_OFF, lambda: market, lambda: speed)


@pytest.mark.parametrize(("speed", "seconds"), [(60.0, 1.0), (10.0, 6.0), (1.0, 10.0)])
def test_a_market_time_is_mapped_to_the_wall_and_looked_at_every_ten_seconds(speed: float, seconds: float) -> None:
    assert trigger(MARKET, speed).get_next_fire_time(None, WALL) == WALL + timedelta(seconds=seconds)


def test_while_the_market_stands_still_it_looks_again_each_second() -> None:
    assert trigger(MARKET, 0.0).get_next_fire_time(None, WALL) == WALL + timedelta(seconds=1)


def test_it_does_not_fire_early_and_ends_when_it_has_fired() -> None:
    early = trigger(SQUARE_OFF - timedelta(seconds=1), 1.0)
    assert not early.reached()
    due = trigger(SQUARE_OFF, 1.0)
    assert due.reached()
    assert not due.reached()
    assert due.get_next_fire_time(WALL, WALL) is None


def test_the_points_of_an_ordinary_day() -> None:
    session = calendar().session(Segment.NSE_FNO, date(2022, 6, 15))
    assert session is not None
    found = {point.name: point.at.strftime("%H:%M:%S") for point in points_of(session)}
    assert found == {
        "pre_open": "09:05:00",
        "open": "09:15:00",
        "last_entry": "15:16:00",
        "square_off": "15:16:00",
        "must_be_flat": "15:17:00",
        "close": "15:30:00",
        "export": "15:30:05",
    }


def test_jobs_run_once_in_order_at_the_speed_of_the_market() -> None:
    done: list[str] = []
    session = calendar().session(Segment.NSE_FNO, date(2022, 6, 15))
    assert session is not None

    async def run() -> None:
        loop = asyncio.get_running_loop()
        start, speed = loop.time(), 2000.0

        def now() -> datetime:
            return session.open.replace(hour=15, minute=10) + timedelta(seconds=(loop.time() - start) * speed)

        def job(name: str) -> None:
            done.append(name)

        async def square_off() -> None:
            job("square_off")

        async def export() -> None:
            job("export")

        schedule = DaySchedule({"square_off": square_off, "export": export}, market_now=now, speed=lambda: speed)
        schedule.start()
        planned = schedule.plan_day(session)
        assert [point.name for point in planned] == [
            "last_entry", "square_off", "must_be_flat", "close", "export",
        ]  # fmt: skip
        assert {item["name"] for item in schedule.upcoming()} == {point.name for point in planned}
        async with asyncio.timeout(5):
            while "export" not in schedule.fired:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        schedule.stop()
        assert schedule.fired.count("square_off") == 1
        assert schedule.upcoming() == [] or not schedule.fired.count("square_off") > 1

    asyncio.run(run())
    assert done == ["square_off", "export"]


def test_s9_a_point_that_was_to_wake_by_a_clock_that_has_been_set_wakes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Only `rearm` may help: a wall that is set back by an hour makes the longest nap one of an hour.
    monkeypatch.setattr(schedule_module, "LONGEST_NAP", timedelta(hours=1))
    done: list[str] = []
    session = calendar().session(Segment.NSE_FNO, date(2022, 6, 15))
    assert session is not None
    market = [session.square_off_start]

    async def see() -> None:
        done.append("must_be_flat")

    async def run() -> None:
        # An hour of the wall is a second of this market: by its wake-up nothing would come for a long time.
        schedule = DaySchedule({"must_be_flat": see}, market_now=lambda: market[0], speed=lambda: 1 / 3600)
        schedule.start()
        schedule.plan_day(session)
        market[0] += timedelta(minutes=2)
        schedule.rearm()
        async with asyncio.timeout(30):
            while not done:
                await asyncio.sleep(0.01)
        schedule.rearm()
        assert "must_be_flat" not in [item["name"] for item in schedule.upcoming()]
        schedule.stop()

    asyncio.run(run())
    assert done == ["must_be_flat"]


def test_s10_after_a_sleep_a_point_wakes_once_the_broker_has_told_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_module, "LONGEST_NAP", timedelta(milliseconds=20))
    session = calendar().session(Segment.NSE_FNO, date(2026, 11, 20))
    assert session is not None
    wall, monotonic, done = [session.square_off_start - timedelta(minutes=50)], [100.0], list[datetime]()
    clock = TrustedClock(lambda: wall[0], lambda: monotonic[0])

    async def see() -> None:
        done.append(clock.now())

    async def run() -> None:
        schedule = DaySchedule({"must_be_flat": see}, market_now=clock.now)
        schedule.start()
        schedule.plan_day(session)
        wall[0] += timedelta(minutes=55)  # asleep, and the monotonic clock with it
        schedule.rearm()
        await asyncio.sleep(0.05)
        assert done == []
        clock.hear(wall[0], at=monotonic[0], unsure_s=0.6)
        async with asyncio.timeout(30):
            while not done:
                await asyncio.sleep(0.01)
        schedule.stop()

    asyncio.run(run())
    assert done == [wall[0]]
