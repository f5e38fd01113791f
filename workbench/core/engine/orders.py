"""The broker's words on our orders, folded in one way: quantities grow, done is done, but a fill is believed.

Invariant: the same updates in any order, doubled or with some missing, end in the same book (fault S1).
"""

from decimal import Decimal

from workbench.core.engine import by_hand, entries, sending, siblings, slicing, steering, supers
from workbench.core.engine.turn import Turn
from workbench.core.exits import STOP_REASONS
from workbench.core.messages import (
    AccountFrozen,
    BrokerOrder,
    CancelEnded,
    FillBooked,
    Level,
    OrderChangeEnded,
    OrderMoved,
    OrderUpdated,
    Outcome,
    WriteAnswered,
    WriteKind,
)
from workbench.core.money import ZERO
from workbench.core.order import TRANSITIONS, Order, OrderState, Purpose
from workbench.core.position import Position, PositionState
from workbench.core.super_order import is_told_without_units

_RANK = {
    OrderState.SUBMITTED: 0,
    OrderState.UNKNOWN: 0,
    OrderState.NOT_SENT: 0,
    OrderState.ABANDONED: 0,
    OrderState.ACCEPTED: 1,
    OrderState.WORKING: 2,
    OrderState.PARTLY_FILLED: 3,
}
"""How far an order has come; an update that lies behind what is known is late and changes nothing."""

_OUTCOMES = {
    Outcome.REJECTED: OrderState.REJECTED,
    Outcome.NOT_SENT: OrderState.NOT_SENT,
    Outcome.UNKNOWN: OrderState.UNKNOWN,
}


def on_answer(turn: Turn, answer: WriteAnswered) -> None:
    """Book how one of our writes ended."""
    order = turn.book.orders.get(answer.correlation_id)
    if order is None:
        return
    match answer.kind:
        case WriteKind.PLACE:
            _placed(turn, order, answer)
            taken = answer.outcome is Outcome.ACCEPTED and answer.state is not OrderState.REJECTED
            slicing.answered(turn, order, taken=taken, why=f"an order is {answer.outcome.value}: {answer.reason}")
        case WriteKind.MODIFY:
            _modified(turn, order, answer)
        case WriteKind.CANCEL:
            _cancelled(turn, order, answer)
    _steer(turn, order)


def on_update(turn: Turn, update: OrderUpdated) -> None:
    """Fold the broker's word on one order in."""
    if turn.book.is_own_leg(update.order) and is_told_without_units(update.order):
        sending.ask_snapshot(turn, f"leg {update.order.order_id} is told of without its units")
        return
    order = turn.book.of_row(update.order)
    if order is None and turn.book.is_own_leg(update.order):
        if update.order.filled_quantity:
            sending.ask_snapshot(turn, f"leg {update.order.order_id} has filled before its entry was told to have")
        return
    if order is None:
        text = f"order {update.order.order_id} at the broker is not ours ({update.order.raw_status})"
        turn.tell(Level.WARNING, text)
        by_hand.on_foreign(turn, update.order)
        return
    fold(turn, order, update.order)
    if update.order.state is OrderState.FILLED and _state_of(update.order) is not OrderState.FILLED:
        sending.ask_snapshot(turn, f"order {update.order.order_id} is told to be filled, and not how much of it")
    _steer(turn, turn.book.orders[order.ticket.correlation_id])


def fold(turn: Turn, order: Order, seen: BrokerOrder) -> None:
    """Book fills and the move that `seen` tells of and the book does not know yet."""
    if _contradicts(turn, order, seen) or _sleeps(seen):
        return
    fresh = seen.filled_quantity - order.filled_quantity
    if fresh > 0:
        _book_fill(turn, order, seen, fresh)
        order = turn.book.orders[order.ticket.correlation_id]
    state = _state_of(seen)
    if not _is_news(order, state) and order.order_id:
        return
    if state is not order.state and state not in TRANSITIONS[order.state]:
        return
    turn.emit(
        OrderMoved(
            correlation_id=order.ticket.correlation_id,
            state=state if _is_news(order, state) else order.state,
            at=turn.now,
            order_id=seen.order_id,
            reason=seen.reason if state.is_done else "",
        )
    )
    if state is OrderState.CANCELLED or state is OrderState.REJECTED or state is OrderState.EXPIRED:
        _gone(turn, turn.book.orders[order.ticket.correlation_id])


def _sleeps(seen: BrokerOrder) -> bool:
    """A leg that is told of for no units covers nothing yet, and who believed it would not look again (fault R13)."""
    return seen.leg is not None and not seen.quantity and not seen.state.is_done


