"""The child process of a report: papermill runs the notebook, nbconvert takes its outputs, one page is written.

``python -m workbench.reports.render NOTEBOOK DAY_FOLDER HTML TIMEOUT_S``

Invariant: the page forbids itself to load anything, so that a text in a trade's reason can never become a script.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from workbench.reports.day import Day

_STYLE = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def main(arguments: Sequence[str]) -> int:
    """Run the notebook and write the page."""
    notebook, folder, target, timeout_s = arguments
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
    if sys.platform == "win32":  # the kernel's sockets need the selector loop there
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    logging.getLogger("papermill").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        node = _execute(Path(notebook), Path(folder), Path(scratch) / "run.ipynb", float(timeout_s))
    day = Day.read(folder)
    title = f"{day.day} {day.account}: P&L {day.net}"
    Path(target).write_text(page(title, _body(node)), encoding="utf-8")
    return 0


def _execute(notebook: Path, folder: Path, scratch: Path, timeout_s: float) -> Any:
    import papermill

    return papermill.execute_notebook(
        str(notebook),
        str(scratch),
        parameters={"day_folder": str(folder)},
        kernel_name="python3",
        progress_bar=False,
        log_output=False,
        execution_timeout=timeout_s,
        start_timeout=timeout_s,
        cwd=str(folder),
    )


def _body(node: Any) -> str:
    """Markdown and outputs of the run, without code; a template without a head, since those load scripts."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)  # type: ignore[no-untyped-call]
    for cell in node.cells:  # what papermill put in is no part of the report
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.outputs = []
    body, _ = exporter.from_notebook_node(node)
    return str(body)


def page(title: str, body: str) -> str:
    """Put a body into a page that loads nothing."""
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
