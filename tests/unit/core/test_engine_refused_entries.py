"""A refused entry is told to a person: once, in his words; repeats are counted, and no flood reaches his phone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import DAY, SCALP, Stand, at, scalp
from workbench.core.messages import (
    AlertAction,
    AlertTurnedAway,
    DayBegan,
    FeedChecked,
    Level,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    WriteAnswered,
    WriteKind,
)
from workbench.core.signal import SignalValues

HALTED = "SCALP_ATM: no long entry (trading switch): entries are halted: lunch"


def told(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.WARNING and each.text.startswith(SCALP)]


def halted() -> Stand:
    stand = Stand(scalp())
    stand.tell(OperatorOrdered(command=Operator.HALT, reason="lunch"))
    return stand


def test_a_refused_alert_is_told_with_deployment_side_gate_and_reason() -> None:
    stand = halted()
    stand.alert(AlertAction.BULLISH)
    assert told(stand) == [HALTED]


def test_a_refused_signal_is_told_as_an_alert_is() -> None:
    stand = halted()
    stand.signal(SCALP, SignalValues(long_entry=True), SignalValues())
    assert told(stand) == [HALTED]


def test_a_contract_that_no_gate_lets_pass_is_told_with_its_price() -> None:
    stand = Stand(scalp(min_premium=Decimal(500)))
    stand.alert(AlertAction.BEARISH)
    assert told(stand) == ["SCALP_ATM: no short entry (premium range): premium 120.05 is below 500"]


def test_repeats_are_counted_and_told_with_the_next_one_after_ten_minutes() -> None:
    stand = halted()
    for clock in ("10:01:00", "10:02:00", "10:10:59"):
        stand.go_to(clock)
        stand.alert(AlertAction.BULLISH)
    assert told(stand) == [HALTED]
    for clock in ("10:11:00", "10:11:30"):
        stand.go_to(clock)
        stand.alert(AlertAction.BULLISH)
    assert told(stand) == [HALTED, f"{HALTED}; 2 more since 10:01"]


def test_another_gate_is_told_at_once() -> None:
    stand = halted()
    stand.alert(AlertAction.BULLISH)
    stand.tell(OperatorOrdered(command=Operator.RESUME))
    stand.tell(FeedChecked(alive=False, age_s=6, reason="no quote for 6 s"))
    stand.alert(AlertAction.BULLISH)
    assert [text.partition(")")[0].partition("(")[2] for text in told(stand)] == ["trading switch", "stale feed"]


def test_what_was_taken_is_told_by_nothing() -> None:
    stand = Stand(scalp())
    stand.protected()
    stand.alert(AlertAction.BULLISH)
    assert stand.book.decisions[-1].fate == "ignored"
    assert told(stand) == []


def test_a_reversal_that_only_leaves_tells_why_nothing_is_entered() -> None:
    stand = Stand(scalp())
    stand.protected()
    stand.tell(OperatorOrdered(command=Operator.HALT, reason="lunch"))
    stand.alert(AlertAction.BEARISH)
    assert stand.book.decisions[-1].fate == "exited"
    assert told(stand) == [HALTED.replace("long", "short")]


def test_a_wish_that_a_newer_one_took_back_is_no_news() -> None:
    stand = Stand(scalp())
    stand.protected()
    for action in (AlertAction.BEARISH, AlertAction.BULLISH, AlertAction.BEARISH):
        stand.alert(action)
    assert "withdrawn" in [each.gate for each in stand.book.decisions]
    assert told(stand) == []


def test_the_same_alert_again_is_no_news() -> None:
    stand = Stand(scalp(pyramiding=1))
    stand.alert(AlertAction.BULLISH, "twice")
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, entry.quantity, 120)
    stand.alert(AlertAction.BULLISH, "twice")
    assert stand.book.decisions[-1].gate == "duplicate"
    assert told(stand) == []


def test_an_order_that_was_refused_for_its_pace_is_told_by_its_own_notice() -> None:
    stand = Stand(scalp())
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E").correlation_id
    why: dict[str, Any] = {"outcome": Outcome.NOT_SENT, "reason": "ten orders a second", "throttled": True}
    stand.tell(WriteAnswered(kind=WriteKind.PLACE, correlation_id=entry, **why))
    assert stand.book.decisions[-1].gate == "rate_limit"
    assert told(stand) == []
    assert any("ten orders a second" in each.text for each in stand.of(Notify))


@pytest.mark.parametrize(("deployment", "notices"), [(SCALP, 1), ("", 0)])
def test_a_flood_of_alerts_that_are_turned_away_rings_once_and_a_strangers_never(deployment: str, notices: int) -> None:
    stand = Stand(scalp())
    before = len(stand.of(Notify))
    for number in range(200):
        stand.tell(
            AlertTurnedAway(
                alert_id=f"refused:{number}", deployment=deployment, received_at=stand.now, reason=f"bad {number}"
            )
        )
    assert [each.text for each in stand.of(Notify)[before:]] == [
        "SCALP_ATM: alert not taken (webhook): bad 0"
    ] * notices


def test_what_was_not_told_of_a_day_is_not_counted_on_the_next() -> None:
    stand = halted()
    stand.alert(AlertAction.BULLISH)
    stand.alert(AlertAction.BULLISH)
    stand.now = at("10:00:00", DAY + timedelta(days=1))
    stand.tell(DayBegan(day=stand.now.date()))
    stand.alert(AlertAction.BULLISH)
    assert told(stand) == [HALTED, HALTED]
