"""The daily report: run the report notebook on a day's export in a process of its own, with a time limit, to one HTML.

The engine never runs a notebook: it writes the export, and this room, a child process, does the rest. The HTML is one
file that loads nothing from anywhere, so it can be mailed and read years later.

Invariant: the report that stands in the folder is whole; a run that fails leaves the former one untouched.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from workbench.core.errors import BadInput, WorkbenchError

FILE = "report.html"
TIMEOUT_S = 180.0
GRACE_S = 15.0
"""The child ends an overdue notebook by itself; this much later it is ended from outside."""
_ROOT = Path(__file__).resolve().parents[2]
_PLACES = (_ROOT / "notebooks" / "reports", Path(__file__).resolve().parent / "notebooks")


class ReportFailed(WorkbenchError):
    """A report notebook did not run to its end."""


def template(name: str = "daily") -> Path:
    """Find a report notebook: in the checkout, else beside this module.

    Raises
    ------
    BadInput
        There is none of that name.
    """
    for place in _PLACES:
        path = place / f"{name}.ipynb"
        if path.is_file():
            return path
    raise BadInput(f"report notebook {name}.ipynb is in none of {', '.join(map(str, _PLACES))}; run from a checkout")


def render_daily(day_folder: Path, out: Path | None = None, timeout_s: float = TIMEOUT_S) -> Path:
    """Render the report of one day.

    Parameters
    ----------
    day_folder : Path
        ``<data>/reports/DATE`` with the engine's export.
    out : Path, optional
        The HTML to write; ``report.html`` in the day's folder without one.
    timeout_s : float
        Real seconds that the notebook may take.

    Returns
    -------
    Path
        The HTML.

    Raises
    ------
    BadInput
        The day has no export.
    ReportFailed
        The notebook failed or took too long; the text ends with its last lines.
    """
    folder = day_folder.resolve()
    if not (folder / "day.json").is_file():
        raise BadInput(f"{folder} holds no export (day.json); the engine writes it: workbench report daily --date D")
    target = (out or folder / FILE).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".new")
    command = [
        sys.executable,
        "-m",
        "workbench.reports.render",
        str(template()),
        str(folder),
        str(beside),
        str(timeout_s),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s + GRACE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        beside.unlink(missing_ok=True)
        raise ReportFailed(f"the report of {folder.name} took longer than {timeout_s:g} s; raise timeout_s") from None
    if done.returncode != 0:
        beside.unlink(missing_ok=True)
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise ReportFailed(f"the report of {folder.name} failed; open {template()} to see where:\n{last}")
    beside.replace(target)
    return target
