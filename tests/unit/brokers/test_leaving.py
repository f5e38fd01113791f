"""A read is counted from when it left, not from its turn: connecting and other threads' work lie between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.pace import MARGIN_S, Bucket, Pace, Window
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


def test_each_read_tells_once_that_it_left_and_a_write_does_not(stub: WireStub) -> None:
    stub.default = lambda _: http(200, {"data": {}, "status": "success"})
    pace = Noted()
    data = DhanClient(stub.url, "1000000001", "token", Endpoint.DATA, pace=pace)
    for _ in range(3):
        data.api.ticker_data({"NSE_EQ": [1]})
    assert [bucket for bucket, _ in pace.noted] == [Bucket.QUOTE] * 3
    orders = DhanClient(stub.url, "1000000001", "token", Endpoint.ORDERS, pace=pace)
    orders.api.cancel_order("11")
    assert len(pace.noted) == 3
    assert len(stub.requests) == 4


def test_the_next_turn_waits_from_the_moment_of_leaving() -> None:
    time = Time()
    pace = Pace({Bucket.DATA: (Window(limit=2, length_s=1.0),)}, clock=lambda: time.now, sleep=time.sleep)
    assert [pace.read_turn(Bucket.DATA) for _ in range(2)] == ["", ""]
    time.now = 1000.4
    pace.left(Bucket.DATA, 1000.0)
    pace.left(Bucket.DATA, 1000.0)
    assert pace.read_turn(Bucket.DATA) == ""
    assert time.now == pytest.approx(1001.4 + MARGIN_S)


def test_a_day_is_counted_by_turns_and_nothing_is_counted_twice() -> None:
    time = Time()
    limits = {Bucket.DATA: (Window(limit=100, length_s=1.0), Window(limit=3, length_s=86400.0))}
    pace = Pace(limits, clock=lambda: time.now, sleep=time.sleep)
    for _ in range(3):
        assert pace.read_turn(Bucket.DATA) == ""
        pace.left(Bucket.DATA, time.now)
    assert "3 data in a day" in pace.read_turn(Bucket.DATA)
