"""A TCP proxy of this machine that spoils what goes through it: for the faults below HTTP and WebSocket.

It sits between a client and a server, whoever they are, and forwards bytes until it is told to do otherwise: to delay
them, to swallow them, to reset connections, to go half-open (nothing passes and nothing is closed), to cut an answer
short, to let it drip. What it is told holds for open connections and for those that come.

Invariant: when its ``with`` block ends, its port is free and every connection is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeVar

_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_CHUNK = 65_536
_WAIT_S, _LOOK_S = 10.0, 0.02

T = TypeVar("T")


class Way(StrEnum):
    """What is done with bytes.

    `DROP_ANSWERS` lets requests through and swallows what comes back; `HALF_OPEN` swallows both ways and closes
    nothing; `TRUNCATE` lets so many bytes of answers through and then ends the connection; `REFUSE` resets each new
    connection.
    """

    FORWARD = "forward"
    DROP_ANSWERS = "drop_answers"
    HALF_OPEN = "half_open"
    TRUNCATE = "truncate"
    REFUSE = "refuse"


@dataclass(eq=False, slots=True)
class _Pair:
    """One client's connection and the one made for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    answered: int = 0
    is_left: bool = False


@dataclass(slots=True)
class FaultProxy:
    """The proxy, in a thread of its own.

    Parameters
    ----------
    port : int
        Where the server listens on 127.0.0.1.

    Attributes
    ----------
    way : Way
    delay_s : float
        Real seconds that each piece of an answer is late.
    bytes_per_s : float or None
        How fast answers drip; None: as they come.
    pass_bytes : int
        How much of the answers of a connection is let through under `TRUNCATE`.
    connections : int
        Connections made so far.
    """

    port: int
    way: Way = Way.FORWARD
    delay_s: float = 0.0
    bytes_per_s: float | None = None
    pass_bytes: int = 0
    connections: int = 0
    listening: int = 0
    _pairs: list[_Pair] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _over: asyncio.Event = field(init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="fault-proxy", daemon=True)
        self._thread.start()
        if not self._ready.wait(_WAIT_S):
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        if self._thread is not None:
            self._thread.join(_WAIT_S)

    @property
    def origin(self) -> str:
        """Where the proxy listens, as HTTP."""
        return f"http://127.0.0.1:{self.listening}"

    @property
    def ws_origin(self) -> str:
        """Where the proxy listens, as WebSocket."""
        return f"ws://127.0.0.1:{self.listening}"

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return self._call(lambda: len(self._pairs))

    def be(self, way: Way, *, pass_bytes: int = 0, delay_s: float = 0.0, bytes_per_s: float | None = None) -> None:
        """Do this from now on; `Way.FORWARD` heals, but gives nothing back that was swallowed."""

        def turned() -> None:
            self.way, self.pass_bytes, self.delay_s, self.bytes_per_s = way, pass_bytes, delay_s, bytes_per_s

        self._call(turned)

    def reset(self) -> None:
        """Reset every open connection, once."""

        def done() -> None:
            for pair in list(self._pairs):
                _break(pair.client)
                _break(pair.server)

        self._call(done)

    def _call(self, work: Callable[[], T]) -> T:
        async def done() -> T:
            return work()

        if self._loop is None:
            raise RuntimeError("the proxy is not running: use it inside its with-block")
        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(_WAIT_S)

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.listening = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for pair in list(self._pairs):
            _break(pair.client)
            _break(pair.server)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self.way is Way.REFUSE:
            _break(writer)
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            _break(writer)
            return
        pair = _Pair(writer, back)
        self._pairs.append(pair)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._requests(reader, pair))
                both.create_task(self._answers(there, pair))
        finally:
            self._pairs.remove(pair)
            _break(pair.client)
            _break(pair.server)

    async def _requests(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        while data := await _read(reader):
            if self.way is not Way.HALF_OPEN:
                await _write(pair.server, data)
        # A half-open line does not pass the end of a connection on either.
        while self.way is Way.HALF_OPEN:
            await asyncio.sleep(_LOOK_S)
        pair.is_left = True
        pair.server.close()

    async def _answers(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        while data := await _read(reader):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.way in (Way.HALF_OPEN, Way.DROP_ANSWERS):
                continue
            if self.way is Way.TRUNCATE:
                data = data[: max(0, self.pass_bytes - pair.answered)]
            pair.answered += len(data)
            await self._drip(pair.client, data)
            if self.way is Way.TRUNCATE and pair.answered >= self.pass_bytes:
                # What was passed is to arrive: an ordinary end, in the middle of an answer.
                pair.client.close()
                return
        while self.way in (Way.HALF_OPEN, Way.DROP_ANSWERS) and not pair.is_left:
            await asyncio.sleep(_LOOK_S)
        pair.client.close()

    async def _drip(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.bytes_per_s is None:
            await _write(writer, data)
            return
        for place in range(len(data)):
            await _write(writer, data[place : place + 1])
            await asyncio.sleep(1 / (self.bytes_per_s or float("inf")))


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except OSError:
        return b""


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data and not writer.is_closing():
        try:
            writer.write(data)
            await writer.drain()
        except OSError:
            writer.close()


def _break(writer: asyncio.StreamWriter) -> None:
    """Reset a connection, that is: end it so that the other side sees an error and not an end."""
    link = writer.get_extra_info("socket")
    if link is not None and not writer.is_closing():
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
