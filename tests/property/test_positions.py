"""Positions: P&L is the cash that flowed, stops never loosen, exits never exceed what is held."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import CALL, LIMITS, Stand, at, bracket, scalp
from workbench.core import exits
from workbench.core.book import Book
from workbench.core.messages import AlertAction, FillBooked, OrderSubmitted, PositionPlanned
from workbench.core.order import OrderTicket, OrderType, Product, Purpose
from workbench.core.plan import Distance, Exits, Trail
from workbench.core.signal import Direction, Side

NOW = at("10:00:00")
PRICES = st.integers(1, 10_000).map(lambda ticks: ticks * Decimal("0.05"))
FILLS = st.lists(st.tuples(st.sampled_from(list(Purpose)), st.integers(1, 20), PRICES), min_size=1, max_size=8)


def booked(side: Side, fills: list[tuple[Purpose, int, Decimal]]) -> Book:
    book = Book()
    book.apply(
        PositionPlanned(
            position_id="P",
            deployment="D",
            direction=Direction.LONG,
            side=side,
            instrument=CALL,
            quantity=50,
            product=Product.INTRADAY,
            exits=Exits(),
            reference_price=Decimal(1),
            underlying_price=Decimal(1),
            subject="s",
            at=NOW,
        )
    )
    for purpose in Purpose:
        order_side = side if purpose is Purpose.ENTRY else side.opposite
        ticket = OrderTicket(
            correlation_id=purpose.value,
            intent_id="i",
            position_id="P",
            deployment="D",
            purpose=purpose,
            instrument=CALL,
            side=order_side,
            quantity=10_000,
            order_type=OrderType.LIMIT,
            product=Product.INTRADAY,
        )
        book.apply(OrderSubmitted(ticket=ticket, at=NOW))
    for purpose, lots, price in fills:
        book.apply(FillBooked(correlation_id=purpose.value, position_id="P", quantity=lots * 50, price=price, at=NOW))
    return book


@given(side=st.sampled_from(list(Side)), fills=FILLS, last=PRICES)
def test_gross_is_the_cash_that_flowed_and_what_is_left_at_its_price(
    side: Side, fills: list[tuple[Purpose, int, Decimal]], last: Decimal
) -> None:
    book = booked(side, fills)
    position = book.positions["P"]
    cash, units = Decimal(0), 0
    for purpose, lots, price in fills:
        sign = side.sign if purpose is Purpose.ENTRY else -side.sign
        cash -= sign * lots * 50 * price
        units += sign * lots * 50
    assert position.gross_at(last) == cash + units * last
    assert position.open_quantity == side.sign * units
    assert position.entered_quantity - position.exited_quantity == position.open_quantity
    assert book.net_by_instrument() == {("NSE_FNO", CALL.security_id): units}
    assert sum((order.filled_value for order in book.orders.values()), Decimal(0)) == sum(
        (lots * 50 * price for _, lots, price in fills), Decimal(0)
    )


@given(
    side=st.sampled_from(list(Side)),
    distance=st.integers(1, 400).map(lambda ticks: ticks * Decimal("0.05")),
    after=st.none() | st.integers(1, 200).map(lambda ticks: ticks * Decimal("0.05")),
    peaks=st.lists(PRICES, min_size=1, max_size=12),
)
def test_a_trailed_stop_never_loosens(
    side: Side, distance: Decimal, after: Decimal | None, peaks: list[Decimal]
) -> None:
    from dataclasses import replace

    trail = Trail(distance=Distance(points=distance), after=None if after is None else Distance(points=after))
    position = booked(side, [(Purpose.ENTRY, 1, Decimal(250))]).positions["P"]
    position = replace(position, plan=replace(position.plan, exits=bracket("20", "90", trail=trail)))
    position = replace(position, stop=exits.levels(position.plan.exits, side, Decimal(250), CALL.tick).stop)
    for peak in peaks:
        asked = exits.trailed_stop(position, peak)
        if asked is None:
            continue
        assert position.stop is not None
        assert side.sign * (asked - position.stop) > 0
        assert asked >= CALL.tick
        assert asked % CALL.tick == 0
        position = replace(position, stop=asked)


STEPS = st.lists(
    st.tuples(st.sampled_from(["entry", "exit", "flat", "wait", "price", "answer"]), st.integers(1, 4), PRICES),
    max_size=25,
)


@settings(max_examples=120)
@given(steps=STEPS)
def test_exits_never_hold_more_than_the_position(steps: list[tuple[str, int, Decimal]]) -> None:
    stand = Stand(scalp(lots=4), limits=LIMITS)
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    filled: dict[str, int] = {}
    for what, lots, price in steps:
        _do(stand, filled, what, lots, price)
        position = stand.book.positions[entry.position_id]
        resting = stand.book.resting_exits(entry.position_id)
        asked = [stand.book.changes_pending.get(order.ticket.correlation_id) for order in resting]
        working = sum(
            max(order.ticket.quantity, change.quantity if change else 0) - order.filled_quantity
            for order, change in zip(resting, asked, strict=True)
        )
        assert 0 <= working <= position.open_quantity


def _do(stand: Stand, filled: dict[str, int], what: str, lots: int, price: Decimal) -> None:
    entry = stand.ticket("E")
    leaving = [each for each in stand.tickets() if each.purpose is not Purpose.ENTRY]
    newest = leaving[-1] if leaving else None
    if what == "entry":
        filled["E"] = min(200, filled.get("E", 0) + lots * 50)
        stand.update(entry, filled["E"], 120)
    elif what == "flat":
        stand.alert(AlertAction.TARGET_FLAT)
    elif what == "wait":
        stand.wait(lots)
    elif what == "price":
        stand.price(CALL, str(price))
    elif newest is not None and what == "answer":
        if newest.correlation_id in stand.book.changes_pending:
            stand.change(newest)
        else:
            stand.answer(newest)
    elif newest is not None:
        order = stand.book.orders[newest.correlation_id]
        done = min(order.ticket.quantity, order.filled_quantity + lots * 50)
        stand.update(newest, done, "110", quantity=order.ticket.quantity)
