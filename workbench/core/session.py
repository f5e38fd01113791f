"""When a market trades: one `Session` for each (segment, date), and the `Calendar` that knows them.

Index options outlive the index itself since 2026-08-03, and the broker closes INTRADAY positions before either ends, so
"the close" is four different moments here: `spot_end` (the index or stock stops its continuous trading),
`square_off_start` (we begin to leave), `broker_square_off` (the broker leaves for us) and `close`. What a segment lists
trades until `trading_end`, which is the first or the last of them: an auction that follows is none of our trading.

Invariant: every moment is aware and in Asia/Kolkata, and a year without rows is refused, never guessed. The rows
themselves stand in `workbench.reference.sessions`.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Segment

IST = ZoneInfo("Asia/Kolkata")

SQUARE_OFF_LEAD = timedelta(minutes=4)
"""How long before the broker's own square-off the engine starts to leave INTRADAY positions: a minute to leave in, and
the three that remain are for a person."""


_OUTLIVE_THE_SPOT = frozenset({Segment.NSE_FNO, Segment.BSE_FNO})


class SessionKind(StrEnum):
    """Why a session is what it is."""

    NORMAL = "normal"
    MUHURAT = "muhurat"
    SPECIAL = "special"
    OUTAGE = "outage"


class Phase(StrEnum):
    """Where a moment lies in its day."""

    CLOSED = "closed"
    BEFORE_OPEN = "before_open"
    OPEN = "open"
    BREAK = "break"
    SQUARE_OFF = "square_off"
    AFTER_CLOSE = "after_close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One trading session of one segment.

    Parameters
    ----------
    segment : Segment
    date : date
        The day in India.
    open, close : datetime
        The session runs from `open` (included) to `close` (excluded), a closing auction of shares included.
    spot_end : datetime
        Until when the index, or a stock that has derivatives, trades continuously; at or before `close`.
    broker_square_off : datetime
        When the broker closes INTRADAY positions by itself.
    kind : SessionKind
    source : str
        Who says so.
    note : str
        What a person should know about this day.
    breaks : tuple of (datetime, datetime)
        Halts inside the session, each from (included) to (excluded).
    single_source : bool
        True if only one secondary source backs the row.
    times_confirmed : bool
        False if the date is official but its hours are not: live trading is refused on such a day.
    square_off_assumed : bool
        True if nobody published `broker_square_off` for this day and it is our cautious assumption.
    """

    segment: Segment
    date: dt.date
    open: datetime
    close: datetime
    spot_end: datetime
    broker_square_off: datetime
    kind: SessionKind
    source: str
    note: str = ""
    breaks: tuple[tuple[datetime, datetime], ...] = ()
    single_source: bool = False
    times_confirmed: bool = True
    square_off_assumed: bool = False

    @property
    def square_off_start(self) -> datetime:
        """When the engine starts to leave INTRADAY positions."""
        return self.broker_square_off - SQUARE_OFF_LEAD

    @property
    def trading_end(self) -> datetime:
        """Until when what the segment lists trades continuously (excluded); afterwards no order of ours leaves."""
        return self.close if self.segment in _OUTLIVE_THE_SPOT else min(self.close, self.spot_end)

    @property
    def last_minute(self) -> datetime:
        """When the last minute of continuous trading begins: what may stay over the night is decided here."""
        return self.trading_end - timedelta(minutes=1)

    def contains(self, moment: datetime) -> bool:
        """Say whether the segment trades continuously at that moment (breaks and a closing auction are outside)."""
        return self.open <= moment < self.trading_end and not self.in_break(moment)

    def in_break(self, moment: datetime) -> bool:
        """Say whether the moment lies in a halt of this session."""
        return any(start <= moment < end for start, end in self.breaks)

    def phase(self, moment: datetime) -> Phase:
        """Place a moment in this session; `SQUARE_OFF` runs from `square_off_start` to `trading_end`."""
        if moment < self.open:
            return Phase.BEFORE_OPEN
        if moment >= self.trading_end:
            return Phase.AFTER_CLOSE
        if self.in_break(moment):
            return Phase.BREAK
        return Phase.SQUARE_OFF if moment >= self.square_off_start else Phase.OPEN


