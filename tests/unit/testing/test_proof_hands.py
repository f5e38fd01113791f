"""The judge of a person's trades: what rests beyond what is there is taken back in time, unless nobody can be asked."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.signal import Side
from workbench.testing.proof.faults import Faults, Outage
from workbench.testing.proof.market import CALL, at
from workbench.testing.proof.oracle import HAND_AT_MOST_S, BrokenPromise, Oracle
from workbench.testing.proof.venue import Resting, Venue

NOW = at("10:14:00")
NAME = "P220615-1"


def stop(side: Side) -> OrderTicket:
    """A stop of 50 units."""
    return OrderTicket(
        correlation_id="w2S",
        intent_id=f"{NAME}:stop",
        position_id=NAME,
        deployment="SCALP",
        purpose=Purpose.STOP,
        instrument=CALL,
        side=side,
        quantity=50,
        order_type=OrderType.STOP_LIMIT,
        product=Product.INTRADAY,
    )


def judged(seconds: int, *outages: Outage) -> None:
    """Judge so many seconds in which a stop rests for units that a person has sold."""
    venue = Venue(random.Random(1), Faults(outages=outages), NOW, NOW)
    venue.orders["V1"] = Resting(order_id="V1", ticket=stop(Side.SELL), since=NOW, state=OrderState.WORKING)
    venue.sold_by_hand(CALL, 50)
    judge = Oracle(venue)
    for _ in range(seconds):
        venue.now += timedelta(seconds=1)
        judge._hands()


def test_r23_what_rests_beyond_what_is_there_is_taken_back_in_time() -> None:
    judged(HAND_AT_MOST_S)
    with pytest.raises(BrokenPromise, match="R23: 50 units rest to be sold of -50"):
        judged(HAND_AT_MOST_S + 1)


def test_r23_while_the_broker_cannot_be_reached_no_second_counts() -> None:
    away = Outage(begins=5, ends=25, reason="DH-901")
    judged(HAND_AT_MOST_S + 20, away)
    with pytest.raises(BrokenPromise, match="R23"):
        judged(HAND_AT_MOST_S + 21, away)


def test_r23_a_stop_that_buys_back_what_is_still_sold_rests_for_what_is_there() -> None:
    venue = Venue(random.Random(1), Faults(), NOW, NOW)
    venue.orders["V1"] = Resting(order_id="V1", ticket=stop(Side.BUY), since=NOW, state=OrderState.WORKING)
    venue.sold_by_hand(CALL, 50)
    judge = Oracle(venue)
    for _ in range(HAND_AT_MOST_S + 1):
        judge._hands()
    venue.orders["V3"] = Resting(order_id="V3", ticket=stop(Side.BUY), since=NOW, state=OrderState.WORKING)
    with pytest.raises(BrokenPromise, match="R23: 100 units rest to be bought back of 50"):
        for _ in range(HAND_AT_MOST_S + 1):
            judge._hands()
