"""Entries that go as super orders, over real sockets: the legs, lost answers, a leg taken back by hand, a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.control.view import stop_line, target_line
from apps.control.words import Tone, plain
from tests.simulation.faults.books import book_of, booked, net_at_broker, paid
from tests.simulation.faults.moments import LOT, MANY, SETTLED_S
from tests.simulation.faults.rig import ACCOUNT, FAR, LATE_S, Trading, playing_dhan, trading
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, AlertReceived, WriteAnswered, WriteKind
from workbench.core.order import Order, OrderState, Purpose
from workbench.core.plan import Distance, Exits, Plan, ProtectionRule, Trail
from workbench.core.position import Position, Protection
from workbench.live.status import position_view
from workbench.live.system import LiveSystem
from workbench.testing.simulator import RunningSimulator

NEAR = Exits(stop=Distance(percent=Decimal(30)), target=Distance(percent=Decimal(2)))
LOW = Exits(stop=Distance(percent=Decimal(1)), target=Distance(percent=Decimal(60)))
WIDE = Exits(stop=Distance(percent=Decimal(50)), target=Distance(percent=Decimal(100)))
RESTS = ("TRANSIT", "PENDING", "PART_TRADED", "TRIGGERED")
Day = Callable[[RunningSimulator], Coroutine[Any, Any, None]]
Run = Callable[[Day], None]


@asynccontextmanager
async def supered(
    sim: RunningSimulator, folder: Path, exits: Exits = WIDE, *, beside: tuple[Deployment, ...] = ()
) -> AsyncIterator[Trading]:
    """An account whose entries go as super orders, unless it is a deployment's beside."""
    plan = Plan(name="supered", exits=exits, protection=ProtectionRule.SUPER_ORDER)
    deployment = Deployment(name="ALERTS", symbol="NIFTY", plan=plan, webhook_link="link")
    async with trading(sim, folder, deployments=(deployment, *beside)) as it:
        yield it


def rows(sim: RunningSimulator) -> list[dict[str, Any]]:
    """Plain orders and legs at the broker, each once; a leg may bear the id of its entry."""
    book = book_of(sim)
    found = {(row["orderId"], row["legName"]): row for row in book["orders"]}
    for each in book["superOrders"]:
        for leg in each["legDetails"]:
            found.setdefault((leg["orderId"], leg["legName"]), leg)
    return list(found.values())


def traded(sim: RunningSimulator) -> Counter[str]:
    """Units that the broker has bought and sold for us."""
    units = Counter[str]()
    for row in book_of(sim)["trades"]:
        units[row["transactionType"]] += row["tradedQuantity"]
    return units


def orders(it: Trading, purpose: Purpose) -> list[Order]:
    return [each for each in it.engine.book.orders.values() if each.ticket.purpose is purpose]


def legs(it: Trading) -> list[OrderState]:
    """States of stop and target leg."""
    return [each.state for each in it.engine.book.orders.values() if each.ticket.leg_of]


def only(it: Trading) -> Position:
    found: list[Position] = list(it.engine.book.positions.values())
    (position,) = found
    return position


async def rests(it: Trading) -> None:
    """Enter, and wait until both legs are seen at the broker."""
    await it.alert(AlertAction.BULLISH)
    await it.until(lambda: legs(it) == [OrderState.WORKING] * 2, "both legs at the broker", seconds=20)
    await it.pass_s(1)
    assert only(it).protection is Protection.AT_BROKER


async def is_over(sim: RunningSimulator, it: Trading) -> None:
    """Wait until nothing is held; nothing may rest then, both books agree, and nothing was sent twice."""
    await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
    await it.pass_s(3)
    assert it.runner.faults == []
    assert net_at_broker(sim) == {}
    assert not [row for row in rows(sim) if row["orderStatus"] in RESTS], it.story()
    assert not it.engine.book.frozen, it.story()
    net = {key: units for key, units in it.engine.book.net_by_instrument().items() if units}
    assert net == {}
    sent = Counter(
        row["correlationId"] for row in book_of(sim)["orders"] if row["legName"] in ("NA", "ENTRY_LEG", None)
    )
    assert not [tag for tag, count in sent.items() if count > 1], sent


@pytest.fixture(params=[False, True], ids=["own_ids", "shared_ids"])
def run(request: pytest.FixtureRequest) -> Run:
    """Live through a day at a broker whose legs have ids of their own, and at one who shows their entry's."""

    def lived(day: Day) -> None:
        with playing_dhan(legs_share_ids=request.param) as sim:
            asyncio.run(day(sim))

    return lived


