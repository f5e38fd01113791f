"""A person trades beside us in Dhan's own app (fault R23), against a simulator that plays Dhan, from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.simulation.faults.books import assert_nothing_twice, book_of, net_at_broker
from tests.simulation.faults.rig import ALERTS, PLAN, Trading, playing_dhan, trading
from tests.simulation.operator.hand import Hand
from workbench.core.deployment import Deployment
from workbench.core.messages import AlertAction, Operator, OperatorOrdered
from workbench.core.order import OrderState
from workbench.core.pnl import charges_so_far
from workbench.core.position import Position, PositionState
from workbench.core.signal import Side

TWO_LOTS = replace(ALERTS, plan=replace(PLAN, lots=2))
Work = Callable[[Trading, Hand, Position], Awaitable[None]]


def beside_us(folder: Path, work: Work, deployment: Deployment = ALERTS) -> None:
    """Hold a protected position, and let a person do something beside it."""

    async def day(it: Trading) -> None:
        await it.alert(AlertAction.BULLISH)
        await it.until(lambda: resting_stop(it), "the stop at the broker", seconds=20)
        await work(it, Hand(it.sim), it.positions()[0])
        assert_nothing_by_us_twice(it)

    async def run() -> None:
        with playing_dhan() as sim:
            async with trading(sim, folder, deployments=(deployment,)) as it:
                await day(it)

    asyncio.run(run())


def assert_nothing_by_us_twice(it: Trading) -> None:
    assert it.runner.faults == []
    assert_nothing_twice(it.sim, it)


def resting_stop(it: Trading) -> Any:
    live = it.positions()
    order = it.engine.book.resting_exit(live[0].position_id) if live else None
    return order if order is not None and order.state is OrderState.WORKING else None


def at_broker(it: Trading, position: Position) -> int:
    return net_at_broker(it.sim).get(position.plan.instrument.security_id, 0)


def resting_at_broker(it: Trading) -> list[tuple[str, int]]:
    """Side and units of what rests there, whosever it is."""
    return [
        (row["transactionType"], row["quantity"] - row["filledQty"])
        for row in book_of(it.sim)["orders"]
        if row["orderStatus"] in ("PENDING", "TRANSIT", "PART_TRADED")
    ]


def price_of(it: Trading, order_id: str) -> Decimal:
    found = [row for row in book_of(it.sim)["trades"] if row["orderId"] == order_id]
    return Decimal(str(found[0]["tradedPrice"]))


async def unfreeze(it: Trading) -> None:
    await it.runner.put(OperatorOrdered(command=Operator.UNFREEZE))
    await it.pass_s(8)


def test_r23_closed_by_hand_is_booked_our_stop_goes_and_after_unfreeze_trading_goes_on(tmp_path: Path) -> None:
    async def work(it: Trading, hand: Hand, position: Position) -> None:
        units, security = position.open_quantity, position.plan.instrument.security_id
        order_id = await asyncio.to_thread(hand.trade, Side.SELL, security, units)
        await it.until(lambda: not it.positions(), "being closed", seconds=4)
        await it.until(lambda: not resting_at_broker(it), "our stop being taken back", seconds=4)
        closed = it.engine.book.positions[position.position_id]
        assert (closed.state, closed.exit_reason) == (PositionState.CLOSED, "external")
        assert closed.exit_price == price_of(it, order_id)
        assert closed.net == closed.gross - charges_so_far(closed, it.engine.config.charges)
        (named,) = it.engine.book.frozen
        assert f"order {order_id}, not ours" in named
        assert any("account frozen" in text for text in it.alarms)
        assert (await refused(it)) == "frozen"
        assert at_broker(it, position) == 0
        await unfreeze(it)
        assert it.engine.book.frozen == ()
        decision = await it.alert(AlertAction.BULLISH)
        assert decision is not None
        await it.until(lambda: it.positions() and it.positions()[0].open_quantity, "an entry", seconds=10)

    beside_us(tmp_path, work)


async def refused(it: Trading) -> str:
    """Send an alert that is to be refused, and give why."""
    before = len(it.engine.book.decisions)
    await it.alert(AlertAction.BULLISH)
    made = it.engine.book.decisions[before:]
    assert [item.fate for item in made] == ["denied"], made
    return "frozen" if "froz" in f"{made[0].gate} {made[0].reason}" else f"{made[0].gate}: {made[0].reason}"


def test_r23_partly_closed_by_hand_leaves_the_rest_protected_and_never_too_much(tmp_path: Path) -> None:
    async def work(it: Trading, hand: Hand, position: Position) -> None:
        lot, security = position.plan.instrument.lot, position.plan.instrument.security_id
        assert position.open_quantity == 2 * lot
        await asyncio.to_thread(hand.trade, Side.SELL, security, lot)
        await it.until(lambda: it.positions()[0].open_quantity == lot, "half of it", seconds=4)
        await it.until(lambda: resting_at_broker(it) == [("SELL", lot)], "a smaller stop", seconds=4)
        assert it.positions()[0].state is PositionState.OPEN
        assert it.engine.book.frozen
        await unfreeze(it)
        assert it.engine.book.frozen == ()
        assert at_broker(it, position) == lot
        await it.flatten()
        await it.until(lambda: not it.positions(), "being flat", seconds=20)
        assert at_broker(it, position) == 0
        assert resting_at_broker(it) == []
        closed = it.engine.book.positions[position.position_id]
        assert closed.exited_quantity == 2 * lot

    beside_us(tmp_path, work, TWO_LOTS)


def test_r23_what_a_person_adds_is_his_and_ours_is_watched_on(tmp_path: Path) -> None:
    async def work(it: Trading, hand: Hand, position: Position) -> None:
        units, security = position.open_quantity, position.plan.instrument.security_id
        await asyncio.to_thread(hand.trade, Side.BUY, security, units)
        await it.until(lambda: it.engine.book.frozen, "being frozen", seconds=25)
        assert f"broker holds {2 * units} units, our book {units}" in it.engine.book.frozen[0]
        assert resting_at_broker(it) == [("SELL", units)]
        await it.flatten()
        await it.until(lambda: not it.positions(), "ours being left", seconds=20)
        assert at_broker(it, position) == units, "his stay"
        await asyncio.to_thread(hand.trade, Side.SELL, security, units)
        await it.pass_s(2)
        await unfreeze(it)
        assert it.engine.book.frozen == ()
        assert at_broker(it, position) == 0

    beside_us(tmp_path, work)


def test_r23_our_stop_taken_back_by_hand_is_laid_again_and_told(tmp_path: Path) -> None:
    async def work(it: Trading, hand: Hand, position: Position) -> None:
        first = resting_stop(it)
        await asyncio.to_thread(hand.cancel, first.order_id)
        await it.until(lambda: resting_stop(it) not in (None, first), "a new stop", seconds=6)
        assert resting_stop(it).order_id != first.order_id
        assert resting_at_broker(it) == [("SELL", position.open_quantity)]
        assert any("has no stop at the broker" in text for text in it.alarms)
        assert it.engine.book.frozen == ()

    beside_us(tmp_path, work)


def test_r23_more_sold_by_hand_than_we_held_is_his_and_we_sell_nothing_more(tmp_path: Path) -> None:
    async def work(it: Trading, hand: Hand, position: Position) -> None:
        units, security = position.open_quantity, position.plan.instrument.security_id
        await asyncio.to_thread(hand.trade, Side.SELL, security, 2 * units)
        await it.until(lambda: not resting_at_broker(it), "our stop being taken back", seconds=6)
        await it.until(lambda: it.engine.book.frozen, "being frozen", seconds=25)
        await it.flatten()
        await it.pass_s(6)
        assert at_broker(it, position) == -units, "his position is not ours to mend"
        assert resting_at_broker(it) == []
        await asyncio.to_thread(hand.trade, Side.BUY, security, units)

    beside_us(tmp_path, work)
