"""What is written about legs of super orders holds nobody up, and their list may be silent."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from typing import cast

from workbench.core.account import ControlReply
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import (
    CancelOrder,
    Message,
    ModifyOrder,
    Outcome,
    SnapshotTaken,
    TakeSnapshot,
    WriteAnswered,
)
from workbench.core.order import LegAddress, OrderChange, OrderTicket, OrderType, SuperLegName
from workbench.core.ports import Broker, SuperOrders, WriteReply
from workbench.core.session import IST
from workbench.live.clock import PracticeClock
from workbench.live.lanes import LEGS_AT_ONCE, OrderLanes

TICKET = cast("OrderTicket", object())
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)
LEG = LegAddress(entry_id="5925", name=SuperLegName.STOP)
PATIENCE_S = 20.0


class PlainBroker:
    """Changes every plain order and takes it back at once; its books are empty."""

    def __init__(self) -> None:
        self.warmed_in: list[str] = []
        self.looked_up: list[str] = []
        self.list_is_read = threading.Event()
        self.list_is_read.set()

    def warm(self) -> bool:
        self.warmed_in.append(threading.current_thread().name)
        return True

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id)

    def cancel(self, order_id: str) -> WriteReply:
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id)

    def snapshot(self) -> SnapshotTaken:
        assert self.list_is_read.wait(PATIENCE_S)
        return SnapshotTaken(taken_at=NOW)

    def order_by_correlation(self, correlation_id: str) -> None:
        self.looked_up.append(correlation_id)


class SlowSupers:
    """Reads a leg's cancellation back until it is let go; its list cannot be read."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.threads: list[str] = []

    def cancel(self, order_id: str, leg: SuperLegName) -> ControlReply:
        self.threads.append(threading.current_thread().name)
        assert self.let_go.wait(PATIENCE_S)
        return ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)

    def all(self) -> tuple[object, ...]:
        raise BrokerUnavailable("HTTP 500")


def _lanes(supers: SlowSupers, plain: PlainBroker | None = None) -> OrderLanes:
    broker = cast("Broker", plain or PlainBroker())
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


def _leg_write(name: str, *, is_exit: bool = True) -> CancelOrder:
    return CancelOrder(correlation_id=name, order_id="", is_exit=is_exit, leg=LEG)


def test_r13_nothing_of_another_position_waits_behind_legs_that_are_read_back_however_many_they_are() -> None:
    supers, told = SlowSupers(), list[Message]()
    slow = {f"leg {number}" for number in range(LEGS_AT_ONCE + 2)}
    change = OrderChange(order_type=OrderType.LIMIT, quantity=75)

    async def run() -> None:
        lanes = _lanes(supers)
        lanes.start(asyncio.get_running_loop(), told.append)
        for number, name in enumerate(sorted(slow)):
            lanes.write(_leg_write(name, is_exit=bool(number % 2)), None)
        lanes.write(CancelOrder(correlation_id="a stop taken back", order_id="7", is_exit=True), None)
        lanes.write(ModifyOrder(correlation_id="an exit", order_id="7", change=change, is_exit=True), TICKET)
        lanes.write(CancelOrder(correlation_id="an entry taken back", order_id="7", is_exit=False), None)
        lanes.look(TakeSnapshot(reason="a regular look"))
        await _told(told, 4)
        supers.let_go.set()
        await _told(told, 4 + len(slow))
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    first = [each.correlation_id for each in told[:4] if isinstance(each, WriteAnswered)]
    assert sorted(first) == ["a stop taken back", "an entry taken back", "an exit"]
    assert {each.correlation_id for each in told[4:] if isinstance(each, WriteAnswered)} == slow


def test_the_first_super_order_opens_the_connections_over_which_its_legs_are_changed() -> None:
    supers, plain, told = SlowSupers(), PlainBroker(), list[Message]()
    supers.let_go.set()

    async def run() -> None:
        lanes = _lanes(supers, plain)
        lanes.start(asyncio.get_running_loop(), told.append)
        await lanes.warm_up(lambda broker: cast(PlainBroker, broker).warm())
        assert len(plain.warmed_in) == 3, "an account without super orders opens none for legs"
        lanes.look(TakeSnapshot(reason="a doubt", with_legs=True))
        async with asyncio.timeout(PATIENCE_S):
            while len(plain.warmed_in) < 3 + LEGS_AT_ONCE:
                await asyncio.sleep(0.002)
        for number in range(3):
            lanes.write(_leg_write(f"leg {number}"), None)
        await _told(told, 4)
        await lanes.warm_up(lambda broker: cast(PlainBroker, broker).warm())
        assert len(plain.warmed_in) == 2 * (3 + LEGS_AT_ONCE), "and they are kept open"
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    assert len(set(plain.warmed_in)) == 3 + LEGS_AT_ONCE
    assert len(supers.threads) == 3
    assert set(supers.threads) <= set(plain.warmed_in)


def test_a_lane_that_is_busy_with_a_leg_is_not_warmed_up_and_holds_no_warming_up() -> None:
    supers, plain, told = SlowSupers(), PlainBroker(), list[Message]()

    async def run() -> None:
        lanes = _lanes(supers, plain)
        lanes.start(asyncio.get_running_loop(), told.append)
        lanes.write(_leg_write("slow"), None)
        async with asyncio.timeout(PATIENCE_S):
            await lanes.warm_up(lambda broker: cast(PlainBroker, broker).warm())
        assert len(plain.warmed_in) == 3 + LEGS_AT_ONCE - 1
        supers.let_go.set()
        await _told(told, 1)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    assert not set(supers.threads) & set(plain.warmed_in)


def test_r1_of_looks_that_become_one_none_forgets_what_it_was_to_look_up() -> None:
    plain, told = PlainBroker(), list[Message]()
    plain.list_is_read.clear()

    async def run() -> None:
        lanes = _lanes(SlowSupers(), plain)
        lanes.start(asyncio.get_running_loop(), told.append)
        for asked in ((), ("a",), ("a", "b"), ()):
            lanes.look(TakeSnapshot(reason="a look", unanswered=asked))
        plain.list_is_read.set()
        await _told(told, 1)
        while not lanes.is_idle:
            await asyncio.sleep(0.002)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    assert sorted(plain.looked_up) == ["a", "b"]


def test_who_reads_for_himself_is_shown_the_legs_that_he_asks_for_and_nobody_else_is_told() -> None:
    told = list[Message]()

    async def run() -> tuple[SnapshotTaken, SnapshotTaken]:
        lanes = _lanes(SlowSupers())
        lanes.start(asyncio.get_running_loop(), told.append)
        without, seen = await lanes.read(with_legs=False), await lanes.read(with_legs=True)
        await asyncio.to_thread(lanes.close)
        return without, seen

    without, seen = asyncio.run(run())
    assert (without.with_legs, seen.with_legs, seen.legs_unread) == (False, True, True)
    assert told == []


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