def _contradicts(turn: Turn, order: Order, seen: BrokerOrder) -> bool:
    """A row under our id that is about another contract or side is believed in nothing, and freezes the account."""
    ticket = order.ticket
    same = seen.side is ticket.side and seen.security_id in ("", ticket.instrument.security_id)
    if same:
        return False
    text = (
        f"order {seen.order_id} carries our id {ticket.correlation_id} and is {seen.side.value} {seen.security_id}, "
        f"ours is {ticket.side.value} {ticket.instrument.security_id}"
    )
    if text not in turn.book.frozen:
        turn.emit(AccountFrozen(differences=(*turn.book.frozen, text), at=turn.now))
        turn.tell(Level.ALARM, f"account frozen: {text}")
    return True


def _state_of(seen: BrokerOrder) -> OrderState:
    """State by quantities first: the words for a fill are not reliable, and an order is filled by its units only."""
    if seen.quantity and seen.filled_quantity >= seen.quantity:
        return OrderState.FILLED
    if seen.state in (OrderState.WORKING, OrderState.ACCEPTED, OrderState.PARTLY_FILLED, OrderState.FILLED):
        if seen.filled_quantity:
            return OrderState.PARTLY_FILLED
        return OrderState.ACCEPTED if seen.state is OrderState.ACCEPTED else OrderState.WORKING
    return seen.state


def _is_news(order: Order, state: OrderState) -> bool:
    if state is order.state:
        return False
    if order.state.is_done and not _ended_by_an_answer(order):
        return state is OrderState.FILLED or (
            state is OrderState.PARTLY_FILLED and order.state is not OrderState.FILLED and not order.filled_quantity
        )
    return state.is_done or _RANK.get(state, 0) > _RANK.get(order.state, 0)


def _ended_by_an_answer(order: Order) -> bool:
    """Our own conclusion, or a refusal that names no order: if the broker shows the order, it lives (fault R2)."""
    is_unnamed = order.state is OrderState.REJECTED and not order.order_id
    return is_unnamed or order.state in (OrderState.NOT_SENT, OrderState.ABANDONED)


def _book_fill(turn: Turn, order: Order, seen: BrokerOrder, fresh: int) -> None:
    """Book what filled beyond what is known, at the price of the newest execution where that explains the average."""
    known_value = order.filled_value
    total_value = seen.average_price * seen.filled_quantity
    price = (total_value - known_value) / fresh if seen.average_price > 0 else seen.last_fill_price
    if seen.last_fill_price > 0:
        told = known_value + seen.last_fill_price * fresh
        if seen.average_price <= 0 or abs(told - total_value) <= _rounding(seen.average_price) * seen.filled_quantity:
            price = seen.last_fill_price
    if price <= 0:
        price = _price_untold(turn, order)
    ticket = order.ticket
    position = turn.book.positions[ticket.position_id]
    moved = _emit_fill(turn, order, units=fresh, price=price, order_id=seen.order_id)
    _hold_less(turn, order, fresh - moved)
    if not position.is_live and fresh > moved:
        _came_back(turn, position)
    if ticket.purpose is Purpose.ENTRY:
        turn.desk.refresh_held()
        steering.lay_levels(turn, ticket.position_id)
        supers.entry_filled(turn, turn.book.orders[ticket.correlation_id])
        if position.exit_reason and position.state is PositionState.EXITING:
            return
        text = f"filled {fresh} of {ticket.quantity} {ticket.instrument.name} at {price}"
        turn.tell(Level.INFO, text)
    elif ticket.purpose is Purpose.TARGET:
        siblings.target_filled(turn, ticket.position_id)
    elif not position.exit_reason:
        steering.stop_filled(turn, ticket.position_id)
    siblings.warn_of_excess(turn, position)


def _emit_fill(turn: Turn, order: Order, *, units: int, price: Decimal, order_id: str) -> int:
    """Book units of an order; give how many of them stood as another's trade until now, and are moved (fault R23)."""
    ticket = order.ticket
    numbers = [order_id]
    if order.state is OrderState.ABANDONED:
        numbers += turn.book.told_by_hand(ticket.position_id)  # what a person said to have closed was this one
    moved, parts = 0, []
    for number in numbers:
        part = min(units - moved, turn.book.by_hand(number))
        moved += part
        parts.append((part, number))
    for quantity, booked_as in (*parts, (units - moved, "")):
        if quantity:
            turn.emit(
                FillBooked(
                    correlation_id=ticket.correlation_id,
                    position_id=ticket.position_id,
                    quantity=quantity,
                    price=price,
                    at=turn.now,
                    reference_price=_reference(turn, ticket.purpose, ticket.position_id),
                    booked_as=booked_as,
                )
            )
    if moved:
        text = f"order {order_id} was taken for another's and is our {ticket.correlation_id}"
        turn.tell(Level.WARNING, f"{text}: its {moved} units are moved, and were not traded beside us")
    return moved


