"""An engine process in one piece: the real adapter, feed, sockets, journal and engine against a running simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import httpx

from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.engine import Engine, EngineConfig
from workbench.core.legs import Listings
from workbench.core.session import IST
from workbench.data.dhan_history import DhanHistory
from workbench.data.feed import DhanFeed
from workbench.data.instruments import InstrumentMaster
from workbench.data.master_download import download_master
from workbench.live.alerts import AlertDesk
from workbench.live.clock import PracticeClock
from workbench.live.day import TradingDay, second_hand
from workbench.live.lanes import OrderLanes
from workbench.live.practice_link import PracticeLink
from workbench.live.runner import Runner
from workbench.live.signal_source import SignalSource
from workbench.live.system import FeedWatch, LiveSystem
from workbench.notify import Notifier
from workbench.reference import calendar, charge_table, contract_table
from workbench.storage.export import export_day
from workbench.storage.journal import SqliteJournal
from workbench.storage.ledger import DayLedger
from workbench.storage.tape import Tape, read_tape, tape_path
from workbench.testing.simulator import RunningSimulator


@dataclass
class Practice:
    """The parts of a running practice engine."""

    system: LiveSystem
    runner: Runner
    link: PracticeLink
    source: SignalSource
    day: TradingDay
    clock: PracticeClock
    journal: SqliteJournal
    notifier: Notifier
    folder: Path

    async def until(self, hour: int, minute: int, second: int = 0, limit_s: float = 60.0) -> None:
        """Wait until the market has reached that time of the day."""
        async with asyncio.timeout(limit_s):
            while self.clock.now() < self.clock.now().replace(hour=hour, minute=minute, second=second):
                await asyncio.sleep(0.002)


@asynccontextmanager
async def practice(  # noqa: PLR0915 - one start-up, read from top to bottom
    sim: RunningSimulator, folder: Path, deployments: tuple[Deployment, ...]
) -> AsyncIterator[Practice]:
    """Start an engine on a simulator that waits for one, in the order of the real start-up."""
    clock_body = await asyncio.to_thread(lambda: httpx.get(f"{sim.origin}/simulator/clock").json())
    clock = PracticeClock(datetime.fromisoformat(clock_body["now"]))

    def load(day: date) -> Listings:
        path = folder / "instruments" / "master.csv"
        download_master(sim.compact_master_url, path)
        return Listings(InstrumentMaster.load(path, {item.symbol for item in deployments}, on=day), contract_table())

    def client(endpoint: Endpoint) -> DhanClient:
        return DhanClient(sim.base_url, sim.client_id, sim.token, endpoint)

    listings = await asyncio.to_thread(load, clock.now().date())
    config = EngineConfig(
        account_id="practice",
        mode=Mode.PRACTICE,
        deployments=deployments,
        calendar=calendar(),
        listings=listings,
        charges=charge_table(),
        limits=Limits(capital=Decimal(1_000_000)),
    )
    journal = SqliteJournal(folder / "journal.db")
    tape = Tape(folder / "tape", "practice")
    brokers = [DhanBroker(client(Endpoint.ORDERS), clock.now) for _ in range(3)]
    lanes = OrderLanes(entries=brokers[0], exits=brokers[1], reader=brokers[2], clock=clock, snapshot_pause_s=0.05)
    feed = DhanFeed(sim.feed_url, sim.client_id, sim.token)
    updates = DhanOrderUpdates(sim.updates_url, sim.client_id, sim.token)
    notifier = Notifier()
    runner = Runner(
        make_engine=lambda: Engine(config),
        journal=journal,
        tape=tape,
        ledger=DayLedger(charge_table()),
        lanes=lanes,
        feed=feed,
        clock=clock,
        notifier=notifier,
        first_seq=journal.last_seq + 1,
    )

    def report(day: date) -> dict[str, object]:
        done = export_day(
            folder / "reports",
            journal.read_day("practice", day),
            charges=charge_table(),
            tape=read_tape(tape_path(folder / "tape", "practice", day)),
            facts={"mode": "practice"},
        )
        return {"folder": str(done.folder), "net": str(done.net), "trades": done.trades}

    def spot(symbol: str) -> Decimal | None:
        return system.spot(symbol)

    watch = FeedWatch(None)
    desk = AlertDesk(deployments=deployments, mode=Mode.PRACTICE, calendar=calendar(), max_age_s=60, spot=spot)
    system = LiveSystem(
        runner=runner,
        mode=Mode.PRACTICE,
        calendar=calendar(),
        alerts=desk,
        watch=watch,
        admin_token="token-of-the-test",
        report=report,
    )
    history = DhanHistory(client(Endpoint.DATA).api, listings.instruments.index, calendar(), clock.now)
    source = SignalSource(
        deployments=deployments,
        key_of=lambda symbol: listings.instruments.index(symbol).key,
        calendar=calendar(),
        history=history,
        enqueue=runner.enqueue,
    )
    day = TradingDay(system, source, load_listings=load)

    async def drained() -> None:
        await source.drained()
        await runner.drained()

    link = PracticeLink(
        sim.sync_url,
        clock=clock,
        feed=feed,
        updates=updates,
        enqueue=runner.enqueue,
        drained=drained,
        on_second=second_hand(system, source),
        on_state=day.on_market_state,
    )

    def on_quote(quote: Quote, received: float) -> None:
        watch.saw_quote(received)
        source.on_quote(quote)
        link.take_quote(quote)

    loop = asyncio.get_running_loop()
    journal.start(loop, runner.on_journal_failure)
    runner.recover(journal.read_day("practice", clock.now().astimezone(IST).date()))
    runner.start(loop)
    source.start(loop)
    await lanes.warm_up(lambda broker: broker.snapshot())
    tasks = [
        asyncio.create_task(feed.run(on_quote, watch.feed_state)),
        asyncio.create_task(updates.run(link.take_order, watch.orders_state)),
    ]
    async with asyncio.timeout(10):
        while not (watch.connected and watch.orders_connected):
            await asyncio.sleep(0.005)
    await day.open(clock.now().date(), fresh_listings=False)
    system.ready = True
    tasks.append(asyncio.create_task(link.run()))
    try:
        yield Practice(system, runner, link, source, day, clock, journal, notifier, folder)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        runner.stop("test ended")
        source.close()
        lanes.close()
        journal.close()
        tape.close()
