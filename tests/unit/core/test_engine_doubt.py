"""What the broker tells in part, or not at all: protected or loud, and never more sold than is there."""

from __future__ import annotations

from datetime import date

import pytest

from tests.unit.core.builders import CALL, PUT, Stand, at, scalp
from workbench.core.bars import Quote
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    DayBegan,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    QuoteReceived,
)
from workbench.core.money import ZERO
from workbench.core.order import OrderState
from workbench.core.position import PositionState


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]


@pytest.mark.parametrize("by_snapshot", [False, True])
def test_units_that_filled_at_no_price_get_a_real_stop_and_an_alarm(by_snapshot: bool) -> None:
    stand = Stand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    if by_snapshot:
        stand.snapshot(stand.row(entry, 50, 0), held={CALL: 50})
    else:
        stand.update(entry, 50, 0)
    expected = stand.position.plan.reference_price
    assert stand.position.entry_price == expected
    assert stand.ticket("S").trigger_price == expected - 15
    assert any("no price is told" in each for each in alarms(stand))


def two_in_one_contract() -> Stand:
    stand = Stand(scalp("ONE"), scalp("TWO"))
    for name in ("ONE", "TWO"):
        stand.alert(AlertAction.BULLISH, name, deployment=name)
        stand.answer(stand.ticket("E"))
        stand.update(stand.ticket("E"), 50, 120)
        stand.answer(stand.ticket("S"))
        stand.update(stand.ticket("S"))
    return stand


def test_r24_two_positions_in_one_contract_leave_together_no_more_than_the_broker_holds() -> None:
    stand = two_in_one_contract()
    rows = [stand.row(each, 50, 120) for each in stand.tickets("E")] + [stand.row(each) for each in stand.tickets("S")]
    stand.snapshot(*rows, held={CALL: 50})
    stand.wait(6)
    stand.snapshot(*rows, held={CALL: 50})
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stand.tickets("S")[1].correlation_id]


def test_another_difference_does_not_release_what_a_person_has_sold() -> None:
    stand = Stand()
    stand.protected()
    entry, stop = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    for _ in range(2):
        stand.snapshot(entry, stand.row(stop), held={CALL: 0})
        stand.wait(6)
    assert stand.book.frozen
    stand.update(stop, state=OrderState.CANCELLED)
    sent = len(stand.tickets())
    stand.snapshot(entry, stand.row(stop, state=OrderState.CANCELLED), held={CALL: 0, PUT: 50})
    stand.wait(3)
    assert len(stand.tickets()) == sent


def test_a_stop_that_is_not_in_the_brokers_book_any_more_is_an_alarm_and_is_not_doubled() -> None:
    stand = Stand()
    stand.protected()
    sent = len(stand.tickets())
    for _ in range(3):
        stand.snapshot(stand.row(stand.ticket("E"), 50, 120), held={CALL: 50})
        assert not alarms(stand) or stand.now.second >= 15
        stand.wait(10)
    assert len([each for each in alarms(stand) if "is not in the broker's" in each]) == 1
    assert len(stand.tickets()) == sent


def test_s6_a_quote_without_a_price_passes_no_stop_and_loses_no_money() -> None:
    stand = Stand()
    stand.protected()
    before = stand.engine.open_pnl()
    stand.tell(QuoteReceived(quote=Quote(CALL.key, stand.now, ZERO, ZERO, ZERO)))
    stand.wait(5)
    assert stand.engine.open_pnl() == before
    assert stand.position.state is PositionState.OPEN
    assert not stand.of(ModifyOrder)
    assert not stand.book.halted


def test_a_persons_halt_outlives_the_night_whatever_its_words_are() -> None:
    stand = Stand()
    stand.tell(OperatorOrdered(command=Operator.HALT, reason="daily loss limit is near", who="daily_loss"))
    stand.now = at("09:10:00", date(2022, 6, 16))
    stand.tell(DayBegan(day=date(2022, 6, 16)))
    assert stand.book.halted


def test_r24_a_list_that_lags_behind_two_fills_in_turn_freezes_nothing_until_the_last_is_old() -> None:
    stand = two_in_one_contract()
    one, two = stand.tickets("S")
    entries = [stand.row(each, 50, 120) for each in stand.tickets("E")]
    stand.update(one, 50, 104)
    filled = stand.row(one, 50, 104)
    stand.snapshot(*entries, filled, stand.row(two), held={CALL: 100})
    stand.wait(4)
    stand.update(two, 50, 104)
    stand.wait(2)
    stand.snapshot(*entries, filled, stand.row(two, 50, 104), held={CALL: 50})
    assert stand.book.frozen == ()
    stand.wait(4)
    stand.snapshot(*entries, filled, stand.row(two, 50, 104), held={CALL: 50})
    assert stand.book.frozen
