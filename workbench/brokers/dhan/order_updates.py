"""Dhan's order-update socket as the OrderUpdates port.

The library's own client prints the token, swallows every failure and reconnects without a pause, so this is a client of
our own. The socket replays nothing: after each reconnect the account must be read by REST, which `on_state(True, …)`
tells the runner to do. It may be silent for hours, so its life is told by pings, not by messages.

Invariants: a message that cannot be read is counted and dropped, never raised; a duplicate is handed on (the engine's
reducer is idempotent); a leg of a super order never carries the id of its entry; the token is in no log, reason or
``repr``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from workbench.brokers.dhan.fields import Row, lowered
from workbench.brokers.dhan.rows import order_from_update
from workbench.core.errors import CorruptData
from workbench.core.messages import BrokerOrder
from workbench.core.money import ZERO
from workbench.core.order import LegAddress, SuperLegName
from workbench.core.super_order import shared_leg_id

log = logging.getLogger(__name__)
# At DEBUG the websocket library writes whole frames, and our first one holds the token.
_wire_log = logging.getLogger(__name__ + ".wire")
_wire_log.setLevel(logging.WARNING)

LIVE_URL = "wss://api-order-update.dhan.co"
_LOGIN_CODE = 42
_STEADY_S = 30.0
_HOPELESS_S = 30.0
_LEGS = ("2", "3")
_LEG_NAMES = MappingProxyType({"2": SuperLegName.STOP, "3": SuperLegName.TARGET})
_LOGIN_WORDS = ("token", "auth", "login", "unauthori")


class DhanOrderUpdates:
    """Client of the order-update socket; implements `core.ports.OrderUpdates`.

    Parameters
    ----------
    url : str
    client_id, token : str
    backoff_s : (float, float)
        First and longest wait before a reconnect; each is drawn between half and all of it.
    ping_s : float
        Wire seconds between two pings, and how long one may stay without an answer.
    on_token_refused : callable, optional
        Told that the access token is no longer taken, with the reason.

    Attributes
    ----------
    received : int
        ``order_alert`` messages received since the start, readable or not.
    malformed : int
        Messages dropped because they could not be read.
    other : int
        Readable messages that are no order alerts.
    legs : int
        Updates of the stop and target legs of super orders.
    connected : bool
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        token: str,
        *,
        backoff_s: tuple[float, float] = (0.5, 30.0),
        ping_s: float = 10.0,
        on_token_refused: Callable[[str], None] | None = None,
    ) -> None:
        self.url = url
        self._client_id = client_id
        self._token = token
        self._backoff_s, self._ping_s = backoff_s, ping_s
        self._on_token_refused = on_token_refused
        self._renewed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_refused = False
        self.received = 0
        self.malformed = 0
        self.other = 0
        self.legs = 0
        self.connected = False

    def __repr__(self) -> str:
        return f"DhanOrderUpdates({self.url!r}, client …{self._client_id[-3:]})"

    def renew_token(self, token: str) -> None:
        """Log in anew with another access token; from any thread.

        A token ends when the next one is made, and a socket that was logged in with it may just fall silent, which
        nobody could tell from an account without orders.
        """
        if token == self._token:
            return
        self._token = token
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._renewed.set)

    async def run(self, on_order: Callable[[BrokerOrder], None], on_state: Callable[[bool, str], None]) -> None:
        """Log in, decode and reconnect until cancelled."""
        self._loop = loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            started = loop.time()
            self._was_refused = False
            try:
                reason = await self._session(on_order, on_state)
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
                reason = self._safe(f"{type(error).__name__}: {error}")
                status = error.response.status_code if isinstance(error, InvalidStatus) else 0
                if status == 401:
                    self._refuse("HTTP 401")
                self._was_refused = self._was_refused or status in (403, 429)
            finally:
                self.connected = False
            log.warning("order updates lost: %s", reason)
            on_state(False, reason)
            attempt = 0 if loop.time() - started > _STEADY_S else attempt + 1
            await self._pause(attempt)

    async def _pause(self, attempt: int) -> None:
        first, longest = self._backoff_s
        wait_s = min(longest, first * 2 ** min(attempt, 10))
        if self._was_refused:
            # What was refused at the door is not healed by knocking again at once.
            wait_s = max(wait_s, min(longest, _HOPELESS_S))
        try:
            async with asyncio.timeout(wait_s * random.uniform(0.5, 1.0)):
                await self._renewed.wait()
        except TimeoutError:
            return

    async def _session(self, on_order: Callable[[BrokerOrder], None], on_state: Callable[[bool, str], None]) -> str:
        is_loopback = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        # Before the connecting, which may fail: a renewal that no login has taken must not end every pause at once.
        self._renewed.clear()
        async with connect(
            self.url,
            compression=None,
            open_timeout=10,
            close_timeout=min(2.0, self._ping_s),
            ping_interval=self._ping_s,
            ping_timeout=self._ping_s,
            logger=_wire_log,
            proxy=None if is_loopback else True,
        ) as socket:
            await self._log_in(socket)
            self.connected = True
            on_state(True, "")
            leaver = asyncio.create_task(self._leave_when_renewed(socket))
            try:
                async for message in socket:
                    order = self.read(message)
                    if order is not None:
                        on_order(order)
            finally:
                leaver.cancel()
                await asyncio.gather(leaver, return_exceptions=True)
            if self._renewed.is_set():
                return "logging in with the new access token"
            return f"closed by the server ({socket.close_code} {self._safe(socket.close_reason or '')})".strip()

    async def _leave_when_renewed(self, socket: ClientConnection) -> None:
        await self._renewed.wait()
        await socket.close()

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
        low = lowered(document)
        if str(low.get("type", "")).lower() != "order_alert":
            self._note_other(document, low)
            return None
        self.received += 1
        data = low.get("data")
        if not isinstance(data, dict):
            self._drop(message, "no Data")
            return None
        try:
            order = order_from_update(data)
        except CorruptData as error:
            self._drop(message, str(error))
            return None
        return self._as_leg(order, lowered(data))

    def _as_leg(self, order: BrokerOrder, low: Row) -> BrokerOrder:
        """Take from a leg of a super order what it shares with its entry: it is an order of its own.

        Legs name their entry in ``AlgoOrdNo`` and may carry its correlation id, and a sale under the id of a purchase
        would read as a contradiction. Where the number is the entry's too, nobody knows whose units it tells: they are
        left out, and who reads of a fill without units looks for them.
        """
        entry = str(low.get("algoordno") or "").strip()
        is_numbered = str(low.get("legno") or "") in _LEGS and "super" in str(low.get("remarks") or "").lower()
        if not is_numbered and entry in ("", "0", "NA", order.order_id):
            return order
        self.legs += 1
        name = _LEG_NAMES.get(str(low.get("legno") or ""))
        address = None if name is None or entry in ("", "0", "NA") else LegAddress(entry_id=entry, name=name)
        if address is None or order.order_id != entry:
            return replace(order, correlation_id="", leg=address)
        return replace(
            order,
            order_id=shared_leg_id(entry, address.name),
            correlation_id="",
            leg=address,
            filled_quantity=0,
            average_price=ZERO,
            last_fill_price=ZERO,
        )

    def _note_other(self, document: dict[str, Any], low: Row) -> None:
        """Count a message that is no order alert; a refused login comes as one, with a remark."""
        self.other += 1
        said = self._safe(" ".join(str(low.get(name) or "") for name in ("remarks", "message", "errormessage")).strip())
        log.info("order updates: %s", self._safe(str(document))[:300])
        is_bad = any(word in str(low.get("type", "")).lower() for word in ("error", "fail", "reject", "disconnect"))
        words = said.lower()
        if any(word in words for word in _LOGIN_WORDS) and (
            is_bad or any(word in words for word in ("invalid", "fail", "expire", "denied", "unauthori"))
        ):
            self._refuse(said[:200])

    def _refuse(self, why: str) -> None:
        self._was_refused = True
        if self._on_token_refused is not None:
            self._on_token_refused(f"the order-update socket refused the login: {why}")

    def _drop(self, message: str | bytes, why: str) -> None:
        self.malformed += 1
        shown = message if isinstance(message, str) else message.decode(errors="replace")
        log.warning("order update dropped: %s: %s", self._safe(why), self._safe(shown)[:300])

    def _safe(self, text: str) -> str:
        for secret in (self._token, self._client_id):
            if secret:
                text = text.replace(secret, "…")
        return text
