"""Shares as what is traded: INTRADAY and CNC, sizes, cash hours, charges, and nights among the holdings."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import Master, Stand, at, listings
from tests.unit.core.nights import awake_until_the_open
from workbench import reference
from workbench.core import exits
from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput
from workbench.core.exit_rules import Exits
from workbench.core.instrument import Segment
from workbench.core.messages import (
    AlertAction,
    BrokerPosition,
    DayBegan,
    Level,
    ModifyOrder,
    Notify,
    PlaceOrder,
    QuoteReceived,
    SnapshotTaken,
    WriteKind,
)
from workbench.core.order import OrderState, Product
from workbench.core.plan import plan_from_mapping
from workbench.core.position import PositionState
from workbench.core.reconcile import compare_positions
from workbench.core.signal import Side

SHARE = Master().share
INTRADAY = {"contract": "underlying", "lots": 10, "exits": {"stop": "1%", "target": "2%"}}
CNC = {**INTRADAY, "product": "CNC", "overnight": "keep", "on_opposite": "exit"}


class ShareStand(Stand):
    """An engine that trades one share."""

    def __init__(self, body: dict[str, Any], **more: Any) -> None:
        deployment = Deployment(name="BANK", symbol="HDFCBANK", plan=plan_from_mapping(body), interval="5m")
        super().__init__(deployment, **more)
        self.share("1600.00")

    def share(self, price: str) -> None:
        last = Decimal(price)
        self.tell(QuoteReceived(quote=Quote(SHARE.key, self.now, last, last - Decimal("0.05"), last + Decimal("0.05"))))

    def go(self, action: AlertAction = AlertAction.BULLISH) -> None:
        self.alert(action, deployment="BANK", symbol="HDFCBANK")

    def bought(self) -> None:
        """Hold ten shares whose stop rests."""
        self.go()
        entry = self.ticket("E")
        self.answer(entry)
        self.update(entry, entry.quantity, 1600)
        stop = self.ticket("S")
        self.answer(stop)
        self.update(stop)


def test_a_bullish_alert_buys_and_a_bearish_one_sells_short() -> None:
    for action, side, trigger in (
        (AlertAction.BULLISH, Side.BUY, Decimal(1584)),
        (AlertAction.BEARISH, Side.SELL, Decimal(1616)),
    ):
        stand = ShareStand(INTRADAY)
        stand.go(action)
        entry = stand.ticket("E")
        assert (entry.side, entry.quantity, entry.product) == (side, 10, Product.INTRADAY)
        assert entry.instrument.segment is Segment.NSE_EQ
        stand.answer(entry)
        stand.update(entry, 10, 1600)
        stop = stand.ticket("S")
        assert (stop.side, stop.trigger_price) == (side.opposite, trigger)


def test_shares_of_cnc_are_never_sold_short() -> None:
    stand = ShareStand(CNC)
    stand.go(AlertAction.BEARISH)
    assert not stand.of(PlaceOrder)
    assert "cannot be sold short" in stand.book.decisions[-1].reason


def test_the_size_is_shares_or_what_they_are_worth_or_a_share_of_risk() -> None:
    for body, units in (
        ({"lots": 7}, 7),
        ({"value": 50_000}, 31),
        ({"risk_share_pct": 1}, 312),
        ({"value": 1_000}, 0),
    ):
        stand = ShareStand({"contract": "underlying", "exits": {"stop": "1%"}, **body})
        stand.go()
        if units:
            assert stand.ticket("E").quantity == units
        else:
            assert stand.book.decisions[-1].fate == "denied"


def test_a_day_of_shares_ends_before_the_broker_squares_off() -> None:
    stand = ShareStand(INTRADAY)
    stand.bought()
    session = stand.config.calendar.session(Segment.NSE_EQ, stand.now.date())
    assert session is not None
    stand.go_to((session.square_off_start - timedelta(seconds=2)).strftime("%H:%M:%S"))
    assert stand.position.state is PositionState.OPEN
    stand.share("1601.00")
    stand.wait(2)
    assert stand.position.exit_reason == "session_end"


def test_charges_are_those_of_the_product() -> None:
    costs = []
    for body in (INTRADAY, CNC):
        stand = ShareStand(body)
        stand.bought()
        stop = stand.ticket("S")
        stand.update(stop, 10, 1584)
        assert stand.position.state is PositionState.CLOSED
        costs.append(stand.position.charges)
    assert costs[1] > costs[0] > 0, "delivery pays its tax on both sides"


def test_shares_stay_over_the_night_and_are_protected_again() -> None:
    stand = ShareStand(CNC)
    stand.bought()
    session = stand.config.calendar.session(Segment.NSE_EQ, stand.now.date())
    assert session is not None
    stand.go_to((session.close - timedelta(seconds=50)).strftime("%H:%M:%S"))
    assert stand.position.state is PositionState.CARRIED
    stand.update(stand.ticket("S"), state=OrderState.EXPIRED)
    following = stand.config.calendar.next_session(Segment.NSE_EQ, stand.now.date()).date
    stand.now = at("09:00:00", following)
    stand.tell(DayBegan(day=following))
    # The broker's list of positions is empty now: what was bought stands among the holdings.
    stand.tell(SnapshotTaken(taken_at=stand.now, available_funds=Decimal(1)))
    stand.wait(8)
    stand.tell(SnapshotTaken(taken_at=stand.now))
    assert not stand.book.frozen
    stand.now = at("09:15:01", following)
    stand.share("1605.00")
    stand.wait(1)
    stop = stand.ticket("S")
    assert (stop.quantity, stop.product, stop.trigger_price) == (10, Product.CNC, Decimal(1584))


IN_2022, WITH_AUCTION = date(2022, 6, 15), date(2026, 9, 16)


def in_its_last_minute(body: dict[str, Any], day: date, price: str) -> ShareStand:
    """Hold ten shares as the last minute of that day's trading begins, at a price of a second ago."""
    stand = ShareStand(body)
    stand.now = at("09:10:00", day)
    stand.tell(DayBegan(day=day))
    stand.now = at("10:00:00", day)
    stand.share("1600.00")
    stand.bought()
    session = stand.config.calendar.session(Segment.NSE_EQ, day)
    assert session is not None
    stand.now = session.last_minute - timedelta(seconds=2)
    stand.share(price)
    stand.wait(1)
    assert stand.position.state is PositionState.OPEN
    stand.wait(1)
    return stand


