"""Windows of a fetch cover every day once, and stitched contracts lose and invent nothing."""

from __future__ import annotations

import itertools
import random
from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.session import IST
from workbench.data.expired_options import stitch
from workbench.data.gaps import windows

START = pd.Timestamp("2026-06-15 09:15", tz=IST)


@given(st.sets(st.integers(0, 2000), max_size=200), st.integers(1, 90))
def test_each_day_is_in_one_window_and_no_window_is_too_long(offsets: set[int], longest: int) -> None:
    days = [date(2021, 1, 1) + timedelta(days=offset) for offset in offsets]
    spans = windows(days, longest)
    assert all((last - first).days < longest for first, last in spans)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    assert all(sum(first <= day <= last for first, last in spans) == 1 for day in days)
    assert all(first in days and last in days for first, last in spans)


@given(
    middles=st.lists(st.integers(495, 505), min_size=1, max_size=40),
    steps=st.integers(0, 3),
    order=st.randoms(use_true_random=False),
)
def test_series_around_a_wandering_money_become_the_contracts_they_are_of(
    middles: list[int], steps: int, order: random.Random
) -> None:
    index = pd.DatetimeIndex([START + pd.Timedelta(minutes=n) for n in range(len(middles))], name="time")
    expected: dict[Decimal, dict[pd.Timestamp, float]] = {}
    series = []
    for step in range(-steps, steps + 1):
        strikes = [50 * (middle + step) for middle in middles]
        prices = [strike + minute / 100 for minute, strike in enumerate(strikes)]
        for moment, strike, price in zip(index, strikes, prices, strict=True):
            expected.setdefault(Decimal(strike), {})[moment] = price
        columns = dict.fromkeys(("open", "high", "low", "close"), prices)
        series.append(pd.DataFrame({**columns, "volume": 1.0, "strike": strikes, "spot": 25000.0}, index=index))
    order.shuffle(series)
    stitched = stitch([*series, series[0]])  # a window that overlaps another agrees with it
    assert stitched.disagreements == []
    found = {strike: frame["close"].to_dict() for strike, frame in stitched.series.items()}
    assert found == expected
    assert all(stitched.absent(strike) == len(middles) - len(rows) for strike, rows in expected.items())
