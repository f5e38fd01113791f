"""A short trading day by seed: the engine, a venue that misbehaves, an oracle that watches the venue's own truth."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tests.simulation.engine.venue import Faults, Venue
from tests.unit.core.builders import CALL, DAY, INDEX_KEY, LIMITS, SCALP, SPOT, at, bracket, config, scalp
from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.engine import Engine
from workbench.core.instrument import Segment
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    Command,
    DayBegan,
    DecisionMade,
    Event,
    ExitBegan,
    Level,
    Message,
    Notify,
    Operator,
    OperatorOrdered,
    QuoteReceived,
    SnapshotTaken,
    TakeSnapshot,
    TimerBeat,
)
from workbench.core.order import Purpose
from workbench.core.plan import Distance, Exits, Lock, Look, Plan, ScaleOut, Trail, Underlying
from workbench.core.position import PositionState

ACTIONS = [
    AlertAction.BULLISH,
    AlertAction.BEARISH,
    AlertAction.OPEN_CALL,
    AlertAction.CLOSE_CALL,
    AlertAction.CLOSE_PUT,
    AlertAction.TARGET_LONG,
    AlertAction.TARGET_SHORT,
    AlertAction.TARGET_FLAT,
]
COMMANDS_A_SECOND = 40
NAKED_AT_MOST_S = 10
ALARMED_AT_MOST_S = 90


def points(value: str | int) -> Distance:
    """A distance in rupees."""
    return Distance(points=Decimal(value))


def exits_of(rng: random.Random) -> Exits:
    """Some exits, all kinds mixed."""
    step = points(2) if rng.random() < 0.3 else None
    trail = Trail(distance=points(6), step=step) if rng.random() < 0.5 else None
    lock = Lock(after=points(3), keep=Decimal(rng.choice([30, 80]))) if rng.random() < 0.4 else None
    parts = (ScaleOut(at=points(3), lots=1), ScaleOut(at=points(7), share=Decimal(40)))
    watched = None
    if rng.random() < 0.4:
        watched = Underlying(
            stop=points(rng.choice([5, 15])),
            target=points(8) if rng.random() < 0.5 else None,
            trail=Trail(distance=points(6)) if rng.random() < 0.5 else None,
            strike=rng.choice([None, *Look]),
            hourly_close=points(4) if rng.random() < 0.3 else None,
        )
    return bracket(
        rng.choice(["5", "15"]),
        rng.choice(["4", "30"]),
        trail=trail,
        lock=lock,
        underlying=watched,
        scale_out=parts if rng.random() < 0.4 else (),
    )


def plan_of(rng: random.Random) -> Plan:
    """Some plan; forty lots are more than one order may hold."""
    return replace(
        scalp().plan,
        lots=rng.choice([1, 2, 5, 5, 40]),
        exits=exits_of(rng),
        on_opposite=rng.choice(list(type(scalp().plan.on_opposite))),
    )


def faults_of(rng: random.Random) -> Faults:
    """Some weather, from calm to foul."""
    foul = rng.choice([0.0, 0.05, 0.15])
    return Faults(
        rejected=foul * rng.random(),
        not_sent=foul * rng.random(),
        unknown=foul * rng.random(),
        lost_update=foul * rng.random() * 2,
        doubled_update=foul * 2,
        partial=rng.choice([0.0, 0.5]),
        blind_snapshot=foul,
        delay_s=rng.choice([0.0, 0.3, 2.5]),
        lag_s=rng.choice([0.0, 3.0]) if foul else 0.0,
        gap=rng.choice([0.0, 0.01]),
    )


class Day:
    """One day by seed; `run` raises AssertionError with what the oracle saw."""

    def __init__(
        self, seed: int, seconds: int = 240, *, plan: Plan | None = None, faults: Faults | None = None
    ) -> None:
        self.rng = random.Random(seed)
        self.seconds = seconds
        self.plan = plan or plan_of(self.rng)
        self.faults = faults or faults_of(self.rng)
        self.now = at("10:13:00")  # an hour ends on the way
        self.config = config(
            replace(scalp(), plan=self.plan),
            limits=replace(
                LIMITS,
                capital=Decimal(10_000_000),
                max_daily_loss=Decimal(self.rng.choice([2_000, 500_000])),
            ),
        )
        self.engine = Engine(self.config)
        self.venue = Venue(self.rng, self.faults, self.now)
        self.events: list[Event] = []
        self.log: list[str] = []
        self.sent = 0
        self.restarts = 0
        self.alerts: list[str] = []
        self.naked: dict[str, int] = {}
        self.unseen: dict[str, int] = {}
        self.alarmed: set[str] = set()
        self.alarm_now = False
        self.stops: dict[str, Decimal] = {}

    # --- driving ------------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        decision = self.engine.handle(message, now=self.now)
        self.events += decision.events
        if not isinstance(message, QuoteReceived | TimerBeat):
            self.log.append(f"{self.now:%H:%M:%S} << {message}")
        self.log += [f"{self.now:%H:%M:%S}    {event}" for event in decision.events]
        for command in decision.commands:
            self._command(command)

    def _command(self, command: Command) -> None:
        self.log.append(f"{self.now:%H:%M:%S} >> {command}")
        if isinstance(command, Notify):
            self.alarm_now = self.alarm_now or command.level is Level.ALARM
        self.sent += 1
        assert self.sent <= COMMANDS_A_SECOND, "commands without end in one second"
        self.venue.carry_out(command)

    def run(self) -> None:
        """Trade, then square off, then look at what is left."""
        self.tell(DayBegan(day=self.now.date()))
        self.tell(SnapshotTaken(taken_at=self.now, available_funds=Decimal(500_000)))
        for _ in range(self.seconds):
            self.second(trading=True)
        session = self.config.calendar.session(Segment.NSE_FNO, DAY)
        assert session is not None
        for _ in range(20):
            self.second(trading=False)
        self.now = self.venue.now = session.square_off_start - timedelta(seconds=5)
        while self.now < session.broker_square_off:
            if self.now == session.square_off_start + timedelta(seconds=60):
                self.venue.faults = replace(self.faults, rejected=0, not_sent=0, unknown=0, lost_update=0)
            self.second(trading=False)
        self.quiet()

    def second(self, *, trading: bool) -> None:
        """One market second."""
        self.now += timedelta(seconds=1)
        self.sent, self.alarm_now = 0, False
        spot = self.spot()
        self.tell(QuoteReceived(quote=Quote(INDEX_KEY, self.now, spot, spot, spot)))
        for quote in self.venue.quotes():
            self.tell(QuoteReceived(quote=quote))
        for message in self.venue.step(self.now):
            self.tell(message)
        if trading:
            self._somebody_asks()
        self.tell(TimerBeat())
        for _ in range(200):
            messages = self.venue.arrivals()
            if not messages:
                break
            for message in messages:
                self.tell(message)
        if self.now.second % 10 == 0:
            # The runner polls: an update that was lost is found (fault S1).
            self.venue.carry_out(TakeSnapshot(reason="poll"))
        self.oracle()
        if trading and self.rng.random() < 0.01:
            self.restart()

    def spot(self) -> Decimal:
        """The index goes with the call, as far as the strike stays the one at the money."""
        return SPOT + max(Decimal(-35), min(Decimal(12), self.venue.prices[CALL.key] - 120))

    def _somebody_asks(self) -> None:
        if self.rng.random() < 0.08:
            self.ask(self.rng.choice(ACTIONS))
        if self.rng.random() < 0.01:
            order = self.rng.choice([Operator.HALT, Operator.FLATTEN, Operator.CLOSE])
            self.tell(OperatorOrdered(command=order))
        if self.engine.book.halted and self.rng.random() < 0.2:
            self.tell(OperatorOrdered(command=Operator.RESUME))

    def ask(self, action: AlertAction) -> None:
        """Let an alert come."""
        alert_id = f"a{len(self.alerts)}"
        self.alerts.append(alert_id)
        self.tell(
            AlertReceived(
                alert_id=alert_id,
                deployment=SCALP,
                action=action,
                symbol="NIFTY",
                received_at=self.now,
                fired_at=self.now,
            )
        )

    def restart(self) -> None:
        """Kill the process and start it again: the book must come back from the journal, equal to the paisa."""
        self.log.append(f"{self.now:%H:%M:%S} -- restart")
        self.restarts += 1
        self.venue.line_dead()
        fresh = Engine(self.config)
        fresh.recover(decode(encode(event)) for event in self.events)
        assert fresh.book == self.engine.book, "recovery gave another book"
        self.engine = fresh
        self.tell(DayBegan(day=self.now.date()))
        self.venue.carry_out(TakeSnapshot(reason="start-up"))

    # --- the oracle ---------------------------------------------------------------------------------------------

    def oracle(self) -> None:
        """Hold the venue's truth against the promises."""
        intents = Counter(each.intent_id for each in self.venue.sent if each.purpose is Purpose.ENTRY)
        assert all(count == 1 for count in intents.values()), f"I2: an entry was sent twice: {intents}"
        names = Counter(each.correlation_id for each in self.venue.sent)
        assert all(count == 1 for count in names.values()), f"a correlation id was used twice: {names}"
        for position_id in self.venue.position_ids():
            held, working = self.venue.held(position_id), self.venue.resting_exits(position_id)
            assert held >= 0, f"{position_id} is oversold: {held}"
            assert working <= held, f"I4: {working} units rest to leave {held} of {position_id}"
            self._protected(position_id, held, working)
        self._stops_hold(self.engine.book)

    def _protected(self, position_id: str, held: int, working: int) -> None:
        position = self.engine.book.positions.get(position_id)
        if position is None:
            assert not held and not working, f"{position_id} is held and the book of this day does not know it"
            return
        if not held or working or position.state is PositionState.EXPIRING:
            self.naked.pop(position_id, None)
            self.unseen.pop(position_id, None)
            self.alarmed.discard(position_id)
            return
        if position.open_quantity < held:
            # A fill that nobody told of is found by the poll; from then on it is protected, or loud, or being left.
            self.unseen[position_id] = self.unseen.get(position_id, 0) + 1
            assert self.unseen[position_id] <= ALARMED_AT_MOST_S, f"I3: a fill of {position_id} was never found"
            return
        if position.stop is None:
            return  # the plan has no stop, or none before the trail is armed
        if self.alarm_now:
            self.alarmed.add(position_id)
        seconds = self.naked[position_id] = self.naked.get(position_id, 0) + 1
        is_excused = position.state is PositionState.EXITING or position_id in self.alarmed
        allowed = ALARMED_AT_MOST_S if is_excused else NAKED_AT_MOST_S
        assert seconds <= allowed, f"I5: {position_id} ({position.state}) without any order to leave for {seconds} s"

    def _stops_hold(self, book: Book) -> None:
        for position in book.positions.values():
            if position.stop is None or book.resting_entry(position.position_id) is not None:
                continue
            before = self.stops.get(position.position_id, position.stop)
            if position.state is PositionState.OPEN and position.entered_quantity == position.plan.quantity:
                assert position.stop >= before, f"the stop of {position.position_id} was loosened"
                self.stops[position.position_id] = position.stop

    def quiet(self) -> None:
        """After the square-off: flat, nothing rests, the books agree, every alert has a fate, replay gives the book."""
        book = self.engine.book
        assert not any(self.venue.held(each) for each in self.venue.position_ids()), "not flat at the end"
        resting = [each.order_id for each in self.venue.orders.values() if each.state.may_rest]
        assert not resting, f"orders rest after the end: {resting}"
        assert not book.live_positions(), f"positions live on in the book: {book.live_positions()}"
        ours = {key: units for key, units in book.net_by_instrument().items() if units}
        theirs = {key: units for key, units in self.venue.net().items() if units}
        assert ours == theirs, "I3: our fills and the broker's differ"
        assert not book.frozen, f"frozen for nothing: {book.frozen}"
        self._same_money(book)
        again = Book()
        again.apply_all(self.events)
        assert again == book, "the event log does not give the book"
        told = {each.subject for each in self.events if isinstance(each, DecisionMade)}
        lost = [each for each in self.alerts if each not in told]
        # A wish that waited may die with the process; then only that.
        assert len(lost) <= self.restarts, f"alerts without a fate: {lost}"

    def _same_money(self, book: Book) -> None:
        flow: dict[str, Decimal] = {}
        for each in self.venue.orders.values():
            key = each.ticket.position_id
            flow[key] = flow.get(key, Decimal(0)) - each.ticket.side.sign * each.value
        for position in book.positions.values():
            gross = flow.get(position.position_id, Decimal(0))
            # The broker tells averages to four places.
            assert abs(position.gross - gross) < Decimal("0.2"), f"{position.position_id}: {position.gross} {gross}"

    @property
    def exits(self) -> Counter[str]:
        """Reasons for which positions were left."""
        return Counter(each.reason for each in self.events if isinstance(each, ExitBegan))

    @property
    def orders_sent(self) -> int:
        """Orders that the engine placed."""
        return len(self.venue.sent)


def run_day(seed: int) -> Day:
    """Run one day; a failure prints the seed and the tail of the log."""
    day = Day(seed)
    try:
        day.run()
    except Exception as error:
        tail = "\n".join(day.log[-80:])
        raise AssertionError(f"seed {seed}: {error}\n{day.faults}\n{tail}") from error
    return day
