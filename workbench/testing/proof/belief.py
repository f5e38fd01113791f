"""What the journal says of the broker, held against the broker: ends of orders, changes, differences, the day's loss.

The other judges ask whether the right thing was done; this one asks whether what was written down is true, and whether
what is true was written down in time.

Invariant: the engine is not asked. Fills and switches are the journal's, orders are the venue's, prices are those that
were told to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.messages import (
    AccountFrozen,
    AccountUnfrozen,
    DayOpened,
    DecisionMade,
    Event,
    OrderChangeAsked,
    OrderChangeEnded,
    OrderMoved,
    OrderSubmitted,
    Outcome,
    OvernightListed,
    PositionCarried,
    QuoteReceived,
    SnapshotTaken,
)
from workbench.core.order import OrderState, OrderTicket, Purpose
from workbench.core.plan import Overnight
from workbench.core.ports import JournalEntry
from workbench.core.signal import Side
from workbench.testing.proof.gatekeeper import Gatekeeper, Held
from workbench.testing.proof.market import FREEZE
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.venue import Key, Resting, Venue, key_of

LOOKS = 3
GIVEN_UP_AFTER_S = {Purpose.ENTRY: 30, Purpose.STOP: 7, Purpose.EXIT: 7, Purpose.TARGET: 7}
"""Fault R1, decision 0062: an unanswered order is missed by three full order books that were asked for after it left,
and the last of them so many seconds later; what protects is given up sooner, for a position must not be bare for more
than ten seconds (R13)."""

LOOKED_UP_WITHIN_S = 30
"""Seconds in which a look whose question by our own id has failed is no look: the list may lag."""

EXIT_LOOKED_UP_WITHIN_S = 10
"""The same for an exit of which nothing has filled: the broker's positions show all that it was to sell."""

NAMED_WITHIN_S = 40
"""Seconds in which a difference that a person made, and that stands, must be named: polls come each ten, and some
cannot be read."""

SEEN_WITHIN_S = 12
"""Seconds of calm weather in which a hand that has sold is seen: after them nothing more is sold than is there."""

LATCHED_WITHIN_S = 3
"""Seconds of good prices in a row in which the day's loss has reached its limit and entries are not halted."""

_OVER = frozenset({OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.NOT_SENT})


