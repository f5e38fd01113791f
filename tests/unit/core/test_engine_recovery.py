"""Recovery, reconciliation and the change of day: the journal gives the book, the broker has the last word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, PUT, SCALP, Stand, at, scalp
from tests.unit.core.nights import awake_until_the_open
from workbench.core.engine import Engine
from workbench.core.messages import (
    AccountFrozen,
    AlertAction,
    CancelOrder,
    DayBegan,
    DayOpened,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
    Reconciled,
    Subscribe,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderState
from workbench.core.position import PositionState

A = AlertAction


def reborn(stand: Stand) -> Stand:
    """The same stand after a crash: a fresh engine on the same journal."""
    book = stand.book
    fresh = Engine(stand.config)
    fresh.recover(stand.events)
    assert fresh.book == book
    stand.engine = fresh
    stand.commands.clear()
    stand.tell(DayBegan(day=stand.now.date()))
    return stand


@pytest.mark.parametrize("steps", range(5))
def test_the_journal_gives_the_book_at_every_step_of_a_trade(steps: int) -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    todo: list[Callable[[], object]] = [
        lambda: stand.answer(entry),
        lambda: stand.update(entry, 50, 120),
        lambda: stand.answer(stand.ticket("S")),
        lambda: stand.alert(A.TARGET_FLAT),
        lambda: stand.update(stand.ticket("S"), 50, 119),
    ]
    for step in todo[: steps + 1]:
        step()
    assert stand.reborn() == stand.book


def test_recovery_decides_nothing_and_sends_nothing() -> None:
    stand = Stand()
    stand.protected()
    reborn(stand)
    assert stand.tickets() == []
    assert CALL.key in [each.instrument.key for each in stand.of(Subscribe)]


def test_p1_an_order_whose_answer_died_with_the_process_is_unknown_and_not_sent_again() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    reborn(stand)
    assert stand.book.orders[entry.correlation_id].state is OrderState.UNKNOWN
    stand.wait(1)
    assert stand.of(TakeSnapshot)
    stand.snapshot(stand.row(entry, 50, 120), held={CALL: 50})
    assert stand.position.state is PositionState.OPEN
    assert stand.ticket("S").quantity == 50


def test_an_entry_that_never_left_is_given_up_after_half_a_minute() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    reborn(stand)
    for _ in range(29):
        stand.wait(1)
        stand.snapshot()
    assert stand.position.state is PositionState.OPENING
    stand.wait(1)
    stand.snapshot()
    assert not stand.position.is_live
    assert stand.tickets() == []


def test_a_cancellation_and_a_change_that_were_under_way_may_be_asked_again() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    reborn(stand)
    assert not stand.book.changes_pending
    stand.shown()
    stand.price(CALL, 118)
    stand.wait(2)
    assert len(stand.of(ModifyOrder)) == 1
    other = Stand()
    other.alert(A.BULLISH)
    other.answer(other.ticket("E"))
    other.wait(5)
    reborn(other)
    assert not other.book.cancels_pending
    other.wait(1)
    assert len(other.of(CancelOrder)) == 1


def test_what_filled_while_nobody_looked_is_booked_and_named() -> None:
    stand = Stand()
    stand.protected()
    entry, stop = stand.ticket("E"), stand.ticket("S")
    reborn(stand)
    stand.snapshot(stand.row(entry, 50, 120), stand.row(stop, 50, 104), held={CALL: 0})
    assert stand.position.state is PositionState.CLOSED
    named = [each for each in stand.events if isinstance(each, Reconciled)][-1].differences
    assert any("filled unseen" in text for text in named)


def test_the_brokers_terms_count_where_ours_differ() -> None:
    stand = Stand()
    stand.protected()
    entry, stop = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    stand.snapshot(entry, replace(stand.row(stop), trigger_price=Decimal(100), price=Decimal(95)), held={CALL: 50})
    assert stand.book.orders[stop.correlation_id].ticket.trigger_price == 100
    assert stand.of(ModifyOrder)[-1].change.trigger_price == 105


def test_r23_an_order_of_somebody_else_is_named_and_left_alone() -> None:
    stand = Stand()
    stand.protected()
    foreign = stand.row(stand.ticket("E"), 0, order_id="HIS", correlation_id="his")
    events = stand.tell(OrderUpdated(order=foreign)).events
    assert events == ()
    assert stand.of(Notify)[-1].level is Level.WARNING


# --- books that differ -----------------------------------------------------------------------------------------------


def differing(units: int) -> Stand:
    stand = Stand()
    stand.protected()
    found = [stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S"))]
    stand.snapshot(*found, held={CALL: units})
    assert not stand.book.frozen
    stand.wait(5)
    stand.snapshot(*found, held={CALL: units})
    return stand


def test_r24_a_difference_that_stands_freezes_the_account_loudly() -> None:
    stand = differing(100)
    assert "broker holds 100 units, our book 50" in stand.book.frozen[0]
    assert stand.of(Notify)[-1].level is Level.ALARM
    stand.alert(A.BULLISH, "b", deployment=SCALP)
    assert stand.reborn().frozen == stand.book.frozen


def test_a_difference_needs_time_for_two_looks_may_be_equally_old() -> None:
    stand = Stand()
    stand.protected()
    found = [stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S"))]
    for _ in range(4):
        stand.snapshot(*found, held={CALL: 0})
        stand.wait(1)
    assert not stand.book.frozen
    assert stand.of(TakeSnapshot)
    stand.wait(1)
    stand.snapshot(*found, held={CALL: 0})
    assert stand.book.frozen


def test_a_difference_that_passes_freezes_nothing() -> None:
    stand = Stand()
    stand.protected()
    found = [stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S"))]
    stand.snapshot(*found, held={CALL: 0})
    stand.wait(6)
    stand.snapshot(*found, held={CALL: 50})
    stand.snapshot(*found, held={CALL: 0})
    assert not [each for each in stand.events if isinstance(each, AccountFrozen)]


def test_r24_a_difference_freezes_though_an_order_in_another_contract_is_under_way() -> None:
    stand = Stand()
    stand.entered()
    entry, stop = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    for _ in range(4):
        assert stand.book.orders[stop.correlation_id].state is OrderState.SUBMITTED
        stand.snapshot(entry, held={CALL: 0, PUT: 75})
        stand.wait(2)
    assert [text for text in stand.book.frozen if text.endswith("broker holds 75 units, our book 0")]
    assert len(stand.book.frozen) == 1, "what the stop under way may explain is not frozen on"


def test_r23_what_a_person_sold_by_hand_is_not_sold_again() -> None:
    stand = differing(0)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stand.ticket("S").correlation_id]
    stop = stand.ticket("S")
    stand.update(stop, state=OrderState.CANCELLED)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.wait(10)
    assert len(stand.tickets()) == 2


def test_after_a_restart_a_frozen_account_sells_nothing_before_it_has_looked() -> None:
    stand = differing(0)
    stop = stand.ticket("S")
    entry = stand.row(stand.ticket("E"), 50, 120)
    stand.update(stop, state=OrderState.CANCELLED)
    reborn(stand)
    stand.wait(10)
    assert stand.tickets() == []
    stand.snapshot(entry, held={CALL: 0})
    stand.wait(10)
    assert stand.tickets() == []


def test_a_person_who_has_looked_unfreezes() -> None:
    stand = differing(100)
    stand.tell(OperatorOrdered(command=Operator.UNFREEZE))
    assert not stand.book.frozen
    assert stand.of(TakeSnapshot)[-1].reason.startswith("unfrozen")


# --- words that contradict -----------------------------------------------------------------------------------------


def test_s2_a_fill_may_come_before_the_answer() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.update(entry, 50, 120)
    before = stand.book.orders[entry.correlation_id]
    assert stand.answer(entry).events == ()
    assert stand.book.orders[entry.correlation_id] == before
    assert before.state is OrderState.FILLED


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.NOT_SENT])
def test_no_answer_undoes_what_the_broker_has_told(outcome: Outcome) -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.update(entry)
    stand.answer(entry, outcome)
    assert stand.book.orders[entry.correlation_id].state is OrderState.WORKING
    stand.update(entry, 50, 120)
    assert stand.position.state is PositionState.OPEN


def test_an_answer_that_says_filled_waits_for_the_units() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry, state=OrderState.FILLED)
    assert stand.position.state is PositionState.OPENING
    assert stand.of(TakeSnapshot)
    stand.update(entry, 50, 120)
    assert stand.position.open_quantity == 50


def test_an_answer_that_says_rejected_ends_the_order() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    stand.answer(stand.ticket("E"), state=OrderState.REJECTED, reason="rms")
    assert stand.position.exit_reason == "rms"


def test_a_row_that_says_filled_without_units_fills_nothing_and_is_asked_about() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 0, state=OrderState.FILLED)
    assert stand.book.orders[entry.correlation_id].state is OrderState.WORKING
    assert stand.of(TakeSnapshot)


def test_an_answer_of_nobody_is_nothing() -> None:
    stand = Stand()
    stray = WriteAnswered(kind=WriteKind.PLACE, correlation_id="other", outcome=Outcome.ACCEPTED)
    assert stand.tell(stray).events == ()


# --- the day --------------------------------------------------------------------------------------------------------


def next_day(stand: Stand) -> int:
    """Begin the next day; give the place in the journal where it begins."""
    stand.now = at("09:00:00", stand.now.date() + timedelta(days=1))
    before = len(stand.events)
    stand.commands.clear()
    stand.tell(DayBegan(day=stand.now.date()))
    assert isinstance(stand.events[before], DayOpened)
    return before


def test_a_new_day_begins_with_an_empty_book_and_what_a_person_set() -> None:
    stand = Stand()
    stand.protected()
    stand.update(stand.ticket("S"), 50, 104)
    stand.snapshot(available_funds=Decimal(90_000))
    next_day(stand)
    assert (stand.book.positions, stand.book.orders, stand.book.trades_today) == ({}, {}, 0)
    assert stand.book.funds == 90_000
    assert stand.book.realised() == 0


def test_a_position_that_is_carried_over_survives_a_restart_on_the_new_day() -> None:
    stand = Stand()
    before = stand.protected()
    first = next_day(stand)
    carried = stand.position
    assert (carried.open_quantity, carried.stop, carried.target) == (50, before.stop, before.target)
    assert carried.opened_at == before.opened_at
    fresh = Engine(stand.config)
    fresh.recover(stand.events[first:])
    assert fresh.book == stand.book


def test_a_position_that_is_carried_over_is_left_when_the_market_opens() -> None:
    stand = Stand()
    stand.protected()
    next_day(stand)
    stand.shown()
    stand.wait(60)
    assert stand.tickets() == []
    awake_until_the_open(stand)
    stand.now = at("09:15:00", stand.now.date())
    stand.price(CALL, 110)
    stand.wait(1)
    assert stand.position.exit_reason == "session_end"
    assert stand.ticket("X").quantity == 50


def test_a_carried_exit_goes_on_with_its_reason_and_a_trailed_stop_stays() -> None:
    stand = Stand(scalp())
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    first = next_day(stand)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "alert")
    fresh = Engine(stand.config)
    fresh.recover(stand.events[first:])
    assert fresh.book == stand.book


def test_an_entry_that_never_filled_is_not_carried_and_a_waiting_wish_neither() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    stand.spot(Decimal(15910))
    next_day(stand)
    assert stand.book.positions == {}
    other = Stand()
    other.spot(Decimal(15910))
    other.alert(A.BULLISH, "w")
    next_day(other)
    assert other.fates("w") == ["denied"]


def test_the_same_day_again_changes_nothing() -> None:
    stand = Stand()
    stand.protected()
    before = stand.reborn()
    stand.tell(DayBegan(day=stand.now.date()))
    assert stand.book == before
