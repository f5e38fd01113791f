"""Forwards the live feed to the mirror that takes paper orders.

The engine alone holds the broker's feed. Each quote of an instrument in use goes to the mirror before the engine itself
decides on it, so that an order never reaches a mirror that knows less than the engine did. Once a second the mirror is
told the market's time and whether the feed lives; without that it fills nothing.

Invariants: what the mirror is told is what the feed said, unchanged and in its order; a link that is down or a mirror
that is stale is told through `on_state`, so that entries stop while orders could not be matched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.ports import Clock, MarketFeed

log = logging.getLogger(__name__)

BEAT_S = 1.0
"""Real seconds between two words of time to the mirror."""

_AGAIN_S = 0.2
_MOST_IN_A_MESSAGE = 500


class MirrorLink:
    """The engine's side of the mirror's socket.

    Parameters
    ----------
    url : str
    client_id, token : str
        Of the paper account.
    clock : Clock
    feed_state : callable
        Whether the feed lives, and why not.
    on_state : callable
        Told (up, reason) when the mirror begins or ends to be able to fill.

    Attributes
    ----------
    forwarded : int
        Quotes sent to the mirror.
    unknown : int
        Quotes of which the mirror knew no facts (none, unless something is wrong).
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        token: str,
        *,
        clock: Clock,
        feed_state: Callable[[], tuple[bool, str]],
        on_state: Callable[[bool, str], None],
    ) -> None:
        self._url, self._client_id, self._token = url, client_id, token
        self._clock, self._feed_state, self._on_state = clock, feed_state, on_state
        self._facts: dict[str, dict[str, Any]] = {}
        self._newest: dict[str, list[Any]] = {}
        self._new_facts: list[dict[str, Any]] = []
        self._quotes: list[list[Any]] = []
        self._wake = asyncio.Event()
        self._told: tuple[bool, str] | None = None
        self.connected = asyncio.Event()
        self.forwarded = self.unknown = self.number = 0

    def __repr__(self) -> str:
        return f"MirrorLink({self._url!r}, {len(self._facts)} instruments, {self.forwarded} quotes forwarded)"

    def know(self, instruments: Sequence[Instrument]) -> None:
        """Tell the mirror the facts of instruments."""
        for instrument in instruments:
            facts = facts_of(instrument)
            if self._facts.get(instrument.key) != facts:
                self._facts[instrument.key] = facts
                self._new_facts.append(facts)
        self._wake.set()

    def take_quote(self, quote: Quote) -> None:
        """Forward a quote."""
        row = [
            quote.key, quote.time.isoformat(), str(quote.last), str(quote.bid), str(quote.ask), quote.bid_quantity,
            quote.ask_quantity, quote.volume,
        ]  # fmt: skip
        self._newest[quote.key] = row
        if self.connected.is_set():
            self._quotes.append(row)
            self._wake.set()

    def feed_lost(self) -> None:
        """Forget the newest prices: the feed is gone, and they must not be forwarded as if they were new."""
        self._newest.clear()
        self._wake.set()

    async def run(self) -> None:
        """Connect, forward and reconnect until cancelled."""
        while True:
            reason = "the mirror closed the link"
            try:
                async with connect(self._url, max_size=1 << 22, open_timeout=5, proxy=None) as socket:
                    await self._serve(socket)
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                reason = f"{type(error).__name__}: {error}"
            self.connected.clear()
            self._tell(False, f"the paper broker's mirror is away: {reason}")
            await asyncio.sleep(_AGAIN_S)

    async def _serve(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({"client": self._client_id, "token": self._token}))
        # A mirror that was started anew knows nothing; newest prices are those of a feed that has not been lost since.
        self._new_facts, self._quotes = list(self._facts.values()), list(self._newest.values())
        await self._say(socket)
        self.connected.set()
        listening = asyncio.create_task(self._listen(socket))
        try:
            while not listening.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), BEAT_S)
                await self._say(socket)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _say(self, socket: ClientConnection) -> None:
        """Say what is new, with the time; in pieces, so that no message grows without bound."""
        self._wake.clear()
        while True:
            facts, self._new_facts = self._new_facts[:_MOST_IN_A_MESSAGE], self._new_facts[_MOST_IN_A_MESSAGE:]
            # Facts first: a quote of an instrument that the mirror does not know would be passed over.
            quotes: list[list[Any]] = []
            if not self._new_facts:
                quotes, self._quotes = self._quotes[:_MOST_IN_A_MESSAGE], self._quotes[_MOST_IN_A_MESSAGE:]
            alive, reason = self._feed_state()
            self.number += 1
            message = {
                "number": self.number,
                "now": self._clock.now().isoformat(),
                "alive": alive,
                "reason": reason,
                "instruments": facts,
                "quotes": quotes,
            }
            await socket.send(json.dumps(message))
            self.forwarded += len(quotes)
            if not self._new_facts and not self._quotes:
                return

    async def _listen(self, socket: ClientConnection) -> None:
        async for text in socket:
            answer = json.loads(text)
            self.unknown += len(answer["unknown"])
            self._tell(not answer["stale"], answer["why_stale"])

    def _tell(self, up: bool, reason: str) -> None:
        if self._told is None or self._told[0] != up:
            log.log(logging.INFO if up else logging.WARNING, "mirror: %s", "fills again" if up else reason)
        if self._told != (up, reason):
            self._told = (up, reason)
            self._on_state(up, reason)


class MirroredFeed:
    """The broker's feed, of whose subscriptions the mirror is told; implements `core.ports.MarketFeed`.

    Parameters
    ----------
    feed : MarketFeed
    link : MirrorLink
    """

    def __init__(self, feed: MarketFeed, link: MirrorLink) -> None:
        self._feed, self._link = feed, link

    async def run(self, on_quote: Callable[[Quote, float], None], on_state: Callable[[bool, str], None]) -> None:
        """Run the feed, forwarding each quote before it is handed on."""

        def take(quote: Quote, received: float) -> None:
            self._link.take_quote(quote)
            on_quote(quote, received)

        def told(up: bool, reason: str) -> None:
            if not up:
                self._link.feed_lost()
            on_state(up, reason)

        await self._feed.run(take, told)

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Ask for quotes, and tell the mirror what they are of."""
        self._link.know(instruments)
        self._feed.subscribe(instruments)

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stop quotes; what the mirror knows, it may keep."""
        self._feed.unsubscribe(instruments)


def facts_of(instrument: Instrument) -> dict[str, Any]:
    """Give the facts of an instrument as the mirror's socket takes them."""
    return {
        "segment": instrument.segment.value,
        "security_id": instrument.security_id,
        "symbol": instrument.symbol,
        "kind": instrument.kind.value,
        "lot": instrument.lot,
        "tick": str(instrument.tick),
        "expiry": instrument.expiry.isoformat() if instrument.expiry else None,
        "strike": None if instrument.strike is None else str(instrument.strike),
        "right": instrument.right.value if instrument.right else None,
        "freeze": instrument.freeze,
        "display_name": instrument.display_name,
        "trading_symbol": instrument.trading_symbol,
    }
