"""The exit on profit and loss, and the conversion of positions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.simulator.scripted import Venue
from workbench.simulator.rest_account import _convert

RULE = {"profitValue": 500.0, "lossValue": 500.0, "productType": ["INTRADAY"], "enableKillSwitch": True}


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.mark.parametrize("last", [112.0, 90.0])
def test_a_passed_threshold_closes_everything_and_stops_trading(venue: Venue, last: float) -> None:
    venue.order()
    resting = venue.order(price=1.0)
    assert venue.sim.pnl_exit.set(RULE)[1]["pnlExitStatus"] == "ACTIVE"
    venue.price(100.0)
    assert (venue.net, venue.sim.desk.killed) == (venue.lot, False)
    venue.price(last)
    assert (venue.net, venue.sim.desk.killed) == (0, True)
    assert venue.order_row(resting["orderId"])["orderStatus"] == "CANCELLED"
    assert venue.sim.pnl_exit.shown()[1]["pnlExitStatus"] == "DISABLED"
    assert venue.sim.desk.trades[-1].order.source == "N"


def test_a_threshold_that_is_passed_already_acts_at_once(venue: Venue) -> None:
    venue.order()
    venue.price(120.0)
    venue.sim.pnl_exit.set(RULE | {"enableKillSwitch": False})
    assert (venue.net, venue.sim.desk.killed) == (0, False)


def test_other_products_and_a_stopped_rule_are_left_alone(venue: Venue) -> None:
    venue.order(productType="MARGIN")
    venue.sim.pnl_exit.set(RULE)
    venue.price(150.0)
    assert venue.net == venue.lot
    venue.sim.pnl_exit.set(RULE | {"productType": ["DELIVERY"], "profitValue": 10_000})
    venue.sim.pnl_exit.stop()
    venue.price(400.0)
    assert venue.net == venue.lot


def test_the_kill_switch_waits_until_the_last_unit_is_gone(venue: Venue) -> None:
    venue.order(quantity=venue.lot * 10)
    venue.sim.pnl_exit.set(RULE)
    venue.price(80.0, lots=4)
    assert (venue.net, venue.sim.desk.killed) == (venue.lot * 6, False)
    venue.price(80.0, lots=8)
    assert (venue.net, venue.sim.desk.killed) == (0, True)


@pytest.mark.parametrize(
    "changes",
    [{"profitValue": "x"}, {"productType": []}, {"productType": ["ALL"]}, {"profitValue": 0, "lossValue": 0}],
)
def test_a_rule_that_makes_no_sense_is_refused(venue: Venue, changes: dict[str, Any]) -> None:
    assert venue.sim.pnl_exit.set(RULE | changes)[0] == 400
    assert venue.sim.pnl_exit.shown()[1]["pnlExitStatus"] == "DISABLED"


def conversion(venue: Venue, **changes: Any) -> dict[str, Any]:
    return {
        "fromProductType": "INTRADAY", "toProductType": "MARGIN", "exchangeSegment": "NSE_FNO", "positionType": "LONG",
        "securityId": venue.listed.instrument.security_id, "convertQty": venue.lot,
    } | changes  # fmt: skip


def test_units_are_converted_at_their_average(venue: Venue) -> None:
    venue.order(quantity=venue.lot * 3)
    venue.order(transactionType="SELL", price=99.0)
    before = venue.sim.account.realised
    assert _convert(venue.sim.desk, conversion(venue)) == (202, None)
    rows = {row["productType"]: row for row in venue.sim.positions()}
    assert {name: row["netQty"] for name, row in rows.items()} == {"INTRADAY": venue.lot, "MARGIN": venue.lot}
    assert rows["MARGIN"]["buyAvg"] == rows["INTRADAY"]["buyAvg"] == 100.05
    assert venue.sim.account.realised == before


@pytest.mark.parametrize(
    "changes",
    [{"convertQty": 1_000_000}, {"positionType": "SHORT"}, {"toProductType": "CNC"}, {"fromProductType": "MARGIN"}],
)
def test_what_is_not_held_is_not_converted(venue: Venue, changes: dict[str, Any]) -> None:
    venue.order()
    assert _convert(venue.sim.desk, conversion(venue, **changes))[0] == 400


def test_a_short_position_carried_from_the_day_before_is_converted(venue: Venue) -> None:
    venue.order(transactionType="SELL", price=99.0, quantity=venue.lot * 2, productType="MARGIN")
    venue.sim.next_day()
    body = conversion(venue, fromProductType="MARGIN", toProductType="INTRADAY", positionType="SHORT")
    assert _convert(venue.sim.desk, body) == (202, None)
    rows = {row["productType"]: row for row in venue.sim.positions()}
    assert {name: row["netQty"] for name, row in rows.items()} == {"MARGIN": -venue.lot, "INTRADAY": -venue.lot}
    assert rows["MARGIN"]["carryForwardSellQty"] == venue.lot
    assert rows["INTRADAY"]["sellAvg"] == rows["MARGIN"]["sellAvg"] == 99.95
