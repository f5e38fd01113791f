"""Order lanes: who waits for whom, and for how long an entry is worth waiting for."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import datetime

from tests.unit.core.test_order_rules import ENTRY, STOP
from workbench.core.messages import BrokerOrder, Message, Outcome, PlaceOrder, SnapshotTaken, WriteAnswered
from workbench.core.order import OrderChange, OrderTicket, Purpose
from workbench.core.ports import WriteReply
from workbench.core.session import IST
from workbench.live.clock import PracticeClock
from workbench.live.lanes import OrderLanes

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)


class SlowBroker:
    """Holds the first entry back until it is let go; all else is taken at once."""

    def __init__(self) -> None:
        self.let_go, self.entered = threading.Event(), threading.Event()
        self.placed: list[str] = []

    def place(self, ticket: OrderTicket) -> WriteReply:
        self.placed.append(ticket.correlation_id)
        if ticket.purpose is Purpose.ENTRY and not self.entered.is_set():
            self.entered.set()
            assert self.let_go.wait(30)
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=ticket.correlation_id)

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        raise AssertionError("not asked for")

    def cancel(self, order_id: str) -> WriteReply:
        raise AssertionError("not asked for")

    def snapshot(self) -> SnapshotTaken:
        raise AssertionError("not asked for")

    def order(self, order_id: str) -> BrokerOrder | None:
        raise AssertionError("not asked for")

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        raise AssertionError("not asked for")


def test_r2_an_entry_that_waited_too_long_is_dropped_and_an_exit_overtakes_it() -> None:
    broker = SlowBroker()
    answers: list[WriteAnswered] = []

    async def run() -> None:
        lanes = OrderLanes(entries=broker, exits=broker, reader=broker, clock=PracticeClock(NOW), entry_ttl_s=0.5)
        arrived = asyncio.Event()

        def deliver(message: Message) -> None:
            assert isinstance(message, WriteAnswered)
            answers.append(message)
            arrived.set()

        async def wait_for(count: int) -> None:
            while len(answers) < count:
                arrived.clear()
                await asyncio.wait_for(arrived.wait(), 30)

        lanes.start(asyncio.get_running_loop(), deliver)
        for name in ("first", "second"):
            lanes.write(PlaceOrder(ticket=replace(ENTRY, correlation_id=name)), None)
        await asyncio.to_thread(broker.entered.wait, 30)
        lanes.write(PlaceOrder(ticket=replace(STOP, correlation_id="stop")), None)
        await wait_for(1)
        await asyncio.sleep(0.6)
        broker.let_go.set()
        await wait_for(3)
        await asyncio.to_thread(lanes.close)

    asyncio.run(run())
    ends = {answer.correlation_id: (answer.outcome, answer.throttled) for answer in answers}
    assert ends == {
        "stop": (Outcome.ACCEPTED, False),
        "first": (Outcome.ACCEPTED, False),
        "second": (Outcome.NOT_SENT, True),
    }
    assert broker.placed == ["first", "stop"]
    assert "stale" in answers[-1].reason
