"""The live-feed socket: subscriptions, and packets for what has changed in a second.

Invariant: one packet a frame; an instrument is priced and packed once a second, however many clients listen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from workbench.core.instrument import InstrumentKind
from workbench.simulator import packets
from workbench.simulator.board import Board, Level
from workbench.simulator.listing import Listed

TICKER, QUOTE, FULL = 15, 17, 21
_DISCONNECT_REQUEST = 12
MOST_CONNECTIONS = 5
_TOO_MANY, _TOKEN_INVALID, _CLIENT_INVALID = 805, 809, 810
_INTEREST_LOTS = 40_000


@dataclass(eq=False, slots=True)
class Connection:
    """One socket: what it wants, what it was sent last, and how many packets it was sent."""

    socket: WebSocket
    wanted: dict[tuple[str, str], int] = field(default_factory=dict)
    seen: dict[tuple[str, str], tuple[float, float, float]] = field(default_factory=dict)
    sent: int = 0
    closed: bool = False

    async def send(self, packet: bytes) -> None:
        """Send one frame; a socket that is gone is remembered as closed."""
        if self.closed:
            return
        try:
            await self.socket.send_bytes(packet)
        except (WebSocketDisconnect, RuntimeError):
            self.closed = True
        else:
            self.sent += 1


class FeedHub:
    """All feed sockets."""

    def __init__(self, token: str, client_id: str) -> None:
        self._token, self._client_id = token, client_id
        self.connections: list[Connection] = []
        self._cache: dict[tuple[str, int], bytes] = {}
        self._board: Board | None = None

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
        connection = Connection(socket)
        query = socket.query_params
        if query.get("token") != self._token or query.get("clientId") != self._client_id:
            await self._turn_away(connection, _TOKEN_INVALID if query.get("token") != self._token else _CLIENT_INVALID)
            return
        if len(self.connections) >= MOST_CONNECTIONS:
            await self._turn_away(self.connections[0], _TOO_MANY)
        self.connections.append(connection)
        try:
            while not connection.closed:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                text = message.get("text")
                if text and not await self._asked(connection, text):
                    break
        finally:
            self._drop(connection)

    async def push(self) -> None:
        """Send every client what has changed since the second before."""
        self._cache.clear()
        board = self._board
        if board is None:
            return
        for connection in list(self.connections):
            for key, mode in list(connection.wanted.items()):
                listed = board.listing.find(*key)
                if listed is None:
                    continue
                level = board.level(listed)
                now = (level.last, level.bid, level.ask)
                if connection.seen.get(key) == now and not self._new_minute(board, listed):
                    continue
                connection.seen[key] = now
                await connection.send(self._packet(board, listed, mode))

    def _new_minute(self, board: Board, listed: Listed) -> bool:
        """Repeat a price that stands still once a minute, if it is traded, so that its bar is not absent."""
        return board.second % 60 == 0 and board.traded(listed.instrument.symbol)

    async def _turn_away(self, connection: Connection, reason: int) -> None:
        self._drop(connection)
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
        """Do what a client's message says; False when it says goodbye."""
        try:
            request: Any = orjson.loads(text)
            code = int(request["RequestCode"])
            names = [
                (str(each["ExchangeSegment"]), str(each["SecurityId"])) for each in request.get("InstrumentList", [])
            ]
        except (ValueError, KeyError, TypeError):
            return True
        if code == _DISCONNECT_REQUEST:
            return False
        if code in (TICKER, QUOTE, FULL):
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
        head = (packets.SEGMENT_CODES[listed.instrument.segment], listed.number)
        if listed.instrument.kind is InstrumentKind.INDEX:
            await connection.send(packets.previous_close(*head, board.previous_close(listed), 0))
        elif mode == QUOTE:
            await connection.send(packets.open_interest(*head, listed.instrument.lot * _INTEREST_LOTS))
        if board.second >= 0:
            level = board.level(listed)
            connection.seen[key] = (level.last, level.bid, level.ask)
            await connection.send(self._packet(board, listed, mode))

    def _packet(self, board: Board, listed: Listed, mode: int) -> bytes:
        key = (listed.instrument.security_id, mode)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = pack(board, listed, mode)
        return found


def pack(board: Board, listed: Listed, mode: int) -> bytes:
    """Give the packet of an instrument in this second, as its subscription asks."""
    instrument = listed.instrument
    head = (packets.SEGMENT_CODES[instrument.segment], listed.number)
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
    interest = instrument.lot * _INTEREST_LOTS if instrument.kind is not InstrumentKind.INDEX else 0
    return packets.full(head, last, traded, prices, rows, interest=interest)
