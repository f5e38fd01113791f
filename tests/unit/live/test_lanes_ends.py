"""Order lanes where something goes wrong in them: every write and every look has its answer, and none is made up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from tests.unit.core.test_order_rules import STOP
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import (
    BrokerOrder,
    CancelOrder,
    Message,
    ModifyOrder,
    Outcome,
    SnapshotTaken,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderChange, OrderState, OrderTicket, OrderType
from workbench.core.ports import WriteReply
from workbench.core.session import IST
from workbench.core.signal import Side
from workbench.live.clock import PracticeClock
from workbench.live.lanes import OrderLanes

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)
CHANGE = OrderChange(
    order_type=OrderType.STOP_LIMIT, quantity=75, price=Decimal("150.80"), trigger_price=Decimal("151.05")
)
MODIFY = ModifyOrder(correlation_id="stop", order_id="7", change=CHANGE, is_exit=True)
CANCEL = CancelOrder(correlation_id="stop", order_id="7", is_exit=True)
LOOK = TakeSnapshot(reason="after a doubt")


def row_of(correlation_id: str) -> BrokerOrder:
    return BrokerOrder(
        order_id=f"B-{correlation_id}",
        correlation_id=correlation_id,
        state=OrderState.WORKING,
        segment="NSE_FNO",
        security_id="1",
        side=Side.SELL,
        quantity=75,
        filled_quantity=0,
    )


ROWS = {name: row_of(name) for name in ("listed", "lagging")}


class BrokerOfLooks:
    """Its looks do what a test says; its writes are counted."""

    def __init__(self, look: Callable[[], SnapshotTaken]) -> None:
        self.looked, self.wrote = 0, 0
        self.asked_for: list[str] = []
        self._look = look

    def place(self, ticket: OrderTicket) -> WriteReply:
        raise AssertionError("not asked for")

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        self.wrote += 1
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id)

    def cancel(self, order_id: str) -> WriteReply:
        self.wrote += 1
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id)

    def snapshot(self) -> SnapshotTaken:
        self.looked += 1
        return self._look()

    def order(self, order_id: str) -> BrokerOrder | None:
        raise AssertionError("not asked for")

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        self.asked_for.append(correlation_id)
        if correlation_id == "nobody_answers":
            raise BrokerUnavailable("no answer")
        return ROWS.get(correlation_id)


def seen() -> SnapshotTaken:
    return SnapshotTaken(taken_at=NOW)


def lanes_of(broker: BrokerOfLooks) -> OrderLanes:
    return OrderLanes(entries=broker, exits=broker, reader=broker, clock=PracticeClock(NOW), snapshot_pause_s=0.0)


async def idle(lanes: OrderLanes) -> None:
    async with asyncio.timeout(20):
        while not lanes.is_idle:
            await asyncio.sleep(0.002)


def test_a_look_that_breaks_is_unknown_and_the_next_one_is_asked() -> None:
    rows: list[dict[str, SnapshotTaken]] = [{"no such row": seen()}, {}]
    broker, told = BrokerOfLooks(lambda: rows.pop()["no such row"]), list[Message]()

    async def run() -> None:
        lanes = lanes_of(broker)
        lanes.start(asyncio.get_running_loop(), told.append)
        for _ in range(2):
            lanes.look(LOOK)
            await idle(lanes)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    first, second = told
    assert isinstance(first, SnapshotTaken) and isinstance(second, SnapshotTaken)
    assert (first.known, second.known) == (False, True)
    assert "after a doubt" in first.reason and "no such row" in first.reason


def test_looks_that_wait_become_one_and_one_that_comes_during_a_read_is_made_after_it() -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow() -> SnapshotTaken:
        reading.set()
        assert go_on.wait(30)
        return seen()

    broker = BrokerOfLooks(slow)

    async def run() -> None:
        lanes = lanes_of(broker)
        lanes.start(asyncio.get_running_loop(), lambda _: None)
        lanes.look(LOOK)
        assert await asyncio.to_thread(reading.wait, 30)
        for _ in range(3):
            lanes.look(LOOK)
        go_on.set()
        await idle(lanes)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    assert broker.looked == 2


def test_a_change_of_an_order_that_is_not_in_the_book_does_not_leave() -> None:
    broker, told = BrokerOfLooks(seen), list[Message]()

    async def run() -> None:
        lanes = lanes_of(broker)
        lanes.start(asyncio.get_running_loop(), told.append)
        lanes.write(MODIFY, None)
        await idle(lanes)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    (answer,) = told
    assert isinstance(answer, WriteAnswered)
    assert (answer.kind, answer.outcome, answer.change) == (WriteKind.MODIFY, Outcome.NOT_SENT, CHANGE)
    assert broker.wrote == 0


def test_r1_an_order_that_the_list_lags_behind_is_found_by_our_own_id() -> None:
    broker, told = BrokerOfLooks(lambda: SnapshotTaken(taken_at=NOW, orders=(ROWS["listed"],))), list[Message]()

    async def run() -> None:
        lanes = lanes_of(broker)
        lanes.start(asyncio.get_running_loop(), told.append)
        lanes.look(TakeSnapshot(reason="a doubt", unanswered=("listed", "nobody_answers", "never_there", "lagging")))
        await idle(lanes)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    seen = SnapshotTaken(taken_at=NOW, orders=(ROWS["listed"], ROWS["lagging"]), not_looked_up=("nobody_answers",))
    assert told == [seen], "a look-up that failed is told apart from one that found no order"
    assert broker.asked_for == ["nobody_answers", "never_there", "lagging"]


def test_r1_nobody_is_looked_up_by_name_where_the_books_cannot_be_read() -> None:
    broker, told = BrokerOfLooks(lambda: SnapshotTaken(taken_at=NOW, known=False)), list[Message]()

    async def run() -> None:
        lanes = lanes_of(broker)
        lanes.start(asyncio.get_running_loop(), told.append)
        lanes.look(TakeSnapshot(reason="a doubt", unanswered=("lagging",)))
        await idle(lanes)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    assert told == [SnapshotTaken(taken_at=NOW, known=False)]
    assert broker.asked_for == []


def test_an_answer_to_a_loop_that_has_ended_is_let_go_and_the_write_was_made_once() -> None:
    broker, told = BrokerOfLooks(seen), list[Message]()
    lanes = lanes_of(broker)
    lanes.write(MODIFY, STOP)  # nobody listens yet

    async def run() -> None:
        lanes.start(asyncio.get_running_loop(), told.append)

    asyncio.run(run())
    lanes.write(CANCEL, None)
    lanes.close()
    assert broker.wrote == 2
    assert told == []
