"""The proof says honestly which rows of the fault tables its days make, and which are tested by name only."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from workbench.testing.proof.rows import BY_NAME, DRAWN, ROWS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("row", DRAWN)
def test_what_makes_a_row_exists(row: str) -> None:
    module, *names = DRAWN[row].split(".")
    found: Any = import_module(f"workbench.testing.proof.{module}")
    for name in names:
        fields = getattr(found, "__dataclass_fields__", {})
        assert hasattr(found, name) or name in fields, DRAWN[row]
        found = getattr(found, name, fields.get(name))


def test_only_rows_of_the_tables_are_named() -> None:
    assert set(ROWS) >= DRAWN.keys()


@pytest.mark.parametrize("row", BY_NAME)
def test_a_row_that_no_day_makes_has_a_test_of_its_name(row: str) -> None:
    names = re.compile(rf"def test_(\w+_)?{row.lower()}_\w+\(")
    files = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert any(names.search(text) for text in files), f"no test carries {row}"


def test_the_page_of_the_proof_tells_the_rows_that_no_day_makes() -> None:
    page = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
    told = re.search(r"^Tested by name, not drawn: (.+)\.$", page, re.MULTILINE)
    assert told is not None
    assert told.group(1).split(", ") == list(BY_NAME)
