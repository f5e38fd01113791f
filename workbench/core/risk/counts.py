# ruff: noqa: ARG001 - every gate has the one signature of a gate
"""Gates that count: positions, trades, orders, lots; of the account, and of the deployment alone."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.book import Book
from workbench.core.deployment import Limits
from workbench.core.order import Purpose
from workbench.core.position import Position, PositionState
from workbench.core.risk.asking import Ask
from workbench.core.signal import Direction

ORDERS_AT_MOST = 10
"""So many orders an entry is divided into at most."""

RATE_WINDOW = timedelta(seconds=60)


def one_position_per_symbol(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """One entry held for each deployment (more only by pyramiding), and so many on one underlying by all."""
    held = held_in_the_way(ask.deployment.name, ask.deployment.plan.pyramiding, ask.direction, book)
    if held is not None:
        return f"{held.plan.instrument.name} is held already"
    most = limits.max_positions_per_symbol
    if most is None:
        return None
    symbol = ask.deployment.symbol
    count = len(entries_of(item for item in book.live_positions() if item.plan.instrument.symbol == symbol))
    return f"{count} positions on {symbol} are held, at most {most}" if count >= most else None


def pyramiding(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """So many entries are added to a first one as the plan says."""
    count, most = len(entries_of(book.all_of(ask.deployment.name))), ask.deployment.plan.pyramiding
    return f"{count} entries are held, the plan adds {most} to the first" if count > most else None


def trades_a_day(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Count of entries today."""
    if book.trades_today >= limits.max_trades_per_day:
        return f"{book.trades_today} trades today, at most {limits.max_trades_per_day}"
    own, name = ask.deployment.limits.max_trades_per_day, ask.deployment.name
    if own is None:
        return None
    day = book.day or now.date()
    count = sum(
        item.plan.deployment == name and not item.plan.group and item.plan.at.date() >= day
        for item in book.positions.values()
    )
    return f"{count} trades of {name} today, at most {own}" if count >= own else None


def order_rate(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Entry orders of the last minute, these counted: what goes round in a circle is stopped here."""
    own, name = ask.deployment.limits.max_entries_per_minute, ask.deployment.name
    for most, deployment in ((limits.max_entries_per_minute, ""), (own, name)):
        if most is None:
            continue
        sent = sum(
            order.ticket.purpose is Purpose.ENTRY
            and deployment in ("", order.ticket.deployment)
            and now - book.submitted_at[key] < RATE_WINDOW
            for key, order in book.orders.items()
        )
        count = sent + ask.orders + (0 if deployment else ask.unsent_orders)
        if count > most:
            return f"{count} entry orders{_by(deployment)} within a minute, at most {most}"
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


def lots(ask: Ask, book: Book, limits: Limits, now: datetime) -> str | None:
    """Lots of this entry, and of all that is held with it."""
    most = limits.narrowed(ask.deployment.limits).max_lots_per_entry
    if most is not None and ask.lots > most:
        return f"{ask.lots:f} lots in one entry, at most {most}"
    own, name = ask.deployment.limits.max_open_lots, ask.deployment.name
    for open_most, deployment in ((limits.max_open_lots, ""), (own, name)):
        if open_most is None:
            continue
        held = sum(
            (Decimal(units_at_risk(item, book)) / item.plan.instrument.lot for item in _live(book, deployment)),
            Decimal(ask.beside_lots + (0 if deployment else ask.unsent_lots)),
        )
        if held + ask.lots > open_most:
            return f"{held + ask.lots:f} lots would be open{_by(deployment)}, at most {open_most}"
    return None


def held_in_the_way(name: str, additions: int, direction: Direction | None, book: Book) -> Position | None:
    """Give the position that lets a deployment not enter in that direction; one that only pyramids is not in the way.

    Parameters
    ----------
    additions : int
        Entries that the plan adds to a first one.
    direction : Direction or None
        None where it is not known yet.
    """
    for position in book.all_of(name):
        adds = additions > 0 and direction is position.plan.direction and not position.exit_reason
        if not adds:
            return position
    return None


def entries_of(positions: Iterable[Position]) -> set[str]:
    """Give the entries that positions came of: slices of one size are one."""
    return {item.plan.group or item.position_id for item in positions}


def units_at_risk(position: Position, book: Book) -> int:
    """Units that are held or may come to be held: all that was planned until the entry is over."""
    is_entering = position.state is PositionState.OPENING or book.resting_entry(position.position_id) is not None
    return position.plan.quantity if is_entering else abs(position.open_quantity)


def _live(book: Book, deployment: str) -> list[Position]:
    return [item for item in book.live_positions() if deployment in ("", item.plan.deployment)]


def _by(deployment: str) -> str:
    return f" of {deployment}" if deployment else ""
