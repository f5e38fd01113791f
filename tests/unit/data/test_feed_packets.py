"""Our decoder against the official library's parser, and against frames that no broker should send."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import dhanhq
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.feed_packets import (
    DISCONNECT,
    FULL,
    LAYOUTS,
    MARKET_STATUS,
    OPEN_INTEREST,
    PREVIOUS_CLOSE,
    QUOTE,
    TICKER,
    Counts,
    Disconnect,
    MarketStatus,
    OpenInterest,
    Packet,
    PreviousClose,
    Tick,
    decode,
)

u8, u16, u32 = st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1)
price = st.floats(0, 2e5, width=32)
LIBRARY = dhanhq.MarketFeed.__new__(dhanhq.MarketFeed)  # its parser needs no connection and no event loop


@st.composite
def packets(draw: st.DrawFn, codes: tuple[int, ...] = (2, 4, 5, 6, 7, 8)) -> bytes:
    """Any packet that Dhan documents, with any numbers."""
    code = draw(st.sampled_from(codes))
    head = struct.pack("<BHBI", code, LAYOUTS[code][0], draw(u8), draw(u32))
    match code:
        case 2 | 6:
            return head + struct.pack("<fI", draw(price), draw(u32))
        case 5:
            return head + struct.pack("<I", draw(u32))
        case 7:
            return head
        case 50:
            return head + struct.pack("<H", draw(u16))
    traded = [draw(price), draw(u16), draw(u32), draw(price)]
    day = [draw(price) for _ in range(4)]
    if code == QUOTE:
        return head + struct.pack("<fHIfIIIffff", *traded, *(draw(u32) for _ in range(3)), *day)
    rows = [[draw(u32), draw(u32), draw(u16), draw(u16), draw(price), draw(price)] for _ in range(5)]
    body = struct.pack("<fHIfIIIIIIffff", *traded, *(draw(u32) for _ in range(6)), *day)
    return head + body + b"".join(struct.pack("<IIHHff", *row) for row in rows)


def ticker() -> st.SearchStrategy[bytes]:
    return packets((TICKER,))


def rupees(value: float) -> str:
    return f"{value:.2f}"


def as_the_library_says(packet: Packet, code: int) -> dict[str, Any] | str | None:
    """Write a packet of ours in the library's words and formats."""
    match packet:
        case OpenInterest(segment, security_id, interest):
            return {"type": "OI Data", "exchange_segment": segment, "security_id": security_id, "OI": interest}
        case PreviousClose(segment, security_id, close, interest):
            said = {"exchange_segment": segment, "security_id": security_id, "prev_close": rupees(close)}
            return {"type": "Previous Close", **said, "prev_OI": interest}
        case MarketStatus():
            return "Markets Open"  # whatever it means
        case Disconnect():
            return None
    said = {
        "type": {TICKER: "Ticker Data", QUOTE: "Quote Data", FULL: "Full Data"}[code],
        "exchange_segment": packet.segment,
        "security_id": packet.security_id,
        "LTP": rupees(packet.last),
        "LTT": datetime.fromtimestamp(packet.traded_at, UTC).strftime("%H:%M:%S"),
    }
    day, totals, interests = packet.day, packet.total_quantities, packet.open_interest
    if day is not None and totals is not None:
        said |= {"LTQ": packet.last_quantity, "avg_price": rupees(packet.average_price), "volume": packet.volume}
        said |= {"total_sell_quantity": totals[0], "total_buy_quantity": totals[1]}
        said |= {name: rupees(value) for name, value in day._asdict().items()}
    if interests is not None:
        said |= dict(zip(("OI", "oi_day_high", "oi_day_low"), interests, strict=True))
        said["depth"] = [
            {
                **{name: value for name, value in row._asdict().items() if name not in ("bid", "ask")},
                "bid_price": rupees(row.bid),
                "ask_price": rupees(row.ask),
            }
            for row in packet.depth
        ]
    return said


@given(st.lists(packets(), min_size=1, max_size=6))
def test_every_kind_of_packet_is_read_as_the_library_reads_it(wire: list[bytes]) -> None:
    counts = Counts()
    read = decode(b"".join(wire), counts)
    assert (counts.packets, counts.short, counts.unknown) == (len(wire), 0, 0)
    assert counts.ticks + counts.statuses == len(wire)
    for packet, ours in zip(wire, read, strict=True):
        assert as_the_library_says(ours, packet[0]) == LIBRARY.process_data(packet)
        assert decode(packet, Counts()) == [ours]


