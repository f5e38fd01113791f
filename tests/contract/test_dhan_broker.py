"""The broker contract: our adapter and the official library against the simulator, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.transport import READ_ATTEMPTS, Endpoint
from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.messages import Outcome, WriteKind
from workbench.core.order import OrderChange, OrderState, OrderType
from workbench.testing.broker_contract import BrokerContract, eventually, marketable, resting, wait_for_state
from workbench.testing.simulator import RunningSimulator, running_simulator
from workbench.testing.wire_stub import free_port

QUICK_S = (0.5, 0.5)
REQUESTS = {WriteKind.PLACE: "POST /orders", WriteKind.MODIFY: "PUT /orders", WriteKind.CANCEL: "DELETE /orders"}


class SimulatorVenue:
    """The simulator, standing still but for `settle`."""

    def __init__(self, simulator: RunningSimulator, endpoint: Endpoint = Endpoint.ORDERS) -> None:
        self.simulator = simulator
        self.instrument: Instrument = simulator.option(steps=-2)
        self.broker = self.connect(simulator.base_url, endpoint)

    def connect(self, url: str, endpoint: Endpoint = Endpoint.ORDERS) -> DhanBroker:
        """Another connection of the same account."""
        client = DhanClient(url, self.simulator.client_id, self.simulator.token, endpoint, timeouts_s=QUICK_S)
        return DhanBroker(client, lambda: self.simulator.simulator.now)

    def touch(self) -> Quote:
        """Best prices now."""
        return self.simulator.quote(self.instrument)

    def settle(self) -> None:
        """One market second."""
        self.simulator.advance(1)

    def true_orders(self, correlation_id: str) -> list[Mapping[str, Any]]:
        """From the simulator's own book."""
        book: Any = self.simulator.call(self.simulator.simulator.book)
        return [order for order in book["orders"] if order["correlationId"] == correlation_id]

    def withhold_next_reply(self) -> None:
        """The order is taken in, and the answer comes after our patience."""
        self.simulator.fault("timeout_after_accept", seconds=1.0)

    def lose_next(self, kind: WriteKind, count: int) -> None:
        """A server error before the broker has looked at them."""
        self.simulator.fault("http_500", match=REQUESTS[kind], count=count)

    def throttle_next(self, kind: WriteKind) -> None:
        """Too many requests, in Dhan's own words."""
        self.simulator.fault("http_429", match=REQUESTS[kind])

    def lag_look_up_of_next_order(self) -> None:
        """The look-up answers for a second as for an order in transit."""
        self.simulator.fault("lagging_lookup", seconds=1.0)

    def break_next_read(self, path: str) -> None:
        """A server error."""
        self.simulator.fault("http_500", match=f"GET {path}", count=READ_ATTEMPTS)

    def deserted(self) -> DhanBroker:
        """A port without a listener."""
        return self.connect(f"http://127.0.0.1:{free_port()}/v2")


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        running.advance(60)
        yield running


@pytest.fixture
def venue(simulator: RunningSimulator) -> SimulatorVenue:
    return SimulatorVenue(simulator)


class TestDhanBrokerOnTheSimulator(BrokerContract):
    """The published suite."""


def test_r1_a_reply_lost_to_a_hang_up_is_unknown_and_the_order_is_there_once(venue: SimulatorVenue) -> None:
    ticket = resting(venue)
    venue.simulator.fault("lost_reply")
    assert venue.broker.place(ticket).outcome is Outcome.UNKNOWN
    assert eventually(venue, lambda: venue.broker.order_by_correlation(ticket.correlation_id))
    assert len(venue.true_orders(ticket.correlation_id)) == 1


@pytest.mark.parametrize("write", ["modify", "cancel"])
def test_r6_a_modification_or_cancellation_whose_reply_is_lost_is_not_repeated(
    venue: SimulatorVenue, write: str
) -> None:
    ticket = resting(venue)
    order_id = venue.broker.place(ticket).order_id
    wait_for_state(venue, order_id, OrderState.WORKING)
    venue.simulator.fault("lost_reply", match="PUT /orders" if write == "modify" else "DELETE /orders")
    if write == "cancel":
        assert venue.broker.cancel(order_id).outcome is Outcome.UNKNOWN
        wait_for_state(venue, order_id, OrderState.CANCELLED)
    else:
        change = OrderChange(order_type=OrderType.LIMIT, quantity=2 * ticket.quantity, price=ticket.price)
        assert venue.broker.modify(order_id, ticket, change).outcome is Outcome.UNKNOWN
        seen = wait_for_state(venue, order_id, OrderState.WORKING)
        assert seen.quantity == 2 * ticket.quantity


def test_r2_a_rate_limit_in_dhans_words_is_a_rejection_and_nothing_rests(venue: SimulatorVenue) -> None:
    ticket = resting(venue)
    venue.simulator.fault("http_429")
    reply = venue.broker.place(ticket)
    assert (reply.outcome, reply.reason.split()[0]) == (Outcome.REJECTED, "DH-904")
    assert venue.true_orders(ticket.correlation_id) == []


def test_r3_an_internal_error_is_unknown(venue: SimulatorVenue) -> None:
    venue.simulator.fault("http_500")
    assert venue.broker.place(resting(venue)).outcome is Outcome.UNKNOWN


def test_an_rms_rejection_comes_after_the_acceptance_with_its_words(venue: SimulatorVenue) -> None:
    venue.simulator.fault("reject")
    reply = venue.broker.place(resting(venue))
    assert reply.outcome is Outcome.ACCEPTED
    seen = wait_for_state(venue, reply.order_id, OrderState.REJECTED)
    assert seen.reason.startswith("RMS:")


def test_i6_a_data_connection_leaves_no_order_behind(simulator: RunningSimulator) -> None:
    paper = SimulatorVenue(simulator, Endpoint.DATA)
    ticket = marketable(paper, paper.instrument.lot)
    reply = paper.broker.place(ticket)
    assert reply.outcome is Outcome.NOT_SENT
    assert "nothing was sent" in reply.reason
    assert paper.true_orders(ticket.correlation_id) == []


def test_r7_a_wrong_token_is_told_and_a_right_one_heals(venue: SimulatorVenue) -> None:
    refusals: list[str] = []
    client = DhanClient(venue.simulator.base_url, venue.simulator.client_id, "old", Endpoint.ORDERS)
    broker = DhanBroker(client, lambda: venue.simulator.simulator.now, on_token_refused=refusals.append)
    assert broker.place(resting(venue)).outcome is Outcome.REJECTED
    assert not broker.snapshot().known
    assert [reason.split()[0] for reason in refusals] == ["DH-901"]
    broker.renew_token(venue.simulator.token)
    assert broker.snapshot().known
