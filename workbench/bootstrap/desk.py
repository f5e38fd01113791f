"""The research desk: data folder, tables and research joined, for notebooks and the command line alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.config import data_dir
from workbench.core.bars import Interval
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput
from workbench.core.plan import Plan
from workbench.core.session import IST
from workbench.data.bar_store import BarStore
from workbench.reference import calendar, charge_table, contract_table

if TYPE_CHECKING:
    import pandas as pd

    from workbench.core.strategy import Strategy
    from workbench.data.import_report import ImportReport
    from workbench.research.checks import CheckReport
    from workbench.research.market import Market, Study
    from workbench.research.parity import ParityReport
    from workbench.research.trades import StudyResult


PROMOTION_DAYS = 90


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
        return self.import_files([self.sample_file()], symbol="NIFTY", label="start")

    def sample_file(self) -> Path:
        """Where the shipped sample lies; made anew below the data folder where the project's own is not at hand."""
        from workbench.data.sample import SAMPLE_NAME, write_shipped_sample

        shipped = Path(__file__).resolve().parents[2] / "data" / "sample" / SAMPLE_NAME
        if shipped.is_file():
            return shipped
        folder = self.data / "sample"
        folder.mkdir(parents=True, exist_ok=True)
        return write_shipped_sample(calendar(), folder)

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

    def study(
        self,
        strategy: Strategy,
        *,
        symbol: str = "NIFTY",
        interval: str = "5m",
        start: str | None = None,
        end: str | None = None,
        plan: Plan | str | None = None,
    ) -> Study:
        """Say what is studied: a strategy on stored bars, and its plan (by name, deployment or file, or as it is)."""
        from workbench.bootstrap.deployments import read_plan
        from workbench.research.market import Study

        first, last = _days(start, end)
        chosen = plan if isinstance(plan, Plan) else read_plan(plan, self.data)
        length = Interval.parse(interval)
        return Study(strategy=strategy, symbol=symbol, interval=length, start=first, end=last, plan=chosen)

    def backtest(self, study: Study) -> StudyResult:
        """Backtest with vectorbt; see `workbench.research.backtest.backtest`."""
        from workbench.research.backtest import backtest

        return backtest(study, self.market)

    def replay(self, study: Study) -> StudyResult:
        """Run the live engine over history; see `workbench.research.replay.replay`."""
        from workbench.research.replay import replay

        return replay(study, self.market)

    def parity(self, study: Study) -> ParityReport:
        """Compare backtest and replay, decision by decision; see `workbench.research.parity.parity`."""
        from workbench.research.parity import parity

        return parity(study, self.market)

    def check(self, study: Study) -> CheckReport:
        """Run the checks that a strategy must pass; see `workbench.research.checks.check`."""
        from workbench.research.checks import check

        return check(study, self.market)

    def promote(self, name: str, study: Study, *, account: str = "practice") -> Deployment:
        """Check a study, write its manifest, and make the deployment that the engine will run.

        Without a first day the newest `PROMOTION_DAYS` days of stored bars are studied.

        Raises
        ------
        BadInput
            A check failed that must pass, or a plan that this account does not trade.
        """
        from workbench import strategies
        from workbench.bootstrap import deployments as promoted
        from workbench.research.promote import Promotion, promote, refuse_wish, write_manifest

        if study.start is None:
            newest = max(each.last for each in self.store.coverage(study.symbol) if each.last is not None)
            study = replace(study, start=newest.date() - dt.timedelta(days=PROMOTION_DAYS))
        wish = Promotion(name=name, study=study, account=account, created_at=dt.datetime.now(tz=IST))
        refuse_wish(wish)
        write_manifest(self.data, promote(wish, self.check(study), self.market))
        deployment = Deployment(
            name=name,
            symbol=study.symbol,
            plan=study.plan,
            account=account,
            strategy=study.strategy.name,
            parameters=dict(study.strategy.parameters()),
            interval=str(study.interval),
            strategy_hash=strategies.code_hash(type(study.strategy)),
        )
        return promoted.save_keeping_address(self.data, deployment)

    def promote_alerts(
        self, name: str, *, symbol: str, plan: Plan | str, interval: str = "1m", account: str = "practice"
    ) -> Deployment:
        """Make a deployment that only alerts drive. There is no strategy to check: the plan is, and its symbol.

        Parameters
        ----------
        interval : str
            Bar interval that its alerts carry.

        Raises
        ------
        BadInput
            Options without a stop, a symbol without contracts, or a plan that this account does not trade.
        """
        from workbench.bootstrap import deployments as promoted

        chosen = plan if isinstance(plan, Plan) else promoted.read_plan(plan, self.data)
        length = str(Interval.parse(interval))
        deployment = Deployment(name=name, symbol=symbol.upper(), plan=chosen, account=account, interval=length)
        promoted.refuse_alert_driven(self.data, deployment, contract_table())
        return promoted.save_keeping_address(self.data, deployment)


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
