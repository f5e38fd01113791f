"""The clock with two witnesses: what a jump does before and after the broker has told his time (rows S9, S10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from workbench.core.messages import Message
from workbench.core.session import IST
from workbench.live.system import FeedWatch
from workbench.live.trusted_clock import TrustedClock, watch_time
from workbench.live.wall import WallBeat
from workbench.reference import calendar

START = datetime(2026, 11, 16, 11, 0, tzinfo=IST)


class Machine:
    """A wall clock that can be set, a monotonic clock, and the broker's clock, which is right."""

    def __init__(self, start: datetime = START) -> None:
        self.truth = self.wall = start
        self.monotonic = 1000.0
        self.clock = TrustedClock(lambda: self.wall, lambda: self.monotonic)

    def passes(self, seconds: float, *, asleep: bool = False) -> None:
        self.truth += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)
        self.monotonic += 0.0 if asleep else seconds

    def is_set(self, **by: float) -> None:
        self.wall += timedelta(**by)

    def broker_answers(self, *, wrong_by_s: float = 0.0, unsure_s: float = 0.5, at_start: bool = False) -> None:
        told = self.truth.astimezone(UTC) + timedelta(seconds=wrong_by_s)
        self.clock.hear(told, at=self.monotonic, unsure_s=unsure_s, at_start=at_start)

    @property
    def off_s(self) -> float:
        return (self.clock.now() - self.truth).total_seconds()


@pytest.mark.parametrize("by", [{"days": 1}, {"hours": 1}, {"hours": -1}, {"seconds": 45}, {"days": -400}])
def test_s9_a_clock_that_is_set_is_not_followed_and_time_goes_on(by: dict[str, float]) -> None:
    machine = Machine()
    machine.passes(5)
    machine.is_set(**by)
    machine.passes(7)
    assert machine.off_s == 0
    assert "was set by" in machine.clock.doubt
    machine.broker_answers()
    machine.passes(3600)
    assert machine.off_s == 0
    assert "the broker's" in machine.clock.doubt
    assert machine.clock.now().tzinfo is IST


def test_s9_a_clock_that_is_set_right_again_is_believed_by_itself() -> None:
    machine = Machine()
    machine.is_set(days=1)
    assert machine.clock.doubt
    machine.passes(30)
    machine.is_set(days=-1)
    assert (machine.clock.doubt, machine.off_s) == ("", 0)


def test_s10_after_a_sleep_time_is_followed_once_the_broker_tells_the_same() -> None:
    machine = Machine()
    machine.passes(7200, asleep=True)
    assert machine.off_s == -7200
    assert machine.clock.doubt
    machine.broker_answers()
    assert (machine.off_s, machine.clock.doubt) == (0, "")


def test_s10_a_machine_that_sleeps_and_wakes_with_a_wrong_clock_goes_by_the_brokers() -> None:
    machine = Machine()
    machine.passes(7200, asleep=True)
    machine.is_set(seconds=50)
    machine.broker_answers(unsure_s=0.0)
    machine.passes(10)
    assert machine.off_s == 0
    assert "50 s ahead of the broker's" in machine.clock.doubt


def test_s10_a_machine_that_wakes_with_a_clock_further_off_than_its_sleep_goes_by_two_words_of_the_broker() -> None:
    machine = Machine()
    machine.broker_answers()
    machine.passes(3600, asleep=True)
    machine.is_set(hours=2)
    machine.broker_answers()
    assert machine.off_s == -3600
    machine.passes(10)
    machine.broker_answers()
    assert abs(machine.off_s) < 1
    machine.passes(600)
    machine.broker_answers()
    assert abs(machine.off_s) < 1
    assert "7200 s ahead of the broker's" in machine.clock.doubt


def test_s10_two_words_of_the_broker_that_differ_move_nothing() -> None:
    machine = Machine()
    machine.passes(3600, asleep=True)
    machine.is_set(hours=2)
    for wrong_by_s in (0.0, -1500.0, 0.0):
        machine.broker_answers(wrong_by_s=wrong_by_s)
        machine.passes(5)
        assert machine.off_s == -3600


