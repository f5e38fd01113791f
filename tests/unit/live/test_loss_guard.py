"""The day's loss limit at the broker: set once when the market opens, read back, and loud when it is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import DAY, at, scalp
from workbench import reference
from workbench.core.account import ControlReply, PnlExit
from workbench.core.errors import BrokerUnavailable
from workbench.core.instrument import Segment
from workbench.core.messages import Outcome
from workbench.core.order import Product
from workbench.live.loss_guard import TRIES, LossGuard, products_of

OURS = PnlExit(profit=Decimal(10_000_000), loss=Decimal("1200.0"), products=("INTRADAY",))


@dataclass
class Control:
    """An account that keeps the exit that it is told, unless it is broken."""

    held: PnlExit | None = None
    broken: int = 0
    readable: bool = True
    wishes: list[PnlExit] = field(default_factory=list)

    def pnl_exit(self) -> PnlExit | None:
        if not self.readable:
            raise BrokerUnavailable("no answer")
        return self.held

    def set_pnl_exit(self, wish: PnlExit) -> ControlReply:
        self.wishes.append(wish)
        if self.broken > 0:
            self.broken -= 1
            return ControlReply(outcome=Outcome.ACCEPTED, reason="not confirmed: there is no P&L exit")
        self.held = wish
        return ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)


class Notices:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, level: str, text: str) -> None:
        self.sent.append((level, text))

    @property
    def levels(self) -> list[str]:
        return [level for level, _ in self.sent]


@dataclass
class Place:
    """A guard on a clock that is set by hand."""

    control: Any = field(default_factory=Control)
    notices: Notices = field(default_factory=Notices)
    now: Any = field(default_factory=lambda: at("10:00:00"))

    def guard(self, products: tuple[str, ...] = ("INTRADAY",)) -> LossGuard:
        return LossGuard(
            self.control, loss=Decimal(1000), products=products, now=lambda: self.now, notifier=self.notices,
            session=lambda: reference.calendar().session(Segment.NSE_FNO, self.now.date()), pause_s=0.001,
        )  # fmt: skip

    def watch(self, until: Callable[[], bool], looks: int = 2000) -> None:
        async def run() -> None:
            task = asyncio.create_task(self.guard().run())
            for _ in range(looks):
                if until():
                    break
                await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(run())


def test_a_live_day_sets_the_loss_a_fifth_wider_and_reads_it_back() -> None:
    place = Place()
    place.watch(lambda: bool(place.notices.sent))
    assert place.control.wishes == [OURS]
    assert place.notices.levels == ["info"]
    assert "Rs 1200.00" in place.notices.sent[0][1]


def test_it_is_set_once_a_day_and_again_on_the_next() -> None:
    place = Place()

    def until() -> bool:
        if len(place.notices.sent) == 1 and place.now.date() == DAY:
            place.control.held, place.now = None, place.now + timedelta(days=1)
        return len(place.notices.sent) == 2

    place.watch(until)
    assert place.control.wishes == [OURS, OURS]


@pytest.mark.parametrize("moment", [at("09:14:59"), at("15:30:00"), at("10:00:00", DAY.replace(day=18))])
def test_outside_of_the_session_nothing_is_set(moment: Any) -> None:
    place = Place(now=moment)
    place.watch(lambda: bool(place.control.wishes), looks=20)
    assert (place.control.wishes, place.notices.sent) == ([], [])


def test_what_is_not_confirmed_is_an_alarm_and_tried_again() -> None:
    place = Place(control=Control(broken=2))
    place.watch(lambda: "info" in place.notices.levels)
    assert place.notices.levels == ["alarm", "info"]
    assert "not confirmed" in place.notices.sent[0][1]
    assert len(place.control.wishes) == 3


def test_what_cannot_be_set_or_read_ends_with_an_alarm_that_says_what_still_holds() -> None:
    for control in (Control(broken=99), Control(readable=False)):
        place = Place(control=control)
        place.watch(lambda place=place: len(place.notices.sent) == 2)  # type: ignore[misc]
        assert place.notices.levels == ["alarm", "alarm"]
        assert "our own limit holds" in place.notices.sent[-1][1]
        assert len(control.wishes) in (0, TRIES)


def test_a_narrower_exit_of_a_person_stays_and_is_not_written_again() -> None:
    theirs = PnlExit(profit=Decimal(500), loss=Decimal(800), products=("DELIVERY", "INTRADAY"), kill_switch=True)
    control = Control(held=theirs)
    assert Place(control=control).guard().set() == ""
    assert (control.held, control.wishes) == (theirs, [])


def test_a_wider_exit_of_a_person_is_narrowed_and_keeps_what_else_it_says() -> None:
    theirs = PnlExit(profit=Decimal(500), loss=Decimal(9000), products=("DELIVERY",), kill_switch=True)
    control = Control(held=theirs)
    assert Place(control=control).guard().set() == ""
    assert control.held == replace(theirs, loss=OURS.loss, products=("DELIVERY", "INTRADAY"))
    control.held = replace(theirs, loss=Decimal(0), profit=Decimal(0))
    Place(control=control).guard().set()
    assert (control.held.loss, control.held.profit) == (OURS.loss, OURS.profit)


def test_what_stays_over_a_night_is_guarded_too() -> None:
    assert products_of((scalp(),)) == ("INTRADAY",)
    assert products_of((scalp(), scalp("B", product=Product.MARGIN))) == ("DELIVERY", "INTRADAY")
