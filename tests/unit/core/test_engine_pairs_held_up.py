"""An exit at the target that what rests there holds up: every other reason to leave takes its place (fault R15)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, SPOT, at, bracket
from tests.unit.core.test_engine_pairs import PairStand
from workbench.core.engine import Engine
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    DayBegan,
    ModifyOrder,
    Operator,
    OperatorOrdered,
    Outcome,
    PositionClosed,
    ReadMargin,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderType
from workbench.core.plan import Distance, Underlying
from workbench.core.position import PositionState
from workbench.core.signal import Side


class HeldUp(PairStand):
    """A stand at whose broker the target is never taken back."""

    def refuse(self, seconds: int) -> None:
        """Let seconds pass in which each cancellation of the target is refused."""
        for _ in range(seconds):
            self.wait(1)
            if self.ticket("T").correlation_id in self.book.cancels_pending:
                self.answer(self.ticket("T"), Outcome.REJECTED, WriteKind.CANCEL, reason="order is in transit")

    def held_up(self) -> None:
        """Stand at the target, which does not fill, until the position is to be left for it."""
        self.paired()
        for _ in range(6):
            self.price(CALL, 151)
            self.refuse(1)
        assert (self.position.state, self.position.exit_reason) == (PositionState.EXITING, "target")
        assert self.of(ModifyOrder) == []

    def leaves(self, reason: str, market: int = 151) -> None:
        """See that the stop's order goes below the market, for that reason."""
        assert self.position.exit_reason == reason
        change = self.of(ModifyOrder)[-1]
        assert change.correlation_id == self.ticket("S").correlation_id
        assert change.change.order_type is OrderType.LIMIT
        assert change.change.price < market
        assert self.reborn() == self.book


def test_r15_a_market_that_falls_from_the_target_is_left_where_it_stands_and_not_at_the_targets_price() -> None:
    stand = HeldUp()
    stand.held_up()
    stand.price(CALL, 140)
    stand.refuse(1)
    stand.leaves("target", 140)
    assert stand.of(ModifyOrder)[0].change.price == Decimal("138.55")


def test_r15_after_a_restart_the_market_stands_at_the_target_until_a_price_is_heard() -> None:
    stand = HeldUp()
    stand.held_up()
    events = list(stand.events)
    stand.engine = Engine(stand.config)
    stand.engine.recover(events)
    stand.tell(DayBegan(day=stand.now.date()))
    rows = (stand.row(stand.ticket("E"), 50, 120), stand.row(stand.ticket("S")), stand.row(stand.ticket("T")))
    stand.snapshot(*rows, held={CALL: 50})
    stand.refuse(4)
    assert stand.of(ModifyOrder) == []
    stand.price(CALL, 140)
    stand.refuse(3)
    stand.leaves("target", 140)


def test_r15_a_stop_that_the_market_has_passed_is_chased_though_the_target_does_not_answer() -> None:
    stand = HeldUp()
    stand.held_up()
    stand.price(CALL, 90)
    stand.refuse(4)
    stand.leaves("stop", 90)


@pytest.mark.parametrize(
    ("way", "reason"),
    [("flatten", "manual"), ("alert", "alert"), ("opposite", "opposite"), ("time", "time"), ("close", "session_end")],
)
def test_r15_any_other_reason_takes_the_place_of_a_target_that_holds_the_exit_up(way: str, reason: str) -> None:
    stand = HeldUp(exits=bracket(time=at("14:00:00").time()) if way == "time" else bracket())
    stand.held_up()
    match way:
        case "flatten":
            stand.tell(OperatorOrdered(command=Operator.FLATTEN))
        case "alert":
            stand.alert(AlertAction.TARGET_FLAT)
        case "opposite":
            stand.alert(AlertAction.BEARISH)
        case "time":
            stand.go_to("14:00:00")
        case _:
            stand.go_to("15:16:00")
    stand.refuse(3)
    stand.leaves(reason)


def test_r15_a_stop_on_the_underlying_takes_the_place_of_a_target_that_holds_the_exit_up() -> None:
    exits = bracket(underlying=Underlying(stop=Distance(points=Decimal(20))))
    stand = HeldUp(exits=exits)
    stand.held_up()
    stand.spot(SPOT - 30)
    stand.refuse(3)
    stand.leaves("underlying_stop")


def test_a_reason_that_has_taken_the_targets_place_stays() -> None:
    stand = HeldUp()
    stand.held_up()
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.alert(AlertAction.TARGET_FLAT)
    assert stand.position.exit_reason == "manual"
    assert stand.fates()[-1] == "ignored"


def test_r15_an_excess_behind_a_target_that_does_not_answer_is_bought_back() -> None:
    stand = HeldUp()
    stand.held_up()
    stand.update(stand.ticket("S"), 50, 104)
    stand.update(stand.ticket("T"), 25, 150)
    stand.refuse(3)
    assert stand.position.open_quantity == -25
    (back,) = stand.tickets("X")
    assert (back.side, back.quantity) == (Side.BUY, 25)


def test_r17_a_stop_that_stays_larger_than_what_is_held_is_an_alarm_and_is_placed_anew() -> None:
    stand = PairStand(lots=2)
    stand.paired()
    target, stop = stand.ticket("T"), stand.ticket("S")
    stand.update(target, 50, 150)
    for _ in range(10):
        if stop.correlation_id in stand.book.changes_pending:
            stand.answer(stop, Outcome.REJECTED, WriteKind.MODIFY, reason="no")
        stand.wait(1)
    assert len(stand.of(ModifyOrder)) == 3
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [stop.correlation_id]
    assert any("rests for 100 units, 50 are held" in text for text in stand.alarms())
    stand.gone(stop)
    assert (stand.ticket("S").quantity, stand.ticket("S").trigger_price) == (50, Decimal("105.00"))


def test_what_was_left_whole_while_its_sibling_was_never_told_gone_is_closed_with_the_next_day() -> None:
    stand = PairStand()
    stand.paired()
    stand.update(stand.ticket("S"), 50, 104)
    left_at = stand.now
    assert stand.position.state is PositionState.EXITING
    stand.now += timedelta(days=1)
    stand.tell(DayBegan(day=stand.now.date()))
    (closed,) = [each for each in stand.events if isinstance(each, PositionClosed)]
    assert (closed.at, closed.reason, closed.gross) == (left_at, "stop", Decimal(-800))
    assert stand.book.live_positions() == []
    assert stand.reborn() == stand.book


def test_a_target_that_was_refused_for_its_pace_holds_no_exit_back() -> None:
    stand = PairStand()
    stand.protected()
    stand.margin()
    stand.tell(
        WriteAnswered(
            kind=WriteKind.PLACE,
            correlation_id=stand.ticket("T").correlation_id,
            outcome=Outcome.NOT_SENT,
            reason="pace",
            throttled=True,
        )
    )
    assert len(stand.of(ReadMargin)) == 1  # the target itself comes after a pause
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    (change,) = stand.of(ModifyOrder)
    assert change.correlation_id == stand.ticket("S").correlation_id
