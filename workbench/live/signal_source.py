"""Signals of live bars: quotes become bars that close by the clock, bars become signals, signals become messages.

Each deployment with a strategy keeps its last bars as a frame, warm from history. A closed bar is evaluated in a thread
of its own, over the settled window that the strategy law allows, and enqueued as `SignalRaised`. A deployment that only
alerts drive keeps bars where its plan counts in average true ranges: `RangeMeasured` tells them, after each bar.

Invariants: only closed bars are evaluated, each once; a bar that was seen only in part (start-up, a gap of the feed) is
read from history instead, or its deployment is not armed; a strategy that raises disarms its own deployment only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from workbench.core.bars import Bar, BarBuilder, Interval, Quote
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput, UnknownFact, WorkbenchError
from workbench.core.instrument import Segment
from workbench.core.messages import BarClosed, DeploymentChecked, Message, RangeMeasured, SignalRaised
from workbench.core.ports import BarHistory
from workbench.core.session import IST, Calendar, Session
from workbench.core.signal import SignalValues
from workbench.core.strategy import Strategy, validate_signals
from workbench.strategies import registry
from workbench.strategies.average_range import average_range, bars_needed

log = logging.getLogger(__name__)

MARGIN_BARS = 5
GRACE_S = 1.0
COLUMNS = ("open", "high", "low", "close", "volume")


def empty_bars() -> pd.DataFrame:
    """Give a frame of bars without rows, in the agreed form."""
    index = pd.DatetimeIndex([], tz="Asia/Kolkata", name="time")
    return pd.DataFrame({column: pd.Series(dtype="float64") for column in COLUMNS}, index=index)


@dataclass(slots=True)
class _Series:
    """Bars of one symbol and interval, shared by the deployments on it."""

    symbol: str
    key: str
    interval: Interval
    need: int
    builder: BarBuilder
    frame: pd.DataFrame = field(default_factory=empty_bars)
    whole_from: datetime | None = None
    """Bars that open before this moment were seen only in part."""


@dataclass(slots=True)
class _Armed:
    """One deployment with its strategy, or the reason why it has none."""

    deployment: Deployment
    series: _Series
    strategy: Strategy | None
    code_hash: str
    wrong: str = ""
    told: tuple[bool, str] | None = None


class SignalSource:
    """Raises the signals of all deployments that have a strategy.

    Parameters
    ----------
    deployments : Sequence of Deployment
    key_of : callable
        Symbol to the key under which its quotes come.
    calendar : Calendar
    history : BarHistory
        Closed bars of the past and, for repairs, of today.
    enqueue : callable
        Takes the messages, on the loop.
    segment : Segment
        Whose sessions anchor the bars.
    """

    def __init__(
        self,
        *,
        deployments: Sequence[Deployment],
        key_of: Callable[[str], str],
        calendar: Calendar,
        history: BarHistory,
        enqueue: Callable[[Message], None],
        segment: Segment = Segment.IDX_I,
    ) -> None:
        self._calendar, self._history, self._enqueue, self._segment = calendar, history, enqueue, segment
        self._series: dict[tuple[str, str], _Series] = {}
        self._by_key: dict[str, list[_Series]] = {}
        self._armed: list[_Armed] = []
        self._measured: list[tuple[Deployment, _Series]] = []
        self._session: Session | None = None
        self._lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="signals")
        self._under_way = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        for deployment in deployments:
            if deployment.strategy is not None:
                self._arm(deployment, key_of(deployment.symbol))
            if deployment.plan.exits.atr_lengths:
                series = self._keep(deployment, key_of(deployment.symbol), bars_needed(deployment.plan.exits))
                self._measured.append((deployment, series))

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; call on the loop, before `open_day`."""
        self._loop = loop

    def open_day(self, day: date, now: datetime) -> None:
        """Warm up for a day (or for what is left of it) and say of each deployment whether it is armed."""
        try:
            self._session = self._calendar.session(self._segment, day)
        except UnknownFact as error:
            log.warning("no session of %s: %s", day, error)
            self._session = None
        for series in self._series.values():
            series.builder = BarBuilder(series.interval, GRACE_S)
            series.whole_from = None if self._session is None or now <= self._session.open else now
        self._submit(lambda: self._warm(now))

    def close(self) -> None:
        """Stop the thread; an evaluation that runs is waited for."""
        self._lane.shutdown(wait=True, cancel_futures=True)

    async def drained(self) -> None:
        """Wait until no evaluation is under way and all its messages are enqueued."""
        while self._under_way and self._loop is not None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    # --- in -----------------------------------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> None:
        """Count a last price in."""
        session = self._session
        if session is None or quote.last <= 0 or not session.open <= quote.time < session.spot_end:
            return
        for series in self._by_key.get(quote.key, ()):
            series.builder.tick(quote.time, quote.last, quote.volume, session.open)

    def on_gap(self, now: datetime) -> None:
        """The feed was lost until now: bars that are open are not whole."""
        for series in self._series.values():
            series.whole_from = now

    def on_beat(self, now: datetime) -> None:
        """Close what has ended; call at each market second and once after the close."""
        session = self._session
        if session is None:
            return
        for series in self._series.values():
            closed = series.builder.close_due(now, session.spot_end)
            if closed:
                self._submit(lambda series=series, closed=closed: self._closed(series, closed, session))  # type: ignore[misc]

    def latest(self, symbol: str, interval: str, count: int) -> list[dict[str, Any]]:
        """The newest closed bars of a symbol that some deployment watches, oldest first."""
        series = self._series.get((symbol, str(Interval.parse(interval))))
        if series is None:
            known = ", ".join(f"{name} {length}" for name, length in sorted(self._series)) or "none"
            raise BadInput(f"no bars of {symbol[:40]} {interval[:8]} are kept; kept: {known}")
        rows = series.frame.tail(count)
        return [
            {"time": moment.isoformat(), **{column: float(row[column]) for column in COLUMNS}}
            for moment, row in zip(rows.index, rows.to_dict("records"), strict=True)
        ]

    # --- in the thread ------------------------------------------------------------------------------------------

    def _warm(self, now: datetime) -> list[Message]:
        for series in self._series.values():
            try:
                series.frame = self._read_back(series, now)
            except WorkbenchError as error:
                series.frame = empty_bars()
                log.warning("no history of %s %s: %s", series.symbol, series.interval, error)
        ranges = [_measure(*each) for each in self._measured]
        return [*(self._check(armed) for armed in self._armed), *ranges]

    def _read_back(self, series: _Series, now: datetime) -> pd.DataFrame:
        """Read as many sessions back as give the bars that are needed."""
        per_session = max(1, 375 * 60 // series.interval.seconds)
        day = now.date()
        for _ in range(series.need // per_session + 2):
            day = self._calendar.previous_session(self._segment, day).date
        start = datetime(day.year, day.month, day.day, tzinfo=IST)
        frame = self._history.read(series.symbol, str(series.interval), start, now)
        last = pd.Timestamp(now) - pd.Timedelta(seconds=series.interval.seconds)
        found: pd.DataFrame = frame.loc[frame.index <= last, list(COLUMNS)].tail(series.need)
        return found

    def _warmer(self, series: _Series, end: datetime) -> pd.DataFrame:
        """Look again for bars that were missing; what we have stays where history knows no more."""
        try:
            found = self._read_back(series, end)
        except WorkbenchError:
            return series.frame
        return found if len(found) > len(series.frame) else series.frame

    def _check(self, armed: _Armed) -> DeploymentChecked:
        have, need = len(armed.series.frame), armed.strategy.settle_bars if armed.strategy else 0
        reason = armed.wrong
        if not reason and have < need:
            reason = f"{have} of {need} bars of {armed.series.symbol} {armed.series.interval} are there"
        armed.told = (not reason, reason)
        return DeploymentChecked(deployment=armed.deployment.name, armed=not reason, reason=reason)

    def _news(self, armed: _Armed) -> list[Message]:
        """Say how a deployment stands, if that is news."""
        before = armed.told
        check = self._check(armed)
        return [check] if armed.told != before else []

    def _closed(self, series: _Series, closed: Sequence[Bar], session: Session) -> list[Message]:
        told: list[Message] = []
        for bar in closed:
            end = min(bar.time + series.interval.delta, session.spot_end)
            whole = series.whole_from is None or bar.time >= series.whole_from
            kept = bar if whole else self._repaired(series, bar, end)
            verified = kept is not None
            told.append(BarClosed(key=series.key, interval=str(series.interval), bar=kept or bar, verified=verified))
            if kept is None:
                # A hole inside the window: nothing may be computed over it until it is full again.
                series.frame = empty_bars()
                told += [self._check(armed) for armed in self._armed if armed.series is series]
                told += [_measure(*each) for each in self._measured if each[1] is series]
                continue
            if len(series.frame) < series.need:
                series.frame = self._warmer(series, end)
            series.frame = append_bar(series.frame, kept, series.need)
            for armed in self._armed:
                if armed.series is series:
                    told += self._evaluate(armed, kept, end)
            # A strategy's signal brings its own.
            told += [_measure(*each) for each in self._measured if each[1] is series and each[0].strategy is None]
        return told

    def _repaired(self, series: _Series, bar: Bar, end: datetime) -> Bar | None:
        """Read a bar that was seen in part from history."""
        try:
            frame = self._history.read(series.symbol, str(series.interval), bar.time, end)
        except WorkbenchError as error:
            log.warning("bar %s of %s cannot be repaired: %s", bar.time, series.symbol, error)
            return None
        if bar.time not in frame.index:
            return None
        (row,) = frame.loc[frame.index == bar.time, list(COLUMNS)].to_numpy().tolist()
        o, h, low, c = (Decimal(repr(round(float(value), 4))) for value in row[:4])
        return Bar(bar.time, o, h, low, c, int(row[4]))

    def _evaluate(self, armed: _Armed, bar: Bar, end: datetime) -> list[Message]:
        strategy, frame = armed.strategy, armed.series.frame
        check = self._news(armed)
        if strategy is None or not armed.told or not armed.told[0]:
            return check
        window = frame.tail(strategy.settle_bars + MARGIN_BARS)
        try:
            signals = strategy.signals(window)
            validate_signals(window, signals)
            points = strategy.stop_points(window)
        except Exception as error:
            armed.wrong = f"the strategy raised {type(error).__name__}: {error}"
            log.error("%s: %s", armed.deployment.name, armed.wrong, exc_info=error)
            return self._news(armed)
        rows = [
            SignalValues(**{str(name): bool(value) for name, value in row.items()})
            for row in signals.tail(2).to_dict("records")
        ]
        stop = None if points is None or pd.isna(points.iloc[-1]) else Decimal(repr(round(float(points.iloc[-1]), 4)))
        return [
            *check,
            SignalRaised(
                deployment=armed.deployment.name,
                bar_time=bar.time,
                known_at=end,
                values=rows[-1],
                previous=rows[-2] if len(rows) > 1 else None,
                strategy_hash=armed.code_hash,
                close=bar.close,
                stop_points=stop,
                atr=average_range(frame, armed.deployment.plan.exits),
            ),
        ]

    # --- plumbing -----------------------------------------------------------------------------------------------

    def _arm(self, deployment: Deployment, key: str) -> None:
        strategy, code_hash, wrong = None, "", ""
        try:
            strategy = registry.build(deployment.strategy or "", deployment.parameters)
            strategy.check_interval(Interval.parse(deployment.interval))
            code_hash = registry.code_hash(type(strategy))
        except WorkbenchError as error:
            strategy, wrong = None, str(error)
        if strategy is not None and deployment.strategy_hash and deployment.strategy_hash != code_hash:
            wrong = (
                f"the code of {deployment.strategy} has changed since it was promoted; check it and promote it again"
            )
        series = self._keep(deployment, key, strategy.settle_bars if strategy else 0)
        self._armed.append(_Armed(deployment, series, strategy, code_hash, wrong))

    def _keep(self, deployment: Deployment, key: str, bars: int) -> _Series:
        """Keep at least so many bars of a deployment's symbol and interval."""
        interval, need = Interval.parse(deployment.interval), bars + MARGIN_BARS
        place = (deployment.symbol, str(interval))
        series = self._series.get(place)
        if series is None:
            series = _Series(deployment.symbol, key, interval, need, BarBuilder(interval, GRACE_S))
            self._series[place] = series
            self._by_key.setdefault(key, []).append(series)
        series.need = max(series.need, need)
        return series

    def _submit(self, work: Callable[[], list[Message]]) -> None:
        self._under_way += 1
        self._lane.submit(work).add_done_callback(self._come_back)

    def _come_back(self, done: Future[list[Message]]) -> None:
        if self._loop is None or done.cancelled():
            return
        try:
            self._loop.call_soon_threadsafe(self._arrive, done)
        except RuntimeError:
            return  # the loop has ended

    def _arrive(self, done: Future[list[Message]]) -> None:
        self._under_way -= 1
        error = done.exception()
        if error is None:
            for message in done.result():
                self._enqueue(message)
        else:
            log.error("signals failed: %s", error, exc_info=error)
            for armed in self._armed:
                armed.wrong = f"bars failed: {error!r}"
                self._enqueue(self._check(armed))
        if not self._under_way:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


def _measure(deployment: Deployment, series: _Series) -> RangeMeasured:
    frame, exits = series.frame, deployment.plan.exits
    found, have, need = average_range(frame, exits), len(frame), bars_needed(exits)
    what = f"bars of {series.symbol} {series.interval}"
    missing = f"{have} of {need} {what} are there" if have < need else f"the {what} stand still"
    bar_time = None if frame.empty else frame.index[-1].to_pydatetime()
    return RangeMeasured(deployment=deployment.name, bar_time=bar_time, atr=found, reason="" if found else missing)


def append_bar(frame: pd.DataFrame, bar: Bar, most: int) -> pd.DataFrame:
    """Add one closed bar and keep the newest `most`; a bar that is there already stays as it was."""
    moment = pd.Timestamp(bar.time).tz_convert("Asia/Kolkata")
    if len(frame) and moment <= frame.index[-1]:
        return frame
    values = [float(bar.open), float(bar.high), float(bar.low), float(bar.close), float(bar.volume)]
    index = pd.DatetimeIndex([moment], tz="Asia/Kolkata", name="time")
    row = pd.DataFrame([values], columns=list(COLUMNS), index=index)
    return row if frame.empty else pd.concat([frame.tail(most - 1), row])
