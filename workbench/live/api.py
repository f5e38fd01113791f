"""The engine's API on 127.0.0.1: what the control page, the CLI and a person's own tools read and order.

Reading is open to this machine; writing needs the admin token. Both refuse a foreign Host (DNS rebinding) and a foreign
Origin; the webhook alone may be reached under another name, through a tunnel.

Invariant: a request can order only what `Operator` and `AlertAction` know; no route sends an order by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from workbench import __version__
from workbench.core.errors import WorkbenchError
from workbench.core.messages import (
    AccountFrozen,
    AlertAction,
    AlertReceived,
    Operator,
    OperatorOrdered,
    PositionSettled,
    SettlementTold,
)
from workbench.live import status as views
from workbench.live.guard import Guard
from workbench.live.metrics import CONTENT_TYPE, LagMeter, registry_of, text_of
from workbench.live.operator_routes import by_hand_routes, kill_routes
from workbench.live.preview import button, choose_deployment, preview
from workbench.live.system import LiveSystem
from workbench.live.webhook import AlertDoor, webhook_routes

PUSH_EVERY_S = 1.0


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class OrderBody(_Body):
    """Body of halt, resume, flatten and close: why, and who."""

    reason: Annotated[str, Field(max_length=200)] = ""
    who: Annotated[str, Field(max_length=40)] = "operator"


class SwitchBody(OrderBody):
    """Body of halt and resume: of one deployment, or of all where none is named."""

    deployment: Annotated[str, Field(max_length=40)] | None = None


class ButtonBody(_Body):
    """One of the four buttons, and for which deployment."""

    action: Annotated[str, Field(max_length=20)]
    deployment: Annotated[str, Field(max_length=40)] | None = None


class TestBody(_Body):
    """A test alert for a deployment."""

    __test__ = False

    deployment: Annotated[str, Field(max_length=40)]
    action: Annotated[str, Field(max_length=20)] = "BUY_CE"


class ReportBody(_Body):
    """The day to export; today without one."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None


class SettlementBody(_Body):
    """At which price of the underlying (rupees) the exchange settled contracts of an expiry."""

    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9&-]{1,20}$")]
    expiry: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    price: Annotated[str, Field(pattern=r"^\d{1,7}(\.\d{1,4})?$")]


def create_app(system: LiveSystem, lag: LagMeter | None = None) -> FastAPI:
    """Build the app of one running account; `lag` measures the loop that it runs on."""
    app = FastAPI(title="workbench engine", version=__version__, docs_url="/docs", redoc_url=None)
    door = AlertDoor(system)
    app.include_router(webhook_routes(door))
    app.include_router(_reading(system))
    app.include_router(_market(system))
    app.include_router(_writing(system, door))
    app.include_router(kill_routes(system))
    app.include_router(by_hand_routes(system))
    app.include_router(_alarms(system))
    app.include_router(_pushing(system))
    app.include_router(_metrics(system, lag))
    app.add_middleware(Guard, admin_token=system.admin_token)

    _explain_refusals(app)
    return app


def _explain_refusals(app: FastAPI) -> None:
    """Every refusal has one shape: error, field, way_out."""

    @app.exception_handler(WorkbenchError)
    async def unusable(_: Request, error: WorkbenchError) -> JSONResponse:
        return JSONResponse({"error": str(error), "field": "", "way_out": ""}, status_code=422)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail, "field": "", "way_out": ""}, status_code=error.status_code)

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse(
            {"error": f"{where or 'body'}: {first['msg']}", "field": where, "way_out": "see /docs"}, 422
        )


