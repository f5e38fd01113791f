"""The real contract rows: known dates, and the exchange's and the broker's own files where they are found."""

import csv
import gzip
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from workbench.core.contracts import ExpiryKind
from workbench.core.errors import UnknownContract
from workbench.core.instrument import InstrumentKind
from workbench.reference import calendar, contract_table
from workbench.reference.contracts import UNDERLYINGS

TABLE = contract_table()
NSE_INDICES = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY")


def day(text: str) -> date:
    return date.fromisoformat(text)


def test_the_replayed_practice_day_has_its_own_expiry_and_lot() -> None:
    on = day("2022-06-15")
    assert TABLE.listed_expiries("NIFTY", on)[0] == day("2022-06-16")
    assert TABLE.lot("NIFTY", day("2022-06-16"), on) == 50


def test_the_monthly_expiry_of_november_2026_is_a_monday() -> None:
    on = day("2026-11-20")
    assert TABLE.listed_expiries("NIFTY", on)[0] == day("2026-11-23")
    assert TABLE.expiry_kind("NIFTY", day("2026-11-23")) is ExpiryKind.MONTHLY
    assert TABLE.lot("NIFTY", day("2026-11-23"), on) == 65


@pytest.mark.parametrize(
    ("underlying", "expiry", "on", "lot"),
    [
        ("NIFTY", "2021-07-22", "2021-07-20", 75),
        ("NIFTY", "2021-07-29", "2021-07-20", 50),
        ("NIFTY", "2021-08-05", "2021-07-20", 50),
        ("NIFTY", "2021-09-30", "2021-06-24", 75),
        ("NIFTY", "2021-09-30", "2021-06-25", 50),
        ("NIFTY", "2024-04-25", "2024-04-25", 50),
        ("NIFTY", "2024-05-02", "2024-04-26", 25),
        ("NIFTY", "2025-01-02", "2024-12-26", 75),
        ("NIFTY", "2025-01-30", "2025-01-15", 25),
        ("NIFTY", "2025-02-27", "2025-01-15", 75),
        ("NIFTY", "2025-03-27", "2024-12-26", 25),
        ("NIFTY", "2025-03-27", "2024-12-27", 75),
        ("NIFTY", "2025-12-30", "2025-12-15", 75),
        ("NIFTY", "2026-01-06", "2025-12-15", 65),
        ("BANKNIFTY", "2023-07-20", "2023-07-14", 25),
        ("BANKNIFTY", "2023-07-27", "2023-07-14", 15),
        ("BANKNIFTY", "2024-12-24", "2024-12-02", 15),
        ("BANKNIFTY", "2025-02-27", "2025-02-03", 30),
        ("BANKNIFTY", "2025-06-26", "2025-06-02", 30),
        ("BANKNIFTY", "2025-07-31", "2025-06-02", 35),
        ("BANKNIFTY", "2025-12-30", "2025-12-01", 35),
        ("BANKNIFTY", "2026-01-27", "2025-12-01", 30),
        ("FINNIFTY", "2024-07-23", "2024-07-01", 40),
        ("FINNIFTY", "2024-07-30", "2024-07-01", 25),
        ("MIDCPNIFTY", "2025-07-31", "2025-07-01", 140),
        ("SENSEX", "2026-11-26", "2026-11-20", 20),
    ],
)
def test_a_lot_is_that_of_its_series_and_day(underlying: str, expiry: str, on: str, lot: int) -> None:
    assert TABLE.lot(underlying, day(expiry), day(on)) == lot


