"""The notebooks are the manual: stripped, without logic, with parameters, in the order of their numbers."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MANUAL = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALL = [*MANUAL, *sorted((ROOT / "notebooks").glob("*/*.ipynb"))]
LOGIC = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.Lambda)


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_manual_has_its_three_chapters() -> None:
    assert [path.stem for path in MANUAL][:3] == ["01_market_data", "02_first_backtest", "03_promote_and_trade"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_stripped_and_has_parameters(path: Path) -> None:
    cells = code_cells(path)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert [cell["metadata"].get("tags") for cell in cells].count(["parameters"]) == 1


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_holds_no_logic(path: Path) -> None:
    for cell in code_cells(path):
        tree = ast.parse("".join(cell["source"]))
        assert not [node for node in ast.walk(tree) if isinstance(node, LOGIC)], cell["source"]
