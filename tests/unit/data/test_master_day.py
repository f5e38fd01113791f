"""The day's master: cached by date, made elsewhere, never replaced by what cannot be trusted (S13)."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path

import pytest

from workbench.core.errors import CorruptData
from workbench.core.session import IST
from workbench.data.instruments import InstrumentMaster, lot_findings
from workbench.data.master_day import daily_master, practice_master
from workbench.testing.wire_stub import WireStub, http

HEADER = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG,SM_FREEZE_QTY,"
)
DAY, NEXT = date(2026, 9, 14), date(2026, 9, 15)


def rows() -> list[str]:
    """An index and two hundred options of it, in the broker's hand."""
    made = ["NSE,I,13,NA,INDEX,13,NIFTY,NIFTY,Nifty 50,INDEX,NA,1.0,0001-01-01,,XX,0.0500,N,0,"]
    number = 40000
    for day, shown in (("2026-09-15", "15 SEP"), ("2026-09-29", "29 SEP")):
        for strike in range(22500, 25000, 50):
            for right, word in (("CE", "CALL"), ("PE", "PUT")):
                symbol, name = f"NIFTY-Sep2026-{strike}-{right}", f"NIFTY {shown} {strike} {word}"
                number += 1
                made.append(
                    f"NSE,D,{number},NA,OPTIDX,26000,NIFTY,{symbol},{name},"
                    f"OP,NA,65.0,{day},{strike}.00000,{right},5.0000,W,1756,"
                )
    return made


def file(lines: list[str], header: str = HEADER) -> bytes:
    return ("\n".join([header, *lines]) + "\n").encode()


GOOD = file(rows())


@pytest.fixture
def stub() -> Iterator[WireStub]:
    with WireStub() as server:
        yield server


def serve(stub: WireStub, content: bytes, kind: str = "text/csv") -> None:
    stub.replies.append(http(200, content, kind=kind))


def test_the_day_is_fetched_once_and_then_read_from_its_file(stub: WireStub, tmp_path: Path) -> None:
    serve(stub, GOOD)
    first = daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"])
    assert (first.reason, first.fetched, first.rows) == ("", True, 201)
    master = first.required()
    assert master.expiries("NIFTY") == [date(2026, 9, 15), date(2026, 9, 29)]
    assert (master.index("NIFTY").security_id, len(master)) == ("13", 201)
    again = daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"])
    assert (again.fetched, len(again.required())) == (False, 201)
    assert len(stub.requests) == 1


def test_a_file_of_the_small_hours_is_fetched_again_in_the_morning(stub: WireStub, tmp_path: Path) -> None:
    serve(stub, GOOD)
    url = f"{stub.url}/master.csv"
    assert daily_master(tmp_path, DAY, url, ["NIFTY"]).fetched
    early = datetime.combine(DAY, time(0, 30), IST).timestamp()
    os.utime(tmp_path / f"dhan-{DAY}.csv", (early, early))
    stub.replies.append(http(503, b"busy", kind="text/plain"))
    kept = daily_master(tmp_path, DAY, url, ["NIFTY"])
    assert len(kept.required()) == 201
    assert "HTTP 503" in kept.findings[0]
    serve(stub, GOOD)
    assert daily_master(tmp_path, DAY, url, ["NIFTY"]).fetched
    assert not daily_master(tmp_path, DAY, url, ["NIFTY"]).fetched


