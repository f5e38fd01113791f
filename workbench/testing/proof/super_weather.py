"""Which seeds trade by super orders, by what plans, and how the broker treats such orders on that day.

Everything is drawn from a stream of its own, so that the days of all other seeds stay what they are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from decimal import Decimal

from workbench.core.deployment import Deployment
from workbench.core.plan import Lock, ProtectionRule, Trail
from workbench.testing.proof.faults import Outage
from workbench.testing.proof.scenario import Scenario, points

FIRST = 32
EACH = 32
PLACE = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperWeather:
    """How the broker treats super orders; shares from 0 to 1.

    Parameters
    ----------
    shares_ids : bool
        The legs have no ids of their own, and no update tells of their units.
    tells_traded : bool
        A leg that has filled is told to be traded; else it stays triggered.
    plain_takes_legs : bool
        An entry that is taken back as a plain order takes its legs along.
    grows_s : float
        Seconds after which the legs cover what their entry has filled.
    lag_s : float
        The list may not know what is younger than that.
    sleeps_s : float
        The list shows an entry without fills, and its legs asleep, for so long after it has filled.
    unread : float
        Looks in which the list cannot be read.
    unread_spells : tuple of Outage
        Seconds in which it cannot be read at all.
    refused : float
        Legs that the broker refuses as their entry fills.
    gone : float
        Legs that a hand takes back, a second.
    both_go : float
        Times that both legs go to the exchange at once.
    """

    shares_ids: bool = False
    tells_traded: bool = True
    plain_takes_legs: bool = False
    grows_s: float = 0.0
    lag_s: float = 0.0
    sleeps_s: float = 0.0
    unread: float = 0.0
    unread_spells: tuple[Outage, ...] = ()
    refused: float = 0.0
    gone: float = 0.0
    both_go: float = 0.0

    @property
    def is_calm(self) -> bool:
        """The list shows what is there."""
        return not (self.lag_s or self.sleeps_s or self.unread or self.unread_spells)

    def cleared(self) -> SuperWeather:
        """Give the same broker on a quiet day."""
        return SuperWeather(
            shares_ids=self.shares_ids, tells_traded=self.tells_traded, plain_takes_legs=self.plain_takes_legs
        )


def has_supers(seed: int) -> bool:
    """One seed of thirty-two; the first thirty-two are as they were."""
    return seed >= FIRST and seed % EACH == PLACE


def is_super(scenario: Scenario) -> bool:
    """Tell whether an entry of it goes as a super order."""
    return any(each.plan.protection is ProtectionRule.SUPER_ORDER for each in scenario.deployments)


def with_supers(scenario: Scenario) -> Scenario:
    """Let the entries of most deployments go as super orders, where the seed is such a day.

    Fewer alerts than on other days: positions are held until a leg goes. A list that nobody can read is no calm
    weather, so then an update may be lost too.
    """
    if not has_supers(scenario.seed):
        return scenario
    rng = random.Random(f"supers {scenario.seed}")
    deployments = [_super(each, rng) for each in scenario.deployments]
    if not any(each.plan.protection is ProtectionRule.SUPER_ORDER for each in deployments):
        deployments[0] = _as_super(deployments[0], rng)
    faults = replace(scenario.faults, gap=rng.choice([0.0, 0.01, 0.05]))
    if not weather_of(scenario).is_calm:
        faults = replace(faults, lost_update=max(faults.lost_update, 0.01))
    return replace(
        scenario,
        deployments=tuple(deployments),
        faults=faults,
        alerts=rng.choice([0.1, 0.2, 0.35]),
        signals=rng.choice([0.02, 0.05]),
    )


def weather_of(scenario: Scenario) -> SuperWeather:
    """Draw how the broker treats super orders on the day of a seed."""
    rng = random.Random(f"super weather {scenario.seed}")
    is_foul = rng.random() < 0.5
    spells: tuple[Outage, ...] = ()
    if is_foul and rng.random() < 0.5:
        begins = rng.randrange(scenario.seconds)
        spells = (Outage(begins=begins, ends=begins + rng.randint(8, 90), reason="no list of super orders"),)
    return SuperWeather(
        shares_ids=rng.random() < 0.25,
        tells_traded=rng.random() < 0.5,
        plain_takes_legs=rng.random() < 0.25,
        grows_s=rng.choice([0.0, 0.0, 1.0, 3.0]),
        lag_s=rng.choice([0.0, 2.0, 4.0]) if is_foul else 0.0,
        sleeps_s=rng.choice([0.0, 0.0, 4.0]) if is_foul else 0.0,
        unread=rng.choice([0.0, 0.2, 0.5]) if is_foul else 0.0,
        unread_spells=spells,
        refused=rng.choice([0.0, 0.0, 0.2]),
        gone=rng.choice([0.0, 0.0, 0.01, 0.04]),
        both_go=rng.choice([0.0, 0.0, 0.2]),
    )


def _super(deployment: Deployment, rng: random.Random) -> Deployment:
    return deployment if rng.random() < 0.15 else _as_super(deployment, rng)


def _as_super(deployment: Deployment, rng: random.Random) -> Deployment:
    plan = deployment.plan
    near, far = points(rng.choice(["3", "4", "6", "30"])), points(rng.choice(["5", "5", "15"]))
    exits = replace(
        plan.exits,
        stop=far,
        target=near,
        scale_out=(),
        underlying=plan.exits.underlying if rng.random() < 0.3 else None,
        lock=Lock(after=points(3), keep=Decimal(50)) if rng.random() < 0.2 else None,
        trail=Trail(distance=points(rng.choice([3, 6]))) if rng.random() < 0.5 else None,
    )
    lots = rng.choice([1, 2, 5, 5, 10, 40])
    return replace(
        deployment,
        plan=replace(
            plan, lots=lots, exits=exits, pyramiding=0, no_entry_before=None, protection=ProtectionRule.SUPER_ORDER
        ),
    )
