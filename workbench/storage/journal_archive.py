"""Putting old days of a journal away, so that weeks of trading do not make every start read and check more.

The newest openings of a day stay in the journal. What is older is copied into a file of its own in `archive` beside
it, read back from there and compared, and only then deleted from the journal, in one transaction. Whoever is killed in
between finds both, and nothing is lost: the next run does it again. Alert ids stay in the journal for ever, since an
alert that has acted must not act again.

Invariants: nothing leaves the journal that was not read back, entry by entry, from the archive on the disk; a day is
put away whole; what an account needs at its next start stays; nothing happens while anybody has the journal open.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.exc import DatabaseError, OperationalError

from workbench.core.book import Book
from workbench.core.errors import BadInput, CorruptData
from workbench.core.messages import DayOpened, FillBooked, PositionPlanned
from workbench.core.ports import JournalEntry
from workbench.storage.archive_file import DATABASE, MANIFEST, SCRATCH, Archive, read_manifest, unpacked
from workbench.storage.journal import SqliteJournal, entry_of
from workbench.storage.journal_file import JournalError, check, entries, named, open_file, reading
from workbench.storage.space import keep_within

log = logging.getLogger(__name__)

FOLDER = "archive"
KEEP_OPENINGS = 30
"""Openings of a day that stay in the journal: thirty sessions of a live account, thirty runs of practice."""

SIMULATED_BYTES = 256 * 1024 * 1024
"""Of a simulated account's archives; the oldest go beyond it. Those of real money are never deleted."""

LEFT_S = 3600.0
"""Age beyond which what was unpacked belongs to nobody any more."""

_NAME = re.compile(r"(?P<stem>journal(?:-[a-z]+)?)-\d{9,}-\d{9,}\.zip")
_AT_ONCE = 500


def put_away(path: Path, *, is_real: bool, keep: int = KEEP_OPENINGS, worth: int = 1) -> Archive | None:
    """Put away what is older than the newest openings; gives None where there is nothing to put away.

    Parameters
    ----------
    path : Path
        The journal. Nobody may have it open, and the caller keeps engines away from its folder.
    is_real : bool
        Its accounts outlive their process: a day that an account carries on from is kept, however old it is. A
        simulated account of an earlier run is gone with its simulator.
    keep : int
        Openings that stay.
    worth : int
        Openings beyond those that have to be there for anything to be done.

    Raises
    ------
    CorruptData
        The journal is damaged, or the archive did not read back; nothing was deleted.
    """
    with _alone(path) as engine:
        cut = _cut(engine, keep=keep, worth=worth, is_real=is_real)
        if cut is None:
            return None
        rows = sa.select(entries).where(entries.c.seq < cut).order_by(entries.c.seq)
        folder = path.parent / FOLDER
        folder.mkdir(exist_ok=True)
        _sweep(folder)
        with engine.connect() as connection:
            archive = _write(folder, path.stem, connection, rows)
            _same(archive.file, connection, rows)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            gone = connection.execute(sa.delete(entries).where(entries.c.seq < cut)).rowcount
            if gone != archive.entries:
                connection.exec_driver_sql("ROLLBACK")
                raise CorruptData(f"{path} changed while it was put away; nothing was deleted from it")
            connection.exec_driver_sql("COMMIT")
            _give_room_back(connection, path)
    if not is_real:
        keep_within(_files(path), SIMULATED_BYTES)
    return archive


def put_back(path: Path, file: Path) -> Archive:
    """Put an archive's entries back before the first one of the journal; the archive stays.

    Raises
    ------
    BadInput
        It does not end where the journal begins.
    CorruptData
        It is damaged, or no archive; nothing was changed.
    """
    archive = read_manifest(file)
    with _alone(path) as engine, engine.connect() as connection, unpacked(file) as old:
        first = connection.execute(sa.select(entries).order_by(entries.c.seq).limit(1)).first()
        if first is not None and (first.seq <= archive.last_seq or first.follows not in (None, archive.last_seq)):
            raise BadInput(
                f"{file.name} ends at entry {archive.last_seq} and {path.name} begins with {first.seq}, which follows "
                f"{first.follows}; put back the archive that ends there first"
            )
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        count = 0
        with reading(old).connect() as source:
            for row in _sound(source, sa.select(entries).order_by(entries.c.seq)):
                connection.execute(sa.insert(entries).values(**row._mapping))
                count += 1
        if count != archive.entries:
            connection.exec_driver_sql("ROLLBACK")
            raise CorruptData(f"{file} holds {count} of its {archive.entries} entries; nothing was changed")
        connection.exec_driver_sql("COMMIT")
    return archive


