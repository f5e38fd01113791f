"""Every fault of a request, at every moment of a trade: by the broker's own book nothing is there twice or unknown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.faults.books import assert_books_agree, assert_flat, net_at_broker
from tests.simulation.faults.moments import MANY, MOMENTS, SETTLED_S, Moment, is_protected, live_through
from tests.simulation.faults.rig import LATE_S, playing_dhan, trading
from workbench.core.messages import AlertAction
from workbench.testing.simulator import RunningSimulator

at_each_moment = pytest.mark.parametrize("moment", MOMENTS)
before_and_after = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


heard_or_not = pytest.mark.parametrize("is_deaf", [False, True], ids=["heard", "deaf"])


@at_each_moment
@heard_or_not
def test_r1_an_answer_that_comes_too_late_is_looked_up_and_never_sent_again(
    tmp_path: Path, moment: Moment, is_deaf: bool
) -> None:
    told = live_through(tmp_path, moment, "timeout_after_accept", seconds=LATE_S, is_deaf=is_deaf)
    assert told.entered
    assert told.protected is (moment is not Moment.EXIT)


@at_each_moment
@heard_or_not
def test_r1_an_answer_that_never_comes_is_looked_up_and_nothing_is_sent_again(
    tmp_path: Path, moment: Moment, is_deaf: bool
) -> None:
    told = live_through(tmp_path, moment, "lost_reply", is_deaf=is_deaf)
    assert told.entered
    assert told.protected is (moment is not Moment.EXIT)
    if is_deaf and moment is not Moment.EXIT:
        assert any("looking it up, not sending it again" in text for text in told.alarms)


@at_each_moment
@heard_or_not
@before_and_after
def test_r2_a_refusal_for_the_pace_is_believed_until_the_broker_shows_the_order(
    tmp_path: Path, moment: Moment, is_deaf: bool, after: bool
) -> None:
    told = live_through(tmp_path, moment, "http_429", after=after, is_deaf=is_deaf)
    assert told.entered is (after or moment is not Moment.ENTRY)
    assert told.protected is (told.entered and moment is not Moment.EXIT)


@at_each_moment
@before_and_after
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_r3_a_failure_of_the_server_says_nothing_of_the_order(
    tmp_path: Path, moment: Moment, after: bool, status: int
) -> None:
    told = live_through(tmp_path, moment, f"http_{status}", after=after)
    assert told.entered is (after or moment is not Moment.ENTRY)


@at_each_moment
@before_and_after
def test_r4_a_page_in_place_of_an_answer_says_nothing_of_the_order(tmp_path: Path, moment: Moment, after: bool) -> None:
    told = live_through(tmp_path, moment, "html_body", after=after)
    assert told.entered is (after or moment is not Moment.ENTRY)


@at_each_moment
@pytest.mark.parametrize("kind", ["truncated_body", "empty_202"])
def test_r4_half_an_answer_or_none_says_nothing_of_the_order(tmp_path: Path, moment: Moment, kind: str) -> None:
    assert live_through(tmp_path, moment, kind).entered


@at_each_moment
def test_r5_a_connection_that_is_reset_is_no_proof_that_nothing_was_sent(tmp_path: Path, moment: Moment) -> None:
    told = live_through(tmp_path, moment, "reset_before")
    assert told.entered is (moment is not Moment.ENTRY)


@at_each_moment
def test_r8_an_address_that_is_not_registered_is_told(tmp_path: Path, moment: Moment) -> None:
    told = live_through(tmp_path, moment, "wrong_ip")
    assert told.entered is (moment is not Moment.ENTRY)
    assert any("Invalid IP" in text for text in told.alarms + told.warnings)


@at_each_moment
def test_r1_an_answer_that_comes_late_and_in_time_is_an_answer(tmp_path: Path, moment: Moment) -> None:
    assert live_through(tmp_path, moment, "delay", seconds=0.2).entered


@pytest.mark.parametrize("moment", [Moment.STOP, Moment.EXIT])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("wrong_ip", {}),
        ("http_503", {}),
        ("http_503", {"after": True}),
        ("http_429", {}),
        ("http_429", {"after": True}),
        ("html_body", {}),
        ("reset_before", {}),
        ("lost_reply", {}),
    ],
    ids=["wrong_ip", "503", "503_after", "429", "429_after", "html", "reset", "lost"],
)
def test_r3_r8_a_broker_that_answers_no_write_for_a_while_leaves_no_stop_missing_in_silence(
    tmp_path: Path, moment: Moment, kind: str, options: dict[str, Any]
) -> None:
    async def day(sim: RunningSimulator) -> None:
        async with trading(sim, tmp_path) as it:
            if moment is Moment.STOP:
                for method in ("POST", "PUT", "DELETE"):
                    sim.fault(kind, match=f"{method} /orders", count=MANY, skip=int(method == "POST"), **options)
            await it.alert(AlertAction.BULLISH)
            if moment is Moment.EXIT:
                await it.until(lambda: is_protected(it), "a stop at the broker")
                for method in ("POST", "PUT", "DELETE"):
                    sim.fault(kind, match=f"{method} /orders", count=MANY, **options)
                await it.alert(AlertAction.TARGET_FLAT)
            # After each 429 an exit waits longer, in real time: fewer market seconds are enough.
            await it.pass_s(6 if kind == "http_429" else 25)
            assert_books_agree(sim, it)
            sim.clear_faults()
            await it.pass_s(SETTLED_S)
            assert_books_agree(sim, it)
            await it.flatten()
            await it.until(lambda: not net_at_broker(sim) and not it.positions(), "being flat")
            await it.pass_s(SETTLED_S)
            assert_flat(sim, it)

    with playing_dhan() as sim:
        asyncio.run(day(sim))
