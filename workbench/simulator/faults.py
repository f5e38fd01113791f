"""Faults that a test orders: what networks and brokers do to requests.

A fault waits for matching requests and hits the next `count` of them. It sits around the whole application, so that
"the broker accepted it and the answer was lost" is exactly that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.core.errors import BadInput, UnknownName
from workbench.simulator.wire import error


class FaultKind(StrEnum):
    """What can go wrong."""

    DROP_REPLY = "drop_reply"
    TIMEOUT_AFTER_ACCEPT = "timeout_after_accept"
    DELAY = "delay"
    REJECT = "reject"
    HTTP_500 = "http_500"
    HTTP_429 = "http_429"


@dataclass(slots=True)
class Fault:
    """One ordered fault: `seconds` is how long a delay, or a withheld answer, lasts in real time."""

    kind: FaultKind
    count: int
    method: str
    path: str
    seconds: float

    def hits(self, scope: Scope) -> bool:
        """Say whether a request is meant."""
        return (
            self.count > 0
            and (not self.method or scope["method"] == self.method)
            and str(scope["path"]).removeprefix("/v2").startswith(self.path)
        )


def read_fault(body: dict[str, Any]) -> Fault:
    """Read ``{"kind", "count", "match": "POST /orders", "seconds"}``.

    Raises
    ------
    BadInput
        An unknown kind, or a count or a length of time that is not above zero.
    """
    kind = str(body.get("kind"))
    if kind not in set(FaultKind):
        raise UnknownName("fault", kind, [each.value for each in FaultKind])
    method, _, path = str(body.get("match", "POST /orders")).partition(" ")
    count, seconds = int(body.get("count", 1)), float(body.get("seconds", 10.0))
    if count < 1 or not 0 < seconds < 600:
        raise BadInput(f"a fault needs a count of at least 1 and seconds between 0 and 600, got {count} and {seconds}")
    return Fault(FaultKind(kind), count, method, path.removeprefix("/v2") or "/", seconds)


class FaultGate:
    """ASGI middleware around the simulator's application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.faults: list[Fault] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or do to it what was ordered."""
        if scope["type"] != "http" or not self.faults or str(scope["path"]).startswith("/simulator/"):
            await self.app(scope, receive, send)
            return
        fault = next((each for each in self.faults if each.hits(scope)), None)
        if fault is None:
            await self.app(scope, receive, send)
            return
        fault.count -= 1
        self.faults = [each for each in self.faults if each.count > 0]
        await self._strike(fault, scope, receive, send)

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        match fault.kind:
            case FaultKind.HTTP_500:
                await _answer(send, 500, error("Internal_Error", "DH-908", "Internal Server Error"))
            case FaultKind.HTTP_429:
                await _answer(send, 429, error("Rate_Limit", "DH-904", "Too many requests"))
            case FaultKind.DELAY:
                await asyncio.sleep(fault.seconds)
                await self.app(scope, receive, send)
            case _:
                kept: list[Message] = []

                async def keep(message: Message) -> None:
                    kept.append(message)

                await self.app(scope, receive, keep)
                if fault.kind is FaultKind.DROP_REPLY:
                    await _hang_up(send)
                    return
                await asyncio.sleep(fault.seconds)
                for message in kept:
                    await send(message)


async def _answer(send: Send, status: int, body: dict[str, Any]) -> None:
    text = orjson.dumps(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def _hang_up(send: Send) -> None:
    """Close the connection without a byte of an answer; without a socket (in-process clients) nothing is sent."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is not None:
        transport.abort()
        # The server must have seen its connection go before this request ends, or it would answer with a 500.
        while not getattr(cycle, "disconnected", True):
            await asyncio.sleep(0)
