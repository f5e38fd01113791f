"""Dhan's trading REST: positions, funds, margins, kill switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from workbench.core.charges import Execution, charge_kind, exchange_of, fill_charges
from workbench.core.money import ZERO
from workbench.core.signal import Side
from workbench.simulator import wire
from workbench.simulator.account import margin_of
from workbench.simulator.admission import number
from workbench.simulator.exchange import Simulator
from workbench.simulator.rest_orders import answer, read_body


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

    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/positions", positions),
        ("DELETE", "/positions", exit_all),
        ("GET", "/holdings", holdings),
        ("GET", "/fundlimit", funds),
        ("POST", "/margincalculator", margin),
        ("POST", "/killswitch", kill_switch),
        ("GET", "/killswitch", kill_switch_status),
    ]
    for method, path, handler in routes:
        router.add_api_route(path, handler, methods=[method])
    return router


def _margin(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    quantity, price = number(body.get("quantity")), number(body.get("price"))
    word = str(body.get("transactionType"))
    if listed is None or not quantity or price is None or word not in set(Side):
        return 400, wire.error("Input_Exception", "DH-905", "Missing required fields, bad values for parameters etc.")
    price = price or simulator.last(listed)
    spot = simulator.desk.spot(listed.instrument.symbol)
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
