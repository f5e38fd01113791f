"""Entries that go to the broker as super orders: their legs, from the first fill to the plain stop that may follow.

Target and stop rest at the broker from the moment the entry does, so a fill is protected from its first second. In our
book a leg is an order like any other once its entry has filled; it is believed when the broker shows it, and looked up
until then. The broker lets legs grow with the fills of their entry, and takes one back when the other goes to the
exchange. A leg changes in its price alone and never comes back once it is gone: what it covered gets a plain stop.

Invariant: no leg is counted as protection before the broker has shown it, and none that he does not show is trusted.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from workbench.core import exits
from workbench.core.engine import sending
from workbench.core.engine.turn import Turn
from workbench.core.instrument import Instrument
from workbench.core.messages import OrderMoved, OrderSubmitted
from workbench.core.money import ZERO
from workbench.core.order import Bracket, Order, OrderChange, OrderState, OrderTicket, OrderType, Purpose
from workbench.core.plan import Exits
from workbench.core.position import Position
from workbench.core.signal import Side

GRACE = timedelta(seconds=1.5)
"""Market time in which a leg that went is taken for the broker's own doing: the other one has gone to the exchange."""

SOLD_GRACE = timedelta(seconds=6)
"""The same, where his positions show that the units are gone: a stop for them would open the opposite."""

GROWS_WITHIN = timedelta(seconds=1)
"""Market time between two looks while a leg covers less than its entry has filled."""

LOOK_EVERY = timedelta(seconds=20)
"""Market time between two looks at the legs at most: a leg may go while nobody listens."""

BESIDE_AFTER = timedelta(seconds=6)
"""Market time after which a position is left beside a leg whose cancellation nobody confirms (fault R13)."""

LOST_ASKS = 3
"""So often a leg that was given up is asked to be taken back at least, and until the list was read after that."""

LEGS = (Purpose.STOP, Purpose.TARGET)


def bracket_of(
    plan: Exits, instrument: Instrument, *, side: Side, price: Decimal, limit: Decimal, units: int
) -> Bracket | None:
    """Give the terms of the whole: levels around the price that is hoped for, the entry at its limit."""
    laid = exits.levels(plan, side, price, instrument.tick)
    if laid.stop is None or laid.target is None:
        return None
    return Bracket(quantity=units, price=limit, stop_price=laid.stop, target_price=laid.target)


def why_not(bracket: Bracket | None, *, side: Side, orders: int) -> str:
    """Say why an entry cannot go as a super order, or ""."""
    if orders > 1:
        return f"a super order is one order, and this entry would be {orders}: fewer lots, or another protection"
    if bracket is None:
        return "a super order needs a stop and a target on the traded price"
    if (bracket.target_price - bracket.price) * side.sign <= 0:
        return f"the target {bracket.target_price} is not beyond the entry's limit of {bracket.price}"
    if (bracket.price - bracket.stop_price) * side.sign <= 0:
        return f"the stop {bracket.stop_price} is not before the entry's limit of {bracket.price}"
    return ""


def entry_filled(turn: Turn, entry: Order) -> None:
    """Some of a super order's entry has filled: its legs are at the broker, and he is asked to show them."""
    if entry.ticket.bracket is None:
        return
    for purpose in LEGS:
        ticket = _leg(entry, entry.ticket.bracket, purpose)
        if ticket.correlation_id in turn.book.orders:
            continue
        turn.emit(OrderSubmitted(ticket=ticket, at=turn.now))
        # Believed when the broker shows it, and looked up until then.
        turn.emit(OrderMoved(correlation_id=ticket.correlation_id, state=OrderState.UNKNOWN, at=turn.now))
    sending.ask_snapshot(turn, f"legs of super order {entry.order_id or entry.ticket.correlation_id}")


def _leg(entry: Order, bracket: Bracket, purpose: Purpose) -> OrderTicket:
    is_stop = purpose is Purpose.STOP
    return replace(
        entry.ticket,
        correlation_id=sending.leg_key(entry.ticket.correlation_id, purpose),
        intent_id=f"{entry.ticket.position_id}:{purpose.value}",
        purpose=purpose,
        side=entry.ticket.side.opposite,
        quantity=entry.filled_quantity,
        order_type=OrderType.STOP_LIMIT if is_stop else OrderType.LIMIT,
        price=ZERO if is_stop else bracket.target_price,
        trigger_price=bracket.stop_price if is_stop else ZERO,
        bracket=None,
        leg_of=entry.ticket.correlation_id,
    )


