"""Whatever is sent to the broker, in whatever order and with whatever faults: its own books agree with each other."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.simulation.simulator.scripted import Venue
from workbench.core.money import ZERO
from workbench.simulator.orders import Leg, Status, Trade

STEPS = 300


class Chaos:
    """Sends anything; a failing test prints its seed in its name."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.venue = Venue(starting_funds=Decimal(2_000_000))
        self.last = 100.0
        self.taken: Counter[tuple[datetime, str]] = Counter()
        self.shown: dict[tuple[datetime, str], int] = {}
        account = self.venue.sim.account
        count = account.take

        def take(trade: Trade) -> None:
            level = self.venue.sim.board.level(trade.order.listed)
            side = trade.order.side.value
            self.taken[trade.time, side] += trade.quantity
            self.shown[trade.time, side] = level.ask_quantity if side == "BUY" else level.bid_quantity
            count(trade)

        account.take = take  # type: ignore[method-assign]

    def run(self) -> None:
        for _ in range(STEPS):
            self.last = max(5.0, self.last + self.rng.choice([-2, -1, -0.5, 0, 0.5, 1, 2]))
            self.venue.price(round(self.last, 2), lots=self.rng.randint(1, 6))
            for _ in range(self.rng.randint(0, 2)):
                self.rng.choice([self.place, self.place, self.place_super, self.change, self.cancel, self.fault])()
                if self.rng.random() < 0.8:
                    self.venue.sim.desk.admit_transit()

    def place(self) -> None:
        rng = self.rng
        limit = round(self.last + rng.randint(-60, 60) * 0.05, 2)
        kind, side = rng.choice(["MARKET", "LIMIT", "LIMIT", "STOP_LOSS"]), rng.choice(["BUY", "SELL"])
        self.venue.sim.desk.place(
            self.venue.plain(
                transactionType=side, orderType=kind, price=0 if kind == "MARKET" else limit,
                triggerPrice=round(limit + (-1 if side == "BUY" else 1), 2) if kind == "STOP_LOSS" else 0,
                quantity=self.venue.lot * rng.randint(1, 8), validity=rng.choice(["DAY", "DAY", "IOC"]),
                productType=rng.choice(["INTRADAY", "MARGIN"]),
            )
        )  # fmt: skip

    def place_super(self) -> None:
        rng, sign = self.rng, self.rng.choice([1, -1])
        price = round(self.last + rng.randint(-20, 40) * 0.05 * sign, 2)
        self.venue.sim.super_orders.place(
            self.venue.body(
                transactionType="BUY" if sign > 0 else "SELL", price=price, quantity=self.venue.lot * rng.randint(1, 6),
                targetPrice=round(price + sign * rng.randint(1, 80) * 0.1, 2),
                stopLossPrice=round(max(0.05, price - sign * rng.randint(1, 80) * 0.1), 2),
                trailingJump=rng.choice([0, 0, 0.5]), correlationId="",
            )
        )  # fmt: skip

    def change(self) -> None:
        sim, rng = self.venue.sim, self.rng
        supers = list(sim.super_orders.orders)
        price = round(self.last + rng.randint(-80, 80) * 0.05, 2)
        if supers and rng.random() < 0.5:
            leg = rng.choice(["TARGET_LEG", "STOP_LOSS_LEG"])
            name = "targetPrice" if leg == "TARGET_LEG" else "stopLossPrice"
            sim.super_orders.modify(rng.choice(supers), {"legName": leg, name: price})
        elif sim.desk.orders:
            change = {"price": price, "orderType": rng.choice([None, "LIMIT"])}
            sim.desk.modify(rng.choice(list(sim.desk.orders)), change)

    def cancel(self) -> None:
        sim, rng = self.venue.sim, self.rng
        supers = list(sim.super_orders.orders)
        if supers and rng.random() < 0.3:
            sim.super_orders.cancel(rng.choice(supers), rng.choice(["ENTRY_LEG", "TARGET_LEG", "STOP_LOSS_LEG"]))
        elif sim.desk.orders:
            sim.desk.cancel(rng.choice(list(sim.desk.orders)))

    def fault(self) -> None:
        desk, dice = self.venue.sim.desk, self.rng.random()
        if dice < 0.3:
            desk.stick_in_transit(1, seconds=self.rng.randint(1, 20))
        elif dice < 0.5:
            desk.reject_after_ack(1, "RMS:late")
        elif dice < 0.7:
            desk.reject_next.append("RMS:at once")
        elif dice < 0.75:
            desk.exit_all()
        elif dice < 0.8:
            rule = {"profitValue": 3000, "lossValue": 3000, "productType": ["INTRADAY"], "enableKillSwitch": False}
            self.venue.sim.pnl_exit.set(rule)


@pytest.mark.parametrize("seed", range(6))
def test_the_brokers_books_agree_with_each_other(seed: int) -> None:
    chaos = Chaos(seed)
    chaos.run()
    sim = chaos.venue.sim
    book: Any = sim.book()
    assert len({each["orderStatus"] for each in book["orders"]}) >= 4, "this seed sees too little"
    net: Counter[str] = Counter()
    for order in book["orders"]:
        units = sum(each["tradedQuantity"] for each in book["trades"] if each["orderId"] == order["orderId"])
        assert units == order["filledQty"]
        left = 0 if order["orderStatus"] == "CANCELLED" else order["quantity"] - units
        assert order["remainingQuantity"] == left
        assert (order["orderStatus"] == "TRADED") == (units == order["quantity"])
        net[order["productType"]] += units if order["transactionType"] == "BUY" else -units
    assert {each["productType"]: each["netQty"] for each in book["positions"]} == net
    told = {each["OrderNo"]: each["Status"] for each in chaos.venue.alerts}
    assert {each["orderId"]: each["orderStatus"] for each in book["orders"]}.items() <= told.items()
    assert all(units <= chaos.shown[at] for at, units in chaos.taken.items()), "a displayed size was taken twice"
    for each in sim.super_orders.orders.values():
        sent = [leg for leg in each.exits.values() if leg.sent]
        assert len(sent) <= 1
        assert all(leg.order.filled <= each.entry.filled for leg in sent)
        assert not (sent and each.entry.status.is_open)
        assert all(leg.sent or leg.order.filled == 0 for leg in each.exits.values())


@pytest.mark.parametrize("seed", range(6, 9))
def test_the_ledger_ends_at_the_accounts_cash(seed: int) -> None:
    chaos = Chaos(seed)
    chaos.run()
    sim = chaos.venue.sim
    sim.session = sim.desk.session = replace(sim.session, broker_square_off=sim.now)
    for _ in range(120):
        chaos.venue.price(chaos.last)
    sim.desk.close_day()
    assert not any(each.status.is_open or each.status is Status.TRANSIT for each in sim.desk.orders.values())
    assert all(each.net == 0 for each in sim.account.positions.values() if each.product == "INTRADAY")
    assert not any(leg.waits for each in sim.super_orders.orders.values() for leg in each.exits.values())
    result, start = sim.account.realised, sim.account.start_of_day
    sim.settle()
    ledger = sim.statements.entries
    assert ledger[-1].balance == sim.account.start_of_day
    costs = -sum((each.amount for each in ledger[1:]), ZERO)
    assert abs(start + result - costs - sim.account.start_of_day) < Decimal("0.01")
    assert costs > 0
    assert {each.order.leg for each in sim.desk.trades} >= {Leg.NONE, Leg.ENTRY}
