"""Our decoder against the official library's parser, and against frames that no broker should send."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import dhanhq
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.feed_packets import FULL, QUOTE, SIZES, TICKER, Counts, Tick, decode

u8, u16, u32 = st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1)
price = st.floats(0, 2e5, width=32)
LIBRARY = dhanhq.MarketFeed.__new__(dhanhq.MarketFeed)  # its parser needs no connection and no event loop


@st.composite
def ticker(draw: st.DrawFn) -> bytes:
    return struct.pack("<BHBIfI", TICKER, 16, draw(u8), draw(u32), draw(price), draw(u32))


@st.composite
def quote(draw: st.DrawFn) -> bytes:
    body = [
        draw(price),
        draw(u16),
        draw(u32),
        draw(price),
        *(draw(u32) for _ in range(3)),
        *(draw(price) for _ in range(4)),
    ]
    return struct.pack("<BHBIfHIfIIIffff", QUOTE, 50, draw(u8), draw(u32), *body)


@st.composite
def full(draw: st.DrawFn) -> bytes:
    body = [
        draw(price),
        draw(u16),
        draw(u32),
        draw(price),
        *(draw(u32) for _ in range(6)),
        *(draw(price) for _ in range(4)),
    ]
    head = struct.pack("<BHBIfHIfIIIIIIffff", FULL, 162, draw(u8), draw(u32), *body)
    rows = [[draw(u32), draw(u32), draw(u16), draw(u16), draw(price), draw(price)] for _ in range(5)]
    return head + b"".join(struct.pack("<IIHHff", *row) for row in rows)


def told(tick: Tick) -> dict[str, Any]:
    """What the library would say of the fields that we keep."""
    said: dict[str, Any] = {
        "exchange_segment": tick.segment,
        "security_id": tick.security_id,
        "LTP": f"{tick.last:.2f}",
        "LTT": datetime.fromtimestamp(tick.traded_at, UTC).strftime("%H:%M:%S"),
    }
    return said


@given(st.lists(st.one_of(ticker(), quote(), full()), min_size=1, max_size=6))
def test_packets_are_read_as_the_library_reads_them(packets: list[bytes]) -> None:
    counts = Counts()
    ticks = decode(b"".join(packets), counts, [])
    assert (counts.packets, counts.ticks, counts.short, counts.unknown) == (len(packets), len(packets), 0, 0)
    for packet, tick in zip(packets, ticks, strict=True):
        oracle = LIBRARY.process_data(packet)
        assert told(tick).items() <= oracle.items()
        if packet[0] != TICKER:
            assert tick.volume == oracle["volume"]
        if packet[0] == FULL:
            best = oracle["depth"][0]
            assert (tick.bid_quantity, tick.ask_quantity) == (best["bid_quantity"], best["ask_quantity"])
            assert (f"{tick.bid:.2f}", f"{tick.ask:.2f}") == (best["bid_price"], best["ask_price"])


@given(st.binary(max_size=400))
def test_s7_no_frame_raises_and_every_packet_is_counted(frame: bytes) -> None:
    counts = Counts()
    ticks = decode(frame, counts, [])
    assert len(ticks) == counts.ticks <= counts.packets
    assert (counts.packets == 0) == (frame == b"")


@given(ticker(), st.integers(1, 15))
def test_s7_a_short_packet_is_dropped_and_what_stood_before_it_is_kept(packet: bytes, size: int) -> None:
    counts = Counts()
    ticks = decode(packet + packet[:size], counts, [])
    assert (len(ticks), counts.short, counts.packets) == (1, 1, 2)


@given(ticker(), st.sampled_from([0, 1, 3, 9, 41, 255]), st.integers(8, 40))
def test_s7_an_unknown_packet_is_stepped_over_by_its_length(packet: bytes, code: int, size: int) -> None:
    counts = Counts()
    strange = struct.pack("<BHBI", code, size, 0, 0) + b"\0" * (size - 8)
    ticks = decode(strange + packet, counts, [])
    assert (len(ticks), counts.unknown, counts.packets) == (1, 1, 2)


@given(ticker(), st.integers(1, 30))
def test_fields_of_a_later_version_behind_ours_are_stepped_over(packet: bytes, more: int) -> None:
    longer = packet[:1] + struct.pack("<H", 16 + more) + packet[3:] + b"\2" * more
    assert decode(longer + packet, Counts(), []) == decode(packet + packet, Counts(), [])


def test_status_packets_are_counted_and_a_disconnect_gives_its_code() -> None:
    counts, codes = Counts(), list[int]()
    frame = b"".join(struct.pack("<BHBI", code, SIZES[code], 2, 5) + b"\0" * (SIZES[code] - 8) for code in (5, 6, 7))
    assert decode(frame + struct.pack("<BHBIH", 50, 10, 0, 0, 807), counts, codes) == []
    assert (counts.statuses, counts.packets, codes) == (3, 4, [807])
