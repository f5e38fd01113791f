"""Rates of brokerage, taxes and fees from 2021-01-01 on, as dated rows.

Each levy has its own short history below, in percent; the rows of the table are these histories laid over each other,
so a change of one levy is one line here. The brokerage is today's tariff of Dhan on every date, because a replayed day
asks what the trade would cost this account.

Invariant: every line has a first day and a source; BSE derivatives before 2024-10-01 had a tariff in slabs and are left
out, so they are refused.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from workbench.core.charges import ChargeKind, ChargeRow, ChargeTable, Exchange

DELIVERY = ChargeKind.EQUITY_DELIVERY
INTRADAY = ChargeKind.EQUITY_INTRADAY
FUTURES = ChargeKind.FUTURES
OPTIONS = ChargeKind.OPTIONS


@dataclass(frozen=True, slots=True)
class Rate:
    """One levy from `first_day` on, in percent of turnover (two numbers where there are two)."""

    first_day: date
    pct: Decimal
    source: str
    single_source: bool = False
    second_pct: Decimal = Decimal(0)


START = date(2021, 1, 1)


def _rate(first_day: str, pct: str, source: str, *, single_source: bool = False, second: str = "0") -> Rate:
    return Rate(date.fromisoformat(first_day), Decimal(pct), source, single_source, Decimal(second))


BROKERAGE_SOURCE = "Dhan tariff as in investking.in/dhan-brokerage-charges"
# Rupees for an executed order, and the percentage below which that is a cap. Delivery is free.
BROKERAGE: dict[ChargeKind, tuple[Decimal, Decimal | None]] = {
    DELIVERY: (Decimal(0), None),
    INTRADAY: (Decimal(20), Decimal("0.03")),
    FUTURES: (Decimal(20), Decimal("0.03")),
    OPTIONS: (Decimal(20), None),
}

# Sellers' STT; `second` is the buyer's STT for delivery, and the STT of the exerciser for options.
STT: dict[ChargeKind, tuple[Rate, ...]] = {
    DELIVERY: (_rate("2021-01-01", "0.1", "STT table of the Finance Act (brokers' rate cards)", second="0.1"),),
    INTRADAY: (_rate("2021-01-01", "0.025", "STT table of the Finance Act (brokers' rate cards)"),),
    FUTURES: (
        _rate("2021-01-01", "0.01", "tradejini.com/charges; rates of the Finance Act 2013"),
        _rate("2023-04-01", "0.0125", "Finance Act 2023; livemint.com 2024-10-01 quotes it as the old rate"),
        _rate("2024-10-01", "0.02", "Finance (No. 2) Act 2024; livemint.com 2024-10-01"),
        _rate("2026-04-01", "0.05", "Union Budget 2026; proficientequities.com rate card"),
    ),
    OPTIONS: (
        _rate("2021-01-01", "0.05", "tradejini.com/charges; rates of the Finance Act 2016", second="0.125"),
        _rate("2023-04-01", "0.0625", "Finance Act 2023; livemint.com 2024-10-01 quotes it as the old rate",
              second="0.125"),
        _rate("2024-10-01", "0.1", "Finance (No. 2) Act 2024; livemint.com 2024-10-01", second="0.125"),
        _rate("2026-04-01", "0.15", "Union Budget 2026; proficientequities.com rate card", second="0.15"),
    ),
}  # fmt: skip

# Exchange transaction charge; `second` is the contribution to the investor protection fund (IPFT), which is added.
RISE_2021 = "NSE rates from 2021-01-01, first slab (tradejini.com/charges: 345, 200, 5300 a crore)"
ROLLBACK_2023 = "NSE press release of 2023-03-24: 6 % rolled back; IPFT 10 a crore, options 50 (thehindu.com)"
CUT_2024 = "NSE: 1 % cut from 2024-04-01 (moltolindia.com 2105), applied to the first slab"
FLAT_2024 = "NSE circular of 2024-09-27: 2.97, 1.73 and 35.03 a lakh (ndtvprofit.com, goodreturns.in); IPFT added"
NSE_2026 = "NSE circular of 2026-02-27: 306.99+0.01, 182.99+0.01, 3552+1 a crore from 2026-03-01"
BSE_CASH = "BSE 375 a crore (thehindubusinessline.com 2023-03-24; proficientequities.com)"
_NSE_CASH = (
    _rate("2021-01-01", "0.00345", RISE_2021, second="0.0000001"),
    _rate("2023-04-01", "0.00325", ROLLBACK_2023, second="0.0001"),
    _rate("2024-04-01", "0.00322", CUT_2024, second="0.0001", single_source=True),
    _rate("2024-10-01", "0.00297", FLAT_2024, second="0.0001"),
    _rate("2026-03-01", "0.0030699", NSE_2026, second="0.0000001"),
)
TXN: dict[tuple[ChargeKind, Exchange], tuple[Rate, ...]] = {
    (DELIVERY, Exchange.NSE): _NSE_CASH,
    (INTRADAY, Exchange.NSE): _NSE_CASH,
    (FUTURES, Exchange.NSE): (
        _rate("2021-01-01", "0.002", RISE_2021, second="0.0000001"),
        _rate("2023-04-01", "0.0019", ROLLBACK_2023, second="0.0001"),
        _rate("2024-04-01", "0.00188", CUT_2024, second="0.0001", single_source=True),
        _rate("2024-10-01", "0.00173", FLAT_2024, second="0.0001"),
        _rate("2026-03-01", "0.0018299", NSE_2026, second="0.0000001"),
    ),
    (OPTIONS, Exchange.NSE): (
        _rate("2021-01-01", "0.053", RISE_2021, second="0.0000001"),
        _rate("2023-04-01", "0.05", ROLLBACK_2023, second="0.0005"),
        _rate("2024-04-01", "0.0495", CUT_2024 + "; livemint.com 2024-10-01 quotes 0.0495", second="0.0005"),
        _rate("2024-10-01", "0.03503", FLAT_2024, second="0.0005"),
        _rate("2026-03-01", "0.03552", NSE_2026, second="0.00001"),
    ),
    (DELIVERY, Exchange.BSE): (_rate("2022-01-01", "0.00375", BSE_CASH, single_source=True),),
    (INTRADAY, Exchange.BSE): (_rate("2022-01-01", "0.00375", BSE_CASH, single_source=True),),
    (FUTURES, Exchange.BSE): (_rate("2024-10-01", "0", "BSE notice of 2024-09-27 (nnewws.com): no charge on futures"),),
    (OPTIONS, Exchange.BSE): (
        _rate("2024-10-01", "0.0325", "BSE notice of 2024-09-27: 3250 a crore on SENSEX and BANKEX (goodreturns.in)"),
    ),
}

SEBI = (
    _rate("2021-01-01", "0.00005", "SEBI statement of 2020-04-27: fee halved from June 2020 to March 2021"),
    _rate("2021-04-01", "0.0001", "10 a crore again (brokers' rate cards)"),
)
STAMP: dict[ChargeKind, Rate] = {
    DELIVERY: _rate("2021-01-01", "0.015", "Indian Stamp Act as amended, from 2020-07-01 (tradejini.com/charges)"),
    INTRADAY: _rate("2021-01-01", "0.003", "Indian Stamp Act as amended, from 2020-07-01 (tradejini.com/charges)"),
    FUTURES: _rate("2021-01-01", "0.002", "Indian Stamp Act as amended, from 2020-07-01 (tradejini.com/charges)"),
    OPTIONS: _rate("2021-01-01", "0.003", "Indian Stamp Act as amended, from 2020-07-01 (tradejini.com/charges)"),
}
GST_PCT = Decimal(18)
GST_SOURCE = "GST 18 % of brokerage and exchange charges; of the SEBI fee since 2022-07-18 (BSE notice 20221031-4)"
GST_ON_SEBI_FROM = date(2022, 7, 18)


def build_charge_table() -> ChargeTable:
    """Lay the histories over each other: one row for each day on which anything changed."""
    rows = []
    for (kind, exchange), txn in TXN.items():
        days = {rate.first_day for rate in (*txn, *STT[kind], *SEBI)} | {GST_ON_SEBI_FROM}
        rows += [_row(kind, exchange, day) for day in sorted(days) if day >= txn[0].first_day]
    return ChargeTable(rows)


def _row(kind: ChargeKind, exchange: Exchange, day: date) -> ChargeRow:
    stt, txn, sebi, stamp = _on(STT[kind], day), _on(TXN[kind, exchange], day), _on(SEBI, day), STAMP[kind]
    flat, pct = BROKERAGE[kind]
    parts = (stt, txn, sebi, stamp)
    return ChargeRow(
        kind=kind,
        exchange=exchange,
        first_day=day,
        brokerage_flat=flat,
        brokerage_pct=pct,
        stt_sell_pct=stt.pct,
        stt_buy_pct=stt.second_pct if kind is DELIVERY else Decimal(0),
        stt_exercise_pct=stt.second_pct if kind is OPTIONS else Decimal(0),
        txn_pct=txn.pct + txn.second_pct,
        sebi_pct=sebi.pct,
        stamp_buy_pct=stamp.pct,
        gst_pct=GST_PCT,
        gst_on_sebi=day >= GST_ON_SEBI_FROM,
        source="; ".join((BROKERAGE_SOURCE, *(part.source for part in parts), GST_SOURCE)),
        single_source=any(part.single_source for part in parts),
    )


def _on(rates: tuple[Rate, ...], day: date) -> Rate:
    return rates[bisect_right(rates, day, key=lambda rate: rate.first_day) - 1]
