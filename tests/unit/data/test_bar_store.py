"""The bar store: appending, reading, refusing."""

from collections.abc import Callable
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, CorruptData, UnknownName
from workbench.core.instrument import Segment
from workbench.core.session import IST
from workbench.data.bar_store import BarStore
from workbench.data.frames import fingerprint

MINUTE = Interval(60)
MakeBars = Callable[..., pd.DataFrame]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def test_what_was_appended_is_read_back(store: BarStore, bars: MakeBars) -> None:
    frame = bars("2022-06-15 09:15", 375)
    assert store.append("NIFTY", MINUTE, frame).added == 375
    again = store.read("NIFTY", "1m", date(2022, 6, 15), date(2022, 6, 15))
    pd.testing.assert_frame_equal(again, frame, check_freq=False, check_index_type=False)
    assert str(again.index.dtype) == "datetime64[ns, Asia/Kolkata]"
    assert again.index.name == "time"


def test_appending_twice_adds_nothing_and_writes_nothing(store: BarStore, bars: MakeBars) -> None:
    frame = bars("2022-06-15 09:15", 375)
    store.append("NIFTY", MINUTE, frame)
    path = next(store.root.rglob("*.parquet"))
    before = path.stat().st_mtime_ns
    done = store.append("nifty ", MINUTE, frame)
    assert (done.added, done.unchanged, done.revised) == (0, 375, 0)
    assert path.stat().st_mtime_ns == before


def test_months_are_files_of_their_own_by_indian_date(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, pd.concat([bars("2022-05-31 15:20", 10), bars("2022-06-01 09:15", 10)]))
    assert sorted(path.name for path in store.root.rglob("*.parquet")) == ["2022-05.parquet", "2022-06.parquet"]
    assert len(store.read("NIFTY", MINUTE)) == 20


def test_a_differing_bar_is_reported_and_not_taken_over(store: BarStore, bars: MakeBars) -> None:
    frame = bars("2022-06-15 09:15", 5)
    store.append("NIFTY", MINUTE, frame)
    other = frame.copy()
    other.loc[other.index[2], "close"] += 0.05
    done = store.append("NIFTY", MINUTE, other)
    assert (done.added, done.unchanged, done.revised) == (0, 4, 1)
    assert done.revised_at == (at("2022-06-15 09:17"),)
    assert store.read("NIFTY", MINUTE)["close"].iloc[2] == frame["close"].iloc[2]
    taken = store.append("NIFTY", MINUTE, other, replace=True)
    assert (taken.added, taken.revised, taken.replaced) == (0, 1, True)
    assert store.read("NIFTY", MINUTE)["close"].iloc[2] == other["close"].iloc[2]


def test_a_range_is_half_open_in_time_and_whole_in_days(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, pd.concat([bars("2022-06-15 09:15", 375), bars("2022-06-16 09:15", 375)]))
    cut = store.read("NIFTY", MINUTE, at("2022-06-15 09:20"), at("2022-06-15 09:25"))
    assert [moment.minute for moment in cut.index] == [20, 21, 22, 23, 24]
    assert len(store.read("NIFTY", MINUTE, date(2022, 6, 15), date(2022, 6, 16))) == 750


def test_longer_bars_are_made_of_the_stored_ones_and_never_cut_by_the_range(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 375))
    five = store.read("NIFTY", "5m", at("2022-06-15 09:22"), at("2022-06-15 09:31"))
    assert [f"{moment:%H:%M}" for moment in five.index] == ["09:25", "09:30"]
    assert five.iloc[1].tolist() == [115.0, 121.0, 114.0, 120.0, 50.0]
    hours = store.read("NIFTY", "1h")
    assert [f"{moment:%H:%M}" for moment in hours.index] == [
        "09:15",
        "10:15",
        "11:15",
        "12:15",
        "13:15",
        "14:15",
        "15:15",
    ]
    day = store.read("NIFTY", "1d")
    assert [moment.isoformat() for moment in day.index] == ["2022-06-15T09:15:00+05:30"]


