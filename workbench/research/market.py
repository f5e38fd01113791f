"""What a study is given: the market's dated facts and bars, and the question that is asked of them.

Invariant: research reaches no file, wire or clock of its own; all that it knows of the world comes in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from workbench.core.bars import Interval
from workbench.core.charges import ChargeTable
from workbench.core.contracts import ContractTable
from workbench.core.errors import BadInput
from workbench.core.plan import Plan, index_as_future
from workbench.core.ports import BarHistory
from workbench.core.session import IST, Calendar
from workbench.core.strategy import Strategy
from workbench.strategies.average_range import bars_needed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Sessions, contracts, charges and stored bars."""

    calendar: Calendar
    contracts: ContractTable
    charges: ChargeTable
    history: BarHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One strategy with its parameters on one stretch of one symbol, traded by one plan.

    Parameters
    ----------
    strategy : Strategy
    symbol : str
    interval : Interval
        Of the signals; whole minutes, since fills and exits are looked at each minute.
    start, end : date or None
        First and last day, both included; None: as far as bars are stored.
    plan : Plan
        Without one, the index is traded as if it were a future.
    """

    strategy: Strategy
    symbol: str
    interval: Interval
    start: date | None = None
    end: date | None = None
    plan: Plan = field(default_factory=index_as_future)

    def __post_init__(self) -> None:
        if self.interval.seconds % 60:
            raise BadInput(
                f"signals every {self.interval} cannot be studied: fills are looked at each minute; "
                "choose 1m or more whole minutes"
            )
        if self.start is not None and self.end is not None and self.end < self.start:
            raise BadInput(f"the range from {self.start} to {self.end} is empty: it must not end before it starts")
        self.strategy.check_interval(self.interval)

    @property
    def first_moment(self) -> datetime | None:
        """Midnight before the first day."""
        return None if self.start is None else datetime.combine(self.start, time(), tzinfo=IST)

    @property
    def end_moment(self) -> datetime | None:
        """Midnight after the last day."""
        return None if self.end is None else datetime.combine(self.end + timedelta(days=1), time(), tzinfo=IST)

    def minutes(self, history: BarHistory) -> pd.DataFrame:
        """Read the one-minute bars of the range."""
        return history.read(self.symbol, "1m", self.first_moment, self.end_moment)

    def signal_bars(self, history: BarHistory) -> pd.DataFrame:
        """Read the bars that the strategy sees: those of the range, and before it enough to settle on."""
        first = self.first_moment
        if first is not None:
            per_day = max(1, 375 * 60 // self.interval.seconds)
            days = max(self.strategy.settle_bars, bars_needed(self.plan.exits)) // per_day + 1
            first -= timedelta(days=days * 7 // 5 + 15)
        return history.read(self.symbol, str(self.interval), first, self.end_moment)
