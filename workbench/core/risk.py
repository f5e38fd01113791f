# ruff: noqa: ARG001 - every gate has the one signature of a gate
"""The gates. Each is a function of (what is asked, book, limits, now) that gives a reason to refuse, or None.

Gates may refuse an entry. No gate refuses an exit: exits never come here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.deployment import Deployment, Limits
from workbench.core.instrument import Instrument, InstrumentKind
from workbench.core.money import ZERO
from workbench.core.session import Session
from workbench.core.signal import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An entry that wants to be approved.

    Parameters
    ----------
    origin : str
        "signal" or "alert".
    known_at : datetime or None
        When the signal became known or the alert fired.
    max_age : timedelta
        Oldest signal that still enters.
    price : Decimal
        Expected entry price, rupees.
    open_pnl : Decimal
        P&L of what is open now, rupees, charges so far counted.
    orders : int
        Orders into which the quantity is divided.
    largest_order : int or None
        Units of the largest of them; None: one order holds all.
    """

    deployment: Deployment
    instrument: Instrument
    side: Side
    quantity: int
    quote: Quote
    price: Decimal
    origin: str
    known_at: datetime | None
    max_age: timedelta
    session: Session | None
    open_pnl: Decimal = ZERO
    orders: int = 1
    largest_order: int | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """A gate's refusal."""

    gate: str
    reason: str


ORDERS_AT_MOST = 10
"""So many orders an entry is divided into at most."""

Gate = Callable[[Ask, Book, Limits, datetime], str | None]


