"""The last minutes of one day and the next by seed: what is carried, gaps, comes back, and expires on the second."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from workbench.core.messages import DayBegan, Operator, OperatorOrdered, SettlementTold
from workbench.core.position import PositionState
from workbench.testing.proof.day import Day
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.market import CALL, PUT, SECOND_DAY, SPOT, STRIKE, SYMBOL, at
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.scenario import Scenario


class Night(Day):
    """A night with a day before and a day after it."""

    def __init__(self, scenario: Scenario, *, verbose: bool = False) -> None:
        super().__init__(scenario, verbose=verbose)
        self.go_to(at("15:13:30"))
        self.carried = self.gapped = self.expired = 0

    async def run(self) -> None:
        """Trade, carry, open with a gap, trade, expire."""
        faults = self.scenario.faults
        await self.begin(self.now.date())
        while self.now < at("15:15:00"):
            await self.second(trading=True)
        # The weather clears before the close: what nobody ever heard of is another seed's matter.
        self.venue.faults = Faults(delay_s=faults.delay_s)
        self.tell(OperatorOrdered(command=Operator.RESUME))
        for deployment in self.scenario.deployments:
            if self.book.live_of(deployment.name) is None:
                self.senders.enter(self.process, deployment.name, self.now)
            await self.second(trading=False)
        self.go_to(at("15:28:25"))
        self.rarities.evening(self.tell)
        await self.evening()
        await self.night()
        self.venue.faults = faults
        await self.morning()
        self.venue.faults = Faults(delay_s=faults.delay_s)
        self.go_to(at("15:28:40", SECOND_DAY))
        self.venue.nobody_bids = self.rng.random() < 0.5
        while self.now < at("15:29:59", SECOND_DAY):
            await self.second(trading=False)
        await self.close()
        await self.settled()
        self.end(is_settled=True)

    async def evening(self) -> None:
        """Let the day end."""
        while self.now < at("15:29:59"):
            await self.second(trading=False)
        await self.close()

    async def morning(self) -> None:
        """Take up what was carried, and trade."""
        while self.now < at("09:17:00", SECOND_DAY):
            await self.second(trading=self.now < at("09:16:00", SECOND_DAY))
            if self.now == at("09:15:05", SECOND_DAY):
                late = self.of(PositionState.CARRIED)
                promise(not late, "I5", f"not taken up five seconds after the open: {late}")

    async def close(self) -> None:
        """The session is over: what rests expires."""
        self.venue.end_day()
        self.go_to(self.now + timedelta(seconds=5))
        await self.beat()

    async def night(self) -> None:
        """Nothing trades; the process may die; the market opens somewhere else."""
        carried = self.of(PositionState.CARRIED)
        self.carried = len(carried)
        listed = {each.position_id for each in self.book.overnight}
        promise(listed == set(carried), "I8", "the list of what stays is another than what stays")
        if self.rng.random() < 0.5:
            self.dying = "sent"
            await self.settle()
        self.gap()
        self.go_to(at("09:00:00", SECOND_DAY))
        self.venue.day_began = self.now
        self.tell(DayBegan(day=SECOND_DAY))
        await self.beat()
        if self.rng.random() < 0.5:
            self.dying = "sent"
            await self.settle()
        self.go_to(at("09:14:58", SECOND_DAY))
        await self.hear()
        self.go_to(at("09:14:59", SECOND_DAY))

    def gap(self) -> None:
        """The market opens somewhere else."""
        for key in self.venue.prices:
            self.venue.prices[key] *= Decimal(self.rng.choice([70, 95, 100, 130])) / 100
            self.venue.prices[key] = self.venue.prices[key].quantize(Decimal("0.1"))
        self.oracle.triggers.clear()

    async def settled(self) -> None:
        """The exchange settles what has expired."""
        self.expired = len(self.of(PositionState.EXPIRING))
        spot = SPOT + self.rng.randint(-40, 40)
        worth = {CALL.key: max(Decimal(0), spot - STRIKE), PUT.key: max(Decimal(0), STRIKE - spot)}
        self.venue.settle(worth)
        self.tell(SettlementTold(symbol=SYMBOL, expiry=SECOND_DAY, price=spot))
        await self.settle()
        self.gapped = sum(each.exit_reason == "gap" for each in self.book.positions.values())
