"""By when each segment must be flat: shares go before options, and each is looked at in its own time."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.builders import Stand, at
from tests.unit.core.test_shares import INTRADAY, ShareStand
from workbench.core.instrument import Segment
from workbench.core.messages import SnapshotTaken
from workbench.core.order import OrderState
from workbench.core.position import Position
from workbench.live.flat_check import flat_points
from workbench.live.schedule import DaySchedule
from workbench.live.system import LiveSystem
from workbench.reference import calendar

IN_2022, WITH_AUCTION = date(2022, 6, 15), date(2026, 9, 16)


class Broker:
    """Counts how often it is asked, and knows of nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self, *, with_legs: bool) -> SnapshotTaken:
        self.asked += 1
        return SnapshotTaken(taken_at=at("15:12:00", WITH_AUCTION))


def system_with(
    now: datetime, *positions: Position, square_off_at: time | None = None
) -> tuple[Any, Broker, list[str]]:
    """Give an account that holds these positions, its broker, and what a person is told."""
    broker, told = Broker(), list[str]()
    book = SimpleNamespace(positions=dict(enumerate(positions)), has_super_orders=False, orders={})
    limits = SimpleNamespace(square_off_at=square_off_at)
    engine = SimpleNamespace(book=book, config=SimpleNamespace(limits=limits, deployments=()))
    runner: Any = SimpleNamespace(engine=engine, lanes=broker, clock=SimpleNamespace(now=lambda: now))
    runner.stopped_because, runner.enqueue = "", lambda _: None

    def send(_: str, text: str) -> None:
        told.append(text)
        runner.stopped_because = "told"  # the watch ends with its first word

    runner.notifier = SimpleNamespace(send=send)
    nobody: Any = None
    known = {"mode": nobody, "calendar": calendar(), "alerts": nobody, "watch": nobody, "admin_token": ""}
    return LiveSystem(runner=runner, **known), broker, told


def share_and_option() -> tuple[Position, Position]:
    shares, options = ShareStand(INTRADAY), Stand()
    shares.bought()
    options.protected()
    return shares.position, options.position


@pytest.mark.parametrize(
    ("day", "square_off_at", "expected"),
    [
        (IN_2022, None, {"must_be_flat": "15:17"}),
        (WITH_AUCTION, None, {"must_be_flat": "15:17", "must_be_flat (IDX_I, NSE_EQ, BSE_EQ)": "15:12"}),
        (WITH_AUCTION, time(15, 5), {"must_be_flat": "15:06"}),
    ],
)
def test_r22_each_segment_is_looked_at_three_minutes_before_the_brokers_own_square_off(
    day: date, square_off_at: time | None, expected: dict[str, str]
) -> None:
    system, _, _ = system_with(at("09:00:00", day), square_off_at=square_off_at)
    assert {point.name: f"{point.at:%H:%M}" for point in flat_points(system)} == expected
    if square_off_at is None:
        for segment in (Segment.NSE_EQ, Segment.NSE_FNO):
            session = calendar().session(segment, day)
            assert session is not None
            assert session.broker_square_off.replace(minute=session.broker_square_off.minute - 3) in {
                point.at for point in flat_points(system)
            }


def test_r22_a_share_that_is_still_held_is_told_in_its_own_time_and_an_option_in_its() -> None:
    share, option = share_and_option()
    for name, held, word in (("must_be_flat (", share, "HDFCBANK"), ("must_be_flat", option, "NIFTY")):
        system, broker, told = system_with(at("15:12:00", WITH_AUCTION), share, option)
        points = {point.name.split("IDX")[0]: point for point in flat_points(system)}
        job = points[name].job
        assert job is not None
        asyncio.run(job())  # type: ignore[arg-type]
        assert broker.asked == 1
        (text,) = told
        assert word in text
        assert text.count(" units of ") == 1, f"only {held.plan.instrument.name} is due"


def test_r1_the_look_asks_for_nobody_by_id_and_says_so_to_the_engine() -> None:
    share, option = share_and_option()
    system, _, _ = system_with(at("15:12:00", WITH_AUCTION), share, option)
    handed_on: list[SnapshotTaken] = []
    system.runner.enqueue = handed_on.append
    lost = SimpleNamespace(state=OrderState.UNKNOWN, ticket=SimpleNamespace(correlation_id="w1X", leg_of=""))
    resting = SimpleNamespace(state=OrderState.WORKING)
    system.runner.engine.book.orders.update({"w1X": lost, "w1S": resting})
    point = next(each for each in flat_points(system) if each.name == "must_be_flat")
    assert point.job is not None
    asyncio.run(point.job())  # type: ignore[arg-type]
    assert [each.not_looked_up for each in handed_on] == [("w1X",)]


def test_r22_where_nothing_of_it_was_traded_the_broker_is_not_asked() -> None:
    _, option = share_and_option()
    system, broker, told = system_with(at("15:12:00", WITH_AUCTION), option)
    (first, _) = sorted(flat_points(system), key=lambda point: point.at)
    assert first.job is not None
    asyncio.run(first.job())  # type: ignore[arg-type]
    assert (broker.asked, told) == (0, [])


def test_the_looks_take_the_place_of_the_days_own_point_and_run() -> None:
    share, _ = share_and_option()
    session = calendar().session(Segment.NSE_FNO, WITH_AUCTION)
    assert session is not None

    async def run() -> tuple[int, list[str]]:
        now = [at("15:00:00", WITH_AUCTION)]
        system, broker, _ = system_with(now[0], share)
        schedule = DaySchedule({}, market_now=lambda: now[0])
        schedule.start()
        planned = [point.name for point in schedule.plan_day(session, own=flat_points(system))]
        now[0] = at("15:12:01", WITH_AUCTION)
        system.runner.clock.now = lambda: now[0]
        schedule.rearm()
        async with asyncio.timeout(30):
            while not broker.asked:
                await asyncio.sleep(0.01)
        schedule.stop()
        return broker.asked, planned

    asked, planned = asyncio.run(run())
    assert asked == 1
    assert planned[:3] == ["must_be_flat (IDX_I, NSE_EQ, BSE_EQ)", "last_entry", "square_off"]
    assert planned.count("must_be_flat") == 1
