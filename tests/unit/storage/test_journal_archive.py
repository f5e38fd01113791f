"""Old days of a journal leave it only for a file that reads back, and never those that a next start needs (P15)."""

from __future__ import annotations

import errno
import os
import sqlite3
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.storage.builders import DAY, a_trade, opened
from tests.unit.storage.test_journal import write
from workbench.core.errors import BadInput, CorruptData
from workbench.core.ports import JournalEntry
from workbench.storage import journal_archive
from workbench.storage.archive_file import DATABASE, MANIFEST, read_manifest, unpacked
from workbench.storage.journal import JournalError, SqliteJournal
from workbench.storage.journal_archive import archives, damaged, put_away, put_back, read_archived

KEEP = 3
LONG = 20
"""Entries of a day: far enough apart for the numbers to be told from each other."""


def one_day(number: int, *, account: str = "practice", closed: bool = True) -> list[JournalEntry]:
    """Entries of one day: one trade, which may be left open."""
    first = number * LONG + 1
    trade = a_trade(first + 1, alert_id=f"a{number}", tag=str(number))
    made = [opened(first, DAY + timedelta(days=number)), *(trade if closed else trade[:2])]
    return [replace(item, account_id=account) for item in made]


def days_of(path: Path, account: str = "practice") -> Sequence[date]:
    journal = SqliteJournal(path)
    try:
        return journal.days(account)
    finally:
        journal.close()


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM entries ORDER BY seq").fetchall()


def journal_of(folder: Path, days: int) -> Path:
    path = folder / "journal.db"
    write(path, [item for number in range(days) for item in one_day(number)])
    return path


def test_p15_only_the_newest_days_stay_and_every_other_is_read_from_its_archive(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 8)
    done = put_away(path, is_real=True, keep=KEEP)
    assert done is not None and done.entries == 5 * 5
    assert days_of(path) == tuple(DAY + timedelta(days=number) for number in (5, 6, 7))
    for number in range(5):
        assert list(read_archived(path, "practice", DAY + timedelta(days=number))) == one_day(number)
    assert read_archived(path, "practice", DAY + timedelta(days=6)) == ()
    assert done.fills["practice"] == {DAY + timedelta(days=number): ["SCALP_ATM"] for number in range(5)}
    assert put_away(path, is_real=True, keep=KEEP) is None, "once is enough"


def test_what_was_put_back_is_what_was_there_to_the_byte(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 8)
    before = rows_of(path)
    first = put_away(path, is_real=True, keep=5)
    second = put_away(path, is_real=True, keep=KEEP)
    assert first is not None and second is not None
    with pytest.raises(BadInput, match="put back the archive that ends there first"):
        put_back(path, first.file)
    put_back(path, second.file)
    put_back(path, first.file)
    assert rows_of(path) == before
    assert days_of(path)[0] == DAY
    with pytest.raises(BadInput, match="ends at entry"):
        put_back(path, first.file)


def test_numbers_and_alert_ids_go_on_behind_what_was_put_away(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 8)
    put_away(path, is_real=True, keep=1)
    journal = SqliteJournal(path)
    try:
        assert journal.last_seq == 7 * LONG + 5
        assert not any(journal.claim(f"a{number}") for number in range(8)), "an alert acts once for ever"
    finally:
        journal.close()


@pytest.mark.parametrize(("is_real", "stay"), [(True, 8), (False, KEEP)])
def test_a_day_that_leaves_something_open_stays_where_money_is_real(tmp_path: Path, is_real: bool, stay: int) -> None:
    path = tmp_path / "journal.db"
    other = one_day(0, account="live-001", closed=False)
    write(path, other + [item for number in range(1, 9) for item in one_day(number, account="live-002")])
    put_away(path, is_real=is_real, keep=KEEP)
    assert len(days_of(path, "live-002")) == stay
    assert len(days_of(path, "live-001")) == int(is_real)


def test_a_day_that_another_account_was_opened_within_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    late = replace(a_trade(9 * LONG, alert_id="late", tag="late")[0], account_id="one")
    write(path, [*one_day(0, account="one"), *(each for n in range(1, 7) for each in one_day(n)), late])
    assert put_away(path, is_real=False, keep=KEEP) is None
    assert len(days_of(path)) == 6


