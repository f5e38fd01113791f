"""A venue that keeps super orders: an entry whose target and stop wait at the broker, not at the exchange.

The legs cover what the entry has filled. Where the price of one is reached it goes to the exchange, the other and what
is left of the entry are taken back. A leg that was taken back never comes again. The legs stand in a list of their own,
which may lag or be unread; on some days it gives all three parts one order id, as in the broker's published sample.

Invariant: nothing here reads the engine's book; a leg counts from what its entry has filled here.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from workbench.core.messages import (
    BrokerOrder,
    BrokerTrade,
    CancelOrder,
    Message,
    ModifyOrder,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    SnapshotTaken,
    TakeSnapshot,
    WriteKind,
)
from workbench.core.order import Bracket, LegAddress, OrderState, OrderTicket, OrderType, Purpose, SuperLegName
from workbench.core.super_order import SuperLeg, SuperOrder, shared_leg_id, with_legs
from workbench.testing.proof.market import TICK
from workbench.testing.proof.pair_venue import PairVenue
from workbench.testing.proof.super_weather import SuperWeather
from workbench.testing.proof.venue import MODIFICATIONS_TAKEN, Asked, Resting

KEPT_LISTS = 12
"""So many seconds of lists are kept, of which a look that lags shows an older one."""

LEGS = ((SuperLegName.STOP, Purpose.STOP, "S"), (SuperLegName.TARGET, Purpose.TARGET, "T"))


@dataclass(slots=True, kw_only=True)
class Super:
    """A super order here; its legs are resting orders that were never sent by us."""

    entry: Resting
    whole: int
    legs: dict[SuperLegName, Resting]
    grows_at: datetime | None = None
    wakes_at: datetime | None = None

    def waiting(self) -> Iterator[Resting]:
        """Give the legs that have not gone to the exchange."""
        return (each for each in self.legs.values() if not each.triggered and each.state.may_rest)


@dataclass
class SuperVenue(PairVenue):
    """A venue that keeps super orders, by a random stream of its own.

    Attributes
    ----------
    supers : dict
        By the order id of the entry.
    both : set
        Positions of which both legs have gone to the exchange.
    """

    weather: SuperWeather = field(default_factory=SuperWeather)
    super_rng: random.Random = field(default_factory=random.Random)
    supers: dict[str, Super] = field(default_factory=dict)
    both: set[str] = field(default_factory=set)
    _legs: dict[str, tuple[Super, SuperLegName]] = field(default_factory=dict)
    _trades: list[BrokerTrade] = field(default_factory=list)
    _lists: deque[tuple[datetime, tuple[SuperOrder, ...]]] = field(default_factory=lambda: deque(maxlen=KEPT_LISTS))
    _reads_legs: bool = False

    # --- its own truth ------------------------------------------------------------------------------------------

    def resting_exits(self, position_id: str) -> list[Resting]:
        """Stops and exits that could still leave a position; a leg that covers nothing yet is none."""
        return [each for each in super().resting_exits(position_id) if each.remaining > 0]

    def is_leg(self, order: Resting) -> bool:
        """Tell whether an order is a leg."""
        return order.order_id in self._legs

    def leg_of(self, position_id: str, name: SuperLegName) -> Resting | None:
        """Give a leg of a position."""
        found = (each for each in self.of(position_id) if self._legs.get(each.order_id, (None, None))[1] is name)
        return next(found, None)

    def order_of(self, asked: ModifyOrder | CancelOrder) -> Resting:
        """Give the order that a write is about; the engine may know a leg by no id, or by one of its own making."""
        if asked.leg is None:
            return self.orders[asked.order_id]
        found = self.supers[asked.leg.entry_id]
        return found.entry if asked.leg.name is SuperLegName.ENTRY else found.legs[asked.leg.name]

    @property
    def is_unread(self) -> bool:
        """Whether the list of super orders cannot be read in this second."""
        return any(each.covers(self._second) for each in self.weather.unread_spells)

    # --- what is asked of it ------------------------------------------------------------------------------------

    def take(self, command: Asked) -> None:
        """Take a request; from the first super order of a life on every look asks for the legs too."""
        match command:
            case PlaceOrder():
                self._reads_legs = self._reads_legs or command.ticket.bracket is not None
            case TakeSnapshot():
                self._reads_legs = self._reads_legs or command.with_legs
            case _:
                self._reads_legs = self._reads_legs or command.leg is not None
        super().take(command)

    def line_dead(self) -> None:
        """The process died: the next one asks for legs when it is told to."""
        super().line_dead()
        self._reads_legs = False

    def step(self, now: datetime) -> list[Message]:
        """Let a second pass."""
        self.now = now
        for each in self.supers.values():
            self._look_after(each)
        found = super().step(now)
        self._lists.append((now, self._list()))
        return found

    def taken_by_hand(self) -> str:
        """Let a hand take a leg back that covers something, and say which; empty in most seconds."""
        if self.super_rng.random() >= self.weather.gone:
            return ""
        resting = [leg for each in self.supers.values() for leg in each.waiting() if leg.remaining]
        if not resting:
            return ""
        leg = self.super_rng.choice(resting)
        self._end(leg)
        return f"took the leg {leg.order_id} back"

    # --- inside -------------------------------------------------------------------------------------------------

    def _arrived(self, asked: object) -> None:
        if isinstance(asked, CancelOrder) and asked.leg is not None:
            self._cancel_leg(asked, asked.leg)
        elif isinstance(asked, ModifyOrder) and asked.leg is not None:
            self._modify_leg(asked, asked.leg)
        else:
            super()._arrived(asked)

    def _rests(self, ticket: OrderTicket, *, is_answered: bool = False) -> None:
        super()._rests(ticket, is_answered=is_answered)
        if ticket.bracket is not None:
            self._add_legs(self._by_position[ticket.position_id][-1], ticket.bracket)

    def _add_legs(self, entry: Resting, bracket: Bracket) -> None:
        found = Super(entry=entry, whole=bracket.quantity, legs={})
        self.supers[entry.order_id] = found
        for name, purpose, letter in LEGS:
            is_stop = name is SuperLegName.STOP
            ticket = replace(
                entry.ticket,
                correlation_id=entry.ticket.correlation_id[:-1] + letter,
                purpose=purpose,
                side=entry.ticket.side.opposite,
                quantity=0,
                order_type=OrderType.STOP_LIMIT if is_stop else OrderType.LIMIT,
                price=bracket.price * 0 if is_stop else bracket.target_price,
                trigger_price=bracket.stop_price if is_stop else bracket.price * 0,
                bracket=None,
                leg_of=entry.ticket.correlation_id,
            )
            leg = Resting(order_id=f"V{len(self.orders) + 1}", ticket=ticket, since=entry.since)
            found.legs[name] = self.orders[leg.order_id] = leg
            self._legs[leg.order_id] = found, name
            self._by_position[ticket.position_id].append(leg)
        if entry.filled:
            self._entry_filled(found, is_first=True)

    def _entry_filled(self, found: Super, *, is_first: bool) -> None:
        found.grows_at = self.now + timedelta(seconds=self.weather.grows_s)
        if is_first:
            found.wakes_at = self.now + timedelta(seconds=self.weather.sleeps_s)
            for leg in list(found.waiting()):
                if self.super_rng.random() < self.weather.refused:
                    leg.state = OrderState.REJECTED
                    self._tell(leg)
        self._look_after(found)

    def _look_after(self, found: Super) -> None:
        """Let legs grow with their entry, and end them with an entry that came to nothing."""
        if found.entry.state.is_done and not found.entry.filled:
            for leg in list(found.waiting()):
                self._end(leg)
        if found.grows_at is None or self.now < found.grows_at:
            return
        for leg in found.waiting():
            if leg.ticket.quantity != found.entry.filled:
                leg.ticket = replace(leg.ticket, quantity=found.entry.filled)
                self._tell(leg)

    def _match(self, order: Resting) -> None:
        leg = self._legs.get(order.order_id)
        if leg is not None and not order.triggered and not self._goes(leg[0], order):
            return
        before = order.filled
        super()._match(order)
        units = order.filled - before
        if not units:
            return
        self._trade(order, units)
        found = self.supers.get(order.order_id)
        if found is not None:
            self._entry_filled(found, is_first=not before)

    def _goes(self, found: Super, leg: Resting) -> bool:
        """Send a leg to the exchange where its price is reached; the other one is taken back, but for rare times."""
        ticket, price = leg.ticket, self.prices[leg.ticket.instrument.key]
        if leg.state.is_done or not leg.remaining:
            return False
        sign, is_stop = ticket.side.opposite.sign, ticket.purpose is Purpose.STOP
        beyond = sign * (price - (ticket.trigger_price if is_stop else ticket.price))
        if beyond > 0 if is_stop else beyond < 0:
            return False
        others = [each for each in found.waiting() if each is not leg and each.remaining]
        leg.triggered = True
        both_go = bool(others) and self.super_rng.random() < self.weather.both_go
        for each in others:
            if not both_go:
                self._end(each)
                continue
            # The market touches both within the second.
            self.both.add(ticket.position_id)
            each.triggered, there = True, each.ticket.price or each.ticket.trigger_price
            self.prices[ticket.instrument.key] = there + sign * TICK if is_stop else there
        if found.entry.state.may_rest:
            self._end(found.entry)
        self._tell(leg)
        for each in others:
            self._match(each)
        return True

    def _end(self, order: Resting) -> None:
        order.state = OrderState.CANCELLED
        self._tell(order)

    def _trade(self, order: Resting, units: int) -> None:
        leg = self._legs.get(order.order_id)
        shown = leg[0].entry.order_id if leg is not None and self.weather.shares_ids else order.order_id
        ticket = order.ticket
        self._trades.append(
            BrokerTrade(
                order_id=shown,
                trade_id=f"T{len(self._trades) + 1}",
                segment=ticket.instrument.segment.value,
                security_id=ticket.instrument.security_id,
                side=ticket.side,
                quantity=units,
                price=order.last_price,
                time=self.now,
            )
        )

    def _tell(self, order: Resting) -> None:
        leg = self._legs.get(order.order_id)
        if leg is None:
            super()._tell(order)
        else:
            for _ in range(2 if self.rng.random() < self.faults.doubled_update else 1):
                if self.rng.random() >= self.faults.lost_update:
                    self._later(OrderUpdated(order=self._leg_row(order, *leg)), "out")

    def _leg_row(self, order: Resting, found: Super, name: SuperLegName) -> BrokerOrder:
        """Give a leg as its update is read: whose units are told under the entry's id nobody knows."""
        address = LegAddress(entry_id=found.entry.order_id, name=name)
        row = replace(order.row(), correlation_id="", leg=address)
        if not self.weather.shares_ids:
            return row
        none = row.price * 0
        return replace(
            row,
            order_id=shared_leg_id(address.entry_id, name),
            filled_quantity=0,
            average_price=none,
            last_fill_price=none,
        )

    # --- writes about legs --------------------------------------------------------------------------------------

    def _cancel(self, asked: CancelOrder) -> None:
        super()._cancel(asked)
        found = self.supers.get(asked.order_id)
        if found is not None and self.weather.plain_takes_legs and found.entry.state is OrderState.CANCELLED:
            for leg in list(found.waiting()):
                self._end(leg)

    def _cancel_leg(self, asked: CancelOrder, address: LegAddress) -> None:
        found, order = self.supers[address.entry_id], self.order_of(asked)
        is_entry = address.name is SuperLegName.ENTRY
        ends = [each for each in (order, *(found.waiting() if is_entry else ())) if each.state.may_rest]
        outcome, reason, throttled = self._refusal() or (Outcome.ACCEPTED, "", False)
        if not ends:
            outcome, reason, throttled = Outcome.REJECTED, "the order is over", False
        elif outcome is Outcome.ACCEPTED and self.rng.random() < self.faults.unknown:
            outcome, reason = Outcome.UNKNOWN, "time-out"
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.rng.random() < 0.5):
            for each in ends:
                self._end(each)
        is_seen = outcome is Outcome.ACCEPTED and not self.is_unread and not self.weather.lag_s
        self._answer(
            WriteKind.CANCEL,
            asked.correlation_id,
            outcome,
            reason=reason,
            throttled=throttled,
            order_id=asked.order_id,
            state=OrderState.CANCELLED if is_seen else None,
        )

    def _modify_leg(self, asked: ModifyOrder, address: LegAddress) -> None:
        leg, bracket = self.order_of(asked), asked.bracket
        outcome, reason, throttled = self._refusal() or (Outcome.ACCEPTED, "", False)
        if bracket is None or leg.triggered or leg.state.is_done or leg.changes >= MODIFICATIONS_TAKEN:
            outcome, reason, throttled = Outcome.REJECTED, "the leg cannot be changed", False
        elif outcome is Outcome.ACCEPTED and self.rng.random() < self.faults.unknown:
            outcome, reason = Outcome.UNKNOWN, "time-out"
        is_done = outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.rng.random() < 0.5)
        if is_done and bracket is not None:
            leg.changes += 1
            leg.had.append(leg.ticket)
            is_stop = address.name is SuperLegName.STOP
            if is_stop:
                leg.ticket = replace(leg.ticket, trigger_price=bracket.stop_price)
            else:
                leg.ticket = replace(leg.ticket, price=bracket.target_price)
        self._answer(
            WriteKind.MODIFY,
            asked.correlation_id,
            outcome,
            reason=reason,
            throttled=throttled,
            order_id=asked.order_id,
            change=asked.change,
        )
        self._match(leg)

    # --- looks --------------------------------------------------------------------------------------------------

    def _snapshot(self) -> SnapshotTaken:
        seen = super()._snapshot()
        if not seen.known:
            return seen
        rows = tuple(row for row in (self._in_book(each) for each in seen.orders) if row is not None)
        seen = replace(seen, orders=rows, trades=tuple(self._trades))
        if not self._reads_legs:
            return seen
        if self.is_unread or self.super_rng.random() < self.weather.unread:
            return replace(seen, with_legs=True, legs_unread=True)
        return replace(with_legs(seen, self._listed()), with_legs=True)

    def _in_book(self, row: BrokerOrder) -> BrokerOrder | None:
        """Give a row as the order book shows it: a leg stands there once it has gone, if it has an id of its own."""
        if row.order_id not in self._legs:
            return row
        is_there = self.orders[row.order_id].triggered and not self.weather.shares_ids
        return replace(row, correlation_id="") if is_there else None

    def _listed(self) -> tuple[SuperOrder, ...]:
        """Give the list, or one that is some seconds old."""
        if not self.weather.lag_s:
            return self._list()
        then = self.now - timedelta(seconds=self.weather.lag_s * self.super_rng.random())
        return next((shown for at, shown in reversed(self._lists) if at <= then), ())

    def _list(self) -> tuple[SuperOrder, ...]:
        return tuple(self._shown(each) for each in self.supers.values())

    def _shown(self, found: Super) -> SuperOrder:
        legs, entry = [], found.entry.row()
        if found.wakes_at is not None and self.now < found.wakes_at and entry.state is not OrderState.CANCELLED:
            entry = replace(entry, state=OrderState.WORKING, filled_quantity=0)
        for name, leg in found.legs.items():
            ticket = leg.ticket
            is_told = leg.state is not OrderState.PARTLY_FILLED
            is_told = is_told and (self.weather.tells_traded or leg.state is not OrderState.FILLED)
            legs.append(
                SuperLeg(
                    name=name,
                    order_id=found.entry.order_id if self.weather.shares_ids else leg.order_id,
                    side=ticket.side,
                    state=leg.state if is_told else OrderState.WORKING,
                    quantity=ticket.quantity or found.whole,
                    remaining_quantity=leg.remaining,
                    triggered_quantity=ticket.quantity if leg.triggered else 0,
                    price=ticket.trigger_price if name is SuperLegName.STOP else ticket.price,
                )
            )
        return SuperOrder(entry=entry, legs=tuple(legs))
