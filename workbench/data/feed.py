"""Dhan's live market feed as the MarketFeed port: one socket, quotes in rupees on the tick, reconnects by itself.

The library's own client parses one packet a frame, reconnects without a pause and loops for ever on an expired token,
so this is a client of our own (its parser is the oracle in our tests). Derivatives and stocks are subscribed in `full`
mode, since only that has bid and ask; indices as ticker, since they have neither.

Invariants: a tick in quarantine never becomes a quote; nothing raises out of the loop for what the wire brings; the
token, which stands in the address, is in no log, reason or ``repr``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, Segment
from workbench.core.money import PAISA
from workbench.data.feed_packets import (
    SEGMENT_CODES,
    Counts,
    Disconnect,
    MarketStatus,
    OpenInterest,
    Packet,
    PreviousClose,
    Tick,
    decode,
)
from workbench.data.feed_quarantine import Line, Quarantine, band_of
from workbench.data.feed_quotes import Facts, QuoteMaker
from workbench.data.feed_wishes import FeedMode, Place, Wishes, default_mode

log = logging.getLogger(__name__)
# At DEBUG the websocket library writes the request line, which holds the token.
_wire_log = logging.getLogger(__name__ + ".wire")
_wire_log.setLevel(logging.WARNING)

LIVE_URL = "wss://api-feed.dhan.co"
MOST_INSTRUMENTS = 5000
"""Dhan's limit for one connection."""

BURST = 64
"""Frames read in one go before others get their turn on the loop."""

_GOODBYE = 12
_STEADY_S = 30.0
_HOPELESS_S = 30.0
_TOKEN_CODES = (807, 808, 809)

OnQuote = Callable[[Quote, float], None]
OnState = Callable[[bool, str], None]


