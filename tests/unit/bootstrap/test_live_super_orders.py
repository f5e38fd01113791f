"""Live takes super orders only where a person has written that it may: no answer of the broker was ever recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bootstrap.live_start import LiveVenue, Permit
from workbench.bootstrap.places import Places
from workbench.config import Config
from workbench.core.deployment import Deployment
from workbench.core.errors import BadInput
from workbench.core.plan import plan_from_mapping

PLAN = {"name": "scalp", "exits": {"stop": 15, "target": 30}, "protection": "super_order"}
SCALP = Deployment(name="SCALP", symbol="NIFTY", plan=plan_from_mapping(PLAN), key_sha256="a" * 64)


def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, allow: bool, held: int = 0) -> LiveVenue:
    dhan = {"dry_run": False, "allow_super_orders": allow}
    config = Config.model_validate({"dhan": dhan, "secrets": {"dhan_client_id": "1000000001"}})
    monkeypatch.setattr(LiveVenue, "_on_account", lambda _: (SCALP,))
    return LiveVenue(config, tmp_path, Permit(sentence="typed", held=held), Places.dhan())


def test_live_refuses_a_super_order_that_nobody_has_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"set dhan\.allow_super_orders: true, or write stop_and_target"):
        venue(tmp_path, monkeypatch, allow=False).choose()


def test_with_an_open_position_it_takes_entries_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = venue(tmp_path, monkeypatch, allow=False, held=1)
    assert [item.name for item in live.choose()] == ["SCALP"]
    assert any("super_order" in reason for reason in live._exits_only)


def test_live_takes_a_super_order_that_was_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [item.name for item in venue(tmp_path, monkeypatch, allow=True).choose()] == ["SCALP"]
