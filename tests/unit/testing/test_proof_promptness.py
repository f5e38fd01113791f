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
from workbench.core.plan import Lock, Trail
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


def following(trail: Trail | None = None, lock: Lock | None = None, step: str | None = None) -> Bench:
    """A position at 100 whose stop lies at 90 and follows."""
    bench = Bench(CALL)
    bench.venue.faults = Faults(unknown=0.1)  # what is decided needs prices only
    plan, step_of = planned(CALL, "40"), None if step is None else points(step)
    trail = trail if step_of is None or trail is None else replace(trail, step=step_of)
    bench.read(
        replace(plan, exits=replace(plan.exits, trail=trail, lock=lock, underlying=None)),
        submitted(CALL),
        filled(100, 100),
        StopMoved(position_id=NAME, stop=Decimal(90), target=Decimal(140), peak=Decimal(100), at=NOW, initial=True),
    )
    return bench


def moved(stop: str, by: str) -> StopMoved:
    return StopMoved(position_id=NAME, stop=Decimal(stop), at=NOW, by=by)


SIX = Trail(distance=points(6))
HALF = Lock(after=points(4), keep=Decimal(50))


@pytest.mark.parametrize(
    ("trail", "lock", "asks"),
    [
        (SIX, None, "trail asks for 114"),
        (None, HALF, "lock asks for 110"),
        (replace(SIX, after=points(6)), None, "114"),
    ],
)
def test_i5_at_the_end_of_a_minute_the_stop_stands_where_the_best_told_price_asks(
    trail: Trail | None, lock: Lock | None, asks: str
) -> None:
    bench = following(trail, lock)
    bench.seconds(30, call=120)
    with pytest.raises(BrokenPromise, match=rf"I5: .* {asks}.* at 120, the stop is 90"):
        bench.seconds(30, call=106)


def growing() -> Bench:
    """A position of which half has filled, at 100; the best told price of its first minute is 99."""
    bench = Bench(CALL)
    bench.venue.faults = Faults(unknown=0.1)
    plan = planned(CALL, "40")
    bench.read(
        replace(plan, exits=replace(plan.exits, trail=SIX, lock=None, underlying=None)),
        submitted(CALL),
        filled(50, 100),
        StopMoved(position_id=NAME, stop=Decimal(85), at=NOW, initial=True),
    )
    bench.seconds(59, call=99)
    return bench


def test_i5_a_part_that_is_booked_as_the_minute_ends_is_judged_a_minute_later() -> None:
    bench = growing()
    bench.read(filled(50, 96), StopMoved(position_id=NAME, stop=Decimal(83), at=NOW, initial=True))
    bench.seconds(60, call=97)
    with pytest.raises(BrokenPromise, match=r"I5: .* the trail asks for 93 at 99, the stop is 83"):
        bench.seconds(1, call=97)


def test_i5_what_was_told_before_a_cheaper_part_counts_on() -> None:
    bench = growing()
    bench.seconds(2, call=97)
    bench.read(filled(50, 96), StopMoved(position_id=NAME, stop=Decimal(83), at=NOW, initial=True))
    with pytest.raises(BrokenPromise, match=r"I5: .* the trail asks for 93 at 99, the stop is 83"):
        bench.seconds(59, call=97)


@pytest.mark.parametrize("by", ["trail", "lock"])
def test_i5_a_stop_that_was_moved_in_time_is_right(by: str) -> None:
    bench = following(SIX if by == "trail" else None, HALF if by == "lock" else None)
    bench.seconds(59, call=120)
    bench.read(moved("114" if by == "trail" else "110", by))
    bench.seconds(70, call=118)
    assert bench.judge.trails.demands == 1


def test_i5_a_high_that_the_line_held_back_moves_no_trail() -> None:
    bench = following(SIX)
    bench.seconds(30, call=99)
    bench.seconds(1, call=120, told=False)
    bench.seconds(40, call=99)


def test_i5_a_trail_that_is_not_armed_asks_for_nothing() -> None:
    bench = following(replace(SIX, after=points(30)), HALF)
    bench.seconds(70, call=103)
    assert bench.judge.trails.demands == 0


@pytest.mark.parametrize(("stop", "by"), [("117", "trail"), ("112", "lock")])
def test_i5_no_stop_moves_further_than_the_best_price_allows(stop: str, by: str) -> None:
    bench = following(SIX, HALF)
    bench.seconds(30, call=120)
    with pytest.raises(BrokenPromise, match=rf"I5: .* the {by} moves the stop to {stop}"):
        bench.read(moved(stop, by))


def test_r11_a_trail_moves_by_its_step() -> None:
    bench = following(SIX, step="26")
    bench.seconds(30, call=120)
    with pytest.raises(BrokenPromise, match=r"R11: .* by 24, its step is 26"):
        bench.read(moved("114", "trail"))


def test_i5_what_lags_by_less_than_its_step_is_right() -> None:
    bench = following(SIX, step="26")
    bench.seconds(70, call=120)
    assert bench.judge.trails.demands == 1


def test_i5_a_life_that_began_with_the_last_second_of_a_minute_is_not_held_to_it() -> None:
    bench = following(SIX)
    bench.seconds(58, call=120)
    bench.judge.disturbed()
    bench.seconds(30, call=120)


def test_i5_a_stop_that_passes_the_market_fires_and_is_not_moved() -> None:
    bench = following(SIX)
    bench.seconds(58, call=120)
    bench.seconds(10, call=90)


def test_i5_what_was_decided_rests_soon() -> None:
    bench = following(SIX)
    bench.venue.faults, stop = Faults(), bench.stop(100, "90")
    bench.seconds(59, call=120)
    bench.read(moved("114", "trail"))
    bench.seconds(10, call=120)
    stop.ticket = replace(stop.ticket, trigger_price=Decimal(114))
    bench.seconds(30, call=122)
    bench.read(moved("116", "trail"))
    with pytest.raises(BrokenPromise, match=r"I5: .* the stop rests at 114 and was moved to 116 15 s ago"):
        bench.seconds(16, call=122)


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


@pytest.mark.parametrize("sold", [100, 150])
def test_i5_only_what_is_held_needs_an_order(sold: int) -> None:
    bench = Bench(CALL)
    bench.read(planned(CALL, "40"), submitted(CALL), StopMoved(position_id=NAME, stop=Decimal(90), at=NOW))
    stop = bench.stop(150, "90")
    bench.seconds(30, call=106)
    stop.filled, stop.state = sold, OrderState.FILLED
    bench.seconds(30, call=106)


def test_i5_what_is_held_needs_an_order() -> None:
    bench = Bench(CALL)
    bench.read(planned(CALL, "40"), submitted(CALL), StopMoved(position_id=NAME, stop=Decimal(90), at=NOW))
    stop = bench.stop(100, "90")
    bench.seconds(30, call=106)
    stop.filled, stop.state = 50, OrderState.CANCELLED
    with pytest.raises(BrokenPromise, match=r"I5: .* without any order for 10 s in calm weather"):
        bench.seconds(10, call=106)
