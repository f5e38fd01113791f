"""Backtest, replay and checks on generated bars: refusals, limits, options, the law."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import ClassVar

import pandas as pd
import pytest

from tests.parity.worlds import faulty_bars, market_of, study_of
from workbench.core.errors import BadInput
from workbench.core.instrument import Right
from workbench.core.plan import NAMED_PLANS, Contract, Distance, Exits, Plan, index_as_future
from workbench.core.strategy import Strategy
from workbench.reference import contract_table
from workbench.research.backtest import backtest
from workbench.research.checks import Weight, check, law_checks, stability
from workbench.research.listed import Listed
from workbench.research.parity import parity
from workbench.research.plots import candles, equity
from workbench.research.promote import Promotion, promote
from workbench.research.replay import UNLIMITED, replay
from workbench.strategies.frames import signal_frame

STOP = Exits(stop=Distance(points=Decimal(20)))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (index_as_future(lots=None, risk_share_pct=Decimal(1), exits=STOP), "use replay"),
        (NAMED_PLANS["atm_option"], "use replay"),
        (index_as_future(reentry=False, exits=STOP), "use replay"),
    ],
)
def test_backtest_refuses_what_vectorbt_cannot_say_and_points_to_replay(plan: Plan, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        backtest(study_of(plan), market_of(faulty_bars()))


def test_replay_refuses_contracts_without_prices_and_a_share_of_no_capital() -> None:
    market = market_of(faulty_bars())
    with pytest.raises(BadInput, match="index_as_future"):
        replay(study_of(Plan(contract=Contract.FUTURE)), market)
    with pytest.raises(BadInput, match="capital"):
        replay(study_of(index_as_future(lots=None, risk_share_pct=Decimal(1), exits=STOP)), market)


def test_a_share_of_equity_grows_and_shrinks_with_it_in_replay() -> None:
    plan = index_as_future(lots=None, risk_share_pct=Decimal("0.5"), exits=STOP)
    found = replay(study_of(plan), market_of(faulty_bars()), capital=Decimal(1_000_000))
    sizes = {trade.quantity for trade in found.trades}
    assert len(sizes) > 1
    assert all(size % 50 == 0 for size in sizes)


def test_no_reentry_after_a_stop_is_kept_by_replay() -> None:
    plan = index_as_future(reentry=False, exits=STOP)
    found = replay(study_of(plan), market_of(faulty_bars()))
    assert found.refused["reentry"] > 0
    stopped: set[date] = set()
    for trade in found.trades:
        assert trade.entry_time.date() not in stopped
        if trade.exit_reason == "stop":
            stopped.add(trade.entry_time.date())


def test_what_a_limit_refused_is_explained_by_lifting_it() -> None:
    report = parity(study_of(), market_of(faulty_bars()), limits=replace(UNLIMITED, max_trades_per_day=2))
    assert report.differences
    assert {difference.cause for difference in report.differences} == {"gate"}
    assert report.unexplained == 0
    assert report.to_dict()["causes"] == {"gate": len(report.differences)}


def test_options_are_priced_by_the_model_and_say_so() -> None:
    study = replace(study_of(NAMED_PLANS["atm_option"]), start=date(2022, 2, 14), end=date(2022, 2, 18))
    found = replay(study, market_of(faulty_bars()))
    assert found.trades
    assert {trade.priced for trade in found.trades} == {"model"}
    assert found.to_dict()["priced"] == "model"
    assert not found.synthetic_instrument
    assert all(trade.instrument.startswith("NSE_FNO:NIFTY:2022-02-") for trade in found.trades)
    assert {trade.quantity for trade in found.trades} == {50}
    assert {trade.exit_reason for trade in found.trades} <= {"stop", "target", "opposite", "session_end"}


def test_days_before_the_model_has_closes_do_not_trade() -> None:
    study = replace(study_of(NAMED_PLANS["atm_option"]), end=date(2022, 1, 12))
    found = replay(study, market_of(faulty_bars()))
    assert all(trade.entry_time.date() >= date(2022, 1, 6) for trade in found.trades)


def test_a_day_lists_the_lots_strikes_and_expiries_of_its_date() -> None:
    listed = Listed(contract_table(), "NIFTY", date(2022, 6, 15), Decimal("15732.10"))
    assert listed.expiries("NIFTY")[0] == date(2022, 6, 16)
    chain = listed.options("NIFTY", date(2022, 6, 16))
    assert len(chain) == 82
    assert {option.lot for option in chain} == {50}
    assert {option.strike for option in chain} == {Decimal(14750 + 50 * step) for step in range(41)}
    call = listed.by_key("NSE_FNO:NIFTY:2022-06-16:15700:CE")
    assert call is not None
    assert call.right is Right.CE
    assert listed.options("NIFTY", date(2022, 6, 17)) == ()


def test_warm_up_comes_from_before_the_range_and_is_not_traded() -> None:
    whole = backtest(study_of(), market_of(faulty_bars()))
    first = date(2022, 1, 24)
    part = backtest(study_of(start=first), market_of(faulty_bars()))
    assert part.trades == tuple(trade for trade in whole.trades if trade.entry_time.date() >= first)
    assert part.notes == ()
    (note,) = whole.notes
    assert "settle the strategy and are not traded" in note


def test_too_few_bars_to_settle_are_refused() -> None:
    with pytest.raises(BadInput, match="needs"):
        backtest(study_of(), market_of(faulty_bars().iloc[:300]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clairvoyant(Strategy):
    """Looks one bar ahead."""

    name: ClassVar[str] = "clairvoyant"

    @property
    def settle_bars(self) -> int:
        return 30

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        up = (bars["close"].shift(-1) > bars["close"]).to_numpy()
        return signal_frame(bars.index, long_entry=up, long_exit=~up, short_entry=~up, short_exit=up)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elephant(Strategy):
    """Never forgets: compares with the mean of all history."""

    name: ClassVar[str] = "elephant"

    @property
    def settle_bars(self) -> int:
        return 30

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        up = (bars["close"] > bars["close"].expanding().mean()).to_numpy()
        return signal_frame(bars.index, long_entry=up, long_exit=~up, short_entry=~up, short_exit=up)


def failed_law(strategy: Strategy) -> set[str]:
    study = replace(study_of(), strategy=strategy)
    bars = study.signal_bars(market_of(faulty_bars()).history)
    return {each.name for each in law_checks(study, bars) if not each.passed}


def test_a_strategy_that_looks_ahead_or_never_settles_fails_the_law() -> None:
    assert "causal" in failed_law(Clairvoyant())
    assert failed_law(Elephant()) == {"settled"}
    assert failed_law(study_of().strategy) == set()


def test_checks_name_what_they_looked_at_and_a_manifest_keeps_them() -> None:
    study, market = study_of(), market_of(faulty_bars())
    report = check(study, market)
    assert report.passed
    assert {each.name for each in report.checks if each.weight is Weight.MUST} == {"repeatable", "causal", "settled"}
    wish = Promotion(name="first", study=study, account="practice", created_at=pd.Timestamp("2026-01-01", tz="UTC"))
    manifest = promote(wish, report, market)
    assert manifest["strategy_hash"]
    assert manifest["data"]["bars"] == len(study.signal_bars(market.history))
    assert len(manifest["data"]["sha256"]) == 64
    assert manifest["checks"] == [each.to_dict() for each in report.checks]


def test_each_figure_of_a_check_says_what_was_traded() -> None:
    study, market = study_of(), market_of(faulty_bars())
    told = {each.name: each.detail for each in check(study, market).checks}
    assert told["profit_after_charges"].endswith("traded by plan index_as_future")
    assert told["stable_parameters"].startswith("on plan index_as_future: own Rs")
    by_replay = replace(study, plan=index_as_future(name="mine", reentry=False, exits=STOP))
    found = stability(by_replay, market).detail
    assert found.startswith("on the index as a future, not plan mine: own Rs")
    assert " neighbours gain too" in found or " neighbours do not gain either" in found


def test_plots_mark_what_was_traded_and_say_what_it_was() -> None:
    study, market = study_of(), market_of(faulty_bars())
    found = backtest(study, market)
    bars = study.signal_bars(market.history)
    figure = candles(bars, found)
    marked = sum(len(trace.x) for trace in figure.data[1:])
    assert marked == 2 * len(found.trades)
    assert "nothing that can be bought" in figure.layout.title.text
    assert equity(found).data[0].y[-1] == pytest.approx(float(found.net))
