"""Decoding of live-feed packets: ours beside the official library's parser, on the same bytes in the same run.

Both read every number of a packet, the five rows of depth too. The library puts them into dictionaries and writes
prices and times as text; ours gives numbers, and names the rows of depth when they are asked for, which is measured
beside it.
The parsers take turns, so that a busy moment of the machine falls on all.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dhanhq.marketfeed import MarketFeed

from tests.bench.figures import Bound, Figure, Size, middle
from workbench.data.feed_packets import Counts, Tick, decode

ROUNDS = 9
AT_LEAST = 10.0
"""Promised: how many times as fast as the library's parser full packets are read."""


def measure(size: Size) -> Iterator[Figure]:
    """Packets a second of both, and the ratio: full packets, and the mix of a trading day."""
    library: Any = MarketFeed.__new__(MarketFeed)  # its constructor opens an event loop; parsing needs none of it
    count = max(1, size.packets // ROUNDS)
    counts = Counts()

    def ours(packet: bytes) -> object:
        return decode(packet, counts)

    def ours_with_named_rows(packet: bytes) -> object:
        return [each.depth for each in decode(packet, counts) if isinstance(each, Tick)]

    rng = random.Random(7)
    full = [_full(rng) for _ in range(count)]
    read = {"ours": ours, "named": ours_with_named_rows, "dhanhq": library.process_data}
    found = _by_turns(full, read)
    n = count * ROUNDS
    yield Figure(name="full packets decoded", unit="packets/s", stats=middle(found["ours"]), n=n)
    yield Figure(name="full packets decoded by dhanhq", unit="packets/s", stats=middle(found["dhanhq"]), n=n)
    bound = (Bound(of="median", limit=AT_LEAST, at_least=True),)
    yield _ratio("full packets: rate over dhanhq's", found["ours"], found["dhanhq"], bound)
    yield _ratio("full packets with five named rows each: rate over dhanhq's", found["named"], found["dhanhq"])
    found = _by_turns(make_packets(count), {"ours": ours, "dhanhq": library.process_data})
    yield Figure(name="feed packets decoded, a day's mix", unit="packets/s", stats=middle(found["ours"]), n=n)
    yield _ratio("feed packets, a day's mix: rate over dhanhq's", found["ours"], found["dhanhq"])


def _by_turns(packets: list[bytes], read: dict[str, Callable[[bytes], object]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in read}
    for _ in range(ROUNDS):
        for name, parse in read.items():
            found[name].append(_rate(packets, parse))
    return found


def _ratio(name: str, ours: Sequence[float], theirs: Sequence[float], bounds: tuple[Bound, ...] = ()) -> Figure:
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Figure(name=name, unit="ratio", stats=middle(ratios), n=len(ratios), bounds=bounds)


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
