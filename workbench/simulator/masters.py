"""The day's instrument master, in the broker's two layouts, traps included.

Ticks stand in paise but on index rows; a strike that is none is -0.01; expiries carry a meaningless clock part; the
derivatives name their underlying by another id than the index's own; weekly contracts of one month share a trading
symbol. Headers: as fetched from the broker in August 2026.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from workbench.core.contracts import ExpiryKind
from workbench.core.instrument import InstrumentKind, Right, Segment
from workbench.simulator.listing import Listed, Listing
from workbench.simulator.wire import instrument_type

COMPACT_HEADER = (
    "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,"
    "SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,"
    "SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME"
)
DETAILED_HEADER = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG,BRACKET_FLAG,"
    "COVER_FLAG,ASM_GSM_FLAG,ASM_GSM_CATEGORY,BUY_SELL_INDICATOR,BUY_CO_MIN_MARGIN_PER,BUY_CO_SL_RANGE_MAX_PERC,"
    "BUY_CO_SL_RANGE_MIN_PERC,BUY_BO_MIN_MARGIN_PER,BUY_BO_PROFIT_RANGE_MAX_PERC,BUY_BO_PROFIT_RANGE_MIN_PERC,"
    "MTF_LEVERAGE,SM_UPPER_LIMIT,SM_LOWER_LIMIT,SM_FREEZE_QTY,"
)
_UNDERLYING_IDS = {
    "NIFTY": "26000",
    "BANKNIFTY": "26009",
    "FINNIFTY": "26037",
    "MIDCPNIFTY": "26074",
    "SENSEX": "1",
    "BANKEX": "12",
}
_NO_EXPIRY = "0001-01-01"


def _rows(listing: Listing) -> Iterator[Listed]:
    return (each for each in listing if each.instrument.kind is not InstrumentKind.SYNTHETIC)


def _exchange(listed: Listed) -> tuple[str, str]:
    segment, symbol = listed.instrument.segment, listed.instrument.symbol
    bse = segment in (Segment.BSE_EQ, Segment.BSE_FNO) or symbol in ("SENSEX", "BANKEX")
    letter = {"IDX_I": "I", "NSE_EQ": "E", "BSE_EQ": "E"}.get(segment.value, "D")
    return ("BSE" if bse else "NSE"), letter


def _option_type(listed: Listed) -> str:
    right: Right | None = listed.instrument.right
    return right.value if right else "XX"


def _tick(listed: Listed, digits: int) -> str:
    """Give the tick in paise; of an index, as the broker does, in rupees."""
    tick = listed.instrument.tick
    if listed.instrument.kind is InstrumentKind.INDEX:
        return f"{tick:.4f}"
    return f"{tick * 100:.{digits}f}"


def _flag(listed: Listed) -> str:
    return {None: "", ExpiryKind.MONTHLY: "M", ExpiryKind.WEEKLY: "W"}[listed.series]


def compact(listing: Listing) -> str:
    """Give the compact master as CSV text."""
    out = io.StringIO()
    out.write(COMPACT_HEADER + "\n")
    writer = csv.writer(out, lineterminator="\n")
    for listed in _rows(listing):
        instrument = listed.instrument
        exchange, letter = _exchange(listed)
        index = instrument.kind is InstrumentKind.INDEX
        strike = f"{instrument.strike:.5f}" if instrument.strike is not None else "" if index else "-0.01000"
        kind = {InstrumentKind.INDEX: "INDEX", InstrumentKind.FUTURE: "FUT"}.get(instrument.kind, "OP")
        writer.writerow(
            (
                exchange, letter, instrument.security_id, instrument_type(instrument), 0, instrument.trading_symbol,
                f"{instrument.lot:.1f}", instrument.display_name,
                f"{instrument.expiry} 14:30:00" if instrument.expiry else _NO_EXPIRY, strike, _option_type(listed),
                _tick(listed, 1), _flag(listed), kind, "X" if index else "NA", instrument.symbol if index else "",
            )
        )  # fmt: skip
    return out.getvalue()


def detailed(listing: Listing, segment: str | None = None) -> str:
    """Give the detailed master as CSV text, of one segment or all."""
    out = io.StringIO()
    out.write(DETAILED_HEADER + "\n")
    writer = csv.writer(out, lineterminator="\n")
    for listed in _rows(listing):
        instrument = listed.instrument
        if segment not in (None, instrument.segment.value):
            continue
        exchange, letter = _exchange(listed)
        index = instrument.kind is InstrumentKind.INDEX
        bse = exchange == "BSE" and not index
        symbol_name = instrument.trading_symbol
        if bse:
            symbol_name = "BSXFUT" if instrument.kind is InstrumentKind.FUTURE else "BSXOPT"
        underlying = instrument.security_id if index else _UNDERLYING_IDS.get(instrument.symbol, "")
        kind = {InstrumentKind.INDEX: "INDEX", InstrumentKind.FUTURE: "FUT"}.get(instrument.kind, "OP")
        strike = f"{instrument.strike:.5f}" if instrument.strike is not None else "" if index else "-0.01000"
        freeze = 0 if instrument.freeze is None else instrument.freeze
        writer.writerow(
            (
                exchange, letter, instrument.security_id, "NA", instrument_type(instrument), underlying,
                instrument.symbol, symbol_name, instrument.display_name, kind, "NA", f"{instrument.lot:.1f}",
                instrument.expiry.isoformat() if instrument.expiry else _NO_EXPIRY, strike, _option_type(listed),
                _tick(listed, 4), _flag(listed) or "N", "N", "N", "N", "NA", "A", 0, 0, 0, 0, 0, 0, 0, "", "",
                freeze, "",
            )
        )  # fmt: skip
    return out.getvalue()