@pytest.mark.parametrize(
    ("underlying", "on", "nearest"),
    [
        ("NIFTY", "2021-11-01", "2021-11-03"),  # the 4th is Diwali, with an evening session only
        ("NIFTY", "2023-06-27", "2023-06-28"),  # Bakri Id was moved to Thursday the 29th
        ("NIFTY", "2025-08-26", "2025-08-28"),  # the last Thursday
        ("NIFTY", "2025-08-29", "2025-09-02"),  # the first Tuesday
        ("NIFTY", "2025-10-16", "2025-10-20"),  # Diwali on the 21st
        ("BANKNIFTY", "2023-08-31", "2023-08-31"),
        ("BANKNIFTY", "2023-09-01", "2023-09-06"),  # the first Wednesday
        ("BANKNIFTY", "2023-09-22", "2023-09-28"),  # a month on Thursday: no Wednesday that week
        ("BANKNIFTY", "2024-03-21", "2024-03-27"),  # the first month on Wednesday
        ("BANKNIFTY", "2024-11-14", "2024-11-27"),  # weeks have ended
        ("BANKNIFTY", "2024-12-20", "2024-12-24"),  # Christmas on Wednesday
        ("BANKNIFTY", "2025-01-20", "2025-01-30"),  # back to Thursday
        ("FINNIFTY", "2021-10-15", "2021-10-19"),
        ("MIDCPNIFTY", "2023-08-17", "2023-08-21"),
        ("SENSEX", "2025-09-26", "2025-10-01"),
    ],
)
def test_the_nearest_expiry_follows_the_moves_of_the_weekday(underlying: str, on: str, nearest: str) -> None:
    assert TABLE.listed_expiries(underlying, day(on))[0] == day(nearest)


def test_banknifty_has_lost_its_weeks_and_nifty_has_not() -> None:
    assert TABLE.has_weekly("BANKNIFTY", day("2024-11-13"))
    assert not TABLE.has_weekly("BANKNIFTY", day("2024-11-14"))
    assert TABLE.has_weekly("NIFTY", day("2026-11-20"))


def test_freezes_are_dated_and_bounds_are_marked() -> None:
    assert [TABLE.freeze("NIFTY", day(on)) for on in ("2021-07-30", "2021-08-02", "2022-06-15")] == [5000, 2800, 1800]
    assert TABLE.freeze_row("NIFTY", day("2022-06-15")).lower_bound
    assert not TABLE.freeze_row("BANKNIFTY", day("2025-09-15")).lower_bound
    assert TABLE.freeze("BANKNIFTY", day("2025-09-15")) == 900
    with pytest.raises(UnknownContract):
        TABLE.freeze("SENSEX", day("2024-01-01"))


def test_a_freeze_is_never_below_one_lot() -> None:
    for each in TABLE.freezes:
        expiry = TABLE.listed_expiries(each.underlying, each.first_day)[0]
        assert each.freeze >= TABLE.lot(each.underlying, expiry, each.first_day)


def test_ticks_of_futures_grew_with_the_index_and_those_of_options_did_not() -> None:
    future, option = InstrumentKind.FUTURE, InstrumentKind.OPTION
    assert TABLE.tick("NIFTY", future, day("2025-04-11")) == Decimal("0.05")
    assert TABLE.tick("NIFTY", future, day("2025-04-15")) == Decimal("0.10")
    assert TABLE.tick("BANKNIFTY", future, day("2025-04-15")) == Decimal("0.20")
    assert TABLE.tick("BANKNIFTY", option, day("2026-11-20")) == Decimal("0.05")


def test_an_index_without_rows_is_refused() -> None:
    with pytest.raises(UnknownContract):
        TABLE.lot("BANKEX", day("2026-11-26"), day("2026-11-20"))
    with pytest.raises(UnknownContract):
        TABLE.has_weekly("INDIA VIX", day("2026-11-20"))


def test_every_row_has_a_source_and_stands_in_order() -> None:
    assert all(row.source for row in TABLE.rows())
    for first, second in pairwise(TABLE.rows()):
        series = [(type(row), row.underlying, getattr(row, "kind", None)) for row in (first, second)]
        assert series[0] != series[1] or first.first_day <= second.first_day, (first, second)


