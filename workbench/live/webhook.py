"""The webhook: alerts come in here, and nothing else can.

Order of a request: rate limit, size while it streams, time limit, link, shape, key, market, age; then the engine
decides and the answer goes out with the same commit that lets the order go. A refusal names the field and the way out.

Invariants: a 2xx means that the alert is on the disk; what is refused disturbs nothing; no body and no key is logged.
"""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from workbench.core.messages import AccountFrozen, AlertReceived, AlertTurnedAway, DecisionMade
from workbench.live.alerts import read_alert
from workbench.live.payloads import MOST_BYTES, BadAlert
from workbench.live.runner import NotDurableError
from workbench.live.system import LiveSystem

READ_LIMIT_S = 2.0
MOST_KEPT_A_SECOND = 10


class RateLimit:
    """A bucket of tokens that fills at `a_second` up to `burst`, by real time."""

    def __init__(self, a_second: float, burst: float) -> None:
        self.a_second, self.burst = a_second, burst
        self._tokens, self._at = burst, time.monotonic()

    def take(self) -> bool:
        """Take a token, if there is one."""
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.a_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class AlertDoor:
    """Takes alerts of one account to its engine, and keeps what was refused."""

    def __init__(self, system: LiveSystem) -> None:
        self.system = system
        self._requests: dict[str, RateLimit] = {}
        self._kept = RateLimit(MOST_KEPT_A_SECOND, MOST_KEPT_A_SECOND)
        self._numbers = count(1)

    async def take(self, request: Request, *, link: str = "", kind: str = "") -> JSONResponse:
        """Take one request and give its answer."""
        if not self._bucket(link).take():
            self.system.turned_away += 1
            return _refused(BadAlert("too many requests", way_out="send fewer than 100 a second", status=429))
        try:
            body = await _read(request)
            alert = self._judged(body, link, kind)
        except BadAlert as refusal:
            self._turn_away(refusal, link)
            return _refused(refusal)
        return await self.accept(alert)

    def _bucket(self, link: str) -> RateLimit:
        """One bucket a deployment and one for everything else: a flood of strangers turns no exit away."""
        known = link if self.system.alerts.by_link(link) is not None else ""
        return self._requests.setdefault(known, RateLimit(100, 300))

    async def accept(self, alert: AlertReceived) -> JSONResponse:
        """Hand an alert to the engine and tell its fate."""
        try:
            decision = await self.system.runner.put_alert(alert)
        except NotDurableError as error:
            body = {"error": str(error), "field": "", "way_out": "send it again: the same alert is taken once"}
            return JSONResponse(body, status_code=503)
        if decision is None:
            return JSONResponse({"status": "duplicate", "id": alert.alert_id})
        fault = next((item for item in decision.events if isinstance(item, AccountFrozen)), None)
        if fault is not None:
            # Kept, and not to be sent again; a person must look, so this is no 2xx.
            return _refused(BadAlert(f"nothing was done: {fault.differences[0]}", way_out="look at it", status=500))
        made = [item for item in decision.events if isinstance(item, DecisionMade) and item.subject == alert.alert_id]
        fate = made[-1] if made else None
        return JSONResponse(
            {
                "status": "accepted",
                "id": alert.alert_id,
                "deployment": alert.deployment,
                "fate": fate.fate if fate else "waiting",
                "gate": fate.gate if fate else "",
                "reason": fate.reason if fate else "waits for a quote or for the opposite position to close",
            }
        )

    def _judged(self, body: bytes, link: str, kind: str) -> AlertReceived:
        system = self.system
        alert = read_alert(body, system.alerts, now=system.now, link=link, kind=kind)
        if not system.ready:
            raise BadAlert(
                f"the engine is not ready: {system.not_ready_because}", way_out="send it again later", status=503
            )
        return alert

    def _turn_away(self, refusal: BadAlert, link: str) -> None:
        """Count a refusal and, if there are few, record it."""
        system = self.system
        system.turned_away += 1
        if not self._kept.take():
            return
        deployment = system.alerts.by_link(link)
        now = system.now
        system.runner.enqueue(
            AlertTurnedAway(
                alert_id=f"refused:{now:%Y%m%dT%H%M%S}:{next(self._numbers)}",
                deployment=deployment.name if deployment else "",
                received_at=now,
                reason=refusal.what[:300],
                text=refusal.field,
            )
        )


def webhook_routes(door: AlertDoor) -> APIRouter:
    """Routes of the webhook."""
    router = APIRouter()

    @router.post("/webhook/entry")
    async def entry(request: Request) -> JSONResponse:
        return await door.take(request, kind="entry")

    @router.post("/webhook/exit")
    async def exit_(request: Request) -> JSONResponse:
        return await door.take(request, kind="exit")

    @router.post("/webhook/hourly")
    async def hourly(request: Request) -> JSONResponse:
        return await door.take(request, kind="hourly")

    @router.post("/webhook/{link}")
    async def alert(link: str, request: Request) -> JSONResponse:
        return await door.take(request, link=link)

    return router


async def _read(request: Request) -> bytes:
    """Read the body with a cap while it streams, and in limited time."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MOST_BYTES:
        raise _too_large()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BadAlert("compressed bodies are not read", way_out="send plain JSON", status=415)
    body = bytearray()
    try:
        async with asyncio.timeout(READ_LIMIT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise _too_large()
    except ClientDisconnect:
        raise BadAlert("the sender hung up", status=400) from None
    except TimeoutError:
        raise BadAlert("the body did not come in time", way_out="send it in one piece", status=408) from None
    return bytes(body)


def _too_large() -> BadAlert:
    return BadAlert(f"the body is larger than {MOST_BYTES} bytes", way_out="send the alert's fields only", status=413)


def _refused(refusal: BadAlert) -> JSONResponse:
    body: dict[str, Any] = {"error": refusal.what, "field": refusal.field, "way_out": refusal.way_out}
    headers = {"Connection": "close"} if refusal.status in (408, 413) else None
    return JSONResponse(body, status_code=refusal.status, headers=headers)
