"""Two sessions through the real engine process: alerts at chosen minutes, a look at every face, the books at the end.

The market is held at each chosen second, so that what a person or an alert does falls on the same second in every run.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.simulation.two_sessions.market import SYMBOL, Sessions
from workbench.bootstrap import deployments
from workbench.bootstrap.client import EngineClient
from workbench.config import StrategySection
from workbench.core.deployment import Deployment, webhook_path
from workbench.core.plan import plan_from_mapping
from workbench.core.session import IST
from workbench.simulator import SimulatorConfig
from workbench.simulator.statements import Entry
from workbench.testing.crash_engine import EngineProcess
from workbench.testing.crash_market import Valve
from workbench.testing.simulator import RunningSimulator, running_simulator

RUN = "two"
FUNDS = Decimal(3_000_000)
_PATIENCE_S = 60.0
_SETTINGS = """\
risk:
  max_trades_per_day: 1000
  max_daily_loss: 10000000
  risk_per_trade_pct: 100
  max_premium: 100000
  max_open_premium: 10000000
  max_open_lots: 1000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens at a market time: ``long``, ``short`` and ``flat`` are alerts, ``close`` is a person's hand."""

    at: str
    deployment: str
    do: str


def steps_of(text: str) -> tuple[Step, ...]:
    """Read steps, one a line: market time, what, deployment."""
    rows = (line.split() for line in text.strip().splitlines())
    return tuple(Step(at=at, deployment=name, do=do) for at, do, name in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What bought options cost in those days, percent of the premium; brokerage is 20 rupees an order, GST 18 %."""

    stt_sell: Decimal
    txn: Decimal
    sebi: Decimal = Decimal("0.0001")
    stamp_buy: Decimal = Decimal("0.003")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Two sessions and what is done in them.

    Parameters
    ----------
    rates : Rates
        Of both days, written down here and not read from the project's own table.
    plans : mapping of deployment to plan
    strategies : mapping of deployment to (strategy, parameters)
        Of those that are driven by a strategy; all others are driven by alerts.
    """

    market: Sessions
    days: tuple[date, date]
    rates: Rates
    plans: Mapping[str, Mapping[str, Any]]
    steps: tuple[Sequence[Step], Sequence[Step]]
    strategies: Mapping[str, tuple[str, Mapping[str, int]]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one session looked like from outside: five seconds after its open, and shortly before its end."""

    day: date
    after_open: list[dict[str, Any]] = field(default_factory=list)
    resting_after_open: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    book: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Told:
    """All that is left of a journey: the faces of both days, the data folder, the broker's own papers."""

    story: Story
    folder: Path
    days: list[Seen]
    paid: Sequence[Entry]
    cash: Decimal
    log: str


class Journey:
    """The engine process on its simulator, moved from step to step."""

    def __init__(self, story: Story, folder: Path, simulator: RunningSimulator) -> None:
        self.story, self.folder, self.simulator = story, folder, simulator
        _lay_down(folder, story)
        self.engine = EngineProcess(folder, simulator.port, RUN)
        (folder / "settings" / "workbench.yaml").write_text(_SETTINGS, encoding="utf-8")
        self.client = EngineClient(self.engine.port, folder)
        self.valve = Valve(simulator, lambda: None)
        self.sent = 0

    def run(self) -> list[Seen]:
        self.engine.start()
        self.engine.wait_ready()
        try:
            return [self._live(day, steps) for day, steps in zip(self.story.days, self.story.steps, strict=True)]
        finally:
            self.engine.end()

    def _live(self, day: date, steps: Sequence[Step]) -> Seen:
        seen, session = Seen(day=day), self.simulator.simulator.session
        length = int((session.close - session.open).total_seconds())
        assert self.simulator.simulator.day == day
        self._to(5)
        seen.after_open = self.engine.get("/live/positions")
        seen.resting_after_open = [row for row in self._book()["orders"] if row["orderStatus"] == "PENDING"]
        for step in steps:
            moment = datetime.combine(day, dt.time.fromisoformat(step.at), IST)
            self._to(int((moment - session.open).total_seconds()))
            self._do(step)
        self._to(length - 20)
        seen.trades, seen.status = self.engine.get("/live/trades"), self.engine.get("/api/status")
        seen.orders = self.engine.get("/live/orders")
        seen.book = self._book()
        self.valve.let_go(until=length)
        export = self.folder / "reports" / day.isoformat() / "day.json"
        self._wait(f"the export of {day}", export.is_file)
        if day == self.story.days[0]:
            self._wait("the next day", lambda: self.simulator.simulator.day > day)
        return seen

    def _book(self) -> dict[str, Any]:
        return self.simulator.call(self.simulator.simulator.book)

    def _do(self, step: Step) -> None:
        if step.do == "close":
            held = [row for row in self.engine.get("/live/positions") if row["deployment"] == step.deployment]
            assert held, f"nothing of {step.deployment} to close by hand"
            self.client.post(f"/live/position/{held[0]['id']}/close", {"reason": "by hand"})
            return
        deployment = deployments.load(self.folder, step.deployment)
        self.sent += 1
        status, answer = self.engine.post(
            webhook_path(deployment),
            {
                "strategy": step.deployment,
                "symbol": SYMBOL,
                "position": step.do,
                "timestamp": self.engine.get("/health")["now"],
                "id": f"step-{self.sent}",
            },
        )
        assert status == 200, (step, answer)
        assert answer["fate"] not in ("denied", "refused"), (step, answer)

    def _to(self, second: int) -> None:
        """Let the market run to that second of the session, and the engine do all that it led to."""
        self.valve.let_go(until=second)
        self._wait(f"second {second}", lambda: self.valve.is_held and self._has_caught_up())

    def _has_caught_up(self) -> bool:
        now = self.simulator.call(lambda: self.simulator.simulator.now)
        return datetime.fromisoformat(self.engine.get("/health")["now"]) >= now

    def _wait(self, what: str, until: Callable[[], bool]) -> None:
        give_up = time.monotonic() + _PATIENCE_S
        while not until():
            assert self.engine.lives, self.engine.log.read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < give_up, f"waited in vain for {what}: {self.engine.log}"
            time.sleep(0.005)


def live(story: Story, folder: Path) -> Told:
    """Live a story through; the engine has ended when it comes back, and the broker has billed the last day."""
    config = SimulatorConfig(starting_funds=FUNDS)
    with running_simulator(market=story.market, config=config) as simulator:
        journey, broker = Journey(story, folder, simulator), simulator.simulator
        seen = journey.run()
        simulator.call(broker.settle)
        return Told(
            story=story,
            folder=folder,
            days=seen,
            paid=tuple(broker.statements.entries),
            cash=broker.account.start_of_day,
            log=journey.engine.log.read_text(encoding="utf-8"),
        )


def _lay_down(folder: Path, story: Story) -> None:
    # What practice comes with would trade besides: it is put on another account.
    deployments.ensure_practice(folder, StrategySection())
    for each in deployments.load_all(folder):
        deployments.save(folder, replace(each, account="paper"))
    for name, plan in story.plans.items():
        strategy, parameters = story.strategies.get(name, (None, {}))
        deployment = Deployment(
            name=name,
            symbol=SYMBOL,
            plan=plan_from_mapping({"name": name.lower(), **plan}),
            interval="5m" if strategy else "1m",
            webhook_link=f"{name.lower()}-link",
            strategy=strategy,
            parameters=dict(parameters),
        )
        deployments.save(folder, deployment)
