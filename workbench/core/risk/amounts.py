# ruff: noqa: ARG001 - every gate has the one signature of a gate
"""Gates of rupees: what the day has lost, what this trade may lose, what is paid and what it blocks."""

from datetime import datetime
from decimal import Decimal

from workbench.core.book import Book
from workbench.core.deployment import Limits
from workbench.core.instrument import InstrumentKind
from workbench.core.money import ZERO
from workbench.core.position import Position
from workbench.core.risk.asking import Ask
from workbench.core.risk.counts import units_at_risk
from workbench.core.signal import Side

OWN_DAILY_LOSS = "own_daily_loss"
"""Why a position is left when its deployment has lost what it may lose in a day."""


def daily_loss(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Loss of the day after charges, open P&L counted.

    A deployment that was left for its own limit stays out for the day, whatever its exits brought.
    """
    name, own = ask.deployment.name, ask.deployment.limits.max_daily_loss
    if ask.open_pnl is None or ask.own_open_pnl is None:
        return "the P&L of what is open is not known: nobody quotes it"
    pnl = book.realised() + ask.open_pnl
    if pnl <= -limits.max_daily_loss:
        return f"day P&L is Rs {pnl:.2f}, the limit is Rs -{limits.max_daily_loss}"
    if own is None:
        return None
    mine = [item for item in book.positions.values() if item.plan.deployment == name]
    pnl = realised(mine) + ask.own_open_pnl
    if pnl <= -own or any(item.exit_reason == OWN_DAILY_LOSS for item in mine):
        return f"day P&L of {name} is Rs {pnl:.2f}, the limit is Rs -{own}"
    return None


def loss_per_trade(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Loss at the stop against the share of capital that one trade may cost; without a stop all of what is bought."""
    capital = limits.capital if limits.capital is not None else book.funds
    if capital is None:
        return "capital is unknown: neither set in workbench.yaml nor told by the broker"
    percent = limits.narrowed(ask.deployment.limits).risk_per_trade_pct
    loss = ask.worst_loss if ask.worst_loss is not None else _loss_at_stop(ask)
    if loss is None:
        # The index as a future is never more than practice; a share of 100 % is no limit.
        free = ask.instrument.kind is InstrumentKind.SYNTHETIC or percent >= 100
        return None if free else f"without a stop the loss of {ask.instrument.name} is not bounded"
    most = capital * percent / 100
    if loss > most:
        return f"Rs {loss:.2f} at risk, at most Rs {most:.2f} ({percent} % of Rs {capital})"
    return None


def open_premium(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Premium paid for all options that are held, with this one: what is lost if all of them expire worthless."""
    if ask.instrument.kind is not InstrumentKind.OPTION or ask.side is not Side.BUY:
        return None
    own, name = ask.deployment.limits.max_open_premium, ask.deployment.name
    for most, deployment in ((limits.max_open_premium, ""), (own, name)):
        if most is None:
            continue
        held = sum(
            (_premium(item, book) for item in book.live_positions() if deployment in ("", item.plan.deployment)),
            ask.beside_premium + (ZERO if deployment else ask.unsent_premium),
        )
        total = held + ask.price * ask.quantity
        if total > most:
            whose = f" of {deployment}" if deployment else ""
            return f"Rs {total:.2f} of premium would be open{whose}, at most Rs {most}"
    return None


def margin(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Free funds that are not known, or less than what the entry blocks by the broker's word.

    Where he was not asked, a purchase blocks its price at most. What a short position blocks only he can say.
    """
    if ask.instrument.kind is InstrumentKind.SYNTHETIC:
        return None
    if book.funds is None:
        return "free funds are not known: the broker has not told them" if limits.needs_funds else None
    needed = ask.margin
    if needed is None:
        if ask.side is Side.SELL and ask.instrument.kind is not InstrumentKind.EQUITY:
            name = ask.instrument.name
            return f"what selling {name} blocks is not known: the broker was not asked" if limits.needs_funds else None
        needed = ask.price * ask.quantity + ask.beside_premium + ask.unsent_premium
    return f"blocks Rs {needed:.2f}, free funds are Rs {book.funds:.2f}" if needed > book.funds else None


def realised(positions: list[Position]) -> Decimal:
    """Net P&L of those that are closed, rupees after charges."""
    return sum((item.net for item in positions), ZERO)


def _loss_at_stop(ask: Ask) -> Decimal | None:
    """Rupees lost at the stop; None where nothing bounds them."""
    stop, is_bought = ask.deployment.plan.exits.stop, ask.side is Side.BUY
    if stop is not None:
        distance = stop.rupees(ask.price)
        return (min(distance, ask.price) if is_bought else distance) * ask.quantity
    paid = is_bought and ask.instrument.kind in (InstrumentKind.OPTION, InstrumentKind.EQUITY)
    return ask.price * ask.quantity if paid else None


def _premium(position: Position, book: Book) -> Decimal:
    instrument = position.plan.instrument
    if instrument.kind is not InstrumentKind.OPTION or position.side is not Side.BUY:
        return ZERO
    return (position.entry_price or position.plan.reference_price) * units_at_risk(position, book)
