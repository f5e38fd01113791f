"""Conditional triggers: what is taken, what is refused in words, and when orders go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulation.simulator.scripted import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue()


def condition(venue: Venue, **changes: Any) -> dict[str, Any]:
    return {
        "comparisonType": "PRICE_WITH_VALUE", "exchangeSegment": "IDX_I", "securityId": "13",
        "operator": "GREATER_THAN", "comparingValue": 1.0, "timeFrame": "ONE_MIN", "frequency": "ONCE",
        "expDate": "2026-12-31", "userNote": "test",
    } | changes  # fmt: skip


def orders(venue: Venue, count: int = 1) -> list[dict[str, Any]]:
    body = venue.plain(price="101.0", triggerPrice="0", discQuantity="0")
    return [{key: value for key, value in body.items() if key != "disclosedQuantity"}] * count


def place(venue: Venue, **changes: Any) -> tuple[int, Any]:
    return venue.sim.conditional.place({"condition": condition(venue, **changes), "orders": orders(venue)})


def test_a_met_condition_places_its_orders_once(venue: Venue) -> None:
    status, answer = place(venue)
    assert (status, answer["alertStatus"]) == (200, "ACTIVE")
    for _ in range(4):
        venue.price(100.0)
    assert venue.net == venue.lot
    row = venue.sim.conditional.one(answer["alertId"])[1]
    assert row["alertStatus"] == "TRIGGERED"
    assert row["triggeredTime"].endswith("Z")


def test_a_condition_that_is_not_met_waits_over_the_night(venue: Venue) -> None:
    _, answer = place(venue, operator="LESS_THAN", comparingValue=1.0)
    _, brief = place(venue, operator="LESS_THAN", comparingValue=1.0, expDate="2026-11-16")
    venue.sim.next_day()
    venue.sim.step()
    assert venue.sim.conditional.one(answer["alertId"])[1]["alertStatus"] == "ACTIVE"
    assert venue.sim.conditional.one(brief["alertId"])[1]["alertStatus"] == "EXPIRED"


def test_a_crossing_needs_a_price_on_either_side(venue: Venue) -> None:
    spots = iter([24_000.0, 23_990.0, 24_010.0])
    _, answer = place(venue, operator="CROSSING_UP", comparingValue=24_000.0)
    seen = []
    for spot in spots:
        venue.sim.board.spot = lambda _, at=spot: at  # type: ignore[misc,method-assign]
        venue.price(100.0)
        seen.append(venue.sim.conditional.one(answer["alertId"])[1]["alertStatus"])
    assert seen == ["ACTIVE", "ACTIVE", "TRIGGERED"]


def test_a_condition_is_changed_and_taken_back(venue: Venue) -> None:
    _, answer = place(venue, operator="LESS_THAN")
    changed = {"condition": condition(venue, operator="LESS_THAN", comparingValue=2.0)}
    assert venue.sim.conditional.modify(answer["alertId"], changed)[0] == 200
    assert venue.sim.conditional.rows()[0]["condition"]["comparingValue"] == 2.0
    assert venue.sim.conditional.cancel(answer["alertId"])[1]["alertStatus"] == "CANCELLED"
    assert venue.sim.conditional.cancel(answer["alertId"])[0] == 404
    assert venue.sim.conditional.modify(answer["alertId"], changed)[0] == 404


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"comparisonType": "TECHNICAL_WITH_VALUE"}, "PRICE_WITH_VALUE only"),
        ({"frequency": "ALWAYS"}, "ONCE only"),
        ({"exchangeSegment": "NSE_FNO"}, "bad values"),
        ({"securityId": "99"}, "bad values"),
        ({"operator": "NEAR"}, "bad values"),
        ({"comparingValue": "high"}, "bad values"),
        ({"expDate": "soon"}, "bad values"),
    ],
)
def test_what_this_market_does_not_play_is_refused_in_words(venue: Venue, changes: dict[str, Any], words: str) -> None:
    status, answer = place(venue, **changes)
    assert status == 400
    assert words in answer["errorMessage"]
    assert venue.sim.conditional.rows() == []


def test_at_most_fifteen_good_orders_hang_on_a_condition(venue: Venue) -> None:
    for bad in ([], orders(venue, 16), [{**orders(venue)[0], "quantity": 0}], ["order"]):
        assert venue.sim.conditional.place({"condition": condition(venue), "orders": bad})[0] == 400
    assert venue.sim.conditional.place({"condition": condition(venue), "orders": orders(venue, 15)})[0] == 200


@pytest.mark.parametrize(
    ("operator", "prices", "met"),
    [
        ("CROSSING_UP", (99, 101), True),
        ("CROSSING_UP", (101, 102), False),
        ("CROSSING_DOWN", (101, 99), True),
        ("CROSSING_DOWN", (99, 98), False),
        ("CROSSING_ANY_SIDE", (99, 100), True),
        ("CROSSING_ANY_SIDE", (101, 100), True),
        ("CROSSING_ANY_SIDE", (0, 101), False),
        ("GREATER_THAN", (0, 100), False),
        ("GREATER_THAN_EQUAL", (0, 100), True),
        ("LESS_THAN", (0, 100), False),
        ("LESS_THAN_EQUAL", (0, 100), True),
        ("EQUAL", (0, 100), True),
        ("NOT_EQUAL", (0, 100), False),
    ],
)
def test_each_operator_means_what_it_says(venue: Venue, operator: str, prices: tuple[int, int], met: bool) -> None:
    _, answer = place(venue, operator=operator, comparingValue=100)
    found = venue.sim.conditional.conditions[answer["alertId"]]
    found.before = Decimal(prices[0])
    assert found.is_met(Decimal(prices[1])) is met
