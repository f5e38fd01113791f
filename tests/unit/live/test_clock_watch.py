"""Lost time: sleep, a process that stood still, a clock that was set (S9, S10)."""

from __future__ import annotations

import asyncio

import pytest

from workbench.bootstrap import safekeeping
from workbench.live.clock_watch import ClockWatch
from workbench.live.system import FeedWatch


class Clocks:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_000_000.0, 50.0
        self.watch = ClockWatch(lambda: self.wall, lambda: self.monotonic)

    def pass_by(self, monotonic: float, wall: float | None = None) -> str:
        self.monotonic += monotonic
        self.wall += monotonic if wall is None else wall
        return self.watch.look()


def test_s9_ordinary_seconds_and_small_corrections_are_nothing() -> None:
    clocks = Clocks()
    assert [clocks.pass_by(1.0) for _ in range(100)] == [""] * 100
    assert clocks.pass_by(1.0, 3.5) == ""
    assert clocks.pass_by(8.0) == ""


@pytest.mark.parametrize("jump", [-3600.0, -11.0, 12.0, 3600.0])
def test_s9_a_clock_that_was_set_is_told_once(jump: float) -> None:
    clocks = Clocks()
    assert f"{jump:+.0f} s" in clocks.pass_by(1.0, 1.0 + jump)
    assert clocks.pass_by(1.0) == ""


def test_s10_a_machine_that_slept_is_told_whether_its_monotonic_clock_slept_or_not() -> None:
    clocks = Clocks()
    assert "slept" in clocks.pass_by(0.5, 120.0)
    assert "stood still for 120 s" in clocks.pass_by(120.0)


class Notices:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, level: str, text: str) -> None:
        self.sent.append((level, text))


def test_s10_after_a_sleep_entries_wait_until_the_broker_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safekeeping, "LOOK_EVERY_S", 0.001)
    clocks, watch, notices = Clocks(), FeedWatch(), Notices()
    known, held = iter([False, False, True]), list[bool]()

    async def reconcile() -> bool:
        held.append("clock" in watch.held)
        return next(known)

    async def run() -> None:
        task = asyncio.create_task(safekeeping.watch_clock(watch, notices, reconcile, clocks.watch))
        await asyncio.sleep(0.01)
        assert watch.held == {}
        clocks.monotonic += 60.0
        for _ in range(2000):
            if len(held) == 3 and not watch.held:
                break
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert held == [True, True, True]
    assert watch.held == {}
    assert ["stood still" in text for _, text in notices.sent] == [True]
