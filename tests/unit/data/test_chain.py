"""Option chain, expiries and snapshots: typed, complete, and never zeros for what is not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.core.errors import BadInput, BrokerUnavailable, CorruptData
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.data.chain import OptionChain, read_chain, read_expiries
from workbench.data.snapshots import Detail, read_snapshots

NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
EXPIRY = date(2026, 11, 23)
SIDE: dict[str, Any] = {
    "average_price": 0.0,
    "greeks": {"delta": 0.51, "theta": -9.5, "gamma": 0.001, "vega": 11.0},
    "implied_volatility": 12.5,
    "last_price": 100.05000305175781,
    "oi": 6500,
    "previous_close_price": 90.0,
    "previous_oi": 6000,
    "previous_volume": 1,
    "security_id": 40001,
    "top_ask_price": 100.1,
    "top_ask_quantity": 65,
    "top_bid_price": 0,
    "top_bid_quantity": 0,
    "volume": 1300,
}


class Api:
    """Answers with what it was given."""

    def __init__(self, document: Any = None, *, remarks: Any = None) -> None:
        good = {"status": "success", "remarks": "", "data": document}
        self.envelope = good if remarks is None else {"status": "failure", "remarks": remarks, "data": ""}
        self.asked: list[Any] = []

    def option_chain(self, under_security_id: int, under_exchange_segment: str, expiry: str) -> Mapping[str, Any]:
        self.asked.append((under_security_id, under_exchange_segment, expiry))
        return self.envelope

    def expiry_list(self, under_security_id: int, under_exchange_segment: str) -> Mapping[str, Any]:
        self.asked.append((under_security_id, under_exchange_segment))
        return self.envelope


def chain_of(document: Any) -> OptionChain:
    return read_chain(Api(document), NIFTY, EXPIRY, pause=lambda _: None)


def body(strikes: Any, spot: Any = 25010.150390625) -> dict[str, Any]:
    return {"data": {"last_price": spot, "oc": strikes}, "status": "success"}


def test_a_chain_has_both_sides_in_paise_and_in_the_order_of_strikes() -> None:
    api = Api(body({"25050.000000": {"ce": SIDE, "pe": SIDE}, "24950.500000": {"ce": SIDE, "pe": SIDE}}))
    chain = read_chain(api, NIFTY, EXPIRY, pause=lambda _: None)
    assert api.asked == [(13, "IDX_I", "2026-11-23")]
    assert [row.strike for row in chain.rows] == [Decimal("24950.5"), Decimal(25050)]
    assert chain.spot == Decimal("25010.15")
    row = chain.row(Decimal(25050))
    assert row is not None
    call = row.side(Right.CE)
    assert call is not None
    assert (call.last, call.ask, call.bid) == (Decimal("100.05"), Decimal("100.10"), None)
    assert (call.security_id, call.oi, call.delta, call.iv_pct) == ("40001", 6500, 0.51, 12.5)
    assert json.loads(json.dumps(chain.to_dict()))["rows"][1]["ce"]["ask"] == "100.10"


@pytest.mark.parametrize("absent", [{"ce": SIDE}, {"ce": SIDE, "pe": None}, {"ce": SIDE, "pe": {}}])
def test_a_side_that_is_left_out_is_none(absent: dict[str, Any]) -> None:
    row = chain_of(body({"25050.000000": absent})).rows[0]
    assert row.side(Right.CE) is not None
    assert row.side(Right.PE) is None


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"data": []},
        body({"x": {"ce": SIDE}}),
        body({"25050.0": []}),
        body({"25050.0": {"ce": {}}}, spot=0),
        body({"25050.0": {"ce": {**SIDE, "last_price": "nan"}}}),
        body({"25050.0": {"ce": {**SIDE, "oi": "many"}}}),
    ],
)
def test_what_is_no_chain_is_corrupt(document: Any) -> None:
    with pytest.raises(CorruptData, match="option chain of NIFTY 2026-11-23"):
        chain_of(document)


def test_refusals_are_told_apart() -> None:
    def refused(code: str) -> Api:
        return Api(remarks={"error_code": code, "error_type": "", "error_message": "no"})

    with pytest.raises(BadInput, match="no such expiry"):
        read_chain(refused("811"), NIFTY, EXPIRY, pause=lambda _: None)
    with pytest.raises(BrokerUnavailable, match="813 no"):
        read_chain(refused("813"), NIFTY, EXPIRY, pause=lambda _: None)
    with pytest.raises(BrokerUnavailable, match="workbench doctor"):
        read_chain(refused("DH-901"), NIFTY, EXPIRY, pause=lambda _: None)
    silent = Api(remarks="timed out")
    with pytest.raises(BrokerUnavailable, match="try again"):
        read_chain(silent, NIFTY, EXPIRY, pause=lambda _: None)
    assert len(silent.asked) == 2


def test_expiries_are_dates_in_order() -> None:
    listed = read_expiries(Api({"data": ["2026-12-29", "2026-11-23"], "status": "success"}), NIFTY)
    assert listed == (date(2026, 11, 23), date(2026, 12, 29))
    with pytest.raises(CorruptData, match="no list of dates"):
        read_expiries(Api({"data": ["soon"]}), NIFTY)


@pytest.mark.shared
def test_recorded_chains_and_expiries_of_the_real_api_are_read(shared_data: Path) -> None:
    def recorded(name: str) -> Any:
        text = (shared_data / "dhan-recorded" / "base_api" / name).read_text(encoding="utf-8")
        return json.loads(yaml.safe_load(text)["http_interactions"][0]["response"]["body"]["string"])

    chain = chain_of(recorded("optionchain.yml"))
    assert chain.spot == Decimal("23092.20")
    assert len(chain.rows) > 100
    near = [row for row in chain.rows if abs(row.strike - chain.spot) < 500]
    assert all(row.ce is not None and row.pe is not None for row in near)
    assert len(read_expiries(Api(recorded("optionchain_expirylist.yml")), NIFTY)) == 18


class Quotes:
    """Knows every id but 7."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[int]]] = []

    def ticker_data(self, securities: Mapping[str, Sequence[int]]) -> Mapping[str, Any]:
        asked = {segment: list(ids) for segment, ids in securities.items()}
        self.asked.append(asked)
        data = {
            segment: {str(number): {"last_price": number / 10} for number in ids if number != 7}
            for segment, ids in asked.items()
        }
        return {"status": "success", "remarks": "", "data": {"data": data, "status": "success"}}

    def ohlc_data(self, securities: Mapping[str, Sequence[int]]) -> Mapping[str, Any]:
        return self.ticker_data(securities)

    def quote_data(self, securities: Mapping[str, Sequence[int]]) -> Mapping[str, Any]:
        quote = {
            "last_price": 4525.55,
            "ohlc": {"open": 4521.45, "close": 4507.85, "high": 4530, "low": 4500},
            "depth": {"buy": [{"quantity": 65, "orders": 1, "price": 4525.5}], "sell": []},
            "last_trade_time": "01/01/1980 00:00:00",
            "volume": 12,
        }
        found = {segment: {str(number): quote for number in ids} for segment, ids in securities.items()}
        return {"status": "success", "remarks": "", "data": {"data": found, "status": "success"}}


