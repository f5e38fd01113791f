"""Room on the disk: who is told, and when the reserve comes and goes (P3)."""

from __future__ import annotations

from pathlib import Path

from workbench.storage.space import LOOK_EVERY_S, RESERVE_FILE, Space

MB = 1024 * 1024


class Disk:
    """A disk of which the test says how much is free, and a clock that it moves."""

    def __init__(self, folder: Path, free: int) -> None:
        self.free, self.now, self.told = free, 0.0, list[str]()
        self.space = Space(
            folder, self.told.append, reserve_bytes=MB, low_bytes=10 * MB, free=lambda: self.free, monotonic=self.clock
        )

    def clock(self) -> float:
        return self.now

    def look(self) -> None:
        self.now += LOOK_EVERY_S
        self.space.look()


def test_p3_the_reserve_is_laid_down_once_while_there_is_room(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 100 * MB)
    disk.look()
    assert (tmp_path / RESERVE_FILE).stat().st_size == MB
    disk.look()
    assert disk.told == []


def test_p3_too_little_room_is_told_once_and_its_end_too(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 100 * MB)
    disk.look()
    disk.free = 9 * MB
    disk.look()
    disk.look()
    assert len(disk.told) == 1
    assert "9 MB" in disk.told[0]
    disk.free = 50 * MB
    disk.look()
    assert disk.told[1:] == [""]


def test_p3_a_reserve_that_was_given_up_is_laid_down_again_when_there_is_room(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 100 * MB)
    disk.look()
    assert disk.space.give_up_reserve()
    assert not disk.space.give_up_reserve()
    assert "full" in disk.space.reason
    disk.free = 2 * MB
    disk.look()
    assert not (tmp_path / RESERVE_FILE).exists()
    disk.free = 100 * MB
    disk.look()
    assert (tmp_path / RESERVE_FILE).is_file()
    assert disk.space.reason == ""
    assert [bool(text) for text in disk.told] == [True, False]


def test_p3_a_look_costs_nothing_in_between(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 100 * MB)
    disk.look()
    disk.free = 0
    disk.space.look()
    assert disk.space.reason == ""


def test_p3_a_folder_that_takes_no_reserve_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    Space(tmp_path / "gone", told.append, free=lambda: 1000 * MB).look()
    assert "no reserve can be laid down" in told[0]
