"""Strikes by price: the hedge near a share of the sold premium, premium and delta rules, the chain that tells them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.core.builders import EXPIRIES, Master, option
from tests.unit.core.legs_stand import LegsStand, chain_of, premium_of
from workbench.core.hedge import by_price, hedge_for
from workbench.core.instrument import Instrument, Right
from workbench.core.leg_rules import StrikeKind, StrikeRule
from workbench.core.legs import Refusal
from workbench.core.messages import AlertAction, ChainRead, ReadChain, ReadMargin
from workbench.core.plan import NAMED_PLANS
from workbench.core.signal import Side

LISTED = Master().options("NIFTY", EXPIRIES[0])
RATIO = Decimal("0.30")
HEDGED = {"side": "SELL", "strike": "ATM", "hedge": {"premium_ratio": "30%"}, "combined": {"target": "70%"}}


@pytest.mark.parametrize("right", list(Right))
def test_the_hedge_is_the_listed_strike_whose_premium_is_nearest_the_share(right: Right) -> None:
    found = hedge_for(option(15700, right), LISTED, RATIO, chain_of())
    assert isinstance(found, Instrument)
    assert found.right is right
    wanted = premium_of(15700, right) * RATIO
    others = [premium_of(int(each.strike or 0), right) for each in LISTED if each.right is right]
    assert abs(premium_of(int(found.strike or 0), right) - wanted) == min(abs(each - wanted) for each in others)


def test_a_hedge_that_nobody_offers_is_not_chosen() -> None:
    best = hedge_for(option(15700), LISTED, RATIO, chain_of())
    assert isinstance(best, Instrument)
    rows = [replace(row, ask=Decimal(0)) if row.strike == best.strike else row for row in chain_of()]
    other = hedge_for(option(15700), LISTED, RATIO, rows)
    assert isinstance(other, Instrument)
    assert other.strike != best.strike


def test_a_hedge_lies_beyond_what_it_covers() -> None:
    rows = [row for row in chain_of() if row.strike <= 15700]
    found = hedge_for(option(15700), LISTED, RATIO, rows)
    assert isinstance(found, Refusal)
    assert "beyond 15700" in found.reason


def test_without_a_price_of_the_sold_option_no_hedge_is_chosen() -> None:
    rows = [row for row in chain_of() if row.strike != 15700]
    found = hedge_for(option(15700), LISTED, RATIO, rows)
    assert isinstance(found, Refusal)
    assert "no price" in found.reason


def test_premium_and_delta_rules_take_the_nearest_quoted_one() -> None:
    cheap = by_price(LISTED, Right.PE, StrikeRule(StrikeKind.PREMIUM, Decimal(62)), chain_of())
    third = by_price(LISTED, Right.PE, StrikeRule(StrikeKind.DELTA, Decimal("0.30")), chain_of())
    assert (cheap, third) == (option(15500, Right.PE), option(15300, Right.PE))


def test_a_delta_that_is_not_told_is_no_delta() -> None:
    rows = [replace(row, delta=None) for row in chain_of()]
    found = by_price(LISTED, Right.CE, StrikeRule(StrikeKind.DELTA, Decimal("0.30")), rows)
    assert isinstance(found, Refusal)


def test_the_hedge_is_bought_before_the_main_option_is_sold() -> None:
    stand = LegsStand(HEDGED)
    stand.go()
    first = stand.ticket("E")
    assert len(stand.of(ReadChain)) == 1
    assert (first.side, first.instrument.right) == (Side.BUY, Right.PE)
    stand.fill(first)
    assert len(stand.tickets("E")) == 1, "the margin is read again before anything is sold"
    stand.respond()
    assert len(stand.of(ReadMargin)) == 2
    second = stand.ticket("E")
    assert (second.side, second.instrument) == (Side.SELL, option(15700, Right.PE))
    assert second.instrument.strike is not None
    assert first.instrument.strike is not None
    assert first.instrument.strike < second.instrument.strike
    stand.fill(second)
    structure = stand.structure
    assert structure.stood is not None
    assert structure.plan.is_hedged
    assert structure.stood.worst_loss is not None
    assert structure.stood.worst_loss_unhedged is not None
    assert structure.stood.worst_loss < structure.stood.worst_loss_unhedged


def test_a_chain_that_does_not_come_is_given_up_and_nothing_is_bought() -> None:
    stand = LegsStand(HEDGED, chain=False)
    stand.go()
    stand.wait(13)
    assert not stand.tickets("E")
    assert stand.book.decisions[-1].fate == "denied"
    assert "option chain" in stand.book.decisions[-1].reason


def test_a_chain_that_cannot_be_read_refuses_the_entry() -> None:
    stand = LegsStand(HEDGED, chain=False)
    stand.go()
    asked = stand.of(ReadChain)[-1]
    stand.tell(ChainRead(asked_by=asked.asked_by, symbol="NIFTY", expiry=asked.expiry, known=False, reason="HTTP 503"))
    assert stand.book.decisions[-1].gate == "chain"
    assert not stand.desk_is_waiting()


def test_a_newer_wish_takes_the_place_of_one_that_waits_for_the_chain() -> None:
    stand = LegsStand(HEDGED, chain=False)
    stand.alert(AlertAction.BULLISH, "one")
    stand.alert(AlertAction.BEARISH, "two")
    stand.answers_chain = True
    stand.respond()
    assert stand.fates("one") == ["denied"]
    assert stand.fates("two") == ["entered"]
    assert stand.ticket("E").instrument.right is Right.CE


def test_the_sold_option_is_left_when_the_underlying_is_beyond_its_strike() -> None:
    stand = LegsStand(NAMED_PLANS["hedged_sell"])
    structure = stand.stand()
    sold = next(leg for leg in structure.plan.legs if leg.side is Side.SELL)
    assert sold.instrument.strike is not None
    stand.spot(sold.instrument.strike - 1)
    cover, main = stand.legs()
    assert (main.exit_reason, cover.exit_reason) == ("strike", "")
    stand.leave_all()
    assert stand.structure.closed is not None
