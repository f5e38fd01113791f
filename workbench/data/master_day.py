"""The instrument master of a trading day, ready to use: cached by date, made in a process of its own.

Lots, ticks and ids of another day are not those of today, and the broker uses ids again after expiry. So a fetch that
fails, or a file that does not pass its checks, leaves the last good file of the SAME day in use, and without one there
is no master: live trading is refused with words.

Invariant: an outcome has a master of its day, or a reason why there is none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from workbench.core.errors import BadInput, CorruptData
from workbench.data.instruments import InstrumentMaster
from workbench.data.master_job import MasterJob

LIMIT_S = 240.0
"""Real seconds that fetching, checking and cutting out may take together."""

_UNREAD = ("unparsable", "cut_short", "duplicate_id", "same_contract")


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterOutcome:
    """What became of a day's master.

    Parameters
    ----------
    day : date
    master : InstrumentMaster or None
        The contracts of the underlyings asked for.
    path : Path or None
        The whole verified file, for whoever wants another underlying of it.
    fetched : bool
        It was fetched now; else the day's file was there.
    rows : int
        Of the whole file.
    findings : tuple of str
        What a person should know although there is a master.
    reason : str
        Why there is none, and the way out; empty where there is one.
    """

    day: date
    master: InstrumentMaster | None = None
    path: Path | None = None
    fetched: bool = False
    rows: int = 0
    findings: tuple[str, ...] = ()
    reason: str = ""

    def required(self) -> InstrumentMaster:
        """Give the master, or refuse.

        Raises
        ------
        CorruptData
            There is none.
        """
        if self.master is None:
            raise CorruptData(self.reason)
        return self.master


def daily_master(
    folder: Path,
    day: date,
    url: str,
    underlyings: Collection[str],
    *,
    refresh: bool = False,
    limit_s: float = LIMIT_S,
) -> MasterOutcome:
    """Give the day's master of some underlyings; blocks until another process has it ready.

    Parameters
    ----------
    folder : Path
        Usually ``<data>/instruments``.
    day : date
        The trading day.
    url : str
        Of the compact or the detailed master.
    underlyings : collection of str
    refresh : bool
        Fetch though the day's file is there; if that fails, the day's file stays in use and a finding says so.
    limit_s : float
        Real time that it may take.

    Returns
    -------
    MasterOutcome
        A failure is an outcome with a reason, never an exception.
    """
    job = replace(_job(folder, day, url, underlyings, source="dhan"), refresh=refresh)
    outcome = _outcome(job, limit_s)
    if outcome.master is None and job.full.exists():
        kept = _outcome(replace(job, offline=True), limit_s)
        if kept.master is not None:
            said = f"the master of {day} could not be fetched again, the day's earlier one stays: {outcome.reason}"
            return replace(kept, findings=(said, *kept.findings))
    return outcome


def practice_master(
    folder: Path, day: date, url: str, underlyings: Collection[str], *, limit_s: float = LIMIT_S
) -> MasterOutcome:
    """Give a practice market's master of a day: as `daily_master`, but nothing of an earlier run is used.

    Such a market lists other contracts in each run, so an earlier file is neither a stand-in nor a measure.
    """
    job = _job(folder, day, url, underlyings, source="practice")
    for path in (job.full, job.part):
        path.unlink(missing_ok=True)
    return _outcome(replace(job, compare=False, refresh=True), limit_s)


def _job(folder: Path, day: date, url: str, underlyings: Collection[str], *, source: str) -> MasterJob:
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(sorted({name.strip().upper() for name in underlyings}))
    return MasterJob(folder=str(folder), source=source, day=day.isoformat(), url=url, underlyings=names)


def _outcome(job: MasterJob, limit_s: float) -> MasterOutcome:
    day = date.fromisoformat(job.day)
    answer = _done_elsewhere(job, limit_s)
    if "reason" in answer:
        return MasterOutcome(day=day, reason=_refusal(job, str(answer["reason"])))
    try:
        master = InstrumentMaster.load(job.part, job.underlyings, on=day)
    except (BadInput, CorruptData) as error:
        return MasterOutcome(day=day, reason=_refusal(job, str(error)))
    unread = sum(master.dropped.get(why, 0) for why in _UNREAD)
    findings = (f"{unread} rows of the master of {day} were not used: {dict(master.dropped)}",) if unread else ()
    return MasterOutcome(
        day=day,
        master=master,
        path=job.full,
        fetched=bool(answer["fetched"]),
        rows=int(answer["facts"]["rows"]),
        findings=findings,
    )


def _refusal(job: MasterJob, reason: str) -> str:
    others = sorted(
        path.name[len(job.source) + 1 :][:10] for path in Path(job.folder).glob(f"{job.source}-????-??-??.csv")
    )
    last = f"the last good one is of {others[-1]} and says nothing of today; " if others else ""
    return (
        f"there is no instrument master of {job.day}: {reason}. {last}start again when {job.url} can be fetched, "
        f"or put the day's file at {job.full}"
    )


def _done_elsewhere(job: MasterJob, limit_s: float) -> dict[str, Any]:
    """Run the job in a process of its own, which ends with the limit."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workbench.data.master_job"],
            input=json.dumps(asdict(job)).encode(),
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"reason": f"it was not ready after {limit_s:g} s"}
    except (OSError, ValueError) as error:
        return {"reason": f"the process that reads it broke off ({type(error).__name__})"}
    return answer
