"""What one seed stands for: deployments, plans, limits, weather, and when the process dies."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from datetime import time
from decimal import Decimal
from typing import Any

from workbench.core.deployment import Deployment, Limits, OwnLimits
from workbench.core.order import Product
from workbench.core.plan import (
    Distance,
    Exits,
    Lock,
    Look,
    OnOpposite,
    Overnight,
    Plan,
    ScaleOut,
    Trail,
    Underlying,
)
from workbench.testing.proof.faults import Faults, faults_of
from workbench.testing.proof.market import SYMBOL
from workbench.testing.proof.structure_plans import LEGS, LegsScenario, has_legs, legs_scenario

ALERT_KEY = "canary-alert-key-9f3c2b"
"""Secret of every alert of a proof; it must stand nowhere in what is written (invariant I10)."""

SECONDS = 200
"""Market seconds in which alerts and signals come."""

DEATH_STAGES = ("appended", "synced", "told", "sent")
"""Where the process dies around a journal entry: before it is on the disk, when it just is, before its commands are
sent, after them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The process dies at the `count`-th journal entry that is about an order, at that stage."""

    count: int
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One seed."""

    seed: int
    deployments: tuple[Deployment, ...]
    limits: Limits
    faults: Faults
    deaths: tuple[Death, ...]
    is_night: bool
    funds: Decimal
    slow_disk: float
    alerts: float
    signals: float
    seconds: int = SECONDS
    legs: LegsScenario | None = None


def points(value: str | int) -> Distance:
    """Give a distance in rupees."""
    return Distance(points=Decimal(value))


def exits_of(rng: random.Random) -> Exits:
    """Draw some exits, all kinds mixed."""
    step = points(2) if rng.random() < 0.3 else None
    watched = None
    if rng.random() < 0.4:
        watched = Underlying(
            stop=points(rng.choice([5, 15])),
            target=points(8) if rng.random() < 0.5 else None,
            trail=Trail(distance=points(6)) if rng.random() < 0.5 else None,
            strike=rng.choice([None, *Look]),
            hourly_close=points(4) if rng.random() < 0.3 else None,
        )
    parts = (ScaleOut(at=points(3), lots=1), ScaleOut(at=points(7), share=Decimal(40)))
    return Exits(
        stop=points(rng.choice(["5", "15"])),
        target=points(rng.choice(["4", "30"])),
        trail=Trail(distance=points(6), step=step) if rng.random() < 0.5 else None,
        lock=Lock(after=points(3), keep=Decimal(rng.choice([30, 80]))) if rng.random() < 0.4 else None,
        time=time(10, 16, 10) if rng.random() < 0.1 else None,
        underlying=watched,
        scale_out=parts if rng.random() < 0.4 else (),
    )


def scenario_of(seed: int, *, kills: int | None = None) -> Scenario:
    """Draw the scenario of a seed; `kills` sets the number of deaths."""
    rng = random.Random(f"scenario {seed}")
    is_night = seed % 4 == 3
    faults = faults_of(rng, SECONDS)
    deployments = tuple(_deployment(name, rng, is_night=is_night) for name in ("SCALP", "TREND"))
    if "max_daily_loss" in THEMES[seed % len(THEMES)]:
        # Large and with a far stop, so that the limit of the day is reached before the stop.
        far = Exits(stop=points(15), target=points(30))
        deployments = tuple(replace(each, plan=replace(each.plan, lots=5, exits=far)) for each in deployments)
    is_rich = "risk_per_trade_pct" in THEMES[seed % len(THEMES)]
    if is_rich and not is_night:
        # More than ten orders could hold: refused, and the other deployment trades on.
        huge = replace(deployments[0], plan=replace(deployments[0].plan, lots=800, max_premium=None))
        deployments = (huge, *deployments[1:])
    deaths = rng.choice([0, 0, 1, 3]) if kills is None else kills
    if is_night:
        faults = replace(faults, gap=0.0, silent=(), outages=(), by_hand=0.0)
    drawn = Scenario(
        seed=seed,
        deployments=deployments if rng.random() < 0.7 else deployments[:1],
        limits=_limits(seed, rng),
        faults=faults,
        deaths=tuple(
            Death(count=count, stage=rng.choice(DEATH_STAGES)) for count in sorted(rng.sample(range(1, 120), deaths))
        ),
        is_night=is_night,
        funds=Decimal(100_000_000 if is_rich else 500_000),
        slow_disk=rng.choice([0.0, 0.0, 0.1]),
        alerts=rng.choice([0.1, 0.2, 0.35]),
        signals=rng.choice([0.05, 0.15]),
    )
    drawn = _with_own_limits(drawn)
    return _with_legs(drawn, may_die=kills is None) if has_legs(seed) else drawn


