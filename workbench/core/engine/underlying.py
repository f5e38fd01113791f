"""Exits that are watched on the price of the underlying: its levels, its trail, the strike, its hourly close.

They are watched here and not at the broker, so a stop on the traded price rests there beside them. What is held
between turns may be lost with the process: the levels are in the book, and an hour whose end was not seen decides
nothing.

Invariant: the stop on the underlying only ever tightens.
"""

from datetime import datetime, timedelta

from workbench.core import exits
from workbench.core.bars import Interval, Quote
from workbench.core.engine import siblings, steering
from workbench.core.engine.turn import Turn
from workbench.core.instrument import Segment
from workbench.core.messages import AlertReceived, SpotLevelsMoved
from workbench.core.position import Position, PositionState

HOUR = Interval(3600)
GRACE = timedelta(seconds=1)
"""An hour is closed so long after its end: a last price may be under way."""


def on_spot(turn: Turn, quote: Quote) -> None:
    """Follow a price of an underlying that positions watch."""
    session = turn.desk.session(Segment.IDX_I, turn.now.date())
    if session is not None and session.open <= quote.time < session.spot_end:
        hour = HOUR.opens_at(quote.time, session.open)
        known = turn.desk.hours.get(quote.key)
        if known is not None and known[0] < hour:
            _close_hour(turn, quote.key)
        turn.desk.hours[quote.key] = hour, quote.last
    for position_id in turn.desk.spots.get(quote.key, ()):
        position = turn.book.positions[position_id]
        is_followed = steering.is_watched(turn, position) or siblings.is_held_up(turn, position)
        if position.spot_peak is None or not is_followed:
            continue
        seen = turn.desk.spot_extremes.get(position_id, quote.last)
        turn.desk.spot_extremes[position_id] = exits.better(position.view, seen, quote.last)
        reason = exits.spot_due(position, quote.last)
        if reason:
            steering.begin_exit(turn, position_id, reason)


def on_beat(turn: Turn, *, new_minute: bool) -> None:
    """Close the hours that have ended, and trail what is trailed on the underlying."""
    for key, (hour, _) in list(turn.desk.hours.items()):
        if turn.now >= hour + HOUR.delta + GRACE:
            _close_hour(turn, key)
    if not new_minute:
        return
    for ids in turn.desk.spots.values():
        for position_id in ids:
            _trail(turn, turn.book.positions[position_id])


def on_hourly_alert(turn: Turn, alert: AlertReceived) -> bool:
    """Let an hourly bar of the webhook stand in for our own while market data is dead; tell whether it was used."""
    if turn.book.feed_alive or alert.price is None:
        return False
    key = turn.desk.underlying_key(alert.symbol)
    due = []
    for position_id in turn.desk.spots.get(key, ()):
        position = turn.book.positions[position_id]
        reason = exits.hourly_due(position, alert.price) if _was_open(position, alert.received_at) else ""
        if reason:
            due.append((position_id, reason))
    for position_id, reason in due:
        steering.begin_exit(turn, position_id, reason)
    return bool(due)


def _close_hour(turn: Turn, key: str) -> None:
    """Ask the positions that watch hourly closes."""
    hour, close = turn.desk.hours.pop(key)
    for position_id in turn.desk.spots.get(key, ()):
        position = turn.book.positions[position_id]
        reason = exits.hourly_due(position, close)
        if reason and _was_open(position, hour + HOUR.delta):
            steering.begin_exit(turn, position_id, reason)


def _was_open(position: Position, moment: datetime) -> bool:
    """An hour decides on what was held before it ended."""
    return position.state is PositionState.OPEN and position.opened_at is not None and position.opened_at < moment


def _trail(turn: Turn, position: Position) -> None:
    """Move the peak over the minute that has ended, and the stop behind it."""
    seen = turn.desk.spot_extremes.pop(position.position_id, None)
    if seen is None or position.spot_peak is None or position.state is not PositionState.OPEN:
        return
    peak = exits.better(position.view, position.spot_peak, seen)
    if peak == position.spot_peak:
        return
    stop = exits.trailed_spot_stop(position, peak)
    turn.emit(
        SpotLevelsMoved(
            position_id=position.position_id,
            at=turn.now,
            stop=position.spot_stop if stop is None else stop,
            peak=peak,
        )
    )
