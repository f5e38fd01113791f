"""Notices that time was lost: the machine slept, the process stood still, or its clock was set.

Wire matters are timed by the monotonic clock and market matters by the wall clock; when the two part, or when nobody
looked for a while, what we believe of the market and of our orders may be old. That is treated as a restart is.

Invariant: a loss of more than `LOST_S` is told once, at the first look after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LOST_S = 10.0
LOOK_EVERY_S = 1.0


class ClockWatch:
    """Compares two clocks; call `look` regularly.

    Parameters
    ----------
    wall, monotonic : callable
        Seconds.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._last = (wall(), monotonic())

    def look(self) -> str:
        """Give what happened since the last look, empty when nothing did."""
        wall, monotonic = self._wall(), self._monotonic()
        passed, stood = wall - self._last[0], monotonic - self._last[1]
        self._last = (wall, monotonic)
        if stood > LOST_S + LOOK_EVERY_S:
            return f"this process stood still for {stood:.0f} s"
        jumped = passed - stood
        if abs(jumped) > LOST_S:
            # A machine that slept looks so too, where its monotonic clock sleeps with it.
            return f"the machine slept or its clock was set: it moved by {jumped:+.0f} s"
        return ""
