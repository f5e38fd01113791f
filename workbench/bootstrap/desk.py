"""The research desk: data folder, tables and research joined, for notebooks and the command line alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config import data_dir
from workbench.core.bars import Interval
from workbench.core.errors import BadInput
from workbench.core.plan import Plan
from workbench.core.session import IST
from workbench.data.bar_store import BarStore
from workbench.reference import calendar, charge_table, contract_table

if TYPE_CHECKING:
    import pandas as pd

    from workbench.core.strategy import Strategy
    from workbench.data.import_report import ImportReport
    from workbench.research.backtest import BacktestResult
    from workbench.research.market import Market


class Desk:
    """What a person does research with.

    Parameters
    ----------
    data : Path or None
        The data folder; None takes ``WORKBENCH_DATA`` or the project's own ``data``.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.data = data or data_dir()
        self.store = BarStore(self.data / "bars", calendar())

    def import_files(
        self,
        files: Sequence[Path],
        *,
        symbol: str,
        interval: str = "1m",
        label: str,
        columns: Sequence[str] | None = None,
    ) -> ImportReport:
        """Import bars from text files; importing the same twice adds nothing."""
        from workbench.data.importer import Label, import_bars

        return import_bars(
            list(files),
            symbol=symbol,
            interval=Interval.parse(interval),
            label=Label.parse(label),
            store=self.store,
            calendar=calendar(),
            columns=list(columns) if columns else None,
        )

    def import_sample(self) -> ImportReport:
        """Import the generated sample that the project ships."""
        from workbench.data.sample import shipped_sample

        return self.import_files([shipped_sample()], symbol="NIFTY", label="start")

    def bars(self, symbol: str, interval: str = "5m", start: str | None = None, end: str | None = None) -> pd.DataFrame:
        """Stored bars of the days from `start` to `end`, both included."""
        first, last = _days(start, end)
        return self.store.read(symbol, Interval.parse(interval), first, last)

    def strategy(self, name: str, parameters: Mapping[str, object] | None = None) -> Strategy:
        """Build a strategy by name; user strategies in ``<data>/strategies`` are known too."""
        from workbench import strategies

        for path in sorted((self.data / "strategies").glob("*.py")):
            strategies.load_file(path)
        return strategies.build(name, dict(parameters or {}))

    @cached_property
    def market(self) -> Market:
        """The dated tables and the bar store, as research wants them."""
        from workbench.research.market import Market

        return Market(calendar=calendar(), contracts=contract_table(), charges=charge_table(), history=self.store)

    def minute_bars(self, symbol: str, start: str | None, end: str | None) -> pd.DataFrame:
        """The 1-minute grid that fills and exits are looked up on."""
        return self.bars(symbol, "1m", start, end)

    def backtest(self, strategy: Strategy, **options: Any) -> BacktestResult:
        """Backtest over stored bars; see `workbench.research.backtest.backtest`."""
        from workbench.research.backtest import backtest

        return backtest(**self._research(strategy, options))

    def replay(self, strategy: Strategy, **options: Any) -> BacktestResult:
        """Run the live engine over stored bars; see `workbench.research.replay.replay`."""
        from workbench.research.replay import replay

        return replay(**self._research(strategy, options))

    def _research(self, strategy: Strategy, options: dict[str, Any]) -> dict[str, Any]:
        symbol = str(options.get("symbol", "NIFTY"))
        plan = options.get("plan")
        if not (plan is None or isinstance(plan, Plan)):
            from workbench.bootstrap.deployments import read_plan

            plan = read_plan(str(plan))
        from workbench.bootstrap.deployments import read_plan as named

        return {
            "strategy": strategy,
            "bars": self.minute_bars(symbol, options.get("start"), options.get("end")),
            "symbol": symbol,
            "interval": Interval.parse(str(options.get("interval", "5m"))),
            "plan": plan or named(None),
            "market": self.market,
        }


def _days(start: str | None, end: str | None) -> tuple[dt.date | None, dt.date | None]:
    first, last = day(start, "--from"), day(end, "--to")
    if first is not None and last is not None and first > last:
        raise BadInput(f"the range is empty: --from {first} is after --to {last}")
    return first, last


def day(text: str | None, what: str = "date") -> dt.date | None:
    """Read a day, ``YYYY-MM-DD``."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{what} {text!r} is not a day; write YYYY-MM-DD") from None


def today() -> dt.date:
    """Today in India."""
    return dt.datetime.now(tz=IST).date()
