"""Market time: the machine's own for paper and live, the simulator's for practice.

Invariant: both give aware times in Asia/Kolkata. Time-outs, heartbeats and ages of sockets never ask these clocks: they
use the machine's monotonic time.
"""

from __future__ import annotations

from datetime import datetime

from workbench.core.session import IST


class SystemClock:
    """The machine's clock, in India's zone."""

    def now(self) -> datetime:
        """Aware time in Asia/Kolkata."""
        return datetime.now(IST)


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
