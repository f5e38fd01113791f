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


@pytest.mark.parametrize(
    ("kind", "is_after", "outcome"),
    [
        pytest.param("reset_before", False, Outcome.UNKNOWN, id="R5_reset_before"),
        pytest.param("http_500", False, Outcome.UNKNOWN, id="R3_500_before"),
        pytest.param("http_500", True, Outcome.UNKNOWN, id="R3_500_after"),
        pytest.param("http_502", True, Outcome.UNKNOWN, id="R3_502_after"),
        pytest.param("http_503", True, Outcome.UNKNOWN, id="R3_503_after"),
        pytest.param("http_504", True, Outcome.UNKNOWN, id="R3_504_after"),
        pytest.param("html_body", False, Outcome.UNKNOWN, id="R4_html_before"),
        pytest.param("html_body", True, Outcome.UNKNOWN, id="R4_html_after"),
        pytest.param("truncated_body", True, Outcome.UNKNOWN, id="R4_truncated"),
        pytest.param("empty_202", True, Outcome.UNKNOWN, id="R4_empty_202"),
        pytest.param("lost_reply", True, Outcome.UNKNOWN, id="R1_lost_reply"),
        pytest.param("timeout_after_accept", True, Outcome.UNKNOWN, id="R1_timeout"),
        pytest.param("wrong_ip", False, Outcome.REJECTED, id="R8_wrong_ip"),
        pytest.param("http_429", False, Outcome.REJECTED, id="R2_429"),
    ],
)
def test_a_fault_on_the_wire_ends_as_what_it_proves_and_leaves_one_order_at_most(
    venue: SimulatorVenue, kind: str, is_after: bool, outcome: Outcome
) -> None:
    ticket = resting(venue)
    options: dict[str, object] = {"seconds": 1.0} if kind == "timeout_after_accept" else {}
    if is_after and kind.startswith(("http", "html")):
        options["after"] = True
    venue.simulator.fault(kind, match="POST /orders", **options)
    assert venue.broker.place(ticket).outcome is outcome
    assert len(venue.true_orders(ticket.correlation_id)) == int(is_after)
    if is_after:
        found = eventually(venue, lambda: venue.broker.order_by_correlation(ticket.correlation_id))
        assert found.quantity == ticket.quantity
    else:
        assert venue.broker.order_by_correlation(ticket.correlation_id) is None
    assert venue.broker.snapshot().known


def test_r9_an_order_stuck_in_transit_is_accepted_not_working_and_cannot_be_looked_up(venue: SimulatorVenue) -> None:
    ticket = resting(venue)
    venue.simulator.fault("stuck_in_transit", seconds=3.0)
    reply = venue.broker.place(ticket)
    assert (reply.outcome, reply.state) == (Outcome.ACCEPTED, OrderState.ACCEPTED)
    assert venue.broker.order_by_correlation(ticket.correlation_id) is None
    seen = next(order for order in venue.broker.snapshot().orders if order.order_id == reply.order_id)
    assert (seen.state, seen.correlation_id) == (OrderState.ACCEPTED, ticket.correlation_id)
    cancelled = venue.broker.cancel(reply.order_id)
    assert cancelled.outcome is Outcome.REJECTED
    assert "Transit" in cancelled.reason
    wait_for_state(venue, reply.order_id, OrderState.WORKING)


def test_an_order_rejected_after_its_acknowledgement_is_found_rejected_with_its_words(venue: SimulatorVenue) -> None:
    venue.simulator.fault("reject_after_ack")
    reply = venue.broker.place(resting(venue))
    assert reply.outcome is Outcome.ACCEPTED
    assert wait_for_state(venue, reply.order_id, OrderState.REJECTED).reason


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
