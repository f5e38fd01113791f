"""The list of super orders laid over the order book: legs with ids of their own, and legs that share their entry's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from workbench.core.messages import BrokerOrder, BrokerTrade, SnapshotTaken
from workbench.core.order import LegAddress, OrderState
from workbench.core.session import IST
from workbench.core.signal import Side
from workbench.core.super_order import SuperLeg, SuperLegName, SuperOrder, with_legs

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)
STOP, TARGET = SuperLegName.STOP, SuperLegName.TARGET
ENTRY = BrokerOrder(
    order_id="5925",
    correlation_id="entry",
    state=OrderState.FILLED,
    segment="NSE_FNO",
    security_id="1",
    side=Side.BUY,
    quantity=75,
    filled_quantity=75,
    average_price=Decimal(120),
    price=Decimal(121),
)


def leg(name: SuperLegName, order_id: str, **more: object) -> SuperLeg:
    plain = SuperLeg(
        name=name,
        order_id=order_id,
        side=Side.SELL,
        state=OrderState.WORKING,
        quantity=75,
        remaining_quantity=75,
        triggered_quantity=0,
        price=Decimal(105 if name is STOP else 150),
        trail_by=Decimal(0),
        raw_status="PENDING",
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def sold(order_id: str) -> BrokerTrade:
    return BrokerTrade(
        order_id=order_id,
        trade_id="T",
        segment="NSE_FNO",
        security_id="1",
        side=Side.SELL,
        quantity=75,
        price=Decimal(104),
    )


def rows(*legs: SuperLeg, orders: tuple[BrokerOrder, ...] = (ENTRY,), **more: object) -> list[BrokerOrder]:
    seen = replace(SnapshotTaken(taken_at=NOW, orders=orders), **more)  # type: ignore[arg-type]
    return list(with_legs(seen, (SuperOrder(entry=ENTRY, legs=legs, is_closed=False),)).orders)


@pytest.mark.parametrize(
    ("stop_id", "target_id"), [("5925", "5925"), ("", ""), ("0", "0"), ("77", "77"), ("77", "78"), ("5925", "78")]
)
def test_r1_entry_and_legs_stay_three_orders_whatever_ids_the_list_gives_them(stop_id: str, target_id: str) -> None:
    entry, stop, target = rows(leg(STOP, stop_id), leg(TARGET, target_id))
    assert entry == ENTRY
    assert stop.leg == LegAddress(entry_id="5925", name=STOP)
    assert target.leg == LegAddress(entry_id="5925", name=TARGET)
    assert len({entry.order_id, stop.order_id, target.order_id}) == 3
    assert (stop.trigger_price, target.price) == (Decimal(105), Decimal(150))
    assert (stop.filled_quantity, target.filled_quantity) == (0, 0)


def test_r15_a_sale_under_the_id_that_all_share_counts_once_and_for_the_leg_that_traded() -> None:
    stop = leg(STOP, "5925", triggered_quantity=75)
    target = leg(TARGET, "5925", state=OrderState.FILLED)
    found = rows(stop, target, trades=(sold("5925"), replace(sold("5925"), trade_id="E", side=Side.BUY)))
    assert [(each.filled_quantity, each.state) for each in found] == [
        (75, OrderState.FILLED),
        (0, OrderState.WORKING),
        (75, OrderState.FILLED),
    ]
    assert found[2].average_price == Decimal(104)


def test_r15_two_sales_under_the_id_that_all_share_are_one_of_each_leg_where_both_went() -> None:
    stop, target = (leg(each, "5925", triggered_quantity=75) for each in (STOP, TARGET))
    _, *found = rows(stop, target, trades=(sold("5925"), replace(sold("5925"), trade_id="U", price=Decimal(150))))
    assert [(each.filled_quantity, each.average_price) for each in found] == [(75, Decimal(104)), (75, Decimal(150))]


def test_r15_a_sale_that_goes_beyond_what_the_entry_filled_is_some_of_each_leg() -> None:
    stop, target = (leg(each, "5925", state=OrderState.FILLED, triggered_quantity=75) for each in (STOP, TARGET))
    parts = [(25, Decimal(104)), (100, Decimal(106)), (25, Decimal(150))]
    sales = tuple(
        replace(sold("5925"), trade_id=f"T{units}{price}", quantity=units, price=price) for units, price in parts
    )
    _, *found = rows(stop, target, trades=sales)
    assert [(each.filled_quantity, each.state) for each in found] == [(75, OrderState.FILLED)] * 2
    assert sum(each.average_price * 75 for each in found) == sum(units * price for units, price in parts)


def test_r15_what_is_sold_beyond_the_entry_is_the_other_legs_also_where_one_alone_is_shown_to_have_gone() -> None:
    stop, target = leg(STOP, "5925", triggered_quantity=75), leg(TARGET, "5925")
    _, *found = rows(stop, target, trades=(sold("5925"), replace(sold("5925"), trade_id="U")))
    assert [each.filled_quantity for each in found] == [75, 75]


@pytest.mark.parametrize("book", [75, 0])
def test_s1_a_list_that_lags_behind_its_entrys_fill_gives_no_leg_the_others_sale(book: int) -> None:
    stop, target = (leg(each, "5925", triggered_quantity=75, state=OrderState.FILLED) for each in (STOP, TARGET))
    listed = SuperOrder(entry=replace(ENTRY, filled_quantity=0), legs=(stop, target))
    sales = (sold("5925"), replace(sold("5925"), trade_id="U"))
    in_book = replace(ENTRY, filled_quantity=book)
    seen = with_legs(SnapshotTaken(taken_at=NOW, orders=(in_book,), trades=sales), (listed,))
    assert [(each.quantity, each.filled_quantity) for each in seen.orders[1:]] == [(75, 75)] * 2


def test_a_leg_that_was_sent_covers_what_was_sent_though_its_entry_has_filled_more_since() -> None:
    stop = leg(STOP, "77", triggered_quantity=50, state=OrderState.FILLED)
    _, found, _ = rows(stop, leg(TARGET, "78"), trades=(replace(sold("77"), quantity=50),))
    assert (found.quantity, found.filled_quantity, found.state) == (50, 50, OrderState.FILLED)


def test_a_leg_that_is_refused_while_it_sleeps_is_gone() -> None:
    found = SuperOrder(entry=replace(ENTRY, filled_quantity=0), legs=(leg(STOP, "77", state=OrderState.REJECTED),))
    assert with_legs(SnapshotTaken(taken_at=NOW), (found,)).orders[-1].state is OrderState.REJECTED


def test_a_sale_that_no_leg_claims_is_nobodys() -> None:
    _, stop, target = rows(leg(STOP, "5925"), leg(TARGET, "5925"), trades=(sold("5925"),))
    assert (stop.filled_quantity, target.filled_quantity) == (0, 0)


def test_a_leg_in_the_order_book_under_the_id_of_its_entry_never_takes_the_entrys_place() -> None:
    in_book = replace(ENTRY, side=Side.SELL, correlation_id="", filled_quantity=0, state=OrderState.WORKING)
    assert rows(leg(STOP, "5925"), leg(TARGET, "5925"), orders=(ENTRY, in_book))[0] == ENTRY
