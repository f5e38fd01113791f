"""Dhan's live-feed packets: a table of binary layouts, and the decoding of a frame into plain values.

Layouts and sizes are those of the broker's documentation of the live market feed (v2), little-endian, an 8-byte header
``code u8, length u16 (of the whole packet), segment u8, security id u32``; the official library's parser is the oracle
in the tests. A full packet is unpacked whole, by one compiled `struct`; its numbers get names when they are asked for.

Invariant: no frame raises; what is short or unknown is counted and dropped, and what follows a readable packet in the
same frame is read too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from workbench.core.instrument import Segment

HEADER_BYTES = 8
TICKER, QUOTE, OPEN_INTEREST, PREVIOUS_CLOSE, MARKET_STATUS, FULL, DISCONNECT = 2, 4, 5, 6, 7, 8, 50
FULL_BYTES = 162

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

_DEPTH = "IIHHff"
_HEADER = struct.Struct("<BHBI")
_TICKER = struct.Struct("<BHBIfI")
_QUOTE = struct.Struct("<BHBIfHIfIIIffff")
_FULL = struct.Struct("<BHBIfHIfIIIIIIffff" + 5 * _DEPTH)
_INTEREST = struct.Struct("<BHBII")
_DISCONNECT = struct.Struct("<BHBIH")


class DepthRow(NamedTuple):
    """One of the five rows of the book: units, orders and rupees of both sides."""

    bid_quantity: int
    ask_quantity: int
    bid_orders: int
    ask_orders: int
    bid: float
    ask: float


class DayPrices(NamedTuple):
    """The day so far, rupees; `close` is that of the session before, as Dhan streams it."""

    open: float
    close: float
    high: float
    low: float


class Tick(NamedTuple):
    """Prices of one packet as they stand on the wire.

    `segment` and `security_id` are numbers; prices are rupees as read from float32; `traded_at` is the wire's own
    count (Indian wall-clock time written as if it were UTC); quantities are units. `bid` and `ask` are 0 where the
    packet has no depth (`has_depth`). `numbers` is the whole packet in the order of the wire; the properties name them.
    """

    segment: int
    security_id: int
    last: float
    traded_at: int
    volume: int
    bid: float
    ask: float
    bid_quantity: int
    ask_quantity: int
    has_depth: bool
    numbers: tuple[Any, ...]

    @property
    def last_quantity(self) -> int:
        """Units of the last trade; 0 in a ticker packet."""
        return int(self.numbers[5]) if self.numbers[0] != TICKER else 0

    @property
    def average_price(self) -> float:
        """Average traded price of the day; 0 in a ticker packet."""
        return float(self.numbers[7]) if self.numbers[0] != TICKER else 0.0

    @property
    def total_quantities(self) -> tuple[int, int] | None:
        """Units to be sold and to be bought in the whole book."""
        return None if self.numbers[0] == TICKER else (self.numbers[9], self.numbers[10])

    @property
    def open_interest(self) -> tuple[int, int, int] | None:
        """Open interest, its highest and its lowest of the day; full packets only."""
        return self.numbers[11:14] if self.numbers[0] == FULL else None

    @property
    def day(self) -> DayPrices | None:
        """Open, previous close, high and low; None in a ticker packet."""
        if self.numbers[0] == TICKER:
            return None
        first = 14 if self.numbers[0] == FULL else 11
        return DayPrices._make(self.numbers[first : first + 4])

    @property
    def depth(self) -> tuple[DepthRow, ...]:
        """Five rows, best first; empty where the packet has no depth."""
        n = self.numbers
        if n[0] != FULL:
            return ()
        rows = n[18:24], n[24:30], n[30:36], n[36:42], n[42:48]
        return (
            _new(DepthRow, rows[0]),
            _new(DepthRow, rows[1]),
            _new(DepthRow, rows[2]),
            _new(DepthRow, rows[3]),
            _new(DepthRow, rows[4]),
        )


class OpenInterest(NamedTuple):
    """Packet 5: comes along with quotes."""

    segment: int
    security_id: int
    interest: int


class PreviousClose(NamedTuple):
    """Packet 6: the close of the session before, rupees, and the open interest of then."""

    segment: int
    security_id: int
    close: float
    interest: int


class MarketStatus(NamedTuple):
    """Packet 7: the status of a segment has changed; the packet is a header and does not say to what."""

    segment: int


class Disconnect(NamedTuple):
    """Packet 50: Dhan closes the connection."""

    code: int

    @property
    def reason(self) -> str:
        """The code in words."""
        return DISCONNECT_REASONS.get(self.code, "unknown reason")


Packet = Tick | OpenInterest | PreviousClose | MarketStatus | Disconnect


@dataclass(slots=True)
class Counts:
    """What has come over the wire so far."""

    packets: int = 0
    ticks: int = 0
    unknown: int = 0
    short: int = 0
    statuses: int = 0


_new = tuple.__new__


def _full(frame: bytes, at: int) -> Tick:
    v = _FULL.unpack_from(frame, at)
    # The generated constructor of a named tuple takes longer than the unpacking.
    return _new(Tick, (v[2], v[3], v[4], v[6], v[8], v[22], v[23], v[18], v[19], True, v))


def _quote(frame: bytes, at: int) -> Tick:
    v = _QUOTE.unpack_from(frame, at)
    return _new(Tick, (v[2], v[3], v[4], v[6], v[8], 0.0, 0.0, 0, 0, False, v))


def _ticker(frame: bytes, at: int) -> Tick:
    v = _TICKER.unpack_from(frame, at)
    return _new(Tick, (v[2], v[3], v[4], v[5], 0, 0.0, 0.0, 0, 0, False, v))


def _interest(frame: bytes, at: int) -> OpenInterest:
    return OpenInterest._make(_INTEREST.unpack_from(frame, at)[2:])


def _previous_close(frame: bytes, at: int) -> PreviousClose:
    return PreviousClose._make(_TICKER.unpack_from(frame, at)[2:])


def _status(frame: bytes, at: int) -> MarketStatus:
    return MarketStatus(_HEADER.unpack_from(frame, at)[2])


def _disconnect(frame: bytes, at: int) -> Disconnect:
    return Disconnect(_DISCONNECT.unpack_from(frame, at)[4])


# code -> bytes of the whole packet and its reader. Code 1 (index) is listed in Dhan's annexure without a layout, code 3
# is of the first version: both are dropped and counted.
LAYOUTS: MappingProxyType[int, tuple[int, Callable[[bytes, int], Packet]]] = MappingProxyType(
    {
        TICKER: (16, _ticker),
        QUOTE: (50, _quote),
        OPEN_INTEREST: (12, _interest),
        PREVIOUS_CLOSE: (16, _previous_close),
        MARKET_STATUS: (8, _status),
        FULL: (FULL_BYTES, _full),
        DISCONNECT: (10, _disconnect),
    }
)


def decode(frame: bytes, counts: Counts) -> list[Packet]:
    """Read all packets of a frame.

    Parameters
    ----------
    frame : bytes
    counts : Counts
        Counted up.

    Returns
    -------
    list of Tick, OpenInterest, PreviousClose, MarketStatus or Disconnect
        In the order of the wire.
    """
    if len(frame) == FULL_BYTES and frame[0] == FULL:
        counts.packets += 1
        counts.ticks += 1
        return [_full(frame, 0)]
    return _decode_any(frame, counts)


def _decode_any(frame: bytes, counts: Counts) -> list[Packet]:
    read: list[Packet] = []
    at, end = 0, len(frame)
    while at < end:
        counts.packets += 1
        left = end - at
        size, reader = LAYOUTS.get(frame[at], (0, None))
        if left < HEADER_BYTES or left < size:
            counts.short += 1
            break
        length = frame[at + 1] | frame[at + 2] << 8
        if reader is None:
            counts.unknown += 1
            if not HEADER_BYTES <= length <= left:
                break
            at += length
            continue
        packet = reader(frame, at)
        read.append(packet)
        if isinstance(packet, Tick):
            counts.ticks += 1
        else:
            counts.statuses += 1
        # A packet that says it is longer than we know has fields of a later version behind ours.
        at += length if size < length <= left else size
    return read
