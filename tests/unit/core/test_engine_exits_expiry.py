"""Expiry: nothing is carried past it, and what nobody buys is settled with its tax."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, DAY, PUT, Master, Stand, at, option, quote, scalp
from tests.unit.core.nights import AFTER, NEXT, STOP, A, alarms, at_the_close, keeping, morning
from workbench import reference
from workbench.core.bars import Quote
from workbench.core.charges import Exchange, exercise_line
from workbench.core.engine import Engine
from workbench.core.engine.day_end import is_settled_in_shares
from workbench.core.engine.turn import Desk, Turn
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.messages import (
    CancelOrder,
    DayBegan,
    ModifyOrder,
    Notify,
    Operator,
    OperatorOrdered,
    PlaceOrder,
    QuoteReceived,
    SettlementTold,
)
from workbench.core.order import OrderState, Product, Purpose
from workbench.core.plan import Distance, Exits, Overnight, Plan
from workbench.core.position import PositionState
from workbench.core.session import Calendar
from workbench.core.signal import Side


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


def test_s12_nothing_is_carried_past_its_expiry() -> None:
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
    stand.go_to("15:16:00")
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


def test_s12_entries_end_early_on_an_expiry_day() -> None:
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
