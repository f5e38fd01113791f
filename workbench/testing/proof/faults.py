"""How a venue of a proof misbehaves, drawn by seed from calm to foul."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Seconds of the day (counted from its first) in which nothing can be written or read, and why."""

    begins: int
    ends: int
    reason: str

    def covers(self, second: int) -> bool:
        """Tell whether that second lies in it."""
        return self.begins <= second < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often things go wrong, 0 to 1, and how late they may be (market seconds).

    Parameters
    ----------
    rejected, not_sent, throttled, unknown : float
        How a write ends instead of being accepted; half of the unknown ones were carried out (faults R1, R3, R4).
    rejected_later : float
        Accepted, and refused by the exchange a moment later.
    answer_late : float
        The answer comes many seconds after the order has come to the book (fault S2).
    lost_update, doubled_update : float
        Order updates that never come, or twice (fault S1); `delay_s` puts them out of order.
    partial : float
        Orders that fill in parts (faults R16, R17).
    blind_snapshot : float
        Snapshots that cannot be read.
    lag_s : float
        A snapshot may not know what is younger than that (a look-up that lags).
    gap : float
        Jumps of the price.
    bad_tick : float
        Quotes without a price, or without one side.
    silent : tuple of Outage
        Seconds without any quote (faults S3, S4).
    outages : tuple of Outage
        Seconds in which the broker cannot be reached or refuses the token (faults R5, R7).
    by_hand : float
        Trades of a person in the broker's own app, a second (fault R23).
    """

    rejected: float = 0.0
    not_sent: float = 0.0
    throttled: float = 0.0
    unknown: float = 0.0
    rejected_later: float = 0.0
    answer_late: float = 0.0
    lost_update: float = 0.0
    doubled_update: float = 0.0
    partial: float = 0.0
    blind_snapshot: float = 0.0
    delay_s: float = 0.0
    lag_s: float = 0.0
    gap: float = 0.0
    bad_tick: float = 0.0
    silent: tuple[Outage, ...] = field(default=())
    outages: tuple[Outage, ...] = field(default=())
    by_hand: float = 0.0

    @property
    def is_calm(self) -> bool:
        """Whether every write is answered as it should be and every update comes, if late."""
        shares = (self.rejected, self.not_sent, self.throttled, self.unknown, self.rejected_later, self.answer_late)
        return not (
            any(shares) or self.lost_update or self.blind_snapshot or self.lag_s or self.outages or self.by_hand
        )


def faults_of(rng: random.Random, seconds: int) -> Faults:
    """Draw the weather of one day."""
    foul = rng.choice([0.0, 0.05, 0.15])
    return Faults(
        rejected=foul * rng.random(),
        not_sent=foul * rng.random(),
        throttled=foul * rng.random(),
        unknown=foul * rng.random(),
        rejected_later=foul * rng.random() / 2,
        answer_late=foul * rng.random(),
        lost_update=foul * rng.random() * 2,
        doubled_update=foul * 2,
        partial=rng.choice([0.0, 0.5, 0.9]),
        blind_snapshot=foul,
        delay_s=rng.choice([0.0, 0.3, 2.5]),
        lag_s=rng.choice([0.0, 3.0]) if foul else 0.0,
        gap=rng.choice([0.0, 0.01, 0.03]),
        bad_tick=rng.choice([0.0, 0.02]),
        silent=_spells(rng, seconds, "no quotes"),
        outages=_spells(rng, seconds, "DH-901: the access token is invalid") if foul else (),
        by_hand=0.01 if rng.random() < 0.15 else 0.0,
    )


def _spells(rng: random.Random, seconds: int, reason: str) -> tuple[Outage, ...]:
    if rng.random() < 0.6:
        return ()
    begins = rng.randrange(seconds)
    return (Outage(begins=begins, ends=begins + rng.randint(5, 25), reason=reason),)
