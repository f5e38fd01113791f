"""The walls, looked at once a seed: the paper account's way to the live host, and what is written and logged.

No network: the connection object is replaced by one that writes down what would leave.

Invariant: nothing here knows the lists of production; what may not leave is anything but a known read (I6, I10).
"""

from __future__ import annotations

import io
import logging
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from workbench.bootstrap import logs
from workbench.brokers.dhan.paths import Endpoint
from workbench.brokers.dhan.transport import Transport
from workbench.testing.proof.oracle import promise
from workbench.testing.proof.scenario import ALERT_KEY

TOKEN = "canary-access-token-5d1e7a90"  # noqa: S105 - looked for in all that is written
LIVE_HOST = "https://api.dhan.co/v2"
READS = frozenset(
    {
        "/marketfeed/ltp",
        "/marketfeed/ohlc",
        "/marketfeed/quote",
        "/charts/historical",
        "/charts/intraday",
        "/charts/rollingoption",
        "/optionchain",
        "/optionchain/expirylist",
    }
)
_ORDERS = ("/orders", "/orders/112", "/super/orders", "/super/orders/112/ENTRY_LEG", "/positions", "/killswitch")
_OTHERS = ("/positions/convert", "/pnlExit", "/alerts/orders", "/orders/slicing", "/forever/orders", "/traderControl")


@dataclass
class Wire:
    """Stands in for a connection: writes down what would leave, and never answers."""

    left: list[tuple[str, str]] = field(default_factory=list)
    redirected: bool = False

    def request(self, method: str, url: str, **more: Any) -> Any:
        """Take one request."""
        self.left.append((method, url.removeprefix(LIVE_HOST)))
        self.redirected = self.redirected or bool(more.get("allow_redirects", True))
        token = more.get("headers", {}).get("access-token", "")
        raise requests.ReadTimeout(f"no answer to a request with access-token: {token}")

    def close(self) -> None:
        """Nothing to close."""


def judge_walls(rng: random.Random) -> None:
    """Try to write through a paper account's connections, and look what leaves and what is said."""
    _paper_never_writes(rng)
    _write_once(rng)


def _transport(endpoint: Endpoint) -> tuple[Transport, Wire]:
    transport, wire = Transport(LIVE_HOST, "1100000001", TOKEN, endpoint), Wire()
    transport._lanes.session = wire  # the one place where a connection can be put in
    transport._lanes.used_at = float("inf")
    return transport, wire


def _paper_never_writes(rng: random.Random) -> None:
    transport, wire = _transport(Endpoint.DATA)
    calls = {"POST": transport.post, "PUT": transport.put}
    for path in rng.sample(_ORDERS + _OTHERS, 4):
        answers = [call(path, {"securityId": "1"}) for call in calls.values()]
        answers.append(transport.delete(path))
        _says_no_secret(str(answers), "a refusal")
    for method, path in wire.left:
        is_read = method == "POST" and path in READS
        promise(is_read, "I6", f"{method} {path} left for the live host from a paper account")


def _write_once(rng: random.Random) -> None:
    transport, wire = _transport(Endpoint.ORDERS)
    path = rng.choice(["/orders", "/super/orders"])
    answer = transport.post(path, {"securityId": "1"})
    promise(len(wire.left) == 1, "R6", f"an unanswered POST {path} left {len(wire.left)} times")
    promise(not wire.redirected, "R6", f"a redirect of POST {path} would be followed")
    _says_no_secret(str(answer["remarks"]) + str(answer["answer"].reason), "the reason of a failure")


def _says_no_secret(text: str, where: str) -> None:
    for secret in (TOKEN, ALERT_KEY):
        promise(secret not in text, "I10", f"a secret stands in {where}")


def judge_written(lines: Iterable[str], notices: Iterable[str], logged: str) -> None:
    """Look for a secret in all that a day has written: the disk, what people were told, the log (I10)."""
    for line in lines:
        _says_no_secret(line, "the journal")
    for text in notices:
        _says_no_secret(text, "a notice")
    _says_no_secret(logged, "the log")


@contextmanager
def listened(secrets: Iterable[str] = ()) -> Iterator[io.StringIO]:
    """Listen to every logger through production's own formatter and redactor.

    The redactor knows no alert key (only its hash is kept), so that a key in a log is the door's fault.
    """
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    redact = logs.Redactor([TOKEN, *secrets])
    handler.setFormatter(logs._Formatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"), redact, escape=True))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for each in handlers:
        root.removeHandler(each)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        logging.getLogger("proof").warning("a library logs a header: access-token: %s", TOKEN)
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for each in handlers:
            root.addHandler(each)
