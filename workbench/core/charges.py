"""What a trade costs: brokerage, STT, exchange, SEBI, stamp, GST, by the rates of its date.

One code path serves backtest, replay, simulator and ledger. A fill becomes a `ChargeLine` (turnover and brokerage,
exact, additive); numbers are rounded only when lines are put together:

* `charges_of(lines)` rounds each component to the paisa: what a fill, a trade or a leg shows;
* `contract_note(lines)` does the same over a day, with STT and stamp rounded to the rupee, as on the broker's note.

The two differ by less than two rupees a day. That difference is one named line, `ContractNote.rounding`, so that the
trades of a day plus that line are equal to the note, to the paisa, on every face.

Invariant: fills of one order cost together what the order would cost in one fill, however it was split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from workbench.core.errors import BadInput, UnknownFact
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.money import ZERO, to_paisa, to_rupee
from workbench.core.signal import Side

PERCENT = Decimal("0.01")


class ChargeKind(StrEnum):
    """What the tariff distinguishes."""

    EQUITY_INTRADAY = "equity_intraday"
    EQUITY_DELIVERY = "equity_delivery"
    FUTURES = "futures"
    OPTIONS = "options"


class Exchange(StrEnum):
    """Exchanges with a tariff of their own."""

    NSE = "NSE"
    BSE = "BSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """The rates of one kind on one exchange from `first_day` until the next row.

    All `*_pct` are percent of the turnover (of the premium for options). `brokerage_flat` is rupees for an executed
    order; with `brokerage_pct` it is the cap, the lower of the two being charged. `txn_pct` is what the exchange takes
    including the contribution to its investor protection fund. `stt_exercise_pct` is taken of the intrinsic value from
    the buyer of an option that is exercised. `gst_on_sebi` says whether GST is due on the SEBI fee too.
    """

    kind: ChargeKind
    exchange: Exchange
    first_day: date
    brokerage_flat: Decimal
    brokerage_pct: Decimal | None
    stt_sell_pct: Decimal
    stt_buy_pct: Decimal
    stt_exercise_pct: Decimal
    txn_pct: Decimal
    sebi_pct: Decimal
    stamp_buy_pct: Decimal
    gst_pct: Decimal
    gst_on_sebi: bool
    source: str
    single_source: bool = False

    def brokerage(self, turnover: Decimal) -> Decimal:
        """Give the exact brokerage of an order that has executed that turnover so far."""
        if turnover == 0:
            return ZERO
        if self.brokerage_pct is None:
            return self.brokerage_flat
        return min(self.brokerage_flat, turnover * self.brokerage_pct * PERCENT)


class ChargeTable:
    """All known rates; immutable after it is built."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[ChargeRow]) -> None:
        by_key: dict[tuple[ChargeKind, Exchange], list[ChargeRow]] = {}
        for row in sorted(rows, key=lambda row: row.first_day):
            by_key.setdefault((row.kind, row.exchange), []).append(row)
        self._rows = {key: tuple(found) for key, found in by_key.items()}

    @property
    def rows(self) -> tuple[ChargeRow, ...]:
        """All rows, by kind and exchange, oldest first."""
        return tuple(row for key in sorted(self._rows) for row in self._rows[key])

    def row(self, kind: ChargeKind, exchange: Exchange, on: date) -> ChargeRow:
        """Give the rates in force on that day.

        Raises
        ------
        UnknownFact
            No row is old enough.
        """
        found = None
        for row in self._rows.get((kind, exchange), ()):
            if row.first_day > on:
                break
            found = row
        if found is None:
            raise UnknownFact(
                f"the charges of {kind.value} on {exchange.value} are not known for {on}; "
                "add a row with its source to workbench/reference/charges.py"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine:
    """What one fill adds to a bill: exact, and additive.

    Parameters
    ----------
    row : ChargeRow
        The rates of its day.
    side : Side
    turnover : Decimal
        Price times units in rupees; the intrinsic value when `exercised`.
    brokerage : Decimal
        What this fill adds to the brokerage of its order.
    exercised : bool
        True for a bought option that was exercised at expiry: only STT is due, on the intrinsic value.
    """

    row: ChargeRow
    side: Side
    turnover: Decimal
    brokerage: Decimal
    exercised: bool = False

    @property
    def stt(self) -> Decimal:
        """Securities transaction tax, exact."""
        if self.exercised:
            return self.turnover * self.row.stt_exercise_pct * PERCENT
        pct = self.row.stt_buy_pct if self.side is Side.BUY else self.row.stt_sell_pct
        return self.turnover * pct * PERCENT

    @property
    def stamp(self) -> Decimal:
        """Stamp duty, exact; buyers pay it."""
        bought = self.side is Side.BUY and not self.exercised
        return self.turnover * self.row.stamp_buy_pct * PERCENT if bought else ZERO

    @property
    def exchange_txn(self) -> Decimal:
        """Exchange transaction charge, exact."""
        return ZERO if self.exercised else self.turnover * self.row.txn_pct * PERCENT

    @property
    def sebi(self) -> Decimal:
        """SEBI turnover fee, exact."""
        return ZERO if self.exercised else self.turnover * self.row.sebi_pct * PERCENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """The parts of a bill in rupees, each rounded as its builder says."""

    brokerage: Decimal = ZERO
    stt: Decimal = ZERO
    exchange_txn: Decimal = ZERO
    sebi: Decimal = ZERO
    stamp: Decimal = ZERO
    gst: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """The sum of all parts."""
        return self.brokerage + self.stt + self.exchange_txn + self.sebi + self.stamp + self.gst

    def __add__(self, other: Charges) -> Charges:
        """Add part by part (for a total over trades; use `charges_of` to bill lines together)."""
        return Charges(
            brokerage=self.brokerage + other.brokerage,
            stt=self.stt + other.stt,
            exchange_txn=self.exchange_txn + other.exchange_txn,
            sebi=self.sebi + other.sebi,
            stamp=self.stamp + other.stamp,
            gst=self.gst + other.gst,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill, or one executed order of a trade, reduced to what charges need (units, rupees, day)."""

    side: Side
    quantity: int
    price: Decimal
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractNote:
    """A day's bill: `charges` with STT and stamp in whole rupees, and what rounding added to the trades' own numbers.

    `sum(trade.total) + rounding == charges.total`, to the paisa.
    """

    charges: Charges
    trades_total: Decimal

    @property
    def rounding(self) -> Decimal:
        """The one line that makes the trades' charges add up to the note; may be negative."""
        return self.charges.total - self.trades_total


def charge_kind(kind: InstrumentKind, *, delivery: bool = False) -> ChargeKind:
    """Say by which tariff an instrument is billed; an index traded as a future pays what a future pays."""
    match kind:
        case InstrumentKind.OPTION:
            return ChargeKind.OPTIONS
        case InstrumentKind.FUTURE | InstrumentKind.SYNTHETIC:
            return ChargeKind.FUTURES
        case InstrumentKind.EQUITY:
            return ChargeKind.EQUITY_DELIVERY if delivery else ChargeKind.EQUITY_INTRADAY
        case InstrumentKind.INDEX:
            raise BadInput("an index itself cannot be bought: trade it as index_as_future or through its derivatives")
        case _:
            assert_never(kind)


def exchange_of(segment: Segment) -> Exchange:
    """Say whose tariff a segment follows (an index traded as a future follows NSE's)."""
    return Exchange.BSE if segment in (Segment.BSE_EQ, Segment.BSE_FNO) else Exchange.NSE


def fill_line(
    table: ChargeTable, kind: ChargeKind, exchange: Exchange, fill: Execution, *, turnover_before: Decimal = ZERO
) -> ChargeLine:
    """Turn one fill into its line.

    Parameters
    ----------
    fill : Execution
        Side, units (above zero), price in rupees (not negative) and day.
    turnover_before : Decimal
        Turnover that the same order had executed before this fill. Brokerage is due for an executed order, not for a
        fill: the first fill carries the flat fee, later ones carry only what a percentage tariff still adds.
    """
    if fill.quantity <= 0 or fill.price < 0 or turnover_before < 0:
        raise BadInput(f"a fill needs units above 0 and no negative price: got {fill.quantity} at {fill.price}")
    row = table.row(kind, exchange, fill.on)
    turnover = fill.price * fill.quantity
    brokerage = row.brokerage(turnover_before + turnover) - row.brokerage(turnover_before)
    return ChargeLine(row=row, side=fill.side, turnover=turnover, brokerage=brokerage)


def exercise_line(table: ChargeTable, exchange: Exchange, *, quantity: int, intrinsic: Decimal, on: date) -> ChargeLine:
    """Give the line of a bought option exercised at expiry (`intrinsic` is rupees a unit)."""
    row = table.row(ChargeKind.OPTIONS, exchange, on)
    return ChargeLine(row=row, side=Side.SELL, turnover=intrinsic * quantity, brokerage=ZERO, exercised=True)


def charges_of(lines: Iterable[ChargeLine]) -> Charges:
    """Bill some lines together, each part rounded to the paisa.

    GST is taken of the rounded brokerage, exchange and (since 2022-07-18) SEBI parts, as a note prints them.
    """
    return _bill(tuple(lines))


def fill_charges(
    table: ChargeTable, kind: ChargeKind, exchange: Exchange, fill: Execution, *, turnover_before: Decimal = ZERO
) -> Charges:
    """Bill one fill alone, to the paisa; see `fill_line`. A trade is billed from its lines, not from these."""
    return charges_of((fill_line(table, kind, exchange, fill, turnover_before=turnover_before),))


def trade_charges(
    table: ChargeTable, kind: ChargeKind, exchange: Exchange, *, entry: Execution, exit: Execution
) -> Charges:
    """Bill a round trip of one entry order and one exit order, to the paisa."""
    return charges_of(fill_line(table, kind, exchange, each) for each in (entry, exit))


def contract_note(trades: Iterable[Iterable[ChargeLine]]) -> ContractNote:
    """Bill a day: STT and stamp rounded to the rupee once, the rest to the paisa.

    Parameters
    ----------
    trades : Iterable of Iterable of ChargeLine
        The day's lines, grouped as the faces show them (a trade, or an open position's fills, is one group).
    """
    groups = [tuple(lines) for lines in trades]
    day = tuple(line for lines in groups for line in lines)
    paisa = _bill(day)
    charges = Charges(
        brokerage=paisa.brokerage,
        stt=to_rupee(sum((line.stt for line in day), ZERO)),
        exchange_txn=paisa.exchange_txn,
        sebi=paisa.sebi,
        stamp=to_rupee(sum((line.stamp for line in day), ZERO)),
        gst=paisa.gst,
    )
    return ContractNote(charges=charges, trades_total=sum((_bill(lines).total for lines in groups), ZERO))


def _bill(lines: tuple[ChargeLine, ...]) -> Charges:
    brokerage = stt = txn = sebi = stamp = ZERO
    taxable: dict[tuple[Decimal, bool], list[Decimal]] = {}
    for line in lines:
        line_txn, line_sebi = line.exchange_txn, line.sebi
        brokerage += line.brokerage
        stt += line.stt
        stamp += line.stamp
        txn += line_txn
        sebi += line_sebi
        base = taxable.setdefault((line.row.gst_pct, line.row.gst_on_sebi), [ZERO, ZERO, ZERO])
        base[0] += line.brokerage
        base[1] += line_txn
        base[2] += line_sebi if line.row.gst_on_sebi else ZERO
    gst = sum((sum(map(to_paisa, parts), ZERO) * pct * PERCENT for (pct, _), parts in taxable.items()), ZERO)
    return Charges(
        brokerage=to_paisa(brokerage),
        stt=to_paisa(stt),
        exchange_txn=to_paisa(txn),
        sebi=to_paisa(sebi),
        stamp=to_paisa(stamp),
        gst=to_paisa(gst),
    )
