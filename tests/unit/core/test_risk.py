"""Each gate alone: it lets the good entry through and refuses the bad one, with its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, DAY, LIMITS, SCALP, Stand, at, bracket, quote, scalp
from workbench import reference
from workbench.core.book import Book
from workbench.core.deployment import Deployment, Limits
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.messages import AccountFrozen, DeploymentArmed, FeedJudged, FundsSeen, SwitchTurned
from workbench.core.plan import Distance, Exits
from workbench.core.position import Position, PositionState
from workbench.core.risk import GATES, Ask, Denied, judge, judge_before_contract
from workbench.core.signal import Direction, Side

NOW = at("10:00:00")
SESSION = reference.calendar().session(Segment.NSE_FNO, DAY)


def good_ask() -> Ask:
    return Ask(
        deployment=scalp(), instrument=CALL, direction=Direction.LONG, side=Side.BUY, quantity=50, subject="a1", quote=quote(CALL.key, 120, NOW),
        price=Decimal(120), origin="alert", known_at=NOW, max_age=timedelta(seconds=60), session=SESSION,
    )  # fmt: skip


@dataclass
class Case:
    """What the gate is asked; each test spoils one thing."""

    ask: Ask = field(default_factory=good_ask)
    book: Book = field(default_factory=Book)
    limits: Limits = LIMITS
    now: datetime = NOW

    def change(self, **changes: Any) -> None:
        self.ask = replace(self.ask, **changes)

    def plan(self, **changes: Any) -> None:
        self.change(deployment=scalp(**changes))


def held(reason: str = "") -> Position:
    """A position as a real engine holds it; with a reason a closed one that was left for it."""
    position = Stand().protected()
    if not reason:
        return position
    return replace(position, state=PositionState.CLOSED, exit_reason=reason, net=Decimal(-10_000))


def keep(case: Case, position: Position) -> None:
    case.book.positions[position.position_id] = position


def stopped_out(case: Case) -> None:
    case.plan(reentry=False)
    keep(case, replace(held("trail"), net=Decimal(0)))


def without_a_stop(case: Case) -> None:
    case.plan(exits=Exits())
    case.change(quantity=100)


BAD: list[tuple[str, str, Callable[[Case], Any]]] = [
    ("trading_switch", "halted", lambda c: c.book.apply(SwitchTurned(halted=True, at=NOW, reason="lunch", who="me"))),
    ("frozen", "frozen", lambda c: c.book.apply(AccountFrozen(differences=("50 units more",), at=NOW))),
    ("armed", "not armed", lambda c: c.change(deployment=scalp(strategy="ema_cross"), origin="signal")),
    ("session", "not a trading day", lambda c: c.change(session=None)),
    ("session", "closed", lambda c: setattr(c, "now", at("09:14:59"))),
    ("session", "closed", lambda c: setattr(c, "now", at("15:30:00"))),
    ("session", "squared off", lambda c: setattr(c, "now", SESSION.square_off_start if SESSION else NOW)),
    ("entry_window", "no entry before 10:30", lambda c: c.plan(no_entry_before=at("10:30:00").time())),
    ("entry_window", "no entry after 10:00", lambda c: c.plan(no_entry_after=at("10:00:00").time())),
    ("entry_window", "no entry after", lambda c: setattr(c, "limits", replace(LIMITS, no_entry_after=NOW.time()))),
    ("entry_window", "squared off", lambda c: setattr(c, "limits", replace(LIMITS, square_off_at=NOW.time()))),
    ("stale", "61 s old", lambda c: c.change(known_at=NOW - timedelta(seconds=61))),
    ("stale", "in the future", lambda c: c.change(known_at=NOW + timedelta(seconds=11))),
    ("stale_feed", "not alive", lambda c: c.book.apply(FeedJudged(alive=False, at=NOW, reason="silence"))),
    ("stale_feed", "6 s old", lambda c: c.change(quote=quote(CALL.key, 120, NOW - timedelta(seconds=6)))),
    ("one_position_per_symbol", "held already", lambda c: keep(c, held())),
    ("reentry", "does not re-enter", stopped_out),
    ("trades_a_day", "at most 50", lambda c: setattr(c.book, "trades_today", 50)),
    ("daily_loss", "limit", lambda c: keep(c, held("stop"))),
    ("daily_loss", "limit", lambda c: c.change(open_pnl=Decimal(-10_000))),
    ("freeze_quantity", "less than one lot", lambda c: c.change(quantity=0)),
    ("freeze_quantity", "whole lots", lambda c: c.change(quantity=75)),
    ("freeze_quantity", "freeze quantity 1800", lambda c: c.change(quantity=1850)),
    ("premium_range", "below", lambda c: c.plan(min_premium=Decimal(121))),
    ("premium_range", "above", lambda c: c.plan(max_premium=Decimal(119))),
    ("premium_range", "above", lambda c: setattr(c, "limits", replace(LIMITS, max_premium=Decimal(119)))),
    ("premium_range", "below one tick", lambda c: c.change(price=Decimal(15))),
    ("premium_range", "three spreads", lambda c: c.change(quote=quote(CALL.key, 120, NOW, "5.10"))),
    ("loss_per_trade", "at most", lambda c: setattr(c, "limits", replace(LIMITS, capital=Decimal(37_000)))),
    ("loss_per_trade", "at risk", without_a_stop),
    ("loss_per_trade", "capital is unknown", lambda c: setattr(c, "limits", replace(LIMITS, capital=None))),
    ("funds", "free funds", lambda c: c.book.apply(FundsSeen(available=Decimal("5999.99"), at=NOW))),
]  # fmt: skip


def test_a_good_entry_passes_every_gate() -> None:
    case = Case()
    assert judge(case.ask, case.book, case.limits, case.now) is None


@pytest.mark.parametrize(("gate", "word", "spoil"), BAD, ids=[f"{gate}-{word}" for gate, word, _ in BAD])
def test_one_gate_refuses_for_one_reason(gate: str, word: str, spoil: Callable[[Case], Any]) -> None:
    case = Case()
    assert GATES[gate](case.ask, case.book, case.limits, case.now) is None
    spoil(case)
    reason = GATES[gate](case.ask, case.book, case.limits, case.now)
    assert reason is not None
    assert word in reason
    others = [name for name in GATES if name != gate and GATES[name](case.ask, case.book, case.limits, case.now)]
    # A market that is closed, a lost day and the like may be refused by more than one gate; none may be silent.
    assert judge(case.ask, case.book, case.limits, case.now) is not None
    assert len(others) <= 2


def test_every_gate_is_proved_able_to_refuse() -> None:
    assert {gate for gate, _, _ in BAD} == set(GATES)


def test_an_armed_deployment_may_enter_and_a_disarmed_one_not() -> None:
    case = Case(ask=replace(good_ask(), deployment=scalp(strategy="ema_cross"), origin="signal"))
    case.book.apply(DeploymentArmed(deployment=SCALP, armed=True, reason="", at=NOW))
    assert GATES["armed"](case.ask, case.book, case.limits, NOW) is None
    case.book.apply(DeploymentArmed(deployment=SCALP, armed=False, reason="40 of 200 bars", at=NOW))
    assert "40 of 200 bars" in str(GATES["armed"](case.ask, case.book, case.limits, NOW))


def test_an_alert_without_a_time_is_not_stale() -> None:
    assert GATES["stale"](replace(good_ask(), known_at=None), Book(), LIMITS, NOW) is None


def test_the_index_as_future_needs_no_fresh_quote_no_premium_and_no_funds() -> None:
    synthetic = replace(CALL, kind=InstrumentKind.SYNTHETIC, strike=None, right=None)
    old = quote(synthetic.key, 15700, NOW - timedelta(minutes=1))
    ask = replace(
        good_ask(), instrument=synthetic, quote=old, deployment=scalp(exits=Exits(), contract="index_as_future")
    )
    book = Book(funds=Decimal(1))
    for gate in ("stale_feed", "premium_range", "funds", "loss_per_trade"):
        assert GATES[gate](ask, book, LIMITS, NOW) is None


def test_the_loss_of_a_bought_option_is_its_premium_at_most() -> None:
    wide = scalp(exits=bracket("500"))
    ask = replace(good_ask(), deployment=wide, quantity=50)
    assert GATES["loss_per_trade"](ask, Book(), replace(LIMITS, capital=Decimal(300_000)), NOW) is None
    assert GATES["loss_per_trade"](ask, Book(), replace(LIMITS, capital=Decimal(299_999)), NOW) is not None


def test_a_stop_in_percent_counts_at_the_price() -> None:
    ask = replace(good_ask(), deployment=scalp(exits=Exits(stop=Distance(percent=Decimal(50)))))
    assert GATES["loss_per_trade"](ask, Book(), replace(LIMITS, capital=Decimal(150_000)), NOW) is None
    assert GATES["loss_per_trade"](ask, Book(), replace(LIMITS, capital=Decimal(149_000)), NOW) is not None


def test_capital_comes_from_the_funds_where_none_is_set() -> None:
    limits = replace(LIMITS, capital=None)
    assert GATES["loss_per_trade"](good_ask(), Book(funds=Decimal(37_500)), limits, NOW) is None
    assert GATES["loss_per_trade"](good_ask(), Book(funds=Decimal(37_499)), limits, NOW) is not None


@pytest.mark.parametrize(
    ("spoil", "gate"),
    [
        (lambda book: book.apply(SwitchTurned(halted=True, at=NOW, reason="", who="me")), "trading_switch"),
        (lambda book: book.apply(AccountFrozen(differences=("x",), at=NOW)), "frozen"),
        (lambda book: book.positions.update({"p": held()}), "one_position_per_symbol"),
    ],
)
def test_what_needs_no_contract_is_asked_before_one_is_looked_for(spoil: Callable[[Book], Any], gate: str) -> None:
    book, deployment = Book(), scalp()
    assert judge_before_contract(deployment, book, NOW, SESSION) is None
    spoil(book)
    denied = judge_before_contract(deployment, book, NOW, SESSION)
    assert isinstance(denied, Denied)
    assert denied.gate == gate


def test_a_closed_market_is_named_before_anything_else() -> None:
    deployment: Deployment = scalp()
    for session, now in ((None, NOW), (SESSION, at("15:31:00"))):
        denied = judge_before_contract(deployment, Book(), now, session)
        assert denied is not None
        assert denied.gate == "session"
