"""Fault S6: what the wire can say of a price, and what of it is believed."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.data.feed_packets import Counts, Tick, decode
from workbench.data.feed_quarantine import Line, Quarantine, band_of

NOW = datetime(2026, 11, 20, 10, 1, 2, tzinfo=IST)
INDEX = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
SHARE = Instrument(segment=Segment.NSE_EQ, security_id="7", symbol="RELIANCE", kind=InstrumentKind.EQUITY)
OPTION = Instrument(
    segment=Segment.NSE_FNO,
    security_id="101",
    symbol="NIFTY",
    kind=InstrumentKind.OPTION,
    strike=Decimal(25000),
    right=Right.CE,
)


def line(instrument: Instrument) -> Line:
    return Line([instrument], instrument.tick, band_of(instrument))


def wire_time(at: datetime) -> int:
    return int(at.timestamp()) + 19800


def ticker(last: float, after_s: float = 0) -> Tick:
    packet = struct.pack("<BHBIfI", 2, 16, 0, 13, last, wire_time(NOW + timedelta(seconds=after_s)))
    return read(packet)


def full(last: float, book: tuple[float, float] | None = None, after_s: float = 0, day: float = 0.0) -> Tick:
    """A full packet; `day` is its low and high, 0 before the first trade."""
    bid, ask = book or (last, last)
    at = wire_time(NOW + timedelta(seconds=after_s))
    head = struct.pack("<BHBIfHIfIIIIIIffff", 8, 162, 2, 101, last, 75, at, 0, 0, 0, 0, 0, 0, 0, day, 0, day, day)
    return read(head + struct.pack("<IIHHff", 75, 75, 1, 1, bid, ask) * 5)


def read(packet: bytes) -> Tick:
    (tick,) = decode(packet, Counts())
    assert isinstance(tick, Tick)
    return tick


def passed(instrument: Instrument, *ticks: Tick, judge: Quarantine | None = None) -> list[bool]:
    judge, known = judge or Quarantine(), line(instrument)
    return [judge.passes(tick, known, 0.1 * number) for number, tick in enumerate(ticks)]


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e9])
def test_s6_an_impossible_price_never_passes_however_often_it_comes(price: float) -> None:
    assert passed(INDEX, ticker(price), ticker(price), ticker(price)) == [False] * 3
    for book in ((price, 1.0), (1.0, price)):
        fine = price == 0.0  # an empty side
        assert passed(OPTION, full(1.0, book), full(1.0, book)) == [fine] * 2


def test_s6_a_hundredfold_price_waits_and_the_next_ordinary_tick_throws_it_out() -> None:
    judge = Quarantine()
    assert passed(INDEX, ticker(25000), ticker(2_500_000), ticker(25001), ticker(2_500_000), judge=judge) == [
        True,
        False,
        True,
        False,
    ]
    assert (judge.jumps, judge.confirmed) == (2, 0)


@pytest.mark.parametrize(
    ("instrument", "before", "after"), [(INDEX, 25000, 23000), (SHARE, 1000, 1300), (OPTION, 10, 150)]
)
def test_s6_a_true_jump_passes_when_two_more_ticks_say_so(instrument: Instrument, before: float, after: float) -> None:
    judge = Quarantine()
    ticks = ticker(before), ticker(after), ticker(after * 1.01), ticker(after), ticker(after)
    assert passed(instrument, *ticks, judge=judge) == [True, False, False, True, True]
    assert judge.confirmed == 1


def test_s6_two_wrong_ticks_that_disagree_confirm_nothing() -> None:
    ticks = ticker(25000), ticker(250), ticker(2_500_000), ticker(250), ticker(250), ticker(25000)
    assert passed(INDEX, *ticks) == [True, False, False, False, False, True]


def test_s6_an_index_beyond_its_circuit_breaker_is_never_believed() -> None:
    judge, known = Quarantine(), line(INDEX)
    known.previous_close = 25000.0
    assert not any(judge.passes(ticker(2_500_000.0), known, 0.1 * number) for number in range(10))
    assert judge.passes(ticker(24800.0), known, 2.0)
    assert judge.bad_prices == 10


def test_s6_a_jump_that_its_own_packet_denies_is_never_believed() -> None:
    wrong = [full(1000.0, after_s=number, day=10.0) for number in range(10)]
    assert passed(OPTION, full(10.0, day=10.0), *wrong, full(10.0, after_s=11, day=10.0)) == [
        True,
        *[False] * 10,
        True,
    ]


def test_an_option_of_paise_may_become_one_of_rupees_at_once() -> None:
    assert passed(OPTION, full(0.05), full(4.0), full(39.0)) == [True] * 3


@pytest.mark.parametrize("book", [(1000.0, 10.1), (9.9, 1000.0)])
def test_s6_a_jump_of_one_side_of_the_book_waits_too(book: tuple[float, float]) -> None:
    assert passed(OPTION, full(10, (9.9, 10.1)), full(10, book), full(10, (9.9, 10.1))) == [True, False, True]


def test_a_side_of_the_book_may_empty_and_fill_again() -> None:
    assert passed(OPTION, full(10, (9.9, 10.1)), full(10, (0, 10.1)), full(10, (9.9, 0)), full(10)) == [True] * 4


def test_s6_an_older_trade_than_ours_waits_and_is_believed_if_it_is_repeated() -> None:
    judge = Quarantine()
    back = ticker(25000, -60), ticker(25000, -59), ticker(25000, -58)
    ticks = ticker(25000), ticker(25000, -3600), ticker(25000, 1), *back
    assert passed(INDEX, *ticks, judge=judge) == [True, False, True, False, False, True]
    assert (judge.backwards, judge.confirmed) == (4, 1)


def test_s6_trades_ahead_of_time_and_old_trades_of_an_index_are_dropped_where_the_time_is_known() -> None:
    judge = Quarantine(lambda: NOW)
    assert passed(INDEX, ticker(25000, 31), ticker(25000, -61), ticker(25000, -60), ticker(25000, 30), judge=judge) == [
        False,
        False,
        True,
        True,
    ]
    assert (judge.future, judge.old) == (1, 1)
    # Nobody may have traded an option for hours; its book lives.
    assert passed(OPTION, full(10, after_s=-7200), judge=judge) == [True]


def test_one_trade_of_the_future_that_passed_cannot_shut_out_the_present() -> None:
    ticks = ticker(25000, 86400), ticker(25000), ticker(25001), ticker(25002), ticker(25003)
    assert passed(INDEX, *ticks) == [True, False, False, True, True]


def test_s6_a_first_price_outside_of_its_own_day_waits() -> None:
    assert passed(OPTION, full(1000.0, day=10.0), full(10.0, day=10.0), full(10.05, day=10.0)) == [False, True, True]


def test_prices_on_both_sides_of_a_long_silence_are_not_compared() -> None:
    assert passed(OPTION, full(10, after_s=-3600), full(200)) == [True, True]


prices = st.floats(-10, 3e6, width=32) | st.sampled_from([0.0, float("nan"), float("inf"), 25000.0, 25010.0])


@given(st.lists(st.tuples(prices, st.integers(-100, 100)), max_size=30))
def test_s6_whatever_came_before_three_ticks_that_agree_always_pass(wire: list[tuple[float, int]]) -> None:
    judge, known = Quarantine(), line(INDEX)
    for number, (price, after_s) in enumerate(wire):
        judge.passes(ticker(price, after_s), known, 0.1 * number)
    judge.passes(ticker(25000.0, 200), known, 100.0)
    judge.passes(ticker(25001.0, 201), known, 101.0)
    assert judge.passes(ticker(25002.0, 202), known, 102.0)
    assert judge.passes(ticker(25003.0, 203), known, 103.0)
