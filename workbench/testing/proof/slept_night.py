"""A night whose computer sleeps over the next open, while somebody sells what is held; the engine lives on.

Its day is opened before that sleep, or some seconds after it, where listings come late: then looks and prices arrive on
a day that is not opened yet.

Invariant: this acts through the venue and as a person, never on the engine; it draws by a random stream of its own.
"""

from __future__ import annotations

import random
from datetime import timedelta

from workbench.core.messages import DayBegan
from workbench.testing.proof.late_night import LateNight, is_late
from workbench.testing.proof.market import SECOND_DAY, at
from workbench.testing.proof.pair_day import is_paired
from workbench.testing.proof.scenario import Scenario

SHARE = 0.3
"""Of the nights of single options that an engine lives through."""


def is_slept(scenario: Scenario) -> bool:
    """Tell whether the computer of that seed sleeps over the open."""
    is_plain = scenario.is_night and scenario.legs is None and not is_paired(scenario) and not is_late(scenario)
    return is_plain and random.Random(f"slept night {scenario.seed}").random() < SHARE


class SleptNight(LateNight):
    """A night that is lived through until 09:00, or until the close, and a morning that begins at 09:20."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        is_opened_late = self.late.random() < 0.6
        self.opened_after = self.late.randrange(2, 36) if is_opened_late else None

    async def evening(self) -> None:
        """Let the day end, with everybody there."""
        await super(LateNight, self).evening()

    async def night(self) -> None:
        """Sleep over the open; somebody sells by telephone, and no order book tells it."""
        self.gap()
        if self.opened_after is None:
            self.go_to(at("09:00:00", SECOND_DAY))
            self.venue.day_began = self.now
            self.tell(DayBegan(day=SECOND_DAY))
            await self.beat()
            self.go_to(self.now + timedelta(seconds=10))
            await self.beat()
        self.go_to(at("09:18:00", SECOND_DAY))
        self._square_off()
        self.go_to(at("09:20:00", SECOND_DAY))
        self.venue.day_began = self.now
        self.unheard()

    async def second(self, *, trading: bool) -> None:
        """One market second; after some of them the day is opened."""
        wakes = at("09:20:00", SECOND_DAY)
        if self.opened_after is not None and self.now == wakes + timedelta(seconds=self.opened_after):
            self.opened_after = None
            if self.book.day != SECOND_DAY:
                self.tell(DayBegan(day=SECOND_DAY))
                self.unheard()
        await super().second(trading=trading)