def archives(path: Path) -> tuple[Archive, ...]:
    """Give a journal's archives, oldest first; one that does not read is left out and told of in the log."""
    found = []
    for file in _files(path):
        try:
            found.append(read_manifest(file))
        except CorruptData as damage:
            log.error("%s", damage)
    return tuple(found)


def damaged(path: Path) -> dict[Path, str]:
    """Say of each of a journal's archives that does not read what is wrong with it, and the way out."""
    found = {}
    for file in _files(path):
        try:
            read_manifest(file)
        except CorruptData as damage:
            found[file] = str(damage)
    return found


def stem_of(file: Path) -> str:
    """Give the stem of the journal that an archive belongs to, by its name.

    Raises
    ------
    BadInput
        No archive is called that.
    """
    named_so = _NAME.fullmatch(file.name)
    if named_so is None:
        raise BadInput(f"{file.name} is not the name of an archive; workbench journal list names them")
    return named_so["stem"]


def read_archived(path: Path, account_id: str, day: date) -> Sequence[JournalEntry]:
    """Read a day that was put away; empty where no archive of the journal has it."""
    for archive in reversed(archives(path)):
        if day in archive.days.get(account_id, ()):
            with unpacked(archive.file) as old:
                journal = SqliteJournal(old)
                try:
                    return journal.read_day(account_id, day)
                finally:
                    journal.close()
    return ()


@contextmanager
def _alone(path: Path) -> Iterator[sa.Engine]:
    """Open a journal that nobody else has open, checked as the engine checks it."""
    lock = FileLock(str(path) + ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise JournalError(f"{path} is being written by an engine; stop that one first") from None
    engine = None
    try:
        engine = open_file(path)
        check(engine, path)
        yield engine
    except DatabaseError as error:
        raise named(error, path) from error
    finally:
        if engine is not None:
            engine.dispose()
        lock.release()


def _cut(engine: sa.Engine, *, keep: int, worth: int, is_real: bool) -> int | None:
    """Give the first entry that stays; None where all stay."""
    opening = sa.select(entries.c.seq, entries.c.account_id).where(entries.c.opens_day).order_by(entries.c.seq)
    with engine.connect() as connection:
        openings = connection.execute(opening).all()
        if len(openings) < keep + worth:
            return None
        cut = int(openings[-max(1, keep)].seq)
        if is_real:
            for account, newest in {row.account_id: int(row.seq) for row in openings}.items():
                if newest < cut and _goes_on(connection, account, newest):
                    cut = newest
        cut = _between_days(connection, [(row.account_id, int(row.seq)) for row in openings], cut)
        first = int(connection.execute(sa.select(sa.func.min(entries.c.seq))).scalar() or 0)
    return cut if first < cut else None


def _between_days(connection: sa.Connection, openings: Sequence[tuple[str, int]], cut: int) -> int:
    """Lower a cut until no account has a day that begins before it and goes on behind it.

    Accounts of one journal may take turns within a day, so that a beginning of one lies in the middle of another's.
    """
    starts = {seq for _, seq in openings}
    while True:
        since = sa.select(entries.c.account_id, sa.func.min(entries.c.seq)).where(entries.c.seq >= cut)
        goes_on = {name for name, seq in connection.execute(since.group_by(entries.c.account_id)) if seq not in starts}
        newest = {account: seq for account, seq in openings if seq < cut}
        split = [seq for account, seq in newest.items() if account in goes_on]
        if not split:
            return cut
        cut = min(split)


def _goes_on(connection: sa.Connection, account: str, since: int) -> bool:
    """Tell whether an account's next start needs its newest day: something is held, rests, or a person has to look."""
    book = Book()
    mine = sa.select(entries).where(entries.c.account_id == account, entries.c.seq >= since).order_by(entries.c.seq)
    for row in _sound(connection, mine, whole=False):
        book.apply_all(entry_of(row).events)
    rests = any(order.state.may_rest for order in book.orders.values())
    waits_for_a_person = book.halted or book.frozen or book.switched_off
    return bool(book.live_positions() or rests or waits_for_a_person or book.postponed)


def _write(folder: Path, stem: str, connection: sa.Connection, rows: sa.Select[Any]) -> Archive:
    """Write an archive that appears whole or not at all."""
    facts = _Facts()
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
        database, part = Path(scratch) / DATABASE, Path(scratch) / "archive.part"
        made = open_file(database)
        try:
            check(made, database)
            with made.connect() as new:
                new.exec_driver_sql("BEGIN IMMEDIATE")
                for row in _sound(connection, rows):
                    new.execute(sa.insert(entries).values(**row._mapping))
                    facts.take(entry_of(row))
                new.exec_driver_sql("COMMIT")
                # One file, without its log.
                new.exec_driver_sql("PRAGMA journal_mode=DELETE")
        finally:
            made.dispose()
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.write(database, DATABASE)
            packed.writestr(MANIFEST, json.dumps(facts.body()))
        part.chmod(0o600)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        whole = folder / f"{stem}-{facts.first:09d}-{facts.last:09d}.zip"
        if whole.exists():
            _refuse_another(whole, connection, rows)
        part.replace(whole)
    return read_manifest(whole)


def _refuse_another(whole: Path, connection: sa.Connection, rows: sa.Select[Any]) -> None:
    """Refuse to write over an archive that holds other entries: a salvaged journal may count from one again."""
    try:
        _same(whole, connection, rows)
    except CorruptData as differs:
        raise CorruptData(
            f"{whole} stands there already and is not what would be written ({differs}); move it to a safe place, "
            "then: workbench journal archive"
        ) from differs


def _same(file: Path, connection: sa.Connection, rows: sa.Select[Any]) -> None:
    """Read an archive back from the disk and compare it with what it is to stand for."""
    with unpacked(file) as old, reading(old).connect() as copied:
        theirs = _sound(copied, sa.select(entries).order_by(entries.c.seq))
        for row in _sound(connection, rows):
            if tuple(row) != tuple(next(theirs, ())):
                raise CorruptData(f"{file} does not read back at entry {row.seq}; nothing was deleted from the journal")
        if next(theirs, None) is not None:
            raise CorruptData(f"{file} holds more than it should; nothing was deleted from the journal")


def _sweep(folder: Path) -> None:
    """Remove what somebody who was killed has left: a whole copy of its rows. Whoever reads a day needs no hour."""
    oldest = time.time() - LEFT_S
    for left in folder.glob(f"{SCRATCH}*"):
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)


