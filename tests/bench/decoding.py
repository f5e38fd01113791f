"""Decoding of live-feed packets: ours beside the official library's parser, on the same bytes in the same run.

The packets are those of a trading day: mostly full ones for options, tickers for the index, some quotes. The two
parsers take turns, so that a busy moment of the machine falls on both.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from dhanhq.marketfeed import MarketFeed

from tests.bench.figures import Bound, Figure, Size, middle
from workbench.data.feed_packets import Counts, decode

ROUNDS = 7


def measure(size: Size) -> Iterator[Figure]:
    """Packets a second of both, and the ratio."""
    packets = make_packets(max(1, size.packets // ROUNDS))
    library: Any = MarketFeed.__new__(MarketFeed)  # its constructor opens an event loop; parsing needs none of it
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_rate(packets, lambda packet: decode(packet, Counts(), [])))
        theirs.append(_rate(packets, library.process_data))
    n = len(packets) * ROUNDS
    yield Figure(name="feed packets decoded", unit="packets/s", stats=middle(ours), n=n)
    yield Figure(name="feed packets decoded by dhanhq", unit="packets/s", stats=middle(theirs), n=n)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    bound = (Bound(of="median", limit=1.0, at_least=True),)
    yield Figure(name="feed decode rate over dhanhq's", unit="ratio", stats=middle(ratios), n=ROUNDS, bounds=bound)


def make_packets(count: int, seed: int = 7) -> list[bytes]:
    """Make packets: seven in ten full, two tickers, one quote."""
    rng = random.Random(seed)
    return [_MAKERS[rng.choices((8, 2, 4), (7, 2, 1))[0]](rng) for _ in range(count)]


def _ticker(rng: random.Random) -> bytes:
    return struct.pack("<BHBIfI", 2, 16, 0, 13, _price(rng), 1_700_000_000)


def _quote(rng: random.Random) -> bytes:
    head = struct.pack("<BHBIfHI", 4, 50, 2, rng.randrange(40_000, 60_000), _price(rng), 75, 1_700_000_000)
    return head + struct.pack("<fIIIffff", _price(rng), 10_000, 500, 600, *(_price(rng) for _ in range(4)))


def _full(rng: random.Random) -> bytes:
    head = struct.pack("<BHBIfHI", 8, 162, 2, rng.randrange(40_000, 60_000), _price(rng), 75, 1_700_000_000)
    body = struct.pack("<fIIIIIIffff", _price(rng), 10_000, 500, 600, 9_000, 9_500, 8_000, 1.0, 2.0, 3.0, 4.0)
    rows = b"".join(struct.pack("<IIHHff", 75, 150, 1, 2, _price(rng), _price(rng)) for _ in range(5))
    return head + body + rows


def _price(rng: random.Random) -> float:
    return rng.randrange(100, 60_000) / 20


_MAKERS: dict[int, Callable[[random.Random], bytes]] = {2: _ticker, 4: _quote, 8: _full}


def _rate(packets: list[bytes], read: Callable[[bytes], object]) -> float:
    began = time.perf_counter()
    for packet in packets:
        read(packet)
    return len(packets) / (time.perf_counter() - began)
