"""A whole account against a simulator that plays Dhan, with short time-outs: what paper and live are made of.

The real engine, journal on the disk, lanes, adapter on the official library, feed, order socket and supervision. The
market is moved by hand, one second at a time, and nobody waits for anybody beyond that: fills are told when the order
socket tells them, as at Dhan.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.engine import Decision, Engine, EngineConfig
from workbench.core.legs import Listings
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    BrokerOrder,
    DayBegan,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    QuoteReceived,
    TakeSnapshot,
    TimerBeat,
)
from workbench.core.plan import Distance, Exits, Plan
from workbench.core.position import Position
from workbench.core.session import IST
from workbench.data.feed import DhanFeed
from workbench.data.instruments import InstrumentMaster
from workbench.data.master_download import download_master
from workbench.live.clock import PracticeClock
from workbench.live.lanes import OrderLanes
from workbench.live.quote_gate import QuoteGate
from workbench.live.runner import Runner
from workbench.live.system import FeedWatch
from workbench.notify import Notifier
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import SimulatorConfig, SyntheticMarket
from workbench.storage.journal import SqliteJournal
from workbench.storage.ledger import DayLedger
from workbench.storage.tape import Tape
from workbench.testing.simulator import DAY, RunningSimulator, running_simulator

ACCOUNT = "live-001"
FAR = Exits(stop=Distance(percent=Decimal(50)), target=Distance(percent=Decimal(300)))
"""Levels that a quiet hour does not reach: what happens in a test is what it orders."""

PLAN = Plan(name="far", exits=FAR)
ALERTS = Deployment(name="ALERTS", symbol="NIFTY", plan=PLAN, webhook_link="link")
ANSWER_S = 1.0
"""Longest wait for an answer, real seconds: far above what a loaded machine needs, below what a fault withholds."""

LATE_S = 2.5
"""How late an answer comes that is too late."""

LOOK_EVERY_S = 10
"""Market seconds between two regular looks at the broker's truth."""

_TELL_S = 1.0


@dataclass(slots=True)
class Trading:
    """The parts of one running account."""

    sim: RunningSimulator
    runner: Runner
    broker: DhanBroker
    feed: DhanFeed
    updates: DhanOrderUpdates
    watch: FeedWatch
    clock: PracticeClock
    journal: SqliteJournal
    ledger: DayLedger
    notifier: Notifier
    refused: list[str] = field(default_factory=list)
    seconds: int = 0
    alerts: int = 0

    @property
    def engine(self) -> Any:
        """The engine, which a fault of its own would replace."""
        return self.runner.engine

    @property
    def alarms(self) -> list[str]:
        """What a person was told as an alarm."""
        return [item.text for item in self.notifier.notices if item.level == "alarm"]

    def positions(self) -> list[Position]:
        """What the engine holds or may come to hold."""
        return list(self.engine.book.live_positions())

    async def second(self) -> None:
        """Let one market second pass, with all that it leads to."""
        await asyncio.to_thread(self.sim.advance)
        self.clock.set(self.sim.simulator.now)
        await self._told()
        self.judge()
        self.runner.enqueue(TimerBeat())
        self.seconds += 1
        if self.seconds % LOOK_EVERY_S == 0:
            self.runner.lanes.look(TakeSnapshot(reason="a regular look"))
        await self.runner.drained()

    def judge(self) -> None:
        """Tell the engine whether its market data live, where that has changed."""
        judged = self.watch.judge(market_open=True)
        if judged is not None:
            self.runner.enqueue(judged)

    async def pass_s(self, seconds: int) -> None:
        """Let market seconds pass."""
        for _ in range(seconds):
            await self.second()

    async def until(self, condition: Callable[[], object], what: str, *, seconds: int = 120) -> None:
        """Let market seconds pass until something is so."""
        for _ in range(seconds):
            if condition():
                return
            await self.second()
        raise AssertionError(f"{what} did not happen in {seconds} market seconds; {self.story()}")

    async def for_real(self, condition: Callable[[], object], what: str, *, seconds: float = 20.0) -> None:
        """Wait, in real time, until something is so; the market stands."""
        give_up = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up, f"{what} did not happen in {seconds} s; {self.story()}"
            await asyncio.sleep(0.01)
        await self.runner.drained()

    async def alert(self, action: AlertAction) -> Decision | None:
        """Send an alert, and let the orders that it leads to be answered."""
        self.alerts += 1
        now = self.clock.now()
        decision = await self.runner.put_alert(
            AlertReceived(
                alert_id=f"ALERTS:{self.alerts}",
                deployment="ALERTS",
                action=action,
                symbol="NIFTY",
                received_at=now,
                fired_at=now,
            )
        )
        await self.runner.drained()
        return decision

    async def flatten(self) -> None:
        """Be told by a person to leave everything."""
        self.runner.enqueue(OperatorOrdered(command=Operator.FLATTEN, who="a person"))
        await self.runner.drained()

    def story(self) -> str:
        """Give what was told, for a failure's text."""
        orders = [
            f"{each.ticket.correlation_id} {each.ticket.purpose.value} {each.state.value} {each.filled_quantity}"
            for each in self.engine.book.orders.values()
        ]
        notices = [f"{item.level}: {item.text}" for item in self.notifier.notices]
        return f"orders {orders}; frozen {self.engine.book.frozen}; told {notices[-25:]}"

    async def _told(self) -> None:
        """Wait until what this second sent has come in; what a fault holds back is not waited for."""
        give_up = time.monotonic() + _TELL_S
        feed, updates = self.sim.simulator.feed, self.sim.simulator.updates
        while time.monotonic() < give_up:
            if self.feed.received >= feed.packets and self.updates.received >= updates.updates:
                break
            await asyncio.sleep(0.001)
        await self.runner.drained()


