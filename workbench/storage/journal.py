"""The journal: every message that is not a mere quote or idle beat, and every event, in one order, in SQLite.

One writer thread owns the only writing connection. What waits is committed together (group commit, one fsync), and only
then are the callers told, on their event loop. An alert's permanent idempotency row goes into the same commit as the
decision on it, so an alert costs one fsync between its arrival and its order.

Invariants: what `on_durable` was called for survives a kill and a power cut; sequence numbers rise and never repeat; an
alert id that was durable once is known for ever; a second writer is refused.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.exc import DatabaseError

from workbench.core import codec
from workbench.core.errors import CorruptData
from workbench.core.messages import AlertReceived, DayOpened
from workbench.core.ports import JournalEntry
from workbench.core.session import in_india
from workbench.storage.journal_file import JournalError, check, checksum, entries, facts, named, open_file, reading
from workbench.storage.space import Space

__all__ = ["JournalError", "SqliteJournal"]

_MOST_IN_ONE_COMMIT = 512

_INSERT_ENTRY = (
    "INSERT INTO entries (seq, account_id, day, now, opens_day, message, events, follows, crc) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ALERT = "INSERT INTO alerts (alert_id, deployment, received_at, seq) VALUES (?, ?, ?, ?)"
_INSERT_FACT = "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@dataclass(slots=True)
class _Job:
    """One thing for the writer: an entry, a fact, or a reading that wants the same connection."""

    entry: JournalEntry | None = None
    fact: tuple[str, str] | None = None
    on_durable: Callable[[], None] | None = None
    done: Future[None] | None = None
    stop: bool = False


class SqliteJournal:
    """The journal of one data folder in one SQLite file; `core.ports.Journal` and `core.ports.AlertMemory`.

    Parameters
    ----------
    path : Path
        The database file; made when it does not exist, readable by its owner only where the system knows owners.

    Raises
    ------
    JournalError
        Another process writes it, or it was written by a newer version.
    CorruptData
        SQLite's own check finds it broken; the file is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(str(path) + ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise JournalError(f"{path} is being written by another engine; stop that one first") from None
        try:
            self._engine = open_file(path)
            self._last_seq, self._known = check(self._engine, path)
        except BaseException:
            self._lock.release()
            raise
        self._queue: SimpleQueue[_Job] = SimpleQueue()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_failure: Callable[[str], None] = lambda _: None
        self._failure = ""
        self._follows = self._last_seq
        self._space: Space | None = None
        self.commits = 0

    @property
    def last_seq(self) -> int:
        """The highest sequence number on disk when the journal was opened; the next one is above it."""
        return self._last_seq

    @property
    def failure(self) -> str:
        """Why nothing can be written any more; empty while all is well."""
        return self._failure

    def start(
        self, loop: asyncio.AbstractEventLoop, on_failure: Callable[[str], None], *, space: Space | None = None
    ) -> None:
        """Start the writer; callbacks are handed to `loop`, a failed commit (disk full) to `on_failure`, there too.

        With a `space` the first commit that finds the disk full takes the reserve of it and is tried once more.
        """
        self._loop, self._on_failure, self._space = loop, on_failure, space
        self._thread = Thread(target=self._write, name="journal-writer", daemon=True)
        self._thread.start()

    def append(self, entry: JournalEntry, on_durable: Callable[[], None]) -> None:
        """Queue one entry; `on_durable` is called on the loop after its commit is on the disk.

        An `AlertReceived` takes its idempotency row along in the same commit.
        """
        self._put(_Job(entry=entry, on_durable=on_durable))

    def note(self, name: str, value: str) -> None:
        """Keep one named fact (the day's pricing inputs, the run of a practice market); the newest value wins."""
        self._put(_Job(fact=(name, value)))

    def fact(self, name: str) -> str | None:
        """Read a named fact back."""
        with self._reader() as connection:
            found = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar()
        return None if found is None else str(found)

    def claim(self, alert_id: str) -> bool:
        """Take an alert's id: True once for ever, False for every later alert of that id.

        The claim is in memory until the alert's entry is durable; `release` gives it back when that never happens.
        """
        if alert_id in self._known:
            return False
        self._known.add(alert_id)
        return True

    def release(self, alert_id: str) -> None:
        """Give a claim back, for an alert that never became durable: its sender may try again."""
        self._known.discard(alert_id)

    def read_day(self, account_id: str, day: date) -> Sequence[JournalEntry]:
        """All entries since that day was (last) opened, in order; empty when it never was.

        A practice day can be played again: then the newest run is the day.
        """
        mine, seq, first = entries.c.account_id == account_id, entries.c.seq, sa.func.min(entries.c.seq)
        with self._reader() as connection:
            that_day = sa.select(sa.func.max(seq)).where(mine, entries.c.day == day.isoformat(), entries.c.opens_day)
            opened = connection.execute(that_day).scalar()
            if opened is None:
                return ()
            # What came after midnight still belongs to the day that is open: it ends where the next one begins.
            after = connection.execute(sa.select(first).where(mine, entries.c.opens_day, seq > opened)).scalar()
            end = after or 2**63 - 1
            rows = connection.execute(sa.select(entries).where(mine, seq >= opened, seq < end).order_by(seq)).all()
            all_of_them = sa.select(seq, entries.c.follows).where(seq >= opened, seq < end).order_by(seq)
            _none_missing(connection.execute(all_of_them).all())
        return tuple(entry_of(row) for row in rows)

    def days(self, account_id: str) -> tuple[date, ...]:
        """Days that were opened, ascending."""
        with self._reader() as connection:
            found = connection.execute(
                sa.select(entries.c.day).where(entries.c.account_id == account_id, entries.c.opens_day).distinct()
            ).scalars()
            return tuple(sorted(date.fromisoformat(day) for day in found))

    def accounts(self) -> tuple[str, ...]:
        """Accounts that have entries, by name."""
        with self._reader() as connection:
            return tuple(
                connection.execute(sa.select(entries.c.account_id).distinct().order_by("account_id")).scalars()
            )

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until all that was queued is on the disk (for tests and the end of a process)."""
        done: Future[None] = Future()
        self._put(_Job(done=done))
        done.result(timeout_s)

    def close(self) -> None:
        """Write what is queued, stop the writer and give the file free."""
        if self._thread is not None:
            self._queue.put(_Job(stop=True))
            self._thread.join()
            self._thread = None
        self._engine.dispose()
        self._lock.release()

    def _put(self, job: _Job) -> None:
        if self._failure:
            raise JournalError(f"the journal cannot be written any more: {self._failure}")
        self._queue.put(job)

    @contextmanager
    def _reader(self) -> Iterator[sa.Connection]:
        """A second, reading connection: it never writes, so SQLite's trouble with two writers cannot arise."""
        try:
            with reading(self.path).connect() as connection:
                yield connection
        except (DatabaseError, ValueError) as error:
            raise named(error, self.path) from error

    def _write(self) -> None:
        """Run as the writer thread: take what waits, commit it at once, tell the loop."""
        connection = self._engine.connect()
        try:
            while True:
                batch = self._take()
                self._commit(connection, batch)
                if any(job.stop for job in batch):
                    return
        finally:
            connection.close()

    def _take(self) -> list[_Job]:
        batch = [self._queue.get()]
        while len(batch) < _MOST_IN_ONE_COMMIT:
            try:
                batch.append(self._queue.get_nowait())
            except Empty:
                break
        return batch

    def _commit(self, connection: sa.Connection, batch: list[_Job]) -> None:
        written = [job.entry for job in batch if job.entry is not None]
        noted = [job.fact for job in batch if job.fact is not None]
        try:
            if self._failure:
                raise JournalError(self._failure)
            if written or noted:
                self._insert(connection, written, noted)
        except Exception as error:  # noqa: BLE001 - whatever it is: a writer that dies in silence holds every order up
            self._fail(connection, batch, str(error.__cause__ or error))
            return
        self._tell([job.on_durable for job in batch if job.on_durable is not None])
        for job in batch:
            if job.done is not None:
                job.done.set_result(None)

    def _insert(self, connection: sa.Connection, written: list[JournalEntry], noted: list[tuple[str, str]]) -> None:
        rows = _rows(written, self._follows)
        try:
            _write_rows(connection, rows, written, noted)
        except sa.exc.OperationalError as error:
            if self._space is None or not _is_full(error) or not self._space.give_up_reserve():
                raise
            _roll_back(connection)
            allowed = int(connection.exec_driver_sql("PRAGMA max_page_count").scalar() or 0)
            page = int(connection.exec_driver_sql("PRAGMA page_size").scalar() or 4096)
            connection.exec_driver_sql(f"PRAGMA max_page_count = {allowed + self._space.reserve_bytes // page}")
            _write_rows(connection, rows, written, noted)
        self._follows = written[-1].seq if written else self._follows
        self.commits += 1

    def _fail(self, connection: sa.Connection, batch: list[_Job], why: str) -> None:
        _roll_back(connection)
        first, self._failure = not self._failure, why
        for job in batch:
            if job.done is not None:
                job.done.set_exception(JournalError(why))
        if first:
            self._tell([lambda: self._on_failure(why)])

    def _tell(self, callbacks: list[Callable[[], None]]) -> None:
        if not callbacks or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_call_all, callbacks)
        except RuntimeError:
            return  # the loop has ended; what is on the disk stays there, and nobody waits any more


