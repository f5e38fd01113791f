"""What the broker does to orders on the way: stuck, rejected late, hidden; orders that would trade with each other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.simulation.simulator.scripted import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_r10_a_stuck_order_stays_in_transit_until_it_is_let_go(venue: Venue) -> None:
    venue.sim.desk.stick_in_transit(1)
    stuck, free = venue.order(), venue.order(price=1.0)
    venue.price(100.0)
    assert (venue.order_row(stuck["orderId"])["orderStatus"], free["orderStatus"]) == ("TRANSIT", "PENDING")
    status, answer = venue.sim.desk.cancel(stuck["orderId"])
    assert (status, answer["errorMessage"]) == (400, "Order is in Transit state")
    assert venue.sim.desk.by_tag(stuck["correlationId"]) is None
    assert venue.sim.desk.modify(stuck["orderId"], {"price": 102.0})[0] == 200
    venue.sim.desk.release_transit()
    done = venue.order_row(stuck["orderId"])
    assert (done["orderStatus"], done["price"], venue.net) == ("TRADED", 102.0, venue.lot)


def test_r10_a_stuck_order_goes_on_after_its_seconds(venue: Venue) -> None:
    venue.sim.desk.stick_in_transit(1, seconds=3)
    stuck = venue.order()
    for status in ("TRANSIT", "TRANSIT", "TRANSIT", "TRADED"):
        venue.price(100.0)
        assert venue.order_row(stuck["orderId"])["orderStatus"] == status


def test_r10_what_never_arrived_expires_with_the_day(venue: Venue) -> None:
    venue.sim.desk.stick_in_transit(1)
    stuck = venue.order()
    venue.sim.desk.close_day()
    assert venue.order_row(stuck["orderId"])["orderStatus"] == "EXPIRED"
    assert venue.net == 0


def test_r22_no_intraday_order_is_taken_after_the_brokers_square_off(venue: Venue) -> None:
    venue.order()
    venue.sim.desk.stick_in_transit(1)
    late = venue.order()
    venue.sim.desk.session = replace(venue.sim.session, broker_square_off=venue.sim.now)
    venue.price(100.0)
    venue.sim.desk.release_transit()
    assert (venue.order_row(late["orderId"])["orderStatus"], venue.net) == ("REJECTED", 0)
    assert venue.order(productType="MARGIN")["orderStatus"] == "TRADED"


def test_r2_an_order_that_rested_is_rejected_afterwards(venue: Venue) -> None:
    venue.sim.desk.reject_after_ack(1, "RMS:changed its mind")
    order = venue.order()
    assert order["orderStatus"] == "PENDING"
    venue.price(100.0)
    done = venue.order_row(order["orderId"])
    assert (done["orderStatus"], done["omsErrorDescription"], venue.net) == ("REJECTED", "RMS:changed its mind", 0)
    assert [each["Status"] for each in venue.alerts] == ["TRANSIT", "PENDING", "REJECTED"]
    assert venue.order()["orderStatus"] == "TRADED"


def test_r2_an_order_that_waits_for_its_rejection_can_be_cancelled_first(venue: Venue) -> None:
    venue.sim.desk.reject_after_ack(1, "RMS:changed its mind")
    order = venue.order()
    assert venue.sim.desk.cancel(order["orderId"])[0] == 200
    venue.price(100.0)
    assert venue.order_row(order["orderId"])["orderStatus"] == "CANCELLED"


def test_r1_a_lookup_that_lags_hides_the_order_and_the_book_shows_it() -> None:
    venue = Venue()
    now = [100.0]
    venue.sim.desk._clock = lambda: now[0]
    venue.sim.desk.lag_lookups(2.0)
    order = venue.order(correlationId="mine")
    assert venue.sim.desk.by_tag("mine") is None
    assert [each.order_id for each in venue.sim.desk.book()] == [order["orderId"]]
    venue.sim.desk.lag_lookups(2.0, book=True)
    assert venue.sim.desk.book() == []
    now[0] += 2.0
    found = venue.sim.desk.by_tag("mine")
    assert found is not None
    assert found.order_id == order["orderId"]
    assert venue.sim.desk.book() == [found]


def test_orders_of_one_account_do_not_trade_with_each_other(venue: Venue) -> None:
    venue.order()
    resting = venue.order(transactionType="SELL", price=100.1)
    assert resting["orderStatus"] == "PENDING"
    # Others offer at 100.05, before us: the buyer takes that, and nothing is left to meet our own order.
    assert venue.order(price=101.0)["orderStatus"] == "TRADED"
    venue.price(100.0, lots=2)
    partly = venue.order(price=101.0, quantity=venue.lot * 3)
    assert (partly["orderStatus"], partly["filledQty"]) == ("CANCELLED", venue.lot * 2)
    assert "self trade" in partly["omsErrorDescription"]
    # Nobody is before us: not one unit trades.
    venue.price(99.0, lots=2)
    venue.sim.desk.modify(resting["orderId"], {"price": 99.0})
    nothing = venue.order(price=101.0)
    assert (nothing["orderStatus"], nothing["filledQty"]) == ("CANCELLED", 0)
    assert venue.order_row(resting["orderId"])["orderStatus"] == "PENDING"


def test_a_stop_that_sleeps_is_in_nobodys_way(venue: Venue) -> None:
    venue.order()
    stop = venue.order(transactionType="SELL", orderType="STOP_LOSS", triggerPrice=90.0, price=80.0)
    assert stop["orderStatus"] == "PENDING"
    assert venue.order()["orderStatus"] == "TRADED"


def test_r24_a_stop_that_wakes_against_an_own_order_is_cancelled_for_what_is_left(venue: Venue) -> None:
    venue.order(quantity=venue.lot * 4)
    stop = {"transactionType": "SELL", "orderType": "STOP_LOSS", "triggerPrice": 90.0, "price": 80.0}
    first = venue.order(**stop, quantity=venue.lot * 4)
    venue.price(95.0)
    buyer = venue.order(price=89.0)
    venue.price(90.0, lots=3)  # Others bid 89.95, before the 89.00 of our own, for three lots.
    done = venue.order_row(first["orderId"])
    assert (done["orderStatus"], done["filledQty"], venue.net) == ("CANCELLED", venue.lot * 3, venue.lot)
    assert "self trade" in done["omsErrorDescription"]
    assert venue.order_row(buyer["orderId"])["orderStatus"] == "PENDING"


def test_a_stop_that_is_awake_when_it_comes_meets_no_own_order_either(venue: Venue) -> None:
    venue.order()
    venue.order(price=99.9)
    stop = {"transactionType": "SELL", "orderType": "STOP_LOSS", "triggerPrice": 100.0, "price": 99.0}
    venue.price(99.5, lots=1)
    assert venue.net == venue.lot * 2
    venue.order(price=99.5)
    late = venue.order(**stop)
    assert (late["orderStatus"], late["filledQty"]) == ("CANCELLED", 0)


def test_a_small_disclosed_quantity_is_refused(venue: Venue) -> None:
    three_lots = venue.lot * 3
    assert venue.order(quantity=three_lots, disclosedQuantity=venue.lot)["orderStatus"] == "TRADED"
    small = venue.order(quantity=venue.lot * 4, disclosedQuantity=venue.lot)
    assert small["orderStatus"] == "REJECTED"
    assert "30%" in small["omsErrorDescription"]


def test_a_correlation_id_is_invented_as_dhan_does_it(venue: Venue) -> None:
    tags = [venue.order(price=1.0)["correlationId"] for _ in range(3)]
    assert len(set(tags)) == 3
    assert all(each.startswith("1000000001-") and len(each) == 24 and each[11:].isdigit() for each in tags)


def test_a_closed_market_changes_no_order(venue: Venue) -> None:
    resting = venue.order(price=1.0)
    venue.sim.desk.session = replace(venue.sim.session, close=venue.sim.now)
    for answer in (venue.sim.desk.cancel(resting["orderId"]), venue.sim.desk.modify(resting["orderId"], {"price": 2})):
        assert (answer[0], answer[1]["errorCode"]) == (400, "DH-906")
        assert answer[1]["errorMessage"].startswith("Market is Closed!")
    assert venue.sim.desk.orders[resting["orderId"]].status.is_open


def test_an_after_market_order_is_refused(venue: Venue) -> None:
    assert venue.sim.desk.place(venue.plain(afterMarketOrder=True))[0] == 400


def test_exit_all_sells_more_than_the_freeze_in_slices(venue: Venue) -> None:
    for _ in range(2):
        venue.order(quantity=venue.lot * 20)
    venue.price(100.0, lots=100)
    assert venue.sim.desk.exit_all()[0] == 200
    assert venue.net == 0
    sold = [each.quantity for each in venue.sim.desk.orders.values() if each.side.value == "SELL"]
    assert sold == [venue.lot * 27, venue.lot * 13]


def test_a_size_is_taken_once_in_a_second(venue: Venue) -> None:
    venue.price(100.0, lots=3)
    first, second = venue.order(quantity=venue.lot * 2), venue.order(quantity=venue.lot * 2)
    assert (first["filledQty"], second["filledQty"]) == (venue.lot * 2, venue.lot)
    venue.price(100.0, lots=3)
    assert venue.order_row(second["orderId"])["orderStatus"] == "TRADED"
    assert sum(each.quantity for each in venue.sim.desk.trades) == venue.lot * 4
    assert venue.sim.desk.trades[-1].price == Decimal("100.05")
