"""A read is counted from when it left, not from its turn: connecting and other threads' work lie between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.leaving import LONGEST_DELAY_S, Delays
from workbench.brokers.dhan.pace import DATA_MARGIN_S, Bucket, Pace, Window
from workbench.brokers.dhan.transport import Endpoint
from workbench.testing.wire_stub import WireStub, http


class Time:
    """A clock that is moved by hand, and by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


class Noted(Pace):
    """Notes what is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.noted: list[tuple[Bucket, float]] = []

    def left(self, bucket: Bucket, turn_at: float) -> None:
        self.noted.append((bucket, turn_at))

    def held_up(self, bucket: Bucket, left_at: float, delay_s: float) -> None:
        assert 0 <= delay_s <= LONGEST_DELAY_S
        assert left_at >= self.noted[-1][1]
        self.noted.append((bucket, left_at))


def test_each_read_tells_that_it_left_and_was_answered_and_a_write_does_not(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"data": {}, "status": "success"})
    pace = Noted()
    data = DhanClient(stub.url, "1000000001", "token", Endpoint.DATA, pace=pace)
    for _ in range(3):
        data.api.ticker_data({"NSE_EQ": [1]})
    assert [bucket for bucket, _ in pace.noted] == [Bucket.QUOTE] * 6
    orders = DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, pace=pace)
    orders.api.cancel_order("11")
    assert len(pace.noted) == 6
    assert len(stub.requests) == 4


def test_the_next_turn_waits_from_the_moment_of_leaving() -> None:
    time = Time()
    pace = Pace({Bucket.DATA: (Window(limit=2, length_s=1.0),)}, clock=lambda: time.now, sleep=time.sleep)
    assert [pace.read_turn(Bucket.DATA) for _ in range(2)] == ["", ""]
    time.now = 1000.4
    pace.left(Bucket.DATA, 1000.0)
    pace.left(Bucket.DATA, 1000.0)
    assert pace.read_turn(Bucket.DATA) == ""
    assert time.now == pytest.approx(1001.4 + DATA_MARGIN_S)


def test_a_day_is_counted_by_turns_and_nothing_is_counted_twice() -> None:
    time = Time()
    limits = {Bucket.DATA: (Window(limit=100, length_s=1.0), Window(limit=3, length_s=86400.0))}
    pace = Pace(limits, clock=lambda: time.now, sleep=time.sleep)
    for _ in range(3):
        assert pace.read_turn(Bucket.DATA) == ""
        pace.left(Bucket.DATA, time.now)
    assert "3 data in a day" in pace.read_turn(Bucket.DATA)


def test_a_read_that_was_held_up_is_counted_from_when_it_may_have_arrived() -> None:
    time = Time()
    pace = Pace({Bucket.DATA: (Window(limit=1, length_s=1.0),)}, clock=lambda: time.now, sleep=time.sleep)
    assert pace.read_turn(Bucket.DATA) == ""
    pace.left(Bucket.DATA, 1000.0)
    pace.held_up(Bucket.DATA, 1000.0, 0.2)
    assert pace.read_turn(Bucket.DATA) == ""
    assert time.now == pytest.approx(1001.2 + DATA_MARGIN_S)


def test_a_delay_is_what_a_request_took_longer_than_the_quickest_of_its_like() -> None:
    delays = Delays()
    assert delays.of("/charts/intraday", 0.3) == LONGEST_DELAY_S  # nothing to compare it with
    assert delays.of("/charts/intraday", 0.35) == pytest.approx(0.05)
    assert delays.of("/optionchain", 0.1) == pytest.approx(0.1)
    assert delays.of("/charts/intraday", 0.2) == 0
    assert delays.of("/charts/intraday", 4.0) == LONGEST_DELAY_S
