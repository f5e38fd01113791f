"""The judge of stop and target beside each other, from the venue's orders and the journal.

Together they count once (I4): each of the two asks for no more than what it alone could still leave, what the one has
filled is taken from the other in time, and what both have filled too much is bought back, once and loudly (R15). A
target leaves with the margin's blessing only (R12), at its price, and rests soon where nothing stands against it.

Invariant: the engine is not asked.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.messages import ExitBegan, ModifyOrder, PlaceOrder, TargetWatched
from workbench.core.order import Purpose
from workbench.core.plan import ProtectionRule
from workbench.core.ports import JournalEntry
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.held_up import HeldUp
from workbench.testing.proof.market import TICK
from workbench.testing.proof.oracle import ALARMED_AT_MOST_S, Oracle, Written, promise
from workbench.testing.proof.pair_venue import PairVenue
from workbench.testing.proof.venue import Asked, key_of

OVER_CALM_S = 12
"""Seconds of calm weather in which the one is taken back after the other has filled: told, asked and done late."""

LATE_S = 25
"""Seconds after foul weather in which an answer of it may still be awaited: what it was asked about is not asked again
before it has come."""

TAKEN_BACK = timedelta(seconds=1)
"""So long at least a target is given to be taken back, before the stop's order leaves in its place."""

EXCESS_CALM_S = 20
OFFERED_S = 30
"""Seconds of calm weather in which a target comes to rest: the stop first, then the question, then the order."""


