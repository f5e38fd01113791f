"""A day whose line is cut, or whose computer sleeps, while the broker squares off what is INTRADAY.

The engine wants to leave then and cannot, or nobody has bid until the broker's own time has come. He takes back what
rests and leaves by himself, some contracts or all of them. Once the line is back nothing may be sold a second time,
what he has left over must still be left, and what he has left freezes the account until a person tells it.

Invariant: this acts through the venue and as a person, never on the engine; when and what it draws by a random stream
of its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from workbench.core.messages import (
    CancelOrder,
    ClosedByHand,
    ModifyOrder,
    Operator,
    OperatorOrdered,
    Outcome,
    PlaceOrder,
    WriteKind,
)
from workbench.testing.proof.day import Day
from workbench.testing.proof.market import CALL, PUT, session_of
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.pair_day import is_paired
from workbench.testing.proof.scenario import Scenario
from workbench.testing.proof.squared_off import left_by_broker, missing
from workbench.testing.proof.venue import Resting, Venue, key_of

NO_LINE = "no line"

TIMES_OUT = 0.3
"""Of the requests without a line; half of them are carried out. The others are known not to have left."""

SHARE = 0.2
"""Of the days of single options."""

AS_THEY_WERE = frozenset({658, 4672})
"""Seeds of days that are known for something else."""

SQUARED_OFF = 0.8
"""Of the contracts that are held then."""

TOLD_AFTER_S = 40
"""Seconds after which a person tells what the broker has left."""


class Cut(StrEnum):
    """What ends between the engine and the broker."""

    REQUESTS = "requests"
    LINE = "prices and updates too"
    SLEEP = "the computer sleeps"


CUTS = (Cut.REQUESTS, Cut.REQUESTS, Cut.LINE, Cut.LINE, Cut.SLEEP, Cut.SLEEP)


def is_cut_off(scenario: Scenario) -> bool:
    """Tell whether the line is cut at the broker's square-off on the day of that seed."""
    is_plain = not scenario.is_night and scenario.legs is None and not is_paired(scenario)
    is_plain = is_plain and scenario.seed not in AS_THEY_WERE
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
    _is_lost: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether no quote comes in this second."""
        return (self.is_cut and not self.is_heard) or super().is_silent

    @property
    def outage(self) -> str:
        """Why nothing can be asked in this second; empty in most."""
        return NO_LINE if self.is_cut else super().outage

    def _arrived(self, asked: object) -> None:
        if not self.is_cut or not isinstance(asked, PlaceOrder | ModifyOrder | CancelOrder):
            super()._arrived(asked)
            return
        has_timed_out = self.rng.random() < TIMES_OUT
        if has_timed_out and self.rng.random() < 0.5:
            # It was the last to get through, and its answer is lost.
            self.is_cut, self._is_lost = False, True
            super()._arrived(asked)
            self.is_cut, self._is_lost = True, False
            return
        outcome = Outcome.UNKNOWN if has_timed_out else Outcome.NOT_SENT
        match asked:
            case PlaceOrder():
                self._answer(WriteKind.PLACE, asked.ticket.correlation_id, outcome, reason=NO_LINE)
            case ModifyOrder():
                which = {"order_id": asked.order_id, "change": asked.change}
                self._answer(WriteKind.MODIFY, asked.correlation_id, outcome, reason=NO_LINE, **which)
            case CancelOrder():
                self._answer(WriteKind.CANCEL, asked.correlation_id, outcome, reason=NO_LINE, order_id=asked.order_id)

    def _answer(self, kind: WriteKind, correlation_id: str, outcome: Outcome, **more: object) -> None:
        if self._is_lost:
            kept = {key: each for key, each in more.items() if key == "change" or (key, kind) in _KNOWN_BEFORE}
            super()._answer(kind, correlation_id, Outcome.UNKNOWN, reason=NO_LINE, **kept)
        else:
            super()._answer(kind, correlation_id, outcome, **more)

    def tell_all(self, orders: list[Resting]) -> None:
        """Send an update of each."""
        for each in orders:
            self._tell(each)

    def _tell(self, order: Resting) -> None:
        if self.is_heard or not (self.is_cut or self._is_lost):
            super()._tell(order)


_KNOWN_BEFORE = {("order_id", WriteKind.MODIFY), ("order_id", WriteKind.CANCEL)}
"""What an answer that never came has all the same: it was asked about."""


class CutOffDay(Day):
    """A day that ends some minutes after the broker has squared off."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        self.venue: CutVenue
        self.cut = random.Random(f"cut {scenario.seed}")
        self.how = self.cut.choice(CUTS)
        self.is_late = self.cut.random() < 0.3
        self.squared_off: dict[str, Resting] = {}
        self.left_over: list[str] = []

    async def leave(self) -> None:
        """Be cut off before all is left, and come back after the broker's own square-off."""
        session = session_of(self.now.date())
        self.go_to(session.square_off_start - timedelta(seconds=60))
        self.tell(OperatorOrdered(command=Operator.RESUME))
        begins = session.square_off_start + timedelta(seconds=self.cut.randrange(-30, 5))
        if self.is_late:
            begins = session.broker_square_off + timedelta(seconds=self.cut.randrange(5, 20))
        while self.now < begins:
            for deployment in self.scenario.deployments:
                if self.now.second % 5 == 0 and self.book.live_of(deployment.name) is None:
                    self.senders.enter(self.process, deployment.name, self.now)
            self.venue.nobody_bids = self.is_late and self.now >= session.square_off_start - timedelta(seconds=2)
            await self.second(trading=False)
        at_his = max(begins, session.broker_square_off) + timedelta(seconds=self.cut.randrange(1, 60))
        ends = at_his + timedelta(seconds=self.cut.randrange(5, 120))
        if self.how is Cut.SLEEP:
            self._asleep(at_his, ends)
        else:
            await self._without_line(at_his, ends)
        for second in range(90):
            await self.second(trading=False)
            if second == TOLD_AFTER_S:
                self._told()
        self.tell(OperatorOrdered(command=Operator.UNFREEZE))
        for _ in range(20):
            await self.second(trading=False)

    def _asleep(self, at_his: datetime, ends: datetime) -> None:
        """Nothing runs on this computer, and a socket that slept has lost what was sent to it."""
        self.go_to(at_his)
        # What had left arrives there long before; what was on its way back waits until somebody wakes up.
        waiting = self.venue.arrivals()
        self.venue.is_cut = True
        self._square_off()
        self.venue.is_cut = False
        self.go_to(ends)
        self.unheard()
        for message in waiting:
            self.tell(message)
        self.weather_clears()

    async def _without_line(self, at_his: datetime, ends: datetime) -> None:
        """The engine runs, and no request of it arrives."""
        self.venue.is_cut, self.venue.is_heard = True, self.how is Cut.REQUESTS
        while self.now < ends:
            if self.now == at_his:
                self._square_off()
            await self.second(trading=False)
        self.venue.is_cut = False
        self.weather_clears()
        self.unheard()
        self.promptness.disturbed()

    def _told(self) -> None:
        """A person reads in the broker's app what he has left, and at which price; somebody must have asked for it."""
        by_hand = self.venue.by_hand()
        gone = {
            position_id: units
            for position_id, units in missing(self.book, self.venue).items()
            if key_of(self.book.positions[position_id].plan.instrument) not in by_hand
        }
        promise(gone.keys() <= self.squared_off.keys(), "I3", f"the broker has not left what is missing: {gone}")
        promise(bool(self.book.frozen) or not gone, "I3", f"{gone} units are gone, and nobody says so")
        for position_id, units in gone.items():
            order = self.squared_off[position_id]
            quantity = min(units, order.filled)
            self.tell(ClosedByHand(position_id=position_id, quantity=quantity, price=order.last_price))

    def _venue(self) -> CutVenue:
        scenario = self.scenario
        return CutVenue(self.rng, scenario.faults, self.clock.time, self.clock.time, scenario.funds)

    def _square_off(self) -> None:
        """He takes back what rests of a contract, and leaves it by one order for each position; then there are bids."""
        self.venue.nobody_bids = False
        for instrument in (CALL, PUT):
            if key_of(instrument) in self.venue.by_hand():
                continue  # whose units he leaves there is another day's matter
            traded = [
                each for each in self.venue.position_ids() if self.venue.of(each)[0].ticket.instrument == instrument
            ]
            if self.cut.random() >= SQUARED_OFF:
                self.left_over += [each for each in traded if self.venue.held(each)]
                continue
            for position_id in traded:
                is_held = self.venue.held(position_id) > 0
                moved = left_by_broker(self.venue, position_id)
                if is_held:
                    self.squared_off[position_id] = moved[-1]
                self.venue.tell_all(moved)
