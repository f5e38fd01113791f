"""The journal under attack: full and locked disks, damaged files, cut power, interrupted upgrades (P3 to P7)."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.storage.builders import DAY, a_trade, alert, entry, opened
from tests.unit.storage.test_journal import write
from workbench.core.errors import CorruptData
from workbench.core.messages import TimerBeat
from workbench.core.ports import JournalEntry
from workbench.core.session import IST
from workbench.storage import journal_file
from workbench.storage.journal import JournalError, SqliteJournal
from workbench.storage.salvage import salvage
from workbench.storage.space import RESERVE_FILE, Space

NOW = datetime(2022, 6, 15, 10, 0, tzinfo=IST)


def a_day(count: int = 40) -> list[JournalEntry]:
    return [opened(), *(entry(seq, alert(f"a{seq}")) for seq in range(2, count))]


def read(path: Path) -> list[JournalEntry]:
    journal = SqliteJournal(path)
    try:
        return list(journal.read_day("practice", DAY))
    finally:
        journal.close()


def test_p3_the_reserve_lets_exits_go_on_when_the_disk_is_full(tmp_path: Path) -> None:
    told: list[str] = []
    durable: list[int] = []
    space = Space(tmp_path, told.append, reserve_bytes=4 * 1024 * 1024)
    space.look()

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "j.db")
        with journal._engine.connect() as connection:  # the same single connection that the writer uses
            connection.exec_driver_sql("PRAGMA max_page_count = 14")
        journal.start(asyncio.get_running_loop(), pytest.fail, space=space)
        for seq in range(1, 300):
            journal.append(entry(seq, alert(f"a{seq}")), lambda seq=seq: durable.append(seq))  # type: ignore[misc]
        await asyncio.to_thread(journal.flush)
        await asyncio.sleep(0)
        journal.close()

    asyncio.run(run())
    assert durable == list(range(1, 300))
    assert len(told) == 1
    assert "full" in told[0]
    assert not (tmp_path / RESERVE_FILE).exists()


def test_p3_without_a_reserve_a_full_disk_stops_the_journal_and_the_file_stays_readable(tmp_path: Path) -> None:
    told: list[str] = []
    durable: list[int] = []
    entries = [opened(), *(entry(seq, alert(f"a{seq}")) for seq in range(2, 300))]
    space = Space(tmp_path, lambda _: None, reserve_bytes=4096, low_bytes=0)

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "j.db")
        journal.start(asyncio.get_running_loop(), told.append, space=space)
        journal.append(opened(), lambda: None)
        await asyncio.to_thread(journal.flush)
        with journal._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 12")
        for each in entries[1:]:
            journal.append(each, lambda seq=each.seq: durable.append(seq))  # type: ignore[misc]
        with pytest.raises(JournalError, match="full"):
            await asyncio.to_thread(journal.flush)
        await asyncio.sleep(0.01)
        journal.close()

    asyncio.run(run())
    assert len(told) == 1
    # The writer commits in groups of what has come by then: what fitted before the file was full is whole and was told.
    found = read(tmp_path / "j.db")
    assert found == entries[: len(found)]
    assert len(found) < len(entries)
    assert durable == [each.seq for each in found[1:]]


def test_p4_a_lock_of_another_process_is_waited_for_and_no_entry_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "j.db", [opened()])
    other = sqlite3.connect(tmp_path / "j.db", isolation_level=None, check_same_thread=False)
    durable: list[int] = []

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "j.db")
        journal.start(asyncio.get_running_loop(), pytest.fail)
        other.execute("BEGIN IMMEDIATE")
        journal.append(entry(2, TimerBeat()), lambda: durable.append(2))
        await asyncio.sleep(0.3)
        assert durable == []
        other.execute("COMMIT")
        await asyncio.to_thread(journal.flush)
        await asyncio.sleep(0)
        journal.close()

    asyncio.run(run())
    other.close()
    assert durable == [2]


def test_p4_a_lock_that_is_never_given_back_stops_the_journal_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "BUSY_S", 0.2)
    write(tmp_path / "j.db", [opened()])
    told: list[str] = []

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "j.db")
        journal.start(asyncio.get_running_loop(), told.append)
        with closing(sqlite3.connect(tmp_path / "j.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            journal.append(entry(2, TimerBeat()), lambda: pytest.fail("told durable"))
            with pytest.raises(JournalError, match="locked"):
                await asyncio.to_thread(journal.flush)
            other.execute("ROLLBACK")
        await asyncio.sleep(0.01)
        journal.close()

    asyncio.run(run())
    assert ["locked" in text for text in told] == [True]


def damaged(path: Path, seed: int) -> str:
    """Flip some bytes somewhere behind the first page; gives what the journal then says, empty when nothing."""
    rng, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 40)):
        data[rng.randrange(4096, len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(bytes(data))
    try:
        read(path)
    except CorruptData as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "j.db"
    write(path, a_day())
    with closing(sqlite3.connect(path)) as link:
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.mark.parametrize("seed", range(25))
def test_p5_flipped_bytes_are_noticed_and_what_reads_is_a_prefix_of_the_truth(
    sound: Path, tmp_path: Path, seed: int
) -> None:
    path, truth = tmp_path / "j.db", a_day()
    shutil.copy(sound, path)
    reason = damaged(path, seed)
    if not reason:
        # The bytes hit what nobody reads: free room within a page, or an index that is rebuilt from the entries.
        assert read(path) == truth[: len(read(path))]
        return
    broken = path.read_bytes()
    saved = salvage(path, reason, NOW)
    assert saved.kept.read_bytes() == broken
    found = read(path)
    assert found == truth[: len(found)]
    assert saved.entries == len(found)
    assert "workbench resume" in saved.words


@pytest.mark.parametrize("at", [0, 512, 4096, 8192, 12288])
def test_p5_a_file_cut_short_is_set_aside(sound: Path, tmp_path: Path, at: int) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(sound.read_bytes()[:at] or b"not a database at all")
    with pytest.raises(CorruptData) as caught:
        read(path)
    saved = salvage(path, str(caught.value), NOW)
    assert saved.kept.is_file()
    assert read(path) == a_day()[: saved.entries]


def test_p5_an_entry_that_is_gone_is_noticed(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    shutil.copy(sound, path)
    with closing(sqlite3.connect(path)) as link:
        link.execute("DELETE FROM entries WHERE seq = 20")
        link.commit()
    with pytest.raises(CorruptData, match="between 19 and 21 are missing"):
        read(path)
    saved = salvage(path, "a hole", NOW)
    assert (saved.entries, saved.alerts) == (19, 38)
    journal = SqliteJournal(path)
    assert not journal.claim("a30")  # it acted, though its entry is behind the hole
    journal.close()


@pytest.fixture(scope="module")
def open_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, bytes]]:
    """A database and its write-ahead log, with one commit for each entry, as a power cut finds them."""
    folder = tmp_path_factory.mktemp("log")
    SqliteJournal(folder / "j.db").close()

    async def run() -> tuple[bytes, bytes]:
        journal = SqliteJournal(folder / "j.db")
        journal.start(asyncio.get_running_loop(), pytest.fail)
        for item in a_day(30):
            journal.append(item, lambda: None)
            await asyncio.to_thread(journal.flush)
        found = (folder / "j.db").read_bytes(), (folder / "j.db-wal").read_bytes()
        journal.close()
        return found

    yield asyncio.run(run())


def numbers(folder: Path, main: bytes, log: bytes) -> tuple[list[int], set[str]]:
    path = folder / "j.db"
    for name in ("j.db-shm", "j.db-wal"):
        (folder / name).unlink(missing_ok=True)
    path.write_bytes(main)
    (folder / "j.db-wal").write_bytes(log)
    with closing(sqlite3.connect(path)) as link:
        seqs = [int(row[0]) for row in link.execute("SELECT seq FROM entries ORDER BY seq")]
        return seqs, {str(row[0]) for row in link.execute("SELECT alert_id FROM alerts")}


def test_p6_every_prefix_of_the_log_is_a_prefix_of_the_journal(open_log: tuple[bytes, bytes], tmp_path: Path) -> None:
    main, log = open_log
    truth, before = [item.seq for item in a_day(30)], 0
    rng = random.Random(6)
    cuts = sorted({*range(0, len(log), 4120), *(rng.randrange(len(log)) for _ in range(60)), len(log)})
    for cut in cuts:
        seqs, known = numbers(tmp_path, main, log[:cut])
        assert seqs == truth[: len(seqs)], cut
        assert known == {f"a{seq}" for seq in seqs[1:]}, cut
        assert len(seqs) >= before  # a longer log never tells less
        before = len(seqs)
    assert before == len(truth)


def test_p6_a_write_that_never_reached_the_disk_ends_the_journal_there(
    open_log: tuple[bytes, bytes], tmp_path: Path
) -> None:
    main, log = open_log
    truth = [item.seq for item in a_day(30)]
    for seed in range(60):
        rng, torn = random.Random(seed), bytearray(log)
        at = rng.randrange(32, len(log) - 512) // 512 * 512
        torn[at : at + 512] = bytes(512)  # later sectors are there, this one is not
        seqs, known = numbers(tmp_path, main, bytes(torn))
        assert seqs == truth[: len(seqs)], seed
        assert known == {f"a{seq}" for seq in seqs[1:]}, seed


def schema_1(path: Path) -> None:
    """Make a journal as schema 1 knew it."""
    write(path, [opened(), *a_trade()])
    with closing(sqlite3.connect(path)) as link:
        link.execute("ALTER TABLE entries DROP COLUMN follows")
        link.execute("ALTER TABLE entries DROP COLUMN crc")
        link.execute("PRAGMA user_version = 1")
        link.commit()


def test_p7_an_older_schema_is_upgraded_behind_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    schema_1(path)
    assert read(path) == [opened(), *a_trade()]
    with closing(sqlite3.connect(path)) as link:
        assert link.execute("PRAGMA user_version").fetchone() == (journal_file.SCHEMA_VERSION,)
    with closing(sqlite3.connect(tmp_path / "j.schema1.db")) as link:
        assert link.execute("PRAGMA user_version").fetchone() == (1,)


_DIES = """
import os, sys
from pathlib import Path
from workbench.storage import journal_file
from workbench.storage.journal import SqliteJournal

