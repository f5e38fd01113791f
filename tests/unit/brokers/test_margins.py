"""Margins and holdings in all the shapes that Dhan is known to give them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.core.test_order_rules import ENTRY, STOP
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.margins import DhanMargins
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.errors import BrokerUnavailable
from workbench.testing.wire_stub import Reply, WireStub, http

DOCUMENTED = {
    "totalMargin": 2800.0,
    "spanMargin": 1200.0,
    "exposureMargin": 1003.0,
    "availableBalance": 10500.0,
    "variableMargin": 1000.0,
    "insufficientBalance": 0.0,
    "brokerage": 20.0,
    "leverage": "4.00",
}


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def margins_of(stub: WireStub) -> DhanMargins:
    return DhanMargins(DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, timeouts_s=(0.3, 0.3)))


def test_the_margin_of_an_order(stub: WireStub) -> None:
    stub.replies.append(http(200, DOCUMENTED))
    margin = margins_of(stub).margin(STOP)
    assert (margin.total, margin.available, margin.brokerage) == (Decimal(2800), Decimal(10500), Decimal(20))
    assert stub.requests[0].path == "/v2/margincalculator"
    assert stub.requests[0].document()["triggerPrice"] == 90.5


@pytest.mark.parametrize(
    "body",
    [
        {"total_margin": "2500.00", "span_margin": "1500.00", "hedge_benefit": "300.00"},
        {"totalMargin": 2500.0, "spanMargin": 1500.0, "hedgeBenefit": 300.0},
        {"status": "success", "data": {"total_margin": "2500.00", "span_margin": "1500.00", "hedge_benefit": "300.00"}},
    ],
)
def test_the_margin_of_a_basket_in_either_of_the_documented_shapes(stub: WireStub, body: dict[str, Any]) -> None:
    stub.replies.append(http(200, body))
    margin = margins_of(stub).basket_margin([ENTRY, STOP], with_positions=True)
    assert (margin.total, margin.span, margin.hedge_benefit) == (Decimal(2500), Decimal(1500), Decimal(300))
    assert margin.available is None
    sent = stub.requests[0].document()
    assert (sent["includePosition"], sent["includeOrder"], len(sent["scripList"])) == (True, False, 2)
    assert sent["scripList"][0]["transactionType"] == "BUY"


@pytest.mark.parametrize(
    "reply",
    [
        http(200, {}),
        http(200, []),
        http(200, {"totalMargin": None}),
        http(200, {"totalMargin": "much"}),
        http(200, [{"message": "no", "status": "ERROR"}]),
        http(400, {"errorCode": "DH-905", "errorMessage": "bad"}),
        http(200, b""),
    ],
)
def test_a_margin_that_cannot_be_read_is_never_zero(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    with pytest.raises(BrokerUnavailable, match="margin cannot be read"):
        margins_of(stub).margin(ENTRY)


def test_no_holdings_is_an_answer_and_not_a_failure(stub: WireStub) -> None:
    error = {"errorType": "HOLDING_ERROR", "errorCode": "DH-1111", "errorMessage": "No holdings available"}
    stub.replies.append(http(500, error))
    assert margins_of(stub).holdings() == ()
    assert len(stub.requests) == 1


@pytest.mark.parametrize("reply", [http(400, {"errorCode": "DH-905"}), http(200, [{"totalQty": 1}]), http(200, {})])
def test_holdings_that_cannot_be_read_are_not_empty(stub: WireStub, reply: Reply) -> None:
    stub.replies.append(reply)
    with pytest.raises(BrokerUnavailable, match="holdings cannot be read"):
        margins_of(stub).holdings()


@pytest.mark.shared
def test_recorded_margins_and_holdings_are_read_as_what_they_are(stub: WireStub, shared_data: Path) -> None:
    def body(name: str) -> Any:
        recorded = yaml.safe_load((shared_data / "dhan-recorded" / f"{name}.yml").read_text(encoding="utf-8"))
        return json.loads(recorded["http_interactions"][-1]["response"]["body"]["string"])

    stub.replies += [http(200, body("models/margin")), http(200, body("models/holdings"))]
    margins = margins_of(stub)
    assert margins.margin(ENTRY).total == Decimal(1000)
    (holding,) = margins.holdings()
    assert (holding.trading_symbol, holding.quantity, holding.average_price) == ("NIFTYBEES", 2, Decimal("252.05"))
