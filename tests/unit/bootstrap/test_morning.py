"""The doctor of each morning: before it has looked nothing enters, and what it finds halts until a person resumes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from tests.unit.bootstrap.test_safekeeping import Notices
from workbench.bootstrap.findings import Blocks, Finding
from workbench.bootstrap.morning import TRIES, MorningDoctor
from workbench.bootstrap.safekeeping import latch_halt
from workbench.core.messages import Message, OperatorOrdered
from workbench.live.supervise import read_latch
from workbench.live.system import FeedWatch

FRIDAY, MONDAY, TUESDAY = date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 24)
GOOD = Finding.good("token", "Dhan takes it")
MOVED = Finding.bad("registered address", "Dhan takes no orders from here", "register it", blocks=Blocks.LIVE)
SLOW = Finding.bad("clock", "5 s ahead of Dhan's", "set it", blocks=Blocks.NOTHING)


class Morning:
    """A doctor with told findings, look by look; the last repeats."""

    def __init__(self, *looks: Sequence[Finding]) -> None:
        self.looks, self.looked = list(looks), list[date]()
        self.watch, self.notices, self.halts = FeedWatch(), Notices(), list[str]()
        self.doctor = MorningDoctor(
            self.look, watch=self.watch, notifier=self.notices, halt=self.halts.append, seen=FRIDAY, pause_s=0.001
        )

    def look(self, day: date) -> Sequence[Finding]:
        assert "not done" in self.watch.held["doctor"]
        self.looked.append(day)
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def days(self, *days: date) -> None:
        async def run() -> None:
            running = asyncio.create_task(self.doctor.run())
            for day in days:
                for _ in ("waiting", "open"):
                    self.doctor.begins(day)
                    self.doctor.opened(day)
                await until(lambda: not self.watch.held)
            running.cancel()

        asyncio.run(run())


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.001)


def test_each_day_after_that_of_the_start_is_looked_at_once_before_it_is_entered_on() -> None:
    morning = Morning([GOOD, SLOW])
    morning.days(FRIDAY, MONDAY, TUESDAY)
    assert morning.looked == [MONDAY, TUESDAY]
    assert morning.halts == []
    assert [level for level, _ in morning.notices.sent] == ["info", "info"]


def test_r8_an_address_that_changed_over_night_halts_loudly() -> None:
    morning = Morning([GOOD, MOVED])
    morning.days(MONDAY)
    assert len(morning.looked) == TRIES
    (reason,) = morning.halts
    assert "takes no orders from here (register it)" in reason
    assert [level for level, _ in morning.notices.sent] == ["alarm"]


def test_what_is_right_at_the_second_look_halts_nothing() -> None:
    morning = Morning([MOVED], [GOOD])
    morning.days(MONDAY)
    assert (len(morning.looked), morning.halts) == (2, [])


def test_a_day_that_could_not_be_opened_stays_held() -> None:
    morning = Morning([GOOD])
    morning.doctor.begins(MONDAY)
    assert "2026-11-23" in morning.watch.held["doctor"]
    assert morning.looked == []


def test_a_halt_is_latched_and_the_first_reason_stays(tmp_path: Path) -> None:
    sent: list[Message] = []
    latch_halt(tmp_path, sent.append, "first", who="doctor")
    latch_halt(tmp_path, sent.append, "second", who="doctor")
    assert read_latch(tmp_path) == "first"
    (order,) = sent
    assert isinstance(order, OperatorOrdered)
    assert (order.reason, order.who) == ("first", "doctor")
