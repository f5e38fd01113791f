"""A deployment: a promoted strategy (or an alert-driven one), its plan, its account, its webhook link; and limits.

Limits exist twice: those of the account, and those that one deployment keeps besides. A limit that is None is not set.

Invariant: a deployment's own limits only ever narrow those of its account (`Limits.narrowed`).
"""

import datetime as dt
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from workbench.core.plan import Plan

Window = tuple[dt.time, dt.time]
"""From (included) and until (excluded), market time of day."""


class Mode(StrEnum):
    """Kinds of account: what stands behind the broker adapter."""

    PRACTICE = "practice"
    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLimits:
    """Limits of one deployment, each counted over what it did itself; named and meant as those of `Limits`."""

    max_trades_per_day: int | None = None
    max_daily_loss: Decimal | None = None
    risk_per_trade_pct: Decimal | None = None
    max_alert_age_s: float | None = None
    max_quote_age_s: float | None = None
    min_premium: Decimal | None = None
    max_premium: Decimal | None = None
    max_open_premium: Decimal | None = None
    max_lots_per_entry: int | None = None
    max_open_lots: int | None = None
    max_entries_per_minute: int | None = None
    cooling_off_minutes: int | None = None
    max_spread_pct: Decimal | None = None
    max_spread_ticks: int | None = None
    min_depth_pct: Decimal | None = None
    max_price_gap_pct: Decimal | None = None
    no_entry_before: dt.time | None = None
    no_entry_after: dt.time | None = None
    no_entry_windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of an account; the risk section of `workbench.yaml`.

    Parameters
    ----------
    max_trades_per_day : int
    max_daily_loss : Decimal
        Rupees, after charges, open P&L counted.
    risk_per_trade_pct : Decimal
        Largest loss at the stop, percent of the capital.
    capital : Decimal or None
        Rupees; None: taken from the account's funds.
    max_alert_age_s : float
        Market seconds after firing in which an entry alert is still taken.
    max_quote_age_s : float
        Market seconds after which a contract's last quote is too old to enter on.
    min_premium, max_premium : Decimal or None
        Rupees; options outside are not entered.
    max_open_premium : Decimal or None
        Rupees paid for all options that are held, the new ones counted.
    max_lots_per_entry, max_open_lots : int or None
        Lots of one entry, and of all that is held with it.
    max_positions_per_symbol : int or None
        Entries that may be held on one underlying by all deployments together.
    max_entries_per_minute : int or None
        Entry orders in any 60 market seconds.
    cooling_off_minutes : int or None
        How long a deployment does not enter after it was stopped out.
    max_spread_pct : Decimal or None
        Widest spread at entry, percent of the middle.
    max_spread_ticks : int or None
        So many ticks are never too wide: at a few rupees one tick is many percent. Alone, it is the widest spread.
    min_depth_pct : Decimal or None
        Share of the quantity that must be displayed at the best price.
    max_price_gap_pct : Decimal or None
        How far an alert's price may be from ours, and an option's price outside of what its underlying allows, percent
        of the underlying.
    needs_funds : bool
        Whether free funds must be known and enough.
    no_entry_before, no_entry_after, square_off_at : time or None
        Market time of day for all deployments; a plan may be narrower, never wider.
    no_entry_windows : tuple of (time, time)
        Times of day in which nothing is entered.
    """

    max_trades_per_day: int = 20
    max_daily_loss: Decimal = Decimal(10_000)
    risk_per_trade_pct: Decimal = Decimal(2)
    capital: Decimal | None = None
    max_alert_age_s: float = 60.0
    max_quote_age_s: float = 5.0
    min_premium: Decimal | None = None
    max_premium: Decimal | None = None
    max_open_premium: Decimal | None = None
    max_lots_per_entry: int | None = None
    max_open_lots: int | None = None
    max_positions_per_symbol: int | None = None
    max_entries_per_minute: int | None = None
    cooling_off_minutes: int | None = None
    max_spread_pct: Decimal | None = None
    max_spread_ticks: int | None = None
    min_depth_pct: Decimal | None = None
    max_price_gap_pct: Decimal | None = None
    needs_funds: bool = False
    no_entry_before: dt.time | None = None
    no_entry_after: dt.time | None = None
    no_entry_windows: tuple[Window, ...] = ()
    square_off_at: dt.time | None = None

    def narrowed(self, own: OwnLimits) -> "Limits":
        """Give these limits with each that `own` narrows; a wider one of `own` changes nothing."""
        if own == _NOTHING_OWN:
            return self  # most deployments; an entry asks ten times
        changes = {item.name: _narrower(item.name, getattr(self, item.name), getattr(own, item.name)) for item in _OWN}
        return replace(self, **changes)


_OWN = fields(OwnLimits)
_NOTHING_OWN = OwnLimits()
_GREATER_IS_NARROWER = frozenset({"min_premium", "min_depth_pct", "cooling_off_minutes", "no_entry_before"})


def is_wider(name: str, ours: Any, own: Any) -> bool:
    """Say whether a deployment's own limit would allow what the account's does not."""
    return own is not None and own != _narrower(name, ours, own)


def _narrower(name: str, ours: Any, own: Any) -> Any:
    if name == "no_entry_windows":
        return (*ours, *(each for each in own if each not in ours))
    if ours is None or own is None:
        return ours if own is None else own
    return max(ours, own) if name in _GREATER_IS_NARROWER else min(ours, own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment.

    Parameters
    ----------
    name : str
        ``[A-Za-z0-9_-]{1,40}``; also the strategy name that alerts carry.
    strategy : str or None
        Name of the strategy that raises its signals; None for one that only alerts drive.
    symbol : str
        Underlying.
    interval : str
        Bar interval of its signals.
    webhook_link : str
        Routing name in the URL; not a secret.
    key_sha256 : str
        SHA-256 of the alert secret, hex; empty where none is set (practice only).
    strategy_hash : str
        Hash of the code that was promoted; live refuses other code.
    limits : OwnLimits
        What it keeps besides the account's limits; set by ``workbench.yaml``, not promoted with it.
    """

    name: str
    symbol: str
    plan: Plan
    account: str = "practice"
    strategy: str | None = None
    parameters: dict[str, float | int | str | bool] = field(default_factory=dict)
    interval: str = "5m"
    webhook_link: str = ""
    key_sha256: str = ""
    strategy_hash: str = ""
    limits: OwnLimits = field(default_factory=OwnLimits)


def webhook_path(deployment: Deployment) -> str:
    """Path of the deployment's webhook, below the engine's address."""
    return f"/webhook/{deployment.webhook_link}"
