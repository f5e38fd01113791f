"""A day whose entries go to the broker as super orders.

Invariant: what is traded, when and in which weather is drawn as on other days; only how an entry is protected differs.
"""

from __future__ import annotations

import random
from datetime import datetime

from workbench.core.messages import Operator, OperatorOrdered
from workbench.core.ports import JournalEntry
from workbench.testing.proof.pair_day import WithPairs
from workbench.testing.proof.scenario import Scenario
from workbench.testing.proof.super_belief import SuperBelief, SuperPromptness
from workbench.testing.proof.super_judge import SuperOracle
from workbench.testing.proof.super_venue import SuperVenue
from workbench.testing.proof.super_weather import weather_of


class SupersDay(WithPairs):
    """One day with super orders; `super_venue` is where they are kept."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        self.judge = self.super_judge = SuperOracle(self.super_venue, self.gates)
        self.oracle = self.judge
        self.promptness = SuperPromptness(self.super_venue, self.gates)
        self.belief = SuperBelief(self.super_venue, self.gates)

    def _venue(self) -> SuperVenue:
        scenario = self.scenario
        self.super_venue = SuperVenue(
            self.rng,
            scenario.faults,
            self.clock.time,
            self.clock.time,
            scenario.funds,
            pair_rng=random.Random(f"margins {scenario.seed}"),
            super_rng=random.Random(f"super venue {scenario.seed}"),
            weather=weather_of(scenario),
        )
        self.pair_venue = self.super_venue
        return self.super_venue

    def weather_clears(self) -> None:
        """Let the list be read again, too, and a person look at what it could not explain."""
        super().weather_clears()
        if not self.super_venue.weather.is_calm:
            self.tell(OperatorOrdered(command=Operator.UNFREEZE))
        self.super_venue.weather = self.super_venue.weather.cleared()

    def go_to(self, moment: datetime) -> None:
        """Jump over an idle time."""
        super().go_to(moment)
        self.super_judge.disturbed()

    def _written_down(self, entry: JournalEntry) -> None:
        super()._written_down(entry)
        self.super_judge.read(entry)
        if self._broken is None:
            self._broken = self.super_judge.broken

    async def second(self, *, trading: bool) -> None:
        """One market second."""
        taken = self.super_venue.taken_by_hand() if trading else ""
        if taken:
            self._note("--", f"by hand: {taken}")
        await super().second(trading=trading)

    async def begin_again(self) -> None:
        """Start a further life."""
        self.super_judge.again(self.disk.read())
        await super().begin_again()