def _call_all(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()


def _write_rows(
    connection: sa.Connection,
    rows: list[tuple[Any, ...]],
    written: Iterable[JournalEntry],
    noted: list[tuple[str, str]],
) -> None:
    received = [(entry.message, entry.seq) for entry in written if isinstance(entry.message, AlertReceived)]
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if rows:
        connection.exec_driver_sql(_INSERT_ENTRY, rows)
    if received:
        values = [(each.alert_id, each.deployment, each.received_at.isoformat(), seq) for each, seq in received]
        connection.exec_driver_sql(_INSERT_ALERT, values)
    if noted:
        connection.exec_driver_sql(_INSERT_FACT, noted)
    connection.exec_driver_sql("COMMIT")


def _roll_back(connection: sa.Connection) -> None:
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection) and raw.in_transaction:
        raw.rollback()


def _is_full(error: sa.exc.OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL"


def _rows(written: Iterable[JournalEntry], follows: int) -> list[tuple[Any, ...]]:
    rows = []
    for entry in written:
        row = (*_row(entry), follows)
        rows.append((*row, checksum(row)))
        follows = entry.seq
    return rows


def _row(entry: JournalEntry) -> tuple[Any, ...]:
    opened = next((item for item in entry.events if isinstance(item, DayOpened)), None)
    day = opened.day if opened is not None else in_india(entry.now).date()
    message = None if entry.message is None else _text(codec.encode(entry.message))
    events = _text([codec.encode(item) for item in entry.events])
    opens = int(opened is not None)
    return (entry.seq, entry.account_id, day.isoformat(), entry.now.isoformat(), opens, message, events)


def is_sound(row: Any) -> bool:
    """Tell whether a row is what was written; one of schema 1 cannot be told."""
    columns = (row.seq, row.account_id, row.day, row.now, int(row.opens_day), row.message, row.events, row.follows)
    return row.crc is None or bool(checksum(columns) == row.crc)


def _none_missing(rows: Sequence[Any]) -> None:
    for before, row in pairwise(rows):
        if row.follows is not None and row.follows != before.seq:
            raise CorruptData(f"journal entries between {before.seq} and {row.seq} are missing")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))  # ASCII: half a character of a broker's text is no UTF-8


def entry_of(row: Any) -> JournalEntry:
    """Read a row; CorruptData where it is not what was written."""
    if not is_sound(row):
        raise CorruptData(f"journal entry {row.seq} is not what was written: its checksum does not fit")
    try:
        return JournalEntry(
            seq=row.seq,
            now=datetime.fromisoformat(row.now),
            account_id=row.account_id,
            message=None if row.message is None else codec.decode(json.loads(row.message)),
            events=tuple(codec.decode(item) for item in json.loads(row.events)),
        )
    except (ValueError, CorruptData) as error:
        raise CorruptData(f"journal entry {row.seq} does not read: {error}") from error
