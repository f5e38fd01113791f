"""A token that ends while everything runs: the new one reaches orders, data, feed and order socket by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyotp

from tests.unit.brokers.test_token_ways import NO_RING, Ring
from workbench.bootstrap.broker_checks import wall_clock
from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.login_wire import LoginWire
from workbench.brokers.dhan.minting import Minter
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.brokers.dhan.token_store import TokenStore
from workbench.brokers.dhan.token_ways import TokenWays
from workbench.brokers.dhan.tokens import Keeping, TokenKeeper
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.messages import BrokerOrder
from workbench.core.order import OrderTicket, OrderType, Product, Purpose
from workbench.core.signal import Side
from workbench.data.feed import DhanFeed
from workbench.simulator import SimulatorConfig
from workbench.simulator.tokens import TokenKind
from workbench.testing.broker_contract import new_id
from workbench.testing.simulator import RunningSimulator, running_simulator

PIN, SECRET = "482913", pyotp.random_base32()
CONFIG = SimulatorConfig(token_kind=TokenKind.WEB, pin=PIN, totp_secret=SECRET)
BACKOFF_S = (0.02, 0.1)
PATIENCE_S = 20.0


@contextmanager
def trading(config: SimulatorConfig) -> Iterator[RunningSimulator]:
    with running_simulator(config=config) as simulator:
        simulator.open_market()
        simulator.advance(60)
        yield simulator


@contextmanager
def kept(simulator: RunningSimulator, folder: Path, *, renew_before: timedelta) -> Iterator[TokenKeeper]:
    wire = LoginWire(simulator.client_id, base_url=simulator.base_url, auth_url=simulator.origin)
    ways = TokenWays(wire, TokenStore(simulator.client_id, NO_RING), Minter(wire, PIN, SECRET, folder=folder))
    keeping = Keeping(renew_before=renew_before, beat_s=0.05, backoff_s=(0.05, 600.0))
    keeper = TokenKeeper(simulator.token, ways, now=wall_clock, keeping=keeping)
    try:
        yield keeper
    finally:
        keeper.close()


class Desk:
    """REST for orders and data, the feed and the order socket, all with the keeper's token."""

    def __init__(self, simulator: RunningSimulator, keeper: TokenKeeper) -> None:
        self.simulator, self.keeper = simulator, keeper
        client, token = simulator.client_id, keeper.token
        self.orders = DhanClient(simulator.base_url, client, token, Endpoint.ORDERS)
        self.data = DhanClient(simulator.base_url, client, token, Endpoint.DATA)
        self.broker = DhanBroker(self.orders, wall_clock, on_token_refused=keeper.refused)
        self.data.transport.on_token_refused = keeper.refused
        self.feed = DhanFeed(simulator.feed_url, client, token, backoff_s=BACKOFF_S, on_token_refused=keeper.refused)
        self.updates = DhanOrderUpdates(simulator.updates_url, client, token, backoff_s=BACKOFF_S)
        self.option = simulator.option()
        self.quotes: list[Quote] = []
        self.seen: list[BrokerOrder] = []
        self.feed_up = self.orders_up = False

    async def __aenter__(self) -> Desk:
        loop = asyncio.get_running_loop()
        for give in (self.orders.renew_token, self.data.renew_token):
            self.keeper.subscribe(give)
        for give in (self.feed.renew_token, self.updates.renew_token):
            self.keeper.subscribe(partial(call_on, loop, give))
        self.feed.subscribe([self.option])
        self.tasks = [
            asyncio.create_task(self.feed.run(lambda quote, _: self.quotes.append(quote), self._on_feed)),
            asyncio.create_task(self.updates.run(self.seen.append, self._on_orders)),
        ]
        self.keeper.start()
        await until(lambda: self.feed_up and self.orders_up and bool(self.quotes))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _on_feed(self, up: bool, _: str) -> None:
        self.feed_up = up

    def _on_orders(self, up: bool, _: str) -> None:
        self.orders_up = up

    async def everything_works(self) -> None:
        """A price, an order, its update and a tick, all after now."""
        price = await asyncio.to_thread(lambda: self.data.api.ticker_data({"IDX_I": [13]}))
        assert price["status"] == "success", price
        await until(lambda: self.orders_up and self.feed_up)
        self.seen.clear()
        self.quotes.clear()
        ticket = resting(self.option, self.simulator.quote(self.option))
        reply = await asyncio.to_thread(self.broker.place, ticket)
        assert reply.order_id, reply
        await asyncio.to_thread(self.simulator.advance, 2)
        await until(lambda: any(order.order_id == reply.order_id for order in self.seen))
        await until(lambda: bool(self.quotes))


