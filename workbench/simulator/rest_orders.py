"""Dhan's trading REST: orders, trades, positions, funds, margins, profile, kill switch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from workbench.core.charges import Execution, charge_kind, exchange_of, fill_charges
from workbench.core.money import ZERO
from workbench.core.signal import Side
from workbench.simulator import wire
from workbench.simulator.account import margin_of
from workbench.simulator.admission import number
from workbench.simulator.desk import refusal, unknown_order
from workbench.simulator.exchange import Simulator
from workbench.simulator.orders import Status


def answer(status: int, body: Any) -> Response:
    """Give a JSON response."""
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


async def read_body(request: Request) -> dict[str, Any]:
    """Read a JSON object; anything else reads as an empty one, whose fields are then missing."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def order_routes(simulator: Simulator) -> APIRouter:
    """Give the routes of the order book."""
    router = APIRouter()
    desk = simulator.desk
    client = simulator.client_id

    def soon(result: tuple[int, Any]) -> Response:
        """Answer now; what was received reaches the exchange a moment later."""
        loop = asyncio.get_running_loop()
        loop.call_later(simulator.config.transit_s or 0.0005, desk.admit_transit)
        return answer(*result)

    async def place(request: Request) -> Response:
        return soon(desk.place(await read_body(request)))

    async def place_sliced(request: Request) -> Response:
        return soon(desk.place_sliced(await read_body(request)))

    async def modify(order_id: str, request: Request) -> Response:
        return answer(*desk.modify(order_id, await read_body(request)))

    async def cancel(order_id: str) -> Response:
        return answer(*desk.cancel(order_id))

    async def orders() -> Response:
        return answer(200, [wire.order_row(each, client) for each in desk.orders.values()])

    async def order(order_id: str) -> Response:
        found = desk.orders.get(order_id)
        return answer(200, wire.order_row(found, client) if found else [])

    async def by_correlation(correlation_id: str) -> Response:
        found = [each for each in desk.orders.values() if each.correlation_id == correlation_id]
        if not found or found[-1].status is Status.TRANSIT:
            return answer(*refusal(unknown_order()))
        return answer(200, wire.order_row(found[-1], client))

    async def trades(order_id: str | None = None) -> Response:
        rows = [each for each in desk.trades if order_id in (None, each.order.order_id)]
        return answer(200, [wire.trade_row(each, client) for each in rows])

    add = router.add_api_route
    add("/orders", place, methods=["POST"])
    add("/orders/slicing", place_sliced, methods=["POST"])
    add("/orders", orders, methods=["GET"])
    add("/orders/external/{correlation_id}", by_correlation, methods=["GET"])
    add("/orders/{order_id}", order, methods=["GET"])
    add("/orders/{order_id}", modify, methods=["PUT"])
    add("/orders/{order_id}", cancel, methods=["DELETE"])
    add("/trades", trades, methods=["GET"])
    add("/trades/", trades, methods=["GET"])
    add("/trades/{order_id}", trades, methods=["GET"])
    return router


def account_routes(simulator: Simulator) -> APIRouter:
    """Give the routes of the account."""
    router = APIRouter()
    desk = simulator.desk

    async def positions() -> Response:
        return answer(200, simulator.positions())

    async def exit_all() -> Response:
        return answer(*desk.exit_all())

    async def holdings() -> Response:
        return answer(500, wire.error("HOLDING_ERROR", "DH-1111", "No holdings available"))

    async def funds() -> Response:
        return answer(200, simulator.funds())

    async def margin(request: Request) -> Response:
        return answer(*_margin(simulator, await read_body(request)))

    async def kill_switch(request: Request) -> Response:
        word = request.query_params.get("killSwitchStatus", "")
        if word not in ("ACTIVATE", "DEACTIVATE"):
            return answer(400, wire.error("Input_Exception", "DH-905", "Invalid killSwitchStatus"))
        return answer(*desk.kill(active=word == "ACTIVATE"))

    async def kill_switch_status() -> Response:
        word = "ACTIVATE" if desk.killed else "DEACTIVATE"
        return answer(200, {"dhanClientId": simulator.client_id, "killSwitchStatus": word})

    async def profile() -> Response:
        return answer(200, _profile(simulator))

    async def renew() -> Response:
        until = simulator.now.replace(hour=23, minute=59, second=0)
        body = {
            "dhanClientId": simulator.client_id,
            "accessToken": simulator.token,
            "expiryTime": until.strftime("%Y-%m-%dT%H:%M:%S.000"),
        }
        return answer(200, body)

    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/positions", positions),
        ("DELETE", "/positions", exit_all),
        ("GET", "/holdings", holdings),
        ("GET", "/fundlimit", funds),
        ("POST", "/margincalculator", margin),
        ("POST", "/killswitch", kill_switch),
        ("GET", "/killswitch", kill_switch_status),
        ("GET", "/profile", profile),
        ("GET", "/RenewToken", renew),
        ("POST", "/RenewToken", renew),
    ]
    for method, path, handler in routes:
        router.add_api_route(path, handler, methods=[method])
    return router


def _profile(simulator: Simulator) -> dict[str, Any]:
    end = simulator.now.replace(hour=23, minute=59)
    return {
        "dhanClientId": simulator.client_id,
        "tokenValidity": end.strftime("%d/%m/%Y %H:%M"),
        "activeSegment": "E, D, C, M, ",
        "ddpi": "Deactive",
        "mtf": "Deactive",
        "dataPlan": "Active",
        "dataValidity": end.strftime("%Y-%m-%d %H:%M:%S.0"),
    }


def _margin(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    quantity, price = number(body.get("quantity")), number(body.get("price"))
    word = str(body.get("transactionType"))
    if listed is None or not quantity or price is None or word not in set(Side):
        return 400, wire.error("Input_Exception", "DH-905", "Missing required fields, bad values for parameters etc.")
    price = price or simulator.last(listed)
    spot = simulator.desk.spots()[listed.instrument.symbol]
    total = margin_of(listed, Side(word), int(quantity), price, spot)
    funds = simulator.funds()
    free = float(str(funds["availabelBalance"]))
    fill = Execution(side=Side(word), quantity=int(quantity), price=price, on=simulator.day)
    kind, exchange = charge_kind(listed.instrument.kind), exchange_of(listed.instrument.segment)
    brokerage = fill_charges(simulator.charges, kind, exchange, fill).brokerage
    return 200, {
        "totalMargin": float(total),
        "spanMargin": float(total),
        "exposureMargin": 0.0,
        "availableBalance": free,
        "variableMargin": 0.0,
        "insufficientBalance": max(0.0, float(total) - free),
        "brokerage": float(brokerage),
        "leverage": f"{price * quantity / total:.2f}" if total > ZERO else "1.00",
    }
