"""The real charge rows: the dated rates, the worked example and the sources."""

from datetime import date
from decimal import Decimal

import pytest

from workbench.core.charges import ChargeKind, Exchange, Execution, trade_charges
from workbench.core.errors import UnknownFact
from workbench.core.signal import Side
from workbench.reference import charge_table

NSE, BSE = Exchange.NSE, Exchange.BSE
OPTIONS, FUTURES = ChargeKind.OPTIONS, ChargeKind.FUTURES


@pytest.mark.parametrize(
    ("kind", "on", "stt", "txn"),
    [
        (OPTIONS, "2021-01-01", "0.05", "0.0530001"),
        (OPTIONS, "2023-03-31", "0.05", "0.0530001"),
        (OPTIONS, "2023-04-01", "0.0625", "0.0505"),
        (OPTIONS, "2024-04-01", "0.0625", "0.05"),
        (OPTIONS, "2024-10-01", "0.1", "0.03553"),
        (OPTIONS, "2026-03-31", "0.1", "0.03553"),
        (OPTIONS, "2026-04-01", "0.15", "0.03553"),
        (FUTURES, "2021-01-01", "0.01", "0.0020001"),
        (FUTURES, "2023-04-01", "0.0125", "0.002"),
        (FUTURES, "2024-10-01", "0.02", "0.00183"),
        (FUTURES, "2026-04-01", "0.05", "0.00183"),
        (ChargeKind.EQUITY_INTRADAY, "2026-11-20", "0.025", "0.00307"),
        (ChargeKind.EQUITY_DELIVERY, "2026-11-20", "0.1", "0.00307"),
    ],
)
def test_the_rates_of_a_day_are_those_of_that_day(kind: ChargeKind, on: str, stt: str, txn: str) -> None:
    row = charge_table().row(kind, NSE, date.fromisoformat(on))
    assert (row.stt_sell_pct, row.txn_pct) == (Decimal(stt), Decimal(txn))


def test_the_sebi_fee_was_halved_until_march_2021_and_taxed_from_july_2022() -> None:
    rows = [charge_table().row(OPTIONS, NSE, day) for day in (date(2021, 3, 31), date(2021, 4, 1), date(2022, 7, 18))]
    assert [row.sebi_pct for row in rows] == [Decimal("0.00005"), Decimal("0.0001"), Decimal("0.0001")]
    assert [row.gst_on_sebi for row in rows] == [False, False, True]


def test_the_worked_example_on_the_real_rows() -> None:
    on = date(2026, 11, 20)
    bill = trade_charges(
        charge_table(),
        OPTIONS,
        NSE,
        entry=Execution(side=Side.BUY, quantity=65, price=Decimal(100), on=on),
        exit=Execution(side=Side.SELL, quantity=65, price=Decimal(110), on=on),
    )
    assert bill.total == Decimal("63.86")


def test_slab_tariffs_of_bse_before_october_2024_are_refused() -> None:
    with pytest.raises(UnknownFact, match="options on BSE"):
        charge_table().row(OPTIONS, BSE, date(2024, 9, 30))
    assert charge_table().row(OPTIONS, BSE, date(2024, 10, 1)).txn_pct == Decimal("0.0325")


def test_delivery_pays_stt_on_both_sides_and_no_brokerage() -> None:
    row = charge_table().row(ChargeKind.EQUITY_DELIVERY, NSE, date(2026, 11, 20))
    assert (row.stt_buy_pct, row.stt_sell_pct, row.brokerage_flat) == (Decimal("0.1"), Decimal("0.1"), Decimal(0))


def test_every_nse_kind_is_known_from_2021_on_and_every_row_names_its_sources() -> None:
    assert all(charge_table().row(kind, NSE, date(2021, 1, 1)) for kind in ChargeKind)
    assert all(row.source.count(";") >= 4 for row in charge_table().rows)
    assert any(row.single_source for row in charge_table().rows)
