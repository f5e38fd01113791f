"""A feed against a server of a test's own: packets, instruments, and both ended with the block."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import IST
from workbench.data.feed import DhanFeed

TOKEN = "secret/token"
NIFTY = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
SYNTHETIC = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.SYNTHETIC)
AT = datetime(2026, 11, 20, 10, 1, 2, tzinfo=IST)


def option(number: int) -> Instrument:
    return Instrument(
        segment=Segment.NSE_FNO,
        security_id=str(number),
        symbol="NIFTY",
        kind=InstrumentKind.OPTION,
        lot=75,
        strike=Decimal(number),
        right=Right.CE,
    )


def seconds(moment: datetime) -> int:
    """Dhan's count: the Indian wall clock written as if it were UTC."""
    return int(moment.timestamp()) + 19800


def ticker(segment: int, security_id: int, last: float, at: datetime = AT) -> bytes:
    return struct.pack("<BHBIfI", 2, 16, segment, security_id, last, seconds(at))


def full(security_id: int, last: float, bid: float, ask: float) -> bytes:
    head = struct.pack(
        "<BHBIfHIfIIIIIIffff", 8, 162, 2, security_id, last, 75, seconds(AT), last, 5000, 1, 2, 0, 0, 0, *[last] * 4
    )
    return head + struct.pack("<IIHHff", 150, 300, 2, 4, bid, ask) * 5


def names(request: dict[str, Any]) -> list[str]:
    return [each["SecurityId"] for each in request["InstrumentList"]]


class Run:
    """One feed against one server, both ended with the block."""

    def __init__(
        self,
        serve_one: Callable[[ServerConnection], Awaitable[None]],
        refusals: int = 0,
        status: int = 429,
        **options: Any,
    ) -> None:
        self.serve_one = serve_one
        self.refusals, self.status = refusals, status
        self.options: dict[str, Any] = {"backoff_s": (0.01, 0.02), **options}
        self.quotes: list[Quote] = []
        self.states: list[tuple[bool, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []

    async def __aenter__(self) -> Run:
        async def handler(socket: ServerConnection) -> None:
            await self.serve_one(socket)

        async def upgrade(connection: ServerConnection, request: Request) -> Response | None:
            self.paths.append(request.path)
            if self.refusals:
                self.refusals -= 1
                return connection.respond(self.status, "slow down")
            return None

        self.server = await serve(handler, "127.0.0.1", 0, process_request=upgrade)
        port = self.server.sockets[0].getsockname()[1]
        self.feed = DhanFeed(f"ws://127.0.0.1:{port}/feed", "1000000001", TOKEN, **self.options)
        return self

    def start(self) -> None:
        self.task = asyncio.create_task(
            self.feed.run(lambda quote, _: self.quotes.append(quote), lambda up, why: self.states.append((up, why)))
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.server.close()
        await self.server.wait_closed()


def keep(run_requests: list[dict[str, Any]], *frames: bytes | str) -> Callable[[ServerConnection], Awaitable[None]]:
    """Send the frames at the first request, then note the requests."""

    async def handler(socket: ServerConnection) -> None:
        first = True
        async for message in socket:
            run_requests.append(json.loads(message))
            if first:
                for frame in frames:
                    await socket.send(frame)
            first = False

    return handler
