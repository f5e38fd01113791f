"""Dhan's clock, as every answer of his tells it in its ``Date`` header.

Invariant: a header that cannot be read, or names an absurd year, is no time and never an error: the answer that carries
it may be an order's. Nothing is ever asked for the time alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_YEARS = range(2000, 2200)
_HALF_SECOND = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTime:
    """What an answer's ``Date`` header said, and when (wire time) it was asked for and read."""

    date: datetime
    asked_at: float
    read_at: float

    @property
    def moment(self) -> datetime:
        """The server's time at `at`: a header has whole seconds and is cut, so half a second is added."""
        return self.date.astimezone(UTC) + _HALF_SECOND

    @property
    def at(self) -> float:
        """Wire time of the header, which was written somewhere between question and answer."""
        return (self.asked_at + self.read_at) / 2

    @property
    def unsure_s(self) -> float:
        """By how many seconds `moment` may be wrong at most."""
        return (self.read_at - self.asked_at) / 2 + _HALF_SECOND.total_seconds()


def server_time(header: str, *, asked_at: float, read_at: float) -> ServerTime | None:
    """Read a ``Date`` header; None where it names no moment."""
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # Far from the ends of the calendar, so that whoever adds to it or takes from it cannot fall off.
    if date.tzinfo is None or date.year not in _YEARS:
        return None
    return ServerTime(date=date, asked_at=asked_at, read_at=read_at)


def clock_offset_s(told: ServerTime, wall_now: datetime, monotonic_now: float) -> float:
    """Give by how many seconds this machine's clock is ahead of Dhan's (below zero: behind)."""
    return (wall_now - told.moment).total_seconds() - (monotonic_now - told.at)