def _hold_less(turn: Turn, order: Order, fresh: int) -> None:
    """Take a fill of ours off what the broker was seen to hold, or another exit would sell what is gone (fault R23).

    Units that were missing in that look already, and that nobody else has traded, are this fill: his positions had it
    before his list of orders did. An order that was given up explains all that was missing.
    """
    instrument, sign = order.ticket.instrument, order.ticket.side.sign
    held, contract = turn.desk.broker_holds, (instrument.segment.value, instrument.security_id)
    if instrument.key not in held:
        return
    before = turn.book.net_by_instrument().get(contract, 0) - sign * fresh
    missing = sign * (held[instrument.key] - before)
    if order.state is not OrderState.ABANDONED:
        missing -= max(0, sign * turn.desk.gone.get(contract, 0))
    if missing > 0:
        sending.ask_snapshot(turn, f"{instrument.name}: a fill that the positions may have shown before")
    held[instrument.key] += sign * max(0, fresh - max(0, missing))


def _rounding(average: Decimal) -> Decimal:
    """Half a unit of the last place to which an average is told, rupees: so much contradicts no execution's price.

    Two places are always meant (a nought at the end may be left out), and beyond four it is the noise of a float.
    """
    places = max(-4, min(-2, int(average.as_tuple().exponent)))
    return Decimal(5).scaleb(places - 1)


def _price_untold(turn: Turn, order: Order) -> Decimal:
    """A price for units that filled at none: believed, they need a stop, and a stop laid around zero is none."""
    ticket = order.ticket
    hoped = _reference(turn, ticket.purpose, ticket.position_id)
    price = hoped or ticket.price or turn.book.positions[ticket.position_id].plan.reference_price
    turn.tell(
        Level.ALARM, f"order {ticket.correlation_id} has filled and no price is told: {price} is taken, look it up"
    )
    return price


def _came_back(turn: Turn, position: Position) -> None:
    """An order that was given up has filled: the position lives again, or is left at once if another took its place."""
    plan = position.plan
    turn.tell(
        Level.ALARM, f"{plan.instrument.name}: an order that was over has filled; position {plan.position_id} lives"
    )
    turn.desk.refresh_held()
    lives = [item for item in turn.book.live_positions() if item.plan.deployment == plan.deployment]
    if len(lives) > 1:
        steering.begin_exit(turn, plan.position_id, "late_fill")


def _reference(turn: Turn, purpose: Purpose, position_id: str) -> Decimal:
    """The price that was hoped for, as the basis of slippage."""
    position = turn.book.positions[position_id]
    if purpose is Purpose.ENTRY:
        return position.plan.reference_price
    is_at_target = purpose is Purpose.TARGET or position.exit_reason == "target"
    if is_at_target and position.target is not None:
        return position.target
    if purpose is Purpose.STOP and position.exit_reason in {"", *STOP_REASONS} and position.stop is not None:
        return position.stop
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    return quote.last if quote else ZERO


def _placed(turn: Turn, order: Order, answer: WriteAnswered) -> None:
    state = _OUTCOMES.get(answer.outcome) or _taken_state(answer)
    late = order.state is not OrderState.SUBMITTED and not _is_news(order, state)
    is_contradicted = answer.outcome is Outcome.REJECTED and not answer.order_id and bool(order.order_id)
    if (state not in TRANSITIONS[order.state] and state is not order.state) or is_contradicted:
        # "Not sent" or "refused", of an order that the broker has told us of: his word stands, and his book decides.
        sending.ask_snapshot(turn, f"order {answer.correlation_id} is {order.state}, its answer says {state}")
        return
    moved = order.state if late else state
    if moved is order.state and order.order_id:
        return
    turn.emit(
        OrderMoved(
            correlation_id=answer.correlation_id,
            state=moved,
            at=turn.now,
            order_id=answer.order_id,
            reason=answer.reason,
        )
    )
    if late:
        return
    if answer.outcome is Outcome.UNKNOWN:
        turn.tell(Level.ALARM, f"no answer to order {answer.correlation_id}: looking it up, not sending it again")
        sending.ask_snapshot(turn, f"order {answer.correlation_id} was not answered")
    elif state in (OrderState.REJECTED, OrderState.NOT_SENT):
        turn.tell(Level.WARNING, f"order {answer.correlation_id} {state.value}: {answer.reason}")
        if answer.throttled:
            _throttled(turn, turn.book.orders[answer.correlation_id])
            if state is OrderState.REJECTED:
                # What the broker counts against us he may have taken all the same: his book is asked (fault R2).
                sending.ask_snapshot(turn, f"order {answer.correlation_id} was refused for its pace")
        else:
            _gone(turn, turn.book.orders[answer.correlation_id])
    elif answer.state not in (None, state):
        sending.ask_snapshot(turn, f"order {answer.correlation_id} is {answer.state} by its answer")