class DhanFeed:
    """Live quotes from Dhan or from a simulator that speaks its wire; implements `core.ports.MarketFeed`.

    Parameters
    ----------
    url : str
        Socket address without query.
    client_id, token : str
    backoff_s : (float, float)
        First and longest wait before a reconnect; each is drawn between half and all of it.
    ping_s : float
        Wire seconds between two pings, and how long one may stay without an answer.
    monotonic : callable
        Wire time; receive times are told in it.
    market_now : callable, optional
        Market time, for judging the time of trades; leave it out where the feed runs ahead of the clock (practice).
    on_token_refused : callable, optional
        Told that the access token is no longer taken, with the reason.
    on_disconnect : callable, optional
        Told each disconnect packet of Dhan: code and reason (805 means that another program uses the account's feed).
    on_status : callable, optional
        Told that the status of a segment changed; Dhan does not say to what.

    Attributes
    ----------
    counts : Counts
        Packets, ticks, unknown and short ones.
    quarantine : Quarantine
        Counts what it dropped and held back.
    unasked : int
        Packets of instruments that nobody subscribed.
    connections : int
        Connections made so far.
    last_packet_at : float or None
        Wire time of the newest frame.
    connected : bool
    """

    def __init__(  # noqa: PLR0913 - the ends of a socket, each handed in once
        self,
        url: str,
        client_id: str,
        token: str,
        *,
        backoff_s: tuple[float, float] = (0.5, 30.0),
        ping_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
        market_now: Callable[[], datetime] | None = None,
        on_token_refused: Callable[[str], None] | None = None,
        on_disconnect: Callable[[int, str], None] | None = None,
        on_status: Callable[[Segment], None] | None = None,
    ) -> None:
        self.url = url
        self._client_id, self._token = client_id, token
        self._backoff_s, self._ping_s = backoff_s, ping_s
        self._monotonic = monotonic
        self._on_token_refused, self._on_disconnect, self._on_status = on_token_refused, on_disconnect, on_status
        self._lines: dict[Place, Line] = {}
        self._wishes = Wishes()
        self._wake = asyncio.Event()
        self._renewed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: ClientConnection | None = None
        self._quotes = QuoteMaker()
        self.counts = Counts()
        self.quarantine = Quarantine(market_now)
        self.unasked = 0
        self.connections = 0
        self.last_packet_at: float | None = None
        self.connected = False

    def __repr__(self) -> str:
        return f"DhanFeed({self.url!r}, client …{self._client_id[-3:]}, {len(self._lines)} instruments)"

    @property
    def received(self) -> int:
        """Packets received since the start, of any kind."""
        return self.counts.packets

    @property
    def counters(self) -> dict[str, int]:
        """Everything that is counted, by name, for a face to show."""
        lines = {"unasked": self.unasked, "connections": self.connections, "instruments": len(self._lines)}
        return {**asdict(self.counts), **self.quarantine.counters, **lines}

    def renew_token(self, token: str) -> None:
        """Use another access token at the next connection, and wait for that no longer; from any thread."""
        self._token = token
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._renewed.set)

    def age_s(self, instrument: Instrument) -> float | None:
        """Wire seconds since the last quote of that instrument; None when there was none."""
        line = self._lines.get(_place(instrument))
        return None if line is None or line.received_at is None else self._monotonic() - line.received_at

    def facts(self, instrument: Instrument) -> Facts | None:
        """What the feed told of an instrument besides its quote; None when it is not subscribed."""
        line = self._lines.get(_place(instrument))
        return None if line is None else self._quotes.facts(line)

    def subscribe(self, instruments: Sequence[Instrument], mode: FeedMode | None = None) -> None:
        """Ask for quotes; remembered over reconnects. Asking twice changes nothing, another `mode` replaces the first.

        Raises
        ------
        BadInput
            More than one connection may carry; nothing of the request is done.
        """
        places = {_place(instrument) for instrument in instruments}
        if len(places | self._lines.keys()) > MOST_INSTRUMENTS:
            raise BadInput(
                f"{len(places - self._lines.keys())} more instruments cannot be subscribed: {len(self._lines)} are, and"
                f" Dhan gives {MOST_INSTRUMENTS:,} to one connection; unsubscribe some first"
            )
        for instrument in instruments:
            place = _place(instrument)
            line = self._lines.get(place)
            if line is None:
                # An index is told to the paisa, whatever the tick in the master says.
                tick_size = PAISA if instrument.segment is Segment.IDX_I else instrument.tick
                self._lines[place] = Line([instrument], tick_size, band_of(instrument))
                self._ask(instrument, mode or default_mode(instrument.segment))
                continue
            if all(known.key != instrument.key for known in line.instruments):
                line.instruments.append(instrument)
            if mode is not None:
                self._ask(instrument, mode)

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Stop quotes of these; one that was never asked for is passed over."""
        for instrument in instruments:
            line = self._lines.get(_place(instrument))
            if line is None:
                continue
            line.instruments = [known for known in line.instruments if known.key != instrument.key]
            if not line.instruments:
                del self._lines[_place(instrument)]
                self._ask(instrument, None)

    async def pong(self, timeout_s: float = 5.0) -> bool:
        """Ask the server for a sign of life; False when there is no connection or no answer in time."""
        socket = self._socket
        if socket is None:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await (await socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def reconnect(self) -> None:
        """Drop the connection; `run` makes a new one and subscribes again."""
        if self._socket is not None:
            await self._socket.close()

    async def run(self, on_quote: OnQuote, on_state: OnState) -> None:
        """Connect, decode and reconnect until cancelled; `on_quote(quote, receive time)` runs on the loop."""
        self._loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            started = self._monotonic()
            reason, is_hopeless = await self._attempt(on_quote, on_state)
            log.warning("feed lost: %s", reason)
            on_state(False, reason)
            attempt = 0 if self._monotonic() - started > _STEADY_S else attempt + 1
            await self._pause(attempt, is_hopeless)

    async def _attempt(self, on_quote: OnQuote, on_state: OnState) -> tuple[str, bool]:
        """Hold one connection to its end; tell why it ended, and whether knocking again at once is of no use."""
        try:
            gone = await self._session(on_quote, on_state)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            reason = self._safe(f"{type(error).__name__}: {error}")
            status = error.response.status_code if isinstance(error, InvalidStatus) else 0
            if status == 401 and self._on_token_refused is not None:
                self._on_token_refused("the feed refused the access token: HTTP 401")
            return reason, status in (401, 403, 429)
        finally:
            self.connected, self._socket = False, None
        if isinstance(gone, str):
            return gone, False
        reason = f"Dhan closed the feed: {gone.code} {gone.reason}"
        if self._on_disconnect is not None:
            self._on_disconnect(gone.code, gone.reason)
        if gone.code in _TOKEN_CODES and self._on_token_refused is not None:
            self._on_token_refused(f"{gone.code} {gone.reason}")
        return reason, True

    async def _pause(self, attempt: int, is_hopeless: bool) -> None:
        first, longest = self._backoff_s
        wait_s = min(longest, first * 2 ** min(attempt, 10))
        # An expired token, a second instance, a missing plan or a "429" does not heal by knocking again at once.
        wait_s = max(wait_s, min(longest, _HOPELESS_S)) if is_hopeless else wait_s
        try:
            async with asyncio.timeout(wait_s * random.uniform(0.5, 1.0)):
                await self._renewed.wait()
        except TimeoutError:
            return
        self._renewed.clear()

    async def _session(self, on_quote: OnQuote, on_state: OnState) -> str | Disconnect:
        query = f"version=2&token={url_quote(self._token)}&clientId={url_quote(self._client_id)}&authType=2"
        is_loopback = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        async with connect(
            f"{self.url}?{query}",
            compression=None,
            open_timeout=10,
            close_timeout=min(2.0, self._ping_s),
            ping_interval=None,  # the library's own would end a line whose answer stands behind a flood of packets
            logger=_wire_log,
            proxy=None if is_loopback else True,
        ) as socket:
            self._socket = socket
            self._wishes.start_anew()
            for line in self._lines.values():
                line.book = line.suspect = None
            await self._send_asked(socket)
            self.connected = True
            self.connections += 1
            on_state(True, "")
            sides = [asyncio.create_task(self._keep_sending(socket)), asyncio.create_task(self._keep_asking(socket))]
            try:
                gone = await self._read(socket, on_quote)
            except asyncio.CancelledError:
                await _say_goodbye(socket)
                raise
            finally:
                for side in sides:
                    side.cancel()
                await asyncio.gather(*sides, return_exceptions=True)
            return gone or f"closed by the server ({socket.close_code})"

    async def _read(self, socket: ClientConnection, on_quote: OnQuote) -> Disconnect | None:
        in_a_row = 0
        async for frame in socket:
            gone = self._take(frame, on_quote)
            if gone is not None:
                return gone
            in_a_row += 1
            if in_a_row >= BURST:
                # Frames that wait already are given without a turn of the loop: orders and beats would wait for all.
                in_a_row = 0
                await asyncio.sleep(0)
        return None

    def _ask(self, instrument: Instrument, mode: FeedMode | None) -> None:
        self._wishes.wish(instrument.segment, instrument.security_id, mode)
        self._wake.set()

    async def _keep_sending(self, socket: ClientConnection) -> None:
        while True:
            await self._wake.wait()
            await self._send_asked(socket)

    async def _keep_asking(self, socket: ClientConnection) -> None:
        """Leave a line on which nothing comes and no ping is answered (fault S4)."""
        while True:
            await asyncio.sleep(self._ping_s)
            asked_at = self._monotonic()
            if asked_at - (self.last_packet_at or 0.0) < self._ping_s or await self.pong(self._ping_s):
                continue
            if (self.last_packet_at or 0.0) < asked_at:
                await socket.close(1001, "no answer to a ping")

    async def _send_asked(self, socket: ClientConnection) -> None:
        self._wake.clear()
        for request in self._wishes.requests():
            await socket.send(json.dumps(request))

    def _take(self, frame: str | bytes, on_quote: OnQuote) -> Disconnect | None:
        at = self._monotonic()
        self.last_packet_at = at
        if isinstance(frame, str):
            self.counts.packets += 1
            self.counts.unknown += 1
            log.warning("feed sent text: %s", self._safe(frame)[:200])
            return None
        for packet in decode(frame, self.counts):
            if isinstance(packet, Tick):
                line = self._lines.get((packet.segment, packet.security_id))
                if line is None:
                    self.unasked += 1
                elif self.quarantine.passes(packet, line, at):
                    line.received_at = at
                    for quote in self._quotes.quotes(packet, line):
                        on_quote(quote, at)
            elif isinstance(packet, Disconnect):
                return packet
            else:
                self._note(packet)
        return None

    def _note(self, packet: Packet) -> None:
        match packet:
            case OpenInterest(segment, security_id, interest):
                line = self._lines.get((segment, security_id))
                if line is not None:
                    line.open_interest = interest
            case PreviousClose(segment, security_id, close, interest):
                line = self._lines.get((segment, security_id))
                if line is not None and 0.0 < close < float("inf"):
                    line.previous_close, line.previous_interest = close, interest
            case MarketStatus(segment):
                named = _SEGMENTS.get(segment)
                log.info("the market status of segment %s changed", named or segment)
                if named is not None and self._on_status is not None:
                    self._on_status(named)

    def _safe(self, text: str) -> str:
        for secret in (self._token, url_quote(self._token), self._client_id):
            if secret:
                text = text.replace(secret, "…")
        return text


_SEGMENTS = {code: segment for segment, code in SEGMENT_CODES.items()}


def _place(instrument: Instrument) -> Place:
    return SEGMENT_CODES[instrument.segment], int(instrument.security_id)


async def _say_goodbye(socket: ClientConnection) -> None:
    """Tell the server that we leave, as the library does; a dead line must not hold up the end."""
    try:
        async with asyncio.timeout(0.5):
            await socket.send(json.dumps({"RequestCode": _GOODBYE}))
    except (TimeoutError, ConnectionClosed):
        return
