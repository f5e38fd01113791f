"""The journal: durable, ordered, once for an alert, and closed to a second writer."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.storage.builders import DAY, MORNING, a_trade, alert, entry, opened
from workbench.core.errors import CorruptData
from workbench.core.messages import DecisionMade, TimerBeat
from workbench.core.ports import JournalEntry
from workbench.storage.journal import JournalError, SqliteJournal


def write(path: Path, entries: list[JournalEntry]) -> list[int]:
    """Write through a running loop and give the sequence numbers in the order in which they became durable."""
    durable: list[int] = []

    async def run() -> None:
        journal = SqliteJournal(path)
        journal.start(asyncio.get_running_loop(), pytest.fail)
        for item in entries:
            journal.append(item, lambda seq=item.seq: durable.append(seq))  # type: ignore[misc]
        await asyncio.to_thread(journal.flush)
        await asyncio.sleep(0)
        journal.close()

    asyncio.run(run())
    return durable


def test_what_was_appended_reads_back_equal_and_in_order(tmp_path: Path) -> None:
    day = [opened(), *a_trade()]
    assert write(tmp_path / "j.db", day) == [item.seq for item in day]
    journal = SqliteJournal(tmp_path / "j.db")
    assert list(journal.read_day("practice", DAY)) == day
    assert journal.last_seq == day[-1].seq
    assert journal.days("practice") == (DAY,)
    journal.close()


def test_many_entries_share_a_commit(tmp_path: Path) -> None:
    async def run() -> int:
        journal = SqliteJournal(tmp_path / "j.db")
        for seq in range(1, 401):
            journal.append(entry(seq, TimerBeat()), lambda: None)
        journal.start(asyncio.get_running_loop(), pytest.fail)
        await asyncio.to_thread(journal.flush)
        journal.close()
        return journal.commits

    assert asyncio.run(run()) == 1


def test_a_day_begins_with_its_last_opening(tmp_path: Path) -> None:
    write(tmp_path / "j.db", [opened(1), *a_trade(2), opened(10), entry(11, TimerBeat())])
    journal = SqliteJournal(tmp_path / "j.db")
    assert [item.seq for item in journal.read_day("practice", DAY)] == [10, 11]
    assert journal.read_day("paper", DAY) == ()
    journal.close()


def test_what_comes_after_midnight_belongs_to_the_day_that_is_open(tmp_path: Path) -> None:
    late = entry(2, TimerBeat(), at=MORNING + timedelta(hours=16))
    tomorrow = opened(3, DAY + timedelta(days=1))
    write(tmp_path / "j.db", [opened(), late, tomorrow])
    journal = SqliteJournal(tmp_path / "j.db")
    assert [item.seq for item in journal.read_day("practice", DAY)] == [1, 2]
    assert [item.seq for item in journal.read_day("practice", DAY + timedelta(days=1))] == [3]
    journal.close()


def test_an_alert_is_claimed_once_also_across_a_restart(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    assert journal.claim("a1")
    assert not journal.claim("a1")
    journal.release("a1")
    assert journal.claim("a1")
    journal.close()
    write(tmp_path / "j.db", [opened(), entry(2, alert("a1"))])
    journal = SqliteJournal(tmp_path / "j.db")
    assert not journal.claim("a1")
    assert journal.claim("a2")
    journal.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    with pytest.raises(JournalError, match="another engine"):
        SqliteJournal(tmp_path / "j.db")
    journal.close()
    SqliteJournal(tmp_path / "j.db").close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "j.db").close()
    raw = sqlite3.connect(tmp_path / "j.db")
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(JournalError, match="newer version"):
        SqliteJournal(tmp_path / "j.db")


def test_a_damaged_file_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write(path, [opened(), *a_trade()])
    data = bytearray(path.read_bytes())
    data[4096 : 4096 + 2048] = b"\xff" * 2048
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptData, match="damaged"):
        SqliteJournal(path)
    assert path.read_bytes() == bytes(data)


def test_a_full_disk_is_told_once_and_stops_the_journal(tmp_path: Path) -> None:
    told: list[str] = []
    durable: list[int] = []

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "j.db")
        with journal._engine.connect() as connection:  # the same single connection that the writer uses
            connection.exec_driver_sql("PRAGMA max_page_count = 12")
        for seq in range(1, 300):
            journal.append(entry(seq, alert(f"a{seq}")), lambda seq=seq: durable.append(seq))  # type: ignore[misc]
        journal.start(asyncio.get_running_loop(), told.append)
        with pytest.raises(JournalError):
            await asyncio.to_thread(journal.flush)
        await asyncio.sleep(0.01)
        with pytest.raises(JournalError, match="full"):
            journal.append(entry(300, TimerBeat()), lambda: None)
        journal.close()

    asyncio.run(run())
    assert len(told) == 1
    assert durable == []


def test_facts_keep_their_newest_value(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    journal.note("run", "1")
    journal.note("run", "2")
    assert journal.fact("run") is None
    asyncio.run(_start_and_flush(journal))
    assert journal.fact("run") == "2"
    journal.close()


async def _start_and_flush(journal: SqliteJournal) -> None:
    journal.start(asyncio.get_running_loop(), pytest.fail)
    await asyncio.to_thread(journal.flush)


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.unit.storage.builders import entry, opened
from workbench.core.messages import TimerBeat
from workbench.storage.journal import SqliteJournal

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    journal.start(asyncio.get_running_loop(), lambda why: None)
    seq = 1
    journal.append(opened(1), lambda: None)
    while True:
        seq += 1
        journal.append(entry(seq, TimerBeat()), lambda seq=seq: print(seq, flush=True))
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_killed_writer_loses_nothing_that_was_told_durable(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, encoding="utf-8", cwd=root
    ) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(50)]
        time.sleep(0.05)
        child.kill()
        told += [int(line) for line in child.stdout.read().split() if line.isdigit()]
    journal = SqliteJournal(path)
    kept = [item.seq for item in journal.read_day("practice", DAY)]
    journal.close()
    assert kept == list(range(1, len(kept) + 1))
    assert kept[-1] >= told[-2]  # the last printed number may itself be cut off


def test_half_a_character_in_a_brokers_text_is_kept_as_it_came(tmp_path: Path) -> None:
    cut = entry(2, None, DecisionMade(subject="a", deployment="d", at=MORNING, fate="denied", reason="cut \ud83d"))
    assert write(tmp_path / "j.db", [opened(), cut]) == [1, 2]
    journal = SqliteJournal(tmp_path / "j.db")
    assert journal.read_day("practice", DAY)[1] == cut
    journal.close()


def test_whatever_breaks_the_writer_is_told_and_stops_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def broken(_: object) -> object:
        raise TypeError("cannot be encoded")

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "j.db")
        journal.start(asyncio.get_running_loop(), told.append)
        monkeypatch.setattr("workbench.storage.journal.codec.encode", broken)
        journal.append(opened(), lambda: None)
        with pytest.raises(JournalError):
            await asyncio.to_thread(journal.flush)
        await asyncio.sleep(0.01)
        journal.close()

    asyncio.run(run())
    assert told == ["cannot be encoded"]
