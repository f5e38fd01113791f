"""Average true ranges of deployments that only alerts drive: the same bars, the same figure as everywhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pandas as pd

from tests.parity.worlds import market_of, study_of
from tests.unit.live.test_signal_source import ALL, EMA, Past, at, five, run_day
from workbench.core.deployment import Deployment
from workbench.core.messages import DeploymentChecked, Message, RangeMeasured, SignalRaised
from workbench.core.plan import Distance, Exits, Plan, Underlying, index_as_future
from workbench.research.calls import evaluate
from workbench.research.minutes import read_minutes
from workbench.strategies.average_range import average_range, bars_needed

LENGTH = 7
TWO = Distance(atr=Decimal(2), atr_length=LENGTH)
LEVELS = Exits(stop=Distance(points=Decimal(15)), underlying=Underlying(stop=TWO))
ALERTS = Deployment(name="ALERTS", symbol="NIFTY", plan=Plan(name="options", exits=LEVELS), interval="5m")


def measured(told: list[Message]) -> list[RangeMeasured]:
    return [each for each in told if isinstance(each, RangeMeasured)]


def known(told: list[Message]) -> dict[datetime, Decimal]:
    return {each.bar_time: each.atr for each in measured(told) if each.bar_time and each.atr}


def test_it_is_known_at_the_start_from_history_and_after_each_bar() -> None:
    told = measured(run_day(at(9, 35, 20), deployment=ALERTS))
    assert [each.bar_time for each in told[1:]] == [at(9, 15), at(9, 20), at(9, 25), at(9, 30)]
    assert told[0].bar_time is not None
    assert told[0].bar_time.date() < at(9, 15).date()
    bars = five(ALL)
    for each in told:
        assert each.bar_time is not None
        window = bars.loc[bars.index <= pd.Timestamp(each.bar_time)]
        assert each.atr == average_range(window, ALERTS.plan.exits)
        assert (each.atr or 0) > 0


def test_alerts_strategies_and_replay_lay_the_same_average_at_the_same_bar() -> None:
    by_alerts = known(run_day(at(12, 0, 20), deployment=ALERTS))
    plan = index_as_future(exits=Exits(stop=TWO))
    told = run_day(at(12, 0, 20), deployment=replace(EMA, plan=plan))
    by_signal = {each.bar_time: each.atr for each in told if isinstance(each, SignalRaised)}
    assert len(by_signal) == 33
    assert {moment: by_alerts[moment] for moment in by_signal} == by_signal
    study, market = study_of(plan, start=date(2022, 6, 15)), market_of(ALL)
    minutes = read_minutes(study.minutes(market.history), study.symbol, market.calendar, market.contracts, share=None)
    calls = evaluate(study, market, minutes, study.signal_bars(market.history))
    in_replay = {calls.bar_time(number): calls.ranges.get(int(row)) for number, row in enumerate(calls.row.tolist())}
    entries = {moment: atr for moment, atr in in_replay.items() if atr is not None and moment in by_alerts}
    assert len(entries) > 1
    assert {moment: by_alerts[moment] for moment in entries} == entries


def test_without_history_it_says_how_many_bars_are_missing_and_is_not_armed_or_disarmed_for_it() -> None:
    told = run_day(at(9, 30, 20), deployment=ALERTS, history=Past(broken=True))
    need = bars_needed(LEVELS)
    assert [each.reason for each in measured(told)] == [f"{n} of {need} bars of NIFTY 5m are there" for n in range(4)]
    assert not any(each.atr for each in measured(told))
    assert not [each for each in told if isinstance(each, DeploymentChecked)]


def test_a_hole_in_the_bars_takes_it_back_until_they_are_whole() -> None:
    told = measured(run_day(at(9, 50, 20), begin=at(9, 47, 30), deployment=ALERTS, history=Past(until=at(9, 45))))
    assert [each.atr is None for each in told] == [False, True]
    assert told[-1].reason.startswith("0 of ")


def test_a_strategys_deployment_hears_it_at_the_start_and_then_with_its_signals() -> None:
    told = run_day(at(9, 30, 20), deployment=replace(EMA, plan=index_as_future(exits=Exits(stop=TWO))))
    assert len(measured(told)) == 1
    assert measured(told)[0].atr


def test_a_plan_without_average_ranges_keeps_no_bars() -> None:
    told = run_day(
        at(9, 30, 20), deployment=replace(ALERTS, plan=Plan(name="options", exits=Exits(stop=TWO.resolved(Decimal(7)))))
    )
    assert told == []
