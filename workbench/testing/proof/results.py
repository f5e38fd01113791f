"""What seeds came to: one line of JSON a seed in a file that grows, so that a long proof can be done in pieces.

Invariant: a seed that stands in the file is not run again; pieces of several machines are merged by laying their lines
together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """One seed; `failure` is empty where every promise was kept.

    Seconds are market seconds; of a crash day (`kind` "crash") only the naked ones are, its recovery and
    `longest_naked_real_s` are real. `missed` kills found their named point not come, `alerts` is what it was sent.
    """

    seed: int
    kind: str
    orders: int = 0
    restarts: int = 0
    lost: int = 0
    doubled: int = 0
    unprotected: int = 0
    longest_naked_s: float = 0.0
    longest_recovery_s: float = 0.0
    longest_naked_real_s: float = 0.0
    missed: int = 0
    alerts: int = 0
    failure: str = ""


def summary(results: Iterable[SeedResult]) -> dict[str, Any]:
    """Lay results together: what is counted is summed, the longest is the longest."""
    rows = sorted(results, key=lambda each: (each.kind, each.seed))
    days = [each for each in rows if each.kind == "seed"]
    crashes = [each for each in rows if each.kind == "crash"]
    return {
        "seeds": len(days),
        "kills": sum(each.restarts for each in crashes),
        "restarts": sum(each.restarts for each in days),
        "orders": sum(each.orders for each in rows),
        "lost": sum(each.lost for each in rows),
        "doubled": sum(each.doubled for each in rows),
        "unprotected": sum(each.unprotected for each in rows),
        "longest_naked_s": max((each.longest_naked_s for each in days), default=0.0),
        "longest_recovery_s": max((each.longest_recovery_s for each in days), default=0.0),
        "crash_longest_naked_s": max((each.longest_naked_s for each in crashes), default=0.0),
        "crash_longest_recovery_s": max((each.longest_recovery_s for each in crashes), default=0.0),
        "crash_longest_naked_real_s": max((each.longest_naked_real_s for each in crashes), default=0.0),
        "crash_missed": sum(each.missed for each in crashes),
        "crash_alerts": sum(each.alerts for each in crashes),
        "failures": [each.seed for each in rows if each.failure],
    }


class Progress:
    """Results in a folder; without one they are kept in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / "seeds.jsonl"
        self.results: dict[tuple[str, int], SeedResult] = {}
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8").splitlines():
                result = _read(line)
                if result is not None:
                    self.results[result.kind, result.seed] = result

    def knows(self, kind: str, seed: int) -> bool:
        """Whether that seed was run."""
        return (kind, seed) in self.results

    def keep(self, result: SeedResult) -> None:
        """Keep a result; it is on the disk before the next seed begins."""
        self.results[result.kind, result.seed] = result
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(result)) + "\n")


def _read(line: str) -> SeedResult | None:
    """Read a line; one that a kill has cut is no result."""
    try:
        body = json.loads(line)
    except ValueError:
        return None
    known = {each.name for each in fields(SeedResult)}
    return SeedResult(**{name: value for name, value in body.items() if name in known})
