"""A day whose line is cut, or whose computer sleeps, while the broker squares off what is INTRADAY.

The engine wants to leave then and cannot; the broker takes back what rests and sells by himself, some contracts or all
of them. Once the line is back nothing may be sold a second time, and what he has left over must still be left.

Invariant: this acts through the venue, never on the engine; it draws when and what by a random stream of its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from workbench.core.messages import CancelOrder, ModifyOrder, Operator, OperatorOrdered, Outcome, PlaceOrder, WriteKind
from workbench.testing.proof.day import Day
from workbench.testing.proof.market import CALL, PUT, session_of
from workbench.testing.proof.pair_day import is_paired
from workbench.testing.proof.scenario import Scenario
from workbench.testing.proof.squared_off import left_by_broker, missing, told_by_a_person
from workbench.testing.proof.venue import Resting, Venue

NO_LINE = "no line"

TIMES_OUT = 0.3
"""Of the requests without a line; the others are known not to have left."""

HEARD = 0.5
"""Of the lines that are cut: just requests fail."""

SHARE = 0.2
"""Of the days of single options."""

SQUARED_OFF = 0.8
"""Of the contracts that are held then."""

TOLD_AFTER_S = 40
"""Seconds after which a person tells what the broker's list did not."""


def is_cut_off(scenario: Scenario) -> bool:
    """Tell whether the broker squares off unseen on the day of that seed."""
    is_plain = not scenario.is_night and scenario.legs is None and not is_paired(scenario)
    return is_plain and random.Random(f"cut off {scenario.seed}").random() < SHARE


@dataclass
class CutVenue(Venue):
    """A venue whose line can be cut.

    Attributes
    ----------
    is_heard : bool
        Prices and order updates still come: they have lines of their own.
    """

    is_heard: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether no quote comes in this second."""
        return (self.is_cut and not self.is_heard) or super().is_silent

    @property
    def outage(self) -> str:
        """Why nothing can be asked in this second; empty in most."""
        return NO_LINE if self.is_cut else super().outage

    def _arrived(self, asked: object) -> None:
        if not self.is_cut:
            super()._arrived(asked)
            return
        outcome = Outcome.UNKNOWN if self.rng.random() < TIMES_OUT else Outcome.NOT_SENT
        match asked:
            case PlaceOrder():
                self._answer(WriteKind.PLACE, asked.ticket.correlation_id, outcome, reason=NO_LINE)
            case ModifyOrder():
                which = {"order_id": asked.order_id, "change": asked.change}
                self._answer(WriteKind.MODIFY, asked.correlation_id, outcome, reason=NO_LINE, **which)
            case CancelOrder():
                self._answer(WriteKind.CANCEL, asked.correlation_id, outcome, reason=NO_LINE, order_id=asked.order_id)
            case _:
                super()._arrived(asked)

    def tell_all(self, orders: list[Resting]) -> None:
        """Send an update of each."""
        for each in orders:
            self._tell(each)

    def _tell(self, order: Resting) -> None:
        if self.is_heard or not self.is_cut:
            super()._tell(order)


class CutOffDay(Day):
    """A day that ends some minutes after the broker has squared off."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        self.venue: CutVenue
        self.cut = random.Random(f"cut {scenario.seed}")
        self.squared_off: list[str] = []

    async def leave(self) -> None:
        """Be cut off before all is left, and come back after the broker's own square-off."""
        session = session_of(self.now.date())
        begins = session.square_off_start + timedelta(seconds=self.cut.randrange(-30, 5))
        self.go_to(begins - timedelta(seconds=30))
        self.tell(OperatorOrdered(command=Operator.RESUME))
        while self.now < begins:
            for deployment in self.scenario.deployments:
                if self.now.second % 5 == 0 and self.book.live_of(deployment.name) is None:
                    self.senders.enter(self.process, deployment.name, self.now)
            await self.second(trading=False)
        at_his = session.broker_square_off + timedelta(seconds=self.cut.randrange(60))
        ends = at_his + timedelta(seconds=self.cut.randrange(5, 120))
        if self.cut.random() < 0.3:
            self._asleep(at_his, ends)
        else:
            await self._without_line(at_his, ends)
        for second in range(90):
            await self.second(trading=False)
            if second == TOLD_AFTER_S:
                for told in told_by_a_person(self.book, self.venue, missing(self.book, self.venue)):
                    self.tell(told)
        self.tell(OperatorOrdered(command=Operator.UNFREEZE))
        for _ in range(20):
            await self.second(trading=False)

    def _asleep(self, at_his: datetime, ends: datetime) -> None:
        """Nothing runs on this computer."""
        self.go_to(at_his)
        # What had left arrives there long before; what comes back waits until somebody wakes up.
        waiting = self.venue.arrivals()
        self._square_off()
        self.go_to(ends)
        self.unheard()
        for message in waiting:
            self.tell(message)
        self.weather_clears()

    async def _without_line(self, at_his: datetime, ends: datetime) -> None:
        """The engine runs and reaches nobody."""
        self.venue.is_cut, self.venue.is_heard = True, self.cut.random() < HEARD
        while self.now < ends:
            if self.now == at_his:
                self._square_off()
            await self.second(trading=False)
        self.venue.is_cut = False
        self.weather_clears()
        self.unheard()

    def _venue(self) -> CutVenue:
        scenario = self.scenario
        return CutVenue(self.rng, scenario.faults, self.clock.time, self.clock.time, scenario.funds)

    def _square_off(self) -> None:
        for instrument in (CALL, PUT):
            if self.cut.random() >= SQUARED_OFF:
                continue
            traded = [
                each for each in self.venue.position_ids() if self.venue.of(each)[0].ticket.instrument == instrument
            ]
            for position_id in traded:
                if self.venue.held(position_id):
                    self.squared_off.append(position_id)
                self.venue.tell_all(left_by_broker(self.venue, position_id))
