"""What an answer says and the broker's own book does not: the book is believed, and asked (faults R2, R9, S2)."""

from __future__ import annotations

import pytest

from tests.unit.core.builders import CALL, Stand
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    Level,
    Notify,
    Outcome,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket
from workbench.core.position import PositionState, Protection


def refuse(stand: Stand, ticket: OrderTicket) -> None:
    """Answer an order as Dhan answers one that came too soon."""
    stand.tell(
        WriteAnswered(
            kind=WriteKind.PLACE,
            correlation_id=ticket.correlation_id,
            outcome=Outcome.REJECTED,
            reason="DH-904",
            throttled=True,
        )
    )


def refused_stop(stand: Stand) -> OrderTicket:
    """Enter, and let the stop be refused for its pace."""
    stand.entered()
    stop = stand.ticket("S")
    refuse(stand, stop)
    return stop


def test_r2_what_was_refused_for_its_pace_is_looked_for_at_once() -> None:
    stand = Stand()
    refused_stop(stand)
    assert any("pace" in each.reason for each in stand.of(TakeSnapshot))


@pytest.mark.parametrize("by_snapshot", [False, True])
def test_r2_a_stop_that_was_refused_and_rests_all_the_same_is_not_doubled(by_snapshot: bool) -> None:
    stand = Stand()
    stop = refused_stop(stand)
    if by_snapshot:
        stand.snapshot(stand.row(stand.ticket("E"), 50, 120), stand.row(stop), held={CALL: 50})
    else:
        stand.update(stop)
    stand.wait(5)
    assert [each.correlation_id for each in stand.tickets("S")] == [stop.correlation_id]
    assert stand.book.orders[stop.correlation_id].state is OrderState.WORKING


def test_r2_of_two_stops_the_one_that_came_back_is_taken_back() -> None:
    stand = Stand()
    stop = refused_stop(stand)
    stand.wait(2)
    again = stand.tickets("S")[-1]
    assert again.correlation_id != stop.correlation_id
    stand.answer(again)
    stand.update(again)
    stand.update(stop)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stop.correlation_id]


def test_r2_an_entry_that_was_refused_and_rests_all_the_same_is_taken_back() -> None:
    stand = Stand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    refuse(stand, entry)
    assert stand.book.live_positions() == []
    stand.update(entry)
    stand.wait(1)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [entry.correlation_id]


def test_r2_an_entry_that_was_refused_and_fills_all_the_same_lives_and_has_its_stop() -> None:
    stand = Stand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    refuse(stand, entry)
    stand.update(entry, 50, 120)
    assert stand.position.state is PositionState.OPEN
    assert stand.ticket("S").quantity == 50


def test_s2_a_refusal_does_not_end_an_order_that_the_broker_has_shown() -> None:
    stand = Stand()
    stand.entered()
    stop = stand.ticket("S")
    stand.update(stop)
    stand.answer(stop, Outcome.REJECTED, order_id="")
    assert stand.book.orders[stop.correlation_id].state is OrderState.WORKING
    stand.wait(5)
    assert len(stand.tickets("S")) == 1
    assert stand.of(TakeSnapshot)


def test_s1_a_rejection_in_the_brokers_book_outlives_an_older_update() -> None:
    stand = Stand()
    stand.entered()
    stop = stand.ticket("S")
    stand.answer(stop)
    stand.update(stop, state=OrderState.REJECTED)
    stand.update(stop)
    assert stand.book.orders[stop.correlation_id].state is OrderState.REJECTED


@pytest.mark.parametrize("letter", ["E", "S"])
def test_r9_an_order_that_does_not_reach_the_exchange_is_looked_for_and_told_once(letter: str) -> None:
    stand = Stand()
    if letter == "S":
        stand.entered()
    else:
        stand.alert(AlertAction.BULLISH)
    stuck = stand.ticket(letter)
    stand.answer(stuck)
    stand.wait(60)
    told = [each.text for each in stand.of(Notify) if each.level is Level.ALARM and stuck.correlation_id in each.text]
    assert [text for text in told if "has not reached the exchange" in text] == told
    assert len(told) == 1
    assert stand.of(TakeSnapshot)
    assert stand.book.orders[stuck.correlation_id].state is OrderState.ACCEPTED
    assert len(stand.tickets(letter)) == 1


def test_r9_a_stop_in_transit_counts_as_pending_until_the_brokers_book_shows_it() -> None:
    stand = Stand()
    stand.entered()
    stop = stand.ticket("S")
    stand.answer(stop)
    stand.update(stop, state=OrderState.ACCEPTED)
    stand.wait(20)
    # It may reach the exchange yet: a second order beside it could sell twice.
    assert (stand.position.protection, stand.position.exit_reason) == (Protection.PENDING, "")
    assert len(stand.tickets("S")) == 1
    assert stand.tickets("X") == []
    entry = stand.ticket("E")
    stand.snapshot(stand.row(entry, entry.quantity, 120), stand.row(stop), held={CALL: entry.quantity})
    stand.wait(1)
    assert stand.position.protection is Protection.AT_BROKER
    assert stand.reborn().positions == stand.book.positions


def test_r13_a_stop_that_is_refused_in_transit_was_never_told_to_protect() -> None:
    stand = Stand()
    stand.entered()
    stop = stand.ticket("S")
    stand.answer(stop)
    assert stand.position.protection is Protection.PENDING
    stand.update(stop, state=OrderState.REJECTED, reason="circuit")
    assert len(stand.tickets("S")) == 2
    assert any("no stop at the broker" in each.text for each in stand.of(Notify))
