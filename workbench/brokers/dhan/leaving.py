"""Connections that say when a request has left and when its answer began, because a broker counts arrivals.

Between a request's turn and its first byte on the wire lie the connecting, the handshake, and other threads' work. The
limit's window begins after that, so whoever keeps the pace has to know that moment and not the earlier one. And a
request may be held up on its way: an answer that came later than others do is taken for one that was counted later.

Invariant: nothing is repeated and nothing is held back here: requests leave as `urllib3` sends them, once.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LONGEST_DELAY_S = 0.25
_REMEMBERED = 100


class Delays:
    """How much longer than the quickest of its like a request took to be answered; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def of(self, what: str, took_s: float) -> float:
        """Note a request's time to the first byte of its answer, and give its delay, within bounds."""
        with self._lock:
            recent = self._recent[what]
            # The first of its kind has nothing to be compared with: all of it may have been delay.
            quickest = min(recent, default=0.0)
            recent.append(took_s)
            return max(0.0, min(LONGEST_DELAY_S, took_s - quickest))


def telling_adapter(on_left: Callable[[], None], on_answered: Callable[[], None]) -> HTTPAdapter:
    """Give an adapter of one connection that calls back, in the sending thread, when a request was written.

    It calls back again when the head of the answer is there.

    Through a proxy of the environment nobody is told: the proxy decides when the request goes on.
    """

    class Plain(HTTPConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            super().request(*args, **kwargs)
            on_left()

        def getresponse(self) -> Any:
            response = super().getresponse()
            on_answered()
            return response

    class Secure(HTTPSConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            super().request(*args, **kwargs)
            on_left()

        def getresponse(self) -> Any:
            response = super().getresponse()
            on_answered()
            return response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    # urllib3's own default would repeat PUT and DELETE, which are Dhan's modify and cancel.
    adapter = HTTPAdapter(max_retries=0, pool_connections=1, pool_maxsize=1)
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return adapter
