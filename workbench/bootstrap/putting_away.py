"""``workbench journal``: old days put away, named, and put back; `workbench up` does the first when it ends.

Invariant: nothing of it happens while an engine runs on the data folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.bootstrap.venues import journal_name
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput, WorkbenchError
from workbench.storage.backup import engine_down
from workbench.storage.journal_archive import archives, damaged, put_away, put_back, stem_of

WORTH_BYTES = 2 * 1024 * 1024
"""A journal below that is not looked into when `workbench up` ends: it holds fewer days than stay anyway."""


_MB = 1024 * 1024
MUCH_BYTES = 50 * _MB
"""Ten times what a journal of thirty days takes: it is not put away, or somebody floods it."""

WORTH_DAYS = 10
"""Days that are put away together when `workbench up` ends, so that a year is a few dozen archives."""


def archive(data: Path, *, worth: int = 1) -> dict[str, Any]:
    """Put away what is old in every journal, where it is at least `worth` days."""
    with engine_down(data, "old days of its journal are moved"):
        return {path.name: _done(path, mode, worth) for mode, path in _journals(data)}


def put_back_file(data: Path, file: Path) -> dict[str, Any]:
    """Put an archive's days back into their journal."""
    path = data / "journal" / f"{stem_of(file)}.db"
    try:
        with engine_down(data, "old days of its journal are moved"):
            done = put_back(path, file)
    except OSError as error:
        raise BadInput(
            f"{file} could not be put back: {error}; make room and let {path.parent} be written to, then: workbench "
            f"journal put-back {file}"
        ) from error
    return {"journal": path.name, "entries": done.entries, "first": done.first_seq, "last": done.last_seq}


def listing(data: Path) -> dict[str, Any]:
    """Name the archives and the days in them, and those that do not read."""
    return {
        path.name: [
            {
                "file": str(each.file),
                "bytes": each.file.stat().st_size,
                "entries": each.entries,
                "days": {name: [str(day) for day in days] for name, days in each.days.items()},
            }
            for each in archives(path)
        ]
        + [{"file": str(file), "damaged": why} for file, why in damaged(path).items()]
        for _, path in _journals(data)
    }


def at_the_end(data: Path, show: Callable[[str], None]) -> None:
    """Put away what is old when everything has ended; what goes wrong is shown and ends nothing."""
    if not any(path.stat().st_size > WORTH_BYTES for _, path in _journals(data)):
        return
    try:
        for name, told in archive(data, worth=WORTH_DAYS).items():
            if told["archive"]:
                show(f"old days of {name} were put away: {told['archive']}")
    except WorkbenchError as error:
        show(f"old days of the journal could not be put away: {error}")


def records(data: Path) -> str:
    """Say how much room the records take.

    Raises
    ------
    BadInput
        A journal has grown far beyond what its newest days take, or old days of it do not read any more.
    """
    for _, path in _journals(data):
        if bad := damaged(path):
            raise BadInput("; ".join(bad.values()))
        if path.stat().st_size > MUCH_BYTES:
            raise BadInput(
                f"{path.name} takes {path.stat().st_size // _MB} MB; old days are put away when workbench up ends, or "
                "with the engine down by: workbench journal archive"
            )
    takes = {"journals": sum(path.stat().st_size for _, path in _journals(data))}
    for name, folder in (("archives", "journal/archive"), ("tapes", "tape"), ("logs", "logs"), ("reports", "reports")):
        takes[name] = sum(file.stat().st_size for file in (data / folder).rglob("*") if file.is_file())
    return ", ".join(f"{name} {size / _MB:.1f} MB" for name, size in takes.items())


def _done(path: Path, mode: Mode, worth: int) -> dict[str, Any]:
    before = path.stat().st_size
    try:
        made = put_away(path, is_real=mode is Mode.LIVE, worth=worth)
    except OSError as error:
        raise BadInput(f"{path} could not be put away: {error}; make room, then: workbench journal archive") from error
    told: dict[str, Any] = {"archive": "", "bytes_before": before, "bytes": path.stat().st_size}
    return told if made is None else {**told, "archive": str(made.file), "entries": made.entries}


def _journals(data: Path) -> list[tuple[Mode, Path]]:
    found = ((mode, data / "journal" / journal_name(mode)) for mode in Mode)
    return [(mode, path) for mode, path in found if path.is_file()]
