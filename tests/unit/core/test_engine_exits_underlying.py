"""Exits on the underlying in the engine: watched here, with a stop on the premium at the broker beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import CALL, SCALP, SPOT, Stand, scalp
from workbench.core.messages import (
    AlertAction,
    DayBegan,
    FeedChecked,
    ModifyOrder,
    OrderChangeAsked,
    RangeMeasured,
    SignalRaised,
    SpotLevelsMoved,
)
from workbench.core.order import OrderType
from workbench.core.plan import Distance, Exits, Lock, Look, Trail, Underlying, index_as_future
from workbench.core.signal import SignalValues

A = AlertAction


def points(value: str) -> Distance:
    return Distance(points=Decimal(value))


def watching(**watched: object) -> Stand:
    stand = Stand(scalp(exits=Exits(underlying=Underlying(**watched))))  # type: ignore[arg-type]
    stand.protected()
    return stand


def test_a_stop_on_the_underlying_leaves_by_the_disaster_stop_at_the_broker() -> None:
    stand = watching(stop=points("30"))
    stop = stand.ticket("S")
    assert (stop.order_type, stop.trigger_price) == (OrderType.STOP_LIMIT, Decimal("72.00"))
    stand.spot(SPOT - Decimal("29.95"))
    assert stand.of(ModifyOrder) == []
    stand.spot(SPOT - 30)
    assert stand.position.exit_reason == "underlying_stop"
    assert stand.of(ModifyOrder)[-1].correlation_id == stop.correlation_id


def test_a_target_on_the_underlying_is_left_at_the_market() -> None:
    stand = watching(target=points("40"))
    stand.spot(SPOT + 40)
    assert stand.position.exit_reason == "underlying_target"
    assert stand.of(ModifyOrder)[-1].change.price < 120


def test_a_strike_that_is_touched_ends_the_position_and_one_beyond_it_is_not_entered() -> None:
    stand = watching(strike=Look.TOUCH)
    stand.spot(Decimal("15699.95"))
    assert stand.position.exit_reason == "strike"
    other = Stand(scalp(exits=Exits(underlying=Underlying(strike=Look.TOUCH))))
    other.spot(Decimal("15690"))
    other.alert(A.BULLISH, "b")
    assert other.fates("b") == ["denied"]
    assert "beyond the strike" in other.book.decisions[-1].reason


def test_a_trail_on_the_underlying_moves_at_the_ends_of_minutes() -> None:
    stand = watching(trail=Trail(distance=points("20")))
    assert stand.position.spot_stop == SPOT - 20
    stand.spot(SPOT + 15)
    stand.wait(30)
    assert stand.position.spot_stop == SPOT - 20
    stand.wait(30)
    assert (stand.position.spot_stop, stand.position.spot_peak) == (SPOT - 5, SPOT + 15)
    stand.spot(SPOT - 5)
    assert stand.position.exit_reason == "underlying_stop"


def test_an_hour_is_judged_by_its_close_alone() -> None:
    stand = watching(hourly_close=points("10"))
    stand.wait(60)
    stand.spot(SPOT - 50)
    stand.go_to("10:14:58")
    stand.spot(SPOT - 5)
    stand.go_to("10:15:01")
    assert stand.position.exit_reason == ""
    stand.spot(SPOT - 5)
    stand.go_to("11:14:59")
    stand.spot(SPOT - 10)
    stand.go_to("11:15:00")
    assert stand.position.exit_reason == ""
    stand.go_to("11:15:01")
    assert stand.position.exit_reason == "hourly_close"


def test_the_next_price_closes_an_hour_too_and_what_came_after_its_end_is_not_judged() -> None:
    stand = watching(strike=Look.HOURLY_CLOSE)
    stand.go_to("10:14:59")
    stand.spot(Decimal(15650))
    stand.now += timedelta(seconds=1)
    stand.spot(Decimal(15800))
    assert stand.position.exit_reason == "strike"
    late = watching(strike=Look.HOURLY_CLOSE)
    late.update(late.ticket("S"), 50, 110)
    late.go_to("10:14:57")
    late.price(CALL, 120)
    late.alert(A.BULLISH)
    late.go_to("10:14:59")
    late.spot(Decimal(15650))
    late.go_to("10:15:00")
    late.update(late.ticket("E"), 50, 120)
    late.wait(3)
    assert [each.exit_reason for each in late.book.positions.values()] == ["stop", ""]


@pytest.mark.parametrize(("alive", "fate"), [(False, "exited"), (True, "recorded")])
def test_an_hourly_bar_of_the_webhook_stands_in_while_the_feed_is_dead(alive: bool, fate: str) -> None:
    stand = watching(strike=Look.HOURLY_CLOSE)
    stand.now += timedelta(hours=1)
    stand.tell(FeedChecked(alive=alive, age_s=20.0, reason="silent"))
    stand.alert(A.HOURLY, "h", price=Decimal(15650))
    assert stand.fates("h") == [fate]
    assert (stand.position.exit_reason == "strike") is not alive


def test_an_hourly_bar_that_asks_for_nothing_is_kept() -> None:
    stand = watching(strike=Look.HOURLY_CLOSE)
    stand.now += timedelta(hours=1)
    stand.tell(FeedChecked(alive=False, age_s=20.0))
    stand.alert(A.HOURLY, "h", price=Decimal(15750))
    assert stand.fates("h") == ["recorded"]


def test_what_is_not_open_is_not_left_again() -> None:
    stand = watching(stop=points("30"))
    stand.spot(SPOT - 30)
    changes = len(stand.of(ModifyOrder))
    stand.spot(SPOT - 40)
    assert len(stand.of(ModifyOrder)) == changes


def test_levels_of_the_underlying_are_in_the_journal() -> None:
    stand = watching(stop=points("30"), trail=Trail(distance=points("20"), after=points("5")))
    stand.spot(SPOT + 15)
    stand.wait(61)
    assert len([each for each in stand.events if isinstance(each, SpotLevelsMoved)]) == 2
    assert stand.reborn() == stand.book


# --- average true ranges --------------------------------------------------------------------------------------------


def atr_stand() -> Stand:
    plan = Exits(stop=Distance(atr=Decimal(2)), target=Distance(atr=Decimal(3)))
    deployment = scalp(strategy=None)
    return Stand(replace(deployment, plan=index_as_future(exits=plan)))


def raised(stand: Stand, atr: str | None) -> SignalRaised:
    return SignalRaised(
        deployment=SCALP,
        bar_time=stand.now - timedelta(minutes=5),
        known_at=stand.now,
        values=SignalValues(long_entry=True),
        previous=SignalValues(),
        strategy_hash="h",
        close=SPOT,
        atr=None if atr is None else Decimal(atr),
    )


def test_a_distance_in_average_ranges_is_laid_in_rupees_of_the_signals_bars() -> None:
    stand = atr_stand()
    stand.tell(raised(stand, "12.5"))
    assert stand.position.plan.exits == Exits(stop=points("25.0000"), target=points("37.5000"))
    stand.update(stand.ticket("E"), 50, "15712")
    assert (stand.position.stop, stand.position.target) == (Decimal("15687.00"), Decimal("15749.50"))


def test_an_unknown_average_range_refuses_the_entry_and_says_why() -> None:
    stand = atr_stand()
    stand.tell(raised(stand, None))
    assert stand.tickets() == []
    assert (stand.book.decisions[-1].gate, stand.book.decisions[-1].fate) == ("atr", "denied")


def told_range(stand: Stand, atr: str | None, reason: str = "") -> None:
    stand.tell(
        RangeMeasured(
            deployment=SCALP,
            bar_time=stand.now - timedelta(minutes=5),
            atr=None if atr is None else Decimal(atr),
            reason=reason,
        )
    )


def test_an_alert_enters_on_the_average_range_that_its_bars_told() -> None:
    stand = Stand(scalp(exits=Exits(stop=points("15"), underlying=Underlying(stop=Distance(atr=Decimal(2))))))
    told_range(stand, "10")
    told_range(stand, "12.5")
    stand.alert(A.BULLISH, "a")
    assert stand.fates("a") == ["entered"]
    watched = stand.position.plan.exits.underlying
    assert watched is not None
    assert watched.stop == points("25.0")
    stand.answer(stand.ticket("E"))
    stand.update(stand.ticket("E"), 50, 120)
    assert stand.position.spot_stop == SPOT - 25


def test_an_alert_is_refused_in_words_while_its_average_range_is_not_known_and_taken_after() -> None:
    stand = atr_stand()
    told_range(stand, None, "12 of 101 bars of NIFTY 5m are there")
    stand.alert(A.BULLISH, "early")
    assert stand.fates("early") == ["denied"]
    assert "12 of 101 bars of NIFTY 5m are there" in stand.book.decisions[-1].reason
    told_range(stand, "12.5")
    stand.alert(A.BULLISH, "late")
    assert stand.fates("late") == ["entered"]


def test_an_average_range_from_before_a_hole_in_the_bars_is_not_used() -> None:
    stand = atr_stand()
    told_range(stand, "12.5")
    told_range(stand, None, "0 of 101 bars of NIFTY 5m are there")
    stand.alert(A.BULLISH, "a")
    assert (stand.book.decisions[-1].gate, stand.book.decisions[-1].fate) == ("atr", "denied")
    assert "0 of 101" in stand.book.decisions[-1].reason


def test_yesterdays_average_range_is_not_todays() -> None:
    stand = atr_stand()
    told_range(stand, "12.5")
    stand.now += timedelta(days=1)
    stand.tell(DayBegan(day=stand.now.date()))
    stand.spot(SPOT)
    stand.alert(A.BULLISH, "a")
    assert stand.fates("a") == ["denied"]
    assert "no bars have told it yet" in stand.book.decisions[-1].reason


# --- the lock ---------------------------------------------------------------------------------------------------------


def test_a_lock_raises_the_stop_at_the_broker_and_names_the_exit() -> None:
    stand = Stand(scalp(exits=Exits(stop=points("15"), lock=Lock(after=points("10"), keep=Decimal(50)))))
    stand.protected()
    stand.price(CALL, 140)
    stand.wait(60)
    assert stand.position.stop == 130
    asked = [each for each in stand.events if isinstance(each, OrderChangeAsked)]
    assert asked[-1].change.trigger_price == 130
    stand.change(stand.ticket("S"))
    stand.update(stand.ticket("S"), 50, "129.5")
    assert stand.position.exit_reason == "lock"
    assert stand.reborn() == stand.book