def stop_terms(position: Position, leg: Order) -> OrderChange:
    """Terms of a stop that is a leg: the broker leaves at the market, and its units are not ours to say."""
    return OrderChange(
        order_type=OrderType.STOP_LIMIT, quantity=leg.ticket.quantity, trigger_price=position.stop or ZERO
    )


def note_gone(turn: Turn, leg: Order) -> None:
    """A leg was cancelled, by whom is not told."""
    turn.desk.leg_gone[leg.ticket.position_id] = turn.now


def other_leg_decides(turn: Turn, position: Position) -> bool:
    """A leg has just gone and its sibling may be filling: nothing is put in its place for a moment."""
    since = turn.desk.leg_gone.get(position.position_id)
    if since is None or turn.now - since >= (SOLD_GRACE if _seems_sold(turn, position) else GRACE):
        return False
    orders = turn.book.orders_of(position.position_id)
    return any(each.ticket.leg_of and each.state.may_rest for each in orders)


def _seems_sold(turn: Turn, position: Position) -> bool:
    """By the newest look the broker does not hold its units any more, and no list has told yet who sold them."""
    return _missing(turn, position) >= position.open_quantity > 0


def lacks_units(turn: Turn, position: Position) -> bool:
    """The same of some of its units."""
    return _missing(turn, position) > 0


def _missing(turn: Turn, position: Position) -> int:
    instrument = position.plan.instrument
    seen = turn.desk.mismatches.get((instrument.segment.value, instrument.security_id))
    return 0 if seen is None else -seen.excess * position.side.sign


def has_lost_its_leg(turn: Turn, position: Position) -> bool:
    """What protected it last was a leg, and it was cancelled (fault R18)."""
    stops = [each for each in turn.book.orders_of(position.position_id) if each.ticket.purpose is Purpose.STOP]
    return bool(stops) and bool(stops[-1].ticket.leg_of) and stops[-1].state is OrderState.CANCELLED


def look_after(turn: Turn, position: Position, units: int) -> None:
    """Look again while a leg covers less than is held, after a start, and now and then."""
    asked, seen = turn.desk.last_snapshot_asked, turn.desk.legs_seen
    stop = turn.book.resting_exit(position.position_id)
    is_short = stop is not None and stop.ticket.leg_of and stop.order_id and stop.remaining_quantity < units
    is_old = seen is None or turn.now - seen >= LOOK_EVERY
    if (is_short or is_old) and (asked is None or turn.now - asked >= GROWS_WITHIN):
        sending.ask_snapshot(turn, f"legs of {position.plan.instrument.name}")


def spared(turn: Turn, position: Position, order: Order | None) -> int:
    """Give units that a leg goes on to cover although the broker may hold fewer, 0 where it is not to be spared.

    A leg that is taken back never returns. So it stays while the units that seem to be missing may be no more than a
    fill of ours that his positions lag behind; once that is confirmed, it goes like every other order (fault R23).
    """
    is_leg = order is not None and bool(order.ticket.leg_of)
    is_blind = position.position_id in turn.desk.blind
    if not is_leg or is_blind or position.plan.instrument.key not in turn.desk.doubted:
        return 0
    return max(0, position.open_quantity)


def take_back_lost(turn: Turn, leg: Order) -> bool:
    """Take a leg back that was given up, and say whether it may still be at the broker.

    Should it be there and not be shown, it must fill neither beside the plain stop, which has been sent before, nor
    after that has ended the position: so it is asked again, also then, until a list that was read does not show it.
    """
    key = leg.ticket.correlation_id
    asked, read = turn.desk.asked_at.get(key), turn.desk.legs_read
    state, asks = turn.desk.asks.get(key, (leg.state, 0))
    has_asked = state is leg.state and asks >= LOST_ASKS
    if has_asked and asked is not None and read is not None and read > asked:
        return False
    sending.cancel(turn, leg)
    return True


def waits_no_longer(turn: Turn, position: Position) -> bool:
    """A leg was to be taken back and nobody shows that it is gone: the position is left beside it."""
    began = position.exit_began
    return began is not None and turn.now - began >= BESIDE_AFTER
