"""The end of a day, the night and the next open: what stays, what expires, and how it is taken up again.

Invariant: nothing is carried that could not be left again before it expires, and what is carried has its stop at the
broker, or is being left, a few seconds after the next open.
"""

from datetime import timedelta

from workbench.core import exits
from workbench.core.engine import steering
from workbench.core.engine.turn import Turn
from workbench.core.errors import UnknownSession, WorkbenchError
from workbench.core.instrument import Instrument, InstrumentKind, Right
from workbench.core.messages import (
    LeftToExpire,
    Level,
    OvernightListed,
    PositionCarried,
    PositionResumed,
    PositionSettled,
    SettlementTold,
    Stay,
)
from workbench.core.money import ZERO
from workbench.core.plan import Overnight
from workbench.core.pnl import charges_so_far
from workbench.core.position import Position, PositionState
from workbench.core.session import Session
from workbench.core.signal import Side

NO_BID_BEFORE_CLOSE = timedelta(seconds=30)
"""From here on an option that nobody bids for is left to expire."""

OPENING_QUOTE_WAIT = timedelta(seconds=3)
"""So long a carried position waits for its first price, which tells whether the market has opened beyond its stop."""

PRICE_AT_MOST = timedelta(seconds=60)
"""Oldest price by which a position is a winner."""


def reason_to_leave(turn: Turn, position: Position) -> str:
    """Name the exit that the clock asks for, or "" for none; a position that may stay is carried here."""
    plan, limits = position.plan, turn.config.limits
    session = turn.desk.session_of(plan.instrument, turn.now.date())
    # On its last day a contract goes with the day's own square-off: what is sold must not meet the last minute.
    is_last_day = plan.instrument.expiry is not None and plan.instrument.expiry <= turn.now.date()
    stays = plan.overnight is not Overnight.SQUARE_OFF and not is_last_day
    reason = exits.due(plan.exits, session, turn.now, limits.square_off_at, overnight=stays)
    if reason or session is None or not session.contains(turn.now):
        return reason
    if not stays:
        is_of_another_day = position.opened_at is not None and position.opened_at.date() < turn.now.date()
        return "session_end" if is_of_another_day and plan.overnight is Overnight.SQUARE_OFF else ""
    if position.state is PositionState.CARRIED or turn.now < session.last_minute:
        return ""
    against = _why_not_kept(turn, position)
    if against:
        turn.tell(Level.INFO, f"{plan.instrument.name} does not stay over the night: {against}")
        return "session_end"
    turn.emit(PositionCarried(position_id=position.position_id, at=turn.now, reason=plan.overnight.value))
    return ""


def _why_not_kept(turn: Turn, position: Position) -> str:
    """Say why a position may not stay over the night, or ""."""
    instrument, today = position.plan.instrument, turn.now.date()
    if instrument.expiry is not None:
        try:
            coming = turn.config.calendar.next_session(instrument.segment, today).date
        except UnknownSession:
            return "the next session is not known"
        if instrument.expiry < coming:
            return "it expires before the next session"
        if instrument.expiry == coming and is_settled_in_shares(turn, instrument):
            return "it would be settled in shares at the next session"
    if position.plan.overnight is Overnight.KEEP:
        return ""
    quote = turn.desk.quotes.get(instrument.key)
    if quote is None or turn.now - quote.time > PRICE_AT_MOST:
        return "no price says whether it is a winner"
    pnl = position.gross_at(exits.leaving_price(position.side, quote)) - charges_so_far(position, turn.config.charges)
    return "" if pnl > 0 else f"it is no winner: Rs {pnl:.2f}"


def is_settled_in_shares(turn: Turn, instrument: Instrument) -> bool:
    """Tell whether a derivative is settled by delivery: those on shares are."""
    if instrument.kind not in (InstrumentKind.OPTION, InstrumentKind.FUTURE):
        return False
    try:
        return turn.config.listings.instruments.index(instrument.symbol).kind is InstrumentKind.EQUITY
    except WorkbenchError:
        return True


