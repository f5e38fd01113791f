"""Dhan's market-data REST: snapshots, candles, option chain, instrument masters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from workbench.core.instrument import InstrumentKind
from workbench.core.session import IST
from workbench.simulator import masters, wire
from workbench.simulator.admission import price_band
from workbench.simulator.board import model_minutes
from workbench.simulator.exchange import Simulator
from workbench.simulator.listing import Listed
from workbench.simulator.market import CLOCK_SEGMENT
from workbench.simulator.paths import Minutes, days_between
from workbench.simulator.rest_orders import answer, read_body

MOST_DAYS = 90
_INTERVALS = (1, 5, 15, 25, 60)


def data_routes(simulator: Simulator) -> APIRouter:
    """Give the routes under `/v2` that tell of the market."""
    router = APIRouter()

    async def snapshot(kind: str, request: Request) -> Response:
        if kind not in ("ltp", "ohlc", "quote"):
            return answer(404, {"status": 404, "error": "Not Found", "path": f"/v2/marketfeed/{kind}"})
        body = await read_body(request)
        found: dict[str, dict[str, Any]] = {}
        for segment, ids in body.items():
            if isinstance(ids, list):
                rows = ((str(each), simulator.find(segment, each)) for each in ids)
                found[segment] = {name: _snapshot(simulator, listed, kind) for name, listed in rows if listed}
        return answer(200, {"data": found, "status": "success"})

    async def intraday(request: Request) -> Response:
        return answer(*_intraday(simulator, await read_body(request)))

    async def historical(request: Request) -> Response:
        return answer(*_historical(simulator, await read_body(request)))

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
    router.add_api_route("/optionchain", chain, methods=["POST"])
    router.add_api_route("/optionchain/expirylist", expiries, methods=["POST"])
    router.add_api_route("/instrument/{segment}", of_segment, methods=["GET"])
    return router


def csv_answer(text: str) -> Response:
    """Give a CSV response."""
    return Response(text, media_type="text/csv")


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
    return 200, {"data": {"last_price": simulator.board.spot(symbol), "oc": strikes}, "status": "success"}


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


def _moment(text: object, *, end_of_day: bool) -> datetime | None:
    """Read `YYYY-MM-DD[ HH:MM:SS]` in India; a bare end date includes its day."""
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if len(str(text)) <= 10 and end_of_day:
        read += timedelta(days=1)
    return read.replace(tzinfo=IST)


def _bad_input(message: str) -> tuple[int, Any]:
    return 400, wire.error("Input_Exception", "DH-905", message)


def _empty() -> dict[str, list[float]]:
    return {name: [] for name in ("open", "high", "low", "close", "volume", "timestamp")}


def _intraday(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    start = _moment(body.get("fromDate"), end_of_day=False)
    end = _moment(body.get("toDate"), end_of_day=True)
    if start is None or end is None or start > end:
        return _bad_input("Missing required fields, bad values for parameters etc.")
    if (end - start).days > MOST_DAYS:
        return _bad_input(f"Data for Intraday Charts can be fetched for {MOST_DAYS} days at a time")
    try:
        interval = int(str(body.get("interval", 1)))
    except ValueError:
        interval = 0
    if interval not in _INTERVALS:
        return _bad_input("Invalid interval: use 1, 5, 15, 25 or 60")
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    if listed is None:
        return 200, _empty()
    first, last = start.date(), min(end.date(), simulator.day)
    parts = [_bars(day, interval) for _, day in _days(simulator, listed, first, last)]
    return 200, _columns(Minutes.joined(parts), int(start.timestamp()), int(end.timestamp()), bool(body.get("oi")))


def _historical(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    start = _moment(body.get("fromDate"), end_of_day=False)
    end = _moment(body.get("toDate"), end_of_day=False)
    if start is None or end is None or start > end:
        return _bad_input("Missing required fields, bad values for parameters etc.")
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    if listed is None:
        return 200, _empty()
    last = min(end.date(), simulator.day) - timedelta(days=1)  # toDate is exclusive; today is not a daily candle yet
    days = []
    for day, minutes in _days(simulator, listed, start.date(), last):
        if len(minutes):
            stamp = int(datetime(day.year, day.month, day.day, tzinfo=IST).timestamp())
            days.append(
                Minutes(
                    np.array([stamp], dtype=np.int64), minutes.open[:1], np.array([minutes.high.max()]),
                    np.array([minutes.low.min()]), minutes.close[-1:],
                )
            )  # fmt: skip
    joined = Minutes.joined(days)
    return 200, _columns(joined, int(start.timestamp()), int(end.timestamp()), bool(body.get("oi")))


def _days(simulator: Simulator, listed: Listed, first: date, last: date) -> Iterator[tuple[date, Minutes]]:
    """Give the minute candles of an instrument day by day."""
    market, symbol = simulator.market, listed.instrument.symbol
    of_index = listed.instrument.kind in (InstrumentKind.INDEX, InstrumentKind.SYNTHETIC)
    for day in days_between(first, last):
        if day == simulator.day:
            yield day, simulator.board.minutes(listed)
            continue
        known = simulator.calendar.knows(CLOCK_SEGMENT, day)
        if day < simulator.day and known and simulator.calendar.session(CLOCK_SEGMENT, day) is not None:
            minutes = market.minutes(symbol, day)
            yield day, minutes if of_index else model_minutes(listed, minutes, simulator.pricer(symbol, day))


def _bars(minutes: Minutes, interval: int) -> Minutes:
    """Put the minutes of one day together, anchored at the first one's session open (09:15 on a normal day)."""
    if interval == 1 or not len(minutes):
        return minutes
    size = interval * 60
    anchor = int(minutes.times[0])
    anchor -= (anchor - _open_of(anchor)) % size
    groups = (minutes.times - anchor) // size
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    ends = np.append(starts[1:], len(groups)) - 1
    return Minutes(
        anchor + groups[starts] * size,
        minutes.open[starts],
        np.maximum.reduceat(minutes.high, starts),
        np.minimum.reduceat(minutes.low, starts),
        minutes.close[ends],
    )


def _open_of(stamp: int) -> int:
    """Give 09:15 of that day, or the full quarter before for an evening session."""
    moment = datetime.fromtimestamp(stamp, IST)
    return int(moment.replace(hour=9, minute=15, second=0).timestamp())


def _columns(minutes: Minutes, start: int, end: int, interest: bool) -> dict[str, list[float]]:
    inside = (minutes.times >= start) & (minutes.times < end)
    count = int(inside.sum())
    columns: dict[str, list[float]] = {
        "open": minutes.open[inside].tolist(),
        "high": minutes.high[inside].tolist(),
        "low": minutes.low[inside].tolist(),
        "close": minutes.close[inside].tolist(),
        "volume": [0] * count,
        "timestamp": minutes.times[inside].tolist(),
    }
    if interest:
        columns["open_interest"] = [0] * count
    return columns
