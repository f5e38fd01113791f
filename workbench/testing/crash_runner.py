"""Kills the real engine process at named points of an order's life, and looks at the broker's book afterwards.

A practice day runs in a simulator that outlives the engine. The market is held at chosen seconds; there an alert is
sent, the market let go, and the engine killed the moment its journal or the broker shows the named point. Then it is
started again, the unanswered alert is sent again as its sender would, and the day goes on. Kill points that lie between
two durable steps are made with a fault that withholds an answer.

Invariant: everything is chosen by the seed; what only timing decides (which side of a commit a kill fell on) may differ
between two runs, what the report demands may not.
"""

from __future__ import annotations

import datetime as dt
import http.client
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from workbench.bootstrap import deployments
from workbench.core.deployment import Deployment, webhook_path
from workbench.reference import calendar
from workbench.simulator import SimulatorConfig, SyntheticMarket
from workbench.testing.crash_engine import PLANS, SUPERS, SYMBOL, EngineFailed, EngineProcess, lay_down
from workbench.testing.crash_market import Valve
from workbench.testing.crash_oracle import Guard, JournalEyes, doubled, lost
from workbench.testing.crash_points import (
    HELD_BACK_S,
    LAGGING,
    PLAIN_POINTS,
    SUPER_POINTS,
    WAYS,
    KillPoint,
    Way,
    is_of_supers,
)
from workbench.testing.crash_report import CrashReport
from workbench.testing.simulator import RunningSimulator, running_simulator

DAY = dt.date(2026, 9, 28)
FIRST_SECOND = 20
"""Market second at which the first alert is sent."""

MOST_KILLS = 400
"""Of one day: an entry is not taken to the very end of a session."""

BOUND_S = 10.0
"""Market seconds that a position may stand without an order at the broker that closes it, where the market waits for a
dead engine; so a slow machine cannot fail. It is the bound of fault R13."""

RUNNING_BOUND_S = 30.0
"""Real seconds of the same in a market that runs on while the engine is dead: they count its start, however slow."""

LAG_AT_MOST_S = 4
"""Market seconds that a restarted engine trades while an order is on no list, though his positions show its fill.

An engine that knows the order was taken freezes the account when that has stood five seconds (fault R24).
"""

_PATIENCE_S = 60.0
_SETTLE_S = 15.0
_POLL_S = 0.001


