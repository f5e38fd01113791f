"""Resting orders against quotes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.matching import MatchBook, RestingOrder, arrive, step
from workbench.core.order import OrderType
from workbench.core.session import IST
from workbench.core.signal import Side

NOON = datetime(2022, 6, 15, 12, 0, tzinfo=IST)


def quote(bid: str, ask: str, last: str | None = None, sizes: tuple[int, int] = (0, 0)) -> Quote:
    middle = Decimal(last) if last is not None else (Decimal(bid) + Decimal(ask)) / 2
    return Quote("X", NOON, middle, Decimal(bid), Decimal(ask), *sizes)


def order(
    side: Side,
    price: str = "0",
    *,
    kind: OrderType = OrderType.LIMIT,
    trigger: str = "0",
    number: int = 1,
    units: int = 50,
) -> RestingOrder:
    return RestingOrder(
        id=f"o{number}", side=side, quantity=units, order_type=kind, price=Decimal(price),
        trigger_price=Decimal(trigger), sequence=number,
    )  # fmt: skip


def prices(fills: tuple[object, ...]) -> list[str]:
    return [str(getattr(fill, "price")) for fill in fills]  # noqa: B009


def test_a_market_order_takes_the_other_side() -> None:
    book = MatchBook(quote=quote("99", "101"))
    bought, book = arrive(book, order(Side.BUY, kind=OrderType.MARKET))
    sold, book = arrive(book, order(Side.SELL, kind=OrderType.MARKET, number=2))
    assert (prices(bought), prices(sold)) == (["101"], ["99"])
    assert book.orders == ()


def test_a_limit_gets_the_better_price() -> None:
    fills, _ = step(MatchBook(orders=(order(Side.BUY, "105"),)), quote("99", "101"))
    assert prices(fills) == ["101"]


def test_a_limit_waits_until_its_price_comes() -> None:
    fills, book = step(MatchBook(orders=(order(Side.SELL, "105"),)), quote("99", "101"))
    assert fills == ()
    fills, book = step(book, quote("105", "106"))
    assert prices(fills) == ["105"]
    assert book.orders == ()


def test_a_stop_sleeps_until_the_last_price_reaches_its_trigger() -> None:
    stop = order(Side.SELL, "94", kind=OrderType.STOP_LIMIT, trigger="95")
    fills, book = step(MatchBook(orders=(stop,)), quote("95", "96", last="95.50"))
    assert fills == ()
    assert not book.orders[0].triggered
    fills, book = step(book, quote("94.50", "95.50", last="95"))
    assert prices(fills) == ["94.50"]


def test_a_gap_beyond_the_limit_leaves_a_triggered_stop_resting() -> None:
    stop = order(Side.SELL, "94", kind=OrderType.STOP_LIMIT, trigger="95")
    fills, book = step(MatchBook(orders=(stop,)), quote("90", "91", last="90.50"))
    assert fills == ()
    assert book.orders[0].triggered
    # Awake, it is a limit order: it trades when its price comes back, above the trigger or not.
    fills, book = step(book, quote("96", "97", last="96.50"))
    assert prices(fills) == ["96"]


def test_a_gap_within_the_limit_fills_at_the_quote_behind_the_gap() -> None:
    stop = order(Side.BUY, "120", kind=OrderType.STOP_LIMIT, trigger="110")
    fills, _ = step(MatchBook(orders=(stop,)), quote("115", "116", last="115.50"))
    assert prices(fills) == ["116"]


def test_without_a_last_price_the_book_triggers() -> None:
    stop = order(Side.SELL, "90", kind=OrderType.STOP_LIMIT, trigger="95")
    fills, _ = step(MatchBook(orders=(stop,)), quote("94", "96", last="0"))
    assert prices(fills) == ["94"]
    nobody, book = step(MatchBook(orders=(stop,)), quote("0", "96", last="0"))
    assert nobody == ()
    assert not book.orders[0].triggered


def test_displayed_size_is_shared_and_used_once() -> None:
    first, second = order(Side.BUY, "101", units=50), order(Side.BUY, "101", number=2, units=50)
    fills, book = step(MatchBook(orders=(first, second)), quote("99", "101", sizes=(500, 75)))
    assert [(fill.order_id, fill.quantity) for fill in fills] == [("o1", 50), ("o2", 25)]
    assert [each.quantity for each in book.orders] == [25]
    late, book = arrive(book, order(Side.BUY, "101", number=3))
    assert late == ()
    fills, book = step(book, quote("99", "101", sizes=(500, 75)))
    assert [(fill.order_id, fill.quantity) for fill in fills] == [("o2", 25), ("o3", 50)]
    assert book.orders == ()


def test_price_goes_before_time_and_market_before_price() -> None:
    book = MatchBook(
        orders=(
            order(Side.BUY, "101", number=1),
            order(Side.BUY, "103", number=2),
            order(Side.BUY, kind=OrderType.MARKET, number=3),
            order(Side.SELL, "98", number=4),
        )
    )
    fills, _ = step(book, quote("99", "101"))
    assert [fill.order_id for fill in fills] == ["o3", "o2", "o1", "o4"]


def test_nobody_on_the_other_side_means_no_fill() -> None:
    fills, book = step(MatchBook(orders=(order(Side.SELL, kind=OrderType.MARKET),)), quote("0", "1"))
    assert fills == ()
    assert len(book.orders) == 1


def test_a_changed_order_replaces_itself() -> None:
    book = MatchBook(orders=(order(Side.SELL, "105"),), quote=quote("99", "101"))
    fills, book = arrive(book, order(Side.SELL, "99", number=1))
    assert prices(fills) == ["99"]
    assert book.orders == ()
    assert MatchBook(orders=(order(Side.SELL, "105"),)).without("o1").orders == ()
