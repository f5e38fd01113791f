"""Our sockets, history and master against the simulator: what it says is what arrives, to the packet and the paisa."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.login import read_profile
from workbench.brokers.dhan.login_wire import LoginRefused
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.bars import Quote
from workbench.core.instrument import Right
from workbench.core.messages import BrokerOrder
from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.signal import Side
from workbench.data.dhan_history import DhanHistory
from workbench.data.feed import DhanFeed
from workbench.data.instruments import InstrumentMaster, install_master
from workbench.data.master_download import download_master
from workbench.reference import calendar
from workbench.testing.broker_contract import new_id
from workbench.testing.simulator import DAY, RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        running.advance(60)
        yield running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


def test_quotes_arrive_as_the_simulator_has_them_and_every_packet_is_counted(simulator: RunningSimulator) -> None:
    call, put = simulator.option(), simulator.option(right=Right.PE, steps=1)
    index = simulator.simulator.listing.index("NIFTY").instrument
    wanted = {instrument.key: instrument for instrument in (index, call, put)}

    async def scenario() -> dict[str, Quote]:
        feed = DhanFeed(simulator.feed_url, simulator.client_id, simulator.token)
        newest: dict[str, Quote] = {}
        task = asyncio.create_task(feed.run(lambda quote, _: newest.update({quote.key: quote}), lambda *_: None))
        feed.subscribe(list(wanted.values()))
        await until(lambda: len(newest) == 3)
        await asyncio.to_thread(simulator.advance, 30)
        # The simulator counts for each connection.
        await until(lambda: feed.received >= simulator.simulator.feed.packets)
        assert feed.received == simulator.simulator.feed.packets > 30
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert sum(feed.counters[name] for name in ("bad_prices", "jumps", "backwards", "short", "unknown")) == 0
        return newest

    newest = asyncio.run(scenario())
    for key, instrument in wanted.items():
        ours, theirs = newest[key], simulator.quote(instrument)
        assert (ours.last, ours.bid, ours.ask) == (theirs.last, theirs.bid, theirs.ask)
        assert (ours.bid_quantity, ours.ask_quantity) == (theirs.bid_quantity, theirs.ask_quantity)
        assert timedelta(0) <= theirs.time - ours.time <= timedelta(seconds=60)


def test_every_step_of_an_order_is_told_and_counted(simulator: RunningSimulator) -> None:
    option = simulator.option()
    client = DhanClient(simulator.base_url, simulator.client_id, simulator.token, Endpoint.ORDERS)
    broker = DhanBroker(client, lambda: simulator.simulator.now)
    ticket = OrderTicket(
        correlation_id=new_id(),
        intent_id="i",
        position_id="p",
        deployment="d",
        purpose=Purpose.ENTRY,
        instrument=option,
        side=Side.BUY,
        quantity=option.lot,
        order_type=OrderType.LIMIT,
        product=Product.INTRADAY,
        price=simulator.quote(option).ask + Decimal(5),
    )

    async def scenario() -> list[BrokerOrder]:
        updates = DhanOrderUpdates(simulator.updates_url, simulator.client_id, simulator.token)
        orders: list[BrokerOrder] = []
        task = asyncio.create_task(updates.run(orders.append, lambda *_: None))
        await until(lambda: updates.connected)
        await until(lambda: bool(simulator.simulator.updates.listeners))  # the login has no answer
        reply = await asyncio.to_thread(broker.place, ticket)
        await asyncio.to_thread(simulator.advance, 2)
        await until(lambda: bool(orders) and orders[-1].state is OrderState.FILLED)
        assert updates.received == simulator.simulator.updates.updates > 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert updates.malformed == 0
        assert {order.order_id for order in orders} == {reply.order_id}
        return orders

    orders = asyncio.run(scenario())
    last, booked = orders[-1], broker.order(orders[-1].order_id)
    assert booked is not None
    assert {order.correlation_id for order in orders} == {ticket.correlation_id}
    assert (last.filled_quantity, last.average_price) == (booked.filled_quantity, booked.average_price)
    assert (last.segment, last.security_id, last.side) == (booked.segment, booked.security_id, booked.side)
    trades = [trade for trade in broker.snapshot().trades if trade.order_id == last.order_id]
    assert last.last_fill_price == trades[-1].price


def test_the_master_is_fetched_checked_and_read(simulator: RunningSimulator, tmp_path: Path) -> None:
    for url in (simulator.compact_master_url, simulator.detailed_master_url):
        fetched, cached = tmp_path / "fetched.csv", tmp_path / f"{len(url)}.csv"
        download_master(url, fetched)
        install_master(fetched, cached, underlyings=["NIFTY"])
        master = InstrumentMaster.load(cached, ["NIFTY"], on=DAY)
        option = simulator.option()
        read = master.by_key(option.key)
        assert read is not None
        assert (read.security_id, read.lot, read.tick) == (option.security_id, option.lot, option.tick)
        assert master.index("NIFTY").security_id == "13"


def test_history_is_that_of_the_simulated_market_without_the_running_minute(simulator: RunningSimulator) -> None:
    client = DhanClient(simulator.base_url, simulator.client_id, simulator.token, Endpoint.DATA)
    index = simulator.simulator.listing.index("NIFTY").instrument
    now = simulator.simulator.now
    history = DhanHistory(client.api, lambda _: index, calendar(), lambda: now)
    frame = history.read("NIFTY", "1m", now - timedelta(days=7), None)
    assert len({moment.date() for moment in frame.index}) >= 4
    assert frame.index[-1] + timedelta(minutes=1) <= now
    fives = history.read("NIFTY", "5m", now - timedelta(days=7), None)
    assert {moment.minute % 5 for moment in fives.index} == {0}
    assert fives["high"].max() == frame.loc[: fives.index[-1] + timedelta(minutes=4), "high"].max()


def test_the_profile_is_read_or_refused(simulator: RunningSimulator) -> None:
    assert read_profile(simulator.client_id, simulator.token, base_url=simulator.base_url).segments
    with pytest.raises(LoginRefused, match="DH-901"):
        read_profile(simulator.client_id, "wrong", base_url=simulator.base_url)
