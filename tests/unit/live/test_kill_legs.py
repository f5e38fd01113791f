"""What the kill switch takes for flat, while legs of super orders may rest in a list of their own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.core.test_engine_supers import SuperStand
from workbench.core.deployment import Mode
from workbench.core.messages import SnapshotTaken
from workbench.core.order import OrderState, Purpose
from workbench.live.kill import KillRun, what_is_left


class Lanes:
    """Answers a look with what it was given, and keeps whether the legs were asked for."""

    def __init__(self, seen: SnapshotTaken) -> None:
        self.seen, self.asked = seen, [False]

    async def read(self, *, with_legs: bool) -> SnapshotTaken:
        self.asked.append(with_legs)
        return self.seen


@pytest.mark.parametrize(
    ("state", "is_unread", "left"),
    [
        (OrderState.WORKING, False, "order Lstop_loss is working at the broker"),
        (OrderState.CANCELLED, True, "the list of super orders could not be read"),
        (OrderState.CANCELLED, False, ""),
    ],
)
def test_a_leg_that_rests_or_that_nobody_can_read_is_not_flat(state: OrderState, is_unread: bool, left: str) -> None:
    stand = SuperStand()
    stand.entered()
    leg = stand.leg_row(Purpose.STOP, state=state, order_id="Lstop_loss")
    seen = SnapshotTaken(taken_at=stand.now, orders=(leg,), with_legs=True, legs_unread=is_unread)
    entry = stand.ticket("E").correlation_id
    stand.book.orders[entry] = replace(stand.book.orders[entry], state=OrderState.UNKNOWN)
    lanes, handed_on = Lanes(seen), list[SnapshotTaken]()
    runner: Any = SimpleNamespace(engine=stand.engine, lanes=lanes, enqueue=handed_on.append)
    told = asyncio.run(KillRun(runner, mode=Mode.PRACTICE, control=None)._left_at_broker())
    assert lanes.asked[-1], "an entry went as a super order: its list is asked for"
    assert told.startswith(left)
    assert bool(told) is bool(left)
    assert what_is_left(seen) == told
    assert [each.not_looked_up for each in handed_on] == [(entry,)], "legs have no id of ours"
