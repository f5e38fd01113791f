"""The hunt for planted bugs: each in a process of its own, seeds until one fails; clean code must pass the same seeds.

Invariant: a bug counts as found only by a seed that the clean code passes.
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

from workbench.testing.proof.planted.catalogue import BUGS, UNSEEN

PATIENCE_S = 900.0


@dataclass(slots=True)
class Found:
    """A bug with the seed that found it and what the oracle said."""

    bug: str
    breaks: str
    seed: int
    says: str


@dataclass(slots=True)
class HuntReport:
    """What a hunt came to."""

    planted: int
    unseen: Sequence[str] = ()
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
            "unseen": list(self.unseen),
            "clean": self.clean or "passes",
            "bugs": [
                {"bug": each.bug, "breaks": each.breaks, "seed": each.seed, "says": each.says} for each in self.found
            ],
        }


def hunt(names: Sequence[str], *, seeds: int, tell: Callable[[str], None]) -> HuntReport:
    """Plant the named bugs (without names all but the unseen ones) and look for each with seeds from 0 on."""
    wanted = list(names) or [name for name in BUGS if name not in UNSEEN]
    report = HuntReport(planted=len(wanted), unseen=() if names else UNSEEN)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as hunters:
        for name, (seed, says) in zip(
            wanted, hunters.map(lambda each: _first_failure(each, seeds), wanted), strict=True
        ):
            if seed is None:
                report.missed.append(name)
                tell(f"{name}: NOT FOUND in {seeds} seeds")
                continue
            report.found.append(Found(name, BUGS[name].breaks, seed, says))
            tell(f"{name} ({BUGS[name].breaks}): seed {seed}: {says}")
    last = max((each.seed for each in report.found), default=-1)
    if last >= 0:
        seed, says = _first_failure("", last + 1)
        report.clean = "" if seed is None else f"seed {seed}: {says}"
    return report


def _first_failure(name: str, seeds: int) -> tuple[int | None, str]:
    """Run seeds in a child process until one fails."""
    command = [sys.executable, "-m", "workbench.testing.proof", "--seeds", str(seeds), "--first-failure", "--json"]
    if name:
        command += ["--plant", name]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
    try:
        failures = json.loads(done.stdout)["failures"]
    except (ValueError, KeyError):
        return -1, f"the run itself broke: {done.stderr.strip()[-300:]}"
    if not failures:
        return None, ""
    said = next((line for line in done.stderr.splitlines() if line.startswith("seed ")), "")
    return int(failures[0]), said.partition("FAILED: ")[2][:300]
