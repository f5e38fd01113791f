"""Book beside broker: what the snapshot tells that the book does not know, each difference named.

Invariant: nothing is guessed. What the snapshot explains is returned as an update to fold in; what it does not explain
is a difference, and differences of positions freeze the account.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from workbench.core.book import Book
from workbench.core.messages import BrokerOrder, SnapshotTaken
from workbench.core.order import Order, OrderState, Product
from workbench.core.position import Position, PositionState
from workbench.core.signal import Side
from workbench.core.super_order import is_shared_leg

LEG_SHOWN_WITHIN = timedelta(seconds=60)
"""What the list of super orders does not show so long after its entry's fill is not there: lists lag by seconds."""

_UNANSWERED = (OrderState.SUBMITTED, OrderState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What laying a snapshot beside the book gave.

    `updates` are broker rows of our own orders; `absent` our orders that may rest but that the broker does not list;
    `foreign` rows that are nobody's of ours; `unplaced` rows of legs of which nobody can say yet which order they are.
    """

    updates: tuple[tuple[str, BrokerOrder], ...]
    absent: tuple[Order, ...]
    foreign: tuple[BrokerOrder, ...]
    unplaced: tuple[BrokerOrder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Net units of one contract, by segment and security id, that are not the same at the broker and in our book."""

    key: tuple[str, str]
    name: str
    broker: int
    ours: int

    @property
    def excess(self) -> int:
        """Units that the broker holds beyond our book; our own trades leave it as it is."""
        return self.broker - self.ours

    def __str__(self) -> str:
        return f"{self.name}: broker holds {self.broker} units, our book {self.ours}"


def compare_orders(book: Book, snapshot: SnapshotTaken) -> Findings:
    """Match the broker's order book with ours, by order id or correlation id; legs that sleep are nobody's fault."""
    updates: list[tuple[str, BrokerOrder]] = []
    foreign: list[BrokerOrder] = []
    unplaced: list[BrokerOrder] = []
    listed: set[str] = set()
    for row in snapshot.orders:
        order = book.of_row(row)
        if order is None:
            (unplaced if book.is_own_leg(row) else foreign).append(row)
            continue
        listed.add(order.ticket.correlation_id)
        updates.append((order.ticket.correlation_id, row))
    absent = [order for key, order in book.orders.items() if key not in listed and order.state.may_rest]
    return Findings(updates=tuple(updates), absent=tuple(absent), foreign=tuple(foreign), unplaced=tuple(unplaced))


def counted_once(book: Book, rows: Sequence[BrokerOrder]) -> tuple[BrokerOrder, ...]:
    """Take from rows of legs that share their entry's number what they tell of units that the book has counted already.

    How much was sold under that number is sure, and by which leg is what a list says that lags: the next look may give
    the same sale to the other leg. What was booked for one is not booked for the other too (fault S1).
    """
    fresh: Counter[str] = Counter()
    for row in rows:
        if row.leg is not None and is_shared_leg(row):
            fresh[row.leg.entry_id] += row.filled_quantity
    if not fresh:
        return tuple(rows)
    for order in book.orders.values():
        if order.ticket.leg_of:
            fresh[book.orders[order.ticket.leg_of].order_id] -= order.filled_quantity
    return tuple(_within(book, row, fresh) if is_shared_leg(row) else row for row in rows)


def without_look_ups(book: Book, snapshot: SnapshotTaken) -> SnapshotTaken:
    """Name the unanswered orders that a look asked nobody for by our own id: it does not miss them (fault R1).

    Legs of super orders have no id of ours: only the list that shows them can miss them.
    """
    unknown = (order.ticket for order in book.orders.values() if order.state is OrderState.UNKNOWN)
    return replace(snapshot, not_looked_up=tuple(each.correlation_id for each in unknown if not each.leg_of))


def _within(book: Book, row: BrokerOrder, fresh: Counter[str]) -> BrokerOrder:
    order, entry_id = book.of_row(row), "" if row.leg is None else row.leg.entry_id
    if order is None or row.filled_quantity <= order.filled_quantity:
        return row
    units = min(row.filled_quantity - order.filled_quantity, max(0, fresh[entry_id]))
    fresh[entry_id] -= units
    filled = order.filled_quantity + units
    if filled == row.filled_quantity:
        return row
    is_over = row.state.is_done or row.filled_quantity >= row.quantity
    return replace(row, filled_quantity=filled, state=OrderState.CANCELLED if is_over else row.state)


def compare_positions(book: Book, snapshot: SnapshotTaken) -> tuple[Difference, ...]:
    """Name every instrument whose net units differ, after the orders were folded in.

    What was left to expire leaves the broker's list when he settles it, which may be before we are told the price or
    after: not compared. Nor are shares that stayed over a night: they stand among his holdings.
    """
    ours = book.net_by_instrument()
    expiring = {
        (position.plan.instrument.segment.value, position.plan.instrument.security_id)
        for position in book.positions.values()
        if position.state is PositionState.EXPIRING
        or any(fill.settled for fill in position.fills)
        or is_holding(position, book)
    }
    theirs: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], str] = {}
    for row in snapshot.positions:
        key = (row.segment, row.security_id)
        theirs[key] = theirs.get(key, 0) + row.net_quantity
        names[key] = row.trading_symbol
    for position in book.positions.values():
        instrument = position.plan.instrument
        names[(instrument.segment.value, instrument.security_id)] = instrument.name
    differences = []
    for key in sorted((ours.keys() | theirs.keys()) - expiring):
        mine, broker = ours.get(key, 0), theirs.get(key, 0)
        if mine != broker:
            name = names.get(key) or ":".join(key)
            differences.append(Difference(key=key, name=name, broker=broker, ours=mine))
    return tuple(differences)


