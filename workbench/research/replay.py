"""Replay: the very engine that trades live, over history, in process.

Bars become quotes, quotes meet orders in `workbench.core.matching`, signals of all history come in as they became
known, and the engine decides, message by message, with its gates, exits and charges. Slower than `backtest`, and the
measure of it.

Invariant: nothing here decides; it only tells the engine what happened, in the order in which it happened: the
minute's end, then the signals known by then, then the next minute's prices.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.engine import Engine, EngineConfig
from workbench.core.errors import BadInput
from workbench.core.instrument import InstrumentKind
from workbench.core.legs import Listings
from workbench.core.messages import DayBegan, DeploymentChecked, SignalRaised, SnapshotTaken
from workbench.core.plan import Contract, ProtectionRule
from workbench.research.calls import Calls, evaluate
from workbench.research.index_feed import IndexFeed
from workbench.research.listed import Listed
from workbench.research.lockstep import Run
from workbench.research.market import Market, Study
from workbench.research.minutes import Minutes, TradingDay, index_hours, read_minutes
from workbench.research.option_feed import OptionFeed
from workbench.research.share_feed import ListedShare, ShareFeed, share_of
from workbench.research.statistics import statistics
from workbench.research.trades import StudyResult

ENDLESS = Decimal("1e15")

UNLIMITED = Limits(
    max_trades_per_day=1_000_000,
    max_daily_loss=Decimal("1e15"),
    risk_per_trade_pct=Decimal(100),
    capital=ENDLESS,
)
"""Limits that refuse nothing: what a backtest assumes."""

NAME = "REPLAY"


class Feed(Protocol):
    """Tells the engine what one kind of instrument did."""

    def before_call(self, row: int, day: TradingDay) -> None:
        """Show the prices that are known when a call is heard at the open of minute `row`."""
        ...

    def minute(self, row: int, day: TradingDay) -> None:
        """Tell one minute."""
        ...

    def end(self, day: TradingDay) -> None:
        """Tell what comes after the last minute, to the end of the traded session."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Say what a reader of the result should know about its prices."""
        ...


def replay(
    study: Study, market: Market, *, limits: Limits = UNLIMITED, capital: Decimal | None = None, abridge: bool = True
) -> StudyResult:
    """Run the engine over the study's range.

    Parameters
    ----------
    limits : Limits
        The account's limits; without them nothing is refused for its size or its number.
    capital : Decimal or None
        Free funds on the first day, rupees; a plan with `risk_share_pct` needs it. Profit and loss change it from
        day to day.
    abridge : bool
        Tell minutes in which nothing can happen in short (no decision depends on it).
    """
    began = time.perf_counter()
    refuse_what_has_no_prices(study, capital)
    share = share_of(study.symbol, market.contracts) if study.plan.contract is Contract.UNDERLYING else None
    minutes = read_minutes(study.minutes(market.history), study.symbol, market.calendar, market.contracts, share=share)
    calls = evaluate(study, market, minutes, study.signal_bars(market.history))
    run = Run(engine=Engine(_config(study, market, minutes, limits, capital)))
    run.venue.free = ENDLESS if capital is None else None
    feed: Feed
    if study.plan.is_synthetic:
        feed = IndexFeed(run=run, minutes=minutes, abridge=abridge)
    elif share is not None:
        feed = ShareFeed(run=run, minutes=minutes, abridge=abridge)
    else:
        feed = OptionFeed.of(run, minutes, study, market)
    _walk(run, feed, study, market, minutes, calls, capital)
    days = tuple(day.session.date for day in minutes.days)
    return StudyResult(
        source="replay",
        study=study,
        trades=tuple(run.trades),
        stats=statistics(run.trades, days, len(minutes)),
        bars=calls.bars,
        minutes=len(minutes),
        days=days,
        elapsed_s=time.perf_counter() - began,
        notes=(*calls.notes, *feed.notes()),
        refused=dict(run.refused),
        decisions=tuple(run.decisions),
    )


