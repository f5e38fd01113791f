"""The order-update socket: every change of every order of the account, to every client that has logged in.

Invariant: each client gets the changes in their order; there is no replay of what it missed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

_LOGIN = 42


@dataclass(eq=False, slots=True)
class Listener:
    """One logged-in client; `told` counts what was put on its way."""

    socket: WebSocket
    outbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    told: int = 0


class UpdateHub:
    """All order-update sockets."""

    def __init__(self, token: str, client_id: str) -> None:
        self._token, self._client_id = token, client_id
        self.listeners: list[Listener] = []

    @property
    def updates(self) -> int:
        """Updates that every logged-in client has been sent at least."""
        return min((each.told for each in self.listeners), default=0)

    def tell(self, message: dict[str, Any]) -> None:
        """Send one update to everybody."""
        if not self.listeners:
            return
        text = orjson.dumps(message).decode()
        for listener in self.listeners:
            listener.outbox.put_nowait(text)
            listener.told += 1

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client: it logs in first, then listens."""
        await socket.accept()
        try:
            if not self._may_listen(await socket.receive_text()):
                refused = {"Type": "error", "remarks": "Authentication failed", "message": "Invalid Token"}
                await socket.send_text(orjson.dumps(refused).decode())
                await socket.close()
                return
        except (WebSocketDisconnect, KeyError):
            return
        listener = Listener(socket)
        self.listeners.append(listener)
        writer = asyncio.create_task(_write(listener))
        try:
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self.listeners.remove(listener)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _may_listen(self, text: str) -> bool:
        try:
            login = orjson.loads(text)["LoginReq"]
            asked = (int(login["MsgCode"]), str(login["ClientId"]), str(login["Token"]))
        except (ValueError, KeyError, TypeError):
            return False
        return asked == (_LOGIN, self._client_id, self._token)


async def _write(listener: Listener) -> None:
    while True:
        text = await listener.outbox.get()
        try:
            await listener.socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            return
