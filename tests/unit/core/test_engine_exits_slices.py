"""Entries that become several positions: above the freeze quantity, and where parts leave at targets of their own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, LIMITS, PUT, SCALP, Stand, bracket, scalp
from workbench.core.messages import (
    AlertAction,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket
from workbench.core.plan import Distance, OnOpposite, ScaleOut, index_as_future
from workbench.core.position import PositionState
from workbench.core.signal import SignalValues

A = AlertAction
RICH = replace(LIMITS, capital=Decimal(100_000_000), max_daily_loss=Decimal(10_000_000))
FREEZE = 1800


def points(value: str) -> Distance:
    return Distance(points=Decimal(value))


def big(lots: int, **plan: Any) -> Stand:
    """A stand with an entry of that many lots under way."""
    stand = Stand(scalp(lots=lots, **plan), limits=RICH)
    stand.alert(A.BULLISH, "a")
    return stand


def take(stand: Stand) -> OrderTicket:
    """Let the broker take and fill the newest entry."""
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, entry.quantity, 120)
    return entry


@pytest.mark.parametrize(
    ("lots", "units"),
    [(36, [1800]), (37, [1800, 50]), (72, [1800, 1800]), (100, [1800, 1800, 1400])],
)
def test_r19_an_entry_above_the_freeze_quantity_becomes_several_positions(lots: int, units: list[int]) -> None:
    stand = big(lots)
    for _ in units:
        take(stand)
    entries, stops = stand.tickets("E"), stand.tickets("S")
    assert [each.quantity for each in entries] == units
    assert [each.quantity for each in stops] == units
    assert len({each.intent_id for each in entries}) == len(units)
    assert stand.book.trades_today == 1
    assert stand.fates("a") == ["entered"]
    assert {each.plan.subject for each in stand.book.positions.values()} == {"a"}
    assert stand.reborn() == stand.book


def test_r19_the_next_order_waits_for_the_answer_to_the_one_before() -> None:
    stand = big(72)
    stand.wait(1)
    assert len(stand.tickets("E")) == 1
    stand.update(stand.ticket("E"), 1800, 120)
    assert len(stand.tickets("E")) == 1
    stand.answer(stand.ticket("E"))
    assert len(stand.tickets("E")) == 2


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.REJECTED])
def test_r19_the_answer_to_a_stop_is_not_one_to_the_entry_before_it(outcome: Outcome) -> None:
    stand = big(72)
    entry = stand.ticket("E")
    stand.update(entry, 1800, 120)
    stand.answer(stand.ticket("S"), outcome, reason="x")
    assert len(stand.tickets("E")) == 1
    stand.answer(entry)
    if outcome is Outcome.ACCEPTED:
        assert len(stand.tickets("E")) == 2
        assert stand.fates("a") == ["entered"]
    else:  # nothing more is entered while the first part has no stop (fault R13)
        assert len(stand.tickets("E")) == 1
        assert (stand.fates("a"), stand.position.exit_reason) == (["entered", "cut_short"], "")
        assert f"{CALL.name} is held without its stop" in stand.book.decisions[-1].reason


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.REJECTED, Outcome.NOT_SENT])
def test_r19_slicing_stops_at_the_first_that_is_not_taken(outcome: Outcome) -> None:
    stand = big(100)
    take(stand)
    stand.answer(stand.ticket("E"), outcome, reason="x")
    stand.wait(3)
    assert len(stand.tickets("E")) == 2
    assert stand.fates("a") == ["entered", "cut_short"]
    assert "1 of 3 orders taken" in stand.book.decisions[-1].reason


def test_r19_of_an_entry_whose_first_order_is_refused_nothing_is_sent() -> None:
    stand = big(100)
    stand.answer(stand.ticket("E"), Outcome.REJECTED, reason="margin")
    stand.wait(2)
    assert len(stand.tickets("E")) == 1
    assert stand.fates("a") == ["entered", "cut_short"]
    assert "0 of 3 orders taken: an order is rejected: margin" in stand.book.decisions[-1].reason
    assert stand.position.state is PositionState.FAILED


def test_r19_of_an_entry_whose_first_order_is_not_answered_the_rest_has_its_reason() -> None:
    stand = big(100)
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN, reason="no reply")
    assert len(stand.tickets("E")) == 1
    assert "0 of 3 orders taken: an order is unknown" in stand.book.decisions[-1].reason


def test_r19_the_first_order_refused_for_its_pace_has_one_word_more_and_not_two() -> None:
    stand = big(100)
    entry = stand.ticket("E")
    stand.tell(
        WriteAnswered(
            kind=WriteKind.PLACE, correlation_id=entry.correlation_id, outcome=Outcome.NOT_SENT, throttled=True
        )
    )
    assert stand.fates("a") == ["entered", "denied"]
    assert stand.book.unsent == {}


@pytest.mark.parametrize(("taken", "left"), [(1, 3200), (2, 1400)])
def test_r19_a_later_order_refused_for_its_pace_cuts_the_entry_short_and_says_so(taken: int, left: int) -> None:
    stand = big(100)
    for _ in range(taken):
        take(stand)
    key = stand.ticket("E").correlation_id
    stand.tell(
        WriteAnswered(kind=WriteKind.PLACE, correlation_id=key, outcome=Outcome.REJECTED, reason="pace", throttled=True)
    )
    word = f"{left} units of it were not entered: rate limit"
    assert stand.fates("a") == ["entered", "cut_short"]
    assert stand.book.decisions[-1].reason == word
    assert any(word in each.text and each.level is Level.WARNING for each in stand.of(Notify))
    assert stand.book.unsent == {}
    assert len(stand.tickets("E")) == taken + 1


def test_an_entry_of_too_many_orders_is_refused() -> None:
    stand = big(361)
    assert stand.fates("a") == ["denied"]
    assert "10" in stand.book.decisions[-1].reason
    assert stand.tickets() == []


@pytest.mark.parametrize(
    ("what", "word"),
    [("halt", "halted"), ("left", "being left"), ("slow", "too long"), ("unquoted", "nobody quotes")],
)
def test_what_happens_meanwhile_ends_the_rest_of_an_entry(what: str, word: str) -> None:
    stand = big(72)
    entry = stand.ticket("E")
    if what == "halt":
        stand.tell(OperatorOrdered(command=Operator.HALT))
    elif what == "left":
        stand.tell(OperatorOrdered(command=Operator.CLOSE))
    elif what == "slow":
        stand.wait(16)
    else:
        stand.price(CALL, "0.05", "0.10")
    stand.answer(entry)
    assert len(stand.tickets("E")) == 1
    assert word in stand.book.decisions[-1].reason


def test_an_exit_means_every_slice_and_so_does_a_reversal() -> None:
    stand = big(72)
    take(stand)
    take(stand)
    stand.alert(A.CLOSE_CALL, "out")
    assert {each.exit_reason for each in stand.book.positions.values()} == {"alert"}
    assert stand.fates("out") == ["exited"]
    other = big(72, on_opposite=OnOpposite.REVERSE)
    take(other)
    take(other)
    other.alert(A.BEARISH, "turn")
    for stop in other.tickets("S"):
        assert other.fates("turn") == ["reversed"]
        other.answer(stop)
        other.change(stop)
        other.update(stop, 1800, 119)
    assert other.fates("turn") == ["reversed", "entered"]
    assert other.ticket("E").instrument == PUT


def test_a_signal_leaves_every_slice() -> None:
    stand = big(72)
    take(stand)
    take(stand)
    stand.signal(SCALP, SignalValues(long_exit=True))
    assert {each.exit_reason for each in stand.book.positions.values()} == {"signal"}


def test_while_one_slice_is_held_the_deployment_holds() -> None:
    stand = big(72)
    take(stand)
    take(stand)
    first, second = stand.tickets("S")
    stand.answer(first)
    stand.update(first, 1800, 104)
    assert [each.state for each in stand.book.positions.values()] == [PositionState.CLOSED, PositionState.OPEN]
    stand.alert(A.BULLISH, "more")
    assert stand.fates("more") == ["ignored"]
    stand.alert(A.TARGET_FLAT, "flat")
    assert stand.fates("flat") == ["exited"]
    assert stand.position.exit_reason == "alert"
    assert second.position_id == stand.position.position_id


# --- scale-outs ------------------------------------------------------------------------------------------------------

SCALING = replace(
    bracket("15", "30"), scale_out=(ScaleOut(at=points("10"), lots=1), ScaleOut(at=points("20"), share=Decimal(50)))
)  # fmt: skip


def test_parts_leave_at_their_targets_and_the_rest_stays_protected() -> None:
    stand = big(4, exits=SCALING)
    for _ in range(3):
        take(stand)
    assert [each.quantity for each in stand.tickets("S")] == [50, 100, 50]
    assert [each.target for each in stand.book.positions.values()] == [130, 140, 150]
    for stop in stand.tickets("S"):
        stand.answer(stop)
    first = stand.tickets("S")[0]
    stand.price(CALL, 131)
    assert [each.correlation_id for each in stand.of(ModifyOrder)] == [first.correlation_id]
    stand.change(first)
    stand.update(first, 50, 130)
    held = stand.book.live_positions()
    assert [each.open_quantity for each in held] == [100, 50]
    resting = sum(stand.book.orders[each.correlation_id].remaining_quantity for each in stand.tickets("S"))
    assert resting == 150
    assert stand.reborn() == stand.book


def test_with_one_lot_the_first_part_takes_all() -> None:
    stand = big(1, exits=SCALING)
    take(stand)
    assert len(stand.book.positions) == 1
    assert stand.position.target == 130


def test_parts_of_the_index_as_a_future_need_no_quote_of_their_own() -> None:
    plan = index_as_future(lots=2, exits=replace(bracket("50", "90"), scale_out=(ScaleOut(at=points("40"), lots=1),)))
    stand = Stand(replace(scalp(), plan=plan), limits=RICH)
    stand.alert(A.BULLISH, "a", price=Decimal(15712))
    for _ in range(2):
        entry = stand.ticket("E")
        stand.answer(entry)
        stand.update(entry, 50, "15712")
    assert [each.target for each in stand.book.positions.values()] == [15752, 15802]


def test_a_part_above_the_freeze_quantity_is_sliced_too() -> None:
    plan = replace(bracket("15", "30"), scale_out=(ScaleOut(at=points("10"), share=Decimal(50)),))
    stand = big(80, exits=plan)
    for _ in range(4):
        take(stand)
    assert [each.quantity for each in stand.tickets("E")] == [1800, 200, 1800, 200]
    assert [each.target for each in stand.book.positions.values()] == [130, 130, 150, 150]


def test_r17_what_is_left_of_a_part_that_filled_in_part_stays_covered() -> None:
    stand = big(4, exits=SCALING)
    for _ in range(3):
        take(stand)
    second = stand.tickets("S")[1]
    stand.answer(second)
    stand.update(second, 50, "104.5")
    position = stand.book.positions[second.position_id]
    assert (position.open_quantity, position.exit_reason) == (50, "stop")
    stand.update(second, 50, "104.5", state=OrderState.CANCELLED)
    assert stand.ticket("X").quantity == 50
    stand.answer(stand.ticket("X"), Outcome.REJECTED, WriteKind.PLACE)
    stand.wait(2)
    assert sum(each.quantity for each in stand.tickets("X")) == 100
    assert len(stand.book.resting_exits(second.position_id)) == 1
