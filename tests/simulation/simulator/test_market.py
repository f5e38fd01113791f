"""Made-up days, recorded days, listings and candles."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.core.errors import BadInput
from workbench.core.instrument import InstrumentKind, Right
from workbench.core.session import IST
from workbench.data.instruments import InstrumentMaster
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import RecordedMarket, Simulator, SyntheticMarket, masters
from workbench.simulator.listing import Listing, stable_id
from workbench.simulator.market import CLOCK_SEGMENT
from workbench.simulator.paths import Minutes, minutes_of, minutes_of_frame

DAY = date(2022, 6, 15)


def frame(day: date, start: float = 15700.0, skip: tuple[int, ...] = ()) -> pd.DataFrame:
    rng = np.random.default_rng(day.toordinal())
    times = [datetime(day.year, day.month, day.day, 9, 15, tzinfo=IST) + timedelta(minutes=each) for each in range(375)]
    close = start + np.cumsum(rng.normal(0, 4, 375)).round(2)
    opens = np.concatenate([[start], close[:-1]])
    high = np.maximum(opens, close) + rng.uniform(0, 5, 375).round(2)
    low = np.minimum(opens, close) - rng.uniform(0, 5, 375).round(2)
    columns = {"open": opens, "high": high, "low": low, "close": close, "volume": np.zeros(375)}
    bars = pd.DataFrame(columns, index=pd.DatetimeIndex(times, name="time")).round(2)
    return bars.drop(index=[bars.index[each] for each in skip])


def history(symbol: str, first: date, last: date) -> pd.DataFrame:
    days = [day for day in (date(2022, 6, 13), date(2022, 6, 14)) if first <= day <= last]
    return pd.concat([frame(day) for day in days]) if days else frame(DAY).iloc[:0]


def test_equal_seeds_give_equal_days_and_other_seeds_others() -> None:
    first, again, other = (SyntheticMarket(seed, calendar(), date(2026, 11, 16)) for seed in (7, 7, 8))
    path = first.path("NIFTY", first.first_day)
    assert np.array_equal(path.prices, again.path("NIFTY", again.first_day).prices)
    assert not np.array_equal(path.prices, other.path("NIFTY", other.first_day).prices)


def test_a_synthetic_day_is_walked_second_by_second_on_the_tick() -> None:
    market = SyntheticMarket(7, calendar(), date(2026, 11, 14))
    assert market.first_day == date(2026, 11, 16)  # the 14th is a Saturday
    path = market.path("NIFTY", market.first_day)
    assert len(path.prices) == 23100  # derivatives trade until 15:40
    assert path.traded.sum() == 21600  # the index until 15:15
    assert np.allclose(np.round(path.prices * 20), path.prices * 20)
    assert 0.0005 < np.std(np.diff(np.log(path.prices[:21600:60]))) * 375**0.5 / 10 < 0.003


def test_history_is_what_was_traded() -> None:
    market = SyntheticMarket(7, calendar(), date(2026, 11, 16))
    day = market.first_day
    traded = minutes_of(market.path("NIFTY", day))
    days = [day]
    for _ in range(3):
        following = market.next_day(days[-1])
        assert following is not None
        market.path("NIFTY", following)
        days.append(following)
    kept = market.minutes("NIFTY", day)
    assert minutes_of(market.path("NIFTY", day)).close.tolist() == kept.close.tolist()
    assert kept.close.tolist() == traded.close.tolist()
    assert market.closes("NIFTY", days[1])[-1] == traded.close[-1]
    assert len(market.closes("NIFTY", day)) >= 20
    warm = calendar().sessions(CLOCK_SEGMENT, date(2026, 11, 1), date(2026, 11, 15))
    assert all(len(market.minutes("NIFTY", each.date)) for each in warm)


def test_the_last_known_day_is_the_last_market_day() -> None:
    market = SyntheticMarket(7, calendar(), date(2026, 12, 31))
    assert market.next_day(market.first_day) is None


def test_a_recorded_minute_is_visited_at_its_four_prices_and_not_left() -> None:
    bars = frame(DAY)
    market = RecordedMarket(DAY, {"NIFTY": bars}, history, calendar())
    path = market.path("NIFTY", DAY)
    grown, asked = minutes_of(path), minutes_of_frame(bars)
    for column in ("times", "open", "high", "low", "close"):
        assert getattr(grown, column).tolist() == getattr(asked, column).tolist(), column
    high_first = [
        np.argmax(path.prices[at : at + 60]) < np.argmin(path.prices[at : at + 60]) for at in range(0, 22500, 60)
    ]
    assert 100 < sum(high_first) < 275


def test_a_missing_minute_has_no_trade_and_no_candle() -> None:
    bars = frame(DAY, skip=(0, 10, 11))
    path = RecordedMarket(DAY, {"NIFTY": bars}, history, calendar()).path("NIFTY", DAY)
    assert len(minutes_of(path)) == 372
    assert not path.traded[:60].any()
    assert path.prices[0] == history("NIFTY", date(2022, 6, 14), date(2022, 6, 14))["close"].iloc[-1]
    assert path.prices[600] == bars["close"].iloc[8]


def test_a_recorded_day_has_its_history_and_no_tomorrow() -> None:
    market = RecordedMarket(DAY, {"NIFTY": frame(DAY)}, history, calendar())
    assert market.next_day(DAY) is None
    assert len(market.minutes("NIFTY", date(2022, 6, 14))) == 375
    assert len(market.minutes("NIFTY", date(2022, 6, 10))) == 0
    assert len(market.closes("NIFTY", DAY)) == 2
    with pytest.raises(BadInput, match="no minutes of NIFTY"):
        RecordedMarket(DAY, {"NIFTY": frame(DAY).iloc[:0]}, history, calendar())
    with pytest.raises(BadInput, match="no trading on 2022-06-18"):
        RecordedMarket(date(2022, 6, 18), {"NIFTY": frame(DAY)}, history, calendar())


def test_contracts_have_the_facts_of_their_date() -> None:
    listing = Listing(contract_table(), calendar(), DAY, {"NIFTY": 15692.15})
    assert listing.expiries("NIFTY")[:2] == [date(2022, 6, 16), date(2022, 6, 23)]
    near = [each.instrument for each in listing.options("NIFTY", date(2022, 6, 16))]
    assert (len(near), {each.lot for each in near}) == (82, {50})
    strikes = sorted({each.strike for each in near if each.strike is not None})
    assert (strikes[0], strikes[20], strikes[-1]) == (Decimal(14700), Decimal(15700), Decimal(16700))
    call = next(each for each in near if each.strike == 15700 and each.right is Right.CE)
    assert call.display_name == "NIFTY 16 JUN 15700 CALL"
    assert call.security_id == str(stable_id(call.key))
    other_day = Listing(contract_table(), calendar(), date(2022, 6, 14), {"NIFTY": 15800.0})
    same = other_day.by_key(call.key)
    assert same is not None
    assert same.instrument.security_id == call.security_id


def test_our_own_reader_reads_both_masters(tmp_path: Path) -> None:
    listing = Listing(contract_table(), calendar(), DAY, {"NIFTY": 15692.15, "BANKNIFTY": 33300.0})
    listed = {each.instrument.key: each.instrument for each in listing}
    for name, text in (("compact", masters.compact(listing)), ("detailed", masters.detailed(listing))):
        file = tmp_path / f"{name}.csv"
        file.write_text(text, encoding="utf-8")
        master = InstrumentMaster.load(file, ("NIFTY", "BANKNIFTY"))
        assert list(master.expiries("NIFTY")) == listing.expiries("NIFTY")
        for option in master.options("NIFTY", date(2022, 6, 16)):
            ours = listed[option.key]
            assert (option.security_id, option.lot, option.tick) == (ours.security_id, ours.lot, ours.tick)
            assert option.display_name == ours.display_name
            assert option.freeze in (ours.freeze, None)
        assert master.index("NIFTY").security_id == "13"
        future = master.future("NIFTY", date(2022, 6, 30))
        assert future is not None
        assert future.lot == 50


def test_option_candles_bracket_their_ticks() -> None:
    market = SyntheticMarket(7, calendar(), date(2026, 11, 16), symbols=("NIFTY",))
    sim = Simulator(market, calendar(), contract_table(), charge_table())
    call = sim.listing.options("NIFTY")[40]
    assert call.instrument.kind is InstrumentKind.OPTION
    seen = []
    while sim.board.second < 299:
        sim.step()
        if sim.board.second >= 0:
            seen.append(sim.board.level(call).last)
    candles: Minutes = sim.board.minutes(call)
    assert len(candles) == 5
    assert candles.high.max() >= max(seen) - 0.15
    assert candles.low.min() <= min(seen) + 0.15
    day = sim.board.day_range(call)
    assert day.low - 0.15 <= min(seen) <= max(seen) <= day.high + 0.15


@pytest.mark.shared
def test_a_real_day_is_visited_price_for_price(shared_data: Path) -> None:
    file = shared_data / "nifty-1m-2021-2022" / "2022 JUN NIFTY.txt"
    if not file.is_file():
        file = next(each for each in file.parent.iterdir() if "2022 JUN" in each.name)
    rows = [line.split(",") for line in file.read_text(encoding="utf-8").split() if ",20220615," in line]
    stamps = [datetime.strptime(f"{row[1]} {row[2]}", "%Y%m%d %H:%M").replace(tzinfo=IST) for row in rows]
    bars = pd.DataFrame(
        [[float(price) for price in row[3:7]] for row in rows],
        columns=["open", "high", "low", "close"],
        index=pd.DatetimeIndex(stamps, name="time") - timedelta(minutes=1),
    ).between_time("09:15", "15:29")
    market = RecordedMarket(DAY, {"NIFTY": bars}, history, calendar(), seed=5)
    grown = minutes_of(market.path("NIFTY", DAY))
    assert len(grown) == 375
    for column in ("open", "high", "low", "close"):
        assert getattr(grown, column).tolist() == bars[column].tolist(), column
