"""Charges: the worked example, one order however it is split, and trades that add up to the day's note."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.charges import (
    ChargeKind,
    ChargeRow,
    Charges,
    ChargeTable,
    Exchange,
    Execution,
    charge_kind,
    charges_of,
    contract_note,
    exchange_of,
    exercise_line,
    fill_charges,
    fill_line,
    trade_charges,
)
from workbench.core.errors import BadInput, UnknownFact
from workbench.core.instrument import InstrumentKind, Segment
from workbench.core.money import PAISA, ZERO
from workbench.core.signal import Side

ON = date(2026, 11, 20)
NSE = Exchange.NSE
OPTIONS, FUTURES = ChargeKind.OPTIONS, ChargeKind.FUTURES


def row(kind: ChargeKind, first_day: date = date(2026, 4, 1), *, gst_on_sebi: bool = True) -> ChargeRow:
    options = kind is OPTIONS
    return ChargeRow(
        kind=kind,
        exchange=NSE,
        first_day=first_day,
        brokerage_flat=Decimal(20),
        brokerage_pct=None if options else Decimal("0.03"),
        stt_sell_pct=Decimal("0.15") if options else Decimal("0.05"),
        stt_buy_pct=ZERO,
        stt_exercise_pct=Decimal("0.15") if options else ZERO,
        txn_pct=Decimal("0.03553") if options else Decimal("0.00183"),
        sebi_pct=Decimal("0.0001"),
        stamp_buy_pct=Decimal("0.003") if options else Decimal("0.002"),
        gst_pct=Decimal(18),
        gst_on_sebi=gst_on_sebi,
        source="test",
    )


TABLE = ChargeTable([row(OPTIONS), row(FUTURES)])


def fill(side: Side, quantity: int, price: str, on: date = ON) -> Execution:
    return Execution(side=side, quantity=quantity, price=Decimal(price), on=on)


def test_the_worked_example_of_65_units_bought_at_100_and_sold_at_110() -> None:
    bill = trade_charges(TABLE, OPTIONS, NSE, entry=fill(Side.BUY, 65, "100"), exit=fill(Side.SELL, 65, "110"))
    assert bill == Charges(
        brokerage=Decimal("40.00"),
        stt=Decimal("10.73"),
        exchange_txn=Decimal("4.85"),
        sebi=Decimal("0.01"),
        stamp=Decimal("0.20"),
        gst=Decimal("8.07"),
    )
    assert bill.total == Decimal("63.86")


def test_the_note_of_the_worked_example_rounds_stt_and_stamp_to_the_rupee() -> None:
    lines = [fill_line(TABLE, OPTIONS, NSE, each) for each in (fill(Side.BUY, 65, "100"), fill(Side.SELL, 65, "110"))]
    note = contract_note([lines])
    assert (note.charges.stt, note.charges.stamp) == (Decimal(11), Decimal(0))
    assert note.charges.total == Decimal("63.93")
    assert note.rounding == Decimal("0.07")


def test_brokerage_is_due_once_for_an_order_that_fills_in_pieces() -> None:
    first = fill_line(TABLE, OPTIONS, NSE, fill(Side.BUY, 50, "100"))
    second = fill_line(TABLE, OPTIONS, NSE, fill(Side.BUY, 25, "101"), turnover_before=first.turnover)
    assert (first.brokerage, second.brokerage) == (Decimal(20), Decimal(0))


def test_the_brokerage_of_a_future_is_a_percentage_up_to_its_cap() -> None:
    small = fill_charges(TABLE, FUTURES, NSE, fill(Side.BUY, 1, "20000"))
    large = fill_charges(TABLE, FUTURES, NSE, fill(Side.BUY, 65, "25000"))
    assert (small.brokerage, large.brokerage) == (Decimal("6.00"), Decimal("20.00"))


def test_an_exercised_option_pays_only_stt_on_its_intrinsic_value() -> None:
    bill = charges_of([exercise_line(TABLE, NSE, quantity=65, intrinsic=Decimal(100), on=ON)])
    assert bill == Charges(
        brokerage=Decimal("0.00"), stt=Decimal("9.75"), exchange_txn=Decimal("0.00"), sebi=Decimal("0.00"),
        stamp=Decimal("0.00"), gst=Decimal("0.00"),
    )  # fmt: skip


def test_gst_leaves_the_sebi_fee_out_where_the_row_says_so() -> None:
    table = ChargeTable([row(FUTURES, gst_on_sebi=False)])
    big = fill(Side.BUY, 1000, "25000")
    assert fill_charges(TABLE, FUTURES, NSE, big).gst - fill_charges(table, FUTURES, NSE, big).gst == Decimal("4.50")


def test_the_latest_row_up_to_the_day_counts_and_before_the_first_is_refused() -> None:
    table = ChargeTable([row(OPTIONS, date(2024, 10, 1)), row(OPTIONS, date(2026, 4, 1))])
    assert table.row(OPTIONS, NSE, date(2026, 3, 31)).first_day == date(2024, 10, 1)
    assert table.row(OPTIONS, NSE, date(2026, 4, 1)).first_day == date(2026, 4, 1)
    with pytest.raises(UnknownFact, match="2024-09-30"):
        table.row(OPTIONS, NSE, date(2024, 9, 30))


@pytest.mark.parametrize(("quantity", "price"), [(0, "100"), (-5, "100"), (65, "-1")])
def test_an_impossible_fill_is_refused(quantity: int, price: str) -> None:
    with pytest.raises(BadInput):
        fill_charges(TABLE, OPTIONS, NSE, fill(Side.BUY, quantity, price))


def test_each_instrument_has_its_tariff() -> None:
    assert charge_kind(InstrumentKind.SYNTHETIC) is FUTURES
    assert charge_kind(InstrumentKind.EQUITY, delivery=True) is ChargeKind.EQUITY_DELIVERY
    assert exchange_of(Segment.BSE_FNO) is Exchange.BSE
    assert exchange_of(Segment.IDX_I) is NSE
    with pytest.raises(BadInput):
        charge_kind(InstrumentKind.INDEX)


prices = st.decimals(min_value="0.05", max_value="60000", places=2)
sides = st.sampled_from(Side)
fills = st.builds(Execution, side=sides, quantity=st.integers(1, 5000), price=prices, on=st.just(ON))
kinds = st.sampled_from([OPTIONS, FUTURES])


@given(kinds, fills)
def test_no_part_of_a_bill_is_negative(kind: ChargeKind, execution: Execution) -> None:
    bill = fill_charges(TABLE, kind, NSE, execution)
    parts = (bill.brokerage, bill.stt, bill.exchange_txn, bill.sebi, bill.stamp, bill.gst)
    assert min(parts) >= 0
    assert bill.total == sum(parts)
    assert bill.total == bill.total.quantize(PAISA)


@given(kinds, st.lists(fills, min_size=2, max_size=6), sides)
def test_an_order_costs_the_same_however_it_was_filled(
    kind: ChargeKind, executions: list[Execution], side: Side
) -> None:
    lines, before = [], ZERO
    for each in executions:
        one_side = Execution(side=side, quantity=each.quantity, price=each.price, on=ON)
        lines.append(fill_line(TABLE, kind, NSE, one_side, turnover_before=before))
        before += lines[-1].turnover
    whole = fill_line(TABLE, kind, NSE, Execution(side=side, quantity=1, price=before, on=ON))
    assert charges_of(lines) == charges_of([whole])


@given(kinds, st.lists(st.tuples(fills, fills), max_size=12))
def test_the_trades_and_the_rounding_line_are_equal_to_the_note(
    kind: ChargeKind, trades: list[tuple[Execution, Execution]]
) -> None:
    groups = [[fill_line(TABLE, kind, NSE, each) for each in trade] for trade in trades]
    note = contract_note(groups)
    shown = sum((charges_of(lines).total for lines in groups), ZERO)
    assert shown + note.rounding == note.charges.total
    # Half a rupee for STT and stamp each, and at most half a paisa for each part of each trade (GST: a little more).
    assert abs(note.rounding) <= Decimal(1) + Decimal("0.04") * (len(trades) + 1)
    assert note.charges.stt == note.charges.stt.to_integral_value()
    assert note.charges.stamp == note.charges.stamp.to_integral_value()