@pytest.mark.parametrize(("day", "clock"), [(IN_2022, "15:29:00"), (WITH_AUCTION, "15:14:00")])
def test_a_winner_stays_and_a_loser_leaves_in_the_last_minute_of_continuous_trading(day: date, clock: str) -> None:
    keeping = {**CNC, "overnight": "keep_winners", "exits": {"stop": "5%"}}
    winner = in_its_last_minute(keeping, day, "1650.00")
    assert (winner.now, winner.position.state) == (at(clock, day), PositionState.CARRIED)
    loser = in_its_last_minute(keeping, day, "1590.00")
    assert (loser.position.state, loser.position.exit_reason) == (PositionState.EXITING, "session_end")
    (change,) = loser.of(ModifyOrder)
    assert change.change.price is not None
    assert change.change.price < Decimal("1590.00")


@pytest.mark.parametrize(("day", "clock"), [(IN_2022, "15:20:00"), (WITH_AUCTION, "15:14:00")])
@pytest.mark.parametrize("whose", ["plan", "account"])
def test_an_hour_in_the_closing_auction_comes_with_the_last_minute_bef(day: date, clock: str, whose: str) -> None:
    hour = time(15, 20)
    session = reference.calendar().session(Segment.NSE_EQ, day)
    plan, account = (Exits(time=hour), None) if whose == "plan" else (Exits(), hour)
    reason = "time" if whose == "plan" else "session_end"
    assert exits.due(plan, session, at(clock, day) - timedelta(seconds=1), account, overnight=True) == ""
    assert exits.due(plan, session, at(clock, day), account, overnight=True) == reason


def test_nothing_is_sent_into_the_closing_auction_and_what_is_held_is_left_at_the_next_open() -> None:
    stand = in_its_last_minute({**CNC, "exits": {"stop": "5%", "time": "15:20"}}, WITH_AUCTION, "1650.00")
    stand.answer(stand.ticket("S"), kind=WriteKind.MODIFY)
    stand.go_to("15:14:59")
    sent = len(stand.of(PlaceOrder)) + len(stand.of(ModifyOrder))
    for clock in ("15:15:00", "15:15:03", "15:20:00", "15:29:59", "15:30:00"):
        stand.go_to(clock)
        assert len(stand.of(PlaceOrder)) + len(stand.of(ModifyOrder)) == sent
    assert any(told.level is Level.ALARM and "it is left when it opens" in told.text for told in stand.of(Notify))
    stand.update(stand.ticket("S"), state=OrderState.EXPIRED)
    following = stand.config.calendar.next_session(Segment.NSE_EQ, WITH_AUCTION).date
    stand.now = at("09:00:00", following)
    stand.tell(DayBegan(day=following))
    stand.tell(SnapshotTaken(taken_at=stand.now, available_funds=Decimal(1)))
    awake_until_the_open(stand)
    stand.now = at("09:15:01", following)
    stand.share("1640.00")
    stand.wait(1)
    assert (stand.position.state, stand.ticket("X").quantity) == (PositionState.EXITING, 10)


def test_shares_of_the_same_day_are_compared_with_the_broker() -> None:
    stand = ShareStand(CNC)
    stand.bought()
    empty = SnapshotTaken(taken_at=stand.now)
    assert compare_positions(stand.book, empty)
    row = BrokerPosition(segment="NSE_EQ", security_id=SHARE.security_id, product="CNC", net_quantity=10)
    assert not compare_positions(stand.book, SnapshotTaken(taken_at=stand.now, positions=(row,)))
    assert not compare_positions(Book(), empty)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"product": "CNC"}, "CNC is for shares"),
        ({"contract": "underlying", "product": "MARGIN"}, "INTRADAY or CNC"),
        ({"contract": "underlying", "product": "CNC", "on_opposite": "exit"}, "for shares that stay"),
        ({"contract": "underlying", "product": "CNC", "overnight": "keep"}, "on_opposite: exit"),
        ({"value": 1000}, "value sizes shares"),
        ({"contract": "underlying", "value": 1000, "lots": 1}, "one of them"),
        ({"contract": "underlying", "overnight": "keep"}, "CNC for a share"),
    ],
)
def test_plans_of_shares_that_cannot_be_carried_out_are_refused(body: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        plan_from_mapping(body)


def test_an_index_is_no_share() -> None:
    stand = Stand(Deployment(name="X", symbol="NIFTY", plan=plan_from_mapping(INTRADAY), interval="5m"))
    stand.alert(AlertAction.BULLISH, deployment="X")
    assert "cannot be bought itself" in stand.book.decisions[-1].reason
    assert listings().instruments.index("HDFCBANK") == SHARE
