"""Thirty days of records: how large they become, and what is packed away (P15)."""

from __future__ import annotations

import gzip
import os
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.unit.storage.builders import CALL, alert, entry, opened
from tests.unit.storage.test_journal import write
from workbench.core.bars import Quote
from workbench.core.session import IST
from workbench.storage.journal import SqliteJournal
from workbench.storage.tape import Tape, archive_old, limit_simulated, read_tape, tape_path

FIRST = date(2022, 6, 1)
MB = 1024 * 1024


def test_p15_thirty_days_of_decisions_stay_small_and_each_day_is_read_alone(tmp_path: Path) -> None:
    path, entries = tmp_path / "j.db", []
    for number in range(30):
        day, first = FIRST + timedelta(days=number), number * 1000 + 1
        moment = datetime(day.year, day.month, day.day, 9, 15, tzinfo=IST)
        entries.append(opened(first, day))
        entries += [entry(first + n, alert(f"a{first + n}"), at=moment + timedelta(seconds=n)) for n in range(1, 200)]
    write(path, entries)
    assert path.stat().st_size < 8 * MB
    journal = SqliteJournal(path)
    try:
        assert len(journal.days("practice")) == 30
        assert len(journal.read_day("practice", FIRST + timedelta(days=17))) == 200
    finally:
        journal.close()


def test_p15_tapes_of_days_long_past_are_packed_and_the_recent_ones_are_not(tmp_path: Path) -> None:
    tape = Tape(tmp_path, "practice")
    for number in range(30):
        day = FIRST + timedelta(days=number)
        moment = datetime(day.year, day.month, day.day, 9, 15, tzinfo=IST)
        for second in range(50):
            at = moment + timedelta(seconds=second)
            tape.write(second, at, Quote(CALL.key, at, Decimal(100), Decimal(99), Decimal(101), 50, 50, 10, False))
    tape.close()
    old = tape_path(tmp_path, "practice", FIRST)
    before = old.read_bytes()
    assert archive_old(tmp_path, FIRST + timedelta(days=29)) == 15
    assert archive_old(tmp_path, FIRST + timedelta(days=29)) == 0
    assert not old.exists()
    packed = old.with_name(old.name + ".gz")
    assert packed.stat().st_size < len(before) / 3
    with gzip.open(packed) as file:
        old.write_bytes(file.read())
    assert old.read_bytes() == before
    assert len(list(read_tape(old))) == 50
    assert len(list(tmp_path.glob("*.tape"))) == 16


def test_p15_tapes_of_a_market_that_begins_anew_are_packed_by_the_wall_and_bounded(tmp_path: Path) -> None:
    wall = datetime(2026, 11, 21, 18, 0, tzinfo=IST)
    for number in range(30):
        tape = Tape(tmp_path, f"practice-{number:02d}")
        tape.write(1, datetime(2022, 6, 1, 9, 15, tzinfo=IST), None)
        tape.close()
        written = (wall - timedelta(days=30 - number)).timestamp()
        os.utime(tape_path(tmp_path, f"practice-{number:02d}", FIRST), (written, written))
    money = tmp_path / "live-001-2022-06-01.tape"
    money.write_bytes(b"x" * 4096)
    assert archive_old(tmp_path, FIRST) == 0, "by the market's date none is ever old"
    assert archive_old(tmp_path, FIRST, wall=wall) == 16
    left = limit_simulated(tmp_path, most_bytes=500)
    assert left and money.is_file()
    assert sum(path.stat().st_size for path in tmp_path.glob("practice*")) <= 500
    assert tape_path(tmp_path, "practice-29", FIRST).is_file(), "the newest stays"
    assert not list(tmp_path.glob("*.gz")), "the oldest go first, packed or not"
