"""What is believed and what is due where legs may go: the judges of other days, told of the list of super orders.

Invariant: the engine is not asked.
"""

from __future__ import annotations

from workbench.core.messages import ExitBegan, OrderChangeEnded, OrderSubmitted, SnapshotTaken
from workbench.core.order import OrderTicket, Purpose, SuperLegName
from workbench.core.ports import JournalEntry
from workbench.testing.proof.belief import GIVEN_UP_AFTER_S, LOOKS, Belief
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.promptness import BY_STOP, Promptness
from workbench.testing.proof.super_venue import SuperVenue


class SuperBelief(Belief):
    """What the journal says of the broker, where legs and entries stand in a list of their own."""

    def __init__(self, venue: SuperVenue, keeper: Gatekeeper) -> None:
        super().__init__(venue, keeper)
        self.tickets: dict[str, OrderTicket] = {}

    def take(self, entry: JournalEntry) -> None:
        """Judge one entry as it is written."""
        for event in entry.events:
            if isinstance(event, OrderSubmitted):
                self.tickets[event.ticket.correlation_id] = event.ticket
        super().take(entry)

    def _given_up(self, name: str) -> None:
        """A look that could not show it is no look (R1)."""
        ticket, looked = self.tickets.get(name), self.looked
        if ticket is not None:
            self.looked = [look for look in looked if self._would_show(ticket, look)]
        ages = [(look.taken_at - self.sent[name][0]).total_seconds() for look in self.looked]
        if ticket is not None and ticket.leg_of:
            late = [age for age in ages if age >= 0]
            is_late = len(late) >= LOOKS and late[-1] >= GIVEN_UP_AFTER_S[ticket.purpose]
            promise(is_late, "R13", f"leg {name} is given up after {max(late, default=0):.0f} s and {len(late)} looks")
        else:
            super()._given_up(name)
        self.looked = looked

    def _would_show(self, ticket: OrderTicket, look: SnapshotTaken) -> bool:
        if ticket.bracket is not None:
            return not look.legs_unread
        if not ticket.leg_of:
            return True
        entry = self._order(ticket.leg_of)
        rows = (row.leg for row in look.orders if row.leg is not None)
        is_stop = ticket.purpose is Purpose.STOP
        name = SuperLegName.STOP if is_stop else SuperLegName.TARGET
        is_shown = any(entry is not None and row.entry_id == entry.order_id and row.name is name for row in rows)
        return look.with_legs and not is_shown

    def _changed(self, event: OrderChangeEnded) -> None:
        """A leg changes in its price alone: how much it covers is the broker's to say."""
        order = self._order(event.correlation_id)
        if order is None or not order.ticket.leg_of:
            super()._changed(event)
            return
        terms = {(each.price, each.trigger_price) for each in (order.ticket, *order.had)}
        was_so = (event.change.price, event.change.trigger_price) in terms
        promise(was_so, "I5", f"a change of {event.correlation_id} counts that the broker never made")


class SuperPromptness(Promptness):
    """What has to happen soon, where a leg may go before the levels of its fill have reached it."""

    def __init__(self, venue: SuperVenue, keeper: Gatekeeper) -> None:
        super().__init__(venue, keeper)
        self.supers = venue

    def _left(self, event: ExitBegan) -> None:
        """What a leg has sold was left where the leg stood, which may be the level that was hoped for (S6)."""
        name = SuperLegName.TARGET if event.reason == "target" else SuperLegName.STOP
        leg, watched = self.supers.leg_of(event.position_id, name), self.watched.get(event.position_id)
        is_by_leg = event.reason == "target" or event.reason in BY_STOP
        if leg is None or watched is None or not leg.filled or not is_by_leg:
            super()._left(event)
            return
        if event.position_id in self.supers.both:
            return  # the market has touched both within one second, which no second's price shows
        tickets, price = (leg.ticket, *leg.had), self.venue.prices[leg.ticket.instrument.key]
        low, high = min(watched.low, price), max(watched.high, price)
        if name is SuperLegName.STOP:
            most = max(each.trigger_price for each in tickets)
            promise(low <= most, "S6", f"{event.position_id} is left by its stop leg {most}, lowest was {low}")
            return
        least = min(each.price for each in tickets)
        is_there = max(high, leg.last_price) >= least
        promise(is_there, "S6", f"{event.position_id} is left at its target leg {least}, highest was {high}")
