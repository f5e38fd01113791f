"""The process from its start to its end: eight steps, what runs beside, and the market's states.

Invariant: the engine says it is ready only after all eight steps; whatever fails before that ends the process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from workbench.bootstrap import deployments as promoted
from workbench.bootstrap import safekeeping
from workbench.bootstrap.asking import questions_of
from workbench.bootstrap.engine_process.orphan import outlive, parent_watch
from workbench.bootstrap.engine_process.parts import engine_of, source_of, system_of, tell_what_was_found
from workbench.bootstrap.held_contracts import tell_changes
from workbench.bootstrap.notifying import notifier_of
from workbench.bootstrap.practice import PracticeVenue, show
from workbench.bootstrap.venue import Host, Moved, Mover, Venue, until
from workbench.brokers.dhan.login_wire import LoginRefused
from workbench.brokers.dhan.token_store import NoKeyring
from workbench.brokers.dhan.token_ways import NoWay
from workbench.config import Config
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment, Mode
from workbench.core.errors import BadInput, BrokerUnavailable, UnknownFact
from workbench.core.instrument import Instrument
from workbench.core.legs import Listings
from workbench.core.messages import Level, Operator, OperatorOrdered, TakeSnapshot
from workbench.live.api import create_app
from workbench.live.awake import KeepAwake
from workbench.live.day import TradingDay, second_hand
from workbench.live.flat_check import flat_points
from workbench.live.lanes import OrderLanes
from workbench.live.runner import Runner
from workbench.live.schedule import DaySchedule
from workbench.live.server import ApiServer, catch_end
from workbench.live.startup import StartUp, StartUpError
from workbench.live.supervise import REFUSED, clear_latch, read_latch
from workbench.live.system import MARKET, FeedWatch
from workbench.reference import calendar, charge_table
from workbench.storage.backup import ENGINE_LOCK
from workbench.storage.ledger import DayLedger
from workbench.storage.tape import Tape

log = logging.getLogger("workbench.engine")

LOOK_EVERY_S = 10.0
"""Real seconds between two regular looks at the broker's orders, positions and funds."""

NEEDS_A_PERSON = (BadInput, UnknownFact, LoginRefused, NoWay, NoKeyring)
"""Why a start is refused for good: starting again would change nothing. A broker that is away may be back soon."""


