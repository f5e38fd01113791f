"""Dhan's binary packets of the live feed, byte for byte.

Little-endian; header `<BHBI`: code, length of the whole packet, segment, security id. The trade time is the Indian wall
clock encoded as if it were UTC. Source: the broker's live-market-feed page and its own library's parser.

Invariant: sizes are 16 (ticker, previous close), 50 (quote), 12 (open interest), 162 (full), 8 (market status) and 10
(disconnect); only `spoilt` gives anything else.
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta

from workbench.core.instrument import Segment

SEGMENT_CODES = {
    Segment.IDX_I: 0,
    Segment.NSE_EQ: 1,
    Segment.NSE_FNO: 2,
    Segment.BSE_EQ: 4,
    Segment.BSE_FNO: 8,
}
_IST_OFFSET = int(timedelta(hours=5, minutes=30).total_seconds())

_ID_AT, _LAST_AT, _TICKER_CODE, _AN_HOUR = 4, 8, 2, 3600

_HEADER = struct.Struct("<BHBI")
_FLOAT, _WORD = struct.Struct("<f"), struct.Struct("<I")
_TICKER = struct.Struct("<BHBIfI")
_QUOTE = struct.Struct("<BHBIfHIfIIIffff")
_INTEREST = struct.Struct("<BHBII")
_FULL = struct.Struct("<BHBIfHIfIIIIIIffff")
_DEPTH = struct.Struct("<IIHHff")
_DISCONNECT = struct.Struct("<BHBIH")


def trade_time(moment: datetime) -> int:
    """Give a moment as the feed writes it."""
    return int(moment.timestamp()) + _IST_OFFSET


def ticker(segment: int, number: int, last: float, time: int) -> bytes:
    """Give packet 2."""
    return _TICKER.pack(2, 16, segment, number, last, time)


def previous_close(segment: int, number: int, close: float, interest: int) -> bytes:
    """Give packet 6."""
    return _TICKER.pack(6, 16, segment, number, close, interest)


def open_interest(segment: int, number: int, interest: int) -> bytes:
    """Give packet 5."""
    return _INTEREST.pack(5, 12, segment, number, interest)


def quote(
    head: tuple[int, int], last: tuple[float, int, int], traded: tuple[float, int, int, int],
    day: tuple[float, float, float, float],
) -> bytes:  # fmt: skip
    """Give packet 4.

    Parameters
    ----------
    head : (segment, security id)
    last : (price, quantity, time)
    traded : (average price, volume, total sell quantity, total buy quantity)
    day : (open, previous close, high, low)
    """
    price, quantity, time = last
    return _QUOTE.pack(4, 50, *head, price, min(quantity, 65535), time, *traded, *day)


def full(
    head: tuple[int, int], last: tuple[float, int, int], traded: tuple[float, int, int, int],
    day: tuple[float, float, float, float], depth: list[tuple[int, int, float, float]], *, interest: int = 0,
) -> bytes:  # fmt: skip
    """Give packet 8; `depth` is five rows of (bid units, ask units, bid, ask)."""
    price, quantity, time = last
    rows = b"".join(
        _DEPTH.pack(bid_units, ask_units, min(99, 1 + bid_units // 75), min(99, 1 + ask_units // 75), bid, ask)
        for bid_units, ask_units, bid, ask in depth
    )
    start = _FULL.pack(8, 162, *head, price, min(quantity, 65535), time, *traded, interest, interest, interest, *day)
    return start + rows


def market_status(segment: int) -> bytes:
    """Give packet 7: a header and no word of what the market does."""
    return _HEADER.pack(7, _HEADER.size, segment, 0)


def spoilt(packet: bytes, what: str) -> bytes:
    """Give a packet of prices (2, 4 or 8) with something wrong in it.

    Parameters
    ----------
    packet : bytes
    what : str
        One of `faults.BAD_TICKS`.
    """
    out = bytearray(packet)
    (last,) = _FLOAT.unpack_from(packet, _LAST_AT)
    time_at = _LAST_AT + (4 if packet[0] == _TICKER_CODE else 6)
    (traded,) = _WORD.unpack_from(packet, time_at)
    match what:
        case "zero":
            _FLOAT.pack_into(out, _LAST_AT, 0.0)
        case "negative":
            _FLOAT.pack_into(out, _LAST_AT, -last)
        case "nan":
            _FLOAT.pack_into(out, _LAST_AT, float("nan"))
        case "times_100":
            _FLOAT.pack_into(out, _LAST_AT, last * 100)
        case "stale_time":
            _WORD.pack_into(out, time_at, traded - _AN_HOUR)
        case "future_time":
            _WORD.pack_into(out, time_at, traded + _AN_HOUR)
        case "wrong_id":
            _WORD.pack_into(out, _ID_AT, 0xFFFF_FFF0)
        case "unknown_code":
            out[0] = 99
        case _:
            return bytes(out[: len(out) // 2])
    return bytes(out)


def disconnect(reason: int) -> bytes:
    """Give packet 50."""
    return _DISCONNECT.pack(50, 10, 0, 0, reason)