OWN_THEMES: tuple[dict[str, Any], ...] = (
    {"risk_per_trade_pct": Decimal("0.01")},
    {"max_open_premium": Decimal(30_000)},
    {"max_lots_per_entry": 2},
    {"max_open_lots": 3},
    {"max_entries_per_minute": 1},
    {"cooling_off_minutes": 2},
    {"max_spread_pct": Decimal("0.3")},
    {"min_depth_pct": Decimal(50)},
    {"max_price_gap_pct": Decimal("0.03")},
    {"min_premium": Decimal(118), "max_premium": Decimal(124)},
    {"no_entry_windows": ((time(10, 14), time(10, 15)),)},
    {"max_trades_per_day": 2},
    {"max_daily_loss": Decimal(300)},
    {"max_alert_age_s": 5.0},
    {"max_quote_age_s": 1.0},
)
"""Limits of the first deployment alone, each on every so many of the seeds that have one."""


def _with_own_limits(drawn: Scenario) -> Scenario:
    """Narrow what the first deployment may do; its neighbours and the account keep theirs."""
    if drawn.seed % 16 != 9:
        return drawn
    own = OwnLimits(**OWN_THEMES[drawn.seed // 16 % len(OWN_THEMES)])
    first, *others = drawn.deployments
    return replace(drawn, deployments=(replace(first, limits=own), *others))


def _with_legs(drawn: Scenario, *, may_die: bool) -> Scenario:
    """Add a deployment that trades several legs."""
    legs = legs_scenario(drawn.seed, foul=not drawn.faults.is_calm, may_die=may_die)
    added = Deployment(
        name=LEGS,
        symbol=SYMBOL,
        plan=legs.plan,
        account="paper",
        interval="1m",
        webhook_link=f"{LEGS.lower()}-link",
        limits=OwnLimits(max_trades_per_day=legs.max_trades),
        key_sha256=hashlib.sha256(ALERT_KEY.encode()).hexdigest(),
    )
    return replace(drawn, deployments=(*drawn.deployments, added), legs=legs)


THEMES: tuple[dict[str, Any], ...] = (
    {"risk_per_trade_pct": Decimal(100), "capital": Decimal(100_000_000)},
    {"max_open_premium": Decimal(30_000)},
    {"max_lots_per_entry": 2, "max_open_lots": 3},
    {"max_positions_per_symbol": 1},
    {"max_entries_per_minute": 2},
    {"cooling_off_minutes": 2},
    {"max_spread_pct": Decimal(1)},
    {"min_depth_pct": Decimal(50)},
    {"max_price_gap_pct": Decimal("0.03")},
    {"min_premium": Decimal(118), "max_premium": Decimal(124)},
    {"no_entry_windows": ((time(10, 14), time(10, 15)), (time(9, 15, 20), time(9, 15, 40)))},
    {"max_trades_per_day": 3, "capital": Decimal(100_000)},
    {"max_daily_loss": Decimal(700), "capital": Decimal(10_000_000)},
)
"""Limits of which each is set in every so many seeds; a prime number of them, so that all meet all else."""


def _limits(seed: int, rng: random.Random) -> Limits:
    loose = Limits(
        capital=rng.choice([Decimal(1_000_000), Decimal(10_000_000), Decimal(10_000_000)]),
        max_trades_per_day=60,
        max_daily_loss=Decimal(rng.choice([3_000, 500_000, 500_000])),
        needs_funds=rng.random() < 0.5,
        no_entry_after=time(10, 15, 30) if rng.random() < 0.05 else None,
    )
    return replace(loose, **THEMES[seed % len(THEMES)])


def _deployment(name: str, rng: random.Random, *, is_night: bool) -> Deployment:
    exits = exits_of(rng)
    plan = Plan(
        name=name.lower(),
        lots=rng.choice([1, 2, 2, 5, 5, 5, 40, 100]),
        exits=exits,
        on_opposite=rng.choice(list(OnOpposite)),
        reentry=rng.random() < 0.85,
        pyramiding=rng.choice([0, 0, 0, 1, 2]),
        no_entry_before=time(10, 14, 0) if rng.random() < 0.1 else None,
        no_entry_after_on_expiry=time(9, 15, 40) if rng.random() < 0.3 else None,
        max_premium=Decimal(124) if rng.random() < 0.1 else None,
    )
    if is_night:
        plan = replace(
            plan,
            lots=rng.choice([1, 2, 5]),
            exits=Exits(stop=points(15), target=points(30))
            if rng.random() < 0.6
            else replace(exits, stop=points(15), target=points(30), time=None),
            product=Product.MARGIN,
            overnight=rng.choice([Overnight.KEEP, Overnight.KEEP_WINNERS]),
            no_entry_before=None,
        )
    return Deployment(
        name=name,
        symbol=SYMBOL,
        plan=plan,
        account="paper",
        strategy="proof" if name == "TREND" else None,
        interval="1m",
        webhook_link=f"{name.lower()}-link",
        limits=OwnLimits(
            max_trades_per_day=2 if rng.random() < 0.1 else None,
            max_entries_per_minute=2 if rng.random() < 0.1 else None,
        ),
        key_sha256=hashlib.sha256(ALERT_KEY.encode()).hexdigest(),
    )
