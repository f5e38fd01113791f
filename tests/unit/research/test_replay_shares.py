"""Replay trades a share itself on its own minutes, with the cash market's hours and charges."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from functools import cache
from typing import Any

import pandas as pd
import pytest

from tests.parity.worlds import market_of, study_of
from workbench.core.errors import BadInput
from workbench.core.plan import plan_from_mapping
from workbench.core.signal import Side
from workbench.data.sample import generate
from workbench.reference import calendar
from workbench.research.backtest import backtest
from workbench.research.replay import replay
from workbench.research.trades import StudyResult

BODY = {"contract": "underlying", "value": 200_000, "exits": {"stop": "0.6%", "target": "1%"}}


@cache
def bars() -> pd.DataFrame:
    """Generated minutes of a share near 1,600 rupees."""
    return generate(calendar(), date(2022, 1, 3), date(2022, 2, 28), seed=5, first_price=1_600.0)


def replayed(body: dict[str, Any], *, abridge: bool = True) -> StudyResult:
    study = replace(study_of(plan_from_mapping(body), start=date(2022, 2, 14)), symbol="HDFCBANK")
    return replay(study, market_of(bars()), abridge=abridge)


def test_a_share_is_bought_and_sold_short_within_the_day() -> None:
    result = replayed(BODY)
    assert {trade.side for trade in result.trades} == set(Side)
    assert {trade.instrument for trade in result.trades} == {"NSE_EQ:HDFCBANK"}
    for trade in result.trades:
        assert trade.entry_time.date() == trade.exit_time.date()
        assert trade.quantity * trade.entry_price <= Decimal(205_000)
        assert trade.exit_time.time() < time(15, 20)
        assert trade.charges > 0
    assert {"stop", "target", "session_end"} & {trade.exit_reason for trade in result.trades}


def test_quiet_minutes_of_a_share_decide_nothing() -> None:
    assert replayed(BODY).trades == replayed(BODY, abridge=False).trades


def test_cnc_is_long_only_and_stays_over_nights() -> None:
    body = {**BODY, "product": "CNC", "overnight": "keep", "on_opposite": "exit", "exits": {"stop": "3%"}}
    trades = replayed(body).trades
    assert {trade.side for trade in trades} == {Side.BUY}
    assert any(trade.entry_time.date() < trade.exit_time.date() for trade in trades)


def test_before_a_closing_auction_winners_stay_and_what_leaves_by_an_hour_in_it_leaves_a_minute_before() -> None:
    study = study_of(plan_from_mapping(BODY), start=date(2026, 9, 1))
    trades = {}
    for name, own in (
        ("winners", {"overnight": "keep_winners", "exits": {"stop": "3%"}}),
        ("hour", {"overnight": "keep", "exits": {"stop": "3%", "time": "15:20"}}),
    ):
        plan = plan_from_mapping({**BODY, "product": "CNC", "on_opposite": "exit", **own})
        world = market_of(generate(calendar(), date(2026, 8, 3), date(2026, 9, 18), seed=5, first_price=1_600.0))
        trades[name] = replay(replace(study, symbol="HDFCBANK", plan=plan), world).trades
    assert any(trade.entry_time.date() < trade.exit_time.date() for trade in trades["winners"]), "a night was kept"
    for name, reason in (("winners", "session_end"), ("hour", "time")):
        assert {trade.exit_time.time() for trade in trades[name] if trade.exit_reason == reason} == {time(15, 14)}
    assert all(trade.entry_time.date() == trade.exit_time.date() for trade in trades["hour"])


def test_backtest_points_to_replay_and_an_index_is_no_share() -> None:
    plan = plan_from_mapping(BODY)
    with pytest.raises(BadInput, match="use replay"):
        backtest(study_of(plan), market_of(bars()))
    with pytest.raises(BadInput, match="is an index"):
        replay(study_of(plan), market_of(bars()))
