"""A night and an expiry in the ledger: each fill stands on its own day, and the trade on the day on which it ended."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.unit.core.builders import CALL, Stand, at, scalp
from tests.unit.core.nights import NEXT, at_the_close, keeping, morning
from workbench.core.charges import contract_note
from workbench.core.messages import DayBegan, SettlementTold
from workbench.core.pnl import charge_lines, day_note
from workbench.core.ports import JournalEntry
from workbench.reference import charge_table
from workbench.storage.ledger import DayLedger


def ledger_of(stand: Stand) -> DayLedger:
    told = JournalEntry(seq=1, now=stand.now, account_id="practice", message=None, events=tuple(stand.events))
    return DayLedger.of([told], charge_table())


def test_a_carried_trade_has_its_fills_on_their_days_and_its_result_on_the_last() -> None:
    stand = keeping()
    at_the_close(stand)
    first = ledger_of(stand)
    assert ([each.purpose for each in first.fills], first.trades) == (["entry"], ())
    morning(stand)
    stand.now = at("09:15:00", NEXT)
    stand.price(CALL, 118)
    stand.update(stand.ticket("S"), 50, "104.5")
    second = ledger_of(stand)
    assert [each.purpose for each in second.fills] == ["stop"]
    (trade,) = second.trades
    assert trade.entry_time.date() < trade.exit_time.date() == NEXT
    assert trade.net == stand.position.net == stand.book.realised()
    whole = day_note(stand.book.positions.values(), charge_table())
    of_two_days = [day_note(stand.book.positions.values(), charge_table(), on) for on in (None, NEXT)]
    assert of_two_days[0].charges == whole.charges
    assert of_two_days[1].charges.total < whole.charges.total
    assert second.rounding == of_two_days[1].rounding


def test_the_trades_of_two_days_and_their_roundings_are_the_notes_of_both_days_to_the_paisa() -> None:
    found = set()
    for price in ("104.5", "104.55", "106.9", "108.35", "111.15"):
        stand = keeping()
        at_the_close(stand)
        bought = ledger_of(stand)
        morning(stand)
        stand.now = at("09:15:00", NEXT)
        stand.price(CALL, 118)
        stand.update(stand.ticket("S"), 50, price)
        sold, positions = ledger_of(stand), stand.book.positions.values()
        (fill_in, fill_out) = next(iter(positions)).fills
        notes = [
            contract_note([charge_lines(replace(each, fills=(fill,)), charge_table()) for each in positions])
            for fill in (fill_in, fill_out)
        ]
        (trade,) = sold.trades
        told = trade.charges + bought.rounding + sold.rounding
        assert told == sum(note.charges.total for note in notes)
        found.add(trade.charges - sum(note.trades_total for note in notes))
    assert found - {0}, "none of these prices shows the paise that lie between one bill and two"


def test_a_settlement_is_a_row_of_its_day() -> None:
    stand = Stand(scalp())
    stand.now = at("10:00:00", NEXT)
    stand.tell(DayBegan(day=NEXT))
    stand.spot(Decimal("15712.40"))
    stand.price(CALL, 120)
    stand.protected()
    stand.go_to("15:30:00")
    stand.tell(SettlementTold(symbol="NIFTY", expiry=NEXT, price=Decimal(15800)))
    ledger = ledger_of(stand)
    assert [(each.purpose, each.price) for each in ledger.fills] == [
        ("entry", Decimal(120)),
        ("settlement", Decimal(100)),
    ]
    (trade,) = ledger.trades
    assert (trade.reason, trade.exit_price, trade.net) == ("expired", Decimal(100), stand.position.net)