def test_the_legs_rest_at_the_broker_with_the_entry_and_the_target_fills_there(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path, NEAR) as it:
            await rests(it)
            assert [row["legName"] for row in book_of(sim)["superOrders"][0]["legDetails"]]
            await it.until(lambda: not net_at_broker(sim), "the target", seconds=3600)
            await it.until(lambda: not it.positions(), "a word on it", seconds=3)
            assert only(it).exit_reason == "target"
            assert sorted(legs(it), key=str) == [OrderState.CANCELLED, OrderState.FILLED]
            await is_over(sim, it)
            assert it.alarms == []

    run(day)


def test_r1_a_leg_that_sells_while_its_entry_is_not_listed_is_booked(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        sim.fault("lagging_lookup", match="POST /super/orders", seconds=600, book=True)
        async with supered(sim, tmp_path, NEAR) as it:
            await rests(it)
            await it.until(lambda: not net_at_broker(sim), "the target", seconds=3600)
            await it.until(lambda: not it.positions(), "a word on it", seconds=4)
            assert only(it).exit_reason == "target"
            assert it.engine.book.frozen == ()

    run(day)


def test_the_stop_leg_fills_at_the_broker(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(
            sim, tmp_path, Exits(stop=Distance(percent=Decimal(3)), target=Distance(percent=Decimal(90)))
        ) as it:
            await rests(it)
            await it.until(lambda: not it.positions(), "the stop", seconds=3600)
            assert only(it).exit_reason == "stop"
            await is_over(sim, it)

    run(day)


def test_a_person_leaves_and_the_legs_are_taken_back_first(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            await rests(it)
            began = it.seconds
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim), "being flat at the broker", seconds=10)
            assert it.seconds - began <= 10
            assert legs(it) == [OrderState.CANCELLED] * 2
            await is_over(sim, it)

    run(day)


def test_r18_a_stop_leg_taken_back_by_hand_becomes_a_plain_stop(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            await rests(it)
            (entry,) = orders(it, Purpose.ENTRY)
            sim.call(lambda: sim.simulator.super_orders.cancel(entry.order_id, "STOP_LOSS_LEG"))
            await it.until(lambda: len(orders(it, Purpose.STOP)) == 2, "a plain stop", seconds=10)
            await it.pass_s(2)
            plain = orders(it, Purpose.STOP)[-1]
            assert (plain.state, plain.ticket.quantity, plain.ticket.leg_of) == (OrderState.WORKING, LOT, "")
            assert any("cannot be added again" in item.text for item in it.notifier.notices)
            await it.flatten()
            await is_over(sim, it)

    run(day)


def test_r18_a_target_leg_taken_back_by_hand_is_watched_and_the_stop_leg_rests(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path, NEAR) as it:
            await rests(it)
            (entry,) = orders(it, Purpose.ENTRY)
            sim.call(lambda: sim.simulator.super_orders.cancel(entry.order_id, "TARGET_LEG"))
            await it.until(lambda: only(it).target_watched_for, "a word on the target", seconds=10)
            assert legs(it)[0] is OrderState.WORKING
            await it.until(lambda: not it.positions(), "the target", seconds=3600)
            assert only(it).exit_reason == "target"
            await is_over(sim, it)

    run(day)


@pytest.mark.parametrize("is_deaf", [False, True], ids=["heard", "deaf"])
@pytest.mark.parametrize("kind", ["lost_reply", "timeout_after_accept", "http_503", "http_429", "reject"])
def test_r1_an_entry_that_is_not_answered_is_looked_up_and_never_sent_again(
    run: Run, tmp_path: Path, kind: str, is_deaf: bool
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            sim.fault(kind, match="POST /super/orders")
            if is_deaf:
                sim.fault("updates_dropped", count=MANY)
            await it.alert(AlertAction.BULLISH)
            await it.pass_s(12)
            assert len(book_of(sim)["superOrders"]) <= 1
            if net_at_broker(sim):
                assert legs(it) == [OrderState.WORKING] * 2, it.story()
                assert only(it).open_quantity == LOT
            sim.clear_faults()
            await it.flatten()
            await it.pass_s(SETTLED_S)
            await is_over(sim, it)

    run(day)


@pytest.mark.parametrize("kind", ["lost_reply", "timeout_after_accept", "http_503", "http_429", "reject"])
def test_r13_taking_a_leg_back_that_is_not_answered_holds_up_no_exit(run: Run, tmp_path: Path, kind: str) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            await rests(it)
            sim.fault(kind, match="DELETE /super/orders", count=2)
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim), "being flat at the broker", seconds=14)
            await it.pass_s(SETTLED_S)
            await is_over(sim, it)

    run(day)


@pytest.mark.parametrize("kind", ["timeout_after_accept", "delay"])
def test_r13_a_leg_whose_writing_is_slow_holds_up_no_exit_of_another_position(
    run: Run, tmp_path: Path, kind: str
) -> None:
    async def day(sim: RunningSimulator) -> None:
        plain = Deployment(name="PLAIN", symbol="NIFTY", plan=Plan(name="plain", exits=FAR), webhook_link="plain")
        async with supered(sim, tmp_path, beside=(plain,)) as it:
            await rests(it)
            now = it.clock.now()
            await it.runner.put_alert(
                AlertReceived(
                    alert_id="PLAIN:1",
                    deployment="PLAIN",
                    action=AlertAction.BEARISH,
                    symbol="NIFTY",
                    received_at=now,
                    fired_at=now,
                )
            )
            await it.until(lambda: len(it.positions()) == 2 and len(orders(it, Purpose.STOP)) == 2, "two positions")
            await it.pass_s(2)
            sim.fault(kind, match="DELETE /super/orders", count=2, seconds=LATE_S)
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim), "being flat at the broker", seconds=20)
            told = [each.message for each in it.journal.read_day(ACCOUNT, it.clock.now().date())]
            changed = [
                it.engine.book.orders[each.correlation_id].ticket
                for each in told
                if isinstance(each, WriteAnswered) and each.kind is not WriteKind.PLACE
            ]
            assert [bool(each.leg_of) for each in changed[:2]] == [False, True], "the exit was answered before the leg"
            sim.clear_faults()
            await it.pass_s(SETTLED_S)
            await is_over(sim, it)

    run(day)


