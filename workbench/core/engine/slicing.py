"""From an approved entry to orders: one position an order, so that one order can leave it.

What exceeds the exchange's freeze quantity (fault R19), and what leaves at several targets (scale-outs), becomes
several positions, each with its own intent, stop and exit. They are sent one after the other, each when the one before
was taken; the first that is not taken, or not answered, ends it, and so does the end of the process.

Invariants: no position is greater than one order may be; no entry is sent while another of its group is in doubt; and
what was approved and is not sent has a line in the record that says why.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from workbench.core import exits
from workbench.core.engine import supers
from workbench.core.engine.bare import bare_contract
from workbench.core.engine.turn import Slice, Slicing, Turn
from workbench.core.instrument import Instrument, InstrumentKind
from workbench.core.messages import (
    Level,
    OrderSubmitted,
    PlaceOrder,
    PositionPlanned,
    Subscribe,
)
from workbench.core.money import ZERO, Rounding, snap_to_tick
from workbench.core.order import Order, OrderTicket, OrderType, Purpose
from workbench.core.plan import Exits, ProtectionRule
from workbench.core.signal import Side

ENTRY_BUFFER_PCT = Decimal(1)
"""An entry is a limit this far beyond the best price: it fills like a market order and never at any price."""

SLICING_AT_MOST = timedelta(seconds=15)
"""So long after the first order further ones are still sent."""


def slices_of(plan: Exits, instrument: Instrument, units: int) -> tuple[Slice, ...]:
    """Divide an entry into positions of one order each, in whole lots."""
    lot = instrument.lot
    most = units // lot if instrument.freeze is None else max(1, instrument.freeze // lot)
    found = []
    for lots, own in exits.parts(plan, units // lot):
        left = lots
        while left > 0:
            found.append(Slice(min(left, most) * lot, own))
            left -= most
    return tuple(found)


def begin(turn: Turn, slicing: Slicing) -> None:
    """Send the first order of an entry."""
    slicing.group = f"P{turn.day:%y%m%d}-{turn.book.trades_today + 1}"
    slicing.until = turn.now + SLICING_AT_MOST
    _send(turn, slicing, slicing.price)


def answered(turn: Turn, order: Order, *, taken: bool, why: str) -> None:
    """Go on with the next order of an entry, or end it, once the last one was answered."""
    if order.ticket.purpose is not Purpose.ENTRY:
        return  # its stop may be answered before it is: the fill was told by another way
    slicing = turn.desk.slicing.pop(order.ticket.position_id, None)
    if slicing is None or slicing.wish.subject not in turn.book.unsent:
        return
    reason = why if not taken else _why_not(turn, slicing)
    price = _price_now(turn, slicing)
    if not reason and price > 0:
        reason = meets_own(turn, slicing.instrument, slicing.side, price)
    if not reason and price > 0:
        _send(turn, slicing, price)
        return
    reason = reason or "nobody quotes it"
    text = f"{slicing.sent - (not taken)} of {slicing.sent + len(slicing.left)} orders taken: {reason}"
    wish = slicing.wish
    turn.decide(wish.subject, wish.deployment.name, "cut_short", text, direction=wish.direction)
    turn.tell(Level.WARNING, f"entry of {slicing.instrument.name}: {text}")


def give_up(turn: Turn, unsent: Iterable[PositionPlanned], why: str) -> None:
    """Say of entries that were begun what of them is not sent any more: whoever would have sent it is gone."""
    for last in unsent:
        text = f"{last.unsent} units of it were not sent: {why}"
        turn.decide(last.subject, last.deployment, "cut_short", text, direction=last.direction)
        turn.tell(Level.WARNING, f"entry of {last.instrument.name}: {text}")


def _why_not(turn: Turn, slicing: Slicing) -> str:
    """Say why the rest of an entry is not sent any more, or ""."""
    book, instrument = turn.book, slicing.instrument
    session = turn.desk.session_of(instrument, turn.now.date())
    if book.halted or book.frozen:
        return "entries are halted" if book.halted else "the account is frozen"
    if slicing.wish.deployment.name in book.switched_off:
        return f"entries of {slicing.wish.deployment.name} are halted"
    if not book.feed_alive:
        return "market data is not alive"
    if session is None or not session.contains(turn.now) or turn.now >= session.square_off_start:
        return "the session ends"
    if bare := bare_contract(turn):
        return f"{bare} is held without its stop at the broker"
    if turn.now > slicing.until:
        return "it took too long"
    for position in book.positions.values():
        if slicing.group in (position.position_id, position.plan.group) and position.exit_reason:
            return f"it is being left: {position.exit_reason}"
    return ""


def _price_now(turn: Turn, slicing: Slicing) -> Decimal:
    """Price at which it could be entered now; zero where nobody quotes both sides."""
    quote = turn.desk.quotes.get(slicing.instrument.key)
    if slicing.instrument.kind is InstrumentKind.SYNTHETIC:
        return slicing.price if quote is None else quote.last
    if quote is None or quote.bid <= 0 or quote.ask <= 0:
        return ZERO
    return quote.ask if slicing.side is Side.BUY else quote.bid


def _send(turn: Turn, slicing: Slicing, price: Decimal) -> None:
    piece, *left = slicing.left
    slicing.left, slicing.sent = tuple(left), slicing.sent + 1
    position_id = slicing.group if slicing.sent == 1 else f"{slicing.group}.{slicing.sent}"
    wish, instrument = slicing.wish, slicing.instrument
    plan = wish.deployment.plan
    turn.emit(
        PositionPlanned(
            position_id=position_id,
            deployment=wish.deployment.name,
            direction=wish.direction,
            side=slicing.side,
            instrument=instrument,
            quantity=piece.units,
            product=plan.product,
            exits=piece.exits,
            reference_price=price,
            underlying_price=slicing.spot,
            subject=wish.subject,
            at=turn.now,
            priced_by_model=slicing.priced_by_model,
            overnight=plan.overnight,
            group="" if slicing.sent == 1 else slicing.group,
            protection=plan.protection,
            unsent=sum(each.units for each in left),
        )
    )
    turn.desk.refresh_held()
    ticket = _ticket(turn, position_id, slicing, piece=piece, price=price)
    turn.emit(OrderSubmitted(ticket=ticket, at=turn.now))
    if slicing.left:
        turn.desk.slicing[position_id] = slicing
    if instrument.key not in turn.desk.watched and slicing.sent == 1:
        turn.command(Subscribe(instrument=instrument))
    turn.command(PlaceOrder(ticket=ticket))


def meets_own(turn: Turn, instrument: Instrument, side: Side, price: Decimal) -> str:
    """Say which target of ours at the broker an entry near that price could trade with, or "".

    It may be the best price of the other side, of another deployment or of an earlier part of this entry. The exchange
    lets nobody trade with himself: it takes one of the two back.
    """
    limit = entry_limit(instrument, side, price)
    for key, order in turn.book.orders.items():
        ticket = order.ticket
        is_beside = ticket.purpose is Purpose.TARGET and ticket.instrument.key == instrument.key
        if not is_beside or ticket.side is side or not order.state.may_rest:
            continue
        change = turn.book.changes_pending.get(key)
        for each in (ticket.price, ticket.price if change is None else change.price):
            if side.sign * (limit - each) >= 0:
                return f"it could trade with our own target at {each} of {ticket.position_id}"
    return ""


def _ticket(turn: Turn, position_id: str, slicing: Slicing, *, piece: Slice, price: Decimal) -> OrderTicket:
    instrument, deployment, side = slicing.instrument, slicing.wish.deployment, slicing.side
    synthetic = instrument.kind is InstrumentKind.SYNTHETIC
    limit = entry_limit(instrument, side, price)
    bracket = None
    if deployment.plan.protection is ProtectionRule.SUPER_ORDER:
        bracket = supers.bracket_of(piece.exits, instrument, side=side, price=price, limit=limit, units=piece.units)
    return OrderTicket(
        correlation_id=turn.correlation_id("E"),
        intent_id=f"{position_id}:entry",
        position_id=position_id,
        deployment=deployment.name,
        purpose=Purpose.ENTRY,
        instrument=instrument,
        side=side,
        quantity=piece.units,
        order_type=OrderType.MARKET if synthetic else OrderType.LIMIT,
        product=deployment.plan.product,
        price=Decimal(0) if synthetic else limit,
        bracket=bracket,
    )


def entry_limit(instrument: Instrument, side: Side, price: Decimal) -> Decimal:
    """Limit of an entry, on the tick, from the best price on the other side (rupees)."""
    rounding = Rounding.UP if side is Side.BUY else Rounding.DOWN
    return snap_to_tick(price * (100 + side.sign * ENTRY_BUFFER_PCT) / 100, instrument.tick, rounding)
