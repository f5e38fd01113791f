"""A day of plans of several legs by seed, at the engine's door; an oracle looks for sold legs without their cover."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

from tests.unit.core.builders import DAY, INDEX_KEY, LIMITS, SCALP, SPOT, at, config, option
from tests.unit.core.legs_stand import deployment_of, premium_of
from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.engine import Engine
from workbench.core.instrument import Right, Segment
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    CancelOrder,
    ChainQuote,
    ChainRead,
    Command,
    DayBegan,
    DecisionMade,
    Event,
    ExitBegan,
    Level,
    MarginRead,
    Message,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    PlaceOrder,
    QuoteReceived,
    ReadChain,
    ReadMargin,
    SnapshotTaken,
    StructureLeft,
    StructurePlanned,
    StructureStood,
    TakeSnapshot,
    TimerBeat,
)
from workbench.core.order import Purpose
from workbench.core.plan import NAMED_PLANS, OnOpposite, Plan, plan_from_mapping
from workbench.core.position import Position, PositionState
from workbench.core.signal import Side
from workbench.core.structure import Structure
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.venue import Venue

ACTIONS = [AlertAction.BULLISH, AlertAction.BEARISH, AlertAction.OPEN_CALL, AlertAction.CLOSE_PUT]
ACTIONS += [AlertAction.TARGET_LONG, AlertAction.TARGET_SHORT, AlertAction.TARGET_FLAT]
STRIKES = range(15500, 15901, 50)
COMMANDS_A_SECOND = 60
NAKED_AT_MOST_S = 10
ALARMED_AT_MOST_S = 90


def faults_of(rng: random.Random) -> Faults:
    """Some weather, from calm to foul."""
    foul = rng.choice([0.0, 0.05, 0.15])
    return Faults(
        rejected=foul * rng.random(),
        not_sent=foul * rng.random(),
        throttled=foul * rng.random(),
        unknown=foul * rng.random(),
        lost_update=foul * rng.random() * 2,
        doubled_update=foul * 2,
        partial=rng.choice([0.0, 0.5]),
        blind_snapshot=foul,
        delay_s=rng.choice([0.0, 0.3, 2.5]),
        lag_s=rng.choice([0.0, 3.0]) if foul else 0.0,
        gap=rng.choice([0.0, 0.01]),
    )


def legs_plan_of(rng: random.Random) -> Plan:
    """Some plan of several legs, exits of all kinds mixed."""
    name = rng.choice(["straddle", "strangle", "credit_spread", "hedged_sell", "condor", "long_straddle", "near"])
    combined: dict[str, Any] = {}
    if rng.random() < 0.8:
        combined["stop"] = rng.choice(["15%", "40%", 1500])
    if rng.random() < 0.8:
        combined["target"] = rng.choice(["10%", "50%", 800])
    if rng.random() < 0.4:
        combined["lock"] = {"after": rng.choice([200, "5%"]), "keep": "60%"}
    bodies: dict[str, list[dict[str, Any]]] = {
        "condor": [
            {"side": "sell", "right": "CE", "strike": "OTM1", "exits": {"stop": rng.choice(["30%", "90%"])}},
            {"side": "sell", "right": "PE", "strike": "OTM1"},
            {"side": "buy", "right": "CE", "strike": "OTM3"},
            {"side": "buy", "right": "PE", "strike": "OTM3"},
        ],
        "long_straddle": [
            {"right": "CE", "exits": {"stop": 15}},
            {"right": "PE", "exits": {"stop": "10%", "trail": 6}},
        ],
        "near": [
            {"side": "sell", "right": "against", "strike": "delta_near 0.45", "exits": {"stop": "30%"}},
            {"side": "buy", "right": "against", "strike": "premium_near 60"},
        ],
    }
    if name in bodies:
        plan = plan_from_mapping({"name": name, "legs": bodies[name], "combined": combined})
    else:
        plan = NAMED_PLANS[name]
        if combined:
            plan = replace(plan, combined=plan_from_mapping({"combined": combined}).combined)
    return replace(plan, lots=rng.choice([1, 2, 3]), on_opposite=rng.choice(list(OnOpposite)), no_entry_after=time(15))


class ChainVenue(Venue):
    """The venue with all options of the expiry, which also answers questions."""

    def answer(self, message: Message) -> None:
        """Let an answer come as late as all others."""
        self._later(message, "out")


class LegsDay:
    """One day by seed; `run` raises AssertionError with what the oracle saw."""

    def __init__(self, seed: int, seconds: int = 200) -> None:
        rng = self.rng = random.Random(f"legs {seed}")
        self.seconds, self.plan, self.faults = seconds, legs_plan_of(rng), faults_of(rng)
        self.now = at("10:13:00")
        limits = replace(LIMITS, capital=Decimal(10_000_000), max_daily_loss=Decimal(rng.choice([2_000, 500_000])))
        self.config = config(deployment_of(self.plan), limits=limits)
        self.engine = Engine(self.config)
        self.venue = ChainVenue(rng, self.faults, self.now, self.now)
        self.venue.prices = {
            option(strike, right).key: premium_of(strike, right) for strike in STRIKES for right in Right
        }
        self.silent, self.short_of_margin = rng.choice([0.0, 0.0, 0.1]), rng.choice([0.0, 0.2])
        self.events: list[Event] = []
        self.log: list[str] = []
        self.sent = self.restarts = 0
        self.alerts: list[str] = []
        self.naked: dict[str, int] = {}
        self.alarmed: set[str] = set()
        self.alarm_now = False
        self.stops: dict[str, Decimal] = {}

    # --- driving ------------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """Hand a message to the engine and carry out what it asks."""
        decision = self.engine.handle(message, now=self.now)
        self.events += decision.events
        if not isinstance(message, QuoteReceived | TimerBeat):
            self.log.append(f"{self.now:%H:%M:%S} << {message}")
        self.log += [f"{self.now:%H:%M:%S}    {event}" for event in decision.events]
        for command in decision.commands:
            self._command(command)

    def _command(self, command: Command) -> None:
        self.log.append(f"{self.now:%H:%M:%S} >> {command}")
        match command:
            case Notify():
                self.alarm_now = self.alarm_now or command.level is Level.ALARM
            case PlaceOrder() | ModifyOrder() | CancelOrder() | TakeSnapshot():
                if isinstance(command, PlaceOrder):
                    self._is_covered_first(command)
                self.sent += 1
                self.venue.take(command)
            case ReadChain() | ReadMargin():
                if self.rng.random() >= self.silent:
                    self.venue.answer(self._answer(command))
            case _:
                pass
        assert self.sent <= COMMANDS_A_SECOND, "commands without end in one second"

    def run(self) -> None:
        """Trade, then square off, then look at what is left."""
        self.tell(DayBegan(day=self.now.date()))
        self.tell(SnapshotTaken(taken_at=self.now, available_funds=Decimal(500_000)))
        for second in range(self.seconds + 20):
            self.second(trading=second < self.seconds)
        session = self.config.calendar.session(Segment.NSE_FNO, DAY)
        assert session is not None
        self.now = self.venue.now = session.square_off_start - timedelta(seconds=5)
        while self.now < session.broker_square_off:
            if self.now == session.square_off_start + timedelta(seconds=60):
                self.venue.faults = Faults(delay_s=self.faults.delay_s, partial=self.faults.partial)
            self.second(trading=False)
        self.quiet()

    def second(self, *, trading: bool) -> None:
        """One market second."""
        self.now += timedelta(seconds=1)
        self.sent, self.alarm_now = 0, False
        self.tell(QuoteReceived(quote=Quote(INDEX_KEY, self.now, SPOT, SPOT, SPOT)))
        for quote in self.venue.quotes():
            self.tell(QuoteReceived(quote=quote))
        for message in self.venue.step(self.now):
            self.tell(message)
            self.nothing_naked()
        if trading:
            self._somebody_asks()
        self.tell(TimerBeat())
        for _ in range(200):
            messages = self.venue.arrivals()
            for message in messages:
                self.tell(message)
                self.nothing_naked()
            if not messages:
                break
        if self.now.second % 10 == 0:
            self.venue.take(TakeSnapshot(reason="poll"))
        self.oracle()
        if trading and self.rng.random() < 0.01:
            self.restart()

    def _somebody_asks(self) -> None:
        if self.rng.random() < 0.08:
            self.alerts.append(f"a{len(self.alerts)}")
            alert = AlertReceived(
                alert_id=self.alerts[-1],
                deployment=SCALP,
                action=self.rng.choice(ACTIONS),
                symbol="NIFTY",
                received_at=self.now,
                fired_at=self.now,
            )
            self.tell(alert)
        if self.rng.random() < 0.01:
            self.tell(OperatorOrdered(command=self.rng.choice([Operator.HALT, Operator.FLATTEN, Operator.CLOSE])))
        if self.engine.book.halted and self.rng.random() < 0.2:
            self.tell(OperatorOrdered(command=Operator.RESUME))

    def restart(self) -> None:
        """Kill the process and start it again: the book must come back from the journal."""
        self.log.append(f"{self.now:%H:%M:%S} -- restart")
        self.restarts += 1
        self.venue.line_dead()
        fresh = Engine(self.config)
        fresh.recover(decode(encode(event)) for event in self.events)
        assert fresh.book == self.engine.book, "recovery gave another book"
        self.engine = fresh
        self.tell(DayBegan(day=self.now.date()))
        self.venue.take(TakeSnapshot(reason="start-up"))

    def _answer(self, question: ReadChain | ReadMargin) -> ChainRead | MarginRead:
        if isinstance(question, ReadMargin):
            lacking = self.rng.random() < self.short_of_margin
            return MarginRead(asked_by=question.asked_by, total=Decimal(100), available=Decimal(50 if lacking else 900))
        rows = tuple(
            ChainQuote(
                strike=Decimal(strike),
                right=right,
                bid=max(Decimal(0), self.venue.prices[option(strike, right).key] - Decimal("0.05")),
                ask=self.venue.prices[option(strike, right).key] + Decimal("0.05"),
                delta=Decimal("0.5") - Decimal(abs(strike - 15700)) / 2000,
            )
            for strike in STRIKES
            for right in Right
        )
        return ChainRead(asked_by=question.asked_by, symbol="NIFTY", expiry=question.expiry, rows=rows)

    # --- the oracle ---------------------------------------------------------------------------------------------

    def oracle(self) -> None:
        """Hold the venue's truth against the promises, once a second."""
        names = Counter(each.intent_id for each in self.venue.sent if each.purpose is Purpose.ENTRY)
        assert all(count == 1 for count in names.values()), f"I2: an entry was sent twice: {names}"
        for position_id in self.venue.position_ids():
            held = self.venue.held(position_id)
            working = sum(each.remaining for each in self.venue.resting_exits(position_id))
            assert held >= 0, f"I4: {position_id} is left beyond flat: {held}"
            assert working <= held, f"I4: {working} units rest to leave {held} of {position_id}"
            self._protected(position_id, held, working)
        self._stops_hold(self.engine.book)

    def _protected(self, position_id: str, held: int, working: int) -> None:
        position = self.engine.book.positions[position_id]
        if not held or working or position.stop is None or position.open_quantity < held:
            self.naked.pop(position_id, None)
            self.alarmed.discard(position_id)
            return
        if self.alarm_now:
            self.alarmed.add(position_id)
        seconds = self.naked[position_id] = self.naked.get(position_id, 0) + 1
        is_excused = position.state is PositionState.EXITING or position_id in self.alarmed
        allowed = ALARMED_AT_MOST_S if is_excused else NAKED_AT_MOST_S
        assert seconds <= allowed, f"I5: {position_id} ({position.state}) without any order to leave for {seconds} s"

    def nothing_naked(self) -> None:
        """Look at every structure after a message."""
        for structure in self.engine.book.structures.values():
            self._nothing_naked(structure)

    def _is_covered_first(self, command: PlaceOrder) -> None:
        """A sold leg is sent only once every bought one is held in whole, by the venue's own word."""
        ticket = command.ticket
        if ticket.purpose is not Purpose.ENTRY or ticket.side is Side.BUY:
            return
        structure = self._structure_of(ticket.position_id)
        for leg in structure.plan.legs:
            if leg.side is Side.BUY:
                held = self.venue.held(leg.position_id)
                assert held == leg.quantity, f"{ticket.position_id} is sold and {held} of {leg.quantity} cover it"

    def _structure_of(self, position_id: str) -> Structure:
        return next(each for each in self.engine.book.structures.values() if position_id in each.leg_ids)

    def _nothing_naked(self, structure: Structure) -> None:
        positions = self.engine.book.positions
        for right in Right:
            legs = [leg for leg in structure.plan.legs if leg.instrument.right is right]
            bought = sum(self.venue.held(leg.position_id) for leg in legs if leg.side is Side.BUY)
            sold = [leg for leg in legs if leg.side is Side.SELL]
            if not any(leg.side is Side.BUY for leg in legs) or not sold:
                continue
            units = sum(self.venue.held(leg.position_id) for leg in sold)
            if units <= bought:
                continue
            # Only what our book had given up, and what fills all the same, is without its cover: it is bought back.
            for leg in sold:
                position = positions.get(leg.position_id)
                assert position is None or self._was_given_up(position), f"{leg.position_id} is sold and not covered"

    def _was_given_up(self, position: Position) -> bool:
        if self.engine.book.resting_entry(position.position_id) is not None:
            return False
        entries = [
            each for each in self.engine.book.orders_of(position.position_id) if each.ticket.purpose is Purpose.ENTRY
        ]
        return all(each.state.is_done for each in entries) and position.state in (
            PositionState.FAILED,
            PositionState.EXITING,
            PositionState.CLOSED,
        )

    def _stops_hold(self, book: Book) -> None:
        for position in book.positions.values():
            if position.stop is None or book.resting_entry(position.position_id) is not None:
                continue
            before = self.stops.get(position.position_id, position.stop)
            if position.state is PositionState.OPEN and position.entered_quantity == position.plan.quantity:
                moved = position.side.sign * (position.stop - before)
                assert moved >= 0, f"the stop of {position.position_id} was loosened"
                self.stops[position.position_id] = position.stop

    def quiet(self) -> None:
        """After the square-off: flat, nothing rests, the books agree, every alert has a fate, replay gives the book."""
        book = self.engine.book
        assert not any(self.venue.held(each) for each in self.venue.position_ids()), "not flat at the end"
        resting = [each.order_id for each in self.venue.orders.values() if each.state.may_rest]
        assert not resting, f"orders rest after the end: {resting}"
        assert not book.live_positions(), f"positions live on in the book: {book.live_positions()}"
        open_still = [each for each in book.structures.values() if each.closed is None]
        assert not open_still, f"structures live on: {open_still}"
        ours = {key: units for key, units in book.net_by_instrument().items() if units}
        assert ours == {key: units for key, units in self.venue.net().items() if units}, "I3: the books differ"
        assert not book.frozen, f"frozen for nothing: {book.frozen}"
        for position in book.positions.values():
            # The broker tells averages to four places.
            assert abs(position.gross - self.venue.value_of(position.position_id)) < Decimal("0.2")
        again = Book()
        again.apply_all(self.events)
        assert again == book, "the event log does not give the book"
        told = {each.subject for each in self.events if isinstance(each, DecisionMade)}
        lost = [each for each in self.alerts if each not in told]
        # A wish that waited may die with the process; then only that.
        assert len(lost) <= self.restarts, f"alerts without a fate: {lost}"

    @property
    def exits(self) -> Counter[str]:
        """Reasons for which positions were left."""
        return Counter(each.reason for each in self.events if isinstance(each, ExitBegan))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Structures that were planned, that stood, that were left as a whole."""
        kinds = (StructurePlanned, StructureStood, StructureLeft)
        planned, stood, left = (sum(isinstance(each, kind) for each in self.events) for kind in kinds)
        return planned, stood, left


def run_legs_day(seed: int) -> LegsDay:
    """Run one day; a failure prints the seed and the tail of the log."""
    day = LegsDay(seed)
    try:
        day.run()
    except Exception as error:
        tail = "\n".join(day.log[-80:])
        raise AssertionError(f"seed {seed}: {error}\n{day.plan.name} {day.faults}\n{tail}") from error
    return day
