"""Aggregation and the JSON face of bar frames."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.core.bars import BarBuilder, Interval
from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Segment
from workbench.core.session import Calendar
from workbench.data.frames import aggregate, bars_to_json, checked, empty

MakeBars = Callable[..., pd.DataFrame]


def test_the_last_bar_of_a_session_may_be_short_and_absent_bars_stay_absent(market: Calendar, bars: MakeBars) -> None:
    frame = bars("2022-06-15 09:15", 375).drop(
        pd.date_range("2022-06-15 10:00", periods=15, freq="1min", tz="Asia/Kolkata")
    )
    quarter = aggregate(frame, Interval(900), market, Segment.IDX_I)
    assert len(quarter) == 24
    assert "10:00" not in {f"{moment:%H:%M}" for moment in quarter.index}
    forty = aggregate(frame, Interval(2400), market, Segment.IDX_I)
    assert f"{forty.index[-1]:%H:%M}" == "15:15"
    assert forty["volume"].iloc[-1] == 150.0
    assert quarter["volume"].sum() == frame["volume"].sum()


def test_evening_sessions_are_anchored_at_their_own_open(market: Calendar, bars: MakeBars) -> None:
    muhurat = aggregate(bars("2022-10-24 18:15", 60), Interval(3600), market, Segment.IDX_I)
    assert [moment.isoformat() for moment in muhurat.index] == ["2022-10-24T18:15:00+05:30"]


@pytest.mark.parametrize("seconds", [300, 420, 900, 3600])
def test_it_agrees_with_the_bars_that_the_engine_builds(market: Calendar, seconds: int) -> None:
    rng = np.random.default_rng(3)
    index = pd.date_range("2022-06-15 09:15", periods=375, freq="1min", tz="Asia/Kolkata", name="time")
    last = 15000 + np.cumsum(rng.integers(-40, 41, 375)) * 0.05
    frame = checked(pd.DataFrame({"open": last, "high": last, "low": last, "close": last}, index=index), "ticks")
    frame = frame.drop(frame.index[60:130])
    session = market.session(Segment.IDX_I, index[0].date())
    assert session is not None
    builder = BarBuilder(Interval(seconds))
    for moment, price in frame["close"].items():
        builder.tick(moment.to_pydatetime(), Decimal(f"{price:.2f}"), 0, session.open)  # type: ignore[attr-defined]
    built = builder.close_due(session.close.replace(hour=23), session.close)
    made = aggregate(frame, Interval(seconds), market, Segment.IDX_I)
    assert [bar.time for bar in built] == list(made.index)
    for bar, row in zip(built, made.itertuples(), strict=True):
        assert [float(bar.open), float(bar.high), float(bar.low), float(bar.close)] == pytest.approx(
            [row.open, row.high, row.low, row.close], abs=1e-9
        )


def test_a_day_without_a_session_or_an_unknown_year_is_refused(market: Calendar, bars: MakeBars) -> None:
    with pytest.raises(BadInput, match="2022-06-18"):
        aggregate(bars("2022-06-18 09:15", 5), Interval(300), market, Segment.IDX_I)
    with pytest.raises(UnknownSession):
        aggregate(bars("2012-06-18 09:15", 5), Interval(300), market, Segment.IDX_I)


def test_nothing_aggregates_to_nothing(market: Calendar) -> None:
    assert aggregate(empty(), Interval(300), market, Segment.IDX_I).empty


def test_bars_in_json_tell_open_time_with_offset(bars: MakeBars) -> None:
    (bar,) = bars_to_json(bars("2022-06-15 09:15", 1, volume=1.0))
    assert bar == {
        "time": "2022-06-15T09:15:00+05:30",
        "open": 100.0,
        "high": 102.0,
        "low": 99.0,
        "close": 101.0,
        "volume": 1,
    }


def test_times_of_another_zone_become_indian() -> None:
    index = pd.DatetimeIndex(["2022-06-15T03:45:00Z"]).as_unit("s")
    shaped = checked(pd.DataFrame({"open": [1], "high": [1], "low": [1], "close": [1]}, index=index), "bars")
    assert shaped.index[0].isoformat() == "2022-06-15T09:15:00+05:30"
    assert shaped["volume"].tolist() == [0.0]