def stock(number: int) -> Instrument:
    return replace(
        NIFTY, segment=Segment.NSE_EQ, security_id=str(number), symbol=f"S{number}", kind=InstrumentKind.EQUITY
    )


def test_more_than_a_thousand_instruments_are_asked_in_several_calls_with_whole_numbers() -> None:
    api = Quotes()
    found = read_snapshots(api, [*(stock(n) for n in range(1, 2502)), stock(1), NIFTY])
    assert [sum(len(ids) for ids in call.values()) for call in api.asked] == [1000, 1000, 502]
    assert all(isinstance(number, int) for call in api.asked for ids in call.values() for number in ids)
    assert found.unknown == (stock(7),)
    assert len(found.prices) == 2501
    assert found.prices["NSE_EQ:S11"].last == Decimal("1.10")


def test_a_quote_without_a_trade_or_a_side_tells_so() -> None:
    quote = read_snapshots(Quotes(), [NIFTY], Detail.QUOTE).prices[NIFTY.key]
    assert (quote.bid, quote.bid_quantity, quote.ask, quote.traded_at) == (Decimal("4525.50"), 65, None, None)
    assert (quote.previous_close, quote.volume, quote.oi) == (Decimal("4507.85"), 12, 0)


def test_the_time_of_a_trade_is_indian(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Quotes()
    told = {"data": {"IDX_I": {"13": {"last_price": 1, "last_trade_time": "20/11/2026 10:01:02"}}}}
    monkeypatch.setattr(api, "quote_data", lambda _: {"status": "success", "remarks": "", "data": told})
    quote = read_snapshots(api, [NIFTY], Detail.QUOTE).prices[NIFTY.key]
    assert quote.traded_at == datetime(2026, 11, 20, 10, 1, 2, tzinfo=IST)


@pytest.mark.parametrize("document", [None, {"data": []}, {"data": {"IDX_I": {"13": {"price": 1}}}}])
def test_what_is_no_table_of_prices_is_corrupt(document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Quotes()
    monkeypatch.setattr(api, "ticker_data", lambda _: {"status": "success", "remarks": "", "data": document})
    with pytest.raises(CorruptData, match="no table of prices"):
        read_snapshots(api, [NIFTY])