@given(packets((FULL,)))
def test_the_best_row_is_in_the_tick_and_all_five_behind_it(packet: bytes) -> None:
    (tick,) = decode(packet, Counts())
    assert isinstance(tick, Tick)
    best = tick.depth[0]
    assert (tick.bid, tick.ask, tick.bid_quantity, tick.ask_quantity) == (
        best.bid,
        best.ask,
        best.bid_quantity,
        best.ask_quantity,
    )
    assert len(tick.depth) == 5


@given(packets((TICKER, QUOTE)))
def test_a_packet_without_depth_has_neither_bid_nor_ask(packet: bytes) -> None:
    (tick,) = decode(packet, Counts())
    assert isinstance(tick, Tick)
    assert (tick.has_depth, tick.depth, tick.bid, tick.ask, tick.open_interest) == (False, (), 0.0, 0.0, None)
    assert (tick.day is None) == (packet[0] == TICKER)


@given(packets((DISCONNECT,)))
def test_a_disconnect_gives_its_code(packet: bytes) -> None:
    assert decode(packet, Counts()) == [Disconnect(packet[8] | packet[9] << 8)]


def test_a_disconnect_has_its_reason_in_words() -> None:
    assert Disconnect(805).reason.startswith("too many connections")
    assert Disconnect(1).reason == "unknown reason"


@given(st.binary(max_size=400))
def test_s7_no_frame_raises_and_every_packet_is_counted(frame: bytes) -> None:
    counts = Counts()
    read = decode(frame, counts)
    assert len(read) == counts.ticks + counts.statuses <= counts.packets
    assert (counts.packets == 0) == (frame == b"")


@given(packets((FULL,)), st.data())
def test_s7_no_frame_with_a_broken_byte_raises(packet: bytes, data: st.DataObject) -> None:
    place, byte = data.draw(st.integers(0, len(packet) - 1)), data.draw(u8)
    broken = packet[:place] + bytes([byte]) + packet[place + 1 :]
    counts = Counts()
    assert len(decode(broken, counts)) == counts.ticks + counts.statuses


@given(ticker(), st.integers(1, 15))
def test_s7_a_short_packet_is_dropped_and_what_stood_before_it_is_kept(packet: bytes, size: int) -> None:
    counts = Counts()
    read = decode(packet + packet[:size], counts)
    assert (len(read), counts.short, counts.packets) == (1, 1, 2)


@given(packets((FULL,)), st.integers(8, 161))
def test_s7_a_full_packet_that_was_cut_is_dropped(packet: bytes, size: int) -> None:
    counts = Counts()
    assert (decode(packet[:size], counts), counts.short) == ([], 1)


@given(ticker(), st.sampled_from([0, 1, 3, 9, 41, 255]), st.integers(8, 40))
def test_s7_an_unknown_packet_is_stepped_over_by_its_length(packet: bytes, code: int, size: int) -> None:
    counts = Counts()
    strange = struct.pack("<BHBI", code, size, 0, 0) + b"\0" * (size - 8)
    read = decode(strange + packet, counts)
    assert (len(read), counts.unknown, counts.packets) == (1, 1, 2)


@given(ticker(), st.integers(1, 30))
def test_fields_of_a_later_version_behind_ours_are_stepped_over(packet: bytes, more: int) -> None:
    longer = packet[:1] + struct.pack("<H", 16 + more) + packet[3:] + b"\2" * more
    first, second = decode(longer + packet, Counts())
    # Only the length in the header differs, which `numbers` holds.
    assert (first[:-1], [second]) == (second[:-1], decode(packet, Counts()))


def test_sizes_are_those_of_the_documentation() -> None:
    assert {code: size for code, (size, _) in LAYOUTS.items()} == {
        TICKER: 16,
        QUOTE: 50,
        OPEN_INTEREST: 12,
        PREVIOUS_CLOSE: 16,
        MARKET_STATUS: 8,
        FULL: 162,
        DISCONNECT: 10,
    }
