"""Dhan's live market feed as the MarketFeed port: one socket, quotes in rupees on the tick, reconnects by itself.

The library's own client parses one packet a frame, reconnects without a pause and loops for ever on an expired token,
so this is a client of our own (its parser is the oracle in our tests). Derivatives and stocks are subscribed in `full`
mode, since only that has bid and ask; indices as ticker, since they have neither.

Invariants: a bad price (not above zero, not finite) never becomes a quote; nothing raises out of the loop for what the
wire brings; the token, which stands in the address, is in no log, reason or ``repr``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, Segment
from workbench.core.money import PAISA, ZERO, snap_to_tick
from workbench.core.session import IST
from workbench.data.feed_packets import DISCONNECT_REASONS, SEGMENT_CODES, Counts, Tick, decode

log = logging.getLogger(__name__)
# At DEBUG the websocket library writes the request line, which holds the token.
_wire_log = logging.getLogger(__name__ + ".wire")
_wire_log.setLevel(logging.WARNING)

LIVE_URL = "wss://api-feed.dhan.co"
BATCH = 100
_SUBSCRIBE_TICKER, _SUBSCRIBE_FULL = 15, 21
_INDIA_AHEAD_S = 19800
_STEADY_S = 30.0
_HOPELESS_S = 30.0
_CACHE_SIZE = 65536

OnQuote = Callable[[Quote, float], None]
OnState = Callable[[bool, str], None]


@dataclass(slots=True)
class _Line:
    """What is known of one wire id; two instruments can share it (an index and the index traded as a future)."""

    instruments: list[Instrument]
    tick: Decimal
    bid: float = 0.0
    ask: float = 0.0
    bid_quantity: int = 0
    ask_quantity: int = 0
    has_depth: bool = False
    volume: int = 0
    received_at: float | None = None


class DhanFeed:
    """Live quotes from Dhan or from a simulator that speaks its wire; implements `core.ports.MarketFeed`.

    Parameters
    ----------
    url : str
        Socket address without query.
    client_id, token : str
    backoff_s : (float, float)
        First and longest wait before a reconnect; each is drawn between half and all of it.
    monotonic : callable
        Wire time; receive times are told in it.

    Attributes
    ----------
    counts : Counts
        Packets, ticks, unknown and short ones.
    bad_prices : int
        Ticks that were dropped for their price.
    unasked : int
        Ticks of instruments that nobody subscribed.
    last_packet_at : float or None
        Wire time of the newest frame.
    connected : bool
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        token: str,
        *,
        backoff_s: tuple[float, float] = (0.5, 30.0),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._client_id = client_id
        self._token = token
        self._backoff_s = backoff_s
        self._monotonic = monotonic
        self._lines: dict[tuple[int, int], _Line] = {}
        self._prices: dict[tuple[float, Decimal], Decimal] = {}
        self._moments: dict[int, datetime] = {}
        self._unsent: list[tuple[bool, Segment, str]] = []
        self._wake = asyncio.Event()
        self._socket: ClientConnection | None = None
        self.counts = Counts()
        self.bad_prices = 0
        self.unasked = 0
        self.last_packet_at: float | None = None
        self.connected = False

    def __repr__(self) -> str:
        return f"DhanFeed({self.url!r}, client …{self._client_id[-3:]}, {len(self._lines)} instruments)"

    @property
    def received(self) -> int:
        """Packets received since the start, of any kind."""
        return self.counts.packets

    def renew_token(self, token: str) -> None:
        """Use another access token at the next connection."""
        self._token = token

    def age_s(self, instrument: Instrument) -> float | None:
        """Wire seconds since the last quote of that instrument; None when there was none."""
        line = self._lines.get(_place(instrument))
        return None if line is None or line.received_at is None else self._monotonic() - line.received_at

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Ask for quotes; remembered over reconnects. Asking twice changes nothing."""
        for instrument in instruments:
            line = self._lines.get(_place(instrument))
            if line is None:
                # An index is told to the paisa, whatever the tick in the master says.
                tick = PAISA if instrument.segment is Segment.IDX_I else instrument.tick
                self._lines[_place(instrument)] = _Line([instrument], tick)
                self._ask(True, instrument)
            elif all(known.key != instrument.key for known in line.instruments):
                line.instruments.append(instrument)

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stop quotes of these; one that was never asked for is passed over."""
        for instrument in instruments:
            line = self._lines.get(_place(instrument))
            if line is None:
                continue
            line.instruments = [known for known in line.instruments if known.key != instrument.key]
            if not line.instruments:
                del self._lines[_place(instrument)]
                self._ask(False, instrument)

    async def pong(self, timeout_s: float = 5.0) -> bool:
        """Ask the server for a sign of life; False when there is no connection or no answer in time."""
        socket = self._socket
        if socket is None:
            return False
        try:
            await asyncio.wait_for(await socket.ping(), timeout_s)
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def reconnect(self) -> None:
        """Drop the connection; `run` makes a new one and subscribes again."""
        if self._socket is not None:
            await self._socket.close()

    async def run(self, on_quote: OnQuote, on_state: OnState) -> None:
        """Connect, decode and reconnect until cancelled; `on_quote(quote, receive time)` runs on the loop."""
        attempt = 0
        while True:
            started = self._monotonic()
            disconnects: list[int] = []
            hopeless = False
            try:
                reason = await self._session(on_quote, on_state, disconnects)
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
                reason = self._safe(f"{type(error).__name__}: {error}")
                hopeless = isinstance(error, InvalidStatus) and error.response.status_code in (401, 403, 429)
            finally:
                self.connected, self._socket = False, None
            if disconnects:
                code = disconnects[-1]
                reason = f"Dhan closed the feed: {code} {DISCONNECT_REASONS.get(code, 'unknown reason')}"
                hopeless = True
            log.warning("feed lost: %s", reason)
            on_state(False, reason)
            attempt = 0 if self._monotonic() - started > _STEADY_S else attempt + 1
            first, longest = self._backoff_s
            wait = min(longest, first * 2 ** min(attempt, 10))
            # An expired token, a second instance or a "429" does not heal by knocking again at once.
            wait = max(wait, min(longest, _HOPELESS_S)) if hopeless else wait
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))

    async def _session(self, on_quote: OnQuote, on_state: OnState, disconnects: list[int]) -> str:
        query = f"version=2&token={url_quote(self._token)}&clientId={url_quote(self._client_id)}&authType=2"
        is_loopback = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        async with connect(
            f"{self.url}?{query}",
            compression=None,
            open_timeout=10,
            close_timeout=2,
            logger=_wire_log,
            proxy=None if is_loopback else True,
        ) as socket:
            self._socket = socket
            self._unsent.clear()
            for line in self._lines.values():
                line.has_depth = False
                self._ask(True, line.instruments[0])
            await self._send_asked(socket)
            self.connected = True
            on_state(True, "")
            sender = asyncio.create_task(self._keep_sending(socket))
            try:
                async for frame in socket:
                    self._take(frame, on_quote, disconnects)
                    if disconnects:
                        break
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
            return f"closed by the server ({socket.close_code})"

    def _ask(self, wanted: bool, instrument: Instrument) -> None:
        self._unsent.append((wanted, instrument.segment, instrument.security_id))
        self._wake.set()

    async def _keep_sending(self, socket: ClientConnection) -> None:
        while True:
            await self._wake.wait()
            await self._send_asked(socket)

    async def _send_asked(self, socket: ClientConnection) -> None:
        self._wake.clear()
        # The last wish of each instrument counts: an unsubscription that was taken back is not sent.
        wishes = {(segment, security_id): wanted for wanted, segment, security_id in self._unsent}
        self._unsent.clear()
        for code, places in _by_request(wishes).items():
            for first in range(0, len(places), BATCH):
                batch = places[first : first + BATCH]
                listed = [{"ExchangeSegment": segment.value, "SecurityId": name} for segment, name in batch]
                request = {"RequestCode": code, "InstrumentCount": len(listed), "InstrumentList": listed}
                await socket.send(json.dumps(request))

    def _take(self, frame: str | bytes, on_quote: OnQuote, disconnects: list[int]) -> None:
        at = self._monotonic()
        self.last_packet_at = at
        if isinstance(frame, str):
            self.counts.packets += 1
            self.counts.unknown += 1
            log.warning("feed sent text: %s", self._safe(frame)[:200])
            return
        for tick in decode(frame, self.counts, disconnects):
            line = self._lines.get((tick.segment, tick.security_id))
            if line is None:
                self.unasked += 1
                continue
            for quote in self._quotes(tick, line):
                line.received_at = at
                on_quote(quote, at)

    def _quotes(self, tick: Tick, line: _Line) -> Iterable[Quote]:
        # Written so that NaN fails too.
        if not 0.0 < tick.last < 1e8 or tick.traded_at <= _INDIA_AHEAD_S:
            self.bad_prices += 1
            return ()
        if tick.has_depth:
            if not (0.0 <= tick.bid < 1e8 and 0.0 <= tick.ask < 1e8):
                self.bad_prices += 1
                return ()
            line.bid, line.ask, line.has_depth = tick.bid, tick.ask, True
            line.bid_quantity, line.ask_quantity = tick.bid_quantity, tick.ask_quantity
        line.volume = tick.volume or line.volume
        last = self._price(tick.last, line.tick)
        bid, ask = last, last
        if line.has_depth:
            bid, ask = self._price(line.bid, line.tick), self._price(line.ask, line.tick)
        moment = self._moment(tick.traded_at)
        return [
            Quote(
                instrument.key,
                moment,
                last,
                bid,
                ask,
                line.bid_quantity if line.has_depth else 0,
                line.ask_quantity if line.has_depth else 0,
                line.volume,
            )
            for instrument in line.instruments
        ]

    def _price(self, price: float, tick: Decimal) -> Decimal:
        # float32 on the wire: 25000.05 arrives as 25000.05078, so the tick grid says what was meant.
        found = self._prices.get((price, tick))
        if found is None:
            if len(self._prices) > _CACHE_SIZE:
                self._prices.clear()
            found = snap_to_tick(price, tick) if price else ZERO
            self._prices[price, tick] = found
        return found

    def _moment(self, traded_at: int) -> datetime:
        found = self._moments.get(traded_at)
        if found is None:
            if len(self._moments) > _CACHE_SIZE:
                self._moments.clear()
            found = datetime.fromtimestamp(traded_at - _INDIA_AHEAD_S, IST)
            self._moments[traded_at] = found
        return found

    def _safe(self, text: str) -> str:
        for secret in (self._token, url_quote(self._token), self._client_id):
            if secret:
                text = text.replace(secret, "…")
        return text


def _place(instrument: Instrument) -> tuple[int, int]:
    return SEGMENT_CODES[instrument.segment], int(instrument.security_id)


def _by_request(wishes: dict[tuple[Segment, str], bool]) -> dict[int, list[tuple[Segment, str]]]:
    requests: dict[int, list[tuple[Segment, str]]] = {}
    for (segment, security_id), wanted in wishes.items():
        code = _SUBSCRIBE_TICKER if segment is Segment.IDX_I else _SUBSCRIBE_FULL
        requests.setdefault(code if wanted else code + 1, []).append((segment, security_id))
    return requests
