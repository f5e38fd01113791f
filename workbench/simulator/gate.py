"""The gate around the whole application, where requests meet their faults.

It stands outside of everything, so that "the broker accepted it and the answer was lost" is exactly that. A socket's
own line to its transport is handed to the application here, so that a stream can go dead without being closed.

Invariants: a request that no fault is meant for passes unchanged, and the simulator's own doors are never struck; a
page in a browser, whatever name it has found for this machine, reads nothing and orders nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.simulator.faults import AFTER, ORDERS, REQUESTS, Fault, FaultBook, FaultKind
from workbench.simulator.wire import error

OWN_DOORS = "/simulator/"
LINE = "simulator.line"
"""Where a socket's line stands in its scope."""

_LOCAL = (b"127.0.0.1", b"localhost", b"[::1]")
_WRITES = ("POST", "PUT", "DELETE")
_ORDER_PATHS = ("/orders", "/super/orders", "/forever/orders", "/alerts/orders")
_HTML = b"<html><head><title>Service</title></head><body><h1>We are working on it</h1></body></html>"
_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_LONGEST_WAIT_S = 2.0

Headers = list[tuple[bytes, bytes]]


class Hidden(NamedTuple):
    """An order whose look-up lags, and its side: a leg of the other side may carry the same number and is another."""

    until: float
    book: bool
    side: str


