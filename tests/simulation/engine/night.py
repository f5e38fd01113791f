"""Two short days by seed with a night between them: what is carried, gaps, comes back, and expires on the second."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from tests.simulation.engine.day import Day, exits_of, faults_of, points
from tests.simulation.engine.venue import Faults
from tests.unit.core.builders import CALL, PUT, SPOT, at, scalp
from workbench.core.book import Book
from workbench.core.messages import (
    AlertAction,
    DayBegan,
    Operator,
    OperatorOrdered,
    SettlementTold,
    SnapshotTaken,
    TimerBeat,
)
from workbench.core.order import Product
from workbench.core.plan import Overnight, Plan
from workbench.core.position import PositionState

SECOND_DAY = date(2022, 6, 16)
"""The contracts of the market of these tests expire on it."""


def night_plan(rng: random.Random) -> Plan:
    """A plan that carries."""
    return replace(
        scalp().plan,
        lots=rng.choice([1, 2, 5]),
        exits=replace(exits_of(rng), stop=points(15), target=points(30)),
        product=Product.MARGIN,
        overnight=rng.choice([Overnight.KEEP, Overnight.KEEP_WINNERS]),
    )


class Night(Day):
    """The last minutes of one day and the next; `run` raises AssertionError with what the oracle saw."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        faults = faults_of(rng)
        super().__init__(seed, plan=night_plan(rng), faults=replace(faults, gap=0.0))
        self.now = self.venue.now = at("15:14:30")
        self.carried = self.gapped = self.expired = 0

    def run(self) -> None:
        """Trade, carry, open with a gap, trade, expire."""
        self.tell(DayBegan(day=self.now.date()))
        self.tell(SnapshotTaken(taken_at=self.now, available_funds=Decimal(500_000)))
        while self.now < at("15:16:00"):
            self.second(trading=True)
        # The weather clears before the close: what nobody ever heard of is another test's matter.
        self.venue.faults = Faults(delay_s=self.faults.delay_s)
        self.tell(OperatorOrdered(command=Operator.RESUME))
        self.ask(self.rng.choice([AlertAction.BULLISH, AlertAction.BEARISH]))
        self.second(trading=False)
        self.now = self.venue.now = at("15:28:25")
        while self.now < at("15:29:59"):
            self.second(trading=False)
        self.close()
        self.night()
        self.venue.faults = self.faults
        while self.now < at("09:17:00", SECOND_DAY):
            self.second(trading=self.now < at("09:16:00", SECOND_DAY))
            if self.now == at("09:15:05", SECOND_DAY):
                assert not self._of(PositionState.CARRIED), "carried and not taken up five seconds after the open"
        self.venue.faults = Faults(delay_s=self.faults.delay_s)
        self.now = self.venue.now = at("15:28:40", SECOND_DAY)
        self.venue.nobody_bids = self.rng.random() < 0.5
        while self.now < at("15:29:59", SECOND_DAY):
            self.second(trading=False)
        self.close()
        self.settle()
        self.quiet()

    def close(self) -> None:
        """The session is over: what rests expires, and what is held was meant to be."""
        self.venue.end_day()
        self.now = self.venue.now = self.now + timedelta(seconds=5)
        for message in self.venue.arrivals():
            self.tell(message)
        self.tell(TimerBeat())

    def night(self) -> None:
        """Nothing trades; the process may die; the market opens somewhere else."""
        book = self.engine.book
        carried = self._of(PositionState.CARRIED)
        self.carried = len(carried)
        assert {each.position_id for each in book.overnight} == set(carried), "the list of what stays is another"
        if self.plan.overnight is Overnight.KEEP_WINNERS:
            assert all(each.pnl > 0 for each in book.overnight), "a loser stays"
        if self.rng.random() < 0.5:
            self.restart()
        for key in self.venue.prices:
            self.venue.prices[key] *= Decimal(self.rng.choice([70, 95, 100, 130])) / 100
            self.venue.prices[key] = self.venue.prices[key].quantize(Decimal("0.1"))
        self.stops.clear()
        self.now = self.venue.now = at("09:00:00", SECOND_DAY)
        self.venue.day_began = self.now
        self.tell(DayBegan(day=SECOND_DAY))
        self.tell(TimerBeat())
        if self.rng.random() < 0.5:
            self.restart()
        self.now = self.venue.now = at("09:14:59", SECOND_DAY)

    def restart(self) -> None:
        """Restart as on any day; the book of the day that is open comes back."""
        day = self.engine.book.day
        super().restart()
        assert self.engine.book.day == (day or self.now.date())

    def settle(self) -> None:
        """The exchange settles what has expired."""
        self.expired = len(self._of(PositionState.EXPIRING))
        spot = SPOT + self.rng.randint(-40, 40)
        worth = {CALL.key: max(Decimal(0), spot - 15700), PUT.key: max(Decimal(0), 15700 - spot)}
        self.venue.settle(worth)
        self.tell(SettlementTold(symbol="NIFTY", expiry=SECOND_DAY, price=spot))

    def quiet(self) -> None:
        """At the end: flat, the same money, and the events of the second day give its book."""
        book = self.engine.book
        assert not book.live_positions(), f"positions live on in the book: {book.live_positions()}"
        assert not [each for each in self.venue.orders.values() if each.state.may_rest], "orders rest after the end"
        assert not book.frozen, f"frozen for nothing: {book.frozen}"
        for position in book.positions.values():
            orders = [each for each in self.venue.orders.values() if each.ticket.position_id == position.position_id]
            flow = sum((-each.ticket.side.sign * each.value for each in orders), Decimal(0))
            gross = flow + self.venue.settled.get(position.position_id, Decimal(0))
            assert abs(position.gross - gross) < Decimal("0.2"), f"{position.position_id}: {position.gross} {gross}"
        self.gapped = sum(each.exit_reason == "gap" for each in book.positions.values())
        again = Book()
        again.apply_all(self.events)
        assert again == book, "the event log does not give the book"

    def _of(self, state: PositionState) -> list[str]:
        return [each.position_id for each in self.engine.book.live_positions() if each.state is state]
