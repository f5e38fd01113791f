"""Telling a person: every notice is logged and kept in a short list that the control page shows.

Invariant: sending never blocks and never raises; a notice is shown even if no other channel exists.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

log = logging.getLogger("workbench.notices")

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.ERROR}
MOST_KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What was told, how loudly, and when (wall time)."""

    level: str
    text: str
    at: datetime


class LogNotifier:
    """Notices go to the log and into memory; `core.ports.Notifier`.

    Parameters
    ----------
    now : callable, optional
        Stamps notices; the wall clock by default.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._notices: deque[Notice] = deque(maxlen=MOST_KEPT)

    def send(self, level: str, text: str) -> None:
        """Log and keep one notice."""
        flat = " ".join(text.split())[:500]
        log.log(_LEVELS.get(level, logging.WARNING), "%s: %s", level, flat)
        self._notices.append(Notice(level=level, text=flat, at=self._now()))

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The newest notices, oldest first."""
        return tuple(self._notices)