class EngineProcess:
    """One account's process.

    Parameters
    ----------
    config : Config
    data : Path
    venue : Venue, optional
        Practice where none is given.
    under_up : bool
        Stdin is held by `workbench up`: its end is the death of it.
    """

    def __init__(self, config: Config, data: Path, venue: Venue | None = None, *, under_up: bool = False) -> None:
        self.config, self.data, self.under_up = config, data, under_up
        self.venue = venue or PracticeVenue(config, data)
        self.account_id = self.venue.account_id
        self.start_up = StartUp(show)
        self.notifier = notifier_of(config, data)
        self.watch = FeedWatch(stale_after_s=self.venue.stale_after_s)
        self.deployments: tuple[Deployment, ...] = ()
        self.tasks: list[asyncio.Task[Any]] = []
        self.folder_lock = FileLock(str(data / "journal" / ENGINE_LOCK))
        self.client_lock: FileLock | None = None
        self.instance = safekeeping.new_instance()

    async def run(self) -> int:
        """Start, serve until told to end, and leave everything in order."""
        step, ended = self.start_up.step, asyncio.Event()
        catch_end(asyncio.get_running_loop(), ended.set)
        orphaned = parent_watch() if self.under_up else asyncio.Event()
        try:
            await step("config", self._config)
            await step("login", self._login)
            await step("master", self._master)
            await step("journal", self._journal)
            await step("reconcile", self._reconcile)
            await step("feed", self._feed)
            await step("webhook", self._webhook)
            await step("schedule", self._schedule)
        except StartUpError as error:
            show(str(error))
            await self._end()
            return REFUSED if isinstance(error.__cause__, NEEDS_A_PERSON) else 1
        gc.freeze()
        self.system.ready = True
        show(f"ready to trade in {self.start_up.elapsed_s:.2f} s: {self.account_id}, {self._url}")
        tell_what_was_found(self)
        self.tasks.append(asyncio.create_task(self.mover.run()))
        self._run_beside(self._look_regularly())
        self._run_beside(safekeeping.watch_clock(self.watch, self.notifier, self._after_lost_time))
        self._run_beside(safekeeping.stay_awake(KeepAwake(), self._must_stay_awake, self._may_sleep))
        self._run_beside(outlive(orphaned, self.runner, self.watch, mode=self.venue.mode, end=ended.set))
        stopped, asked = asyncio.create_task(self.runner.stopped.wait()), asyncio.create_task(ended.wait())
        await asyncio.wait({asked, stopped, *self.tasks}, return_when=asyncio.FIRST_COMPLETED)
        self.system.ready = False
        for task in self.tasks:
            # Feed, order socket and clock run until they are cancelled: one that has ended broke, and is started anew.
            if task.done():
                log.error("a part of the engine ended", exc_info=None if task.cancelled() else task.exception())
                self.runner.stop("a part of the engine ended")
        code = 1 if self.runner.stopped_because else 0
        stopped.cancel()
        asked.cancel()
        await self._end()
        return code

    # --- the eight steps ----------------------------------------------------------------------------------------

    async def _config(self) -> str:
        self.client_lock = safekeeping.client_lock(self.venue.mode, self.config)
        self.deployments = promoted.limited(self.venue.choose(), self.data, self.config.risk)
        words = await asyncio.to_thread(self.venue.begin)
        self.clock = self.venue.clock
        return f"{len(self.deployments)} deployments on the {words}, data in {self.data}"

    async def _login(self) -> str:
        words = await asyncio.to_thread(self.venue.log_in)
        host = Host(watch=self.watch, notifier=self.notifier, start=self._run_beside)
        await self.venue.connect(host)
        self.broker = self.venue.wires.broker
        return words

    async def _master(self) -> str:
        self.listings = await asyncio.to_thread(self.load_listings, self.clock.now().date())
        return f"contracts of {', '.join(self._symbols)} on {self.clock.now().date()}"

    async def _journal(self) -> str:
        folder = self.data / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.folder_lock.acquire(timeout=0)
        except Timeout:
            raise BadInput(
                f"another engine runs on {self.data}; stop it, or set WORKBENCH_DATA to another folder"
            ) from None
        today = self.clock.now().date()
        self.journal, last, entries = safekeeping.open_journal(
            folder, self.venue.mode, self.account_id, today, self.notifier
        )
        loop = asyncio.get_running_loop()
        self.tape = Tape(self.data / "tape", self.account_id)
        await asyncio.to_thread(safekeeping.pack_old_tapes, self.data / "tape", today)
        self.questions = questions_of(self.venue.wires, lambda: self.runner.engine.config.listings)
        broker = self.broker
        lanes = OrderLanes(entries=broker, exits=broker, reader=broker, clock=self.clock, supers=broker.supers)
        self.runner = Runner(
            make_engine=lambda: engine_of(self),
            journal=self.journal,
            tape=self.tape,
            ledger=DayLedger(charge_table()),
            lanes=lanes,
            feed=self.venue.wires.market,
            clock=self.clock,
            notifier=self.notifier,
            first_seq=self.journal.last_seq + 1,
            dry_run=self.venue.dry_run,
            answers=self.questions,
        )
        self.space = safekeeping.watched_space(folder, loop, self.watch, self.notifier)
        await asyncio.to_thread(self.space.look)
        self.journal.start(loop, self.runner.on_journal_failure, space=self.space)
        foreign = safekeeping.foreign_orders(self.runner, self.venue.id_prefix, folder)
        self.runner.listeners.append(foreign.listen)
        self.runner.recover(entries)
        self._take_listings(self.listings)
        self.runner.start(loop)
        return f"{len(entries)} entries of {self.account_id} on {last}"

    async def _reconcile(self) -> str:
        self._build_system()
        await self.runner.lanes.warm_up(lambda _: self.broker.warm())
        await self.day.open(self.clock.now().date(), fresh_listings=False)
        self._follow_the_latch()
        known = await self._read_the_broker()
        last = self.runner.engine.book.last_reconciled
        if last is None or not known:
            raise BrokerUnavailable("the broker's orders and positions could not be read; unknown is not flat")
        named = "; ".join(last.differences) or "broker and book agree"
        held = len(self.runner.engine.book.live_positions())
        return f"{held} positions held; {named}"

    async def _read_the_broker(self) -> bool:
        """Lay the broker's snapshot beside the book; False when it could not be read."""
        lanes, orders = self.runner.lanes, self.runner.engine.book.orders.values()
        with_legs = any(each.ticket.bracket is not None for each in orders)
        seen = await lanes.read(with_legs=with_legs)
        for pause in (0.2, 0.5, 1.0, 2.0):
            if seen.known:
                break
            await asyncio.sleep(pause)  # an ill-timed refusal must not latch HALT while a position is open
            seen = await lanes.read(with_legs=with_legs)
        self.runner.enqueue(seen)
        await self.runner.drained()
        return seen.known

    async def _after_lost_time(self) -> bool:
        self.schedule.rearm()
        return await self._read_the_broker()

    async def _feed(self) -> str:
        connected = asyncio.Event()

        def on_state(up: bool, reason: str) -> None:
            self.watch.feed_state(up, reason)
            if up:
                connected.set()

        def on_orders_state(up: bool, reason: str) -> None:
            back = up and not self.watch.orders_connected
            self.watch.orders_state(up, reason)
            if back:
                # The socket replays nothing: what was missed is read from the order book.
                self.runner.lanes.look(TakeSnapshot(reason="order socket connected"))

        wires = self.venue.wires
        self.watch.counters = lambda: wires.feed.counters
        self._run_beside(wires.market.run(self._on_quote, on_state))
        self._run_beside(wires.updates.run(self.mover.take_order, on_orders_state))
        if not await until(connected, 10):
            raise BrokerUnavailable(f"the market feed did not connect in 10 s: {self.watch.reason}")
        return f"{wires.feed.url}: quotes and order updates"

    async def _webhook(self) -> str:
        self.server = ApiServer(create_app(self.system), self.config.server.engine_port)
        await self.server.start()
        return self._url

    async def _schedule(self) -> str:
        self.schedule = DaySchedule({}, market_now=self.clock.now, speed=self.venue.speed)
        self.schedule.start()
        return self._plan_day(self.clock.now().date())

    # --- parts --------------------------------------------------------------------------------------------------

    def load_listings(self, day: dt.date) -> Listings:
        """Fetch the day's instrument master, verify it, and keep only the deployed underlyings of it."""
        return self.venue.load_listings(self._symbols, day)

    def _build_system(self) -> None:
        self.source = source_of(self)
        self.source.start(asyncio.get_running_loop())
        self.system = system_of(self)
        self.day = TradingDay(
            self.system, self.source, load_listings=self.load_listings, on_listings=self._take_listings
        )
        if self.venue.stale_after_s is not None:
            # An option may be quiet for a while; an index in its session is not.
            keys = [self.index(symbol).key for symbol in self._symbols]
            self.watch.must_tick(keys, self._index_trades, lambda: bool(self.runner.engine.book.live_positions()))
        moved = Moved(
            enqueue=self.runner.enqueue,
            drained=self._drained,
            on_second=second_hand(self.system, self.source),
            on_state=self._on_market_state,
        )
        self.mover: Mover = self.venue.mover(moved)
        self.watch.on_worse = self._judge_at_once

    def _on_quote(self, quote: Quote, received: float) -> None:
        self.watch.saw_quote(received, quote.key)
        self.source.on_quote(quote)
        self.mover.take_quote(quote)

    def _must_stay_awake(self) -> bool:
        """Live is watched day and night; elsewhere only an open market, and what is held."""
        held = self.runner.engine.book.live_positions()
        return self.venue.mode is Mode.LIVE or self.system.market_open or bool(held)

    def _may_sleep(self, why: str) -> None:
        # Practice and paper lose nothing by a sleep: a line in the log is enough.
        if self.venue.mode is Mode.LIVE:
            self.notifier.send(Level.WARNING.value, why)
        else:
            log.warning("%s", why)

    def _judge_at_once(self) -> None:
        judged = self.watch.judge(market_open=self.system.market_open)
        if judged is not None:
            self.runner.enqueue(judged)

    def _run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def _drained(self) -> None:
        await self.source.drained()
        await self.runner.drained()

    async def _on_market_state(self, state: str, moment: dt.datetime) -> None:
        await self.day.on_market_state(state, moment)
        if state == "waiting":
            # A new day's book knows nothing: funds, orders and positions are the broker's to tell.
            self.runner.lanes.look(TakeSnapshot(reason="a day begins"))
            await self.runner.drained()
            self._plan_day(moment.date())

    async def _look_regularly(self) -> None:
        """Read the broker's truth from time to time whatever the sockets say (fault S1)."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.runner.lanes.look(TakeSnapshot(reason="a regular look"))
            await asyncio.to_thread(self.space.look)
            # Connections that stand idle are closed: an order must not have to open one.
            await self.runner.lanes.warm_up(lambda _: self.broker.warm())

    def _plan_day(self, day: dt.date) -> str:
        session = calendar().session(MARKET, day)
        if session is None:
            return f"{day} is no trading day"
        system = self.system
        points = self.schedule.plan_day(session, system.last_entry(), system.square_off(), flat_points(system))
        return ", ".join(f"{point.name} {point.at:%H:%M}" for point in points) or "nothing left of the day"

    def _take_listings(self, listings: Listings) -> None:
        self.listings = listings
        tell_changes(self.runner.engine.book.live_positions(), listings.instruments, self.notifier)

    def _index_trades(self) -> bool:
        session = self.system.session()
        return session is not None and session.open <= self.clock.now() < session.spot_end

    def index(self, symbol: str) -> Instrument:
        """Give an underlying of the day's contracts."""
        return self.listings.instruments.index(symbol)

    def _follow_the_latch(self) -> None:
        """A latched HALT holds over every restart, until a person resumes."""
        folder = self.data / "journal"
        reason = read_latch(folder)
        if reason is None and not self.config.trading.enabled:
            reason = "trading.enabled is false in workbench.yaml"
        if reason is not None:
            self.runner.enqueue(OperatorOrdered(command=Operator.HALT, reason=reason, who="start-up"))

        def listen(message: Any, _decision: Any) -> None:
            if isinstance(message, OperatorOrdered) and message.command is Operator.RESUME:
                clear_latch(folder)

        self.runner.listeners.append(listen)

    @property
    def _symbols(self) -> tuple[str, ...]:
        return tuple(sorted({item.symbol for item in self.deployments}))

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.config.server.engine_port}"

    async def _end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if hasattr(self, "schedule"):
            self.schedule.stop()
        if hasattr(self, "server"):
            await self.server.stop()
        if hasattr(self, "source"):
            await asyncio.to_thread(self.source.close)
        if hasattr(self, "runner"):
            self.runner.stop("the process ends")
            await asyncio.to_thread(self.runner.lanes.close)
            await asyncio.to_thread(self.questions.close)
            self.tape.close()
        if hasattr(self, "journal"):
            await asyncio.to_thread(self.journal.close)
        await asyncio.to_thread(self.venue.close)
        if self.notifier.channel is not None:
            await asyncio.to_thread(self.notifier.channel.close)
        self.folder_lock.release()
        if self.client_lock is not None:
            self.client_lock.release()
