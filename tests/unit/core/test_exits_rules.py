"""The rules of leaving, each alone: distances, step, lock, levels of the underlying, hours, strikes, parts."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.core.builders import CALL, at, option
from workbench.core import exits
from workbench.core.errors import BadInput, UnknownName
from workbench.core.instrument import Right
from workbench.core.messages import PositionPlanned
from workbench.core.order import Product, Purpose
from workbench.core.plan import (
    DISASTER_STOP,
    Contract,
    Distance,
    Exits,
    Lock,
    Look,
    Plan,
    ScaleOut,
    Trail,
    Underlying,
    index_as_future,
    plan_from_mapping,
    plan_to_mapping,
)
from workbench.core.position import Fill, Position, PositionState
from workbench.core.signal import Direction, Side

NOW = at("10:00:00")


def points(value: str) -> Distance:
    return Distance(points=Decimal(value))


def percent(value: str) -> Distance:
    return Distance(percent=Decimal(value))


def position(
    plan: Exits, side: Side = Side.BUY, direction: Direction = Direction.LONG, right: Right = Right.CE, **more: Any
) -> Position:
    planned = PositionPlanned(
        position_id="P1", deployment="D", direction=direction, side=side, instrument=option(15700, right), quantity=50,
        product=Product.INTRADAY, exits=plan, reference_price=Decimal(100), underlying_price=Decimal(15710),
        subject="a", at=NOW,
    )  # fmt: skip
    fill = Fill(correlation_id="E", purpose=Purpose.ENTRY, side=side, quantity=50, price=Decimal(100), at=NOW)
    laid = exits.levels(plan, side, Decimal(100), CALL.tick)
    base = Position(plan=planned, state=PositionState.OPEN, fills=(fill,), stop=laid.stop, target=laid.target)
    spot = exits.spot_levels(base)
    return replace(base, spot_stop=spot.stop, spot_target=spot.target, **more)


def test_an_average_range_becomes_points_and_the_rest_stays() -> None:
    plan = Exits(stop=Distance(atr=Decimal("1.5"), atr_length=14), target=percent("2"))
    assert plan.atr_lengths == {14}
    resolved = plan.resolved(Decimal("20.5"))
    assert resolved == Exits(stop=points("30.75"), target=percent("2"))
    assert resolved.atr_lengths == frozenset()
    with pytest.raises(BadInput, match="average"):
        plan.stop.rupees(Decimal(100)) if plan.stop else None


def test_every_distance_of_the_exits_is_resolved() -> None:
    one = Distance(atr=Decimal(1))
    plan = Exits(
        trail=Trail(distance=one, after=one, step=one),
        lock=Lock(after=one, keep=Decimal(50)),
        underlying=Underlying(stop=one, target=one, trail=Trail(distance=one), hourly_close=one),
        scale_out=(ScaleOut(at=one, lots=1),),
    )
    assert "atr=None" in repr(plan.resolved(Decimal(7)))
    assert plan.resolved(Decimal(7)).atr_lengths == frozenset()
    assert plan.resolved(Decimal(7)).scale_out[0].at == points("7.0000")


def test_a_stepped_trail_moves_by_whole_steps_only() -> None:
    held = position(Exits(stop=points("20"), trail=Trail(distance=points("10"), step=points("5"))))
    assert exits.trailed_stop(held, Decimal(94)) is None
    assert exits.trailed_stop(held, Decimal("94.95")) is None
    assert exits.trailed_stop(held, Decimal(95)) == 85


def test_a_lock_arms_after_its_gain_and_keeps_its_share_of_the_best() -> None:
    held = position(Exits(stop=points("20"), lock=Lock(after=percent("10"), keep=Decimal(50))))
    assert exits.tightened_stop(held, Decimal("109.95")) is None
    assert exits.tightened_stop(held, Decimal(110)) == (Decimal("105.00"), "lock")
    assert exits.tightened_stop(replace(held, stop=Decimal(105)), Decimal(110)) is None
    sold = position(Exits(stop=points("20"), lock=Lock(after=percent("10"), keep=Decimal(50))), Side.SELL)
    assert exits.tightened_stop(sold, Decimal(90)) == (Decimal("95.00"), "lock")


def test_of_trail_and_lock_the_tighter_one_counts() -> None:
    both = Exits(trail=Trail(distance=points("8")), lock=Lock(after=points("10"), keep=Decimal(80)))
    assert exits.tightened_stop(position(both), Decimal(108)) == (Decimal("100.00"), "trail")
    assert exits.tightened_stop(position(both), Decimal(112)) == (Decimal("109.60"), "lock")
    assert exits.tightened_stop(position(both), Decimal(160)) == (Decimal("152.00"), "trail")


WATCHED = Exits(
    stop=percent("40"), underlying=Underlying(stop=points("60"), target=percent("1"), strike=Look.TOUCH)
)  # fmt: skip


def test_levels_of_the_underlying_follow_the_view_and_not_the_side() -> None:
    bullish = position(WATCHED)
    assert (bullish.spot_stop, bullish.spot_target) == (Decimal(15650), Decimal("15867.1"))
    bearish = position(WATCHED, direction=Direction.SHORT, right=Right.PE)
    assert (bearish.spot_stop, bearish.spot_target) == (Decimal(15770), Decimal("15552.9"))
    sold_put = position(WATCHED, Side.SELL, Direction.LONG, Right.PE)
    assert (sold_put.spot_stop, sold_put.spot_target) == (bullish.spot_stop, bullish.spot_target)


@pytest.mark.parametrize(
    ("direction", "spot", "reason"),
    [
        (Direction.LONG, "15710", ""),
        (Direction.LONG, "15700", ""),
        (Direction.LONG, "15699.95", "strike"),
        (Direction.LONG, "15650", "underlying_stop"),
        (Direction.LONG, "15867.1", "underlying_target"),
        (Direction.SHORT, "15699", ""),
        (Direction.SHORT, "15700.05", "strike"),
        (Direction.SHORT, "15770", "underlying_stop"),
        (Direction.SHORT, "15552.9", "underlying_target"),
    ],
)
def test_a_price_of_the_underlying_names_the_exit(direction: Direction, spot: str, reason: str) -> None:
    right = Right.CE if direction is Direction.LONG else Right.PE
    assert exits.spot_due(position(WATCHED, direction=direction, right=right), Decimal(spot)) == reason
    assert exits.spot_due(position(Exits()), Decimal(spot)) == ""


def test_an_hourly_close_counts_where_a_touch_does_not() -> None:
    strike = position(Exits(stop=percent("40"), underlying=Underlying(strike=Look.HOURLY_CLOSE)))
    assert exits.spot_due(strike, Decimal(15000)) == ""
    assert exits.hourly_due(strike, Decimal("15699.95")) == "strike"
    assert exits.hourly_due(strike, Decimal(15700)) == ""
    close = position(Exits(stop=percent("40"), underlying=Underlying(hourly_close=points("30"))))
    assert exits.hourly_due(close, Decimal("15680.05")) == ""
    assert exits.hourly_due(close, Decimal(15680)) == "hourly_close"
    assert exits.hourly_due(position(Exits()), Decimal(1)) == ""


def test_the_trail_of_the_underlying_only_tightens() -> None:
    rule = Trail(distance=points("40"), after=points("20"), step=points("10"))
    held = position(Exits(stop=percent("40"), underlying=Underlying(stop=points("60"), trail=rule)))
    assert exits.trailed_spot_stop(held, Decimal(15729)) is None
    assert exits.trailed_spot_stop(held, Decimal(15730)) == 15690
    moved = replace(held, spot_stop=Decimal(15690))
    assert exits.trailed_spot_stop(moved, Decimal(15739)) is None
    assert exits.trailed_spot_stop(moved, Decimal(15740)) == 15700
    alone = position(Exits(stop=percent("40"), underlying=Underlying(trail=Trail(distance=points("40")))))
    assert alone.spot_stop == 15670
    assert exits.trailed_spot_stop(position(WATCHED), Decimal(20000)) is None


TWO_PARTS = (ScaleOut(at=points("10"), lots=1), ScaleOut(at=points("20"), share=Decimal(50)))


@pytest.mark.parametrize(
    ("lots", "found"),
    [
        (1, [(1, "10")]),
        (2, [(1, "10"), (1, "20")]),
        (3, [(1, "10"), (1, "20"), (1, "30")]),
        (6, [(1, "10"), (3, "20"), (2, "30")]),
    ],
)
def test_parts_are_whole_lots_and_with_one_lot_the_first_takes_all(lots: int, found: list[tuple[int, str]]) -> None:
    plan = Exits(stop=points("15"), target=points("30"), scale_out=TWO_PARTS)
    parts = exits.parts(plan, lots)
    assert [(taken, own.target) for taken, own in parts] == [(taken, points(at)) for taken, at in found]
    assert all(own.stop == plan.stop and own.scale_out == () for _, own in parts)
    assert sum(taken for taken, _ in parts) == lots


# --- plans ----------------------------------------------------------------------------------------------------------

FULL: dict[str, Any] = {
    "name": "full",
    "product": "MARGIN",
    "overnight": "keep_winners",
    "lots": 4,
    "no_entry_after_on_expiry": "13:00",
    "exits": {
        "stop": "30%",
        "target": "90%",
        "trail": {"distance": 12, "after": "10%", "step": 2},
        "lock": {"after": "2%", "keep": "50%"},
        "time": "15:00",
        "underlying": {
            "stop": {"atr": {"length": 10, "factor": 1.5}},
            "target": {"atr": {"length": 10, "factor": 3}},
            "trail": 40,
            "hourly_close": "0.5%",
            "strike": "hourly_close",
        },
        "scale_out": [{"lots": 1, "at": 10}, {"share": "50%", "at": "25%"}],
    },
}


def test_a_plan_with_every_exit_reads_and_writes_itself() -> None:
    plan = plan_from_mapping(FULL)
    assert plan.no_entry_after_on_expiry == dt.time(13, 0)
    assert plan.exits == Exits(
        stop=percent("30"),
        target=percent("90"),
        trail=Trail(distance=points("12"), after=percent("10"), step=points("2")),
        lock=Lock(after=percent("2"), keep=Decimal(50)),
        time=dt.time(15, 0),
        underlying=Underlying(
            stop=Distance(atr=Decimal("1.5"), atr_length=10),
            target=Distance(atr=Decimal(3), atr_length=10),
            trail=Trail(distance=points("40")),
            hourly_close=percent("0.5"),
            strike=Look.HOURLY_CLOSE,
        ),
        scale_out=(ScaleOut(at=points("10"), lots=1), ScaleOut(at=percent("25"), share=Decimal(50))),
    )
    assert plan_from_mapping(plan_to_mapping(plan)) == plan


def test_the_plan_of_the_decision_page_is_one() -> None:
    page = Path(__file__).parents[3] / "docs" / "decisions" / "0073-exits.md"
    table = page.read_text(encoding="utf-8").split("```yaml")[1].split("```")[0]
    plan = plan_from_mapping(yaml.safe_load(table))
    assert plan.exits.underlying is not None
    assert plan.exits.scale_out[1].share == 50


def test_an_exit_on_the_underlying_gets_a_disaster_stop_at_the_broker() -> None:
    plan = Plan(exits=Exits(underlying=Underlying(target=points("50"))))
    assert plan.exits.stop == DISASTER_STOP == percent("40")
    assert Plan(exits=Exits(stop=points("9"), underlying=Underlying(stop=points("50")))).exits.stop == points("9")


@pytest.mark.parametrize(
    ("exits_table", "more", "word"),
    [
        ({"stop": {"atr": {"length": 14}}}, {}, "premium"),
        ({"stop": {"atr": 14}}, {}, "atr"),
        ({"stop": {"atr": {"length": 1.5}}}, {}, "whole number"),
        ({"underlying": {"stop": 10}}, {"contract": "index_as_future"}, "traded price"),
        ({"underlying": {"strike": "touch"}}, {"contract": "future"}, "needs an option"),
        ({"underlying": {"strike": "touch"}}, {"strike": "OTM1"}, "out of the money"),
        ({"underlying": {"stop": {"atr": {"length": 5}}, "target": {"atr": {"length": 9}}}}, {}, "one length"),
        ({"lock": {"after": 5, "keep": "100%"}}, {}, "between 0 and 100"),
        ({"scale_out": [{"at": 5}]}, {}, "one of the two"),
        ({"scale_out": [{"at": 5, "lots": 1, "share": 50}]}, {}, "one of the two"),
        ({"scale_out": [{"at": 5, "lots": 0}]}, {}, "one of the two"),
        ({"scale_out": [{"at": 5, "share": 101}]}, {}, "one of the two"),
        ({"scale_out": [{"lots": 1}]}, {}, "distance is needed"),
        ({"scale_out": [{"at": 5, "lots": "1"}]}, {}, "whole lots"),
        ({"trail": {"after": 5}}, {}, "distance is needed"),
        ({"lock": 5}, {}, "table"),
    ],
)
def test_exits_that_cannot_be_carried_out_are_refused_when_read(
    exits_table: dict[str, Any], more: dict[str, Any], word: str
) -> None:
    with pytest.raises(BadInput, match=word):
        plan_from_mapping({"exits": exits_table, **more})


def test_an_unknown_word_is_answered_with_the_known_ones() -> None:
    for table in ({"stopp": 5}, {"underlying": {"strikes": "touch"}}, {"underlying": {"strike": "tuch"}}):
        with pytest.raises(UnknownName):
            plan_from_mapping({"exits": table})


def test_an_average_range_on_the_index_itself_is_a_plan() -> None:
    plan = index_as_future(exits=Exits(stop=Distance(atr=Decimal(2))))
    assert plan.contract is Contract.INDEX_AS_FUTURE
    assert plan.exits.atr_lengths == {14}
