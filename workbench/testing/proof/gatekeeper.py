"""What the journal says was told, kept for the rules of the gates (`gate_rules`), which judge every entry by it (I7).

It reads the journal as it is written: the messages that went in, and the events that came out.

Invariant: it never looks into the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Interval, Quote
from workbench.core.deployment import Deployment
from workbench.core.engine import EngineConfig
from workbench.core.messages import (
    AccountFrozen,
    AccountUnfrozen,
    AlertReceived,
    DayOpened,
    DeploymentChecked,
    EntryFailed,
    Event,
    ExitBegan,
    FeedChecked,
    FillBooked,
    FilledByHand,
    FundsSeen,
    LeftToExpire,
    Message,
    Operator,
    OperatorOrdered,
    OrderSubmitted,
    PositionClosed,
    PositionPlanned,
    ProtectionChanged,
    QuoteReceived,
    SignalRaised,
    StructurePlanned,
    SwitchTurned,
)
from workbench.core.order import Purpose
from workbench.core.ports import JournalEntry

AGAINST_US = frozenset({"stop", "trail", "lock", "gap", "underlying_stop", "strike", "hourly_close"})
"""Reasons of positions that left because the market went against them."""


@dataclass(slots=True)
class Asked:
    """A signal or alert that came."""

    at: datetime | None
    max_age: timedelta
    is_signal: bool
    price: Decimal | None = None


@dataclass(slots=True)
class Held:
    """A position by the journal's words: what was planned, what is held of it, why and when it was left.

    `is_bare` from the moment its stop was told to be gone until one rests at the broker again. `is_by_hand` where a
    person has left some of it: `units` and `flow` are of our own orders alone.
    """

    plan: PositionPlanned
    units: int = 0
    entered: int = 0
    value: Decimal = Decimal(0)
    flow: Decimal = Decimal(0)
    is_live: bool = True
    exit_reason: str = ""
    closed_at: datetime | None = None
    net: Decimal = Decimal(0)
    is_bare: bool = False
    is_by_hand: bool = False

    @property
    def entry(self) -> str:
        """The entry that it came of."""
        return self.plan.group or self.plan.position_id

    @property
    def premium(self) -> Decimal:
        """Rupees that were paid for what is held now: at the average of its fills."""
        return self.value / self.entered * self.units if self.entered else Decimal(0)


@dataclass(slots=True)
class Told:
    """What the journal says up to now."""

    halted: bool = False
    by_person: bool = False
    switched_off: set[str] = field(default_factory=set)
    frozen: bool = False
    alive: bool = True
    funds: Decimal | None = None
    armed: dict[str, bool] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    sides: dict[str, tuple[int, bool]] = field(default_factory=dict)
    entries_at: list[tuple[datetime, str]] = field(default_factory=list)
    entered: set[str] = field(default_factory=set)
    structures: dict[str, StructurePlanned] = field(default_factory=dict)

    def live_of(self, deployment: str) -> list[Held]:
        """Positions of a deployment that are held or may come to be."""
        return [each for each in self.held.values() if each.is_live and each.plan.deployment == deployment]


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry that was let through, with the last quotes of its contract and of its underlying."""

    plan: PositionPlanned
    deployment: Deployment
    now: datetime
    quote: Quote | None
    spot: Quote | None


