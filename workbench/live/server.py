"""Serving the API on the engine's own event loop, and ending the process in its own order.

uvicorn would answer a signal by raising it again once it has stopped serving, which ends the process before journal and
lanes are closed; so signals are the process's own.

Invariant: it listens on 127.0.0.1 only, and a port that is taken is a refusal with a way out, not an exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from workbench.core.errors import BadInput

HOST = "127.0.0.1"


class _QuietServer(uvicorn.Server):
    """Leaves signals to the process: the engine ends its parts in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """The API of one engine process.

    Parameters
    ----------
    app : FastAPI
    port : int
        0 takes a free one; `port` tells which.
    """

    def __init__(self, app: FastAPI, port: int) -> None:
        self._socket = _bind(port)
        self.port: int = self._socket.getsockname()[1]
        # No access log: a webhook's link would stand in it. No proxy headers: nothing here trusts them.
        config = uvicorn.Config(
            app,
            host=HOST,
            port=self.port,
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            ws="websockets-sansio",
            ws_ping_interval=20,
        )
        self._server = _QuietServer(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; returns when requests are answered."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="api")
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.005)
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Answer what is under way and stop."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()


def catch_end(loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
    """Call `on_end` on the loop when the process is asked to end (Ctrl-C, terminate, on Windows a break).

    So does a terminal that is closed, unless whoever started us wants that to be ignored (`nohup`).
    """
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_end))


def _bind(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
    except OSError as error:
        found.close()
        raise BadInput(
            f"port {port} on {HOST} is taken ({error.strerror}); stop the other engine, or set WORKBENCH_ENGINE_PORT"
        ) from None
    return found
