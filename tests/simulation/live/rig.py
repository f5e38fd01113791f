"""A whole engine process without wires: the real engine, journal and ledger around a broker double at the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.core.bars import Quote
from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.engine import Engine, EngineConfig
from workbench.core.errors import UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.legs import Listings
from workbench.core.messages import (
    BrokerOrder,
    DayBegan,
    OrderUpdated,
    Outcome,
    QuoteReceived,
    SnapshotTaken,
    TimerBeat,
)
from workbench.core.order import OrderChange, OrderState, OrderTicket, Purpose
from workbench.core.plan import NAMED_PLANS
from workbench.core.ports import WriteReply
from workbench.core.session import IST
from workbench.live.alerts import AlertDesk
from workbench.live.lanes import OrderLanes
from workbench.live.runner import Runner
from workbench.live.system import FeedWatch, LiveSystem
from workbench.notify import Notifier
from workbench.reference import calendar, charge_table, contract_table
from workbench.storage.journal import SqliteJournal
from workbench.storage.ledger import DayLedger
from workbench.storage.tape import Tape

DAY = date(2022, 6, 15)
NINE_THIRTY = datetime(2022, 6, 15, 9, 30, tzinfo=IST)
NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
EXPIRY = date(2022, 6, 16)


def option(strike: int, right: Right) -> Instrument:
    return Instrument(
        segment=Segment.NSE_FNO,
        security_id=f"4{strike}{right.value == 'CE':d}",
        symbol="NIFTY",
        kind=InstrumentKind.OPTION,
        lot=50,
        expiry=EXPIRY,
        strike=Decimal(strike),
        right=right,
        freeze=1800,
        display_name=f"NIFTY 16 JUN {strike} {'CALL' if right is Right.CE else 'PUT'}",
    )


class FewInstruments:
    """NIFTY and its options of one expiry; `core.ports.InstrumentSource`."""

    def __init__(self) -> None:
        self._options = [option(strike, right) for strike in range(15400, 16001, 50) for right in (Right.CE, Right.PE)]

    def index(self, underlying: str) -> Instrument:
        if underlying != "NIFTY":
            raise UnknownName("underlying", underlying, ["NIFTY"])
        return NIFTY

    def expiries(self, underlying: str) -> Sequence[date]:
        return (EXPIRY,)

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        return self._options

    def future(self, underlying: str, expiry: date) -> Instrument | None:
        return None

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        return next((item for item in self._options if item.security_id == security_id), None)

    def by_key(self, key: str) -> Instrument | None:
        return next((item for item in self._options if item.key == key), None)


class SimClock:
    """Market time that a test sets."""

    def __init__(self, now: datetime = NINE_THIRTY) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def pass_s(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class FaultyBroker:
    """A broker that does what a test tells it to; `core.ports.Broker`."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.placed: list[OrderTicket] = []
        self.changes: list[tuple[str, OrderChange]] = []
        self.cancelled: list[str] = []
        self.snapshots = 0
        self.on_place: Callable[[OrderTicket], WriteReply] = self._accept
        self.before_place: Callable[[], None] = lambda: None

    def place(self, ticket: OrderTicket) -> WriteReply:
        self.before_place()
        self.placed.append(ticket)
        return self.on_place(ticket)

    def modify(self, order_id: str, ticket: OrderTicket, change: OrderChange) -> WriteReply:
        self.changes.append((order_id, change))
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id)

    def cancel(self, order_id: str) -> WriteReply:
        self.cancelled.append(order_id)
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=order_id, state=OrderState.CANCELLED)

    def snapshot(self) -> SnapshotTaken:
        self.snapshots += 1
        return SnapshotTaken(taken_at=self.clock.now(), available_funds=Decimal(1_000_000), known=False, reason="test")

    def order(self, order_id: str) -> BrokerOrder | None:
        return None

    def order_by_correlation(self, correlation_id: str) -> BrokerOrder | None:
        return None

    def _accept(self, ticket: OrderTicket) -> WriteReply:
        return WriteReply(outcome=Outcome.ACCEPTED, order_id=f"o{len(self.placed)}", state=OrderState.WORKING)

    def of(self, purpose: Purpose) -> list[OrderTicket]:
        return [ticket for ticket in self.placed if ticket.purpose is purpose]


class NoFeed:
    """Remembers what was subscribed; `core.ports.MarketFeed`."""

    def __init__(self) -> None:
        self.subscribed: dict[str, Instrument] = {}

    async def run(self, on_quote: Any, on_state: Any) -> None:
        return

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        self.subscribed.update({item.key: item for item in instruments})

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        for item in instruments:
            self.subscribed.pop(item.key, None)


