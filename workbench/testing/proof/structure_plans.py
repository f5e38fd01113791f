"""Which seeds trade several legs too, by what plan, and how the broker answers their questions.

Everything is drawn from a stream of its own, so that the days of all other seeds stay what they are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import time
from decimal import Decimal
from typing import Any

from workbench.core.leg_rules import LegRight
from workbench.core.plan import NAMED_PLANS, OnOpposite, Plan, plan_from_mapping
from workbench.core.signal import Direction, Side

LEGS = "LEGS"
"""Name of the deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegsWeather:
    """How the broker treats legs and the questions about them, shares from 0 to 1.

    Parameters
    ----------
    unanswered, answered_late, answered_badly : float
        Chains and margins that never come, come after 5 to 20 s, or come as an error.
    short_of_margin : float
        Margins that are more than what is free.
    leg_refused, leg_in_part : float
        Entry orders of legs that the exchange refuses a moment later, or that stop filling half way.
    dies_between : float
        Fills of entries of legs at which the process dies.
    halts_between : float
        Such fills after which a person halts entries.
    """

    unanswered: float
    answered_late: float
    answered_badly: float
    short_of_margin: float
    leg_refused: float
    leg_in_part: float
    dies_between: float
    halts_between: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LegsScenario:
    """The plan of several legs of a seed, and its weather."""

    plan: Plan
    weather: LegsWeather
    max_trades: int | None
    alerts: float


def has_legs(seed: int) -> bool:
    """Each fourth seed, none of them a night; and each sixteenth, a night whose second day is the day of expiry."""
    return seed % 4 == 1 or seed % 16 == 11


def legs_scenario(seed: int, *, foul: bool, may_die: bool) -> LegsScenario:
    """Draw what a seed trades beside its other deployments."""
    rng = random.Random(f"structure {seed}")
    plan = _plan(rng)
    share = 1.0 if foul else 0.0
    weather = LegsWeather(
        unanswered=share * rng.choice([0.0, 0.15]),
        answered_late=rng.choice([0.0, 0.2]),
        answered_badly=rng.choice([0.0, 0.1]),
        short_of_margin=rng.choice([0.0, 0.2]),
        leg_refused=rng.choice([0.0, 0.0, 0.0, 0.2]),
        leg_in_part=rng.choice([0.0, 0.0, 0.0, 0.2]),
        dies_between=rng.choice([0.0, 0.05, 0.2]) if may_die else 0.0,
        halts_between=rng.choice([0.0, 0.1]),
    )
    return LegsScenario(
        plan=plan,
        weather=weather,
        max_trades=rng.choice([None, None, None, 2]),
        alerts=rng.choice([0.05, 0.1]),
    )


def _plan(rng: random.Random) -> Plan:
    kinds = ["straddle", "strangle", "credit_spread", "hedged_sell", "condor", "long_straddle", "near", "sold"]
    kind = rng.choice(kinds)
    combined: dict[str, Any] = {}
    if rng.random() < 0.8:
        combined["stop"] = rng.choice(["5%", "15%", "40%", 800])
    if rng.random() < 0.8:
        combined["target"] = rng.choice(["5%", "10%", "50%", 400])
    if rng.random() < 0.4:
        combined["lock"] = {"after": rng.choice([150, "2%"]), "keep": "60%"}
    if rng.random() < 0.2:
        combined["time"] = rng.choice(["10:15:20", "10:15:50"])
    bodies: dict[str, dict[str, Any]] = {
        "condor": {
            "legs": [
                {"side": "sell", "right": "CE", "strike": "OTM1", "exits": {"stop": rng.choice(["30%", "90%"])}},
                {"side": "sell", "right": "PE", "strike": "OTM1"},
                {"side": "buy", "right": "CE", "strike": "OTM3"},
                {"side": "buy", "right": "PE", "strike": "OTM3"},
            ]
        },
        "long_straddle": {
            "legs": [
                {"right": "CE", "exits": {"stop": 15}},
                {"right": "PE", "exits": {"stop": "10%", "target": 12}},
            ]
        },
        "near": {
            "legs": [
                {"side": "sell", "right": "against", "strike": "delta_near 0.45", "exits": {"stop": "30%"}},
                {"side": "buy", "right": "against", "strike": "premium_near 60"},
            ]
        },
        "sold": {"side": "SELL", "strike": "OTM1", "exits": {"stop": "15%"}},
    }
    if kind in bodies:
        plan = plan_from_mapping({"name": kind, **bodies[kind], **({"combined": combined} if combined else {})})
    else:
        plan = replace(NAMED_PLANS[kind], no_entry_after=None)
        if combined:
            plan = replace(plan, combined=plan_from_mapping({"combined": combined}).combined)
    return replace(
        plan,
        lots=rng.choice([1, 1, 2, 3]),
        on_opposite=rng.choice(list(OnOpposite)),
        max_premium=Decimal(230) if rng.random() < 0.1 else None,
        no_entry_before=time(10, 13, 30) if rng.random() < 0.1 else None,
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A leg as the plan asks for it: side, type of option, units for each unit of a lot, strike rule in words."""

    side: Side
    right: str
    lots: int
    strike: str


def wanted_legs(plan: Plan, direction: Direction) -> tuple[Wanted, ...]:
    """Read the plan anew: what it asks for when a signal is bullish (LONG) or bearish."""
    is_long = direction is Direction.LONG
    of_signal = {LegRight.VIEW: "CE" if is_long else "PE", LegRight.AGAINST: "PE" if is_long else "CE"}
    lots = plan.lots or 0
    if plan.legs:
        return tuple(
            Wanted(leg.side, of_signal.get(leg.right, leg.right.value), lots * leg.lots, leg.strike)
            for leg in plan.legs
        )
    # One option: bought with the view, sold against it.
    right = of_signal[LegRight.VIEW if plan.side is Side.BUY else LegRight.AGAINST]
    main = Wanted(plan.side, right, lots, plan.strike)
    return (main,) if plan.hedge is None else (main, Wanted(Side.BUY, right, lots, "hedge"))
