"""Dhan's trading REST: orders and trades."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from workbench.simulator import wire
from workbench.simulator.admission import refusal, unknown_order
from workbench.simulator.exchange import Simulator
from workbench.simulator.limits import Answer


def answer(status: int, body: Any) -> Response:
    """Give a JSON response; None is no body at all."""
    if body is None:
        return Response(status_code=status)
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

    async def place(request: Request) -> Response:
        return soon(simulator, desk.place(await read_body(request)))

    async def place_sliced(request: Request) -> Response:
        return soon(simulator, desk.place_sliced(await read_body(request)))

    async def modify(order_id: str, request: Request) -> Response:
        return answer(*desk.modify(order_id, await read_body(request)))

    async def cancel(order_id: str) -> Response:
        return answer(*desk.cancel(order_id))

    async def orders() -> Response:
        return answer(200, [wire.order_row(each, client) for each in desk.book()])

    async def order(order_id: str) -> Response:
        found = next((each for each in desk.book() if each.order_id == order_id), None)
        # A list of one is what was recorded; Dhan's pages show the row alone. The look-up by correlation id gives that.
        return answer(200, [wire.order_row(found, client)] if found else [])

    async def by_correlation(correlation_id: str) -> Response:
        found = desk.by_tag(correlation_id)
        return answer(200, wire.order_row(found, client)) if found else answer(*refusal(unknown_order()))

    async def trades(order_id: str | None = None) -> Response:
        rows = [each for each in desk.trades if order_id in (None, each.order.shown_id)]
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


def soon(simulator: Simulator, result: Answer) -> Response:
    """Answer now; what was received reaches the exchange a moment later."""
    asyncio.get_running_loop().call_later(simulator.config.transit_s or 0.0005, simulator.desk.admit_transit)
    return answer(*result)
