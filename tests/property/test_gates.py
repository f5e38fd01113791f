"""No gate refuses an exit, no limit is widened, and what one gate refuses is not entered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import CALL, INDEX_KEY, LIMITS, SCALP, SPOT, Stand, at, bracket, scalp
from workbench.core.bars import Quote
from workbench.core.deployment import Limits, OwnLimits
from workbench.core.engine import Engine
from workbench.core.messages import (
    AlertAction,
    DeploymentChecked,
    FeedChecked,
    ModifyOrder,
    Operator,
    OperatorOrdered,
    PlaceOrder,
    QuoteReceived,
    SnapshotTaken,
)
from workbench.core.order import Purpose
from workbench.core.position import PositionState
from workbench.core.signal import SignalValues

CLOSED = Limits(
    max_trades_per_day=0, max_daily_loss=Decimal("0.01"), risk_per_trade_pct=Decimal("0.0001"), capital=Decimal(1),
    max_alert_age_s=0.001, max_quote_age_s=0.001, min_premium=Decimal(900), max_premium=Decimal("0.05"),
    max_open_premium=Decimal("0.01"), max_lots_per_entry=0, max_open_lots=0, max_positions_per_symbol=0,
    max_entries_per_minute=0, cooling_off_minutes=600, max_spread_pct=Decimal("0.0001"), max_spread_ticks=0,
    min_depth_pct=Decimal(1000), max_price_gap_pct=Decimal("0.0001"), needs_funds=True,
    no_entry_before=at("15:29:00").time(), no_entry_after=at("09:15:00").time(),
    no_entry_windows=((at("00:00:01").time(), at("23:59:59").time()),), square_off_at=None,
)  # fmt: skip
"""No entry could pass any of these."""


def under_closed_limits(stand: Stand) -> None:
    """The same book under limits that let nothing in."""
    stand.config = replace(
        stand.config,
        limits=replace(CLOSED, max_daily_loss=Decimal(10_000)),
        deployments=tuple(replace(each, limits=own_of(CLOSED)) for each in stand.config.deployments),
    )
    quotes = dict(stand.engine.quotes)
    stand.engine = Engine(stand.config)
    stand.engine.recover(stand.events)
    for each in quotes.values():
        stand.tell(QuoteReceived(quote=each))
    stand.shown()  # before the broker's word a restarted engine leaves nothing


def own_of(limits: Limits) -> OwnLimits:
    names = [item.name for item in dataclasses.fields(OwnLimits) if item.name != "max_daily_loss"]
    return OwnLimits(**{name: getattr(limits, name) for name in names})


Spoil = Callable[[Stand], Any]
SPOILS: dict[str, Spoil] = {
    "halted": lambda s: s.tell(OperatorOrdered(command=Operator.HALT, reason="lunch")),
    "feed dead": lambda s: s.tell(FeedChecked(alive=False, age_s=60.0, reason="silence")),
    "no funds": lambda s: s.tell(
        SnapshotTaken(taken_at=s.now, known=False, available_funds=Decimal(0), reason="not read")
    ),
    "not armed": lambda s: s.tell(DeploymentChecked(deployment=SCALP, armed=False, reason="no bars")),
    "wide market": lambda s: s.price(CALL, 120, "20"),
    "no ask": lambda s: s.tell(QuoteReceived(quote=Quote(CALL.key, s.now, Decimal(120), Decimal(119), Decimal(0)))),
    "spot far away": lambda s: s.tell(QuoteReceived(quote=Quote(INDEX_KEY, s.now, SPOT * 2, SPOT * 2, SPOT * 2))),
    "old quotes": lambda s: s.wait(30),
    "narrow limits": under_closed_limits,
}
EXITS: dict[str, tuple[Spoil, str]] = {
    "an alert": (lambda s: s.alert(AlertAction.CLOSE_CALL, fired_at=s.now - timedelta(hours=1)), "alert"),
    "a target of flat": (lambda s: s.alert(AlertAction.TARGET_FLAT, price=SPOT * 3), "alert"),
    "a signal": (lambda s: s.signal(SCALP, SignalValues(long_exit=True)), "signal"),
    "flatten": (lambda s: s.tell(OperatorOrdered(command=Operator.FLATTEN)), "manual"),
    "close": (lambda s: s.tell(OperatorOrdered(command=Operator.CLOSE)), "manual"),
    "the target": (lambda s: s.price(CALL, 151), "target"),
    "the end of the session": (lambda s: s.go_to("15:16:00"), "session_end"),
    "an opposite alert": (lambda s: s.alert(AlertAction.BEARISH), "opposite"),
}


@settings(max_examples=150, deadline=None)
@given(
    spoils=st.lists(st.sampled_from(sorted(SPOILS)), unique=True),
    way=st.sampled_from(sorted(EXITS)),
    funds=st.none() | st.just(Decimal(0)),
)
def test_no_gate_refuses_an_exit(spoils: list[str], way: str, funds: Decimal | None) -> None:
    stand = Stand()
    stand.protected()
    stop = stand.ticket("S")
    if funds is not None:
        stand.snapshot(stand.row(stop), held={CALL: 50}, available_funds=funds)
    for name in spoils:
        SPOILS[name](stand)
    assert stand.position.state is PositionState.OPEN
    before = len(stand.commands)
    leave, reason = EXITS[way]
    leave(stand)
    assert (stand.position.state, stand.position.exit_reason) == (PositionState.EXITING, reason)
    leaving = [each for each in stand.commands[before:] if isinstance(each, ModifyOrder)]
    assert [each.correlation_id for each in leaving] == [stop.correlation_id]


@settings(max_examples=60, deadline=None)
@given(spoils=st.lists(st.sampled_from(sorted(set(SPOILS) - {"old quotes", "not armed"})), unique=True, min_size=1))
def test_what_is_spoilt_for_entries_enters_nothing_and_says_why(spoils: list[str]) -> None:
    stand = Stand(limits=replace(LIMITS, max_spread_pct=Decimal(5), max_price_gap_pct=Decimal(2), needs_funds=True))
    stand.snapshot(available_funds=Decimal(500_000))
    for name in spoils:
        SPOILS[name](stand)
    allowed = set(spoils) == {"no funds"}  # a snapshot that could not be read says nothing about funds
    stand.alert(AlertAction.BULLISH, "in", price=SPOT)
    stand.wait(5)
    assert stand.fates("in") == (["entered"] if allowed else ["denied"])
    assert any(each.ticket.purpose is Purpose.ENTRY for each in stand.of(PlaceOrder)) is allowed


COUNTS = st.none() | st.integers(0, 50)
RUPEES = st.none() | st.integers(1, 100_000).map(Decimal)


@given(
    ours=st.builds(Limits, max_trades_per_day=st.integers(0, 50), max_open_lots=COUNTS, min_premium=RUPEES,
                   max_premium=RUPEES, cooling_off_minutes=COUNTS, max_spread_pct=RUPEES, min_depth_pct=RUPEES),
    own=st.builds(OwnLimits, max_trades_per_day=COUNTS, max_open_lots=COUNTS, min_premium=RUPEES,
                  max_premium=RUPEES, cooling_off_minutes=COUNTS, max_spread_pct=RUPEES, min_depth_pct=RUPEES),
)  # fmt: skip
def test_what_a_deployment_adds_only_narrows(ours: Limits, own: OwnLimits) -> None:
    both = ours.narrowed(own)
    assert both.narrowed(own) == both
    for name in ("max_trades_per_day", "max_open_lots", "max_premium", "max_spread_pct"):
        given_ = [value for value in (getattr(ours, name), getattr(own, name)) if value is not None]
        assert getattr(both, name) == (min(given_) if given_ else None)
    for name in ("min_premium", "cooling_off_minutes", "min_depth_pct"):
        given_ = [value for value in (getattr(ours, name), getattr(own, name)) if value is not None]
        assert getattr(both, name) == (max(given_) if given_ else None)


@settings(max_examples=60, deadline=None)
@given(
    lots=st.integers(1, 60), most=st.integers(0, 60), open_most=st.integers(0, 60), premium=st.integers(1, 400_000),
    stop=st.integers(1, 100),
)  # fmt: skip
def test_what_enters_is_within_every_limit(lots: int, most: int, open_most: int, premium: int, stop: int) -> None:
    limits = replace(
        LIMITS, max_lots_per_entry=most, max_open_lots=open_most, max_open_premium=Decimal(premium), needs_funds=True
    )
    stand = Stand(scalp(lots=lots, exits=bracket(str(stop))), limits=limits)
    stand.snapshot(available_funds=Decimal(300_000))
    stand.alert(AlertAction.BULLISH, "in")
    units, price = lots * 50, Decimal("120.05")
    fits = (
        lots <= most
        and lots <= open_most
        and units * price <= min(premium, 300_000)
        and units * stop <= Decimal(500_000) * LIMITS.risk_per_trade_pct / 100
    )
    assert stand.fates("in") == (["entered"] if fits else ["denied"])
