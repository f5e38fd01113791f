"""The journal's file: its tables, how it is opened, checked and brought to this version's schema.

Every entry carries its own checksum and the number of the entry before it, because SQLite notices a broken page but not
a changed byte within a text, nor a row that is gone.

Invariants: a file of a newer version is refused and a broken one left as it is; an upgrade happens in one transaction
behind a copy of the file, so that one which was cut off has not happened at all.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import StaticPool

from workbench.core.errors import CorruptData, WorkbenchError

SCHEMA_VERSION = 2
BUSY_S = 5.0
"""Real seconds that a write waits for another process's lock."""

metadata = sa.MetaData()
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("now", sa.Text, nullable=False),
    sa.Column("opens_day", sa.Boolean, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("events", sa.Text, nullable=False),
    # Empty in entries of schema 1, which had neither.
    sa.Column("follows", sa.Integer),
    sa.Column("crc", sa.Integer),
    sa.Index("entries_by_day", "account_id", "day", "seq"),
    sa.Index("entries_that_open", "account_id", "day", sqlite_where=sa.text("opens_day")),
)
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
)

_NOT_BROKEN = (
    "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM",
    "SQLITE_IOERR",
)  # fmt: skip
UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE entries ADD COLUMN follows INTEGER", "ALTER TABLE entries ADD COLUMN crc INTEGER"),
}
"""What leads from a version to the next one."""


class JournalError(WorkbenchError):
    """The journal cannot be opened or written: nothing may be decided without it."""


def checksum(row: Sequence[Any]) -> int:
    """Give the checksum of an entry's columns, `follows` among them."""
    return zlib.crc32("\x1f".join("" if each is None else str(each) for each in row).encode("utf-8", "replace"))


def open_file(path: Path) -> sa.Engine:
    """Open the one writing connection."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    engine = sa.create_engine(
        f"sqlite:///{path.as_posix()}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_S},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        # FULL: a commit is on the disk when it returns, also over a power cut.
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_S * 1000:.0f}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    return engine


def reading(path: Path) -> sa.Engine:
    """Open for reading only."""
    address = f"sqlite:///file:{path.resolve().as_posix()}?mode=ro&uri=true"
    return sa.create_engine(address, poolclass=sa.pool.NullPool)


def check(engine: sa.Engine, path: Path) -> tuple[int, set[str]]:
    """Check file and version, make or upgrade the tables, and give the last number and the alert ids.

    Raises
    ------
    JournalError
        It is of a newer version, locked, or the disk is full.
    CorruptData
        SQLite finds it broken.
    """
    try:
        with engine.connect() as connection:
            told = connection.exec_driver_sql("PRAGMA quick_check").scalar()
            if told != "ok":
                raise CorruptData(_broken(path, str(told)))
            version = int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
            _to_this_version(connection, path, version)
            last = connection.execute(sa.select(sa.func.max(entries.c.seq))).scalar() or 0
            return int(last), set(connection.execute(sa.select(alerts.c.alert_id)).scalars())
    except (DatabaseError, ValueError) as error:
        raise named(error, path) from error


def named(error: DatabaseError | ValueError, path: Path) -> WorkbenchError:
    """Give the error that a person can act on: the file cannot be used now, or it is broken."""
    cause = error.__cause__ or error
    if isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorname", "").startswith(_NOT_BROKEN):
        return JournalError(f"{path} cannot be used: {cause}; is the disk full or the folder locked?")
    return CorruptData(_broken(path, str(cause)))


def copy_database(source: Path, target: Path, *, in_use: bool = False) -> None:
    """Copy a database as it stands at one moment; the target appears whole or not at all.

    Parameters
    ----------
    source, target : Path
    in_use : bool
        Another process writes it: it is opened for reading only, so that there is one writing connection as ever.
    """
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    address = f"file:{source.resolve().as_posix()}" + ("?mode=ro" if in_use else "")
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as old, closing(sqlite3.connect(part)) as new:
        old.backup(new)
    part.chmod(0o600)
    part.replace(target)


def _to_this_version(connection: sa.Connection, path: Path, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path} was written by a newer version (schema {version}, this is {SCHEMA_VERSION}); "
            "install that version, or set WORKBENCH_DATA to another folder"
        )
    if version == SCHEMA_VERSION:
        return
    if version:
        copy_database(path, path.with_name(f"{path.stem}.schema{version}{path.suffix}"))
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if version == 0:
        metadata.create_all(connection)
    for old in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
        for statement in UPGRADES[old]:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.exec_driver_sql("COMMIT")


def _broken(path: Path, why: str) -> str:
    return (
        f"{path} is damaged ({why}); it is left as it is. Stop, check positions at the broker, "
        "keep a copy of the file and put the last good one in its place: workbench restore FILE"
    )
