"""The one judge of all fault tests: the simulator's own book beside the engine's, and beside the journal on the disk.

It reads what the simulator summed itself, never what our adapter read of it.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from tests.simulation.faults.rig import ACCOUNT, Trading
from workbench.core.messages import OrderSubmitted
from workbench.core.order import OrderTicket, Purpose
from workbench.core.signal import Side
from workbench.testing.simulator import RunningSimulator

Rows = list[dict[str, Any]]
_RESTS = ("TRANSIT", "PENDING", "PART_TRADED")


def book_of(sim: RunningSimulator) -> dict[str, Any]:
    """Give the simulator's own truth."""
    found: dict[str, Any] = sim.call(sim.simulator.book)
    return found


def our_orders(sim: RunningSimulator) -> Rows:
    """Give the orders at the broker that came from us (its own square-off has ids that it invented)."""
    return [row for row in book_of(sim)["orders"] if not row["correlationId"].startswith(sim.client_id)]


def net_at_broker(sim: RunningSimulator) -> dict[str, int]:
    """Give what the broker holds for us, units by security id; what is flat is left out."""
    net: Counter[str] = Counter()
    for row in book_of(sim)["positions"]:
        net[row["securityId"]] += row["netQty"]
    return {key: units for key, units in net.items() if units}


def written(it: Trading) -> dict[str, OrderTicket]:
    """Give the orders that stand in the journal on the disk, by correlation id."""
    tickets: dict[str, OrderTicket] = {}
    for entry in it.journal.read_day(ACCOUNT, it.clock.now().date()):
        for event in entry.events:
            if isinstance(event, OrderSubmitted):
                assert event.ticket.correlation_id not in tickets, "an id was given twice"
                tickets[event.ticket.correlation_id] = event.ticket
    return tickets


def assert_nothing_twice(sim: RunningSimulator, it: Trading) -> None:
    """I1 and I2: every order at the broker was written down once before, and no entry is there twice."""
    tickets = written(it)
    sent = Counter(row["correlationId"] for row in our_orders(sim))
    assert set(sent) <= set(tickets), f"orders that nobody wrote down: {set(sent) - set(tickets)}"
    assert not [tag for tag, count in sent.items() if count > 1], f"sent twice: {sent}; {it.story()}"
    entries = Counter(tickets[tag].intent_id for tag in sent if tickets[tag].purpose is Purpose.ENTRY)
    assert all(count == 1 for count in entries.values()), f"two orders for one intent: {entries}; {it.story()}"


def assert_books_agree(sim: RunningSimulator, it: Trading) -> None:
    """I1 to I5: no position unknown to us, none without its stop, unless a person was told."""
    assert_nothing_twice(sim, it)
    assert it.runner.faults == [] and not it.runner.stopped_because
    theirs = net_at_broker(sim)
    ours = {name: units for (_, name), units in it.engine.book.net_by_instrument().items() if units}
    if it.engine.book.frozen:
        assert any("frozen" in text for text in it.alarms), it.story()
    else:
        assert ours == theirs, f"the broker holds {theirs}, our book {ours}; {it.story()}"
        assert paid(sim) == booked(it), it.story()
    resting = _resting_against(sim)
    for name, units in theirs.items():
        leaving = resting.get(name, 0)
        assert leaving * units <= 0, f"what rests would add to {name}; {it.story()}"
        assert abs(leaving) <= abs(units), f"{leaving} units leave {units} of {name}; {it.story()}"
        if abs(leaving) < abs(units):
            assert it.alarms, f"{units} of {name} have a stop for {leaving}, and nobody was told; {it.story()}"
    assert resting.keys() <= theirs.keys(), f"{resting} rests, {theirs} is held: it would open a position; {it.story()}"


def assert_protected(sim: RunningSimulator, units: int) -> None:
    """The broker holds so many units, and a stop for all of them rests there."""
    ((name, held),) = net_at_broker(sim).items()
    stops = [row for row in our_orders(sim) if row["orderStatus"] in _RESTS and row["orderType"] == "STOP_LOSS"]
    assert held == units
    assert [(row["securityId"], row["transactionType"], row["remainingQuantity"]) for row in stops] == [
        (name, "SELL", units)
    ]


def assert_flat(sim: RunningSimulator, it: Trading) -> None:
    """Nothing is held and nothing rests, by both books."""
    assert net_at_broker(sim) == {}, it.story()
    assert not [row for row in our_orders(sim) if row["orderStatus"] in _RESTS], it.story()
    assert it.positions() == [], it.story()
    assert_books_agree(sim, it)


def _resting_against(sim: RunningSimulator) -> dict[str, int]:
    """Give the signed units that rest at the broker, by security id; entries under way are left out."""
    found: Counter[str] = Counter()
    for row in our_orders(sim):
        if row["orderStatus"] in _RESTS and not row["correlationId"].endswith("E"):
            found[row["securityId"]] += row["remainingQuantity"] * (1 if row["transactionType"] == "BUY" else -1)
    return dict(found)


def paid(sim: RunningSimulator) -> Decimal:
    """Give what was received less what was paid, by the broker's trades."""
    total = Decimal(0)
    for row in book_of(sim)["trades"]:
        value = Decimal(repr(row["tradedPrice"])) * row["tradedQuantity"]
        total += -value if row["transactionType"] == "BUY" else value
    return total


def booked(it: Trading) -> Decimal:
    """Give the same by the ledger, from which every face takes its figures."""
    values = ((row.side, row.price * row.quantity) for row in it.ledger.fills)
    return sum((-value if side == Side.BUY else value for side, value in values), Decimal(0))
