"""A disk that a proof can pull the plug of: what was not synced is lost, whole entries from the end.

Invariant: entries become durable in their order; a callback runs only after its entry is durable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime

from workbench.core import codec
from workbench.core.bars import Quote
from workbench.core.messages import AlertReceived, DayOpened
from workbench.core.ports import JournalEntry


class Disk:
    """What survives a death of the process; `opened` is the place of the entry that opened the newest day."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.alerts: set[str] = set()
        self.opened = 0
        self._read: list[JournalEntry] = []

    def read(self, first: int = 0) -> list[JournalEntry]:
        """Give the entries from that place on, as a fresh process reads them."""
        self._read += [_read(line) for line in self.entries[len(self._read) :]]
        return self._read[first:]


class DiskJournal:
    """A journal on that disk, of one life of the process; `core.ports.Journal` and `core.ports.AlertMemory`.

    Parameters
    ----------
    disk : Disk
    on_append : callable
        Sees each entry in the moment in which it is handed over.
    """

    def __init__(self, disk: Disk, on_append: Callable[[JournalEntry], None]) -> None:
        self._disk, self._on_append = disk, on_append
        self._known = set(disk.alerts)
        self._waiting: list[tuple[str, JournalEntry, Callable[[], None]]] = []
        self._synced: list[Callable[[], None]] = []

    def append(self, entry: JournalEntry, on_durable: Callable[[], None]) -> None:
        """Hand an entry over; it is durable after `sync`."""
        self._waiting.append((_line(entry), entry, on_durable))
        self._on_append(entry)

    def claim(self, alert_id: str) -> bool:
        """Take an alert's id."""
        if alert_id in self._known:
            return False
        self._known.add(alert_id)
        return True

    def release(self, alert_id: str) -> None:
        """Give a claim back."""
        self._known.discard(alert_id)

    def read_day(self, account_id: str, day: date) -> Sequence[JournalEntry]:
        """Give the entries since that day was opened last."""
        return self._disk.read(self._disk.opened) if self._disk.entries else ()

    @property
    def waiting(self) -> int:
        """Entries that are not durable yet."""
        return len(self._waiting)

    def sync(self, count: int | None = None) -> bool:
        """Make what waits durable (the first `count` of it); tell whether there was anything."""
        taken = self._waiting if count is None else self._waiting[:count]
        self._waiting = self._waiting[len(taken) :]
        for line, entry, on_durable in taken:
            if any(isinstance(event, DayOpened) for event in entry.events):
                self._disk.opened = len(self._disk.entries)
            self._disk.entries.append(line)
            if isinstance(entry.message, AlertReceived):
                self._disk.alerts.add(entry.message.alert_id)
            self._synced.append(on_durable)
        return bool(taken)

    def tell(self) -> None:
        """Run the callbacks of what is durable."""
        synced, self._synced = self._synced, []
        for callback in synced:
            callback()


class Tape:
    """Hands quotes on as they are handled and keeps nothing: a day is made anew from its seed."""

    def __init__(self, on_quote: Callable[[Quote], None]) -> None:
        self._on_quote = on_quote

    def write(self, seq: int, now: datetime, quote: Quote | None) -> None:
        """See a quote, or an idle beat."""
        if quote is not None:
            self._on_quote(quote)

    def flush(self) -> None:
        """Keep nothing."""


def _line(entry: JournalEntry) -> str:
    return json.dumps(
        {
            "seq": entry.seq,
            "now": entry.now.isoformat(),
            "account_id": entry.account_id,
            "message": None if entry.message is None else codec.encode(entry.message),
            "events": [codec.encode(event) for event in entry.events],
        }
    )


def _read(line: str) -> JournalEntry:
    body = json.loads(line)
    return JournalEntry(
        seq=body["seq"],
        now=datetime.fromisoformat(body["now"]),
        account_id=body["account_id"],
        message=None if body["message"] is None else codec.decode(body["message"]),
        events=tuple(codec.decode(each) for each in body["events"]),
    )
