"""Orders that leave: the event that says so first, then the command; and the questions that the broker is asked.

Invariant: no order of ours is sent, changed or taken back without an event before it, and never while an earlier wish
about the same order is under way.
"""

from dataclasses import replace
from datetime import timedelta

from workbench.core.engine.turn import Turn
from workbench.core.messages import (
    CancelAsked,
    CancelOrder,
    ModifyOrder,
    OrderChangeAsked,
    OrderSubmitted,
    PlaceOrder,
    TakeSnapshot,
)
from workbench.core.order import (
    Bracket,
    LegAddress,
    Order,
    OrderChange,
    OrderState,
    OrderTicket,
    Purpose,
    SuperLegName,
)
from workbench.core.position import Position

LONGEST_PAUSE_S, LONGEST_EXIT_PAUSE_S = 60.0, 10.0
"""Market seconds between two requests to take back an entry, and an order that leaves, at most (fault R9)."""

_MOST_ASKS_COUNTED = 8

LETTERS = {Purpose.ENTRY: "E", Purpose.STOP: "S", Purpose.EXIT: "X", Purpose.TARGET: "T"}
"""Last letter of a correlation id: what the order is for."""


def place(turn: Turn, position: Position, purpose: Purpose, terms: OrderChange) -> None:
    """Send a new order that leaves a position (or takes an excess back)."""
    written = ticket(turn, position, purpose, terms)
    turn.emit(OrderSubmitted(ticket=written, at=turn.now))
    turn.command(PlaceOrder(ticket=written))


def ticket(turn: Turn, position: Position, purpose: Purpose, terms: OrderChange) -> OrderTicket:
    """Give the next order that leaves a position (or takes an excess back) as it would be sent."""
    plan = position.plan
    side = plan.side if position.open_quantity < 0 else plan.side.opposite
    return OrderTicket(
        correlation_id=turn.correlation_id(LETTERS[purpose]),
        intent_id=f"{position.position_id}:{purpose.value}",
        position_id=position.position_id,
        deployment=plan.deployment,
        purpose=purpose,
        instrument=plan.instrument,
        side=side,
        quantity=terms.quantity,
        order_type=terms.order_type,
        product=plan.product,
        price=terms.price,
        trigger_price=terms.trigger_price,
    )


def change(turn: Turn, order: Order, terms: OrderChange, purpose: Purpose) -> None:
    """Change a resting order."""
    correlation_id = order.ticket.correlation_id
    turn.emit(OrderChangeAsked(correlation_id=correlation_id, change=terms, purpose=purpose.value, at=turn.now))
    turn.command(
        ModifyOrder(
            correlation_id=correlation_id,
            order_id=order.order_id,
            change=terms,
            leg=_address(turn, order),
            bracket=_whole(turn, order, terms),
        )
    )


def cancel(turn: Turn, order: Order) -> None:
    """Take an order back, as soon as the broker has named it; asked again after a pause that grows."""
    correlation_id = order.ticket.correlation_id
    leg = _address(turn, order)
    is_named = bool(order.order_id or leg)
    if not is_named or correlation_id in turn.book.cancels_pending or asked_lately(turn, order):
        return
    turn.desk.asked_at[correlation_id] = turn.now
    turn.desk.asks[correlation_id] = (order.state, _asks(turn, order) + 1)
    turn.emit(CancelAsked(correlation_id=correlation_id, at=turn.now))
    is_exit = order.ticket.purpose is not Purpose.ENTRY
    turn.command(CancelOrder(correlation_id=correlation_id, order_id=order.order_id, is_exit=is_exit, leg=leg))


def leg_key(entry_key: str, purpose: Purpose) -> str:
    """Our id of a super order's leg: that of its entry with the letter of what the leg is for."""
    return entry_key[:-1] + LETTERS[purpose]


