"""Strategies are found by name, loaded from a user's file, and fingerprinted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import strategies
from workbench.core.errors import BadInput, UnknownName
from workbench.strategies import registry
from workbench.strategies.ema_cross import EmaCross

SOURCE = '''"""Mine."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench.core.strategy import Strategy, param
from workbench.strategies.frames import signal_frame
from workbench.strategies.indicators import crossed_over, crossed_under, ema, ema_settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine(Strategy):
    """Close over its average."""

    name: ClassVar[str] = "mine"
    length: int = param(20, 2, 50)

    @property
    def settle_bars(self) -> int:
        return ema_settle(self.length) + 1

    def signals(self, bars: pd.DataFrame) -> pd.DataFrame:
        average = ema(bars["close"], self.length)
        up, down = crossed_over(bars["close"], average), crossed_under(bars["close"], average)
        return signal_frame(bars.index, long_entry=up, long_exit=down, short_entry=down, short_exit=up)
'''


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    held = dict(registry._loaded)
    yield
    registry._loaded.clear()
    registry._loaded.update(held)
    for name in [name for name in sys.modules if name.startswith(registry.USER_PACKAGE)]:
        del sys.modules[name]


def test_every_shipped_strategy_is_known_by_its_own_name() -> None:
    assert {"ema_cross", "supertrend", "rsi_bands", "opening_range", "scalp_ema_vwap"} <= set(strategies.names())
    for name in strategies.names():
        assert strategies.get(name).name == name
        assert strategies.get(name).__doc__


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown strategy 'ema_cros'; did you mean 'ema_cross'"):
        strategies.get("ema_cros")
    with pytest.raises(UnknownName, match="did you mean 'fast'"):
        strategies.build("ema_cross", {"fasst": 9})


def test_a_strategy_is_built_from_text_parameters() -> None:
    assert strategies.build("ema_cross", {"fast": "5"}) == EmaCross(fast=5)


def test_a_users_file_is_loaded_and_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE, encoding="utf-8")
    (loaded,) = strategies.load_file(path)
    assert strategies.get("mine") is loaded
    assert "mine" in strategies.names()
    assert strategies.build("mine", {"length": 5}).settle_bars > 5


def test_a_changed_users_file_replaces_itself_and_changes_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    path.write_text(SOURCE, encoding="utf-8")
    written = path.stat()
    before = strategies.code_hash(strategies.load_file(path)[0])
    path.write_text(SOURCE.replace("param(20", "param(21"), encoding="utf-8")
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))  # as large and of the same moment as before
    (changed,) = strategies.load_file(path)
    assert strategies.get("mine") is changed
    assert strategies.code_hash(changed) != before
    assert strategies.build("mine") != strategies.build("mine", {"length": 20})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "defines no strategy"),
        ("def (:\n", "does not load: SyntaxError"),
        ("import nothing_of_that_name\n", "does not load: ModuleNotFoundError"),
        (SOURCE.replace('"mine"', '"ema_cross"'), "already used"),
        (SOURCE.replace("param(20, 2, 50)", "20"), "declare parameter length"),
    ],
)
def test_a_users_file_that_is_no_strategy_is_refused_and_leaves_nothing(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        strategies.load_file(path)
    assert "mine" not in strategies.names()


def test_two_files_cannot_bring_the_same_name(tmp_path: Path) -> None:
    for stem in ("mine", "other"):
        (tmp_path / f"{stem}.py").write_text(SOURCE, encoding="utf-8")
    strategies.load_file(tmp_path / "mine.py")
    with pytest.raises(BadInput, match="'mine' is already used"):
        strategies.load_file(tmp_path / "other.py")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no strategy file"):
        strategies.load_file(tmp_path / "absent.py")


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    code = "from workbench import strategies as s; print(s.code_hash(s.get('supertrend')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert done.stdout.strip() == strategies.code_hash(strategies.get("supertrend"))


def test_each_strategy_has_its_own_fingerprint() -> None:
    assert len({strategies.code_hash(strategies.get(name)) for name in strategies.names()}) == len(strategies.names())


def test_the_fingerprint_covers_the_indicators_but_no_other_strategy() -> None:
    sources: dict[str, str] = {}
    registry._collect("workbench.strategies.ema_cross", sources)
    assert sorted(name.rpartition(".")[2] for name in sources) == ["ema_cross", "frames", "indicators"]


def test_the_fingerprint_does_not_depend_on_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE, encoding="utf-8", newline="\n")
    unix = strategies.code_hash(strategies.load_file(path)[0])
    path.write_text(SOURCE, encoding="utf-8", newline="\r\n")
    assert strategies.code_hash(strategies.load_file(path)[0]) == unix


def test_another_release_of_the_indicator_library_is_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = strategies.code_hash(EmaCross)
    monkeypatch.setattr(registry, "version", lambda _: "99")
    assert strategies.code_hash(EmaCross) != before
