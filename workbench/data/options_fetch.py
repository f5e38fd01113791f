"""Fetching an expired expiry into the bar store: every contract within ten strikes of the money, resumable.

The unit is one right in one window: its series are asked, stitched and stored together, then noted as done.

Invariant: a unit is noted only after all its series were answered and what they bring is stored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.core.bars import MINUTE
from workbench.core.contracts import ContractTable, ExpiryKind
from workbench.core.errors import BadInput, CorruptData, WorkbenchError
from workbench.core.instrument import Instrument, Right
from workbench.core.session import Calendar
from workbench.data.answers import Verdict
from workbench.data.bar_names import folder_name
from workbench.data.bar_store import BarStore
from workbench.data.candles import DAY_SETTLES
from workbench.data.expired_options import (
    MOST_STEPS,
    WINDOW_DAYS,
    Disagreement,
    Expired,
    Rolling,
    RollingReader,
    settles_at_intrinsic,
    shown,
    stitch,
)
from workbench.data.gaps import NOTES_FOLDER, windows
from workbench.data.history_fetch import SILENT_IN_A_ROW, SPREAD_S, WORKERS, Progress
from workbench.data.work import Spread, work_off


@dataclass(slots=True, kw_only=True)
class ContractFetch:
    """One contract's part: bars added, known alike, with other values than stored; and minutes without a row."""

    key: str
    added: int = 0
    unchanged: int = 0
    revised: int = 0
    absent_minutes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {
            "key": self.key, "added": self.added, "unchanged": self.unchanged, "revised": self.revised,
            "absent_minutes": self.absent_minutes,
        }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class OptionsFetch:
    """What became of one expiry."""

    underlying: str
    expiry: str
    series: str
    first: str
    last: str
    steps: int
    requests: int = 0
    elapsed_s: float = 0.0
    planned: int = 0
    contracts: dict[str, ContractFetch] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)
    unusable: int = 0
    failed: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    stopped: str = ""

    @property
    def whole(self) -> bool:
        """Every series was answered."""
        return not self.failed and not self.stopped

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        body: dict[str, Any] = {
            "whole": self.whole, "underlying": self.underlying, "expiry": self.expiry, "series": self.series,
            "first": self.first, "last": self.last, "steps": self.steps, "requests": self.requests,
            "elapsed_s": round(self.elapsed_s, 2), "unusable_rows": self.unusable,
            "disagreements": len(self.disagreements), "disagree": shown(self.disagreements),
            "findings": self.findings, "failed": self.failed[:20],
        }  # fmt: skip
        if self.stopped:
            body["stopped"] = self.stopped
        if not self.whole:
            body["way_out"] = "what came is stored; give the same command again, and only the rest is asked"
        return body | {"contracts": [self.contracts[key].to_dict() for key in sorted(self.contracts)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    right: Right
    span: tuple[date, date]

    @property
    def name(self) -> str:
        return f"{self.right} {self.span[0]} to {self.span[1]}"


def expired_of(
    underlying: Instrument, expiry: date, contracts: ContractTable, calendar: Calendar, now: datetime
) -> Expired:
    """Say what has to be asked for an expiry: its series, and the days on which it was the nearest of it.

    Raises
    ------
    BadInput
        It has not expired yet.
    UnknownContract
        That day is no expiry of the underlying.
    """
    symbol = underlying.symbol
    weekly = contracts.expiry_kind(symbol, expiry) is ExpiryKind.WEEKLY
    segment = contracts.underlying(symbol).derivatives
    session = None if segment is None else calendar.session(segment, expiry)
    if segment is None or session is None:
        raise BadInput(f"{symbol} has no options that expired on {expiry}")
    if session.close + 2 * DAY_SETTLES > now:
        raise BadInput(
            f"the options of {symbol} {expiry} have not expired yet: fetch a contract by its key, as in "
            f"workbench data fetch {segment}:{symbol}:{expiry}:STRIKE:CE"
        )
    # A weekly expiry is the nearest of the series from the last expiry of any kind on, whichever way the series counts
    # the month's; a monthly one from the last monthly on.
    kind = None if weekly else ExpiryKind.MONTHLY
    earlier = contracts.expiries(symbol, start=expiry - timedelta(days=45), end=expiry - timedelta(days=1), kind=kind)
    first = (earlier[-1] if earlier else expiry - timedelta(days=45)) + timedelta(days=1)
    return Expired(underlying=underlying, segment=segment, expiry=expiry, weekly=weekly, first=first, last=expiry)


class ExpiredOptionsFetch:
    """Fetches the contracts of an expired expiry into a store.

    Parameters
    ----------
    reader : RollingReader
    store : BarStore
    calendar : Calendar
    workers : int
        Requests under way at once.
    spread_s : float
        Seconds from the beginning of one to that of the next.
    """

    def __init__(
        self,
        reader: RollingReader,
        store: BarStore,
        calendar: Calendar,
        *,
        workers: int = WORKERS,
        spread_s: float = SPREAD_S,
    ) -> None:
        self._reader, self._store, self._calendar = reader, store, calendar
        self._workers, self._spread = workers, Spread(spread_s)

    def run(
        self, expired: Expired, *, steps: int = MOST_STEPS, again: bool = False, progress: Progress | None = None
    ) -> OptionsFetch:
        """Fetch; units that are noted as done are not asked again.

        Raises
        ------
        BadInput
            More than ten strikes each way, which Dhan does not keep.
        """
        if not 0 <= steps <= MOST_STEPS:
            raise BadInput(f"ATM±{steps} cannot be asked: Dhan keeps 0 to {MOST_STEPS} strikes each way")
        started = time.monotonic()
        report = OptionsFetch(
            underlying=expired.underlying.symbol, expiry=expired.expiry.isoformat(),
            series="weekly" if expired.weekly else "monthly",
            first=expired.first.isoformat(), last=expired.last.isoformat(), steps=steps,
        )  # fmt: skip
        done = {} if again else self._done(expired)
        units = [unit for unit in self._units(expired) if done.get(unit.name, -1) < steps]
        jobs = [(unit, step) for unit in units for step in range(-steps, steps + 1)]
        report.planned = len(jobs)
        gathered: dict[_Unit, list[pd.DataFrame]] = {unit: [] for unit in units}
        show = progress or (lambda _done, _planned: None)
        outcomes = work_off(
            jobs,
            lambda job: self._reader.window(expired, job[0].right, job[1], job[0].span),
            workers=self._workers,
            spread=self._spread,
        )
        silent = 0
        for count, ((unit, step), outcome) in enumerate(outcomes, start=1):
            report.requests += 1
            frame = _usable(report, f"{unit.name} step {step:+d}", outcome)
            show(count, len(jobs))
            silent = silent + 1 if frame is None else 0
            if frame is None:
                if silent >= SILENT_IN_A_ROW:
                    report.stopped = report.stopped or report.failed[-1]
                if report.stopped:
                    outcomes.close()
                    break
                continue
            gathered[unit].append(frame)
            complete = len(gathered[unit]) == 2 * steps + 1
            if complete and self._keep(report, expired, unit, gathered.pop(unit)):
                self._note(expired, unit, steps)
        report.elapsed_s = time.monotonic() - started
        return report

    def _units(self, expired: Expired) -> Sequence[_Unit]:
        days = [session.date for session in self._calendar.sessions(expired.segment, expired.first, expired.last)]
        return [_Unit(right=right, span=span) for span in windows(days, WINDOW_DAYS) for right in Right]

    def _keep(self, report: OptionsFetch, expired: Expired, unit: _Unit, frames: Sequence[pd.DataFrame]) -> bool:
        stitched = stitch(frames)
        if not stitched.series:
            report.failed.append(f"{unit.name}: Dhan gives nothing; check that this expiry was listed then")
            return False
        report.unusable += stitched.unusable
        report.disagreements += stitched.disagreements
        for strike, frame in stitched.series.items():
            key = expired.contract(strike, unit.right).key
            stored = self._store.append(key, MINUTE, frame, segment=expired.segment)
            row = report.contracts.setdefault(key, ContractFetch(key=key))
            row.added, row.unchanged = row.added + stored.added, row.unchanged + stored.unchanged
            row.revised += stored.revised
            row.absent_minutes += stitched.absent(strike)
        if unit.span[1] == expired.expiry and settles_at_intrinsic(stitched, expired, unit.right) is False:
            report.findings.append(
                f"{unit.right} of {expired.underlying.symbol} {expired.expiry} end with time value left: these may be "
                "bars of another expiry; compare with another source before you use them"
            )
        return True

    def _path(self, expired: Expired) -> Path:
        name = f"{folder_name(expired.underlying.symbol)}-{expired.expiry}.json"
        return self._store.root / NOTES_FOLDER / "expired" / name

    def _done(self, expired: Expired) -> Mapping[str, int]:
        path = self._path(expired)
        try:
            return {str(name): int(steps) for name, steps in json.loads(path.read_text(encoding="utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise CorruptData(f"{path} does not read ({error}); delete it, and its series are asked again") from error

    def _note(self, expired: Expired, unit: _Unit, steps: int) -> None:
        path = self._path(expired)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({**self._done(expired), unit.name: steps}) + "\n", encoding="utf-8")
        temporary.replace(path)


def _usable(report: OptionsFetch, what: str, outcome: Rolling | WorkbenchError) -> pd.DataFrame | None:
    """Give the rows of an answer; what is none is written into the report."""
    if isinstance(outcome, WorkbenchError):
        report.failed.append(f"{what}: {outcome}")
        return None
    match outcome.reading.verdict:
        case Verdict.DATA | Verdict.NOTHING:
            return outcome.frame
        case Verdict.SHUT:
            report.stopped = str(outcome.reading.error(what))
        case _:
            report.failed.append(str(outcome.reading.error(what)))
    return None
