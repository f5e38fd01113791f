"""Each gate alone: it lets what is just inside through and refuses what is just outside, with its own name.

What a gate needs and nobody knows is refused, too; and what a deployment keeps besides its account only narrows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import CALL, LIMITS, Stand, at, bracket, quote, scalp
from tests.unit.core.gate_cases import NOW, ROWS, SESSION, SPOT, Case, Change, good_ask, held
from workbench.core.book import Book
from workbench.core.deployment import Deployment, Limits, OwnLimits, is_wider
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.messages import (
    AccountFrozen,
    AlertAction,
    FeedJudged,
    SwitchTurned,
)
from workbench.core.plan import Distance, Exits
from workbench.core.risk import GATES, Denied, amounts, counts, judge, judge_before_contract, prices, times
from workbench.core.signal import Side

ORDER = [
    "trading_switch", "frozen", "armed", "session", "entry_window", "stale", "duplicate", "stale_feed",
    "unprotected", "one_position_per_symbol", "pyramiding", "reentry", "cooling_off", "trades_a_day", "order_rate",
    "daily_loss", "freeze_quantity", "lots", "price_band", "spread", "depth", "premium_range", "open_premium",
    "loss_per_trade", "margin",
]  # fmt: skip


def names(rows: list[tuple[str, str, Change]]) -> list[str]:
    return [f"{gate}-{word or 'passes'}-{number}" for number, (gate, word, _) in enumerate(rows)]


def test_a_good_entry_passes_every_gate() -> None:
    case = Case()
    assert judge(case.ask, case.book, case.limits, case.now) is None


@pytest.mark.parametrize(("gate", "word", "change"), ROWS, ids=names(ROWS))
def test_one_gate_refuses_for_one_reason_and_passes_just_inside(gate: str, word: str, change: Change) -> None:
    case = Case()
    assert case.asked(gate) is None
    change(case)
    reason = case.asked(gate)
    if not word:
        assert reason is None
        return
    assert reason is not None
    assert word in reason
    denied = judge(case.ask, case.book, case.limits, case.now)
    # Another gate may refuse the same entry earlier; none may let it pass, and whoever refuses has a name of the table.
    assert denied is not None
    assert denied.gate in ORDER[: ORDER.index(gate) + 1]


def test_every_gate_is_proved_able_to_refuse_and_to_pass() -> None:
    assert {gate for gate, word, _ in ROWS if word} == set(GATES)
    assert {gate for gate, word, _ in ROWS if not word} == set(GATES)


def test_the_table_holds_every_gate_in_its_order() -> None:
    assert list(GATES) == ORDER
    written = {
        name
        for module in (times, counts, amounts, prices)
        for name, made in inspect.getmembers(module, inspect.isfunction)
        if made.__module__ == module.__name__ and list(inspect.signature(made).parameters) == _of_a_gate()
    }
    assert written == set(GATES)
    assert all(gate.__name__ == name and gate.__doc__ for name, gate in GATES.items())


def _of_a_gate() -> list[str]:
    return ["ask", "book", "limits", "now"]


# --- the account and its deployments --------------------------------------------------------------------------------


def test_a_deployment_narrows_its_account_and_never_widens_it() -> None:
    values: dict[str, tuple[Any, Any]] = {
        item.name: (time(9, 20), time(15, 0)) if item.name.startswith("no_entry") else (10, 20)
        for item in fields(OwnLimits)
        if item.name != "no_entry_windows"
    }
    for name, (low, high) in values.items():
        grows = name in ("min_premium", "min_depth_pct", "cooling_off_minutes", "no_entry_before")
        narrow, wide = (high, low) if grows else (low, high)
        ours, theirs = replace(LIMITS, **{name: wide}), replace(LIMITS, **{name: narrow})
        assert getattr(ours.narrowed(OwnLimits(**{name: narrow})), name) == narrow
        assert getattr(theirs.narrowed(OwnLimits(**{name: wide})), name) == narrow
        assert getattr(ours.narrowed(OwnLimits()), name) == wide
        assert is_wider(name, narrow, wide)
        assert not is_wider(name, wide, narrow)
        assert not is_wider(name, wide, None)
    window = ((time(12), time(13)),)
    assert replace(LIMITS, no_entry_windows=window).narrowed(OwnLimits()).no_entry_windows == window
    assert LIMITS.narrowed(OwnLimits(no_entry_windows=window)).no_entry_windows == window


def test_every_limit_of_a_deployment_is_one_of_the_account() -> None:
    assert {item.name for item in fields(OwnLimits)} <= {item.name for item in fields(Limits)}


# --- the corners ------------------------------------------------------------------------------------------------------


def test_the_index_as_future_needs_no_fresh_quote_no_depth_no_premium_and_no_funds() -> None:
    synthetic = replace(CALL, kind=InstrumentKind.SYNTHETIC, strike=None, right=None)
    old = quote(synthetic.key, 15700, NOW - timedelta(minutes=1), "0")
    ask = replace(
        good_ask(), instrument=synthetic, quote=old, price=SPOT,
        deployment=scalp(exits=Exits(), contract="index_as_future"),
    )  # fmt: skip
    limits = replace(
        LIMITS, needs_funds=True, min_depth_pct=Decimal(100), max_spread_ticks=1, max_open_premium=Decimal(1)
    )
    book = Book(funds=Decimal(1))
    for gate in ("stale_feed", "spread", "depth", "premium_range", "open_premium", "loss_per_trade", "margin"):
        assert GATES[gate](ask, book, limits, NOW) is None


def test_a_share_bought_costs_its_price_at_most_and_a_share_sold_blocks_as_much() -> None:
    share = Instrument(segment=Segment.NSE_EQ, security_id="1333", symbol="HDFCBANK", kind=InstrumentKind.EQUITY)
    ask = replace(good_ask(), instrument=share, price=Decimal(1500), quantity=10, deployment=scalp(exits=Exits()))
    limits = replace(LIMITS, needs_funds=True, capital=Decimal(750_000))
    for gate in ("loss_per_trade", "margin"):
        assert GATES[gate](ask, Book(funds=Decimal(15_000)), limits, NOW) is None
    short = replace(ask, side=Side.SELL)
    assert GATES["margin"](short, Book(funds=Decimal(15_000)), limits, NOW) is None
    assert GATES["margin"](short, Book(funds=Decimal("14999.99")), limits, NOW) is not None
    assert "not bounded" in str(GATES["loss_per_trade"](short, Book(), limits, NOW))


def test_where_all_may_be_lost_an_unbounded_loss_is_no_reason() -> None:
    ask = replace(good_ask(), side=Side.SELL, deployment=scalp(exits=Exits()))
    assert GATES["loss_per_trade"](ask, Book(), replace(LIMITS, risk_per_trade_pct=Decimal(100)), NOW) is None


def test_where_funds_are_not_needed_only_known_ones_are_compared() -> None:
    assert GATES["margin"](good_ask(), Book(), LIMITS, NOW) is None
    assert GATES["margin"](replace(good_ask(), side=Side.SELL), Book(funds=Decimal(1)), LIMITS, NOW) is None
    assert GATES["margin"](good_ask(), Book(funds=Decimal(1)), LIMITS, NOW) is not None


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


def test_an_entry_under_way_counts_with_all_that_was_planned() -> None:
    stand = Stand(scalp(lots=3))
    stand.alert(AlertAction.BULLISH)
    ask = replace(good_ask(), deployment=scalp("OTHER"))
    limits = replace(LIMITS, max_open_lots=3, max_open_premium=Decimal(23_999))
    stand.update(stand.ticket("E"), 50, 120)
    assert "4 lots would be open" in str(GATES["lots"](ask, stand.book, limits, NOW))
    assert "premium would be open" in str(GATES["open_premium"](ask, stand.book, limits, NOW))
    stand.update(stand.ticket("E"), 150, 120)
    assert GATES["lots"](ask, stand.book, replace(limits, max_open_lots=4), NOW) is None


@pytest.mark.parametrize(
    ("spoil", "gate"),
    [
        (lambda book: book.apply(SwitchTurned(halted=True, at=NOW, reason="", who="me")), "trading_switch"),
        (lambda book: book.apply(AccountFrozen(differences=("x",), at=NOW)), "frozen"),
        (lambda book: book.apply(FeedJudged(alive=False, at=NOW, reason="silence")), "stale_feed"),
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


def test_a_bought_option_without_any_stop_is_refused_in_words_and_one_with_a_stop_is_not() -> None:
    bare, target_only = scalp(exits=Exits()), scalp(exits=Exits(target=Distance(points=Decimal(30))))
    for deployment in (bare, target_only):
        denied = judge_before_contract(deployment, Book(), NOW, SESSION)
        assert denied == Denied("exits", "plan 'scalp' trades options without a stop: give exits.stop")
        stand = Stand(deployment)
        stand.alert(AlertAction.BULLISH, "a1")
        assert (stand.fates("a1"), stand.tickets()) == (["denied"], [])
    for fine in (scalp(), scalp(exits=Exits(), contract="index_as_future")):
        assert judge_before_contract(fine, Book(), NOW, SESSION) is None