def is_holding(position: Position, book: Book) -> bool:
    """Shares bought on a day before: the broker's list of positions does not show them any more."""
    is_of_another_day = book.day is not None and position.plan.at.date() < book.day
    return position.plan.product is Product.CNC and is_of_another_day


def in_flight(book: Book, contract: tuple[str, str] | None = None) -> bool:
    """Something of ours is under way (in that contract), so a difference may only be a matter of time."""
    waiting = {key for key, order in book.orders.items() if order.state in _UNANSWERED} | book.changes_pending.keys()
    if contract is None:
        return bool(waiting)
    instruments = (book.orders[key].ticket.instrument for key in waiting)
    return any((each.segment.value, each.security_id) == contract for each in instruments)


def unanswered(book: Book) -> set[tuple[tuple[str, str], Side]]:
    """Contracts and sides in which an order of ours may be at the broker and not in his list yet.

    One that is being changed is listed.
    """
    tickets = (order.ticket for order in book.orders.values() if order.state in _UNANSWERED)
    return {((each.instrument.segment.value, each.instrument.security_id), each.side) for each in tickets}


def may_be_a_leg(book: Book, contract: tuple[str, str], side: Side, *, legs_read: datetime | None) -> bool:
    """A trade there under a number that nobody knows may be of a super order's leg, which nobody can know yet.

    A leg has no id of ours. Until the broker's list has shown it once its number is any number, and that list (read
    last in a look that began at `legs_read`) may be unreadable, or lag behind his order book.
    """
    for key, entry in book.orders.items():
        instrument = entry.ticket.instrument
        is_there = (instrument.segment.value, instrument.security_id) == contract and entry.ticket.side is not side
        if entry.ticket.bracket is None or not is_there:
            continue
        legs = [each for each in book.orders.values() if each.ticket.leg_of == key]
        if not legs and entry.state.may_rest:
            return True
        for leg in legs:
            since = book.submitted_at[leg.ticket.correlation_id]
            is_ruled_out = legs_read is not None and legs_read - since >= LEG_SHOWN_WITHIN
            if not leg.order_id and not is_ruled_out:
                return True
    return False
