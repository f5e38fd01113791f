"""Stop and target that both rest at the broker: who is taken back, when, and what happens when both fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, Stand, at, bracket, scalp
from tests.unit.core.nights import awake_until_the_open
from workbench.core.bars import Quote
from workbench.core.engine import Engine
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    DayBegan,
    Level,
    MarginRead,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    QuoteReceived,
    ReadMargin,
    TargetWatched,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.plan import Distance, Exits, Overnight, ProtectionRule, ScaleOut, Trail
from workbench.core.position import PositionState, Protection
from workbench.core.signal import Side

A = AlertAction
PLENTY, TOO_LITTLE = Decimal(1_000_000), Decimal(1)


class PairStand(Stand):
    """A stand whose plan has the target rest beside the stop."""

    def __init__(self, **plan: Any) -> None:
        super().__init__(scalp(protection=ProtectionRule.STOP_AND_TARGET, **plan))

    def margin(self, available: Decimal | None = PLENTY, **more: Any) -> None:
        """Answer the newest question about margin."""
        asked = self.of(ReadMargin)[-1]
        self.tell(MarginRead(asked_by=asked.asked_by, total=Decimal(110_000), available=available, **more))

    def rests(self, ticket: OrderTicket) -> None:
        """Let the broker take an order and show it."""
        self.answer(ticket)
        self.update(ticket)

    def paired(self, price: float | str = 120) -> None:
        """Enter, and have stop and target rest."""
        self.protected(price)
        self.margin()
        self.rests(self.ticket("T"))

    def alarms(self) -> list[str]:
        return [each.text for each in self.of(Notify) if each.level is Level.ALARM]

    def warnings(self) -> list[str]:
        return [each.text for each in self.of(Notify) if each.level is Level.WARNING]

    def cancelled(self) -> list[str]:
        return [each.correlation_id for each in self.of(CancelOrder)]

    def gone(self, ticket: OrderTicket, filled: int = 0, price: float | str = 0) -> None:
        """Let the broker show that an order was taken back, after so many units had filled."""
        self.update(ticket, filled, price, state=OrderState.CANCELLED)


def test_the_target_rests_beside_the_stop_once_the_stop_does_and_the_margin_allows_it() -> None:
    stand = PairStand()
    stand.entered()
    assert stand.of(ReadMargin) == []
    stand.rests(stand.ticket("S"))
    (asked,) = stand.of(ReadMargin)
    (wanted,) = asked.tickets
    assert (wanted.side, wanted.quantity, wanted.price) == (Side.SELL, 50, Decimal("150.00"))
    assert stand.tickets("T") == []
    stand.margin()
    target = stand.ticket("T")
    assert (target.purpose, target.order_type) == (Purpose.TARGET, OrderType.LIMIT)
    assert (target.price, target.quantity) == (Decimal("150.00"), 50)
    assert stand.position.protection is Protection.AT_BROKER
    stand.wait(30)
    assert len(stand.tickets()) == 3


def test_stop_only_asks_no_margin_and_sends_no_target() -> None:
    stand = Stand()
    stand.protected()
    stand.wait(10)
    assert stand.of(ReadMargin) == []
    assert len(stand.tickets()) == 2


@pytest.mark.parametrize(
    ("available", "more", "said"),
    [
        (TOO_LITTLE, {}, "free funds are Rs 1.00"),
        (None, {}, "free funds are not known"),
        (PLENTY, {"known": False, "reason": "HTTP 500"}, "HTTP 500"),
    ],
)
def test_r12_without_the_margin_of_a_second_sale_the_target_is_watched_and_said_so(
    available: Decimal | None, more: dict[str, Any], said: str
) -> None:
    stand = PairStand()
    stand.protected()
    stand.margin(available, **more)
    assert stand.tickets("T") == []
    assert any(said in text for text in stand.warnings())
    assert said in stand.position.target_watched_for
    stand.price(CALL, 151)
    assert stand.position.exit_reason == "target"
    assert stand.of(ModifyOrder)[-1].change.price == Decimal("150.00")


def test_a_margin_that_nobody_tells_leaves_the_stop_alone() -> None:
    stand = PairStand()
    stand.protected()
    stand.wait(9)
    assert "nobody answered" in stand.position.target_watched_for
    stand.margin()
    assert stand.tickets("T") == []


def test_r12_a_target_that_the_broker_rejects_is_watched_and_the_stop_stays() -> None:
    stand = PairStand()
    stand.protected()
    stand.margin()
    stand.answer(stand.ticket("T"), Outcome.REJECTED, reason="RMS: margin exceeds")
    assert "RMS: margin exceeds" in stand.position.target_watched_for
    stand.wait(20)
    assert len(stand.tickets("T")) == 1
    assert stand.cancelled() == []
    assert stand.position.state is PositionState.OPEN


def test_a_target_that_did_not_leave_is_sent_once_more() -> None:
    stand = PairStand()
    stand.protected()
    for _ in range(2):
        stand.margin()
        stand.answer(stand.ticket("T"), Outcome.NOT_SENT, reason="no line")
    stand.wait(20)
    assert len(stand.tickets("T")) == 2
    assert "no line" in stand.position.target_watched_for


def test_the_target_that_fills_closes_the_position_once_the_stop_is_gone() -> None:
    stand = PairStand()
    stand.paired()
    target, stop = stand.ticket("T"), stand.ticket("S")
    stand.price(CALL, 151)
    assert stand.position.exit_reason == ""
    stand.update(target, 50, 150)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "target")
    assert stand.cancelled() == [stop.correlation_id]
    stand.gone(stop)
    assert (stand.position.state, stand.position.gross) == (PositionState.CLOSED, Decimal(1500))
    assert len(stand.tickets()) == 3


def test_the_stop_that_fills_closes_the_position_once_the_target_is_gone() -> None:
    stand = PairStand()
    stand.paired()
    target, stop = stand.ticket("T"), stand.ticket("S")
    stand.update(stop, 50, 105)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "stop")
    assert stand.cancelled() == [target.correlation_id]
    stand.wait(3)
    stand.answer(target, kind=WriteKind.CANCEL)
    assert stand.position.state is PositionState.EXITING  # an answer alone ends no order
    stand.gone(target)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.CLOSED, "stop")


def test_r17_a_part_of_the_target_shrinks_the_stop_to_what_is_left() -> None:
    stand = PairStand(lots=3)
    stand.paired()
    stand.update(stand.ticket("T"), 50, 150)
    position = stand.position
    assert (position.state, position.open_quantity, position.exit_reason) == (PositionState.OPEN, 100, "")
    (change,) = stand.of(ModifyOrder)
    assert (change.correlation_id, change.change.quantity) == (stand.ticket("S").correlation_id, 100)
    stand.change(stand.ticket("S"))
    stand.wait(10)
    assert len(stand.of(ModifyOrder)) == 1
    stand.update(stand.ticket("T"), 150, 150)
    stand.gone(stand.ticket("S"))
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.CLOSED, "target")


def test_r17_a_part_of_the_stop_takes_the_target_back() -> None:
    stand = PairStand(lots=3)
    stand.paired()
    stand.update(stand.ticket("S"), 50, 105)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "stop")
    assert stand.cancelled() == [stand.ticket("T").correlation_id]
    stand.gone(stand.ticket("T"))
    stand.wait(3)
    assert stand.of(ModifyOrder)[-1].change.quantity == 150


def test_r15_both_fill_and_the_excess_is_bought_back_once_with_an_alarm() -> None:
    stand = PairStand(lots=2)
    stand.paired()
    stand.update(stand.ticket("T"), 100, 150)
    stand.update(stand.ticket("S"), 100, 104)
    assert stand.position.open_quantity == -100
    assert any("both filled: 100 units too many" in text for text in stand.alarms())
    (back,) = stand.tickets("X")
    assert (back.side, back.quantity) == (Side.BUY, 100)
    stand.answer(back)
    stand.update(back, 100, 106)
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.CLOSED, 0)
    assert stand.position.gross == Decimal(100) * (150 - 120 + 104 - 106)
    stand.wait(10)
    assert len(stand.tickets("X")) == 1


def test_r15_both_fill_in_part_and_only_the_excess_is_bought_back() -> None:
    stand = PairStand(lots=3)
    stand.paired()
    stand.update(stand.ticket("T"), 100, 150)
    stand.update(stand.ticket("S"), 100, 104)
    assert stand.position.open_quantity == -50
    stand.gone(stand.ticket("T"), 100, 150)
    stand.gone(stand.ticket("S"), 100, 104)
    (back,) = stand.tickets("X")
    assert (back.side, back.quantity) == (Side.BUY, 50)


def test_r15_a_fill_of_the_sibling_after_the_position_was_closed_is_bought_back() -> None:
    stand = PairStand()
    stand.paired()
    stand.update(stand.ticket("T"), 50, 150)
    stand.gone(stand.ticket("S"))
    assert stand.position.state is PositionState.CLOSED
    stand.update(stand.ticket("S"), 50, 104)  # the cancellation had crossed a fill
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.EXITING, -50)
    assert (stand.ticket("X").side, stand.ticket("X").quantity) == (Side.BUY, 50)


@pytest.mark.parametrize("way", ["alert", "flatten", "time", "session_end"])
def test_any_other_exit_takes_the_target_back_before_it_moves_the_stop(way: str) -> None:
    stand = PairStand(exits=bracket(time=at("14:00:00").time()))
    stand.paired()
    match way:
        case "alert":
            stand.alert(A.TARGET_FLAT)
        case "flatten":
            stand.tell(OperatorOrdered(command=Operator.FLATTEN))
        case "time":
            stand.go_to("14:00:00")
        case _:
            stand.go_to("15:16:00")
    target, stop = stand.ticket("T"), stand.ticket("S")
    assert stand.cancelled() == [target.correlation_id]
    assert stand.of(ModifyOrder) == []
    stand.gone(target)
    assert [each.correlation_id for each in stand.of(ModifyOrder)] == [stop.correlation_id]
    stand.change(stop)
    stand.update(stop, 50, 118)
    assert stand.position.state is PositionState.CLOSED


def test_an_exit_does_not_hang_on_a_cancellation_that_nobody_answers() -> None:
    stand = PairStand()
    stand.paired()
    stand.alert(A.TARGET_FLAT)
    stand.wait(1)
    assert stand.of(ModifyOrder) == []
    stand.wait(1)
    (change,) = stand.of(ModifyOrder)
    assert change.correlation_id == stand.ticket("S").correlation_id
    stand.change(stand.ticket("S"))
    stand.update(stand.ticket("S"), 50, 118)
    assert stand.position.state is PositionState.EXITING  # what rests at the target may still fill
    stand.update(stand.ticket("T"), 50, 150)
    stand.wait(2)
    assert (stand.ticket("X").side, stand.ticket("X").quantity) == (Side.BUY, 50)


def test_a_market_that_stays_at_a_target_that_does_not_fill_is_left_by_the_stops_order() -> None:
    stand = PairStand()
    stand.paired()
    for _ in range(4):
        stand.price(CALL, 151)
        stand.wait(1)
    stand.price(CALL, 151)
    assert stand.position.exit_reason == "target"
    assert stand.cancelled() == [stand.ticket("T").correlation_id]
    stand.wait(6)
    assert stand.of(ModifyOrder) == []  # both at one price would both fill
    assert any("at its target" in text for text in stand.alarms())
    stand.gone(stand.ticket("T"))
    assert stand.of(ModifyOrder)[-1].change.price == Decimal("150.00")


def test_a_trail_moves_the_stop_and_leaves_the_target_where_it_is() -> None:
    stand = PairStand(exits=bracket("15", "90", trail=Trail(distance=Distance(points=Decimal(10)))))
    stand.paired()
    stand.wait(1)
    stand.price(CALL, 140)
    stand.go_to("10:01:00")
    (change,) = stand.of(ModifyOrder)
    assert (change.correlation_id, change.change.trigger_price) == (stand.ticket("S").correlation_id, Decimal("130.00"))


def test_a_late_fill_of_the_entry_grows_both() -> None:
    stand = PairStand(lots=2)
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stand.rests(stand.ticket("S"))
    assert stand.of(ReadMargin) == []  # an entry that still rests is ours to buy from
    stand.gone(entry, 50, 120)
    stand.margin()
    stand.rests(stand.ticket("T"))
    stand.update(entry, 100, 120)
    assert [each.correlation_id for each in stand.of(ModifyOrder)] == [stand.ticket("S").correlation_id]
    stand.change(stand.ticket("S"))  # only now rests the stop for as much as the target is to leave
    by_order = {each.correlation_id: each.change.quantity for each in stand.of(ModifyOrder)}
    assert by_order == {stand.ticket("S").correlation_id: 100, stand.ticket("T").correlation_id: 100}


def test_a_target_that_a_person_takes_back_is_not_sent_again() -> None:
    stand = PairStand()
    stand.paired()
    stand.gone(stand.ticket("T"))
    stand.wait(20)
    assert len(stand.tickets("T")) == 1
    assert stand.position.target_watched_for == "cancelled"
    stand.price(CALL, 151)
    assert stand.position.exit_reason == "target"


def test_each_part_of_a_scale_out_has_a_target_of_its_own() -> None:
    parts = (ScaleOut(at=Distance(points=Decimal(10)), lots=1),)
    stand = PairStand(lots=2, exits=Exits(stop=Distance(points=Decimal(15)), scale_out=parts))
    stand.alert(A.BULLISH)
    for number in (0, 1):
        entry = stand.tickets("E")[number]
        stand.rests(entry)
        stand.update(entry, 50, 120)
    for stop in stand.tickets("S"):
        stand.rests(stop)
    stand.margin()
    assert [each.price for each in stand.tickets("T")] == [Decimal("130.00")]
    assert [each.is_paired for each in stand.book.live_positions()] == [True, False]


def test_a_restart_takes_up_stop_and_target_as_they_rest() -> None:
    stand = PairStand(lots=3)
    stand.paired()
    events = list(stand.events)
    stand.engine = Engine(stand.config)
    stand.engine.recover(events)
    stand.tell(DayBegan(day=stand.now.date()))
    stop, target = stand.ticket("S"), stand.ticket("T")
    stand.snapshot(
        stand.row(stand.ticket("E"), 150, 120), stand.row(stop), stand.row(target, 50, 150), held={CALL: 100}
    )
    (change,) = stand.of(ModifyOrder)
    assert (change.correlation_id, change.change.quantity) == (stop.correlation_id, 100)
    assert len(stand.tickets()) == 3


def test_a_restart_before_the_answer_asks_the_margin_again() -> None:
    stand = PairStand()
    stand.protected()
    events = list(stand.events)
    stand.engine = Engine(stand.config)
    stand.engine.recover(events)
    stand.tell(DayBegan(day=stand.now.date()))
    stand.shown()
    stand.price(CALL, 121)
    assert len(stand.of(ReadMargin)) == 2
    stand.margin()
    assert len(stand.tickets("T")) == 1


def test_a_target_on_its_way_when_the_process_died_is_looked_up_and_not_sent_again() -> None:
    stand = PairStand()
    stand.protected()
    stand.margin()
    target, stop = stand.ticket("T"), stand.ticket("S")
    events = list(stand.events)
    stand.engine = Engine(stand.config)
    stand.engine.recover(events)
    stand.tell(DayBegan(day=stand.now.date()))
    assert stand.book.orders[target.correlation_id].state is OrderState.UNKNOWN
    stand.price(CALL, 121)
    stand.snapshot(stand.row(stand.ticket("E"), 50, 120), stand.row(stop), stand.row(target), held={CALL: 50})
    stand.wait(20)
    assert len(stand.tickets("T")) == 1
    assert stand.book.orders[target.correlation_id].state is OrderState.WORKING


def test_over_the_night_the_target_is_offered_again_after_the_stop() -> None:
    stand = PairStand(product=Product.MARGIN, overnight=Overnight.KEEP)
    stand.paired()
    stand.go_to("15:29:00")
    assert stand.position.state is PositionState.CARRIED
    stand.now = at("09:00:00").replace(day=16)
    stand.tell(DayBegan(day=stand.now.date()))
    stand.shown()
    awake_until_the_open(stand)
    stand.now = at("09:15:01").replace(day=16)
    price = Decimal(121)
    stand.tell(QuoteReceived(quote=Quote(CALL.key, stand.now, price, price, price)))
    assert len(stand.of(ReadMargin)) == 1
    stand.rests(stand.ticket("S"))
    assert len(stand.tickets("S")) == 2
    stand.margin()
    assert len(stand.tickets("T")) == 2


def test_the_journal_says_why_a_target_is_watched() -> None:
    stand = PairStand()
    stand.protected()
    stand.margin(TOO_LITTLE)
    (event,) = [each for each in stand.events if isinstance(each, TargetWatched)]
    assert event.position_id == stand.position.position_id
    assert event.reason.startswith("blocks Rs 110000.00")
    assert stand.reborn() == stand.book
