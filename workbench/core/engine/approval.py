"""What the gates are asked about an entry: everything that the book, the quotes and the alert say of it.

Invariant: what is not known is asked as not known, so that a gate can refuse it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.engine import steering
from workbench.core.engine.turn import Slice, Turn, Wish
from workbench.core.instrument import Instrument, InstrumentKind
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


def approve(turn: Turn, sized: Sized, pieces: Sequence[Slice]) -> Denied | None:
    """Ask every gate about an entry that is sent in these pieces; None means approved."""
    return judge(_ask(turn, sized, pieces), turn.book, turn.config.limits, turn.now)


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
    )


def _open_pnl(turn: Turn, deployment: str = "") -> Decimal | None:
    """P&L of what is open, in all or of one deployment; None while something that is held has no price.

    What is left to expire is counted at its last price, or at its entry: nobody need quote it any more.
    """
    for position in turn.book.live_positions():
        is_quoted = position.plan.instrument.key in turn.desk.quotes or position.state is PositionState.EXPIRING
        if position.open_quantity and not is_quoted and deployment in ("", position.plan.deployment):
            return None
    return steering.open_pnl(turn.desk, deployment)


def _units(pieces: Sequence[Slice]) -> int:
    return sum(piece.units for piece in pieces)
