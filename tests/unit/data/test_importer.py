"""Importing text: what is kept, dropped, listed and refused."""

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from workbench.core.bars import Interval
from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar
from workbench.data.bar_store import BarStore
from workbench.data.import_report import ImportReport
from workbench.data.importer import import_bars, segment_of

COLUMNS = ["symbol", "date", "time", "open", "high", "low", "close", "volume", "oi"]
Run = Callable[..., ImportReport]


def day_rows(
    day: date, *, label: str = "end", drop: Sequence[int] = (), form: str = "NIFTY,{:%Y%m%d,%H:%M}"
) -> list[str]:
    """A whole session as the text files have it: a pre-open row, 375 bars, two closing prints."""
    start = datetime(day.year, day.month, day.day, 9, 15, tzinfo=IST)
    shift = timedelta(minutes=1 if label == "end" else 0)
    bars = [n for n in range(375) if n not in drop]
    moments = [start - timedelta(minutes=7), *(start + timedelta(minutes=n) + shift for n in bars)]
    moments += [start + timedelta(minutes=376), start + timedelta(minutes=377)]
    return [
        form.format(moment) + f",{100 + n % 7},{110 + n % 7},{90 + n % 7},{105 + n % 7},0,0"
        for n, moment in enumerate(moments)
    ]


@pytest.fixture
def run(tmp_path: Path, store: BarStore, market: Calendar) -> Run:
    def go(*texts: str | bytes, **changes: Any) -> ImportReport:
        files = []
        for number, text in enumerate(texts):
            path = tmp_path / f"file{number}.txt"
            path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
            files.append(path)
        given: dict[str, Any] = {
            "symbol": "NIFTY",
            "interval": Interval(60),
            "label": "end",
            "columns": COLUMNS,
            "store": store,
            "calendar": market,
        }
        return import_bars(files, **(given | changes))

    return go


def test_a_session_is_kept_whole_and_the_prints_around_it_are_counted(run: Run, store: BarStore) -> None:
    report = run("\n".join(day_rows(date(2022, 6, 15))))
    assert (report.rows_read, report.kept, report.added) == (378, 375, 375)
    assert report.dropped == {"pre_open": 1, "closing_print": 2}
    assert (report.sessions, report.sessions_with_gaps, report.bad_ohlc) == (1, [], 0)
    frame = store.read("NIFTY", "1m")
    assert (frame.index[0].isoformat(), frame.index[-1].isoformat()) == (
        "2022-06-15T09:15:00+05:30",
        "2022-06-15T15:29:00+05:30",
    )
    assert json.loads(json.dumps(report.to_dict()))["kept"] == 375


def test_a_second_import_adds_nothing(run: Run) -> None:
    text = "\n".join(day_rows(date(2022, 6, 15)))
    run(text)
    again = run(text)
    assert (again.added, again.unchanged, again.revised) == (0, 375, 0)


def test_gaps_of_the_source_are_listed_not_filled(run: Run) -> None:
    report = run("\n".join(day_rows(date(2022, 6, 15), drop=range(100, 110)) + day_rows(date(2022, 6, 17))))
    (gap,) = report.sessions_with_gaps
    assert (gap.date, gap.missing, gap.expected) == (date(2022, 6, 15), 10, 375)
    assert gap.first_missing == "2022-06-15T10:55:00+05:30"
    assert report.missing_sessions == ["2022-06-16"]
    assert report.to_dict()["sessions_with_gaps"][0]["date"] == "2022-06-15"


@pytest.mark.parametrize(("written", "asked"), [("end", "start"), ("start", "end")])
def test_a_file_labelled_the_other_way_is_refused(run: Run, store: BarStore, written: str, asked: str) -> None:
    rows = [row for row in day_rows(date(2022, 6, 15), label=written) if not row.startswith("NIFTY,20220615,09:08")]
    first, last = ("09:16", "15:30") if written == "end" else ("09:15", "15:29")
    said = rf"labelled by the bar's {written}.*from {first} to {last} \(375 bars\).*--label {written}"
    with pytest.raises(BadInput, match=said):
        run("\n".join(rows[:375]), label=asked)
    assert store.symbols() == []
    assert run("\n".join(rows[:375]), label=written).kept == 375


