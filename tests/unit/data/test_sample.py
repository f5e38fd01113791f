"""The generated sample: repeatable, shaped like a market, importable, and never called real."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from workbench.core.bars import Interval
from workbench.core.errors import BadInput
from workbench.core.session import Calendar
from workbench.data import sample
from workbench.data.bar_store import BarStore
from workbench.data.importer import import_bars

SHIPPED = Path(__file__).resolve().parents[3] / "data" / "sample" / sample.SAMPLE_NAME


def test_the_shipped_sample_is_what_its_seed_gives(market: Calendar, tmp_path: Path) -> None:
    made = sample.write_shipped_sample(market, tmp_path)
    assert made.read_text(encoding="utf-8").splitlines() == SHIPPED.read_text(encoding="utf-8").splitlines()
    assert SHIPPED.stat().st_size < 1_500_000


def test_the_shipped_sample_imports_without_a_gap(market: Calendar, store: BarStore) -> None:
    given = {"symbol": "NIFTY", "interval": Interval(60), "label": "start"}
    report = import_bars([SHIPPED], store=store, calendar=market, **given)  # type: ignore[arg-type]
    assert (report.kept, report.added, report.sessions) == (22_665, 22_665, 62)
    assert (report.dropped, report.sessions_with_gaps, report.bad_ohlc, report.special_days) == ({}, [], 0, [])


def test_another_seed_is_another_market(market: Calendar) -> None:
    days = (date(2025, 3, 3), date(2025, 3, 7))
    one, same, other = (sample.generate(market, *days, seed=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_it_is_shaped_like_an_index(market: Calendar) -> None:
    bars = sample.generate(market, date(2025, 1, 1), date(2025, 6, 30), seed=11)
    ticks = bars[["open", "high", "low", "close"]].to_numpy() / 0.05
    assert np.abs(ticks - np.rint(ticks)).max() < 1e-6
    by_day = bars.groupby(bars.index.date)  # type: ignore[attr-defined]
    assert set(by_day.size()) == {375}
    ranges = (by_day["high"].max() - by_day["low"].min()) / by_day["open"].first()
    assert 0.005 < ranges.median() < 0.015
    width = (bars["high"] - bars["low"]).groupby(bars.index.strftime("%H:%M")).mean()  # type: ignore[attr-defined]
    assert width[:15].mean() > 1.4 * width[180:210].mean()
    assert width[-15:].mean() > 1.4 * width[180:210].mean()
    gaps = by_day["open"].first().to_numpy()[1:] / by_day["close"].last().to_numpy()[:-1] - 1
    assert 0.001 < np.abs(gaps).mean() < 0.006


def test_the_hours_are_those_of_the_date(market: Calendar) -> None:
    before = sample.generate(market, date(2026, 7, 31), date(2026, 7, 31))
    after = sample.generate(market, date(2026, 8, 3), date(2026, 8, 3))
    assert (f"{before.index[-1]:%H:%M}", f"{after.index[-1]:%H:%M}") == ("15:29", "15:14")


def test_a_range_without_a_session_is_refused(market: Calendar) -> None:
    with pytest.raises(BadInput, match="no normal session"):
        sample.generate(market, date(2026, 8, 15), date(2026, 8, 16))
