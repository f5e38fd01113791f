"""Stands before the broker's port, passes every byte on, and notes the moment at which an order is complete.

That is when the last byte of the request has come in, on this machine's monotonic clock, which is one for all its
processes. Without a broker behind it, it answers orders itself; so engine and floor are stamped by the same code.

Invariant: bytes are noted, never changed; it ends with its ``with`` block.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

ANSWER = json.dumps({"orderId": "1", "orderStatus": "TRANSIT"}).encode()
ANSWER_BYTES = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(ANSWER),
    ANSWER,
)
WRITES = ("POST", "PUT", "DELETE")


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """An order, a change or a cancellation as it came."""

    method: str
    path: str
    at_ns: int
    body: bytes


@dataclass(slots=True)
class RequestReader:
    """Finds the end of each HTTP request in a stream; a socket that is upgraded is read no further."""

    _buffer: bytearray = field(default_factory=bytearray)
    _is_raw: bool = False

    def take(self, chunk: bytes) -> list[tuple[str, str, bytes]]:
        """Give the requests (method, path, body) that this chunk completes."""
        found: list[tuple[str, str, bytes]] = []
        if self._is_raw:
            return found
        self._buffer += chunk
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            fields = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
            }
            if "upgrade" in fields:
                self._is_raw = True
                return found
            length = int(fields.get("content-length", "0"))
            if len(self._buffer) < end + 4 + length:
                return found
            found.append((method, path, bytes(self._buffer[end + 4 : end + 4 + length])))
            del self._buffer[: end + 4 + length]
        return found


class Recorder:
    """The recording broker's door.

    Parameters
    ----------
    target : int or None
        Port of the broker; None: there is none, orders are answered here.
    """

    def __init__(self, target: int | None = None) -> None:
        self.target = target
        self.writes: list[OrderWrite] = []
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in (self._listener, *self._sockets):
            _shut(opened)
        for thread in self._threads:
            thread.join(5)

    @property
    def count(self) -> int:
        """Writes so far."""
        return len(self.writes)

    def next_write(self, seen: int, timeout_s: float) -> OrderWrite | None:
        """Wait for the first write after the first `seen` ones; None when none comes in time."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.writes) > seen, timeout_s)
            return self.writes[seen] if came else None

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(client)
            if self.target is None:
                self._start(self._pump, client, None)
                continue
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                _shut(client)
                continue
            broker.settimeout(None)
            broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(broker)
            self._start(self._pump, client, broker)
            self._start(_pass_on, broker, client)

    def _pump(self, client: socket.socket, broker: socket.socket | None) -> None:
        """Carry what the client sends, and note its orders."""
        reader = RequestReader()
        try:
            while chunk := client.recv(65536):
                at = time.monotonic_ns()
                if broker is not None:
                    broker.sendall(chunk)
                for method, path, body in reader.take(chunk):
                    if broker is None:
                        client.sendall(ANSWER_BYTES)
                    if method in WRITES and path.startswith("/v2/orders"):
                        self._note(OrderWrite(method, path, at, body))
        except OSError:
            pass
        finally:
            for end in (client, broker):
                if end is not None:
                    _shut(end)

    def _note(self, write: OrderWrite) -> None:
        with self._changed:
            self.writes.append(write)
            self._changed.notify_all()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
    except OSError:
        pass
    finally:
        _shut(source)
        _shut(target)


def _shut(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side may have closed it already
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()
