"""Gates in the engine: what they are told of, what is latched, and what outlives a restart."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, LIMITS, PUT, SCALP, SPOT, Stand, at, bracket, option, scalp
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment, OwnLimits
from workbench.core.engine import Engine
from workbench.core.errors import BadInput
from workbench.core.instrument import Right
from workbench.core.messages import (
    AlertAction,
    DayBegan,
    DecisionMade,
    DeploymentChecked,
    LeftToExpire,
    Operator,
    OperatorOrdered,
    QuoteReceived,
)
from workbench.core.plan import OnOpposite, Plan, index_as_future, plan_from_mapping
from workbench.core.position import PositionState
from workbench.core.signal import SignalValues
from workbench.research.backtest import refuse_what_cannot_be_said

A = AlertAction
LONG = SignalValues(long_entry=True)
FLAT = SignalValues()


def last(stand: Stand) -> DecisionMade:
    return [each for each in stand.events if isinstance(each, DecisionMade)][-1]


def own(deployment: Deployment, **limits: Any) -> Deployment:
    return replace(deployment, limits=OwnLimits(**limits))


def stopped(stand: Stand, price: float = 105) -> None:
    """The stop fills at the broker."""
    stop = stand.ticket("S")
    stand.update(stop, stop.quantity, price)


def restarted(stand: Stand) -> None:
    """The process dies, and another one takes the journal up on the same day."""
    engine = Engine(stand.config)
    engine.recover(stand.events)
    stand.engine = engine
    stand.tell(DayBegan(day=stand.now.date()))
    stand.spot(SPOT)


# --- what the gates are told ------------------------------------------------------------------------------------------


def test_a_signal_that_is_told_again_after_a_restart_does_not_enter_again() -> None:
    stand = Stand(scalp(strategy="ema_cross"))
    stand.tell(DeploymentChecked(deployment=SCALP, armed=True))
    stand.signal(SCALP, LONG, FLAT)
    assert last(stand).fate == "entered"
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 120)
    stopped(stand)
    restarted(stand)
    stand.price(CALL, 120)
    stand.signal(SCALP, LONG, FLAT)
    assert (last(stand).fate, last(stand).gate) == ("denied", "duplicate")
    assert len(stand.tickets("E")) == 1


def test_an_alert_from_delayed_data_does_not_enter() -> None:
    stand = Stand(limits=replace(LIMITS, max_price_gap_pct=Decimal(2)))
    stand.alert(A.BULLISH, price=SPOT * Decimal("1.0201"))
    assert (last(stand).fate, last(stand).gate) == ("denied", "price_band")
    stand.alert(A.BULLISH, price=SPOT * Decimal("1.0199"))
    assert last(stand).fate == "entered"


def test_a_wide_market_does_not_enter() -> None:
    stand = Stand(limits=replace(LIMITS, max_spread_pct=Decimal(1)))
    stand.price(CALL, 120, "1.30")
    stand.alert(A.BULLISH)
    assert (last(stand).fate, last(stand).gate) == ("denied", "spread")


def test_an_entry_waits_for_nothing_while_the_loss_of_what_is_held_is_unknown() -> None:
    stand = Stand(scalp(), scalp("OTHER"))
    stand.protected()
    restarted(stand)
    stand.price(PUT, 120)
    stand.alert(A.BEARISH, deployment="OTHER")
    assert (last(stand).fate, last(stand).gate) == ("denied", "daily_loss")
    assert "not known" in last(stand).reason
    stand.price(CALL, 120)
    stand.alert(A.BEARISH, "again", deployment="OTHER")
    assert last(stand).fate == "entered"


def test_what_is_left_to_expire_without_a_price_counts_as_worthless() -> None:
    stand = Stand(scalp(), scalp("OTHER"), limits=replace(LIMITS, max_daily_loss=Decimal(6020)))
    stand.protected()
    expiring = LeftToExpire(position_id=stand.position.position_id, at=stand.now, reason="nobody bids")
    stand.events.append(expiring)
    restarted(stand)
    stand.price(PUT, 120)
    stand.alert(A.BEARISH, "in", deployment="OTHER")
    assert (stand.fates("in"), last(stand).gate) == (["denied"], "daily_loss")
    stand.price(CALL, 5)
    stand.alert(A.BEARISH, "again", deployment="OTHER")
    assert stand.fates("again") == ["entered"]


def test_r12_an_entry_that_the_funds_do_not_pay_for_is_denied_before_it_is_sent() -> None:
    stand = Stand(limits=replace(LIMITS, needs_funds=True))
    stand.alert(A.BULLISH, "unknown")
    assert (last(stand).gate, last(stand).fate) == ("margin", "denied")
    stand.snapshot(available_funds=Decimal("6002.49"))
    stand.alert(A.BULLISH, "short of a paisa")
    assert last(stand).reason == "blocks Rs 6002.50, free funds are Rs 6002.49"
    assert stand.tickets() == []
    stand.snapshot(available_funds=Decimal("6002.50"))
    stand.alert(A.BULLISH, "enough")
    assert stand.fates("enough") == ["entered"]


def test_orders_that_are_still_to_be_sent_count_for_the_next_entry() -> None:
    big = scalp("BIG", lots=72)
    stand = Stand(big, scalp(), limits=replace(LIMITS, risk_per_trade_pct=Decimal(100), max_open_lots=72))
    stand.alert(A.BULLISH, deployment="BIG")
    assert len(stand.tickets("E")) == 1
    stand.alert(A.BEARISH)
    assert (last(stand).gate, last(stand).reason) == ("lots", "73 lots would be open, at most 72")


def test_entries_that_go_round_in_a_circle_are_stopped() -> None:
    stand = Stand(limits=replace(LIMITS, max_entries_per_minute=2))
    for _ in range(2):
        stand.protected()
        stopped(stand)
        stand.wait(2)
        stand.price(CALL, 120)
    stand.alert(A.BULLISH)
    assert (last(stand).fate, last(stand).gate) == ("denied", "order_rate")
    stand.wait(60)
    stand.spot(SPOT)
    stand.price(CALL, 120)
    stand.alert(A.BULLISH)
    assert last(stand).fate == "entered"


def test_after_a_stop_a_deployment_cools_off_also_over_a_restart_and_others_go_on() -> None:
    stand = Stand(scalp(), scalp("OTHER"), limits=replace(LIMITS, cooling_off_minutes=10))
    stand.protected()
    stopped(stand)
    restarted(stand)
    for clock, fate in (("10:05:00", "denied"), ("10:09:59", "denied"), ("10:10:01", "entered")):
        stand.go_to(clock)
        stand.spot(SPOT)
        stand.price(CALL, 120)
        stand.alert(A.BULLISH, clock)
        assert last(stand).fate == fate, clock
    stand.alert(A.BULLISH, "other", deployment="OTHER")
    assert last(stand).fate == "entered"


# --- pyramiding -------------------------------------------------------------------------------------------------------


def test_pyramiding_adds_to_the_first_entry_and_all_leave_together() -> None:
    stand = Stand(scalp(pyramiding=1))
    stand.protected()
    stand.alert(A.BULLISH, "add")
    assert stand.fates("add") == ["entered"]
    entry = stand.ticket("E")
    stand.answer(entry)
    stand.update(entry, 50, 121)
    stand.alert(A.BULLISH, "third")
    assert (stand.fates("third"), last(stand).gate) == (["denied"], "pyramiding")
    stand.alert(A.TARGET_FLAT, "out")
    assert [item.state for item in stand.book.positions.values()] == [PositionState.EXITING] * 2


def test_how_far_a_plan_pyramids_is_read_and_bounded() -> None:
    assert Plan().pyramiding == 0
    assert plan_from_mapping({"pyramiding": 2}).pyramiding == 2
    for wrong in (-1, 10, True, "2"):
        with pytest.raises(BadInput, match="pyramiding"):
            plan_from_mapping({"pyramiding": wrong})
    with pytest.raises(BadInput, match="backtest cannot carry out pyramiding; use replay"):
        refuse_what_cannot_be_said(index_as_future(pyramiding=1))


def test_pyramiding_never_adds_to_the_other_side() -> None:
    stand = Stand(scalp(pyramiding=3, on_opposite=OnOpposite.IGNORE))
    stand.protected()
    stand.alert(A.BEARISH, "b")
    assert stand.fates("b") == ["ignored"]
    assert len(stand.tickets("E")) == 1


# --- limits that are latched ------------------------------------------------------------------------------------------


@pytest.fixture
def latched() -> Stand:
    """The account has lost 750 of 700 rupees."""
    stand = Stand(limits=replace(LIMITS, max_daily_loss=Decimal(700)))
    stand.protected()
    stopped(stand)
    stand.wait(1)
    assert (stand.book.halted, stand.book.halted_by) == (True, "daily_loss")
    return stand


def test_r25_the_latched_loss_survives_a_restart(latched: Stand) -> None:
    restarted(latched)
    latched.price(CALL, 120)
    latched.alert(A.BULLISH)
    assert (last(latched).gate, latched.book.halted) == ("trading_switch", True)


def test_r25_a_person_cannot_wish_the_loss_away_on_the_same_day(latched: Stand) -> None:
    latched.tell(OperatorOrdered(command=Operator.RESUME))
    latched.price(CALL, 120)
    latched.alert(A.BULLISH)
    assert last(latched).gate == "daily_loss"
    latched.wait(1)
    assert latched.book.halted


def test_r25_the_next_day_begins_without_it_and_a_halt_by_a_person_stays(latched: Stand) -> None:
    by_hand = Stand()
    by_hand.tell(OperatorOrdered(command=Operator.HALT, reason="holiday"))
    for stand, halted in ((latched, False), (by_hand, True)):
        stand.now = at("09:20:00", stand.now.date().replace(day=16))
        stand.tell(DayBegan(day=stand.now.date()))
        assert stand.book.halted is halted
        assert Engine(stand.config).book.halted is False
        assert stand.reborn().halted is halted


def test_r25_a_deployment_that_lost_its_own_limit_is_left_and_stays_out_and_others_go_on() -> None:
    stand = Stand(own(scalp(exits=bracket("60")), max_daily_loss=Decimal(1000)), scalp("OTHER"))
    stand.protected()
    stand.price(CALL, "98")
    stand.wait(1)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "own_daily_loss")
    assert not stand.book.halted
    stand.change(stand.ticket("S"))
    stand.update(stand.ticket("S"), 50, 110)  # it was left far better than it looked
    restarted(stand)
    stand.price(CALL, 110)
    stand.alert(A.BULLISH, "back")
    assert (stand.fates("back"), last(stand).gate) == (["denied"], "daily_loss")
    stand.alert(A.BULLISH, "other", deployment="OTHER")
    assert stand.fates("other") == ["entered"]


def test_r25_a_deployment_within_its_own_limit_is_not_left() -> None:
    stand = Stand(own(scalp(exits=bracket("60")), max_daily_loss=Decimal(1200)))
    stand.protected()
    stand.price(CALL, "98")
    stand.wait(1)
    assert stand.position.state is PositionState.OPEN


# --- fault rows of the catalogue --------------------------------------------------------------------------------------


def test_s14_a_contract_without_a_market_is_denied_with_the_reason() -> None:
    stand = Stand(limits=replace(LIMITS, min_depth_pct=Decimal(50), max_spread_pct=Decimal(3)))
    thin = Quote(CALL.key, stand.now, Decimal(120), Decimal("119.95"), Decimal("120.05"), 500, 20)
    stand.tell(QuoteReceived(quote=thin))
    stand.alert(A.BULLISH, "thin")
    assert (last(stand).gate, last(stand).reason) == ("depth", "20 units are shown at the best price, wanted 25")
    stand.price(CALL, 120, "8")
    stand.alert(A.BULLISH, "wide")
    assert last(stand).gate == "spread"
    stand.alert(A.ENTRY_GIVEN, "unlisted", given_strike=Decimal(15725), given_right=Right.CE)
    assert last(stand).gate == "contract"
    assert option(15725) not in [ticket.instrument for ticket in stand.tickets()]
    assert stand.tickets() == []
