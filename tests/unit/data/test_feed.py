"""The feed on a real socket: subscriptions, modes, quotes in rupees, facts, and what is wrong with a packet."""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.data.feed_wire import AT, NIFTY, SYNTHETIC, Run, full, keep, names, option, ticker
from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Segment
from workbench.core.session import IST
from workbench.data.feed import DhanFeed
from workbench.data.feed_quotes import QuoteMaker
from workbench.data.feed_wishes import FeedMode


def test_quotes_are_rupees_on_the_tick_and_indian_time() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        frames = ticker(0, 13, 25000.07), full(101, 152.3, 152.25, 152.35), full(102, 0.05, 0.0, 0.05)
        async with Run(keep(requests, *frames)) as run:
            run.feed.subscribe([NIFTY, option(101), option(102)])
            run.start()
            await run.until(lambda: len(run.quotes) == 3)
            index, first, second = run.quotes
            assert index == Quote(NIFTY.key, AT, Decimal("25000.07"), Decimal("25000.07"), Decimal("25000.07"))
            assert index.time.utcoffset() == AT.utcoffset()
            assert (first.last, first.bid, first.ask) == (Decimal("152.30"), Decimal("152.25"), Decimal("152.35"))
            assert (first.bid_quantity, first.ask_quantity, first.volume) == (150, 300, 5000)
            assert (second.bid, second.ask) == (Decimal(0), Decimal("0.05"))
            assert run.feed.received == 3
            age = run.feed.age_s(option(101))
            assert age is not None and 0 <= age < 5
            assert run.states == [(True, "")]

    asyncio.run(scenario())


def test_indices_are_asked_as_ticker_derivatives_as_full_in_hundreds() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests)) as run:
            run.feed.subscribe([NIFTY, SYNTHETIC, *(option(number) for number in range(100, 350))])
            run.start()
            await run.until(lambda: len(requests) == 4)
            assert [(r["RequestCode"], r["InstrumentCount"]) for r in requests] == [
                (15, 1),
                (21, 100),
                (21, 100),
                (21, 50),
            ]
            assert requests[0]["InstrumentList"] == [{"ExchangeSegment": "IDX_I", "SecurityId": "13"}]
            run.feed.subscribe([option(400), option(401)])
            run.feed.unsubscribe([option(100), option(401), option(999)])
            await run.until(lambda: len(requests) == 6)
            assert [(r["RequestCode"], names(r)) for r in requests[4:]] == [(22, ["100"]), (21, ["400"])]

    asyncio.run(scenario())


def test_an_index_and_the_index_as_future_share_one_line() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests, ticker(0, 13, 25000.0))) as run:
            run.feed.subscribe([NIFTY])
            run.feed.subscribe([SYNTHETIC, NIFTY])
            run.start()
            await run.until(lambda: len(run.quotes) == 2)
            assert {quote.key for quote in run.quotes} == {NIFTY.key, SYNTHETIC.key}
            run.feed.unsubscribe([NIFTY])
            await asyncio.sleep(0.02)
            assert len(requests) == 1

    asyncio.run(scenario())


def test_s6_bad_prices_strangers_and_rubbish_are_counted_and_become_no_quote() -> None:
    async def scenario() -> None:
        bad: list[bytes | str] = [ticker(0, 13, value) for value in (0.0, -1.0, float("nan"), float("inf"), 1e9)]
        bad += [full(101, 10.0, float("nan"), 1.0), full(101, 10.0, -1.0, 1.0)]
        no_time = struct.pack("<BHBIfI", 2, 16, 0, 13, 25000.0, 0)
        frames = [*bad, no_time, ticker(0, 99, 1.0), b"\x01\x02", b"\xff" * 30, "text", ticker(0, 13, 25001.0)]
        async with Run(keep([], *frames)) as run:
            run.feed.subscribe([NIFTY, option(101)])
            run.start()
            await run.until(lambda: bool(run.quotes))
            assert [quote.last for quote in run.quotes] == [Decimal("25001.00")]
            counts = run.feed.counts
            assert (run.feed.quarantine.bad_prices, run.feed.unasked, counts.short, counts.unknown) == (8, 1, 1, 2)
            assert run.feed.received == len(frames)

    asyncio.run(scenario())


