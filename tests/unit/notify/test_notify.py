"""Notices: kept here always, taken to real services by a child process, never in the engine's way."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.core.errors import BadInput
from workbench.notify import AlarmFile, Channel, Notifier
from workbench.notify import channel as channel_module
from workbench.testing.wire_stub import WireStub, free_port, http

AT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
SECRET = "s3cret-canary"


@pytest.fixture
def service() -> Iterator[WireStub]:
    with WireStub(default=lambda _: http(200, {})) as stub:
        yield stub


def channel_to(*ports: int) -> Channel:
    return Channel([f"json://{SECRET}:pw@127.0.0.1:{port}/hook" for port in ports])


def port_of(stub: WireStub) -> int:
    return int(stub.url.rsplit(":", 1)[1].split("/")[0])


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def test_a_notice_reaches_the_service_with_its_words(service: WireStub) -> None:
    channel = channel_to(port_of(service))
    try:
        done = channel.deliver("alarm", "NIFTY 25000 CE has no stop")
    finally:
        channel.close()
    assert (done.is_good, done.taken, done.of) == (True, 1, 1)
    said = json.loads(service.requests[0].body)
    assert said["message"] == "NIFTY 25000 CE has no stop"
    assert said["title"] == "workbench alarm"


def test_p13_a_dead_channel_is_an_alarm_here_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    channel = channel_to(free_port())
    notifier = Notifier(channel=channel, now=lambda: AT)
    try:
        with caplog.at_level(logging.DEBUG):
            notifier.send("info", "first")
            assert eventually(lambda: channel.failed == 1)
            notifier.send("info", "second")
    finally:
        channel.close()
    texts = [notice.text for notice in notifier.notices]
    assert texts[0] == "first"
    assert texts[1:] == ["second", f"notices do not reach your phone: {channel.reason}; look at this page instead"]
    assert SECRET not in caplog.text + channel.reason + repr(channel)


def test_one_address_of_two_out_of_reach_is_said(service: WireStub) -> None:
    channel = channel_to(port_of(service), free_port())
    try:
        done = channel.deliver("info", "x")
    finally:
        channel.close()
    assert (done.is_good, done.taken, done.of) == (False, 1, 2)
    assert done.reason == "refused or out of reach: JSON"


def test_an_address_that_cannot_be_read_is_counted_and_not_shown() -> None:
    channel = Channel([f"nosuchservice://{SECRET}"])
    try:
        done = channel.deliver("info", "x")
    finally:
        channel.close()
    assert (done.taken, done.of, done.reason) == (0, 1, "1 addresses cannot be read")


def test_a_storm_of_one_text_becomes_one_message_and_a_count(
    service: WireStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(channel_module, "QUIET_S", 0.4)  # the thread looks four times as often; the clock is ours
    channel = Channel([f"json://127.0.0.1:{port_of(service)}/"], monotonic=lambda: clock[0])
    try:
        for _ in range(30):
            channel.send("alarm", "feed dead")
        assert eventually(lambda: len(service.requests) == 1 and channel._told.get("feed dead", (0, 0))[1] == 29)
        clock[0] = 61.0
        assert eventually(lambda: len(service.requests) == 2)
    finally:
        channel.close()
    assert [json.loads(each.body)["message"] for each in service.requests] == [
        "feed dead",
        "feed dead (29 more times)",
    ]


def test_a_full_queue_drops_and_counts_and_never_blocks() -> None:
    channel = channel_to(free_port())
    for number in range(channel_module.MOST_WAITING + 50):
        channel.send("info", f"notice {number}")
    assert channel.dropped >= 40
    channel.close(0.1)


def test_a_notice_is_one_line_without_control_characters() -> None:
    notifier = Notifier(now=lambda: AT)
    notifier.send("warning", "bad\r\nINFO forged\x1b[31m line")
    assert notifier.notices[0].text == "bad INFO forged [31m line"


def test_alarms_wait_over_a_restart_until_a_person_has_seen_them(tmp_path: Path) -> None:
    file = tmp_path / "alarms.jsonl"
    notifier = Notifier(alarms=AlarmFile(file), now=lambda: AT)
    notifier.send("info", "bought")
    notifier.send("alarm", "no stop")
    notifier.send("alarm", "no stop")
    notifier.send("alarm", "feed dead")
    again = AlarmFile(file)
    assert [(each.number, each.text) for each in again.waiting] == [(1, "no stop"), (2, "feed dead")]
    again.acknowledge(1, "operator", AT)
    assert [each.text for each in AlarmFile(file).waiting] == ["feed dead"]
    with pytest.raises(BadInput, match="alarm 1 is not waiting"):
        again.acknowledge(1, "operator", AT)


def test_a_torn_line_of_the_alarm_file_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "alarms.jsonl"
    AlarmFile(file).raise_alarm("first", AT)
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"alarm": 2, "te')
    AlarmFile(file).raise_alarm("second", AT)
    assert [each.text for each in AlarmFile(file).waiting] == ["first", "second"]


def test_an_alarm_file_that_cannot_be_written_keeps_the_alarm_in_memory(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be", encoding="utf-8")
    alarms = AlarmFile(tmp_path / "blocked" / "alarms.jsonl")
    alarms.raise_alarm("no stop", AT)
    assert [each.text for each in alarms.waiting] == ["no stop"]


def test_alarms_of_which_a_power_cut_left_half_keep_no_engine_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "alarms.jsonl"
    AlarmFile(file).raise_alarm("kept", AT)
    with file.open("ab") as stream:
        stream.write(b'\xff\xfe\x00{"alarm": ')
    again = AlarmFile(file)
    assert [alarm.text for alarm in again.waiting] == ["kept"]
    again.raise_alarm("new", AT)
    assert [alarm.text for alarm in AlarmFile(file).waiting] == ["kept", "new"]
