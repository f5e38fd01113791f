"""Days that are made for one situation: stops that follow, lists of two moments, look-ups that fail, a stuck target.

Each is a narrow class of seeds (one in 64; two for stops that follow), so that all other seeds keep their days, and
draws by a random stream of its own.

Invariant: a situation is made by plans, people and the venue, never on the engine.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import time
from decimal import Decimal
from enum import StrEnum

from workbench.core.deployment import Deployment, Limits, OwnLimits
from workbench.core.messages import Operator, OperatorOrdered, OrderMoved, OrderSubmitted
from workbench.core.order import OrderState
from workbench.core.plan import Exits, Lock, OnOpposite, Plan, ProtectionRule, Trail, Underlying
from workbench.core.ports import JournalEntry
from workbench.testing.proof.day import Day
from workbench.testing.proof.faults import Faults, Outage
from workbench.testing.proof.lists_venue import ListsVenue, lags_of
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.pair_day import PairsDay
from workbench.testing.proof.pair_venue import PairVenue
from workbench.testing.proof.scenario import SECONDS, Scenario, points

LAGS_S = (2.0, 3.0, 3.5)
"""With its way to us a list is never older than the five seconds for which a difference must stand."""

HIDDEN_S = (5.0, 12.0, 20.0)
"""An order that nobody answered is listed later than it is looked for, and sooner than it is given up unseen."""

GIVEN_UP_BY_S = 50
"""An order that never came to the book is given up by then: thirty seconds, and three looks some of which fail."""


class Rare(StrEnum):
    """What a day is made for."""

    TRAILS = "stops that follow"
    LISTS = "lists of two moments"
    LOOK_UPS = "look-ups that fail"
    STUCK = "a target that does not go"


CLASSES = {32: Rare.TRAILS, 48: Rare.TRAILS, 40: Rare.LISTS, 56: Rare.LOOK_UPS, 52: Rare.STUCK}
"""By the remainder of the seed by 64."""

AS_THEY_WERE = frozenset({48, 112})
"""Seeds of these classes whose day is known for something else."""


def rare_of(seed: int) -> Rare | None:
    """Give what the day of a seed is made for; nothing on most."""
    return None if seed in AS_THEY_WERE else CLASSES.get(seed % 64)


def with_rare(scenario: Scenario) -> Scenario:
    """Make the plans and the weather of such a day."""
    rng = random.Random(f"rare {scenario.seed}")
    if rare_of(scenario.seed) is not None:
        scenario = _open_to_all(scenario)
    match rare_of(scenario.seed):
        case Rare.TRAILS:
            return _trails(scenario, rng)
        case Rare.LISTS:
            faults = replace(
                scenario.faults,
                lost_update=max(0.1, scenario.faults.lost_update),
                partial=rng.choice([0.5, 0.9]),
                delay_s=rng.choice([0.0, 0.3]),
                answer_late=0.0,
                lag_s=LAGS_S[-1],
                outages=(),
                by_hand=0.01 if rng.random() < 0.3 else 0.0,
            )
            return replace(scenario, faults=faults)
        case Rare.LOOK_UPS:
            faults = replace(
                scenario.faults, unknown=0.12, lost_update=0.5, delay_s=0.3, lag_s=0.0, answer_late=0.0, by_hand=0.0
            )
            return replace(scenario, faults=faults)
        case Rare.STUCK:
            return _stuck(scenario, rng)
        case None:
            return scenario


def _open_to_all(scenario: Scenario) -> Scenario:
    """Let no limit stand before the situation: gates have days enough."""
    limits = Limits(capital=Decimal(10_000_000), max_trades_per_day=200, max_daily_loss=Decimal(500_000))
    plans = (
        replace(each.plan, lots=min(each.plan.lots or 1, 5), no_entry_before=None, max_premium=None, reentry=True)
        for each in scenario.deployments
    )
    deployments = tuple(
        replace(each, plan=plan, limits=OwnLimits()) for each, plan in zip(scenario.deployments, plans, strict=True)
    )
    return replace(scenario, deployments=deployments, limits=limits, funds=Decimal(5_000_000))


def _trails(scenario: Scenario, rng: random.Random) -> Scenario:
    """Stops that follow for some minutes: far targets, few who leave, and a market without jumps."""
    deployments = tuple(replace(each, plan=_following(each.plan, rng)) for each in scenario.deployments)
    return replace(
        scenario,
        deployments=deployments,
        faults=replace(scenario.faults, gap=0.0, by_hand=0.0),
        alerts=0.15,
        signals=0.05,
        seconds=2 * SECONDS,
    )


def _following(plan: Plan, rng: random.Random) -> Plan:
    after = rng.choice([None, None, points(6)])
    trail = Trail(distance=points(rng.choice([6, 12, 16])), after=after, step=rng.choice([None, points(5)]))
    lock = Lock(after=points(rng.choice([2, 4])), keep=Decimal(rng.choice([10, 30, 50])))
    which = rng.choice(["trail", "lock", "both"])
    watched = Underlying(stop=points(40), trail=Trail(distance=points(rng.choice([10, 20]))))
    exits = Exits(
        stop=points(rng.choice([20, 30])),
        target=points(60),
        trail=trail if which != "lock" else None,
        lock=lock if which != "trail" else None,
        underlying=watched if rng.random() < 0.4 else None,
    )
    return replace(plan, lots=min(plan.lots or 1, 2), exits=exits, on_opposite=OnOpposite.IGNORE)


def _stuck(scenario: Scenario, rng: random.Random) -> Scenario:
    """Calm weather, in which only the target beside the stop neither fills nor is taken back."""

    def paired(deployment: Deployment) -> Deployment:
        clock = time(10, 15, rng.randrange(60)) if rng.random() < 0.3 else None
        exits = Exits(stop=points(rng.choice([5, 15])), target=points(rng.choice([3, 4])), time=clock)
        plan = replace(deployment.plan, exits=exits, on_opposite=OnOpposite.IGNORE)
        return replace(deployment, plan=replace(plan, protection=ProtectionRule.STOP_AND_TARGET))

    return replace(
        scenario,
        deployments=tuple(map(paired, scenario.deployments)),
        faults=Faults(delay_s=rng.choice([0.0, 0.3]), partial=scenario.faults.partial, gap=rng.choice([0.0, 0.03])),
        alerts=0.1,
        signals=0.02,
    )


class ListsDay(Day):
    """A day on which the list of orders and that of positions are not of the same moment."""

    def _venue(self) -> ListsVenue:
        scenario, rng = self.scenario, random.Random(f"lists {self.scenario.seed}")
        lags = lags_of(rng, scenario.seconds, LAGS_S)
        return ListsVenue(self.rng, scenario.faults, self.clock.time, self.clock.time, scenario.funds, lags=lags)


class LookUpsDay(Day):
    """A day on which look-ups by our own id fail for long, and the list shows late what nobody answered."""

    def _venue(self) -> ListsVenue:
        scenario, rng = self.scenario, random.Random(f"look-ups {self.scenario.seed}")
        begins = rng.randrange(10, 40)
        failing = Outage(begins=begins, ends=begins + rng.randint(100, 190), reason="500")
        self.never_seen = Counter[str]()
        self.unknown = set[str]()
        return ListsVenue(
            self.rng,
            scenario.faults,
            self.clock.time,
            self.clock.time,
            scenario.funds,
            failing=(failing,),
            hidden_s=rng.choice(HIDDEN_S),
        )

    def _written_down(self, entry: JournalEntry) -> None:
        for event in entry.events:
            if isinstance(event, OrderMoved):
                is_unknown = event.state is OrderState.UNKNOWN
                (self.unknown.add if is_unknown else self.unknown.discard)(event.correlation_id)
            elif isinstance(event, OrderSubmitted):
                self.unknown.discard(event.ticket.correlation_id)
        super()._written_down(entry)

    async def second(self, *, trading: bool) -> None:
        """One market second; what never came to the book is given up in time (R1)."""
        await super().second(trading=trading)
        known = {each.ticket.correlation_id for each in self.venue.orders.values()}
        for name in self.unknown:
            is_absent = name not in known and not self.venue.outage
            self.never_seen[name] = self.never_seen[name] + 1 if is_absent else 0
            text = f"{name} never came to the book and is not given up for {self.never_seen[name]} s"
            promise(self.never_seen[name] <= GIVEN_UP_BY_S, "R1", text)

    async def begin_again(self) -> None:
        """Start a further life: it has to look anew."""
        self.never_seen.clear()
        self.unknown &= {
            key for key, order in self.book.orders.items() if order.state in (OrderState.UNKNOWN, OrderState.SUBMITTED)
        }
        await super().begin_again()


class StuckDay(PairsDay):
    """A day on which targets neither fill nor are taken back for long, while a person wants everything left."""

    def _venue(self) -> PairVenue:
        venue = super()._venue()
        rng = random.Random(f"stuck {self.scenario.seed}")
        first, second = rng.randrange(40, 60), rng.randrange(110, 140)
        spells = ((first, first + rng.randint(35, 50)), (second, second + rng.randint(35, 50)))
        venue.stuck = tuple(Outage(begins=begins, ends=ends, reason="it is not taken back") for begins, ends in spells)
        self._ordered = {begins + rng.randint(15, 30) for begins, _ in spells if rng.random() < 0.7}
        return venue

    async def second(self, *, trading: bool) -> None:
        """One market second; a person may order that everything is left."""
        if trading and int((self.now - self.venue.first).total_seconds()) in self._ordered:
            self.tell(OperatorOrdered(command=Operator.FLATTEN))
        await super().second(trading=trading)


DAYS: dict[Rare, type[Day]] = {
    Rare.TRAILS: Day,
    Rare.LISTS: ListsDay,
    Rare.LOOK_UPS: LookUpsDay,
    Rare.STUCK: StuckDay,
}
"""The day of each situation."""
