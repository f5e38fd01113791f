"""A venue whose list of orders and whose list of positions are not of the same moment, and whose look-ups fail.

A broker reads the two from different places: for some seconds the one tells a fill that the other does not know, and
then the other way round. And an order that nobody answered may be missing in the list for longer than it is looked for,
while the question by our own id ends in an error (fault R1).

Invariant: what a list shows was true some seconds ago; nothing is shown that never was.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from workbench.core.messages import BrokerOrder, BrokerPosition, Message, SnapshotTaken, TakeSnapshot
from workbench.testing.proof.faults import Outage
from workbench.testing.proof.venue import Key, Venue

REMEMBERED_S = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Seconds of the day in which one list is so many seconds old."""

    begins: int
    ends: int
    orders_s: float = 0.0
    positions_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Past:
    """What the lists would have shown at a moment."""

    at: datetime
    orders: tuple[BrokerOrder, ...]
    net: Mapping[Key, int]


@dataclass
class ListsVenue(Venue):
    """A venue whose lists lag.

    Attributes
    ----------
    lags : tuple of Lag
    failing : tuple of Outage
        Seconds in which the look-up of an order by our own id ends in an error.
    hidden_s : float
        So long the list does not show an order that was not answered.
    """

    lags: tuple[Lag, ...] = ()
    failing: tuple[Outage, ...] = ()
    hidden_s: float = 0.0
    _past: deque[Past] = field(default_factory=lambda: deque(maxlen=REMEMBERED_S))
    _asked_for: tuple[str, ...] = ()

    def step(self, now: datetime) -> list[Message]:
        """Let a second pass, and remember what the lists would show."""
        arrived = super().step(now)
        self._past.append(self._as_it_is())
        return arrived

    def _as_it_is(self) -> Past:
        return Past(self.now, tuple(each.row() for each in self.orders.values()), self.net())

    def _at(self, age_s: float) -> Past:
        """Give what was true so many seconds ago."""
        if not age_s:
            return self._as_it_is()
        moment = self.now - timedelta(seconds=age_s)
        empty = Past(moment, (), {})
        return next((each for each in reversed(self._past) if each.at <= moment), empty)

    def _arrived(self, asked: object) -> None:
        if isinstance(asked, TakeSnapshot):
            self._asked_for = asked.unanswered
        super()._arrived(asked)

    def _snapshot(self) -> SnapshotTaken:
        seen = super()._snapshot()
        if not seen.known:
            return seen
        lag = next((each for each in self.lags if each.begins <= self._second < each.ends), Lag(begins=0, ends=0))
        positions = tuple(
            BrokerPosition(segment=key[0], security_id=key[1], product="INTRADAY", net_quantity=units)
            for key, units in self._at(lag.positions_s).net.items()
        )
        rows = self._at(lag.orders_s).orders
        young = self.now - timedelta(seconds=self.hidden_s)
        hidden = {
            each.order_id
            for each in self.orders.values()
            if each.ticket.correlation_id in self._asked_for and each.since > young
        }
        listed = tuple(row for row in rows if row.order_id not in hidden)
        return self._looked_up(replace(seen, orders=listed, positions=positions))

    def _looked_up(self, seen: SnapshotTaken) -> SnapshotTaken:
        """Answer for the orders that the list does not show and that were asked for by our own id, or fail to."""
        listed = {row.correlation_id for row in seen.orders}
        missing = tuple(name for name in self._asked_for if name not in listed)
        if any(each.covers(self._second) for each in self.failing):
            return replace(seen, not_looked_up=missing)
        known = (each.row() for each in self.orders.values() if each.ticket.correlation_id in missing)
        return replace(seen, orders=(*seen.orders, *known))


def lags_of(rng: random.Random, seconds: int, lags_s: Iterable[float]) -> tuple[Lag, ...]:
    """Draw spells in which now the one list lags, now the other, now none."""
    drawn, begins, known = list[Lag](), 0, list(lags_s)
    while begins < seconds:
        ends, lag_s, which = begins + rng.randint(8, 25), rng.choice(known), rng.randrange(3)
        drawn.append(
            Lag(
                begins=begins,
                ends=ends,
                orders_s=lag_s if which == 1 else 0.0,
                positions_s=lag_s if which == 2 else 0.0,
            )
        )
        begins = ends
    return tuple(drawn)
