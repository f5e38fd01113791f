"""Legs of one entry as a trader sees them: what was planned and decided, and what they bring together.

Invariant: rupees are those of the venue's fills, and of the prices that the engine heard in the same second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.exit_rules import Distance
from workbench.core.leg_rules import Combined
from workbench.core.messages import PositionPlanned, StructureClosed
from workbench.core.order import Purpose
from workbench.core.signal import Side
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.structure_venue import ChainVenue

AT_ONCE_S = 2
"""A decision that needs what is known only: a second for the price that brings it, one for the last fill."""

SAME = Decimal("0.5")
"""Rupees: the broker tells averages to four places."""


@dataclass(slots=True)
class Together:
    """The legs of one entry."""

    structure_id: str
    deployment: str
    at: datetime
    legs: dict[str, PositionPlanned] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    stops: dict[str, list[Decimal]] = field(default_factory=dict)
    was_whole: bool = False
    must_leave: bool = False
    alarms: int = 0
    best: Decimal | None = None
    minute_best: Decimal | None = None
    closed: StructureClosed | None = None
    seconds: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, holds: bool) -> int:
        """Count the seconds for which something has held without a break."""
        self.seconds[name] = self.seconds.get(name, 0) + 1 if holds else 0
        return self.seconds[name]


@dataclass(frozen=True, slots=True)
class Purse:
    """Counts what legs bring together.

    Parameters
    ----------
    venue : ChainVenue
    keeper : Gatekeeper
    """

    venue: ChainVenue
    keeper: Gatekeeper

    def reached(self, together: Together, combined: Combined, pnl: Decimal | None) -> dict[str, bool]:
        """Say which combined levels a P&L has reached."""
        premium = abs(self.premium(together))
        if pnl is None:
            return {"stop": False, "target": False, "lock": False}
        stop, target, lock = rupees(combined.stop, premium), rupees(combined.target, premium), combined.lock
        is_locked = False
        if lock is not None and together.best is not None and together.best >= (rupees(lock.after, premium) or 0):
            is_locked = pnl <= together.best * lock.keep / 100 - SAME
        return {
            "stop": stop is not None and premium > 0 and pnl <= -stop - SAME,
            "target": target is not None and premium > 0 and pnl >= target + SAME,
            "lock": is_locked and premium > 0,
        }

    def note_best(self, together: Together, pnl: Decimal) -> None:
        """The lock follows the best of minutes that have ended."""
        best = together.minute_best
        if self.venue.now.second == 0:
            if best is not None:
                together.best = best if together.best is None else max(best, together.best)
            best = None
        elif self.venue.now.second > AT_ONCE_S:
            best = pnl if best is None else max(best, pnl)
        together.minute_best = best

    def pnl(self, together: Together, *, fresh: bool) -> Decimal | None:
        """Rupees that all legs bring at the prices at which they could be left; None where one is not known now."""
        total = Decimal(0)
        for name, leg in together.legs.items():
            units = self.venue.held(name)
            total += self.venue.value_of(name)
            if not units:
                continue
            quote = self.keeper.quote(leg.instrument.key)
            if quote is None or (fresh and not self._is_fresh(quote)):
                return None
            price = (quote.bid if leg.side is Side.BUY else quote.ask) or quote.last
            total += leg.side.sign * units * price
        return total

    def _is_fresh(self, quote: Quote) -> bool:
        """It was heard in this second (a quote is made at the end of the one before), and has both sides."""
        return quote.time >= self.venue.now - timedelta(seconds=1) and quote.bid > 0 and quote.ask > 0

    def premium(self, together: Together) -> Decimal:
        """Net premium of the fills of all entries in rupees, received above zero."""
        entries = (each for name in together.legs for each in self.venue.of(name))
        return sum(
            (-each.ticket.side.sign * each.value for each in entries if each.ticket.purpose is Purpose.ENTRY),
            Decimal(0),
        )


def rupees(distance: Distance | None, base: Decimal) -> Decimal | None:
    """Give a distance in rupees: told, or percent of the base."""
    if distance is None:
        return None
    return distance.points if distance.points is not None else (distance.percent or Decimal(0)) * base / 100
