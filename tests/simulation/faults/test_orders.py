"""Every fault of a new order in the broker's book, and of the words on it: refused, stuck, not found, told badly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.faults.books import (
    assert_books_agree,
    assert_flat,
    assert_nothing_twice,
    assert_protected,
    net_at_broker,
    our_orders,
)
from tests.simulation.faults.moments import LOT, MOMENTS, SETTLED_S, Moment, is_protected, live_through
from tests.simulation.faults.rig import playing_dhan, trading
from workbench.core.messages import AlertAction
from workbench.core.order import OrderState
from workbench.testing.simulator import RunningSimulator

FOR_EVER_S = 600


def be_found(sim: RunningSimulator) -> None:
    """Let look-ups find everything again, and updates be told."""
    sim.clear_faults()
    sim.call(sim.application.gate._hidden.clear)


of_a_new_order = pytest.mark.parametrize("moment", [Moment.ENTRY, Moment.STOP])
at_each_moment = pytest.mark.parametrize("moment", MOMENTS)


@of_a_new_order
@pytest.mark.parametrize("kind", ["reject", "reject_after_ack"])
def test_r12_r13_an_order_that_the_exchange_refuses_leaves_nothing_bare(
    tmp_path: Path, moment: Moment, kind: str
) -> None:
    told = live_through(tmp_path, moment, kind)
    assert told.entered is (moment is Moment.STOP)
    assert told.protected is told.entered
    if moment is Moment.STOP:
        assert any("no stop at the broker" in text for text in told.alarms)


@pytest.mark.parametrize("kind", ["reject", "reject_after_ack"])
def test_r13_when_every_stop_is_refused_the_position_is_left_loudly(tmp_path: Path, kind: str) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            sim.fault(kind, match="POST /orders", skip=1, count=3)
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: len(our_orders(sim)) >= 5, "the order that leaves", seconds=20)
            await it.until(lambda: not net_at_broker(sim), "being flat", seconds=20)
            assert it.seconds <= 14
            assert any("cannot be protected; leaving it" in text for text in it.alarms)
            await it.pass_s(SETTLED_S)
            assert_flat(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


@pytest.mark.parametrize("is_deaf", [False, True], ids=["heard", "deaf"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("reject", {}),
        ("lost_reply", {}),
        ("http_429", {"after": True}),
        ("http_503", {"after": False}),
        ("truncated_body", {}),
        ("stuck_in_transit", {"seconds": 9}),
    ],
)
def test_r13_r1_the_order_that_leaves_a_bare_position_may_fail_as_well(
    tmp_path: Path, kind: str, options: dict[str, Any], is_deaf: bool
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            sim.fault("reject", match="POST /orders", skip=1, count=3)
            sim.fault(kind, match="POST /orders", skip=4 if kind != "reject" else 1, **options)
            if is_deaf:
                sim.fault("updates_dropped", skip=3, count=1000)
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: len(our_orders(sim)) >= 5, "the order that leaves", seconds=90)
            await it.pass_s(SETTLED_S)
            assert_books_agree(sim, it)
            assert it.alarms
            sim.clear_faults()
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            await it.pass_s(SETTLED_S)
            assert_flat(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


@of_a_new_order
@pytest.mark.parametrize("seconds", [8, 86_400], ids=["for_a_while", "for_the_day"])
def test_r9_an_order_that_never_reaches_the_exchange_is_never_taken_for_dead(
    tmp_path: Path, moment: Moment, seconds: int
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            sim.fault("stuck_in_transit", match="POST /orders", skip=int(moment is Moment.STOP), seconds=seconds)
            await it.alert(AlertAction.BULLISH)
            await it.pass_s(SETTLED_S)
            assert_books_agree(sim, it)
            stuck = [row for row in our_orders(sim) if row["orderStatus"] == "TRANSIT"]
            assert len(stuck) == int(seconds > SETTLED_S)
            if stuck:
                state = it.engine.book.orders[stuck[0]["correlationId"]].state
                assert state.may_rest, f"{state} of an order that may still fill"
                assert len(our_orders(sim)) == (2 if moment is Moment.STOP else 1)
                assert any("has not reached the exchange" in text for text in it.alarms)
                sim.call(sim.simulator.desk.release_transit)
            await it.alert(AlertAction.TARGET_FLAT)
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            await it.pass_s(SETTLED_S)
            assert_flat(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


@of_a_new_order
@pytest.mark.parametrize("book", [False, True], ids=["by_tag", "and_in_the_book"])
@pytest.mark.parametrize("lost", [False, True], ids=["answered", "not_answered"])
def test_r1_an_order_that_cannot_be_found_for_a_while_is_not_sent_again(
    tmp_path: Path, moment: Moment, book: bool, lost: bool
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            skip = int(moment is Moment.STOP)
            sim.fault("lagging_lookup", match="POST /orders", skip=skip, seconds=FOR_EVER_S, book=book)
            if lost:
                sim.fault("lost_reply", match="POST /orders", skip=skip)
                sim.fault("updates_dropped", count=100)
            await it.alert(AlertAction.BULLISH)
            await it.pass_s(12)
            assert_nothing_twice(sim, it)
            be_found(sim)
            await it.pass_s(SETTLED_S)
            assert_books_agree(sim, it)
            assert_protected(sim, LOT)
            await it.alert(AlertAction.TARGET_FLAT)
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            assert_flat(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


@pytest.mark.parametrize("moment", [Moment.ENTRY, Moment.STOP])
def test_r1_an_order_that_was_given_up_and_turns_up_is_taken_back_up(tmp_path: Path, moment: Moment) -> None:
    """The look-up lags longer than anybody waits: later there is one order too many, seen, told and taken back."""

    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            skip = int(moment is Moment.STOP)
            sim.fault("lagging_lookup", match="POST /orders", skip=skip, seconds=FOR_EVER_S, book=True)
            sim.fault("lost_reply", match="POST /orders", skip=skip)
            sim.fault("updates_dropped", count=100, **({} if moment is Moment.ENTRY else {"skip": 3}))
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: _given_up(it), "giving it up", seconds=60)
            assert any("given up; watched for a late fill" in text for text in it.alarms)
            be_found(sim)
            await it.pass_s(SETTLED_S)
            assert_nothing_twice(sim, it)
            assert_books_agree(sim, it)
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            await it.pass_s(SETTLED_S)
            assert_flat(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))


def _given_up(it: Any) -> bool:
    return any(order.state is OrderState.ABANDONED for order in it.engine.book.orders.values())


@at_each_moment
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("updates_dropped", {"count": 50}),
        ("updates_dropped", {"count": 1}),
        ("updates_dropped", {"count": 1, "skip": 2}),
        ("updates_doubled", {"count": 50}),
        ("updates_delayed", {"count": 3, "seconds": 0.5}),
        ("updates_reordered", {"count": 1, "seconds": 0.3}),
        ("updates_reordered", {"count": 1, "skip": 1, "seconds": 0.3}),
    ],
    ids=["all_dropped", "first_dropped", "third_dropped", "doubled", "delayed", "first_late", "second_late"],
)
def test_s1_s2_order_updates_that_come_badly_end_in_the_same_book(
    tmp_path: Path, moment: Moment, kind: str, options: dict[str, Any]
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            if moment is Moment.ENTRY:
                sim.fault(kind, **options)
            await it.alert(AlertAction.BULLISH)
            if moment is Moment.STOP:
                sim.fault(kind, **options)
            await it.until(lambda: is_protected(it), "a stop at the broker")
            if moment is Moment.EXIT:
                sim.fault(kind, **options)
            else:
                await it.pass_s(SETTLED_S)
                assert_books_agree(sim, it)
                assert_protected(sim, LOT)
            await it.alert(AlertAction.TARGET_FLAT)
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            await it.for_real(lambda: not sim.simulator.updates._held, "the late updates")
            await it.pass_s(SETTLED_S)
            assert_flat(sim, it)
            assert sorted(row["orderStatus"] for row in our_orders(sim)) == ["TRADED", "TRADED"]

    with playing_dhan() as sim:
        asyncio.run(day(sim))
