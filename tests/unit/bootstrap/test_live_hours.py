"""What the venue of a live engine makes of time: hours that nobody has confirmed, and a clock that Dhan contradicts."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.bootstrap.dhan_venue import DhanVenue
from workbench.bootstrap.live_start import LiveVenue, Permit
from workbench.bootstrap.paper import PaperVenue
from workbench.bootstrap.places import Places
from workbench.bootstrap.venue import Login, Moved
from workbench.config import Config
from workbench.core.session import IST
from workbench.live.clock import PracticeClock
from workbench.live.system import MARKET, FeedWatch
from workbench.live.trusted_clock import TrustedClock
from workbench.reference import calendar
from workbench.testing.wire_stub import Received, Reply, WireStub, http

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
    host = SimpleNamespace(watch=watch, notifier=None, start=lambda work: work.close())
    monkeypatch.setattr(venue, "_host", host, raising=False)
    monkeypatch.setattr(venue, "_clock", PracticeClock(MORNING))

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


@pytest.mark.parametrize("answers", [True, False])
def test_s9_while_the_clock_is_in_doubt_dhan_is_asked_for_his_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    def reply(_: Received) -> Reply:
        if not answers:
            return Reply(reset=True)
        date = format_datetime(datetime.now(UTC), usegmt=True)
        return http(200, {"dhanClientId": "1000000001"}, extra=f"Date: {date}\r\n")

    with WireStub() as stub:
        stub.default = reply
        places = replace(Places.dhan(), rest=stub.url, auth=stub.url)
        venue = LiveVenue(CONFIG, tmp_path, Permit(sentence="typed", held=0), places)
        venue.begin()
        venue._login = Login(client_id="1000000001", token="the-token-of-the-start")
        monkeypatch.setattr(venue, "_keeper", SimpleNamespace(token="the-token-of-now"))
        clock = venue.clock
        assert isinstance(clock, TrustedClock)
        clock.hear(datetime.now(UTC) - timedelta(hours=1), at=time.monotonic())
        assert clock.doubt
        asyncio.run(venue._ask_the_time())
        assert {each.headers["access-token"] for each in stub.requests} == {"the-token-of-now"}
    assert bool(clock.doubt) is not answers


def test_s9_a_start_with_a_wrong_clock_goes_by_the_time_that_dhan_told_at_the_login(tmp_path: Path) -> None:
    right = datetime.now(UTC) - timedelta(hours=1)
    profile = {"dhanClientId": "1000000001", "dataPlan": "Active", "tokenValidity": "30/12/2099 15:30"}
    secrets = {"dhan_client_id": "1000000001", "dhan_access_token": "a-token-of-a-trader"}
    with WireStub() as stub:
        stub.default = lambda _: http(200, profile, extra=f"Date: {format_datetime(right, usegmt=True)}\r\n")
        places = replace(Places.dhan(), rest=stub.url, auth=stub.url)
        venue = PaperVenue(Config.model_validate({"secrets": secrets}), tmp_path, places)
        DhanVenue.begin(venue)
        venue.log_in()
    clock = venue.clock
    assert isinstance(clock, TrustedClock)
    assert abs((clock.now() - right).total_seconds()) < 30
    assert "ahead of the broker's" in clock.doubt
