"""A proxy that writes down every request line between an engine and what it takes for Dhan, and can fall silent."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d+)\s*$")
_UPGRADE = re.compile(rb"(?im)^upgrade:\s*websocket\s*$")
_QUERY = re.compile(r"\?\S*")


class RecordingProxy:
    """Passes everything on; `lines` has ``METHOD /path`` of each request (without its query, which holds a token)."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.lines: list[str] = []
        self.sockets: list[str] = []
        self._may_speak: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="recording-proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def writes(self) -> list[str]:
        """Requests that are no mere reading by their method."""
        return [line for line in self.lines if not line.startswith(("GET ", "HEAD "))]

    def silence(self, silent: bool) -> None:
        """Let sockets stay open and carry nothing to the engine, or let them speak again."""
        loop, event = self._loop, self._may_speak
        assert loop is not None and event is not None
        loop.call_soon_threadsafe(event.clear if silent else event.set)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._over, self._may_speak = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._may_speak.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._over.wait()
        server.close()
        mine = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not mine]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        socket = asyncio.Event()
        answers = asyncio.create_task(self._answers(back_reader, writer, socket))
        try:
            await self._requests(reader, back_writer, socket)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            for each in (writer, back_writer):
                each.close()

    async def _requests(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, socket: asyncio.Event) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            line = f"{method} {_QUERY.sub('', target)}"
            if _UPGRADE.search(head):
                self.sockets.append(line)
                socket.set()
                out.write(head)
                while chunk := await reader.read(1 << 16):
                    out.write(chunk)
                    await out.drain()
                return
            self.lines.append(line)
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length.group(1))) if length else b""
            out.write(head + body)
            await out.drain()

    async def _answers(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, socket: asyncio.Event) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                if socket.is_set() and self._may_speak is not None:
                    await self._may_speak.wait()
                out.write(chunk)
                await out.drain()
        except OSError:
            pass
        finally:
            out.close()


@contextmanager
def recording_proxy(port: int) -> Iterator[RecordingProxy]:
    """Stand before a port of this machine."""
    proxy = RecordingProxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
