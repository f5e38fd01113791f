"""What is written about legs of super orders holds nobody up, and their list may be silent."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from typing import cast

from workbench.core.account import ControlReply
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import CancelOrder, Message, Outcome, SnapshotTaken, TakeSnapshot, WriteAnswered
from workbench.core.order import LegAddress, SuperLegName
from workbench.core.ports import Broker, SuperOrders, WriteReply
from workbench.core.session import IST
from workbench.live.clock import PracticeClock
from workbench.live.lanes import OrderLanes

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)
LEG = LegAddress(entry_id="5925", name=SuperLegName.STOP)
PATIENCE_S = 20.0


class PlainBroker:
    """Takes every plain order back at once; its books are empty."""

    def cancel(self, order_id: str) -> WriteReply:
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id)

    def snapshot(self) -> SnapshotTaken:
        return SnapshotTaken(taken_at=NOW)


class SlowSupers:
    """Reads a leg's cancellation back until it is let go; its list cannot be read."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def cancel(self, order_id: str, leg: SuperLegName) -> ControlReply:
        assert self.let_go.wait(PATIENCE_S)
        return ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)

    def all(self) -> tuple[object, ...]:
        raise BrokerUnavailable("HTTP 500")


def _lanes(supers: SlowSupers) -> OrderLanes:
    broker = cast("Broker", PlainBroker())
    clock = PracticeClock(NOW)
    return OrderLanes(
        entries=broker,
        exits=broker,
        reader=broker,
        clock=clock,
        snapshot_pause_s=0.0,
        supers=cast("SuperOrders", supers),
    )


async def _told(told: list[Message], many: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(told) < many:
            await asyncio.sleep(0.002)


def test_neither_exit_nor_entry_waits_behind_a_leg_that_is_read_back() -> None:
    supers, told = SlowSupers(), list[Message]()

    async def run() -> None:
        lanes = _lanes(supers)
        lanes.start(asyncio.get_running_loop(), told.append)
        for purpose, is_exit in (("stop", True), ("entry", False)):
            lanes.write(CancelOrder(correlation_id=f"leg of {purpose}", order_id="", is_exit=is_exit, leg=LEG), None)
            lanes.write(CancelOrder(correlation_id=purpose, order_id="7", is_exit=is_exit), None)
        await _told(told, 2)
        supers.let_go.set()
        await _told(told, 4)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    answered = [each.correlation_id for each in told if isinstance(each, WriteAnswered)]
    assert set(answered[:2]) == {"stop", "entry"}
    assert set(answered[2:]) == {"leg of stop", "leg of entry"}


def test_r1_a_list_of_super_orders_that_cannot_be_read_is_told_apart_from_an_empty_one() -> None:
    told: list[Message] = []

    async def run() -> None:
        lanes = _lanes(SlowSupers())
        lanes.start(asyncio.get_running_loop(), told.append)
        lanes.look(TakeSnapshot(reason="a doubt", with_legs=True))
        await _told(told, 1)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    assert told == [SnapshotTaken(taken_at=NOW, with_legs=True, legs_unread=True)]
