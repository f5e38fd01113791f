"""Backtest: vectorbt finds the trades, our own charges price them.

Fast enough for sweeps. It means what `replay` means: a call known at a bar's close fills at the next minute's open,
exits are looked at each minute, the stop before the target, everything is flat at the session's end. What vectorbt's
options cannot say is refused with a pointer to `replay`, never approximated.

Invariant: vectorbt sees no fees and its P&L is not used; each trade is priced from its fills in `Decimal`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.errors import BadInput
from workbench.core.exits import levels
from workbench.core.money import snap_to_tick
from workbench.core.plan import OnOpposite, Overnight, Plan
from workbench.core.signal import Side
from workbench.research.calls import Calls, evaluate, too_old
from workbench.research.grid import OPENING, RANGE, SESSION_END, Clock, Grid, build_grid, read_clock
from workbench.research.leaving import why_left
from workbench.research.market import Market, Study
from workbench.research.minutes import Floats, Minutes, read_minutes
from workbench.research.statistics import statistics
from workbench.research.trades import Fill, StudyResult, Trade, priced_trade

NUDGE = 1e-4
"""Share of a tick by which a level is drawn towards the price: floats meet it where decimals are equal."""

_ON_OPPOSITE = {OnOpposite.REVERSE: "ignore", OnOpposite.EXIT: "close", OnOpposite.IGNORE: "ignore"}


def backtest(study: Study, market: Market) -> StudyResult:
    """Find and price the trades of a study.

    Raises
    ------
    BadInput
        A plan that vectorbt's options cannot say: options, futures and shares, a size that depends on equity, no
        re-entry after a stop, exits that are more than stop, target, trail and clock. `replay` carries them out.
    """
    began = time.perf_counter()
    refuse_what_cannot_be_said(study.plan)
    frame = study.minutes(market.history)
    minutes = read_minutes(frame, study.symbol, market.calendar, market.contracts)
    calls = evaluate(study, market, minutes, study.signal_bars(market.history))
    grid = build_grid(minutes, calls, too_old(calls, minutes, study), study.plan)
    records = simulate(grid, minutes, study.plan)
    trades = tuple(_trades(records, grid, minutes, calls, study.plan, market))
    days = tuple(day.session.date for day in minutes.days)
    return StudyResult(
        source="backtest",
        study=study,
        trades=trades,
        stats=statistics(trades, days, len(minutes)),
        bars=calls.bars,
        minutes=len(minutes),
        days=days,
        elapsed_s=time.perf_counter() - began,
        notes=calls.notes,
    )


def refuse_what_cannot_be_said(plan: Plan) -> None:
    """Refuse a plan that only the engine itself can carry out."""
    if plan.lots is None:
        raise BadInput(
            f"plan {plan.name!r}: a size from risk_share_pct depends on the equity at that moment, which backtest does "
            "not follow; use replay, or give lots"
        )
    if not plan.is_synthetic:
        raise BadInput(
            f"plan {plan.name!r} trades contract {plan.contract.value!r}: backtest has the bars of the index only; "
            "use replay, or contract 'index_as_future'"
        )
    untold = [name for name, is_used in _untold(plan).items() if is_used]
    if untold:
        raise BadInput(f"plan {plan.name!r}: backtest cannot carry out {', '.join(untold)}; use replay")
    if not plan.reentry:
        raise BadInput(f"plan {plan.name!r}: reentry false needs the history of the day; use replay")


def _untold(plan: Plan) -> dict[str, bool]:
    """Exits that depend on more than the price since the entry, and a position that outlives its day."""
    exits = plan.exits
    return {
        "average true ranges": bool(exits.atr_lengths),
        "a profit lock": exits.lock is not None,
        "a stepped trail": exits.trail is not None and exits.trail.step is not None,
        "scale-outs": bool(exits.scale_out),
        "pyramiding": plan.pyramiding > 0,
        "overnight positions": plan.overnight is not Overnight.SQUARE_OFF,
    }


def simulate(grid: Grid, minutes: Minutes, plan: Plan) -> Any:
    """Run vectorbt over the rows.

    Returns
    -------
    numpy record array
        vectorbt's exit trades: entry_idx, exit_idx, entry_price, exit_price, size, direction (0 long, 1 short).
    """
    import vectorbt as vbt

    exits = plan.exits
    options: dict[str, Any] = {}
    if exits.stop is not None or exits.target is not None or exits.trail is not None:
        laid = lay_levels(grid, minutes, plan)
        options = {"sl_stop": laid.stop_share, "tp_stop": laid.target_share}
        if exits.trail is not None:
            from workbench.research.trailing import stop_share

            options |= {
                "adjust_sl_func_nb": stop_share,
                "adjust_sl_args": (laid.stop, laid.trail, laid.after, laid.tick, NUDGE),
            }
    portfolio = vbt.Portfolio.from_signals(
        grid.close,
        grid.long_entries,
        grid.long_exits,
        grid.short_entries,
        grid.short_exits,
        price=grid.price,
        open=grid.open,
        high=grid.high,
        low=grid.low,
        size=grid.size,
        size_type="amount",
        init_cash=np.inf,
        fees=0.0,
        fixed_fees=0.0,
        slippage=0.0,
        stop_entry_price="fillprice",
        stop_exit_price="stoplimit",
        upon_opposite_entry=_ON_OPPOSITE[plan.on_opposite],
        **options,
    )
    return portfolio.exit_trades.values


@dataclass(frozen=True, slots=True, eq=False)
class LaidLevels:
    """Levels by entry row, rupees, and the shares of the fill that vectorbt asks for; NaN elsewhere."""

    stop: Floats
    stop_share: Floats
    target_share: Floats
    trail: Floats
    after: Floats
    tick: Floats


def lay_levels(grid: Grid, minutes: Minutes, plan: Plan) -> LaidLevels:
    """Lay stop, target and trail around every possible entry fill, by the engine's own rule."""
    count = len(grid.price)
    laid = LaidLevels(*(np.full(count, np.nan) for _ in range(6)))
    trail = plan.exits.trail
    for side, rows in ((Side.BUY, grid.long_entries), (Side.SELL, grid.short_entries)):
        for row in np.flatnonzero(rows).tolist():
            minute = int(grid.minute[row])
            tick = minutes.days[int(minutes.day[minute])].instrument.tick
            fill = minutes.price(minute, 0)
            found = levels(plan.exits, side, fill, tick)
            nudge = NUDGE * float(tick)
            laid.tick[row] = float(tick)
            if found.stop is not None:
                laid.stop[row] = float(found.stop)
                laid.stop_share[row] = max(0.0, (abs(float(fill - found.stop)) - nudge) / float(fill))
            if found.target is not None:
                laid.target_share[row] = max(0.0, (abs(float(found.target - fill)) - nudge) / float(fill))
            if trail is not None:
                laid.trail[row] = float(trail.distance.rupees(fill))
                laid.after[row] = float(trail.after.rupees(fill)) if trail.after is not None else 0.0
    return laid