def _address(turn: Turn, order: Order) -> LegAddress | None:
    """Where a write about an order goes by way of its super order; None where it goes to the order itself.

    An entry that has filled in part is first taken back alone: with the entry leg all legs would go (fault R16). Where
    the broker does not do that, the second request takes the legs along, and a plain stop follows.
    """
    if order.ticket.leg_of:
        entry = turn.book.orders.get(order.ticket.leg_of)
        name = SuperLegName.STOP if order.ticket.purpose is Purpose.STOP else SuperLegName.TARGET
        return LegAddress(entry_id=entry.order_id, name=name) if entry is not None and entry.order_id else None
    if order.ticket.bracket is None or not order.order_id or (order.filled_quantity and not _asks(turn, order)):
        return None
    return LegAddress(entry_id=order.order_id, name=SuperLegName.ENTRY)


def _whole(turn: Turn, order: Order, terms: OrderChange) -> Bracket | None:
    """All terms of a super order as they are to be after the change of one leg."""
    entry = turn.book.orders.get(order.ticket.leg_of)
    bracket = None if entry is None else entry.ticket.bracket
    if bracket is None:
        return None
    stop = turn.book.orders.get(leg_key(order.ticket.leg_of, Purpose.STOP))
    target = turn.book.orders.get(leg_key(order.ticket.leg_of, Purpose.TARGET))
    bracket = replace(
        bracket,
        stop_price=bracket.stop_price if stop is None else stop.ticket.trigger_price,
        target_price=bracket.target_price if target is None else target.ticket.price,
    )
    if order.ticket.purpose is Purpose.STOP:
        return replace(bracket, stop_price=terms.trigger_price)
    return replace(bracket, target_price=terms.price)


def withdraw_entry(turn: Turn, position_id: str) -> None:
    """Take back what has not filled of an entry."""
    entry = turn.book.resting_entry(position_id)
    if entry is not None:
        cancel(turn, entry)


def is_ready(turn: Turn, order: Order) -> bool:
    """The broker has it, and nothing of ours about it is under way."""
    correlation_id = order.ticket.correlation_id
    return (
        bool(order.order_id)
        and order.state in (OrderState.ACCEPTED, OrderState.WORKING, OrderState.PARTLY_FILLED)
        and correlation_id not in turn.book.changes_pending
        and correlation_id not in turn.book.cancels_pending
    )


def asked_lately(turn: Turn, order: Order) -> bool:
    """A cancellation was asked, or a change refused, a moment ago: no storm of the same wish.

    A broker who does not take an order back (it is in transit all day) is asked after 2, 4, 8 seconds and so on, or his
    hourly limit of requests would be used up by it. An order that has moved meanwhile is asked about anew.
    """
    asked = turn.desk.asked_at.get(order.ticket.correlation_id)
    if asked is None:
        return False
    doublings = min(max(_asks(turn, order), 1), _MOST_ASKS_COUNTED) - 1
    longest = LONGEST_PAUSE_S if order.ticket.purpose is Purpose.ENTRY else LONGEST_EXIT_PAUSE_S
    return turn.now - asked < timedelta(seconds=min(turn.config.chase_every_s * 2**doublings, longest))


def _asks(turn: Turn, order: Order) -> int:
    """So often it was asked to be taken back since it stands as it stands."""
    state, asks = turn.desk.asks.get(order.ticket.correlation_id, (order.state, 0))
    return asks if state is order.state else 0


def ask_snapshot(turn: Turn, reason: str) -> None:
    """Have the broker's truth read."""
    turn.desk.last_snapshot_asked = turn.now
    orders = turn.book.orders.values()
    unknown = (each.ticket for each in orders if each.state is OrderState.UNKNOWN)
    # The broker knows no leg by an id of ours: only his list of super orders shows it.
    unanswered = tuple(ticket.correlation_id for ticket in unknown if not ticket.leg_of)
    with_legs = any(each.ticket.bracket is not None for each in orders)
    turn.command(TakeSnapshot(reason=reason, unanswered=unanswered, with_legs=with_legs))


def older(turn: Turn, order: Order, seconds: float) -> bool:
    """The order was sent that many market seconds ago or more."""
    submitted = turn.book.submitted_at.get(order.ticket.correlation_id, turn.now)
    return turn.now - submitted >= timedelta(seconds=seconds)