def test_contracts_that_expired_before_the_day_are_not_in_it(stub: WireStub, tmp_path: Path) -> None:
    serve(stub, GOOD)
    outcome = daily_master(tmp_path, date(2026, 9, 16), f"{stub.url}/master.csv", ["NIFTY"])
    assert outcome.required().expiries("NIFTY") == [date(2026, 9, 29)]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "html_page": (lambda: b"<html><body>Service unavailable</body></html>", "no instrument master"),
    "half_file": (lambda: GOOD[: len(GOOD) // 2], "cut short"),
    "header_only": (lambda: file([]), "no row"),
    "column_renamed": (lambda: file(rows(), HEADER.replace("LOT_SIZE", "LOT")), "LOT_SIZE are missing"),
    "lots_of_zero": (lambda: file([line.replace("65.0", "0.0") for line in rows()]), "not above zero"),
    "ticks_in_rupees": (lambda: file([line.replace(",5.0000,", ",0.0500,") for line in rows()]), "not in paise"),
    "ticks_that_are_no_number": (
        lambda: file([line.replace(",5.0000,", ",nan,") for line in rows()]),
        "not above zero",
    ),
    "a_quarter_of_the_rows_gone": (lambda: file(rows()[:150]), "more than 20 %"),
    "doubled_with_new_ids": (
        lambda: file([*rows(), *(line.replace(",D,4", ",D,9") for line in rows()[1:60])]),
        "more than 20 %",
    ),
    "an_id_names_two_contracts": (
        lambda: file([*rows(), rows()[5].replace("15 SEP", "22 SEP").replace("2026-09-15", "2026-09-22")]),
        "names two contracts",
    ),
    "yesterdays_world": (lambda: file([line.replace("2026-09", "2026-08") for line in rows()]), "an old file"),
    "another_index_only": (lambda: file([line.replace("NIFTY", "FINTY") for line in rows()]), "no row of NIFTY"),
    "compressed_rubbish": (lambda: gzip.compress(GOOD), "does not read"),
}


@pytest.mark.parametrize("name", BAD)
def test_s13_a_bad_master_is_refused_and_the_last_good_of_the_same_day_stays(
    stub: WireStub, tmp_path: Path, name: str
) -> None:
    made, said = BAD[name]
    serve(stub, GOOD)
    assert daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"]).fetched
    kept = (tmp_path / f"dhan-{DAY}.csv").read_bytes()
    # The row count is compared with another day's file; this one stands for yesterday's.
    (tmp_path / "dhan-2026-09-11.rows.json").write_text('{"rows": 201}', encoding="utf-8")
    serve(stub, made())
    outcome = daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"], refresh=True)
    assert len(outcome.required()) == 201
    assert said in outcome.findings[0]
    assert "earlier one stays" in outcome.findings[0]
    assert (tmp_path / f"dhan-{DAY}.csv").read_bytes() == kept
    assert list(tmp_path.glob("*.part")) == list(tmp_path.glob(".*.part")) == []


def test_s13_a_bad_master_on_a_new_day_refuses_with_words(stub: WireStub, tmp_path: Path) -> None:
    serve(stub, GOOD)
    assert daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"]).fetched
    serve(stub, GOOD[: len(GOOD) // 2])
    outcome = daily_master(tmp_path, NEXT, f"{stub.url}/master.csv", ["NIFTY"])
    assert outcome.master is None
    for word in (
        "no instrument master of 2026-09-15",
        "cut short",
        "last good one is of 2026-09-14",
        "put the day's file",
    ):
        assert word in outcome.reason
    with pytest.raises(CorruptData, match="2026-09-15"):
        outcome.required()


def test_s13_an_error_page_and_a_host_that_is_gone_refuse_with_words(stub: WireStub, tmp_path: Path) -> None:
    stub.replies.append(http(503, b"busy", kind="text/plain"))
    assert "HTTP 503" in daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"]).reason
    assert "cannot be fetched" in daily_master(tmp_path, DAY, "http://127.0.0.1:9/master.csv", ["NIFTY"]).reason


def test_a_master_that_takes_too_long_is_given_up(stub: WireStub, tmp_path: Path) -> None:
    stub.default = lambda _: replace(http(200, GOOD), wait=True)
    outcome = daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"], limit_s=1.5)
    assert "not ready after 1.5 s" in outcome.reason


def test_a_practice_market_uses_nothing_of_an_earlier_run(stub: WireStub, tmp_path: Path) -> None:
    serve(stub, GOOD)
    url = f"{stub.url}/master.csv"
    assert practice_master(tmp_path, DAY, url, ["NIFTY"]).fetched
    serve(stub, file(rows()[:50]))
    second = practice_master(tmp_path, DAY, url, ["NIFTY"])
    assert (second.fetched, second.rows) == (True, 50)
    stub.replies.append(http(500, b"", kind="text/plain"))
    assert practice_master(tmp_path, DAY, url, ["NIFTY"]).master is None


def test_files_of_older_days_are_deleted_after_a_while(stub: WireStub, tmp_path: Path) -> None:
    for day in range(1, 9):
        (tmp_path / f"dhan-2026-09-0{day}.csv").write_bytes(GOOD)
        (tmp_path / f"dhan-2026-09-0{day}.rows.json").write_text('{"rows": 201}', encoding="utf-8")
    serve(stub, GOOD)
    assert daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"]).fetched
    days = {path.name[5:15] for path in tmp_path.glob("dhan-*")}
    assert days == {"2026-09-05", "2026-09-06", "2026-09-07", "2026-09-08", "2026-09-14"}


def test_s13_a_lot_that_changed_under_an_open_position_is_found(stub: WireStub, tmp_path: Path) -> None:
    serve(stub, GOOD)
    master = daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY"]).required()
    held = master.by_key("NSE_FNO:NIFTY:2026-09-15:23000:CE")
    assert held is not None
    assert lot_findings([held], master) == ()
    found = lot_findings([replace(held, lot=75)], master)
    assert "lots of 75; the day's master says 65" in found[0]
    assert "as id 9" in lot_findings([replace(held, security_id="9")], master)[0]
    assert "does not list it" in lot_findings([held], InstrumentMaster([]))[0]


@pytest.mark.shared
def test_a_real_master_goes_the_whole_way(stub: WireStub, tmp_path: Path, shared_data: Path) -> None:
    real = gzip.decompress(
        (shared_data / "dhan-master" / "devswapnil1995-api-scrip-master-detailed.csv.gz").read_bytes()
    )
    serve(stub, real)
    outcome = daily_master(tmp_path, DAY, f"{stub.url}/master.csv", ["NIFTY", "RELIANCE"])
    assert (outcome.rows, outcome.reason) == (9_469, "")
    assert outcome.required().find("reliance").security_id == "2885"
    serve(stub, b"".join(real.splitlines(keepends=True)[:3000]))
    reason = daily_master(tmp_path, NEXT, f"{stub.url}/master.csv", ["RELIANCE"]).reason
    assert "more than 20 %" in reason
    assert f"the file from {stub.url}/master.csv" in reason
