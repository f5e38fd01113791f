"""Start-up, feed watch and notices."""

from __future__ import annotations

import asyncio
import time

import pytest

from workbench.core.errors import BadInput
from workbench.live.startup import STEPS, StartUp, StartUpError
from workbench.live.system import FeedWatch
from workbench.notify import Notifier
from workbench.notify.notifier import MOST_KEPT


async def fine() -> str:
    return "as it should be"


def test_the_eight_steps_are_shown_with_time_and_result() -> None:
    shown: list[str] = []

    async def run() -> StartUp:
        start = StartUp(shown.append)
        for name in STEPS:
            await start.step(name, fine)
        return start

    start = asyncio.run(run())
    assert start.is_complete
    assert start.elapsed_s < 1
    assert len(shown) == 8
    assert shown[0].startswith("[1/8] config")
    assert shown[-1].startswith("[8/8] schedule")


def test_a_failing_step_stops_the_start_with_its_reason() -> None:
    shown: list[str] = []

    async def broken() -> str:
        raise BadInput("no token; set DHAN_ACCESS_TOKEN")

    async def run() -> None:
        start = StartUp(shown.append)
        await start.step("config", fine)
        with pytest.raises(StartUpError, match="login: no token"):
            await start.step("login", broken)
        assert not start.is_complete

    asyncio.run(run())
    assert "FAILED" in shown[-1]


def test_no_step_may_be_skipped() -> None:
    async def run() -> None:
        with pytest.raises(StartUpError, match="the next step is config"):
            await StartUp(lambda _: None).step("webhook", fine)

    asyncio.run(run())


def test_a_feed_is_judged_when_it_changes_only() -> None:
    watch = FeedWatch(stale_after_s=5.0)
    lost = watch.judge(market_open=True)
    assert lost is not None
    assert (lost.alive, lost.reason) == (False, "not connected yet")
    assert watch.judge(market_open=True) is None
    watch.feed_state(True, "")
    watch.saw_quote(time.monotonic())
    back = watch.judge(market_open=True)
    assert back is not None
    assert back.alive
    watch.saw_quote(time.monotonic() - 6)
    assert watch.judge(market_open=False) is None, "a closed market sends nothing"
    stale = watch.judge(market_open=True)
    assert stale is not None
    assert "no quote for 6 s" in stale.reason


def test_p11_a_hold_that_came_before_anybody_listened_is_judged_before_the_first_alert() -> None:
    watch = FeedWatch(stale_after_s=5.0)
    watch.feed_state(True, "")
    watch.saw_quote(time.monotonic())
    watch.hold("gate", "exits only")
    judged: list[object] = []
    watch.on_worse = lambda: judged.append(watch.judge(market_open=True))
    assert [getattr(each, "reason", "") for each in judged] == ["exits only"]


def test_a_practice_market_may_stand_still() -> None:
    watch = FeedWatch(stale_after_s=None)
    watch.feed_state(True, "")
    first = watch.judge(market_open=True)
    assert first is not None
    assert first.alive
    assert watch.judge(market_open=True) is None


def test_notices_are_kept_short_and_few() -> None:
    notifier = Notifier()
    for number in range(MOST_KEPT + 5):
        notifier.send("info", f"{number}\nline two " + "x" * 1000)
    assert len(notifier.notices) == MOST_KEPT
    assert "\n" not in notifier.notices[-1].text
    assert len(notifier.notices[-1].text) <= 500