def _reading(system: LiveSystem) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, Any]:
        return views.health(system)

    @router.get("/api/status")
    async def status() -> dict[str, Any]:
        return views.status(system)

    @router.get("/live/positions")
    async def positions() -> list[dict[str, Any]]:
        return [views.position_view(system, item) for item in system.runner.engine.book.live_positions()]

    @router.get("/live/position/{position_id}")
    async def position(position_id: str) -> dict[str, Any]:
        found = system.runner.engine.book.positions.get(position_id)
        if found is None:
            raise HTTPException(404, f"no position {position_id[:40]!r} today; see: workbench positions")
        return views.position_view(system, found)

    @router.get("/api/stays")
    async def stays() -> list[dict[str, Any]]:
        return views.stay_views(system)

    @router.get("/live/orders")
    async def orders() -> list[dict[str, Any]]:
        book = system.runner.engine.book
        return [views.order_view(item, book.submitted_at.get(key)) for key, item in book.orders.items()]

    @router.get("/live/trades")
    async def trades() -> list[dict[str, Any]]:
        return [views.trade_view(item) for item in system.runner.ledger.trades]

    @router.get("/api/deployments")
    async def deployments() -> list[dict[str, Any]]:
        return views.deployment_views(system)

    return router


def _metrics(system: LiveSystem, lag: LagMeter | None) -> APIRouter:
    router = APIRouter()
    registry = registry_of(system, lag)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(text_of(registry), media_type=CONTENT_TYPE)

    return router


def _market(system: LiveSystem) -> APIRouter:
    router = APIRouter()

    @router.get("/live/spot-price")
    async def spot_price(symbol: str | None = None) -> dict[str, Any]:
        names = sorted({item.symbol for item in system.runner.engine.config.deployments})
        wanted = symbol or (names[0] if names else "NIFTY")
        quote = system.spot_quote(wanted)
        if quote is None:
            raise HTTPException(404, f"no price of {wanted[:40]!r} yet; watched: {', '.join(names) or 'nothing'}")
        return {
            "symbol": wanted,
            "price": views.number(quote.last),
            "time": quote.time.isoformat(),
            "age_s": round((system.now - quote.time).total_seconds(), 1),
        }

    @router.get("/live/candles/latest")
    async def candles(
        symbol: str = "NIFTY", interval: str = "5m", count: Annotated[int, Query(ge=1, le=500)] = 24
    ) -> list[dict[str, Any]]:
        return [dict(bar) for bar in system.candles(symbol, interval, count)]

    @router.get("/live/signals/pending")
    async def signals() -> list[dict[str, Any]]:
        return [row for row in views.alert_views(system, 50, signals=True) if row["kind"] == "signal"]

    @router.get("/live/alerts")
    async def alerts(count: Annotated[int, Query(ge=1, le=500)] = 50) -> list[dict[str, Any]]:
        return views.alert_views(system, count)

    return router


def _switches(system: LiveSystem, router: APIRouter) -> None:
    async def turn(command: Operator, body: SwitchBody | None) -> dict[str, Any]:
        given = body or SwitchBody()
        name = choose_deployment(system, given.deployment).name if given.deployment else ""
        order = OperatorOrdered(command=command, target=name, reason=given.reason, who=given.who)
        return await _order(system, order)

    @router.post("/api/halt")
    async def halt(body: SwitchBody | None = None) -> dict[str, Any]:
        return await turn(Operator.HALT, body)

    @router.post("/api/resume")
    async def resume(body: SwitchBody | None = None) -> dict[str, Any]:
        return await turn(Operator.RESUME, body)


def _writing(system: LiveSystem, door: AlertDoor) -> APIRouter:
    router = APIRouter()

    def orders(command: Operator) -> Callable[[OrderBody | None], Awaitable[dict[str, Any]]]:
        async def order(body: OrderBody | None = None) -> dict[str, Any]:
            given = body or OrderBody()
            return await _order(system, OperatorOrdered(command=command, reason=given.reason, who=given.who))

        return order

    _switches(system, router)
    for command in (Operator.FLATTEN, Operator.UNFREEZE):
        router.post(f"/api/{command.value}", name=command.value)(orders(command))

    @router.post("/live/position/{position_id}/close")
    async def close(position_id: str, body: OrderBody | None = None) -> dict[str, Any]:
        given = body or OrderBody()
        held = system.runner.engine.book.positions.get(position_id)
        if held is None or not held.is_live:
            raise HTTPException(404, f"no open position {position_id[:40]!r}; see: workbench positions")
        order = OperatorOrdered(command=Operator.CLOSE, target=position_id, reason=given.reason, who=given.who)
        return await _order(system, order)

    @router.post("/api/settlement")
    async def settlement(body: SettlementBody) -> dict[str, Any]:
        return await _settle(system, body)

    @router.post("/api/preview")
    async def show(body: ButtonBody) -> dict[str, Any]:
        return preview(system, choose_deployment(system, body.deployment), button(body.action))

    @router.post("/api/manual")
    async def manual(body: ButtonBody) -> JSONResponse:
        deployment = choose_deployment(system, body.deployment)
        return await door.accept(_alert(system, deployment.name, button(body.action), "panel"))

    @router.post("/api/alert-test")
    async def alert_test(body: TestBody) -> JSONResponse:
        deployment = choose_deployment(system, body.deployment)
        return await door.accept(_alert(system, deployment.name, button(body.action), "test"))

    @router.post("/api/report")
    async def report(body: ReportBody | None = None) -> dict[str, Any]:
        if system.report is None:
            raise HTTPException(409, "this engine writes no reports")
        day = date.fromisoformat(body.day) if body and body.day else system.runner.engine.book.day or system.now.date()
        return dict(await asyncio.to_thread(system.report, day))

    return router


