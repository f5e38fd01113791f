"""Matching, whatever orders and quotes come."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from workbench.core.bars import Quote
from workbench.core.matching import MatchBook, MatchFill, RestingOrder, arrive, step
from workbench.core.order import OrderType
from workbench.core.session import IST
from workbench.core.signal import Side

NOON = datetime(2022, 6, 15, 12, 0, tzinfo=IST)
ticks = st.integers(1, 60).map(lambda each: Decimal(each) / 20)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    bid = draw(ticks)
    ask = bid + draw(ticks)
    sizes = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    return Quote("X", NOON, draw(st.sampled_from([bid, ask])), bid, ask, sizes[0] * 25, sizes[1] * 25)


@st.composite
def orders(draw: st.DrawFn, number: int) -> RestingOrder:
    kind = draw(st.sampled_from(list(OrderType)))
    side = draw(st.sampled_from(list(Side)))
    price = draw(ticks)
    shift = draw(ticks)
    trigger = price - shift if side is Side.BUY else price + shift
    return RestingOrder(
        id=f"o{number}", side=side, quantity=25 * draw(st.integers(1, 4)), order_type=kind, price=price,
        trigger_price=max(trigger, Decimal("0.05")), sequence=number,
    )  # fmt: skip


@st.composite
def days(draw: st.DrawFn) -> list[Quote | RestingOrder]:
    length = draw(st.integers(1, 25))
    return [draw(orders(number)) if draw(st.booleans()) else draw(quotes()) for number in range(length)]


def run(day: list[Quote | RestingOrder]) -> tuple[list[tuple[MatchFill, Quote]], MatchBook]:
    book, seen = MatchBook(), []
    for each in day:
        fills, book = step(book, each) if isinstance(each, Quote) else arrive(book, each)
        if book.quote is not None:
            seen += [(fill, book.quote) for fill in fills]
    return seen, book


@given(days())
def test_no_fill_is_worse_than_the_limit_or_other_than_the_quote(day: list[Quote | RestingOrder]) -> None:
    by_id = {each.id: each for each in day if isinstance(each, RestingOrder)}
    for fill, quote in run(day)[0]:
        order = by_id[fill.order_id]
        assert fill.price == (quote.ask if fill.side is Side.BUY else quote.bid)
        if order.order_type is not OrderType.MARKET:
            assert (order.price - fill.price) * order.side.sign >= 0


@given(days())
def test_units_are_neither_lost_nor_made(day: list[Quote | RestingOrder]) -> None:
    fills, book = run(day)
    filled = Counter[str]()
    for fill, _ in fills:
        assert fill.quantity > 0
        filled[fill.order_id] += fill.quantity
    resting = {each.id: each.quantity for each in book.orders}
    for each in day:
        if isinstance(each, RestingOrder):
            assert filled[each.id] + resting.get(each.id, 0) == each.quantity


@given(days())
def test_displayed_size_is_never_exceeded(day: list[Quote | RestingOrder]) -> None:
    used: dict[tuple[int, Side], int] = {}
    for fill, quote in run(day)[0]:
        shown = quote.ask_quantity if fill.side is Side.BUY else quote.bid_quantity
        key = (id(quote), fill.side)
        used[key] = used.get(key, 0) + fill.quantity
        assert shown == 0 or used[key] <= shown


@given(days())
def test_the_same_day_gives_the_same_fills(day: list[Quote | RestingOrder]) -> None:
    assert run(day) == run(day)
