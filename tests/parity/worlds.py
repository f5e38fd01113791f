"""Markets for studies: bars in memory behind the history port, generated ones with the faults that real ones have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

import numpy as np
import pandas as pd

from workbench.core.bars import Interval
from workbench.core.errors import BadInput
from workbench.core.instrument import Segment
from workbench.core.plan import Plan, index_as_future
from workbench.data.frames import aggregate
from workbench.data.sample import generate
from workbench.reference import calendar, charge_table, contract_table
from workbench.research.market import Market, Study
from workbench.strategies import registry


@dataclass(frozen=True, eq=False)
class FrameHistory:
    """One symbol's one-minute bars behind the history port."""

    minutes: pd.DataFrame

    def read(self, symbol: str, interval: str, start: datetime | None, end: datetime | None) -> pd.DataFrame:
        parsed = Interval.parse(interval)
        frame = self.minutes
        if parsed.seconds != 60:
            frame = aggregate(frame, parsed, calendar(), Segment.IDX_I)
        if start is not None:
            frame = frame[frame.index >= start]
        if end is not None:
            frame = frame[frame.index < end]
        if frame.empty:
            raise BadInput(f"no {interval} bars of {symbol}")
        return frame


def market_of(minutes: pd.DataFrame) -> Market:
    return Market(
        calendar=calendar(), contracts=contract_table(), charges=charge_table(), history=FrameHistory(minutes)
    )


ENDS_EARLY = date(2022, 2, 2)


@cache
def faulty_bars(seed: int = 3, first: date = date(2022, 1, 3), last: date = date(2022, 2, 28)) -> pd.DataFrame:
    """Generated minutes with single ones missing, holes of ten minutes, and one session that ends at 15:04."""
    frame = generate(calendar(), first, last, seed=seed, first_price=17_000.0)
    rng = np.random.default_rng(seed)
    keep = rng.random(len(frame)) > 0.004
    for hole in rng.integers(0, len(frame) - 20, size=12):
        keep[hole : hole + 10] = False
    index = pd.DatetimeIndex(frame.index)
    keep &= ~((index.date == ENDS_EARLY) & (index.hour * 60 + index.minute >= 15 * 60 + 5))
    return frame[keep]


def study_of(
    plan: Plan | None = None, *, strategy: str = "ema_cross", interval: str = "5m", start: date | None = None
) -> Study:
    return Study(
        strategy=registry.build(strategy),
        symbol="NIFTY",
        interval=Interval.parse(interval),
        start=start,
        plan=plan or index_as_future(),
    )
