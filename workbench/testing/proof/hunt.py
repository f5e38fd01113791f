"""The hunt for planted bugs: each in a process of its own, first by the seed that has found it before, then by others.

Invariant: a bug counts as found only by a seed that the clean code passes, and never by a run that broke: a plant that
does not fit production any more raises where it should lie.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from workbench.testing.proof.planted.catalogue import BUGS
from workbench.testing.proof.planted.seeds import FOUND_AT
from workbench.testing.proof.run import BROKE

PATIENCE_S = 900.0
CLEAN = "-"


@dataclass(slots=True)
class Found:
    """A bug with the seed that found it and what the judges said."""

    bug: str
    breaks: str
    seed: int
    says: str


@dataclass(slots=True)
class HuntReport:
    """What a hunt came to."""

    planted: int
    found: list[Found] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    clean: str = ""

    @property
    def is_good(self) -> bool:
        """Every bug was found, and clean code passes the same seeds."""
        return not self.missed and not self.clean

    def to_dict(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "planted": self.planted,
            "found": len(self.found),
            "missed": self.missed,
            "clean": self.clean or "passes",
            "bugs": [
                {"bug": each.bug, "breaks": each.breaks, "seed": each.seed, "says": each.says} for each in self.found
            ],
        }


def sample(count: int) -> list[str]:
    """Give so many bugs: one of each invariant and fault row in turn, I1 to I10 first, always the same."""
    by_row: dict[str, list[str]] = {}
    for name, each in BUGS.items():
        by_row.setdefault(each.breaks, []).append(name)
    rows = sorted(by_row, key=lambda row: (row[0] != "I", row[0], int(row[1:])))
    turns = max(map(len, by_row.values()))
    return [by_row[row][turn] for turn in range(turns) for row in rows if turn < len(by_row[row])][:count]


def hunt(names: Sequence[str], *, seeds: int, tell: Callable[[str], None]) -> HuntReport:
    """Plant the named bugs, all without names; each meets the seed that found it before and then those from 0 on."""
    wanted = list(names) or list(BUGS)
    report = HuntReport(planted=len(wanted))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as hunters:
        for name, (seed, says) in zip(
            wanted, hunters.map(lambda each: _first_failure(each, _order_of(each, seeds)), wanted), strict=True
        ):
            if seed is None:
                report.missed.append(name)
                tell(f"{name}: NOT FOUND in {seeds} seeds {says}".rstrip())
                continue
            report.found.append(Found(name, BUGS[name].breaks, seed, says))
            tell(f"{name} ({BUGS[name].breaks}): seed {seed}: {says}")
        met = sorted({each.seed for each in report.found})
        halves = [half for half in (met[::2], met[1::2]) if half]
        for seed, says in hunters.map(lambda half: _first_failure(CLEAN, half), halves):
            report.clean = report.clean or says if seed is None else f"seed {seed}: {says}"
    return report


def _order_of(name: str, seeds: int) -> list[int]:
    """Seeds in the order in which they are tried."""
    known = FOUND_AT.get(name)
    others = [seed for seed in range(seeds) if seed != known]
    return others if known is None else [known, *others]


def _first_failure(name: str, seeds: Sequence[int]) -> tuple[int | None, str]:
    """Run seeds in a child process until one fails; without a seed and with a text the run itself broke."""
    command = [sys.executable, "-m", "workbench.testing.proof.planted", name, *map(str, seeds)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
    try:
        told = json.loads(done.stdout)
    except ValueError:
        return None, f"{BROKE}{done.stderr.strip()[-300:]}"
    seed, says = told["seed"], str(told["says"])[:300]
    return (None, f"seed {seed}: {says}") if says.startswith(BROKE) else (seed, says)
