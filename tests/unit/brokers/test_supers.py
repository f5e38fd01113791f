"""Super orders in Dhan's words, and what is confirmed by reading back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from workbench.brokers.dhan import supers
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.supers import DhanSuperOrders, super_from_row
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.account import ControlReply
from workbench.core.errors import BrokerUnavailable, CorruptData
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.messages import Outcome
from workbench.core.order import OrderState, Product
from workbench.core.signal import Side
from workbench.core.super_order import SuperLegName, SuperTicket
from workbench.testing.wire_stub import Received, Reply, WireStub, http

OPTION = Instrument(segment=Segment.NSE_FNO, security_id="55796", symbol="NIFTY", kind=InstrumentKind.OPTION, lot=65)
TICKET = SuperTicket(
    correlation_id="s1",
    instrument=OPTION,
    side=Side.BUY,
    quantity=65,
    product=Product.INTRADAY,
    price=Decimal("100.00"),
    target_price=Decimal("120.00"),
    stop_price=Decimal("90.00"),
    trail_by=Decimal("1.00"),
)


def row(**changed: Any) -> dict[str, Any]:
    """A list item as the documents show it, with their spelling."""
    legs = {
        "STOP_LOSS_LEG": {"price": 90.0, "orderStatus": "PENDING"},
        "TARGET_LEG": {"price": 120.0, "orderStatus": "PENDING"},
    }
    for name, leg in legs.items():
        leg.update(changed.pop(name, {}))
    details = [
        {
            "orderId": f"7-{name}",
            "legName": name,
            "transactionType": "SELL",
            "totalQuatity": 0,
            "remainingQuantity": 65,
            "triggeredQuantity": 0,
            "trailingJump": 1.0,
            **leg,
        }
        for name, leg in legs.items()
    ]
    return {
        "dhanClientId": "1000000001",
        "orderId": "7",
        "correlationId": "s1",
        "orderStatus": "PENDING",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "securityId": "55796",
        "quantity": 65,
        "remainingQuantity": 65,
        "filledQty": 0,
        "price": 100.0,
        "ltp": 101.0,
        "legName": "ENTRY_LEG",
        "trailingJump": 1.0,
        "legDetails": details,
        **changed,
    }


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireStub]:
    monkeypatch.setattr(supers, "PATIENCE_S", 0.3)
    with WireStub() as server:
        yield server


def orders_of(stub: WireStub) -> DhanSuperOrders:
    return DhanSuperOrders(DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, timeouts_s=(0.3, 0.3)))


def answering(stub: WireStub, write: Reply, listed: dict[str, Any]) -> None:
    stub.default = lambda request: http(200, [listed]) if request.method == "GET" else write


def writes(stub: WireStub) -> list[Received]:
    return [request for request in stub.requests if request.method != "GET"]


def test_every_value_of_a_super_order_is_sent(stub: WireStub) -> None:
    stub.replies.append(http(200, {"orderId": "7", "orderStatus": "TRANSIT"}))
    reply = orders_of(stub).place(TICKET)
    assert (reply.outcome, reply.order_id, reply.state) == (Outcome.ACCEPTED, "7", OrderState.ACCEPTED)
    assert stub.requests[0].path == "/v2/super/orders"
    assert stub.requests[0].document() == {
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "securityId": "55796",
        "quantity": 65,
        "price": 100.0,
        "targetPrice": 120.0,
        "stopLossPrice": 90.0,
        "trailingJump": 1.0,
        "correlationId": "s1",
        "dhanClientId": "1000000001",
    }


@pytest.mark.parametrize(
    "ticket", [replace(TICKET, price=Decimal(0)), replace(TICKET, quantity=66), replace(TICKET, correlation_id="a b")]
)
def test_r20_a_super_order_that_breaks_a_rule_does_not_leave(stub: WireStub, ticket: SuperTicket) -> None:
    orders = orders_of(stub)
    assert orders.place(ticket).outcome is Outcome.NOT_SENT
    assert stub.connections == 0


def test_r20_new_terms_that_break_a_rule_do_not_leave(stub: WireStub) -> None:
    assert orders_of(stub).change_entry("7", replace(TICKET, quantity=66)).outcome is Outcome.NOT_SENT
    assert stub.connections == 0


def test_a_change_that_cannot_be_read_back_is_not_confirmed(stub: WireStub) -> None:
    stub.default = lambda request: http(400, {}) if request.method == "GET" else http(200, {"orderId": "7"})
    reply = orders_of(stub).change_stop("7", TICKET)
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)
    assert "super orders cannot be read" in reply.reason


def test_r1_an_unanswered_super_order_is_unknown_and_sent_once(stub: WireStub) -> None:
    stub.replies.append(Reply(reset=True))
    assert orders_of(stub).place(TICKET).outcome is Outcome.UNKNOWN
    assert len(stub.requests) == 1


def test_a_moved_stop_keeps_its_trail_and_is_read_back(stub: WireStub) -> None:
    answering(stub, http(200, {"orderId": "7", "orderStatus": "PENDING"}), row(STOP_LOSS_LEG={"price": 95.0}))
    reply = orders_of(stub).change_stop("7", replace(TICKET, stop_price=Decimal("95.00")))
    assert reply == ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)
    assert writes(stub)[0].document() == {
        "orderId": "7",
        "legName": "STOP_LOSS_LEG",
        "stopLossPrice": 95.0,
        "trailingJump": 1.0,
        "dhanClientId": "1000000001",
    }


def test_a_moved_entry_sends_every_value(stub: WireStub) -> None:
    answering(stub, http(200, {"orderId": "7", "orderStatus": "PENDING"}), row(price=101.0))
    reply = orders_of(stub).change_entry("7", replace(TICKET, price=Decimal("101.00")))
    assert reply.confirmed
    sent = writes(stub)[0].document()
    assert (sent["price"], sent["targetPrice"], sent["stopLossPrice"], sent["trailingJump"]) == (
        101.0,
        120.0,
        90.0,
        1.0,
    )


def test_a_move_that_the_list_does_not_show_is_accepted_but_not_confirmed(stub: WireStub) -> None:
    answering(stub, http(200, {"orderId": "7", "orderStatus": "PENDING"}), row())
    reply = orders_of(stub).change_target("7", replace(TICKET, target_price=Decimal("130.00")))
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)
    assert "the target is at 120.0" in reply.reason
    assert len(writes(stub)) == 1


def test_a_cancellation_without_a_body_is_confirmed_by_the_list_alone(stub: WireStub) -> None:
    answering(stub, http(202, b""), row(orderStatus="CANCELLED"))
    assert orders_of(stub).cancel("7") == ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)
    assert writes(stub)[0].path == "/v2/super/orders/7/ENTRY_LEG"


def test_a_cancelled_leg_is_looked_for_by_its_name(stub: WireStub) -> None:
    answering(stub, http(202, b""), row(TARGET_LEG={"orderStatus": "CANCELLED"}))
    orders = orders_of(stub)
    assert orders.cancel("7", SuperLegName.TARGET).confirmed
    reply = orders.cancel("7", SuperLegName.STOP)
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)
    assert "the stop is working" in reply.reason


def test_a_leg_that_the_list_does_not_show_is_not_taken_for_cancelled(stub: WireStub) -> None:
    answering(stub, http(202, b""), {**row(), "legDetails": []})
    reply = orders_of(stub).cancel("7", SuperLegName.STOP)
    assert (reply.outcome, reply.confirmed) == (Outcome.ACCEPTED, False)
    assert "is not in the list" in reply.reason


def test_a_lost_answer_to_a_cancellation_is_cleared_by_the_list(stub: WireStub) -> None:
    answering(stub, Reply(reset=True), row(orderStatus="CANCELLED"))
    assert orders_of(stub).cancel("7") == ControlReply(outcome=Outcome.ACCEPTED, confirmed=True)
    assert len(writes(stub)) == 1


def test_a_lost_answer_that_the_list_does_not_clear_stays_unknown(stub: WireStub) -> None:
    answering(stub, Reply(reset=True), row())
    reply = orders_of(stub).cancel("7")
    assert (reply.outcome, reply.confirmed) == (Outcome.UNKNOWN, False)


def test_a_refusal_in_dhans_words_needs_no_reading_back(stub: WireStub) -> None:
    stub.default = lambda _: http(400, {"errorCode": "DH-906", "errorMessage": "Order is already CANCELLED"})
    assert orders_of(stub).cancel("7").outcome is Outcome.REJECTED
    assert len(stub.requests) == 1


def test_a_list_item_is_entry_and_legs() -> None:
    order = super_from_row(row(orderStatus="CLOSED", filledQty=65, STOP_LOSS_LEG={"orderStatus": "TRIGGERED"}))
    stop, target = order.leg(SuperLegName.STOP), order.leg(SuperLegName.TARGET)
    assert (order.entry.state, order.is_closed) == (OrderState.FILLED, True)
    assert stop is not None and target is not None
    assert (stop.price, stop.trail_by, stop.side, stop.raw_status) == (Decimal(90), Decimal(1), Side.SELL, "TRIGGERED")
    assert (target.state, target.remaining_quantity) == (OrderState.WORKING, 65)


@pytest.mark.parametrize("status", ["ACTIVE", "DUMMY", "INACTIVE", "TRIGGERED", "pending", "Never_Heard"])
def test_a_leg_is_done_only_when_dhan_says_so(status: str) -> None:
    stop = super_from_row(row(STOP_LOSS_LEG={"orderStatus": status})).leg(SuperLegName.STOP)
    assert stop is not None and not stop.state.is_done


@pytest.mark.parametrize("broken", [{"legDetails": "x"}, {"legDetails": [{"legName": "FOURTH"}]}, {"quantity": None}])
def test_a_row_that_is_not_understood_makes_the_list_unreadable(stub: WireStub, broken: dict[str, Any]) -> None:
    with pytest.raises(CorruptData):
        super_from_row({**row(), **broken})
    stub.default = lambda _: http(200, [{**row(), **broken}])
    with pytest.raises(BrokerUnavailable):
        orders_of(stub).all()
