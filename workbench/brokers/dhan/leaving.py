"""Connections that say when a request has left, because a broker counts requests when they arrive.

Between a request's turn and its first byte on the wire lie the connecting, the handshake, and other threads' work. The
limit's window begins after that, so whoever keeps the pace has to know that moment and not the earlier one.

Invariant: nothing is repeated and nothing is held back here: requests leave as `urllib3` sends them, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


def telling_adapter(on_left: Callable[[], None]) -> HTTPAdapter:
    """Give an adapter of one connection that calls back, in the sending thread, when a request was written.

    Through a proxy of the environment nobody is told: the proxy decides when the request goes on.
    """

    class Plain(HTTPConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            super().request(*args, **kwargs)
            on_left()

    class Secure(HTTPSConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            super().request(*args, **kwargs)
            on_left()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    # urllib3's own default would repeat PUT and DELETE, which are Dhan's modify and cancel.
    adapter = HTTPAdapter(max_retries=0, pool_connections=1, pool_maxsize=1)
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return adapter
