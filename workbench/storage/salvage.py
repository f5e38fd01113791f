"""What is done with a damaged journal: it is kept as it is, and what reads of it becomes a new one.

Entries are taken from the first one on up to the first that does not read, is changed or is missing: a prefix of the
truth, to which the broker's own book adds the rest. Alert ids and facts are taken wherever they read: an alert that
has acted must not act again. A person has to look before the account enters anything.

Invariant: not a byte of the damaged file is lost, and the new one holds a prefix of what was written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from workbench.core.errors import CorruptData
from workbench.storage.journal import entry_of
from workbench.storage.journal_file import alerts, check, entries, facts, open_file, reading

PARTS = ("", "-wal", "-shm")
"""A database is these files together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What became of a damaged journal.

    Parameters
    ----------
    kept : Path
        Where the damaged file stands now.
    entries, alerts : int
        What was taken over.
    last_seq : int
        Of the last entry that was taken.
    reason : str
        What was wrong.
    """

    kept: Path
    entries: int
    alerts: int
    last_seq: int
    reason: str

    @property
    def words(self) -> str:
        """What a person is told."""
        return (
            f"the journal was damaged ({self.reason}); {self.entries} entries and {self.alerts} alert ids were read "
            f"from it, the rest is the broker's word. Compare positions with the broker, then: workbench resume. "
            f"The damaged file is kept as {self.kept.name}"
        )


def salvage(path: Path, reason: str, now: datetime) -> Salvage:
    """Set a damaged journal aside and make a new one of what reads.

    Parameters
    ----------
    path : Path
        The journal; nobody may have it open.
    reason : str
        What is wrong with it.
    now : datetime
        Names the file that is kept.
    """
    kept = path.with_name(f"{path.stem}.broken-{now:%Y%m%dT%H%M%S}{path.suffix}")
    made = path.with_name(path.name + ".salvaged")
    _remove(made)
    counts = _copy(path, made)
    for part in PARTS:
        if path.with_name(path.name + part).exists():
            path.with_name(path.name + part).replace(kept.with_name(kept.name + part))
    made.replace(path)
    return Salvage(kept=kept, entries=counts[0], alerts=counts[1], last_seq=counts[2], reason=reason)


def _copy(source: Path, made: Path) -> tuple[int, int, int]:
    engine = open_file(made)
    try:
        check(engine, made)
        with engine.connect() as new:
            new.exec_driver_sql("BEGIN IMMEDIATE")
            count = last = 0
            for row in _sound_entries(source):
                new.execute(sa.insert(entries).values(**row._mapping))
                count, last = count + 1, row.seq
            known = 0
            for table in (alerts, facts):
                for row in _rows(source, table):
                    new.execute(sa.insert(table).prefix_with("OR IGNORE").values(**row._mapping))
                    known += table is alerts
            new.exec_driver_sql("COMMIT")
            # One file that can be moved as it is.
            new.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        engine.dispose()
    return count, known, last


def _sound_entries(source: Path) -> Iterator[sa.Row[tuple[object, ...]]]:
    """Give entries from the first on, up to the first that cannot be trusted."""
    before: int | None = None
    for row in _rows(source, entries):
        if before is not None and row.follows is not None and row.follows != before:
            return
        try:
            entry_of(row)
        except CorruptData:
            return
        before = row.seq
        yield row


def _rows(source: Path, table: sa.Table) -> Iterator[sa.Row[tuple[object, ...]]]:
    """Give a table's rows by its key for as long as they read."""
    try:
        with reading(source).connect() as connection:
            yield from connection.execution_options(yield_per=200).execute(
                sa.select(table).order_by(*table.primary_key)
            )
    except (DatabaseError, UnicodeDecodeError, ValueError, sqlite3.Error):
        return  # what comes behind a broken page is not looked for


def _remove(path: Path) -> None:
    for part in PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
