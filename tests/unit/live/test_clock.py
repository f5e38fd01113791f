"""Clocks and the beat of real time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from workbench.core.errors import BrokerUnavailable
from workbench.core.session import IST
from workbench.live.clock import AffineClock, PracticeClock
from workbench.live.trusted_clock import TrustedClock
from workbench.live.wall import WallBeat
from workbench.reference import calendar


def test_both_clocks_tell_indian_time() -> None:
    assert TrustedClock().now().tzinfo is IST
    practice = PracticeClock(datetime(2022, 6, 15, 3, 45, tzinfo=UTC))
    assert practice.now().isoformat() == "2022-06-15T09:15:00+05:30"
    practice.set(datetime(2022, 6, 15, 3, 46, tzinfo=UTC))
    assert practice.now().isoformat() == "2022-06-15T09:16:00+05:30"


async def no_state(state: str, moment: datetime) -> None:
    raise AssertionError(f"{state} at {moment}: no market is near")


def test_the_beat_follows_real_time_and_does_not_hurry_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[float] = []
    slept: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        now = 100.0
        monkeypatch.setattr(loop, "time", lambda: now)

        async def sleep(seconds: float) -> None:
            nonlocal now
            slept.append(round(seconds, 3))
            # The third sleep is a machine that slept for half a minute.
            now += seconds + (30 if len(slept) == 3 else 0)
            if len(slept) > 5:
                raise asyncio.CancelledError

        monkeypatch.setattr(asyncio, "sleep", sleep)
        beat = WallBeat(
            clock=PracticeClock(datetime(2022, 6, 12, 10, tzinfo=IST)),  # a Sunday
            calendar=calendar(),
            enqueue=lambda _: beats.append(now),
            on_second=lambda _: None,
            on_state=no_state,
        )
        with suppress(asyncio.CancelledError):
            await beat.run()

    asyncio.run(run())
    assert len(beats) == 5
    assert max(slept) <= 1.0
    assert beats[3] - beats[2] < 1.01


def test_a_rehearsed_clock_runs_at_its_speed_and_never_back() -> None:
    wire = [100.0]
    clock = AffineClock(datetime(2026, 11, 16, 9, 15, tzinfo=IST), monotonic=lambda: wire[0])
    clock.anchor(datetime(2026, 11, 16, 9, 15, tzinfo=IST), 60.0)
    wire[0] += 1.0
    assert clock.now().isoformat() == "2026-11-16T09:16:00+05:30"
    clock.anchor(datetime(2026, 11, 16, 9, 15, 30, tzinfo=IST), 60.0)
    assert clock.now().isoformat() == "2026-11-16T09:16:00+05:30", "it ran ahead, and stands until the market is there"
    wire[0] += 1.0
    assert clock.now().isoformat() == "2026-11-16T09:16:30+05:30"


def test_a_day_is_waiting_then_open_then_closed_and_one_that_cannot_open_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = PracticeClock(datetime(2026, 11, 16, 9, 0, tzinfo=IST))
    states: list[tuple[str, str]] = []
    troubles: list[str] = []
    broken = [True]

    async def on_state(state: str, moment: datetime) -> None:
        if broken:
            broken.clear()
            raise BrokerUnavailable("no master")
        states.append((state, f"{moment:%H:%M}"))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        wall = [0.0]
        monkeypatch.setattr(loop, "time", lambda: wall[0])

        async def sleep(seconds: float) -> None:
            wall[0] += max(seconds, 0.001)
            clock.set(clock.now() + timedelta(minutes=1))
            if clock.now().hour >= 16:
                raise asyncio.CancelledError

        monkeypatch.setattr(asyncio, "sleep", sleep)
        beat = WallBeat(
            clock=clock, calendar=calendar(), enqueue=lambda _: None, on_second=lambda _: None, on_state=on_state,
            on_trouble=troubles.append,
        )  # fmt: skip
        with suppress(asyncio.CancelledError):
            await beat.run()

    asyncio.run(run())
    assert states == [("open", "09:35"), ("closed", "15:41")]
    assert troubles == ["2026-11-16 cannot be opened: no master", "", ""]


@pytest.mark.parametrize(("day", "then"), [(17, [("open", "17 09:30")]), (21, [])])
def test_a_close_that_was_slept_through_is_made_up_for_before_the_next_day(
    day: int, then: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = PracticeClock(datetime(2026, 11, 16, 15, 0, tzinfo=IST))
    states: list[tuple[str, str]] = []

    async def on_state(state: str, moment: datetime) -> None:
        states.append((state, f"{moment:%d %H:%M}"))

    async def sleep(_: float) -> None:
        if clock.now().day == day:
            raise asyncio.CancelledError
        if states:
            clock.set(datetime(2026, 11, day, 9, 30, tzinfo=IST))

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        beat = WallBeat(
            clock=clock, calendar=calendar(), enqueue=lambda _: None, on_second=lambda _: None, on_state=on_state
        )
        with suppress(asyncio.CancelledError):
            await beat.run()

    asyncio.run(run())
    assert states == [("open", "16 15:00"), ("closed", f"{day} 09:30"), *then]


def test_s9_a_clock_that_is_set_back_over_midnight_opens_no_earlier_day_and_takes_no_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    today, yesterday = datetime(2026, 11, 17, 11, 0, tzinfo=IST), datetime(2026, 11, 16, 11, 0, tzinfo=IST)
    told = [today, yesterday, yesterday, today]
    clock = PracticeClock(today)
    states: list[tuple[str, int]] = []
    troubles: list[str] = []

    async def on_state(state: str, moment: datetime) -> None:
        states.append((state, moment.day))

    async def sleep(_: float) -> None:
        if not told:
            raise asyncio.CancelledError
        clock.set(told.pop(0))

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        beat = WallBeat(
            clock=clock, calendar=calendar(), enqueue=lambda _: None, on_second=lambda _: None, on_state=on_state,
            on_trouble=troubles.append,
        )  # fmt: skip
        with suppress(asyncio.CancelledError):
            await beat.run()

    asyncio.run(run())
    assert states == [("open", 17)]
    assert troubles[-2:] == ["the clock went back to 2026-11-16, and 2026-11-17 is open: set this machine's clock", ""]