def test_every_expiry_since_2021_is_a_trading_day() -> None:
    for each in UNDERLYINGS[:4]:
        assert each.derivatives is not None
        first = min(row.first_day for row in TABLE.expiry_rules if row.underlying == each.symbol)
        days = TABLE.expiries(each.symbol, start=first, end=day("2026-12-31"))
        assert len(set(days)) == len(days)
        assert all(calendar().session(each.derivatives, expiry) is not None for expiry in days)


def bhavcopy(shared_data: Path) -> Iterator[dict[str, str]]:
    with gzip.open(shared_data / "bhavcopy-2026-03-25" / "fo.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def test_the_exchanges_own_file_of_2026_03_25_has_our_expiries_lots_steps_and_ticks(shared_data: Path) -> None:
    on = day("2026-03-25")
    rows = [row for row in bhavcopy(shared_data) if row["TckrSymb"] in NSE_INDICES]
    assert len(rows) > 1000
    for underlying in NSE_INDICES:
        own = [row for row in rows if row["TckrSymb"] == underlying]
        known = {day(row["XpryDt"]) for row in own if row["XpryDt"] < "2027"}
        assert set(TABLE.listed_expiries(underlying, on)) == known
        for row in own:
            if row["XpryDt"] < "2027":
                assert TABLE.lot(underlying, day(row["XpryDt"]), on) == int(row["NewBrdLotQty"])
        spot = Decimal(own[0]["UndrlygPric"])
        near = min(known)
        strikes = sorted({Decimal(r["StrkPric"]) for r in own if r["StrkPric"] and day(r["XpryDt"]) == near})
        around = [strike for strike in strikes if abs(strike - spot) < spot / 50]
        assert {second - first for first, second in pairwise(around)} == {TABLE.strike_step(underlying, on)}
        futures = [Decimal(row["HghPric"]) for row in own if row["FinInstrmTp"] == "IDF"]
        tick = TABLE.tick(underlying, InstrumentKind.FUTURE, on)
        assert futures
        assert all(price % tick == 0 for price in futures)


def test_the_brokers_master_of_august_2025_has_our_expiries(shared_data: Path) -> None:
    # Listed on 2025-08-28 before the change, with days already moved to Tuesday (NSE) and Thursday (BSE).
    listed: dict[str, set[date]] = {}
    path = shared_data / "dhan-master" / "Trade012545-api-scrip-master.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["instrument"] == "OPTIDX":
                symbol = row["tradingSymbol"].split("-")[0]
                expiry = datetime.strptime(row["expiryDate"][:10], "%d-%m-%Y").date()  # noqa: DTZ007 (a plain date)
                listed.setdefault(symbol, set()).add(expiry)
    on = day("2025-08-28")
    for underlying in NSE_INDICES:
        theirs = {each for each in listed[underlying] if each <= day("2025-12-31")}
        assert theirs == {each for each in TABLE.listed_expiries(underlying, on) if each <= day("2025-12-31")}
    sensex = {each for each in listed["SENSEX"] if day("2025-09-01") <= each <= day("2025-10-31")}
    # A fifth week is listed there, because the file still holds the August month besides the new weeks.
    assert set(TABLE.expiries("SENSEX", start=day("2025-09-01"), end=day("2025-10-31"))) >= sensex


def test_four_real_banknifty_contracts_lived_from_the_day_we_list_them_to_the_day_we_expire_them(
    shared_data: Path,
) -> None:
    files = list((shared_data / "options-1m-banknifty").glob("*.csv"))
    assert len(files) == 4
    for file in files:
        days = sorted({line[:10] for line in file.read_text(encoding="utf-8").splitlines() if line[:2] == "20"})
        first, last = day(days[0]), day(days[-1])
        assert last in TABLE.listed_expiries("BANKNIFTY", first)
        assert last not in TABLE.listed_expiries("BANKNIFTY", first - timedelta(days=1))
