"""Dhan's trading REST: positions, funds, margins, kill switch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request, Response

from workbench.core.charges import Execution, charge_kind, exchange_of, fill_charges
from workbench.core.money import ZERO
from workbench.core.signal import Side
from workbench.simulator import wire
from workbench.simulator.account import margin_of
from workbench.simulator.admission import Refused, number, products_of, refusal
from workbench.simulator.desk import Desk
from workbench.simulator.exchange import Simulator
from workbench.simulator.rest_orders import answer, read_body

_BAD_INPUT = wire.error("Input_Exception", "DH-905", "Missing required fields, bad values for parameters etc.")


def account_routes(simulator: Simulator) -> APIRouter:
    """Give the routes of the account."""
    router = control_routes(simulator)
    router.include_router(statement_routes(simulator))
    desk = simulator.desk

    async def positions() -> Response:
        return answer(200, simulator.positions())

    async def exit_all() -> Response:
        return answer(*desk.exit_all())

    async def holdings() -> Response:
        return answer(500, wire.error("HOLDING_ERROR", "DH-1111", "No holdings available"))

    async def funds() -> Response:
        return answer(200, simulator.funds())

    async def convert(request: Request) -> Response:
        return answer(*_convert(desk, await read_body(request)))

    async def margin_multi(request: Request) -> Response:
        return answer(*_margin_multi(simulator, await read_body(request)))

    async def margin(request: Request) -> Response:
        return answer(*_margin(simulator, await read_body(request)))

    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/positions", positions),
        ("DELETE", "/positions", exit_all),
        ("GET", "/holdings", holdings),
        ("GET", "/fundlimit", funds),
        ("POST", "/margincalculator", margin),
        ("POST", "/margincalculator/multi", margin_multi),
        ("POST", "/positions/convert", convert),
    ]
    for method, path, handler in routes:
        router.add_api_route(path, handler, methods=[method])
    return router


def control_routes(simulator: Simulator) -> APIRouter:
    """Give the routes by which trading is stopped: kill switch, and exit on profit and loss."""
    router = APIRouter()
    desk, pnl = simulator.desk, simulator.pnl_exit

    async def kill_switch(request: Request) -> Response:
        word = request.query_params.get("killSwitchStatus", "")
        if word not in ("ACTIVATE", "DEACTIVATE"):
            return answer(400, wire.error("Input_Exception", "DH-905", "Invalid killSwitchStatus"))
        return answer(*desk.kill(active=word == "ACTIVATE"))

    async def kill_switch_status() -> Response:
        word = "ACTIVATE" if desk.killed else "DEACTIVATE"
        return answer(200, {"dhanClientId": simulator.client_id, "killSwitchStatus": word})

    async def set_pnl_exit(request: Request) -> Response:
        return answer(*pnl.set(await read_body(request)))

    async def pnl_exit() -> Response:
        return answer(*pnl.shown())

    async def stop_pnl_exit() -> Response:
        return answer(*pnl.stop())

    router.add_api_route("/killswitch", kill_switch, methods=["POST"])
    router.add_api_route("/killswitch", kill_switch_status, methods=["GET"])
    router.add_api_route("/pnlExit", set_pnl_exit, methods=["POST"])
    router.add_api_route("/pnlExit", pnl_exit, methods=["GET"])
    router.add_api_route("/pnlExit", stop_pnl_exit, methods=["DELETE"])
    return router


def statement_routes(simulator: Simulator) -> APIRouter:
    """Give the routes of the account's papers."""
    router = APIRouter()

    async def history(first: str, last: str, page: str) -> Response:
        days = _days(first, last)
        if days is None or not page.isdigit():
            return answer(400, _BAD_INPUT)
        rows = simulator.statements.history(*days, int(page))
        return answer(200, [wire.history_row(each, simulator.client_id) for each in rows])

    async def ledger(request: Request) -> Response:
        days = _days(request.query_params.get("from-date", ""), request.query_params.get("to-date", ""))
        if days is None:
            return answer(400, _BAD_INPUT)
        return answer(200, simulator.statements.ledger(*days, simulator.client_id))

    router.add_api_route("/trades/{first}/{last}/{page}", history, methods=["GET"])
    router.add_api_route("/ledger", ledger, methods=["GET"])
    return router


def _days(first: str, last: str) -> tuple[date, date] | None:
    try:
        return date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return None


def _convert(desk: Desk, body: dict[str, Any]) -> tuple[int, Any]:
    """Move units held from one product to another; the answer has no body."""
    listed = desk.board.listing.find(str(body.get("exchangeSegment")), str(body.get("securityId")))
    source, target = str(body.get("fromProductType")), str(body.get("toProductType"))
    units = number(body.get("convertQty"))
    position = desk.account.positions.get((listed.instrument.key, source)) if listed else None
    if listed is None or position is None or not units or units != int(units):
        return refusal(Refused(message="Missing required fields, bad values for parameters etc."))
    named = {"LONG": 1, "SHORT": -1}.get(str(body.get("positionType")), 0)
    if position.net * named < units or target == source or target not in products_of(listed):
        return refusal(Refused(message="Position cannot be converted", code="DH-906", kind="Order_Error"))
    desk.account.convert((listed.instrument.key, source), target, int(units))
    return 202, None


def _margin_multi(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    """Add the margins of some orders up; what one leg's hedge saves another is not modelled."""
    listed = body.get("scripList") or body.get("scripts")
    if not isinstance(listed, list) or not listed:
        return 400, _BAD_INPUT
    total = ZERO
    for each in listed:
        status, answered = _margin(simulator, each if isinstance(each, dict) else {})
        if status != 200:
            return status, answered
        total += Decimal(repr(answered["totalMargin"]))
    desk = simulator.desk
    pending = [each for each in desk.orders.values() if each.status.is_open]
    if body.get("includePosition") is True:
        total += desk.account.blocked([], desk.spot)
    if body.get("includeOrder") is True or body.get("includeOrders") is True:
        total += desk.account.blocked(pending, desk.spot) - desk.account.blocked([], desk.spot)
    text = f"{total:.2f}"
    return 200, {
        "total_margin": text, "span_margin": text, "exposure_margin": "0.00", "equity_margin": "0.00",
        "fo_margin": text, "commodity_margin": "0.00", "currency": "INR", "hedge_benefit": "0.00",
    }  # fmt: skip


def _margin(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    listed = simulator.find(str(body.get("exchangeSegment")), body.get("securityId"))
    quantity, price = number(body.get("quantity")), number(body.get("price"))
    word = str(body.get("transactionType"))
    if listed is None or not quantity or price is None or word not in set(Side):
        return 400, _BAD_INPUT
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
        "leverage": f"{float(price * quantity / total):.4g}X" if total > ZERO else "1X",
    }
