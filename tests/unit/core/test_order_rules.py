"""The net below the engine: what no exchange would take."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.order import OrderChange, OrderTicket, OrderType, Product, Purpose
from workbench.core.order_rules import broken_rule
from workbench.core.signal import Side
from workbench.core.super_order import SuperTicket, broken_super_rule

OPTION = Instrument(
    segment=Segment.NSE_FNO, security_id="1", symbol="NIFTY", kind=InstrumentKind.OPTION, lot=65, freeze=1800
)
ENTRY = OrderTicket(
    correlation_id="a",
    intent_id="i",
    position_id="p",
    deployment="d",
    purpose=Purpose.ENTRY,
    instrument=OPTION,
    side=Side.BUY,
    quantity=65,
    order_type=OrderType.LIMIT,
    product=Product.INTRADAY,
    price=Decimal("100.05"),
)
STOP = replace(
    ENTRY,
    purpose=Purpose.STOP,
    side=Side.SELL,
    order_type=OrderType.STOP_LIMIT,
    price=Decimal("90.00"),
    trigger_price=Decimal("90.50"),
)
SUPER = SuperTicket(
    correlation_id="a",
    instrument=OPTION,
    side=Side.BUY,
    quantity=65,
    product=Product.INTRADAY,
    price=Decimal(100),
    target_price=Decimal(120),
    stop_price=Decimal(90),
)


@pytest.mark.parametrize("ticket", [ENTRY, STOP, replace(ENTRY, order_type=OrderType.MARKET, price=Decimal(0))])
def test_a_good_order_may_go(ticket: OrderTicket) -> None:
    assert broken_rule(ticket) == ""


@pytest.mark.parametrize(
    ("ticket", "said"),
    [
        (replace(ENTRY, price=Decimal("100.03")), "is not on its tick of 0.05"),
        (replace(ENTRY, price=Decimal(0)), "price 0 of NSE_FNO:NIFTY is not above zero"),
        (replace(ENTRY, price=Decimal(-5)), "is not above zero"),
        (replace(ENTRY, price=Decimal("NaN")), "is not above zero"),
        (replace(ENTRY, quantity=66), "no multiple of its lot of 65 units"),
        (replace(ENTRY, quantity=0), "is not above zero"),
        (replace(ENTRY, quantity=1820), "send it in slices"),
        (replace(STOP, trigger_price=Decimal("90.51")), "trigger price 90.51"),
        (replace(STOP, trigger_price=Decimal(0)), "trigger price 0"),
        (replace(STOP, price=Decimal("91.00")), "lies before 90.50"),
        (replace(STOP, side=Side.BUY, price=Decimal("90.00")), "lies before 90.50"),
    ],
)
def test_r20_a_broken_rule_is_named(ticket: OrderTicket, said: str) -> None:
    assert said in broken_rule(ticket)


@pytest.mark.parametrize("quantity", [1, 66, 1820, 75])
def test_r20_a_lot_or_freeze_that_changed_holds_up_no_exit(quantity: int) -> None:
    assert broken_rule(replace(STOP, quantity=quantity)) == ""
    assert broken_rule(replace(ENTRY, quantity=quantity)) != ""


def test_r20_new_terms_are_held_against_the_same_rules() -> None:
    change = OrderChange(order_type=OrderType.LIMIT, quantity=130, price=Decimal("100.10"))
    assert broken_rule(ENTRY, change) == ""
    assert "lot" in broken_rule(ENTRY, replace(change, quantity=100))
    assert "tick" in broken_rule(ENTRY, replace(change, price=Decimal("100.11")))


@given(
    lots=st.integers(1, 27),
    ticks=st.integers(1, 100_000),
    gap=st.integers(0, 100),
    order_type=st.sampled_from([OrderType.LIMIT, OrderType.STOP_LIMIT]),
    side=st.sampled_from(Side),
)
def test_r20_whole_lots_on_the_tick_always_may_go(
    lots: int, ticks: int, gap: int, order_type: OrderType, side: Side
) -> None:
    price = ticks * OPTION.tick
    trigger = price + gap * OPTION.tick * (1 if side is Side.SELL else -1)
    ticket = replace(ENTRY, side=side, quantity=lots * 65, order_type=order_type, price=price, trigger_price=trigger)
    assert broken_rule(ticket) == "" or trigger <= 0


def test_a_good_super_order_may_go_either_way() -> None:
    assert broken_super_rule(SUPER) == ""
    sold = replace(SUPER, side=Side.SELL, target_price=Decimal(80), stop_price=Decimal(110), trail_by=Decimal(1))
    assert broken_super_rule(sold) == ""
    assert broken_super_rule(replace(SUPER, target_price=Decimal(0))) == ""


@pytest.mark.parametrize(
    ("ticket", "said"),
    [
        (replace(SUPER, price=Decimal(0)), "needs the price of its entry"),
        (replace(SUPER, target_price=Decimal(0), stop_price=Decimal(0)), "needs a target or a stop"),
        (replace(SUPER, target_price=Decimal(100)), "not beyond the entry"),
        (replace(SUPER, stop_price=Decimal(100)), "not before the entry"),
        (replace(SUPER, side=Side.SELL), "not beyond the entry"),
        (replace(SUPER, stop_price=Decimal("90.01")), "tick"),
        (replace(SUPER, trail_by=Decimal("-1")), "not above zero"),
        (replace(SUPER, quantity=64), "lot"),
        (replace(SUPER, quantity=1820), "slices"),
    ],
)
def test_r20_a_super_order_that_breaks_a_rule_is_told_which(ticket: SuperTicket, said: str) -> None:
    assert said in broken_super_rule(ticket)
