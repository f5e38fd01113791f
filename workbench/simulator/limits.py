"""Dhan's rate limits: so many calls of a kind in a sliding second, minute, hour and day.

Calls are counted on the monotonic clock. A call over a limit is answered with HTTP 429 and DH-904 and without a
Retry-After; whoever goes on hammering is shut out for a while with data code 805. Reads of orders and trades are
outside the order limit. Modifications and cancellations are in it, positions and funds are not trading: Dhan says
neither, this is the stricter reading.

Invariant: within any window no more calls of a kind are let through than its limit; a refused call is not counted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workbench.core.errors import BadInput

Answer = tuple[int, Any]
"""HTTP status and JSON body."""

_SECOND, _MINUTE, _HOUR, _DAY = 1.0, 60.0, 3_600.0, 86_400.0
CHAIN_EVERY_S = 3.0
BREACHES, BREACHES_IN_S, BLOCKED_S = 40, 10.0, 60.0
"""Refusals in so many seconds shut a client out for so long; the broker publishes neither number."""

_WRITES = ("/orders", "/super/orders", "/forever/orders", "/alerts/orders", "/positions")


class Bucket(StrEnum):
    """What the broker counts together."""

    ORDERS = "orders"
    DATA = "data"
    QUOTE = "quote"
    OTHER = "other"


LIMITS: dict[Bucket, tuple[tuple[int, float], ...]] = {
    Bucket.ORDERS: ((10, _SECOND), (250, _MINUTE), (1_000, _HOUR), (7_000, _DAY)),
    Bucket.DATA: ((5, _SECOND), (100_000, _DAY)),
    Bucket.QUOTE: ((1, _SECOND),),
    Bucket.OTHER: ((20, _SECOND),),
}


def is_order_write(method: str, path: str) -> bool:
    """Say whether a call writes an order (path below `/v2`): those need the registered address and their own pace."""
    if method == "GET" or path.startswith("/positions/convert"):
        return False
    return any(path == each or path.startswith(f"{each}/") for each in _WRITES)


def is_data(path: str) -> bool:
    """Say whether a call needs the data plan."""
    return path.startswith(("/charts/", "/optionchain", "/marketfeed/"))


def bucket_of(method: str, path: str) -> Bucket:
    """Say where a call is counted."""
    if is_order_write(method, path):
        return Bucket.ORDERS
    if path.startswith("/marketfeed/"):
        return Bucket.QUOTE
    return Bucket.DATA if is_data(path) else Bucket.OTHER


@dataclass(slots=True)
class _Window:
    most: int
    seconds: float
    calls: deque[float]

    def is_full(self, now: float) -> bool:
        while self.calls and now - self.calls[0] >= self.seconds:
            self.calls.popleft()
        return len(self.calls) >= self.most


class RateLimits:
    """What one client has called, and whether it may call again.

    Parameters
    ----------
    scale : float or None
        How many times faster than in reality the windows pass; None: nothing is limited.
    monotonic : callable, optional
        Seconds of a clock that never goes back.
    """

    def __init__(self, scale: float | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        if scale is not None and scale <= 0:
            raise BadInput(f"a rate scale of {scale} is not above zero; give 1 for the broker's own limits, or none")
        self._clock, self._scale = monotonic, scale or 1.0
        self.is_on = scale is not None
        self._windows = {
            bucket: [_Window(most, seconds / self._scale, deque()) for most, seconds in limits]
            for bucket, limits in LIMITS.items()
        }
        self._chains: dict[bytes, float] = {}
        self._breaches: deque[float] = deque()
        self._blocked_until = float("-inf")

    def limited(self, method: str, path: str, body: bytes = b"") -> Answer | None:
        """Count a call, or give its refusal.

        Parameters
        ----------
        method, path : str
            Of the call; the path with or without `/v2`.
        body : bytes
            Tells one option chain from another.
        """
        if not self.is_on:
            return None
        now, path = self._clock(), path.removeprefix("/v2")
        if now < self._blocked_until:
            text = "Too many requests. Further requests may result in the user being blocked."
            return 429, {"status": "failed", "data": {"805": text}}
        windows = self._windows[bucket_of(method, path)]
        chain = path.rstrip("/") == "/optionchain"
        seen = self._chains.get(body, float("-inf")) if chain else float("-inf")
        if any(each.is_full(now) for each in windows) or now - seen < CHAIN_EVERY_S / self._scale:
            self._breached(now)
            text = "Too many requests on server from single user breaching rate limits. Try throttling API calls."
            return 429, {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": text}
        for each in windows:
            each.calls.append(now)
        if chain:
            recent = {key: at for key, at in self._chains.items() if now - at < CHAIN_EVERY_S / self._scale}
            self._chains = {**recent, body: now}
        return None

    def _breached(self, now: float) -> None:
        self._breaches.append(now)
        while now - self._breaches[0] > BREACHES_IN_S / self._scale:
            self._breaches.popleft()
        if len(self._breaches) >= BREACHES:
            self._breaches.clear()
            self._blocked_until = now + BLOCKED_S / self._scale
