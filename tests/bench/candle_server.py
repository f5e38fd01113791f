"""A load server for the history bench: Dhan's minute candles, one answer after 300 ms, five a second and not one more.

It is a process of its own, counts arrivals in a sliding second as the broker does, and answers the sixth with HTTP 429.
Bodies are made before the first request, so that nothing holds up its counting.
``python -m tests.bench.candle_server DAY:DAY ...`` makes the windows from the first day to the last, prints its port,
serves until its input ends, and prints what it counted.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock_time

from workbench.core.session import IST

LIMIT, WINDOW_S, LATENCY_S = 5, 1.0, 0.3
OPEN = clock_time(9, 15)
_REFUSED = {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "Too many requests"}


class CandleServer:
    """Answers and counts."""

    def __init__(self, windows: Sequence[tuple[date, date]]) -> None:
        self.arrivals: deque[float] = deque()
        self.answered = self.refused = 0
        self.first = self.last = 0.0
        self._bodies = {first.isoformat(): _body(first, last) for first, last in windows}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                question = json.loads(await reader.readexactly(length))
                if self._is_too_fast():
                    self.refused += 1
                    status, body = 429, json.dumps(_REFUSED).encode()
                else:
                    self.answered += 1
                    await asyncio.sleep(LATENCY_S)
                    status, body = 200, self._bodies[question["fromDate"][:10]]
                start = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(start.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done with this connection
        finally:
            writer.close()

    def _is_too_fast(self) -> bool:
        now = time.monotonic()
        while self.arrivals and now - self.arrivals[0] >= WINDOW_S:
            self.arrivals.popleft()
        if len(self.arrivals) >= LIMIT:
            return True
        self.arrivals.append(now)
        self.first, self.last = self.first or now, now
        return False

    def counted(self) -> dict[str, float]:
        """Give what was counted."""
        return {"answered": self.answered, "refused": self.refused, "span_s": self.last - self.first}


def _body(first: date, last: date) -> bytes:
    stamps: list[int] = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() < 5:
            opened = int(datetime.combine(day, OPEN, IST).timestamp())
            stamps += range(opened, opened + 375 * 60, 60)
    waves = [1000 + (stamp // 60 * 7919 % 997) / 20 for stamp in stamps]
    table = {
        "open": waves,
        "high": [value + 2.5 for value in waves],
        "low": [value - 2.5 for value in waves],
        "close": [value + 0.35 for value in waves],
        "volume": [1250] * len(stamps),
        "timestamp": stamps,
    }
    return json.dumps(table).encode()


async def _run() -> None:
    days = [[date.fromisoformat(day) for day in pair.split(":")] for pair in sys.argv[1:]]
    server = CandleServer([(first, last) for first, last in days])
    listening = socket.create_server(("127.0.0.1", 0))
    serving = await asyncio.start_server(server.serve, sock=listening)
    print(listening.getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
    await ended.wait()
    serving.close()
    print(json.dumps(server.counted()), flush=True)


if __name__ == "__main__":
    asyncio.run(_run())