def refuse_what_has_no_prices(study: Study, capital: Decimal | None) -> None:
    """Refuse contracts that neither bars nor the model give a price for, and a size without the capital it needs."""
    plan = study.plan
    if plan.contract is Contract.FUTURE:
        raise BadInput(
            f"plan {plan.name!r}: no bars of contract {plan.contract.value!r} are replayed by this version; use "
            "'index_as_future' or 'option'"
        )
    if plan.protection is ProtectionRule.SUPER_ORDER:
        raise BadInput(
            f"plan {plan.name!r}: legs of a super order are triggered by the broker, whom a replay does not play; "
            "replay it with protection stop_and_target"
        )
    if plan.risk_share_pct is not None and capital is None:
        raise BadInput(f"plan {plan.name!r}: a size from risk_share_pct needs the capital to start with; give capital")


def _config(study: Study, market: Market, minutes: Minutes, limits: Limits, capital: Decimal | None) -> EngineConfig:
    deployment = Deployment(
        name=NAME,
        symbol=study.symbol,
        plan=study.plan,
        account="replay",
        strategy=study.strategy.name,
        interval=str(study.interval),
    )
    calendar = index_hours(market.calendar, minutes.days) if study.plan.is_synthetic else market.calendar
    return EngineConfig(
        account_id="replay",
        mode=Mode.REPLAY,
        deployments=(deployment,),
        calendar=calendar,
        listings=_listings(study, market, minutes, minutes.days[0]),
        charges=market.charges,
        limits=limits if capital is None else replace(limits, capital=None),
        id_prefix="r",
    )


def _listings(study: Study, market: Market, minutes: Minutes, day: TradingDay) -> Listings:
    """What was listed on that day, around the last price before it."""
    if day.instrument.kind is InstrumentKind.EQUITY:
        return Listings(ListedShare(day.instrument), market.contracts)
    row, column = (day.first - 1, 3) if day.first else (0, 0)
    listed = Listed(market.contracts, study.symbol, day.session.date, minutes.price(row, column))
    return Listings(listed, market.contracts)


def _walk(  # noqa: PLR0913, PLR0917  # the whole of a replay
    run: Run, feed: Feed, study: Study, market: Market, minutes: Minutes, calls: Calls, capital: Decimal | None
) -> None:
    heard: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(calls.minute.tolist()):
        heard[row].append(number)
    for day in minutes.days:
        opened = minutes.moment(day.first)
        run.venue.begin_day()
        run.engine.list_instruments(_listings(study, market, minutes, day))
        run.send(DayBegan(day=day.session.date), opened)
        run.send(DeploymentChecked(deployment=NAME, armed=True), opened)
        held = run.held()
        if capital is not None or held:
            funds = None if capital is None else capital + sum((trade.pnl for trade in run.trades), Decimal(0))
            run.send(SnapshotTaken(taken_at=opened, available_funds=funds, positions=held), opened)
        run.beat(opened)
        for row in range(day.first, day.last):
            busy = run.is_busy
            if not busy and row not in heard:
                continue
            now = minutes.moment(row)
            if busy:
                if row > day.first and minutes.moment(row - 1) + timedelta(minutes=1) < now:
                    run.beat(minutes.moment(row - 1) + timedelta(minutes=1))
                run.beat(now)
            for number in heard.get(row, ()):
                if not busy and (calls.long_edge[number] or calls.short_edge[number]):
                    feed.before_call(row, day)
                run.send(_raised(calls, number), now)
            if run.is_busy:
                feed.minute(row, day)
        if run.is_busy:
            feed.end(day)


def _raised(calls: Calls, number: int) -> SignalRaised:
    row = int(calls.row[number])
    return SignalRaised(
        deployment=NAME,
        bar_time=calls.bar_time(number),
        known_at=calls.known_at(number),
        values=calls.at(row),
        previous=calls.at(row - 1) if row else None,
        strategy_hash="",
        close=calls.close(number),
        atr=calls.ranges.get(row),
    )
