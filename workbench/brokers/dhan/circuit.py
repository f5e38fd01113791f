"""A broker that does not answer gets no new risk: after several unclear writes in a row, entries wait.

Each write whose end is unknown leaves an order that must be looked for. Sending more of them into a broker that does
not answer makes more to look for, so entries stop; exits keep trying, since a missing exit is worse (fault catalogue
R3).

Invariant: an open circuit closes only on proof from the broker: a read that began after it opened, or a write that was
answered. A read closes it half: the next unclear write opens it again.
"""

from __future__ import annotations

import logging
import threading

log = logging.getLogger(__name__)

UNCLEAR_WRITES = 5


class Circuit:
    """Counts writes without a clear end; safe for several threads.

    Parameters
    ----------
    limit : int
        Unclear writes in a row that open it.
    """

    def __init__(self, limit: int = UNCLEAR_WRITES) -> None:
        self._limit = limit
        self._count = 0
        self._opened_at: float | None = None
        self._lock = threading.Lock()

    @property
    def reason(self) -> str:
        """Why entries must wait; empty while the circuit is closed."""
        if self._opened_at is None:
            return ""
        return f"{self._limit} writes in a row ended unclear; entries wait until the broker answers a read"

    def write_ended(self, *, clear: bool, at: float) -> None:
        """Count a write that was sent; `at` is the monotonic time of its end."""
        with self._lock:
            if clear:
                self._count, self._opened_at = 0, None
                return
            self._count += 1
            if self._count >= self._limit and self._opened_at is None:
                self._opened_at = at
                log.error("%s", f"{self._limit} writes in a row ended unclear: entries stop, exits keep trying")

    def read_answered(self, began_at: float) -> None:
        """Note a read that the broker answered as it should; `began_at` is on the monotonic clock."""
        with self._lock:
            if self._opened_at is not None and began_at >= self._opened_at:
                self._opened_at, self._count = None, self._limit - 1
                log.warning("the broker answers reads again: entries may try")