class Gatekeeper:
    """Reads the journal along.

    Parameters
    ----------
    config : EngineConfig
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.told = Told()
        self._quotes: dict[str, Quote] = {}

    def saw(self, quote: Quote) -> None:
        """Note a quote that led to nothing and so does not go to the journal."""
        if quote.last > 0:
            self._quotes[quote.key] = quote

    def take(self, entry: JournalEntry) -> list[Entered]:
        """Read one entry as it is written; gives the entries that it let through, each judged before it is counted."""
        if entry.message is not None:
            self._heard(entry.message)
        found = []
        for event in entry.events:
            if isinstance(event, PositionPlanned) and event.at == entry.now:
                entered = self._entered(event, entry.now)
                self.judge(entered)
                found.append(entered)
            self._happened(event, entry.now)
        return found

    def judge(self, entered: Entered) -> None:
        """Hold an entry against every rule; legs of several are one entry."""
        from workbench.testing.proof.gate_rules import judge
        from workbench.testing.proof.structure_gates import judge_legs

        if entered.plan.structure:
            judge_legs(self, entered)
        else:
            judge(self, entered)

    def quote(self, key: str) -> Quote | None:
        """Give the last quote of a contract that the engine heard."""
        return self._quotes.get(key)

    def again(self, entries: Iterable[JournalEntry]) -> None:
        """Begin anew after a death: only what is on the disk was told."""
        self.told = Told()
        for entry in entries:
            if entry.message is not None:
                self._heard(entry.message)
            for event in entry.events:
                self._happened(event, entry.now)

    def _entered(self, plan: PositionPlanned, now: datetime) -> Entered:
        deployment = next(each for each in self.config.deployments if each.name == plan.deployment)
        spot = self._quotes.get(self.config.listings.instruments.index(deployment.symbol).key)
        return Entered(plan, deployment, now, self._quotes.get(plan.instrument.key), spot)

    def _heard(self, message: Message) -> None:
        told = self.told
        match message:
            case QuoteReceived():
                self.saw(message.quote)
            case OperatorOrdered() if message.target and message.command in (Operator.HALT, Operator.RESUME):
                turn = told.switched_off.add if message.command is Operator.HALT else told.switched_off.discard
                turn(message.target)
            case OperatorOrdered():
                if message.command in (Operator.HALT, Operator.FLATTEN):
                    # What the day's loss has halted ends with the day; a person's halt ends with his word only.
                    told.halted = told.by_person = True
                elif message.command is Operator.RESUME:
                    told.halted = told.by_person = False
            case AlertReceived():
                age = timedelta(seconds=self.config.limits.max_alert_age_s)
                told.asked[message.alert_id] = Asked(message.fired_at, age, False, message.price)
            case SignalRaised():
                subject = f"signal:{message.deployment}:{message.bar_time:%Y-%m-%dT%H:%M:%S}"
                deployment = self.config.deployment(message.deployment)
                if deployment is not None:
                    age = Interval.parse(deployment.interval).delta
                    told.asked[subject] = Asked(message.known_at, age, True)
            case DeploymentChecked():
                told.armed[message.deployment] = message.armed
            case FeedChecked():
                told.alive = message.alive
            case _:
                return

    def _happened(self, event: Event, now: datetime) -> None:
        told = self.told
        match event:
            case DayOpened():
                told.held.clear()
                told.entries_at.clear()
                told.entered.clear()
                told.halted = told.by_person
            case SwitchTurned():
                # Nothing but his own word ends what a person has halted.
                told.halted = event.halted or told.by_person
            case AccountFrozen():
                told.frozen = True
            case AccountUnfrozen():
                told.frozen = False
            case FundsSeen():
                told.funds = event.available
            case OrderSubmitted():
                ticket = event.ticket
                is_entry = ticket.purpose is Purpose.ENTRY
                told.sides[ticket.correlation_id] = ticket.side.sign, is_entry
                if is_entry and event.at == now:
                    told.entries_at.append((now, ticket.deployment))
            case _:
                self._moved(event)

    def _moved(self, event: Event) -> None:
        told = self.told
        match event:
            case StructurePlanned():
                told.structures[event.structure_id] = event
            case PositionPlanned():
                told.held[event.position_id] = Held(event)
                if not event.group:
                    told.entered.add(event.subject)
            case ProtectionChanged():
                # On its way is not there: only what rests makes it whole again.
                if event.protection != "pending" and event.position_id in told.held:
                    told.held[event.position_id].is_bare = event.protection == "none"
            case ExitBegan():
                told.held[event.position_id].exit_reason = event.reason
            case PositionClosed():
                held = told.held[event.position_id]
                held.is_live, held.exit_reason, held.closed_at, held.net = False, event.reason, event.at, event.net
            case EntryFailed() | LeftToExpire():
                told.held[event.position_id].is_live = False
            case FilledByHand():
                told.held[event.position_id].is_by_hand = True
            case FillBooked():
                held = told.held[event.position_id]
                sign, is_entry = told.sides[event.correlation_id]
                held.is_live, held.closed_at = True, None
                held.units += sign * held.plan.side.sign * event.quantity
                held.flow -= sign * event.quantity * event.price
                held.entered += event.quantity * is_entry
                held.value += event.price * event.quantity * is_entry
            case _:
                return
