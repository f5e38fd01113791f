"""When and at what price a position is left. Each rule is small, pure and monotone: a stop never loosens.

The rules themselves are the frozen classes of `workbench.core.exit_rules`; here they meet a position.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.errors import IllegalMove
from workbench.core.exit_rules import Exits, Look, ScaleOut
from workbench.core.instrument import Instrument, InstrumentKind
from workbench.core.money import ZERO, Rounding, snap_to_tick
from workbench.core.order import OrderChange, OrderType
from workbench.core.position import Position
from workbench.core.session import Session
from workbench.core.signal import Side

ESCALATION_PCT: Sequence[Decimal] = (Decimal(1), Decimal(3), Decimal(5), Decimal(10), Decimal(20))
"""How far beyond the best price each further attempt to leave reaches, percent (faults R13, R14).

The last one stands in for the edge of an option's wide band; a share or a future ends with the one before it.
"""

REACH_PCT = Decimal(9)
"""Furthest from the last price that an attempt to leave a share or a future reaches, percent: most bands are 10 %."""

STOP_BUFFER_PCT = Decimal(5)
"""Between trigger and limit of a stop, percent of the trigger: SL-M does not exist for options."""

STOP_REASONS = frozenset({"stop", "trail", "lock"})
"""Reasons of a position that is left by its stop at the broker."""

SYNTHETIC_BUFFER_PCT = Decimal(50)
"""The index traded as a future has no order book of its own: its stop fills where the index trades."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Stop and target, rupees on the traded price."""

    stop: Decimal | None
    target: Decimal | None


def levels(exits: Exits, side: Side, fill_price: Decimal, tick: Decimal) -> Levels:
    """Lay stop and target around an entry fill, snapped to the tick; a stop is never below one tick."""
    stop = target = None
    sign = side.sign
    if exits.stop is not None:
        stop = max(tick, snap_to_tick(fill_price - sign * exits.stop.rupees(fill_price), tick))
    elif exits.trail is not None and exits.trail.after is None:
        stop = max(tick, snap_to_tick(fill_price - sign * exits.trail.distance.rupees(fill_price), tick))
    if exits.target is not None:
        target = max(tick, snap_to_tick(fill_price + sign * exits.target.rupees(fill_price), tick))
    return Levels(stop, target)


def tightened_stop(position: Position, peak: Decimal) -> tuple[Decimal, str] | None:
    """Give the stop that trail and lock ask for at that peak and which of them asks, or None where it does not move.

    The tighter one counts, and it only ever tightens; a stepped trail moves by whole steps at least.
    """
    exits, sign, tick = position.plan.exits, position.side.sign, position.plan.instrument.tick
    found: tuple[Decimal, str] | None = None
    for name, rule in (("trail", exits.trail), ("lock", exits.lock)):
        level = None if rule is None else rule.stop(position.entry_price, peak, sign)
        if level is None:
            continue
        asked = max(tick, snap_to_tick(level, tick))
        if position.stop is not None and sign * (asked - position.stop) < _least_step(position, name):
            continue
        if found is None or sign * (asked - found[0]) > 0:
            found = asked, name
    return found


def _least_step(position: Position, name: str) -> Decimal:
    """Least by which a stop moves, rupees."""
    trail, tick = position.plan.exits.trail, position.plan.instrument.tick
    if name != "trail" or trail is None or trail.step is None:
        return tick
    return max(tick, trail.step.rupees(position.entry_price))


def trailed_stop(position: Position, peak: Decimal) -> Decimal | None:
    """Give the stop that trail and lock ask for at that peak, or None where it does not move."""
    found = tightened_stop(position, peak)
    return None if found is None else found[0]


def spot_levels(position: Position) -> Levels:
    """Lay stop and target on the underlying around its price at the entry."""
    watched, price, sign = position.plan.exits.underlying, position.plan.underlying_price, position.view.sign
    if watched is None:
        return Levels(None, None)
    stop = target = None
    if watched.stop is not None:
        stop = price - sign * watched.stop.rupees(price)
    elif watched.trail is not None and watched.trail.after is None:
        stop = price - sign * watched.trail.distance.rupees(price)
    if watched.target is not None:
        target = price + sign * watched.target.rupees(price)
    return Levels(stop, target)


