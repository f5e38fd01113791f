"""A live start on a journal that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bootstrap import live_start
from workbench.bootstrap.live_start import Permit, _fills_by_session, open_positions, permit
from workbench.bootstrap.up import _left_open
from workbench.bootstrap.venues import journal_name
from workbench.config import Config
from workbench.core.deployment import Mode

CONFIG = Config.model_validate({"secrets": {"dhan_client_id": "1000000001"}})


def test_a_damaged_live_journal_may_hold_a_position_and_so_does_not_keep_the_engine_from_starting(
    tmp_path: Path,
) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / journal_name(Mode.LIVE)).write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    assert open_positions(tmp_path, "live-001") == 1
    assert permit(CONFIG, tmp_path, "") == Permit(sentence="", held=1)
    assert _fills_by_session(tmp_path, "live-001") == []


@pytest.mark.parametrize(("held", "words"), [(2, "2 live positions stay open and nothing watches them"), (0, "")])
def test_whoever_ends_live_is_told_what_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, words: str
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(live_start, "open_positions", lambda *_: held)
    told = _left_open(CONFIG)
    assert told.startswith(words) and bool(told) is bool(held)
