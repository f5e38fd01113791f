"""A night that finds the engine dead: it dies at the close, the broker leaves some, it starts after the next open.

What the broker left stands in the order book of a day that is over. So his positions alone tell of it, and a person
tells the price.

Invariant: this acts through the venue and as a person, never on the engine; it draws by a random stream of its own.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from workbench.core.messages import DayBegan, Operator, OperatorOrdered, TakeSnapshot
from workbench.testing.proof.market import CALL, PUT, SECOND_DAY, at
from workbench.testing.proof.night import Night
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.pair_day import is_paired
from workbench.testing.proof.scenario import Scenario
from workbench.testing.proof.squared_off import left_by_broker, missing, told_by_a_person

SHARE = 0.3
"""Of the nights of single options."""

SQUARED_OFF = 0.8
"""Of the contracts that are held at the close."""


def is_late(scenario: Scenario) -> bool:
    """Tell whether the engine sleeps through the night of that seed and over the open."""
    is_plain = scenario.is_night and scenario.legs is None and not is_paired(scenario)
    return is_plain and random.Random(f"late night {scenario.seed}").random() < SHARE


class LateNight(Night):
    """A night whose engine dies at the close and is started at 09:20."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        self.late = random.Random(f"late {scenario.seed}")
        self.is_down = False
        self.squared_off: list[str] = []

    async def evening(self) -> None:
        """Die in the last minutes, before or after it was decided what stays; the broker goes on alone."""
        dies = at("15:28:45") + timedelta(seconds=self.late.randrange(70))
        while self.now < dies:
            for deployment in self.scenario.deployments:
                # Mornings without anything that was held are another seed's matter.
                if self.now.second % 10 == 0 and self.book.live_of(deployment.name) is None:
                    self.senders.enter(self.process, deployment.name, self.now)
            await self.second(trading=False)
        self.is_down, self.dying = True, "sent"
        await self.settle()
        self._square_off()
        self.venue.end_day()
        self.venue.line_dead()

    async def night(self) -> None:
        """Start after the open; the market may have gone somewhere else."""
        self.gap()
        self.go_to(at("09:20:00", SECOND_DAY))
        self.venue.day_began = at("09:00:00", SECOND_DAY)
        self.is_down = False
        await self.begin_again()
        await self.settle()

    async def morning(self) -> None:
        """The account freezes on what is missing, and a person tells what became of it."""
        for second in range(60):
            await self.second(trading=False)
            if second == 40:
                missing = self._missing()
                text = f"{missing} units have left at the broker, and nobody says so"
                promise(bool(self.book.frozen) or not missing, "I3", text)
                for told in told_by_a_person(self.book, self.venue, self._missing()):
                    self.tell(told)
        self.tell(OperatorOrdered(command=Operator.UNFREEZE))
        await self.second(trading=False)

    async def begin_again(self) -> None:
        """Start a further life, on the day on which it starts; a machine that is down starts none."""
        if self.is_down:
            return
        if self.now.date() == SECOND_DAY and self.book.day != SECOND_DAY:
            self.process.runner.start(asyncio.get_running_loop())
            self.tell(DayBegan(day=SECOND_DAY))
            self.process.lanes.look(TakeSnapshot(reason="start-up"))
            return
        await super().begin_again()

    def _square_off(self) -> None:
        """Leave all of some contracts, by orders that stand in no list of the next day."""
        for instrument in (CALL, PUT):
            held = [
                each
                for each in self.venue.position_ids()
                if self.venue.held(each) and self.venue.of(each)[0].ticket.instrument == instrument
            ]
            if self.late.random() >= SQUARED_OFF:
                continue
            for position_id in held:
                left_by_broker(self.venue, position_id)
                self.squared_off.append(position_id)

    def _missing(self) -> dict[str, int]:
        """Units by position of the day before that have left at the broker, and that our book still holds."""
        return {
            position_id: units
            for position_id, units in missing(self.book, self.venue).items()
            if self.book.positions[position_id].plan.at.date() < SECOND_DAY
        }