def _alarms(system: LiveSystem) -> APIRouter:
    router = APIRouter()

    @router.get("/api/alarms")
    async def alarms() -> list[dict[str, Any]]:
        return views.alarm_views(system)

    @router.post("/api/alarms/{number}/seen")
    async def seen(number: int, body: OrderBody | None = None) -> dict[str, Any]:
        if system.alarms is None:
            raise HTTPException(409, "this engine keeps no alarms")
        alarm = system.alarms.acknowledge(number, (body or OrderBody()).who, datetime.now(UTC))
        return {"number": alarm.number, "text": alarm.text, "waiting": len(system.alarms.waiting)}

    return router


def _pushing(system: LiveSystem) -> APIRouter:
    router = APIRouter()

    @router.websocket("/ws/tradingview")
    async def push(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while not system.runner.stopped_because:
                await socket.send_json(views.status(system))
                if await _has_gone(socket, PUSH_EVERY_S):
                    return
            await socket.close()
        except (WebSocketDisconnect, RuntimeError):
            return  # the reader has gone

    return router


async def _has_gone(socket: WebSocket, seconds: float) -> bool:
    """Wait that long; what the reader says is not listened to, but its leaving is."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if (await socket.receive())["type"] == "websocket.disconnect":
                    return True
    except TimeoutError:
        return False


async def _settle(system: LiveSystem, body: SettlementBody) -> dict[str, Any]:
    try:
        told = SettlementTold(symbol=body.symbol, expiry=date.fromisoformat(body.expiry), price=Decimal(body.price))
    except ValueError:
        raise HTTPException(422, f"{body.expiry} is no date") from None
    decision = await system.runner.put(told)
    settled = [item.position_id for item in decision.events if isinstance(item, PositionSettled)]
    if not settled:
        reason = f"nothing of {body.symbol} {body.expiry} is left to expire"
        raise HTTPException(409, f"{reason}; see: workbench positions")
    return {"status": "done", "settled": settled}


async def _order(system: LiveSystem, order: OperatorOrdered) -> dict[str, Any]:
    decision = await system.runner.put(order)
    fault = next((item for item in decision.events if isinstance(item, AccountFrozen)), None)
    if fault is not None:
        raise HTTPException(500, f"{order.command.value} was not carried out: {fault.differences[0]}; order it again")
    return {
        "status": "done",
        "command": order.command.value,
        "events": [type(item).__name__ for item in decision.events],
        "halted": system.runner.engine.book.halted,
        "entries_refused": views.entries_refused(system),
        "positions": len(system.runner.engine.book.live_positions()),
    }


def _alert(system: LiveSystem, deployment: str, action: AlertAction, source: str) -> AlertReceived:
    now = system.now
    symbol = next(item.symbol for item in system.runner.engine.config.deployments if item.name == deployment)
    return AlertReceived(
        alert_id=f"{system.alerts.scope}{deployment}:{source}-{secrets.token_hex(8)}",
        deployment=deployment,
        action=action,
        symbol=symbol,
        received_at=now,
        fired_at=now,
        source=source,
        text=f"{source}: {action.value}",
    )
