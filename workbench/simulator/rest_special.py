"""Dhan's REST of orders that wait at the broker: super orders, conditional triggers, forever orders."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from workbench.simulator.admission import refusal, unknown_order
from workbench.simulator.conditional import forever_refused
from workbench.simulator.exchange import Simulator
from workbench.simulator.rest_orders import answer, read_body, soon


def special_routes(simulator: Simulator) -> APIRouter:
    """Give all of them."""
    router = APIRouter()
    for routes in (_super_routes(simulator), _conditional_routes(simulator), _forever_routes()):
        router.include_router(routes)
    return router


def _super_routes(simulator: Simulator) -> APIRouter:
    router = APIRouter(prefix="/super/orders")

    async def place(request: Request) -> Response:
        return soon(simulator, simulator.super_orders.place(await read_body(request)))

    async def rows() -> Response:
        return answer(200, simulator.super_rows())

    async def modify(order_id: str, request: Request) -> Response:
        return answer(*simulator.super_orders.modify(order_id, await read_body(request)))

    async def cancel(order_id: str, leg: str) -> Response:
        return answer(*simulator.super_orders.cancel(order_id, leg))

    router.add_api_route("", place, methods=["POST"])
    router.add_api_route("", rows, methods=["GET"])
    router.add_api_route("/{order_id}", modify, methods=["PUT"])
    router.add_api_route("/{order_id}/{leg}", cancel, methods=["DELETE"])
    return router


def _conditional_routes(simulator: Simulator) -> APIRouter:
    router = APIRouter(prefix="/alerts/orders")
    conditional = simulator.conditional

    async def place(request: Request) -> Response:
        return answer(*conditional.place(await read_body(request)))

    async def rows() -> Response:
        return answer(200, conditional.rows())

    async def one(alert_id: str) -> Response:
        return answer(*conditional.one(alert_id))

    async def modify(alert_id: str, request: Request) -> Response:
        return answer(*conditional.modify(alert_id, await read_body(request)))

    async def cancel(alert_id: str) -> Response:
        return answer(*conditional.cancel(alert_id))

    router.add_api_route("", place, methods=["POST"])
    router.add_api_route("", rows, methods=["GET"])
    router.add_api_route("/{alert_id}", one, methods=["GET"])
    router.add_api_route("/{alert_id}", modify, methods=["PUT"])
    router.add_api_route("/{alert_id}", cancel, methods=["DELETE"])
    return router


def _forever_routes() -> APIRouter:
    router = APIRouter(prefix="/forever/orders")

    async def place() -> Response:
        return answer(*forever_refused())

    async def rows() -> Response:
        return answer(200, [])

    async def unknown(order_id: str) -> Response:  # noqa: ARG001
        return answer(*refusal(unknown_order()))

    router.add_api_route("", place, methods=["POST"])
    router.add_api_route("", rows, methods=["GET"])
    router.add_api_route("/{order_id}", unknown, methods=["PUT", "DELETE"])
    return router
