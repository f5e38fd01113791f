"""Alarms that wait for a person: one line of JSON each, and one more when somebody has seen it.

Invariant: a line is never changed; what is waiting is what the lines say, so a restart forgets no alarm. A file that
cannot be written is no reason to stop trading: the alarm stays in memory and on the page.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.core.errors import BadInput

log = logging.getLogger(__name__)

MOST_WAITING = 500
"""More than that nobody reads one by one; the oldest are taken as seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm that nobody has acknowledged; `times` counts how often the same was raised meanwhile."""

    number: int
    text: str
    at: datetime
    times: int = 1


class AlarmFile:
    """The alarms of one data folder.

    Parameters
    ----------
    file : Path
        Made when the first alarm comes.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._waiting: dict[int, Alarm] = {}
        self._number = 0
        text = _text_of(file)
        self._is_torn = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            self._read(line)

    @property
    def waiting(self) -> tuple[Alarm, ...]:
        """Alarms that nobody has seen, oldest first."""
        return tuple(self._waiting.values())

    def raise_alarm(self, text: str, at: datetime) -> Alarm:
        """Keep an alarm; the same text that waits already is counted, not listed twice."""
        known = next((each for each in self._waiting.values() if each.text == text), None)
        if known is not None:
            again = Alarm(number=known.number, text=text, at=known.at, times=known.times + 1)
            self._waiting[known.number] = again
            return again
        self._number += 1
        alarm = Alarm(number=self._number, text=text, at=at)
        self._waiting[alarm.number] = alarm
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._write({"alarm": alarm.number, "text": text, "at": at.isoformat()})
        return alarm

    def acknowledge(self, number: int, who: str, at: datetime) -> Alarm:
        """Note that a person has seen an alarm.

        Raises
        ------
        BadInput
            No such alarm is waiting.
        """
        alarm = self._waiting.pop(number, None)
        if alarm is None:
            raise BadInput(f"alarm {number} is not waiting; the waiting ones are listed by GET /api/alarms")
        self._write({"seen": number, "who": who, "at": at.isoformat()})
        return alarm

    def _write(self, row: dict[str, Any]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as stream:
                # A line that was cut off by the end of a process is closed first.
                stream.write(("\n" if self._is_torn else "") + json.dumps(row, ensure_ascii=True) + "\n")
                self._is_torn = False
        except OSError as error:
            log.error("alarms are not kept on the disk: %s", error)

    def _read(self, line: str) -> None:
        try:
            row = json.loads(line)
            if "seen" in row:
                self._waiting.pop(int(row["seen"]), None)
                return
            alarm = Alarm(number=int(row["alarm"]), text=str(row["text"]), at=datetime.fromisoformat(row["at"]))
        except (ValueError, KeyError, TypeError):
            log.warning("a line of %s cannot be read and is passed over", self.file.name)
            return
        self._waiting[alarm.number] = alarm
        self._number = max(self._number, alarm.number)


def _text_of(file: Path) -> str:
    """Give what can be read: alarms of yesterday are no reason not to watch what is open today."""
    try:
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError as error:
        log.error("the alarms of before cannot be read: %s", error)
        return ""