def test_rows_that_are_no_bars_cost_only_themselves(run: Run) -> None:
    rows = day_rows(date(2022, 6, 15))
    rows[5] = "NIFTY,20220615,09:20,abc,110,90,105,0,0"
    rows[6] = "NIFTY,20220615,09:21,nan,110,90,105,0,0"
    rows[7] = "NIFTY,20220615,25:21,100,110,90,105,0,0"
    rows[8] = "NIFTY,20220615"
    rows[9] = "BANKNIFTY,20220615,09:24,100,110,90,105,0,0"
    rows[10] = "NIFTY,20220615,09:25,0,110,0,105,0,0"
    rows[11] = "NIFTY,20220615,09:26,100,90,110,105,0,0"
    rows[12] = "NIFTY,20220615,09:27,100,110,90,120,0,0"
    rows[13] = "NIFTY,20220615,09:28:30,100,110,90,105,0,0"
    rows += ["NIFTY,20220618,09:16,100,110,90,105,0,0", "NIFTY,20220615,20:16,100,110,90,105,0,0", rows[20]]
    report = run("\r\n".join(rows))
    assert report.dropped == {
        "unparsable": 3, "other_symbol": 1, "nan": 1, "not_positive": 1, "off_grid": 1, "holiday": 1,
        "outside_session": 1, "pre_open": 1, "closing_print": 2,
    }  # fmt: skip
    assert (report.bad_ohlc, report.duplicates, report.conflicting) == (2, 1, 0)
    assert [row["place"] for row in report.bad_ohlc_rows] == ["file0.txt:12", "file0.txt:13"]
    assert report.dropped_examples["unparsable"] == ["file0.txt:8", "file0.txt:9", "file0.txt:6"]
    assert report.rows_read == report.kept + sum(report.dropped.values()) + report.duplicates + report.bad_ohlc


def test_files_that_overlap_and_agree_are_joined_and_those_that_disagree_refused(run: Run, store: BarStore) -> None:
    rows = day_rows(date(2022, 6, 15))
    report = run("\n".join(rows[:200]), "\n".join(rows[100:]))
    assert (report.kept, report.duplicates, report.conflicting) == (375, 100, 0)
    other = rows[150].replace(",0,0", ",1,0")
    with pytest.raises(BadInput, match=r"file0\.txt and file1\.txt:51 overlap and disagree.*2022-06-15T11:44"):
        run("\n".join(rows[:200]), "\n".join([*rows[100:150], other, *rows[151:]]))


def test_within_a_file_the_first_of_two_differing_rows_is_kept_and_shown(run: Run, store: BarStore) -> None:
    rows = day_rows(date(2022, 6, 15))
    report = run("\n".join([*rows, rows[1].replace(",0,0", ",7,0"), rows[2]]))
    assert (report.kept, report.duplicates, report.conflicting) == (375, 2, 1)
    assert report.conflicting_rows == ["file0.txt:379"]
    assert store.read("NIFTY", "1m")["volume"].iloc[0] == 0.0


def test_a_bad_second_file_leaves_the_store_untouched(run: Run, store: BarStore) -> None:
    with pytest.raises(BadInput, match=r"file1\.txt is empty"):
        run("\n".join(day_rows(date(2022, 6, 15))), "")
    with pytest.raises(UnknownSession, match="known years: 2021"):
        run("\n".join(day_rows(date(2012, 6, 15))))
    assert store.symbols() == []


def test_rows_of_a_year_without_a_calendar_are_dropped_and_counted(run: Run) -> None:
    report = run("\n".join(day_rows(date(2012, 6, 15)) + day_rows(date(2022, 6, 15))))
    assert (report.kept, report.dropped["unknown_year"], report.sessions) == (375, 378, 1)


def test_columns_come_from_the_header_where_none_are_given(run: Run) -> None:
    rows = ["Symbol;Date;Time;Open;High;Low;Close;Volume;OI"]
    rows += [row.replace(",", ";") for row in day_rows(date(2022, 6, 15), form="NIFTY,{:%Y-%m-%d,%H:%M:%S}")]
    report = run(b"\xef\xbb\xbf" + "\n".join(rows).encode(), columns=None)
    assert (report.rows_read, report.kept) == (378, 375)


@pytest.mark.parametrize(
    ("head", "form"),
    [
        ("symbol,datetime", "NIFTY,{:%Y-%m-%d %H:%M:%S}"),
        ("symbol,datetime", "NIFTY,{:%Y-%m-%dT%H:%M:%S+05:30}"),
        ("symbol,date", "NIFTY,{:%Y-%m-%d %H:%M:%S}"),
        ("symbol\ttimestamp", "NIFTY,{:%s}"),
        ("symbol,timestamp", "NIFTY,{:%s}000"),
        ("symbol,date,time", "NIFTY,{:%d-%m-%Y,%H:%M}"),
        ("symbol,date,time", "NIFTY,{:%d-%b-%Y,%H:%M}"),
    ],
)
def test_forms_of_time(run: Run, store: BarStore, head: str, form: str) -> None:
    start = datetime(2022, 6, 15, 9, 15, tzinfo=IST)
    rows = [f"{head},open,high,low,close,volume,oi".replace(",", "\t" if "\t" in head else ",")]
    for n in range(375):
        moment = start + timedelta(minutes=n)
        written = form.replace("{:%s}", str(int(moment.timestamp()))).format(moment)
        rows.append(f"{written},100,110,90,105,0,0".replace(",", "\t" if "\t" in head else ","))
    assert run("\n".join(rows), columns=None, label="start").kept == 375
    assert store.read("NIFTY", "1m").index[0].isoformat() == "2022-06-15T09:15:00+05:30"