def trading_switch(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Entries are halted, by a person or by a latched limit."""
    return f"entries are halted: {book.halt_reason or 'by the operator'}" if book.halted else None


def frozen(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Book and broker differ and nobody has looked yet."""
    return f"account is frozen: {book.frozen[0]}" if book.frozen else None


def armed(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A strategy without enough verified bars may not enter."""
    state = book.armed.get(ask.deployment.name)
    if ask.deployment.strategy is None or ask.origin != "signal" or (state is not None and state.armed):
        return None
    return f"{ask.deployment.name} is not armed: {state.reason if state else 'bars not checked yet'}"


def session(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Entries only while the market trades and before positions are squared off."""
    if ask.session is None:
        return f"{now:%Y-%m-%d} is not a trading day"
    if not ask.session.contains(now):
        return f"the market is closed at {now:%H:%M:%S}"
    if now >= ask.session.square_off_start:
        return f"positions are squared off from {ask.session.square_off_start:%H:%M}"
    return None


def entry_window(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """The window of entries, of the plan and of all deployments."""
    clock = now.timetz().replace(tzinfo=None)
    for window in (ask.deployment.plan, limits):
        if window.no_entry_before is not None and clock < window.no_entry_before:
            return f"no entry before {window.no_entry_before:%H:%M}"
        if window.no_entry_after is not None and clock >= window.no_entry_after:
            return f"no entry after {window.no_entry_after:%H:%M}"
    last = ask.deployment.plan.no_entry_after_on_expiry
    if last is not None and ask.instrument.expiry == now.date() and clock >= last:
        return f"no entry after {last:%H:%M} on the expiry day"
    if limits.square_off_at is not None and clock >= limits.square_off_at:
        return f"positions are squared off from {limits.square_off_at:%H:%M}"
    return None


def stale(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A signal or alert that is too old, or from the future."""
    if ask.known_at is None:
        return None
    age = now - ask.known_at
    if age > ask.max_age:
        return f"{ask.origin} is {age.total_seconds():.0f} s old, at most {ask.max_age.total_seconds():.0f} s"
    if age < timedelta(seconds=-10):
        return f"{ask.origin} is {-age.total_seconds():.0f} s in the future; check the sender's clock"
    return None


def stale_feed(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """No entry on market data that stands still."""
    if not book.feed_alive:
        return f"market data is not alive: {book.feed_reason}"
    age = (now - ask.quote.time).total_seconds()
    if ask.instrument.kind is not InstrumentKind.SYNTHETIC and age > limits.max_quote_age_s:
        return f"last quote of {ask.instrument.name} is {age:.0f} s old, at most {limits.max_quote_age_s:.0f} s"
    return None


def one_position_per_symbol(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """One live position per deployment and symbol."""
    held = book.live_of(ask.deployment.name)
    return f"{held.plan.instrument.name} is held already" if held is not None else None


def trades_a_day(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Count of entries today."""
    if book.trades_today >= limits.max_trades_per_day:
        return f"{book.trades_today} trades today, at most {limits.max_trades_per_day}"
    return None


def daily_loss(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Loss of the day after charges, open P&L counted."""
    pnl = book.realised() + ask.open_pnl
    if pnl <= -limits.max_daily_loss:
        return f"day P&L is Rs {pnl:.2f}, the limit is Rs -{limits.max_daily_loss}"
    return None


def loss_per_trade(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Loss at the stop against the share of capital that one trade may cost; without a stop all of a premium."""
    capital = limits.capital if limits.capital is not None else book.funds
    if capital is None:
        return "capital is unknown: neither set in workbench.yaml nor told by the broker"
    stop = ask.deployment.plan.exits.stop
    if stop is not None:
        distance = min(stop.rupees(ask.price), ask.price)
    elif ask.instrument.kind is InstrumentKind.OPTION and ask.side is Side.BUY:
        distance = ask.price
    else:
        return None
    loss, most = distance * ask.quantity, capital * limits.risk_per_trade_pct / 100
    if loss > most:
        return f"Rs {loss:.2f} at risk, at most Rs {most:.2f} ({limits.risk_per_trade_pct} % of Rs {capital})"
    return None


def premium_range(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A premium outside the plan's range, or a stop below one tick or nearer than three spreads."""
    if ask.instrument.kind is not InstrumentKind.OPTION:
        return None
    plan, price, tick = ask.deployment.plan, ask.price, ask.instrument.tick
    for bounds in (plan, limits):
        if bounds.min_premium is not None and price < bounds.min_premium:
            return f"premium {price} is below {bounds.min_premium}"
        if bounds.max_premium is not None and price > bounds.max_premium:
            return f"premium {price} is above {bounds.max_premium}"
    if plan.exits.stop is None:
        return None
    distance = plan.exits.stop.rupees(price)
    if ask.side is Side.BUY and price - distance < tick:
        return f"the stop would lie at {price - distance}, below one tick ({tick})"
    if distance < 3 * ask.quote.spread:
        return f"the stop is {distance} away, nearer than three spreads of {ask.quote.spread}"
    return None


def reentry(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A plan without re-entry trades once after a stop."""
    if ask.deployment.plan.reentry:
        return None
    for position in book.positions.values():
        if position.plan.deployment == ask.deployment.name and position.exit_reason in ("stop", "trail"):
            return "stopped out today and the plan does not re-enter"
    return None


def freeze_quantity(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """One order above the exchange's freeze quantity, or a quantity that is not whole lots."""
    if ask.quantity <= 0:
        return "the size comes to less than one lot"
    if ask.quantity % ask.instrument.lot:
        return f"{ask.quantity} units are not whole lots of {ask.instrument.lot}"
    freeze, largest = ask.instrument.freeze, ask.largest_order or ask.quantity
    if freeze is not None and largest > freeze:
        return f"{largest} units exceed the freeze quantity {freeze}"
    if ask.orders > ORDERS_AT_MOST:
        return f"{ask.quantity} units would take {ask.orders} orders, at most {ORDERS_AT_MOST}"
    return None


def funds(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A premium that the free funds do not pay for."""
    if ask.instrument.kind is not InstrumentKind.OPTION or ask.side is not Side.BUY or book.funds is None:
        return None
    cost = ask.price * ask.quantity
    return f"costs Rs {cost:.2f}, free funds are Rs {book.funds:.2f}" if cost > book.funds else None


GATES: dict[str, Gate] = {
    "trading_switch": trading_switch,
    "frozen": frozen,
    "armed": armed,
    "session": session,
    "entry_window": entry_window,
    "stale": stale,
    "stale_feed": stale_feed,
    "one_position_per_symbol": one_position_per_symbol,
    "reentry": reentry,
    "trades_a_day": trades_a_day,
    "daily_loss": daily_loss,
    "freeze_quantity": freeze_quantity,
    "premium_range": premium_range,
    "loss_per_trade": loss_per_trade,
    "funds": funds,
}
"""All gates in the order in which they are asked; the first refusal is the answer."""


def judge(ask: Ask, book: Book, limits: Limits, now: datetime) -> Denied | None:
    """Ask every gate; None means approved."""
    for name, gate in GATES.items():
        reason = gate(ask, book, limits, now)
        if reason is not None:
            return Denied(name, reason)
    return None


def judge_before_contract(ask_deployment: Deployment, book: Book, now: datetime, at: Session | None) -> Denied | None:
    """Ask the gates that need no contract and no quote, so that a refusal names the real cause."""
    if book.halted:
        return Denied("trading_switch", f"entries are halted: {book.halt_reason or 'by the operator'}")
    if book.frozen:
        return Denied("frozen", f"account is frozen: {book.frozen[0]}")
    if at is None or not at.contains(now):
        return Denied("session", f"the market is closed at {now:%Y-%m-%d %H:%M:%S}")
    held = book.live_of(ask_deployment.name)
    if held is not None:
        return Denied("one_position_per_symbol", f"{held.plan.instrument.name} is held already")
    return None
