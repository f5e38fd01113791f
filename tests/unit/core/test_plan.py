"""Plans: what is read, what is meant, and what is refused with the way out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from workbench.core.errors import BadInput, UnknownName
from workbench.core.order import Product
from workbench.core.plan import (
    NAMED_PLANS,
    Contract,
    Distance,
    Exits,
    ExpiryRule,
    OnOpposite,
    Plan,
    Trail,
    index_as_future,
    parse_strike,
    plan_from_mapping,
    plan_to_mapping,
)


def test_a_plan_reads_from_plain_values() -> None:
    plan = plan_from_mapping(
        {
            "name": "mine",
            "contract": "option",
            "expiry": "monthly",
            "strike": "OTM2",
            "lots": 3,
            "product": "MARGIN",
            "on_opposite": "exit",
            "no_entry_after": "15:10",
            "exits": {"stop": 15, "target": "40%", "trail": {"distance": "7.5", "after": 10}, "time": "14:45"},
            "max_premium": 400.5,
        }
    )
    assert plan == Plan(
        name="mine",
        expiry=ExpiryRule.MONTHLY,
        strike="OTM2",
        lots=3,
        product=Product.MARGIN,
        on_opposite=OnOpposite.EXIT,
        no_entry_after=dt.time(15, 10),
        exits=Exits(
            stop=Distance(points=Decimal(15)),
            target=Distance(percent=Decimal(40)),
            trail=Trail(distance=Distance(points=Decimal("7.5")), after=Distance(points=Decimal(10))),
            time=dt.time(14, 45),
        ),
        max_premium=Decimal("400.5"),
    )


@pytest.mark.parametrize("name", sorted(NAMED_PLANS))
def test_named_plans_read_back_as_they_were_written(name: str) -> None:
    assert plan_from_mapping(plan_to_mapping(NAMED_PLANS[name])) == NAMED_PLANS[name]


def test_a_size_from_a_share_of_risk_reads_back_and_needs_no_lots() -> None:
    plan = plan_from_mapping({"risk_share_pct": "0.5", "exits": {"stop": "10%"}})
    assert plan.lots is None
    assert plan_from_mapping(plan_to_mapping(plan)) == plan


@pytest.mark.parametrize(
    ("value", "clock"),
    [
        ("15:10", dt.time(15, 10)),
        ("09:20:30", dt.time(9, 20, 30)),
        (dt.time(9, 20), dt.time(9, 20)),
        # What YAML 1.1 makes of 15:10, 9:20 and 15:10:30 without quotation marks.
        (910, dt.time(15, 10)),
        (560, dt.time(9, 20)),
        (54630, dt.time(15, 10, 30)),
        (None, None),
    ],
)
def test_times_of_day_read_as_they_were_meant(value: object, clock: dt.time | None) -> None:
    assert plan_from_mapping({"no_entry_after": value}).no_entry_after == clock


@pytest.mark.parametrize("value", ["25:00", "soon", "15:10+05:30", True, -1, 86400, "9:20"])
def test_what_is_no_time_of_day_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="time of day"):
        plan_from_mapping({"no_entry_after": value})


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"stirke": "ATM"}, "did you mean 'strike'"),
        ({"exits": {"stopp": 3}}, "did you mean 'stop'"),
        ({"exits": {"trail": {"distanse": 3}}}, "did you mean 'distance'"),
        ({"expiry": "montly"}, "did you mean 'monthly'"),
        ({"on_opposite": "revers"}, "did you mean 'reverse'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(body: dict[str, Any], hint: str) -> None:
    with pytest.raises(UnknownName, match=hint):
        plan_from_mapping(body)


@pytest.mark.parametrize(
    "body",
    [
        {"lots": 0},
        {"lots": "1"},
        {"lots": True},
        {"lots": None},
        {"lots": 1, "risk_share_pct": 1, "exits": {"stop": 5}},
        {"risk_share_pct": 1},
        {"reentry": "yes"},
        {"strike": "ATM1"},
        {"max_premium": "dear"},
        {"max_premium": 0},
        {"max_premium": float("nan")},
        {"exits": "15"},
        {"exits": {"stop": 0}},
        {"exits": {"stop": -3}},
        {"exits": {"stop": "x%"}},
        {"exits": {"trail": {"after": 3}}},
        {"overnight": "keep"},
        {"side": "SELL"},
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        plan_from_mapping(body)


def test_a_plan_that_is_no_table_is_refused() -> None:
    with pytest.raises(BadInput, match="table"):
        plan_from_mapping(["ATM"])  # type: ignore[arg-type]


@pytest.mark.parametrize(("rule", "steps"), [("ATM", 0), ("itm3", 3), ("OTM1", -1), (" otm20 ", -20)])
def test_a_strike_rule_is_steps_into_the_money(rule: str, steps: int) -> None:
    assert parse_strike(rule) == steps


@pytest.mark.parametrize("rule", ["", "OTM", "OTM0", "OTM21", "ITM-1", "XTM1", "premium"])
def test_what_is_no_strike_rule_is_refused(rule: str) -> None:
    with pytest.raises(BadInput, match="ATM"):
        parse_strike(rule)


def test_a_distance_is_points_or_percent_and_not_both() -> None:
    assert Distance(percent=Decimal(10)).rupees(Decimal(250)) == 25
    assert Distance(points=Decimal(10)).rupees(Decimal(250)) == 10
    wrongs: list[dict[str, Any]] = [{}, {"points": Decimal(1), "percent": Decimal(1)}, {"points": Decimal(0)}]
    for wrong in wrongs:
        with pytest.raises(BadInput):
            Distance(**wrong)


def test_without_a_plan_the_index_is_traded_as_a_future() -> None:
    plan = index_as_future(lots=2)
    assert plan.is_synthetic
    assert (plan.contract, plan.lots, plan.exits) == (Contract.INDEX_AS_FUTURE, 2, Exits())
