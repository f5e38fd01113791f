"""Dhan's rows in our words, from the documentation's shapes and, where found, from recorded answers of the real API."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.brokers.dhan.rows import (
    funds_from_row,
    legs_apart,
    order_from_row,
    order_from_update,
    position_from_row,
    state_of,
    trade_from_row,
)
from workbench.core.errors import CorruptData
from workbench.core.order import LegAddress, OrderState, SuperLegName
from workbench.core.session import IST
from workbench.core.signal import Side

ORDER: dict[str, Any] = {
    "dhanClientId": "1000000001",
    "orderId": "112111182198",
    "exchangeOrderId": "1400000000404591",
    "correlationId": "abc",
    "orderStatus": "PART_TRADED",
    "transactionType": "BUY",
    "exchangeSegment": "NSE_FNO",
    "productType": "INTRADAY",
    "orderType": "LIMIT",
    "validity": "DAY",
    "securityId": "55796",
    "quantity": 130,
    "price": 152.3,
    "triggerPrice": 0.0,
    "createTime": "2026-11-20 10:01:02",
    "updateTime": "2026-11-20 10:01:03",
    "exchangeTime": "0001-01-01 00:00:00",
    "omsErrorDescription": "CONFIRMED",
    "remainingQuantity": 65,
    "averageTradedPrice": 152.05,
    "filledQty": 65,
}
UPDATE: dict[str, Any] = {
    "Exchange": "NSE",
    "Segment": "D",
    "SecurityId": "55796",
    "ClientId": "1000000001",
    "OrderNo": "1124091136546",
    "TxnType": "S",
    "OrderType": "SL",
    "Quantity": 65,
    "TradedQty": 0,
    "RemainingQuantity": 65,
    "Price": 152.3,
    "TriggerPrice": 152.5,
    "TradedPrice": 0,
    "AvgTradedPrice": 0,
    "LastUpdatedTime": "2026-11-20 10:01:02",
    "ReasonDescription": "CONFIRMED",
    "Status": "PENDING",
    "CorrelationId": "abc",
}


def test_an_order_row_is_read_exactly() -> None:
    order = order_from_row(ORDER)
    assert (order.order_id, order.correlation_id, order.state) == ("112111182198", "abc", OrderState.PARTLY_FILLED)
    assert (order.quantity, order.filled_quantity, order.side) == (130, 65, Side.BUY)
    assert (order.price, order.average_price) == (Decimal("152.3"), Decimal("152.05"))
    assert order.updated_at == datetime(2026, 11, 20, 10, 1, 3, tzinfo=IST)
    assert order.reason == ""


@pytest.mark.parametrize(
    ("status", "quantity", "filled", "state"),
    [
        ("TRANSIT", 65, 0, OrderState.ACCEPTED),
        ("PENDING", 65, 0, OrderState.WORKING),
        ("PENDING", 130, 65, OrderState.PARTLY_FILLED),
        ("Part_Traded", 130, 65, OrderState.PARTLY_FILLED),
        ("TRADED", 130, 65, OrderState.PARTLY_FILLED),
        ("Traded", 65, 65, OrderState.FILLED),
        ("TRADED", 65, 0, OrderState.WORKING),
        ("Cancelled", 130, 65, OrderState.CANCELLED),
        ("REJECTED", 65, 0, OrderState.REJECTED),
        ("EXPIRED", 65, 0, OrderState.EXPIRED),
        ("TRANSIT", 65, 65, OrderState.FILLED),
    ],
)
def test_quantities_outweigh_the_status_word(status: str, quantity: int, filled: int, state: OrderState) -> None:
    assert state_of(status, quantity, filled) is state


def test_an_unknown_status_is_a_working_order_and_loud(caplog: pytest.LogCaptureFixture) -> None:
    order = order_from_row({**ORDER, "orderStatus": "HALF_BAKED", "filledQty": 0})
    assert (order.state, order.raw_status) == (OrderState.WORKING, "HALF_BAKED")
    assert caplog.records[0].levelname == "ERROR"
    assert "HALF_BAKED" in caplog.text


@pytest.mark.parametrize("word", ["ACTIVE", "Inactive", "DUMMY", "TRIGGERED", "Part_Traded", "CLOSED", "Modified"])
def test_no_word_without_quantities_ends_an_order(word: str, caplog: pytest.LogCaptureFixture) -> None:
    assert state_of(word, 65, 0) is OrderState.WORKING
    assert caplog.text == ""


@pytest.mark.parametrize(
    "spelt",
    [
        lambda name: name,
        lambda name: name[0].upper() + name[1:],
        lambda name: name.upper(),
        lambda name: "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name),
    ],
    ids=["camel", "pascal", "upper", "snake"],
)
def test_a_row_is_read_in_any_casing(spelt: Callable[[str], str]) -> None:
    assert order_from_row({spelt(name): value for name, value in ORDER.items()}) == order_from_row(ORDER)


def test_the_reason_is_kept_only_where_an_order_ended_badly() -> None:
    rms = "RMS:1:Order Price needs to be Circuit Limits of 1 to 2"
    rejected = {**ORDER, "orderStatus": "REJECTED", "filledQty": 0, "omsErrorDescription": rms}
    assert order_from_row(rejected).reason == rms
    assert order_from_row({**rejected, "omsErrorDescription": "CONFIRMED"}).reason == ""


def test_an_older_row_without_filled_quantity_is_read_from_the_remainder() -> None:
    row = {key: value for key, value in ORDER.items() if key != "filledQty"}
    assert order_from_row(row).filled_quantity == 65
    assert order_from_row({**row, "orderStatus": "TRADED", "remainingQuantity": 0}).filled_quantity == 130


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("orderId", None),
        ("orderId", ""),
        ("orderStatus", None),
        ("quantity", "many"),
        ("quantity", 1.5),
        ("quantity", -1),
        ("quantity", True),
        ("averageTradedPrice", "NaN"),
        ("transactionType", "HOLD"),
        ("securityId", None),
    ],
)
def test_a_row_that_lacks_what_matters_is_corrupt(field: str, value: object) -> None:
    with pytest.raises(CorruptData):
        order_from_row({**ORDER, field: value})


def test_an_error_about_a_row_does_not_show_the_client_id() -> None:
    with pytest.raises(CorruptData) as caught:
        order_from_row({**ORDER, "orderId": None})
    assert "1000000001" not in str(caught.value)


def test_an_update_is_read_in_either_casing_and_with_both() -> None:
    camel = {key[0].lower() + key[1:]: value for key, value in UPDATE.items()}
    assert order_from_update(UPDATE) == order_from_update(camel) == order_from_update({**camel, **UPDATE})
    order = order_from_update(UPDATE)
    assert (order.segment, order.security_id, order.side) == ("NSE_FNO", "55796", Side.SELL)
    assert (order.state, order.trigger_price) == (OrderState.WORKING, Decimal("152.5"))
    assert order.updated_at == datetime(2026, 11, 20, 10, 1, 2, tzinfo=IST)


def test_an_update_of_a_partial_fill_is_read_from_its_quantities() -> None:
    data = {**UPDATE, "Quantity": 130, "TradedQty": 65, "TradedPrice": 151.95, "AvgTradedPrice": 151.95}
    order = order_from_update(data)
    assert (order.state, order.filled_quantity) == (OrderState.PARTLY_FILLED, 65)
    assert order.last_fill_price == Decimal("151.95")


def test_positions_are_signed_and_funds_are_read_under_dhans_spelling() -> None:
    row = {"exchangeSegment": "NSE_FNO", "securityId": 55796, "productType": "INTRADAY", "netQty": -65}
    assert position_from_row(row).net_quantity == -65
    assert funds_from_row({"availabelBalance": 115.64}) == Decimal("115.64")
    with pytest.raises(CorruptData):
        funds_from_row({"sodLimit": 1})


def _bodies(path: Path) -> list[Any]:
    # The recorder wrote YAML 1.1 with quoted bodies.
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [json.loads(item["response"]["body"]["string"]) for item in document["http_interactions"]]


@pytest.mark.shared
def test_recorded_answers_of_the_real_api_are_read(shared_data: Path) -> None:
    folder = shared_data / "dhan-recorded" / "models"
    [book] = _bodies(folder / "orders" / "all.yml")
    order = order_from_row(book[0])
    assert (order.order_id, order.state, order.correlation_id) == ("952502167319", OrderState.WORKING, "")
    assert (order.price, order.updated_at) == (Decimal("0.36"), datetime(2025, 2, 16, 16, 4, 37, tzinfo=IST))
    [trades] = _bodies(folder / "trade_today.yml")
    read = [trade_from_row(row) for row in trades]
    assert len(read) == len(trades) > 5
    assert (read[0].quantity, read[0].price) == (1, Decimal("392.0"))
    assert read[0].time == datetime(2025, 7, 7, 9, 25, 5, tzinfo=IST)
    [funds] = _bodies(folder / "funds.yml")
    assert funds_from_row(funds) == Decimal("115.64")


@pytest.mark.parametrize(
    ("leg", "tag"), [("STOP_LOSS_LEG", ""), ("TARGET_LEG", ""), ("ENTRY_LEG", "abc"), ("NA", "abc")]
)
def test_r18_a_leg_of_a_super_order_is_never_taken_for_its_entry(leg: str, tag: str) -> None:
    assert order_from_row(ORDER | {"legName": leg}).correlation_id == tag


@pytest.mark.parametrize("name", ["STOP_LOSS_LEG", "TARGET_LEG"])
def test_p1_a_leg_in_the_order_book_under_the_id_of_its_entry_is_an_order_of_its_own(name: str) -> None:
    sold = {**ORDER, "legName": name, "transactionType": "SELL", "filledQty": 130, "remainingQuantity": 0}
    entry, leg = legs_apart(map(order_from_row, ({**ORDER, "legName": "ENTRY_LEG"}, sold)))
    assert (entry.order_id, entry.correlation_id, entry.leg) == (ORDER["orderId"], "abc", None)
    of = SuperLegName.STOP if name == "STOP_LOSS_LEG" else SuperLegName.TARGET
    assert leg.leg == LegAddress(entry_id=ORDER["orderId"], name=of)
    assert (leg.order_id, leg.correlation_id) == (f"{ORDER['orderId']}-{of.value}", "")
    assert (leg.side, leg.filled_quantity) == (Side.SELL, 130)


def test_a_leg_with_an_id_of_its_own_keeps_it_and_says_not_whose_it_is() -> None:
    _, leg = legs_apart(map(order_from_row, (ORDER, {**ORDER, "orderId": "77", "legName": "TARGET_LEG"})))
    assert (leg.order_id, leg.correlation_id, leg.leg) == ("77", "", None)
