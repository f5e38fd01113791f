"""A day, and a night, with a deployment of several legs: the venue of all options, its questions, and their judge.

Invariant: a day without legs is not touched by anything here.
"""

from __future__ import annotations

import random
from decimal import Decimal

from workbench.core.instrument import Right
from workbench.core.messages import FillBooked, Operator, OperatorOrdered, SettlementTold
from workbench.core.order import Purpose
from workbench.core.ports import JournalEntry
from workbench.core.position import PositionState
from workbench.testing.proof.day import Day
from workbench.testing.proof.market import SECOND_DAY, SPOT, SYMBOL, option, session_of
from workbench.testing.proof.night import Night
from workbench.testing.proof.oracle import BrokenPromise
from workbench.testing.proof.process import Process
from workbench.testing.proof.scenario import DEATH_STAGES, Scenario
from workbench.testing.proof.structure_judge import StructureJudge
from workbench.testing.proof.structure_plans import LEGS
from workbench.testing.proof.structure_venue import STRIKES, ChainVenue, HandAnswers, QuotedFeed


class WithLegs(Day):
    """What a day with legs adds to a day."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        self.legs_rng = random.Random(f"legs {scenario.seed}")
        super().__init__(scenario, verbose=verbose)
        self.halts = False
        self.judge = StructureJudge(self.chain, self.gates, self.promptness)

    def _venue(self) -> ChainVenue:
        scenario = self.scenario
        self.chain = ChainVenue(
            self.rng,
            scenario.faults,
            self.clock.time,
            self.clock.time,
            scenario.funds,
            legs_rng=self.legs_rng,
            weather=None if scenario.legs is None else scenario.legs.weather,
        )
        return self.chain

    def _life(self) -> Process:
        process = super()._life()
        process.runner.answers = HandAnswers(self.chain)
        process.runner.feed = QuotedFeed(self.chain)
        return process

    async def second(self, *, trading: bool) -> None:
        """One market second."""
        legs = self.scenario.legs
        if trading and legs is not None and self.legs_rng.random() < legs.alerts:
            self.senders.enter(self.process, LEGS, self.now)
        if trading and self.halts:
            self.tell(OperatorOrdered(command=Operator.HALT))
        self.halts = False
        await super().second(trading=trading)
        self.judge.second(trades=session_of(self.now.date()).contains(self.now), alarms=self.notices.alarms)

    def _leaves(self) -> None:
        self.judge.leaves(self.process.lanes.leaving[0])
        super()._leaves()

    def _written_down(self, entry: JournalEntry) -> None:
        super()._written_down(entry)
        try:
            self.judge.take(entry)
        except BrokenPromise as broken:
            self._broken = self._broken or broken
        legs = self.scenario.legs
        is_fill = legs is not None and any(self._fills_a_leg(event) for event in entry.events)
        if legs is None or not is_fill:
            return
        self.halts = self.halts or self.legs_rng.random() < legs.weather.halts_between
        if self.legs_rng.random() < legs.weather.dies_between:
            self.dying = self.legs_rng.choice(DEATH_STAGES)

    def _fills_a_leg(self, event: object) -> bool:
        if not isinstance(event, FillBooked):
            return False
        order = self.book.orders.get(event.correlation_id)
        return order is not None and order.ticket.deployment == LEGS and order.ticket.purpose is Purpose.ENTRY

    async def begin_again(self) -> None:
        """Start a further life."""
        self.judge.again(self.disk.read())
        await super().begin_again()

    def end(self, *, is_settled: bool) -> None:
        """Judge what is left."""
        super().end(is_settled=is_settled)
        self.judge.end()


class LegsDay(WithLegs):
    """One day with legs."""


class LegsNight(WithLegs, Night):
    """A night with legs: they are left on both days, and on the second they expire."""

    async def close(self) -> None:
        """The session is over."""
        self.judge.close()
        await super().close()

    async def settled(self) -> None:
        """The exchange settles what has expired."""
        self.expired = len(self.of(PositionState.EXPIRING))
        spot = SPOT + self.rng.randint(-40, 40)
        worth = {
            option(strike, right).key: max(Decimal(0), spot - strike if right is Right.CE else strike - spot)
            for strike in STRIKES
            for right in Right
        }
        self.venue.settle(worth)
        self.tell(SettlementTold(symbol=SYMBOL, expiry=SECOND_DAY, price=spot))
        await self.settle()
