"""Hours that nobody listened to: the open, the broker's own square-off, and a day that is opened after its market."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, SPOT, Stand, at, scalp
from tests.unit.core.legs_stand import HEDGED, LegsStand
from tests.unit.core.nights import NEXT, at_the_close, keeping, morning, placed, writes
from tests.unit.core.test_shares import CNC, ShareStand
from workbench.core.instrument import Segment
from workbench.core.messages import (
    AlertAction,
    BrokerPosition,
    CancelOrder,
    DayBegan,
    ModifyOrder,
    Outcome,
    PlaceOrder,
    SnapshotTaken,
    TakeSnapshot,
    WriteKind,
)
from workbench.core.order import OrderState, Product
from workbench.core.plan import Overnight
from workbench.core.reconcile import without_look_ups


def awake_at_ten_with_its_day_unopened() -> tuple[Stand, int]:
    """The computer slept over the night and the open; the first message finds it before the day is opened."""
    stand = keeping()
    at_the_close(stand)
    stand.now = at("15:30:00")
    stand.wait(1)
    stand.update(stand.ticket("S"), state=OrderState.EXPIRED)
    stand.now = at("10:00:00", NEXT)
    return stand, len(stand.commands)


@pytest.mark.parametrize(("price", "letter"), [(121, "S"), (100, "X")])
def test_r1_an_order_of_this_morning_outlives_the_opening_of_its_day(price: float, letter: str) -> None:
    stand, first = awake_at_ten_with_its_day_unopened()
    stand.price(CALL, price)
    assert writes(stand, first) == []
    stand.now += timedelta(seconds=2)
    stand.snapshot(held={CALL: 50})
    stand.price(CALL, price)
    (sent,) = placed(stand, first)
    assert sent == stand.ticket(letter)
    stand.answer(sent)
    stand.update(sent)
    stand.now += timedelta(seconds=7)
    stand.tell(DayBegan(day=NEXT))
    assert stand.book.orders[sent.correlation_id].state is OrderState.WORKING
    assert stand.reborn() == stand.book
    for _ in range(5):
        stand.snapshot(stand.row(sent), held={CALL: 50})
        stand.price(CALL, price)
        stand.wait(1)
    assert placed(stand, first) == [sent], "a second one beside it would sell the same units again"


@pytest.mark.parametrize(("price", "letter"), [(121, "S"), (100, "X")])
def test_p1_an_order_of_this_morning_that_died_with_its_process_is_looked_for_on_a_day_that_is_opened_late(
    price: float, letter: str
) -> None:
    stand, first = awake_at_ten_with_its_day_unopened()
    stand.price(CALL, price)
    stand.now += timedelta(seconds=2)
    stand.snapshot(held={CALL: 50})
    stand.price(CALL, price)
    (lost,) = placed(stand, first)
    stand.now += timedelta(seconds=5)
    stand.engine = type(stand.engine)(stand.config)
    stand.engine.recover(stand.events, since=stand.now)
    first = len(stand.commands)
    stand.tell(DayBegan(day=NEXT))
    assert stand.book.orders[lost.correlation_id].state is OrderState.UNKNOWN
    assert stand.reborn() == stand.book
    for _ in range(15):
        stand.wait(1)
        stand.price(CALL, price)
        stand.snapshot(held={CALL: 50})
    assert stand.book.orders[lost.correlation_id].state is OrderState.ABANDONED
    assert [each.purpose.value[0] for each in placed(stand, first)] == [{"S": "s", "X": "e"}[letter]]


def cut_off(stand: Stand, until: str) -> None:
    """The network is away: no order leaves, and nothing is read."""
    seen = len(stand.commands)
    while stand.now < at(until):
        stand.wait(1)
        new, seen = stand.commands[seen:], len(stand.commands)
        for each in new:
            match each:
                case PlaceOrder():
                    stand.answer(each.ticket, Outcome.NOT_SENT, reason="no network")
                case ModifyOrder() | CancelOrder():
                    kind = WriteKind.MODIFY if isinstance(each, ModifyOrder) else WriteKind.CANCEL
                    stand.answer(stand.book.orders[each.correlation_id].ticket, Outcome.NOT_SENT, kind)
                case TakeSnapshot():
                    stand.tell(SnapshotTaken(taken_at=stand.now, known=False, reason="no network"))
                case _:
                    pass


def test_r22_who_was_cut_off_over_the_brokers_square_off_sells_nothing_before_a_look() -> None:
    stand = LegsStand(HEDGED, clock="15:00:00")
    stand.stand()
    stand.go_to("15:16:00")
    bought_back = [each for each in stand.commands if isinstance(each, ModifyOrder)][-1]
    sold = stand.book.orders[bought_back.correlation_id].ticket
    stand.answer(sold, kind=WriteKind.MODIFY)
    stand.update(sold, 50, 120)
    stand.answer(stand.ticket("X"), Outcome.NOT_SENT, reason="no network")
    cut_off(stand, "15:19:59")
    tried = len(stand.commands)
    cut_off(stand, "15:21:00")
    assert writes(stand, tried) == [], "his square-off may have left it"
    looks = [each for each in stand.commands[tried:] if isinstance(each, TakeSnapshot)]
    assert len(looks) >= 5, "he is asked at each beat"
    stand.snapshot(held={})
    stand.wait(5)
    assert placed(stand, tried) == []


def test_r22_who_was_cut_off_over_the_brokers_square_off_goes_on_leaving_what_is_there() -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    stand.go_to("15:16:00")
    assert stand.position.exit_reason == "session_end"
    stand.answer(stand.ticket("S"), Outcome.NOT_SENT, WriteKind.MODIFY, reason="no network")
    cut_off(stand, "15:19:59")
    first = len(stand.commands)
    cut_off(stand, "15:20:30")
    assert writes(stand, first) == []
    stand.now += timedelta(seconds=1)
    stand.snapshot(stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S")), held={CALL: 50})
    stand.wait(3)
    assert writes(stand, first) != []
    assert not stand.book.frozen


def test_r22_one_look_at_his_square_off_is_no_word_for_the_minutes_that_it_takes() -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    stand.go_to("15:16:00")
    stand.answer(stand.ticket("S"), Outcome.NOT_SENT, WriteKind.MODIFY, reason="no network")
    cut_off(stand, "15:19:58")
    stand.wait(4)
    stand.snapshot(stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S")), held={CALL: 50})
    cut_off(stand, "15:20:10")
    first = len(stand.commands)
    cut_off(stand, "15:22:00")
    assert writes(stand, first) == []
    assert any(isinstance(each, TakeSnapshot) for each in stand.commands[first:])


@pytest.mark.parametrize("is_beat_first", [False, True])
def test_r22_a_look_that_was_under_way_over_a_sleep_at_his_square_off_is_no_word(is_beat_first: bool) -> None:
    stand = Stand(clock="15:00:00")
    stand.protected()
    stand.go_to("15:16:00")
    stand.answer(stand.ticket("S"), Outcome.NOT_SENT, WriteKind.MODIFY, reason="no network")
    stand.now = at("15:19:59")
    stand.wait(2)
    asked = stand.now
    stand.now = at("15:26:00")
    first = len(stand.commands)
    if is_beat_first:
        stand.wait(1)
    held = (BrokerPosition(segment="NSE_FNO", security_id=CALL.security_id, product="INTRADAY", net_quantity=50),)
    rows = stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S"))
    stand.tell(SnapshotTaken(taken_at=asked, orders=rows, positions=held, available_funds=Decimal(1)))
    stand.wait(2)
    assert writes(stand, first) == []
    stand.snapshot(*rows, held={CALL: 50})
    stand.wait(3)
    assert writes(stand, first)


def test_when_the_market_has_closed_his_square_off_asks_for_nothing() -> None:
    stand = Stand(clock="10:00:00")
    stand.alert(AlertAction.BULLISH)
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    for _ in range(40):
        stand.wait(1)
        stand.snapshot()
    stand.now = at("15:31:00")
    stand.wait(1)
    stand.snapshot()
    first = len(stand.commands)
    stand.wait(30)
    assert not [each for each in stand.commands[first:] if isinstance(each, TakeSnapshot)]


def test_r22_his_square_off_holds_nothing_back_that_may_stay() -> None:
    stand = Stand(scalp("INTRA"), scalp("NIGHT", product=Product.MARGIN, overnight=Overnight.KEEP), clock="10:00:00")
    stand.alert(AlertAction.BULLISH, deployment="INTRA")
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    for _ in range(40):
        stand.wait(1)
        stand.snapshot()
    assert stand.book.orders[stand.ticket("E").correlation_id].state is OrderState.ABANDONED
    stand.now = at("14:00:00")
    stand.wait(1)
    stand.snapshot()
    stand.price(CALL, 120)
    stand.alert(AlertAction.BULLISH, deployment="NIGHT")
    stand.answer(stand.ticket("E"))
    stand.update(stand.ticket("E"), 50, 120)
    stand.answer(stand.ticket("S"))
    stand.update(stand.ticket("S"))
    stand.now = at("15:19:58")
    stand.wait(1)
    first = len(stand.commands)
    for _ in range(6):
        stand.price(CALL, 95)
        stand.wait(1)
        stand.tell(SnapshotTaken(taken_at=stand.now, known=False, reason="HTTP 500"))
    assert writes(stand, first), "its stop was passed"


@pytest.mark.parametrize("is_answered", [False, True])
def test_an_entry_of_this_morning_outlives_the_opening_of_its_day(is_answered: bool) -> None:
    stand = Stand(clock="14:00:00")
    stand.now = at("09:14:50", NEXT)
    stand.wait(1)
    stand.now = at("09:20:00", NEXT)
    stand.wait(1)
    stand.price(CALL, 120)
    stand.spot(SPOT)
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    if is_answered:
        stand.answer(entry)
    stand.tell(DayBegan(day=NEXT))
    assert stand.book.orders[entry.correlation_id].state.may_rest
    assert stand.reborn() == stand.book
    if not is_answered:
        stand.answer(entry)
    stand.update(entry, 50, 120)
    stand.snapshot(stand.row(entry, 50, 120), held={CALL: 50})
    stand.wait(1)
    assert stand.ticket("S").quantity == 50
    assert not stand.book.frozen


def test_a_fault_of_the_night_is_no_look_of_the_morning() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.now = at("00:30:00", NEXT)
    stand.engine = type(stand.engine)(stand.config)
    stand.engine.recover(stand.events, since=stand.now)
    stand.tell(DayBegan(day=stand.book.day or NEXT))
    stand.snapshot(held={CALL: 50})
    stand.now = at("09:14:50", NEXT)
    stand.wait(1)
    stand.now = at("09:15:01", NEXT)
    first = len(stand.commands)
    stand.price(CALL, 100)
    stand.wait(1)
    assert writes(stand, first) == []


def test_r22_who_slept_over_the_open_of_a_day_that_was_opened_before_it_looks_first() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("10:00:00", NEXT)
    first = len(stand.commands)
    stand.price(CALL, 100)
    stand.wait(1)
    assert writes(stand, first) == []
    assert any(isinstance(each, TakeSnapshot) for each in stand.commands[first:])
    stand.snapshot(held={CALL: 0})
    stand.price(CALL, 100)
    stand.wait(1)
    assert placed(stand, first) == [], "a person has sold it meanwhile"


def test_r22_a_look_that_was_asked_before_the_sleep_and_comes_after_it_is_no_word() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.now = at("15:30:00")
    stand.wait(1)
    stand.update(stand.ticket("S"), state=OrderState.EXPIRED)
    stand.now = at("09:00:00", NEXT)
    stand.tell(DayBegan(day=NEXT))
    stand.wait(10)
    asked = stand.now
    stand.now = at("09:20:00", NEXT)
    first = len(stand.commands)
    stand.price(CALL, 100)
    held = (BrokerPosition(segment="NSE_FNO", security_id=CALL.security_id, product="MARGIN", net_quantity=50),)
    stand.tell(SnapshotTaken(taken_at=asked, positions=held, available_funds=Decimal(1)))
    stand.price(CALL, 100)
    stand.wait(2)
    assert writes(stand, first) == []


def test_r22_who_is_awake_over_the_open_waits_for_nothing() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    first = len(stand.commands)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 121)
    assert [each.trigger_price for each in placed(stand, first)] == [stand.position.stop]


def test_a_night_that_is_lived_through_asks_for_no_look_and_freezes_nothing() -> None:
    """Shares of yesterday stand among the holdings from some hour of the night on."""
    stand = ShareStand(CNC)
    stand.bought()
    session = stand.config.calendar.session(Segment.NSE_EQ, stand.now.date())
    assert session is not None
    stand.go_to(f"{session.close - timedelta(seconds=50):%H:%M:%S}")
    stand.now = at("15:30:05")
    stand.wait(1)
    stand.update(stand.ticket("S"), state=OrderState.EXPIRED)
    following = stand.config.calendar.next_session(Segment.NSE_EQ, stand.now.date()).date
    stand.now = at("23:59:58")
    first = len(stand.commands)
    stand.wait(1)
    stand.now = at("00:00:00", following)
    stand.wait(30)
    assert not [each for each in stand.commands[first:] if isinstance(each, TakeSnapshot)]
    stand.tell(SnapshotTaken(taken_at=stand.now))
    stand.now = at("09:00:00", following)
    stand.tell(DayBegan(day=following))
    stand.tell(SnapshotTaken(taken_at=stand.now))
    stand.now = at("09:14:50", following)
    stand.wait(1)
    stand.now = at("09:15:01", following)
    stand.share("1605.00")
    stand.wait(1)
    assert not stand.book.frozen
    assert len(stand.tickets("S")) == 2


def test_an_engine_that_is_made_anew_believes_no_look_that_was_under_way() -> None:
    stand = Stand()
    stand.protected()
    under_way = stand.now
    stand.now += timedelta(seconds=3)
    stand.engine = type(stand.engine)(stand.config)
    stand.engine.recover(stand.events, since=stand.now)
    first = len(stand.commands)
    stand.tell(DayBegan(day=stand.now.date()))
    rows = stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S"))
    stand.tell(SnapshotTaken(taken_at=under_way, orders=rows, available_funds=Decimal(1)))
    stand.price(CALL, 90)
    stand.wait(4)
    assert writes(stand, first) == []
    stand.snapshot(*rows, held={CALL: 50})
    stand.wait(3)
    assert writes(stand, first)


def test_r1_a_look_that_asked_for_nobody_by_id_does_not_miss_who_was_not_answered() -> None:
    stand = Stand()
    stand.entered()
    lost = stand.ticket("S")
    stand.answer(lost, Outcome.UNKNOWN)
    seen = without_look_ups(stand.book, SnapshotTaken(taken_at=stand.now))
    assert seen.not_looked_up == (lost.correlation_id,)
