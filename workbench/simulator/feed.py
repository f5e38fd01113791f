"""The live-feed socket: subscriptions, and packets for what has changed in a second.

Invariant: one packet a frame; an instrument is priced and packed once a second, however many clients listen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from workbench.core.instrument import InstrumentKind, Segment
from workbench.simulator import packets
from workbench.simulator.board import Board, Level
from workbench.simulator.faults import CONNECTIONS, Fault, FaultBook, FaultKind, of_stream
from workbench.simulator.gate import LINE, Line
from workbench.simulator.listing import Listed

TICKER, QUOTE, FULL = 15, 17, 21
_DISCONNECT_REQUEST = 12
MOST_CONNECTIONS, MOST_INSTRUMENTS, MOST_A_MESSAGE = 5, 5000, 100
_TOO_MANY_INSTRUMENTS, _TOO_MANY_CONNECTIONS, _NO_DATA_PLAN, _TOKEN_EXPIRED = 804, 805, 806, 807
_TOKEN_INVALID, _CLIENT_INVALID = 809, 810
_PACKETS = frozenset({FaultKind.BAD_TICKS})


@dataclass(eq=False, slots=True)
class Connection:
    """One socket: what it wants, what it was sent last, and how many packets it was sent."""

    socket: WebSocket
    token: str = ""
    number: int = 0
    wanted: dict[tuple[str, str], int] = field(default_factory=dict)
    seen: dict[tuple[str, str], tuple[float, float, float]] = field(default_factory=dict)
    sent: int = 0
    closed: bool = False
    deaf: bool = False
    silent_until: float = 0.0
    struck: set[int] = field(default_factory=set)

    @property
    def is_quiet(self) -> bool:
        """Nothing is sent on it now."""
        return self.closed or self.deaf or time.monotonic() < self.silent_until

    @property
    def line(self) -> Line:
        """The connection below the socket."""
        line: Line = self.socket.scope[LINE]
        return line

    async def send(self, packet: bytes) -> None:
        """Send one frame; a socket that is gone is remembered as closed."""
        if self.is_quiet:
            return
        try:
            await self.socket.send_bytes(packet)
        except (WebSocketDisconnect, RuntimeError):
            self.closed = True
        else:
            self.sent += 1


class FeedHub:
    """All feed sockets.

    Parameters
    ----------
    token, client_id : str
        Who may listen, unless `admits` is set to something that knows better.
    prev_close_for_all : bool
        Send the previous close for every new subscription, not for indices alone.
    """

    def __init__(self, token: str, client_id: str, *, prev_close_for_all: bool = False) -> None:
        self._client_id, self._prev_close_for_all = client_id, prev_close_for_all
        self.admits: Callable[[str], bool] = lambda shown: shown == token
        self.has_ended: Callable[[str], bool] = lambda _: False
        self.has_plan: Callable[[], bool] = lambda: True
        self.faults: FaultBook | None = None
        self.connections: list[Connection] = []
        self._cache: dict[tuple[str, int, int], bytes] = {}
        self._board: Board | None = None
        self._connected = 0

    @property
    def packets(self) -> int:
        """Packets that every open socket has been sent at least.

        The smallest count, so that a client that waits until it has received that many never waits in vain.
        """
        return min((each.sent for each in self.connections), default=0)

    def use(self, board: Board) -> None:
        """Take a new day's board; subscriptions stay."""
        self._board = board
        self._cache.clear()
        for connection in self.connections:
            connection.seen.clear()

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it leaves."""
        await socket.accept()
        query = socket.query_params
        self._connected += 1
        connection = Connection(socket, query.get("token", ""), self._connected)
        reason = self._stranger(connection, query.get("clientId", ""))
        if reason is not None:
            await self._turn_away(connection, reason)
            return
        if len(self.connections) >= MOST_CONNECTIONS:
            await self._turn_away(self.connections[0], _TOO_MANY_CONNECTIONS)
        self.connections.append(connection)
        try:
            await self.strike()
            while not connection.closed:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                # The broker's own library says goodbye in text and then in 83 binary bytes: the latter mean nothing.
                text = message.get("text")
                if text and not await self._asked(connection, text):
                    break
        except (WebSocketDisconnect, RuntimeError):
            connection.closed = True
        finally:
            self._drop(connection)

    def _stranger(self, connection: Connection, client: str) -> int | None:
        """Give the reason why a client may not listen, or None."""
        if client != self._client_id:
            return _CLIENT_INVALID
        if not self.admits(connection.token):
            return _TOKEN_EXPIRED if self.has_ended(connection.token) else _TOKEN_INVALID
        return None if self.has_plan() else _NO_DATA_PLAN

    async def strike(self) -> None:
        """Do to open connections what was ordered for them, the oldest first, and end those whose token has ended."""
        for connection in list(self.connections):
            if not self.admits(connection.token):
                await self._turn_away(connection, _TOKEN_EXPIRED)
                continue
            meant = of_stream("feed", connection.struck)
            while self.faults is not None and not connection.closed:
                fault = self.faults.take(CONNECTIONS, meant, f"feed connection {connection.number}")
                if fault is None:
                    break
                connection.struck.add(fault.number)
                await self._strike(connection, fault)

    async def _strike(self, connection: Connection, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.FEED_SILENT:
                connection.silent_until = time.monotonic() + fault.seconds
            case FaultKind.FEED_HALF_OPEN:
                connection.deaf = True
                connection.line.go_deaf()
                asyncio.get_running_loop().call_later(fault.seconds, connection.line.abort)
            case _:
                await self._turn_away(connection, int(fault.reason))

    async def push(self) -> None:
        """Send every client what has changed since the second before."""
        self._cache.clear()
        board = self._board
        if board is None:
            return
        for connection in list(self.connections):
            if connection.is_quiet:
                # What it has missed it gets when it is heard of again.
                connection.seen.clear()
                continue
            for key, mode in list(connection.wanted.items()):
                listed = board.listing.find(*key)
                if listed is not None:
                    await self._tell(connection, board, listed, mode)

    async def say_status(self) -> None:
        """Send everybody the market-status packet of the segments that it listens to: at open and at close."""
        for connection in list(self.connections):
            for segment in sorted({name for name, _ in connection.wanted}):
                code = packets.SEGMENT_CODES.get(Segment(segment)) if segment in set(Segment) else None
                if code is not None:
                    await connection.send(packets.market_status(code))

    async def _tell(self, connection: Connection, board: Board, listed: Listed, mode: int) -> None:
        key = (listed.instrument.segment.value, listed.instrument.security_id)
        level = board.level(listed)
        now = (level.last, level.bid, level.ask)
        new_minute = self._new_minute(board, listed)
        if connection.seen.get(key) == now and not new_minute:
            return
        connection.seen[key] = now
        packet = self._packet(board, listed, mode)
        bad = self._spoilt(packet, listed)
        if bad is not None:
            # The truth follows in the next second, even if it stands still.
            connection.seen.pop(key, None)
        await connection.send(bad or packet)
        if new_minute and mode == QUOTE and listed.instrument.kind is not InstrumentKind.INDEX:
            await connection.send(packets.open_interest(*_head(listed), board.interest(listed)))

    def _spoilt(self, packet: bytes, listed: Listed) -> bytes | None:
        """Give a bad packet in the place of a good one, when one was ordered."""
        if self.faults is None or not self.faults.waiting:
            return None
        name = listed.instrument.security_id
        fault = self.faults.take(_PACKETS, lambda each: each.security_id in ("", name), f"packet of {name}")
        return packets.spoilt(packet, fault.what) if fault is not None else None

    def _new_minute(self, board: Board, listed: Listed) -> bool:
        """Repeat a price that stands still once a minute, if it is traded, so that its bar is not absent."""
        return board.second % 60 == 0 and board.traded(listed.instrument.symbol)

    async def _turn_away(self, connection: Connection, reason: int) -> None:
        self._drop(connection)
        if connection.deaf:
            # Nothing gets through a dead line, a goodbye neither.
            return
        try:
            await connection.socket.send_bytes(packets.disconnect(reason))
            await connection.socket.close()
        except (WebSocketDisconnect, RuntimeError):
            connection.closed = True

    def _drop(self, connection: Connection) -> None:
        connection.closed = True
        if connection in self.connections:
            self.connections.remove(connection)

    async def _asked(self, connection: Connection, text: str) -> bool:
        """Do what a client's message says; False when it says goodbye or is sent away."""
        try:
            request: Any = orjson.loads(text)
            code = int(request["RequestCode"])
            rows = request.get("InstrumentList") or []
            names = [(str(each["ExchangeSegment"]), str(each["SecurityId"])) for each in rows]
        except (ValueError, KeyError, TypeError, AttributeError):
            return True
        if code == _DISCONNECT_REQUEST:
            return False
        if code in (TICKER, QUOTE, FULL):
            if len(names) > MOST_A_MESSAGE or len(connection.wanted.keys() | set(names)) > MOST_INSTRUMENTS:
                await self._turn_away(connection, _TOO_MANY_INSTRUMENTS)
                return False
            for key in names:
                connection.wanted[key] = code
                await self._first(connection, key, code)
        elif code - 1 in (TICKER, QUOTE, FULL):
            for key in names:
                connection.wanted.pop(key, None)
                connection.seen.pop(key, None)
        return True

    async def _first(self, connection: Connection, key: tuple[str, str], mode: int) -> None:
        """Send a new subscriber where things stand."""
        board = self._board
        listed = board.listing.find(*key) if board is not None else None
        if board is None or listed is None or listed.number == 0:
            return
        head = _head(listed)
        if listed.instrument.kind is InstrumentKind.INDEX or self._prev_close_for_all:
            interest = board.interest(listed)
            await connection.send(packets.previous_close(*head, board.previous_close(listed), interest))
        if mode == QUOTE and listed.instrument.kind is not InstrumentKind.INDEX:
            await connection.send(packets.open_interest(*head, board.interest(listed)))
        if board.second >= 0 and not connection.is_quiet:
            level = board.level(listed)
            connection.seen[key] = (level.last, level.bid, level.ask)
            await connection.send(self._packet(board, listed, mode))

    def _packet(self, board: Board, listed: Listed, mode: int) -> bytes:
        # A client that subscribes between a second and its push must not get the packet of the second before.
        key = (listed.instrument.security_id, mode, board.second)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = pack(board, listed, mode)
        return found


def _head(listed: Listed) -> tuple[int, int]:
    return packets.SEGMENT_CODES[listed.instrument.segment], listed.number


def pack(board: Board, listed: Listed, mode: int) -> bytes:
    """Give the packet of an instrument in this second, as its subscription asks."""
    instrument = listed.instrument
    head = _head(listed)
    level: Level = board.level(listed)
    time = packets.trade_time(board.now)
    if mode == TICKER:
        return packets.ticker(*head, level.last, time)
    day = board.day_range(listed)
    rows = board.depth(listed)
    last = (level.last, instrument.lot if level.volume else 0, time)
    traded = (
        (day.high + day.low + level.last) / 3 if level.volume else 0.0,
        level.volume,
        sum(row[1] for row in rows),
        sum(row[0] for row in rows),
    )
    prices = (day.open, board.previous_close(listed), day.high, day.low)
    if mode == QUOTE:
        return packets.quote(head, last, traded, prices)
    return packets.full(head, last, traded, prices, rows, interest=board.interest(listed))