class PairOracle(Oracle):
    """An oracle that knows that of two orders only one may fill.

    Parameters
    ----------
    venue : PairVenue
    """

    def __init__(self, venue: PairVenue) -> None:
        super().__init__(venue)
        self.pairs = venue
        self.keeper: Gatekeeper | None = None
        self.over: Counter[str] = Counter()
        self.excess: Counter[str] = Counter()
        self.bare_of_target: Counter[str] = Counter()
        self.calm_for = LATE_S
        self.loud: set[str] = set()
        self.watched: set[str] = set()
        self.left_at: dict[str, datetime] = {}
        self.held_up = HeldUp(venue)

    def take(self, entry: JournalEntry) -> None:
        """Read what the journal says of targets that are watched."""
        self.held_up.take(entry)
        self.watched |= {event.position_id for event in entry.events if isinstance(event, TargetWatched)}
        began = [each for each in entry.events if isinstance(each, ExitBegan) and each.reason == "target"]
        self.left_at |= {each.position_id: each.at for each in began}

    def leaves(self, asked: Asked, written: Written) -> None:
        """Judge a request in the moment in which it leaves."""
        super().leaves(asked, written)
        self.held_up.leaves(asked)
        if isinstance(asked, ModifyOrder):
            self._alone_at_the_target(asked)
        if not isinstance(asked, PlaceOrder) or asked.ticket.purpose is not Purpose.TARGET:
            return
        ticket, left = asked.ticket, self.pairs.left(asked.ticket.position_id)
        text = f"{ticket.correlation_id} leaves without the margin of a second sale"
        promise(ticket.quantity in self.pairs.allowed.get(ticket.position_id, ()), "R12", text)
        most = left.entered - left.by_target - left.target_working
        promise(ticket.quantity <= most, "I4", f"a target of {ticket.quantity} of {ticket.position_id}, at most {most}")
        plan = self.keeper.told.held[ticket.position_id].plan if self.keeper is not None else None
        entries = [each for each in self.pairs.of(ticket.position_id) if each.ticket.purpose is Purpose.ENTRY]
        if plan is None or plan.exits.target is None or not self._is_known(ticket.position_id):
            return
        average = sum((each.value for each in entries), Decimal(0)) / sum(each.filled for each in entries)
        level = average + plan.side.sign * plan.exits.target.rupees(average)
        away = abs(ticket.price - level)
        promise(away <= TICK, "I5", f"the target of {ticket.position_id} is {ticket.price}, not {level}")

    def _alone_at_the_target(self, asked: ModifyOrder) -> None:
        """Beside a target that rests there, the stop's order does not leave at the target: both would fill."""
        order = self.pairs.orders[asked.order_id]
        name = order.ticket.position_id
        told = None if self.keeper is None else self.keeper.told.held.get(name)
        if told is None or told.exit_reason != "target" or order.ticket.purpose is Purpose.TARGET:
            return
        resting = [each for each in self.pairs.of(name) if each.ticket.purpose is Purpose.TARGET and each.remaining]
        sign = told.plan.side.sign
        market = self.pairs.prices[order.ticket.instrument.key] - sign * TICK  # what could be had now
        is_soon = self.pairs.now - self.left_at[name] < TAKEN_BACK
        for target in resting:
            level = target.ticket.price
            is_there = is_soon or sign * (market - level) >= 0 or sign * (asked.change.price - level) >= 0
            text = f"{asked.order_id} and the target of {name} leave"
            promise(not target.state.may_rest or not is_there, "R15", text)

    def step(self) -> None:
        """Judge what the venue holds: neither of the two more than it alone could leave (I4)."""
        for position_id in self.pairs.position_ids():
            held, left = self.pairs.held(position_id), self.pairs.left(position_id)
            both_filled = left.by_stop > 0 and left.by_target > 0
            promise(held >= 0 or both_filled, "I4", f"{position_id} is oversold: {held}")
            for working, most in (
                (left.stop_working, left.entered - left.by_stop),
                (left.target_working, left.entered - left.by_target),
            ):
                promise(working <= most, "I4", f"{working} units rest to leave {most} of {position_id}")
            bought = left.bought_back + left.back_working
            most = max(0, left.by_stop + left.by_target - left.entered)
            promise(bought <= most, "R15", f"{bought} of {position_id} are bought back, {most} were too many")

    def judge_pairs(self, *, alarm_now: bool, trades: bool) -> None:
        """Judge once a market second what needs time."""
        is_fair = self.pairs.faults.is_calm and not self.pairs.is_stuck
        self.calm_for = self.calm_for + 1 if is_fair else 0
        self.held_up.second(trades=trades)
        is_calm = self.calm_for > LATE_S
        for position_id in self.pairs.position_ids():
            held, left = self.pairs.held(position_id), self.pairs.left(position_id)
            if not trades or self._by_hand(position_id):
                for each in (self.over, self.excess, self.bare_of_target):
                    each.pop(position_id, None)
                continue
            working = max(left.stop_working, left.target_working)
            self._count(self.over, position_id, working > max(0, held))
            most = OVER_CALM_S if is_calm else ALARMED_AT_MOST_S
            text = f"{working} rest to leave {held} of {position_id} for {self.over[position_id]} s"
            promise(self.over[position_id] <= most, "R15", text)
            self._count(self.excess, position_id, held < 0)
            most = EXCESS_CALM_S if is_calm else ALARMED_AT_MOST_S
            text = f"{position_id}: both have filled, {-held} too many for {self.excess[position_id]} s"
            promise(self.excess[position_id] <= most, "R15", text)
            self._alarm(position_id, held, alarm_now=alarm_now)
            if is_calm:
                self._offered(position_id, held)

    def disturbed(self) -> None:
        """The process died, or time was jumped over: what was known is looked up again first."""
        self.held_up.disturbed()
        for each in (self.over, self.excess, self.bare_of_target):
            each.clear()

    def _alarm(self, position_id: str, held: int, *, alarm_now: bool) -> None:
        """A double fill is an alarm once it is known."""
        if held >= 0:
            self.loud.discard(position_id)
            return
        if alarm_now:
            self.loud.add(position_id)
        is_told = position_id in self.loud or not self._is_known(position_id)
        promise(is_told or self.excess[position_id] < EXCESS_CALM_S, "R15", f"{position_id}: nobody is told of {held}")

    def _offered(self, position_id: str, held: int) -> None:
        """In calm weather a target rests beside the stop, unless the journal says why not."""
        told = None if self.keeper is None else self.keeper.told.held.get(position_id)
        wants = told is not None and told.plan.protection is ProtectionRule.STOP_AND_TARGET
        if told is None or not wants or told.plan.exits.target is None or told.plan.at.date() != self.pairs.now.date():
            return
        rests = self.pairs.left(position_id).target_working >= held
        is_left = position_id in self.watched or bool(told.exit_reason) or held <= 0 or self.pairs.is_silent
        self._count(self.bare_of_target, position_id, not rests and not is_left)
        text = f"{position_id} has no target beside its stop for {self.bare_of_target[position_id]} s"
        promise(self.bare_of_target[position_id] <= OFFERED_S, "R12", text)

    def _count(self, seconds: Counter[str], position_id: str, wrong: bool) -> None:
        seconds[position_id] = seconds[position_id] + 1 if wrong else 0

    def _is_known(self, position_id: str) -> bool:
        told = None if self.keeper is None else self.keeper.told.held.get(position_id)
        return told is not None and told.units == self.pairs.held(position_id)

    def _by_hand(self, position_id: str) -> bool:
        instrument = self.pairs.of(position_id)[0].ticket.instrument
        return key_of(instrument) in self.pairs.by_hand()

    def _hands(self) -> None:
        """Where a person trades too, neither stops nor targets leave more than is there (R23)."""
        net, totals = self.pairs.net(), dict[str, list[int]]()
        for position_id in self.pairs.position_ids():
            left, instrument = self.pairs.left(position_id), self.pairs.of(position_id)[0].ticket.instrument
            pair = totals.setdefault(str(key_of(instrument)), [0, 0])
            pair[0] += left.stop_working
            pair[1] += left.target_working
        for key in self.pairs.by_hand():
            ours = max(totals.get(str(key), [0, 0]))
            self._covered_by_hand(str(key), "sold", ours, net.get(key, 0))