@dataclass(slots=True)
class Kept:
    """An answer that is held back."""

    status: int = 500
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    def take(self, message: Message) -> None:
        """Take a part of the answer in."""
        if message["type"] == "http.response.start":
            self.status, self.headers = int(message["status"]), list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def send(self, send: Send) -> None:
        """Send it, its length put right."""
        headers = [each for each in self.headers if each[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class FaultGate:
    """ASGI middleware around the simulator's application.

    Parameters
    ----------
    app : ASGI application
    faults : FaultBook
    strike_order : callable
        Told of a fault that the next order, which is about to be let in, is to meet at the desk.
    """

    def __init__(self, app: ASGIApp, faults: FaultBook, strike_order: Callable[[Fault], None]) -> None:
        self.app, self.faults, self._strike_order = app, faults, strike_order
        self._hidden: dict[str, Hidden] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a socket through, or do to it what was ordered."""
        path = str(scope.get("path", ""))
        if scope["type"] in ("http", "websocket") and _is_foreign(scope):
            await _refuse(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] != "http" or path.startswith(OWN_DOORS) or not (self.faults.waiting or self._hidden):
            await self.app(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    def hidden(self) -> set[str]:
        """Give the orders that no order book shows now, though they are there."""
        now = time.monotonic()
        return {name for name, each in self._hidden.items() if each.book and each.until > now}

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = str(scope["method"]), str(scope["path"])
        thing = f"{method} {path}"

        def met(fault: Fault) -> bool:
            if fault.kind is FaultKind.WRONG_IP and not _is_order_write(method, path):
                return False
            return fault.meets(method, path)

        fault = self.faults.take(REQUESTS, met, thing)
        if fault is not None and fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
            fault = None
        if fault is not None and fault.kind not in AFTER and not fault.after:
            await _instead(fault, send)
            return
        of_order = self.faults.take(ORDERS, met, thing)
        if of_order is not None and of_order.kind is not FaultKind.LAGGING_LOOKUP:
            self._strike_order(of_order)
        kept, sent = Kept(), bytearray()

        async def keep(message: Message) -> None:
            kept.take(message)

        async def read() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        await self.app(scope, read, keep)
        if of_order is not None and of_order.kind is FaultKind.LAGGING_LOOKUP:
            self._hide(kept, of_order, asked=_document(bytes(sent)))
        elif self._hidden and method == "GET":
            self._without_hidden(path, kept)
        await _afterwards(fault, kept, send)

    def _hide(self, kept: Kept, fault: Fault, *, asked: Any) -> None:
        answers = _document(kept.body)
        side = str(asked.get("transactionType", "")) if isinstance(asked, dict) else ""
        for row in answers if isinstance(answers, list) else [answers]:
            if isinstance(row, dict) and row.get("orderId"):
                self._hidden[str(row["orderId"])] = Hidden(time.monotonic() + fault.seconds, fault.book, side)

    def _without_hidden(self, path: str, kept: Kept) -> None:
        """Take orders whose look-up lags out of an answer."""
        now = time.monotonic()
        self._hidden = {name: each for name, each in self._hidden.items() if each.until > now}
        path = path.removeprefix("/v2")
        by_tag = path.startswith("/orders/external/")
        if not by_tag and not path.startswith(("/orders", "/trades")):
            return
        hidden = {name: each for name, each in self._hidden.items() if by_tag or each.book}

        def is_hidden(row: dict[str, Any]) -> bool:
            each = hidden.get(str(row.get("orderId")))
            return each is not None and row.get("transactionType", each.side) in (each.side, "")

        found = _document(kept.body)
        if isinstance(found, list):
            kept.body = orjson.dumps([row for row in found if not is_hidden(row)])
        elif isinstance(found, dict) and is_hidden(found):
            text = "Incorrect request for order and cannot be processed"
            kept.status = 404 if by_tag else 200
            kept.body = orjson.dumps(error("Order_Error", "DH-906", text) if by_tag else [])

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = {"/feed": "feed", "/order-update": "updates"}.get(str(scope["path"]), "")
        line = scope[LINE] = Line(getattr(send, "__self__", None))
        refused = frozenset({FaultKind.FEED_REFUSED_429})
        if stream and self.faults.take(refused, lambda each: each.match == stream, f"upgrade of {stream}"):
            await receive()
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"Too many requests"})
            line.end_handshake()
            return
        await self.app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    """Say whether a browser's page asks, or somebody by a foreign name that points here (DNS rebinding)."""
    headers = dict(scope["headers"])
    name, colon, port = headers.get(b"host", b"").rpartition(b":")
    host = name if colon and port.isdigit() else headers.get(b"host", b"")
    return b"origin" in headers or host not in _LOCAL


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        body = {"error": "the simulator answers programs of this machine, on 127.0.0.1, and no page of a browser"}
        await _json(403, body).send(send)


def _is_order_write(method: str, path: str) -> bool:
    return method in _WRITES and path.removeprefix("/v2").startswith(_ORDER_PATHS)


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _status(kind: FaultKind) -> int:
    return int(kind.value.removeprefix("http_"))


def _json(status: int, body: dict[str, Any]) -> Kept:
    return Kept(status, [(b"content-type", b"application/json")], orjson.dumps(body))


def _error(status: int) -> Kept:
    if status == 429:
        return _json(429, error("Rate_Limit", "DH-904", "Too many requests on server from single user"))
    if status == 500:
        return _json(500, error("Internal_Error", "DH-908", "Internal Server Error"))
    # What stands in front of the broker answers these, and it does not speak JSON.
    return Kept(status, [(b"content-type", b"text/html")], _HTML)


async def _instead(fault: Fault, send: Send) -> None:
    """Answer a request that the broker never saw."""
    match fault.kind:
        case FaultKind.RESET_BEFORE:
            await _hang_up(send, reset=True)
        case FaultKind.WRONG_IP:
            await _json(400, error("Input_Exception", "DH-905", "Invalid IP")).send(send)
        case FaultKind.HTML_BODY:
            await Kept(fault.status, [(b"content-type", b"text/html")], _HTML).send(send)
        case _:
            await _error(_status(fault.kind)).send(send)


async def _afterwards(fault: Fault | None, kept: Kept, send: Send) -> None:
    """Give the answer to a request that the broker has dealt with, or what is left of it."""
    if fault is None:
        await kept.send(send)
        return
    match fault.kind:
        case FaultKind.LOST_REPLY:
            await _hang_up(send, reset=False)
        case FaultKind.TIMEOUT_AFTER_ACCEPT:
            await asyncio.sleep(fault.seconds)
            await kept.send(send)
        case FaultKind.TRUNCATED_BODY:
            kept.body = kept.body[: len(kept.body) // 2]
            await kept.send(send)
        case FaultKind.EMPTY_202:
            await Kept(202, kept.headers, b"").send(send)
        case FaultKind.HTML_BODY:
            await Kept(fault.status, [(b"content-type", b"text/html")], _HTML).send(send)
        case _:
            await _error(_status(fault.kind)).send(send)


async def _hang_up(send: Send, *, reset: bool) -> None:
    """Close the connection without a byte of an answer; without a socket (in-process clients) nothing is sent."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        return
    link = transport.get_extra_info("socket")
    if reset and link is not None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
    # The server must have seen its connection go before this request ends, or it would answer with a 500.
    give_up = time.monotonic() + _LONGEST_WAIT_S
    while not getattr(cycle, "disconnected", True) and time.monotonic() < give_up:
        await asyncio.sleep(0)


class Line:
    """A socket's connection below its protocol.

    Parameters
    ----------
    protocol : the server's protocol object, or None in-process
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport: asyncio.Transport | None = getattr(protocol, "transport", None)

    def go_deaf(self) -> None:
        """Answer nothing any more, pings included, without closing: what a dead router leaves behind."""
        if self._transport is None:
            return
        self._protocol.stop_keepalive()
        self._transport.set_protocol(_Deaf(self._protocol))

    def end_handshake(self) -> None:
        """Say that the upgrade was answered: the server would report a refusal as an application that went away."""
        if self._protocol is not None:
            self._protocol.handshake_complete = True

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class _Deaf(asyncio.Protocol):
    """Reads what comes and does nothing with it; the end of the connection is told to the protocol before."""

    def __init__(self, before: asyncio.Protocol) -> None:
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
