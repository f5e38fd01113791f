"""Backup and restore: whole or not at all, and never under a running engine (P10)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from tests.unit.storage.builders import DAY, a_trade, entry, opened
from tests.unit.storage.test_journal import write
from tests.unit.storage.test_journal_archive import spoil
from workbench.core.errors import BadInput, CorruptData
from workbench.core.messages import TimerBeat
from workbench.core.session import IST
from workbench.storage.backup import ENGINE_LOCK, restore_backup, take_backup
from workbench.storage.journal import JournalError, SqliteJournal

NOW = datetime(2022, 6, 15, 16, 0, tzinfo=IST)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "journal" / "journal.db", [opened(), *a_trade()])
    write(tmp_path / "journal" / "journal-live.db", [opened()])
    return tmp_path


def entries(data: Path, name: str = "journal.db") -> int:
    journal = SqliteJournal(data / "journal" / name)
    try:
        return len(journal.read_day("practice", DAY))
    finally:
        journal.close()


def test_what_was_backed_up_is_restored_and_what_stood_there_is_kept(data: Path) -> None:
    backup = take_backup(data, NOW)
    assert backup.parent == data / "backups"
    before = entries(data)
    write(data / "journal" / "journal.db", [entry(500, TimerBeat()), entry(501, TimerBeat())])
    assert entries(data) == before + 2
    done = restore_backup(data, backup, NOW)
    assert done.files == ("journal.db", "journal-live.db")
    assert done.taken_at == NOW.isoformat()
    assert entries(data) == before
    assert done.kept is not None
    with closing(sqlite3.connect(done.kept / "journal.db")) as link:
        assert link.execute("SELECT max(seq) FROM entries").fetchone() == (501,)


def test_a_backup_is_taken_while_the_journal_is_written(data: Path) -> None:
    async def run() -> Path:
        journal = SqliteJournal(data / "journal" / "journal.db")
        journal.start(asyncio.get_running_loop(), pytest.fail)
        for seq in range(600, 900):
            journal.append(entry(seq, TimerBeat()), lambda: None)
        taken = await asyncio.to_thread(take_backup, data, NOW)
        await asyncio.to_thread(journal.flush)
        journal.close()
        return taken

    taken = asyncio.run(run())
    restore_backup(data, taken, NOW + timedelta(seconds=1))
    assert entries(data) >= 1


def test_a_backup_goes_where_it_is_wanted(data: Path, tmp_path: Path) -> None:
    assert take_backup(data, NOW, tmp_path / "away").parent == tmp_path / "away"


def test_nothing_to_back_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no journal"):
        take_backup(tmp_path, NOW)


def test_p8_a_restore_under_a_running_engine_is_refused(data: Path) -> None:
    backup = take_backup(data, NOW)
    with FileLock(str(data / "journal" / ENGINE_LOCK)), pytest.raises(BadInput, match="an engine runs"):
        restore_backup(data, backup, NOW)


def test_p5_a_broken_backup_changes_nothing(data: Path, tmp_path: Path) -> None:
    backup = take_backup(data, NOW)
    before = sorted(path.name for path in (data / "journal").iterdir())
    broken = tmp_path / "broken.zip"
    broken.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    with pytest.raises(CorruptData, match="nothing was changed"):
        restore_backup(data, broken, NOW)
    with zipfile.ZipFile(tmp_path / "wrong.zip", "w") as archive:
        archive.writestr("backup.json", json.dumps({"taken_at": "", "files": ["journal.db"]}))
        archive.writestr("journal.db", b"this is no database, but it is long enough to look like one" * 100)
    with pytest.raises(CorruptData, match="damaged"):
        restore_backup(data, tmp_path / "wrong.zip", NOW)
    left = {path.name for path in (data / "journal").iterdir()} - {ENGINE_LOCK}
    assert left == set(before) - {ENGINE_LOCK}


def test_p5_a_backup_with_a_flipped_bit_changes_nothing(data: Path) -> None:
    backup = take_backup(data, NOW)
    spoil(backup, "backup.json")
    with pytest.raises(CorruptData, match="no backup of this workbench"):
        restore_backup(data, backup, NOW)
    assert entries(data) == 5


def test_w9_a_name_that_points_elsewhere_is_refused(data: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("backup.json", json.dumps({"taken_at": "", "files": ["../outside.db"]}))
        archive.writestr("../outside.db", b"")
    with pytest.raises(CorruptData, match="no journal"):
        restore_backup(data, evil, NOW)
    assert not (data / "outside.db").exists()


def test_p7_a_backup_of_a_newer_version_is_refused(data: Path) -> None:
    with closing(sqlite3.connect(data / "journal" / "journal-live.db")) as link:
        link.execute("PRAGMA user_version = 99")
        link.commit()
    with pytest.raises(JournalError, match="newer version"):
        take_backup(data, NOW)
    assert list((data / "backups").iterdir()) == []


def test_a_missing_backup_is_named(data: Path) -> None:
    with pytest.raises(BadInput, match="there is no backup"):
        restore_backup(data, data / "none.zip", NOW)
