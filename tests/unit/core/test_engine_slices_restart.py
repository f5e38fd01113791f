"""Entries in several orders, and a death between two: what is not sent is said, what is held is protected and left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.core.builders import CALL, DAY, Stand, at
from tests.unit.core.test_engine_exits_slices import A, big, take
from tests.unit.core.test_engine_recovery import reborn
from workbench.core.engine import Engine
from workbench.core.messages import DayBegan, ModifyOrder, Notify
from workbench.core.order import OrderState


def notices(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify)]


def test_r19_what_was_not_sent_when_the_process_died_has_its_reason_and_is_not_sent() -> None:
    stand = big(100)
    first, second = take(stand), stand.ticket("E")
    reborn(stand)
    stand.price(CALL, 120)
    stand.wait(3)
    stand.snapshot(*(stand.row(each, each.quantity, 120) for each in (first, second)), held={CALL: 3600})
    assert stand.tickets("E") == []
    assert stand.fates("a") == ["entered", "cut_short"]
    last = stand.book.decisions[-1]
    assert (last.subject, last.reason.split(":")[0]) == ("a", "1400 units of it were not sent")
    assert "the process ended" in last.reason
    assert any("1400 units of it were not sent" in text for text in notices(stand))
    assert stand.book.unsent == {}


def test_r19_what_has_filled_before_and_behind_the_death_is_protected() -> None:
    stand = big(100)
    first, second = take(stand), stand.ticket("E")
    stop = stand.ticket("S")
    stand.answer(stop)
    stand.update(stop)
    reborn(stand)
    stand.price(CALL, 120)
    stand.snapshot(stand.row(first, 1800, 120), stand.row(second, 1800, 120), stand.row(stop), held={CALL: 3600})
    assert [each.quantity for each in stand.tickets("S")] == [1800]
    resting = [each for each in stand.book.orders.values() if each.ticket.correlation_id.endswith("S")]
    assert sum(each.remaining_quantity for each in resting) == sum(
        each.open_quantity for each in stand.book.live_positions()
    )
    assert stand.book.frozen == ()


def test_r19_a_second_death_does_not_say_it_again() -> None:
    stand = big(100)
    take(stand)
    reborn(stand)
    reborn(stand)
    assert stand.fates("a") == ["entered", "cut_short"]
    assert notices(stand) == []


def test_r19_an_entry_that_was_sent_whole_has_no_word_more_after_a_restart() -> None:
    stand = big(72)
    take(stand)
    take(stand)
    reborn(stand)
    assert stand.fates("a") == ["entered"]


@pytest.mark.parametrize("died", [True, False])
def test_r19_what_was_not_sent_on_the_day_before_has_its_reason_on_the_next(died: bool) -> None:
    stand = big(100)
    take(stand)
    if died:
        fresh = Engine(stand.config)
        fresh.recover(stand.events)
        stand.engine = fresh
    stand.now = at("08:30:00", DAY + timedelta(days=1))
    stand.tell(DayBegan(day=stand.now.date()))
    assert stand.fates("a") == ["entered", "cut_short"]
    assert stand.book.decisions[-1].reason == "1400 units of it were not sent: the day is over"
    assert stand.book.unsent == {}
    assert stand.reborn() == stand.book


@pytest.mark.parametrize("dies", ["before", "behind"])
def test_r19_every_slice_of_an_exit_is_left_over_a_death(dies: str) -> None:
    stand = big(100)
    entries = [take(stand) for _ in range(3)]
    stops = stand.tickets("S")
    for stop in stops:
        stand.answer(stop)
        stand.update(stop)
    assert sum(each.open_quantity for each in stand.book.live_positions()) == 5000
    if dies == "behind":
        stand.alert(A.TARGET_FLAT, "out")
    reborn(stand)
    stand.price(CALL, 120)
    stand.snapshot(
        *(stand.row(each, each.quantity, 120) for each in entries), *map(stand.row, stops), held={CALL: 5000}
    )
    if dies == "before":
        stand.alert(A.TARGET_FLAT, "out")
    for stop in stops:
        if stop.correlation_id in stand.book.changes_pending:
            stand.change(stop)
    stand.wait(3)
    moved = {each.correlation_id for each in stand.of(ModifyOrder)}
    assert moved == {each.correlation_id for each in stops}
    for stop in stops:
        stand.update(stop, stop.quantity, 119)
    assert not stand.book.live_positions()
    assert {stand.book.orders[each.correlation_id].state for each in stops} == {OrderState.FILLED}