def test_a_date_that_could_be_two_days_is_refused_unless_the_order_is_told(run: Run, store: BarStore) -> None:
    rows = "\n".join(day_rows(date(2022, 6, 3), form="NIFTY,{:%d-%m-%Y,%H:%M}"))
    with pytest.raises(BadInput, match=r"'03-06-2022' in file0\.txt could be two days"):
        run(rows)
    assert run(rows, date_order="dmy").first == "2022-06-03T09:15:00+05:30"
    proven = rows + "\n" + "\n".join(day_rows(date(2022, 6, 15), form="NIFTY,{:%d-%m-%Y,%H:%M}"))
    assert run(proven).sessions == 2


def test_dates_that_contradict_each_other_are_refused(run: Run) -> None:
    rows = day_rows(date(2022, 6, 15), form="NIFTY,{:%d-%m-%Y,%H:%M}") + day_rows(
        date(2022, 6, 16), form="NIFTY,{:%m-%d-%Y,%H:%M}"
    )
    with pytest.raises(BadInput, match="contradict"):
        run("\n".join(rows))


def test_an_unknown_column_is_refused_with_a_near_one(run: Run) -> None:
    with pytest.raises(BadInput, match=r"unknown column 'opne'.*did you mean 'open'"):
        run("x", columns=["date", "time", "opne", "high", "low", "close"])
    with pytest.raises(BadInput, match=r"unknown column 'vol'.*header of file0\.txt"):
        run("date,time,open,high,low,close,vol\n1,2,3,4,5,6,7", columns=None)
    with pytest.raises(BadInput, match="columns close are missing"):
        run("x", columns=["date", "time", "open", "high", "low"])
    with pytest.raises(BadInput, match="nothing tells the time"):
        run("x", columns=["open", "high", "low", "close"])
    with pytest.raises(BadInput, match="stands twice"):
        run("x", columns=["date", "open", "open", "high", "low", "close"])
    with pytest.raises(BadInput, match="says 'high' where the columns given say 'open'"):
        run("date,high,open,low,close\n2022-06-15 09:16,1,1,1,1", columns=["date", "open", "high", "low", "close"])
    with pytest.raises(BadInput, match="has no header"):
        run("NIFTY,20220615,09:16,1,1,1,1,0,0", columns=None)
    with pytest.raises(BadInput, match="3 columns"):
        run("a,b,c\n1,2,3")


@pytest.mark.parametrize("text", ["", "\n\n", "symbol,date,time,open,high,low,close,volume,oi\n"])
def test_a_file_without_a_row_is_refused(run: Run, text: str) -> None:
    with pytest.raises(BadInput, match=r"empty|holds no row"):
        run(text)


def test_files_that_are_missing_binary_or_of_another_symbol_are_refused(
    run: Run, store: BarStore, market: Calendar
) -> None:
    with pytest.raises(BadInput, match="no UTF-8 text"):
        run(b"\xff\xfe\x00abc")
    with pytest.raises(BadInput, match=r"no row is of NIFTI.*did you mean 'NIFTY'"):
        run("\n".join(day_rows(date(2022, 6, 15))), symbol="NIFTI")
    with pytest.raises(BadInput, match="does not exist"):
        import_bars(
            [Path("none.csv")], symbol="NIFTY", interval=Interval(60), label="end", store=store, calendar=market
        )
    with pytest.raises(BadInput, match="did you mean 'start'"):
        run("x", label="strat")
    with pytest.raises(BadInput, match=r"no bar of NIFTY is left of 1 rows read.*pre_open 1"):
        run("NIFTY,20220615,09:08,1,1,1,1,0,0")


def test_compressed_files_are_read(tmp_path: Path, store: BarStore, market: Calendar) -> None:
    path = tmp_path / "nifty.csv.gz"
    path.write_bytes(gzip.compress("\n".join(day_rows(date(2022, 6, 15))).encode()))
    given: dict[str, Any] = {"symbol": "NIFTY", "interval": Interval(60), "label": "end", "columns": COLUMNS}
    assert import_bars([path], store=store, calendar=market, **given).kept == 375
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput, match="cannot be read"):
        import_bars([path], store=store, calendar=market, **given)


def test_daily_bars_stand_at_the_session_open(run: Run, store: BarStore) -> None:
    text = "date,open,high,low,close\n2022-06-15,100,110,90,105\n2022-06-16,100,110,90,105\n"
    report = run(text, columns=None, interval=Interval(86400))
    assert (report.kept, report.sessions_with_gaps) == (2, [])
    assert store.read("NIFTY", "1d").index[0].isoformat() == "2022-06-15T09:15:00+05:30"


