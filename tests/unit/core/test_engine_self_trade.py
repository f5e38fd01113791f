"""An entry never meets a target of our own that rests at the broker in the same contract."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, PUT, Stand, scalp
from tests.unit.core.test_engine_exits_slices import RICH, take
from tests.unit.core.test_engine_pairs import PLENTY
from workbench.core.messages import AlertAction, MarginRead, ReadMargin
from workbench.core.order import OrderState, OrderTicket
from workbench.core.plan import ProtectionRule
from workbench.core.position import PositionState

A = AlertAction


def beside(protection: ProtectionRule = ProtectionRule.STOP_AND_TARGET) -> Stand:
    """One deployment holds a call from 120, its stop at 105 and its target at 150; another is about to enter."""
    stand = Stand(scalp("ONE", protection=protection), scalp("TWO"))
    stand.alert(A.BULLISH, "one", deployment="ONE")
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    rests(stand, stand.ticket("S"))
    if protection is ProtectionRule.STOP_AND_TARGET:
        asked = stand.of(ReadMargin)[-1]
        stand.tell(MarginRead(asked_by=asked.asked_by, total=Decimal(110_000), available=PLENTY))
        rests(stand, stand.ticket("T"))
    return stand


def rests(stand: Stand, ticket: OrderTicket) -> None:
    stand.answer(ticket)
    stand.update(ticket)


def enter(stand: Stand) -> str:
    """Let the other deployment want the same contract; gives the fate and the gate."""
    stand.alert(A.BULLISH, "two", deployment="TWO")
    last = stand.book.decisions[-1]
    return f"{last.fate} {last.gate}".strip()


@pytest.mark.parametrize(("last", "fate"), [("130", "entered"), ("148", "entered"), ("149.5", "denied self_trade")])
def test_an_entry_that_would_meet_our_own_resting_target_is_refused_in_words(last: str, fate: str) -> None:
    stand = beside()
    stand.price(CALL, last)
    assert enter(stand) == fate
    if fate != "entered":
        assert "our own target at 150" in stand.book.decisions[-1].reason
        assert len(stand.tickets("E")) == 1


def test_a_stop_that_sleeps_below_the_market_is_in_nobodys_way() -> None:
    stand = beside(ProtectionRule.STOP_ONLY)
    assert enter(stand) == "entered"


def test_an_order_that_is_over_or_of_another_contract_is_in_nobodys_way() -> None:
    stand = beside()
    stand.price(CALL, "149.5")
    stand.alert(A.BEARISH, "put", deployment="TWO")
    assert stand.fates("put") == ["entered"]
    assert stand.ticket("E").instrument == PUT
    other = beside()
    other.update(other.ticket("T"), state=OrderState.CANCELLED)
    other.price(CALL, "149.5")
    assert enter(other) == "entered"


def test_a_further_slice_that_would_meet_the_target_of_the_first_is_not_sent() -> None:
    stand = Stand(scalp(lots=72, protection=ProtectionRule.STOP_AND_TARGET), limits=RICH)
    stand.alert(A.BULLISH, "a")
    entry = stand.ticket("E")
    stand.update(entry, entry.quantity, 120)
    rests(stand, stand.ticket("S"))
    asked = stand.of(ReadMargin)[-1]
    stand.tell(MarginRead(asked_by=asked.asked_by, total=Decimal(110_000), available=Decimal(10**9)))
    rests(stand, stand.ticket("T"))
    stand.price(CALL, "149.5")
    stand.answer(entry)
    assert len(stand.tickets("E")) == 1
    assert "1 of 2 orders taken: it could trade with our own target" in stand.book.decisions[-1].reason
    assert stand.position.state is PositionState.OPEN


def test_an_entry_in_slices_goes_on_beside_stops_that_sleep() -> None:
    stand = Stand(scalp(lots=100), limits=RICH)
    stand.alert(A.BULLISH, "a")
    for _ in range(3):
        take(stand)
        rests(stand, stand.ticket("S"))
    assert len(stand.tickets("E")) == 3
