"""Backup and restore of the journals: whole files, checked before they are believed.

A backup is taken with SQLite's own online copy, so that it stands at one moment also while an engine writes. It holds
the journals only: bars and masters can be fetched again, and logins belong in no copy.

Invariants: a backup is whole or is not there; a restore replaces nothing that it has not set aside before, and never
while an engine runs.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from workbench.core.errors import BadInput, CorruptData
from workbench.storage.archive_file import DAMAGED
from workbench.storage.journal_file import SCHEMA_VERSION, check, copy_database, open_file
from workbench.storage.salvage import PARTS

FOLDER = "backups"
ENGINE_LOCK = "engine.lock"
_MANIFEST = "backup.json"
_MOST_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did.

    Parameters
    ----------
    files : tuple of str
        Journals that were put in place.
    kept : Path or None
        Where those that stood there are now.
    taken_at : str
        When the backup was taken.
    """

    files: tuple[str, ...]
    kept: Path | None
    taken_at: str


def take_backup(data: Path, now: datetime, to: Path | None = None) -> Path:
    """Copy every journal of a data folder into one file; an engine may be writing them.

    Parameters
    ----------
    data : Path
    now : datetime
        Names the backup.
    to : Path, optional
        Folder; ``backups`` of the data folder without it.

    Raises
    ------
    BadInput
        There is no journal.
    """
    journals = _journals(data / "journal")
    if not journals:
        raise BadInput(f"there is no journal in {data / 'journal'} to back up; set WORKBENCH_DATA to the data folder")
    lock = FileLock(str(data / "journal" / ENGINE_LOCK))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _copies(journals, to or data / FOLDER, now, in_use=True)
    try:
        return _copies(journals, to or data / FOLDER, now, in_use=False)
    finally:
        lock.release()


def _copies(journals: Sequence[Path], folder: Path, now: datetime, *, in_use: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"journal-{now:%Y%m%dT%H%M%S}.zip"
    part, scratch = target.with_suffix(".part"), target.with_suffix(".db")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for journal in journals:
                copy_database(journal, scratch, in_use=in_use)
                _check(scratch)
                archive.write(scratch, journal.name)
            body = {"taken_at": now.isoformat(), "schema": SCHEMA_VERSION, "files": [each.name for each in journals]}
            archive.writestr(_MANIFEST, json.dumps(body))
        part.chmod(0o600)
        part.replace(target)
    finally:
        _remove(scratch)
        part.unlink(missing_ok=True)
    return target


def restore_backup(data: Path, backup: Path, now: datetime) -> Restored:
    """Put a backup's journals in place; those that stand there are set aside.

    Raises
    ------
    BadInput
        An engine runs on the folder, or there is no such file.
    CorruptData
        The file is no backup, or a journal in it is broken; nothing was changed.
    """
    if not backup.is_file():
        raise BadInput(f"there is no backup {backup}; workbench backup writes one")
    with engine_down(data, "its journal is replaced"):
        return _put_in_place(data / "journal", backup, now)


@contextmanager
def engine_down(data: Path, what: str) -> Iterator[None]:
    """Keep engines away from a data folder for a while.

    Raises
    ------
    BadInput
        One runs on it; `what` says before what it has to be stopped.
    """
    folder = data / "journal"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder / ENGINE_LOCK))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(f"an engine runs on {data}; stop it before {what}") from None
    try:
        yield
    finally:
        lock.release()


def _put_in_place(folder: Path, backup: Path, now: datetime) -> Restored:
    fresh = folder / f"restore-{now:%Y%m%dT%H%M%S}"
    fresh.mkdir()
    try:
        taken_at, names = _unpack(backup, fresh)
        kept = _set_aside(folder, names, now)
        for name in names:
            (fresh / name).replace(folder / name)
    finally:
        for path in fresh.iterdir():
            path.unlink()
        fresh.rmdir()
    return Restored(files=names, kept=kept, taken_at=taken_at)


def _unpack(backup: Path, fresh: Path) -> tuple[str, tuple[str, ...]]:
    try:
        with zipfile.ZipFile(backup) as archive:
            body = json.loads(archive.read(_MANIFEST))
            names = tuple(str(name) for name in body["files"])
            taken_at = str(body["taken_at"])
            for name in names:
                info = archive.getinfo(name)
                if PurePosixPath(name).name != name or not name.endswith(".db") or info.file_size > _MOST_BYTES:
                    raise CorruptData(f"{backup} holds {name!r}, which is no journal; nothing was changed")
                (fresh / name).write_bytes(archive.read(name))
                _check(fresh / name)
    except DAMAGED as error:
        raise CorruptData(f"{backup} is no backup of this workbench ({error}); nothing was changed") from error
    return taken_at, names


def _set_aside(folder: Path, names: Sequence[str], now: datetime) -> Path | None:
    standing = [folder / (name + part) for name in names for part in PARTS if (folder / (name + part)).exists()]
    if not standing:
        return None
    kept = folder / f"before-restore-{now:%Y%m%dT%H%M%S}"
    kept.mkdir()
    for path in standing:
        path.replace(kept / path.name)
    return kept


def _check(path: Path) -> None:
    """Open a copy as the engine would; it is upgraded or refused by the same code."""
    engine = open_file(path)
    try:
        check(engine, path)
        with engine.connect() as connection:
            # One file, without its log.
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    finally:
        engine.dispose()


def _journals(folder: Path) -> list[Path]:
    """Give the journals of all modes; what was set aside of them has a second dot in its name."""
    found = (folder / "journal.db", *sorted(folder.glob("journal-*.db")))
    return [path for path in found if path.is_file() and "." not in path.stem]


def _remove(path: Path) -> None:
    for part in PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
