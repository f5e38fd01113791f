"""Index derivatives from 2021-01-01 on as dated rows: lots, expiry weekdays, strike steps, freezes, ticks.

NIFTY and BANKNIFTY are complete; FINNIFTY, MIDCPNIFTY and SENSEX begin where their history is known. Of BANKEX and
INDIA VIX only the ids are known, so that their quotes can be read and their derivatives are refused.

Invariant: every row has a first day and a source; within a table the rows of one underlying are oldest first, and of
two lot rows that fit, the later one wins.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from workbench.core.contracts import (
    ContractTable,
    ExpiryKind,
    ExpiryRule,
    FreezeRow,
    ListingRow,
    LotRow,
    StepRow,
    TickRow,
    Underlying,
)
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.session import Calendar

MON, TUE, WED, THU, FRI = range(5)
WEEKLY, MONTHLY = ExpiryKind.WEEKLY, ExpiryKind.MONTHLY

UNDERLYINGS = (
    Underlying(symbol="NIFTY", index_id="13", derivatives=Segment.NSE_FNO),
    Underlying(symbol="BANKNIFTY", index_id="25", derivatives=Segment.NSE_FNO),
    Underlying(symbol="FINNIFTY", index_id="27", derivatives=Segment.NSE_FNO),
    Underlying(symbol="MIDCPNIFTY", index_id="442", derivatives=Segment.NSE_FNO),
    Underlying(symbol="SENSEX", index_id="51", derivatives=Segment.BSE_FNO),
    Underlying(symbol="BANKEX", index_id="69", derivatives=Segment.BSE_FNO),
    Underlying(symbol="INDIA VIX", index_id="21", derivatives=None),
)


def _lot(
    underlying: str, lot: int | None, *, kind: ExpiryKind | None, expiry_from: str, day_from: str, source: str
) -> LotRow:
    return LotRow(
        underlying=underlying, lot=lot, kind=kind, first_expiry=date.fromisoformat(expiry_from),
        first_day=date.fromisoformat(day_from), source=source, single_source=source in SINGLE_SOURCES,
    )  # fmt: skip


LOTS_2021 = "NSE/FAOP/47854 of 2021-03-31 (scribd.com 545156927, zerodha.com bulletin 291849, cnbctv18.com)"
LOTS_2023 = "NSE circular of 2023-03-31 (livemint.com 2023-04-01, tradingqna.com 145259, community.upstox.com 459)"
LOTS_2024A = "NSE circular of 2024-04-02 (zerodha.com bulletin 375282, business-standard.com 2024-04-03)"
LOTS_2024B = "NSE circular of 2024-10-18 (business-standard.com 2024-10-19; tgstat.com FlyingcallsArjun 11256)"
LOTS_2025A = "NSE circular of 2025-03-28 (fyers.in notice board, ndtvprofit.com, capitalmarket.com 2025-03-31)"
LOTS_2025B = "NSE/FAOP/70616 of 2025-10-03 (ndtvprofit.com, capitalmarket.com 2025-10-07)"
BSE_LOTS = "BSE statement of 2023-03-27 (livemint.com 2023-03-28); relaunch of 2023-05-15"
MIDCAP_75 = "livemint.com 2023-04-01 names 75; the lot at the launch of 2022-01-24 is taken to be the same"
SENSEX_20 = "tgstat.com FlyingcallsArjun 11256: 20 after the December 2024 expiry; the broker's master of 2026"
SENSEX_JANUARY = "whether the January 2025 month, listed before, was converted is not known"
BANK_JANUARY = f"{LOTS_2024B}: listed months keep their lot; the second one prints 30 for this month"
SINGLE_SOURCES = frozenset((BANK_JANUARY, MIDCAP_75, SENSEX_20, SENSEX_JANUARY))

LOTS: tuple[LotRow, ...] = (
    # "Contracts with August 2021 weekly expiry and beyond"; of the months July first, the listed long-dated ones
    # only after the June expiry.
    _lot("NIFTY", 75, kind=None, expiry_from="2021-01-01", day_from="2021-01-01", source=LOTS_2021),
    _lot("NIFTY", 50, kind=WEEKLY, expiry_from="2021-08-01", day_from="2021-04-30", source=LOTS_2021),
    _lot("NIFTY", 50, kind=MONTHLY, expiry_from="2021-07-29", day_from="2021-04-30", source=LOTS_2021),
    _lot("NIFTY", 75, kind=MONTHLY, expiry_from="2021-09-01", day_from="2021-04-30", source=LOTS_2021),
    _lot("NIFTY", 50, kind=MONTHLY, expiry_from="2021-09-01", day_from="2021-06-25", source=LOTS_2021),
    # All contracts at once, because two new lots make an old one.
    _lot("NIFTY", 25, kind=None, expiry_from="2024-04-26", day_from="2024-04-26", source=LOTS_2024A),
    # New contracts only; listed weeks, months and (until the December expiry) quarters keep 25.
    _lot("NIFTY", 75, kind=WEEKLY, expiry_from="2025-01-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("NIFTY", 75, kind=MONTHLY, expiry_from="2025-02-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("NIFTY", 25, kind=MONTHLY, expiry_from="2025-03-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("NIFTY", 75, kind=MONTHLY, expiry_from="2025-03-01", day_from="2024-12-27", source=LOTS_2024B),
    _lot("NIFTY", 65, kind=None, expiry_from="2026-01-01", day_from="2025-10-29", source=LOTS_2025B),
    _lot("NIFTY", 75, kind=MONTHLY, expiry_from="2026-03-01", day_from="2025-10-29", source=LOTS_2025B),
    _lot("NIFTY", 65, kind=MONTHLY, expiry_from="2026-03-01", day_from="2025-12-31", source=LOTS_2025B),

    _lot("BANKNIFTY", 25, kind=None, expiry_from="2021-01-01", day_from="2021-01-01", source=LOTS_2021),
    _lot("BANKNIFTY", 15, kind=WEEKLY, expiry_from="2023-08-01", day_from="2023-04-28", source=LOTS_2023),
    _lot("BANKNIFTY", 15, kind=MONTHLY, expiry_from="2023-07-27", day_from="2023-04-28", source=LOTS_2023),
    _lot("BANKNIFTY", 25, kind=MONTHLY, expiry_from="2023-09-01", day_from="2023-04-28", source=LOTS_2023),
    _lot("BANKNIFTY", 15, kind=MONTHLY, expiry_from="2023-09-01", day_from="2023-06-30", source=LOTS_2023),
    _lot("BANKNIFTY", 15, kind=MONTHLY, expiry_from="2025-01-01", day_from="2024-11-20", source=BANK_JANUARY),
    _lot("BANKNIFTY", 30, kind=MONTHLY, expiry_from="2025-02-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("BANKNIFTY", 15, kind=MONTHLY, expiry_from="2025-03-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("BANKNIFTY", 30, kind=MONTHLY, expiry_from="2025-03-01", day_from="2024-12-26", source=LOTS_2024B),
    _lot("BANKNIFTY", 35, kind=MONTHLY, expiry_from="2025-07-31", day_from="2025-04-25", source=LOTS_2025A),
    _lot("BANKNIFTY", 30, kind=MONTHLY, expiry_from="2026-01-01", day_from="2025-10-29", source=LOTS_2025B),
    _lot("BANKNIFTY", 35, kind=MONTHLY, expiry_from="2026-03-01", day_from="2025-10-29", source=LOTS_2025B),
    _lot("BANKNIFTY", 30, kind=MONTHLY, expiry_from="2026-03-01", day_from="2025-12-31", source=LOTS_2025B),

    _lot("FINNIFTY", 40, kind=None, expiry_from="2021-01-11", day_from="2021-01-11", source=LOTS_2021),
    _lot("FINNIFTY", 25, kind=MONTHLY, expiry_from="2024-07-30", day_from="2024-04-26", source=LOTS_2024A),
    _lot("FINNIFTY", 25, kind=WEEKLY, expiry_from="2024-08-06", day_from="2024-04-26", source=LOTS_2024A),
    _lot("FINNIFTY", 65, kind=MONTHLY, expiry_from="2025-02-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("FINNIFTY", 60, kind=MONTHLY, expiry_from="2026-01-01", day_from="2025-10-29", source=LOTS_2025B),

    _lot("MIDCPNIFTY", 75, kind=None, expiry_from="2022-01-24", day_from="2022-01-24", source=MIDCAP_75),
    _lot("MIDCPNIFTY", 50, kind=MONTHLY, expiry_from="2024-07-29", day_from="2024-04-26", source=LOTS_2024A),
    _lot("MIDCPNIFTY", 50, kind=WEEKLY, expiry_from="2024-08-05", day_from="2024-04-26", source=LOTS_2024A),
    _lot("MIDCPNIFTY", 120, kind=MONTHLY, expiry_from="2025-02-01", day_from="2024-11-20", source=LOTS_2024B),
    _lot("MIDCPNIFTY", 140, kind=MONTHLY, expiry_from="2025-07-31", day_from="2025-04-25", source=LOTS_2025A),
    _lot("MIDCPNIFTY", 120, kind=MONTHLY, expiry_from="2026-01-01", day_from="2025-10-29", source=LOTS_2025B),

    _lot("SENSEX", 10, kind=None, expiry_from="2023-05-15", day_from="2023-05-15", source=BSE_LOTS),
    _lot("SENSEX", 20, kind=WEEKLY, expiry_from="2025-01-01", day_from="2024-11-20", source=SENSEX_20),
    _lot("SENSEX", None, kind=MONTHLY, expiry_from="2025-01-01", day_from="2024-11-20", source=SENSEX_JANUARY),
    _lot("SENSEX", 20, kind=MONTHLY, expiry_from="2025-02-01", day_from="2025-02-01", source=SENSEX_20),
)  # fmt: skip


def _rule(
    underlying: str, kind: ExpiryKind, first_day: str, weekday: int | None, source: str, *, single_source: bool = False
) -> ExpiryRule:
    return ExpiryRule(
        underlying=underlying, kind=kind, first_day=date.fromisoformat(first_day), weekday=weekday, source=source,
        single_source=single_source,
    )  # fmt: skip


THURSDAYS = "NSE contract specifications: Thursday, the last one of the month"
TUESDAYS = "NSE circular of 2025-06-23: Tuesdays after 2025-08-28 (businesstoday.in, angelone.in)"
WEEKLIES_END = "SEBI circular of 2024-10-01: one weekly index per exchange from 2024-11-20; last weekly of the index"
MONTHS_2025 = "NSE circular of 2024-11-29: last Thursday from 2025-01-01 (business-standard.com 2024-11-30)"
BANKNIFTY_WED = "NSE circular of 2023-07-12 (cnbctv18.com, livemint.com, tradingqna.com 149775)"
BSE_FRI = "BSE statement of 2023-03-27: Fridays from 2023-05-15 (livemint.com 2023-03-28)"
BSE_TUE = "BSE circular of 2024-11-28: Tuesdays from 2025-01-01 (business-standard.com)"
BSE_THU = "SEBI and BSE circulars of June 2025: Thursdays from 2025-09-01 (business-standard.com 2025-06-17)"

EXPIRY_RULES: tuple[ExpiryRule, ...] = (
    _rule("NIFTY", WEEKLY, "2021-01-01", THU, THURSDAYS),
    _rule("NIFTY", WEEKLY, "2025-08-29", TUE, TUESDAYS),
    _rule("NIFTY", MONTHLY, "2021-01-01", THU, THURSDAYS),
    _rule("NIFTY", MONTHLY, "2025-08-29", TUE, TUESDAYS),

    _rule("BANKNIFTY", WEEKLY, "2021-01-01", THU, THURSDAYS),
    _rule("BANKNIFTY", WEEKLY, "2023-09-04", WED, BANKNIFTY_WED),
    _rule("BANKNIFTY", WEEKLY, "2024-11-14", None, WEEKLIES_END),
    _rule("BANKNIFTY", MONTHLY, "2021-01-01", THU, THURSDAYS),
    _rule("BANKNIFTY", MONTHLY, "2024-03-01", WED, "NSE circular of 2023-12-28 (livemint.com 2023-12-29)"),
    _rule("BANKNIFTY", MONTHLY, "2025-01-01", THU, MONTHS_2025),
    _rule("BANKNIFTY", MONTHLY, "2025-08-29", TUE, TUESDAYS),

    _rule("FINNIFTY", WEEKLY, "2021-01-11", THU, THURSDAYS, single_source=True),
    _rule("FINNIFTY", WEEKLY, "2021-10-15", TUE, "NSE circular of 2021-09-15 (flattrade.in, thehindubusinessline.com)"),
    _rule("FINNIFTY", WEEKLY, "2024-11-20", None, WEEKLIES_END, single_source=True),
    _rule("FINNIFTY", MONTHLY, "2021-01-11", THU, THURSDAYS, single_source=True),
    _rule("FINNIFTY", MONTHLY, "2021-10-15", TUE, "NSE circular of 2021-09-15 (flattrade.in)"),
    _rule("FINNIFTY", MONTHLY, "2025-01-01", THU, MONTHS_2025),
    _rule("FINNIFTY", MONTHLY, "2025-08-29", TUE, TUESDAYS),

    _rule("MIDCPNIFTY", WEEKLY, "2022-01-24", TUE, "tradingqna.com 144954 names Tuesday as the old day",
          single_source=True),
    _rule("MIDCPNIFTY", WEEKLY, "2023-04-26", WED, "NSE circular of March 2023 (tradingqna.com 144954)"),
    _rule("MIDCPNIFTY", WEEKLY, "2023-08-17", MON, "NSE circular of 2023-07-12 (financialexpress.com 2023-07-13)"),
    _rule("MIDCPNIFTY", WEEKLY, "2024-11-19", None, WEEKLIES_END, single_source=True),
    _rule("MIDCPNIFTY", MONTHLY, "2022-01-24", TUE, "tradingqna.com 144954", single_source=True),
    _rule("MIDCPNIFTY", MONTHLY, "2023-04-27", WED, "NSE circular of March 2023 (tradingqna.com 144954)"),
    _rule("MIDCPNIFTY", MONTHLY, "2023-08-17", MON, "NSE circular of 2023-07-12 (financialexpress.com 2023-07-13)"),
    _rule("MIDCPNIFTY", MONTHLY, "2025-01-01", THU, MONTHS_2025),
    _rule("MIDCPNIFTY", MONTHLY, "2025-08-29", TUE, TUESDAYS),

    _rule("SENSEX", WEEKLY, "2023-05-15", FRI, BSE_FRI),
    _rule("SENSEX", WEEKLY, "2025-01-01", TUE, BSE_TUE),
    _rule("SENSEX", WEEKLY, "2025-09-01", THU, BSE_THU),
    _rule("SENSEX", MONTHLY, "2023-05-15", FRI, BSE_FRI),
    _rule("SENSEX", MONTHLY, "2025-01-01", TUE, BSE_TUE),
    _rule("SENSEX", MONTHLY, "2025-09-01", THU, BSE_THU),
)  # fmt: skip

STEPS: tuple[StepRow, ...] = tuple(
    StepRow(underlying=underlying, first_day=date.fromisoformat(first_day), step=Decimal(step), source=source)
    for underlying, first_day, step, source in (
        ("NIFTY", "2021-01-01", "50", "NSE strike scheme; NSE bhavcopy of 2026-03-25"),
        ("BANKNIFTY", "2021-01-01", "100", "NSE strike scheme; NSE bhavcopy of 2026-03-25"),
        ("FINNIFTY", "2021-01-11", "50", "NSE strike scheme; NSE bhavcopy of 2026-03-25"),
        ("MIDCPNIFTY", "2022-01-24", "25", "NSE strike scheme; NSE bhavcopy of 2026-03-25"),
        ("SENSEX", "2023-05-15", "100", "BSE strike scheme; the broker's master of 2026"),
    )
)

LEVELS = "lower bound by NSE's table of index levels of 2021-07-31 (5paisa.com): the limit is set anew each month"
FREEZES: tuple[FreezeRow, ...] = tuple(
    FreezeRow(
        underlying=underlying,
        first_day=date.fromisoformat(first_day),
        freeze=freeze,
        source=source,
        lower_bound=source is LEVELS,
        single_source=source is not LEVELS and ";" not in source,
    )
    for underlying, first_day, freeze, source in (
        ("NIFTY", "2021-01-01", 5000, "tradingqna.com 115834: old limits until 2021-08-01"),
        ("NIFTY", "2021-08-02", 2800, "NSE circular of 2021-07-31; tradingqna.com 115834; 5paisa.com"),
        ("NIFTY", "2021-09-01", 1800, LEVELS),
        ("NIFTY", "2022-11-01", 1800, "NSE circular of 2022-10-31; madefortrade.in 4037"),
        ("NIFTY", "2022-12-01", 1800, LEVELS),
        ("NIFTY", "2023-04-03", 1800, "NSE circular; angelone.in 2023-04-03"),
        ("NIFTY", "2023-05-02", 1800, LEVELS),
        ("NIFTY", "2025-07-01", 1800, "NSE circulars of 2025-06-30 and 2025-08-29; moneycontrol.com; icicidirect.com"),
        ("NIFTY", "2026-03-02", 1800, LEVELS),
        ("NIFTY", "2026-08-03", 1800, "NSE circular of 2026-07-31; the broker's master of September 2026"),
        ("BANKNIFTY", "2021-01-01", 2500, "tradingqna.com 115834: old limits until 2021-08-01"),
        ("BANKNIFTY", "2021-08-02", 1200, "NSE circular of 2021-07-31; tradingqna.com 115834; 5paisa.com"),
        ("BANKNIFTY", "2021-11-01", 900, LEVELS),
        ("BANKNIFTY", "2022-11-01", 900, "NSE circular of 2022-10-31; madefortrade.in 4037"),
        ("BANKNIFTY", "2022-12-01", 900, LEVELS),
        ("BANKNIFTY", "2023-04-03", 900, "NSE circular; angelone.in 2023-04-03"),
        ("BANKNIFTY", "2023-05-02", 900, LEVELS),
        ("BANKNIFTY", "2024-08-01", 900, "NSE circular; angelone.in 2024-08-01"),
        ("BANKNIFTY", "2024-09-02", 600, LEVELS),
        ("BANKNIFTY", "2025-03-03", 900, "NSE circular; angelone.in 2025-03-03"),
        ("BANKNIFTY", "2025-04-01", 600, LEVELS),
        ("BANKNIFTY", "2025-07-01", 600, "NSE circular of 2025-06-30; moneycontrol.com"),
        ("BANKNIFTY", "2025-09-01", 900, "NSE circular of 2025-08-29; moneycontrol.com"),
        ("BANKNIFTY", "2025-10-01", 600, LEVELS),
        ("BANKNIFTY", "2025-11-03", 600, "NSE circulars of 2025-10-31 and 2025-11-28; icicidirect.com"),
        ("BANKNIFTY", "2026-03-02", 600, LEVELS),
        ("BANKNIFTY", "2026-08-03", 600, "NSE circular of 2026-07-31; the broker's master of September 2026"),
        ("FINNIFTY", "2021-08-02", 1800, "NSE circular of 2021-07-31; tradingqna.com 115834"),
        ("FINNIFTY", "2025-12-01", 1200, "NSE circular of 2025-11-28; icicidirect.com"),
        ("FINNIFTY", "2026-02-01", 1800, "NSE circular; icicidirect.com"),
        ("FINNIFTY", "2026-03-02", 1200, LEVELS),
        ("FINNIFTY", "2026-08-03", 1800, "NSE circular of 2026-07-31; the broker's master of September 2026"),
        ("MIDCPNIFTY", "2022-11-01", 5500, "NSE circular of 2022-10-31; madefortrade.in 4037"),
        ("MIDCPNIFTY", "2022-12-01", 4200, LEVELS),
        ("MIDCPNIFTY", "2023-04-03", 5500, "NSE circular; angelone.in 2023-04-03"),
        ("MIDCPNIFTY", "2023-05-02", 2800, LEVELS),
        ("MIDCPNIFTY", "2024-08-01", 2800, "NSE circular; angelone.in 2024-08-01"),
        ("MIDCPNIFTY", "2025-07-01", 2800, "NSE circulars of 2025-06-30 and 2025-08-29; moneycontrol.com"),
        ("MIDCPNIFTY", "2026-03-02", 2800, LEVELS),
        ("MIDCPNIFTY", "2026-08-03", 2800, "NSE circular of 2026-07-31; the broker's master of September 2026"),
        ("SENSEX", "2025-09-01", 1000, "icicidirect.com FAQ; the broker's master of September 2026"),
    )
)

TICKS_2025 = "NSE circular on ticks from 2025-04-15 by index level (fyers.in, hdfcsec.com); NSE bhavcopy of 2026-03-25"
FLAT_TICK = "NSE and BSE contract specifications: 0.05"
TICKS: tuple[TickRow, ...] = (
    *(
        TickRow(kind=kind, first_day=date(2021, 1, 1), tick=Decimal("0.05"), source=FLAT_TICK)
        for kind in (
            InstrumentKind.OPTION, InstrumentKind.FUTURE, InstrumentKind.INDEX, InstrumentKind.SYNTHETIC,
        )
    ),
    *(
        TickRow(
            underlying=underlying, kind=kind, first_day=date(2025, 4, 15), tick=Decimal(tick), source=TICKS_2025,
            single_source=underlying == "FINNIFTY",
        )
        for underlying, tick in (("NIFTY", "0.10"), ("BANKNIFTY", "0.20"), ("FINNIFTY", "0.10"))
        for kind in (InstrumentKind.FUTURE, InstrumentKind.SYNTHETIC)
    ),
)  # fmt: skip

CYCLE = "NSE circular of 2023-07-12: 4 weeks beside the months, 3 months, quarters; NSE bhavcopy of 2026-03-25"
LISTINGS: tuple[ListingRow, ...] = tuple(
    ListingRow(
        underlying=underlying,
        first_day=date.fromisoformat(first_day),
        weeks=4,
        months=3,
        quarters=quarters,
        half_years=half_years,
        source=CYCLE,
        single_source=first_day < "2023-07-12",
    )
    for underlying, first_day, quarters, half_years in (
        ("NIFTY", "2021-01-01", 3, 8),
        ("BANKNIFTY", "2021-01-01", 3, 0),
        ("FINNIFTY", "2021-01-11", 0, 0),
        ("MIDCPNIFTY", "2022-01-24", 0, 0),
        ("SENSEX", "2023-05-15", 3, 8),
    )
)


def build_contract_table(calendar: Calendar) -> ContractTable:
    """Build the table of contracts on a calendar, which moves expiries off holidays."""
    return ContractTable(
        underlyings=UNDERLYINGS,
        lots=LOTS,
        expiry_rules=EXPIRY_RULES,
        steps=STEPS,
        freezes=FREEZES,
        ticks=TICKS,
        listings=LISTINGS,
        calendar=calendar,
    )
