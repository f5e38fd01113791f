"""Orders that are given up, and alerts and entries that are forgotten: what the judges must not let pass."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    DecisionMade,
    EntryPostponed,
    Event,
    OrderMoved,
    SnapshotTaken,
)
from workbench.core.order import OrderState, Purpose
from workbench.core.ports import JournalEntry
from workbench.core.signal import Direction
from workbench.testing.proof.alerts import Senders
from workbench.testing.proof.belief import Belief
from workbench.testing.proof.day import Day
from workbench.testing.proof.market import at
from workbench.testing.proof.oracle import BrokenPromise
from workbench.testing.proof.scenario import scenario_of

NAME = "w22061500001S"
SENT = at("10:14:00")


def entry(now: datetime, message: AlertReceived | SnapshotTaken | None, *events: Event) -> JournalEntry:
    return JournalEntry(seq=1, now=now, account_id="proof", message=message, events=events)


def given_up(purpose: Purpose, seconds: list[float], *, not_looked_up: bool = False) -> None:
    """An order is given up in the last of these looks, so many seconds after it was sent."""
    belief: Belief = Day(scenario_of(0)).belief
    belief.sent[NAME] = SENT, purpose
    for second in seconds:
        now = SENT + timedelta(seconds=second)
        look = SnapshotTaken(taken_at=now, not_looked_up=(NAME,) if not_looked_up else ())
        moved = OrderMoved(correlation_id=NAME, state=OrderState.ABANDONED, at=now)
        belief.take(entry(now, look, *([moved] if second == seconds[-1] else [])))


@pytest.mark.parametrize(
    ("purpose", "seconds"),
    [
        (Purpose.STOP, [6, 7]),
        (Purpose.STOP, [-1, 6, 7]),
        (Purpose.STOP, [4, 5, 6]),
        (Purpose.EXIT, [1, 5, 6.9]),
        (Purpose.ENTRY, [5, 10, 29]),
        (Purpose.ENTRY, [20, 30]),
    ],
)
def test_r1_an_order_that_is_given_up_too_soon_or_after_two_looks_is_told(
    purpose: Purpose, seconds: list[float]
) -> None:
    with pytest.raises(BrokenPromise, match=f"R1: {NAME} is given up after"):
        given_up(purpose, seconds)


def test_r1_a_look_whose_question_by_id_has_failed_is_no_look() -> None:
    with pytest.raises(BrokenPromise, match="and 0 looks"):
        given_up(Purpose.STOP, [5, 6, 7], not_looked_up=True)
    given_up(Purpose.STOP, [30, 31, 32], not_looked_up=True)


def test_r1_an_exit_of_which_nothing_has_filled_is_given_up_sooner_where_its_look_up_fails() -> None:
    given_up(Purpose.EXIT, [10, 11, 12], not_looked_up=True)
    with pytest.raises(BrokenPromise, match="and 2 looks"):
        given_up(Purpose.EXIT, [9, 10, 11], not_looked_up=True)


@pytest.mark.parametrize(("purpose", "seconds"), [(Purpose.STOP, [5, 6, 7]), (Purpose.ENTRY, [5, 10, 30])])
def test_r1_three_looks_over_the_whole_time_are_enough(purpose: Purpose, seconds: list[float]) -> None:
    given_up(purpose, seconds)


ALERT = AlertReceived(
    alert_id="SCALP:n1", deployment="SCALP", action=AlertAction.BULLISH, symbol="NIFTY", received_at=SENT
)
WAITS = EntryPostponed(
    subject="SCALP:n1",
    deployment="SCALP",
    at=SENT,
    direction=Direction.LONG,
    origin="alert",
    waits_for="a quote",
    until=SENT + timedelta(seconds=60),
    known_at=SENT,
    max_age_s=60,
)
FATE = DecisionMade(subject="SCALP:n1", deployment="SCALP", fate="denied", at=SENT)


END = entry(SENT + timedelta(seconds=63), None)


def test_i9_an_alert_without_a_fate_is_told_though_the_process_died() -> None:
    senders = Senders(Day(scenario_of(0)).rng)
    with pytest.raises(BrokenPromise, match="I9: alerts without a fate"):
        senders.judge([entry(SENT, ALERT)])
    with pytest.raises(BrokenPromise, match="I9: alerts without a fate"):
        senders.judge([entry(SENT, ALERT, WAITS), END])


def test_i9_an_entry_that_waited_after_its_alert_had_a_fate_and_was_forgotten_is_told() -> None:
    senders = Senders(Day(scenario_of(0)).rng)
    with pytest.raises(BrokenPromise, match="I9: entries that waited"):
        senders.judge([entry(SENT, ALERT, FATE), entry(SENT, None, WAITS), END])


def test_i9_what_was_decided_after_its_wait_or_may_wait_yet_is_not_forgotten() -> None:
    senders = Senders(Day(scenario_of(0)).rng)
    senders.judge([entry(SENT, ALERT, WAITS), entry(SENT, None, FATE), END])
    senders.judge([entry(SENT, ALERT, WAITS)])
