"""What the engine sends its notices to; `core.ports.Notifier`."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.notify.alarms import AlarmFile
from workbench.notify.channel import Channel

log = logging.getLogger("workbench.notices")

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.ERROR}
MOST_KEPT = 200
MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What was told, how loudly, and when (wall time)."""

    level: str
    text: str
    at: datetime


class Notifier:
    """Notices go to the log, into a short list for the page, to the alarm file and to the channel.

    Parameters
    ----------
    alarms : AlarmFile, optional
        Keeps what is told as an alarm until somebody has seen it.
    channel : Channel, optional
        Takes notices off this machine.
    now : callable, optional
        Stamps notices; the wall clock by default.
    """

    def __init__(
        self,
        *,
        alarms: AlarmFile | None = None,
        channel: Channel | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.alarms, self.channel = alarms, channel
        self._now = now
        self._notices: deque[Notice] = deque(maxlen=MOST_KEPT)
        self._channel_was_good = True

    def send(self, level: str, text: str) -> None:
        """Log, keep and pass one notice on."""
        self._keep(level, text)
        if self.channel is None:
            return
        self.channel.send(level, self._notices[-1].text)
        good = self.channel.is_good
        if self._channel_was_good and not good:
            self._keep("alarm", f"notices do not reach your phone: {self.channel.reason}; look at this page instead")
        self._channel_was_good = good

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The newest notices, oldest first."""
        return tuple(self._notices)

    def _keep(self, level: str, text: str) -> None:
        flat = " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MOST_CHARACTERS]
        log.log(_LEVELS.get(level, logging.WARNING), "%s: %s", level, flat)
        notice = Notice(level=level, text=flat, at=self._now())
        self._notices.append(notice)
        if level == "alarm" and self.alarms is not None:
            self.alarms.raise_alarm(flat, notice.at)
