"""Super orders, controls and margins of our adapter against the simulator, over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.contract.test_dhan_broker import SimulatorVenue
from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.account import Conversion, KillSwitch, PnlExit
from workbench.core.messages import Outcome
from workbench.core.money import snap_to_tick
from workbench.core.order import OrderState, Product
from workbench.core.ports import WriteReply
from workbench.core.signal import Side
from workbench.core.super_order import SuperLegName, SuperOrder, SuperTicket
from workbench.simulator import SimulatorConfig
from workbench.testing.broker_contract import eventually, marketable, new_id, resting, wait_for_state
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture
def venue() -> Iterator[SimulatorVenue]:
    with running_simulator() as running:
        running.open_market()
        running.advance(60)
        yield SimulatorVenue(running)


def super_ticket(venue: SimulatorVenue, part: str) -> SuperTicket:
    """A long super order that fills at once at 1.03, or rests at 0.9 of the ask."""
    tick = venue.instrument.tick
    price = snap_to_tick(venue.touch().ask * Decimal(part), tick)
    return SuperTicket(
        correlation_id=new_id(),
        instrument=venue.instrument,
        side=Side.BUY,
        quantity=venue.instrument.lot,
        product=Product.INTRADAY,
        price=price,
        target_price=snap_to_tick(price * Decimal("1.8"), tick),
        stop_price=snap_to_tick(price * Decimal("0.5"), tick),
        trail_by=40 * tick,
    )


def super_of(venue: SimulatorVenue, order_id: str) -> SuperOrder:
    return next(each for each in venue.broker.supers.all() if each.entry.order_id == order_id)


def test_a_super_order_fills_and_its_stop_is_moved_with_its_trail(venue: SimulatorVenue) -> None:
    ticket = super_ticket(venue, "1.03")
    reply = venue.broker.supers.place(ticket)
    assert reply.outcome is Outcome.ACCEPTED
    wait_for_state(venue, reply.order_id, OrderState.FILLED)
    venue.settle()
    moved = replace(ticket, stop_price=ticket.stop_price + 20 * venue.instrument.tick)
    assert venue.broker.supers.change_stop(reply.order_id, moved).confirmed
    stop = super_of(venue, reply.order_id).leg(SuperLegName.STOP)
    assert stop is not None
    assert (stop.price, stop.trail_by, stop.side) == (moved.stop_price, ticket.trail_by, Side.SELL)


def test_a_super_order_that_rests_is_changed_and_cancelled_with_all_its_legs(venue: SimulatorVenue) -> None:
    ticket = super_ticket(venue, "0.9")
    order_id = venue.broker.supers.place(ticket).order_id
    wait_for_state(venue, order_id, OrderState.WORKING)
    dearer = replace(ticket, price=ticket.price + venue.instrument.tick, quantity=2 * ticket.quantity)
    assert venue.broker.supers.change_entry(order_id, dearer).confirmed
    assert venue.broker.supers.cancel(order_id).confirmed
    order = super_of(venue, order_id)
    assert order.entry.state is OrderState.CANCELLED
    assert [leg.state for leg in order.legs] == [OrderState.CANCELLED] * 2
    again = venue.broker.supers.cancel(order_id)
    assert (again.outcome, bool(again.reason)) == (Outcome.REJECTED, True)


def test_r18_a_leg_that_was_cancelled_alone_is_gone_and_cannot_be_moved(venue: SimulatorVenue) -> None:
    ticket = super_ticket(venue, "1.03")
    order_id = venue.broker.supers.place(ticket).order_id
    wait_for_state(venue, order_id, OrderState.FILLED)
    assert venue.broker.supers.cancel(order_id, SuperLegName.STOP).confirmed
    stop = super_of(venue, order_id).leg(SuperLegName.STOP)
    assert stop is None or stop.state is OrderState.CANCELLED
    assert venue.broker.supers.change_stop(order_id, ticket).outcome is Outcome.REJECTED


def test_the_kill_switch_is_refused_while_an_order_rests_and_taken_when_all_is_flat(venue: SimulatorVenue) -> None:
    control = venue.broker.control
    wait_for_state(venue, venue.broker.place(resting(venue)).order_id, OrderState.WORKING)
    wait_for_state(venue, venue.broker.place(marketable(venue, venue.instrument.lot)).order_id, OrderState.FILLED)
    refused = control.switch(KillSwitch.ON)
    assert (refused.outcome, bool(refused.reason)) == (Outcome.REJECTED, True)
    assert control.kill_switch() is KillSwitch.OFF
    left = control.exit_all(patience_s=0.0)
    assert left.outcome is Outcome.ACCEPTED
    eventually(venue, lambda: control.exit_all(patience_s=0.0).confirmed or None)
    assert control.switch(KillSwitch.ON).confirmed
    assert control.kill_switch() is KillSwitch.ON
    reply = venue.broker.place(resting(venue))
    if reply.outcome is Outcome.ACCEPTED:
        assert wait_for_state(venue, reply.order_id, OrderState.REJECTED).reason
    else:
        assert (reply.outcome, bool(reply.reason)) == (Outcome.REJECTED, True)


def test_the_pnl_exit_is_set_read_and_stopped(venue: SimulatorVenue) -> None:
    control = venue.broker.control
    assert control.pnl_exit() is None
    wish = PnlExit(profit=Decimal(500_000), loss=Decimal(12_000), products=("INTRADAY", "DELIVERY"))
    assert control.set_pnl_exit(wish).confirmed
    found = control.pnl_exit()
    assert found is not None
    assert (found.profit, found.loss, set(found.products)) == (wish.profit, wish.loss, set(wish.products))
    assert control.stop_pnl_exit().confirmed
    assert control.pnl_exit() is None


def test_a_position_changes_its_product(venue: SimulatorVenue) -> None:
    wait_for_state(venue, venue.broker.place(marketable(venue, venue.instrument.lot)).order_id, OrderState.FILLED)
    wish = Conversion(
        segment=venue.instrument.segment.value,
        security_id=venue.instrument.security_id,
        quantity=venue.instrument.lot,
        is_long=True,
        before=Product.INTRADAY,
        after=Product.MARGIN,
    )
    assert venue.broker.control.convert(wish).confirmed
    held = {each.product: each.net_quantity for each in venue.broker.snapshot().positions}
    assert held["MARGIN"] == venue.instrument.lot


def test_margins_of_an_order_and_of_a_basket_and_no_holdings(venue: SimulatorVenue) -> None:
    ticket = resting(venue)
    one = venue.broker.margins.margin(ticket)
    both = venue.broker.margins.basket_margin([ticket, ticket])
    assert one.total == ticket.price * ticket.quantity
    assert both.total == 2 * one.total
    assert one.available is not None and one.available > 0
    assert venue.broker.margins.holdings() == ()


def test_r2_in_a_burst_of_entries_exits_go_at_once_and_dhan_never_says_too_fast() -> None:
    """The simulator counts in Dhan's windows, four times as fast as in reality to save time."""
    with running_simulator(config=SimulatorConfig(rate_scale=4.0)) as running:
        running.open_market()
        running.advance(60)
        venue = SimulatorVenue(running)
        broker = paced(running, Pace(scale=4.0))
        entries, exits = [resting(venue) for _ in range(50)], [resting(venue) for _ in range(2)]
        resting_ids = [broker.place(ticket).order_id for ticket in exits]
        replies: list[WriteReply] = []
        lane = threading.Thread(target=lambda: replies.extend(broker.place(ticket) for ticket in entries))
        lane.start()
        waits = []
        for order_id in resting_ids:
            began = time.monotonic()
            assert broker.cancel(order_id).outcome is Outcome.ACCEPTED
            waits.append(time.monotonic() - began)
        lane.join()
    assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED] * 50
    assert not any(reply.throttled for reply in replies)
    assert max(waits) < 1.0


def test_r2_entries_that_outrun_dhan_are_throttled_by_it_and_pause_afterwards() -> None:
    """Without windows of our own (another program may use the same account) its 429 is read for what it is."""
    with running_simulator(config=SimulatorConfig(rate_scale=0.1)) as running:
        running.open_market()
        running.advance(60)
        venue = SimulatorVenue(running)
        pace = Pace.unlimited()
        broker = paced(running, pace)
        tickets = [resting(venue) for _ in range(11)]
        replies = [broker.place(ticket) for ticket in tickets]
        assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED] * 10 + [Outcome.REJECTED]
        assert (replies[10].throttled, venue.true_orders(tickets[10].correlation_id)) == (True, [])
        assert "the broker refused the pace of orders" in pace.entry_turn(patience_s=0.0)


def paced(running: RunningSimulator, pace: Pace) -> DhanBroker:
    client = DhanClient(running.base_url, running.client_id, running.token, Endpoint.ORDERS)
    return DhanBroker(client, lambda: running.simulator.now, pace=pace)
