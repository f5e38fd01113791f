"""The judge of promptness goes by what the journal knew, and by nothing that a death has lost."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.messages import Event, ExitBegan, FillBooked, OrderSubmitted, PositionPlanned, StopMoved
from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.plan import Trail
from workbench.core.ports import JournalEntry
from workbench.core.signal import Direction, Side
from workbench.testing.proof.day import Day
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.market import CALL, PUT, at
from workbench.testing.proof.oracle import BrokenPromise
from workbench.testing.proof.promptness import Promptness
from workbench.testing.proof.scenario import points, scenario_of
from workbench.testing.proof.venue import Resting, Venue

NOW = at("10:14:00")
NAME = "P220615-1"


def planned(instrument: Instrument, target: str) -> PositionPlanned:
    exits = scenario_of(0).deployments[0].plan.exits
    return PositionPlanned(
        position_id=NAME,
        deployment="SCALP",
        direction=Direction.LONG,
        side=Side.BUY,
        instrument=instrument,
        quantity=100,
        product=Product.INTRADAY,
        exits=replace(exits, stop=points(15), target=points(target), scale_out=()),
        reference_price=Decimal(100),
        underlying_price=Decimal(15700),
        subject="n1",
        at=NOW,
    )


def submitted(instrument: Instrument) -> OrderSubmitted:
    ticket = OrderTicket(
        correlation_id="w1E",
        intent_id=f"{NAME}:entry",
        position_id=NAME,
        deployment="SCALP",
        purpose=Purpose.ENTRY,
        instrument=instrument,
        side=Side.BUY,
        quantity=100,
        order_type=OrderType.LIMIT,
        product=Product.INTRADAY,
        price=Decimal(200),
    )
    return OrderSubmitted(ticket=ticket, at=NOW)


def filled(units: int, price: int) -> FillBooked:
    return FillBooked(correlation_id="w1E", position_id=NAME, quantity=units, price=Decimal(price), at=NOW)


def left(reason: str) -> ExitBegan:
    return ExitBegan(position_id=NAME, reason=reason, at=NOW)


class Bench:
    """A judge beside a venue that holds the position at two prices: 50 units at 100, 50 at 110."""

    def __init__(self, instrument: Instrument) -> None:
        day = Day(scenario_of(0))
        self.venue = Venue(random.Random(1), Faults(), NOW, NOW)
        self.judge = Promptness(self.venue, Gatekeeper(day.config))
        order = Resting(order_id="V1", ticket=submitted(instrument).ticket, since=NOW, state=OrderState.FILLED)
        order.filled, order.value = 100, Decimal(10_500)
        self.venue.orders["V1"] = order
        self.venue._by_position[NAME] = [order]

    def read(self, *events: Event) -> None:
        self.judge.take(JournalEntry(seq=1, now=NOW, account_id="proof", message=None, events=events))

    def seconds(self, count: int, *, told: bool = True, **prices: int) -> None:
        for _ in range(count):
            before = self.venue.now
            self.venue.now += timedelta(seconds=1)
            for instrument, name in ((CALL, "call"), (PUT, "put")):
                price = self.venue.prices[instrument.key] = Decimal(prices.get(name, 100))
                if told:
                    self.judge.saw(Quote(instrument.key, before, price, price, price))
            self.judge.second(trades=True)

    def stop(self, units: int, trigger: str) -> Resting:
        """Let a stop rest at the venue."""
        ticket = replace(
            self.venue.orders["V1"].ticket,
            correlation_id="w2S",
            purpose=Purpose.STOP,
            side=Side.SELL,
            quantity=units,
            order_type=OrderType.STOP_LIMIT,
            trigger_price=Decimal(trigger),
        )
        order = self.venue.orders["V2"] = Resting(order_id="V2", ticket=ticket, since=NOW, state=OrderState.WORKING)
        self.venue._by_position[NAME].append(order)
        return order


def test_s6_a_target_that_was_reached_by_what_was_known_is_no_false_reason() -> None:
    bench = Bench(CALL)
    bench.read(planned(CALL, "4"), submitted(CALL), filled(50, 100))
    bench.seconds(1, call=104)
    bench.read(left("target"), filled(50, 110))


def test_s6_a_target_that_was_not_reached_by_what_was_known_is_one() -> None:
    bench = Bench(CALL)
    bench.read(planned(CALL, "4"), submitted(CALL), filled(50, 100), filled(50, 110))
    bench.seconds(1, call=108)
    with pytest.raises(BrokenPromise, match=r"S6: .* left at its target 109"):
        bench.read(left("target"))


def test_an_id_that_was_lost_with_a_process_is_judged_by_its_second_plan() -> None:
    bench = Bench(CALL)
    lost = planned(PUT, "40")
    bench.read(lost)
    bench.judge.again([])
    bench.read(planned(CALL, "4"), submitted(CALL), filled(100, 105))
    bench.seconds(1, call=109, put=50)
    bench.read(left("target"))


def test_an_exit_that_was_lost_with_a_process_is_asked_for_again() -> None:
    bench = Bench(CALL)
    known = JournalEntry(
        seq=1,
        now=NOW,
        account_id="proof",
        message=None,
        events=(
            planned(CALL, "4"),
            submitted(CALL),
            filled(100, 105),
            StopMoved(position_id=NAME, stop=Decimal(90), target=Decimal(109), at=NOW, initial=True),
        ),
    )
    bench.judge.keeper.again([known])
    bench.judge.take(known)
    bench.read(left("target"))
    bench.judge.again([known])
    with pytest.raises(BrokenPromise, match=r"I5: .* its target is reached"):
        bench.seconds(60, call=112)


def trailed(*, told: bool) -> None:
    """A second of 120 in a minute of 106, and a stop that follows 106."""
    bench = Bench(CALL)
    plan = planned(CALL, "40")
    bench.read(replace(plan, exits=replace(plan.exits, trail=Trail(distance=points(6)))), submitted(CALL))
    bench.stop(100, "100")
    bench.seconds(90, call=106)
    bench.seconds(1, call=120, told=told)
    bench.seconds(45, call=106)


def test_i5_a_trail_follows_the_high_that_was_told() -> None:
    with pytest.raises(BrokenPromise, match=r"I5: .* does not trail 120"):
        trailed(told=True)


def test_i5_a_high_that_the_line_held_back_moves_no_trail() -> None:
    trailed(told=False)


def test_r16_each_part_that_fills_has_its_seconds_to_be_covered() -> None:
    bench = Bench(CALL)
    bench.read(planned(CALL, "40"), submitted(CALL), StopMoved(position_id=NAME, stop=Decimal(90), at=NOW))
    stop, entry = bench.stop(100, "90"), bench.venue.orders["V1"]
    bench.seconds(30, call=106)
    for _ in range(12):
        entry.filled += 50
        bench.seconds(1, call=106)
        stop.ticket = replace(stop.ticket, quantity=entry.filled)
    entry.filled += 50
    bench.seconds(7, call=106)
    with pytest.raises(BrokenPromise, match=r"R16: .* is protected in part for 8 s"):
        bench.seconds(1, call=106)
