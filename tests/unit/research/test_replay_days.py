"""Options in a replay are left on their own day, though their index has its last price before they are squared off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest

from tests.parity.worlds import market_of, study_of
from workbench.core.order import Product
from workbench.core.plan import NAMED_PLANS, Combined, Distance, Exits, Overnight, Plan
from workbench.core.session import IST
from workbench.data.sample import SAMPLE_FIRST, SAMPLE_FIRST_PRICE, SAMPLE_LAST, SAMPLE_SEED, generate
from workbench.reference import calendar
from workbench.research.replay import replay
from workbench.research.trades import StudyResult, Trade

SQUARE_OFF = time(15, 16)
INTRADAY = NAMED_PLANS["atm_option"]
FAR = Exits(stop=Distance(percent=Decimal(90)))
KEPT = replace(INTRADAY, product=Product.MARGIN, overnight=Overnight.KEEP, exits=FAR)


@cache
def new_hours() -> pd.DataFrame:
    """Three weeks whose index ends with the minute 15:14; options trade to 15:40 and are squared off from 15:16."""
    frame = generate(calendar(), date(2026, 8, 3), date(2026, 8, 21), seed=11, first_price=24_000.0)
    assert pd.DatetimeIndex(frame.index)[-1].time() == time(15, 14)
    return frame


def replayed(plan: Plan, *, start: date = date(2026, 8, 10), end: date = date(2026, 8, 14)) -> StudyResult:
    return replay(replace(study_of(plan, start=start), end=end), market_of(new_hours()))


def over_night(trades: Sequence[Trade]) -> list[Trade]:
    return [trade for trade in trades if trade.exit_time.date() != trade.entry_time.date()]


def late(trades: Sequence[Trade]) -> list[Trade]:
    return [trade for trade in trades if trade.exit_time.time() >= time(15, 15)]


def test_what_is_held_at_the_index_s_last_minute_is_squared_off_on_its_day() -> None:
    result = replayed(replace(INTRADAY, exits=FAR))
    assert not over_night(result.trades)
    left = late(result.trades)
    assert left
    assert {(trade.exit_time.time(), trade.exit_reason) for trade in left} == {(SQUARE_OFF, "session_end")}
    count = len(left)
    what = "1 exit is" if count == 1 else f"{count} exits are"
    assert f"{what} after the index's last minute of the day and priced by the model at its last price" in result.notes


def test_an_exit_by_the_clock_behind_the_last_minute_happens_at_its_time() -> None:
    result = replayed(replace(INTRADAY, exits=replace(FAR, time=time(15, 15))))
    left = late(result.trades)
    assert left
    assert {(trade.exit_time.time(), trade.exit_reason) for trade in left} == {(time(15, 15), "time")}


@pytest.mark.parametrize("name", ["straddle", "credit_spread"])
def test_all_legs_are_left_on_their_day(name: str) -> None:
    result = replayed(replace(NAMED_PLANS[name], combined=Combined(time=time(15, 16))), start=date(2026, 8, 13))
    assert result.trades
    assert not over_night(result.trades)
    assert {trade.exit_time.time() for trade in late(result.trades)} == {time(15, 16)}


def test_what_is_no_winner_is_left_a_minute_before_the_options_close() -> None:
    result = replayed(replace(KEPT, overnight=Overnight.KEEP_WINNERS), start=date(2026, 8, 13), end=date(2026, 8, 21))
    left = late(result.trades)
    assert {(trade.exit_time.time(), trade.exit_reason) for trade in left} >= {(time(15, 39), "session_end")}
    assert all(trade.pnl < 0 for trade in left if trade.exit_time.time() == time(15, 39))
    assert over_night(result.trades)


def test_on_its_last_day_a_kept_option_goes_with_the_square_off() -> None:
    trades = replayed(KEPT).trades
    assert over_night(trades)
    for trade in trades:
        expiry = date.fromisoformat(trade.instrument.split(":")[2])
        assert trade.exit_time <= datetime.combine(expiry, SQUARE_OFF, tzinfo=IST)


def test_time_passes_for_the_option_while_the_index_stands_still() -> None:
    at_the_last_minute, at_the_square_off = (
        {trade.entry_time: trade.exit_price for trade in replayed(replace(INTRADAY, exits=exits)).trades}
        for exits in (replace(FAR, time=time(15, 15)), FAR)
    )
    held = [moment for moment, price in at_the_square_off.items() if price != at_the_last_minute.get(moment)]
    assert held
    assert all(at_the_square_off[moment] < at_the_last_minute[moment] for moment in held)


def test_bars_that_end_at_noon_are_left_at_the_square_off() -> None:
    frame = new_hours()
    index = pd.DatetimeIndex(frame.index)
    cut = np.asarray((index.date == date(2026, 8, 12)) & (index.time >= time(12, 0)))
    study = replace(study_of(replace(INTRADAY, exits=FAR), start=date(2026, 8, 10)), end=date(2026, 8, 14))
    result = replay(study, market_of(frame[~cut]))
    assert {trade.exit_time.time() for trade in result.trades if trade.exit_time.day == 12} >= {SQUARE_OFF}
    assert not over_night(result.trades)


def test_no_intraday_trade_of_the_shipped_sample_spans_two_days() -> None:
    first = date(2026, 9, 1)
    sample = generate(calendar(), SAMPLE_FIRST, SAMPLE_LAST, seed=SAMPLE_SEED, first_price=SAMPLE_FIRST_PRICE)
    recent = sample[pd.DatetimeIndex(sample.index) >= pd.Timestamp(first - timedelta(days=21), tz=IST)]
    result = replay(study_of(INTRADAY, start=first), market_of(recent))
    assert len(result.trades) > 40
    assert len(late(result.trades)) >= 5
    assert not over_night(result.trades)
