"""A live engine that runs on over the night, and comes upon a day whose hours nobody has confirmed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.bootstrap.live_start import LiveVenue, Permit
from workbench.bootstrap.places import Places
from workbench.bootstrap.venue import Moved
from workbench.config import Config
from workbench.core.session import IST
from workbench.live.system import MARKET, FeedWatch
from workbench.reference import calendar

CONFIG = Config.model_validate({"secrets": {"dhan_client_id": "1000000001"}})
MORNING = datetime(2026, 11, 20, 9, 0, tzinfo=IST)


def test_a_day_with_unconfirmed_hours_that_begins_over_night_takes_no_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue, watch, opened = LiveVenue(CONFIG, tmp_path, Permit(sentence="typed", held=0), Places.dhan()), FeedWatch(), []
    known = calendar().session(MARKET, MORNING.date())
    assert known is not None
    sessions = [replace(known, times_confirmed=False), known]
    monkeypatch.setattr(venue, "_session", lambda: sessions.pop(0))
    monkeypatch.setattr(venue, "_host", SimpleNamespace(watch=watch, notifier=None), raising=False)
    venue.begin()

    async def on_state(state: str, _: datetime) -> None:
        opened.append(state)

    def nothing(*_: Any) -> None:
        return None

    async def drained() -> None:
        return None

    beat = venue.mover(Moved(enqueue=nothing, drained=drained, on_second=nothing, on_state=on_state))
    asyncio.run(_told(beat, "waiting"))
    assert "not confirmed" in watch.held["hours"]
    asyncio.run(_told(beat, "waiting"))
    assert not watch.held
    assert opened == ["waiting", "waiting"]


async def _told(beat: Any, state: str) -> None:
    await beat._on_state(state, MORNING)
