"""One application on one port: REST under `/v2`, two sockets of Dhan's, masters, and the simulator's own doors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from workbench.core.errors import WorkbenchError
from workbench.simulator import masters
from workbench.simulator.conductor import Conductor
from workbench.simulator.doors import ACTIVE, TurnedAway
from workbench.simulator.exchange import Simulator
from workbench.simulator.fault_plan import FaultPlan
from workbench.simulator.faults import Fault, FaultBook, FaultKind, read_fault
from workbench.simulator.gate import FaultGate
from workbench.simulator.login_doors import login_routes, session_routes
from workbench.simulator.rest_account import account_routes
from workbench.simulator.rest_data import csv_answer, data_routes
from workbench.simulator.rest_orders import answer, order_routes, read_body
from workbench.simulator.rest_special import special_routes

_LOG = logging.getLogger(__name__)

PORT = 8800
HOST = "127.0.0.1"
_PING_S, _SILENCE_S = 10.0, 30.0
_TOKENS = frozenset({FaultKind.TOKEN_EXPIRED})


class Application:
    """The ASGI application of a simulator, with its parts in reach.

    Parameters
    ----------
    simulator : Simulator
    conducted_by : callable
        Makes what moves its market.
    """

    def __init__(self, simulator: Simulator, conducted_by: Callable[[Simulator], Conductor] = Conductor) -> None:
        self.simulator = simulator
        self.conducted_by = conducted_by
        self.conductor: Conductor | None = None
        self.faults = FaultBook(lambda: simulator.now)
        self.api = create_app(self)
        self.gate = FaultGate(self.api, self.faults, self._strike_order)
        self._errands: set[asyncio.Task[None]] = set()
        feed, updates, tokens = simulator.feed, simulator.updates, simulator.tokens
        feed.faults = updates.faults = self.faults
        feed.admits = updates.admits = tokens.check
        feed.has_ended = tokens.has_ended
        feed.has_plan = lambda: simulator.doors.data_plan == ACTIVE
        tokens.on_change.append(self._look_at_streams)

    @property
    def asgi(self) -> ASGIApp:
        """What a server runs."""
        return self.gate

    async def order_fault(self, fault: Fault) -> None:
        """Let a fault wait; what it can strike already, it strikes at once."""
        self.faults.order(fault)
        await self.strike()

    async def strike(self) -> None:
        """Do what is due and waits for nobody: to the token and to open connections."""
        simulator = self.simulator
        while self.faults.take(_TOKENS, lambda _: True, "the token") is not None:
            simulator.tokens.expire()
        await simulator.feed.strike()
        simulator.updates.strike()

    def _strike_order(self, fault: Fault) -> None:
        """Tell the desk what the next order is to meet."""
        desk = self.simulator.desk
        match fault.kind:
            case FaultKind.REJECT:
                desk.reject_next.append(fault.reason or "RMS:Rejected on request of a test")
            case FaultKind.REJECT_AFTER_ACK:
                desk.reject_after_ack(1, fault.reason or "RMS:Rejected by the exchange on request of a test")
            case _:
                desk.stick_in_transit(1, fault.seconds)

    def _look_at_streams(self) -> None:
        """Let the streams see that the token is another one."""
        task = asyncio.get_running_loop().create_task(self.strike())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def create_app(application: Application) -> FastAPI:
    """Build the FastAPI application around a simulator."""
    simulator = application.simulator

    @asynccontextmanager
    async def conducted(_: FastAPI) -> AsyncIterator[None]:
        conductor = application.conductor = application.conducted_by(simulator)
        conductor.strike = application.strike
        task = asyncio.create_task(conductor.run())
        task.add_done_callback(_tell_why_it_stands)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def authorised(request: Request) -> None:
        turned_away = simulator.doors.refused(request.method, request.url.path, request.headers, await request.body())
        if turned_away is not None:
            raise TurnedAway(turned_away)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=conducted, redirect_slashes=False)
    for routes in (order_routes, special_routes, account_routes, session_routes, data_routes):
        app.include_router(routes(simulator), prefix="/v2", dependencies=[Depends(authorised)])
    app.include_router(login_routes(simulator))
    app.include_router(_masters(simulator))
    app.include_router(_own_doors(application))
    app.add_api_websocket_route("/feed", simulator.feed.serve)
    app.add_api_websocket_route("/order-update", simulator.updates.serve)

    @app.exception_handler(TurnedAway)
    async def turned_away(_: Request, reason: TurnedAway) -> Response:
        return answer(*reason.answer)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(_: Request, __: ClientDisconnect) -> Response:
        # An engine was killed in the middle of its request: nothing was taken, and nobody is there to be told.
        return Response(status_code=400)

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> Response:
        word = {404: "Not Found", 405: "Method Not Allowed"}.get(error.status_code, "Error")
        body = {"timestamp": int(simulator.now.timestamp() * 1000), "status": error.status_code, "error": word}
        return answer(error.status_code, {**body, "path": request.url.path})

    return app


def _tell_why_it_stands(task: asyncio.Task[None]) -> None:
    """Say aloud why a market moves no more; the sockets stay, so that its book can still be read."""
    if not task.cancelled() and (why := task.exception()) is not None:
        _LOG.critical("the market has stopped: %s", why, exc_info=why)


def _masters(simulator: Simulator) -> APIRouter:
    router = APIRouter(prefix="/api-data")

    async def compact() -> Response:
        return csv_answer(masters.compact(simulator.listing))

    async def detailed() -> Response:
        return csv_answer(masters.detailed(simulator.listing))

    router.add_api_route("/api-scrip-master.csv", compact, methods=["GET"])
    router.add_api_route("/api-scrip-master-detailed.csv", detailed, methods=["GET"])
    return router


def _own_doors(application: Application) -> APIRouter:
    """Give what Dhan does not have: the clock, the book as the simulator sees it, faults, and the sync socket."""
    router = APIRouter(prefix="/simulator")

    async def clock() -> Response:
        conductor = application.conductor
        return answer(200, conductor.clock() if conductor else {})

    async def book() -> Response:
        return answer(200, application.simulator.book())

    async def fault(request: Request) -> Response:
        try:
            await application.order_fault(read_fault(await read_body(request)))
        except WorkbenchError as refused:
            return answer(400, {"error": str(refused)})
        return answer(200, {"status": "ordered"})

    async def faults() -> Response:
        return answer(200, application.faults.as_dict())

    async def clear_faults() -> Response:
        application.faults.clear()
        return answer(200, application.faults.as_dict())

    async def sync(socket: WebSocket) -> None:
        if application.conductor is not None:
            await application.conductor.serve(socket)

    router.add_api_route("/clock", clock, methods=["GET"])
    router.add_api_route("/book", book, methods=["GET"])
    router.add_api_route("/fault", fault, methods=["POST"])
    router.add_api_route("/faults", faults, methods=["GET"])
    router.add_api_route("/faults", clear_faults, methods=["DELETE"])
    router.add_api_websocket_route("/sync", sync)
    return router


def server_of(application: Application, port: int = PORT) -> uvicorn.Server:
    """Give a server that has not been started; it listens on this machine only."""
    config = uvicorn.Config(
        application.asgi, host=HOST, port=port, log_level="warning", access_log=False, ws="websockets-sansio",
        ws_ping_interval=_PING_S, ws_ping_timeout=_SILENCE_S, lifespan="on", timeout_graceful_shutdown=1,
        ws_per_message_deflate=False,
    )  # fmt: skip
    return uvicorn.Server(config)


def serve(simulator: Simulator, port: int = PORT, plan: FaultPlan | None = None) -> None:
    """Run a simulator in this process, with faults or without, until it is told to stop (Ctrl-C or a termination)."""
    application = Application(simulator)
    for fault in plan.faults if plan is not None else ():
        application.faults.order(fault)
    server_of(application, port).run()
