"""The machine's clock with two witnesses: its own monotonic clock, and the time that the broker tells with his answers.

A clock that is set by a day in mid-session would close the day, and stops that rest would be taken for expired. So a
jump is not followed until the broker's time bears it out, as it does after a sleep; until then the last time that was
sure goes on by the monotonic clock. Two witnesses of three decide: wall, monotonic, broker. Where neither of our own
can be right (a sleep, and a wrong clock besides), and at the very start, the broker's word alone decides.

Invariants: no jump of more than `JUMP_S` is given as time before the broker has told the same; while the wall differs
from the broker by more than `REFUSED_S` entries wait, and exits and stops go on.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from workbench.core.messages import Level
from workbench.core.ports import Notifier
from workbench.core.session import IST
from workbench.live.clock_watch import LOST_S
from workbench.live.system import FeedWatch

JUMP_S = LOST_S
"""A smaller step is the network's setting of a clock, and is followed."""

WARNED_S = 2.0
REFUSED_S = 30.0
OLD_NEWS_S = 60.0
LOOK_EVERY_S = 1.0
ASK_EVERY_S = 10.0


def _wall() -> datetime:
    return datetime.now(IST)


class TrustedClock:
    """Market time for paper and live; safe for several threads.

    Parameters
    ----------
    wall : callable
        This machine's clock, aware.
    monotonic : callable
        Seconds.
    """

    def __init__(self, wall: Callable[[], datetime] = _wall, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._lock = threading.Lock()
        self._sure, self._sure_at = wall(), monotonic()
        self._ahead_s = 0.0
        self._jumped_s = 0.0
        self._last_word: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Aware time in Asia/Kolkata: the wall's, or while that is not believed the last sure one carried on."""
        with self._lock:
            return self._look().astimezone(IST)

    def hear(self, told: datetime, *, at: float, unsure_s: float = 0.0, at_start: bool = False) -> None:
        """Take the broker's word.

        Parameters
        ----------
        told : datetime
            His time.
        at : float
            The monotonic second in which it was told.
        unsure_s : float
            By how much it may be wrong.
        at_start : bool
            Nothing was done by this clock yet, so that no time is lost or lived twice by taking the broker's.
        """
        with self._lock:
            kept, wall, monotonic = self._look(), self._wall(), self._monotonic()
            if monotonic - at > OLD_NEWS_S:
                return
            theirs = told + timedelta(seconds=monotonic - at)
            ahead_s, lost_s = (wall - theirs).total_seconds(), (theirs - kept).total_seconds()
            self._ahead_s = math.copysign(max(0.0, abs(ahead_s) - unsure_s), ahead_s)
            is_said_twice = self._agrees_with_the_last(theirs, monotonic)
            self._last_word = (theirs, monotonic)
            if not self._is_refused():
                self._sure, self._sure_at, self._jumped_s = wall, monotonic, 0.0
            elif at_start or (
                self._jumped_s and self._slept_and_woke_wrong(lost_s, ahead_s, is_said_twice=is_said_twice)
            ):
                self._sure, self._sure_at = theirs, monotonic
            else:
                # From here on the monotonic clock carries what has been given so far.
                self._sure, self._sure_at = kept, monotonic

    @property
    def doubt(self) -> str:
        """Why the wall is not believed; empty where it is."""
        with self._lock:
            self._look()
            if self._is_refused():
                return f"this machine's clock is wrong{self._told()}"
            return f"this machine's clock was set by {self._jumped_s:+.0f} s, or it slept" if self._jumped_s else ""

    @property
    def warning(self) -> str:
        """What a person should know of a wall that is believed; empty for nothing."""
        with self._lock:
            is_off = WARNED_S < abs(self._ahead_s) <= REFUSED_S
            return f"this machine's clock is off{self._told()}" if is_off else ""

    def _look(self) -> datetime:
        wall, monotonic = self._wall(), self._monotonic()
        kept = self._sure + timedelta(seconds=monotonic - self._sure_at)
        jumped_s = (wall - kept).total_seconds()
        if abs(jumped_s) > JUMP_S:
            self._jumped_s = jumped_s
            return kept
        self._jumped_s = 0.0
        if self._is_refused():
            return kept
        self._sure, self._sure_at = wall, monotonic
        return wall

    @staticmethod
    def _slept_and_woke_wrong(lost_s: float, ahead_s: float, *, is_said_twice: bool) -> bool:
        """Say whether the machine slept and woke with a wrong clock, so that only the broker is near the truth."""
        if abs(lost_s) > max(REFUSED_S, abs(ahead_s)):
            return True
        # The wall is further off than what was lost. One word of the broker might be the wrong one; two are not.
        return lost_s > REFUSED_S and is_said_twice

    def _agrees_with_the_last(self, theirs: datetime, monotonic: float) -> bool:
        if self._last_word is None:
            return False
        told, at = self._last_word
        return abs((theirs - told).total_seconds() - (monotonic - at)) <= JUMP_S

    def _is_refused(self) -> bool:
        return abs(self._ahead_s) > REFUSED_S

    def _told(self) -> str:
        if not self._ahead_s:
            return ""
        return f": {abs(self._ahead_s):.0f} s {'ahead of' if self._ahead_s > 0 else 'behind'} the broker's"


async def watch_time(
    clock: TrustedClock,
    watch: FeedWatch,
    notifier: Notifier,
    ask: Callable[[], Awaitable[None]],
    *,
    look_every_s: float = LOOK_EVERY_S,
    ask_every_s: float = ASK_EVERY_S,
) -> None:
    """While the wall is not believed hold entries loudly, and have the broker asked for his time; until cancelled."""
    warned, asked = "", float("-inf")
    while True:
        await asyncio.sleep(look_every_s)
        if doubt := clock.doubt:
            if "time" not in watch.held:
                text = (
                    f"{doubt}; its time is not believed: entries wait, exits and stops go on by the last time that was "
                    "sure. Set this machine's clock by the network"
                )
                watch.hold("time", text)
                notifier.send(Level.ALARM.value, text)
            if time.monotonic() - asked >= ask_every_s:
                asked = time.monotonic()
                await ask()
            continue
        if "time" in watch.held:
            watch.let_go("time")
            notifier.send(Level.INFO.value, "this machine's clock is believed again; entries are allowed")
        warning = clock.warning
        if warning and not warned:
            notifier.send(
                Level.WARNING.value, f"{warning}; set it by the network: more than {REFUSED_S:.0f} s stops entries"
            )
        warned = warning