@pytest.mark.parametrize("keep", [3, 4, 5])
def test_a_day_within_which_two_accounts_took_turns_is_never_split(tmp_path: Path, keep: int) -> None:
    path, made = tmp_path / "journal.db", []
    for number in range(6):
        first, day = number * LONG + 1, DAY + timedelta(days=number)
        made += [replace(opened(first + at, day), account_id=name) for at, name in ((0, "live-1"), (1, "live-2"))]
        trade = a_trade(first + 2, alert_id=f"b{number}", tag=str(number))
        made += [replace(each, account_id="live-1") for each in trade]
    write(path, made)
    assert put_away(path, is_real=True, keep=keep) is not None
    journal = SqliteJournal(path)
    try:
        for number in range(6):
            day = DAY + timedelta(days=number)
            told = journal.read_day("live-1", day) or read_archived(path, "live-1", day)
            assert len(told) == 5, f"day {number} is in one place"
            assert bool(journal.read_day("live-1", day)) is not bool(read_archived(path, "live-1", day))
    finally:
        journal.close()


def test_a_cut_goes_down_until_nobodys_day_is_split(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    begun = [(1, "one"), (3, "two"), (7, "three"), (12, "four")]
    made = [replace(opened(seq), account_id=name) for seq, name in begun]
    goes_on = [(4, "one"), (8, "two"), (13, "three")]
    made += [replace(a_trade(seq, alert_id=str(seq), tag=str(seq))[0], account_id=name) for seq, name in goes_on]
    write(path, sorted(made, key=lambda each: each.seq))
    before = rows_of(path)
    assert put_away(path, is_real=False, keep=1) is None, "four begins within three, three within two, two in one"
    assert rows_of(path) == before


def test_a_kill_between_archive_and_delete_loses_nothing_and_the_next_run_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal_of(tmp_path, 8)
    before = rows_of(path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(journal_archive, "_same", killed)
        put_away(path, is_real=True, keep=KEEP)
    assert rows_of(path) == before
    assert put_away(path, is_real=True, keep=KEEP) is not None
    assert len(archives(path)) == 1
    assert [each.name for each in (tmp_path / "archive").iterdir()] == [archives(path)[0].file.name]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_no_archive_is_written_over_by_other_entries_of_the_same_numbers(tmp_path: Path, is_damaged: bool) -> None:
    path = journal_of(tmp_path, 8)
    done = put_away(path, is_real=True, keep=KEEP)
    assert done is not None
    if is_damaged:
        spoil(done.file, DATABASE)
    kept = done.file.read_bytes()
    path.unlink()
    later = [replace(each, now=each.now + timedelta(hours=1)) for number in range(8) for each in one_day(number)]
    write(path, later)
    before = rows_of(path)
    with pytest.raises(CorruptData, match=r"stands there already .*; move it to a safe place"):
        put_away(path, is_real=True, keep=KEEP)
    assert (done.file.read_bytes(), rows_of(path)) == (kept, before)
    done.file.rename(tmp_path / "safe.zip")
    assert put_away(path, is_real=True, keep=KEEP) is not None


def test_what_a_killed_process_left_unpacked_is_removed_and_what_may_be_in_use_is_not(tmp_path: Path) -> None:
    path, folder = journal_of(tmp_path, 8), tmp_path / "archive"
    for name in ("unpacked-old", "unpacked-new"):
        (folder / name).mkdir(parents=True)
        (folder / name / "journal.db").write_bytes(b"rows")
    os.utime(folder / "unpacked-old", (0, 0))
    done = put_away(path, is_real=True, keep=KEEP)
    assert done is not None
    assert {each.name for each in folder.iterdir()} == {"unpacked-new", done.file.name}


def test_no_room_to_unpack_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal_of(tmp_path, 8)
    done = put_away(path, is_real=True, keep=KEEP)
    assert done is not None
    before = rows_of(path)

    def full(self: Path, body: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    for work in (lambda: put_back(path, done.file), lambda: read_archived(path, "practice", DAY)):
        with pytest.raises(BadInput, match=r"cannot be unpacked in .*No space left.*make room there"):
            work()
    assert rows_of(path) == before
    assert [each.name for each in (tmp_path / "archive").iterdir()] == [done.file.name]


def test_an_archive_that_does_not_read_back_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal_of(tmp_path, 8)
    before = rows_of(path)
    write_archive = journal_archive._write

    def spoiled(*arguments: Any) -> Any:
        made = write_archive(*arguments)
        _replace_in(made.file, "UPDATE entries SET events = replace(events, '110.00', '111.00')")
        return made

    monkeypatch.setattr(journal_archive, "_write", spoiled)
    with pytest.raises(CorruptData, match="checksum"):
        put_away(path, is_real=True, keep=KEEP)
    assert rows_of(path) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE entries SET message = replace(message, 'BUY', 'SELL') WHERE seq = 2", "checksum"),
        ("DELETE FROM entries WHERE seq = 3", "does not follow"),
    ],
)
def test_a_damaged_journal_is_left_as_it_is(tmp_path: Path, change: str, words: str) -> None:
    path = journal_of(tmp_path, 8)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    before = rows_of(path)
    with pytest.raises(CorruptData, match=words):
        put_away(path, is_real=True, keep=KEEP)
    assert rows_of(path) == before
    assert archives(path) == ()


def test_nothing_is_put_away_while_somebody_has_the_journal_open(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 8)
    journal = SqliteJournal(path)
    try:
        with pytest.raises(JournalError, match="stop that one first"):
            put_away(path, is_real=True, keep=KEEP)
    finally:
        journal.close()


def test_archives_of_simulated_accounts_are_bounded_and_those_of_money_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_archive, "SIMULATED_BYTES", 1)
    for is_real, left in ((True, 3), (False, 1)):
        folder = tmp_path / str(is_real)
        folder.mkdir()
        path = journal_of(folder, 8)
        for keep in (6, 4, 2):
            put_away(path, is_real=is_real, keep=keep)
        assert len(archives(path)) == left