class Dies(tuple):
    def __iter__(self):
        yield self[0]
        os._exit(9)

journal_file.UPGRADES[1] = Dies(journal_file.UPGRADES[1])
SqliteJournal(Path(sys.argv[1]))
"""


def test_p7_an_upgrade_that_was_cut_off_has_not_happened_and_is_done_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    schema_1(path)
    died = subprocess.run([sys.executable, "-c", _DIES, str(path)], check=False, timeout=60)
    assert died.returncode == 9
    with closing(sqlite3.connect(path)) as link:
        assert link.execute("PRAGMA user_version").fetchone() == (1,)
        assert "follows" not in {row[1] for row in link.execute("PRAGMA table_info(entries)")}
    assert read(path) == [opened(), *a_trade()]


def test_p7_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    write(tmp_path / "j.db", [opened()])
    with closing(sqlite3.connect(tmp_path / "j.db")) as link:
        link.execute("PRAGMA user_version = 99")
        link.commit()
    before = (tmp_path / "j.db").read_bytes()
    with pytest.raises(JournalError, match="newer version"):
        SqliteJournal(tmp_path / "j.db")
    assert (tmp_path / "j.db").read_bytes() == before


def test_p15_a_day_of_a_thousand_decisions_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write(path, [opened(), *(entry(seq, alert(f"a{seq}")) for seq in range(2, 1002))])
    assert path.stat().st_size < 1_500_000


def test_readers_never_hold_the_writer_up(tmp_path: Path) -> None:
    write(tmp_path / "j.db", a_day())
    journal = SqliteJournal(tmp_path / "j.db")
    told: list[int] = []

    async def run() -> None:
        journal.start(asyncio.get_running_loop(), pytest.fail)
        reader = threading.Thread(target=lambda: [journal.read_day("practice", DAY) for _ in range(20)])
        reader.start()
        started = time.monotonic()
        journal.append(entry(500, TimerBeat()), lambda: told.append(500))
        await asyncio.to_thread(journal.flush)
        assert time.monotonic() - started < 4
        await asyncio.to_thread(reader.join)

    asyncio.run(run())
    journal.close()
    assert told == [500]
