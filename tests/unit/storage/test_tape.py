"""The tape: what reads is what was written; a torn tail is a named hole."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.storage.builders import CALL, DAY, MORNING
from workbench.core.bars import Quote
from workbench.core.errors import CorruptData
from workbench.storage.tape import Hole, Tape, TapeRecord, read_tape, tape_path


def quote(second: int) -> Quote:
    price = Decimal(100) + Decimal("0.05") * second
    return Quote(
        CALL.key, MORNING + timedelta(seconds=second), price, price, price + Decimal("0.3"), 50, 75, 9, model=True
    )


def write(folder: Path, count: int = 20, first: int = 1) -> list[TapeRecord]:
    tape = Tape(folder, "practice")
    records = []
    for seq in range(first, first + count):
        now = MORNING + timedelta(seconds=seq)
        records.append(TapeRecord(seq=seq, now=now, quote=quote(seq) if seq % 3 else None))
        tape.write(seq, now, records[-1].quote)
    tape.close()
    return records


def test_quotes_and_beats_read_back_equal(tmp_path: Path) -> None:
    records = write(tmp_path)
    assert list(read_tape(tape_path(tmp_path, "practice", DAY))) == records


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    tape = Tape(tmp_path, "practice")
    tape.write(1, MORNING, None)
    tape.write(2, MORNING + timedelta(days=1), None)
    tape.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["practice-2022-06-15.tape", "practice-2022-06-16.tape"]


@given(lost=st.integers(min_value=1, max_value=60))
def test_a_torn_tail_is_a_hole_and_writing_goes_on_behind_it(
    tmp_path_factory: pytest.TempPathFactory, lost: int
) -> None:
    folder = tmp_path_factory.mktemp("tape")
    records = write(folder)
    path = tape_path(folder, "practice", DAY)
    path.write_bytes(path.read_bytes()[:-lost])
    read = list(read_tape(path))
    sound = [item for item in read if isinstance(item, TapeRecord)]
    assert sound == records[: len(sound)]
    more = write(folder, 3, first=50)
    again = list(read_tape(path))
    assert [item for item in again if isinstance(item, TapeRecord)] == sound + more
    if any(isinstance(item, Hole) for item in read):
        assert next(item for item in again if isinstance(item, Hole)).reason.startswith("torn record at byte")


def test_a_changed_byte_in_the_middle_is_no_hole_but_damage(tmp_path: Path) -> None:
    write(tmp_path)
    path = tape_path(tmp_path, "practice", DAY)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptData, match="damaged"):
        list(read_tape(path))


def test_a_named_hole_reads_back(tmp_path: Path) -> None:
    tape = Tape(tmp_path, "practice")
    tape.name_hole(MORNING, "feed lost:\tno ticks")
    tape.close()
    (hole,) = read_tape(tape_path(tmp_path, "practice", DAY))
    assert isinstance(hole, Hole)
    assert hole.reason == "feed lost: no ticks"
