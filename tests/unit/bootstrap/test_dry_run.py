"""A dry run stays dry for as long as the `workbench up` that began it, whatever the settings say meanwhile."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.bootstrap.live_start import LiveVenue, Permit
from workbench.bootstrap.places import Places
from workbench.bootstrap.up import _children
from workbench.bootstrap.venue import DRY_RUN_VARIABLE
from workbench.cli import build_parser
from workbench.config import Config

PERMIT = Permit(sentence="typed", held=0)


def settings(*, dry_run: bool) -> Config:
    return Config.model_validate({"dhan": {"dry_run": dry_run}, "secrets": {"dhan_client_id": "1000000001"}})


@pytest.mark.parametrize(("began_dry", "mode"), [(True, "live"), (False, "live"), (True, "paper")])
def test_an_engine_that_is_started_again_sends_nothing_where_the_start_was_dry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began_dry: bool, mode: str
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.delenv(DRY_RUN_VARIABLE, raising=False)
    args = argparse.Namespace(mode=mode, no_panel=True)
    (engine,) = _children(settings(dry_run=began_dry), args, "", "typed")
    for name, value in (engine.env or {}).items():
        monkeypatch.setenv(name, value)
    # The file says meanwhile that orders are sent, and the engine reads it at its second start.
    again = LiveVenue(settings(dry_run=False), tmp_path, PERMIT, Places.dhan())
    assert again.dry_run is (began_dry and mode == "live")
    assert LiveVenue(settings(dry_run=True), tmp_path, PERMIT, Places.dhan()).dry_run


def test_a_dry_run_switched_on_under_an_open_position_leaves_it_watched_and_enters_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DRY_RUN_VARIABLE, raising=False)
    held = Permit(sentence="typed", held=1, began_sending=True)
    again = LiveVenue(settings(dry_run=True), tmp_path, held, Places.dhan())
    assert not again.dry_run
    assert again._exits_only == ["dhan.dry_run was switched on while a live position is open"]
    # With nothing held, in a dry start, and in a start by a person, dry means dry.
    for permit in (replace(held, held=0), replace(held, began_sending=False)):
        assert LiveVenue(settings(dry_run=True), tmp_path, permit, Places.dhan()).dry_run
    monkeypatch.setenv(DRY_RUN_VARIABLE, "yes")
    assert LiveVenue(settings(dry_run=True), tmp_path, held, Places.dhan()).dry_run


@pytest.mark.parametrize(
    ("dry", "mode", "told"), [(False, "live", True), (True, "live", False), (False, "paper", False)]
)
def test_the_engine_is_told_that_its_up_began_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry: bool, mode: str, told: bool
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    (engine,) = _children(settings(dry_run=dry), argparse.Namespace(mode=mode, no_panel=True), "", "typed")
    assert ("--began-sending" in engine.command) is told
    assert build_parser().parse_args(engine.command[3:]).began_sending is told
