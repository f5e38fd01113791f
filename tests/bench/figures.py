"""What a bench reports: one figure a line as JSON, with its bound and whether it was held.

Percentiles are by nearest rank, so that each is a value that was measured, and p99 of 200 is the second worst.

Invariant: a figure without a measurement cannot be made; ``held`` is null only where no bound was promised.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from workbench.core.session import IST


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What was promised: at most (or at least) so much, of one statistic of the figure."""

    of: str
    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Tell whether a value keeps the promise."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{self.of} {'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure.

    Parameters
    ----------
    name, unit : str
    stats : dict
        Statistics by name, such as ``p50``, ``p99``, ``median``, ``value``.
    n : int
        Measurements behind it.
    bounds : tuple of Bound
    notes : dict
        What a reader needs to judge the figure.
    """

    name: str
    unit: str
    stats: dict[str, float]
    n: int
    bounds: tuple[Bound, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n < 1 or not self.stats or not all(math.isfinite(value) for value in self.stats.values()):
            raise ValueError(f"{self.name}: nothing was measured (n={self.n}, {self.stats})")

    @property
    def held(self) -> bool | None:
        """All bounds are held; None without one."""
        return all(bound.holds(self.stats[bound.of]) for bound in self.bounds) if self.bounds else None

    def line(self) -> str:
        """Give it as one line of JSON."""
        body: dict[str, Any] = {"name": self.name, "unit": self.unit}
        body |= {name: round(value, 3) for name, value in self.stats.items()}
        body |= {"n": self.n, "bound": ", ".join(map(str, self.bounds)) or None, "held": self.held}
        return json.dumps(body | self.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured; `TINY` only proves that a bench runs."""

    imports: int = 5
    days: int = 366
    repeats: int = 3
    packets: int = 60_000
    commits: int = 400
    alerts: int = 240
    pauses: int = 8
    starts: int = 3
    symbols: int = 100
    feed_s: float = 60
    feed_tries: int = 10


FULL = Size()
TINY = Size(
    imports=1, days=20, repeats=1, packets=700, commits=3, alerts=4, pauses=0, starts=1, symbols=2,
    feed_s=0.5, feed_tries=0,
)  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest measured value that at least `share` percent of all do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(1, math.ceil(len(ordered) * share / 100)) - 1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Give p50, p99 and the worst."""
    return {"p50": percentile(values, 50), "p99": percentile(values, 99), "max": max(values)}


def middle(values: Sequence[float]) -> dict[str, float]:
    """Give median, best and worst of a few runs."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine(syncs: int = 100) -> dict[str, Any]:
    """Say once on what it was measured, with the cost of an fsync there, which no durable row can be faster than."""
    return {
        "name": "machine",
        "at": datetime.now(tz=IST).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "cpu_busy_pct": busy(),
        "implementation": sys.implementation.name,
        "fsync_ms": {name: round(value, 3) for name, value in spread(_fsyncs(syncs)).items()},
    }


def busy(seconds: float = 0.5) -> float:
    """Percent of all cores that other work takes just now; a bound for an idle machine says little above ten."""
    return psutil.cpu_percent(seconds)


def _fsyncs(count: int) -> list[float]:
    times = []
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "fsync").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return times
