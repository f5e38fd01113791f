"""Entries that go as super orders: their terms, their legs in our book, and what happens when a leg is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.unit.core.builders import CALL, LIMITS, Stand, bracket, quote, scalp
from workbench.core.deployment import Limits
from workbench.core.engine import Engine
from workbench.core.messages import (
    AlertAction,
    BrokerOrder,
    CancelOrder,
    DayBegan,
    DecisionMade,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    QuoteReceived,
    ReadMargin,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import Bracket, LegAddress, Order, OrderState, Purpose, SuperLegName
from workbench.core.plan import Distance, Exits, ProtectionRule, Trail
from workbench.core.position import PositionState, Protection
from workbench.core.signal import Side

STOP, TARGET, ENTRY = SuperLegName.STOP, SuperLegName.TARGET, SuperLegName.ENTRY


class SuperStand(Stand):
    """A stand whose entries go as super orders; the broker shows the legs when he is asked."""

    def __init__(self, *, limits: Limits = LIMITS, **plan: Any) -> None:
        super().__init__(scalp(protection=ProtectionRule.SUPER_ORDER, **plan), limits=limits)

    def leg(self, purpose: Purpose) -> Order:
        return next(each for each in self.book.orders.values() if each.ticket.purpose is purpose and each.ticket.leg_of)

    def leg_row(self, purpose: Purpose, *, state: OrderState = OrderState.WORKING, **more: Any) -> BrokerOrder:
        """A leg as the broker's list shows it: with an id of its own, and by its entry's."""
        ticket = self.leg(purpose).ticket
        name = STOP if purpose is Purpose.STOP else TARGET
        body = {
            "order_id": f"L{name.value}",
            "correlation_id": "",
            "leg": LegAddress(entry_id=self.entry_id, name=name),
        }
        return self.row(ticket, state=state, **{**body, **more})

    @property
    def entry_id(self) -> str:
        return f"B{self.ticket('E').correlation_id}"

    def shows(self, *rows: BrokerOrder, filled: int = 50, **more: Any) -> None:
        """Answer a look with the entry and these rows."""
        entry = self.row(self.ticket("E"), filled, 120)
        self.snapshot(entry, *rows, **{"held": {CALL: filled}, "with_legs": True, **more})

    def rests(self, price: float | str = 120) -> None:
        """Enter, and see both legs rest."""
        self.entered(price)
        self.shows(self.leg_row(Purpose.STOP), self.leg_row(Purpose.TARGET))

    def gone(self, purpose: Purpose, state: OrderState = OrderState.CANCELLED) -> None:
        self.tell(OrderUpdated(order=self.leg_row(purpose, state=state)))

    def said(self, level: Level) -> list[str]:
        return [each.text for each in self.of(Notify) if each.level is level]


def test_the_entry_carries_its_legs_and_a_stop_only_entry_carries_none() -> None:
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    ticket = stand.ticket("E")
    assert ticket.bracket == Bracket(
        quantity=50, price=ticket.price, stop_price=Decimal("105.05"), target_price=Decimal("150.05")
    )
    plain = Stand()
    plain.alert(AlertAction.BULLISH)
    assert plain.ticket("E").bracket is None


def test_a_fill_is_covered_by_legs_that_count_once_the_broker_shows_them() -> None:
    stand = SuperStand()
    stand.entered()
    stop, target = stand.leg(Purpose.STOP), stand.leg(Purpose.TARGET)
    assert (stop.state, stop.ticket.side, stop.ticket.quantity) == (OrderState.UNKNOWN, Side.SELL, 50)
    assert (stop.ticket.trigger_price, target.ticket.price) == (Decimal("105.05"), Decimal("150.05"))
    before = stand.position.protection
    assert before is Protection.NONE
    assert stand.of(TakeSnapshot)[-1].with_legs
    assert stand.of(TakeSnapshot)[-1].unanswered == ()
    stand.shows(stand.leg_row(Purpose.STOP), stand.leg_row(Purpose.TARGET))
    assert stand.position.protection is Protection.AT_BROKER
    stand.wait(10)
    assert stand.tickets() == [stand.ticket("E")]
    assert stand.of(ReadMargin) == []
    assert stand.reborn() == stand.book


def test_the_levels_of_the_fill_are_sent_with_every_value() -> None:
    stand = SuperStand()
    stand.rests(118)
    stop, target = stand.of(ModifyOrder)
    assert (stop.leg, target.leg) == (
        LegAddress(entry_id=stand.entry_id, name=STOP),
        LegAddress(entry_id=stand.entry_id, name=TARGET),
    )
    assert stop.bracket is not None
    assert target.bracket is not None
    assert (stop.bracket.stop_price, stop.bracket.target_price) == (Decimal("103.00"), Decimal("150.05"))
    assert target.bracket.target_price == Decimal("148.00")
    assert (stop.bracket.quantity, stop.bracket.price) == (50, stand.ticket("E").price)


def test_a_trail_is_kept_by_us_through_changes_of_the_stop_leg() -> None:
    stand = SuperStand(exits=bracket(trail=Trail(distance=Distance(points=Decimal(10)))))
    stand.rests("120.05")
    stand.price(CALL, 140)
    stand.wait(61)
    changed = stand.of(ModifyOrder)[-1]
    assert changed.leg == LegAddress(entry_id=stand.entry_id, name=STOP)
    assert changed.change.trigger_price == Decimal("130.00")
    assert changed.change.price == 0


def test_r16_legs_cover_a_part_fill_and_grow_with_the_entry_by_the_brokers_word() -> None:
    stand = SuperStand(lots=2)
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, "120.05")
    stand.shows(stand.leg_row(Purpose.STOP), stand.leg_row(Purpose.TARGET))
    assert stand.leg(Purpose.STOP).remaining_quantity == 50
    stand.update(entry, 100, "120.05")
    assert stand.leg(Purpose.STOP).remaining_quantity == 50
    assert stand.of(TakeSnapshot)[-1].with_legs
    rows = [stand.leg_row(each, quantity=100) for each in (Purpose.STOP, Purpose.TARGET)]
    stand.shows(*rows, filled=100)
    assert stand.leg(Purpose.STOP).remaining_quantity == 100
    assert stand.tickets() == [entry]


def test_r16_the_rest_of_an_entry_goes_alone_first_and_with_its_legs_if_it_must() -> None:
    stand = SuperStand(lots=2)
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stand.shows(stand.leg_row(Purpose.STOP), stand.leg_row(Purpose.TARGET))
    stand.wait(6)
    (first,) = [each for each in stand.of(CancelOrder) if each.correlation_id == entry.correlation_id]
    assert first.leg is None
    stand.answer(entry, Outcome.REJECTED, WriteKind.CANCEL)
    stand.wait(5)
    second = [each for each in stand.of(CancelOrder) if each.correlation_id == entry.correlation_id][1]
    assert second.leg == LegAddress(entry_id=stand.entry_id, name=ENTRY)


def test_an_entry_without_a_fill_goes_with_its_legs() -> None:
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    stand.answer(stand.ticket("E"))
    stand.wait(6)
    (cancel,) = stand.of(CancelOrder)
    assert cancel.leg == LegAddress(entry_id=stand.entry_id, name=ENTRY)
    stand.update(stand.ticket("E"), state=OrderState.CANCELLED)
    assert stand.position.state is PositionState.FAILED


def test_legs_that_sleep_beside_an_entry_without_a_fill_are_nobody_elses_orders() -> None:
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    row = stand.row(
        entry, order_id="L1", correlation_id="", side=Side.SELL, leg=LegAddress(entry_id=stand.entry_id, name=STOP)
    )
    stand.snapshot(stand.row(entry), row, with_legs=True)
    assert not stand.book.frozen
    assert not [text for text in stand.said(Level.WARNING) if "not ours" in text]


def test_r18_a_stop_leg_that_is_cancelled_alone_becomes_a_plain_stop() -> None:
    stand = SuperStand()
    stand.rests()
    stand.gone(Purpose.STOP)
    assert stand.tickets("S") == []
    stand.wait(2)
    plain = stand.ticket("S")
    assert (plain.leg_of, plain.quantity, plain.trigger_price) == ("", 50, Decimal("105.00"))
    assert any("cannot be added again" in text for text in stand.said(Level.WARNING))
    assert stand.leg(Purpose.TARGET).state is OrderState.WORKING


def test_r13_a_stop_leg_that_is_refused_is_replaced_at_once_and_loudly() -> None:
    stand = SuperStand()
    stand.entered()
    stand.shows(stand.leg_row(Purpose.STOP, state=OrderState.REJECTED, reason="RMS"), stand.leg_row(Purpose.TARGET))
    assert stand.ticket("S").leg_of == ""
    assert any("no stop at the broker" in text for text in stand.said(Level.ALARM))


def test_r13_legs_that_are_never_shown_are_given_up_taken_back_and_replaced() -> None:
    stand = SuperStand()
    stand.entered()
    for _ in range(9):
        stand.wait(1)
        stand.shows()
    plain = stand.ticket("S")
    assert plain.leg_of == ""
    stand.wait(1)
    cancelled = [each.leg for each in stand.of(CancelOrder)]
    assert cancelled == [
        LegAddress(entry_id=stand.entry_id, name=STOP),
        LegAddress(entry_id=stand.entry_id, name=TARGET),
    ]
    placed = [each for each in stand.of(PlaceOrder) if each.ticket is plain]
    assert stand.commands.index(placed[0]) < stand.commands.index(stand.of(CancelOrder)[0])


def _asked_back(stand: SuperStand, seconds: int, *, unread: bool) -> int:
    """Let time go by in which no leg is shown and no cancellation is answered; count requests about the stop leg."""
    before = len(stand.of(CancelOrder))
    for _ in range(seconds):
        stand.wait(1)
        plain = [
            each.ticket
            for each in stand.book.orders.values()
            if each.ticket.purpose is Purpose.STOP and not each.ticket.leg_of
        ]
        stand.shows(*map(stand.row, plain), legs_unread=unread)
        for asked in stand.of(CancelOrder):
            if asked.correlation_id in stand.book.cancels_pending:
                stand.tell(
                    WriteAnswered(
                        kind=WriteKind.CANCEL,
                        correlation_id=asked.correlation_id,
                        outcome=Outcome.UNKNOWN,
                        reason="500",
                    )
                )
    return sum(each.leg is not None and each.leg.name is STOP for each in stand.of(CancelOrder)[before:])


def test_r13_a_leg_that_was_given_up_is_taken_back_until_a_list_was_read() -> None:
    stand = SuperStand()
    stand.entered()
    assert _asked_back(stand, 60, unread=True) > 4
    assert stand.leg(Purpose.STOP).state is OrderState.ABANDONED
    assert stand.position.protection is Protection.AT_BROKER
    _asked_back(stand, 5, unread=False)
    assert _asked_back(stand, 60, unread=False) == 0


def test_r13_a_leg_that_was_given_up_is_taken_back_also_after_its_position_has_ended() -> None:
    stand = SuperStand()
    stand.entered()
    _asked_back(stand, 12, unread=True)
    plain = stand.ticket("S")
    assert plain.leg_of == ""
    stand.tell(OrderUpdated(order=stand.row(plain, 50, 105)))
    assert stand.position.state is PositionState.CLOSED
    before = len(stand.of(CancelOrder))
    stand.wait(40)
    assert {each.leg.name for each in stand.of(CancelOrder)[before:] if each.leg} == {STOP, TARGET}


def test_r1_an_entry_is_not_given_up_while_the_list_of_super_orders_cannot_be_read() -> None:
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry, outcome=Outcome.UNKNOWN)
    for _ in range(60):
        stand.wait(1)
        stand.snapshot(held={}, with_legs=True, legs_unread=True)
    assert stand.book.orders[entry.correlation_id].state is OrderState.UNKNOWN
    assert any("neither be seen nor ruled out" in each for each in stand.said(Level.ALARM))
    stand.alert(AlertAction.BULLISH)
    assert len(stand.of(PlaceOrder)) == 1
    for _ in range(4):
        stand.wait(1)
        stand.snapshot(held={}, with_legs=True)
    assert stand.book.orders[entry.correlation_id].state is OrderState.ABANDONED


def test_a_look_that_does_not_ask_for_legs_says_nothing_about_them() -> None:
    stand = SuperStand()
    stand.entered()
    for _ in range(9):
        stand.wait(1)
        stand.shows(with_legs=False)
    assert stand.leg(Purpose.STOP).state is OrderState.UNKNOWN
    assert stand.tickets("S") == []


def test_r13_a_leg_that_is_told_of_for_no_units_is_not_believed_and_is_replaced_in_time() -> None:
    stand = SuperStand()
    stand.entered()
    asleep = stand.leg_row(Purpose.STOP, quantity=0)
    stand.tell(OrderUpdated(order=asleep))
    stand.shows(asleep)
    assert stand.leg(Purpose.STOP).state is OrderState.UNKNOWN
    assert stand.position.protection is Protection.NONE
    stand.tell(OrderUpdated(order=replace(asleep, state=OrderState.CANCELLED)))
    assert stand.leg(Purpose.STOP).state is OrderState.CANCELLED


def test_the_target_leg_leaves_and_the_broker_takes_the_stop_leg_back_himself() -> None:
    stand = SuperStand()
    stand.rests()
    stand.gone(Purpose.STOP)
    filled = stand.leg_row(Purpose.TARGET, filled=50, price=150, state=OrderState.FILLED)
    stand.tell(OrderUpdated(order=filled))
    assert stand.position.state is PositionState.CLOSED
    assert stand.position.exit_reason == "target"
    assert stand.tickets() == [stand.ticket("E")]
    assert stand.said(Level.ALARM) == []


def test_another_exit_takes_both_legs_back_and_then_leaves() -> None:
    stand = SuperStand()
    stand.rests()
    stand.tell(OperatorOrdered(command=Operator.FLATTEN, who="a person"))
    assert [each.leg.name for each in stand.of(CancelOrder) if each.leg] == [TARGET]
    stand.gone(Purpose.TARGET)
    assert [each.leg.name for each in stand.of(CancelOrder) if each.leg] == [TARGET, STOP]
    assert stand.tickets("X") == []
    stand.gone(Purpose.STOP)
    assert (stand.ticket("X").quantity, stand.ticket("X").purpose) == (50, Purpose.EXIT)


def test_r13_an_exit_waits_six_seconds_for_a_leg_that_nobody_takes_back() -> None:
    stand = SuperStand()
    stand.rests()
    stand.tell(OperatorOrdered(command=Operator.FLATTEN, who="a person"))
    for _ in range(8):
        stand.wait(1)
        stand.price(CALL, 120)
    assert stand.ticket("X").quantity == 50


def test_r15_both_legs_fill_and_the_excess_is_taken_back_once() -> None:
    stand = SuperStand()
    stand.rests()
    stand.tell(OrderUpdated(order=stand.leg_row(Purpose.STOP, filled=50, price=105, state=OrderState.FILLED)))
    stand.tell(OrderUpdated(order=stand.leg_row(Purpose.TARGET, filled=50, price=150, state=OrderState.FILLED)))
    assert any("50 units too many" in text for text in stand.said(Level.ALARM))
    (back,) = stand.tickets("X")
    assert (back.side, back.quantity) == (Side.BUY, 50)


def test_r1_an_entry_without_an_answer_is_looked_up_and_its_legs_come_with_its_fill() -> None:
    stand = SuperStand()
    stand.alert(AlertAction.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry, Outcome.UNKNOWN)
    assert stand.of(TakeSnapshot)[-1].unanswered == (entry.correlation_id,)
    legs = [
        stand.row(entry, order_id=f"L{name.value}", correlation_id="", side=Side.SELL, state=OrderState.WORKING,
                  leg=LegAddress(entry_id=stand.entry_id, name=name))
        for name in (STOP, TARGET)
    ]  # fmt: skip
    stand.snapshot(stand.row(entry, 50, 120), *legs, held={CALL: 50}, with_legs=True)
    assert stand.leg(Purpose.STOP).state is OrderState.WORKING
    assert len(stand.tickets()) == 1


def test_a_restart_knows_the_legs_and_looks_at_once() -> None:
    stand = SuperStand()
    stand.rests()
    fresh = Engine(stand.config)
    fresh.recover(stand.events)
    looks = fresh.handle(DayBegan(day=stand.now.date()), now=stand.now).commands
    assert [each.with_legs for each in looks if isinstance(each, TakeSnapshot)] == [True]
    later = fresh.handle(
        QuoteReceived(quote=quote(CALL.key, 120, stand.now)), now=stand.now + timedelta(seconds=1)
    ).commands
    assert not [each for each in later if isinstance(each, CancelOrder)]


def test_an_entry_whose_target_lies_within_its_limit_is_refused_in_words() -> None:
    stand = SuperStand(exits=Exits(stop=Distance(points=Decimal(15)), target=Distance(points=Decimal(1))))
    stand.alert(AlertAction.BULLISH)
    assert stand.tickets() == []
    (made,) = [each for each in stand.events if isinstance(each, DecisionMade)]
    assert (made.fate, made.gate) == ("denied", "super_order")
    assert "not beyond the entry's limit" in made.reason


def test_r19_an_entry_that_would_be_several_orders_is_refused_in_words() -> None:
    rich = replace(LIMITS, capital=Decimal(500_000_000), max_daily_loss=Decimal(10_000_000))
    stand = SuperStand(lots=40, limits=rich)
    stand.alert(AlertAction.BULLISH)
    assert stand.tickets() == []
    (made,) = [each for each in stand.events if isinstance(each, DecisionMade)]
    assert (made.fate, made.gate) == ("denied", "super_order")
    assert "is one order" in made.reason
