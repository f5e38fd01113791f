"""`workbench journal`: what is put away is counted and reported as before, and never under a running engine (P15)."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from tests.unit.storage.builders import DAY, entry, opened
from tests.unit.storage.test_journal import write
from tests.unit.storage.test_journal_archive import days_of, one_day, spoil
from workbench.bootstrap import putting_away
from workbench.bootstrap.live_start import _fills_by_session, open_positions
from workbench.bootstrap.reporting import export_from_journal
from workbench.cli import main
from workbench.core.errors import BadInput
from workbench.core.messages import TimerBeat
from workbench.storage import journal_archive
from workbench.storage.backup import ENGINE_LOCK

DAYS = 36
LIVE = "live-001"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose live journal has six days more than stay."""
    (tmp_path / "journal").mkdir()
    entries = [item for number in range(DAYS) for item in one_day(number, account=LIVE, closed=number < DAYS - 1)]
    write(tmp_path / "journal" / "journal-live.db", entries)
    return tmp_path


def test_sessions_with_a_fill_are_counted_also_where_they_were_put_away(data: Path) -> None:
    before = _fills_by_session(data, LIVE)
    done = putting_away.archive(data)["journal-live.db"]
    assert done["entries"] == 6 * 5 and done["bytes"] < done["bytes_before"]
    assert sorted(_fills_by_session(data, LIVE)) == sorted(before) == [{"SCALP_ATM"}] * DAYS
    assert open_positions(data, LIVE) == 1


def test_a_day_that_was_put_away_is_reported_as_it_was(data: Path) -> None:
    before = export_from_journal(data, DAY)
    body = (data / "reports" / str(DAY) / "day.json").read_bytes()
    putting_away.archive(data)
    assert DAY not in days_of(data / "journal" / "journal-live.db", LIVE)
    assert export_from_journal(data, DAY) == before
    assert (data / "reports" / str(DAY) / "day.json").read_bytes() == body
    with pytest.raises(BadInput, match="no entries of"):
        export_from_journal(data, DAY - timedelta(days=1))


def test_nothing_is_moved_while_an_engine_runs_on_the_folder(data: Path) -> None:
    with FileLock(str(data / "journal" / ENGINE_LOCK)):
        for work in (putting_away.archive, lambda data: putting_away.put_back_file(data, data / ARCHIVE)):
            with pytest.raises(BadInput, match="an engine runs"):
                work(data)
    assert len(days_of(data / "journal" / "journal-live.db", LIVE)) == DAYS


ARCHIVE = Path("journal/archive/journal-live-000000001-000000105.zip")


def test_the_command_line_puts_away_names_and_puts_back(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(data))
    assert main(["journal", "archive", "--json"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["journal-live.db"]["archive"]) == data / ARCHIVE
    assert main(["journal", "list", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["journal-live.db"]
    assert told["days"] == {LIVE: [str(DAY + timedelta(days=number)) for number in range(6)]}
    assert main(["journal", "put-back", str(data / ARCHIVE), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 30
    assert len(days_of(data / "journal" / "journal-live.db", LIVE)) == DAYS


def test_an_archive_that_does_not_read_is_named_by_the_list_and_by_the_doctor(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(data))
    putting_away.archive(data)
    spoil(data / ARCHIVE, "archive.json")
    with pytest.raises(BadInput, match=rf"{ARCHIVE.name} is no archive of a journal, or damaged"):
        putting_away.records(data)
    assert main(["journal", "list"]) == 0
    assert f"file={data / ARCHIVE}  damaged=" in capsys.readouterr().out
    assert main(["journal", "put-back", str(data / ARCHIVE)]) == 2


def test_a_folder_that_cannot_be_written_to_keeps_an_archive_where_it_is_and_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(data))
    putting_away.archive(data)
    left = days_of(data / "journal" / "journal-live.db", LIVE)

    def read_only(*_: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(journal_archive, "open_file", read_only)
        assert main(["journal", "put-back", str(data / ARCHIVE)]) == 2
    assert "Read-only file system; make room and let" in capsys.readouterr().err
    assert days_of(data / "journal" / "journal-live.db", LIVE) == left


def test_where_nothing_is_put_away_a_person_reads_none(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(data))
    assert main(["journal", "list"]) == 0
    assert capsys.readouterr().out == "journal-live.db: none\n"


def test_the_end_of_up_puts_away_what_is_worth_it_and_is_not_stopped_by_what_goes_wrong(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    putting_away.at_the_end(data, shown.append)
    assert shown == [], "a small journal is not looked into"
    monkeypatch.setattr(putting_away, "WORTH_BYTES", 0)
    putting_away.at_the_end(data, shown.append)
    assert shown == [], "six days are not worth an archive"
    monkeypatch.setattr(putting_away, "WORTH_DAYS", 6)
    with FileLock(str(data / "journal" / ENGINE_LOCK)):
        putting_away.at_the_end(data, shown.append)
    putting_away.at_the_end(data, shown.append)
    assert ["could not be put away" in shown[0], ARCHIVE.name in shown[1]] == [True, True]
    putting_away.at_the_end(data, shown.append)
    assert len(shown) == 2


def test_the_doctor_tells_what_the_records_take_and_when_a_journal_is_too_large(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    putting_away.archive(data)
    (data / "tape").mkdir()
    (data / "tape" / "live-001-2022-06-15.tape").write_bytes(b"x" * 3 * 1024 * 1024)
    assert "tapes 3.0 MB, logs 0.0 MB" in putting_away.records(data)
    assert putting_away.records(data / "nothing") == (
        "journals 0.0 MB, archives 0.0 MB, tapes 0.0 MB, logs 0.0 MB, reports 0.0 MB"
    )
    monkeypatch.setattr(putting_away, "MUCH_BYTES", 1024)
    with pytest.raises(BadInput, match=r"takes 0 MB; .*workbench journal archive"):
        putting_away.records(data)


def test_p15_sixty_evenings_leave_the_journal_as_large_as_forty(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "journal.db"
    sizes, beats = [], 100
    for number in range(60):
        first = number * 1000 + 1
        day = DAY + timedelta(days=number)
        begin = replace(opened(first, day), account_id="practice")
        write(path, [begin, *(entry(first + each, TimerBeat()) for each in range(1, beats))])
        putting_away.archive(tmp_path, worth=putting_away.WORTH_DAYS)
        sizes.append(path.stat().st_size)
    assert max(sizes[40:]) <= max(sizes[:40]) * 1.05
    assert 30 <= len(days_of(path)) < 40
    told = putting_away.listing(tmp_path)["journal.db"]
    assert sum(each["entries"] for each in told) == 30 * beats
    assert sum(each["bytes"] for each in told) / 30 < sizes[-1] / 30 / 3, "a day that was put away is far smaller"