def _give_room_back(connection: sa.Connection, path: Path) -> None:
    try:
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    except OperationalError as error:
        # What was deleted is deleted, and its pages are used again.
        log.warning("%s keeps its size: %s", path, error.orig)


def _files(path: Path) -> list[Path]:
    """Give the archives of a journal, oldest first."""
    found = (path.parent / FOLDER).glob(f"{path.stem}-*.zip")
    return sorted(file for file in found if _NAME.fullmatch(file.name) and stem_of(file) == path.stem)


def _sound(connection: sa.Connection, rows: sa.Select[Any], *, whole: bool = True) -> Iterator[sa.Row[Any]]:
    """Give rows one by one, each as it was written and, where no account is left out, behind the one before it."""
    before: int | None = None
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(rows):
        entry_of(row)
        if whole and before is not None and row.follows not in (None, before):
            raise CorruptData(f"journal entry {row.seq} does not follow {before}")
        before = row.seq
        yield row


class _Facts:
    """What a manifest tells, gathered entry by entry."""

    def __init__(self) -> None:
        self.first = self.last = self.count = 0
        self._day: dict[str, date] = {}
        self._owners: dict[str, dict[str, str]] = {}
        self._days: dict[str, set[date]] = {}
        self._fills: dict[str, dict[date, set[str]]] = {}

    def take(self, entry: JournalEntry) -> None:
        """Take one entry, in its order."""
        self.first, self.last, self.count = self.first or entry.seq, entry.seq, self.count + 1
        account = entry.account_id
        for event in entry.events:
            if isinstance(event, DayOpened):
                self._day[account], self._owners[account] = event.day, {}
                self._days.setdefault(account, set()).add(event.day)
            elif isinstance(event, PositionPlanned):
                self._owners.setdefault(account, {})[event.position_id] = event.deployment
            elif isinstance(event, FillBooked) and account in self._day:
                owner = self._owners[account].get(event.position_id)
                if owner is not None:
                    self._fills.setdefault(account, {}).setdefault(self._day[account], set()).add(owner)

    def body(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {
            "first_seq": self.first,
            "last_seq": self.last,
            "entries": self.count,
            "days": {name: sorted(day.isoformat() for day in days) for name, days in self._days.items()},
            "fills": {
                name: {day.isoformat(): sorted(names) for day, names in sorted(days.items())}
                for name, days in self._fills.items()
            },
        }
