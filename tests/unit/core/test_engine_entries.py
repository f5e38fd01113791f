"""Entries: from a signal or an alert to at most one order, and one line for each why it traded or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, DAY, LIMITS, PUT, SCALP, SPOT, Master, Stand, at, option, quote, scalp
from workbench.core.bars import Quote
from workbench.core.instrument import Right
from workbench.core.messages import (
    AlertAction,
    AlertTurnedAway,
    CancelOrder,
    DayBegan,
    DecisionMade,
    DeploymentChecked,
    FeedChecked,
    ModifyOrder,
    Operator,
    OperatorOrdered,
    Outcome,
    QuoteReceived,
    Subscribe,
)
from workbench.core.order import OrderState, OrderType
from workbench.core.plan import OnOpposite, index_as_future
from workbench.core.position import PositionState
from workbench.core.signal import SignalValues

A = AlertAction
LONG = SignalValues(long_entry=True)
SHORT = SignalValues(short_entry=True)


def last_decision(stand: Stand) -> DecisionMade:
    return [each for each in stand.events if isinstance(each, DecisionMade)][-1]


def test_a_bullish_alert_buys_the_call_at_the_money_with_a_limit_near_the_ask() -> None:
    stand = Stand()
    stand.alert(A.BULLISH, "a1")
    ticket = stand.ticket("E")
    assert (ticket.instrument, ticket.quantity, ticket.order_type) == (CALL, 50, OrderType.LIMIT)
    assert ticket.price == Decimal("121.30")
    assert stand.fates("a1") == ["entered"]


def test_a_bearish_alert_buys_the_put() -> None:
    stand = Stand()
    stand.alert(A.BEARISH)
    assert stand.ticket("E").instrument == PUT


def test_the_same_direction_again_opens_nothing_more() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.BULLISH, "again")
    stand.alert(A.TARGET_LONG, "target")
    assert stand.fates("again") == stand.fates("target") == ["ignored"]
    assert len(stand.tickets("E")) == 1


def test_selling_what_is_not_held_opens_nothing() -> None:
    stand = Stand()
    for action in (A.CLOSE_CALL, A.CLOSE_PUT, A.TARGET_FLAT):
        stand.alert(action, action.value)
        assert stand.fates(action.value) == ["nothing_to_exit"]
    assert stand.tickets() == []


def test_closing_puts_leaves_a_call_alone() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.CLOSE_PUT, "p")
    assert stand.fates("p") == ["nothing_to_exit"]
    assert stand.position.state is PositionState.OPEN
    stand.alert(A.CLOSE_CALL, "c")
    assert stand.fates("c") == ["exited"]


def test_a_second_flat_opens_nothing_and_says_that_it_is_being_left() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT, "one")
    stand.alert(A.TARGET_FLAT, "two")
    assert (stand.fates("one"), stand.fates("two")) == (["exited"], ["ignored"])
    stop = stand.ticket("S")
    stand.update(stop, 50, 119)
    stand.alert(A.TARGET_FLAT, "three")
    assert stand.fates("three") == ["nothing_to_exit"]
    assert len(stand.tickets()) == 2


def test_an_alert_for_another_symbol_or_deployment_is_refused() -> None:
    stand = Stand()
    stand.alert(A.BULLISH, "s", symbol="BANKNIFTY")
    stand.alert(A.BULLISH, "d", deployment="NOBODY")
    assert stand.fates("s") == stand.fates("d") == ["refused"]
    assert stand.tickets() == []


def test_an_alert_that_was_turned_away_is_kept() -> None:
    stand = Stand()
    stand.tell(AlertTurnedAway(alert_id="x", deployment=SCALP, received_at=stand.now, reason="NaN"))
    assert (stand.fates("x"), last_decision(stand).gate) == (["refused"], "webhook")


def test_an_hourly_bar_is_recorded() -> None:
    stand = Stand()
    stand.alert(A.HOURLY, "h")
    assert stand.fates("h") == ["recorded"]


def test_a_stale_alert_is_denied_by_that_gate() -> None:
    stand = Stand()
    stand.alert(A.BULLISH, "old", fired_at=stand.now - timedelta(seconds=61))
    assert (stand.fates("old"), last_decision(stand).gate) == (["denied"], "stale")


def test_an_alert_may_name_its_contract() -> None:
    stand = Stand()
    wanted = option(15800, Right.PE)
    stand.alert(A.ENTRY_GIVEN, given_strike=Decimal(15800), given_right=Right.PE)
    stand.price(wanted, 95)
    assert stand.ticket("E").instrument == wanted
    stand.answer(stand.ticket("E"))
    stand.update(stand.ticket("E"), 50, 95)
    stand.alert(A.EXIT_GIVEN, "other", given_strike=Decimal(15700), given_right=Right.PE)
    stand.alert(A.EXIT_GIVEN, "it", given_strike=Decimal(15800), given_right=Right.PE)
    assert (stand.fates("other"), stand.fates("it")) == (["nothing_to_exit"], ["exited"])


def test_a_named_contract_needs_a_plan_of_options_and_a_listed_strike() -> None:
    stand = Stand()
    stand.alert(A.ENTRY_GIVEN, "none")
    stand.alert(A.ENTRY_GIVEN, "odd", given_strike=Decimal(15725), given_right=Right.CE)
    assert stand.fates("none") == stand.fates("odd") == ["denied"]
    assert last_decision(stand).gate == "contract"


# --- waiting ------------------------------------------------------------------------------------------------------


def test_an_entry_waits_for_the_first_quote_of_its_contract_and_not_for_ever() -> None:
    stand = Stand()
    stand.spot(Decimal(15910))
    stand.commands.clear()
    stand.alert(A.BULLISH, "wait")
    assert stand.fates("wait") == []
    stand.price(option(15900), 80)
    assert stand.fates("wait") == ["entered"]
    late = Stand()
    late.spot(Decimal(15910))
    late.alert(A.BULLISH, "late")
    late.wait(4)
    assert late.fates("late") == ["denied"]
    assert last_decision(late).gate == "no_quote"
    late.price(option(15900), 80)
    assert late.tickets() == []


def test_a_quote_without_a_bid_or_an_ask_is_no_quote() -> None:
    stand = Stand()
    stand.tell(QuoteReceived(quote=Quote(CALL.key, stand.now, Decimal(120), Decimal(0), Decimal(120))))
    stand.alert(A.BULLISH, "w")
    assert stand.fates("w") == []


def test_a_newer_wish_takes_the_place_of_one_that_waits_and_both_have_a_fate() -> None:
    stand = Stand()
    stand.spot(Decimal(15910))
    stand.alert(A.BULLISH, "first")
    stand.alert(A.BEARISH, "second")
    assert stand.fates("first") == ["denied"]
    stand.price(option(15900, Right.PE), 80)
    assert stand.fates("second") == ["entered"]
    assert len(stand.tickets("E")) == 1


@pytest.mark.parametrize("command", [Operator.HALT, Operator.FLATTEN])
def test_an_operator_who_stops_also_stops_what_waits(command: Operator) -> None:
    stand = Stand()
    stand.spot(Decimal(15910))
    stand.alert(A.BULLISH, "w")
    stand.tell(OperatorOrdered(command=command))
    stand.price(option(15900), 80)
    assert stand.fates("w") == ["denied"]
    assert stand.tickets() == []


def test_flat_while_an_entry_waits_means_that_it_is_not_wanted() -> None:
    stand = Stand()
    stand.spot(Decimal(15910))
    stand.alert(A.BULLISH, "w")
    stand.alert(A.TARGET_FLAT, "f")
    stand.price(option(15900), 80)
    assert (stand.fates("w"), stand.fates("f")) == (["denied"], ["nothing_to_exit"])
    assert stand.tickets() == []


# --- the switch -----------------------------------------------------------------------------------------------------


def test_after_a_halt_nothing_is_entered_and_exits_still_work() -> None:
    stand = Stand()
    stand.protected()
    stand.tell(OperatorOrdered(command=Operator.HALT))
    stand.alert(A.BEARISH, "b")
    stand.update(stand.ticket("S"), 50, 119)
    stand.wait(1)
    assert stand.fates("b") == ["exited"]
    assert "nothing is entered: entries are halted" in last_decision(stand).reason
    stand.alert(A.BEARISH, "late")
    assert (stand.fates("late"), last_decision(stand).gate) == (["denied"], "trading_switch")
    stand.tell(OperatorOrdered(command=Operator.RESUME))
    stand.alert(A.BEARISH, "c")
    assert stand.fates("c") == ["entered"]


def test_s3_a_dead_feed_denies_entries_until_it_lives() -> None:
    stand = Stand()
    stand.tell(FeedChecked(alive=False, age_s=9.0, reason="silence"))
    stand.alert(A.BULLISH, "a")
    stand.tell(FeedChecked(alive=True, age_s=0.0))
    stand.alert(A.BULLISH, "b")
    assert (stand.fates("a"), stand.fates("b")) == (["denied"], ["entered"])


def test_r21_a_closed_market_denies() -> None:
    stand = Stand(clock="09:10:00")
    stand.alert(A.BULLISH, "early")
    assert last_decision(stand).gate == "session"


# --- the opposite -----------------------------------------------------------------------------------------------------


def test_an_opposite_alert_reverses_once_the_old_position_is_flat() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.BEARISH, "b")
    assert len(stand.tickets("E")) == 1
    stand.wait(1)
    stand.price(PUT, 118)
    assert len(stand.tickets("E")) == 1
    stop = stand.ticket("S")
    stand.change(stop)
    stand.update(stop, 50, 119)
    assert stand.fates("b") == ["reversed", "entered"]
    assert stand.ticket("E").instrument == PUT


def test_a_reversal_expires_when_the_exit_takes_too_long() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.BEARISH, "b")
    stand.wait(61)
    assert stand.fates("b") == ["reversed", "denied"]
    assert last_decision(stand).gate == "stale"
    stand.update(stand.ticket("S"), 50, 119)
    assert len(stand.tickets("E")) == 1


def test_on_opposite_exit_leaves_and_opens_nothing() -> None:
    stand = Stand(scalp(on_opposite=OnOpposite.EXIT))
    stand.protected()
    stand.alert(A.BEARISH, "b")
    stand.alert(A.BEARISH, "again")
    stand.update(stand.ticket("S"), 50, 119)
    assert (stand.fates("b"), stand.fates("again")) == (["exited"], ["ignored"])
    assert len(stand.tickets("E")) == 1


def test_on_opposite_ignore_keeps_the_position() -> None:
    stand = Stand(scalp(on_opposite=OnOpposite.IGNORE))
    stand.protected()
    stand.alert(A.BEARISH, "b")
    assert stand.fates("b") == ["ignored"]
    assert stand.position.state is PositionState.OPEN


def test_target_long_while_a_long_is_being_left_goes_back_in_when_it_is_flat() -> None:
    stand = Stand()
    stand.protected()
    stand.alert(A.TARGET_FLAT)
    stand.alert(A.TARGET_LONG, "back")
    assert stand.fates("back") == []
    stand.update(stand.ticket("S"), 50, 119)
    assert stand.fates("back") == ["entered"]
    assert len(stand.tickets("E")) == 2


def test_two_targets_in_either_order_end_alike() -> None:
    ends = []
    for order in ([A.TARGET_FLAT, A.TARGET_SHORT], [A.TARGET_SHORT, A.TARGET_FLAT]):
        stand = Stand()
        stand.protected()
        for action in order:
            stand.alert(action)
        stand.update(stand.ticket("S"), 50, 119)
        ends.append(len(stand.tickets("E")))
    assert ends == [2, 1]


# --- signals --------------------------------------------------------------------------------------------------------


def armed() -> Stand:
    stand = Stand(scalp(strategy="ema_cross"))
    stand.tell(DeploymentChecked(deployment=SCALP, armed=True))
    return stand


def test_a_signal_enters_on_its_rising_edge_only() -> None:
    stand = armed()
    stand.signal(SCALP, LONG, LONG)
    assert stand.tickets() == []
    stand.signal(SCALP, LONG, SignalValues())
    assert len(stand.tickets("E")) == 1


def test_a_strategy_that_is_not_armed_enters_nothing() -> None:
    stand = Stand(scalp(strategy="ema_cross"))
    stand.signal(SCALP, LONG)
    assert last_decision(stand).gate == "armed"
    stand.tell(DeploymentChecked(deployment=SCALP, armed=False, reason="40 of 200 bars"))
    stand.tell(DeploymentChecked(deployment=SCALP, armed=False, reason="40 of 200 bars"))
    assert len([each for each in stand.events if type(each).__name__ == "DeploymentArmed"]) == 1


def test_an_exit_signal_leaves_once_and_is_told_once() -> None:
    stand = armed()
    stand.protected()
    for _ in range(3):
        stand.signal(SCALP, SignalValues(long_exit=True))
        stand.wait(1)
    assert stand.fates().count("exited") == 1
    assert stand.position.exit_reason == "signal"


def test_an_opposite_signal_reverses() -> None:
    stand = armed()
    stand.protected()
    stand.signal(SCALP, replace(SHORT, long_exit=True))
    assert stand.position.exit_reason == "opposite"


def test_a_signal_of_nobody_is_nothing() -> None:
    stand = Stand()
    assert stand.signal("NOBODY", LONG).events == ()


def test_the_index_as_future_needs_no_quote_of_its_own() -> None:
    stand = Stand(replace(scalp(strategy="ema_cross"), plan=index_as_future()), limits=replace(LIMITS, capital=None))
    stand.tell(DeploymentChecked(deployment=SCALP, armed=True))
    stand.snapshot(available_funds=Decimal(100_000))
    stand.signal(SCALP, SHORT)
    ticket = stand.ticket("E")
    assert (ticket.side.value, ticket.order_type, ticket.quantity) == ("SELL", OrderType.MARKET, 50)


# --- what becomes of an entry -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.NOT_SENT])
def test_an_entry_that_is_refused_is_over_and_not_repeated(outcome: Outcome) -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    stand.answer(stand.ticket("E"), outcome, reason="margin")
    assert stand.position.state is PositionState.FAILED
    assert stand.position.exit_reason == "margin"
    stand.wait(10)
    assert len(stand.tickets()) == 1


def test_r16_what_has_not_filled_in_time_is_taken_back_and_what_has_is_protected() -> None:
    stand = Stand(scalp(lots=2))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    assert stand.ticket("S").quantity == 50
    stand.wait(5)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [entry.correlation_id]
    stand.update(entry, 50, 120, state=OrderState.CANCELLED)
    assert (stand.position.state, stand.position.open_quantity) == (PositionState.OPEN, 50)


def test_r16_a_stop_grows_with_each_fill_of_the_entry() -> None:
    stand = Stand(scalp(lots=3))
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stop = stand.ticket("S")
    stand.answer(stop)
    stand.update(stop)
    stand.update(entry, 150, 120)
    assert [each.change.quantity for each in stand.of(ModifyOrder)] == [150]
    assert len(stand.tickets("S")) == 1


def test_flat_before_the_broker_has_named_the_entry_withdraws_it_as_soon_as_he_does() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.alert(A.TARGET_FLAT)
    assert stand.of(CancelOrder) == []
    stand.answer(entry)
    assert [each.correlation_id for each in stand.of(CancelOrder)] == [entry.correlation_id]
    stand.update(entry, 0, state=OrderState.CANCELLED)
    assert stand.position.state is PositionState.FAILED


def test_what_fills_of_a_withdrawn_entry_is_left_at_once_and_never_protected() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.alert(A.TARGET_FLAT)
    stand.update(entry, 50, 120)
    assert stand.tickets("S") == []
    assert stand.ticket("X").quantity == 50


def test_s1_a_fill_that_comes_after_the_end_of_an_entry_is_believed_and_protected() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, state=OrderState.CANCELLED)
    assert not stand.position.is_live
    stand.update(entry, 50, 120)
    assert stand.position.state is PositionState.OPEN
    assert stand.ticket("S").quantity == 50
    stand.alert(A.TARGET_FLAT, "f")
    assert stand.fates("f") == ["exited"]


def test_a_late_fill_beside_a_newer_position_is_left_at_once() -> None:
    stand = Stand()
    stand.alert(A.BULLISH)
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, state=OrderState.CANCELLED)
    stand.protected()
    stand.update(entry, 50, 120)
    late = stand.book.positions[entry.position_id]
    assert (late.state, late.exit_reason) == (PositionState.EXITING, "late_fill")
    assert stand.position.state is PositionState.OPEN


def test_ids_are_never_used_twice_over_midnight() -> None:
    stand = Stand()
    stand.protected()
    stand.now = at("00:05:00", DAY + timedelta(days=1))
    stand.alert(A.TARGET_FLAT)
    stand.now = at("09:00:00", DAY + timedelta(days=1))
    stand.tell(DayBegan(day=stand.now.date()))
    stand.now = at("09:20:00", stand.now.date())
    stand.wait(1)
    stand.shown()
    stand.spot(SPOT)
    stand.price(CALL, 120)
    stand.wait(3)
    keys = [each.correlation_id for each in stand.tickets()]
    assert len(keys) == len(set(keys)) == 3


def test_contracts_near_the_money_are_watched_before_anybody_asks() -> None:
    stand = Stand()
    watched = {each.instrument.key for each in stand.of(Subscribe)}
    assert {CALL.key, PUT.key, "IDX_I:NIFTY"} <= watched
    stand.spot(Decimal(15990))
    assert option(16000).key in {each.instrument.key for each in stand.of(Subscribe)}


def test_s14_without_a_listed_option_the_wish_is_denied() -> None:
    stand = Stand(master=Master(expiries=()))
    stand.alert(A.BULLISH, "n")
    assert (stand.fates("n"), last_decision(stand).gate) == (["denied"], "contract")
    assert quote(CALL.key, 1, stand.now).spread == Decimal("0.10")
