"""Dhan's order-update socket as the OrderUpdates port.

The library's own client prints the token, swallows every failure and reconnects without a pause, so this is a client of
our own. The socket replays nothing: after each reconnect the account must be read by REST, which `on_state(True, …)`
tells the runner to do.

Invariants: a message that cannot be read is counted and dropped, never raised; a duplicate is handed on (the engine's
reducer is idempotent); the token is in no log, reason or ``repr``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from workbench.brokers.dhan.rows import order_from_update
from workbench.core.errors import CorruptData
from workbench.core.messages import BrokerOrder

log = logging.getLogger(__name__)
# At DEBUG the websocket library writes whole frames, and our first one holds the token.
_wire_log = logging.getLogger(__name__ + ".wire")
_wire_log.setLevel(logging.WARNING)

LIVE_URL = "wss://api-order-update.dhan.co"
_LOGIN_CODE = 42
_STEADY_S = 30.0


class DhanOrderUpdates:
    """Client of the order-update socket; implements `core.ports.OrderUpdates`.

    Parameters
    ----------
    url : str
    client_id, token : str
    backoff_s : (float, float)
        First and longest wait before a reconnect; each is drawn between half and all of it.

    Attributes
    ----------
    received : int
        ``order_alert`` messages received since the start, readable or not.
    malformed : int
        Messages dropped because they could not be read.
    other : int
        Readable messages that are no order alerts.
    connected : bool
    """

    def __init__(self, url: str, client_id: str, token: str, *, backoff_s: tuple[float, float] = (0.5, 30.0)) -> None:
        self.url = url
        self._client_id = client_id
        self._token = token
        self._backoff_s = backoff_s
        self.received = 0
        self.malformed = 0
        self.other = 0
        self.connected = False

    def __repr__(self) -> str:
        return f"DhanOrderUpdates({self.url!r}, client …{self._client_id[-3:]})"

    def renew_token(self, token: str) -> None:
        """Log in with another access token at the next connection."""
        self._token = token

    async def run(self, on_order: Callable[[BrokerOrder], None], on_state: Callable[[bool, str], None]) -> None:
        """Log in, decode and reconnect until cancelled."""
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                reason = await self._session(on_order, on_state)
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
                reason = self._safe(f"{type(error).__name__}: {error}")
            finally:
                self.connected = False
            log.warning("order updates lost: %s", reason)
            on_state(False, reason)
            attempt = 0 if loop.time() - started > _STEADY_S else attempt + 1
            first, longest = self._backoff_s
            await asyncio.sleep(min(longest, first * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0))

    async def _session(self, on_order: Callable[[BrokerOrder], None], on_state: Callable[[bool, str], None]) -> str:
        is_loopback = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        async with connect(
            self.url,
            compression=None,
            open_timeout=10,
            close_timeout=2,
            logger=_wire_log,
            proxy=None if is_loopback else True,
        ) as socket:
            await self._log_in(socket)
            self.connected = True
            on_state(True, "")
            async for message in socket:
                order = self.read(message)
                if order is not None:
                    on_order(order)
            return f"closed by the server ({socket.close_code} {self._safe(socket.close_reason or '')})".strip()

    async def _log_in(self, socket: ClientConnection) -> None:
        request = {"MsgCode": _LOGIN_CODE, "ClientId": self._client_id, "Token": self._token}
        await socket.send(json.dumps({"LoginReq": request, "UserType": "SELF"}))

    def read(self, message: str | bytes) -> BrokerOrder | None:
        """Read one message; None for what is no readable order alert (counted)."""
        try:
            document: Any = json.loads(message)
        except (ValueError, RecursionError):
            self._drop(message, "no JSON")
            return None
        if not isinstance(document, dict):
            self._drop(message, "no object")
            return None
        low = {key.lower(): value for key, value in document.items()}
        if str(low.get("type", "")).lower() != "order_alert":
            self.other += 1
            log.info("order updates: %s", self._safe(str(document))[:300])
            return None
        self.received += 1
        data = low.get("data")
        if not isinstance(data, dict):
            self._drop(message, "no Data")
            return None
        try:
            return order_from_update(data)
        except CorruptData as error:
            self._drop(message, str(error))
            return None

    def _drop(self, message: str | bytes, why: str) -> None:
        self.malformed += 1
        shown = message if isinstance(message, str) else message.decode(errors="replace")
        log.warning("order update dropped: %s: %s", self._safe(why), self._safe(shown)[:300])

    def _safe(self, text: str) -> str:
        for secret in (self._token, self._client_id):
            if secret:
                text = text.replace(secret, "…")
        return text