def run_day_with_kills(
    seed: int,
    kills: int,
    *,
    folder: Path | None = None,
    points: Sequence[KillPoint] = (),
    runs_on_at: float | None = None,
    bound_s: float | None = None,
) -> CrashReport:
    """Trade a part of a practice day and kill the engine `kills` times on the way.

    Parameters
    ----------
    seed : int
        Of the market, the alerts and the kills.
    kills : int
        At most `MOST_KILLS`.
    folder : Path, optional
        An empty folder for the data and the engine's log; a scratch one that is removed without it.
    points : sequence of KillPoint
        Among which each kill is chosen; without it those of the seed's kind of day.
    runs_on_at : float, optional
        Market seconds a real second at which the market runs on while the engine is dead; without it the market waits,
        and the day is the same as one without kills.
    bound_s : float, optional
        Seconds that a position may stand naked; `BOUND_S`, or `RUNNING_BOUND_S` where the market runs on.

    Raises
    ------
    EngineFailed
        The engine did not come back.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="workbench-crash-", ignore_cleanup_errors=True) as scratch:
            return run_day_with_kills(
                seed, kills, folder=Path(scratch), points=points, runs_on_at=runs_on_at, bound_s=bound_s
            )
    if kills > MOST_KILLS:
        raise ValueError(f"{kills} kills do not fit into one day; at most {MOST_KILLS}, then another seed")
    if bound_s is None:
        bound_s = BOUND_S if runs_on_at is None else RUNNING_BOUND_S
    supers = is_of_supers(seed)
    config = SimulatorConfig(
        speed=runs_on_at, free_run=runs_on_at is not None, legs_share_ids=supers and seed % 16 == 15
    )
    market, plans = SyntheticMarket(seed, calendar(), DAY), SUPERS if supers else PLANS
    points = points or (SUPER_POINTS if supers else PLAIN_POINTS)
    with running_simulator(market=market, config=config) as simulator:
        day = CrashDay(seed, folder, simulator, points=points, bound_s=bound_s, plans=plans)
        try:
            return day.run(kills)
        finally:
            day.close()


class CrashDay:
    """One day under way.

    Parameters
    ----------
    seed : int
    folder : Path
    simulator : RunningSimulator
        Its market stands.
    """

    def __init__(
        self,
        seed: int,
        folder: Path,
        simulator: RunningSimulator,
        *,
        points: Sequence[KillPoint],
        bound_s: float,
        plans: Mapping[str, Mapping[str, Any]] = PLANS,
    ) -> None:
        self.seed, self.folder, self.simulator = seed, folder, simulator
        self.points, self.bound_s = tuple(points), bound_s
        self.rng, self.timing = random.Random(seed), random.Random(-seed)
        self.trace: list[tuple[Any, ...]] = []
        self.disturbed_from: dt.datetime | None = None
        self.guard = Guard(simulator.simulator, simulator.application.gate.hidden)
        self.valve = Valve(simulator, self.guard.look)
        self.deployments = lay_down(folder, plans)
        run = f"{seed % 0x1000000:06x}"
        self.engine = EngineProcess(folder, simulator.port, run)
        self.eyes = JournalEyes(folder / "journal" / "journal.db")
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="alert-sender")
        self.by_point: dict[str, int] = dict.fromkeys((each.value for each in points), 0)
        self.findings: dict[str, list[str]] = {"lost": [], "doubled": [], "unprotected": []}
        self.accepted: list[str] = []
        self.recoveries: list[float] = []
        self.missed = self.alerts = self.kills = 0
        self.quiet_at = 0.0
        self.second = FIRST_SECOND

    def run(self, kills: int, *, quiet: int = 0, plain: int = 0) -> CrashReport:
        """Trade quiet rounds, of which the first reverse nothing, then one for each kill; tell what came of it."""
        self.begin()
        for number in range(quiet + kills):
            self._round(self.rng.choice(self.points), kills=number >= quiet, reverses=number >= plain)
        self._leave_all()
        return self._report()

    def begin(self) -> None:
        """Start the engine and hold the market some seconds after its open."""
        self.engine.start()
        self.engine.wait_ready()
        self.valve.let_go(until=FIRST_SECOND)
        self.wait_held()

    def close(self) -> None:
        """End the engine and what serves it."""
        self.engine.end()
        # An answer that is still withheld would be cut off by the simulator's end, and told as a fault of its own.
        time.sleep(max(0.0, self.quiet_at - time.monotonic()))
        self.pool.shutdown(wait=True, cancel_futures=True)

    # --- a round ------------------------------------------------------------------------------------------------

    def _round(self, point: KillPoint, *, kills: bool = True, reverses: bool = True) -> None:
        way, deployment = WAYS[point], self.rng.choice(self.deployments)
        held = self._direction(deployment)
        if way.needs == "exit" and held is None:
            self.quietly(deployment, self.rng.choice(("long", "short")))
            held = self._direction(deployment)
        if way.needs == "exit" or (held is not None and not reverses):
            target = "flat"
        else:
            target = {"long": "short", "short": "long"}.get(held or "", self.rng.choice(("long", "short")))
        for fault in way.faults:
            self.simulator.fault(**fault)
            self.quiet_at = time.monotonic() + HELD_BACK_S
        body = self._body(deployment, target)
        if kills and self.disturbed_from is None:
            self.disturbed_from = self.simulator.call(lambda: self.simulator.simulator.now)
        before = self.simulator.call(self._at_broker)
        answer = self.pool.submit(self.engine.post, webhook_path(deployment), body)
        if not kills:
            self._await_broker(answer, before)
        self._go_on(self.rng.randint(5, 12))
        if kills:
            self._await_point(point, way, answer)
            if point in LAGGING:
                now = self.simulator.call(lambda: self.simulator.simulator.board.second)
                self.valve.let_go(until=min(self.second, now + LAG_AT_MOST_S))
            self._kill_and_start(point)
        self._settle(answer, deployment, body)
        self._until_listed()
        self._go_on(self.rng.randint(8, 20))
        self.wait_held()
        self._compare(point)
        self.trace.append(self._standing())

    def _at_broker(self) -> list[tuple[str, int]]:
        return [(each.order_id, each.modifications) for each in self.simulator.simulator.desk.orders.values()]

    def _await_broker(self, answer: Future[tuple[int, Any]], before: list[tuple[str, int]]) -> None:
        """Wait until the broker has what an alert asks for; or the market moves on, by chance, before or after."""
        wait((answer,), _PATIENCE_S)
        end = time.monotonic() + _SETTLE_S
        while time.monotonic() < end and self.simulator.call(self._at_broker) == before:
            time.sleep(0.01)

    def _await_point(self, point: KillPoint, way: Way, answer: Future[tuple[int, Any]]) -> None:
        self.by_point[point.value] += 1
        struck = len(self.simulator.fired())
        end = time.monotonic() + (self.timing.random() if point is KillPoint.RANDOM else _PATIENCE_S)
        while time.monotonic() < end:
            if any(map(way.seen, list(self.eyes.news()))):
                return
            if way.faults and len(self.simulator.fired()) > struck:
                time.sleep(self.timing.uniform(0.005, 0.05))
                return
            if answer.done() and self.valve.is_held:
                break
            if not self.engine.lives:
                raise EngineFailed(f"the engine ended by itself; see {self.engine.log}")
            time.sleep(_POLL_S)
        self.missed += point is not KillPoint.RANDOM

    def _kill_and_start(self, point: KillPoint) -> None:
        if point is KillPoint.TERMINATED:
            self.engine.end()
        else:
            self.engine.kill()
        died = time.monotonic()
        self.kills += 1
        self.simulator.clear_faults()
        self.engine.start()
        if point is KillPoint.STARTING:
            end = time.monotonic() + self.timing.uniform(0.5, 2.5)
            while time.monotonic() < end:
                self._look()
                time.sleep(0.02)
            self.engine.kill()
            self.engine.start()
        self.engine.wait_ready(self._look)
        self.recoveries.append(time.monotonic() - died)

    def _settle(self, answer: Future[tuple[int, Any]], deployment: Deployment, body: dict[str, Any]) -> None:
        """Send an alert again that was not answered, as its sender would, and note what was taken."""
        try:
            status, _ = answer.result(_PATIENCE_S)
        except (EngineFailed, http.client.HTTPException):
            status, _ = self.engine.post(webhook_path(deployment), body)
        if status == 200:
            self.accepted.append(body["id"])

    def _until_listed(self) -> None:
        """Hold the market until the broker shows every order: his lists lag by wire seconds, and it runs faster."""
        end = time.monotonic() + _PATIENCE_S
        while self.simulator.call(self.simulator.application.gate.hidden) and time.monotonic() < end:
            self._look()
            time.sleep(0.02)

    def quietly(self, deployment: Deployment, target: str) -> None:
        """Send an alert without a kill and let it work."""
        body = self._body(deployment, target)
        answer = self.pool.submit(self.engine.post, webhook_path(deployment), body)
        self._go_on(10)
        self._settle(answer, deployment, body)
        self.wait_held()

    def _leave_all(self) -> None:
        """Leave what is held: also what the strategy that practice comes with has entered by itself."""
        for deployment in deployments.load_all(self.folder):
            self.quietly(deployment, "flat")
        self._go_on(30)
        self.wait_held()
        self._compare("the end")
        self.findings["unprotected"] += [
            f"{each}: still held at the end" for each in self.simulator.call(self.guard.net)
        ]

    def _go_on(self, seconds: int) -> None:
        """Let the market run on; its next stop is the same second in every run, however long things took."""
        self.second += seconds
        self.valve.let_go(until=self.second)

    # --- looking ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for _ in self.eyes.news():
            pass
        self.simulator.call(self.guard.look)

    def wait_held(self) -> None:
        """Wait until the market is held and the engine has done all that was before."""
        end = time.monotonic() + _PATIENCE_S
        while not (self.valve.is_held and self._has_caught_up()):
            self._look()
            if not self.engine.lives:
                raise EngineFailed(f"the engine ended by itself; see {self.engine.log}")
            if time.monotonic() > end:
                raise EngineFailed(f"the market does not get on; see {self.engine.log}")
            time.sleep(0.005)

    def _has_caught_up(self) -> bool:
        """The engine's market time is the simulator's: of a market that runs on it is no leader any more."""
        now = self.simulator.call(lambda: self.simulator.simulator.now)
        return dt.datetime.fromisoformat(self.engine.get("/health")["now"]) >= now

    def _direction(self, deployment: Deployment) -> str | None:
        rows = self.engine.get("/live/positions")
        return next((str(row["direction"]) for row in rows if row["deployment"] == deployment.name), None)

    def _compare(self, where: str) -> None:
        """Compare what the engine holds with the broker's book; it has a little longer than its regular look."""
        end = time.monotonic() + _SETTLE_S
        while True:
            ours, theirs = self._ours(), self.simulator.call(self.guard.net)
            wrong = (
                [f"we hold {ours}, the broker {theirs}"] if ours != theirs else self.simulator.call(self.guard.too_much)
            )
            if not wrong:
                return
            if time.monotonic() > end:
                self.findings["lost"].append(f"kill {self.kills} ({where}): {'; '.join(wrong)}")
                return
            time.sleep(0.05)

    def _standing(self) -> tuple[Any, ...]:
        """Positions, their protection and the count of orders; no prices, which differ after a kill."""
        rows = self.engine.get("/live/positions")
        names = ("deployment", "direction", "units", "protection")
        held = sorted(tuple(row[name] for name in names) for row in rows)
        return (*held, len(self.simulator.simulator.desk.orders))

    def _ours(self) -> dict[str, int]:
        ours: Counter[str] = Counter()
        for row in self.engine.get("/live/positions"):
            ours[row["key"]] += row["units"] * (1 if row["side"] == "BUY" else -1)
        return {key: units for key, units in ours.items() if units}

    def _body(self, deployment: Deployment, target: str) -> dict[str, Any]:
        self.alerts += 1
        now = self.simulator.call(lambda: self.simulator.simulator.now)
        return {
            "strategy": deployment.name, "symbol": SYMBOL, "position": target, "timestamp": now.isoformat(),
            "id": f"a{self.seed}-{self.alerts}",
        }  # fmt: skip

    def _report(self) -> CrashReport:
        self._look()
        self.simulator.call(self.guard.end)
        rows: Any = self.simulator.call(self.simulator.simulator.book)["orders"]
        self.findings["lost"] += lost(rows, self.eyes, self.accepted)
        self.findings["doubled"] += doubled(rows, self.eyes)
        runs_on = self.simulator.simulator.config.free_run
        naked = [(each.seconds if runs_on else each.market_s, each) for each in self.guard.spells]
        self.findings["unprotected"] += [
            f"{each.key}: naked for {seconds:.1f} s" for seconds, each in naked if seconds > self.bound_s
        ]
        return CrashReport(
            seed=self.seed,
            kills=self.kills,
            missed=self.missed,
            alerts=self.alerts,
            orders=len(rows),
            lost=len(self.findings["lost"]),
            doubled=len(self.findings["doubled"]),
            unprotected=len(self.findings["unprotected"]),
            longest_naked_s=round(max((seconds for seconds, _ in naked), default=0.0), 2),
            longest_naked_real_s=round(max((each.seconds for _, each in naked), default=0.0), 2),
            longest_recovery_s=round(max(self.recoveries, default=0.0), 2),
            by_point=self.by_point,
            findings=tuple(each for found in self.findings.values() for each in found),
        )
