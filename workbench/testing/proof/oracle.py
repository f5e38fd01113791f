"""The oracle: holds the venue's truth, the journal and what was sent against the invariants, after every step.

It sees what a stranger could see: the venue's own orders, entries as they go to the disk, commands as they leave, what
people were told. Of the engine it reads the book only to compare it (I3, I8).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from workbench.core.book import Book
from workbench.core.messages import CancelAsked as CancelWritten
from workbench.core.messages import CancelOrder, ModifyOrder, OrderChangeAsked, OrderSubmitted, PlaceOrder
from workbench.core.order import OrderChange, OrderTicket, OrderType, Purpose
from workbench.core.ports import JournalEntry
from workbench.core.position import Position, PositionState
from workbench.core.signal import Side
from workbench.testing.proof.market import TICK, session_of
from workbench.testing.proof.venue import MODIFICATIONS_TAKEN, Asked, Venue, key_of

NAKED_AT_MOST_S = 10
ALARMED_AT_MOST_S = 90
HAND_AT_MOST_S = 45
_TAG = re.compile(r"[A-Za-z0-9_-]{1,25}")


class BrokenPromise(AssertionError):
    """An invariant does not hold; its text begins with the invariant's name."""


def promise(holds: bool, name: str, text: str) -> None:
    """Raise BrokenPromise where an invariant does not hold."""
    if not holds:
        raise BrokenPromise(f"{name}: {text}")


@dataclass(slots=True)
class Measures:
    """What a day came to; seconds are market seconds."""

    orders: int = 0
    lost: int = 0
    doubled: int = 0
    unprotected: int = 0
    longest_naked_s: int = 0
    longest_recovery_s: float = 0.0
    restarts: int = 0


@dataclass(slots=True)
class Written:
    """What is durably in the journal about orders."""

    tickets: dict[str, OrderTicket] = field(default_factory=dict)
    changes: dict[str, list[OrderChange]] = field(default_factory=dict)
    cancels: set[str] = field(default_factory=set)
    doubled: list[str] = field(default_factory=list)

    def take(self, entry: JournalEntry) -> None:
        """Count one durable entry in; what a new day tells again is not new."""
        for event in entry.events:
            match event:
                case OrderSubmitted():
                    known = self.tickets.get(event.ticket.correlation_id)
                    if known is not None and known.instrument != event.ticket.instrument:
                        self.doubled.append(event.ticket.correlation_id)
                    self.tickets[event.ticket.correlation_id] = event.ticket
                case OrderChangeAsked():
                    self.changes.setdefault(event.correlation_id, []).append(event.change)
                case CancelWritten():
                    self.cancels.add(event.correlation_id)
                case _:
                    pass