@pytest.mark.parametrize("hours", [-1, 1, 30])
def test_s9_a_start_with_a_wrong_clock_goes_by_the_brokers_and_waits_with_entries(hours: int) -> None:
    machine = Machine()
    machine.is_set(hours=hours)
    machine.clock = TrustedClock(lambda: machine.wall, lambda: machine.monotonic)
    machine.broker_answers(at_start=True)
    machine.passes(600)
    assert abs(machine.off_s) < 1
    assert f"{abs(hours) * 3600} s {'ahead of' if hours > 0 else 'behind'} the broker's" in machine.clock.doubt
    machine.is_set(hours=-hours)
    machine.broker_answers()
    assert (machine.off_s, machine.clock.doubt) == (0, "")


def test_s9_a_start_with_a_right_clock_goes_by_the_machines() -> None:
    machine = Machine()
    machine.broker_answers(at_start=True, wrong_by_s=3)
    machine.passes(600)
    assert (machine.off_s, machine.clock.doubt) == (0, "")


def test_s9_a_small_step_of_the_network_is_followed() -> None:
    machine = Machine()
    machine.is_set(seconds=-3)
    machine.passes(1)
    assert (machine.off_s, machine.clock.doubt) == (-3, "")


@pytest.mark.parametrize(("off_s", "doubts", "warns"), [(1, False, False), (5, False, True), (40, True, False)])
def test_s9_what_differs_from_the_broker_is_warned_of_and_then_not_believed(
    off_s: float, doubts: bool, warns: bool
) -> None:
    machine = Machine(START)
    machine.truth -= timedelta(seconds=off_s)
    machine.broker_answers()
    assert (bool(machine.clock.doubt), bool(machine.clock.warning)) == (doubts, warns)


def test_s9_a_broker_whose_clock_is_wrong_moves_nobodys_time() -> None:
    machine = Machine()
    machine.broker_answers(wrong_by_s=86400)
    machine.passes(60)
    assert machine.off_s == 0
    assert machine.clock.doubt
    machine.broker_answers()
    assert machine.clock.doubt == ""


def test_s9_a_slow_answer_and_an_old_one_prove_nothing() -> None:
    machine = Machine()
    machine.broker_answers(wrong_by_s=33, unsure_s=4)
    assert machine.clock.doubt == ""
    at = machine.monotonic
    machine.passes(120)
    machine.clock.hear(machine.truth + timedelta(days=1), at=at)
    assert machine.clock.doubt == ""


class Notices:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, level: str, text: str) -> None:
        self.sent.append((level, text))


def test_s9_entries_wait_loudly_while_the_time_is_not_believed_and_the_broker_is_asked() -> None:
    machine, watch, notices, asked = Machine(), FeedWatch(), Notices(), list[float]()

    async def ask() -> None:
        asked.append(machine.monotonic)

    async def run() -> None:
        watching = asyncio.create_task(
            watch_time(machine.clock, watch, notices, ask, look_every_s=0.001, ask_every_s=0.002)
        )
        try:
            machine.is_set(days=1)
            await until(lambda: len(asked) > 2)
            assert "not believed" in watch.held["time"]
            machine.is_set(days=-1)
            await until(lambda: not watch.held)
        finally:
            watching.cancel()

    asyncio.run(run())
    assert [level for level, _ in notices.sent] == ["alarm", "info"]


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.001)


def test_s9_a_clock_that_jumps_a_day_closes_no_day(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, states, beats = Machine(), list[str](), list[Message]()

    async def on_state(state: str, moment: datetime) -> None:
        states.append(f"{state} {moment:%d %H:%M}")

    async def sleep(_: float) -> None:
        machine.passes(1)
        if len(beats) == 5:
            machine.is_set(days=1)
        if len(beats) == 20:
            raise asyncio.CancelledError

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        beat = WallBeat(
            clock=machine.clock, calendar=calendar(), enqueue=beats.append, on_second=lambda _: None, on_state=on_state
        )
        with suppress(asyncio.CancelledError):
            await beat.run()

    asyncio.run(run())
    assert states == ["open 16 11:00"]
    assert len(beats) == 20
