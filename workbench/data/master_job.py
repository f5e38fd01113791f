"""The work of a process of its own: fetch the day's instrument master, verify it, cut out the underlyings in use.

``python -m workbench.data.master_job`` reads one JSON document from its input and writes one to its output. Reading
200,000 rows takes seconds of processor time, which an engine's event loop must not share.

Invariant: a file under a day's name was verified; it appears there whole or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from workbench.core.errors import CorruptData, WorkbenchError
from workbench.core.session import IST
from workbench.data.master_check import install_master, verify_master
from workbench.data.master_download import download_master
from workbench.data.master_file import layout_of, opened, underlying_of

KEPT_DAYS = 5
"""Files of so many days stay; older ones are deleted."""

MORNING = time(8, 0)
"""What was fetched earlier on a day may still be yesterday's list. The broker does not publish when it makes the new
one; the exchange's own contract files are there by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterJob:
    """What is to be done.

    Parameters
    ----------
    folder, source : str
        Files are ``<folder>/<source>-<day>.csv``.
    day : str
        The trading day, ISO.
    url : str
    underlyings : tuple of str
    refresh : bool
        Fetch though the day's file is there.
    offline : bool
        Use the day's file or none.
    compare : bool
        Compare the number of rows with the last good file.
    """

    folder: str
    source: str
    day: str
    url: str
    underlyings: tuple[str, ...]
    refresh: bool = False
    offline: bool = False
    compare: bool = True

    @property
    def full(self) -> Path:
        """The whole file of the day."""
        return Path(self.folder) / f"{self.source}-{self.day}.csv"

    @property
    def part(self) -> Path:
        """Its rows of these underlyings."""
        digest = hashlib.sha256(",".join(sorted(self.underlyings)).encode()).hexdigest()[:12]
        return Path(self.folder) / f"{self.source}-{self.day}-{digest}.csv"


def main() -> int:
    """Do one job; what went wrong on purpose is an answer, not a traceback."""
    document = json.loads(sys.stdin.buffer.read())
    job = MasterJob(**{**document, "underlyings": tuple(document["underlyings"])})
    try:
        answer = prepare(job)
    except WorkbenchError as error:
        answer = {"reason": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def prepare(job: MasterJob) -> dict[str, Any]:
    """Have the day's files in the folder.

    Returns
    -------
    dict
        ``fetched`` (or the cached file was used) and the facts of the whole file.

    Raises
    ------
    BrokerUnavailable
        It cannot be fetched.
    CorruptData
        What was fetched is not to be trusted.
    """
    day = date.fromisoformat(job.day)
    fetched = not job.offline and (job.refresh or not job.full.exists() or _is_early(job.full, day))
    if fetched:
        arrived = job.full.with_name(f".{job.full.name}.{os.getpid()}.part")
        try:
            download_master(job.url, arrived)
            # Never compared with today's own file: a refresh may repair one that was cut.
            before = _last_rows(job, day) if job.compare else None
            facts = install_master(arrived, job.full, underlyings=job.underlyings, previous_rows=before or 0, on=day)
        except CorruptData as error:
            # The person knows where it came from, and not the name of a file that is gone by now.
            raise CorruptData(str(error).replace(str(arrived), f"the file from {job.url}")) from error
        finally:
            arrived.unlink(missing_ok=True)
        _facts_path(job.full).write_text(json.dumps({"rows": facts.rows}) + "\n", encoding="utf-8")
        _forget_old(job)
    else:
        facts = verify_master(job.full, underlyings=job.underlyings, on=day)
    _cut_out(job.full, job.part, frozenset(job.underlyings))
    return {"fetched": fetched, "facts": facts.to_dict()}


def _is_early(full: Path, day: date) -> bool:
    """Say whether the file was made before the morning of its day, which has come by now."""
    morning = datetime.combine(day, MORNING, IST).timestamp()
    return full.stat().st_mtime < morning <= datetime.now(tz=IST).timestamp()


def _last_rows(job: MasterJob, day: date) -> int | None:
    for path in sorted(Path(job.folder).glob(f"{job.source}-????-??-??.rows.json"), reverse=True):
        if path.name < f"{job.source}-{day}":
            try:
                return int(json.loads(path.read_text(encoding="utf-8"))["rows"])
            except (ValueError, KeyError, TypeError):
                return None  # the note is of no use; the file's own checks remain
    return None


def _facts_path(full: Path) -> Path:
    return full.with_suffix(".rows.json")


def _cut_out(full: Path, part: Path, wanted: Collection[str]) -> None:
    temporary = part.with_name(f".{part.name}.{os.getpid()}.part")
    try:
        with opened(full) as stream, temporary.open("w", encoding="utf-8", newline="") as kept:
            header = stream.readline()
            layout = layout_of(full, header)
            kept.write(header)
            for line in stream:
                if any(name in line for name in wanted):
                    row = next(csv.reader([line]))
                    if len(row) < layout.width or underlying_of(row, layout) in wanted:
                        kept.write(line)
            kept.flush()
            os.fsync(kept.fileno())
        temporary.replace(part)
    finally:
        temporary.unlink(missing_ok=True)


def _forget_old(job: MasterJob) -> None:
    days = sorted(
        {path.name[len(job.source) + 1 :][:10] for path in Path(job.folder).glob(f"{job.source}-????-??-??*")}
    )
    for day in days[:-KEPT_DAYS]:
        for path in Path(job.folder).glob(f"{job.source}-{day}*"):
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
