"""What Dhan really said, once: our own classes read every recorded reply as what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dhanhq
import pytest
from dhanhq import DhanContext

from tests.contract.recordings import Exchange, read_all
from workbench.brokers.dhan.adapter import DhanBroker
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.transport import Endpoint
from workbench.core.errors import BrokerUnavailable
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.core.messages import BrokerOrder
from workbench.core.order import OrderChange, OrderTicket, OrderType, Product, Purpose
from workbench.core.ports import WriteReply
from workbench.core.session import IST
from workbench.core.signal import Side
from workbench.data.candles import CandleReader
from workbench.data.chain import read_chain, read_expiries
from workbench.data.snapshots import Detail, read_snapshots
from workbench.reference import calendar
from workbench.testing.wire_stub import Received, Reply, WireStub, http

pytestmark = pytest.mark.shared

NOW = datetime(2025, 2, 17, 10, 0, tzinfo=IST)
NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)


def share(security_id: str, segment: Segment = Segment.NSE_EQ) -> Instrument:
    """Give a share by its id, or whatever else has that id in another segment."""
    return Instrument(
        segment=segment,
        security_id=security_id,
        symbol=f"S{security_id}",
        kind=InstrumentKind.EQUITY,
        lot=1,
        tick=Decimal("0.05"),
    )


TICKET = OrderTicket(
    correlation_id="wb-1",
    intent_id="i",
    position_id="p",
    deployment="d",
    purpose=Purpose.ENTRY,
    instrument=share("1333"),
    side=Side.BUY,
    quantity=5,
    order_type=OrderType.LIMIT,
    product=Product.INTRADAY,
    price=Decimal("1428.00"),
)
CHANGE = OrderChange(order_type=OrderType.LIMIT, quantity=10, price=Decimal("3400.00"))

WRITTEN_BY_HAND = {
    "base_api/delete_request.yml#0",
    "base_api/get_request.yml#0",
    "base_api/post_request.yml#0",
    "base_api/put_request.yml#0",
    "client/error_806.yml#0",
    "client/error_dh_904.yml#0",
    "client/get_request.yml#0",
    "client/post_request.yml#0",
    "models/position_convert.yml#0",
    "models/profile.yml#0",
    "models/trade_find.yml#0",
}
"""Documentation samples and bodies that contradict their own headers: no witness of what Dhan sends."""

_BAD_INPUT = "DH-905 Missing required fields, bad values for parameters etc."
_RESTING = "952502167319 working, BUY 0 of 20 of BSE_EQ:539310 at 0.36, tag '', reason ''"
_NO_PAGE = "a read cannot be read; an order may have been taken; a change may have been made"

READ_AS = {
    "base_api/charts_historical.yml#0": "1 day, the last 2025-01-23: 1687.0 1687.0 1651.25 1664.9 of 17454579",
    "base_api/charts_historical.yml#1": "shut: DH-906 Invalid Token; the token was refused",
    "base_api/margin_calculator.yml#0": "Rs 7140.0 of margin",
    "base_api/marketfeed_ltp.yml#0": "0 prices, 1 unknown",
    "base_api/marketfeed_ohlc.yml#0": "1 prices, 0 unknown: last None, bid None, circuits None None, traded None",
    "base_api/marketfeed_quote.yml#0": "1 prices, 0 unknown: last None, bid None, circuits 0.05 20.05, traded None",
    "base_api/optionchain.yml#0": "246 strikes around 23092.20, 106 of which have two prices",
    "base_api/optionchain_expirylist.yml#0": "18 expiries, 2025-01-30 to 2029-12-27",
    "client/error_400.yml#0": _NO_PAGE,
    "client/error_500.yml#0": _NO_PAGE,
    "client/error_dh_901.yml#0": (
        "unknown: order book cannot be read: DH-901 Client ID or user generated access token is invalid or expired.; "
        "try again; the token was refused"
    ),
    "client/error_dh_905.yml#0": f"unknown: order 112111182198 cannot be read: {_BAD_INPUT}; try again",
    "client/error_invalid_payload.yml#0": f"rejected: {_BAD_INPUT}",
    "client/error_response.yml#0": f"rejected: {_BAD_INPUT}",
    "client/error_unknown.yml#0": _NO_PAGE,
    "client/invalid_json_response.yml#0": "no such order",
    "client/large_payload.yml#0": "0 prices, 1000 unknown",
    "client/margin_calculator.yml#0": "Rs 7140.0 of margin",
    "client/market_quote.yml#0": "1 prices, 0 unknown: last None, bid None, circuits 0.05 20.05, traded None",
    "client/marketfeed_ltp.yml#0": "0 prices, 1 unknown",
    "client/marketfeed_ohlc.yml#0": "0 prices, 1 unknown",
    "client/marketfeed_quote.yml#0": "0 prices, 1 unknown",
    "client/optionchain.yml#0": "246 strikes around 23092.20, 106 of which have two prices",
    "client/optionchain_expirylist.yml#0": "18 expiries, 2025-01-30 to 2029-12-27",
    "models/funds.yml#0": "Rs 115.64 available",
    "models/historical_data.yml#0": "21 days, the last 2024-01-30: 727.28 731.6 720.45 722.15 of 20864384",
    "models/historical_data.yml#1": "75 candles, 2024-09-11 09:15 to 2024-09-13 15:15, {}",
    "models/holdings.yml#0": "2 NIFTYBEES (10576), 2 free, at 252.05",
    "models/ledger_entry.yml#0": "2 rows by the library: CLOSING BALANCE, OPENING BALANCE",
    "models/margin.yml#0": "Rs 1000.0 of margin",
    "models/market_feed.yml#0": "0 prices, 4 unknown",
    "models/market_feed.yml#1": "0 prices, 1 unknown",
    "models/market_feed.yml#2": "0 prices, 2 unknown",
    "models/option_chain.yml#0": "238 strikes around 23482.15, 98 of which have two prices",
    "models/orders/all.yml#0": _RESTING,
    "models/orders/create.yml#0": "accepted: 752502167405 accepted",
    "models/orders/order.yml#0": _RESTING,
    "models/orders/update.yml#0": _RESTING.replace("working", "cancelled"),
    "models/orders/update.yml#1": "rejected: DH-906 Market is Closed! You cannot modify/cancel an order now.",
    "models/trade.yml#0": "20 rows by the library",
    "models/trade_history.yml#0": "20 rows by the library",
    "models/trade_today.yml#0": "35 trades",
}
"""What each real reply says, in our words."""


@pytest.fixture(scope="module")
def exchanges(shared_data: Path) -> dict[str, Exchange]:
    return {each.name: each for each in read_all(shared_data / "dhan-recorded")}


def test_every_recording_is_read_or_named_as_written_by_hand(exchanges: Mapping[str, Exchange]) -> None:
    by_hand = {name for name, each in exchanges.items() if each.template}
    assert by_hand == WRITTEN_BY_HAND
    assert set(READ_AS) == set(exchanges) - WRITTEN_BY_HAND


@pytest.mark.parametrize("name", sorted(READ_AS))
def test_our_classes_read_a_real_reply_as_what_it_is(exchanges: Mapping[str, Exchange], name: str) -> None:
    exchange = exchanges[name]
    with WireStub(default=_server(exchange)) as stub:
        desk = Desk(stub)
        said = _reader_of(exchange)(desk, exchange)
        assert said + ("; the token was refused" if desk.refusals else "") == READ_AS[name]


@dataclass(slots=True)
class Desk:
    """Our classes on a server that gives the recorded answer."""

    stub: WireStub
    refusals: list[str] = field(default_factory=list)

    @property
    def broker(self) -> DhanBroker:
        return DhanBroker(self._client(Endpoint.ORDERS), lambda: NOW)

    @property
    def data(self) -> Any:
        return self._client(Endpoint.DATA).api

    def _client(self, endpoint: Endpoint) -> DhanClient:
        client = DhanClient(self.stub.url, "1000000001", "a-token", endpoint, timeouts_s=(2.0, 2.0))
        client.tell_token_refused(self.refusals.append)
        return client


def _server(exchange: Exchange) -> Callable[[Received], Reply]:
    """Give the recorded answer to the request that it was an answer to, and to every one where that is not ours."""
    is_ours = _reader_of(exchange) is not _no_page

    def answer(request: Received) -> Reply:
        asked = (request.method, request.path.removeprefix("/v2").rstrip("/"))
        same = asked == (exchange.method, exchange.path.rstrip("/"))
        if same or not is_ours:
            return http(exchange.status, exchange.body.encode())
        return http(200, {"availabelBalance": 1.0} if "fundlimit" in request.path else [])

    return answer


def _reader_of(exchange: Exchange) -> Callable[[Desk, Exchange], str]:
    path = exchange.path.split("?")[0].strip("/")
    readers: dict[str, Callable[[Desk, Exchange], str]] = {
        "POST orders": _placed,
        "GET orders": _order_book,
        "GET trades": _trade_book,
        "GET fundlimit": _funds,
        "GET holdings": _holdings,
        "GET ledger": _by_the_library,
        "POST margincalculator": _margin,
        "POST marketfeed": _prices,
        "POST charts/historical": _days,
        "POST charts/intraday": _minutes,
        "POST optionchain": _chain,
        "POST optionchain/expirylist": _expiries,
    }
    if path.startswith("orders/"):
        return _modified if exchange.method == "PUT" else _order
    if path.startswith("trades/"):
        return _by_the_library
    name = "marketfeed" if path.startswith("marketfeed/") else path
    return readers.get(f"{exchange.method} {name}", _no_page)


def _placed(desk: Desk, exchange: Exchange) -> str:
    return _written(desk.broker.place(TICKET))


def _modified(desk: Desk, exchange: Exchange) -> str:
    return _written(desk.broker.modify(exchange.path.split("/")[-1], TICKET, CHANGE))


def _written(reply: WriteReply) -> str:
    return f"{reply.outcome.value}: " + (f"{reply.order_id} {reply.state}" if reply.order_id else reply.reason)


def _order(desk: Desk, exchange: Exchange) -> str:
    try:
        return _shown(desk.broker.order(exchange.path.split("/")[-1]))
    except BrokerUnavailable as error:
        return f"unknown: {error}"


def _shown(order: BrokerOrder | None) -> str:
    if order is None:
        return "no such order"
    return (
        f"{order.order_id} {order.state.value}, {order.side.value} {order.filled_quantity} of {order.quantity} of "
        f"{order.segment}:{order.security_id} at {order.price}, tag {order.correlation_id!r}, reason {order.reason!r}"
    )


def _order_book(desk: Desk, exchange: Exchange) -> str:
    found = desk.broker.snapshot()
    return "; ".join(map(_shown, found.orders)) if found.known else f"unknown: {found.reason}"


def _trade_book(desk: Desk, exchange: Exchange) -> str:
    found = desk.broker.snapshot()
    assert found.known, found.reason
    priced = sum(each.price > 0 and each.quantity > 0 and each.time is not None for each in found.trades)
    return f"{priced} trades"


def _funds(desk: Desk, exchange: Exchange) -> str:
    return f"Rs {desk.broker.snapshot().available_funds} available"


def _holdings(desk: Desk, exchange: Exchange) -> str:
    return "; ".join(
        f"{each.quantity} {each.trading_symbol} ({each.security_id}), {each.available_quantity} free, "
        f"at {each.average_price}"
        for each in desk.broker.margins.holdings()
    )


def _margin(desk: Desk, exchange: Exchange) -> str:
    return f"Rs {desk.broker.margins.margin(TICKET).total} of margin"


def _prices(desk: Desk, exchange: Exchange) -> str:
    asked = [
        share(str(number), Segment(segment))
        for segment, ids in exchange.request.items()
        if segment in set(Segment)
        for number in ids
    ]
    found = read_snapshots(desk.data, asked or [share("1594")], Detail(exchange.path.split("/")[-1]))
    told = f"{len(found.prices)} prices, {len(found.unknown)} unknown"
    for each in found.prices.values():
        told += f": last {each.last}, bid {each.bid}, circuits {each.lower_circuit} {each.upper_circuit}, "
        told += f"traded {each.traded_at}"
    return told


def _candles(desk: Desk) -> CandleReader:
    return CandleReader(desk.data, calendar(), lambda: NOW)


def _days(desk: Desk, exchange: Exchange) -> str:
    first, until = (date.fromisoformat(exchange.request[name]) for name in ("fromDate", "toDate"))
    found = _candles(desk).days(share("1333"), first, until - timedelta(days=1))
    if found.frame.empty:
        return f"{found.reading.verdict.value}: {found.reading.code} {found.reading.words}"
    assert not found.dropped
    last = found.frame.iloc[-1]
    prices = " ".join(str(last[name]) for name in ("open", "high", "low", "close"))
    count = f"{len(found.frame)} day" + ("s" if len(found.frame) > 1 else "")
    return f"{count}, the last {found.frame.index[-1]:%Y-%m-%d}: {prices} of {last['volume']:.0f}"


def _minutes(desk: Desk, exchange: Exchange) -> str:
    first, last = (datetime.fromisoformat(exchange.request[name]) for name in ("fromDate", "toDate"))
    start, end = first.replace(tzinfo=IST), last.replace(tzinfo=IST) + timedelta(days=1)
    found = _candles(desk).minutes(share("1333"), start, end)
    opened = found.frame.index
    return f"{len(opened)} candles, {opened[0]:%Y-%m-%d %H:%M} to {opened[-1]:%Y-%m-%d %H:%M}, {dict(found.dropped)}"


def _chain(desk: Desk, exchange: Exchange) -> str:
    found = read_chain(desk.data, NIFTY, date.fromisoformat(exchange.request["Expiry"]))
    both = sum(bool(row.ce and row.pe and row.ce.last and row.pe.last) for row in found.rows)
    return f"{len(found.rows)} strikes around {found.spot}, {both} of which have two prices"


def _expiries(desk: Desk, exchange: Exchange) -> str:
    found = read_expiries(desk.data, NIFTY)
    return f"{len(found)} expiries, {found[0]} to {found[-1]}"


def _by_the_library(desk: Desk, exchange: Exchange) -> str:
    """Nothing of ours reads the account's papers: the broker's library gives them to the user as they came."""
    with _library(desk.stub) as api:
        if exchange.path.startswith("/ledger"):
            rows = api.ledger_report("2024-07-01", "2024-07-31")["data"]
            return f"{len(rows)} rows by the library: " + ", ".join(row["narration"] for row in rows)
        first, last = exchange.path.split("/")[2:4]
        return f"{len(api.get_trade_history(first, last)['data'])} rows by the library"


@contextmanager
def _library(stub: WireStub) -> Iterator[Any]:
    context = DhanContext("1000000001", "a-token")
    wire = context.get_dhan_http()
    wire.base_url = stub.url
    wire.session.trust_env = False
    yield dhanhq.dhanhq(context)
    wire.session.close()


def _no_page(desk: Desk, exchange: Exchange) -> str:
    """A path that we never ask for: its answer, met on our own requests."""
    told = []
    try:
        told.append(f"a read gives {desk.broker.order('1')}")
    except BrokerUnavailable:
        told.append("a read cannot be read")
    placed, changed = desk.broker.place(TICKET), desk.broker.modify("1", TICKET, CHANGE)
    told.append("an order may have been taken" if placed.outcome == "unknown" else _written(placed))
    told.append("a change may have been made" if changed.outcome == "unknown" else _written(changed))
    return "; ".join(told)
