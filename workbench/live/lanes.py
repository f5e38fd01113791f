"""Order lanes: the broker's blocking calls, off the event loop, entries apart from exits apart from reading.

An entry that waits five seconds for its answer must not hold an exit up, so each lane is one thread of its own and each
gets its own broker connection. Changes and cancellations of a super order's legs are read back before they are
answered, which takes seconds: they have threads of their own, each with a connection that is kept open like the other
lanes' once the account has had a super order. Answers come back to the loop as messages.

An entry that has waited too long behind others is dropped: its signal is stale by then. Exits are never too old.

Invariants: a command is carried out once, in the order of its lane; whatever happens in a lane, a write is answered.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from workbench.core.account import ControlReply
from workbench.core.errors import BrokerUnavailable
from workbench.core.messages import (
    BrokerOrder,
    CancelOrder,
    Message,
    ModifyOrder,
    Outcome,
    PlaceOrder,
    SnapshotTaken,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket, Purpose, SuperLegName
from workbench.core.ports import Broker, Clock, SuperOrders, WriteReply
from workbench.core.super_order import super_ticket, with_legs

log = logging.getLogger(__name__)

# An entry's price and signal are worth nothing much later (fault catalogue R2); real seconds.
ENTRY_TTL_S = 3.0

LEGS_AT_ONCE = 4
"""Writes about legs of super orders that may be under way beside each other."""

Write = PlaceOrder | ModifyOrder | CancelOrder

_T = TypeVar("_T")


class _LegLanes:
    """Threads of which each write about a leg takes the one with the least to do.

    They are lanes of one thread each and no pool, because a connection lives in its thread: only a thread that can be
    named can be warmed up, and the first is used again before a second one is.
    """

    def __init__(self) -> None:
        self._lanes = [
            ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"lane-legs-{number}")
            for number in range(LEGS_AT_ONCE)
        ]
        self._load = [0] * LEGS_AT_ONCE
        self._lock = threading.Lock()

    def submit(self, work: Callable[..., _T], *args: object) -> Future[_T]:
        """Let the lane that has the least to do carry something out."""
        with self._lock:
            number = min(range(LEGS_AT_ONCE), key=self._load.__getitem__)
        return self._submit_to(number, work, *args)

    def submit_to_idle(self, work: Callable[..., _T], *args: object) -> Iterator[Future[_T]]:
        """Let each lane that has nothing to do carry something out, when the next is asked for."""
        for number in range(LEGS_AT_ONCE):
            if self._load[number] == 0:
                yield self._submit_to(number, work, *args)

    def close(self) -> None:
        """Wait for what is under way and stop the threads."""
        for lane in self._lanes:
            lane.shutdown(wait=True)

    def _submit_to(self, number: int, work: Callable[..., _T], *args: object) -> Future[_T]:
        self._count(number, 1)
        future = self._lanes[number].submit(work, *args)
        future.add_done_callback(lambda _: self._count(number, -1))
        return future

    def _count(self, number: int, more: int) -> None:
        with self._lock:
            self._load[number] += more


class OrderLanes:
    """Three single threads before one broker account, and some for the legs of super orders.

    Parameters
    ----------
    entries, exits, reader : Broker
        Connections of the lanes; one object may serve all three if it is safe to be called by several threads.
    clock : Clock
        Stamps a snapshot that failed.
    snapshot_pause_s : float
        Real seconds between the starts of two snapshots, so that looking again does not become a flood.
    entry_ttl_s : float
        Real seconds that an entry may wait in its lane; an older one is answered "not sent, throttled".
    supers : SuperOrders or None
        Takes entries with a bracket, and writes about their legs; safe to be called by several threads. None: such an
        order is not sent. From the first one on every snapshot shows the legs too.
    """

    def __init__(  # noqa: PLR0913 - three connections, and what some accounts have besides
        self,
        *,
        entries: Broker,
        exits: Broker,
        reader: Broker,
        clock: Clock,
        snapshot_pause_s: float = 0.25,
        entry_ttl_s: float = ENTRY_TTL_S,
        supers: SuperOrders | None = None,
    ) -> None:
        self._entries, self._exits, self._reader = entries, exits, reader
        self._clock, self._pause, self._entry_ttl_s = clock, snapshot_pause_s, entry_ttl_s
        self._supers, self._reads_legs = supers, False
        self._entry_lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane-entries")
        self._exit_lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane-exits")
        # What is written about a leg is read back, which takes seconds: no exit and no entry waits behind it.
        self._legs = _LegLanes()
        self._warm: Callable[[Broker], object] | None = None
        self._read_lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane-reader")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Callable[[Message], None] = lambda _: None
        self._under_way = 0
        self._snapshots_waiting = 0
        self._to_look_up: dict[str, None] = {}
        self._asking = threading.Lock()
        self._last_snapshot = float("-inf")

    @property
    def is_idle(self) -> bool:
        """Nothing is under way at the broker."""
        return self._under_way == 0

    def start(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Message], None]) -> None:
        """Begin; `deliver` is called on the loop with every answer."""
        self._loop, self._deliver = loop, deliver

    async def warm_up(self, work: Callable[[Broker], object]) -> None:
        """Do something in each lane's own thread before it is needed (open the connection that lives there).

        The lanes of legs take their turn once the account has had a super order, one after the other: a write that
        comes meanwhile finds one that is free.
        """
        self._warm = work
        lanes = ((self._entry_lane, self._entries), (self._exit_lane, self._exits), (self._read_lane, self._reader))
        futures = [asyncio.wrap_future(lane.submit(work, broker)) for lane, broker in lanes]
        await asyncio.gather(*futures, self._warm_up_legs(work))

    async def _warm_up_legs(self, work: Callable[[Broker], object]) -> None:
        if self._reads_legs and self._supers is not None:
            for future in self._legs.submit_to_idle(work, self._exits):
                await asyncio.wrap_future(future)

    def write(self, command: Write, ticket: OrderTicket | None) -> None:
        """Send an order, a change or a cancellation; `ticket` is the order that a change is for."""
        is_exit = command.ticket.purpose is not Purpose.ENTRY if isinstance(command, PlaceOrder) else command.is_exit
        broker, lane = (self._exits, self._exit_lane) if is_exit else (self._entries, self._entry_lane)
        self._under_way += 1
        stale_at = float("inf") if is_exit else time.monotonic() + self._entry_ttl_s
        if _goes_by_super(command):
            self._legs_are_used()
            takes = lane.submit if isinstance(command, PlaceOrder) else self._legs.submit
            future = takes(_carry_out_super, self._supers, command, ticket, stale_at)
        else:
            future = lane.submit(_carry_out, broker, command, ticket, stale_at)
        future.add_done_callback(lambda done: self._come_back(_answer(command, done)))

    def look(self, command: TakeSnapshot) -> None:
        """Read the broker's whole truth; two requests that wait become one, which looks up what either asks for."""
        if command.with_legs:
            self._legs_are_used()
        with self._asking:
            self._to_look_up.update(dict.fromkeys(command.unanswered))
            if self._snapshots_waiting:
                return
            self._snapshots_waiting += 1
        self._under_way += 1
        future = self._read_lane.submit(self._snapshot)
        future.add_done_callback(lambda done: self._come_back(self._snapshot_of(done, command)))

    async def ask(self, work: Callable[[Broker], _T]) -> _T:
        """Do something that blocks in the reader's thread, between two looks, and give what came of it."""
        return await asyncio.wrap_future(self._read_lane.submit(work, self._reader))

    async def read(self, *, with_legs: bool) -> SnapshotTaken:
        """Read the broker's whole truth between two looks and give it to the caller alone.

        Parameters
        ----------
        with_legs : bool
            Super orders of ours may live: their list is read too, now and in all that follows.
        """
        if with_legs:
            self._legs_are_used()
        return await asyncio.wrap_future(self._read_lane.submit(self._seen))

    def close(self) -> None:
        """Wait for what is under way and stop the threads."""
        for lane in (self._exit_lane, self._entry_lane, self._read_lane):
            lane.shutdown(wait=True)
        self._legs.close()

    def _legs_are_used(self) -> None:
        """From now on looks show legs; the first order has not filled yet, so there is time to open connections."""
        if self._reads_legs:
            return
        self._reads_legs = True
        if self._warm is not None and self._supers is not None:
            for _ in self._legs.submit_to_idle(self._warm, self._exits):
                pass

    def _snapshot(self) -> SnapshotTaken:
        wait = self._last_snapshot + self._pause - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._last_snapshot = time.monotonic()
        with self._asking:
            self._snapshots_waiting = 0  # a request that comes while we read may be about something newer
            unanswered, self._to_look_up = tuple(self._to_look_up), {}
        seen = self._seen()
        return self._looked_up(seen, unanswered) if seen.known else seen

    def _seen(self) -> SnapshotTaken:
        """Read, with the legs of super orders once there was one; a list that cannot be read is named so."""
        seen = self._reader.snapshot()
        if not self._reads_legs or self._supers is None or not seen.known:
            return seen
        try:
            return replace(with_legs(seen, self._supers.all()), with_legs=True)
        except BrokerUnavailable as error:
            log.warning("legs of super orders could not be read: %s", error)
            return replace(seen, with_legs=True, legs_unread=True)

    def _looked_up(self, seen: SnapshotTaken, unanswered: tuple[str, ...]) -> SnapshotTaken:
        """Add the unanswered orders that the list does not show and the broker knows by our own id (fault R1).

        A look-up that fails says nothing: it is named, so that nobody takes it for one that found no order.
        """
        listed = {row.correlation_id for row in seen.orders}
        found: list[BrokerOrder] = []
        failed: list[str] = []
        for correlation_id in unanswered:
            if correlation_id in listed:
                continue
            try:
                row = self._reader.order_by_correlation(correlation_id)
            except BrokerUnavailable as error:
                log.warning("order %s could not be looked up: %s", correlation_id, error)
                failed.append(correlation_id)
                continue
            if row is not None:
                found.append(row)
        return replace(seen, orders=(*seen.orders, *found), not_looked_up=tuple(failed))

    def _snapshot_of(self, done: Future[SnapshotTaken], command: TakeSnapshot) -> SnapshotTaken:
        error = done.exception()
        if error is None:
            return done.result()
        self._snapshots_waiting = 0
        return SnapshotTaken(taken_at=self._clock.now(), known=False, reason=f"{command.reason}: {error}")

    def _come_back(self, message: Message) -> None:
        """Run in the lane's thread: hand the answer to the loop."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._arrive, message)
        except RuntimeError:
            return  # the loop has ended; the journal knows the order, and start-up looks it up

    def _arrive(self, message: Message) -> None:
        self._under_way -= 1
        self._deliver(message)


def _carry_out(broker: Broker, command: Write, ticket: OrderTicket | None, stale_at: float) -> WriteReply:
    match command:
        case PlaceOrder():
            if time.monotonic() > stale_at:
                reason = "too many entries at once: this one waited behind others until its signal was stale"
                return WriteReply(outcome=Outcome.NOT_SENT, reason=reason, throttled=True)
            return broker.place(command.ticket)
        case ModifyOrder():
            if ticket is None:
                return WriteReply(outcome=Outcome.NOT_SENT, reason="the order to change is not in the book")
            return broker.modify(command.order_id, ticket, command.change)
        case CancelOrder():
            return broker.cancel(command.order_id)


def _goes_by_super(command: Write) -> bool:
    if isinstance(command, PlaceOrder):
        return command.ticket.bracket is not None
    return command.leg is not None


def _carry_out_super(
    supers: SuperOrders | None, command: Write, ticket: OrderTicket | None, stale_at: float
) -> WriteReply:
    if supers is None:
        return WriteReply(outcome=Outcome.NOT_SENT, reason="this account takes no super orders")
    match command:
        case PlaceOrder():
            if command.ticket.bracket is None or time.monotonic() > stale_at:
                reason = "too many entries at once: this one waited behind others until its signal was stale"
                return WriteReply(outcome=Outcome.NOT_SENT, reason=reason, throttled=True)
            return supers.place(super_ticket(command.ticket, command.ticket.bracket))
        case ModifyOrder():
            if ticket is None or command.bracket is None or command.leg is None:
                return WriteReply(outcome=Outcome.NOT_SENT, reason="the leg to change is not in the book")
            change = supers.change_stop if command.leg.name is SuperLegName.STOP else supers.change_target
            return _told(change(command.leg.entry_id, super_ticket(ticket, command.bracket)), command.order_id)
        case CancelOrder():
            if command.leg is None:
                return WriteReply(outcome=Outcome.NOT_SENT, reason="the leg to take back is not named")
            reply = supers.cancel(command.leg.entry_id, command.leg.name)
            return _told(reply, command.order_id, OrderState.CANCELLED)


def _told(reply: ControlReply, order_id: str, state: OrderState | None = None) -> WriteReply:
    """Give the answer to a write about a leg; what the list has confirmed is looked at again with its quantities."""
    seen = state if reply.confirmed else None
    return WriteReply(outcome=reply.outcome, order_id=order_id, reason=reply.reason, state=seen)


def _answer(command: Write, done: Future[WriteReply]) -> WriteAnswered:
    """Turn a reply into a message; a lane that broke leaves the order unknown, never rejected."""
    error = done.exception()
    reply = done.result() if error is None else WriteReply(outcome=Outcome.UNKNOWN, reason=f"order lane: {error!r}")
    kind, correlation_id = kind_of(command)
    return WriteAnswered(
        kind=kind,
        correlation_id=correlation_id,
        outcome=reply.outcome,
        order_id=reply.order_id,
        reason=reply.reason,
        state=reply.state,
        throttled=reply.throttled,
        change=command.change if isinstance(command, ModifyOrder) else None,
    )


def kind_of(command: Write) -> tuple[WriteKind, str]:
    """Say which write a command is, and of which order."""
    if isinstance(command, PlaceOrder):
        return WriteKind.PLACE, command.ticket.correlation_id
    return WriteKind.MODIFY if isinstance(command, ModifyOrder) else WriteKind.CANCEL, command.correlation_id
