"""What each gate lets through and refuses: one row for each side of each of its borders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tests.unit.core.builders import CALL, DAY, LIMITS, PUT, SCALP, Stand, at, option, quote, scalp
from workbench import reference
from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.deployment import Limits, OwnLimits
from workbench.core.instrument import InstrumentKind, Right, Segment
from workbench.core.messages import (
    AccountFrozen,
    DecisionMade,
    DeploymentArmed,
    FeedJudged,
    FundsSeen,
    OrderSubmitted,
    SwitchTurned,
)
from workbench.core.plan import Combined, Exits
from workbench.core.position import Position, PositionState
from workbench.core.risk import GATES, Ask
from workbench.core.signal import Direction, Side

NOW = at("10:00:00")
SESSION = reference.calendar().session(Segment.NSE_FNO, DAY)
SPOT = Decimal(15700)


def shown(price: str = "120", spread: str = "0.10", depth: int = 500, when: datetime = NOW) -> Quote:
    return replace(quote(CALL.key, price, when, spread), bid_quantity=depth, ask_quantity=depth)


def good_ask() -> Ask:
    return Ask(
        deployment=scalp(), instrument=CALL, direction=Direction.LONG, side=Side.BUY, quantity=50, quote=shown(),
        price=Decimal(120), subject="alert-1", origin="alert", known_at=NOW, max_age=timedelta(seconds=60),
        session=SESSION, spot=SPOT, told_price=SPOT,
    )  # fmt: skip


@dataclass
class Case:
    """What the gate is asked; each test changes one thing."""

    ask: Ask = field(default_factory=good_ask)
    book: Book = field(default_factory=lambda: Book(funds=Decimal(500_000)))
    limits: Limits = field(default_factory=lambda: replace(LIMITS, needs_funds=True))
    now: datetime = NOW

    def change(self, **changes: Any) -> Case:
        self.ask = replace(self.ask, **changes)
        return self

    def plan(self, **changes: Any) -> Case:
        self.change(deployment=replace(scalp(**changes), limits=self.ask.deployment.limits))
        return self

    def own(self, **limits: Any) -> Case:
        self.change(deployment=replace(self.ask.deployment, limits=OwnLimits(**limits)))
        return self

    def limit(self, **limits: Any) -> Case:
        self.limits = replace(self.limits, **limits)
        return self

    def keep(self, position: Position) -> Case:
        self.book.positions[position.position_id] = position
        return self

    def without_funds(self) -> Case:
        self.book.funds = None
        return self

    def asked(self, gate: str) -> str | None:
        return GATES[gate](self.ask, self.book, self.limits, self.now)


def held(reason: str = "", net: str = "-10000", ago: float = 0, deployment: str = SCALP, **plan: Any) -> Position:
    """A position as a real engine holds it; with a reason a closed one that was left for it."""
    position = Stand().protected()
    changes = {"deployment": deployment, "position_id": f"{deployment}{len(reason)}{plan}", **plan}
    position = replace(position, plan=replace(position.plan, **changes))
    if not reason:
        return position
    return replace(
        position, state=PositionState.CLOSED, exit_reason=reason, net=Decimal(net), fills=(),
        closed_at=NOW - timedelta(minutes=ago),
    )  # fmt: skip


def entered(case: Case, subject: str) -> Case:
    case.book.apply(DecisionMade(subject=subject, deployment=SCALP, at=NOW, fate="entered"))
    return case


def submitted(case: Case, count: int, ago: float, deployment: str = SCALP) -> Case:
    """So many entry orders were sent so many seconds ago."""
    stand = Stand()
    stand.protected()
    ticket = stand.ticket("E")
    for number in range(count):
        sent = replace(ticket, correlation_id=f"{ticket.correlation_id}{number}{deployment}", deployment=deployment)
        case.book.apply(OrderSubmitted(ticket=sent, at=NOW - timedelta(seconds=ago)))
    return case


def sold(case: Case, **changes: Any) -> Case:
    case.change(side=Side.SELL, **changes)
    return case


def quoted(case: Case, **changes: Any) -> Case:
    case.change(quote=shown(**changes))
    return case


def future(case: Case, **changes: Any) -> Case:
    one = replace(CALL, kind=InstrumentKind.FUTURE, strike=None, right=None)
    case.change(instrument=one, **{"price": SPOT, "quantity": 50, **changes})
    return case


def signal_of(case: Case, **changes: Any) -> Case:
    case.change(deployment=scalp(strategy="ema_cross"), origin="signal", **changes)
    return case


def lacks(case: Case, word: str) -> Case:
    case.book.apply(DeploymentArmed(deployment=SCALP, armed=word == "", reason=word, at=NOW))
    return case


Change = Callable[[Case], Any]

# gate, a word of the reason ("" lets through), what is changed. Pairs stand just inside and just outside.
ROWS: list[tuple[str, str, Change]] = [
    ("trading_switch", "lunch", lambda c: c.book.apply(SwitchTurned(halted=True, at=NOW, reason="lunch", who="me"))),
    ("trading_switch", "", lambda c: c.book.apply(SwitchTurned(halted=False, at=NOW, reason="", who="me"))),
    ("frozen", "50 units", lambda c: c.book.apply(AccountFrozen(differences=("50 units more",), at=NOW))),
    ("frozen", "", lambda c: None),
    ("armed", "not checked", signal_of),
    ("armed", "40 of 200 bars", lambda c: (signal_of(c), lacks(c, "40 of 200 bars"))),
    ("armed", "", lambda c: (signal_of(c), lacks(c, ""))),
    ("session", "not a trading day", lambda c: c.change(session=None)),
    ("session", "closed", lambda c: setattr(c, "now", at("09:14:59"))),
    ("session", "", lambda c: setattr(c, "now", at("09:15:00"))),
    ("session", "squared off", lambda c: setattr(c, "now", SESSION.square_off_start if SESSION else NOW)),
    ("session", "closed", lambda c: setattr(c, "now", at("15:30:00"))),
    ("entry_window", "no entry before 10:30", lambda c: c.plan(no_entry_before=time(10, 30))),
    ("entry_window", "no entry before 10:01", lambda c: c.own(no_entry_before=time(10, 1))),
    ("entry_window", "", lambda c: c.own(no_entry_before=time(10))),
    ("entry_window", "no entry after 10:00", lambda c: c.plan(no_entry_after=time(10))),
    ("entry_window", "no entry after 10:00", lambda c: c.limit(no_entry_after=time(10))),
    ("entry_window", "", lambda c: c.limit(no_entry_after=time(10, 0, 1))),
    ("entry_window", "from 09:59 to 10:01", lambda c: c.limit(no_entry_windows=((time(9, 59), time(10, 1)),))),
    ("entry_window", "from 10:00 to 11:00", lambda c: c.own(no_entry_windows=((time(10), time(11)),))),
    ("entry_window", "", lambda c: c.limit(no_entry_windows=((time(9), time(10)), (time(10, 1), time(11))))),
    ("entry_window", "leaves at 10:00", lambda c: c.plan(exits=Exits(time=time(10)))),
    ("entry_window", "", lambda c: c.plan(exits=Exits(time=time(10, 0, 1)))),
    ("entry_window", "leaves at 09:50", lambda c: c.plan(combined=Combined(time=time(9, 50)))),
    ("entry_window", "squared off", lambda c: c.limit(square_off_at=time(10))),
    ("entry_window", "expiry day", lambda c: (c.plan(no_entry_after_on_expiry=time(9, 30)),
                                               c.change(instrument=option(15700, Right.CE, DAY)))),
    ("entry_window", "", lambda c: c.plan(no_entry_after_on_expiry=time(9, 30))),
    ("stale", "61 s old", lambda c: c.change(known_at=NOW - timedelta(seconds=61))),
    ("stale", "", lambda c: c.change(known_at=NOW - timedelta(seconds=60))),
    ("stale", "at most 20 s", lambda c: (c.own(max_alert_age_s=20.0), c.change(known_at=NOW - timedelta(seconds=21)))),
    ("stale", "in the future", lambda c: c.change(known_at=NOW + timedelta(seconds=11))),
    ("stale", "", lambda c: c.change(known_at=NOW + timedelta(seconds=10))),
    ("stale", "does not say when", lambda c: c.change(known_at=None)),
    ("duplicate", "entered already", lambda c: entered(c, "alert-1")),
    ("duplicate", "", lambda c: entered(c, "alert-2")),
    ("duplicate", "not known", lambda c: c.change(subject="")),
    ("stale_feed", "silence", lambda c: c.book.apply(FeedJudged(alive=False, at=NOW, reason="silence"))),
    ("stale_feed", "6 s old", lambda c: quoted(c, when=NOW - timedelta(seconds=6))),
    ("stale_feed", "", lambda c: quoted(c, when=NOW - timedelta(seconds=5))),
    ("stale_feed", "at most 2 s", lambda c: (c.own(max_quote_age_s=2.0), quoted(c, when=NOW - timedelta(seconds=3)))),
    ("unprotected", "NIFTY 15700 CE is held without its stop", lambda c: c.change(bare="NIFTY 15700 CE")),
    ("unprotected", "", lambda c: c.keep(held(deployment="OTHER"))),
    ("one_position_per_symbol", "held already", lambda c: c.keep(held())),
    ("one_position_per_symbol", "", lambda c: c.keep(held(deployment="OTHER"))),
    ("one_position_per_symbol", "1 positions on NIFTY",
     lambda c: (c.limit(max_positions_per_symbol=1), c.keep(held(deployment="OTHER")))),
    ("one_position_per_symbol", "",
     lambda c: (c.limit(max_positions_per_symbol=2), c.keep(held(deployment="OTHER")),
                c.keep(held(deployment="OTHER", group="OTHER0{}")))),
    ("one_position_per_symbol", "", lambda c: (c.plan(pyramiding=1), c.keep(held()))),
    ("one_position_per_symbol", "held already",
     lambda c: (c.plan(pyramiding=1), c.keep(held()), c.change(direction=Direction.SHORT))),
    ("one_position_per_symbol", "held already",
     lambda c: (c.plan(pyramiding=1), c.keep(replace(held(), exit_reason="target")))),
    ("pyramiding", "adds 0 to the first", lambda c: c.keep(held())),
    ("pyramiding", "", lambda c: (c.plan(pyramiding=1), c.keep(held()))),
    ("pyramiding", "2 entries", lambda c: (c.plan(pyramiding=1), c.keep(held()), c.keep(held(subject="b")))),
    ("reentry", "does not re-enter", lambda c: (c.plan(reentry=False), c.keep(held("trail", net="0")))),
    ("reentry", "does not re-enter", lambda c: (c.plan(reentry=False), c.keep(held("underlying_stop", net="0")))),
    ("reentry", "", lambda c: (c.plan(reentry=False), c.keep(held("target", net="0")))),
    ("reentry", "", lambda c: (c.plan(reentry=False), c.keep(held("stop", net="0", deployment="OTHER")))),
    ("cooling_off", "no entry before 10:01",
     lambda c: (c.limit(cooling_off_minutes=15), c.keep(held("stop", net="0", ago=14)))),
    ("cooling_off", "", lambda c: (c.limit(cooling_off_minutes=15), c.keep(held("stop", net="0", ago=15)))),
    ("cooling_off", "no entry before", lambda c: (c.own(cooling_off_minutes=15), c.keep(held("gap", net="0", ago=14)))),
    ("cooling_off", "", lambda c: (c.limit(cooling_off_minutes=15), c.keep(held("target", net="0", ago=1)))),
    ("cooling_off", "",
     lambda c: (c.limit(cooling_off_minutes=15), c.keep(held("stop", net="0", ago=1, deployment="OTHER")))),
    ("trades_a_day", "50 trades today, at most 50", lambda c: setattr(c.book, "trades_today", 50)),
    ("trades_a_day", "", lambda c: setattr(c.book, "trades_today", 49)),
    ("trades_a_day", "1 trades of SCALP_ATM", lambda c: (c.own(max_trades_per_day=1), c.keep(held("target", net="0")))),
    ("trades_a_day", "",
     lambda c: (c.own(max_trades_per_day=1), c.keep(held("target", net="0", deployment="OTHER")),
                c.keep(held("target", net="0", group="P1")),
                c.keep(held("target", net="0", at=NOW - timedelta(days=1))))),
    ("order_rate", "6 entry orders within a minute, at most 5",
     lambda c: (c.limit(max_entries_per_minute=5), submitted(c, 5, 59))),
    ("order_rate", "", lambda c: (c.limit(max_entries_per_minute=5), submitted(c, 4, 59))),
    ("order_rate", "", lambda c: (c.limit(max_entries_per_minute=5), submitted(c, 5, 60))),
    ("order_rate", "at most 5", lambda c: (c.limit(max_entries_per_minute=5), c.change(orders=6, largest_order=50))),
    ("order_rate", "at most 5", lambda c: (c.limit(max_entries_per_minute=5), c.change(unsent_orders=5))),
    ("order_rate", "of SCALP_ATM", lambda c: (c.own(max_entries_per_minute=1), submitted(c, 1, 1))),
    ("order_rate", "", lambda c: (c.own(max_entries_per_minute=1), submitted(c, 1, 1, "OTHER"))),
    ("daily_loss", "the limit is Rs -10000", lambda c: c.keep(held("target"))),
    ("daily_loss", "", lambda c: c.keep(held("target", net="-9999.99"))),
    ("daily_loss", "the limit", lambda c: c.change(open_pnl=Decimal(-10_000))),
    ("daily_loss", "the limit", lambda c: (c.keep(held("target", net="-6000")), c.change(open_pnl=Decimal(-4000)))),
    ("daily_loss", "not known", lambda c: c.change(open_pnl=None)),
    ("daily_loss", "not known", lambda c: c.change(own_open_pnl=None)),
    ("daily_loss", "day P&L of SCALP_ATM",
     lambda c: (c.own(max_daily_loss=Decimal(3000)), c.keep(held("target", net="-2000")),
                c.change(own_open_pnl=Decimal(-1000)))),
    ("daily_loss", "",
     lambda c: (c.own(max_daily_loss=Decimal(3000)), c.keep(held("target", net="-5000", deployment="OTHER")),
                c.change(own_open_pnl=Decimal("-2999.99")))),
    ("daily_loss", "day P&L of SCALP_ATM",
     lambda c: (c.own(max_daily_loss=Decimal(3000)), c.keep(held("own_daily_loss", net="-2500")))),
    ("freeze_quantity", "less than one lot", lambda c: c.change(quantity=0)),
    ("freeze_quantity", "whole lots", lambda c: c.change(quantity=75)),
    ("freeze_quantity", "freeze quantity 1800", lambda c: c.change(quantity=1850)),
    ("freeze_quantity", "", lambda c: c.change(quantity=1800)),
    ("freeze_quantity", "", lambda c: c.change(quantity=18_000, largest_order=1800, orders=10)),
    ("freeze_quantity", "11 orders", lambda c: c.change(quantity=19_800, largest_order=1800, orders=11)),
    ("lots", "3 lots in one entry, at most 2", lambda c: (c.limit(max_lots_per_entry=2), c.change(quantity=150))),
    ("lots", "", lambda c: (c.limit(max_lots_per_entry=2), c.change(quantity=100))),
    ("lots", "at most 1", lambda c: (c.limit(max_lots_per_entry=2), c.own(max_lots_per_entry=1),
                                     c.change(quantity=100))),
    ("lots", "2 lots would be open, at most 1", lambda c: (c.limit(max_open_lots=1), c.keep(held(deployment="OTHER")))),
    ("lots", "", lambda c: (c.limit(max_open_lots=2), c.keep(held(deployment="OTHER")))),
    ("lots", "at most 1", lambda c: (c.limit(max_open_lots=1), c.change(unsent_lots=1))),
    ("lots", "open of SCALP_ATM", lambda c: (c.own(max_open_lots=1), c.change(beside_lots=1))),
    ("lots", "open of SCALP_ATM", lambda c: (c.own(max_open_lots=1), c.keep(held()))),
    ("lots", "", lambda c: (c.own(max_open_lots=1), c.keep(held(deployment="OTHER")))),
    ("price_band", "is no price", lambda c: c.change(price=Decimal(0))),
    ("price_band", "15385.95, ours is 15700",
     lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(told_price=Decimal("15385.95")))),
    ("price_band", "", lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(told_price=Decimal(15386)))),
    ("price_band", "", lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(told_price=None))),
    ("price_band", "not known", lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(spot=None))),
    ("price_band", "does not fit",
     lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(instrument=option(15200), price=Decimal("185.95")))),
    ("price_band", "",
     lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(instrument=option(15200), price=Decimal(186)))),
    ("price_band", "does not fit",
     lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(instrument=PUT, price=Decimal("16014.05")))),
    ("price_band", "",
     lambda c: (c.limit(max_price_gap_pct=Decimal(2)), c.change(instrument=PUT, price=Decimal(16014)))),
    ("price_band", "does not fit",
     lambda c: (c.own(max_price_gap_pct=Decimal(1)), future(c, price=Decimal("15857.05")))),
    ("price_band", "", lambda c: (c.own(max_price_gap_pct=Decimal(1)), future(c, price=Decimal(15857)))),
    ("spread", "are no market", lambda c: c.change(quote=replace(shown(), bid=Decimal(121)))),
    ("spread", "are no market", lambda c: c.change(quote=replace(shown(), bid=Decimal(0)))),
    ("spread", "5.02 %", lambda c: (c.limit(max_spread_pct=Decimal(5)), quoted(c, price="122.5", spread="6.15"))),
    ("spread", "", lambda c: (c.limit(max_spread_pct=Decimal(5)), quoted(c, price="123", spread="6.15"))),
    ("spread", "", lambda c: (c.limit(max_spread_pct=Decimal(1), max_spread_ticks=124), quoted(c, spread="6.20"))),
    ("spread", "at most 1 %", lambda c: (c.limit(max_spread_pct=Decimal(1), max_spread_ticks=123),
                                         quoted(c, spread="6.20"))),
    ("spread", "5 ticks, at most 4", lambda c: (c.limit(max_spread_ticks=4), quoted(c, spread="0.25"))),
    ("spread", "", lambda c: (c.limit(max_spread_ticks=4), quoted(c, spread="0.20"))),
    ("spread", "at most 2 %", lambda c: (c.limit(max_spread_pct=Decimal(5)), c.own(max_spread_pct=Decimal(2)),
                                         quoted(c, spread="3"))),
    ("depth", "24 units", lambda c: (c.limit(min_depth_pct=Decimal(50)), quoted(c, depth=24))),
    ("depth", "", lambda c: (c.limit(min_depth_pct=Decimal(50)), quoted(c, depth=25))),
    ("depth", "not known", lambda c: (c.limit(min_depth_pct=Decimal(50)), quoted(c, depth=0))),
    ("depth", "", lambda c: quoted(c, depth=0)),
    ("depth", "wanted 50", lambda c: (c.limit(min_depth_pct=Decimal(50)), c.own(min_depth_pct=Decimal(100)),
                                      quoted(c, depth=49))),
    ("premium_range", "below", lambda c: c.plan(min_premium=Decimal("120.05"))),
    ("premium_range", "", lambda c: c.plan(min_premium=Decimal(120), max_premium=Decimal(120))),
    ("premium_range", "above", lambda c: c.plan(max_premium=Decimal("119.95"))),
    ("premium_range", "above", lambda c: c.limit(max_premium=Decimal("119.95"))),
    ("premium_range", "above", lambda c: (c.limit(max_premium=Decimal(200)), c.own(max_premium=Decimal(119)))),
    ("premium_range", "below one tick", lambda c: c.change(price=Decimal(15))),
    ("premium_range", "", lambda c: c.change(price=Decimal("15.05"))),
    ("premium_range", "three spreads", lambda c: quoted(c, spread="5.05")),
    ("premium_range", "", lambda c: quoted(c, spread="5")),
    ("open_premium", "Rs 12000.00 of premium would be open, at most Rs 11999",
     lambda c: (c.limit(max_open_premium=Decimal(11_999)), c.keep(held(deployment="OTHER")))),
    ("open_premium", "", lambda c: (c.limit(max_open_premium=Decimal(12_000)), c.keep(held(deployment="OTHER")))),
    ("open_premium", "at most", lambda c: (c.limit(max_open_premium=Decimal(6000)),
                                           c.change(unsent_premium=Decimal("0.05")))),
    ("open_premium", "of SCALP_ATM",
     lambda c: (c.own(max_open_premium=Decimal(6000)), c.change(beside_premium=Decimal("0.05")))),
    ("open_premium", "of SCALP_ATM", lambda c: (c.own(max_open_premium=Decimal(5999)),)),
    ("open_premium", "", lambda c: (c.own(max_open_premium=Decimal(6000)), c.keep(held(deployment="OTHER")))),
    ("open_premium", "", lambda c: (c.limit(max_open_premium=Decimal(1)), sold(c))),
    ("open_premium", "",
     lambda c: (c.limit(max_open_premium=Decimal(6000)), c.keep(held(deployment="OTHER", side=Side.SELL)))),
    ("loss_per_trade", "Rs 750.00 at risk", lambda c: c.limit(capital=Decimal(37_499))),
    ("loss_per_trade", "", lambda c: c.limit(capital=Decimal(37_500))),
    ("loss_per_trade", "(0.1 % of", lambda c: c.own(risk_per_trade_pct=Decimal("0.1"))),
    ("loss_per_trade", "Rs 12000.00 at risk", lambda c: (c.plan(exits=Exits()), c.change(quantity=100))),
    ("loss_per_trade", "", lambda c: c.plan(exits=Exits())),
    ("loss_per_trade", "capital is unknown", lambda c: c.limit(capital=None).without_funds()),
    ("loss_per_trade", "is not bounded", lambda c: (c.plan(exits=Exits()), sold(c))),
    ("loss_per_trade", "is not bounded", lambda c: (c.plan(exits=Exits()), future(c))),
    ("loss_per_trade", "Rs 10000.05 at risk",
     lambda c: (c.plan(exits=Exits()), sold(c, worst_loss=Decimal("10000.05")))),
    ("loss_per_trade", "", lambda c: (c.plan(exits=Exits()), sold(c, worst_loss=Decimal(10_000)))),
    ("margin", "blocks Rs 6000.00, free funds are Rs 5999.99",
     lambda c: c.book.apply(FundsSeen(available=Decimal("5999.99"), at=NOW))),
    ("margin", "", lambda c: c.book.apply(FundsSeen(available=Decimal(6000), at=NOW))),
    ("margin", "free funds are not known", lambda c: c.without_funds()),
    ("margin", "broker was not asked", sold),
    ("margin", "blocks Rs 500000.05", lambda c: sold(c, margin=Decimal("500000.05"))),
    ("margin", "", lambda c: sold(c, margin=Decimal(500_000))),
    ("margin", "blocks Rs 785000.00", future),
    ("margin", "", lambda c: future(c, margin=Decimal(150_000))),
    ("margin", "blocks Rs 500000.05", lambda c: c.change(beside_premium=Decimal("494000.05"))),
    ("margin", "blocks", lambda c: c.change(unsent_premium=Decimal("494000.05"))),
]  # fmt: skip