def call_on(loop: asyncio.AbstractEventLoop, give: Callable[[str], None], token: str) -> None:
    loop.call_soon_threadsafe(give, token)


def resting(option: Instrument, quote: Quote) -> OrderTicket:
    return OrderTicket(
        correlation_id=new_id(),
        intent_id="i1",
        position_id="p1",
        deployment="upkeep",
        purpose=Purpose.ENTRY,
        instrument=option,
        side=Side.BUY,
        quantity=option.lot,
        order_type=OrderType.LIMIT,
        product=Product.INTRADAY,
        price=quote.last - 40 * option.tick,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def test_r7_a_token_that_dies_is_replaced_everywhere_by_one_of_pin_and_password(tmp_path: Path) -> None:
    async def scenario(simulator: RunningSimulator, keeper: TokenKeeper) -> None:
        states: list[bool] = []
        keeper.on_state(lambda good, _: states.append(good))
        async with Desk(simulator, keeper) as desk:
            await desk.everything_works()
            former = simulator.token
            simulator.call(simulator.simulator.tokens.expire)
            await until(lambda: keeper.renewals == 1)
            assert keeper.token == simulator.token != former
            await desk.everything_works()
            assert keeper.renewals == 1 and keeper.is_good
            assert states == [False, True]

    with trading(CONFIG) as simulator, kept(simulator, tmp_path, renew_before=timedelta(0)) as keeper:
        asyncio.run(scenario(simulator, keeper))
        assert simulator.simulator.tokens.current.kind is TokenKind.TOTP


def test_a_token_that_is_about_to_end_is_renewed_ahead_and_late_refusals_renew_nothing(tmp_path: Path) -> None:
    async def scenario(simulator: RunningSimulator, keeper: TokenKeeper) -> None:
        first = keeper.token
        async with Desk(simulator, keeper) as desk:
            await until(lambda: keeper.renewals == 1)
            assert keeper.token == simulator.token != first
            await desk.everything_works()
            keeper.refused("DH-901 of a request that was on its way")
            await until(lambda: keeper.is_good)
            assert keeper.renewals == 1 and keeper.token == simulator.token

    soon = SimulatorConfig(token_kind=TokenKind.WEB, token_life_s=3600.0)
    with trading(soon) as simulator, kept(simulator, tmp_path, renew_before=timedelta(hours=2)) as keeper:
        asyncio.run(scenario(simulator, keeper))
        assert simulator.simulator.tokens.current.kind is TokenKind.WEB


def test_r7_orders_of_eight_threads_that_are_refused_at_once_make_one_token(tmp_path: Path) -> None:
    with trading(CONFIG) as simulator, kept(simulator, tmp_path, renew_before=timedelta(0)) as keeper:
        client = DhanClient(simulator.base_url, simulator.client_id, keeper.token, Endpoint.ORDERS)
        broker = DhanBroker(client, wall_clock, on_token_refused=keeper.refused)
        keeper.subscribe(client.renew_token)
        renewed = threading.Event()
        keeper.subscribe(lambda _: renewed.set())
        simulator.call(simulator.simulator.tokens.expire)
        threads = [threading.Thread(target=broker.snapshot) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not keeper.is_good
        keeper.start()
        assert renewed.wait(PATIENCE_S)
        assert keeper.renewals == 1 and broker.snapshot().known


def test_nothing_to_make_a_token_with_is_loud_and_a_login_by_a_person_heals_it(tmp_path: Path) -> None:
    with trading(CONFIG) as simulator:
        wire = LoginWire(simulator.client_id, base_url=simulator.base_url, auth_url=simulator.origin)
        store = TokenStore(simulator.client_id, Ring())
        told, good = threading.Event(), threading.Event()

        def on_alarm(level: str, text: str) -> None:
            if level == "alarm" and "run workbench login" in text:
                told.set()

        keeper = TokenKeeper(
            simulator.token,
            TokenWays(wire, store),
            now=wall_clock,
            on_alarm=on_alarm,
            keeping=Keeping(beat_s=0.02, backoff_s=(0.02, 0.05)),
        )
        keeper.on_state(lambda is_good, _: good.set() if is_good else None)
        simulator.call(simulator.simulator.tokens.expire)
        keeper.start()
        keeper.refused("DH-901")
        assert told.wait(PATIENCE_S)
        made = Minter(wire, PIN, SECRET, folder=tmp_path).mint()
        store.write(made.value)
        assert good.wait(PATIENCE_S)
        keeper.close()
        assert keeper.token == simulator.token == made.value
