"""What may leave on which connection, which requests only read, and in which window each counts.

The lists hold methods and paths that the project uses, and no more. A paper account has a `DATA` connection to Dhan:
no line of that list can change anything there.

Invariant: a method and path that is on no list does not leave; what is not known to be a read is a write, and a write
is never repeated.
"""

from __future__ import annotations

import re
from enum import StrEnum
from types import MappingProxyType

from workbench.brokers.dhan.pace import Bucket


class Endpoint(StrEnum):
    """What a connection may be used for."""

    DATA = "data"
    ORDERS = "orders"


_ID = r"[A-Za-z0-9_-]+"
_LEG = r"(ENTRY_LEG|TARGET_LEG|STOP_LOSS_LEG)"
_ALLOWED: MappingProxyType[Endpoint, tuple[tuple[str, re.Pattern[str]], ...]] = MappingProxyType(
    {
        Endpoint.DATA: (
            ("POST", re.compile(r"/marketfeed/(ltp|ohlc|quote)")),
            ("POST", re.compile(r"/charts/(historical|intraday|rollingoption)")),
            ("POST", re.compile(r"/optionchain(/expirylist)?")),
        ),
        Endpoint.ORDERS: (
            ("POST", re.compile(r"/orders")),
            ("PUT", re.compile(rf"/orders/{_ID}")),
            ("DELETE", re.compile(rf"/orders/{_ID}")),
            ("GET", re.compile(rf"/orders(/{_ID})?")),
            ("GET", re.compile(r"/orders/external/[A-Za-z0-9 _-]+")),
            ("GET", re.compile(rf"/trades/({_ID})?")),
            ("GET", re.compile(r"/(positions|holdings|fundlimit)")),
            ("POST", re.compile(r"/margincalculator(/multi)?")),
            ("POST", re.compile(r"/super/orders")),
            ("PUT", re.compile(rf"/super/orders/{_ID}")),
            ("DELETE", re.compile(rf"/super/orders/{_ID}/{_LEG}")),
            ("GET", re.compile(r"/super/orders")),
            ("DELETE", re.compile(r"/positions")),
            ("POST", re.compile(r"/positions/convert")),
            ("GET", re.compile(r"/(killswitch|pnlExit)")),
            ("POST", re.compile(r"/(killswitch|pnlExit)")),
            ("DELETE", re.compile(r"/pnlExit")),
        ),
    }
)
_READING_POST = re.compile(r"/(marketfeed|charts|optionchain|margincalculator)(/.*)?")
_ORDER_WRITE = re.compile(r"/(super/)?orders(/.*)?|/positions")


def may_leave(endpoint: Endpoint, method: str, path: str) -> bool:
    """Say whether the endpoint's list names that method and path (without its query)."""
    return any(method == verb and pattern.fullmatch(path) for verb, pattern in _ALLOWED[endpoint])


def is_read(method: str, path: str) -> bool:
    """Say whether a request changes nothing at the broker and may be asked again."""
    return method == "GET" or (method == "POST" and _READING_POST.fullmatch(path) is not None)


def bucket_of(method: str, path: str) -> Bucket:
    """Say in which windows a request counts; reads of orders and trades are outside the order windows."""
    if path.startswith("/marketfeed/"):
        return Bucket.QUOTE
    if path.startswith(("/charts/", "/optionchain")):
        return Bucket.DATA
    if method != "GET" and _ORDER_WRITE.fullmatch(path):
        return Bucket.ORDERS
    return Bucket.OTHER


def is_asked_once(path: str) -> bool:
    """Say whether the same question is taken only once in three seconds (option chain and its expiries)."""
    return path.startswith("/optionchain")
