"""Dhan's login: minting a token by PIN and TOTP on the login host, renewal, profile, and the registered addresses.

The login host takes PIN and TOTP in the query of a POST without a body, and answers a refusal with HTTP 200.

Invariant: neither PIN nor TOTP nor a dead token is ever in an answer.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from workbench.core.session import IST
from workbench.simulator import wire
from workbench.simulator.exchange import Simulator
from workbench.simulator.rest_orders import answer, read_body
from workbench.simulator.tokens import Token

_RENEWAL_REFUSED = "Invalid_Request"


def login_routes(simulator: Simulator) -> APIRouter:
    """Give the route of the login host: it needs no token."""
    router = APIRouter(prefix="/app")

    async def generate(request: Request) -> Response:
        asked = request.query_params
        made = simulator.tokens.mint(
            asked.get("dhanClientId", ""), pin=asked.get("pin", ""), totp=asked.get("totp", "")
        )
        if isinstance(made, str):
            return answer(200, {"status": "error", "message": made})
        names = {"dhanClientName": "PRACTICE CLIENT", "dhanClientUcc": "PRAC0001", "givenPowerOfAttorney": False}
        return answer(200, {"dhanClientId": simulator.client_id, **names, **_token_row(simulator, made)})

    router.add_api_route("/generateAccessToken", generate, methods=["POST"])
    return router


def session_routes(simulator: Simulator) -> APIRouter:
    """Give the routes under `/v2` of a client that has logged in."""
    router = APIRouter()

    async def profile() -> Response:
        return answer(200, _profile(simulator))

    async def renew() -> Response:
        made = simulator.tokens.renew()
        if isinstance(made, str):
            return answer(400, wire.error(_RENEWAL_REFUSED, "DH-905", made))
        return answer(200, {"dhanClientId": simulator.client_id, **_token_row(simulator, made)})

    async def set_ip(request: Request) -> Response:
        body = await read_body(request)
        return answer(*simulator.addresses.set(body, simulator.day, change=request.method == "PUT"))

    async def get_ip() -> Response:
        return answer(*simulator.addresses.listed())

    router.add_api_route("/profile", profile, methods=["GET"])
    router.add_api_route("/RenewToken", renew, methods=["GET", "POST"])
    router.add_api_route("/ip/setIP", set_ip, methods=["POST"])
    router.add_api_route("/ip/modifyIP", set_ip, methods=["PUT"])
    router.add_api_route("/ip/getIP", get_ip, methods=["GET"])
    return router


def _token_row(simulator: Simulator, token: Token) -> dict[str, Any]:
    # A token made here ends by the wall clock; the practice token has no end and shows that of the market's day.
    until = token.expires_at or simulator.now.replace(hour=23, minute=59, second=0)
    return {"accessToken": token.text, "expiryTime": until.astimezone(IST).strftime("%Y-%m-%dT%H:%M:%S.000")}


def _profile(simulator: Simulator) -> dict[str, Any]:
    day_end = simulator.now.replace(hour=23, minute=59, second=0)
    until = simulator.tokens.current.expires_at or day_end
    return {
        "dhanClientId": simulator.client_id,
        "tokenValidity": until.astimezone(IST).strftime("%d/%m/%Y %H:%M"),
        "activeSegment": "E, D, C, M, ",
        "ddpi": "Deactive",
        "mtf": "Deactive",
        "dataPlan": simulator.doors.data_plan,
        "dataValidity": day_end.strftime("%Y-%m-%d %H:%M:%S.0"),
    }
