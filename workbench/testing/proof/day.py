"""One day by seed: market, people, deaths of the process, and the oracle after every step."""

from __future__ import annotations

import asyncio
import random
from datetime import date, datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.deployment import Mode
from workbench.core.engine import Decision, EngineConfig
from workbench.core.messages import (
    AccountFrozen,
    CancelAsked,
    DayBegan,
    DeploymentChecked,
    Event,
    FillBooked,
    Message,
    Operator,
    OperatorOrdered,
    OrderChangeAsked,
    OrderMoved,
    OrderSubmitted,
    QuoteReceived,
    SignalRaised,
    SnapshotTaken,
    TakeSnapshot,
    TimerBeat,
)
from workbench.core.ports import JournalEntry
from workbench.core.position import PositionState
from workbench.core.signal import SignalValues
from workbench.testing.proof.alerts import Senders
from workbench.testing.proof.belief import Belief
from workbench.testing.proof.disk import Disk
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.market import CALENDAR, CALL, CHARGES, INDEX, SPOT, at, instrument_of, listings, session_of
from workbench.testing.proof.oracle import BrokenPromise, Measures, Oracle, Written, promise
from workbench.testing.proof.process import Eyes, Notices, Process, ToldClock
from workbench.testing.proof.promptness import Promptness
from workbench.testing.proof.rarities import Rarities
from workbench.testing.proof.scenario import Scenario
from workbench.testing.proof.switches import Switches
from workbench.testing.proof.venue import Venue
from workbench.testing.proof.wire import MarketLine

ABOUT_ORDERS = OrderSubmitted | OrderChangeAsked | CancelAsked | FillBooked | OrderMoved
COMMANDS_A_SECOND = 60
STEPS_A_SECOND = 300
UNHEARD_AT_MOST = timedelta(seconds=15)
"""Market time from a start to the first look that could be read; the seconds of a bare position begin anew with it."""


