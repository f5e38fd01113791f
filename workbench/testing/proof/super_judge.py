"""The judge of super orders, from the venue's orders and the journal.

A leg counts as protection by what the venue holds of it, and in the journal only by the broker's own word. One sale at
a time: nothing is placed beside a leg that may still fill, but what 0078 names. What both legs have sold too much is
bought back (R15); a leg that was given up is taken back until it is gone (R13); levels reach the legs; an entry is not
given up while the list that may show it was not read (R1).

Invariant: the engine is not asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.messages import (
    BrokerOrder,
    CancelAsked,
    CancelOrder,
    Event,
    ExitBegan,
    Message,
    ModifyOrder,
    OrderMoved,
    OrderSubmitted,
    OrderUpdated,
    PlaceOrder,
    PositionClosed,
    SnapshotTaken,
    StopMoved,
)
from workbench.core.order import OrderState, OrderTicket, Purpose, SuperLegName
from workbench.core.plan import ProtectionRule
from workbench.core.ports import JournalEntry
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.market import TICK
from workbench.testing.proof.oracle import BrokenPromise, Oracle, Written, promise
from workbench.testing.proof.pair_judge import LATE_S, OFFERED_S, PairOracle
from workbench.testing.proof.super_venue import SuperVenue
from workbench.testing.proof.venue import Asked, Resting

BESIDE_AFTER = timedelta(seconds=6)
TARGET_GIVEN = timedelta(seconds=2)
"""So long an exit waits for a stop leg, and for a target leg, that nobody shows to be gone (0078, 0077)."""

LEVEL_S = 12
"""Seconds of calm weather in which a level of the journal reaches its leg: two ways of the wire, and a pause."""

ASKED_AGAIN_S = 45
"""Seconds in which a leg that was given up and rests is asked back: an answer may come twenty seconds late."""

ASKED_FIRST_S = 8
"""Seconds in which a leg that was given up is asked back for the first time; nothing of it is under way then."""

COVERED_S = 9
"""Seconds of calm weather after which an engine knows that a leg covers all."""

CHANGES_AT_MOST = 20

SOLD = (Purpose.STOP, Purpose.EXIT)


@dataclass(slots=True, kw_only=True)
class LegTold:
    """A leg by the journal's words; `asked` is when it was last given up or asked back."""

    ticket: OrderTicket
    asked: datetime
    state: OrderState = OrderState.UNKNOWN
    is_asked: bool = False


