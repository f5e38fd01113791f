"""Research on one year of generated one-minute bars: replay by the very engine, and backtest by vectorbt.

Signals every five minutes, stop, target and trail looked at each minute (plan ``index_bracket``), bars read from the
store as a user's are. A backtest is warm when vectorbt has compiled: the first run is reported apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from tests.bench.figures import Bound, Figure, Size, middle
from workbench import strategies
from workbench.core.bars import Interval
from workbench.core.plan import NAMED_PLANS
from workbench.data.bar_store import BarStore
from workbench.data.sample import generate
from workbench.reference import calendar, charge_table, contract_table
from workbench.research.backtest import backtest
from workbench.research.market import Market, Study
from workbench.research.replay import replay

FIRST = date(2025, 1, 1)


def measure(size: Size) -> Iterator[Figure]:
    """Time both over the same bars."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _measure(size, Path(folder))


def _measure(size: Size, folder: Path) -> Iterator[Figure]:
    last = FIRST + timedelta(days=size.days - 1)
    store = BarStore(folder, calendar())
    store.append("NIFTY", Interval.parse("1m"), generate(calendar(), FIRST, last))
    market = Market(calendar=calendar(), contracts=contract_table(), charges=charge_table(), history=store)
    study = Study(
        strategy=strategies.build("ema_cross"),
        symbol="NIFTY",
        interval=Interval.parse("5m"),
        start=FIRST,
        end=last,
        plan=NAMED_PLANS["index_bracket"],
    )
    began = time.perf_counter()
    first = backtest(study, market)
    notes = {"minutes": first.minutes, "trades": len(first.trades)}
    cold = {"value": time.perf_counter() - began}
    yield Figure(name="backtest of a year, first run", unit="s", stats=cold, n=1, notes=notes)
    warm = []
    for _ in range(max(size.repeats, 1)):
        began = time.perf_counter()
        backtest(study, market)
        warm.append(time.perf_counter() - began)
    bounds = (Bound(of="median", limit=1.0),)
    yield Figure(name="backtest of a year, warm", unit="s", stats=middle(warm), n=len(warm), bounds=bounds, notes=notes)
    slow = []
    for _ in range(max(size.repeats, 1)):
        began = time.perf_counter()
        found = replay(study, market)
        slow.append(time.perf_counter() - began)
        notes = {"minutes": found.minutes, "trades": len(found.trades)}
    bounds = (Bound(of="median", limit=10.0),)
    yield Figure(name="replay of a year", unit="s", stats=middle(slow), n=len(slow), bounds=bounds, notes=notes)