def test_the_short_last_bar_of_a_session_keeps_its_open(run: Run, store: BarStore) -> None:
    ends = ["10:15", "11:15", "12:15", "13:15", "14:15", "15:15", "15:30"]
    text = "\n".join(f"NIFTY,20220615,{end},100,110,90,105,0,0" for end in ends)
    report = run(text, interval=Interval(3600))
    assert (report.kept, report.dropped, report.sessions_with_gaps) == (7, {}, [])
    assert f"{store.read('NIFTY', '1h').index[-1]:%H:%M}" == "15:15"


def test_the_segment_follows_from_the_name_or_from_what_is_stored(store: BarStore, bars: Callable[..., Any]) -> None:
    assert segment_of("nifty", store) is Segment.IDX_I
    assert segment_of("RELIANCE", store) is Segment.NSE_EQ
    assert segment_of("NSE_FNO:NIFTY:2022-06-16:15700:CE", store) is Segment.NSE_FNO
    store.append("RELIANCE", Interval(60), bars("2022-06-15 09:15", 5), segment=Segment.BSE_EQ)
    assert segment_of("RELIANCE", store) is Segment.BSE_EQ


@pytest.mark.shared
def test_two_real_years_of_nifty(shared_data: Path, store: BarStore, market: Calendar) -> None:
    files = sorted((shared_data / "nifty-1m-2021-2022").glob("*.txt"))
    assert len(files) == 24

    def again() -> ImportReport:
        return import_bars(
            files, symbol="NIFTY", interval=Interval(60), label="end", columns=COLUMNS, store=store, calendar=market
        )  # fmt: skip

    report = again()
    assert (report.rows_read, report.kept, report.added, report.sessions) == (186_486, 185_025, 185_025, 496)
    assert report.dropped == {"pre_open": 496, "closing_print": 964, "trading_halt": 1}
    assert (report.duplicates, report.bad_ohlc, report.missing_sessions) == (0, 0, [])
    gaps = {gap.date.isoformat(): gap.missing for gap in report.sessions_with_gaps}
    assert gaps == {"2021-02-24": 92, "2021-07-23": 41, "2021-11-01": 4, "2022-01-21": 13, "2022-03-07": 40}
    assert [(day["date"], day["kind"], day["bars"]) for day in report.special_days] == [
        ("2021-02-24", "outage", 128),
        ("2021-11-04", "muhurat", 60),
        ("2022-10-24", "muhurat", 60),
    ]
    frame = store.read("NIFTY", "1m")
    counts = frame.groupby(frame.index.strftime("%Y-%m-%d")).size()  # type: ignore[attr-defined]
    special = set(gaps) | {"2021-11-04", "2022-10-24"}
    assert {int(count) for day, count in counts.items() if day not in special} == {375}
    for day, bars in frame.groupby(frame.index.strftime("%Y-%m-%d")):  # type: ignore[attr-defined]
        if day not in special:
            assert (f"{bars.index[0]:%H:%M}", f"{bars.index[-1]:%H:%M}") == ("09:15", "15:29")
    assert (again().added, again().revised) == (0, 0)
    with pytest.raises(BadInput, match="labelled by the bar's end"):
        import_bars(
            files, symbol="NIFTY", interval=Interval(60), label="start", columns=COLUMNS, store=store, calendar=market
        )


@pytest.mark.shared
def test_real_option_minutes_with_flat_and_broken_bars(shared_data: Path, store: BarStore, market: Calendar) -> None:
    report = import_bars(
        [shared_data / "options-1m-banknifty" / "47100CE.csv"], symbol="BANKNIFTY-47100-CE", interval=Interval(60),
        label="start", store=store, calendar=market, segment=Segment.NSE_FNO,
    )  # fmt: skip
    assert report.kept > 7_000
    assert report.rows_read == report.kept + sum(report.dropped.values()) + report.duplicates + report.bad_ohlc


@pytest.mark.shared
def test_one_stock_out_of_a_file_of_many(shared_data: Path, store: BarStore, market: Calendar) -> None:
    report = import_bars(
        [shared_data / "stocks-15m" / "stocks-15m-2020-11_2021-03.csv.gz"], symbol="ASIANPAINT", interval=Interval(900),
        label="start", store=store, calendar=market, segment=Segment.NSE_EQ,
    )  # fmt: skip
    assert report.dropped["other_symbol"] > 100_000
    assert report.dropped["unknown_year"] > 900
    assert report.rows_read == report.kept + sum(report.dropped.values()) + report.duplicates + report.bad_ohlc
    assert [day["kind"] for day in report.special_days] == ["outage"]
