"""The official library, joined to our transport: the one place where `dhanhq` objects are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dhanhq

from workbench.brokers.dhan.pace import Pace
from workbench.brokers.dhan.server_time import ServerTime
from workbench.brokers.dhan.transport import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Endpoint, Transport
from workbench.core.errors import BadInput


class DhanClient:
    """A `dhanhq` object whose HTTP class is ours.

    Parameters
    ----------
    base_url : str
        REST root, ``https://api.dhan.co/v2`` or a simulator's.
    client_id, token : str
    endpoint : Endpoint
        `DATA` cannot write orders.
    timeouts_s : (float, float)
        Connect and read.
    pace : Pace, optional
        Turns of the client id: one object for all its clients. Default without limits.

    Attributes
    ----------
    api
        The library: ``client.api.place_order(...)``.
    transport : Transport
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        token: str,
        endpoint: Endpoint,
        *,
        timeouts_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        pace: Pace | None = None,
    ) -> None:
        if not client_id or not token:
            raise BadInput("client id or access token of Dhan is missing; set DHAN_CLIENT_ID and DHAN_ACCESS_TOKEN")
        self.transport = Transport(base_url, client_id, token, endpoint, timeouts_s=timeouts_s, pace=pace)
        context = dhanhq.DhanContext(client_id, token)
        # Each mixin of the library copies this object when it is built, so it must be in place before.
        context.dhan_http = self.transport
        self.api: Any = dhanhq.dhanhq(context)

    def __repr__(self) -> str:
        return f"DhanClient({self.transport!r})"

    def tell_token_refused(self, callback: Callable[[str], None]) -> None:
        """Call back, in the thread that asked, when the token in use is refused (once, until it is renewed)."""
        self.transport.on_token_refused = callback

    def tell_server_time(self, callback: Callable[[ServerTime], None]) -> None:
        """Call back, in the thread that asked, with the time that each answer tells."""
        self.transport.on_server_time = callback

    def renew_token(self, token: str) -> None:
        """Use another access token from the next request on."""
        self.transport.renew_token(token)
