"""A start and the morning of a new day: nothing leaves before the broker's own word on it is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, DAY, EXPIRIES, SPOT, Stand, at, scalp
from tests.unit.core.legs_stand import HEDGED, LegsStand
from tests.unit.core.nights import NEXT, at_the_close, keeping, placed, writes
from tests.unit.core.test_engine_supers import SuperStand
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.engine import Engine
from workbench.core.messages import (
    AlertAction,
    BrokerPosition,
    CancelOrder,
    DayBegan,
    ModifyOrder,
    Outcome,
    PositionSettled,
    SettlementTold,
    SnapshotTaken,
    TakeSnapshot,
    WriteKind,
)
from workbench.core.order import OrderState, Purpose
from workbench.core.position import PositionState
from workbench.core.signal import Side

EXPIRY = EXPIRIES[0]
DAY_AFTER = EXPIRY + timedelta(days=1)


def started(stand: Stand, clock: str, day: date = DAY) -> int:
    """A fresh engine on the journal of the one that died; gives the place where its commands begin."""
    stand.engine = Engine(stand.config)
    stand.engine.recover(decode(encode(event)) for event in stand.events)
    return slept(stand, clock, day)


def slept(stand: Stand, clock: str, day: date) -> int:
    """The same engine, whose computer has slept."""
    first = len(stand.commands)
    stand.now = at(clock, day)
    stand.tell(DayBegan(day=day))
    return first


def slept_on(stand: Stand, clock: str, day: date) -> int:
    """The same engine; nobody has opened the day for it yet."""
    stand.now = at(clock, day)
    return len(stand.commands)


@pytest.mark.parametrize("wakes", [started, slept, slept_on])
def test_r22_what_the_broker_squared_off_is_not_sold_after_the_next_open(
    wakes: Callable[[Stand, str, date], int],
) -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    first = wakes(stand, "10:00:00", NEXT)
    stand.spot(SPOT)
    stand.price(CALL, 118)
    stand.wait(2)
    assert writes(stand, first) == [], "nothing leaves before a look"
    for _ in range(12):
        stand.snapshot(held={CALL: 0})
        stand.wait(1)
    assert {type(each) for each in writes(stand, first)} <= {CancelOrder}
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.EXITING, 50)
    assert stand.book.frozen == (f"{CALL.name}: broker holds 0 units, our book 50",)
    assert stand.reborn() == stand.book


def test_r22_a_computer_that_slept_over_the_brokers_own_square_off_sells_nothing_before_a_look() -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    stand.go_to("15:10:00")
    stand.wait(1)
    first = slept_on(stand, "15:21:30", DAY)
    stand.price(CALL, 118)
    stand.wait(3)
    assert writes(stand, first) == [], "nothing leaves before a look"
    assert any(isinstance(each, TakeSnapshot) for each in stand.commands[first:])
    for _ in range(12):
        stand.snapshot(held={CALL: 0})
        stand.wait(1)
    assert {type(each) for each in writes(stand, first)} <= {CancelOrder}
    assert stand.book.frozen == (f"{CALL.name}: broker holds 0 units, our book 50",)


@pytest.mark.parametrize(("clock", "wakes_at"), [("15:10:00", "15:16:30"), ("15:15:50", "15:16:05")])
def test_who_has_not_slept_over_it_leaves_without_a_look(clock: str, wakes_at: str) -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    stand.go_to(clock)
    stand.wait(1)
    first = slept_on(stand, wakes_at, DAY)
    stand.price(CALL, 118)
    stand.wait(1)
    assert writes(stand, first) or stand.position.exit_attempts, "it is left at once"


def test_r22_of_a_part_that_is_gone_only_the_rest_is_sold() -> None:
    stand = Stand(scalp(lots=2), clock="15:00:00")
    stand.protected()
    first = started(stand, "10:00:00", NEXT)
    stand.spot(SPOT)
    stand.price(CALL, 118)
    stand.snapshot(held={CALL: 50})
    stand.wait(1)
    assert [each.quantity for each in placed(stand, first)] == [50]


def test_r22_a_kept_position_that_was_closed_in_the_night_is_not_left_for_its_gap() -> None:
    stand = keeping()
    at_the_close(stand)
    first = started(stand, "09:20:00", NEXT)
    stand.price(CALL, 90)
    stand.wait(1)
    assert stand.position.exit_reason == "gap"
    for _ in range(8):
        stand.snapshot(held={CALL: 0})
        stand.wait(1)
    assert writes(stand, first) == []
    assert stand.book.frozen


@pytest.mark.parametrize("wakes", [started, slept])
def test_a_kept_position_has_its_stop_again_with_the_first_look_after_the_open(
    wakes: Callable[[Stand, str, date], int],
) -> None:
    stand = keeping()
    at_the_close(stand)
    first = wakes(stand, "09:20:00", NEXT)
    stand.price(CALL, 118)
    assert writes(stand, first) == []
    stand.shown()
    assert [each.trigger_price for each in placed(stand, first)] == [Decimal(105)]
    assert stand.reborn() == stand.book


def test_a_look_that_began_before_the_computer_slept_is_no_word_of_this_morning() -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    first = slept(stand, "10:00:00", NEXT)
    before = BrokerPosition(
        segment=CALL.segment.value, security_id=CALL.security_id, product="INTRADAY", net_quantity=50
    )
    stand.price(CALL, 118)
    stand.tell(SnapshotTaken(taken_at=at("15:10:00"), positions=(before,)))
    stand.wait(1)
    assert writes(stand, first) == []


def test_the_broker_is_asked_at_each_beat_while_nothing_can_leave() -> None:
    stand = Stand()
    stand.protected()
    first = started(stand, "10:30:00")
    stand.snapshot(known=False, reason="time-out")
    stand.wait(3)
    looks = [each for each in stand.commands[first:] if isinstance(each, TakeSnapshot)]
    assert len(looks) == 3
    stand.shown()
    stand.wait(3)
    assert [each for each in stand.commands[first:] if isinstance(each, TakeSnapshot)] == looks


def test_what_is_entered_before_the_first_look_has_its_stop_at_once() -> None:
    stand = Stand(scalp(), scalp("OTHER"))
    stand.protected()
    first = started(stand, "10:30:00")
    stand.spot(SPOT)
    stand.price(CALL, 118)
    stand.alert(AlertAction.BULLISH, deployment="OTHER")
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 118)
    assert [(each.deployment, each.purpose) for each in placed(stand, first)] == [
        ("OTHER", Purpose.ENTRY),
        ("OTHER", Purpose.STOP),
    ]


def test_a_stop_that_rests_is_left_alone_until_the_first_look() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(AlertAction.TARGET_FLAT)
    first = started(stand, "10:30:00")
    stand.price(CALL, 118)
    stand.wait(3)
    assert writes(stand, first) == []
    stand.shown()
    stand.wait(1)
    (change,) = writes(stand, first)
    assert isinstance(change, ModifyOrder)
    assert change.correlation_id == stand.ticket("S").correlation_id


def test_a_leg_is_spared_while_what_is_missing_after_a_start_is_not_sure() -> None:
    stand = SuperStand()
    stand.rests(120.05)
    first = started(stand, "10:00:30")
    legs = (stand.leg_row(Purpose.STOP), stand.leg_row(Purpose.TARGET))
    stand.shows(*legs, held={CALL: 0})
    taken_back = [each for each in writes(stand, first) if isinstance(each, CancelOrder)]
    assert taken_back == [], "a leg that is taken back never returns, and a list may lag"
    for _ in range(7):
        stand.wait(1)
        stand.shows(*legs, held={CALL: 0})
    assert stand.book.frozen
    assert placed(stand, first) == []
    assert any(isinstance(each, CancelOrder) for each in writes(stand, first)), "now it is sure"


@pytest.mark.parametrize("day", [DAY, NEXT])
def test_r22_a_lone_hedge_that_was_sold_by_hand_is_not_sold_again_after_a_start(day: date) -> None:
    stand = LegsStand(HEDGED)
    stand.go()
    (hedge,) = stand.tickets("E")
    stand.fill(hedge)
    first = started(stand, "10:05:00", day)
    assert stand.structure.left_for == "leg_failed"
    assert writes(stand, first) == []
    for _ in range(8):
        stand.snapshot(held={hedge.instrument: 0})
        stand.wait(1)
    assert writes(stand, first) == []
    assert stand.book.frozen
    assert stand.reborn() == stand.book


def test_a_lone_hedge_that_is_still_there_is_sold_with_the_first_look_after_a_start() -> None:
    stand = LegsStand(HEDGED)
    stand.go()
    (hedge,) = stand.tickets("E")
    stand.fill(hedge)
    first = started(stand, "10:05:00")
    stand.shown()
    assert [(each.side, each.quantity) for each in placed(stand, first)] == [(Side.SELL, hedge.quantity)]


# --- what was settled, and lives on ---------------------------------------------------------------------------------


def on_its_last_day(stand: Stand) -> None:
    stand.now = at("10:00:00", EXPIRY)
    stand.tell(DayBegan(day=EXPIRY))
    stand.spot(SPOT)
    stand.price(CALL, 120)


def settled(stand: Stand) -> None:
    stand.now = at("16:10:00", EXPIRY)
    stand.tell(SettlementTold(symbol="NIFTY", expiry=EXPIRY, price=Decimal(15800)))


def next_morning(stand: Stand) -> int:
    """Open the day after, and have a fresh process do the same."""
    before, first = stand.reborn(), len(stand.events)
    assert before == stand.book
    stand.now = at("09:00:00", DAY_AFTER)
    stand.tell(DayBegan(day=DAY_AFTER))
    again = Book()
    again.apply_all(decode(encode(event)) for event in stand.events[first:])
    assert again == stand.book
    return first


def test_p1_a_settled_position_is_over_whatever_the_list_of_legs_goes_on_to_show() -> None:
    stand = SuperStand()
    on_its_last_day(stand)
    stand.rests(120.05)
    stand.now = at("15:30:01", EXPIRY)
    stand.wait(2)
    stand.shows(stand.leg_row(Purpose.STOP), stand.leg_row(Purpose.TARGET))
    settled(stand)
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.CLOSED, 0)
    next_morning(stand)
    assert stand.book.positions == {}


def test_p1_a_fill_that_is_told_after_the_settlement_lives_through_the_night() -> None:
    stand = Stand()
    on_its_last_day(stand)
    stand.protected()
    stand.now = at("15:30:01", EXPIRY)
    stand.wait(2)
    settled(stand)
    stand.snapshot(stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S"), 50, 104), held={CALL: 0})
    assert stand.position.open_quantity == -50
    fills = stand.position.fills
    first = next_morning(stand)
    assert stand.position.fills == fills
    (told,) = [each for each in stand.events[first:] if isinstance(each, PositionSettled)]
    assert (told.quantity, told.side, told.value) == (50, Side.SELL, Decimal(100))
    stand.tell(SettlementTold(symbol="NIFTY", expiry=EXPIRY, price=Decimal(15800)))
    assert (stand.position.state, stand.position.gross) == (PositionState.CLOSED, Decimal(-800))


def test_a_settlement_of_an_older_journal_takes_all_that_is_open() -> None:
    told = {"position_id": "P", "at": at("16:10:00"), "settlement_price": Decimal(15800), "value": Decimal(100)}
    event = PositionSettled(**told)  # type: ignore[arg-type]
    body = encode(event)
    assert decode({key: value for key, value in body.items() if key not in ("quantity", "side")}) == event


# --- a target that seems to have sold -------------------------------------------------------------------------------


def leaves_beside_a_target(stand: SuperStand, held: int) -> None:
    """It is to be left, its stop leg is gone, and nobody says that its target leg is."""
    stand.rests(120.05)
    stand.wait(20)
    stand.price(CALL, 149.5)
    stand.alert(AlertAction.CLOSE_CALL)
    stand.gone(Purpose.STOP)
    for key in list(stand.book.cancels_pending):
        stand.answer(stand.book.orders[key].ticket, Outcome.REJECTED, WriteKind.CANCEL, "the order is over")
    rows = stand.leg_row(Purpose.STOP, state=OrderState.CANCELLED), stand.leg_row(Purpose.TARGET)
    stand.shows(*rows, held={CALL: held})
    for _ in range(8):
        stand.wait(1)
        stand.shows(*rows, held={CALL: held})


def test_r15_an_exit_does_not_sell_what_the_target_seems_to_have_sold() -> None:
    stand = SuperStand()
    leaves_beside_a_target(stand, held=0)
    assert stand.tickets("X") == []
    assert stand.book.frozen


def test_r15_an_exit_beside_a_target_that_does_not_answer_goes_out_all_the_same() -> None:
    stand = SuperStand()
    leaves_beside_a_target(stand, held=50)
    assert stand.tickets("X")[0].quantity == 50
