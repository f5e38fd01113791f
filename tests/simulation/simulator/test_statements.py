"""The papers of the account: contract note, exercise tax, ledger, trade history."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.simulation.simulator.scripted import DAY, Venue
from workbench.core.charges import ChargeKind, Exchange, Execution, charges_of, contract_note, fill_line
from workbench.core.signal import Side
from workbench.reference import charge_table
from workbench.simulator.statements import PAGE

NEXT = date(2026, 11, 17)


@pytest.fixture
def venue() -> Venue:
    return Venue()


def balance(venue: Venue) -> Decimal:
    return Decimal(venue.sim.statements.ledger(DAY, date(2026, 12, 31), "1")[-1]["runbal"])


def to_the_end(venue: Venue) -> None:
    while not venue.sim.is_over:
        venue.sim.step()


def test_a_day_is_billed_at_its_end_and_not_before(venue: Venue) -> None:
    venue.order(productType="MARGIN")
    venue.order(transactionType="SELL", price=99.0, productType="MARGIN")
    start = venue.sim.account.start_of_day
    profit = venue.sim.account.realised
    assert profit == Decimal("-0.10") * venue.lot
    assert venue.sim.funds()["availabelBalance"] == float(start + profit)
    table = charge_table()
    fills = [(Side.BUY, "100.05"), (Side.SELL, "99.95")]
    lines = [
        fill_line(
            table, ChargeKind.OPTIONS, Exchange.NSE,
            Execution(side=side, quantity=venue.lot, price=Decimal(price), on=DAY),
        )
        for side, price in fills
    ]  # fmt: skip
    venue.sim.settle()
    note = contract_note([[each] for each in lines]).charges.total
    assert venue.sim.account.start_of_day == start + profit - note == balance(venue)
    shown = venue.sim.statements.history(DAY, DAY, 0)
    assert [each.charges.total for each in reversed(shown)] == [charges_of([each]).total for each in lines]


def test_an_expired_option_is_paid_out_and_its_exercise_taxed(venue: Venue) -> None:
    venue.order(productType="MARGIN", quantity=venue.lot * 2)
    to_the_end(venue)
    venue.sim.next_day()
    assert venue.sim.day == NEXT
    opened = venue.sim.account.start_of_day
    strike = venue.listed.instrument.strike
    assert strike is not None
    to_the_end(venue)
    spot = strike + 100
    venue.sim.board.spot = lambda _: float(spot)  # type: ignore[assignment,method-assign]
    venue.sim.settle()
    rows = venue.sim.statements.ledger(NEXT, NEXT, "1")
    names = [each["narration"] for each in rows]
    assert names == ["TRADING RESULT AND EXPIRY SETTLEMENT", "STT ON EXERCISED OPTIONS"]
    # 0.15 % of the intrinsic value, rounded to the rupee as taxes on a note are.
    tax = (Decimal(100) * venue.lot * 2 * Decimal("0.0015")).quantize(Decimal(1))
    gain = (Decimal(100) - Decimal("100.05")) * venue.lot * 2
    assert Decimal(rows[-1]["debit"]) == tax
    assert venue.sim.account.start_of_day == opened + gain - tax == balance(venue)
    assert venue.sim.account.positions == {}


def test_a_position_that_the_broker_closes_costs_a_fee(venue: Venue) -> None:
    venue.order()
    to_the_end(venue)
    venue.sim.settle()
    rows = {each["narration"]: each["debit"] for each in venue.sim.statements.ledger(DAY, DAY, "1")}
    assert rows["AUTO SQUARE OFF CHARGES"] == "23.60"


def test_history_comes_in_pages(venue: Venue) -> None:
    for _ in range(PAGE + 3):
        venue.order()
    venue.sim.settle()
    pages: list[Any] = [venue.sim.statements.history(DAY, DAY, page) for page in range(3)]
    assert [len(each) for each in pages] == [PAGE, 3, 0]
    assert venue.sim.statements.history(NEXT, NEXT, 0) == []