def test_an_instrument_is_watched_in_the_mode_that_was_asked_last() -> None:
    async def scenario() -> None:
        requests: list[dict[str, Any]] = []
        async with Run(keep(requests)) as run:
            run.feed.subscribe([option(101)], FeedMode.QUOTE)
            run.feed.subscribe([option(102)], FeedMode.TICKER)
            run.feed.subscribe([option(102)], FeedMode.FULL)
            run.start()
            await run.until(lambda: len(requests) == 2)
            run.feed.subscribe([option(101)], FeedMode.FULL)
            run.feed.subscribe([option(102)])
            await run.until(lambda: len(requests) == 4)
            assert [(r["RequestCode"], names(r)) for r in requests] == [
                (17, ["101"]),
                (21, ["102"]),
                (18, ["101"]),
                (21, ["101"]),
            ]

    asyncio.run(scenario())


def test_one_more_than_a_connection_carries_is_refused_and_nothing_of_it_done() -> None:
    async def scenario() -> None:
        feed = DhanFeed("ws://127.0.0.1:9/feed", "1", "t")
        feed.subscribe([option(number) for number in range(1, 5000)])
        with pytest.raises(BadInput, match="2 more instruments cannot be subscribed: 4999 are"):
            feed.subscribe([option(5000), option(5001)])
        assert feed.counters["instruments"] == 4999
        feed.subscribe([option(5000), option(1)])
        feed.unsubscribe([option(2)])
        feed.subscribe([option(5001)])
        assert feed.counters["instruments"] == 5000

    asyncio.run(scenario())


def test_interest_previous_close_and_day_are_kept_as_facts() -> None:
    async def scenario() -> None:
        frames = [
            struct.pack("<BHBIfI", 6, 16, 0, 13, 24900.5, 0),
            struct.pack("<BHBII", 5, 12, 2, 101, 123_450),
            struct.pack("<BHBII", 5, 12, 2, 999, 1),
            struct.pack("<BHBIfI", 6, 16, 2, 999, 1.0, 0),
            struct.pack("<BHBIfI", 6, 16, 2, 102, float("nan"), 0),
            full(102, 10.0, 9.95, 10.05),
            ticker(0, 13, 25000.0),
        ]
        async with Run(keep([], *frames)) as run:
            run.feed.subscribe([NIFTY, option(101), option(102)])
            run.start()
            await run.until(lambda: len(run.quotes) == 2)
            index, quoted, traded = (run.feed.facts(each) for each in (NIFTY, option(101), option(102)))
            assert index is not None
            assert (index.previous_close, index.open_interest, index.depth) == (Decimal("24900.50"), None, ())
            assert quoted is not None
            assert (quoted.open_interest, quoted.day_high) == (123_450, None)
            assert traded is not None
            assert (traded.previous_close, traded.day_high, traded.open_interest) == (Decimal(10), Decimal(10), 0)
            assert traded.depth[4] == pytest.approx((150, 300, 2, 4, 9.95, 10.05))
            assert run.feed.facts(option(103)) is None

    asyncio.run(scenario())


def test_s11_a_change_of_the_market_status_is_told_with_its_segment() -> None:
    async def scenario() -> None:
        seen: list[Segment] = []
        frames = [struct.pack("<BHBI", 7, 8, code, 0) for code in (2, 77, 0)]
        async with Run(keep([], *frames, ticker(0, 13, 25000.0)), on_status=seen.append) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: bool(run.quotes))
        assert seen == [Segment.NSE_FNO, Segment.IDX_I]

    asyncio.run(scenario())


def test_s6_a_jump_waits_for_two_more_ticks_that_say_the_same() -> None:
    async def scenario() -> None:
        prices = [25000.0, 2_500_000.0, 25001.0, 27000.0, 27001.0, 27002.0, 27003.0]
        async with Run(keep([], *(ticker(0, 13, price) for price in prices))) as run:
            run.feed.subscribe([NIFTY])
            run.start()
            await run.until(lambda: len(run.quotes) == 4)
            assert [int(quote.last) for quote in run.quotes] == [25000, 25001, 27002, 27003]
            assert (run.feed.counters["jumps"], run.feed.counters["confirmed"]) == (4, 1)

    asyncio.run(scenario())


@given(st.integers(0, 70 * 366 * 86400))
@example(0)
@example(86400 - 1)
@example(5 * 3600 + 30 * 60 - 1)
def test_the_indian_wall_clock_on_the_wire_becomes_that_moment(passed_s: int) -> None:
    midnight = datetime(2021, 1, 1, tzinfo=IST)
    # What stands on the wire is the wall clock read as if it were UTC.
    on_the_wire = int(midnight.replace(tzinfo=UTC).timestamp()) + passed_s
    read = QuoteMaker().moment(on_the_wire)
    assert read == midnight + timedelta(seconds=passed_s)
    assert read.utcoffset() == timedelta(hours=5, minutes=30)