class Day:
    """One day; `run` raises BrokenPromise with what the oracle saw.

    Parameters
    ----------
    scenario : Scenario
    verbose : bool
        Keep a log of all that happens.
    """

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        self.scenario, self.verbose = scenario, verbose
        self.rng = random.Random(f"day {scenario.seed}")
        self.clock = ToldClock(at("10:13:00"))  # an hour of bars ends on the way
        self.config = EngineConfig(
            account_id="proof",
            mode=Mode.PAPER,
            deployments=scenario.deployments,
            calendar=CALENDAR,
            listings=listings(),
            charges=CHARGES,
            limits=scenario.limits,
        )
        self.venue = self._venue()
        self.disk, self.notices, self.written = Disk(), Notices(), Written()
        self.oracle, self.senders = Oracle(self.venue), Senders(self.rng)
        self.gates = Gatekeeper(self.config)
        self.promptness = Promptness(self.venue, self.gates)
        self.belief = Belief(self.venue, self.gates)
        self.rarities = Rarities(scenario.seed, self.venue, is_night=scenario.is_night)
        self.switches = Switches(scenario.seed, [each.name for each in scenario.deployments])
        self.line = MarketLine(
            scenario.seed,
            scenario.faults.bad_tick,
            instrument=instrument_of,
            market_now=self.clock.now,
            monotonic=self.clock.monotonic,
        )
        self.log: list[str] = []
        self._folded = 0
        self._orders_seen = 0
        self._deaths = list(scenario.deaths)
        self.dying = ""
        self._asked = 0
        self._broken: BrokenPromise | None = None
        self._raised: SignalRaised | None = None
        self._recovering: int | None = None
        self._unheard_since: datetime | None = None
        self._armed_told: dict[str, bool] = {}
        self.process = self._life()

    @property
    def now(self) -> datetime:
        """Market time."""
        return self.clock.time

    @property
    def book(self) -> Book:
        """The engine's book, to be compared only."""
        return self.process.runner.engine.book

    @property
    def measures(self) -> Measures:
        """What the day came to."""
        self.oracle.measures.orders = len(self.venue.sent)
        return self.oracle.measures

    # --- the day -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Trade, then square off, then look at what is left."""
        await self.begin(self.now.date())
        for _ in range(self.scenario.seconds):
            await self.second(trading=True)
        self.rarities.over()
        self.switches.over(self.tell)
        for _ in range(20):
            await self.second(trading=False)
        # Somebody enters shortly before the end, so that there is something to be left.
        self.tell(OperatorOrdered(command=Operator.RESUME))
        for deployment in self.scenario.deployments:
            self.senders.enter(self.process, deployment.name, self.now)
            await self.second(trading=False)
        for _ in range(8):
            await self.second(trading=False)
        if self.rng.random() < 0.5:
            self.tell(OperatorOrdered(command=Operator.HALT))  # what is halted is left all the same
        await self.leave()
        self.end(is_settled=False)

    async def leave(self) -> None:
        """Square off, before the broker does."""
        session = session_of(self.now.date())
        self.go_to(session.square_off_start - timedelta(seconds=5))
        while self.now < session.broker_square_off:
            if self.now == session.square_off_start + timedelta(seconds=60):
                self.weather_clears()
            await self.second(trading=False)

    async def begin(self, day: date) -> None:
        """Start the first life."""
        self.process.runner.start(asyncio.get_running_loop())
        self.tell(DayBegan(day=day))
        self.process.lanes.look(TakeSnapshot(reason="start-up"))
        await self.settle()

    def unheard(self) -> None:
        """What is held waits for the broker's word from now on, as after a start."""
        self._unheard_since = self.now

    async def hear(self) -> None:
        """One beat before anything happens, by which the engine knows that it is awake; nothing is drawn."""
        self.tell(TimerBeat())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def weather_clears(self) -> None:
        """Let the broker answer, so that what is still held can be left."""
        faults = self.scenario.faults
        self.venue.faults = Faults(delay_s=faults.delay_s, partial=faults.partial, unknown=0.0)

    def go_to(self, moment: datetime) -> None:
        """Jump over an idle time."""
        self.promptness.disturbed()
        self.belief.disturbed()
        self.clock.time = self.venue.now = moment
        self.process.watch.saw_quote(self.clock.monotonic())

    async def second(self, *, trading: bool) -> None:
        """One market second."""
        self.clock.time += timedelta(seconds=1)
        self._asked, alarms = 0, self.notices.alarms
        quotes = self.venue.quotes()
        arrived = self.venue.step(self.now)
        is_up = not (self.venue.is_silent and self.scenario.seed % 2)
        if self.process.watch.connected is not is_up:
            # In every other silence the connection itself is lost, which is known at once.
            self.process.watch.feed_state(is_up, "" if is_up else "connection lost")
        if not self.venue.is_silent:
            self.process.watch.saw_quote(self.clock.monotonic())
            spot = self.spot()
            for quote in self.line.carried((Quote(INDEX.key, self.now, spot, spot, spot), *quotes)):
                self.tell(QuoteReceived(quote=quote))
        for message in arrived:
            self.tell(message)
        self.oracle.step()
        if trading:
            self._people()
        self._feed_and_bars()
        self.tell(TimerBeat())
        if self.now.second % 10 == 0:
            # The schedule polls: an update that was lost is found (fault S1).
            self.process.lanes.look(TakeSnapshot(reason="poll"))
        await self.settle()
        self.senders.settle(self.now + timedelta(seconds=5))
        trades = session_of(self.now.date()).contains(self.now)
        # After a start nothing is placed or changed before the broker was read, and its clocks begin with that word.
        since = self._unheard_since
        self.oracle.is_unheard = since is not None and self.now - since <= UNHEARD_AT_MOST
        self.oracle.second(self.book, alarm_now=self.notices.alarms > alarms, trades=trades)
        self.promptness.second(trades=trades)
        self.belief.second(trades=trades)
        self._recovered()

    async def beat(self) -> None:
        """One beat outside of the hours."""
        for message in self.venue.arrivals():
            self.tell(message)
        self.tell(TimerBeat())
        await self.settle()

    async def settle(self) -> None:
        """Let everything come to rest that can in this second, judged step by step."""
        is_slow = self.rng.random() < self.scenario.slow_disk
        for _ in range(STEPS_A_SECOND):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if self._broken is not None:
                raise self._broken
            if self.dying:
                await self.die()
                continue
            process, moved = self.process, False
            if not is_slow and process.journal.sync():
                self._fold()
                moved = True
                process.journal.tell()
            while process.lanes.leaving:
                moved = True
                self._leaves()
            for message in self.venue.arrivals():
                moved = True
                self.tell(message)
            self.oracle.step()
            if not moved and not process.runner.waiting and not self.dying:
                return
        promise(False, "I7", "messages and commands without end in one second")

    def _leaves(self) -> None:
        asked = self.process.lanes.leaving.popleft()
        self._asked += 1
        self._note(">>", asked)
        promise(self._asked <= COMMANDS_A_SECOND, "I7", "requests without end in one second")
        self.oracle.leaves(asked, self.written)
        self.venue.take(asked)

    def tell(self, message: Message) -> None:
        """Hand a message to the runner."""
        if isinstance(message, SnapshotTaken) and message.known:
            self._unheard_since = None
        self.process.runner.enqueue(message)

    def spot(self) -> Decimal:
        """The index goes with the call, as far as the strike stays the one at the money."""
        return SPOT + max(Decimal(-35), min(Decimal(12), self.venue.prices[CALL.key] - 120))

    # --- people and schedule -------------------------------------------------------------------------------------

    def _people(self) -> None:
        rng, scenario = self.rng, self.scenario
        if self.book.halted and rng.random() < 0.2:
            self.tell(OperatorOrdered(command=Operator.RESUME))
        if self.book.frozen and rng.random() < 0.05:
            self.tell(OperatorOrdered(command=Operator.UNFREEZE))
        if rng.random() < scenario.alerts:
            name = rng.choice(scenario.deployments).name
            self.senders.send(self.process, name, self.now, forged=rng.random() < 0.1)
        self.senders.again(self.process, self.now)
        if rng.random() < 0.01:
            self.tell(OperatorOrdered(command=rng.choice([Operator.HALT, Operator.FLATTEN, Operator.CLOSE])))
        if rng.random() < self.venue.faults.by_hand:
            self._note("--", f"by hand: {self.venue.traded_by_hand()}")
        self.switches.second(self.tell)
        rare = self.rarities.second(self.tell)
        if rare:
            self._note("--", rare)

    def _feed_and_bars(self) -> None:
        """Judge the feed as the schedule does; raise signals as the signal source does."""
        judged = self.process.watch.judge(market_open=True)
        if judged is not None:
            self.tell(judged)
        for deployment in self.scenario.deployments:
            if deployment.strategy is None:
                continue
            known = self._armed_told.get(deployment.name)
            armed = known if known is not None and self.rng.random() < 0.98 else self.rng.random() < 0.8
            if armed is not known:
                self._armed_told[deployment.name] = armed
                self.tell(DeploymentChecked(deployment=deployment.name, armed=armed, reason="too few bars"))
            if self.rng.random() < self.scenario.signals:
                self.tell(self._signal(deployment.name))

    def _signal(self, name: str) -> SignalRaised:
        rng = self.rng
        age = timedelta(seconds=rng.choice([0, 0, 0, 50, 90, 400]))
        entry, exits = rng.choice(["long", "short", ""]), rng.choice(["long", "short", "", ""])
        values = SignalValues(
            long_entry=entry == "long",
            short_entry=entry == "short",
            long_exit=exits == "long",
            short_exit=exits == "short",
        )
        previous = values if rng.random() < 0.2 else None
        known_at = self.now - age
        raised = SignalRaised(
            deployment=name,
            bar_time=known_at - timedelta(minutes=1),
            known_at=known_at,
            values=values,
            previous=previous,
            strategy_hash="proof",
            close=self.spot(),
        )
        # A signal source that starts anew may raise the newest bar once more.
        self._raised = raised if self._raised is None or rng.random() < 0.7 else self._raised
        return self._raised

    # --- lives ---------------------------------------------------------------------------------------------------

    def _venue(self) -> Venue:
        return Venue(self.rng, self.scenario.faults, self.clock.time, self.clock.time, self.scenario.funds)

    def _life(self) -> Process:
        life: list[Process] = []

        def is_mine() -> bool:
            return not life or life[0] is self.process

        def on_entry(entry: JournalEntry) -> None:
            if is_mine():
                self._written_down(entry)

        def on_decision(message: Message, decision: Decision) -> None:
            if is_mine():
                self._decided(message, decision)

        def on_quote(quote: Quote) -> None:
            if is_mine():
                self.gates.saw(quote)
                self.promptness.saw(quote)
                self.belief.saw(quote)

        process = Process(
            self.config,
            disk=self.disk,
            clock=self.clock,
            notices=self.notices,
            eyes=Eyes(on_entry, on_decision, on_quote),
        )
        life.append(process)
        return process

    def _written_down(self, entry: JournalEntry) -> None:
        try:
            self.gates.take(entry)
            self.promptness.take(entry)
            self.belief.take(entry)
            if any(isinstance(event, AccountFrozen) for event in entry.events):
                self.oracle.frozen(self.book)
        except BrokenPromise as broken:
            # Told to the driver and not to the runner, which would take it for a broken disk.
            self._broken = self._broken or broken
        if not any(isinstance(event, ABOUT_ORDERS) for event in entry.events):
            return
        self._orders_seen += 1
        if self._deaths and self._deaths[0].count <= self._orders_seen:
            self.dying = self._deaths.pop(0).stage

    def _decided(self, message: Message, decision: Decision) -> None:
        if not isinstance(message, QuoteReceived | TimerBeat) or decision.events or decision.commands:
            self._note("<<", message)
        for event in decision.events:
            self._note("  ", event)

    def _fold(self) -> None:
        for entry in self.disk.read(self._folded):
            self.written.take(entry)
        self._folded = len(self.disk.entries)

    async def die(self) -> None:
        """Kill the process where the scenario says so, and start it again from the disk."""
        stage, self.dying = self.dying, ""
        process = self.process
        lost = process.journal.waiting
        if stage == "appended" and lost > 1:
            process.journal.sync(self.rng.randrange(lost))  # a group commit that the death has cut
        elif stage != "appended":
            process.journal.sync()
        self._fold()
        if stage in ("told", "sent"):
            process.journal.tell()
        while stage == "sent" and process.lanes.leaving:
            self._leaves()
        lost = process.journal.waiting
        self._note("--", f"killed, {stage}, {lost} entries lost")
        self.senders.line_dead()
        self.venue.line_dead()
        before = process.runner.engine.book
        self.process = self._life()
        process.runner.stop("killed")
        self.oracle.measures.restarts += 1
        if not lost:
            promise(self.book == before, "I8", "recovery gave another book than the one that died")
        self._same_as_journal()
        self.gates.again(self.disk.read())
        self.promptness.again(self.disk.read())
        self.belief.disturbed()
        self._recovering, self._unheard_since = 0, self.now
        await self.begin_again()

    async def begin_again(self) -> None:
        """Start a further life, as start-up does."""
        self.process.runner.start(asyncio.get_running_loop())
        self.tell(DayBegan(day=self.book.day or self.now.date()))
        self.process.lanes.look(TakeSnapshot(reason="start-up"))

    def _same_as_journal(self) -> None:
        again = Book()
        again.apply_all(self._todays_events())
        promise(again == self.book, "I8", "the journal does not give the book")

    def _todays_events(self) -> list[Event]:
        return [event for entry in self.disk.read(self.disk.opened) for event in entry.events]

    def _recovered(self) -> None:
        """Count the market seconds from a start until everything held is protected or being left."""
        if self._recovering is None or self.venue.is_cut:
            return  # without a line nothing can be recovered: these seconds do not count
        live = [each for each in self.venue.position_ids() if self.venue.held(each)]
        measures = self.oracle.measures
        measures.longest_recovery_s = max(measures.longest_recovery_s, self._recovering)
        self._recovering = self._recovering + 1 if any(each in self.oracle.naked for each in live) else None

    # --- the end -------------------------------------------------------------------------------------------------

    def end(self, *, is_settled: bool) -> None:
        """Judge what is left."""
        self.process.journal.sync()
        faults = self.process.runner.faults
        promise(not faults, "I8", f"the engine broke: {faults[:1]}")
        promise(not self.process.runner.stopped_because, "I8", f"stopped: {self.process.runner.stopped_because}")
        self.oracle.end(self.book, is_settled=is_settled)
        self._same_as_journal()
        self.senders.judge(self.disk.read())

    def of(self, state: PositionState) -> list[str]:
        """Positions in a state."""
        return [each.position_id for each in self.book.live_positions() if each.state is state]

    def _note(self, mark: str, what: object) -> None:
        if self.verbose:
            self.log.append(f"{self.now:%H:%M:%S} {mark} {what}")
