"""The runner: one queue, one order. It stamps, asks the engine, writes down, and only then acts.

Everything happens on one event loop. A message gets its number and its market time as it leaves the queue; what leads
to an order is on the disk before the order leaves; an alert's sender is answered by the same commit.

Invariants: commands leave in the order in which they were decided, never before their events are durable; a fault of
the engine freezes its account and leaves the protection at the broker where it is.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import assert_never

from workbench.core.engine import Decision
from workbench.core.errors import WorkbenchError
from workbench.core.messages import (
    AccountFrozen,
    AlertReceived,
    CancelOrder,
    Command,
    DayBegan,
    DayOpened,
    Event,
    Level,
    Message,
    ModifyOrder,
    Notify,
    Outcome,
    PlaceOrder,
    QuoteReceived,
    ReadChain,
    ReadMargin,
    SnapshotTaken,
    Subscribe,
    TakeSnapshot,
    TimerBeat,
    Unsubscribe,
    WriteAnswered,
)
from workbench.core.ports import Clock, JournalEntry, MarketFeed, Notifier
from workbench.live.edges import AlertJournal, Ledger, QuoteTape, TradingEngine
from workbench.live.lanes import OrderLanes, Write, kind_of
from workbench.live.questions import Answers, unanswered

log = logging.getLogger(__name__)

MOST_FAULTS_A_DAY = 20
SWITCH_INTERVAL_S = 0.0005
"""Python hands the interpreter between threads at this interval; its default of 5 ms is our whole speed goal."""


class NotDurableError(WorkbenchError):
    """The engine stopped on a message: not kept, or not carried out in full; sent again, it is still taken once."""


class _Release:
    """Commands of one decision, waiting for their events to be on the disk."""

    __slots__ = ("commands", "decision", "durable", "waiter")

    def __init__(self, decision: Decision, durable: bool, waiter: asyncio.Future[Decision] | None) -> None:
        self.decision, self.durable, self.waiter = decision, durable, waiter
        self.commands: Sequence[Command] = decision.commands


class Runner:
    """Runs one account.

    Parameters
    ----------
    make_engine : callable
        Gives a fresh engine of the account; asked once, and again after a fault.
    journal, tape, ledger
        Where messages and events are kept, quotes are kept, and the day's books are folded.
    lanes : OrderLanes
    feed : MarketFeed or None
        Carries out subscriptions; None where nothing is to be watched (tests).
    clock : Clock
    notifier : Notifier
    first_seq : int
        One above the highest number on disk.
    answers : Answers or None
        Who is asked for chains and margins; None: they are not known.
    """

    def __init__(  # noqa: PLR0913 - the edges of an account, each handed in once
        self,
        *,
        make_engine: Callable[[], TradingEngine],
        journal: AlertJournal,
        tape: QuoteTape,
        ledger: Ledger,
        lanes: OrderLanes,
        feed: MarketFeed | None,
        clock: Clock,
        notifier: Notifier,
        first_seq: int,
        dry_run: bool = False,
        answers: Answers | None = None,
    ) -> None:
        self._make_engine = make_engine
        self.engine = make_engine()
        self.account_id = self.engine.config.account_id
        self.journal, self.tape, self.ledger = journal, tape, ledger
        self.lanes, self.feed, self.clock, self.notifier = lanes, feed, clock, notifier
        self.dry_run = dry_run
        self.answers = answers
        self.faults: list[str] = []
        self.stopped_because = ""
        self.stopped = asyncio.Event()
        self.listeners: list[Callable[[Message, Decision], None]] = []
        self._seq = first_seq
        self._queue: deque[tuple[Message, asyncio.Future[Decision] | None]] = deque()
        self._releases: deque[_Release] = deque()
        self._draining = False
        self._scheduled = False
        self._tape_lost = False
        self._idle_waiters: list[asyncio.Future[None]] = []
        self._day_events: list[Event] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    def recover(self, entries: Sequence[JournalEntry]) -> None:
        """Apply a day's journal; nothing is decided. Call before `start`."""
        for entry in entries:
            self.ledger.fold(entry)
            self._remember(entry.events)
        if self._day_events:
            self.engine.recover(self._day_events)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to take messages."""
        self._loop = loop
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.lanes.start(loop, self.enqueue)
        if self.answers is not None:
            self.answers.start(loop, self.enqueue)

    def stop(self, why: str) -> None:
        """Take no more messages; what is at the broker stays there. Waiting senders are told that nothing was kept."""
        if self.stopped_because:
            return
        self.stopped_because = why
        self.stopped.set()
        for _, waiter in self._queue:
            self._refuse(waiter)
        for release in self._releases:
            self._refuse(release.waiter)
        self._queue.clear()
        self._releases.clear()
        self._wake_idle()

    def on_journal_failure(self, why: str) -> None:
        """The disk is full or gone: nothing may be decided any more."""
        self.notifier.send(Level.ALARM.value, f"journal failed, trading stops, stops at the broker stay: {why}")
        self.stop(f"journal failed: {why}")

    # --- in -----------------------------------------------------------------------------------------------------

    def enqueue(self, message: Message) -> None:
        """Queue a message from the loop; it is handled at the loop's next turn, behind what waits already."""
        if self.stopped_because:
            return
        self._queue.append((message, None))
        self._schedule()

    async def put(self, message: Message) -> Decision:
        """Handle a message now and give the decision on it once that is durable.

        Raises
        ------
        NotDurableError
            It could not be written; nothing of it was done.
        """
        if self.stopped_because or self._loop is None:
            raise NotDurableError(f"the engine has stopped: {self.stopped_because or 'not started'}")
        waiter: asyncio.Future[Decision] = self._loop.create_future()
        self._queue.append((message, waiter))
        self._drain()
        return await waiter

    async def put_alert(self, alert: AlertReceived) -> Decision | None:
        """Handle an alert once for ever; None when its id is known already."""
        if not self.journal.claim(alert.alert_id):
            return None
        try:
            return await self.put(alert)
        except NotDurableError:
            self.journal.release(alert.alert_id)
            raise

    @property
    def waiting(self) -> int:
        """Messages that are queued."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """The queue is empty, all is durable, and nothing is under way at the broker."""
        is_asking = self.answers is not None and not self.answers.is_idle
        return not self._queue and not self._releases and self.lanes.is_idle and not is_asking

    async def drained(self) -> None:
        """Wait until the runner is idle; what answers bring in is waited for too."""
        while not self.is_idle and not self.stopped_because and self._loop is not None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._idle_waiters.append(waiter)
            await waiter

    # --- the loop -----------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue:
                message, waiter = self._queue.popleft()
                try:
                    self._handle(message, waiter)
                except Exception as error:
                    # The engine is ahead of the journal now, and nothing behind this message could leave any more:
                    # the process ends, and the next one begins with what is on the disk.
                    log.error("%s could not be kept", type(message).__name__, exc_info=error)
                    self.on_journal_failure(f"{type(message).__name__} could not be kept: {error!r}")
                    self._refuse(waiter)
        finally:
            self._draining = False
        self._record(self.tape.flush)
        self._wake_idle()

    def _record(self, write: Callable[[], None]) -> None:
        """Write to the tape; without it the day cannot be replayed, but trading goes on."""
        if self._tape_lost:
            return
        try:
            write()
        except OSError as error:
            self._tape_lost = True
            self.notifier.send(Level.ALARM.value, f"quotes are not recorded any more: {error}")

    def _handle(self, message: Message, waiter: asyncio.Future[Decision] | None) -> None:
        seq, self._seq = self._seq, self._seq + 1
        now = self.clock.now()
        try:
            decision = self.engine.handle(message, now=now)
        except Exception as error:  # noqa: BLE001 - the outermost loop: one account freezes, the process lives
            decision = self._fault(message, now, error)
            if self.stopped_because:
                self._refuse(waiter)
                return
        idle = isinstance(message, QuoteReceived | TimerBeat | SnapshotTaken) and not decision.events
        if idle:
            if not isinstance(message, SnapshotTaken):
                quote = message.quote if isinstance(message, QuoteReceived) else None
                self._record(lambda: self.tape.write(seq, now, quote))
            if not decision.commands and waiter is None:
                return
        release = _Release(decision, durable=idle, waiter=waiter)
        self._releases.append(release)
        if idle:
            self._release()
        else:
            self._keep(
                JournalEntry(seq=seq, now=now, account_id=self.account_id, message=message, events=decision.events),
                release,
            )
        for listener in self.listeners:
            listener(message, decision)

    def _keep(self, entry: JournalEntry, release: _Release) -> None:
        self._remember(entry.events)
        self.ledger.fold(entry)

        def durable() -> None:
            release.durable = True
            self._release()
            self._wake_idle()

        try:
            self.journal.append(entry, durable)
        except WorkbenchError as error:
            self.on_journal_failure(str(error))

    def _remember(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, DayOpened):
                self._day_events.clear()
                self.faults.clear()
            self._day_events.append(event)

    def _release(self) -> None:
        """Let commands go whose events, and all events before them, are on the disk."""
        while self._releases and self._releases[0].durable:
            release = self._releases.popleft()
            for command in release.commands:
                try:
                    self._carry_out(command)
                except Exception as error:
                    # A command that cannot even be handed over must not swallow those behind it in silence: the
                    # process ends, and the next one finds in the journal what was to be sent and looks it up.
                    why = f"cannot carry out {type(command).__name__}: {error!r}"
                    log.error("cannot carry out %s", type(command).__name__, exc_info=error)
                    self.notifier.send(Level.ALARM.value, why)
                    self.stop(why)
                    self._refuse(release.waiter, "kept, but not carried out in full")
                    return
            if release.waiter is not None and not release.waiter.done():
                release.waiter.set_result(release.decision)

    def _carry_out(self, command: Command) -> None:
        match command:
            case PlaceOrder() | ModifyOrder() | CancelOrder():
                if self.dry_run:
                    self._do_not_send(command)
                    return
                order = None
                if isinstance(command, ModifyOrder):
                    order = self.engine.book.orders.get(command.correlation_id)
                self.lanes.write(command, None if order is None else order.ticket)
            case TakeSnapshot():
                self.lanes.look(command)
            case ReadChain() | ReadMargin():
                if self.answers is None:
                    self.enqueue(unanswered(command, "nobody can be asked here"))
                else:
                    self.answers.ask(command)
            case Subscribe():
                if self.feed is not None:
                    self.feed.subscribe((command.instrument,))
            case Unsubscribe():
                if self.feed is not None:
                    self.feed.unsubscribe((command.instrument,))
            case Notify():
                self.notifier.send(command.level.value, command.text)
            case _:
                assert_never(command)

    def _do_not_send(self, command: Write) -> None:
        """Dry run: the exact order stands in the journal, and the engine is told that it never left."""
        kind, correlation_id = kind_of(command)
        reason = "dry run: nothing is sent"
        self.enqueue(WriteAnswered(kind=kind, correlation_id=correlation_id, outcome=Outcome.NOT_SENT, reason=reason))

    # --- faults -------------------------------------------------------------------------------------------------

    def _fault(self, message: Message, now: datetime, error: Exception) -> Decision:
        """Freeze the account: a new engine takes the book as journalled, and the broker's truth is read again.

        The half turn that broke was never journalled, so nothing of it has happened; its commands are lost with it.
        """
        text = f"engine fault on {type(message).__name__}: {type(error).__name__}: {error}"
        log.error(text, exc_info=error)
        self.notifier.send(Level.ALARM.value, f"{self.account_id} is frozen: {text}")
        self.faults.append(text)
        if len(self.faults) > MOST_FAULTS_A_DAY:
            self.stop(f"{len(self.faults)} engine faults, the last: {text}")
            return Decision(events=(), commands=())
        frozen = AccountFrozen(differences=(text,), at=now)
        self.engine = self._make_engine()
        self.engine.recover([*self._day_events, frozen], since=now)
        self._queue.append((DayBegan(day=self._day(now)), None))
        look = TakeSnapshot(reason="after an engine fault")
        return Decision(events=(frozen,), commands=(look,))

    def _day(self, now: datetime) -> date:
        return self.engine.book.day or now.date()

    # --- waiting ------------------------------------------------------------------------------------------------

    def _wake_idle(self) -> None:
        if self._idle_waiters and (self.is_idle or self.stopped_because):
            waiters, self._idle_waiters = self._idle_waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _refuse(self, waiter: asyncio.Future[Decision] | None, what: str = "not kept, nothing was done") -> None:
        if waiter is not None and not waiter.done():
            waiter.set_exception(NotDurableError(f"{what}: {self.stopped_because}"))
