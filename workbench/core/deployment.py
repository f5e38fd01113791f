"""A deployment: a promoted strategy (or an alert-driven one), its plan, its account, its webhook link."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from workbench.core.plan import Plan


class Mode(StrEnum):
    """Kinds of account: what stands behind the broker adapter."""

    PRACTICE = "practice"
    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"


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
    min_premium, max_premium : Decimal or None
        Rupees; options outside are not entered.
    no_entry_before, no_entry_after, square_off_at : time or None
        Market time of day for all deployments; a plan may be narrower, never wider.
    """

    max_trades_per_day: int = 20
    max_daily_loss: Decimal = Decimal(10_000)
    risk_per_trade_pct: Decimal = Decimal(2)
    capital: Decimal | None = None
    max_alert_age_s: float = 60.0
    max_quote_age_s: float = 5.0
    min_premium: Decimal | None = None
    max_premium: Decimal | None = None
    no_entry_before: dt.time | None = None
    no_entry_after: dt.time | None = None
    square_off_at: dt.time | None = None


def webhook_path(deployment: Deployment) -> str:
    """Path of the deployment's webhook, below the engine's address."""
    return f"/webhook/{deployment.webhook_link}"
