"""What the gates are asked about an entry: everything that the book, the quotes and the alert say of it.

Invariant: what is not known is asked as not known, so that a gate can refuse it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.engine import day_end, slicing, steering
from workbench.core.engine.bare import bare_contract
from workbench.core.engine.turn import Slice, Turn, Wish
from workbench.core.exit_rules import Exits, Look
from workbench.core.instrument import Instrument, InstrumentKind, Right
from workbench.core.money import ZERO
from workbench.core.position import PositionState
from workbench.core.risk import Ask, Denied, judge
from workbench.core.signal import Side


@dataclass(frozen=True, slots=True)
class Found:
    """Contract, its quote and the spot it was chosen at."""

    instrument: Instrument
    quote: Quote
    spot: Decimal


@dataclass(frozen=True, slots=True)
class Sized:
    """A wish with everything that an order needs."""

    wish: Wish
    found: Found
    side: Side
    price: Decimal
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """All legs of one entry, what the broker says they block and what they can lose together, rupees."""

    legs: tuple[Sized, ...]
    margin: Decimal | None
    worst_loss: Decimal | None


def approve(turn: Turn, sized: Sized, pieces: Sequence[Slice], *, beside: Beside | None = None) -> Denied | None:
    """Ask every gate about an entry that is sent in these pieces; None means approved.

    A leg of several is asked about with the others `beside` it.
    """
    ask = _ask(turn, sized, pieces)
    if beside is not None:
        others = [each for each in beside.legs if each is not sized]
        paid = sum((each.price * each.units for each in others if each.side is Side.BUY), ZERO)
        ask = replace(
            ask,
            orders=len(beside.legs),
            beside_premium=paid,
            beside_lots=sum(each.units // each.found.instrument.lot for each in others),
            margin=beside.margin,
            exits=pieces[0].exits,
            worst_loss=beside.worst_loss,
        )
    denied = judge(ask, turn.book, turn.config.limits, turn.now)
    if denied is not None:
        return denied
    own = slicing.meets_own(turn, sized.found.instrument, sized.side, sized.price)
    return Denied("self_trade", own) if own else None


def unfit(turn: Turn, sized: Sized, exits: Exits) -> str:
    """Say why this contract cannot be left as the plan says, or ""."""
    instrument, spot = sized.found.instrument, sized.found.spot
    watched, strike = exits.underlying, instrument.strike
    sign = sized.side.sign if instrument.right is Right.CE else -sized.side.sign
    if watched is not None and watched.strike is Look.TOUCH and strike is not None and sign * (spot - strike) < 0:
        return f"{instrument.symbol} at {spot} is beyond the strike {strike} already"
    if instrument.expiry == turn.now.date() and day_end.is_settled_in_shares(turn, instrument):
        return f"{instrument.name} expires today and would be settled in shares"
    return ""


def _ask(turn: Turn, sized: Sized, pieces: Sequence[Slice]) -> Ask:
    wish, found, desk = sized.wish, sized.found, turn.desk
    name, spot = wish.deployment.name, desk.quotes.get(desk.underlying_key(wish.deployment.symbol))
    waiting = [each for each in desk.slicing.values() if each.left]
    is_paid = [each for each in waiting if each.side is Side.BUY and each.instrument.kind is InstrumentKind.OPTION]
    return Ask(
        deployment=wish.deployment,
        instrument=found.instrument,
        direction=wish.direction,
        side=sized.side,
        quantity=sized.units,
        quote=found.quote,
        price=sized.price,
        subject=wish.subject,
        origin=wish.origin,
        known_at=wish.known_at,
        max_age=wish.max_age,
        session=desk.session_of(found.instrument, turn.now.date()),
        told_price=wish.price if wish.origin == "alert" else None,
        spot=None if spot is None else spot.last,
        open_pnl=_open_pnl(turn),
        own_open_pnl=_open_pnl(turn, name),
        unsent_premium=sum((each.price * _units(each.left) for each in is_paid), ZERO),
        unsent_lots=sum(_units(each.left) // each.instrument.lot for each in waiting),
        unsent_orders=sum(len(each.left) for each in waiting),
        orders=len(pieces),
        largest_order=max((piece.units for piece in pieces), default=sized.units),
        bare=bare_contract(turn),
    )


def _open_pnl(turn: Turn, deployment: str = "") -> Decimal | None:
    """P&L of what is open, in all or of one deployment; None while something that is held has no price.

    What is left to expire need not be quoted any more: without a price it counts as worthless.
    """
    written_off = ZERO
    for position in turn.book.live_positions():
        is_quoted = position.plan.instrument.key in turn.desk.quotes
        if is_quoted or not position.open_quantity or deployment not in ("", position.plan.deployment):
            continue
        if position.state is not PositionState.EXPIRING:
            return None
        written_off += position.entry_price * position.open_quantity
    return steering.open_pnl(turn.desk, deployment) - written_off


def _units(pieces: Sequence[Slice]) -> int:
    return sum(piece.units for piece in pieces)
