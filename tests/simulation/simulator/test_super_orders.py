"""Super orders: one exit of two, trailing, partial entries, cancelled legs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.simulation.simulator.scripted import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_the_stop_leaves_and_the_target_is_cancelled(venue: Venue) -> None:
    order_id = venue.place()
    assert venue.net == venue.lot * 2
    venue.price(100.0)
    assert venue.legs(order_id) == {
        "STOP_LOSS_LEG": ("PENDING", 90.0, venue.lot * 2),
        "TARGET_LEG": ("PENDING", 120.0, venue.lot * 2),
    }
    venue.price(89.9)
    assert venue.net == 0
    assert venue.row(order_id)["orderStatus"] == "CLOSED"
    assert [each[0] for each in venue.legs(order_id).values()] == ["TRIGGERED", "CANCELLED"]
    venue.price(125.0)
    assert venue.net == 0
    assert len(venue.sim.desk.trades) == 2
    rows: Any = venue.sim.book()["orders"]
    sold = next(each for each in rows if each["legName"] == "STOP_LOSS_LEG")
    assert (sold["orderStatus"], sold["orderType"], sold["averageTradedPrice"]) == ("TRADED", "LIMIT", 89.85)


def test_the_target_leaves_at_its_limit_or_better(venue: Venue) -> None:
    order_id = venue.place()
    venue.price(120.0)
    assert venue.net == venue.lot * 2  # The bid is below the limit still.
    assert venue.legs(order_id)["TARGET_LEG"][0] == "TRIGGERED"
    assert venue.row(order_id)["orderStatus"] == "TRADED"
    venue.price(121.0)
    assert venue.net == 0
    assert venue.sim.desk.trades[-1].price == Decimal("120.95")
    assert venue.row(order_id)["orderStatus"] == "CLOSED"


def test_a_short_entry_is_mirrored(venue: Venue) -> None:
    venue.place(transactionType="SELL", price=99.0, targetPrice=80.0, stopLossPrice=110.0)
    assert venue.net == -venue.lot * 2
    venue.price(110.0)
    assert venue.net == 0


def test_the_stop_trails_in_whole_jumps_and_never_goes_back(venue: Venue) -> None:
    order_id = venue.place(price=101.0, trailingJump=2.0)
    for price, stop in ((102.9, 90.0), (105.1, 94.0), (103.0, 94.0), (107.0, 96.0), (97.0, 96.0)):
        venue.price(price)
        assert venue.legs(order_id)["STOP_LOSS_LEG"][1] == stop
    venue.price(96.0)
    assert venue.net == 0


def test_leaving_the_jump_out_ends_the_trailing(venue: Venue) -> None:
    order_id = venue.place(trailingJump=2.0)
    venue.price(105.0)
    moved = venue.legs(order_id)["STOP_LOSS_LEG"][1]
    change = {"legName": "STOP_LOSS_LEG", "stopLossPrice": 95.0}
    assert venue.sim.super_orders.modify(order_id, change)[0] == 200
    venue.price(115.0)
    assert (moved, venue.legs(order_id)["STOP_LOSS_LEG"][1]) == (94.0, 95.0)
    assert venue.row(order_id)["trailingJump"] == 0


def test_exits_cover_what_has_filled_and_the_rest_of_the_entry_goes_with_them(venue: Venue) -> None:
    venue.price(100.0, lots=1)
    order_id = venue.place(quantity=venue.lot * 5, price=100.05)
    assert venue.net == venue.lot
    venue.price(100.1, lots=1)
    assert venue.legs(order_id)["STOP_LOSS_LEG"][2] == venue.lot
    venue.price(89.0, lots=2)
    assert venue.net == venue.lot  # It took two more on the way down, and left with two of three.
    assert venue.row(order_id)["orderStatus"] == "CANCELLED"
    assert venue.row(order_id)["filledQty"] == venue.lot * 3
    venue.price(88.9, lots=2)
    assert venue.net == 0
    assert venue.row(order_id)["orderStatus"] == "CLOSED"


def test_one_leg_cancelled_stays_away_and_the_other_lives(venue: Venue) -> None:
    order_id = venue.place()
    venue.price(100.0)
    assert venue.sim.super_orders.cancel(order_id, "TARGET_LEG") == (202, None)
    assert venue.sim.super_orders.cancel(order_id, "TARGET_LEG")[0] == 400
    again = {"legName": "TARGET_LEG", "targetPrice": 119.0}
    assert venue.sim.super_orders.modify(order_id, again)[0] == 400
    venue.price(125.0)
    assert venue.net == venue.lot * 2
    venue.price(90.0)
    assert venue.net == 0


def test_cancelling_the_entry_cancels_all_and_leaves_the_position_bare(venue: Venue) -> None:
    order_id = venue.place()
    venue.price(100.0)
    assert venue.sim.super_orders.cancel(order_id, "ENTRY_LEG") == (202, None)
    venue.price(50.0)
    assert venue.net == venue.lot * 2
    assert {each[0] for each in venue.legs(order_id).values()} == {"CANCELLED"}
    assert venue.sim.super_orders.cancel(order_id, "ENTRY_LEG")[0] == 400


def test_an_entry_that_never_fills_takes_its_exits_along(venue: Venue) -> None:
    order_id = venue.place(price=95.0)
    change = {"orderType": "LIMIT", "legName": "ENTRY_LEG", "quantity": venue.lot, "price": 96.0, "trailingJump": 1.0}
    change |= {"targetPrice": 121.0, "stopLossPrice": 91.0}
    assert venue.sim.super_orders.modify(order_id, change)[0] == 200
    row = venue.row(order_id)
    assert (row["quantity"], row["price"], row["trailingJump"]) == (venue.lot, 96.0, 1.0)
    assert venue.legs(order_id)["TARGET_LEG"][1] == 121.0
    assert venue.sim.super_orders.modify(order_id, change | {"targetPrice": 0.0})[0] == 400
    assert venue.sim.desk.cancel(order_id)[0] == 200
    venue.price(80.0)
    assert {each[0] for each in venue.legs(order_id).values()} == {"CANCELLED"}
    assert venue.net == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"stopLossPrice": 101.0}, {"targetPrice": 101.0}, {"stopLossPrice": 0, "targetPrice": 0}, {"price": 0},
        {"orderType": "STOP_LOSS", "triggerPrice": 100.0}, {"productType": "BO"}, {"targetPrice": 120.01},
        {"trailingJump": -1}, {"stopLossPrice": "low"}, {"transactionType": "SELL"},
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused_at_once(venue: Venue, changes: dict[str, Any]) -> None:
    status, answer = venue.sim.super_orders.place(venue.body(**changes))
    assert (status, answer["errorCode"]) == (400, "DH-905")
    assert venue.sim.book()["superOrders"] == []


def test_exits_block_no_margin_while_they_wait(venue: Venue) -> None:
    venue.place()
    venue.price(100.0)
    cost = venue.sim.desk.trades[0].price * venue.lot * 2
    assert venue.sim.desk.blocked() == cost


def test_updates_name_the_leg_and_its_entry(venue: Venue) -> None:
    order_id = venue.place()
    venue.price(100.0)
    venue.price(89.0)
    numbers = {each["LegNo"] for each in venue.alerts}
    assert numbers == {1, 2, 3}
    legs = [each for each in venue.alerts if each["LegNo"] != 1]
    assert {each["AlgoOrdNo"] for each in legs} == {order_id}
    assert {each["Remarks"] for each in venue.alerts} == {"Super Order"}
    assert {each["CorrelationId"] for each in venue.alerts} == {"super"}
    stop = [each["Status"] for each in legs if each["LegNo"] == 2]
    assert stop == ["PENDING", "TRIGGERED", "PENDING", "TRADED"]


def test_the_brokers_square_off_takes_the_exits_down(venue: Venue) -> None:
    order_id = venue.place()
    venue.sim.session = venue.sim.desk.session = replace(venue.sim.session, broker_square_off=venue.sim.now)
    venue.price(100.0)
    venue.price(89.0)
    assert {each[0] for each in venue.legs(order_id).values()} == {"CANCELLED"}
    assert venue.net == 0
    assert venue.sim.desk.trades[-1].order.source == "N"


def test_a_stop_that_the_exchange_refuses_leaves_the_position_and_says_so(venue: Venue) -> None:
    order_id = venue.place()
    venue.price(100.0)
    venue.sim.desk.reject_next.append("RMS:refused")
    venue.price(89.0)
    assert venue.net == venue.lot * 2
    assert venue.legs(order_id)["STOP_LOSS_LEG"][0] == "REJECTED"
    assert venue.legs(order_id)["TARGET_LEG"][0] == "CANCELLED"


def test_what_is_not_there_is_told(venue: Venue) -> None:
    only_stop = venue.place(targetPrice=0)
    desk = venue.sim.super_orders
    assert desk.modify("1", {"legName": "TARGET_LEG", "targetPrice": 120.0})[0] == 404
    assert desk.cancel("1", "ENTRY_LEG")[0] == 404
    assert desk.cancel(only_stop, "MIDDLE_LEG")[0] == 400
    assert desk.cancel(only_stop, "TARGET_LEG")[0] == 404
    assert desk.modify(only_stop, {"legName": "TARGET_LEG", "targetPrice": 120.0})[0] == 404
    assert desk.modify(only_stop, {"legName": "MIDDLE_LEG"})[0] == 400
    assert desk.modify(only_stop, {"legName": "STOP_LOSS_LEG", "stopLossPrice": 0})[0] == 400
    assert desk.modify(only_stop, {"legName": "STOP_LOSS_LEG", "stopLossPrice": 90.01})[0] == 400
    assert venue.legs(only_stop)["STOP_LOSS_LEG"][1] == 90.0


def test_an_exit_takes_twenty_five_modifications(venue: Venue) -> None:
    order_id = venue.place()
    answers = [
        venue.sim.super_orders.modify(order_id, {"legName": "TARGET_LEG", "targetPrice": 120.0 + each})[0]
        for each in range(26)
    ]
    assert answers == [200] * 25 + [400]


def test_a_super_order_in_transit_cannot_be_cancelled_and_the_kill_switch_takes_none(venue: Venue) -> None:
    venue.sim.desk.stick_in_transit(1)
    order_id = venue.place()
    status, answer = venue.sim.super_orders.cancel(order_id, "ENTRY_LEG")
    assert (status, answer["errorMessage"]) == (400, "Order is in Transit state")
    venue.sim.desk.killed = True
    assert venue.sim.super_orders.place(venue.body())[1]["errorCode"] == "DH-906"


def test_a_gap_past_the_stop_may_leave_it_resting_at_its_protected_price(venue: Venue) -> None:
    order_id = venue.place(quantity=venue.lot * 3)
    venue.price(100.0)
    venue.price(60.0, lots=1)
    assert venue.net == venue.lot * 2
    assert venue.legs(order_id)["STOP_LOSS_LEG"][0] == "TRIGGERED"
    assert venue.row(order_id)["orderStatus"] == "TRADED"
    venue.price(40.0)  # Below the protection: 10 % under the last price of the second in which it went.
    assert venue.net == venue.lot * 2
    venue.price(60.0)
    assert (venue.net, venue.row(order_id)["orderStatus"]) == (0, "CLOSED")


def test_legs_may_be_shown_under_the_id_of_their_entry_in_the_list_the_book_the_trades_and_the_updates() -> None:
    venue = Venue(legs_share_ids=True)
    order_id = venue.place()
    venue.price(100.0)
    assert {leg["orderId"] for leg in venue.row(order_id)["legDetails"]} == {order_id}
    venue.price(89.9)
    book: Any = venue.sim.book()
    assert venue.net == 0
    assert {row["orderId"] for row in (*book["orders"], *book["trades"])} == {order_id}
    assert [row["legName"] for row in book["orders"]] == ["ENTRY_LEG", "STOP_LOSS_LEG"]
    sold = [each for each in venue.alerts if each["LegNo"] == 2 and each["Status"] == "TRADED"]
    assert [(each["OrderNo"], each["AlgoOrdNo"], each["TradedQty"]) for each in sold] == [
        (order_id, order_id, venue.lot * 2)
    ]


def test_a_race_that_was_ordered_lets_both_legs_go_once_the_target_is_bid(venue: Venue) -> None:
    first = venue.place()
    venue.sim.super_orders.race_legs()
    venue.price(120.0)
    assert venue.net == venue.lot * 2, "the target's price has traded and nobody bids it yet"
    venue.price(120.05)
    assert venue.net == -venue.lot * 2
    assert [each[0] for each in venue.legs(first).values()] == ["TRIGGERED", "TRIGGERED"]
    venue.place(correlationId="next", price=121.0, targetPrice=130.0)
    venue.price(130.05)
    assert venue.net == -venue.lot * 2, "the next super order is one of two again"