def _trades(records: Any, grid: Grid, minutes: Minutes, calls: Calls, plan: Plan, market: Market) -> list[Trade]:
    clock = read_clock(minutes, plan)
    heeded = plan.on_opposite is not OnOpposite.IGNORE
    opposite = {
        Side.BUY: frozenset(calls.minute[calls.short_edge & heeded].tolist()),
        Side.SELL: frozenset(calls.minute[calls.long_edge & heeded].tolist()),
    }
    found = []
    for record in records:
        exit_row = int(record["exit_idx"])
        side = Side.BUY if int(record["direction"]) == 0 else Side.SELL
        entered, left = int(grid.minute[int(record["entry_idx"])]), int(grid.minute[exit_row])
        day, part = minutes.days[int(minutes.day[entered])], int(grid.part[exit_row])
        if part == SESSION_END:
            exit, reason = Fill(at=minutes.closing_moment(day), price=minutes.price(left, 3)), "session_end"
        elif part in (OPENING, RANGE):
            price = snap_to_tick(float(record["exit_price"]), day.instrument.tick)
            exit = Fill(at=minutes.moment(left), price=price)
            reason = why_left(minutes, plan.exits, side, entered=entered, left=left, price=price)
        else:
            exit = Fill(at=minutes.moment(left), price=minutes.price(left, 0))
            reason = _called(clock, left, opposite[side])
        trade = priced_trade(
            market.charges,
            day.instrument,
            side,
            quantity=round(float(record["size"])),
            entry=Fill(at=minutes.moment(entered), price=minutes.price(entered, 0)),
            exit=exit,
            reason=reason,
        )
        found.append(trade)
    return found


def _called(clock: Clock, minute: int, opposite: frozenset[int]) -> str:
    """Name what called an exit at a minute's open: the clock speaks before the strategy."""
    if clock.session_ends[minute]:
        return "session_end"
    if clock.time_is_up[minute]:
        return "time"
    return "opposite" if minute in opposite else "signal"
