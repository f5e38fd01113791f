"""Trades and results in the words that every face uses.

Invariant: money is `Decimal` and priced once, from fills, by `workbench.core.charges`; floats appear in JSON only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from workbench.core.charges import ChargeTable, Execution, charge_kind, exchange_of, trade_charges
from workbench.core.instrument import Instrument
from workbench.core.messages import DecisionMade
from workbench.core.plan import plan_to_mapping
from workbench.core.signal import Side
from workbench.research.market import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One round trip.

    Parameters
    ----------
    entry_time, exit_time : datetime
        Opens of the minutes in which it was entered and left; within a minute no history tells the second.
    side : Side
        Of the entry.
    quantity : int
        Units.
    gross, charges, pnl : Decimal
        Rupees; `pnl` is net of charges.
    exit_reason : str
        signal, opposite, stop, trail, target, time, session_end, or another word of the engine.
    priced : str
        "market", or "model" where the prices come from the pricing model.
    """

    entry_time: datetime
    exit_time: datetime
    side: Side
    quantity: int
    entry_price: Decimal
    exit_price: Decimal
    gross: Decimal
    charges: Decimal
    pnl: Decimal
    exit_reason: str
    instrument: str
    priced: str = "market"

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {
            "entry_time": self.entry_time.isoformat(),
            "exit_time": self.exit_time.isoformat(),
            "side": self.side.value,
            "quantity": self.quantity,
            "entry_price": float(self.entry_price),
            "exit_price": float(self.exit_price),
            "gross": float(self.gross),
            "charges": float(self.charges),
            "pnl": float(self.pnl),
            "exit_reason": self.exit_reason,
            "instrument": self.instrument,
            "priced": self.priced,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """When and at what price a trade began or ended."""

    at: datetime
    price: Decimal


def priced_trade(  # noqa: PLR0913  # all that a trade is made of
    charges: ChargeTable, instrument: Instrument, side: Side, *, quantity: int, entry: Fill, exit: Fill, reason: str
) -> Trade:
    """Price a round trip of one entry and one exit order."""
    gross = side.sign * (exit.price - entry.price) * quantity
    cost = trade_charges(
        charges,
        charge_kind(instrument.kind),
        exchange_of(instrument.segment),
        entry=Execution(side=side, quantity=quantity, price=entry.price, on=entry.at.date()),
        exit=Execution(side=side.opposite, quantity=quantity, price=exit.price, on=exit.at.date()),
    ).total
    return Trade(
        entry_time=entry.at,
        exit_time=exit.at,
        side=side,
        quantity=quantity,
        entry_price=entry.price,
        exit_price=exit.price,
        gross=gross,
        charges=cost,
        pnl=gross - cost,
        exit_reason=reason,
        instrument=instrument.key,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """What a backtest or a replay found.

    Parameters
    ----------
    source : str
        "backtest" or "replay".
    stats : dict
        See `workbench.research.statistics.statistics`.
    bars : int
        Bars of the signals in the range; `minutes` are the one-minute bars that fills were looked for in.
    days : tuple of date
        Sessions of the range, those without a trade too.
    refused : dict
        Entries that a gate refused, by gate (replay only).
    decisions : tuple of DecisionMade
        The engine's line on every call (replay only).
    """

    source: str
    study: Study
    trades: tuple[Trade, ...]
    stats: dict[str, Any]
    bars: int
    minutes: int
    days: tuple[date, ...]
    elapsed_s: float
    notes: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)
    decisions: tuple[DecisionMade, ...] = ()

    @property
    def synthetic_instrument(self) -> bool:
        """The index was traded as if it were a future: nothing that can be bought."""
        return self.study.plan.is_synthetic

    @property
    def net(self) -> Decimal:
        """Net P&L of all trades, rupees."""
        return sum((trade.pnl for trade in self.trades), Decimal(0))

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        study = self.study
        return {
            "source": self.source,
            "strategy": study.strategy.name,
            "parameters": study.strategy.parameters(),
            "symbol": study.symbol,
            "interval": str(study.interval),
            "from": self.days[0].isoformat() if self.days else None,
            "to": self.days[-1].isoformat() if self.days else None,
            "plan": plan_to_mapping(study.plan),
            "synthetic_instrument": self.synthetic_instrument,
            "priced": "model" if any(trade.priced == "model" for trade in self.trades) else "market",
            "trades": [trade.to_dict() for trade in self.trades],
            "stats": self.stats,
            "bars": self.bars,
            "minutes": self.minutes,
            "notes": list(self.notes),
            "refused": dict(self.refused),
            "elapsed_s": round(self.elapsed_s, 3),
        }
