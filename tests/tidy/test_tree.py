"""The rules of `rules`, laid over the tree."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tidy import rules

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("workbench", "apps")
NOT_OURS = {".git", ".venv", "build", "dist", "node_modules", "__pycache__", ".ipynb_checkpoints", "workbench.egg-info"}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".ipynb",
    ".in",
    ".lock",
    ".sql",
    ".html",
    ".css",
    ".js",
    ".txt",
    ".sh",
    ".example",
    "",
}
HEAVY = (
    "pandas",
    "numpy",
    "vectorbt",
    "numba",
    "plotly",
    "streamlit",
    "pydantic",
    "sqlalchemy",
    "fastapi",
    "dhanhq",
    "pyarrow",
    "papermill",
)


def walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if (
            entry.name in NOT_OURS
            or entry.name.endswith("_cache")
            or entry.name in {".hypothesis", ".env", ".coverage"}
        ):
            continue
        if entry == ROOT / "data":
            yield from (file for file in (entry / "README.md",) if file.exists())
        elif entry.is_dir():
            yield from walk(entry)
        else:
            yield entry


FILES = list(walk(ROOT))


def python_of(*folders: str) -> list[Path]:
    tops = [ROOT / folder for folder in folders]
    return [file for file in FILES if file.suffix == ".py" and any(top in file.parents for top in tops)]


def lay(rule: Callable[[str], list[str]], files: list[Path]) -> None:
    assert files, "no file to check: the rule looks in the wrong place"
    found = [
        f"{file.relative_to(ROOT).as_posix()}: {finding}"
        for file in files
        for finding in rule(file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(["", *found])


def test_no_module_is_a_hall() -> None:
    lay(rules.long_module, python_of(*PRODUCT, "tests"))


def test_no_function_is_longer_than_a_screen() -> None:
    lay(rules.long_functions, python_of(*PRODUCT))


def test_no_module_has_a_name_that_says_nothing() -> None:
    paths = [file.relative_to(ROOT).as_posix() for file in python_of(*PRODUCT, "tests")]
    assert [f"{path}: {finding}" for path in paths for finding in rules.banned_name(path)] == []


def test_nothing_needs_unix() -> None:
    lay(rules.posix_only, python_of(*PRODUCT))


def test_text_has_an_encoding() -> None:
    lay(rules.without_encoding, python_of(*PRODUCT, "tests"))


def test_core_is_pure() -> None:
    lay(rules.impure, python_of("workbench/core"))


def test_notebooks_are_stripped() -> None:
    notebooks = [file for file in FILES if file.suffix == ".ipynb"]
    found = [
        f"{file.name}: {line}" for file in notebooks for line in rules.unstripped(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_lock_is_exact_and_says_nothing_of_the_machine() -> None:
    lay(rules.loose_lock, [ROOT / "requirements.lock"])


def test_the_lock_holds_all_that_is_asked_for() -> None:
    wanted, lock = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.in", "requirements.lock"))
    assert rules.unlocked(wanted, lock) == []


def test_decision_pages_weigh_and_say_what_would_prove_them_wrong() -> None:
    lay(rules.missing_headings, sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")))


def test_decision_pages_have_numbers_of_their_own() -> None:
    numbers = [page.name[:4] for page in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))]
    assert len(numbers) == len(set(numbers)), numbers


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    lay(rules.forbidden_text, [file for file in FILES if file.suffix in TEXT])


@pytest.mark.parametrize("module", ["workbench", "workbench.cli"])
def test_importing_stays_light(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.stdout.split() == []
