# ruff: noqa: ARG001 - every gate has the one signature of a gate
"""Gates of switches and times: may anything enter now, and is what asks fresh."""

from datetime import datetime, timedelta

from workbench.core.book import Book
from workbench.core.deployment import Limits
from workbench.core.instrument import InstrumentKind
from workbench.core.risk.asking import Ask

AHEAD = timedelta(seconds=10)
"""So far a sender's clock may be before ours."""

STOPPED = frozenset({"stop", "trail", "lock", "gap", "underlying_stop", "strike", "hourly_close"})
"""Reasons of positions that left because the market went against them."""


def trading_switch(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Entries are halted, by a person or by a latched limit."""
    return halted(book, ask.deployment.name)


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
    """The times of entries: of the plan, of the deployment, of the account."""
    clock = now.timetz().replace(tzinfo=None)
    limits = limits.narrowed(ask.deployment.limits)
    for window in (ask.deployment.plan, limits):
        if window.no_entry_before is not None and clock < window.no_entry_before:
            return f"no entry before {window.no_entry_before:%H:%M}"
        if window.no_entry_after is not None and clock >= window.no_entry_after:
            return f"no entry after {window.no_entry_after:%H:%M}"
    leaves_at = ask.deployment.plan.leaves_at
    if leaves_at is not None and clock >= leaves_at:
        return f"the plan leaves at {leaves_at:%H:%M}: what enters now would leave at once"
    for begin, end in limits.no_entry_windows:
        if begin <= clock < end:
            return f"no entry from {begin:%H:%M} to {end:%H:%M}"
    last = ask.deployment.plan.no_entry_after_on_expiry
    if last is not None and ask.instrument.expiry == now.date() and clock >= last:
        return f"no entry after {last:%H:%M} on the expiry day"
    if limits.square_off_at is not None and clock >= limits.square_off_at:
        return f"positions are squared off from {limits.square_off_at:%H:%M}"
    return None


def stale(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A signal or alert that is too old, from the future, or without a time."""
    if ask.known_at is None:
        return f"{ask.origin} does not say when it fired"
    age, most = now - ask.known_at, ask.max_age
    own = ask.deployment.limits.max_alert_age_s
    if own is not None and ask.origin == "alert":
        most = min(most, timedelta(seconds=own))
    if age > most:
        return f"{ask.origin} is {age.total_seconds():.0f} s old, at most {most.total_seconds():.0f} s"
    if age < -AHEAD:
        return f"{ask.origin} is {-age.total_seconds():.0f} s in the future; check the sender's clock"
    return None


def duplicate(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """One signal or alert enters once: told again after a restart or by a sender's second try, it is known."""
    if not ask.subject:
        return "it is not known which signal or alert asks"
    if any(item.subject == ask.subject and item.fate == "entered" for item in reversed(book.decisions)):
        return f"{ask.subject} has entered already"
    return None


def stale_feed(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """No entry on market data that stands still."""
    if not book.feed_alive:
        return f"market data is not alive: {book.feed_reason}"
    most = limits.narrowed(ask.deployment.limits).max_quote_age_s
    age = (now - ask.quote.time).total_seconds()
    if ask.instrument.kind is not InstrumentKind.SYNTHETIC and age > most:
        return f"last quote of {ask.instrument.name} is {age:.0f} s old, at most {most:.0f} s"
    return None


def unprotected(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Nothing more is entered while a position stands without the stop that it should have (fault R13)."""
    if not ask.bare:
        return None
    return f"{ask.bare} is held without its stop at the broker; entries wait until it is protected or gone"


def cooling_off(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A deployment that was stopped out waits before it enters again."""
    minutes = limits.narrowed(ask.deployment.limits).cooling_off_minutes
    if not minutes:
        return None
    for position in book.positions.values():
        if position.plan.deployment != ask.deployment.name or position.exit_reason not in STOPPED:
            continue
        until = (position.closed_at or now) + timedelta(minutes=minutes)
        if now < until:
            return f"stopped out at {position.closed_at or now:%H:%M:%S}, no entry before {until:%H:%M:%S}"
    return None


def reentry(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """A plan without re-entry trades once after a stop."""
    if ask.deployment.plan.reentry:
        return None
    for position in book.positions.values():
        if position.plan.deployment == ask.deployment.name and position.exit_reason in STOPPED:
            return "stopped out today and the plan does not re-enter"
    return None


def halted(book: Book, deployment: str) -> str | None:
    """Say why entries are halted, all of them or those of one deployment."""
    if book.halted:
        return f"entries are halted: {book.halt_reason or 'by the operator'}"
    off = book.switched_off.get(deployment)
    return f"entries of {deployment} are halted: {off.reason or 'by the operator'}" if off else None
