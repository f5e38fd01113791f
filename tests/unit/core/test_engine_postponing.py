"""Entries that wait outlive the process: entered once while they are fresh, never forgotten in silence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.unit.core.builders import CALL, PUT, SCALP, SPOT, Stand, scalp
from tests.unit.core.legs_stand import LegsStand
from workbench.core.codec import decode, encode
from workbench.core.engine import Engine
from workbench.core.engine.sending import LONGEST_EXIT_PAUSE_S, LONGEST_PAUSE_S
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    DayBegan,
    DecisionMade,
    EntryPostponed,
    Level,
    Notify,
    Outcome,
    SignalRaised,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket
from workbench.core.plan import Distance, Exits, Underlying
from workbench.core.signal import SignalValues

A = AlertAction
HEDGED = {
    "name": "my_hedge",
    "side": "SELL",
    "strike": "OTM1",
    "hedge": {"premium_ratio": 0.30},
    "exits": {"stop": "80%"},
}


def die(stand: Stand, *, days: int = 0) -> None:
    """End the process and start it again on what it wrote."""
    fresh = Engine(stand.config)
    fresh.recover(stand.events)
    assert fresh.book == stand.book
    stand.engine, stand.now = fresh, stand.now + timedelta(days=days)
    stand.commands.clear()
    stand.tell(DayBegan(day=stand.now.date()))


def gate_of(stand: Stand, subject: str) -> str:
    return [each.gate for each in stand.events if isinstance(each, DecisionMade) and each.subject == subject][-1]


def leave(stand: Stand, stop: OrderTicket) -> None:
    stand.update(stop, 50, 119)


@pytest.mark.parametrize("deaths", [1, 2])
def test_p1_a_reversal_whose_process_died_in_between_enters_once_the_old_position_is_flat(deaths: int) -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    stand.alert(A.BEARISH, "b")
    for _ in range(deaths):
        die(stand)
        assert any("waits on for the opposite position" in each.text for each in stand.of(Notify))
    stand.snapshot(stand.row(stop), held={CALL: 50})
    leave(stand, stop)
    stand.spot(SPOT)
    stand.price(PUT, 118)
    assert stand.fates("b") == ["reversed", "entered"]
    assert [each.instrument for each in stand.tickets("E")] == [PUT]
    assert stand.book.postponed == {}


def test_p1_a_reversal_that_is_too_old_after_the_restart_is_refused_loudly() -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    stand.alert(A.BEARISH, "b")
    stand.now += timedelta(seconds=70)
    die(stand)
    stand.wait(1)
    assert stand.fates("b") == ["reversed", "denied"]
    assert gate_of(stand, "b") == "stale"
    leave(stand, stop)
    stand.price(PUT, 118)
    assert stand.tickets("E") == []


def test_p1_a_reversal_whose_levels_are_average_ranges_keeps_them_over_the_restart() -> None:
    plan = Exits(stop=Distance(points=Decimal(15)), underlying=Underlying(stop=Distance(atr=Decimal(2))))
    stand = Stand(scalp(exits=plan))
    stand.tell(
        SignalRaised(
            deployment=SCALP,
            bar_time=stand.now - timedelta(minutes=1),
            known_at=stand.now,
            values=SignalValues(),
            previous=None,
            strategy_hash="h",
            close=SPOT,
            atr=Decimal("12.5"),
        )
    )
    stand.protected()
    stop = stand.ticket("S")
    stand.alert(A.BEARISH, "b")
    (noted,) = [each for each in stand.events if isinstance(each, EntryPostponed)]
    assert noted.atr == Decimal("12.5")
    die(stand)
    leave(stand, stop)
    stand.spot(SPOT)
    stand.price(PUT, 118)
    assert stand.fates("b") == ["reversed", "entered"]
    watched = stand.position.plan.exits.underlying
    assert watched is not None and watched.stop == Distance(points=Decimal("25.0000"))


def test_an_entry_that_was_noted_before_its_ranges_were_is_read() -> None:
    stand = Stand()
    stand.engine.quotes.pop(CALL.key)
    stand.alert(A.BULLISH, "a")
    body = next(encode(each) for each in stand.events if isinstance(each, EntryPostponed))
    del body["atr"]
    assert decode(body).atr is None


def test_p1_an_alert_that_waited_for_a_quote_has_its_decision_after_the_restart() -> None:
    stand = Stand()
    stand.engine.quotes.pop(CALL.key)
    stand.alert(A.BULLISH, "a")
    assert stand.fates("a") == []
    die(stand)
    stand.wait(4)
    assert stand.fates("a") == ["denied"]
    assert gate_of(stand, "a") == "no_quote"


def test_p1_legs_that_waited_for_the_chain_are_chosen_again_after_the_restart() -> None:
    stand = LegsStand(HEDGED, chain=False)
    stand.alert(A.BULLISH, "a")
    assert stand.fates("a") == []
    die(stand)
    stand.wait(70)
    assert stand.fates("a") == ["denied"]
    assert stand.tickets() == []


def test_what_waited_on_the_day_before_is_told_to_be_over() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.BEARISH, "b")
    die(stand, days=1)
    assert stand.fates("b") == ["reversed", "denied"]
    assert stand.book.postponed == {}


def test_what_waited_for_a_deployment_that_is_gone_is_refused() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.BEARISH, "b")
    stand.config = Stand(scalp("ANOTHER")).config
    die(stand)
    assert stand.fates("b") == ["reversed", "denied"]


def test_a_wish_that_is_tried_at_each_quote_is_written_down_once() -> None:
    stand = Stand()
    stand.engine.quotes.pop(CALL.key)
    stand.alert(A.BULLISH, "a")
    for _ in range(5):
        stand.spot(SPOT)
    assert len([each for each in stand.events if isinstance(each, EntryPostponed)]) == 1


def test_r9_an_entry_in_transit_is_asked_to_be_taken_back_after_pauses_that_grow() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    asked = asked_at(stand, entry, 400)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[:6] == [2, 4, 8, 16, 32, LONGEST_PAUSE_S]
    assert set(pauses[6:]) == {LONGEST_PAUSE_S}
    stand.update(entry, state=OrderState.WORKING)
    assert asked_at(stand, entry, 2), "it can be taken back now, so it is asked at once"


def test_r9_an_order_that_leaves_is_asked_about_at_least_every_ten_seconds() -> None:
    stand = Stand()
    stand.entered()
    entry, first = stand.row(stand.ticket("E"), 50, 120), stand.ticket("S")
    stand.answer(first, Outcome.UNKNOWN)
    stand.wait(8)
    for _ in range(3):
        stand.snapshot(entry, held={CALL: 50})
    second = stand.ticket("S")
    stand.answer(second)
    stand.update(first)
    stand.answer(first, Outcome.REJECTED, WriteKind.CANCEL)
    asked = asked_at(stand, first, 100)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert max(pauses) == LONGEST_EXIT_PAUSE_S
    assert not [each for each in stand.of(Notify) if each.level is Level.ALARM and "frozen" in each.text]


def asked_at(stand: Stand, order: OrderTicket, seconds: int) -> list[int]:
    """Seconds at which an order is asked to be taken back, by a broker who refuses."""
    found = []
    for second in range(seconds):
        before = len(stand.of(CancelOrder))
        stand.wait(1)
        if len(stand.of(CancelOrder)) > before:
            found.append(second)
            stand.answer(order, Outcome.REJECTED, WriteKind.CANCEL, reason="in Transit state")
    return found
