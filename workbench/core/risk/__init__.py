"""The gates. Each is a function of (what is asked, book, limits, now) that gives a reason to refuse, or None.

Limits are the account's; what a deployment keeps besides comes with the ask and can only narrow them. What a gate needs
and nobody knows is a reason to refuse.

Invariant: gates may refuse an entry. No gate refuses an exit: exits never come here.
"""

from datetime import datetime

from workbench.core.book import Book
from workbench.core.deployment import Deployment, Limits
from workbench.core.plan_checks import without_stop
from workbench.core.risk import amounts, counts, prices, times
from workbench.core.risk.asking import Ask, Denied, Gate
from workbench.core.session import Session
from workbench.core.signal import Direction

__all__ = ["GATES", "Ask", "Denied", "Gate", "judge", "judge_before_contract"]

GATES: dict[str, Gate] = {
    "trading_switch": times.trading_switch,
    "frozen": times.frozen,
    "armed": times.armed,
    "session": times.session,
    "entry_window": times.entry_window,
    "stale": times.stale,
    "duplicate": times.duplicate,
    "stale_feed": times.stale_feed,
    "unprotected": times.unprotected,
    "one_position_per_symbol": counts.one_position_per_symbol,
    "pyramiding": counts.pyramiding,
    "reentry": times.reentry,
    "cooling_off": times.cooling_off,
    "trades_a_day": counts.trades_a_day,
    "order_rate": counts.order_rate,
    "daily_loss": amounts.daily_loss,
    "freeze_quantity": counts.freeze_quantity,
    "lots": counts.lots,
    "price_band": prices.price_band,
    "spread": prices.spread,
    "depth": prices.depth,
    "premium_range": prices.premium_range,
    "open_premium": amounts.open_premium,
    "loss_per_trade": amounts.loss_per_trade,
    "margin": amounts.margin,
}
"""All gates in the order in which they are asked; the first refusal is the answer."""


def judge(ask: Ask, book: Book, limits: Limits, now: datetime) -> Denied | None:
    """Ask every gate; None means approved."""
    for name, gate in GATES.items():
        reason = gate(ask, book, limits, now)
        if reason is not None:
            return Denied(name, reason)
    return None


def judge_before_contract(
    deployment: Deployment, book: Book, now: datetime, at: Session | None, direction: Direction | None = None
) -> Denied | None:
    """Ask the gates that need no contract and no quote, so that a refusal names the real cause."""
    reason = times.halted(book, deployment.name)
    if reason is not None:
        return Denied("trading_switch", reason)
    if book.frozen:
        return Denied("frozen", f"account is frozen: {book.frozen[0]}")
    if at is None or not at.contains(now):
        return Denied("session", f"the market is closed at {now:%Y-%m-%d %H:%M:%S}")
    if not book.feed_alive:
        # Without it the entry would wait for a first quote that cannot come.
        return Denied("stale_feed", f"market data is not alive: {book.feed_reason}")
    held = counts.held_in_the_way(deployment.name, deployment.plan.pyramiding, direction, book)
    if held is not None:
        return Denied("one_position_per_symbol", f"{held.plan.instrument.name} is held already")
    # `promote` refuses such a plan; one written by hand comes here first. Nothing is entered that would stay bare.
    bare = without_stop(deployment.plan)
    return Denied("exits", bare) if bare else None
