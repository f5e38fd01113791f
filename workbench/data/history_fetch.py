"""Fetching history into the bar store: many symbols, in windows of 90 days, resumable at any point.

What is asked follows from what is missing: the calendar says which bars a range should hold, the store which of them
are there, and notes beside the store which the source did not have when it was asked last. So a fetch that was killed
goes on where it stood, a second fetch of the same range asks nothing, and a gap is asked again until the source has
answered for it.

Invariants: what an answer brings is stored before it is noted; a stored bar is not changed unless `replace` says so; a
window without a usable answer is told and never taken for "no bars".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pandas as pd

from workbench.core.bars import MINUTE, Interval
from workbench.core.errors import BadInput, WorkbenchError
from workbench.core.instrument import Instrument, InstrumentKind
from workbench.core.session import IST, Calendar
from workbench.data.answers import Verdict
from workbench.data.bar_store import BarStore
from workbench.data.candles import DAY, WINDOW_DAYS, CandleReader, Candles
from workbench.data.fetch_report import FetchReport, SymbolFetch
from workbench.data.gaps import SourceHoles, Want, missing, settled, windows
from workbench.data.work import Spread, work_off

WORKERS = 6
"""Requests under way at once: five a second at 300 to 800 ms each keep two to four busy."""

SPREAD_S = 0.2
"""Seconds from one request to the next at five a second."""

YEARS_BACK = 5
SILENT_IN_A_ROW = 5
"""After so many windows without a usable answer the rest is not asked."""

Progress = Callable[[int, int], None]
"""Called with the windows that are done and those planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An instrument, the symbol under which its bars are stored, and the day before which nothing of it is asked."""

    instrument: Instrument
    symbol: str
    since: date | None = None

    @classmethod
    def of(cls, instrument: Instrument) -> Target:
        """Indices and NSE stocks are stored by symbol, all else by key: ids and month symbols are used again."""
        plain = instrument.kind is InstrumentKind.INDEX or instrument.key == f"NSE_EQ:{instrument.symbol}"
        return cls(instrument=instrument, symbol=instrument.symbol if plain else instrument.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOrder:
    """What to fetch.

    Parameters
    ----------
    targets : sequence of Target
    interval : Interval
        A minute or a day; longer bars are made of minutes when they are read.
    first, last : date
        Both included.
    again : bool
        Ask also for what is stored and for what the source is known to lack.
    replace : bool
        Take revised candles over; without it they are told and the stored ones stay.
    """

    targets: Sequence[Target]
    interval: Interval
    first: date
    last: date
    again: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    place: int
    first: date
    last: date


class HistoryFetch:
    """Fetches candles into a store.

    Parameters
    ----------
    reader : CandleReader
    store : BarStore
    calendar : Calendar
    now : callable
        Market time.
    workers : int
        Requests under way at once.
    spread_s : float
        Seconds from the beginning of one to that of the next.
    """

    def __init__(
        self,
        reader: CandleReader,
        store: BarStore,
        calendar: Calendar,
        now: Callable[[], datetime],
        *,
        workers: int = WORKERS,
        spread_s: float = SPREAD_S,
    ) -> None:
        self._reader, self._store, self._calendar, self._now = reader, store, calendar, now
        self._workers, self._spread = workers, Spread(spread_s)
        self._notes = SourceHoles(store.root)

    def run(self, order: FetchOrder, progress: Progress | None = None) -> FetchReport:
        """Fetch; what is stored or known to be missing is not asked again.

        Raises
        ------
        BadInput
            Nothing to fetch, an inverted range, or an interval that is neither a minute nor a day.
        UnknownSession
            The calendar has no rows for a year of the range.
        """
        _check(order)
        started = time.monotonic()
        wants = [self._want(order, target) for target in order.targets]
        rows = [
            SymbolFetch(
                symbol=target.symbol, interval=str(order.interval), replaced=order.replace,
                first=want.first.isoformat(), last=want.last.isoformat(),
            )
            for target, want in zip(order.targets, wants, strict=True)
        ]  # fmt: skip
        report = FetchReport(symbols=rows)
        run = _Run(order=order, wants=wants, report=report, doubtful=[{} for _ in rows])
        progress = progress or _nobody_looks
        self._pass(run, self._plan(run), progress)
        second = [] if report.stopped else self._second_look(run)
        if second:
            self._pass(run, second, progress)
        for place in range(len(rows)):
            self._close(run, place)
        report.elapsed_s = time.monotonic() - started
        return report

    def _want(self, order: FetchOrder, target: Target) -> Want:
        last = min(order.last, self._now().astimezone(IST).date())
        if target.instrument.expiry is not None:
            last = min(last, target.instrument.expiry)
        first = max(order.first, target.since or order.first)
        return Want(segment=target.instrument.segment, interval=order.interval, first=first, last=last)

    def _plan(self, run: _Run) -> list[_Window]:
        planned = []
        for place, want in enumerate(run.wants):
            spans = windows(self._needed(run, place), WINDOW_DAYS) if want.first <= want.last else []
            run.report.symbols[place].windows = len(spans)
            planned += [_Window(place=place, first=first, last=last) for first, last in spans]
        return planned

    def _needed(self, run: _Run, place: int) -> list[date]:
        want, symbol = run.wants[place], run.order.targets[place].symbol
        if run.order.again:
            return [session.date for session in self._calendar.sessions(want.segment, want.first, want.last)]
        lacking = missing(want, self._have(want, symbol), self._calendar, self._now())
        known = self._notes.of(symbol, want.interval)
        return [day for day, gap in lacking.items() if gap.missing > known.get(day, 0)]

    def _have(self, want: Want, symbol: str) -> pd.DatetimeIndex:
        return self._store.opens(symbol, want.interval, want.first, want.last)

    def _second_look(self, run: _Run) -> list[_Window]:
        """Plan the gaps of an index once more: it has every minute, so a gap is more likely the answer's than its."""
        planned = []
        for place, (target, want) in enumerate(zip(run.order.targets, run.wants, strict=True)):
            if target.instrument.kind is InstrumentKind.INDEX and want.interval == MINUTE and want.first <= want.last:
                gaps = missing(want, self._have(want, target.symbol), self._calendar, self._now())
                asked = run.asked.get(place, set())
                spans = windows(
                    [day for day, gap in gaps.items() if day in asked and gap.missing < gap.expected], WINDOW_DAYS
                )
                run.report.symbols[place].windows += len(spans)
                planned += [_Window(place=place, first=first, last=last) for first, last in spans]
        return planned

    def _pass(self, run: _Run, planned: Sequence[_Window], progress: Progress) -> None:
        silent = 0
        progress(0, len(planned))
        outcomes = work_off(
            planned, lambda window: self._ask(run.order, window), workers=self._workers, spread=self._spread
        )
        for done, (window, outcome) in enumerate(outcomes, start=1):
            run.report.requests += 1
            verdict = self._take(run, window, outcome)
            silent = silent + 1 if verdict is Verdict.SILENT else 0
            progress(done, len(planned))
            if verdict is Verdict.SHUT or silent >= SILENT_IN_A_ROW:
                run.report.stopped = run.report.symbols[window.place].failed[-1]
                outcomes.close()
                return

    def _ask(self, order: FetchOrder, window: _Window) -> Candles:
        instrument = order.targets[window.place].instrument
        if order.interval == DAY:
            return self._reader.days(instrument, window.first, window.last)
        start = datetime.combine(window.first, datetime.min.time(), IST)
        end = datetime.combine(window.last + timedelta(days=1), datetime.min.time(), IST)
        # The reader asks for a minute more, and 90 days and a minute would be refused.
        return self._reader.minutes(instrument, start, end - MINUTE.delta)

    def _take(self, run: _Run, window: _Window, outcome: Candles | WorkbenchError) -> Verdict:
        row, target = run.report.symbols[window.place], run.order.targets[window.place]
        span = f"{row.symbol} {window.first} to {window.last}"
        if isinstance(outcome, WorkbenchError):
            row.failed.append(f"{span}: {outcome}")
            return Verdict.SILENT
        verdict = outcome.reading.verdict
        if verdict not in (Verdict.DATA, Verdict.NOTHING):
            row.failed.append(str(outcome.reading.error(span)))
            return verdict
        try:
            stored = self._store.append(
                target.symbol, run.order.interval, outcome.frame, segment=target.instrument.segment,
                replace=run.order.replace,
            )  # fmt: skip
        except WorkbenchError as error:
            row.failed.append(f"{span}: {error}")
            return Verdict.REFUSED
        row.answered += 1
        row.added, row.unchanged = row.added + stored.added, row.unchanged + stored.unchanged
        row.revised += stored.revised
        row.revised_at += [moment.isoformat() for moment in stored.revised_at]
        for reason, count in outcome.dropped.items():
            row.dropped[reason] = row.dropped.get(reason, 0) + count
        want = replace(run.wants[window.place], first=window.first, last=window.last)
        if verdict is Verdict.NOTHING:
            run.doubtful[window.place][span] = (want, outcome.reading.words or outcome.reading.code)
        elif missing(want, pd.DatetimeIndex(outcome.frame.index), self._calendar, self._now()):
            run.asked.setdefault(window.place, set()).update(self._note(want, target.symbol))
        return verdict

    def _note(self, want: Want, symbol: str) -> Iterable[date]:
        """Note what the source lacks of a window that was answered, but for days of which more is to be expected."""
        now = self._now()
        gaps = missing(want, self._have(want, symbol), self._calendar, now)
        holes = {day: gap.missing for day, gap in gaps.items() if settled(want, day, self._calendar, now)}
        self._notes.note(symbol, want.interval, holes)
        return holes

    def _close(self, run: _Run, place: int) -> None:
        """Judge the windows of which Dhan said that there is nothing, and list the holes."""
        row, want = run.report.symbols[place], run.wants[place]
        symbol = run.order.targets[place].symbol
        if want.first > want.last:
            return
        has_bars = bool(run.doubtful[place]) and len(self._have(want, symbol)) > 0
        for span, (window, words) in run.doubtful[place].items():
            if has_bars:
                self._note(window, symbol)
            else:
                # The same code says "wrong parameters": with no bar at all nobody can tell which it is.
                row.answered -= 1
                row.failed.append(f"{span}: Dhan gives nothing ({words}); check that the instrument was listed then")
        known = {day for day in self._notes.of(symbol, want.interval) if want.first <= day <= want.last}
        if not known:
            return
        for day, gap in missing(want, self._have(want, symbol), self._calendar, self._now()).items():
            if day not in known:
                continue
            if gap.missing == gap.expected:
                row.empty_sessions.append(day.isoformat())
            else:
                row.holes.append(gap)


@dataclass(slots=True, kw_only=True)
class _Run:
    """A fetch under way; `doubtful` are windows with nothing, `asked` the settled days that still lack bars."""

    order: FetchOrder
    wants: list[Want]
    report: FetchReport
    doubtful: list[dict[str, tuple[Want, str]]]
    asked: dict[int, set[date]] = field(default_factory=dict)


def _nobody_looks(_done: int, _planned: int) -> None:
    """Show nothing."""


def _check(order: FetchOrder) -> None:
    if not order.targets:
        raise BadInput("nothing to fetch: name at least one symbol")
    if order.interval not in (MINUTE, DAY):
        raise BadInput(
            f"fetch 1m or 1d, not {order.interval}: longer bars are made of the stored minutes when they are read"
        )
    if order.first > order.last:
        raise BadInput(f"the range is empty: from {order.first} is after to {order.last}")
