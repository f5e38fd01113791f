"""Figures of a list of trades, all after charges, computed from the trades and nothing else.

Invariant: `net = gross - charges`, and every sum of money is added up in `Decimal` before it becomes a float.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate
from statistics import fmean, stdev
from typing import Any

from workbench.core.money import ZERO
from workbench.research.trades import Trade

TRADING_DAYS_A_YEAR = 252


def statistics(trades: Sequence[Trade], days: Sequence[date], minutes: int) -> dict[str, Any]:
    """Compute the figures of a study.

    Parameters
    ----------
    trades : sequence of Trade
        By entry time.
    days : sequence of date
        All sessions of the range: a day without a trade counts as a day without profit.
    minutes : int
        One-minute bars of the range, the basis of `exposure`.

    Returns
    -------
    dict
        trades, win_rate (share), net, gross, charges, expectancy (rupees a trade), best, worst, profit_factor (None
        without a loss), max_drawdown (rupees below the highest net so far, 0 or more), sharpe (of daily net P&L, by
        the year; None with fewer than two days or without spread), exposure (share of minutes in a position),
        by_exit_reason (trades and net by reason), costs_share (charges per rupee of gross profit).
    """
    nets = [trade.pnl for trade in trades]
    won = sum((net for net in nets if net > 0), ZERO)
    lost = -sum((net for net in nets if net < 0), ZERO)
    gross = sum((trade.gross for trade in trades), ZERO)
    charges = sum((trade.charges for trade in trades), ZERO)
    net = gross - charges
    return {
        "trades": len(trades),
        "win_rate": sum(1 for each in nets if each > 0) / len(nets) if nets else None,
        "net": float(net),
        "gross": float(gross),
        "charges": float(charges),
        "expectancy": float(net / len(nets)) if nets else None,
        "best": float(max(nets)) if nets else None,
        "worst": float(min(nets)) if nets else None,
        "profit_factor": float(won / lost) if lost else None,
        "max_drawdown": float(drawdown(nets)),
        "sharpe": sharpe(daily_net(trades, days)),
        "exposure": _minutes_held(trades) / minutes if minutes else None,
        "days": len(days),
        "by_exit_reason": by_reason(trades),
        "costs_share": float(charges / sum((t.gross for t in trades if t.gross > 0), ZERO)) if won else None,
    }


def drawdown(nets: Sequence[Decimal]) -> Decimal:
    """Give the deepest fall of the running net below its highest point so far (at least 0), rupees."""
    deepest = highest = ZERO
    for running in accumulate(nets):
        highest = max(highest, running)
        deepest = max(deepest, highest - running)
    return deepest


def daily_net(trades: Sequence[Trade], days: Sequence[date]) -> dict[date, Decimal]:
    """Net P&L of every session, by the day of the exit."""
    found = dict.fromkeys(days, ZERO)
    for trade in trades:
        day = trade.exit_time.date()
        found[day] = found.get(day, ZERO) + trade.pnl
    return found


def sharpe(daily: dict[date, Decimal]) -> float | None:
    """Mean over deviation of the daily net P&L, by the year."""
    values = [float(value) for value in daily.values()]
    if len(values) < 2:
        return None
    spread = stdev(values)
    return fmean(values) / spread * math.sqrt(TRADING_DAYS_A_YEAR) if spread > 0 else None


def by_reason(trades: Sequence[Trade]) -> dict[str, dict[str, Any]]:
    """Trades and net P&L by the reason of the exit, most frequent first."""
    counts = Counter(trade.exit_reason for trade in trades)
    return {
        reason: {
            "trades": count,
            "net": float(sum((trade.pnl for trade in trades if trade.exit_reason == reason), ZERO)),
        }
        for reason, count in counts.most_common()
    }


def _minutes_held(trades: Sequence[Trade]) -> float:
    return sum((trade.exit_time - trade.entry_time).total_seconds() for trade in trades) / 60
