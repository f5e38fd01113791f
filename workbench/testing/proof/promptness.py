"""What has to happen soon: leaving at target, stop, time and order; the trail; the alarm of a silent feed.

A decision to leave needs prices only, so it is demanded in every weather once the journal knows the fills; what needs
the broker (an order that rests, a stop that trails) is demanded in calm weather, where no write fails and no update is
lost. And nothing may be left for a reason that the market never gave (S6).

Invariant: the engine is not asked; prices, fills and orders are the venue's, reasons are the journal's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.messages import (
    Event,
    ExitBegan,
    FillBooked,
    OperatorOrdered,
    OrderSubmitted,
    PositionPlanned,
    QuoteReceived,
    StopMoved,
)
from workbench.core.messages.inbound import Operator
from workbench.core.order import OrderType, Purpose
from workbench.core.ports import JournalEntry
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.market import TICK
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.trailing import TrailJudge
from workbench.testing.proof.venue import Venue

SOON_S = 8
BARE_S = 9
PASSED_S = 14
MOVED_S = 14
RESTED_S = 25
"""Seconds after a death or a silence in which nothing is demanded at once."""

BY_STOP = frozenset({"stop", "trail", "lock", "gap"})


@dataclass(slots=True)
class Watched:
    """A position that is held at the venue, in seconds that a bound has stood."""

    since: datetime
    low: Decimal
    high: Decimal
    at_target: int = 0
    passed: int = 0
    timed: int = 0
    ordered: int = 0
    bare: int = 0
    short: deque[int] = field(default_factory=lambda: deque(maxlen=SOON_S))
    lossy: int = 0
    behind: int = 0


@dataclass(slots=True)
class Begun:
    """What the journal says of a position: how it is to be left, and what of its entry it knows up to now."""

    plan: PositionPlanned
    entered: int = 0
    paid: Decimal = Decimal(0)
    stop: Decimal | None = None
    stops: tuple[Decimal, ...] = ()
    reason: str = ""
    must_leave: bool = False

    @property
    def average(self) -> Decimal:
        """Average price of what is known of the entry."""
        return self.paid / self.entered if self.entered else Decimal(0)


@dataclass(slots=True)
class Promptness:
    """Watches the time between a cause and its effect.

    Parameters
    ----------
    venue : Venue
    keeper : Gatekeeper
    """

    venue: Venue
    keeper: Gatekeeper
    positions: dict[str, Begun] = field(default_factory=dict)
    watched: dict[str, Watched] = field(default_factory=dict)
    rested: int = 0
    silent: int = 0
    entries: set[str] = field(default_factory=set)
    trails: TrailJudge = field(default_factory=TrailJudge)

    def saw(self, quote: Quote) -> None:
        """Note a quote that was told: what the line held back moves no trail."""
        if quote.last > 0:
            self.trails.saw(quote)

    def take(self, entry: JournalEntry) -> None:
        """Read one entry of the journal as it is written."""
        if isinstance(entry.message, QuoteReceived):
            self.saw(entry.message.quote)
        for event in entry.events:
            self._happened(event)
            self.trails.happened(event, is_told_again=False)
            if isinstance(event, ExitBegan):
                self._left(event)
        if isinstance(entry.message, OperatorOrdered) and entry.message.command in (Operator.FLATTEN, Operator.CLOSE):
            for position_id in self.watched:
                self.positions[position_id].must_leave = True

    def _happened(self, event: Event) -> None:
        match event:
            case PositionPlanned():
                known = self.positions.setdefault(event.position_id, Begun(event))
                known.entered, known.paid = 0, Decimal(0)  # a new day tells it again, with its fills
            case OrderSubmitted():
                if event.ticket.purpose is Purpose.ENTRY:
                    self.entries.add(event.ticket.correlation_id)
            case FillBooked():
                if event.correlation_id in self.entries:
                    begun = self.positions[event.position_id]
                    begun.entered += event.quantity
                    begun.paid += event.price * event.quantity
            case StopMoved():
                begun = self.positions[event.position_id]
                if event.stop is not None:
                    begun.stop, begun.stops = event.stop, (*begun.stops, event.stop)
            case ExitBegan():
                self.positions[event.position_id].reason = event.reason
            case _:
                pass

    def again(self, entries: Iterable[JournalEntry]) -> None:
        """Begin anew after a death: an id that was lost with it is given again, to another position."""
        self.positions.clear()
        self.entries.clear()
        self.trails = TrailJudge(last=self.trails.last, demands=self.trails.demands)
        for entry in entries:
            for event in entry.events:
                self._happened(event)
                self.trails.happened(event, is_told_again=True)
        self.watched = {name: each for name, each in self.watched.items() if name in self.positions}
        self.disturbed()

    def disturbed(self) -> None:
        """The process died, or time was jumped over: what was known is looked up again first."""
        self.rested = self.silent = 0
        self.trails.forget()
        for each in self.watched.values():
            each.at_target = each.passed = each.timed = each.ordered = each.bare = each.lossy = each.behind = 0
            each.short.clear()
        # What was only in memory is not in the journal: an order of a person may be lost with it.
        for begun in self.positions.values():
            begun.must_leave = False

    def second(self, *, trades: bool) -> None:
        """Judge one market second."""
        venue = self.venue
        self.trails.second(ends_minute=venue.now.second == 0 and trades)
        is_quiet = venue.is_silent or not trades
        self.rested = 0 if is_quiet else self.rested + 1
        self.silent = self.silent + 1 if venue.is_silent and trades else 0
        heard = self.silent <= SOON_S + 4 or not self.keeper.told.alive
        promise(heard, "S3", f"no quote for {self.silent} s and nobody is told")
        for position_id in venue.position_ids():
            if not venue.held(position_id):
                self.watched.pop(position_id, None)
            elif position_id in self.positions:
                self._follow(position_id)
        if self.rested <= RESTED_S or venue.by_hand():
            return
        known = {each: self._is_known(each) for each in self.watched}
        for position_id, watched in self.watched.items():
            begun = self.positions[position_id]
            if venue.faults.is_calm and not venue.is_cut:
                self._judge_orders(position_id, begun, watched)
            if begun.reason or begun.plan.structure or not known[position_id]:
                continue
            self._judge_decisions(position_id, begun, watched)
            is_lossy = all(known.values()) and self._loss() >= self.keeper.config.limits.max_daily_loss
            watched.lossy = watched.lossy + 1 if is_lossy else 0
            text = "though the day's loss has reached its limit"
            promise(watched.lossy <= SOON_S, "I7", f"{position_id} is not left for {watched.lossy} s {text}")

    def _is_known(self, position_id: str) -> bool:
        """The journal has every fill of it: then a decision needs nothing but prices, whatever the weather."""
        held = self.keeper.told.held.get(position_id)
        return held is not None and held.units == self.venue.held(position_id)

    def _follow(self, position_id: str) -> None:
        price, now = self.venue.prices[self.positions[position_id].plan.instrument.key], self.venue.now
        watched = self.watched.setdefault(position_id, Watched(now, price, price))
        watched.low, watched.high = min(watched.low, price), max(watched.high, price)

    def _left(self, event: ExitBegan) -> None:
        """Hold the reason of an exit against the market, by what was known as it began: more may fill beside it."""
        begun, watched = self.positions[event.position_id], self.watched.get(event.position_id)
        if watched is None or begun.plan.side.sign < 0:
            return
        name, price = event.position_id, self.venue.prices[begun.plan.instrument.key]
        low, high = min(watched.low, price), max(watched.high, price)
        if event.reason in BY_STOP and begun.stops:
            # The stop may fill where it lay before the rest of the entry had filled.
            promise(low <= max(begun.stops), "S6", f"{name} is left by its stop {begun.stop}, lowest was {low}")
        target = begun.plan.exits.target
        if event.reason == "target" and target is not None:
            least = begun.average + target.rupees(begun.average)
            promise(high >= least - TICK, "S6", f"{name} is left at its target {least}, highest was {high}")

    def _average(self, position_id: str) -> Decimal:
        entries = [each for each in self.venue.of(position_id) if each.ticket.purpose is Purpose.ENTRY and each.filled]
        filled = sum(each.filled for each in entries)
        return sum((each.value for each in entries), Decimal(0)) / filled if filled else Decimal(0)

    def _judge_orders(self, position_id: str, begun: Begun, watched: Watched) -> None:
        """In calm weather an order rests soon after each fill, and for all of it."""
        venue, resting = self.venue, self.venue.resting_exits(position_id)
        # Of what was sold twice nothing is left to protect: how soon it is bought back, the judge of pairs says.
        is_held = venue.held(position_id) > 0
        is_bare = is_held and not resting and begun.stop is not None and not venue.nobody_bids
        watched.bare = watched.bare + 1 if is_bare else 0
        promise(watched.bare <= BARE_S, "I5", f"{position_id} without any order for {watched.bare} s in calm weather")
        if begun.reason:
            return
        covered, held = sum(each.remaining for each in resting), venue.held(position_id)
        if not 0 < covered < held or venue.faults.delay_s >= 1:
            watched.short.clear()
        else:
            watched.short.append(held)
        # Each part that fills may need its seconds: what was held all that time is covered.
        is_late = len(watched.short) == SOON_S and covered < min(watched.short)
        promise(not is_late, "R16", f"{position_id} is protected in part for {SOON_S} s")
        if begun.plan.side.sign > 0 and resting and resting[-1].ticket.order_type is OrderType.STOP_LIMIT:
            self._trailed(position_id, begun, watched, resting[-1].ticket.trigger_price)

    def _judge_decisions(self, position_id: str, begun: Begun, watched: Watched) -> None:
        """What is known is acted on: the decision to leave needs no broker."""
        venue, now, exits = self.venue, self.venue.now, begun.plan.exits
        price, average = venue.prices[begun.plan.instrument.key], self._average(position_id)
        target = None if exits.target is None else average + exits.target.rupees(average)
        is_there = target is not None and not venue.nobody_bids and price - TICK >= target + TICK
        watched.at_target = watched.at_target + 1 if is_there else 0
        watched.passed = watched.passed + 1 if begun.stops and price <= min(begun.stops) else 0
        watched.timed = watched.timed + 1 if exits.time is not None and now.time() >= exits.time else 0
        watched.ordered = watched.ordered + 1 if begun.must_leave else 0
        for seconds, most, text in (
            (watched.at_target, SOON_S, "its target is reached"),
            (watched.passed, PASSED_S, "its stop was passed"),
            (watched.timed, SOON_S, "its time is over"),
            (watched.ordered, SOON_S, "a person ordered it to be left"),
        ):
            promise(seconds <= most, "I5", f"{position_id} is not left for {seconds} s though {text}")

    def _loss(self) -> Decimal:
        """Rupees lost by what the day's book holds, and at its last price, charges not counted.

        What came over the night counts from its entry on, as it does for the limit itself.
        """
        total = Decimal(0)
        for position_id, begun in self.positions.items():
            if position_id in self.keeper.told.held:
                price = self.venue.prices[begun.plan.instrument.key]
                units = begun.plan.side.sign * self.venue.held(position_id)
                total += self.venue.value_of(position_id) + units * price
        return -total

    def _trailed(self, position_id: str, begun: Begun, watched: Watched, trigger: Decimal) -> None:
        """What was decided rests soon: the order's trigger is where the journal says that the stop stands."""
        watched.behind = watched.behind + 1 if begun.stop is not None and trigger < begun.stop else 0
        text = f"{position_id}: the stop rests at {trigger} and was moved to {begun.stop} {watched.behind} s ago"
        promise(watched.behind <= MOVED_S, "I5", text)
