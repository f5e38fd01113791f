"""Clocks and the beat of real time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workbench.core.session import IST
from workbench.live.clock import PracticeClock, SystemClock
from workbench.live.day import beat_by_the_wall


def test_both_clocks_tell_indian_time() -> None:
    assert SystemClock().now().tzinfo is IST
    practice = PracticeClock(datetime(2022, 6, 15, 3, 45, tzinfo=UTC))
    assert practice.now().isoformat() == "2022-06-15T09:15:00+05:30"
    practice.set(datetime(2022, 6, 15, 3, 46, tzinfo=UTC))
    assert practice.now().isoformat() == "2022-06-15T09:16:00+05:30"


def test_the_beat_follows_real_time_and_does_not_hurry_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[float] = []
    slept: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        now = 100.0
        monkeypatch.setattr(loop, "time", lambda: now)

        async def sleep(seconds: float) -> None:
            nonlocal now
            slept.append(round(seconds, 3))
            # The third sleep is a machine that slept for half a minute.
            now += seconds + (30 if len(slept) == 3 else 0)
            if len(slept) > 5:
                raise asyncio.CancelledError

        monkeypatch.setattr(asyncio, "sleep", sleep)
        system = cast("Any", SimpleNamespace(now=datetime(2022, 6, 15, 10, tzinfo=IST)))
        with suppress(asyncio.CancelledError):
            await beat_by_the_wall(system, lambda _: None, lambda: beats.append(now))

    asyncio.run(run())
    assert len(beats) == 5
    assert max(slept) <= 1.0
    assert beats[3] - beats[2] < 1.01
