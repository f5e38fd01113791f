"""What the crash runner's judge sees of super orders at the broker: legs that sleep cover, and may be too much."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.simulator.scripted import Venue
from workbench.testing.crash_oracle import Guard, JournalEyes, doubled, lost
from workbench.testing.crash_points import PLAIN_POINTS, SUPER_POINTS, WAYS, KillPoint, is_of_supers


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_a_position_is_covered_by_a_stop_leg_that_sleeps_from_the_fill_on(venue: Venue) -> None:
    guard, order_id = Guard(venue.sim), venue.place()
    assert venue.net == venue.lot * 2
    assert guard.naked() == set()
    venue.sim.super_orders.cancel(order_id, "STOP_LOSS_LEG")
    assert guard.naked() == {venue.listed.instrument.key}


def test_a_leg_beside_nothing_that_is_held_is_too_much(venue: Venue) -> None:
    guard, order_id = Guard(venue.sim), venue.place()
    assert guard.too_much() == []
    sold = {"transactionType": "SELL", "orderType": "LIMIT", "price": 95.0, "correlationId": "by hand"}
    status, _ = venue.sim.desk.place({**venue.body(**sold), "validity": "DAY"})
    venue.sim.desk.admit_transit()
    assert (status, venue.net) == (200, 0)
    assert len(guard.too_much()) == 1
    venue.sim.super_orders.cancel(order_id, "STOP_LOSS_LEG")
    assert guard.too_much() == []


def test_a_leg_that_sold_is_no_second_order_of_its_entry(venue: Venue, tmp_path: Any) -> None:
    venue.place()
    venue.price(89.0)
    rows: Any = venue.sim.book()["orders"]
    eyes = JournalEyes(tmp_path / "none.db")
    assert len(rows) == 2
    assert doubled(rows, eyes) == []
    assert len(doubled([rows[0], rows[0]], eyes)) == 1


def test_an_account_that_a_kill_has_frozen_is_a_loss(tmp_path: Any) -> None:
    eyes = JournalEyes(tmp_path / "none.db")
    assert lost([], eyes, []) == []
    eyes._keep({"type": "AccountFrozen", "differences": ["the broker holds 65"]})
    assert lost([], eyes, []) == ["the account is frozen: the broker holds 65"]


def test_plain_days_keep_their_points_and_every_point_has_its_way() -> None:
    assert set(WAYS) == set(KillPoint) == {*PLAIN_POINTS, *SUPER_POINTS}
    assert len(PLAIN_POINTS) == 17
    assert [seed for seed in range(17) if is_of_supers(seed)] == [7, 15]
