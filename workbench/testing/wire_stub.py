"""A small TCP server that answers HTTP as told: for the ways in which a broker's wire can fail.

What a well-behaved broker does is the simulator's to show; this one resets, keeps silent, cuts short and talks rubbish.
It records what came, byte for byte, and ends with its ``with`` block.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is done about one request: raw bytes are sent, then the connection may be closed or reset.

    `drip_s` sends blanks for ever, one each so many seconds; `wait` holds the reply back until the server ends.
    """

    raw: bytes = b""
    close: bool = False
    reset: bool = False
    drip_s: float = 0.0
    wait: bool = False


def http(status: int, body: object = b"", *, kind: str = "application/json", extra: str = "") -> Reply:
    """Give a whole HTTP answer; `body` is bytes, or anything that is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{extra}\r\n"
    return Reply(raw=head.encode() + content)


@dataclass(slots=True)
class WireStub:
    """The server: queued replies first, then `default`."""

    default: Callable[[Received], Reply] = field(default=lambda _: http(200, {}))
    replies: deque[Reply] = field(default_factory=deque)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    _listener: socket.socket = field(init=False)
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._shut(self._listener)
        for connection in self._open:
            self._shut(connection)
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        """REST root."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v2"

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it may be closed by the other side already
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    self.requests.append(request)
                    reply = self.replies.popleft() if self.replies else self.default(request)
                    if reply.wait:
                        self._ended.wait()
                        return
                    connection.sendall(reply.raw)
                    while reply.drip_s and not self._ended.wait(reply.drip_s):
                        connection.sendall(b" ")
                    if reply.reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    if reply.close or reply.reset:
                        break
        except OSError:
            return
        finally:
            connection.close() if not self._ended.is_set() else self._shut(connection)


def _read(stream: Any) -> Received | None:
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (text := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Received(method=line[0], path=line[1], headers=headers, body=body)


def free_port() -> int:
    """A port of this machine on which nobody listens (at this moment)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
