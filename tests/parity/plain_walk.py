"""The meaning of `index_as_future`, written a third time as a plain walk over the minutes.

It shares no code with backtest or replay: no vectorbt, no engine, no matching. Only the strategy's own frame, the
calendar, the lot and the tick are taken from the project.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd

from workbench.core.contracts import ExpiryKind
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.plan import Distance, Exits, OnOpposite
from workbench.research.market import Market, Study

Heard = dict[datetime, list[tuple[datetime, dict[str, bool]]]]


@dataclass(frozen=True)
class Walked:
    entry_time: datetime
    exit_time: datetime
    side: str
    quantity: int
    entry_price: Decimal
    exit_price: Decimal
    exit_reason: str


@dataclass
class Held:
    at: datetime
    sign: int
    price: Decimal
    stop: Decimal | None
    target: Decimal | None
    peak: Decimal
    trailed: bool = False


def walk(study: Study, market: Market) -> list[Walked]:
    minutes = study.minutes(market.history)
    rows = called_rows(study, market, minutes)
    trades: list[Walked] = []
    days = pd.DatetimeIndex(minutes.index).date
    for day in sorted(set(days)):
        trades += walk_day(study, market, day, minutes[days == day], rows)
    return trades


def called_rows(study: Study, market: Market, minutes: pd.DataFrame) -> Heard:
    """Rows of the strategy by the minute at whose open they are heard."""
    bars = study.signal_bars(market.history)
    frame = study.strategy.signals(bars)
    opens = list(pd.DatetimeIndex(minutes.index))
    heard: Heard = {}
    previous: Mapping[Hashable, bool] = dict.fromkeys(frame.columns, False)
    position = 0
    for number, (moment, values) in enumerate(
        zip(pd.DatetimeIndex(frame.index), frame.to_dict("records"), strict=True)
    ):
        session = market.calendar.session(Segment.IDX_I, moment.date())
        assert session is not None
        known = min(moment + study.interval.delta, pd.Timestamp(session.close))
        while position < len(opens) and opens[position] < known:
            position += 1
        long_edge = values["long_entry"] and not previous["long_entry"]
        short_edge = values["short_entry"] and not previous["short_entry"]
        row = {
            "long_edge": long_edge and not short_edge,
            "short_edge": short_edge and not long_edge,
            "long_exit": values["long_exit"],
            "short_exit": values["short_exit"],
        }
        previous = values
        if number + 1 < study.strategy.settle_bars or known < opens[0] or position == len(opens):
            continue
        if opens[position].date() == moment.date():
            heard.setdefault(opens[position], []).append((known, row))
    return heard


def walk_day(study: Study, market: Market, day: date, bars: pd.DataFrame, rows: Heard) -> list[Walked]:  # noqa: C901, PLR0915
    plan, session = study.plan, market.calendar.session(Segment.IDX_I, day)
    assert session is not None
    tick = market.contracts.tick(study.symbol, InstrumentKind.FUTURE, day)
    monthly = market.contracts.expiries(study.symbol, start=day, end=day + timedelta(days=62), kind=ExpiryKind.MONTHLY)[
        0
    ]
    assert plan.lots is not None
    units = plan.lots * market.contracts.lot(study.symbol, monthly, day)
    trades: list[Walked] = []
    held: Held | None = None

    def leave(at: datetime, price: Decimal, reason: str) -> None:
        nonlocal held
        assert held is not None
        side = "BUY" if held.sign > 0 else "SELL"
        trades.append(Walked(held.at, at, side, units, held.price, price, reason))
        held = None

    for moment, bar in zip(pd.DatetimeIndex(bars.index).to_pydatetime(), bars.to_dict("records"), strict=True):
        o, h, low = (snap(bar[name], tick) for name in ("open", "high", "low"))
        clock = moment.time()
        was = held
        if held is not None and moment >= session.square_off_start:
            leave(moment, o, "session_end")
        if held is not None and plan.exits.time is not None and clock >= plan.exits.time:
            leave(moment, o, "time")
        for known, row in rows.get(moment, ()):
            edge = 1 if row["long_edge"] else -1 if row["short_edge"] else 0
            if held is not None:
                called = row["long_exit"] if held.sign > 0 else row["short_exit"]
                if edge == -held.sign and plan.on_opposite is not OnOpposite.IGNORE:
                    leave(moment, o, "opposite")
                elif called:
                    leave(moment, o, "signal")
            blocked = was is not None and edge == -was.sign and plan.on_opposite is not OnOpposite.REVERSE
            open_now = session.open <= moment < session.square_off_start
            in_break = any(start <= moment < end for start, end in session.breaks)
            before = plan.no_entry_before is not None and clock < plan.no_entry_before
            after = plan.no_entry_after is not None and clock >= plan.no_entry_after
            after = after or (plan.exits.time is not None and clock >= plan.exits.time)
            stale = moment - known > study.interval.delta
            if held is None and edge and open_now and not (blocked or in_break or before or after or stale):
                held = enter(plan.exits, moment, edge, o, tick)
        if held is not None:
            worst, best = (low, h) if held.sign > 0 else (h, low)
            if held.stop is not None and held.sign * (o - held.stop) <= 0:
                leave(moment, o, "trail" if held.trailed else "stop")
            elif held.target is not None and held.sign * (o - held.target) >= 0:
                leave(moment, o, "target")
            elif held.stop is not None and held.sign * (worst - held.stop) <= 0:
                leave(moment, held.stop, "trail" if held.trailed else "stop")
            elif held.target is not None and held.sign * (best - held.target) >= 0:
                leave(moment, held.target, "target")
            else:
                trail(plan.exits, held, best, tick)
    if held is not None:
        last = pd.DatetimeIndex(bars.index)[-1].to_pydatetime()
        end = max(last + timedelta(minutes=1), session.square_off_start)
        leave(end, snap(bars["close"].iloc[-1], tick), "session_end")
    return trades


def enter(exits: Exits, moment: datetime, sign: int, price: Decimal, tick: Decimal) -> Held:
    stop = target = None
    if exits.stop is not None:
        stop = snap(price - sign * rupees(exits.stop, price), tick)
    elif exits.trail is not None and exits.trail.after is None:
        stop = snap(price - sign * rupees(exits.trail.distance, price), tick)
    if exits.target is not None:
        target = snap(price + sign * rupees(exits.target, price), tick)
    return Held(moment, sign, price, stop, target, price)


def trail(exits: Exits, held: Held, best: Decimal, tick: Decimal) -> None:
    """At the minute's end: the peak, and the stop behind it."""
    if exits.trail is None or held.sign * (best - held.peak) <= 0:
        return
    held.peak = best
    gained = held.sign * (best - held.price)
    if exits.trail.after is not None and gained < rupees(exits.trail.after, held.price):
        return
    asked = snap(best - held.sign * rupees(exits.trail.distance, held.price), tick)
    if held.stop is None or held.sign * (asked - held.stop) > 0:
        held.stop, held.trailed = asked, True


def rupees(distance: Distance, price: Decimal) -> Decimal:
    if distance.points is not None:
        return distance.points
    assert distance.percent is not None
    return price * distance.percent / 100


def snap(price: Decimal | float, tick: Decimal) -> Decimal:
    value = price if isinstance(price, Decimal) else Decimal(repr(float(price)))
    return (value / tick).quantize(Decimal(1), rounding=ROUND_HALF_UP) * tick
