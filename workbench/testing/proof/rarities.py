"""What happens on few days only: late orders, a book without bids, a hand that sells, a halt over the night.

Each kind comes on some seeds of its own by a random stream of its own, so that all other seeds keep their days.

Invariant: a rarity acts through the venue or as a person, never on the engine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from workbench.core.messages import Message, Operator, OperatorOrdered
from workbench.core.order import OrderTicket, Purpose
from workbench.testing.proof.venue import Venue

NO_BIDS_S = 110
LATE_ENTRIES_S = (5.0, 36.0, 45.0, 60.0)
LATE_EXITS_S = (1.0, 1.5)
"""An exit that comes later than it is looked for would rest beside its successor whatever anybody does (fault R1)."""


class Rarity(StrEnum):
    """What is rare about a day."""

    NONE = "none"
    LATE_ORDERS = "late orders"
    NO_BIDS = "no bids"
    SOLD_BY_HAND = "sold by hand"
    HALT_OVER_NIGHT = "halt over the night"


def rarity_of(seed: int, *, is_night: bool) -> Rarity:
    """Draw what is rare about a seed; nothing on most."""
    rng = random.Random(f"rarity {seed}")
    if is_night:
        return Rarity.HALT_OVER_NIGHT if rng.random() < 0.3 else Rarity.NONE
    kinds = [Rarity.LATE_ORDERS, Rarity.NO_BIDS, Rarity.SOLD_BY_HAND, Rarity.NONE]
    return rng.choice(kinds) if seed % 4 == 2 else Rarity.NONE


class Rarities:
    """What is rare about one day.

    Parameters
    ----------
    seed : int
    venue : Venue
    is_night : bool
    """

    def __init__(self, seed: int, venue: Venue, *, is_night: bool) -> None:
        self.kind = rarity_of(seed, is_night=is_night)
        self._venue = venue
        self._rng = random.Random(f"rarities {seed}")
        self._seconds = 0
        self._began: int | None = None
        if self.kind is Rarity.LATE_ORDERS:
            # A write that nobody answers is no calm weather.
            venue.faults = replace(venue.faults, unknown=max(venue.faults.unknown, 0.01))
            venue.late_s = self._late_s

    def second(self, tell: Callable[[Message], None]) -> str:
        """Let a second of trading pass; says what was done."""
        self._seconds += 1
        match self.kind:
            case Rarity.NO_BIDS:
                return self._no_bids(tell)
            case Rarity.SOLD_BY_HAND if self._began is None and self._seconds > 30:
                return self._sold_by_hand()
            case _:
                return ""

    def over(self) -> None:
        """The seconds of trading are over: whatever is rare ends."""
        if self.kind is Rarity.NO_BIDS:
            self._venue.nobody_bids = False
        self._venue.late_s = None

    def evening(self, tell: Callable[[Message], None]) -> None:
        """Let a person halt before the close."""
        if self.kind is Rarity.HALT_OVER_NIGHT:
            tell(OperatorOrdered(command=Operator.HALT))

    def _late_s(self, ticket: OrderTicket) -> float:
        """Seconds after which an order comes to the book unanswered; zero for one that is not late."""
        if self._rng.random() >= 0.25:
            return 0.0
        return self._rng.choice(LATE_ENTRIES_S if ticket.purpose is Purpose.ENTRY else LATE_EXITS_S)

    def _no_bids(self, tell: Callable[[Message], None]) -> str:
        venue = self._venue
        if self._began is None:
            if self._seconds < 40 or not any(venue.held(each) for each in venue.position_ids()):
                return ""
            self._began, venue.nobody_bids = self._seconds, True
            tell(OperatorOrdered(command=Operator.FLATTEN))
            return "nobody bids, and everything is to be left"
        venue.nobody_bids = self._seconds < self._began + NO_BIDS_S
        return ""

    def _sold_by_hand(self) -> str:
        """A person sells all, or one lot, of what we hold in one contract."""
        held = [each for each in self._venue.position_ids() if self._venue.held(each) > 0]
        if not held or self._rng.random() < 0.8:
            return ""
        instrument = self._venue.of(self._rng.choice(held))[0].ticket.instrument
        units = self._venue.net().get((instrument.segment.value, instrument.security_id), 0)
        if units < instrument.lot:
            return ""
        self._began = self._seconds
        return self._venue.sold_by_hand(instrument, self._rng.choice([units, units, instrument.lot]))
