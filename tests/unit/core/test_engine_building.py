"""Several legs on their way in: what stops them before anything is sent, and between the bought and the sold ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import INDEX_KEY, at, option
from tests.unit.core.legs_stand import LegsStand
from tests.unit.core.test_structures import LONG_PUT, LONG_STRADDLE, SHORT_PUT, SPREAD, STRADDLE
from workbench.core.bars import Quote
from workbench.core.instrument import Right
from workbench.core.messages import (
    AlertAction,
    DecisionMade,
    FeedChecked,
    MarginRead,
    PlaceOrder,
    QuoteReceived,
    ReadMargin,
)
from workbench.core.position import PositionState
from workbench.core.signal import Side


def last_word(stand: LegsStand) -> DecisionMade:
    return [each for each in stand.events if isinstance(each, DecisionMade)][-1]


def half_in(stand: LegsStand) -> None:
    """The cover has filled, and the margin is being read again."""
    stand.go()
    stand.fill(stand.ticket("E"))
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key]


def test_without_a_price_of_the_underlying_legs_wait_and_are_given_up() -> None:
    stand = LegsStand(LONG_STRADDLE)
    del stand.engine.quotes[INDEX_KEY]
    stand.go()
    stand.wait(60)
    assert (last_word(stand).fate, last_word(stand).gate) == ("denied", "no_quote")
    assert "a price of NIFTY" in last_word(stand).reason
    assert not stand.of(PlaceOrder)


def test_an_alert_that_names_an_option_chooses_no_legs_of_a_plan_that_chooses_itself() -> None:
    stand = LegsStand(STRADDLE)
    stand.alert(AlertAction.ENTRY_GIVEN, given_strike=Decimal(15800), given_right=Right.CE)
    assert (last_word(stand).fate, last_word(stand).gate) == ("denied", "contract")
    assert "chooses its legs itself" in last_word(stand).reason
    assert not stand.of(PlaceOrder)


def test_a_percentage_of_legs_that_cost_nothing_together_enters_nothing() -> None:
    body = {
        "legs": [
            {"side": "sell", "right": "CE", "strike": "ATM", "exits": {"stop": "40%"}},
            {"side": "buy", "right": "PE", "strike": "ATM"},
        ],
        "combined": {"stop": "25%", "target": "50%"},
    }
    stand = LegsStand(body)
    price = Decimal(120)
    for instrument in (option(15700), SHORT_PUT):  # what is sold fetches what the other costs
        stand.tell(QuoteReceived(quote=Quote(instrument.key, stand.now, price, price, price)))
    stand.go()
    assert (last_word(stand).fate, last_word(stand).gate) == ("denied", "exits")
    assert "cost nothing together" in last_word(stand).reason
    assert not stand.of(PlaceOrder)


@pytest.mark.parametrize("available", [None, Decimal(1)])
def test_a_margin_without_known_and_sufficient_funds_sells_nothing(available: Decimal | None) -> None:
    stand = LegsStand(STRADDLE)
    stand.alert(AlertAction.BULLISH)
    (asked,) = stand.of(ReadMargin)
    assert stand.book.funds is None
    stand.tell(MarginRead(asked_by=asked.asked_by, total=Decimal(100_000), available=available))
    stand.wait(1)
    assert (last_word(stand).fate, last_word(stand).gate) == ("denied", "margin")
    assert not stand.of(PlaceOrder)


def test_an_answer_that_nobody_waits_for_enters_nothing() -> None:
    stand = LegsStand(STRADDLE)
    stand.alert(AlertAction.BULLISH)
    stand.tell(MarginRead(asked_by="somebody else", total=Decimal(1), available=Decimal(400_000)))
    stand.wait(1)
    assert not stand.of(PlaceOrder)


def test_a_feed_that_dies_between_the_legs_sells_the_cover_again() -> None:
    stand = LegsStand(SPREAD)
    half_in(stand)
    stand.tell(FeedChecked(alive=False, reason="no packet", age_s=9.0))
    stand.wait(1)
    assert stand.structure.left_for == "leg_failed"
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key]
    assert [leg.state for leg in stand.legs()] == [PositionState.EXITING]


def test_a_session_that_ends_between_the_legs_sells_the_cover_again() -> None:
    stand = LegsStand(SPREAD)
    stand.now = at("15:11:30")
    stand.refresh()
    half_in(stand)
    session = stand.config.calendar.session(LONG_PUT.segment, stand.now.date())
    assert session is not None
    stand.now = session.square_off_start + timedelta(seconds=1)
    stand.refresh()
    stand.respond()
    stand.wait(1)
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key], "nothing is sold any more"
    assert stand.legs()[0].state is PositionState.EXITING


def test_a_sold_leg_that_nobody_bids_for_waits_and_the_cover_is_sold_again_in_time() -> None:
    stand = LegsStand(SPREAD)
    half_in(stand)
    known = stand.engine.quotes[SHORT_PUT.key]
    empty = replace(known, time=stand.now, bid=Decimal(0))
    stand.tell(QuoteReceived(quote=empty))
    stand.respond()
    stand.wait(1)
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key]
    for _ in range(120):
        stand.wait(1)
        stand.tell(QuoteReceived(quote=replace(empty, time=stand.now)))
    assert [each.instrument.key for each in stand.tickets("E")] == [LONG_PUT.key]
    assert stand.structure.left_for == "leg_failed"


def test_a_leg_whose_stop_is_nearer_than_three_spreads_is_not_entered() -> None:
    body = {
        "legs": [
            {"side": "sell", "right": "CE", "strike": "ATM", "exits": {"stop": 2}},
            {"side": "sell", "right": "PE", "strike": "ATM", "exits": {"stop": "40%"}},
        ]
    }
    stand = LegsStand(body)
    wide = option(15700, Right.CE)
    price = stand.engine.quotes[wide.key].last
    stand.tell(QuoteReceived(quote=Quote(wide.key, stand.now, price, price - 1, price)))
    stand.go()
    assert (last_word(stand).fate, last_word(stand).gate) == ("denied", "premium_range")
    assert not stand.of(PlaceOrder)


def test_the_stop_of_a_sold_option_is_not_asked_of_the_hedge_that_is_bought_beside_it() -> None:
    stand = LegsStand({"side": "SELL", "strike": "OTM1", "exits": {"stop": "100%"}, "hedge": {"premium_ratio": "0.30"}})
    stand.go()
    hedge = stand.ticket("E")
    assert hedge.side is Side.BUY
    stand.fill(hedge)
    stand.respond()
    assert [each.side for each in stand.tickets("E")] == [Side.BUY, Side.SELL]