class SuperOracle(PairOracle):
    """An oracle that knows legs.

    Parameters
    ----------
    venue : SuperVenue
    keeper : Gatekeeper
        Has read the same entry before.

    Attributes
    ----------
    broken : BrokenPromise or None
        What the journal itself has broken.
    """

    def __init__(self, venue: SuperVenue, keeper: Gatekeeper) -> None:
        super().__init__(venue)
        self.supers, self.keeper = venue, keeper
        self.broken: BrokenPromise | None = None
        self.legs: dict[str, LegTold] = {}
        self.levels: dict[str, tuple[Decimal | None, Decimal | None]] = {}
        self.began: dict[str, datetime] = {}
        self.asks: Counter[str] = Counter()
        self.goes_alone: dict[str, bool] = {}
        self.behind: Counter[str] = Counter()
        self.covered: Counter[str] = Counter()

    # --- what is written ----------------------------------------------------------------------------------------

    def read(self, entry: JournalEntry) -> None:
        """Judge one entry as it is written, after the keeper."""
        try:
            for event in entry.events:
                self._happened(event, entry.message)
        except BrokenPromise as broken:
            self.broken = self.broken or broken

    def again(self, entries: Iterable[JournalEntry]) -> None:
        """Begin anew after a death: only what is on the disk was told."""
        for each in (self.legs, self.levels, self.began, self.asks, self.goes_alone):
            each.clear()
        for entry in entries:
            for event in entry.events:
                self._note(event)

    def _happened(self, event: Event, message: Message | None) -> None:
        match event:
            case OrderSubmitted():
                self._one_sale(event.ticket, event.at)
            case OrderMoved() if event.correlation_id in self.legs:
                self._is_shown(event, message)
            case ExitBegan() if event.reason == "unprotected":
                covered = self.covered[event.position_id]
                text = f"{event.position_id} is left as unprotected, its stop has covered it for {covered} s"
                # Where each way of the wire takes seconds, parts that fill one after the other use the bound up.
                is_quick = self.supers.faults.delay_s < 1 and not self.supers.is_silent
                promise(covered < COVERED_S or not is_quick, "R16", text)
                stop = self.supers.leg_of(event.position_id, SuperLegName.STOP)
                told = None if stop is None else self.legs.get(self._name(stop))
                is_lost = told is not None and told.state is OrderState.CANCELLED
                is_calm = (is_quick or is_lost) and self.calm_for > LATE_S and self.supers.weather.is_calm
                text = f"{event.position_id} is left as unprotected, and nothing refused it a stop"
                promise(not is_calm, "R18", text)
            case _:
                pass
        self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case OrderSubmitted() if event.ticket.leg_of:
                self.legs[event.ticket.correlation_id] = LegTold(ticket=event.ticket, asked=event.at)
            case OrderMoved() if event.correlation_id in self.legs:
                told = self.legs[event.correlation_id]
                told.state, told.asked, told.is_asked = event.state, event.at, False
            case CancelAsked():
                self._asked(event)
            case StopMoved():
                _, target = self.levels.get(event.position_id, (None, None))
                self.levels[event.position_id] = event.stop, target if event.target is None else event.target
                self.behind[f"{event.position_id}S"] = self.behind[f"{event.position_id}T"] = 0
            case ExitBegan():
                self.began[event.position_id] = event.at
            case PositionClosed():
                self.began.pop(event.position_id, None)
            case _:
                pass

    def _asked(self, event: CancelAsked) -> None:
        name, told = event.correlation_id, self.legs.get(event.correlation_id)
        if told is not None:
            told.asked, told.is_asked = event.at, True
            return
        position_id = next((each.ticket.position_id for each in self._orders() if self._name(each) == name), "")
        held = None if self.keeper is None else self.keeper.told.held.get(position_id)
        is_filled = held is not None and held.entered > 0
        self.goes_alone[name] = is_filled and not self.asks[name]
        self.asks[name] += is_filled

    def _is_shown(self, event: OrderMoved, message: Message | None) -> None:
        """What the journal says of a leg is the broker's word, or that nobody has shown it."""
        if event.state in (OrderState.UNKNOWN, OrderState.ABANDONED):
            return
        rows: tuple[BrokerOrder, ...] = ()
        if isinstance(message, OrderUpdated):
            rows = (message.order,)
        elif isinstance(message, SnapshotTaken):
            rows = message.orders
        # A leg that is shown to sleep, for no units, covers nothing yet.
        is_shown = any(self._is_of(row, event.correlation_id) and (row.quantity or row.state.is_done) for row in rows)
        promise(is_shown, "R13", f"{event.correlation_id} is {event.state} and the broker has not shown it")

    def _is_of(self, row: BrokerOrder, name: str) -> bool:
        leg = next((each for each in self._orders() if self._name(each) == name), None)
        if leg is None or row.leg is None:
            return leg is not None and row.order_id == leg.order_id
        is_stop = leg.ticket.purpose is Purpose.STOP
        return row.leg.name is (SuperLegName.STOP if is_stop else SuperLegName.TARGET)

    def _one_sale(self, ticket: OrderTicket, at: datetime) -> None:
        """Nothing that sells is placed beside a leg that may fill by the journal, but what was waited for."""
        if ticket.leg_of or ticket.purpose not in SOLD:
            return
        for name in (SuperLegName.STOP, SuperLegName.TARGET):
            leg = self.supers.leg_of(ticket.position_id, name)
            told = None if leg is None else self.legs.get(self._name(leg))
            if leg is None or told is None or told.state.is_done or not (leg.state.may_rest and leg.remaining):
                continue
            if ticket.side is not leg.ticket.side or (ticket.purpose is Purpose.STOP and name is SuperLegName.TARGET):
                continue
            waited = at - self.began.get(ticket.position_id, at)
            least = BESIDE_AFTER if name is SuperLegName.STOP else TARGET_GIVEN
            is_waited_for = ticket.purpose is Purpose.EXIT and waited >= least
            promise(is_waited_for, "R15", f"{ticket.correlation_id} is placed beside the {name} leg of its position")

    # --- at the door --------------------------------------------------------------------------------------------

    def leaves(self, asked: Asked, written: Written) -> None:
        """Judge a request in the moment in which it leaves."""
        if isinstance(asked, ModifyOrder):
            asked = _by_id(asked, self.supers.order_of(asked))
            if asked.leg is None:
                self._alone_at_the_target(asked)
            else:
                self._whole(asked)
        Oracle.leaves(self, asked, written)
        if isinstance(asked, PlaceOrder):
            self._placed(asked.ticket)
        if isinstance(asked, CancelOrder) and asked.leg is not None and asked.leg.name is SuperLegName.ENTRY:
            text = f"{asked.correlation_id} has filled in part and is taken back with its legs at once"
            promise(not self.goes_alone.get(asked.correlation_id, False), "R16", text)

    def _placed(self, ticket: OrderTicket) -> None:
        name = ticket.correlation_id
        promise(not ticket.leg_of and ticket.purpose is not Purpose.TARGET, "R18", f"{name}: a leg is never added")
        told = None if self.keeper is None else self.keeper.told.held.get(ticket.position_id)
        if told is None or ticket.purpose is not Purpose.ENTRY:
            return
        is_super = told.plan.protection is ProtectionRule.SUPER_ORDER
        promise(is_super is (ticket.bracket is not None), "I5", f"{name} leaves without its legs, or with legs unasked")
        if ticket.bracket is not None:
            terms, sign = ticket.bracket, ticket.side.sign
            is_right = sign * (terms.target_price - terms.price) > 0 < sign * (terms.price - terms.stop_price)
            promise(is_right and terms.quantity == ticket.quantity, "R20", f"{name} is no super order: {terms}")

    def _whole(self, asked: ModifyOrder) -> None:
        terms, change = asked.bracket, asked.change
        is_whole = terms is not None and min(terms.price, terms.stop_price, terms.target_price) > 0
        promise(is_whole, "R20", f"a change of {asked.correlation_id} takes a leg away: {terms}")
        if terms is None or asked.leg is None:
            return
        is_stop = asked.leg.name is SuperLegName.STOP
        wish, sent = (change.trigger_price, terms.stop_price) if is_stop else (change.price, terms.target_price)
        promise(wish == sent, "I1", f"a change of {asked.correlation_id} to {wish} is sent as {sent}")
        promise(wish % TICK == 0, "R20", f"price {wish} of {asked.correlation_id}")

    # --- after each step ----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Judge what the venue holds: of orders of ours no more than is held, and of legs no more than was entered."""
        for position_id in self.supers.position_ids():
            held, left = self.supers.held(position_id), self.supers.left(position_id)
            promise(held >= 0 or self._two_filled(position_id), "I4", f"{position_id} is oversold: {held}")
            ours = [
                each for each in self.supers.of(position_id) if each.ticket.purpose in SOLD and not self._is_leg(each)
            ]
            ours = [each for each in ours if not self._adds(position_id, each)]
            plain = sum(each.remaining for each in ours if each.state.may_rest)
            most = left.entered - sum(each.filled for each in ours)
            promise(plain <= most, "I4", f"{plain} units rest to leave {most} of {position_id}")
            bought = left.bought_back + left.back_working
            most = max(0, left.by_stop + left.by_target - left.entered)
            promise(bought <= most, "R15", f"{bought} of {position_id} are bought back, {most} were too many")

    def _two_filled(self, position_id: str) -> bool:
        """Two orders have sold it, one of them a leg."""
        sold = [
            each
            for each in self.supers.of(position_id)
            if each.filled and each.ticket.purpose is not Purpose.ENTRY and not self._adds(position_id, each)
        ]
        return len(sold) > 1 and any(self._is_leg(each) for each in sold)

    def judge_pairs(self, *, alarm_now: bool, trades: bool) -> None:
        """Judge once a market second what needs time."""
        super().judge_pairs(alarm_now=alarm_now, trades=trades)
        is_calm = self.calm_for > LATE_S and self.supers.weather.is_calm and not self.supers.is_silent
        for position_id in self.supers.position_ids():
            left, held = self.supers.left(position_id), self.supers.held(position_id)
            is_covered = is_calm and trades and left.stop_working >= held > 0
            self.covered[position_id] = self.covered[position_id] + 1 if is_covered else 0
            if is_calm and trades and not self._by_hand(position_id):
                self._levels(position_id)
        if trades:
            self._taken_back()

    def disturbed(self) -> None:
        """The process died, or time was jumped over: what was known is looked up again first."""
        super().disturbed()
        self.calm_for = 0
        self.behind.clear()
        self.covered.clear()
        for told in self.legs.values():
            told.asked = max(told.asked, self.supers.now)

    def _levels(self, position_id: str) -> None:
        """The legs stand where the journal says that stop and target are."""
        told = None if self.keeper is None else self.keeper.told.held.get(position_id)
        if told is None or told.exit_reason or not self._is_known(position_id):
            return
        for place, letter in enumerate("ST"):
            leg = self.supers.leg_of(position_id, (SuperLegName.STOP, SuperLegName.TARGET)[place])
            level = self.levels.get(position_id, (None, None))[place]
            if leg is None or level is None or (letter == "T" and position_id in self.watched):
                continue
            stands = leg.ticket.trigger_price if letter == "S" else leg.ticket.price
            is_there = leg.triggered or leg.state.is_done or not leg.remaining or leg.changes >= CHANGES_AT_MOST
            self._count(self.behind, f"{position_id}{letter}", not is_there and stands != level)
            seconds = self.behind[f"{position_id}{letter}"]
            promise(seconds <= LEVEL_S, "I5", f"leg {leg.order_id} of {position_id} is {stands}, not {level}")

    def _taken_back(self) -> None:
        """A leg that was given up is asked back as long as it rests (R13)."""
        for leg in self._orders():
            told = self.legs.get(self._name(leg))
            if told is None or told.state is not OrderState.ABANDONED or not self._is_leg(leg):
                continue
            rests = leg.state.may_rest and leg.remaining and not self.supers.outage
            seconds = (self.supers.now - told.asked).total_seconds() if rests else 0
            is_first = not told.is_asked and self.keeper is not None and not self.keeper.told.frozen
            most = ASKED_FIRST_S if is_first else ASKED_AGAIN_S
            promise(seconds <= most, "R13", f"{self._name(leg)} was given up and rests for {seconds:.0f} s")

    def _offered(self, position_id: str, held: int) -> None:
        """In calm weather the target leg rests, unless the journal says why not."""
        told = None if self.keeper is None else self.keeper.told.held.get(position_id)
        if told is None or told.plan.protection is not ProtectionRule.SUPER_ORDER or not self.supers.weather.is_calm:
            return
        rests = self.pairs.left(position_id).target_working >= held
        is_left = position_id in self.watched or bool(told.exit_reason) or held <= 0 or self.pairs.is_silent
        self._count(self.bare_of_target, position_id, not rests and not is_left)
        text = f"{position_id} has no target leg and nobody says why for {self.bare_of_target[position_id]} s"
        promise(self.bare_of_target[position_id] <= OFFERED_S, "R18", text)

    def _orders(self) -> Iterable[Resting]:
        return self.supers.orders.values()

    def _name(self, order: Resting) -> str:
        return order.ticket.correlation_id

    def _is_leg(self, order: Resting) -> bool:
        return self.supers.is_leg(order)

    def _adds(self, position_id: str, order: Resting) -> bool:
        entry = next(each for each in self.supers.of(position_id) if each.ticket.purpose is Purpose.ENTRY)
        return order.ticket.side is entry.ticket.side


def _by_id(asked: ModifyOrder, order: Resting) -> ModifyOrder:
    """Give a change under the venue's own id of what it changes: a leg without an id of its own has one here."""
    return replace(asked, order_id=order.order_id)
