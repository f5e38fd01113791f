"""The order-update socket: every change of every order of the account, to every client that has logged in.

Invariant: without a fault each client gets each change once and in its order; there is no replay of what it missed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from workbench.core.errors import UnknownName
from workbench.simulator.faults import CONNECTIONS, UPDATES, Fault, FaultBook, FaultKind, of_stream
from workbench.simulator.gate import LINE, Line

_LOGIN = 42
CASINGS = ("pascal", "camel", "both")


@dataclass(eq=False, slots=True)
class Listener:
    """One logged-in client; `told` counts what was put on its way."""

    socket: WebSocket
    token: str = ""
    number: int = 0
    outbox: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    told: int = 0
    deaf: bool = False
    silent_until: float = 0.0
    struck: set[int] = field(default_factory=set)

    @property
    def line(self) -> Line:
        """The connection below the socket."""
        line: Line = self.socket.scope[LINE]
        return line

    def put(self, text: str) -> None:
        """Put a message on its way, unless the line is dead or silent."""
        if not self.deaf and time.monotonic() >= self.silent_until:
            self.outbox.put_nowait(text)
            self.told += 1


class UpdateHub:
    """All order-update sockets.

    Parameters
    ----------
    token, client_id : str
        Who may listen, unless `admits` is set to something that knows better.
    casing : {"pascal", "camel", "both"}
        How field names are written.
    """

    def __init__(self, token: str, client_id: str, *, casing: str = "pascal") -> None:
        if casing not in CASINGS:
            raise UnknownName("update_casing", casing, list(CASINGS))
        self._client_id, self.casing = client_id, casing
        self.admits: Callable[[str], bool] = lambda shown: shown == token
        self.faults: FaultBook | None = None
        self.listeners: list[Listener] = []
        self._held: deque[tuple[float, str]] = deque()
        self._swapped: str | None = None
        self._swap: asyncio.TimerHandle | None = None
        self._connected = 0

    @property
    def updates(self) -> int:
        """Updates that every logged-in client has been sent at least."""
        return min((each.told for each in self.listeners), default=0)

    def tell(self, message: dict[str, Any]) -> None:
        """Send one update to everybody, or do to it what was ordered."""
        if not self.listeners:
            return
        data = message.get("Data", {})
        text = orjson.dumps({**message, "Data": cased(data, self.casing)}).decode()
        thing = f"update {data.get('OrderNo')} {data.get('Status')}"
        fault = self.faults.take(UPDATES, lambda _: True, thing) if self.faults is not None else None
        match fault.kind if fault is not None else None:
            case FaultKind.UPDATES_DROPPED:
                pass
            case FaultKind.UPDATES_DOUBLED:
                self._send(text)
                self._send(text)
            case FaultKind.UPDATES_DELAYED if fault is not None:
                self._hold(text, fault.seconds)
            case FaultKind.UPDATES_REORDERED if fault is not None:
                self._swap_later(text, fault.seconds)
            case _:
                self._send(text)

    def _send(self, text: str) -> None:
        if self._held:
            # A stream keeps its order: what comes after a late message is late as well.
            self._held.append((self._held[-1][0], text))
            return
        self._deliver(text)
        if self._swapped is not None:
            self._release_swapped()

    def _deliver(self, text: str) -> None:
        for listener in self.listeners:
            listener.put(text)

    def _hold(self, text: str, seconds: float) -> None:
        self._release_swapped()
        due = time.monotonic() + seconds
        if self._held:
            due = max(due, self._held[-1][0])
        self._held.append((due, text))
        asyncio.get_running_loop().call_later(due - time.monotonic(), self._release)

    def _release(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic() + 0.001:
            self._deliver(self._held.popleft()[1])

    def _swap_later(self, text: str, seconds: float) -> None:
        """Keep a message back until the next one has gone, or until no next one has come in time."""
        self._release_swapped()
        self._swapped = text
        self._swap = asyncio.get_running_loop().call_later(seconds, self._release_swapped)

    def _release_swapped(self) -> None:
        if self._swap is not None:
            self._swap.cancel()
        text, self._swapped, self._swap = self._swapped, None, None
        if text is not None:
            self._deliver(text)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client: it logs in first, then listens."""
        await socket.accept()
        try:
            token = self._token_of(await socket.receive_text())
            if token is None:
                refused = {"Type": "error", "remarks": "Authentication failed", "message": "Invalid Token"}
                await socket.send_text(orjson.dumps(refused).decode())
                await socket.close()
                return
        except (WebSocketDisconnect, KeyError):
            return
        self._connected += 1
        listener = Listener(socket, token, self._connected)
        self.listeners.append(listener)
        writer = asyncio.create_task(_write(listener))
        self.strike()
        try:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self.listeners.remove(listener)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def strike(self) -> None:
        """Do to open connections what was ordered for them, the oldest first, and send strangers away."""
        for listener in list(self.listeners):
            if not self.admits(listener.token):
                listener.outbox.put_nowait(None)
                continue
            meant = of_stream("updates", listener.struck)
            while self.faults is not None:
                fault = self.faults.take(CONNECTIONS, meant, f"updates connection {listener.number}")
                if fault is None:
                    break
                listener.struck.add(fault.number)
                self._strike(listener, fault)

    def _strike(self, listener: Listener, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.FEED_SILENT:
                listener.silent_until = time.monotonic() + fault.seconds
            case FaultKind.FEED_HALF_OPEN:
                listener.deaf = True
                listener.line.go_deaf()
                asyncio.get_running_loop().call_later(fault.seconds, listener.line.abort)
            case _:
                listener.outbox.put_nowait(None)

    def _token_of(self, text: str) -> str | None:
        """Give the token of a good login, or None."""
        try:
            login = orjson.loads(text)["LoginReq"]
            code, client, token = int(login["MsgCode"]), str(login["ClientId"]), str(login["Token"])
        except (ValueError, KeyError, TypeError):
            return None
        return token if (code, client) == (_LOGIN, self._client_id) and self.admits(token) else None


def cased(data: dict[str, Any], casing: str) -> dict[str, Any]:
    """Write field names in Pascal case (the documents), camel case (what clients have read), or both."""
    if casing == "pascal":
        return data
    camel = {f"{name[:1].lower()}{name[1:]}": value for name, value in data.items()}
    return camel if casing == "camel" else camel | data


async def _write(listener: Listener) -> None:
    while True:
        text = await listener.outbox.get()
        if listener.deaf:
            continue
        try:
            if text is None:
                await listener.socket.close(1011)
                return
            await listener.socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            return