def _throttled(turn: Turn, order: Order) -> None:
    """An order was refused for its pace alone: an entry is dropped, what leaves or protects comes after a pause."""
    position = turn.book.positions[order.ticket.position_id]
    if order.ticket.purpose is not Purpose.ENTRY:
        steering.throttle(turn, order)
        return
    plan = position.plan
    fate, why = "denied", "rate limit"
    if plan.group:  # something of it was taken before
        fate, why = "cut_short", f"{order.ticket.quantity + plan.unsent} units of it were not entered: rate limit"
        turn.tell(Level.WARNING, f"entry of {order.ticket.instrument.name}: {why}")
    turn.decide(plan.subject, plan.deployment, fate, why, gate="rate_limit", direction=plan.direction)


def _taken_state(answer: WriteAnswered) -> OrderState:
    """State of an order that was taken; an answer tells no quantities, so it ends no order that may have filled."""
    match answer.state:
        case None | OrderState.ACCEPTED:
            return OrderState.ACCEPTED
        case OrderState.REJECTED:
            return OrderState.REJECTED
        case _:
            return OrderState.WORKING


def _modified(turn: Turn, order: Order, answer: WriteAnswered) -> None:
    change = turn.book.changes_pending.get(answer.correlation_id)
    if change is None or (answer.change is not None and answer.change != change):
        return  # a late answer to an earlier change says nothing about the one that is under way
    turn.emit(
        OrderChangeEnded(
            correlation_id=answer.correlation_id,
            change=change,
            outcome=answer.outcome,
            at=turn.now,
            reason=answer.reason,
        )
    )
    if answer.outcome is Outcome.ACCEPTED:
        turn.desk.refused.pop(answer.correlation_id, None)
    elif answer.throttled:
        steering.throttle(turn, order)
    elif not order.state.is_done:
        turn.desk.asked_at[answer.correlation_id] = turn.now
        if answer.outcome is not Outcome.UNKNOWN:
            turn.desk.refused[answer.correlation_id] = turn.desk.refused.get(answer.correlation_id, 0) + 1
        if answer.outcome is Outcome.REJECTED:
            steering.exit_refused(turn, order.ticket.position_id)
        text = f"change of {answer.correlation_id} {answer.outcome.value}: {answer.reason}"
        turn.tell(Level.WARNING, text)
        sending.ask_snapshot(turn, text)


def _cancelled(turn: Turn, order: Order, answer: WriteAnswered) -> None:
    """An answer never ends an order: only a row with its quantities does, for the cancel may have crossed a fill."""
    turn.emit(CancelEnded(correlation_id=answer.correlation_id, outcome=answer.outcome, at=turn.now))
    if answer.outcome is Outcome.NOT_SENT or answer.throttled:
        # The broker was not asked, or did not hear it for our pace: neither needs a longer pause each time.
        turn.desk.asks.pop(answer.correlation_id, None)
    if order.state.is_done or answer.throttled:
        return
    if answer.outcome is not Outcome.ACCEPTED or answer.state is OrderState.CANCELLED:
        sending.ask_snapshot(turn, f"cancel of {answer.correlation_id} {answer.outcome.value}: {answer.reason}")


def _gone(turn: Turn, order: Order) -> None:
    """An order ended without filling up; if it was what protects a position, say so."""
    position = turn.book.positions[order.ticket.position_id]
    if order.ticket.purpose is Purpose.ENTRY or not position.open_quantity:
        return
    if order.state is OrderState.CANCELLED and order.modifications >= steering.MODIFICATIONS_AT_MOST:
        # Our own doing: the broker takes no more changes of it, and a fresh one is placed at once.
        return
    if order.ticket.leg_of and order.state is OrderState.CANCELLED:
        supers.note_gone(turn, order)
        return
    if order.ticket.purpose is Purpose.EXIT and order.state is OrderState.REJECTED:
        steering.exit_refused(turn, position.position_id)
    is_held = position.state is PositionState.OPEN or (
        position.state is PositionState.CARRIED and steering.market_trades(turn, position)
    )
    if order.ticket.purpose is Purpose.STOP and is_held:
        steering.lost_protection(turn, position.position_id, order.reason or order.state.value)


def _steer(turn: Turn, order: Order) -> None:
    position = turn.book.positions[order.ticket.position_id]
    steering.steer(turn, position.position_id)
    if not turn.book.positions[position.position_id].is_live:
        entries.retry_pending(turn, position.plan.deployment)
