"""A dry run stays dry for as long as the `workbench up` that began it, whatever the settings say meanwhile."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from workbench.bootstrap.live_start import LiveVenue, Permit
from workbench.bootstrap.places import Places
from workbench.bootstrap.up import _children
from workbench.bootstrap.venue import DRY_RUN_VARIABLE
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