class Oracle:
    """Watches one day.

    Parameters
    ----------
    venue : Venue
    """

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.measures = Measures()
        self.naked: dict[str, int] = {}
        self.bare: dict[str, list[tuple[int, int]]] = {}
        self.unseen: dict[str, int] = {}
        self.overseen: dict[str, int] = {}
        self.alarmed: set[str] = set()
        self.triggers: dict[str, Decimal] = {}
        self.uncovered_hand: dict[str, int] = {}
        self.is_unheard = False
        self._names: Counter[str] = Counter()
        self._entries: Counter[str] = Counter()

    # --- at the door ---------------------------------------------------------------------------------------------

    def leaves(self, asked: Asked, written: Written) -> None:
        """Judge a request in the moment in which it leaves (I1, I2, I7, faults R19 to R21)."""
        match asked:
            case PlaceOrder():
                ticket = asked.ticket
                known = written.tickets.get(ticket.correlation_id)
                promise(known == ticket, "I1", f"{ticket.correlation_id} leaves and stands not so in the journal")
                self._names[ticket.correlation_id] += 1
                if self._names[ticket.correlation_id] > 1:
                    self.measures.doubled += 1
                promise(self._names[ticket.correlation_id] == 1, "I2", f"{ticket.correlation_id} is sent twice")
                if ticket.purpose is Purpose.ENTRY:
                    self._entries[ticket.intent_id] += 1
                    self.measures.doubled += self._entries[ticket.intent_id] > 1
                    promise(self._entries[ticket.intent_id] == 1, "I2", f"{ticket.intent_id} is sent twice")
                self._is_valid(ticket)
                self._in_hours()
            case ModifyOrder():
                changes = written.changes.get(asked.correlation_id, [])
                promise(asked.change in changes, "I1", f"a change of {asked.correlation_id} is not in the journal")
                order = self.venue.orders[asked.order_id]
                promise(order.changes < MODIFICATIONS_TAKEN, "R11", f"{asked.order_id} is changed too often")
                self._in_hours()
            case CancelOrder():
                promise(asked.correlation_id in written.cancels, "I1", f"{asked.correlation_id}: cancel not written")
            case _:
                return

    def _is_valid(self, ticket: OrderTicket) -> None:
        instrument = ticket.instrument
        promise(_TAG.fullmatch(ticket.correlation_id) is not None, "R20", f"id {ticket.correlation_id!r}")
        is_whole = ticket.quantity > 0 and ticket.quantity % instrument.lot == 0
        promise(is_whole, "R20", f"{ticket.quantity} units of lot {instrument.lot}")
        frozen = instrument.freeze is not None and ticket.quantity > instrument.freeze
        promise(not frozen, "R19", f"{ticket.quantity} units exceed the freeze quantity")
        for price in (ticket.price, ticket.trigger_price):
            promise(price % TICK == 0 and price >= 0, "R20", f"price {price} of {ticket.correlation_id}")
        if ticket.order_type is OrderType.STOP_LIMIT:
            right = (ticket.price - ticket.trigger_price) * ticket.side.sign >= 0 and ticket.trigger_price > 0
            promise(right, "R20", f"limit {ticket.price} and trigger {ticket.trigger_price} of {ticket.side}")

    def _in_hours(self) -> None:
        now = self.venue.now
        promise(session_of(now.date()).contains(now), "I7", f"an order leaves at {now:%H:%M:%S}")

    # --- after each step -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Judge what the venue holds: never oversold, never more on the way out than is held (I4)."""
        by_hand = self.venue.by_hand()
        for position_id in self.venue.position_ids():
            held = self.venue.held(position_id)
            working = sum(each.remaining for each in self.venue.resting_exits(position_id))
            promise(held >= 0, "I4", f"{position_id} is oversold: {held}")
            promise(working <= held, "I4", f"{working} units rest to leave {held} of {position_id}")
        if by_hand:
            return
        for key, units in self.venue.net().items():
            is_sold = key in self.venue.sold  # an entry has sold it: then each position alone is held to its own side
            promise(units >= 0 or is_sold, "I4", f"{units} units of {key}: an exit has opened the opposite")

    # --- every market second -------------------------------------------------------------------------------------

    def second(self, book: Book, *, alarm_now: bool, trades: bool) -> None:
        """Judge protection, knowledge and stops once a market second."""
        for position_id in self.venue.position_ids():
            position = book.positions.get(position_id)
            held = self.venue.held(position_id)
            resting = self.venue.resting_exits(position_id)
            if position is None:
                promise(not held and not resting, "I3", f"{position_id} is held and the book does not know it")
                continue
            self._known(position, held)
            self._protected(position, held, sum(each.remaining for each in resting), alarm_now, trades)
            self._stops(position)
        self._hands()

    def _known(self, position: Position, held: int) -> None:
        """Our fills are the broker's, or the difference is found in time (I3)."""
        position_id = position.position_id
        for seconds, wrong, text in (
            (self.unseen, position.open_quantity < held, "a fill was never found"),
            (self.overseen, position.open_quantity > held, "fills are booked that never were"),
        ):
            if wrong and self.venue.is_cut:
                continue  # nobody can find it now: these seconds do not count
            seconds[position_id] = seconds.get(position_id, 0) + 1 if wrong else 0
            late = seconds[position_id] > ALARMED_AT_MOST_S
            self.measures.lost += late
            promise(not late, "I3", f"{position_id}: {text}: book {position.open_quantity}, broker {held}")

    def _protected(self, position: Position, held: int, working: int, alarm_now: bool, trades: bool) -> None:
        """What is held has a working stop, or somebody was told and it is being left, in time (I5)."""
        position_id = position.position_id
        # A plan without a stop, or a trail that is not armed yet, has nothing to rest at the broker.
        has_none = position.stop is None and position.plan.exits.stop is None
        is_bare = held and working < held and not has_none
        is_over = not is_bare or position.state is PositionState.EXPIRING or not trades
        if is_over or key_of(position.plan.instrument) in self.venue.by_hand():
            self.naked.pop(position_id, None)
            self.bare.pop(position_id, None)
            self.alarmed.discard(position_id)
            return
        if alarm_now:
            self.alarmed.add(position_id)
        if self.venue.is_cut:
            return  # nobody can cover it now: these seconds do not count
        seconds = self.naked[position_id] = self.naked.get(position_id, 0) + 1
        self.measures.longest_naked_s = max(self.measures.longest_naked_s, seconds)
        if position.open_quantity < held:
            return  # not known yet: `_known` bounds it
        seconds = self._bare_for(position_id, held, working)
        is_excused = position.state is PositionState.EXITING or position_id in self.alarmed
        late = seconds > (ALARMED_AT_MOST_S if is_excused else NAKED_AT_MOST_S)
        self.measures.unprotected += late
        promise(not late, "I5", f"{position_id} ({position.state}): {working} of {held} protected for {seconds} s")

    def _bare_for(self, position_id: str, held: int, working: int) -> int:
        """Count the seconds of what is known and bare: each part has its own, and the oldest is covered first."""
        parts, left = [], held
        for units, seconds in self.bare.get(position_id, []):
            kept = min(units, left)
            left -= kept
            working -= kept
            parts.append((kept, 0 if working >= 0 or self.is_unheard else seconds + 1))
        if left:
            parts.append((left, 0 if working >= left or self.is_unheard else 1))
        self.bare[position_id] = parts
        return max(seconds for _, seconds in parts)

    def _stops(self, position: Position) -> None:
        """A resting stop lies on the right side, at the plan's distance or nearer, and never loosens."""
        plan, sign = position.plan, position.plan.side.sign
        entries = [each for each in self.venue.of(position.position_id) if each.ticket.purpose is Purpose.ENTRY]
        filled = sum(each.filled for each in entries)
        if not filled or filled != position.entered_quantity or any(each.state.may_rest for each in entries):
            return
        average = sum((each.value for each in entries), Decimal(0)) / filled
        for each in self.venue.resting_exits(position.position_id):
            ticket = each.ticket
            promise(ticket.side is plan.side.opposite, "I5", f"{each.order_id} leaves on the side of the entry")
            if ticket.order_type is not OrderType.STOP_LIMIT or plan.exits.stop is None:
                continue
            distance = plan.exits.stop.rupees(average)
            floor = average - sign * (distance + TICK)
            is_covered = self.naked.get(position.position_id, 0) == 0 and not self.venue.is_cut
            settled = is_covered and position.stop == ticket.trigger_price
            promise(
                not settled or sign * (ticket.trigger_price - max(floor, TICK)) >= 0,
                "I5",
                f"{each.order_id}: trigger {ticket.trigger_price} lies beyond {distance} from {average}",
            )
            is_plain = plan.exits.trail is None and plan.exits.lock is None
            # A cheap contract may be worth less than the distance: then its stop rests at one tick.
            away = sign * (ticket.trigger_price - max(average - sign * distance, TICK))
            promise(
                not (settled and is_plain) or away <= TICK,
                "I5",
                f"{each.order_id}: trigger {ticket.trigger_price} is not {distance} from {average}",
            )
            before = self.triggers.get(position.position_id)
            if settled:
                looser = before is not None and sign * (ticket.trigger_price - before) < 0
                promise(not looser, "I5", f"the stop of {position.position_id} was loosened from {before}")
                self.triggers[position.position_id] = ticket.trigger_price

    def frozen(self, book: Book) -> None:
        """The account freezes only where the books really differ."""
        ours = {key: units for key, units in book.net_by_instrument().items() if units}
        theirs = {key: units for key, units in self.venue.net().items() if units}
        promise(ours != theirs or bool(self.venue.by_hand()), "I3", f"frozen for nothing: both hold {ours}")

    def _hands(self) -> None:
        """Where a person trades too, we leave no more than is there, and say so (R23)."""
        net = self.venue.net()
        for key in self.venue.by_hand():
            for side, word in ((Side.SELL, "sold"), (Side.BUY, "bought back")):
                ours = sum(
                    each.remaining
                    for each in self.venue.orders.values()
                    if key_of(each.ticket.instrument) == key
                    and each.ticket.side is side
                    and each.state.may_rest
                    and each.ticket.purpose is not Purpose.ENTRY
                )
                self._covered_by_hand(str(key), word, ours, -side.sign * net.get(key, 0))

    def _covered_by_hand(self, key: str, word: str, ours: int, there: int) -> None:
        name, wrong = f"{key} {word}", ours > max(0, there)
        if wrong and self.venue.outage:
            return  # nothing can be seen or taken back now: these seconds do not count
        self.uncovered_hand[name] = self.uncovered_hand.get(name, 0) + 1 if wrong else 0
        late = self.uncovered_hand[name] > HAND_AT_MOST_S
        promise(not late, "R23", f"{ours} units rest to be {word} of {there} of {key}")

    # --- at the end ----------------------------------------------------------------------------------------------

    def end(self, book: Book, *, is_settled: bool) -> None:
        """After the square-off: flat, nothing rests, the books agree to the paisa."""
        venue = self.venue
        resting = [each.order_id for each in venue.orders.values() if each.state.may_rest]
        promise(not resting, "I4", f"orders rest after the end: {resting}")
        if venue.by_hand():
            return
        held = {each: venue.held(each) for each in venue.position_ids() if venue.held(each)}
        promise(not held, "I5", f"not flat at the end: {held}")
        promise(
            not book.live_positions(),
            "I3",
            f"positions live on: {[each.position_id for each in book.live_positions()]}",
        )
        if not is_settled:
            ours = {key: units for key, units in book.net_by_instrument().items() if units}
            theirs = {key: units for key, units in venue.net().items() if units}
            promise(ours == theirs, "I3", f"our fills and the broker's differ: {ours} {theirs}")
        promise(not book.frozen, "I3", f"frozen for nothing: {book.frozen}")
        for position in book.positions.values():
            gross = venue.value_of(position.position_id)
            # The broker tells averages to four places.
            same = abs(position.gross - gross) < Decimal("0.2")
            promise(same, "I3", f"{position.position_id}: gross {position.gross}, at the broker {gross}")
