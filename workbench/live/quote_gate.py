"""The gate between a fast feed and the engine: when the engine falls behind, it is given only the newest quotes.

In ordinary times every quote passes in its order. When the oldest that waits is older than `BEHIND_S`, or too many
wait, a quote takes the place of the one of its instrument that waits already (fault S8). In one turn of the event loop
the engine is given about `TURN_S` of work: an order update never stands behind more than that, and the connection is
read faster than the engine decides, since what is not read waits where nothing can be left out, answers to pings
included.

Invariants: an instrument's quotes keep their order, and the newest of each always arrives; what waits is bounded by
`MOST` and one for each instrument.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from workbench.core.bars import Quote

BEHIND_S = 0.05
MOST = 4096
TURN_S = 0.0005
"""Less than a turn takes to read a full connection (some 64 packets)."""

LEAST_A_TURN, MOST_A_TURN = 4, 128
_FIRST_GUESS_S = 20e-6
_SMOOTHING = 0.1


@dataclass(slots=True, eq=False)
class _Waiting:
    quote: Quote
    received: float
    since: float


class QuoteGate:
    """Hands quotes on, on the event loop.

    Parameters
    ----------
    hand_on : callable
        Takes one quote (the runner's queue).
    monotonic : callable
        Wire time, in which receive times are told.

    Attributes
    ----------
    handed_on, conflated : int
        Quotes that were handed on, and quotes that a newer one of their instrument replaced.
    worst_lag_s : float
        Longest time that a quote took from its receipt to being handed on.
    """

    def __init__(self, hand_on: Callable[[Quote], None], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._hand_on, self._monotonic = hand_on, monotonic
        self._waiting: deque[_Waiting] = deque()
        self._newest: dict[str, _Waiting] = {}
        self._is_at_work = False
        self._began = 0.0
        self._cost_s = _FIRST_GUESS_S
        self.handed_on = self.conflated = 0
        self.worst_lag_s = 0.0

    @property
    def waiting(self) -> int:
        """Quotes that wait."""
        return len(self._waiting)

    def take(self, quote: Quote, received: float) -> None:
        """Take a quote with its receive time; call on the event loop."""
        waiting = self._waiting
        if waiting and (len(waiting) >= MOST or received - waiting[0].since > BEHIND_S):
            older = self._newest.get(quote.key)
            if older is not None:
                older.quote, older.received = quote, received
                self.conflated += 1
                return
        each = _Waiting(quote, received, received)
        waiting.append(each)
        self._newest[quote.key] = each
        if not self._is_at_work:
            self._is_at_work = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        loop, now, waiting, newest = asyncio.get_running_loop(), self._monotonic(), self._waiting, self._newest
        count = min(len(waiting), max(LEAST_A_TURN, min(MOST_A_TURN, int(TURN_S / self._cost_s))))
        # The engine's work is put on the loop by the first quote that it is handed, so it runs between these two.
        loop.call_soon(self._mark)
        for _ in range(count):
            each = waiting.popleft()
            if newest.get(each.quote.key) is each:
                del newest[each.quote.key]
            self.worst_lag_s = max(self.worst_lag_s, now - each.received)
            self.handed_on += 1
            self._hand_on(each.quote)
        loop.call_soon(self._done, count)

    def _mark(self) -> None:
        self._began = self._monotonic()

    def _done(self, count: int) -> None:
        self._cost_s += _SMOOTHING * ((self._monotonic() - self._began) / count - self._cost_s)
        if self._waiting:
            self._give()
        else:
            self._is_at_work = False