def test_the_interval_that_covers_the_range_is_chosen(store: BarStore, bars: MakeBars) -> None:
    store.append(
        "NIFTY", "5m", pd.concat([bars("2022-05-16 09:15", 75, freq="5min"), bars("2022-06-15 09:15", 75, freq="5min")])
    )
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 375, price=900.0))
    assert (
        store.read("NIFTY", "5m", date(2022, 6, 15), date(2022, 6, 15))["open"].iloc[0] == 100.0
    )  # the stored one itself
    assert len(store.read("NIFTY", "15m")) == 50  # from 5m: it covers more months
    assert store.read("NIFTY", "15m", date(2022, 6, 1), date(2022, 6, 30))["open"].iloc[0] == 900.0  # the finest


def test_an_unknown_symbol_is_refused_with_a_near_one_and_the_way_to_import(store: BarStore, bars: MakeBars) -> None:
    store.append("BANKNIFTY", MINUTE, bars("2022-06-15 09:15", 5))
    with pytest.raises(UnknownName, match=r"did you mean 'BANKNIFTY'.*workbench data import") as caught:
        store.read("BANKNFTY", MINUTE)
    assert caught.value.known == ["BANKNIFTY"]


def test_bad_ranges_are_refused(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 5))
    with pytest.raises(BadInput, match="must end after it starts"):
        store.read("NIFTY", MINUTE, date(2022, 6, 16), date(2022, 6, 15))
    with pytest.raises(BadInput, match="stored: 1m 2022-06-15 to 2022-06-15"):
        store.read("NIFTY", MINUTE, date(2022, 7, 1), date(2022, 7, 2))
    with pytest.raises(BadInput, match="no zone"):
        store.read("NIFTY", MINUTE, datetime(2022, 6, 15))  # noqa: DTZ001  # the mistake under test
    with pytest.raises(BadInput, match="no stored interval of NIFTY divides 30s; stored: 1m"):
        store.read("NIFTY", "30s")


def test_a_half_written_month_is_named_and_the_others_stay_readable(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, pd.concat([bars("2022-05-16 09:15", 100), bars("2022-06-15 09:15", 100)]))
    broken = next(store.root.rglob("2022-05.parquet"))
    broken.write_bytes(broken.read_bytes()[:700])
    with pytest.raises(CorruptData, match=r"2022-05\.parquet cannot be read.*Move that file away and import"):
        store.read("NIFTY", MINUTE, date(2022, 5, 1), date(2022, 6, 30))
    assert len(store.read("NIFTY", MINUTE, date(2022, 6, 1), date(2022, 6, 30))) == 100
    (row,) = store.coverage("NIFTY")
    assert (row.bars, row.unreadable) == (100, (broken,))
    with pytest.raises(CorruptData):
        store.append("NIFTY", MINUTE, bars("2022-05-17 09:15", 100))
    broken.unlink()
    assert store.append("NIFTY", MINUTE, bars("2022-05-16 09:15", 100)).added == 100


@pytest.mark.parametrize("content", [b"", b"not parquet at all", b"PAR1PAR1"])
def test_a_file_that_is_no_parquet_is_corrupt(store: BarStore, bars: MakeBars, content: bytes) -> None:
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 5))
    next(store.root.rglob("*.parquet")).write_bytes(content)
    with pytest.raises(CorruptData):
        store.read("NIFTY", MINUTE)


def test_parquet_of_something_else_is_corrupt(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 5))
    path = next(store.root.rglob("*.parquet"))
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(CorruptData, match=r"2022-06\.parquet"):
        store.read("NIFTY", MINUTE)


def test_a_write_that_was_cut_off_leaves_no_trace(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 5))
    folder = next(store.root.rglob("*.parquet")).parent
    (folder / ".2022-06.4711.tmp").write_bytes(b"half")
    assert len(store.read("NIFTY", MINUTE)) == 5
    assert store.intervals("NIFTY") == [MINUTE]


