"""Rolling series become one series a contract: each row to its strike, overlaps agree or are listed."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workbench.core.bars import MINUTE
from workbench.core.errors import BadInput, UnknownContract
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST, Calendar
from workbench.data.bar_store import BarStore
from workbench.data.expired_options import Expired, RollingReader, step_name, stitch
from workbench.data.options_fetch import ExpiredOptionsFetch, OptionsFetch, expired_of
from workbench.reference import contract_table

NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
EXPIRY = date(2026, 6, 16)
NOW = datetime(2026, 6, 20, 12, 0, tzinfo=IST)


def spot(stamp: int) -> float:
    """An index that wanders over several strikes in a day."""
    return 25000 + 220 * math.sin(stamp / 2500)


def premium(strike: float, at: int, right: str) -> float:
    """A price that depends on contract and minute only, and ends at the intrinsic value."""
    left = max(0.0, (datetime(2026, 6, 16, 15, 30, tzinfo=IST).timestamp() - at) / 86400)
    distance = spot(at) - strike if right == "CALL" else strike - spot(at)
    return round(max(0.05, max(0.0, distance) + 80 * math.sqrt(left) * math.exp(-abs(distance) / 300)), 2)


class Rolling:
    """Plays the endpoint: the money is the nearest 50 to the spot, chosen anew each minute."""

    def __init__(self, market: Calendar) -> None:
        self.market = market
        self.asked: list[tuple[str, str, str, str]] = []
        self.failing: set[str] = set()
        self.lie: tuple[int, str] | None = None
        self._lock = threading.Lock()

    def expired_options_data(  # noqa: PLR0917
        self,
        security_id: str,
        exchange_segment: str,
        instrument_type: str,
        expiry_flag: str,
        expiry_code: int,
        strike: str,
        drv_option_type: str,
        required_data: list[str],
        from_date: str,
        to_date: str,
        interval: int = 1,
    ) -> Mapping[str, Any]:
        assert (security_id, exchange_segment, instrument_type) == ("13", "NSE_FNO", "OPTIDX")
        assert (expiry_code, interval) == (1, 1)
        assert (date.fromisoformat(to_date) - date.fromisoformat(from_date)).days < 30
        with self._lock:
            self.asked.append((expiry_flag, strike, drv_option_type, from_date))
        if strike in self.failing:
            return {"status": "failure", "remarks": "timed out", "data": ""}
        steps = int(strike.removeprefix("ATM") or 0)
        columns: dict[str, list[float]] = {name: [] for name in (*required_data, "timestamp")}
        day = date.fromisoformat(from_date)
        while day <= date.fromisoformat(to_date):  # as observed, not as documented: the last day too
            session = self.market.session(Segment.NSE_FNO, day)
            if session is not None:
                for stamp in range(int(session.open.timestamp()), int(session.close.timestamp()), 60):
                    self._row(columns, stamp, steps, drv_option_type)
            day += timedelta(days=1)
        side = "ce" if drv_option_type == "CALL" else "pe"
        return {"status": "success", "remarks": "", "data": {"data": {"ce": None, "pe": None, side: columns}}}

    def _row(self, columns: dict[str, list[float]], stamp: int, steps: int, right: str) -> None:
        strike = round(spot(stamp) / 50) * 50 + 50 * steps
        price = premium(strike, stamp, right)
        if self.lie == (stamp, step_name(steps)):
            strike, price = strike - 50, price + 1
        row = {"open": price, "high": price, "low": price, "close": price, "volume": 65, "strike": strike}
        for name, value in {**row, "spot": spot(stamp), "timestamp": stamp}.items():
            columns[name].append(value)


@pytest.fixture
def source(market: Calendar) -> Rolling:
    return Rolling(market)


def fetched(
    source: Rolling, folder: Path, *, steps: int = 10, again: bool = False, expiry: date = EXPIRY
) -> OptionsFetch:
    store = BarStore(folder / "bars", source.market)
    reader = RollingReader(source, source.market, pause=lambda _: None)
    expired = expired_of(NIFTY, expiry, contract_table(), source.market, NOW)
    return ExpiredOptionsFetch(reader, store, source.market, workers=2, spread_s=0).run(
        expired, steps=steps, again=again
    )


def test_each_row_goes_to_the_contract_that_it_is_of(source: Rolling, tmp_path: Path) -> None:
    report = fetched(source, tmp_path)
    assert report.whole, report.to_dict()
    assert (report.requests, len(source.asked)) == (42, 42)
    store = BarStore(tmp_path / "bars", source.market)
    assert sorted(store.symbols()) == sorted(report.contracts)
    strikes = {Decimal(key.split(":")[3]) for key in report.contracts}
    assert {Decimal(24800), Decimal(25000), Decimal(25200)} < strikes
    for key in report.contracts:
        _, symbol, expiry, strike, right = key.split(":")
        assert (symbol, expiry) == ("NIFTY", "2026-06-16")
        frame = store.read(key, MINUTE)
        word = "CALL" if right == "CE" else "PUT"
        wanted = [premium(float(strike), int(moment.timestamp()), word) for moment in frame.index]
        assert frame["close"].tolist() == wanted
        assert store.segment(key) is Segment.NSE_FNO


def test_a_contract_near_the_money_is_whole_and_a_far_one_is_counted_absent(source: Rolling, tmp_path: Path) -> None:
    report = fetched(source, tmp_path)
    at_the_money = report.contracts["NSE_FNO:NIFTY:2026-06-16:25000:CE"]
    assert (at_the_money.absent_minutes, at_the_money.added % 375) == (0, 0)
    far = report.contracts["NSE_FNO:NIFTY:2026-06-16:25700:CE"]
    assert far.absent_minutes > 0
    assert far.absent_minutes + far.added == at_the_money.added


def test_only_days_on_which_the_expiry_was_the_nearest_are_asked(source: Rolling, market: Calendar) -> None:
    weekly = expired_of(NIFTY, EXPIRY, contract_table(), market, NOW)
    assert (weekly.weekly, weekly.first, weekly.last) == (True, date(2026, 6, 10), EXPIRY)
    monthly = expired_of(NIFTY, date(2026, 5, 26), contract_table(), market, NOW)
    assert (monthly.weekly, monthly.first) == (False, date(2026, 4, 29))


def test_the_day_after_the_expiry_is_not_taken_although_it_comes(source: Rolling, tmp_path: Path) -> None:
    fetched(source, tmp_path, steps=0)
    store = BarStore(tmp_path / "bars", source.market)
    last = max(store.opens(symbol, MINUTE, None, None)[-1] for symbol in store.symbols())
    assert last.date() == EXPIRY


def test_a_monthly_expiry_is_asked_of_its_own_series_in_windows(source: Rolling, tmp_path: Path) -> None:
    report = fetched(source, tmp_path, steps=0, expiry=date(2026, 5, 26))
    assert report.series == "monthly"
    assert {flag for flag, *_ in source.asked} == {"MONTH"}
    assert report.requests == 2 == len({(right, since) for _, _, right, since in source.asked})


def test_a_second_fetch_asks_nothing_and_a_wider_one_asks_again(source: Rolling, tmp_path: Path) -> None:
    fetched(source, tmp_path, steps=1)
    assert fetched(source, tmp_path, steps=1).requests == 0
    wider = fetched(source, tmp_path, steps=2)
    assert wider.requests == 10
    assert sum(row.unchanged for row in wider.contracts.values()) > 0
    assert sum(row.revised for row in wider.contracts.values()) == 0


def test_a_unit_without_all_its_series_is_asked_again(source: Rolling, tmp_path: Path) -> None:
    source.failing = {"ATM+1"}
    broken = fetched(source, tmp_path, steps=1)
    assert not broken.whole
    assert "step +1" in broken.failed[0]
    assert broken.contracts == {}
    source.failing = set()
    assert fetched(source, tmp_path, steps=1).whole


def test_rows_that_disagree_are_listed_and_not_stored(source: Rolling, tmp_path: Path) -> None:
    moment = datetime(2026, 6, 15, 11, 0, tzinfo=IST)
    source.lie = (int(moment.timestamp()), "ATM+1")
    report = fetched(source, tmp_path, steps=2)
    told = report.to_dict()
    assert told["disagreements"] == 2  # the call and the put
    assert told["disagree"][0]["time"] == moment.isoformat()
    assert len(told["disagree"][0]["rows"]) == 2
    key = f"NSE_FNO:NIFTY:2026-06-16:{told['disagree'][0]['strike']}:CE"
    store = BarStore(tmp_path / "bars", source.market)
    assert moment not in store.opens(key, MINUTE, None, None)


def test_a_series_that_does_not_settle_is_told(
    source: Rolling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetched(source, tmp_path / "right", steps=3).findings == []
    monkeypatch.setattr(f"{__name__}.premium", lambda strike, at, right: 250.0 + abs(strike - spot(at)))
    report = fetched(source, tmp_path / "wrong", steps=3)
    assert "time value left" in report.findings[0]


def test_expiries_that_cannot_be_asked_are_refused(source: Rolling, market: Calendar, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="have not expired yet"):
        expired_of(NIFTY, date(2026, 6, 23), contract_table(), market, NOW)
    with pytest.raises(UnknownContract, match="is not an expiry"):
        expired_of(NIFTY, date(2026, 6, 17), contract_table(), market, NOW)
    with pytest.raises(BadInput, match="0 to 10 strikes"):
        fetched(source, tmp_path, steps=11)
    assert source.asked == []


def test_rows_without_a_price_or_a_strike_are_counted_and_left_out() -> None:
    index = pd.date_range("2026-06-15 09:15", periods=4, freq="1min", tz=IST, name="time")
    frame = pd.DataFrame({name: [10.0, 10.0, math.nan, 10.0] for name in ("open", "high", "low", "close")}, index=index)
    frame = frame.assign(volume=1.0, strike=[25000.0, math.nan, 25000.0, 25000.0], spot=25010.0)
    stitched = stitch([frame, frame.iloc[:1]])
    assert stitched.unusable == 2
    assert list(stitched.series) == [Decimal(25000)]
    assert len(stitched.series[Decimal(25000)]) == 2
    assert stitch([]).series == {}


def test_names_of_steps_are_dhans() -> None:
    assert [step_name(step) for step in (-3, 0, 2)] == ["ATM-3", "ATM", "ATM+2"]


def test_nothing_at_all_is_told_and_not_taken_for_an_expiry_without_trades(
    source: Rolling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"status": "success", "remarks": "", "data": {"data": {"ce": None, "pe": None}}}
    monkeypatch.setattr(source, "expired_options_data", lambda **_: nothing)
    report = fetched(source, tmp_path, steps=0)
    assert not report.whole
    assert "Dhan gives nothing" in report.failed[0]


def test_the_key_of_a_contract_has_no_id(market: Calendar) -> None:
    expired: Expired = expired_of(NIFTY, EXPIRY, contract_table(), market, NOW)
    assert expired.contract(Decimal("25000"), Right.PE).key == "NSE_FNO:NIFTY:2026-06-16:25000:PE"