def trailed_spot_stop(position: Position, peak: Decimal) -> Decimal | None:
    """Give the stop on the underlying that its trail asks for at that peak, or None where it does not move."""
    watched, price, sign = position.plan.exits.underlying, position.plan.underlying_price, position.view.sign
    if watched is None or watched.trail is None:
        return None
    asked = watched.trail.stop(price, peak, sign)
    if asked is None:
        return None
    step = ZERO if watched.trail.step is None else watched.trail.step.rupees(price)
    moved = None if position.spot_stop is None else sign * (asked - position.spot_stop)
    return asked if moved is None or (moved > 0 and moved >= step) else None


def spot_due(position: Position, spot: Decimal) -> str:
    """Name the exit that a price of the underlying asks for as it trades there, or "" for none."""
    watched, sign = position.plan.exits.underlying, position.view.sign
    if watched is None:
        return ""
    if position.spot_stop is not None and sign * (spot - position.spot_stop) <= 0:
        return "underlying_stop"
    if watched.strike is Look.TOUCH and beyond_strike(position, spot):
        return "strike"
    if position.spot_target is not None and sign * (spot - position.spot_target) >= 0:
        return "underlying_target"
    return ""


def hourly_due(position: Position, close: Decimal) -> str:
    """Name the exit that an hourly close of the underlying asks for, or "" for none."""
    watched, price, sign = position.plan.exits.underlying, position.plan.underlying_price, position.view.sign
    if watched is None:
        return ""
    if watched.strike is Look.HOURLY_CLOSE and beyond_strike(position, close):
        return "strike"
    distance = watched.hourly_close
    if distance is not None and sign * (close - price) <= -distance.rupees(price):
        return "hourly_close"
    return ""


def beyond_strike(position: Position, spot: Decimal) -> bool:
    """Tell whether the underlying is beyond the strike of the option, against the view."""
    strike = position.plan.instrument.strike
    return strike is not None and position.view.sign * (spot - strike) < 0


def parts(exits: Exits, lots: int) -> tuple[tuple[int, Exits], ...]:
    """Divide a position into parts that leave at targets of their own: lots of each, and its exits.

    A part is at least one lot, so with one lot the first takes all; what no scale-out takes runs on with the plan's own
    target.
    """
    found, left, plain = [], lots, replace(exits, scale_out=())
    for part in exits.scale_out:
        taken = min(left, _lots_of(part, lots))
        if taken:
            found.append((taken, replace(plain, target=part.at)))
        left -= taken
    return (*found, (left, plain)) if left else tuple(found)


def _lots_of(part: ScaleOut, lots: int) -> int:
    if part.lots is not None:
        return part.lots
    return max(1, int(lots * (part.share or ZERO) / 100))


