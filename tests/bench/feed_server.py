"""The load of the feed bench: a plain websocket server that sends full packets as fast as it is told.

``python -m tests.bench.feed_server SEGMENT FIRST COUNT AT`` prints its port; each line ``RATE SECONDS`` that it reads
afterwards is a course of packets to the client that is connected, for `COUNT` instruments by turns; at its end it
prints what it sent as JSON. The end of its input ends it.

A packet carries its number in the bid's quantity and the moment of its sending in the ask's (microseconds of the
machine's clock that all processes share, modulo 2**32), so that the receiver needs nothing else to judge it.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

SLOT_S = 0.005
_PACKET = struct.Struct("<BHBIfHIfIIIIIIffff" + "IIHHff" * 5)


def micros() -> int:
    """The moment, as packets carry it."""
    return time.perf_counter_ns() // 1000 & 0xFFFFFFFF


@dataclass
class Sender:
    """Makes and sends packets; `number` counts them over all courses."""

    segment: int
    first: int
    count: int
    traded_at: int
    number: int = 0
    client: asyncio.Future[ServerConnection] = field(default_factory=asyncio.Future)
    began: float = field(default_factory=time.perf_counter)

    def packet(self) -> bytes:
        """Give the next packet."""
        number, self.number = self.number, self.number + 1
        last = 100 + (number // self.count * 7 + number) % 400 / 20
        at = self.traded_at + int(time.perf_counter() - self.began)
        rows = [75, 75, 1, 1, last - 0.05, last + 0.05] * 5
        rows[0], rows[1] = number, micros()
        security_id = self.first + number % self.count
        day = (100.0, 100.0, 120.0, 100.0)
        return _PACKET.pack(
            8, 162, self.segment, security_id, last, 75, at, last, number, 500, 600, 1, 2, 3, *day, *rows
        )

    async def course(self, rate: int, seconds: float) -> dict[str, float]:
        """Send at a rate for some seconds; behind its plan it sends at once, and says how late it ended."""
        socket = await self.client
        began, sent = time.perf_counter(), 0
        total = int(rate * seconds)
        while sent < total:
            due = min(total, int((time.perf_counter() - began + SLOT_S) * rate))
            for _ in range(due - sent):
                await socket.send(self.packet())
            sent = due
            ahead_s = sent / rate - (time.perf_counter() - began)
            await asyncio.sleep(max(0.0, min(ahead_s, SLOT_S)))
        return {"sent": sent, "took_s": time.perf_counter() - began}

    async def hold(self, socket: ServerConnection) -> None:
        """Keep a client; what it asks for is read and not judged."""
        if not self.client.done():
            self.client.set_result(socket)
        async for _ in socket:
            pass


async def main(segment: int, first: int, count: int, traded_at: int) -> None:
    """Serve until the input ends."""
    sender = Sender(segment, first, count, traded_at)
    async with serve(sender.hold, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            rate, seconds = line.split()
            try:
                told = await sender.course(int(rate), float(seconds))
            except ConnectionClosed:
                return
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*(int(each) for each in sys.argv[1:])))