@asynccontextmanager
async def trading(
    sim: RunningSimulator,
    folder: Path,
    *,
    deployments: tuple[Deployment, ...] = (ALERTS,),
    stale_after_s: float | None = None,
) -> AsyncIterator[Trading]:
    """Start an account in a folder (again, where it was used before), and stop it."""
    clock = PracticeClock(sim.simulator.now)
    refused: list[str] = []

    def client(endpoint: Endpoint) -> DhanClient:
        return DhanClient(sim.base_url, sim.client_id, sim.token, endpoint, timeouts_s=(ANSWER_S, ANSWER_S))

    config = EngineConfig(
        account_id=ACCOUNT,
        mode=Mode.LIVE,
        deployments=deployments,
        calendar=calendar(),
        listings=await asyncio.to_thread(_listings, sim, folder),
        charges=charge_table(),
        limits=Limits(capital=Decimal(1_000_000)),
        id_prefix="l",
    )
    journal, tape, notifier = SqliteJournal(folder / "journal.db"), Tape(folder / "tape", ACCOUNT), Notifier()
    ledger = DayLedger(charge_table())
    broker = DhanBroker(client(Endpoint.ORDERS), clock.now, on_token_refused=refused.append)
    feed = DhanFeed(
        sim.feed_url, sim.client_id, sim.token, backoff_s=(0.05, 0.2), ping_s=1.0, market_now=clock.now,
        on_token_refused=refused.append,
    )  # fmt: skip
    updates = DhanOrderUpdates(
        sim.updates_url, sim.client_id, sim.token, backoff_s=(0.05, 0.2), ping_s=1.0, on_token_refused=refused.append
    )
    runner = Runner(
        make_engine=lambda: Engine(config),
        journal=journal,
        tape=tape,
        ledger=ledger,
        lanes=OrderLanes(
            entries=broker, exits=broker, reader=broker, clock=clock, snapshot_pause_s=0.01, supers=broker.supers
        ),
        feed=feed,
        clock=clock,
        notifier=notifier,
        first_seq=journal.last_seq + 1,
    )
    watch = FeedWatch(stale_after_s)
    it = Trading(sim, runner, broker, feed, updates, watch, clock, journal, ledger, notifier, refused)
    watch.on_worse = it.judge
    gate = QuoteGate(lambda quote: runner.enqueue(QuoteReceived(quote=quote)))

    def on_quote(quote: Quote, received: float) -> None:
        watch.saw_quote(received, quote.key)
        gate.take(quote, received)

    def on_order(order: BrokerOrder) -> None:
        runner.enqueue(OrderUpdated(order=order))

    def on_orders_state(up: bool, reason: str) -> None:
        back = up and not watch.orders_connected
        watch.orders_state(up, reason)
        if back:
            runner.lanes.look(TakeSnapshot(reason="order socket connected"))

    loop = asyncio.get_running_loop()
    journal.start(loop, runner.on_journal_failure)
    runner.recover(journal.read_day(ACCOUNT, clock.now().astimezone(IST).date()))
    runner.start(loop)
    tasks = [
        asyncio.create_task(feed.run(on_quote, watch.feed_state)),
        asyncio.create_task(updates.run(on_order, on_orders_state)),
    ]
    try:
        await it.for_real(lambda: watch.connected and watch.orders_connected, "a connection of both sockets")
        runner.enqueue(DayBegan(day=clock.now().date()))
        runner.lanes.look(TakeSnapshot(reason="start"))
        await runner.drained()
        await it.pass_s(2)
        yield it
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        runner.stop("test ended")
        await asyncio.to_thread(runner.lanes.close)
        journal.close()
        tape.close()


def _listings(sim: RunningSimulator, folder: Path) -> Listings:
    path = folder / "master.csv"
    if not path.is_file():
        download_master(sim.compact_master_url, path)
    return Listings(InstrumentMaster.load(path, {"NIFTY"}, on=sim.simulator.day), contract_table())


@cache
def _market() -> SyntheticMarket:
    """Give the market of all tests: it is made up once, and moved by each simulator for itself."""
    return SyntheticMarket(7, calendar(), DAY)


@contextmanager
def playing_dhan(**options: Any) -> Iterator[RunningSimulator]:
    """Run a simulator whose market has been open for a few minutes."""
    with running_simulator(market=_market(), config=SimulatorConfig(**options)) as sim:
        sim.open_market()
        sim.advance(300)
        yield sim
