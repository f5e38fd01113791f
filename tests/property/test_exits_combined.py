"""Exits in any combination: stops only tighten, parts make the whole, and every day ends flat with one book."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import CALL, at
from workbench.core import exits
from workbench.core.deployment import Limits
from workbench.core.messages import PositionPlanned
from workbench.core.order import Product, Purpose
from workbench.core.plan import Distance, Exits, Lock, Look, Plan, ScaleOut, Trail, Underlying
from workbench.core.position import Fill, Position, PositionState
from workbench.core.signal import Direction, Side
from workbench.testing.proof.day import Day
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.scenario import scenario_of

NOW = at("10:00:00")
POINTS = st.integers(2, 400).map(lambda ticks: Distance(points=ticks * Decimal("0.05")))
SHARES = st.integers(1, 60).map(lambda value: Distance(percent=Decimal(value)))
DISTANCES = POINTS | SHARES
TRAILS = st.builds(Trail, distance=DISTANCES, after=st.none() | DISTANCES, step=st.none() | POINTS)
LOCKS = st.builds(Lock, after=DISTANCES, keep=st.integers(1, 99).map(Decimal))
SPOT_POINTS = st.integers(1, 60).map(lambda value: Distance(points=Decimal(value)))
SPOT_TRAILS = st.builds(Trail, distance=SPOT_POINTS, after=st.none() | SPOT_POINTS, step=st.none() | SPOT_POINTS)
WATCHED = st.builds(
    Underlying,
    stop=st.none() | SPOT_POINTS,
    target=st.none() | SPOT_POINTS,
    trail=st.none() | SPOT_TRAILS,
    hourly_close=st.none() | SPOT_POINTS,
    strike=st.none() | st.sampled_from(Look),
)
BY_LOTS = st.builds(ScaleOut, at=DISTANCES, lots=st.integers(1, 4))
BY_SHARE = st.builds(ScaleOut, at=DISTANCES, share=st.integers(1, 100).map(Decimal))
PARTS = st.lists(BY_LOTS | BY_SHARE, max_size=3).map(tuple)
EXITS = st.builds(
    Exits,
    stop=st.none() | DISTANCES,
    target=st.none() | DISTANCES,
    trail=st.none() | TRAILS,
    lock=st.none() | LOCKS,
    underlying=st.none() | WATCHED,
    time=st.none() | st.just(at("10:15:30").time()),
    scale_out=PARTS,
)
PEAKS = st.lists(st.integers(1, 8000).map(lambda ticks: ticks * Decimal("0.05")), max_size=15)


def entered(plan: Exits, side: Side, direction: Direction) -> Position:
    planned = PositionPlanned(
        position_id="P", deployment="D", direction=direction, side=side, instrument=CALL, quantity=50,
        product=Product.INTRADAY, exits=plan, reference_price=Decimal(100), underlying_price=Decimal(15710),
        subject="s", at=NOW,
    )  # fmt: skip
    fill = Fill(correlation_id="E", purpose=Purpose.ENTRY, side=side, quantity=50, price=Decimal(100), at=NOW)
    laid = exits.levels(plan, side, Decimal(100), CALL.tick)
    base = Position(plan=planned, state=PositionState.OPEN, fills=(fill,), stop=laid.stop, target=laid.target)
    spot = exits.spot_levels(base)
    return replace(base, spot_stop=spot.stop, spot_target=spot.target)


@given(plan=EXITS, side=st.sampled_from(Side), peaks=PEAKS)
def test_whatever_tightens_a_stop_never_loosens_it(plan: Exits, side: Side, peaks: list[Decimal]) -> None:
    position = entered(plan, side, Direction.LONG)
    for peak in peaks:
        found = exits.tightened_stop(position, peak)
        if found is None:
            continue
        asked, by = found
        assert by in exits.STOP_REASONS
        assert asked >= CALL.tick
        assert asked % CALL.tick == 0
        if position.stop is not None:
            assert side.sign * (asked - position.stop) > 0
            if plan.trail is not None and plan.trail.step is not None and by == "trail":
                assert side.sign * (asked - position.stop) >= plan.trail.step.rupees(Decimal(100))
        position = replace(position, stop=asked, tightened_by=by)


@given(plan=EXITS, direction=st.sampled_from(Direction), moves=st.lists(st.integers(-300, 300), max_size=15))
def test_a_stop_on_the_underlying_never_loosens(plan: Exits, direction: Direction, moves: list[int]) -> None:
    position = entered(plan, Side.BUY, direction)
    for move in moves:
        asked = exits.trailed_spot_stop(position, Decimal(15710 + move))
        if asked is None:
            continue
        if position.spot_stop is not None:
            assert position.view.sign * (asked - position.spot_stop) > 0
        position = replace(position, spot_stop=asked)


@given(plan=EXITS, lots=st.integers(1, 60))
def test_parts_make_the_whole_and_each_is_a_lot_at_least(plan: Exits, lots: int) -> None:
    parts = exits.parts(plan, lots)
    assert sum(taken for taken, _ in parts) == lots
    assert all(taken >= 1 and not own.scale_out for taken, own in parts)
    assert all(own.stop == plan.stop and own.underlying == plan.underlying for _, own in parts)


@settings(max_examples=40, deadline=None)
@given(plan=EXITS, lots=st.integers(1, 40), seed=st.integers(0, 10**6), slow=st.booleans())
def test_every_combination_ends_flat_with_exits_within_the_position(
    plan: Exits, lots: int, seed: int, slow: bool
) -> None:
    """The proof's oracle holds exits to the position, and the journal to the book, after every step."""
    drawn = scenario_of(0)
    traded = replace(drawn.deployments[0], plan=Plan(name="drawn", lots=lots, exits=plan))
    day = Day(
        replace(
            drawn,
            seed=seed,
            deployments=(traded,),
            faults=Faults(partial=0.5, delay_s=0.3) if slow else Faults(),
            deaths=(),
            limits=Limits(capital=Decimal(10_000_000), max_trades_per_day=50, risk_per_trade_pct=Decimal(100)),
            alerts=0.2,
            seconds=40,
        )
    )
    asyncio.run(day.run())
