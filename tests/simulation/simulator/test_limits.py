"""Rate limits: sliding windows, buckets, the option chain's own pace, the block after hammering."""

from __future__ import annotations

import pytest

from workbench.core.errors import BadInput
from workbench.simulator.limits import BLOCKED_S, BREACHES, Bucket, RateLimits, bucket_of, is_order_write


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def calls(limits: RateLimits, method: str, path: str, count: int) -> list[int]:
    answers = [limits.limited(method, path) for _ in range(count)]
    return [each[0] if each else 200 for each in answers]


@pytest.mark.parametrize(
    ("method", "path", "bucket"),
    [
        ("POST", "/orders", Bucket.ORDERS),
        ("POST", "/orders/slicing", Bucket.ORDERS),
        ("PUT", "/orders/1", Bucket.ORDERS),
        ("DELETE", "/super/orders/1/ENTRY_LEG", Bucket.ORDERS),
        ("DELETE", "/positions", Bucket.ORDERS),
        ("GET", "/orders", Bucket.OTHER),
        ("GET", "/trades/", Bucket.OTHER),
        ("POST", "/positions/convert", Bucket.OTHER),
        ("POST", "/margincalculator", Bucket.OTHER),
        ("POST", "/charts/intraday", Bucket.DATA),
        ("POST", "/optionchain/expirylist", Bucket.DATA),
        ("POST", "/marketfeed/ltp", Bucket.QUOTE),
    ],
)
def test_a_call_is_counted_where_dhan_counts_it(method: str, path: str, bucket: Bucket) -> None:
    assert bucket_of(method, path) is bucket
    assert is_order_write(method, path) is (bucket is Bucket.ORDERS)


def test_eleven_orders_in_a_second_are_one_too_many(clock: Clock) -> None:
    limits = RateLimits(1.0, clock)
    assert calls(limits, "POST", "/v2/orders", 11) == [200] * 10 + [429]
    clock.now += 0.999
    assert limits.limited("DELETE", "/v2/orders/1") is not None
    assert calls(limits, "GET", "/v2/orders", 20) == [200] * 20
    clock.now += 0.001
    refused = limits.limited("POST", "/v2/orders")
    assert refused is None


def test_a_refusal_has_dhans_words(clock: Clock) -> None:
    limits = RateLimits(1.0, clock)
    limits.limited("POST", "/v2/marketfeed/ltp")
    refused = limits.limited("POST", "/v2/marketfeed/quote")
    assert refused is not None
    status, body = refused
    assert (status, body["errorType"], body["errorCode"]) == (429, "Rate_Limit", "DH-904")


def test_two_hundred_and_fifty_orders_a_minute_and_a_thousand_an_hour_are_the_most(clock: Clock) -> None:
    limits = RateLimits(1.0, clock)
    assert [calls(limits, "POST", "/orders", 10).count(200) + _wait(clock, 1.0) for _ in range(26)] == [10] * 25 + [0]
    _wait(clock, 60.0)
    in_the_hour = 250
    for _ in range(20):
        in_the_hour += sum(calls(limits, "POST", "/orders", 10).count(200) + _wait(clock, 1.0) for _ in range(25))
        _wait(clock, 60.0)
    assert in_the_hour == 1_000


def _wait(clock: Clock, seconds: float) -> int:
    clock.now += seconds
    return 0


def test_a_day_of_orders_ends_at_seven_thousand(clock: Clock) -> None:
    limits = RateLimits(1.0, clock)
    let_through = 0
    for _ in range(7_100):
        let_through += limits.limited("POST", "/orders") is None
        clock.now += 3.61
    assert let_through == 7_000


def test_one_chain_may_be_asked_again_after_three_seconds(clock: Clock) -> None:
    limits = RateLimits(1.0, clock)
    nifty, bank = b'{"UnderlyingScrip":13}', b'{"UnderlyingScrip":25}'
    assert limits.limited("POST", "/v2/optionchain", nifty) is None
    assert limits.limited("POST", "/v2/optionchain", bank) is None
    assert limits.limited("POST", "/v2/optionchain/expirylist", nifty) is None
    clock.now += 2.9
    assert limits.limited("POST", "/v2/optionchain", nifty) is not None
    clock.now += 0.1
    assert limits.limited("POST", "/v2/optionchain", nifty) is None


def test_hammering_shuts_out_for_a_while(clock: Clock) -> None:
    limits = RateLimits(1.0, clock)
    calls(limits, "POST", "/orders", 10 + BREACHES)
    blocked = limits.limited("GET", "/positions")
    assert blocked is not None
    assert blocked[0] == 429
    assert list(blocked[1]["data"]) == ["805"]
    clock.now += BLOCKED_S
    assert limits.limited("GET", "/positions") is None


def test_a_scale_shortens_every_window_and_none_has_no_limit(clock: Clock) -> None:
    fast, free = RateLimits(100.0, clock), RateLimits(None, clock)
    assert calls(fast, "POST", "/orders", 11) == [200] * 10 + [429]
    clock.now += 0.0101
    assert calls(fast, "POST", "/orders", 10) == [200] * 10
    assert calls(free, "POST", "/orders", 1_000) == [200] * 1_000
    with pytest.raises(BadInput):
        RateLimits(0.0, clock)
