"""Backtest, replay and a plain walk over the minutes mean the same, trade for trade and paisa for paisa."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.parity.plain_walk import Walked, walk
from tests.parity.worlds import ENDS_EARLY, faulty_bars, market_of, study_of
from workbench.core.bars import MINUTE
from workbench.core.plan import Distance, Exits, OnOpposite, Plan, Trail, index_as_future
from workbench.data.bar_store import BarStore
from workbench.data.importer import import_bars
from workbench.reference import calendar
from workbench.research.backtest import backtest
from workbench.research.market import Market
from workbench.research.parity import compare, decisions_of, parity
from workbench.research.replay import replay
from workbench.research.trades import StudyResult


def points(value: str) -> Distance:
    return Distance(points=Decimal(value))


def percent(value: str) -> Distance:
    return Distance(percent=Decimal(value))


BRACKET = Exits(stop=points("12"), target=points("18"), trail=Trail(distance=points("10"), after=points("9")))
PLANS: dict[str, Plan] = {
    "signals only": index_as_future(),
    "stop, target, trail, session end": index_as_future(exits=BRACKET),
    "percent": index_as_future(
        exits=Exits(stop=percent("0.07"), target=percent("0.11"), trail=Trail(distance=percent("0.05")))
    ),
    "trail alone": index_as_future(exits=Exits(trail=Trail(distance=points("17.35")))),
    "trail armed later": index_as_future(exits=Exits(trail=Trail(distance=points("6"), after=points("11")))),
    "exit on opposite": index_as_future(on_opposite=OnOpposite.EXIT, exits=Exits(stop=points("15"))),
    "ignore opposite": index_as_future(on_opposite=OnOpposite.IGNORE, exits=BRACKET),
    "out by the clock": index_as_future(exits=Exits(stop=points("30"), time=time(13, 32))),
    "hours of entry": index_as_future(
        no_entry_before=time(10, 0), no_entry_after=time(14, 0), exits=Exits(target=points("20"))
    ),
    "two lots": index_as_future(lots=2, exits=BRACKET),
}


def walked(result: StudyResult) -> list[Walked]:
    return [
        Walked(
            trade.entry_time,
            trade.exit_time,
            trade.side.value,
            trade.quantity,
            trade.entry_price,
            trade.exit_price,
            trade.exit_reason,
        )
        for trade in result.trades
    ]


@pytest.mark.parametrize("name", PLANS)
def test_backtest_replay_and_a_plain_walk_agree_on_generated_bars(name: str) -> None:
    study, market = replace(study_of(), plan=PLANS[name]), market_of(faulty_bars())
    first, second = backtest(study, market), replay(study, market)
    assert len(first.trades) > 50
    assert walked(first) == walk(study, market)
    assert first.trades == second.trades
    assert first.net == second.net


@pytest.mark.parametrize(
    ("strategy", "interval"), [("supertrend", "3m"), ("rsi_bands", "15m"), ("opening_range", "5m")]
)
def test_other_strategies_and_intervals_agree(strategy: str, interval: str) -> None:
    study = study_of(PLANS["stop, target, trail, session end"], strategy=strategy, interval=interval)
    market = market_of(faulty_bars(seed=8))
    first, second = backtest(study, market), replay(study, market)
    assert first.trades
    assert walked(first) == walk(study, market)
    assert first.trades == second.trades


@pytest.mark.parametrize("on_opposite", list(OnOpposite))
def test_an_opposite_call_in_the_minute_that_the_clock_calls_out_means_the_same(on_opposite: OnOpposite) -> None:
    plan = index_as_future(on_opposite=on_opposite, exits=Exits(stop=points("24.2"), time=time(13, 0)))
    study, market = study_of(plan, interval="1m"), market_of(faulty_bars(seed=3))
    first = backtest(study, market)
    assert first.stats["by_exit_reason"]["time"]["trades"] > 10
    assert walked(first) == walk(study, market)
    assert first.trades == replay(study, market).trades


def test_telling_quiet_minutes_in_short_changes_no_trade() -> None:
    study, market = study_of(PLANS["percent"]), market_of(faulty_bars(seed=5))
    assert replay(study, market, abridge=True).trades == replay(study, market, abridge=False).trades


def test_a_session_that_ends_early_is_left_at_its_last_close() -> None:
    bars = faulty_bars()
    result = backtest(study_of(), market_of(bars))
    last = [trade for trade in result.trades if trade.entry_time.date() == ENDS_EARLY][-1]
    assert (last.exit_time.time(), last.exit_reason) == (time(15, 16), "session_end")
    assert float(last.exit_price) == bars[pd.DatetimeIndex(bars.index).date == ENDS_EARLY]["close"].iloc[-1]


@pytest.fixture(scope="session")
def real_market(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    folder = shared_data / "nifty-1m-2021-2022"
    if not folder.is_dir():
        pytest.skip("the two years of NIFTY minutes are not beside the repository")
    store = BarStore(tmp_path_factory.mktemp("bars"), calendar())
    import_bars(
        sorted(folder.glob("*.txt")),
        symbol="NIFTY",
        interval=MINUTE,
        label="end",
        store=store,
        calendar=calendar(),
        columns=("symbol", "date", "time", "open", "high", "low", "close", "volume", "oi"),
    )
    return replace(market_of(faulty_bars()), history=store)


REAL_BRACKET = Exits(stop=points("20"), target=points("25"), trail=Trail(distance=points("20"), after=points("15")))


@pytest.mark.shared
def test_signal_exits_on_two_real_years_are_equal_to_the_paisa(real_market: Market) -> None:
    report = parity(study_of(), real_market)
    assert report.decisions > 2800
    assert report.differences == ()


@pytest.mark.shared
def test_brackets_on_two_real_years_differ_in_nothing_inside_the_entry_bar_either(real_market: Market) -> None:
    study = study_of(index_as_future(exits=REAL_BRACKET))
    first, second = backtest(study, real_market), replay(study, real_market)
    reasons: dict[str, Any] = first.stats["by_exit_reason"]
    assert reasons["stop"]["trades"] >= 200
    assert reasons["target"]["trades"] >= 200
    assert {"trail", "session_end", "opposite"} <= set(reasons)
    assert compare(decisions_of(first.trades), decisions_of(second.trades)) == ()
    # Not looking inside the entry bar is what plain vectorbt would get wrong: those trades are recomputed here.
    within = [trade for trade in first.trades if trade.entry_time == trade.exit_time]
    assert len(within) > 10
    recomputed = {trade.entry_time: trade for trade in walk(study, real_market)}
    for trade in within:
        other = recomputed[trade.entry_time]
        assert (other.exit_time, other.exit_price, other.exit_reason) == (
            trade.exit_time,
            trade.exit_price,
            trade.exit_reason,
        )
    assert walked(first) == list(recomputed.values())
