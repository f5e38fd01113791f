"""The order-update socket under the simulator's faults by name, in each casing, and among legs of super orders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import pytest

from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.order_updates import DhanOrderUpdates
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.messages import BrokerOrder
from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.signal import Side
from workbench.core.super_order import SuperTicket
from workbench.simulator import SimulatorConfig
from workbench.testing.broker_contract import new_id
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        running.advance(60)
        yield running


@pytest.fixture(autouse=True)
def _no_faults(simulator: RunningSimulator) -> Iterator[None]:
    yield
    simulator.clear_faults()


def bought(simulator: RunningSimulator, *, wait_for_fill: bool = True) -> tuple[DhanOrderUpdates, list[BrokerOrder]]:
    """Buy at the market through the adapter, with the order socket listening."""
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
    orders: list[BrokerOrder] = []

    async def scenario() -> DhanOrderUpdates:
        updates = DhanOrderUpdates(simulator.updates_url, simulator.client_id, simulator.token)
        task = asyncio.create_task(updates.run(orders.append, lambda *_: None))
        async with asyncio.timeout(10):
            while not simulator.simulator.updates.listeners:  # the login has no answer
                await asyncio.sleep(0.005)
            reply = await asyncio.to_thread(broker.place, ticket)
            await asyncio.to_thread(simulator.advance, 3)
            booked = await asyncio.to_thread(broker.order, reply.order_id)
            assert booked is not None
            assert booked.state is OrderState.FILLED, "the book knows it, whatever the socket tells"
            while wait_for_fill and not any(order.state is OrderState.FILLED for order in orders):
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return updates

    return asyncio.run(scenario()), orders


@pytest.mark.parametrize("casing", ["pascal", "camel", "both"])
def test_an_order_is_told_alike_in_each_casing(casing: str) -> None:
    with running_simulator(config=SimulatorConfig(update_casing=casing)) as simulator:
        simulator.open_market()
        updates, orders = bought(simulator)
    assert (updates.malformed, updates.other, updates.legs) == (0, 0, 0)
    assert orders[-1].filled_quantity == orders[-1].quantity > 0
    assert {order.correlation_id for order in orders} == {orders[0].correlation_id} != {""}


@pytest.mark.parametrize("kind", ["updates_doubled", "updates_reordered", "updates_delayed"])
def test_s1_updates_that_are_doubled_late_or_out_of_order_are_all_readable(
    simulator: RunningSimulator, kind: str
) -> None:
    simulator.fault(kind, count=2, seconds=0.1)
    updates, orders = bought(simulator)
    assert updates.malformed == 0
    assert len({order.order_id for order in orders}) == 1
    if kind == "updates_doubled":
        assert orders[0] == orders[1]


def test_s1_updates_that_are_dropped_leave_the_truth_in_the_book(simulator: RunningSimulator) -> None:
    simulator.fault("updates_dropped", count=20)
    _, orders = bought(simulator, wait_for_fill=False)
    assert orders == []


def test_legs_of_a_super_order_are_told_as_orders_without_our_id(simulator: RunningSimulator) -> None:
    option = simulator.option()
    broker = DhanBroker(
        DhanClient(simulator.base_url, simulator.client_id, simulator.token, Endpoint.ORDERS),
        lambda: simulator.simulator.now,
    )
    ask = simulator.quote(option).ask
    ticket = SuperTicket(
        correlation_id=new_id(),
        instrument=option,
        side=Side.BUY,
        quantity=option.lot,
        product=Product.INTRADAY,
        price=ask + Decimal(5),
        target_price=ask + Decimal(40),
        stop_price=ask - Decimal(40),
    )
    orders: list[BrokerOrder] = []

    async def scenario() -> tuple[str, int]:
        updates = DhanOrderUpdates(simulator.updates_url, simulator.client_id, simulator.token)
        task = asyncio.create_task(updates.run(orders.append, lambda *_: None))
        async with asyncio.timeout(10):
            while not simulator.simulator.updates.listeners:
                await asyncio.sleep(0.005)
            reply = await asyncio.to_thread(broker.supers.place, ticket)
            await asyncio.to_thread(simulator.advance, 3)
            while updates.legs < 2:
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert updates.malformed == 0
        return reply.order_id, updates.legs

    entry, _ = asyncio.run(scenario())
    assert {order.side for order in orders if order.order_id == entry} == {Side.BUY}
    legs = [order for order in orders if order.order_id != entry]
    assert {order.side for order in legs} == {Side.SELL}
    assert {order.correlation_id for order in legs} == {""}
