"""The end of a day, the night, the next open, and expiry: what stays is named, protected again, or settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, DAY, INDEX_KEY, PUT, Master, Stand, at, option, quote, scalp
from workbench import reference
from workbench.core.bars import Quote
from workbench.core.charges import Exchange, exercise_line
from workbench.core.engine import Engine
from workbench.core.engine.day_end import is_settled_in_shares
from workbench.core.engine.turn import Desk, Turn
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.messages import (
    AlertAction,
    CancelOrder,
    DayBegan,
    Level,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    OvernightListed,
    PlaceOrder,
    QuoteReceived,
    SettlementTold,
)
from workbench.core.order import OrderState, Product, Purpose
from workbench.core.plan import Distance, Exits, Overnight, Plan
from workbench.core.position import PositionState, Protection
from workbench.core.session import Calendar
from workbench.core.signal import Side

A = AlertAction
NEXT = date(2022, 6, 16)
AFTER = date(2022, 6, 17)
STOP = Exits(stop=Distance(points=Decimal(15)))
"""Contracts of the 16th: those that are bought on the 15th expire the day after."""


def keeping(overnight: Overnight = Overnight.KEEP, **plan: Any) -> Stand:
    """A protected position that may stay over the night."""
    body: dict[str, Any] = {"exits": STOP, "product": Product.MARGIN, "overnight": overnight, **plan}
    stand = Stand(scalp(**body))
    stand.protected()
    return stand


def at_the_close(stand: Stand, price: float = 120) -> None:
    stand.now = at("15:28:59")
    stand.price(CALL, price)
    stand.wait(1)


def morning(stand: Stand, day: date = NEXT, clock: str = "09:00:00") -> None:
    """The stop expires with its day, and the next one begins."""
    stand.now = at("15:30:00")
    stand.wait(1)
    stop = stand.ticket("S")
    if stand.book.orders[stop.correlation_id].state.may_rest:
        stand.update(stop, state=OrderState.EXPIRED)
    stand.now = at(clock, day)
    stand.tell(DayBegan(day=day))


def alarms(stand: Stand) -> list[str]:
    return [each.text for each in stand.of(Notify) if each.level is Level.ALARM]


def test_what_is_kept_is_decided_a_minute_before_the_close_and_not_squared_off() -> None:
    stand = keeping()
    stand.go_to("15:28:59")
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.OPEN, "")
    at_the_close(stand)
    assert stand.position.state is PositionState.CARRIED
    assert stand.of(ModifyOrder) == []
    assert stand.of(CancelOrder) == []
    (stay,) = stand.book.overnight
    assert (stay.symbol, stay.expiry, stay.strike, stay.right) == ("NIFTY", NEXT, Decimal(15700), "CE")
    assert (stay.side, stay.quantity) == ("BUY", 50)
    assert stay.pnl == stand.engine.open_pnl()
    assert stand.reborn() == stand.book


def test_an_intraday_position_is_left_three_minutes_before_the_brokers_own_square_off() -> None:
    stand = Stand()
    stand.protected()
    session = reference.calendar().session(Segment.NSE_FNO, DAY)
    assert session is not None
    assert session.square_off_start == session.broker_square_off - timedelta(minutes=3)
    stand.go_to(f"{session.square_off_start - timedelta(seconds=1):%H:%M:%S}")
    assert stand.position.exit_reason == ""
    stand.wait(1)
    assert stand.position.exit_reason == "session_end"


@pytest.mark.parametrize(("price", "stays"), [(121, True), (120, False), (110, False)])
def test_of_winners_and_losers_only_winners_stay(price: float, stays: bool) -> None:
    stand = keeping(Overnight.KEEP_WINNERS)
    at_the_close(stand, price)
    assert (stand.position.state is PositionState.CARRIED) is stays
    assert stand.position.exit_reason == ("" if stays else "session_end")


def test_without_a_fresh_price_nobody_is_a_winner() -> None:
    stand = keeping(Overnight.KEEP_WINNERS)
    stand.price(CALL, 140)
    stand.go_to("15:29:00")
    assert stand.position.exit_reason == "session_end"


def test_an_hour_of_the_account_ends_what_would_stay_too() -> None:
    from tests.unit.core.builders import LIMITS

    stand = Stand(
        scalp(exits=STOP, product=Product.MARGIN, overnight=Overnight.KEEP),
        limits=replace(LIMITS, square_off_at=at("15:00:00").time()),
    )
    stand.protected()
    stand.go_to("15:00:00")
    assert stand.position.exit_reason == "session_end"


def test_a_stop_that_fills_in_the_last_minute_takes_the_position_off_the_list() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.update(stand.ticket("S"), 50, 104)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.CLOSED, "stop")
    stand.wait(1)
    assert stand.book.overnight == ()
    assert len([each for each in stand.events if isinstance(each, OvernightListed)]) == 2


def test_a_stop_that_is_lost_in_the_last_minute_is_placed_anew() -> None:
    stand = keeping()
    at_the_close(stand)
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    assert len(stand.tickets("S")) == 2
    assert any("no stop" in text for text in alarms(stand))


def test_the_stop_is_back_at_the_broker_with_the_first_price_of_the_next_day() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    assert stand.position.state is PositionState.CARRIED
    assert alarms(stand) == []
    assert stand.book.trades_today == 0
    stand.go_to("09:14:59")
    assert len(stand.tickets("S")) == 1
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stop = stand.ticket("S")
    assert len(stand.tickets("S")) == 2
    assert (stop.trigger_price, stop.quantity, stop.product) == (Decimal(105), 50, Product.MARGIN)
    assert (stand.position.state, stand.position.protection) == (PositionState.OPEN, Protection.PENDING)
    assert stand.reborn() == stand.book


def test_without_a_price_at_the_open_the_stop_is_back_within_five_seconds() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:14:59", NEXT)
    stand.wait(3)
    assert len(stand.tickets("S")) == 1
    stand.wait(1)
    assert len(stand.tickets("S")) == 2


def test_a_price_from_before_the_open_says_nothing() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:08:00", NEXT)
    stand.price(CALL, 60)
    stand.go_to("09:15:00")
    assert stand.position.state is PositionState.CARRIED


def test_a_gap_through_the_stop_is_chased_out_at_the_open() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 90)
    assert stand.position.exit_reason == "gap"
    leaving = stand.ticket("X")
    assert (leaving.quantity, leaving.price) == (50, Decimal("89.05"))
    assert len(stand.tickets("S")) == 1
    assert any("beyond its stop" in text for text in alarms(stand))


def test_a_carried_position_that_is_flattened_in_the_night_is_left_at_the_open() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    assert stand.tickets("X") == []
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stand.wait(1)
    assert stand.ticket("X").quantity == 50


def test_what_was_open_at_the_close_with_nobody_there_is_taken_up_like_the_others() -> None:
    stand = keeping()
    morning(stand)
    assert stand.position.state is PositionState.CARRIED
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    assert (stand.position.state, len(stand.tickets("S"))) == (PositionState.OPEN, 2)


def test_a_trailed_level_and_its_reason_live_through_the_night() -> None:
    from workbench.core.plan import Lock, Underlying

    plan = Exits(
        stop=Distance(points=Decimal(15)),
        lock=Lock(after=Distance(points=Decimal(5)), keep=Decimal(50)),
        underlying=Underlying(stop=Distance(points=Decimal(90))),
    )
    stand = keeping(exits=plan)
    stand.price(CALL, 130)
    stand.wait(60)
    assert (stand.position.stop, stand.position.tightened_by) == (Decimal(125), "lock")
    stand.change(stand.ticket("S"))
    at_the_close(stand, 130)
    before = stand.position
    morning(stand)
    after = stand.position
    assert (after.stop, after.initial_stop, after.peak) == (before.stop, before.initial_stop, before.peak)
    assert (after.spot_stop, after.spot_peak, after.tightened_by) == (before.spot_stop, before.spot_peak, "lock")
    assert after.stop_reason == "lock"


def test_a_position_that_may_not_stay_and_did_is_left_at_the_open() -> None:
    stand = Stand()
    stand.protected()
    morning(stand)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stand.wait(1)
    assert stand.position.exit_reason == "session_end"
    assert any("carried over" in text for text in alarms(stand))


# --- expiry ----------------------------------------------------------------------------------------------------------


def on_expiry_day(**plan: Any) -> Stand:
    """A protected position in a contract that expires today."""
    stand = Stand(scalp(exits=STOP, **plan))
    stand.now = at("09:10:00", NEXT)
    stand.tell(DayBegan(day=NEXT))
    stand.now = at("10:00:00", NEXT)
    stand.spot(Decimal("15712.40"))
    for each in (CALL, PUT):
        stand.price(each, 120)
    stand.protected()
    assert stand.position.plan.instrument.expiry == NEXT
    return stand


def no_bid(stand: Stand, instrument: Instrument = CALL) -> None:
    low = Decimal("0.05")
    stand.tell(QuoteReceived(quote=Quote(instrument.key, stand.now, low, Decimal(0), low)))


def test_nothing_is_carried_past_its_expiry() -> None:
    stand = on_expiry_day(product=Product.MARGIN, overnight=Overnight.KEEP)
    session = reference.calendar().session(Segment.NSE_FNO, NEXT)
    assert session is not None
    stand.now = session.square_off_start - timedelta(seconds=1)
    stand.wait(1)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "session_end")


def test_what_was_carried_into_its_last_day_is_held_until_the_square_off() -> None:
    stand = keeping()
    at_the_close(stand)
    morning(stand)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stand.go_to("12:00:00")
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.OPEN, "")
    stand.go_to("15:17:00")
    assert stand.position.exit_reason == "session_end"


def test_what_expires_before_the_next_session_does_not_stay() -> None:
    saturday = date(2022, 6, 18)
    call = option(15700, expiry=saturday)
    deployment = scalp(exits=STOP, product=Product.MARGIN, overnight=Overnight.KEEP)
    stand = Stand(deployment, master=Master(expiries=(saturday,)))
    stand.now = at("10:00:00", AFTER)
    stand.tell(DayBegan(day=AFTER))
    stand.spot(Decimal("15712.40"))
    stand.price(call, 120)
    stand.protected()
    stand.go_to("15:29:00")
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, "session_end")
    assert any("expires before" in each.text for each in stand.of(Notify))


def test_a_bought_option_that_nobody_bids_for_is_left_to_expire_and_settled_with_its_tax() -> None:
    stand = on_expiry_day()
    stand.go_to("15:29:29")
    stop = stand.ticket("S")
    no_bid(stand)
    stand.wait(1)
    assert stand.position.state is PositionState.EXPIRING
    assert stand.engine.handle(SettlementTold(symbol="NIFTY", expiry=AFTER, price=Decimal(1)), now=stand.now)
    stand.go_to("15:31:00")
    stand.update(stop, state=OrderState.EXPIRED)
    stand.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal("15725.35")))
    position = stand.position
    assert (position.state, position.exit_reason, position.exit_price) == (
        PositionState.CLOSED,
        "expired",
        Decimal("25.35"),
    )
    assert position.gross == 50 * (Decimal("25.35") - 120)
    tax = exercise_line(
        reference.charge_table(), Exchange.NSE, quantity=50, intrinsic=Decimal("25.35"), on=NEXT
    ).stt  # fmt: skip
    worthless = on_expiry_day()
    worthless.go_to("15:30:00")
    worthless.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal(15600)))
    assert (worthless.position.exit_price, worthless.position.state) == (Decimal(0), PositionState.CLOSED)
    assert position.charges - worthless.position.charges == tax.quantize(Decimal("0.01"))
    assert stand.reborn() == stand.book


def test_a_position_that_is_left_to_expire_rests_nothing_and_is_asked_for_nothing() -> None:
    stand = on_expiry_day()
    stand.go_to("15:29:35")
    no_bid(stand)
    stand.wait(1)
    assert stand.of(CancelOrder)[-1].correlation_id == stand.ticket("S").correlation_id
    sent = len(stand.of(ModifyOrder)) + len(stand.of(PlaceOrder))
    stand.update(stand.ticket("S"), state=OrderState.CANCELLED)
    stand.tell(OperatorOrdered(command=Operator.FLATTEN))
    stand.wait(20)
    assert len(stand.of(ModifyOrder)) + len(stand.of(PlaceOrder)) == sent
    assert stand.position.state is PositionState.EXPIRING


def test_an_exit_that_fills_after_all_closes_what_was_left_to_expire() -> None:
    stand = on_expiry_day()
    stand.go_to("15:29:35")
    no_bid(stand)
    stand.wait(1)
    stand.update(stand.ticket("S"), 50, "0.05")
    assert stand.position.state is PositionState.CLOSED


def test_with_a_bid_it_is_chased_to_the_last_second() -> None:
    stand = on_expiry_day()
    stand.go_to("15:29:40")
    stand.price(CALL, "0.20")
    stand.wait(10)
    assert stand.position.state is PositionState.EXITING


def test_what_could_not_be_left_before_it_expired_says_so_loudly() -> None:
    stand = on_expiry_day()
    stand.go_to("15:30:00")
    assert stand.position.state is PositionState.EXPIRING
    assert any("left to expire" in text for text in alarms(stand))


def test_a_settlement_that_is_told_a_day_late_is_booked_and_the_broker_is_not_contradicted() -> None:
    stand = on_expiry_day()
    stand.go_to("15:30:00")
    stand.update(stand.ticket("S"), state=OrderState.EXPIRED)
    stand.now = at("09:00:00", AFTER)
    stand.tell(DayBegan(day=AFTER))
    assert stand.position.state is PositionState.EXPIRING
    for _ in range(4):
        stand.wait(6)
        stand.snapshot()
    assert stand.book.frozen == ()
    stand.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal(15800)))
    assert (stand.position.exit_price, stand.position.state) == (Decimal(100), PositionState.CLOSED)


def test_what_is_left_to_expire_stands_in_nobodys_way() -> None:
    stand = on_expiry_day()
    stand.go_to("15:30:00")
    stand.now = at("10:00:00", AFTER)
    stand.tell(DayBegan(day=AFTER))
    assert stand.position.state is PositionState.EXPIRING
    assert stand.book.live_of("SCALP_ATM") is None
    assert stand.book.live_positions() == [stand.position]


def test_a_settlement_that_comes_before_the_close_books_nothing() -> None:
    stand = on_expiry_day()
    stand.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal(15800)))
    assert stand.position.state is PositionState.OPEN


def test_a_put_is_worth_what_the_index_lies_below_its_strike() -> None:
    stand = Stand(scalp(exits=STOP))
    stand.now = at("10:00:00", NEXT)
    stand.tell(DayBegan(day=NEXT))
    stand.spot(Decimal("15712.40"))
    stand.price(PUT, 120)
    stand.protected(action=A.BEARISH)
    stand.go_to("15:30:00")
    stand.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal("15660.10")))
    assert stand.position.exit_price == Decimal("39.90")


def test_entries_end_early_on_an_expiry_day() -> None:
    stand = Stand(scalp(exits=STOP, no_entry_after_on_expiry=at("13:00:00").time()))
    stand.go_to("13:00:00")
    stand.price(CALL, 120)
    stand.alert(A.BULLISH, "day before")
    assert stand.fates("day before") == ["entered"]
    late = Stand(scalp(exits=STOP, no_entry_after_on_expiry=at("13:00:00").time()))
    late.now = at("13:00:00", NEXT)
    late.tell(DayBegan(day=NEXT))
    late.spot(Decimal("15712.40"))
    late.price(CALL, 120)
    late.alert(A.BULLISH, "x")
    assert (late.fates("x"), late.book.decisions[-1].gate) == (["denied"], "entry_window")


class Shares(Master):
    """Options of a share beside those of the index."""

    def options(self, underlying: str, expiry: date) -> list[Instrument]:
        if underlying != "HDFCBANK":
            return list(super().options(underlying, expiry))
        return [
            replace(option(strike, right, expiry), symbol="HDFCBANK", lot=550, freeze=None)
            for strike in (1300, 1320, 1340)
            for right in Right
        ]

    def expiries(self, underlying: str) -> tuple[date, ...]:
        return tuple(super().expiries("NIFTY"))


def of_a_share(day: date) -> Stand:
    deployment = replace(
        scalp(exits=Exits(stop=Distance(points=Decimal(5))), product=Product.MARGIN, overnight=Overnight.KEEP),
        symbol="HDFCBANK",
    )
    stand = Stand(deployment, master=Shares())
    stand.now = at("10:00:00", day)
    stand.tell(DayBegan(day=day))
    call = Shares().options("HDFCBANK", NEXT)[2]
    stand.tell(QuoteReceived(quote=quote("NSE_EQ:HDFCBANK", 1320, stand.now)))
    stand.price(call, 30)
    stand.alert(A.BULLISH, "s", symbol="HDFCBANK")
    return stand


def test_an_option_of_a_share_is_out_the_day_before_and_not_entered_on_its_expiry_day() -> None:
    stand = of_a_share(DAY)
    entry = stand.ticket("E")
    assert (entry.instrument.symbol, entry.instrument.kind) == ("HDFCBANK", InstrumentKind.OPTION)
    stand.answer(entry)
    stand.update(entry, 550, 30)
    stand.go_to("15:29:00")
    assert stand.position.exit_reason == "session_end"
    assert any("settled in shares" in each.text for each in stand.of(Notify))
    late = of_a_share(NEXT)
    assert (late.fates("s"), late.book.decisions[-1].gate) == (["denied"], "exits")


def test_without_a_known_next_session_nothing_stays() -> None:
    stand = keeping()
    session = reference.calendar().session(Segment.NSE_FNO, DAY)
    assert session is not None
    only_today = Calendar({(Segment.NSE_FNO, DAY): session}, (DAY.year,))
    stand.engine = Engine(replace(stand.config, calendar=only_today))
    stand.engine.recover(stand.events)
    at_the_close(stand)
    assert stand.position.exit_reason == "session_end"
    assert any("next session is not known" in each.text for each in stand.of(Notify))


def test_contracts_on_shares_are_settled_in_shares_and_unknown_ones_are_taken_to_be() -> None:
    turn = Turn(Desk(config=Stand(master=Shares()).config), at("10:00:00"))
    index_call, share = option(15700), Master().share
    assert not is_settled_in_shares(turn, index_call)
    assert not is_settled_in_shares(turn, share)
    assert is_settled_in_shares(turn, replace(index_call, symbol="HDFCBANK"))
    assert is_settled_in_shares(turn, replace(index_call, symbol="NOBODY"))


def test_staying_over_the_night_needs_the_product_for_it() -> None:
    with pytest.raises(Exception, match="needs product MARGIN"):
        Plan(overnight=Overnight.KEEP)
    assert Plan(overnight=Overnight.KEEP, product=Product.MARGIN).overnight is Overnight.KEEP


def test_a_fill_of_a_settlement_is_no_order() -> None:
    stand = on_expiry_day()
    stand.go_to("15:30:00")
    stand.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal(15800)))
    (entry, settled) = stand.position.fills
    assert (settled.purpose, settled.side, settled.settled) == (Purpose.EXIT, Side.SELL, True)
    assert not entry.settled
    assert INDEX_KEY == "IDX_I:NIFTY"
