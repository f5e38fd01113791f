"""An exit that a target holds up: another reason takes its place at once, and the stop's order leaves soon (R15).

Of a position that is left for its target the target itself may be stuck at the broker: neither filled nor taken back.
Then any other reason to leave (a person, the clock) takes the place of "target", and an exit for any other reason does
not wait for that cancellation.

Invariant: the engine is not asked; reasons are the journal's, orders the venue's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from workbench.core.messages import Event, ExitBegan, Message, ModifyOrder, OperatorOrdered, PlaceOrder, PositionPlanned
from workbench.core.messages.inbound import Operator
from workbench.core.order import OrderState, Purpose
from workbench.core.ports import JournalEntry
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.pair_venue import PairVenue
from workbench.testing.proof.venue import Asked

OTHERWISE_S = 3
"""Market seconds in which another reason to leave takes the place of the target's."""

TRIED_S = 8
"""Market seconds of calm weather in which the stop's order leaves although the target may rest."""

AT_BROKER = (OrderState.WORKING, OrderState.PARTLY_FILLED)


@dataclass(slots=True)
class HeldUp:
    """Watches exits that targets hold up."""

    venue: PairVenue
    plans: dict[str, PositionPlanned] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    waits: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(default_factory=Counter)

    def take(self, entry: JournalEntry) -> None:
        """Read one entry of the journal."""
        self._told(entry.message)
        for event in entry.events:
            self._happened(event)

    def _told(self, message: Message | None) -> None:
        if isinstance(message, OperatorOrdered) and message.command in (Operator.FLATTEN, Operator.CLOSE):
            self.ordered |= {name for name, reason in self.reasons.items() if reason == "target"}

    def _happened(self, event: Event) -> None:
        match event:
            case PositionPlanned():
                self.plans[event.position_id] = event
                self.reasons.pop(event.position_id, None)
                self.ordered.discard(event.position_id)
            case ExitBegan():
                self.reasons[event.position_id] = event.reason
                self.ordered.discard(event.position_id)
                self.tried.discard(event.position_id)
            case _:
                pass

    def leaves(self, asked: Asked) -> None:
        """Note an attempt to leave by another order than the target."""
        if isinstance(asked, PlaceOrder) and asked.ticket.purpose is Purpose.EXIT:
            self.tried.add(asked.ticket.position_id)
        elif isinstance(asked, ModifyOrder):
            ticket = self.venue.orders[asked.order_id].ticket
            if ticket.purpose is not Purpose.TARGET:
                self.tried.add(ticket.position_id)

    def second(self, *, trades: bool) -> None:
        """Judge one market second."""
        for name, reason in self.reasons.items():
            left = self.venue.left(name)
            is_held_up = trades and self.venue.held(name) > 0 and left.target_working > 0
            clock = self.plans[name].exits.time
            is_due = name in self.ordered or (clock is not None and self.venue.now.time() >= clock)
            self._count(self.waits, name, is_held_up and reason == "target" and is_due)
            text = f"{name} is left at its target, which does not go, and for {self.waits[name]} s for no other reason"
            promise(self.waits[name] <= OTHERWISE_S, "R15", text)
            stop = next(iter(self.venue.resting_exits(name)[-1:]), None)
            rests = stop is not None and stop.state in AT_BROKER and not stop.filled
            is_calm = self.venue.faults.is_calm and not self.venue.is_silent
            is_idle = is_held_up and reason != "target" and rests and is_calm and name not in self.tried
            self._count(self.idle, name, is_idle)
            text = f"{name} is to be left ({reason}) and waits {self.idle[name]} s for a target that does not go"
            promise(self.idle[name] <= TRIED_S, "R15", text)

    def again(self, entries: Iterable[JournalEntry]) -> None:
        """The process died: what it had decided and not written down was never decided."""
        self.reasons.clear()
        for entry in entries:
            self.take(entry)

    def disturbed(self) -> None:
        """The process died: an order of a person may be lost with it, and what was known is looked up again."""
        self.ordered.clear()
        self.waits.clear()
        self.idle.clear()

    def _count(self, seconds: Counter[str], name: str, wrong: bool) -> None:
        seconds[name] = seconds[name] + 1 if wrong else 0
