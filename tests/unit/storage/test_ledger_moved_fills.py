"""Units that were booked as a person's trade and turn out to be an order's of ours stand in the ledger once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.unit.core.builders import Stand
from workbench.core.messages import FillBooked, FilledByHand
from workbench.core.ports import JournalEntry
from workbench.reference import charge_table
from workbench.storage.ledger import DayLedger


def test_a_fill_that_was_moved_is_told_once_and_as_what_it_is() -> None:
    stand = Stand()
    position_id = stand.protected().position_id
    stop = stand.ticket("S")
    body: dict[str, Any] = {"position_id": position_id, "price": Decimal(150), "at": stand.now}
    events = (
        *stand.events,
        FilledByHand(**body, quantity=50, order_id="L9"),
        FillBooked(**body, quantity=30, correlation_id=stop.correlation_id, booked_as="L9"),
    )
    told_at_once = JournalEntry(seq=1, now=stand.now, account_id="practice", message=None, events=events)
    ledger = DayLedger.of([told_at_once], charge_table())
    told = [(each.purpose, each.correlation_id, each.quantity) for each in ledger.fills]
    assert told == [
        ("entry", stand.ticket("E").correlation_id, 50),
        ("external", "external:L9", 20),
        ("stop", stop.correlation_id, 30),
    ]
    assert ledger.book.positions[position_id].open_quantity == 0