def better(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """The more favourable of two prices for a position entered on that side."""
    return max(one, other) if side is Side.BUY else min(one, other)


def leaving_price(side: Side, quote: Quote) -> Decimal:
    """Price at which a position entered on `side` could be left now; the last price while nobody quotes that side."""
    price = quote.bid if side is Side.BUY else quote.ask
    return price if price > 0 else quote.last


def target_reached(position: Position, quote: Quote) -> bool:
    """Tell whether the target could be taken at this quote."""
    quoted = quote.bid if position.side is Side.BUY else quote.ask
    if position.target is None or quoted <= 0:
        return False  # an empty side of the book is no price: nothing could be taken there
    return position.side.sign * (leaving_price(position.side, quote) - position.target) >= 0


def stop_passed(position: Position, quote: Quote) -> bool:
    """Tell whether the market trades at or beyond the stop."""
    return position.stop is not None and position.side.sign * (quote.last - position.stop) <= 0


def due(
    exits: Exits,
    session: Session | None,
    now: datetime,
    square_off_at: dt.time | None = None,
    *,
    overnight: bool = False,
) -> str:
    """Name the exit that the clock asks for: "time", "session_end" or "" for none.

    What may stay `overnight` is not squared off with the day; an hour set for all deployments counts for it too. Where
    an auction follows the trading, an hour that lies behind the beginning of the last minute comes with it.
    """
    if session is None:
        return ""
    if now >= session.square_off_start and not overnight:
        return "session_end"
    if now < session.open:
        return ""
    clock = now.timetz().replace(tzinfo=None)
    if session.last_minute <= now and session.trading_end < session.close:
        clock = max(clock, session.close.timetz().replace(tzinfo=None))
    if square_off_at is not None and clock >= square_off_at:
        return "session_end"
    return "time" if exits.time is not None and clock >= exits.time else ""


def stop_terms(position: Position, total_quantity: int) -> OrderChange:
    """Terms of the stop at the broker: a stop-limit whose limit lies a buffer beyond the trigger."""
    if position.stop is None:
        raise IllegalMove(f"position {position.position_id} has no stop to place")
    instrument = position.plan.instrument
    buffer = SYNTHETIC_BUFFER_PCT if instrument.kind is InstrumentKind.SYNTHETIC else STOP_BUFFER_PCT
    limit = _beyond(position.side, position.stop, buffer, instrument.tick)
    return OrderChange(
        order_type=OrderType.STOP_LIMIT, quantity=total_quantity, price=limit, trigger_price=position.stop
    )


def leaving_terms(
    position: Position, quote: Quote | None, total_quantity: int, *, at_target: bool = True, begun_at: int = 0
) -> OrderChange:
    """Terms that leave now: the target's own price at first, then ever further beyond the best price.

    `at_target` is False where another order rests at the target's price, at which both could fill.
    `begun_at` is the count of attempts at which the steps began again, since the last of them was refused.
    After a double fill (less than nothing is held) the excess is taken back, on the entry's side.
    Without any quote the stop level or the entry price is the only price known: the widest step is taken at once.
    """
    instrument, excess = position.plan.instrument, position.open_quantity < 0
    side = position.side.opposite if excess else position.side
    if instrument.kind is InstrumentKind.SYNTHETIC and position.exit_reason != "target":
        return OrderChange(order_type=OrderType.MARKET, quantity=total_quantity)
    is_first = position.exit_reason == "target" and position.exit_attempts == 0 and not excess
    if at_target and is_first and position.target is not None:
        return OrderChange(order_type=OrderType.LIMIT, quantity=total_quantity, price=position.target)
    steps = escalation(instrument)
    step = steps[min(position.exit_attempts - begun_at, len(steps) - 1)]
    if quote is None:
        best = last = position.stop or position.entry_price
        step = step if begun_at else steps[-1]
    else:
        best, last = leaving_price(side, quote), quote.last
    price = _beyond(side, best, step, instrument.tick)
    if steps is not ESCALATION_PCT:
        price = _within_reach(side, price, best, last, instrument.tick)
    return OrderChange(order_type=OrderType.LIMIT, quantity=total_quantity, price=price)


def escalation(instrument: Instrument) -> Sequence[Decimal]:
    """Steps of the chase, percent. No live packet tells a band; that of an option is wide, of others about a tenth."""
    is_wide = instrument.kind in (InstrumentKind.OPTION, InstrumentKind.SYNTHETIC)
    return ESCALATION_PCT if is_wide else ESCALATION_PCT[:-1]


def _within_reach(side: Side, price: Decimal, best: Decimal, last: Decimal, tick: Decimal) -> Decimal:
    """Keep a price near enough to the last one; what somebody quotes the exchange has taken, however far it lies."""
    if side is Side.BUY:
        edge = snap_to_tick(last * (100 - REACH_PCT) / 100, tick, Rounding.UP)
        return max(price, min(best, edge))
    return min(price, max(best, snap_to_tick(last * (100 + REACH_PCT) / 100, tick, Rounding.DOWN)))


def _beyond(side: Side, price: Decimal, percent: Decimal, tick: Decimal) -> Decimal:
    """A price that many percent worse than `price` for leaving a position entered on `side`."""
    if side is Side.BUY:
        return max(tick, snap_to_tick(price * (100 - percent) / 100, tick, Rounding.DOWN))
    return snap_to_tick(price * (100 + percent) / 100, tick, Rounding.UP)