def test_frames_that_are_no_bar_frames_are_refused(store: BarStore, bars: MakeBars) -> None:
    good = bars("2022-06-15 09:15", 5)
    with pytest.raises(BadInput, match="aware"):
        store.append("NIFTY", MINUTE, good.tz_localize(None))
    with pytest.raises(BadInput, match="sorted"):
        store.append("NIFTY", MINUTE, good[::-1])
    with pytest.raises(BadInput, match="'close'"):
        store.append("NIFTY", MINUTE, good.drop(columns="close"))
    with pytest.raises(BadInput, match="NaN"):
        store.append("NIFTY", MINUTE, good.assign(close=float("nan")))
    with pytest.raises(BadInput, match="5 bars break low"):
        store.append("NIFTY", MINUTE, good.assign(high=1.0))
    assert store.symbols() == []


def test_a_symbol_keeps_its_segment(store: BarStore, bars: MakeBars) -> None:
    store.append("RELIANCE", MINUTE, bars("2022-06-15 09:15", 5), segment=Segment.NSE_EQ)
    assert store.segment("RELIANCE") is Segment.NSE_EQ
    with pytest.raises(BadInput, match="stored as NSE_EQ"):
        store.append("RELIANCE", MINUTE, bars("2022-06-15 09:15", 5), segment=Segment.BSE_EQ)


@pytest.mark.parametrize(
    "symbol", ["NSE_FNO:NIFTY:2022-06-16:15700:CE", "M&M", "CON", "../ETC", "..", "A/B", "A\\B", "NIFTY 50"]
)
def test_any_symbol_is_a_safe_folder_name(store: BarStore, bars: MakeBars, symbol: str) -> None:
    store.append(symbol, MINUTE, bars("2022-06-15 09:15", 5))
    assert store.symbols() == [symbol]
    (folder,) = store.root.iterdir()
    assert not set(folder.name) & set('<>:"/\\|?*.')
    assert folder.name != "CON"


def test_the_fingerprint_is_of_the_values(store: BarStore, bars: MakeBars, tmp_path: Path) -> None:
    frame = bars("2022-06-15 09:15", 50)
    store.append("NIFTY", MINUTE, frame)
    other = BarStore(tmp_path / "elsewhere")
    other.append("NIFTY", MINUTE, frame[:20])
    assert other.fingerprint("NIFTY", MINUTE) != store.fingerprint("NIFTY", MINUTE)
    other.append("NIFTY", MINUTE, frame[20:])
    assert other.fingerprint("NIFTY", MINUTE) == store.fingerprint("NIFTY", MINUTE)
    changed = frame.copy()
    changed.loc[changed.index[49], "volume"] += 1
    other.append("NIFTY", MINUTE, changed, replace=True)
    assert other.fingerprint("NIFTY", MINUTE) != store.fingerprint("NIFTY", MINUTE)


@given(cuts=st.lists(st.integers(0, 60), max_size=6), order=st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_in_whatever_parts_bars_arrive_the_store_ends_alike(bars: MakeBars, cuts: list[int], order: Random) -> None:
    frame = bars("2022-05-31 14:59", 60)
    edges = sorted({0, 60, *cuts})
    parts = [frame[low:high] for low, high in pairwise(edges)]
    order.shuffle(parts)
    with TemporaryDirectory() as folder:
        store = BarStore(Path(folder))
        added = sum(store.append("NIFTY", MINUTE, part).added for part in [*parts, frame])
        assert added == 60
        assert store.fingerprint("NIFTY", MINUTE) == fingerprint(frame)


def test_longer_bars_need_the_calendar(store: BarStore, bars: MakeBars) -> None:
    store.append("NIFTY", MINUTE, bars("2022-06-15 09:15", 5))
    with pytest.raises(BadInput, match="give the calendar"):
        BarStore(store.root).read("NIFTY", "5m")
