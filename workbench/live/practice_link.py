"""The link to the simulator's clock: one market second at a time, acknowledged when everything of it is done.

The simulator pushes a second's quotes and order updates through its ordinary sockets and then says on this link how
many there were. The link waits until they have come in, moves the clock, hands them to the runner in one order (quotes,
order updates, the beat), waits until the runner is idle, and acknowledges. So a day at any speed is the same day.

Invariant: the runner never sees a quote before the clock stands at its second.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from workbench.core.bars import Quote
from workbench.core.errors import WorkbenchError
from workbench.core.messages import BrokerOrder, Message, OrderUpdated, QuoteReceived, TimerBeat
from workbench.live.clock import PracticeClock

log = logging.getLogger(__name__)

LATE_S = 1.0
"""Real seconds to wait for a second's packets; then a counter is off (a reconnect) and is set anew."""

_DERIVATIVES = ("NSE_FNO:", "BSE_FNO:")


class Counting(Protocol):
    """A socket client that counts what it received."""

    @property
    def received(self) -> int:
        """Packets since the start."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One market second of the simulator."""

    number: int
    moment: datetime
    packets: int
    updates: int
    state: str
    is_lockstep: bool

    @classmethod
    def read(cls, text: str | bytes) -> Step:
        """Read one message of the link."""
        body: dict[str, Any] = json.loads(text)
        return cls(
            int(body["step"]),
            datetime.fromisoformat(body["time"]),
            int(body["packets"]),
            int(body["updates"]),
            str(body.get("state", "open")),
            body.get("speed") == "max",
        )


class PracticeLink:
    """Moves a practice engine through the simulator's day.

    Parameters
    ----------
    url : str
        The simulator's ``/sync`` socket.
    clock : PracticeClock
    feed, updates : Counting
        The ordinary sockets' clients.
    enqueue : callable
        Takes messages (the runner's).
    drained : callable
        Waits until all is done that a second led to (runner and signal source).
    on_second : callable
        Called on the loop with the time of each second before its beat, to close bars and to judge the feed.
    on_state : callable
        Awaited when the market's state changes: "waiting" (a day stands before its open), "open", "closed".
    """

    def __init__(  # noqa: PLR0913 - the ends of a link
        self,
        url: str,
        *,
        clock: PracticeClock,
        feed: Counting,
        updates: Counting,
        enqueue: Callable[[Message], None],
        drained: Callable[[], Awaitable[None]],
        on_second: Callable[[datetime], None],
        on_state: Callable[[str, datetime], Awaitable[None]],
    ) -> None:
        self.url, self.clock = url, clock
        self._feed, self._updates = feed, updates
        self._enqueue, self._drained = enqueue, drained
        self._on_second, self._on_state = on_second, on_state
        self._quotes: list[Quote] = []
        self._orders: list[BrokerOrder] = []
        self._lockstep = False
        self._state = ""
        self._packets_ahead = self._updates_ahead = 0
        self._last = (0, 0)
        self.steps = 0
        self.rebased = 0
        self.connected = asyncio.Event()

    def take_quote(self, quote: Quote) -> None:
        """Keep a quote for its second; derivatives of a practice market are priced by the model, and marked so."""
        modelled = quote.key.startswith(_DERIVATIVES) and not quote.model
        self._quotes.append(replace(quote, model=True) if modelled else quote)

    def take_order(self, order: BrokerOrder) -> None:
        """Keep an order update for its second; where time flows, it is handed on at once."""
        if self._lockstep:
            self._orders.append(order)
        else:
            self._enqueue(OrderUpdated(order=order))

    async def run(self) -> None:
        """Follow the simulator until cancelled; while it is away, time stands still."""
        while True:
            try:
                async with connect(self.url, max_size=1 << 20, open_timeout=5, proxy=None) as socket:
                    self.connected.set()
                    async for text in socket:
                        await self._step(Step.read(text), socket)
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                log.warning("the simulator's clock is away: %s", error)
            except WorkbenchError as error:
                # A day that cannot be opened (no master, for instance): the market waits, and it is tried again.
                log.error("this market second could not be carried out: %s", error)
            self.connected.clear()
            await asyncio.sleep(0.2)

    async def _step(self, step: Step, socket: ClientConnection) -> None:
        self._lockstep = step.is_lockstep
        await self._arrived(step)
        self.clock.set(step.moment)
        if step.state != self._state:
            await self._on_state(step.state, step.moment)
            self._state = step.state
        quotes, self._quotes = self._quotes, []
        orders, self._orders = self._orders, []
        for quote in quotes:
            self._enqueue(QuoteReceived(quote=quote))
        for order in orders:
            self._enqueue(OrderUpdated(order=order))
        self._on_second(step.moment)
        if step.is_lockstep:
            await self._drained()
        self._enqueue(TimerBeat())
        await self._drained()
        self.steps += 1
        answer: dict[str, Any] = {"ack": step.number}
        if step.state == "waiting":
            answer["ready"] = True
        elif step.state == "closed":
            answer["next"] = True
        await socket.send(json.dumps(answer))

    async def _arrived(self, step: Step) -> None:
        """Wait until this second's packets have come in; the simulator counts anew on a new connection."""
        if step.packets < self._last[0] or step.updates < self._last[1]:
            self._rebase(step)
        self._last = (step.packets, step.updates)
        give_up = time.monotonic() + LATE_S
        turns = 0
        while (
            self._feed.received + self._packets_ahead < step.packets
            or self._updates.received + self._updates_ahead < step.updates
        ):
            if time.monotonic() > give_up:
                log.warning("step %d: packets are missing; counting anew", step.number)
                self.rebased += 1
                self._rebase(step)
                return
            turns += 1
            await asyncio.sleep(0 if turns < 200 else 0.001)

    def _rebase(self, step: Step) -> None:
        self._packets_ahead = step.packets - self._feed.received
        self._updates_ahead = step.updates - self._updates.received
