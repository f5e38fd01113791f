"""Market time of a simulator: for practice, and for rehearsals of paper and live (`trusted_clock` has the machine's).

Invariant: both give aware times in Asia/Kolkata. Time-outs, heartbeats and ages of sockets never ask these clocks: they
use the machine's monotonic time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from workbench.core.session import IST


class PracticeClock:
    """The market second that the simulator has reached; it stands still when the simulator does."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(IST)

    def now(self) -> datetime:
        """Aware time in Asia/Kolkata."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Move to the simulator's time (a practice day can be played again, so it may go back)."""
        self._now = moment.astimezone(IST)


class AffineClock:
    """The time of a simulator that plays the broker: it runs at a speed from an anchor, and is anchored anew.

    Unlike practice nobody waits for us: this is how a broker's time behaves, only faster.

    Parameters
    ----------
    start : datetime
        Market time now.
    monotonic : callable
        Wire time.
    """

    def __init__(self, start: datetime, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._latest = self._anchor = start.astimezone(IST)
        self._at, self._speed = monotonic(), 0.0

    def now(self) -> datetime:
        """Aware time in Asia/Kolkata; where it ran ahead of its market it stands until that has caught up."""
        passed = timedelta(seconds=(self._monotonic() - self._at) * self._speed)
        self._latest = max(self._latest, self._anchor + passed)
        return self._latest

    def anchor(self, moment: datetime, speed: float) -> None:
        """Take the market's own word: its time now and its seconds in a real second."""
        self._anchor, self._at, self._speed = moment.astimezone(IST), self._monotonic(), speed
