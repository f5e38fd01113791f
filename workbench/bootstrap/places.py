"""Where a broker answers: Dhan's own hosts, or a simulator on this machine that speaks Dhan's wire.

`WORKBENCH_DHAN_URL=http://127.0.0.1:PORT` puts a simulator in Dhan's place for paper and live, to rehearse them.

Invariant: nothing but this machine can stand in for Dhan: a token is never sent to a host that somebody named.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from workbench.brokers.dhan import login_wire, order_updates
from workbench.core.errors import BadInput, BrokerUnavailable
from workbench.data import feed, master_download

VARIABLE = "WORKBENCH_DHAN_URL"
PATIENCE_S = 30.0
"""Real seconds to wait for a simulator that was started together with us."""

_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Addresses of one broker.

    Parameters
    ----------
    name : str
        For people.
    rest, auth, feed, updates, master : str
        REST root, login root, market feed, order updates, detailed instrument master.
    origin : str
        ``127.0.0.1:PORT`` of a simulator; empty for Dhan.
    """

    name: str
    rest: str
    auth: str
    feed: str
    updates: str
    master: str
    origin: str = ""

    @classmethod
    def dhan(cls) -> Places:
        """Dhan's own hosts."""
        return cls(
            name="Dhan",
            rest=login_wire.LIVE_URL,
            auth=login_wire.LIVE_AUTH_URL,
            feed=feed.LIVE_URL,
            updates=order_updates.LIVE_URL,
            master=master_download.LIVE_DETAILED_URL,
        )

    @classmethod
    def simulator(cls, port: int) -> Places:
        """A simulator on a port of this machine."""
        origin = f"127.0.0.1:{port}"
        return cls(
            name=f"the simulator at {origin}",
            rest=f"http://{origin}/v2",
            auth=f"http://{origin}",
            feed=f"ws://{origin}/feed",
            updates=f"ws://{origin}/order-update",
            master=f"http://{origin}/api-data/api-scrip-master-detailed.csv",
            origin=origin,
        )

    @classmethod
    def of_environment(cls, env: Mapping[str, str] | None = None) -> Places:
        """Dhan, or the simulator that `WORKBENCH_DHAN_URL` names.

        Raises
        ------
        BadInput
            It names anything but a port of this machine.
        """
        named = (os.environ if env is None else env).get(VARIABLE, "").strip()
        return cls.simulator(_loopback_port(named)) if named else cls.dhan()

    @property
    def is_simulated(self) -> bool:
        """A simulator answers, not Dhan."""
        return bool(self.origin)

    @property
    def sync(self) -> str:
        """The socket by which a practice engine holds a simulator's clock."""
        return f"ws://{self.origin}/simulator/sync"

    @property
    def mirror(self) -> str:
        """The socket by which a paper engine forwards quotes."""
        return f"ws://{self.origin}/mirror"

    def clock_facts(self, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Ask a simulator for its clock; it may still be making its market.

        Raises
        ------
        BrokerUnavailable
            It did not answer in time.
        """
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        give_up = time.monotonic() + patience_s
        while True:
            try:
                with opener.open(f"http://{self.origin}/simulator/clock", timeout=5) as reply:
                    body: dict[str, Any] = json.loads(reply.read())
            except OSError as error:
                if time.monotonic() > give_up:
                    raise BrokerUnavailable(
                        f"{self.name} does not answer ({type(error).__name__}); start it first: workbench simulator"
                    ) from None
                time.sleep(0.05)
            else:
                return body


def _loopback_port(url: str) -> int:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme != "http" or parts.hostname not in _HERE or port is None or not plain:
        raise BadInput(
            f"{VARIABLE} must be http://127.0.0.1:PORT: only a simulator on this machine may stand in for Dhan; "
            "take the variable away to reach Dhan itself"
        )
    return port
