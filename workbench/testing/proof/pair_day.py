"""A day, and a night, whose plans have the target rest beside the stop.

Some seeds are such days, by a random stream of their own; all others keep theirs.

Invariant: what is traded, when and in which weather is what it would be without the targets.
"""

from __future__ import annotations

import random
from dataclasses import replace

from workbench.core.deployment import Deployment
from workbench.core.plan import ProtectionRule
from workbench.core.ports import JournalEntry
from workbench.testing.proof.day import Day
from workbench.testing.proof.market import session_of
from workbench.testing.proof.night import Night
from workbench.testing.proof.pair_judge import PairOracle
from workbench.testing.proof.pair_venue import PairAnswers, PairVenue
from workbench.testing.proof.process import Process
from workbench.testing.proof.scenario import Scenario, points


def has_pairs(seed: int) -> bool:
    """Each eighth seed, and each eighth that is a night; the first sixteen are as they were."""
    return seed >= 16 and seed % 8 in (4, 7)


def with_pairs(scenario: Scenario) -> Scenario:
    """Let the targets of most deployments rest beside the stop, where the seed is such a day.

    Fewer alerts and more jumps than on other days: positions are held until stop or target fills, or both.
    """
    rng = random.Random(f"pairs {scenario.seed}")
    if not has_pairs(scenario.seed) or scenario.legs is not None:
        return scenario
    jumps = 0.0 if scenario.is_night else rng.choice([0.0, 0.03, 0.08])
    return replace(
        scenario,
        deployments=tuple(_paired(each, rng, is_night=scenario.is_night) for each in scenario.deployments),
        faults=replace(scenario.faults, gap=jumps),
        alerts=rng.choice([0.05, 0.1]),
        signals=rng.choice([0.02, 0.05]),
    )


def is_paired(scenario: Scenario) -> bool:
    """Tell whether a target rests beside a stop in it."""
    return any(each.plan.protection is ProtectionRule.STOP_AND_TARGET for each in scenario.deployments)


def _paired(deployment: Deployment, rng: random.Random, *, is_night: bool) -> Deployment:
    if rng.random() < 0.2:
        return deployment
    plan = deployment.plan
    if is_night:
        return replace(deployment, plan=replace(plan, protection=ProtectionRule.STOP_AND_TARGET))
    near, far = points(rng.choice(["3", "4", "6"])), points(rng.choice(["5", "15", "15"]))
    exits = replace(plan.exits, stop=far, target=near)
    if rng.random() < 0.7:
        exits = replace(exits, underlying=None, lock=None)  # what leaves sooner than the target hides it
    return replace(deployment, plan=replace(plan, exits=exits, protection=ProtectionRule.STOP_AND_TARGET))


class WithPairs(Day):
    """What a day with targets at the broker adds to a day."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        self.judge = PairOracle(self.pair_venue)
        self.judge.keeper = self.gates
        self.oracle = self.judge

    def _venue(self) -> PairVenue:
        scenario = self.scenario
        self.pair_venue = PairVenue(
            self.rng,
            scenario.faults,
            self.clock.time,
            self.clock.time,
            scenario.funds,
            pair_rng=random.Random(f"margins {scenario.seed}"),
        )
        return self.pair_venue

    def _life(self) -> Process:
        process = super()._life()
        process.runner.answers = PairAnswers(self.pair_venue)
        return process

    def _written_down(self, entry: JournalEntry) -> None:
        self.judge.take(entry)
        super()._written_down(entry)

    async def second(self, *, trading: bool) -> None:
        """One market second."""
        alarms = self.notices.alarms
        await super().second(trading=trading)
        trades = session_of(self.now.date()).contains(self.now)
        self.judge.judge_pairs(alarm_now=self.notices.alarms > alarms, trades=trades)

    async def begin_again(self) -> None:
        """Start a further life."""
        self.judge.held_up.again(self.disk.read())
        self.judge.disturbed()
        await super().begin_again()


class PairsDay(WithPairs):
    """One day with targets at the broker."""


class PairsNight(WithPairs, Night):
    """A night with targets at the broker."""
