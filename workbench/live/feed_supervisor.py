"""Supervision of the market feed: a silent or half-open connection is found and made anew, and a person is told.

Two clocks watch it (fault S3): quotes against the session, and frames or answered pings against the wire. After
`stale_after_s` without a quote `FeedWatch` freezes entries; after `reconnect_after_s` the connection is made anew, and
again after twice as long each time, since a market that stands still must not become a storm of connections.

Invariants: it works on monotonic time; it never raises for what the wire does; positions and their stops are not
touched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from workbench.core.instrument import Segment
from workbench.core.messages import Level
from workbench.core.ports import Notifier
from workbench.core.session import Session
from workbench.live.system import FeedWatch

log = logging.getLogger(__name__)

SECOND_INSTANCE, NO_DATA_PLAN = 805, 806
_WAYS_OUT = {
    SECOND_INSTANCE: "another program or engine uses this account's feed; end it, since each takes the other's line",
    NO_DATA_PLAN: "the account has no data plan; subscribe to the data APIs at Dhan, then start again",
    804: "too many instruments are watched on one connection",
    810: "the client id is wrong; check dhan_client_id",
}
_STATUS_SLACK = timedelta(minutes=15)


class SupervisedFeed(Protocol):
    """What supervision needs of a feed (`data.feed.DhanFeed`)."""

    @property
    def connected(self) -> bool: ...
    @property
    def connections(self) -> int: ...
    @property
    def last_packet_at(self) -> float | None: ...

    async def reconnect(self) -> None:
        """Drop the connection; the feed makes a new one."""
        ...

    async def pong(self, timeout_s: float) -> bool:
        """Ask for a sign of life."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, real seconds.

    Without a quote until the connection is made anew (first and longest), without a frame until the server is asked for
    a sign of life, and for its answer.
    """

    reconnect_after_s: float = 15.0
    reconnect_at_most_s: float = 240.0
    ask_after_s: float = 5.0
    answer_s: float = 5.0


class FeedSupervisor:
    """Watches one feed.

    Parameters
    ----------
    feed : SupervisedFeed
    watch : FeedWatch
        Knows the age of quotes.
    session : callable
        Gives today's session; None on a day without one.
    market_now : callable
        Market time, for the session.
    notifier : Notifier
    witness : callable or None
        Asked after the first new connection of a stall: a line on what REST says of the price, for a person.
    monotonic : callable
        Wire time.
    patience : Patience

    Attributes
    ----------
    stalls, half_open : int
        Connections that were made anew because no quote came, or because the server did not answer.
    """

    def __init__(  # noqa: PLR0913 - what a watcher sees and whom it tells
        self,
        feed: SupervisedFeed,
        watch: FeedWatch,
        *,
        session: Callable[[], Session | None],
        market_now: Callable[[], datetime],
        notifier: Notifier,
        witness: Callable[[], Awaitable[str]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        patience: Patience = Patience(),
    ) -> None:
        self._feed, self._watch = feed, watch
        self._session, self._market_now = session, market_now
        self._notifier, self._witness = notifier, witness
        self._monotonic, self._patience = monotonic, patience
        self._connection = 0
        self._connected_at = monotonic()
        self._opened_at: float | None = None
        self._answered_at = float("-inf")
        self._in_a_row = 0
        self._alarmed_at: float | None = None
        self._told: set[int] = set()
        self.stalls = self.half_open = 0

    async def run(self) -> None:
        """Check once a second until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            await self.check()

    async def check(self) -> None:
        """Look once."""
        now = self._monotonic()
        if self._feed.connections != self._connection:
            self._connection, self._connected_at = self._feed.connections, now
        self._note_open(now)
        silent_s = self._silent_s(now)
        if silent_s is None:
            self._in_a_row, self._alarmed_at = 0, None
        elif silent_s <= self._patience.ask_after_s:
            self._note_life(now)
        elif silent_s > self._patience.reconnect_after_s:
            self._alarm(now, silent_s)
        if not self._feed.connected:
            return
        if silent_s is not None and now - self._connected_at > self._wait_s() < silent_s:
            self.stalls += 1
            self._in_a_row += 1
            log.warning("no quote for %.0f s on an open connection: connecting anew", silent_s)
            await self._feed.reconnect()
            if self._in_a_row == 1 and self._witness is not None:
                self._notifier.send(Level.WARNING.value, f"while the feed is silent: {await self._witness()}")
            return
        await self._ask(now)

    def take_status(self, segment: Segment) -> None:
        """Compare a change of the market's status, as the feed tells it, with our calendar (fault S11).

        Dhan does not say what the status is now, so only the moment can be judged: around a session there are many
        changes (pre-open, auction, post-close), in its midst there is none but a halt.
        """
        now, session = self._market_now(), self._session()
        if session is None:
            expected, level = "no session today", Level.WARNING
        elif session.open + _STATUS_SLACK < now < session.spot_end - _STATUS_SLACK:
            expected, level = f"a session from {session.open:%H:%M} to {session.close:%H:%M}", Level.ALARM
        else:
            return
        self._notifier.send(
            level.value,
            f"Dhan tells at {now:%H:%M:%S} that the status of {segment.value} changed, but the calendar says "
            f"{expected}: trading may have been halted or the session moved; see the exchange's notice",
        )

    def take_disconnect(self, code: int, reason: str) -> None:
        """Tell a person once why Dhan closed the feed, where only a person can help (fault S5)."""
        if code in self._told or code not in _WAYS_OUT:
            return
        self._told.add(code)
        self._notifier.send(Level.ALARM.value, f"Dhan closed the feed: {code} {reason}; {_WAYS_OUT[code]}")

    def _note_open(self, now: float) -> None:
        session = self._session()
        if session is None or not session.contains(self._market_now()):
            self._opened_at = None
        elif self._opened_at is None:
            self._opened_at = now

    def _silent_s(self, now: float) -> float | None:
        """Seconds of an open market without a quote; None while it is closed, or nothing that trades is listened to."""
        if self._opened_at is None or not self._watch.expects_quotes:
            return None
        last = self._watch.last_quote_at
        return now - max(self._opened_at, last if last is not None else float("-inf"))

    def _wait_s(self) -> float:
        patience = self._patience
        return min(patience.reconnect_at_most_s, patience.reconnect_after_s * 2.0 ** min(self._in_a_row, 10))

    def _note_life(self, now: float) -> None:
        self._in_a_row = 0
        if self._feed.connected:
            self._told.clear()
        if self._alarmed_at is not None:
            lasted = now - self._alarmed_at
            self._alarmed_at = None
            self._notifier.send(Level.INFO.value, f"market data is back {lasted:.0f} s after the alarm")

    def _alarm(self, now: float, silent_s: float) -> None:
        if self._alarmed_at is not None:
            return
        self._alarmed_at = now
        state = "the connection is open" if self._feed.connected else self._watch.reason
        self._notifier.send(
            Level.ALARM.value,
            f"no market data for {silent_s:.0f} s ({state}): entries are frozen, stops at the broker stay, "
            "connecting anew",
        )

    async def _ask(self, now: float) -> None:
        """A server that sends nothing and answers no ping is gone, open market or not (fault S4)."""
        last = max(self._connected_at, self._answered_at, self._feed.last_packet_at or float("-inf"))
        if now - last < self._patience.ask_after_s:
            return
        if await self._feed.pong(self._patience.answer_s):
            self._answered_at = self._monotonic()
        elif self._feed.connected and self._feed.connections == self._connection:
            self.half_open += 1
            log.warning("the feed's server does not answer: connecting anew")
            await self._feed.reconnect()
