"""Dhan's live-feed packets: a table of binary layouts and the decoding of a frame into plain tuples.

Layouts and sizes are those of the broker's documentation of the live market feed (v2), little-endian, an 8-byte header
``code u8, length u16 (of the whole packet), segment u8, security id u32``; the official library's parser is the oracle
in the tests.

Invariant: no frame raises; what is short or unknown is counted and dropped, and what follows a readable packet in the
same frame is read too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from workbench.core.instrument import Segment

HEADER_BYTES = 8
TICKER, QUOTE, OPEN_INTEREST, PREVIOUS_CLOSE, MARKET_STATUS, FULL, DISCONNECT = 2, 4, 5, 6, 7, 8, 50

# code -> bytes of the whole packet. Code 1 (index) is listed in Dhan's annexure without a layout: dropped and counted.
SIZES: MappingProxyType[int, int] = MappingProxyType(
    {TICKER: 16, QUOTE: 50, OPEN_INTEREST: 12, PREVIOUS_CLOSE: 16, MARKET_STATUS: 8, FULL: 162, DISCONNECT: 10}
)
SEGMENT_CODES: MappingProxyType[Segment, int] = MappingProxyType(
    {Segment.IDX_I: 0, Segment.NSE_EQ: 1, Segment.NSE_FNO: 2, Segment.BSE_EQ: 4, Segment.BSE_FNO: 8}
)
DISCONNECT_REASONS: MappingProxyType[int, str] = MappingProxyType(
    {
        804: "too many instruments",
        805: "too many connections: another program uses this account's feed",
        806: "no data plan",
        807: "access token expired",
        808: "authentication failed",
        809: "access token invalid",
        810: "client id invalid",
    }
)

_HEADER = struct.Struct("<BHBI")
_TICKER = struct.Struct("<BHBIfI")
_QUOTE = struct.Struct("<BHBIfHIfIIIffff")
# A full packet up to the best row of its five rows of depth.
_FULL = struct.Struct("<BHBIfHIfIIIIIIffffIIHHff")
_CODE_ONLY = struct.Struct("<BHBIH")


class Tick(NamedTuple):
    """Prices of one packet as they stand on the wire.

    `segment` and `security_id` are numbers; prices are rupees as read from float32; `traded_at` is the wire's own
    count (Indian wall-clock time written as if it were UTC); quantities are units. `bid` and `ask` are 0 where the
    packet has no depth (`has_depth`).
    """

    segment: int
    security_id: int
    last: float
    traded_at: int
    volume: int = 0
    bid: float = 0.0
    ask: float = 0.0
    bid_quantity: int = 0
    ask_quantity: int = 0
    has_depth: bool = False


@dataclass(slots=True)
class Counts:
    """What has come over the wire so far."""

    packets: int = 0
    ticks: int = 0
    unknown: int = 0
    short: int = 0
    statuses: int = 0


def decode(frame: bytes, counts: Counts, disconnects: list[int]) -> list[Tick]:
    """Read all packets of a frame.

    Parameters
    ----------
    frame : bytes
    counts : Counts
        Counted up.
    disconnects : list of int
        Reason codes of disconnect packets are appended.

    Returns
    -------
    list of Tick
    """
    ticks: list[Tick] = []
    at, end = 0, len(frame)
    while at < end:
        counts.packets += 1
        left = end - at
        code = frame[at]
        size = SIZES.get(code, 0)
        if left < HEADER_BYTES or left < size:
            counts.short += 1
            break
        length = frame[at + 1] | frame[at + 2] << 8
        if size == 0:
            counts.unknown += 1
            if not HEADER_BYTES <= length <= left:
                break
            at += length
            continue
        if code == FULL:
            v = _FULL.unpack_from(frame, at)
            ticks.append(Tick(v[2], v[3], v[4], v[6], v[8], v[22], v[23], v[18], v[19], True))
        elif code == QUOTE:
            v = _QUOTE.unpack_from(frame, at)
            ticks.append(Tick(v[2], v[3], v[4], v[6], v[8]))
        elif code == TICKER:
            v = _TICKER.unpack_from(frame, at)
            ticks.append(Tick(v[2], v[3], v[4], v[5]))
        elif code == DISCONNECT:
            disconnects.append(_CODE_ONLY.unpack_from(frame, at)[4])
        else:
            counts.statuses += 1
        # A packet that says it is longer than we know has fields of a later version behind ours.
        at += length if size < length <= left else size
    counts.ticks += len(ticks)
    return ticks
