"""Several legs in the engine: order of entry and exit, combined P&L, a leg that fails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.core.builders import LIMITS, at, option
from tests.unit.core.legs_stand import LegsStand
from tests.unit.core.nights import awake_until_the_open
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.engine import Engine
from workbench.core.instrument import Right, Segment
from workbench.core.messages import (
    AlertAction,
    ClosedByHand,
    DayBegan,
    Level,
    Notify,
    Operator,
    OperatorOrdered,
    Outcome,
    PlaceOrder,
    ReadMargin,
)
from workbench.core.order import OrderState
from workbench.core.plan import NAMED_PLANS
from workbench.core.position import PositionState
from workbench.core.signal import Side

STRADDLE = {
    "legs": [
        {"side": "sell", "right": "CE", "strike": "ATM", "exits": {"stop": "40%"}},
        {"side": "sell", "right": "PE", "strike": "ATM", "exits": {"stop": "40%"}},
    ],
    "combined": {"stop": "25%", "target": "50%"},
}
SPREAD = {
    "legs": [
        {"side": "sell", "right": "against", "strike": "ATM", "exits": {"stop": "80%"}},
        {"side": "buy", "right": "against", "strike": "OTM4"},
    ],
    "combined": {"stop": "50%", "target": "70%"},
}
LONG_STRADDLE = {"legs": [{"right": "CE"}, {"right": "PE"}], "combined": {"stop": 3000, "target": 6000}}
SHORT_PUT, LONG_PUT = option(15700, Right.PE), option(15500, Right.PE)


def test_a_straddle_is_sold_after_its_margin_is_known_and_stands_when_both_legs_have_filled() -> None:
    stand = LegsStand(STRADDLE)
    stand.alert(AlertAction.BULLISH)
    assert not stand.of(PlaceOrder), "the margin is not known yet"
    stand.respond()
    assert [each.side for each in stand.tickets("E")] == [Side.SELL, Side.SELL]
    for ticket in stand.tickets("E"):
        stand.fill(ticket, "120")
    structure = stand.structure
    assert structure.stood is not None
    assert structure.stood.premium == Decimal(12000)
    assert (structure.stop, structure.target) == (Decimal(-3000), Decimal(6000))
    assert structure.stood.breakevens == (Decimal("15460.00"), Decimal("15940.00"))
    assert structure.stood.worst_loss is None, "a sold call has no bound"
    assert {each.side for each in stand.tickets("S")} == {Side.BUY}, "each short has its stop at the broker"
    assert all(each.trigger_price == Decimal(168) for each in stand.tickets("S"))


def test_one_structure_is_one_trade() -> None:
    stand = LegsStand(STRADDLE)
    stand.stand()
    assert stand.book.trades_today == 1


@pytest.mark.parametrize(("call", "put", "reason"), [("160", "145", "combined_stop"), ("60", "59", "combined_target")])
def test_the_combined_pnl_leaves_all_legs(call: str, put: str, reason: str) -> None:
    stand = LegsStand(STRADDLE)
    stand.stand()
    stand.option_price(option(15700), call)
    stand.option_price(SHORT_PUT, put)
    assert stand.structure.left_for == reason
    assert all(leg.exit_reason == reason for leg in stand.legs())
    stand.leave_all()
    assert stand.structure.closed is not None
    assert not stand.book.live_positions()


def test_a_combined_pnl_without_a_price_of_a_leg_decides_nothing() -> None:
    stand = LegsStand(STRADDLE)
    stand.stand()
    del stand.engine.quotes[SHORT_PUT.key]
    stand.option_price(option(15700), "160")
    assert not stand.structure.left_for


def test_a_profit_lock_on_the_combined_pnl_only_rises() -> None:
    body = {**STRADDLE, "combined": {"lock": {"after": 1000, "keep": "50%"}}}
    stand = LegsStand(body)
    stand.stand()
    seen = []
    for call in ("80", "100", "70", "95"):
        stand.option_price(option(15700), call)
        stand.wait(61)
        seen.append(stand.structure.stop)
    kept = [each for each in seen if each is not None]
    assert kept == sorted(kept)
    assert len(kept) >= 3
    stand.option_price(option(15700), "118")
    assert stand.structure.left_for == "combined_lock"


def test_bought_legs_come_first_and_sold_ones_after_the_margin_was_read_again() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key]
    stand.fill(stand.ticket("E"))
    assert len(stand.of(ReadMargin)) == 2
    assert len(stand.tickets("E")) == 1, "the margin is being read"
    stand.respond()
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key, SHORT_PUT.key]


def test_a_spread_knows_its_worst_loss_with_and_without_the_bought_leg() -> None:
    stand = LegsStand(SPREAD)
    plan = stand.stand().plan
    stood = stand.structure.stood
    assert stood is not None
    assert stood.worst_loss == (Decimal(200) - Decimal(60)) * 50
    assert stood.worst_loss_unhedged == (Decimal(15700) - Decimal(120)) * 50
    assert stood.breakevens == (Decimal("15640.00"),)
    assert plan.worst_loss is not None


def test_exits_buy_back_what_was_sold_before_they_sell_what_covers_it() -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    stand.alert(AlertAction.TARGET_FLAT)
    cover, sold = stand.legs()
    assert (cover.state, sold.state) == (PositionState.OPEN, PositionState.EXITING)
    assert not stand.tickets("X")
    stand.change(stand.ticket("S"))
    stop = stand.book.resting_exits(sold.position_id)[0].ticket
    stand.update(stop, 25, 121)
    assert stand.legs()[0].state is PositionState.OPEN, "half is still sold"
    stand.update(stop, 50, 121)
    assert stand.legs()[0].state is PositionState.EXITING
    stand.leave_all()
    assert stand.structure.closed is not None


@pytest.mark.parametrize("way", ["close", "flatten", "session"])
def test_no_way_of_leaving_sells_the_cover_first(way: str) -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    cover, _ = stand.legs()
    if way == "session":
        stand.go_to("15:17:00")
    else:
        command = Operator.CLOSE if way == "close" else Operator.FLATTEN
        target = cover.position_id if way == "close" else ""
        stand.tell(OperatorOrdered(command=command, target=target))
    cover, sold = stand.legs()
    assert (cover.state, sold.state) == (PositionState.OPEN, PositionState.EXITING)


def test_a_stop_of_a_sold_leg_takes_its_cover_along() -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    stop = stand.ticket("S")
    stand.update(stop, 50, 216)
    cover, sold = stand.legs()
    assert (sold.state, cover.state, cover.exit_reason) == (PositionState.CLOSED, PositionState.EXITING, "stop")


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.NOT_SENT])
def test_a_leg_that_is_refused_unwinds_the_other_loudly(outcome: Outcome) -> None:
    stand = LegsStand(STRADDLE)
    stand.go()
    first, second = stand.tickets("E")
    stand.fill(first)
    stand.answer(second, outcome, reason="margin")
    assert stand.structure.left_for == "leg_failed"
    assert stand.legs()[0].state is PositionState.EXITING
    assert any(each.level is Level.ALARM and "legs are not whole" in each.text for each in stand.of(Notify))
    stand.leave_all()
    assert stand.structure.closed is not None
    assert "unwound" in stand.fates()


def test_a_leg_that_does_not_fill_in_time_unwinds_the_other() -> None:
    stand = LegsStand(STRADDLE)
    stand.go()
    first, second = stand.tickets("E")
    stand.fill(first)
    stand.answer(second)
    stand.update(second)
    stand.wait(6)
    stand.update(second, state=OrderState.CANCELLED)
    assert stand.structure.left_for == "leg_failed"


def test_an_unanswered_leg_is_not_waited_for_for_ever() -> None:
    stand = LegsStand(STRADDLE)
    stand.go()
    first, second = stand.tickets("E")
    stand.fill(first)
    stand.answer(second, Outcome.UNKNOWN)
    stand.wait(31)
    assert stand.structure.left_for == "leg_failed"
    assert stand.legs()[0].state is PositionState.EXITING


def test_a_cover_in_doubt_is_never_sold_against() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    stand.answer(stand.ticket("E"), Outcome.UNKNOWN)
    stand.wait(10)
    assert len(stand.tickets("E")) == 1


def test_half_a_cover_is_sold_again() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    cover = stand.ticket("E")
    stand.answer(cover)
    stand.update(cover, 25, 60)
    stand.update(cover, 25, 60, state=OrderState.CANCELLED)
    assert stand.structure.left_for == "leg_failed"
    assert len(stand.tickets("E")) == 1
    assert stand.tickets("X")[0].quantity == 25


def test_a_halt_between_the_legs_sells_the_cover_again() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    stand.tell(OperatorOrdered(command=Operator.HALT))
    stand.fill(stand.ticket("E"))
    assert stand.structure.left_for == "leg_failed"
    assert len(stand.tickets("E")) == 1


def test_r13_a_sold_leg_is_not_sold_while_the_bought_one_stands_bare() -> None:
    bought = {"side": "BUY", "right": "CE", "strike": "otm4", "exits": {"stop": "20%"}}
    stand = LegsStand({"legs": [bought, {"side": "SELL", "right": "PE", "strike": "otm4", "exits": {"stop": "60%"}}]})
    stand.go()
    stand.fill(stand.ticket("E"))
    stand.answer(stand.ticket("S"), Outcome.REJECTED, reason="RMS: no")
    stand.respond()
    assert stand.structure.left_for == "leg_failed"
    assert len(stand.tickets("E")) == 1


def test_a_restart_between_the_legs_sells_the_cover_again() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    stand.fill(stand.ticket("E"))
    fresh = Engine(stand.config)
    fresh.recover(decode(encode(event)) for event in stand.events)
    assert fresh.book == stand.book
    stand.engine = fresh
    stand.tell(DayBegan(day=stand.now.date()))
    stand.respond()
    assert stand.structure.left_for == "leg_failed"
    assert len(stand.tickets("E")) == 1, "recovery never decides again"


def test_a_restart_while_all_legs_stand_keeps_them() -> None:
    stand = LegsStand(STRADDLE)
    stand.stand()
    fresh = Engine(stand.config)
    fresh.recover(decode(encode(event)) for event in stand.events)
    stand.engine = fresh
    stand.tell(DayBegan(day=stand.now.date()))
    assert not stand.structure.left_for
    stand.option_price(SHORT_PUT, "120")
    stand.option_price(option(15700), "200")
    assert stand.structure.left_for == "combined_stop"  # type: ignore[comparison-overlap]


def test_a_late_fill_of_a_closed_structure_is_left_at_once() -> None:
    stand = LegsStand(STRADDLE)
    stand.go()
    first, second = stand.tickets("E")
    stand.fill(first)
    stand.answer(second, Outcome.REJECTED, reason="margin")
    stand.leave_all()
    assert stand.structure.closed is not None
    stand.update(second, 50, 120)
    assert stand.book.positions[second.position_id].state is PositionState.EXITING


@pytest.mark.parametrize(
    ("margin", "told"), [(None, "could not be read"), (500_000, "blocks Rs 500000.00, free funds are Rs 400000.00")]
)
def test_nothing_is_sold_without_known_and_sufficient_margin(margin: int | None, told: str) -> None:
    stand = LegsStand(STRADDLE, margin=margin)
    stand.go()
    assert not stand.tickets("E")
    denied = stand.book.decisions[-1]
    assert (denied.fate, denied.gate) == ("denied", "margin")
    assert told in denied.reason


def test_a_margin_that_is_never_told_is_given_up() -> None:
    stand = LegsStand(STRADDLE)
    stand.alert(AlertAction.BULLISH)
    stand.wait(9)
    assert stand.book.decisions[-1].fate == "denied"
    stand.respond()
    assert not stand.tickets("E"), "an answer that nobody waits for is nothing"


def test_margin_that_no_longer_suffices_sells_the_cover_again() -> None:
    stand = LegsStand(SPREAD)
    stand.go()
    stand.margin = 500_000
    stand.fill(stand.ticket("E"))
    stand.respond()
    assert stand.structure.left_for == "margin"
    assert len(stand.tickets("E")) == 1
    assert any(each.level is Level.ALARM for each in stand.of(Notify))


def test_bought_legs_need_no_margin_question() -> None:
    stand = LegsStand(LONG_STRADDLE)
    stand.stand()
    assert not stand.of(ReadMargin)
    assert stand.structure.stood is not None
    assert stand.structure.stood.premium == Decimal(-12000)
    stand.option_price(option(15700), "250")
    assert stand.structure.left_for == "combined_target"


def test_the_clock_of_the_plan_leaves_all_legs() -> None:
    stand = LegsStand({**STRADDLE, "combined": {"time": "14:00"}})
    stand.stand()
    stand.go_to("14:00:00")
    assert stand.structure.left_for == "time"


def test_an_opposite_signal_turns_a_spread_round() -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    stand.alert(AlertAction.BEARISH)
    stand.refresh()
    stand.leave_all()
    stand.refresh()
    stand.respond()
    assert stand.tickets("E")[-1].instrument.right is Right.CE


@pytest.mark.parametrize("name", ["straddle", "strangle", "credit_spread", "hedged_sell"])
def test_named_plans_come_round_and_their_journal_gives_the_book(name: str) -> None:
    stand = LegsStand(NAMED_PLANS[name])
    stand.stand()
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.leave_all()
    assert stand.structure.closed is not None, stand.legs()
    assert stand.structure.closed.net == sum((leg.net for leg in stand.legs()), Decimal(0))
    again = Book()
    again.apply_all(decode(encode(event)) for event in stand.events)
    assert again == stand.book


def test_a_sold_leg_whose_cover_was_closed_by_hand_is_left_loudly() -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    cover, sold = stand.legs()
    units = {SHORT_PUT: -50}
    rows = [stand.row(each, each.quantity, 60, order_id=f"B{each.correlation_id}") for each in stand.tickets("E")]
    stop = stand.row(stand.ticket("S"))
    stand.snapshot(*rows, stop, held=units)
    stand.wait(6)
    stand.refresh()
    stand.snapshot(*rows, stop, held=units)
    told = ClosedByHand(position_id=cover.position_id, quantity=50, price=Decimal(60))
    stand.tell(told)
    cover, sold = stand.legs()
    assert not cover.is_live
    assert (sold.state, sold.exit_reason) == (PositionState.EXITING, "uncovered")
    assert any(each.level is Level.ALARM and "not covered any more" in each.text for each in stand.of(Notify))


def test_legs_that_could_not_be_left_are_known_on_the_next_day() -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    stand.go_to("15:27:30")
    assert stand.legs()[1].state is PositionState.EXITING
    following = stand.config.calendar.next_session(Segment.NSE_FNO, stand.now.date()).date
    day = len(stand.events)
    stand.now = at("09:00:00", following)
    stand.tell(DayBegan(day=following))
    assert stand.structure.stood is not None
    again = Book()
    again.apply_all(decode(encode(event)) for event in stand.events[day:])
    assert again == stand.book, "the events of one day give the book"
    stand.shown()
    awake_until_the_open(stand)
    stand.now = at("09:15:02", following)
    stand.refresh()
    stand.wait(3)
    assert stand.tickets("X")[-1].side is Side.BUY, "what is sold is bought back first"
    assert stand.legs()[0].state is PositionState.OPEN


def test_an_exit_alert_that_names_the_sold_option_leaves_all_legs() -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    stand.alert(AlertAction.EXIT_GIVEN, "other", given_strike=Decimal(15000), given_right=Right.PE)
    assert stand.fates("other") == ["nothing_to_exit"]
    stand.alert(AlertAction.EXIT_GIVEN, "named", given_strike=Decimal(15700), given_right=Right.PE)
    assert stand.fates("named") == ["exited"]
    assert stand.legs()[1].state is PositionState.EXITING


@pytest.mark.parametrize(("action", "fate"), [("CLOSE_CALL", "exited"), ("CLOSE_PUT", "nothing_to_exit")])
def test_closing_what_a_bullish_alert_opened_means_its_view_and_not_the_type_that_was_sold(
    action: str, fate: str
) -> None:
    stand = LegsStand(SPREAD)
    stand.stand()
    stand.alert(AlertAction[action], "close")
    assert stand.fates("close") == [fate]


def test_an_alert_that_names_an_option_sells_that_one() -> None:
    stand = LegsStand({"side": "SELL", "exits": {"stop": "50%"}})
    stand.alert(AlertAction.ENTRY_GIVEN, given_strike=Decimal(15600), given_right=Right.PE)
    stand.respond()
    assert stand.ticket("E").instrument == option(15600, Right.PE)


def test_a_given_strike_needs_an_alert_that_names_it() -> None:
    stand = LegsStand({"legs": [{"side": "sell", "right": "PE", "strike": "given", "exits": {"stop": "50%"}}]})
    stand.go()
    assert "names none" in stand.book.decisions[-1].reason


def test_legs_above_the_freeze_quantity_are_refused() -> None:
    stand = LegsStand({**STRADDLE, "lots": 40}, limits=replace(LIMITS, capital=Decimal(100_000_000)))
    stand.go()
    assert stand.book.decisions[-1].gate == "freeze_quantity"


def test_the_loss_that_the_legs_can_make_is_held_to_the_limit() -> None:
    stand = LegsStand(SPREAD, limits=replace(LIMITS, capital=Decimal(20_000)))
    stand.go()
    assert stand.book.decisions[-1].gate == "loss_per_trade"
    assert stand.tickets("E") == []
