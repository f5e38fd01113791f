"""Bars: intervals as text, closing by the clock, and the path of quotes that a bar stands for."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.unit.core.builders import at
from workbench.core.bars import MINUTE, Bar, BarBuilder, Interval, path
from workbench.core.errors import BadInput

OPEN = at("09:15:00")
CLOSE = at("15:30:00")


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [("5s", 5, "5s"), ("30s", 30, "30s"), ("1", 60, "1m"), ("60", 3600, "1h"), ("5m", 300, "5m"), ("D", 86400, "1d")],
)
def test_an_interval_reads_and_shows_as_text(text: str, seconds: int, shown: str) -> None:
    assert Interval.parse(text).seconds == seconds
    assert str(Interval.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "4s", "90s", "0m", "2d", "5x", "-1m", "1.5m", "五m"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Interval.parse(text)


def test_bars_are_anchored_at_the_session_open() -> None:
    assert Interval.parse("1h").opens_at(at("10:14:59"), OPEN) == OPEN
    assert Interval.parse("1h").opens_at(at("10:15:00"), OPEN) == at("10:15:00")
    assert Interval.parse("5m").opens_at(at("09:14:59"), OPEN) == at("09:10:00")


def tick(builder: BarBuilder, clock: str, price: int, volume: int = 0) -> None:
    builder.tick(at(clock), Decimal(price), volume, OPEN)


def test_a_bar_closes_by_the_clock_after_its_grace_and_never_by_a_tick() -> None:
    builder = BarBuilder(MINUTE)
    tick(builder, "09:15:00", 100)
    tick(builder, "09:15:30", 104)
    tick(builder, "09:15:40", 98)
    tick(builder, "09:16:00", 101)
    assert builder.close_due(at("09:16:00.5")) == []
    tick(builder, "09:15:59", 99)
    assert builder.close_due(at("09:16:01")) == [
        Bar(OPEN, Decimal(100), Decimal(104), Decimal(98), Decimal(99)),
    ]


def test_a_late_tick_is_counted_and_revises_nothing() -> None:
    builder = BarBuilder(MINUTE)
    tick(builder, "09:15:00", 100)
    assert len(builder.close_due(at("09:16:01"))) == 1
    tick(builder, "09:15:59", 50)
    assert builder.late_ticks == 1
    assert builder.close_due(at("09:20:00")) == []


def test_a_minute_without_a_trade_is_absent_and_a_late_tick_does_not_make_it() -> None:
    builder = BarBuilder(MINUTE)
    tick(builder, "09:15:00", 100)
    builder.close_due(at("09:16:01"))
    builder.close_due(at("09:17:01"))
    tick(builder, "09:16:59", 50)
    tick(builder, "09:17:30", 102)
    assert [bar.time for bar in builder.close_due(at("09:18:01"))] == [at("09:17:00")]
    assert builder.late_ticks == 1


def test_several_bars_close_oldest_first() -> None:
    builder = BarBuilder(MINUTE)
    for minute in (17, 15, 16):
        tick(builder, f"09:{minute}:10", 100 + minute)
    assert [bar.time.minute for bar in builder.close_due(at("09:18:01"))] == [15, 16, 17]


def test_the_last_bar_ends_with_the_session() -> None:
    builder = BarBuilder(Interval.parse("1h"))
    tick(builder, "15:20:00", 100)
    assert builder.close_due(at("15:30:00"), CLOSE) == []
    assert [bar.time for bar in builder.close_due(at("15:30:01"), CLOSE)] == [at("15:15:00")]
    tick(builder, "15:29:59", 90)
    assert builder.late_ticks == 1


def test_volume_is_what_the_day_volume_grew_by() -> None:
    builder = BarBuilder(MINUTE)
    tick(builder, "09:15:01", 100, 500)
    tick(builder, "09:15:30", 100, 700)
    tick(builder, "09:15:20", 100, 600)
    tick(builder, "09:16:10", 100, 1000)
    assert [bar.volume for bar in builder.close_due(at("09:17:01"))] == [700, 300]


def test_a_day_that_is_joined_late_does_not_put_its_volume_into_one_bar() -> None:
    builder = BarBuilder(MINUTE)
    tick(builder, "11:00:01", 100, 1_000_000)
    tick(builder, "11:00:30", 100, 1_000_200)
    assert [bar.volume for bar in builder.close_due(at("11:01:01"))] == [200]


def test_volume_begins_anew_with_the_day() -> None:
    builder = BarBuilder(MINUTE)
    tick(builder, "15:29:00", 100, 9_000)
    builder.close_due(at("15:30:01"))
    next_open = OPEN + timedelta(days=1)
    builder.tick(next_open, Decimal(100), 50, next_open)
    assert [bar.volume for bar in builder.close_due(next_open + timedelta(seconds=61))] == [50]


def bar(o: int, h: int, low: int, c: int) -> Bar:
    return Bar(OPEN, Decimal(o), Decimal(h), Decimal(low), Decimal(c))


def prices(found: object) -> list[Decimal]:
    return [quote.last for quote in found]  # type: ignore[attr-defined]


def test_the_path_of_a_bar_meets_the_adverse_extreme_first() -> None:
    assert prices(path(bar(100, 110, 90, 105), key="K")) == [100, 90, 110, 105]
    assert prices(path(bar(100, 110, 90, 105), key="K", adverse="high")) == [100, 110, 90, 105]


def test_the_path_stops_at_every_level_on_the_way_and_only_there() -> None:
    levels = [Decimal(95), Decimal(108), Decimal(120), Decimal(100)]
    found = prices(path(bar(100, 110, 90, 105), key="K", levels=lambda: levels))
    assert found == [100, 95, 90, 95, 100, 108, 110, 108, 105]


def test_levels_that_appear_on_the_way_count_from_then_on() -> None:
    seen: list[Decimal] = []
    found = []
    for quote in path(bar(100, 110, 90, 105), key="K", levels=lambda: [Decimal(107)] if Decimal(90) in seen else []):
        seen.append(quote.last)
        found.append(quote.last)
    assert found == [100, 90, 107, 110, 107, 105]


def test_quotes_of_a_path_are_in_time_order_within_the_bar() -> None:
    times: list[datetime] = [
        quote.time for quote in path(bar(100, 110, 90, 105), key="K", levels=lambda: [Decimal(95)])
    ]
    assert times == sorted(times)
    assert times[0] == OPEN
    assert times[-1] < OPEN + timedelta(minutes=1)


def test_the_spread_lies_around_the_price() -> None:
    first = next(path(bar(100, 110, 90, 105), key="K", spread=Decimal("0.20"), model=True))
    assert (first.bid, first.ask, first.spread, first.model) == (
        Decimal("99.90"),
        Decimal("100.10"),
        Decimal("0.20"),
        True,
    )
