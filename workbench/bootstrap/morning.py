"""The doctor of each morning: a live engine that runs on over nights looks at Dhan afresh before each day.

A start asks whether token, data plan, registered address, clock and contracts are right; an engine that is up for a
week would go by Monday's answers on Friday. The day's hours are the venue's own to hold entries back for.

Invariants: on a day after the first no entry leaves before the checks have passed; one that fails halts until a person
resumes; exits and stops never ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import date

from workbench.bootstrap.findings import Finding, Readiness, told
from workbench.config import Mode
from workbench.core.messages import Level
from workbench.core.ports import Notifier
from workbench.live.system import FeedWatch

log = logging.getLogger(__name__)

TRIES = 3
PAUSE_S = 20.0
"""Real seconds before a failed look is made again: a connection may just be away, a token just being renewed."""

_HOLD = "doctor"


class MorningDoctor:
    """Looks at each new day once.

    Parameters
    ----------
    look : callable
        Makes the checks of a day (blocking).
    watch : FeedWatch
        Holds entries back until they have passed.
    notifier : Notifier
    halt : callable
        Halts the account until a person resumes, with the reason.
    seen : date
        The day that the start itself has looked at.
    """

    def __init__(
        self,
        look: Callable[[date], Sequence[Finding]],
        *,
        watch: FeedWatch,
        notifier: Notifier,
        halt: Callable[[str], None],
        seen: date,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._look, self._watch, self._notifier, self._halt = look, watch, notifier, halt
        self._seen, self._pause_s = seen, pause_s
        self._opened: asyncio.Queue[date] = asyncio.Queue()

    def begins(self, day: date) -> None:
        """Hold entries back: a day begins, and nothing is known of it yet."""
        if day != self._seen:
            self._watch.hold(_HOLD, f"the checks of {day} are not done")

    def opened(self, day: date) -> None:
        """Have a day looked at, now that its contracts are there."""
        if day != self._seen:
            self._seen = day
            self._opened.put_nowait(day)

    async def run(self) -> None:
        """Look at each day that is opened, until cancelled."""
        while True:
            await self._examine(await self._opened.get())

    async def _examine(self, day: date) -> None:
        for attempt in range(1, TRIES + 1):
            findings = await asyncio.to_thread(self._look, day)
            stops = Readiness(mode=Mode.LIVE, findings=findings).stops
            if not stops:
                self._notifier.send(Level.INFO.value, f"the doctor found nothing on {day} that stops live")
                break
            reason = f"the doctor of {day}: {told(stops)}"
            log.warning("%s (look %d of %d)", reason, attempt, TRIES)
            if attempt == TRIES:
                self._notifier.send(Level.ALARM.value, f"HALT: {reason}; exits and stops go on. Then: workbench resume")
                self._halt(reason)
                break
            await asyncio.sleep(self._pause_s)
        # Halted or not: what is held back by this is known now, and a person may resume.
        self._watch.let_go(_HOLD)
