"""The signal source: closed bars only, each once, the same signals as over all history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.bars import Quote
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput
from workbench.core.instrument import Segment
from workbench.core.messages import BarClosed, DeploymentChecked, Message, SignalRaised
from workbench.core.plan import NAMED_PLANS
from workbench.core.session import IST
from workbench.core.signal import SignalValues
from workbench.live.signal_source import SignalSource
from workbench.reference import calendar
from workbench.strategies import registry

DAY = date(2022, 6, 15)
KEY = "IDX_I:NIFTY"
EMA = Deployment(name="EMA", symbol="NIFTY", plan=NAMED_PLANS["index_as_future"], strategy="ema_cross", interval="5m")


def minutes(first: date, last: date) -> pd.DataFrame:
    """Generated 1-minute bars of all sessions between two days."""
    times: list[datetime] = []
    for session in calendar().sessions(Segment.IDX_I, first, last):
        count = int((session.spot_end - session.open).total_seconds() // 60)
        times += [session.open + timedelta(minutes=step) for step in range(count)]
    rng = np.random.default_rng(7)
    close = 15700 + np.round(np.cumsum(rng.normal(0, 4, len(times))) * 20) / 20
    frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 0.0}, index=times)
    frame.index = pd.DatetimeIndex(times, name="time").tz_convert("Asia/Kolkata")
    return frame


def five(frame: pd.DataFrame) -> pd.DataFrame:
    how: dict[str, Any] = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return frame.resample("5min").agg(how).dropna()


ALL = minutes(date(2022, 6, 1), DAY)


class Past:
    """History of the generated minutes; `core.ports.BarHistory`."""

    def __init__(self, *, until: datetime | None = None, broken: bool = False) -> None:
        self.until, self.broken, self.reads = until, broken, 0

    def read(self, symbol: str, interval: str, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        self.reads += 1
        if self.broken or start is None or end is None:
            raise BadInput("no history here")
        frame = ALL.loc[ALL.index < pd.Timestamp(self.until)] if self.until else ALL
        bars = five(frame)
        return bars.loc[(bars.index >= pd.Timestamp(start)) & (bars.index < pd.Timestamp(end))]


def run_day(
    until: datetime,
    *,
    begin: datetime | None = None,
    deployment: Deployment = EMA,
    history: Past | None = None,
    each: Callable[[SignalSource, datetime], None] = lambda *_: None,
) -> list[Message]:
    told: list[Message] = []

    async def run() -> None:
        session = calendar().session(Segment.IDX_I, DAY)
        assert session is not None
        source = SignalSource(
            deployments=(deployment,),
            key_of=lambda _: KEY,
            calendar=calendar(),
            history=history or Past(),
            enqueue=told.append,
        )
        source.start(asyncio.get_running_loop())
        now = begin or session.open - timedelta(seconds=30)
        source.open_day(DAY, now)
        await source.drained()
        while now < until:
            now += timedelta(seconds=20)
            minute = pd.Timestamp(now.replace(second=0))
            if minute in ALL.index:
                price = Decimal(str(round(float(ALL["close"][minute]), 2)))
                source.on_quote(Quote(KEY, now, price, price, price))
            each(source, now)
            source.on_beat(now)
            await source.drained()
        source.close()

    asyncio.run(run())
    return told


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2022, 6, 15, hour, minute, second, tzinfo=IST)


def test_live_signals_equal_those_over_all_history() -> None:
    told = run_day(at(12, 0, 20))
    raised = [item for item in told if isinstance(item, SignalRaised)]
    assert len(raised) == 33
    strategy = registry.build("ema_cross")
    expected = strategy.signals(five(ALL))
    for item in raised:
        row = expected.loc[pd.Timestamp(item.bar_time)]
        assert item.values == SignalValues(**{str(name): bool(value) for name, value in row.items()})
        assert item.known_at == item.bar_time + timedelta(minutes=5)
    assert any(item.values != item.previous for item in raised), "something happened in this morning"
    for one, two in pairwise(raised):
        assert two.previous == one.values


def test_each_bar_is_closed_once_and_by_the_clock() -> None:
    closed = [item for item in run_day(at(9, 30, 20)) if isinstance(item, BarClosed)]
    assert [item.bar.time for item in closed] == [at(9, 15), at(9, 20), at(9, 25)]
    assert all(item.verified for item in closed)


def test_a_deployment_is_armed_when_history_is_long_enough() -> None:
    check = run_day(at(9, 15))[0]
    assert isinstance(check, DeploymentChecked)
    assert check.armed


def test_without_history_it_is_not_armed_and_says_how_many_bars_are_missing() -> None:
    told = run_day(at(9, 40), history=Past(broken=True))
    assert not [item for item in told if isinstance(item, SignalRaised)]
    last = [item for item in told if isinstance(item, DeploymentChecked)][-1]
    assert not last.armed
    assert "bars of NIFTY 5m are there" in last.reason


def test_a_start_in_the_middle_of_a_bar_reads_that_bar_from_history() -> None:
    told = run_day(at(10, 0, 20), begin=at(9, 47, 30))
    (first, *_) = [item for item in told if isinstance(item, BarClosed)]
    assert first.bar.time == at(9, 45)
    assert first.verified
    whole = five(ALL).loc[pd.Timestamp(at(9, 45))]
    assert float(first.bar.open) == whole["open"]


def test_a_start_in_the_middle_of_a_bar_without_that_bar_disarms() -> None:
    told = run_day(at(9, 50, 20), begin=at(9, 47, 30), history=Past(until=at(9, 45)))
    (first, *_) = [item for item in told if isinstance(item, BarClosed)]
    assert not first.verified
    assert not [item for item in told if isinstance(item, SignalRaised)]


def test_changed_code_is_not_armed() -> None:
    stale = Deployment(
        name="EMA", symbol="NIFTY", plan=EMA.plan, strategy="ema_cross", interval="5m", strategy_hash="0" * 64
    )
    check = run_day(at(9, 20, 20), deployment=stale)[0]
    assert isinstance(check, DeploymentChecked)
    assert "has changed since it was promoted" in check.reason


def test_an_unknown_strategy_is_not_armed_and_nothing_else_breaks() -> None:
    unknown = Deployment(name="X", symbol="NIFTY", plan=EMA.plan, strategy="ema_cros", interval="5m")
    told = run_day(at(9, 20, 20), deployment=unknown)
    assert isinstance(told[0], DeploymentChecked)
    assert "did you mean 'ema_cross'" in told[0].reason


def test_the_newest_bars_are_there_for_the_api() -> None:
    seen: list[Any] = []

    def look(source: SignalSource, now: datetime) -> None:
        if now == at(9, 30, 10):
            seen.extend(source.latest("NIFTY", "5m", 2))

    run_day(at(9, 30, 20), each=look)
    assert [bar["time"] for bar in seen] == ["2022-06-15T09:15:00+05:30", "2022-06-15T09:20:00+05:30"]