def test_what_is_no_archive_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 2)
    before = rows_of(path)
    bad = tmp_path / "journal-000000001-000000002.zip"
    for body in (b"", b"PK", b"no zip at all"):
        bad.write_bytes(body)
        with pytest.raises(CorruptData, match="no archive"):
            put_back(path, bad)
    with pytest.raises(BadInput, match="not the name"):
        journal_archive.stem_of(tmp_path / "journal-20260928T160000.zip")
    assert journal_archive.stem_of(Path("journal-live-000000001-000000002.zip")) == "journal-live"
    assert rows_of(path) == before


def spoil(file: Path, name: str) -> None:
    """Turn bits of what is packed under that name, as an old disk does: it does not unpack any more."""
    with zipfile.ZipFile(file) as packed:
        at = packed.getinfo(name).header_offset + 30 + len(name)
    body = bytearray(file.read_bytes())
    body[at] ^= 6
    file.write_bytes(bytes(body))


def test_every_flipped_bit_is_damage_that_names_the_file_and_the_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = journal_of(tmp_path, 5)
    done = put_away(path, is_real=True, keep=KEEP)
    assert done is not None
    good = done.file.read_bytes()
    with zipfile.ZipFile(done.file) as packed:
        manifest = packed.getinfo(MANIFEST).header_offset
    kinds = set()
    for spot in (*range(0, manifest * 8, 499), *range(manifest * 8, len(good) * 8, 3)):
        body = bytearray(good)
        body[spot // 8] ^= 1 << spot % 8
        done.file.write_bytes(bytes(body))
        try:
            (read_manifest if spot >= manifest * 8 else _unpack)(done.file)
        except CorruptData as damage:
            assert done.file.name in str(damage) and "put a good copy in its place" in str(damage)
            kinds.add(type(damage.__cause__).__name__)
    assert {"error", "BadZipFile", "RuntimeError", "NotImplementedError"} <= kinds
    spoil(done.file, MANIFEST)
    assert archives(path) == () and done.file.name in caplog.text
    assert list(damaged(path)) == [done.file]


def _unpack(file: Path) -> None:
    with unpacked(file):
        pass


def _replace_in(file: Path, statement: str) -> None:
    """Change an archive's database behind its back."""
    with zipfile.ZipFile(file) as packed:
        names = {name: packed.read(name) for name in packed.namelist()}
    scratch = file.with_suffix(".scratch")
    scratch.write_bytes(names["journal.db"])
    with closing(sqlite3.connect(scratch)) as connection:
        connection.execute(statement)
        connection.commit()
    names["journal.db"] = scratch.read_bytes()
    scratch.unlink()
    with zipfile.ZipFile(file, "w") as packed:
        for name, body in names.items():
            packed.writestr(name, body)