@dataclass(slots=True)
class Belief:
    """Watches what is believed.

    Parameters
    ----------
    venue : Venue
    keeper : Gatekeeper
        Has read the same entry before.
    """

    venue: Venue
    keeper: Gatekeeper
    sent: dict[str, tuple[datetime, Purpose]] = field(default_factory=dict)
    looked: list[SnapshotTaken] = field(default_factory=list)
    named: tuple[str, ...] = ()
    differs: dict[Key, tuple[int, int]] = field(default_factory=dict)
    contracts: dict[str, Key] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    quotes: dict[str, Quote] = field(default_factory=dict)
    hands: dict[Key, tuple[int, int]] = field(default_factory=dict)
    lossy: int = 0

    def saw(self, quote: Quote) -> None:
        """Note a quote that was told."""
        if quote.last > 0:
            self.quotes[quote.key] = quote

    def take(self, entry: JournalEntry) -> None:
        """Judge one entry as it is written."""
        if isinstance(entry.message, QuoteReceived):
            self.saw(entry.message.quote)
        if isinstance(entry.message, SnapshotTaken) and entry.message.known:
            self.looked.append(entry.message)
        is_new_day = any(isinstance(event, DayOpened) for event in entry.events)
        for event in entry.events:
            self._happened(event, is_told_again=is_new_day)
        if not is_new_day:
            self._stays(entry.events)

    def disturbed(self) -> None:
        """The process died: what it had only in memory is looked up again first."""
        self.differs.clear()
        self.under_way.clear()
        self.quotes.clear()
        self.hands = {key: (units, 0) for key, (units, _) in self.hands.items()}
        self.lossy = 0

    def second(self, *, trades: bool) -> None:
        """Judge one market second."""
        if not trades:
            self.disturbed()
            return
        for key, units in self.venue.by_hand().items():
            known, seconds = self.hands.get(key, (0, 0))
            self.hands[key] = units, seconds + 1 if units == known else 0
        self._differences_are_named()
        self._loss_is_latched()

    # --- what is written ----------------------------------------------------------------------------------------

    def _happened(self, event: Event, *, is_told_again: bool) -> None:
        self._moves(event)
        match event:
            case OrderSubmitted():
                ticket = event.ticket
                self.sent[ticket.correlation_id] = event.at, ticket.purpose
                if ticket.purpose is not Purpose.ENTRY and not is_told_again:
                    self._sold(ticket, ticket.quantity)
            case OrderChangeAsked():
                order = self._order(event.correlation_id)
                if order is not None and order.ticket.purpose is not Purpose.ENTRY:
                    self._sold(order.ticket, event.change.quantity - order.filled)
            case OrderMoved() if event.state in _OVER:
                order = self._order(event.correlation_id)
                rests = order is not None and order.state.may_rest
                promise(not rests, "R15", f"{event.correlation_id} is {event.state} by the journal and rests")
            case OrderMoved() if event.state is OrderState.ABANDONED and not is_told_again:
                self._given_up(event.correlation_id)
            case OrderChangeEnded() if event.outcome is Outcome.ACCEPTED:
                self._changed(event)
            case DecisionMade() if event.gate == "freeze_quantity":
                self._divided(event)
            case DayOpened():
                text = "a person's halt has ended with the day"
                promise(event.halted or not self.keeper.told.by_person, "I8", text)
            case AccountFrozen():
                self.named = event.differences
                promise(is_told_again or self._books_differ(), "I3", f"frozen for nothing: {event.differences}")
            case AccountUnfrozen():
                self.named = ()
            case _:
                pass

    def _moves(self, event: Event) -> None:
        """Keep what is asked and not answered."""
        match event:
            case OrderSubmitted():
                self.contracts[event.ticket.correlation_id] = key_of(event.ticket.instrument)
                self.under_way.add(event.ticket.correlation_id)
            case OrderMoved():
                self.under_way.discard(event.correlation_id)
                if event.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
                    self.under_way.add(event.correlation_id)
            case OrderChangeAsked():
                self.contracts[f"change of {event.correlation_id}"] = self.contracts[event.correlation_id]
                self.under_way.add(f"change of {event.correlation_id}")
            case OrderChangeEnded():
                self.under_way.discard(f"change of {event.correlation_id}")
            case _:
                pass

    def _sold(self, ticket: OrderTicket, units: int) -> None:
        """Where a person has sold too, an exit asks for no more than the broker holds (R23)."""
        key, is_calm = key_of(ticket.instrument), replace(self.venue.faults, by_hand=0.0).is_calm
        _, seconds = self.hands.get(key, (0, 0))
        if not is_calm or seconds < SEEN_WITHIN_S or ticket.side is Side.BUY:
            return
        planned = self.keeper.told.held[ticket.position_id].plan.at
        if planned > self.venue.now - timedelta(seconds=seconds):
            return  # bought after the hand had sold: what a person was told and has unfrozen is his
        there = max(0, self.venue.net().get(key, 0))
        promise(
            units <= there, "R23", f"{ticket.correlation_id} is to sell {units} of {there} units, a hand sold the rest"
        )

    def _order(self, correlation_id: str) -> Resting | None:
        known = self.venue.orders.values()
        return next((each for each in known if each.ticket.correlation_id == correlation_id), None)

    def _given_up(self, name: str) -> None:
        at, purpose = self.sent[name]
        order = self._order(name)
        may_have_sold = purpose is not Purpose.EXIT or (order is not None and order.filled > 0)
        patience = LOOKED_UP_WITHIN_S if may_have_sold else EXIT_LOOKED_UP_WITHIN_S
        ages = [
            age
            for look in self.looked
            if (age := (look.taken_at - at).total_seconds()) >= 0
            and all(row.correlation_id != name for row in look.orders)
            and (name not in look.not_looked_up or age >= patience)
        ]
        is_late = len(ages) >= LOOKS and ages[-1] >= GIVEN_UP_AFTER_S[purpose]
        promise(is_late, "R1", f"{name} is given up after {max(ages, default=0):.0f} s and {len(ages)} looks")

    def _changed(self, event: OrderChangeEnded) -> None:
        order, asked = self._order(event.correlation_id), event.change
        tickets = () if order is None else (order.ticket, *order.had)
        terms = {(each.quantity, each.price, each.trigger_price) for each in tickets}
        was_so = (asked.quantity, asked.price, asked.trigger_price) in terms
        promise(was_so, "I5", f"a change of {event.correlation_id} counts that the broker never made")

    def _divided(self, event: DecisionMade) -> None:
        """What exceeds one order is divided, not refused; only a flood is refused (R19)."""
        deployment = self.keeper.config.deployment(event.deployment)
        lots = None if deployment is None or deployment.plan.is_structure else deployment.plan.lots
        is_right = lots is None or lots * 50 > 4 * FREEZE
        promise(is_right, "R19", f"{event.subject} is refused: {event.reason}")

    def _stays(self, events: Sequence[Event]) -> None:
        """Who stays over the night as a winner is one when that is decided: by the engine's list, and by told prices.

        A minute is left until the close then; what a price does in it changes no decision.
        """
        listed = {
            stay.position_id: stay.pnl for each in events if isinstance(each, OvernightListed) for stay in each.stays
        }
        for name in (each.position_id for each in events if isinstance(each, PositionCarried)):
            held = self.keeper.told.held[name]
            quote = self.quotes.get(held.plan.instrument.key)
            if held.plan.overnight is Overnight.KEEP:
                continue
            promise(quote is not None, "I7", f"{name} stays over the night and no price says that it is a winner")
            sides = () if quote is None else (quote.bid if held.plan.side is Side.BUY else quote.ask, quote.last)
            price = next((each for each in sides if each > 0), Decimal(0))
            gross = held.flow + held.plan.side.sign * held.units * price
            is_winner = gross > 0 and listed.get(name, Decimal(0)) > 0
            promise(is_winner, "I7", f"{name} is a loser and stays over the night")

    # --- what is true -------------------------------------------------------------------------------------------

    def _ours(self) -> dict[Key, int]:
        """Net units by instrument by the fills of the journal."""
        net: dict[Key, int] = {}
        for each in self.keeper.told.held.values():
            key = key_of(each.plan.instrument)
            net[key] = net.get(key, 0) + each.plan.side.sign * each.units
        return {key: units for key, units in net.items() if units}

    def _books_differ(self) -> bool:
        theirs = {key: units for key, units in self.venue.net().items() if units}
        return bool(self.venue.by_hand()) or self._ours() != theirs

    def _differences_are_named(self) -> None:
        """Where a person has traded and our fills are not the broker's, the account is frozen for that contract."""
        ours, theirs = self._ours(), self.venue.net()
        for key in self.venue.by_hand():
            differs = ours.get(key, 0) != theirs.get(key, 0) and not self.venue.outage
            is_named = any(self._is_about(key, text) for text in self.named)
            excess = theirs.get(key, 0) - ours.get(key, 0)
            # What moves, or what an order under way in this contract may explain, is not named yet.
            stood, seconds = self.differs.get(key, (excess, 0))
            is_busy = any(self.contracts[each] == key for each in self.under_way)
            stands = differs and not is_named and stood == excess and not is_busy
            seconds = seconds + 1 if stands else 0
            self.differs[key] = excess, seconds
            text = f"{key}: the broker holds {excess} units beyond the journal"
            promise(seconds <= NAMED_WITHIN_S, "R23", f"{text} for {seconds} s and is not named")

    def _is_about(self, key: Key, text: str) -> bool:
        names = {
            each.plan.instrument.name for each in self.keeper.told.held.values() if key_of(each.plan.instrument) == key
        }
        return key[1] in text or any(name in text for name in names)

    def _loss_is_latched(self) -> None:
        """At the limit of the day's loss entries are halted, though the P&L should come back a second later."""
        limit, loss = self.keeper.config.limits.max_daily_loss, self._loss()
        is_over = loss is not None and loss >= limit and not self.keeper.told.halted
        self.lossy = self.lossy + 1 if is_over else 0
        text = f"the day's loss is Rs {loss}, at most {limit}, and entries go on"
        promise(self.lossy <= LATCHED_WITHIN_S, "I7", text)

    def _loss(self) -> Decimal | None:
        """Rupees lost by the fills of the journal at the prices told in this second, charges not counted.

        None where a person has traded too: his price may be told, told anew, or moved to an order of ours.
        """
        total = Decimal(0)
        for each in self.keeper.told.held.values():
            price = self._price(each)
            if price is None or each.is_by_hand:
                return None
            total += each.flow + each.plan.side.sign * each.units * price
        return -total

    def _price(self, held: Held) -> Decimal | None:
        """Price at which it could be left; None without a good quote of this second (told as it was one before)."""
        if not held.units:
            return Decimal(0)
        quote = self.quotes.get(held.plan.instrument.key)
        if quote is None or quote.time < self.venue.now - timedelta(seconds=1) or quote.bid <= 0 or quote.ask <= 0:
            return None
        return quote.bid if held.plan.side is Side.BUY else quote.ask