def list_overnight(turn: Turn) -> None:
    """Write the list of what stays, and again when it has changed."""
    carried = [
        position
        for position in turn.book.live_positions()
        if position.state is PositionState.CARRIED and _is_of_today(turn, position)
    ]
    if [each.position_id for each in carried] == [each.position_id for each in turn.book.overnight]:
        return
    stays = tuple(_stay(turn, position) for position in carried)
    turn.emit(OvernightListed(at=turn.now, stays=stays))
    names = ", ".join(f"{position.open_quantity} {position.plan.instrument.name}" for position in carried)
    turn.tell(Level.INFO, f"stays over the night: {names or 'nothing'}")


def _stay(turn: Turn, position: Position) -> Stay:
    instrument, quote = position.plan.instrument, turn.desk.quotes.get(position.plan.instrument.key)
    price = exits.leaving_price(position.side, quote) if quote else position.entry_price
    return Stay(
        position_id=position.position_id,
        symbol=instrument.symbol,
        expiry=instrument.expiry,
        strike=instrument.strike,
        right="" if instrument.right is None else instrument.right.value,
        side=position.side.value,
        quantity=position.open_quantity,
        pnl=position.gross_at(price) - charges_so_far(position, turn.config.charges),
    )


def resume(turn: Turn, position: Position) -> None:
    """Take a carried position up again once its market is open: protect it, or leave what gapped through its stop."""
    session = turn.desk.session_of(position.plan.instrument, turn.now.date())
    if session is None or not session.contains(turn.now) or _is_of_today(turn, position):
        return
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    is_fresh = quote is not None and quote.time >= session.open
    if not is_fresh and turn.now < session.open + OPENING_QUOTE_WAIT:
        return
    turn.emit(PositionResumed(position_id=position.position_id, at=turn.now))
    position = turn.book.positions[position.position_id]
    if quote is not None and is_fresh and exits.stop_passed(position, quote):
        turn.tell(Level.ALARM, f"{position.plan.instrument.name} opened at {quote.last}, beyond its stop; leaving it")
        steering.begin_exit(turn, position.position_id, "gap")
        return
    steering.steer(turn, position.position_id)


def _is_of_today(turn: Turn, position: Position) -> bool:
    """It was carried today: its session is not over yet, or has just ended."""
    return position.carried_at is not None and position.carried_at.date() == turn.now.date()


def expires(turn: Turn, position: Position) -> bool:
    """Tell whether a position is beyond leaving because it expires, and say so once."""
    if position.state is PositionState.EXPIRING:
        return True
    instrument, today = position.plan.instrument, turn.now.date()
    if instrument.expiry is None or not position.open_quantity or instrument.expiry > today:
        return False
    session = turn.desk.session_of(instrument, today)
    if instrument.expiry < today or (session is not None and turn.now >= session.close):
        _let_expire(turn, position, "it was not left before it expired", Level.ALARM)
        return True
    if session is None or position.state is not PositionState.EXITING or not _nobody_bids(turn, position, session):
        return False
    _let_expire(turn, position, "nobody bids for it", Level.WARNING)
    return True


def _nobody_bids(turn: Turn, position: Position, session: Session) -> bool:
    """A bought option without a bid at the end of its last day: no order could leave it, at any price."""
    is_bought = position.side is Side.BUY and position.open_quantity > 0
    if not is_bought or position.plan.instrument.kind is not InstrumentKind.OPTION:
        return False
    quote = turn.desk.quotes.get(position.plan.instrument.key)
    return quote is not None and quote.bid <= 0 and turn.now >= session.close - NO_BID_BEFORE_CLOSE


def _let_expire(turn: Turn, position: Position, reason: str, level: Level) -> None:
    turn.emit(LeftToExpire(position_id=position.position_id, at=turn.now, reason=reason))
    text = f"{position.open_quantity} units of {position.plan.instrument.name} are left to expire: {reason}"
    turn.tell(level, text)
    steering.steer(turn, position.position_id)


def on_settlement(turn: Turn, told: SettlementTold) -> None:
    """Book what has expired at its settlement price."""
    for position in turn.book.live_positions():
        instrument = position.plan.instrument
        if (instrument.symbol, instrument.expiry) != (told.symbol, told.expiry) or not expires(turn, position):
            continue
        value = told.price
        if instrument.strike is not None:
            sign = 1 if instrument.right is Right.CE else -1
            value = max(ZERO, sign * (told.price - instrument.strike))
        if position.open_quantity:
            settled = PositionSettled(
                position_id=position.position_id, at=turn.now, settlement_price=told.price, value=value
            )
            turn.emit(settled)
        steering.steer(turn, position.position_id)
