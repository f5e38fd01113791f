"""Differences of positions while trading goes on in their own contract: put off for a while, never for ever."""

from __future__ import annotations

import pytest

from tests.unit.core.builders import CALL, Stand, scalp
from tests.unit.core.test_engine_exits_slices import RICH
from workbench.core.engine.settling import STANDS_S
from workbench.core.messages import AccountFrozen, Notify, SnapshotTaken, TakeSnapshot

LOTS = 36


class Trickle:
    """One long position that is left lot by lot, a fill every other second, and a broker whose list is looked at."""

    def __init__(self) -> None:
        self.stand = Stand(scalp(lots=LOTS), limits=RICH)
        self.stand.protected()
        self.entry, self.stop = self.stand.ticket("E"), self.stand.ticket("S")
        self.sold = 0

    def sell(self) -> None:
        self.sold += 50
        self.stand.update(self.stop, self.sold, 104)

    def look(self, excess: int) -> None:
        rows = self.stand.row(self.entry, 50 * LOTS, 120), self.stand.row(self.stop, self.sold, 104)
        self.stand.snapshot(*rows, held={CALL: 50 * LOTS - self.sold + excess})

    @property
    def frozen_at(self) -> list[AccountFrozen]:
        return [each for each in self.stand.events if isinstance(each, AccountFrozen)]


@pytest.mark.parametrize("lag", [0, 50])
def test_r24_steady_fills_put_a_difference_in_their_own_contract_off_by_half_a_minute_and_no_more(lag: int) -> None:
    day = Trickle()
    began = day.stand.now
    for number in range(20):
        day.sell()
        day.look(-100 + (lag if number % 2 else 0))
        day.stand.wait(2)
    assert day.stand.book.frozen
    first = day.frozen_at[0]
    assert STANDS_S <= (first.at - began).total_seconds() <= STANDS_S + 4
    alarms = [each for each in day.stand.of(Notify) if each.text.startswith("account frozen")]
    assert len(alarms) == len(day.frozen_at) == 1


def test_r24_a_list_that_lags_behind_steady_fills_and_catches_up_between_freezes_nothing() -> None:
    day = Trickle()
    for number in range(30):
        day.sell()
        day.look(0 if number % 10 == 9 else 50)
        day.stand.wait(2)
    assert not day.frozen_at


def test_r24_two_looks_far_apart_that_each_lag_behind_a_fill_freeze_nothing() -> None:
    day = Trickle()
    for _ in range(3):
        day.sell()
        day.look(50)
        day.stand.wait(20)
        day.sell()
    assert not day.frozen_at


def test_r24_what_goes_on_to_grow_freezes_by_the_size_that_has_stood() -> None:
    day = Trickle()
    for number in range(20):
        day.sell()
        day.look(-50 * (1 + number // 4))
        day.stand.wait(2)
    assert day.frozen_at


def test_r24_what_is_under_way_in_the_contract_puts_it_off_no_longer_either() -> None:
    stand = Stand()
    stand.entered()
    entry = stand.row(stand.ticket("E"), 50, 120)
    for _ in range(STANDS_S // 2):
        stand.snapshot(entry, held={CALL: 150})
        assert not stand.book.frozen
        stand.wait(2)
    stand.snapshot(entry, held={CALL: 150})
    assert stand.book.frozen


def test_s10_an_answer_that_slept_with_the_computer_confirms_no_difference() -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    entry = stand.row(stand.ticket("E"), 50, 120)
    stand.snapshot(entry, stand.row(stop), held={CALL: 0})
    asleep = SnapshotTaken(taken_at=stand.now, orders=(entry, stand.row(stop)), positions=())
    stand.go_to("13:00:00")
    asked = len(stand.of(TakeSnapshot))
    stand.tell(asleep)
    assert stand.book.frozen == ()
    assert len(stand.of(TakeSnapshot)) > asked
    stand.snapshot(entry, stand.row(stop), held={CALL: 0})
    assert len(stand.book.frozen) == 1
