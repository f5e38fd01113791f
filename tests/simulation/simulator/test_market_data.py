"""Market data over REST: snapshots, candles, rolling options, chains; and what the broker tolerates and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from workbench.core.pricing import OptionPricer
from workbench.core.session import IST
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import RecordedMarket, Simulator
from workbench.simulator.rolling import rolling_option
from workbench.testing.simulator import RunningSimulator, running_simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        running.open_market()
        running.advance(150)
        yield running


class Wire:
    """Calls of the data endpoints."""

    def __init__(self, sim: RunningSimulator, session: requests.Session) -> None:
        self.sim, self.session = sim, session

    def ask(self, path: str, body: dict[str, Any], status: int = 200) -> Any:
        answered = self.session.post(f"{self.sim.base_url}{path}", json=body, timeout=20)
        assert answered.status_code == status, answered.text
        return answered.json()


@pytest.fixture
def wire(sim: RunningSimulator) -> Iterator[Wire]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update({"access-token": sim.token, "client-id": sim.client_id})
        yield Wire(sim, session)


ROLLING: dict[str, Any] = {
    "exchangeSegment": "NSE_FNO", "interval": "1", "securityId": 13, "instrument": "OPTIDX", "expiryFlag": "WEEK",
    "expiryCode": 1, "strike": "ATM", "drvOptionType": "CALL", "fromDate": "2026-11-09", "toDate": "2026-11-13",
    "requiredData": ["open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot"],
}  # fmt: skip


def test_snapshots_take_the_librarys_key_and_a_thousand_instruments(wire: Wire) -> None:
    option = int(wire.sim.option().security_id)
    body = {"IDX_I": [13], "NSE_FNO": [option, 1], "dhanClientId": wire.sim.client_id}
    found = wire.ask("/marketfeed/ltp", body)["data"]
    assert set(found) == {"IDX_I", "NSE_FNO"}
    assert set(found["NSE_FNO"]) == {str(option)}
    assert wire.ask("/marketfeed/quote", {"NSE_FNO": [7]}) == {"data": {"NSE_FNO": {}}, "status": "success"}
    wire.ask("/marketfeed/ltp", {"NSE_FNO": list(range(1000))})
    assert wire.ask("/marketfeed/ltp", {"NSE_FNO": list(range(1001))}, 400)["status"] == "failed"


def test_a_quote_has_depth_interest_and_a_range(wire: Wire) -> None:
    option = wire.sim.option().security_id
    row = wire.ask("/marketfeed/quote", {"NSE_FNO": [int(option)]})["data"]["NSE_FNO"][option]
    assert row["oi"] > 0
    assert row["ohlc"]["low"] <= row["last_price"] <= row["ohlc"]["high"]
    assert row["depth"]["buy"][0]["price"] < row["depth"]["sell"][0]["price"]
    moment = datetime.strptime(row["last_trade_time"], "%d/%m/%Y %H:%M:%S").replace(tzinfo=IST)
    assert moment == wire.sim.simulator.now


def candles(wire: Wire, **more: Any) -> Any:
    ask = {"securityId": "13", "exchangeSegment": "IDX_I", "instrument": "INDEX", "interval": 1}
    return {**ask, "fromDate": "2026-11-12 09:15:00", "toDate": "2026-11-16 15:30:00", **more}


def test_the_last_candle_is_as_far_as_the_day_is(wire: Wire) -> None:
    found = wire.ask("/charts/intraday", candles(wire))
    newest = datetime.fromtimestamp(found["timestamp"][-1], IST)
    assert (newest.hour, newest.minute) == (9, 17)
    assert found["close"][-1] == wire.sim.simulator.board.spot("NIFTY")
    first = datetime.fromtimestamp(found["timestamp"][0], IST)
    assert (first.isoformat(), found["volume"][0]) == ("2026-11-12T09:15:00+05:30", 0)


@pytest.mark.parametrize("interval", [1, 5, 15, 25, 60, "5", None])
def test_candles_of_each_interval_are_anchored_at_the_open(wire: Wire, interval: Any) -> None:
    found = wire.ask("/charts/intraday", candles(wire, interval=interval, toDate="2026-11-13"))
    size = int(interval or 1)
    days = {datetime.fromtimestamp(each, IST).date() for each in found["timestamp"]}
    assert len(days) == 2
    for stamp in found["timestamp"]:
        moment = datetime.fromtimestamp(stamp, IST)
        assert (moment.hour * 60 + moment.minute - (9 * 60 + 15)) % size == 0
    assert len(found["timestamp"]) == 2 * -(-360 // size)


def test_candles_of_an_option_have_volume_and_interest_when_asked(wire: Wire) -> None:
    option = wire.sim.option()
    name = {"securityId": option.security_id, "exchangeSegment": "NSE_FNO", "instrument": "OPTIDX"}
    found = wire.ask("/charts/intraday", candles(wire, **name, oi=True, interval=5))
    assert set(map(len, found.values())) == {len(found["timestamp"])}
    assert min(found["open_interest"]) > 0
    assert set(found["volume"][:-1]) == {option.lot * 3 * 300}
    # The last one is two and a half minutes old.
    assert found["volume"][-1] == option.lot * 3 * 151
    assert "open_interest" not in wire.ask("/charts/intraday", candles(wire, **name))


def test_nothing_traded_gives_empty_columns_and_nonsense_a_refusal(wire: Wire) -> None:
    holiday = wire.ask("/charts/intraday", candles(wire, fromDate="2026-11-10", toDate="2026-11-10"))
    unknown = wire.ask("/charts/intraday", candles(wire, securityId="99999999"))
    for empty in (holiday, unknown, wire.ask("/charts/historical", candles(wire, securityId="99999999"))):
        assert set(empty) >= {"open", "high", "low", "close", "volume", "timestamp"}
        assert set(map(len, empty.values())) == {0}
    for wrong in ({"fromDate": "2026-08-01"}, {"fromDate": "x"}, {"interval": 30}, {"toDate": "2026-11-01"}):
        assert wire.ask("/charts/intraday", candles(wire, **wrong), 400)["errorCode"] == "DH-905"


def test_a_daily_candle_is_stamped_at_midnight_and_the_end_is_not_included(wire: Wire) -> None:
    found = wire.ask("/charts/historical", candles(wire, fromDate="2026-11-09", toDate="2026-11-12"))
    days = [datetime.fromtimestamp(each, IST).isoformat() for each in found["timestamp"]]
    # The 10th is a holiday.
    assert days == ["2026-11-09T00:00:00+05:30", "2026-11-11T00:00:00+05:30"]
    minutes = wire.ask("/charts/intraday", candles(wire, fromDate="2026-11-09", toDate="2026-11-09"))
    assert found["high"][0] == max(minutes["high"])
    assert (found["open"][0], found["close"][0]) == (minutes["open"][0], minutes["close"][-1])


def test_rolling_options_follow_the_money(wire: Wire) -> None:
    answer = wire.ask("/charts/rollingoption", ROLLING)["data"]
    assert answer["pe"] is None
    side = answer["ce"]
    assert set(map(len, side.values())) == {len(side["timestamp"])}
    days = [datetime.fromtimestamp(each, IST).date().day for each in side["timestamp"]]
    # The 10th is a holiday, and the end is not included.
    assert sorted(set(days)) == [9, 11, 12]
    index = wire.ask("/charts/intraday", candles(wire, fromDate="2026-11-09", toDate="2026-11-12"))
    assert side["spot"] == index["open"]
    assert side["timestamp"] == index["timestamp"]
    assert all(abs(strike - spot) <= 25 for strike, spot in zip(side["strike"], side["spot"], strict=True))
    assert len(set(side["strike"])) > 1
    for place in (0, 400, -1):
        assert side["low"][place] <= side["open"][place] <= side["high"][place]
        assert side["low"][place] <= side["close"][place] <= side["high"][place]


def test_each_rolling_candle_is_priced_as_its_contract(wire: Wire) -> None:
    side = wire.ask("/charts/rollingoption", {**ROLLING, "strike": "ATM-2", "drvOptionType": "PUT"})["data"]["pe"]
    simulator = wire.sim.simulator
    place = 100
    moment = datetime.fromtimestamp(side["timestamp"][place], IST)
    day, strike = moment.date(), side["strike"][place]
    assert -2 * 50 - 25 <= strike - side["spot"][place] <= -2 * 50 + 25
    expiry = simulator.contracts.listed_expiries("NIFTY", day)[0]
    session = simulator.calendar.session(simulator.session.segment, expiry)
    assert session is not None
    pricer: OptionPricer = simulator.pricer("NIFTY", day)
    left = (session.close - moment).total_seconds()
    right = wire.sim.option().right
    assert right is not None
    fair = pricer.premium(type(right).PE, strike, side["spot"][place], left)
    assert side["open"][place] == pytest.approx(fair, abs=0.026)
    assert side["iv"][place] == pytest.approx(pricer.volatility(strike, side["spot"][place]) * 100, abs=1e-3)


def test_rolling_options_give_what_was_asked_for_and_no_more(wire: Wire) -> None:
    side = wire.ask("/charts/rollingoption", {**ROLLING, "requiredData": ["close"], "interval": 15})["data"]["ce"]
    assert side["close"]
    assert side["open"] == side["oi"] == []
    monthly = wire.ask("/charts/rollingoption", {**ROLLING, "expiryFlag": "MONTH"})["data"]["ce"]
    weekly = wire.ask("/charts/rollingoption", ROLLING)["data"]["ce"]
    assert monthly["close"][0] > weekly["close"][0]
    # BANKNIFTY has no weekly contracts any more.
    assert wire.ask("/charts/rollingoption", {**ROLLING, "securityId": "25"})["data"]["ce"]["close"] == []
    assert wire.ask("/charts/rollingoption", {**ROLLING, "securityId": "25", "expiryFlag": "MONTH"})["data"]["ce"][
        "close"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"fromDate": "2026-10-01"},
        {"strike": "ATM+11"},
        {"strike": "ATM+4", "expiryCode": 2},
        {"strike": "24000"},
        {"expiryFlag": "DAY"},
        {"expiryCode": 0},
        {"drvOptionType": "CE"},
        {"requiredData": []},
        {"requiredData": ["close", "gamma"]},
        {"interval": 2},
        {"securityId": 999},
        {"toDate": "2026-11-01"},
    ],
)
def test_rolling_options_refuse_what_the_broker_refuses(wire: Wire, wrong: dict[str, Any]) -> None:
    assert wire.ask("/charts/rollingoption", {**ROLLING, **wrong}, 400)["errorCode"] == "DH-905"


def test_rolling_options_of_a_recorded_market_have_the_contracts_of_that_year() -> None:
    day, before = date(2022, 6, 16), date(2022, 6, 15)

    def minutes(of: date) -> pd.DataFrame:
        times = [datetime(of.year, of.month, of.day, 9, 15 + each, tzinfo=IST) for each in range(30)]
        price = np.linspace(15700.0, 15640.0, 30).round(2)
        columns = {"open": price, "high": price + 3, "low": price - 3, "close": price, "volume": np.zeros(30)}
        return pd.DataFrame(columns, index=pd.DatetimeIndex(times, name="time"))

    def history(_: str, first: date, last: date) -> pd.DataFrame:
        return minutes(before) if first <= before <= last else minutes(before).iloc[:0]

    market = RecordedMarket(day, {"NIFTY": minutes(day)}, history, calendar())
    simulator = Simulator(market, calendar(), contract_table(), charge_table())
    status, answer = rolling_option(simulator, {**ROLLING, "fromDate": "2022-06-10", "toDate": "2022-06-17"})
    assert status == 200
    side = answer["data"]["ce"]
    # The recorded day still trades; of the days before it one is recorded.
    assert {datetime.fromtimestamp(each, IST).date() for each in side["timestamp"]} == {before}
    assert side["strike"] == [15700.0] * 13 + [15650.0] * 17
    # The lot of 2022 was 50; the contract ended on the Thursday.
    assert set(side["volume"]) == {50 * 3 * 60}
    assert simulator.contracts.listed_expiries("NIFTY", before)[0] == day


def test_a_chain_has_its_strikes_sides_and_refusals(wire: Wire) -> None:
    ask: dict[str, Any] = {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "dhanClientId": wire.sim.client_id}
    expiries = wire.ask("/optionchain/expirylist", ask)["data"]
    assert expiries == sorted(expiries)
    chain = wire.ask("/optionchain", {**ask, "Expiry": expiries[0]})["data"]
    strikes = list(chain["oc"])
    assert all(each.split(".")[1] == "000000" for each in strikes)
    side = chain["oc"][strikes[len(strikes) // 2]]["ce"]
    assert side["top_bid_price"] < side["top_ask_price"]
    assert isinstance(side["security_id"], int)
    assert len({each["ce"]["oi"] for each in chain["oc"].values()}) > 10
    assert wire.ask("/optionchain", {**ask, "Expiry": "2026-11-18"}, 400)["data"] == {"811": "Invalid Expiry Date"}
    wrong = {**ask, "UnderlyingScrip": 999, "Expiry": expiries[0]}
    assert wire.ask("/optionchain", wrong, 400)["data"] == {"813": "Invalid SecurityId"}
