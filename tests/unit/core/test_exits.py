"""Exits: where stop and target lie, how the trail tightens, and at what price a position is left."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, DAY, Stand, at, bracket, quote
from workbench import reference
from workbench.core import exits
from workbench.core.errors import IllegalMove
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.messages import PositionPlanned
from workbench.core.order import OrderType, Product, Purpose
from workbench.core.plan import Distance, Exits, Trail
from workbench.core.position import Fill, Position, PositionState
from workbench.core.signal import Direction, Side

TICK = Decimal("0.05")
NOW = at("10:00:00")
SESSION = reference.calendar().session(Segment.NSE_FNO, DAY)

TRAIL_LATER = Exits(trail=Trail(distance=Distance(points=Decimal(7)), after=Distance(points=Decimal(1))))


def position(side: Side = Side.BUY, plan: Exits | None = None, price: str = "120", **more: object) -> Position:
    planned = PositionPlanned(
        position_id="P1", deployment="D", direction=Direction.LONG, side=side, instrument=CALL, quantity=50,
        product=Product.INTRADAY, exits=plan or bracket(), reference_price=Decimal(price),
        underlying_price=Decimal(15700), subject="a", at=NOW,
    )  # fmt: skip
    fill = Fill(correlation_id="E", purpose=Purpose.ENTRY, side=side, quantity=50, price=Decimal(price), at=NOW)
    laid = exits.levels(planned.exits, side, Decimal(price), TICK)
    base = Position(plan=planned, state=PositionState.OPEN, fills=(fill,), stop=laid.stop, target=laid.target)
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plan", "side", "stop", "target"),
    [
        (bracket("15", "30"), Side.BUY, "105.00", "150.00"),
        (bracket("15", "30"), Side.SELL, "135.00", "90.00"),
        (Exits(stop=Distance(percent=Decimal("12.5"))), Side.BUY, "105.00", None),
        (bracket("500", "30"), Side.BUY, "0.05", "150.00"),
        (Exits(target=Distance(points=Decimal(500))), Side.SELL, None, "0.05"),
        (Exits(trail=Trail(distance=Distance(points=Decimal(7)))), Side.BUY, "113.00", None),
        (TRAIL_LATER, Side.BUY, None, None),
        (bracket("15.03", "30.03"), Side.BUY, "104.95", "150.05"),
    ],
)  # fmt: skip
def test_levels_lie_around_the_fill_on_the_tick(plan: Exits, side: Side, stop: str | None, target: str | None) -> None:
    found = exits.levels(plan, side, Decimal(120), TICK)
    assert found.stop == (None if stop is None else Decimal(stop))
    assert found.target == (None if target is None else Decimal(target))


TRAIL = Exits(
    stop=Distance(points=Decimal(15)),
    trail=Trail(distance=Distance(points=Decimal(10)), after=Distance(points=Decimal(8))),
)


def test_the_trail_waits_until_its_profit_is_earned() -> None:
    assert exits.trailed_stop(position(plan=TRAIL), Decimal("127.95")) is None
    assert exits.trailed_stop(position(plan=TRAIL), Decimal(128)) == 118


def test_the_trail_never_loosens() -> None:
    tight = position(plan=TRAIL, stop=Decimal(125))
    assert exits.trailed_stop(tight, Decimal(134)) is None
    assert exits.trailed_stop(tight, Decimal(135)) is None
    assert exits.trailed_stop(tight, Decimal(136)) == 126


def test_the_trail_of_a_sold_position_comes_from_above() -> None:
    sold = position(Side.SELL, TRAIL)
    assert exits.trailed_stop(sold, Decimal("112.05")) is None
    assert exits.trailed_stop(sold, Decimal(110)) == 120


def test_a_trail_on_a_cheap_premium_stays_above_zero() -> None:
    plan = Exits(trail=Trail(distance=Distance(points=Decimal(15)), after=Distance(points=Decimal(2))))
    assert exits.trailed_stop(position(plan=plan, price="8"), Decimal(10)) == TICK


def test_without_a_trail_the_stop_stands() -> None:
    assert exits.trailed_stop(position(), Decimal(500)) is None


def test_target_and_stop_are_read_from_the_side_at_which_one_can_leave() -> None:
    held = position()
    assert not exits.target_reached(held, quote(CALL.key, "150.05", NOW, "0.20"))
    assert exits.target_reached(held, quote(CALL.key, "150.10", NOW, "0.20"))
    assert exits.stop_passed(held, quote(CALL.key, "105", NOW))
    assert not exits.stop_passed(held, quote(CALL.key, "105.05", NOW))
    sold = position(Side.SELL)
    assert exits.target_reached(sold, quote(CALL.key, "89.90", NOW, "0.20"))
    assert exits.stop_passed(sold, quote(CALL.key, "135", NOW))
    assert not exits.target_reached(position(plan=Exits()), quote(CALL.key, 999, NOW))
    assert not exits.stop_passed(position(plan=Exits()), quote(CALL.key, 1, NOW))


def test_the_clock_asks_for_an_exit() -> None:
    assert SESSION is not None
    plan = Exits(time=at("14:45:00").time())
    assert exits.due(plan, SESSION, at("14:44:59")) == ""
    assert exits.due(plan, SESSION, at("14:45:00")) == "time"
    assert exits.due(Exits(), SESSION, SESSION.square_off_start) == "session_end"
    assert exits.due(Exits(), SESSION, at("15:00:00"), at("15:00:00").time()) == "session_end"
    assert exits.due(plan, SESSION, at("09:14:59")) == ""
    assert exits.due(plan, None, at("15:20:00")) == ""


def test_a_stop_order_has_its_limit_a_buffer_beyond_the_trigger() -> None:
    terms = exits.stop_terms(position(), 50)
    assert (terms.order_type, terms.trigger_price, terms.price) == (
        OrderType.STOP_LIMIT,
        Decimal("105.00"),
        Decimal("99.75"),
    )
    assert exits.stop_terms(position(Side.SELL), 50).price == Decimal("141.75")
    with pytest.raises(IllegalMove):
        exits.stop_terms(position(plan=Exits()), 50)


def test_leaving_reaches_ever_further_and_never_below_a_tick() -> None:
    now = quote(CALL.key, 100, NOW, "0.10")
    asked = [exits.leaving_terms(position(exit_attempts=n), now, 50).price for n in range(7)]
    assert asked[0] == Decimal("98.95")
    assert asked == sorted(asked, reverse=True)
    assert asked[4] == asked[6] == Decimal("79.95")
    assert exits.leaving_terms(position(), quote(CALL.key, "0.05", NOW, "0"), 50).price == TICK


def test_a_target_is_taken_at_its_own_price_first() -> None:
    at_target = position(exit_reason="target")
    now = quote(CALL.key, 151, NOW)
    assert exits.leaving_terms(at_target, now, 50).price == 150
    assert exits.leaving_terms(replace(at_target, exit_attempts=1), now, 50).price < 150


def test_without_a_quote_the_widest_step_is_taken_from_the_last_known_level() -> None:
    assert exits.leaving_terms(position(), None, 50).price == Decimal("84.00")
    assert exits.leaving_terms(position(plan=Exits()), None, 50).price == Decimal("96.00")


def test_an_excess_is_taken_back_on_the_entrys_side() -> None:
    sold_twice = Fill(
        correlation_id="X", purpose=Purpose.EXIT, side=Side.SELL, quantity=100, price=Decimal(110), at=NOW
    )
    held = position()
    over = replace(held, fills=(*held.fills, sold_twice), exit_reason="target")
    assert over.open_quantity == -50
    assert exits.leaving_terms(over, quote(CALL.key, 100, NOW, "0.10"), 50).price == Decimal("101.10")


def test_the_index_as_future_leaves_at_the_market_and_its_target_at_its_price() -> None:
    held = position(exit_reason="signal")
    synthetic = replace(held.plan.instrument, kind=InstrumentKind.SYNTHETIC)
    held = replace(held, plan=replace(held.plan, instrument=synthetic))
    assert exits.leaving_terms(held, None, 50).order_type is OrderType.MARKET
    assert exits.leaving_terms(replace(held, exit_reason="target"), None, 50).order_type is OrderType.LIMIT
    assert exits.stop_terms(held, 50).price == Decimal("52.50")


def test_a_real_position_has_the_levels_of_its_fill() -> None:
    held = Stand().protected("121.35")
    assert (held.stop, held.target, held.initial_stop) == (Decimal("106.35"), Decimal("151.35"), Decimal("106.35"))
