"""A live start on a journal that is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.storage.test_journal import write
from tests.unit.storage.test_journal_archive import one_day, spoil
from workbench.bootstrap import live_start
from workbench.bootstrap.live_start import LiveVenue, Permit, _fills_by_session, account_of, open_positions, permit
from workbench.bootstrap.places import Places
from workbench.bootstrap.up import _left_open
from workbench.bootstrap.venues import journal_name
from workbench.config import Config
from workbench.core.deployment import Deployment, Mode
from workbench.core.plan import NAMED_PLANS
from workbench.storage.journal_archive import put_away

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


def test_a_damaged_archive_is_told_loudly_and_leaves_no_position_unwatched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account, path = account_of(CONFIG), tmp_path / "journal" / journal_name(Mode.LIVE)
    path.parent.mkdir()
    write(path, [each for number in range(8) for each in one_day(number, account=account, closed=number < 7)])
    done = put_away(path, is_real=True, keep=3)
    assert done is not None and len(_fills_by_session(tmp_path, account)) == 8
    spoil(done.file, "archive.json")
    plan = replace(NAMED_PLANS["scalp_atm"], lots=3)
    scalp = Deployment(name="SCALP_ATM", symbol="NIFTY", plan=plan, account="live", key_sha256="a" * 64)
    monkeypatch.setattr(LiveVenue, "_on_account", lambda _: (scalp,))
    settings = Config.model_validate({"dhan": {"dry_run": False}, "secrets": {"dhan_client_id": "1000000001"}})
    assert permit(CONFIG, tmp_path, "").held == 1
    venue = LiveVenue(settings, tmp_path, Permit(sentence="typed", held=1), Places.dhan())
    assert [item.plan.lots for item in venue.choose()] == [1], "three sessions are seen, and five make experienced"
    assert f"CAUTION: {done.file} is no archive of a journal, or damaged" in capsys.readouterr().out
    told: list[tuple[str, str]] = []
    host: Any = SimpleNamespace(notifier=SimpleNamespace(send=lambda *text: told.append(text)))
    venue._tell_what_is_held_back(host)
    ((level, text),) = told
    assert level == "alarm" and "put a good copy in its place" in text and "trade one lot meanwhile" in text