class Calendar:
    """All known sessions; immutable after it is built.

    Parameters
    ----------
    sessions : Mapping of (Segment, date) to Session
    years : Iterable of int
        Years whose holidays are known: a date in them without a session is a holiday or a weekend.
    closures : Mapping of date to str, optional
        Names of the holidays.
    """

    __slots__ = ("_by_segment", "_closures", "_sessions", "_years")

    def __init__(
        self,
        sessions: Mapping[tuple[Segment, dt.date], Session],
        years: Iterable[int],
        closures: Mapping[dt.date, str] | None = None,
    ) -> None:
        self._sessions = dict(sessions)
        self._years = frozenset(years)
        self._closures = dict(closures or {})
        by_segment: dict[Segment, list[dt.date]] = {}
        for segment, day in sorted(self._sessions):
            by_segment.setdefault(segment, []).append(day)
        self._by_segment = by_segment

    @property
    def years(self) -> tuple[int, ...]:
        """The years that are known, in order."""
        return tuple(sorted(self._years))

    def knows(self, segment: Segment, date: dt.date) -> bool:
        """Say whether `session` can answer for that day."""
        return date.year in self._years and segment in self._by_segment

    def session(self, segment: Segment, date: dt.date) -> Session | None:
        """Give the session of that day, or None on a known holiday or weekend.

        Raises
        ------
        UnknownSession
            The year (or the segment) has no rows.
        """
        if not self.knows(segment, date):
            raise UnknownSession(self._unknown(segment, date))
        return self._sessions.get((segment, date))

    def closure(self, date: dt.date) -> str | None:
        """Give the name of the holiday of that day, if it is one that closes a weekday."""
        return self._closures.get(date)

    def sessions(self, segment: Segment, start: dt.date, end: dt.date) -> tuple[Session, ...]:
        """Give all sessions from `start` to `end`, both included, oldest first."""
        for year in range(start.year, end.year + 1):
            if not self.knows(segment, dt.date(year, 1, 1)):
                raise UnknownSession(self._unknown(segment, max(start, dt.date(year, 1, 1))))
        days = self._by_segment[segment]
        found = days[bisect_left(days, start) : bisect_right(days, end)]
        return tuple(self._sessions[segment, day] for day in found)

    def next_session(self, segment: Segment, date: dt.date) -> Session:
        """Give the first session after that day (a known year without one left raises `UnknownSession`)."""
        day = date + timedelta(days=1)
        while (found := self.session(segment, day)) is None:
            day += timedelta(days=1)
        return found

    def previous_session(self, segment: Segment, date: dt.date) -> Session:
        """Give the last session before that day."""
        day = date - timedelta(days=1)
        while (found := self.session(segment, day)) is None:
            day -= timedelta(days=1)
        return found

    def is_open(self, segment: Segment, moment: datetime) -> bool:
        """Say whether the segment trades at that moment."""
        session = self.session(segment, in_india(moment).date())
        return session is not None and session.contains(moment)

    def phase(self, segment: Segment, moment: datetime) -> Phase:
        """Place a moment in its day."""
        session = self.session(segment, in_india(moment).date())
        return Phase.CLOSED if session is None else session.phase(moment)

    def _unknown(self, segment: Segment, date: dt.date) -> str:
        known = ", ".join(str(year) for year in self.years) or "none"
        return (
            f"no sessions of {segment.value} are known for {date.year} (asked for {date}); known years: {known}. "
            "Add the exchange's holiday list of that year to workbench/reference/sessions.py"
        )


def in_india(moment: datetime) -> datetime:
    """Give an aware moment in Asia/Kolkata; a naive one is refused."""
    if moment.tzinfo is None:
        raise BadInput(f"{moment.isoformat()} has no time zone: give an aware datetime, for instance tzinfo=IST")
    return moment.astimezone(IST)