def test_r13_legs_that_the_list_does_not_show_are_replaced_by_a_plain_stop(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            sim.fault("http_500", match="GET /super/orders", count=MANY)
            sim.fault("updates_dropped", count=MANY)
            await it.alert(AlertAction.BULLISH)
            await it.until(
                lambda: [each for each in orders(it, Purpose.STOP) if not each.ticket.leg_of],
                "a plain stop",
                seconds=25,
            )
            await it.until(lambda: orders(it, Purpose.STOP)[-1].state is OrderState.WORKING, "it rests", seconds=12)
            assert any("was never seen at the broker" in text for text in it.alarms)
            sim.clear_faults()
            await it.pass_s(5)
            await it.flatten()
            await is_over(sim, it)

    run(day)


def test_a_restart_finds_the_legs_as_they_rest_and_sends_nothing(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            await rests(it)
        before = len(rows(sim))
        await asyncio.to_thread(sim.advance, 20)
        async with supered(sim, tmp_path) as it:
            await it.pass_s(15)
            assert legs(it) == [OrderState.WORKING] * 2
            assert len(rows(sim)) == before
            await it.flatten()
            await is_over(sim, it)

    run(day)


def test_p1_a_leg_that_sold_before_the_restart_contradicts_nothing_after_it(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path, NEAR) as it:
            await rests(it)
            await it.until(lambda: not it.positions(), "the target", seconds=3600)
        async with supered(sim, tmp_path, NEAR) as it:
            await it.pass_s(12)
            assert it.engine.book.frozen == ()
            assert it.alarms == []
            it.alerts = 1  # an id is taken once
            await it.alert(AlertAction.BULLISH)
            await it.until(lambda: len(book_of(sim)["superOrders"]) == 2 and it.positions(), "the next entry")
            await it.flatten()
            await is_over(sim, it)

    run(day)


def test_p1_a_leg_that_went_while_nobody_looked_is_replaced_after_the_restart(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            await rests(it)
            (entry,) = orders(it, Purpose.ENTRY)
        sim.call(lambda: sim.simulator.super_orders.cancel(entry.order_id, "STOP_LOSS_LEG"))
        await asyncio.to_thread(sim.advance, 5)
        async with supered(sim, tmp_path) as it:
            await it.until(
                lambda: [each for each in orders(it, Purpose.STOP) if not each.ticket.leg_of],
                "a plain stop",
                seconds=25,
            )
            await it.flatten()
            await is_over(sim, it)

    run(day)


def test_p1_a_fill_that_came_while_the_process_was_dead_has_its_legs(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            sim.fault("lost_reply", match="POST /super/orders")
            sim.fault("updates_dropped", count=MANY)
            await it.alert(AlertAction.BULLISH)
        sim.clear_faults()
        await asyncio.to_thread(sim.advance, 10)
        async with supered(sim, tmp_path) as it:
            await it.until(lambda: legs(it) == [OrderState.WORKING] * 2, "both legs", seconds=20)
            assert len(book_of(sim)["superOrders"]) == 1
            await it.flatten()
            await is_over(sim, it)

    run(day)


@pytest.mark.parametrize("kind", ["", "lost_reply", "http_503", "http_429", "reject"])
def test_r1_a_trailed_stop_leg_stands_at_the_broker_where_our_book_says(run: Run, tmp_path: Path, kind: str) -> None:
    async def day(sim: RunningSimulator) -> None:
        trail = Trail(distance=Distance(percent=Decimal(25)))
        async with supered(sim, tmp_path, replace(WIDE, trail=trail)) as it:
            await rests(it)
            if kind:
                sim.fault(kind, match="PUT /super/orders", count=2)
            moved = "a stop that was moved"
            await it.until(lambda: orders(it, Purpose.STOP)[0].modifications or not it.positions(), moved, seconds=900)
            await it.pass_s(12)
            (stop, *_) = orders(it, Purpose.STOP)
            assert stop.state is OrderState.WORKING
            (found,) = book_of(sim)["superOrders"]
            prices = {leg["legName"]: leg["price"] for leg in found["legDetails"]}
            assert Decimal(repr(prices["STOP_LOSS_LEG"])) == stop.ticket.trigger_price == only(it).stop
            assert Decimal(repr(prices["TARGET_LEG"])) == only(it).target
            await it.flatten()
            await is_over(sim, it)

    run(day)


def test_an_account_that_trades_otherwise_sends_no_super_order(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            await it.alert(AlertAction.BULLISH)
            await it.pass_s(3)
            assert book_of(sim)["superOrders"] == []
            await it.flatten()
            await is_over(sim, it)

    run(day)


@pytest.mark.parametrize("is_deaf", [False, True], ids=["heard", "deaf"])
def test_r15_both_legs_fill_at_once_and_what_is_too_much_is_bought_back_once(
    run: Run, tmp_path: Path, is_deaf: bool
) -> None:
    async def day(sim: RunningSimulator) -> None:
        sim.call(sim.simulator.super_orders.race_legs)
        async with supered(sim, tmp_path, NEAR) as it:
            await rests(it)
            if is_deaf:
                sim.fault("updates_dropped", count=MANY)
            await it.until(lambda: traded(sim)["SELL"] == 2 * LOT, "a sale by both legs", seconds=3600)
            began = it.seconds
            await it.until(lambda: not net_at_broker(sim), "being flat again", seconds=30)
            assert it.seconds - began <= (15 if is_deaf else 3), it.story()
            assert any("both filled" in text for text in it.alarms), it.alarms
            sim.clear_faults()
            await is_over(sim, it)
            assert traded(sim) == {"BUY": 2 * LOT, "SELL": 2 * LOT}
            bought = [row for row in book_of(sim)["orders"] if row["transactionType"] == "BUY"]
            assert [row["filledQty"] for row in bought] == [LOT, LOT], "the excess is bought back by one order"
            assert paid(sim) == booked(it)

    run(day)


def test_a_person_sees_stop_and_target_of_a_super_order_as_resting_at_the_broker(run: Run, tmp_path: Path) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with supered(sim, tmp_path) as it:
            await rests(it)

            def shown() -> dict[str, Any]:
                system = SimpleNamespace(runner=it.runner, now=it.clock.now())
                return position_view(cast("LiveSystem", system), only(it))

            (found,) = book_of(sim)["superOrders"]
            at_broker = {leg["legName"]: Decimal(repr(leg["price"])) for leg in found["legDetails"]}
            item = shown()
            assert (item["protection"], item["protection_rule"]) == ("at_broker", "super_order")
            assert Decimal(repr(item["stop"])) == at_broker["STOP_LOSS_LEG"]
            assert Decimal(repr(item["target"])) == at_broker["TARGET_LEG"]
            ids = [item["stop_order_id"], item["target_order_id"]]
            assert len({*ids, orders(it, Purpose.ENTRY)[0].order_id, ""}) == 4
            line, tone = stop_line(item, "live")
            assert tone is Tone.GOOD
            assert line.endswith(f"at Dhan · order {plain(ids[0])}")
            assert target_line(item).endswith(f"at the broker beside the stop · order {plain(ids[1])}")
            sim.call(lambda: sim.simulator.super_orders.cancel(found["orderId"], "TARGET_LEG"))
            await it.until(lambda: only(it).target_watched_for, "a word on the target", seconds=10)
            assert "watched here: " in target_line(shown())
            await it.flatten()
            await is_over(sim, it)

    run(day)
