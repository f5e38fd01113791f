"""How long ``import workbench`` takes: a fresh interpreter from its start to its end, and the import alone inside.

The bound is laid on the whole process, which is what a person waits for.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Bound, Figure, Size, middle

ROOT = Path(__file__).resolve().parents[2]
CODE = "import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"


def measure(size: Size) -> Iterator[Figure]:
    """Import the package, and the command line that each command pays for."""
    for module, bounds in (("workbench", (Bound(of="median", limit=0.3),)), ("workbench.cli", ())):
        walls, inside = zip(*(_seconds(module) for _ in range(size.imports)), strict=True)
        notes = {"import_alone": round(statistics.median(inside), 4)}
        yield Figure(name=f"import {module}", unit="s", stats=middle(walls), n=len(walls), bounds=bounds, notes=notes)


def _seconds(module: str) -> tuple[float, float]:
    began = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    return time.perf_counter() - began, float(told.stdout)
