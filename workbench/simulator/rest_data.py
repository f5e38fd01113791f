"""Dhan's market-data REST: snapshots, candles, option chain, instrument masters."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from workbench.core.instrument import Segment
from workbench.simulator import charts, masters
from workbench.simulator.admission import price_band
from workbench.simulator.exchange import Simulator
from workbench.simulator.listing import Listed
from workbench.simulator.rest_orders import answer, read_body
from workbench.simulator.rolling import rolling_option

MOST_SNAPSHOTS = 1000
_SEGMENTS = frozenset(each.value for each in Segment)


def data_routes(simulator: Simulator) -> APIRouter:
    """Give the routes under `/v2` that tell of the market."""
    router = APIRouter()

    async def snapshot(kind: str, request: Request) -> Response:
        return answer(*_snapshots(simulator, kind, await read_body(request)))

    async def intraday(request: Request) -> Response:
        return answer(*charts.intraday(simulator, await read_body(request)))

    async def historical(request: Request) -> Response:
        return answer(*charts.historical(simulator, await read_body(request)))

    async def rolling(request: Request) -> Response:
        return answer(*rolling_option(simulator, await read_body(request)))

    async def expiries(request: Request) -> Response:
        listed = _underlying(simulator, await read_body(request))
        if listed is None:
            return answer(400, {"status": "failed", "data": {"813": "Invalid SecurityId"}})
        days = simulator.listing.expiries(listed.instrument.symbol)
        return answer(200, {"data": [each.isoformat() for each in days], "status": "success"})

    async def chain(request: Request) -> Response:
        return answer(*_chain(simulator, await read_body(request)))

    async def of_segment(segment: str) -> Response:
        return csv_answer(masters.detailed(simulator.listing, segment))

    router.add_api_route("/marketfeed/{kind}", snapshot, methods=["POST"])
    router.add_api_route("/charts/intraday", intraday, methods=["POST"])
    router.add_api_route("/charts/historical", historical, methods=["POST"])
    router.add_api_route("/charts/rollingoption", rolling, methods=["POST"])
    router.add_api_route("/optionchain", chain, methods=["POST"])
    router.add_api_route("/optionchain/expirylist", expiries, methods=["POST"])
    router.add_api_route("/instrument/{segment}", of_segment, methods=["GET"])
    return router


def csv_answer(text: str) -> Response:
    """Give a CSV response."""
    return Response(text, media_type="text/csv")


def _snapshots(simulator: Simulator, kind: str, body: dict[str, Any]) -> tuple[int, Any]:
    if kind not in ("ltp", "ohlc", "quote"):
        return 404, {"status": 404, "error": "Not Found", "path": f"/v2/marketfeed/{kind}"}
    # The broker's own library puts the client's id among the segments: what names no segment is passed over (recorded).
    asked = {segment: ids for segment, ids in body.items() if segment in _SEGMENTS and isinstance(ids, list)}
    if sum(len(ids) for ids in asked.values()) > MOST_SNAPSHOTS:
        return 400, {"status": "failed", "data": {"804": "Requested number of instruments exceeds limit"}}
    found: dict[str, dict[str, Any]] = {}
    for segment, ids in asked.items():
        rows = ((str(each), simulator.find(segment, each)) for each in ids)
        found[segment] = {name: _snapshot(simulator, listed, kind) for name, listed in rows if listed}
    return 200, plain({"data": found, "status": "success"})


def plain(document: Any) -> Any:
    """Write whole numbers without a point, as the broker does in snapshots and chains (not in candles)."""
    match document:
        case dict():
            return {name: plain(value) for name, value in document.items()}
        case list():
            return [plain(value) for value in document]
        case float() if document.is_integer():
            return int(document)
        case _:
            return document


def _snapshot(simulator: Simulator, listed: Listed, kind: str) -> dict[str, Any]:
    board = simulator.board
    level = board.level(listed)
    row: dict[str, Any] = {"last_price": level.last}
    if kind == "ltp":
        return row
    day, close = board.day_range(listed), board.previous_close(listed)
    row["ohlc"] = {"open": day.open, "close": close, "high": day.high, "low": day.low}
    if kind == "ohlc":
        return row
    rows = board.depth(listed)
    low, high = price_band(listed, level)
    interest = board.interest(listed)
    traded = board.second >= 0
    row |= {
        "average_price": round((day.high + day.low + level.last) / 3, 2) if level.volume else 0.0,
        "buy_quantity": sum(each[0] for each in rows),
        "sell_quantity": sum(each[1] for each in rows),
        "depth": {
            "buy": [{"quantity": each[0], "orders": 1 + each[0] // 75, "price": each[2]} for each in rows],
            "sell": [{"quantity": each[1], "orders": 1 + each[1] // 75, "price": each[3]} for each in rows],
        },
        "last_quantity": listed.instrument.lot if level.volume else 0,
        "last_trade_time": board.now.strftime("%d/%m/%Y %H:%M:%S") if traded else "01/01/1980 00:00:00",
        "lower_circuit_limit": float(low),
        "upper_circuit_limit": float(high),
        "net_change": round(level.last - close, 2),
        "oi": interest,
        "oi_day_high": interest,
        "oi_day_low": interest,
        "volume": level.volume,
    }
    return row


def _underlying(simulator: Simulator, body: dict[str, Any]) -> Listed | None:
    return simulator.find(str(body.get("UnderlyingSeg")), body.get("UnderlyingScrip"))


def _chain(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    listed = _underlying(simulator, body)
    if listed is None:
        return 400, {"status": "failed", "data": {"813": "Invalid SecurityId"}}
    symbol = listed.instrument.symbol
    options = [
        each
        for each in simulator.listing.options(symbol)
        if each.instrument.expiry is not None and each.instrument.expiry.isoformat() == str(body.get("Expiry"))
    ]
    if not options:
        return 400, {"status": "failed", "data": {"811": "Invalid Expiry Date"}}
    strikes: dict[str, dict[str, Any]] = {}
    for each in options:
        right = each.instrument.right
        if right is not None:
            strikes.setdefault(f"{each.instrument.strike:.6f}", {})[right.value.lower()] = _side(simulator, each)
    # The broker keeps the price of the underlying in four bytes: 23092.2 is told as 23092.19921875.
    spot = float(np.float32(simulator.board.spot(symbol)))
    return 200, plain({"data": {"last_price": spot, "oc": strikes}, "status": "success"})


def _side(simulator: Simulator, listed: Listed) -> dict[str, Any]:
    board, instrument = simulator.board, listed.instrument
    level = board.level(listed)
    if instrument.right is None or instrument.strike is None:
        return {}
    greeks = board.pricers[instrument.symbol].greeks(
        instrument.right, float(instrument.strike), board.spot(instrument.symbol), board.seconds_left(listed)
    )
    interest = board.interest(listed)
    return {
        "average_price": level.last if level.volume else 0.0,
        "greeks": {
            "delta": round(greeks.delta, 5), "theta": round(greeks.theta, 5), "gamma": round(greeks.gamma, 7),
            "vega": round(greeks.vega, 5),
        },
        "implied_volatility": round(greeks.volatility * 100, 4),
        "last_price": level.last,
        "oi": interest,
        "previous_close_price": board.previous_close(listed),
        "previous_oi": interest,
        "previous_volume": 0,
        "security_id": listed.number,
        "top_ask_price": level.ask,
        "top_ask_quantity": level.ask_quantity,
        "top_bid_price": level.bid,
        "top_bid_quantity": level.bid_quantity,
        "volume": level.volume,
    }  # fmt: skip
