"""Replay carries out every exit, and backtest refuses those that it cannot tell exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tests.parity.worlds import faulty_bars, market_of, study_of
from workbench.core.errors import BadInput
from workbench.core.order import Product
from workbench.core.plan import (
    Distance,
    Exits,
    Lock,
    Look,
    Overnight,
    Plan,
    ScaleOut,
    Trail,
    Underlying,
    index_as_future,
)
from workbench.research.backtest import backtest
from workbench.research.replay import replay
from workbench.research.trades import StudyResult

START = date(2022, 2, 14)


def points(value: str) -> Distance:
    return Distance(points=Decimal(value))


def atr(value: str) -> Distance:
    return Distance(atr=Decimal(value), atr_length=7)


UNTOLD: dict[str, Plan] = {
    "average true ranges": index_as_future(exits=Exits(stop=atr("2"), target=atr("3"))),
    "a profit lock": index_as_future(exits=Exits(stop=points("30"), lock=Lock(after=points("8"), keep=Decimal(60)))),
    "a stepped trail": index_as_future(exits=Exits(trail=Trail(distance=points("15"), step=points("5")))),
    "scale-outs": index_as_future(
        lots=3, exits=Exits(stop=points("20"), scale_out=(ScaleOut(at=points("9"), lots=1),), target=points("30"))
    ),
    "overnight positions": index_as_future(
        overnight=Overnight.KEEP, product=Product.MARGIN, exits=Exits(stop=points("60"))
    ),
}


def replayed(plan: Plan, *, abridge: bool = True) -> StudyResult:
    return replay(study_of(plan, start=START), market_of(faulty_bars()), abridge=abridge)


@pytest.mark.parametrize("name", UNTOLD)
def test_backtest_refuses_what_it_cannot_tell_and_points_to_replay(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name}.*use replay"):
        backtest(study_of(UNTOLD[name], start=START), market_of(faulty_bars()))


@pytest.mark.parametrize("name", UNTOLD)
def test_replay_carries_it_out_and_quiet_minutes_decide_nothing(name: str) -> None:
    short, long = replayed(UNTOLD[name]), replayed(UNTOLD[name], abridge=False)
    assert len(short.trades) > 5
    assert short.trades == long.trades


def test_replay_leaves_by_the_rule_that_asked() -> None:
    reasons = {trade.exit_reason for trade in replayed(UNTOLD["a profit lock"]).trades}
    assert {"lock", "stop"} <= reasons
    stops = {trade.exit_reason for trade in replayed(UNTOLD["average true ranges"]).trades}
    assert {"stop", "target"} <= stops


def test_parts_leave_apart_and_make_up_the_whole() -> None:
    trades = replayed(UNTOLD["scale-outs"]).trades
    entries = {trade.entry_time for trade in trades}
    whole = [sum(each.quantity for each in trades if each.entry_time == moment) for moment in entries]
    lot = min(each.quantity for each in trades)
    assert all(units == 3 * lot for units in whole)
    assert any(trade.exit_reason == "target" and trade.quantity == lot for trade in trades)


def test_what_is_carried_comes_out_on_another_day_and_a_gap_fills_beyond_the_stop() -> None:
    trades = replayed(UNTOLD["overnight positions"]).trades
    nights = [trade for trade in trades if trade.exit_time.date() > trade.entry_time.date()]
    assert nights
    assert all(trade.exit_reason != "session_end" for trade in nights)


OPTION = Plan(
    name="options",
    exits=Exits(
        underlying=Underlying(stop=atr("1.5"), target=atr("2"), strike=Look.HOURLY_CLOSE),
        lock=Lock(after=Distance(percent=Decimal(20)), keep=Decimal(50)),
        scale_out=(ScaleOut(at=Distance(percent=Decimal(15)), share=Decimal(50)),),
    ),
    lots=2,
)


def test_options_are_left_by_the_index_and_never_without_their_disaster_stop() -> None:
    result = replayed(OPTION)
    reasons = {trade.exit_reason for trade in result.trades}
    assert {"underlying_stop", "underlying_target"} & reasons
    assert {trade.priced for trade in result.trades} == {"model"}
    assert all(trade.exit_time.date() == trade.entry_time.date() for trade in result.trades)


def test_options_that_stay_over_the_night_are_never_held_beyond_their_expiry() -> None:
    plan = replace(OPTION, overnight=Overnight.KEEP, product=Product.MARGIN, exits=Exits(stop=points("80")))
    trades = replayed(plan).trades
    assert any(trade.exit_time.date() > trade.entry_time.date() for trade in trades)
    for trade in trades:
        expiry = date.fromisoformat(trade.instrument.split(":")[2])
        assert trade.exit_time.date() <= expiry
