"""Legs of super orders while units seem to be missing: a leg that is taken back never returns."""

from __future__ import annotations

from tests.unit.core.builders import CALL, SCALP, scalp
from tests.unit.core.test_engine_supers import SuperStand
from workbench.core.engine import Engine
from workbench.core.engine.settling import CONFIRM_S, EXIT_ABSENT_S
from workbench.core.messages import (
    AlertAction,
    BrokerOrder,
    CancelOrder,
    DayBegan,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    Outcome,
)
from workbench.core.order import OrderState, OrderTicket, Purpose, SuperLegName
from workbench.core.plan import ProtectionRule
from workbench.core.signal import Side

OLDER = "OLDER"


class TwoStand(SuperStand):
    """Two positions of one contract: the older with a plain stop that is lost, the newer a super order just filled."""

    def __init__(self) -> None:
        super().__init__()
        both = scalp(OLDER), scalp(SCALP, protection=ProtectionRule.SUPER_ORDER)
        super(SuperStand, self).__init__(*both)

    def begin(self) -> OrderTicket:
        """Give the lost stop's ticket, at the look that gives it up and lags behind the newer position's fill."""
        self.alert(AlertAction.BULLISH, deployment=OLDER)
        older = self.ticket("E")
        self.answer(older)
        self.alert(AlertAction.BULLISH)
        newer = self.ticket("E")
        self.answer(newer)
        self.update(older, 50, 120)
        lost = self.ticket("S")
        self.answer(lost, Outcome.UNKNOWN)
        self.first = self.row(older, 50, 120)
        for _ in range(EXIT_ABSENT_S - 1):
            self.wait(1)
            self.snapshot(self.first, self.row(newer), held={CALL: 50}, with_legs=True)
        self.update(newer, 50, 120)
        self.wait(1)
        self.look(held=50)
        assert self.book.orders[lost.correlation_id].state is OrderState.ABANDONED
        return lost

    def look(self, *, held: int) -> None:
        """Show both entries and both legs, and of positions so many units."""
        legs = [self.leg_row(each, order_id=f"L{each.value}") for each in (Purpose.STOP, Purpose.TARGET)]
        self.snapshot(self.first, *self.plain(), *self.entry(), *legs, held={CALL: held}, with_legs=True)

    def entry(self) -> list[BrokerOrder]:
        return [self.row(self.ticket("E"), 50, 120)]

    def plain(self) -> list[BrokerOrder]:
        """Plain stops that the broker has named."""
        sent = (self.book.orders[each.correlation_id] for each in self.tickets("S"))
        return [self.row(each.ticket) for each in sent if each.order_id]

    def answer_all(self) -> None:
        """Nothing stays under way: stops are taken, and the moves of the legs to the levels of the fill."""
        for each in self.tickets("S"):
            if self.book.orders[each.correlation_id].state is OrderState.SUBMITTED:
                self.answer(each)
        for key in list(self.book.changes_pending):
            self.change(self.book.orders[key].ticket)

    def legs_asked_back(self) -> list[SuperLegName]:
        asked = [each.leg.name for each in self.of(CancelOrder) if each.leg is not None]
        return [each for each in asked if each is not SuperLegName.ENTRY]


def test_r23_legs_stay_while_a_young_fill_may_be_all_that_is_missing() -> None:
    stand = TwoStand()
    stand.begin()
    stand.wait(1)
    stand.look(held=50)
    assert stand.legs_asked_back() == []
    stand.look(held=100)
    stand.wait(CONFIRM_S + 1)
    stand.look(held=100)
    assert stand.legs_asked_back() == []
    assert [stand.leg(each).state for each in (Purpose.STOP, Purpose.TARGET)] == [OrderState.WORKING] * 2
    assert not stand.book.frozen


def test_r1_legs_go_once_it_is_confirmed_that_the_lost_stop_has_sold() -> None:
    stand = TwoStand()
    lost = stand.begin()
    seconds = 0
    while not stand.book.frozen:
        assert stand.legs_asked_back() == []
        stand.wait(1)
        seconds += 1
        stand.look(held=50)
        stand.answer_all()
        assert seconds <= 2 * CONFIRM_S
    assert sorted(stand.legs_asked_back()) == [SuperLegName.STOP, SuperLegName.TARGET]
    anew = [each for each in stand.tickets("S") if each.position_id == lost.position_id and each != lost]
    assert sum(each.quantity for each in anew) <= 50


def test_r1_a_leg_goes_at_once_where_its_lost_sibling_has_sold_and_nothing_is_young() -> None:
    stand = SuperStand()
    stand.entered()
    for _ in range(EXIT_ABSENT_S - 1):
        stand.wait(1)
        stand.shows(stand.leg_row(Purpose.STOP))
    stand.wait(1)
    stand.shows(stand.leg_row(Purpose.STOP), held={CALL: 0})
    assert stand.leg(Purpose.TARGET).state is OrderState.ABANDONED
    assert [each.leg.name for each in stand.of(CancelOrder) if each.leg is not None][:1] == [SuperLegName.STOP]


def test_r1_what_a_given_up_stop_may_have_sold_is_not_sold_again_after_a_death() -> None:
    stand = TwoStand()
    stand.begin()
    stand.answer_all()
    stand.engine = Engine(stand.config)
    stand.engine.recover(stand.events)
    stand.tell(DayBegan(day=stand.now.date()))
    stand.price(CALL, 120)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN, who="trader"))
    for _ in range(4):
        stand.wait(1)
        stand.look(held=50)
        stand.answer_all()
    for each in (Purpose.STOP, Purpose.TARGET):
        stand.tell(OrderUpdated(order=stand.leg_row(each, state=OrderState.CANCELLED, order_id=f"L{each.value}")))
    stand.wait(1)
    sells = [each for each in stand.book.orders.values() if each.state.may_rest and each.ticket.side is Side.SELL]
    assert sum(each.remaining_quantity for each in sells) <= 50
