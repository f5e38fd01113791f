"""Every row of the fault catalogue is kept by a test that carries its id, or is named here with the reason why not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {f"r{n}" for n in range(1, 26)} | {f"s{n}" for n in range(1, 15)} | {f"p{n}" for n in range(1, 16)}
"""B1 (broker), B2 (streams, data, time) and B3 (process, storage)."""

NOT_BY_A_TEST: dict[str, str] = {}
_NAMED = re.compile(r"^\s*(?:async )?def test_([rsp]\d+)_", re.MULTILINE)


def test_every_row_of_the_catalogue_has_a_test_that_carries_its_id() -> None:
    named = {row for file in ROOT.rglob("test_*.py") for row in _NAMED.findall(file.read_text(encoding="utf-8"))}
    missing = ROWS - named - set(NOT_BY_A_TEST)
    assert not missing, f"no test carries the id of {sorted(missing)}"
    assert not named - ROWS, "these rows are not in the catalogue"
    assert not set(NOT_BY_A_TEST) & named, "a row that has a test needs no excuse"