SCALP = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=NAMED_PLANS["scalp_atm"], webhook_link="scalp-link")


@dataclass
class Rig:
    """The parts of one running account."""

    system: LiveSystem
    runner: Runner
    broker: FaultyBroker
    clock: SimClock
    journal: SqliteJournal
    feed: NoFeed
    notifier: Notifier
    failures: list[str] = field(default_factory=list)

    async def quotes(self, spot: str = "15700", premium: str = "100") -> None:
        """Quote the index, and then every option that is watched."""
        now, price = self.clock.now(), Decimal(spot)
        self.runner.enqueue(QuoteReceived(quote=Quote(NIFTY.key, now, price, price, price)))
        await self.runner.drained()
        last = Decimal(premium)
        for key in [key for key in self.feed.subscribed if key != NIFTY.key]:
            quote = Quote(key, now, last, last - Decimal("0.15"), last + Decimal("0.15"), 5000, 5000)
            self.runner.enqueue(QuoteReceived(quote=quote))
        await self.runner.drained()

    async def fill(self, ticket: OrderTicket, order_id: str, price: str) -> None:
        """Tell the engine that an order was executed."""
        self.runner.enqueue(
            OrderUpdated(
                order=BrokerOrder(
                    order_id=order_id,
                    correlation_id=ticket.correlation_id,
                    state=OrderState.FILLED,
                    segment=ticket.instrument.segment.value,
                    security_id=ticket.instrument.security_id,
                    side=ticket.side,
                    quantity=ticket.quantity,
                    filled_quantity=ticket.quantity,
                    average_price=Decimal(price),
                    last_fill_price=Decimal(price),
                )
            )
        )
        await self.runner.drained()

    async def beats(self, count: int) -> None:
        """Let market seconds pass."""
        for _ in range(count):
            self.clock.pass_s(1)
            self.runner.enqueue(TimerBeat())
            await self.runner.drained()


def make_config(deployments: tuple[Deployment, ...], mode: Mode) -> EngineConfig:
    return EngineConfig(
        account_id="practice",
        mode=mode,
        deployments=deployments,
        calendar=calendar(),
        listings=Listings(FewInstruments(), contract_table()),
        charges=charge_table(),
        limits=Limits(capital=Decimal(1_000_000)),
    )


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    deployments: tuple[Deployment, ...] = (SCALP,),
    mode: Mode = Mode.PRACTICE,
    make_engine: Callable[[EngineConfig], Any] = Engine,
    dry_run: bool = False,
    now: datetime = NINE_THIRTY,
) -> AsyncIterator[Rig]:
    """Start an account in a folder (again, where it was used before), and stop it."""
    clock, feed, notifier = SimClock(now), NoFeed(), Notifier()
    broker = FaultyBroker(clock)
    journal = SqliteJournal(folder / "journal.db")
    tape = Tape(folder / "tape", "practice")
    lanes = OrderLanes(entries=broker, exits=broker, reader=broker, clock=clock, snapshot_pause_s=0.01)
    config = make_config(deployments, mode)
    runner = Runner(
        make_engine=lambda: make_engine(config),
        journal=journal,
        tape=tape,
        ledger=DayLedger(charge_table()),
        lanes=lanes,
        feed=feed,
        clock=clock,
        notifier=notifier,
        first_seq=journal.last_seq + 1,
        dry_run=dry_run,
    )

    def spot(symbol: str) -> Decimal | None:
        return system.spot(symbol)

    desk = AlertDesk(deployments=deployments, mode=mode, calendar=calendar(), max_age_s=60.0, spot=spot)
    watch = FeedWatch(None)
    watch.feed_state(True, "")
    system = LiveSystem(
        runner=runner,
        mode=mode,
        calendar=calendar(),
        alerts=desk,
        watch=watch,
        admin_token="token-of-the-test",
        ready=True,
    )
    loop = asyncio.get_running_loop()
    journal.start(loop, runner.on_journal_failure)
    runner.recover(journal.read_day("practice", DAY))
    runner.start(loop)
    runner.enqueue(DayBegan(day=DAY))
    await runner.drained()
    try:
        yield Rig(system, runner, broker, clock, journal, feed, notifier)
    finally:
        runner.stop("test ended")
        lanes.close()
        journal.close()
        tape.close()
