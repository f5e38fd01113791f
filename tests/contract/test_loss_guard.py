"""The day's loss limit at the broker, over real sockets: it is there, and it acts without us."""

from __future__ import annotations

from decimal import Decimal

from tests.contract.test_dhan_broker import SimulatorVenue
from tests.unit.live.test_loss_guard import Notices
from workbench.core.messages import Outcome
from workbench.live.loss_guard import LossGuard
from workbench.testing.broker_contract import eventually, marketable
from workbench.testing.simulator import running_simulator


def guard(venue: SimulatorVenue, loss: str) -> LossGuard:
    return LossGuard(
        venue.broker.control, loss=Decimal(loss), products=("INTRADAY",), session=lambda: None,
        now=lambda: venue.simulator.simulator.now, notifier=Notices(),
    )  # fmt: skip


def test_r25_the_brokers_exit_leaves_at_a_loss_though_nobody_asks_it_to() -> None:
    with running_simulator() as running:
        running.open_market()
        running.advance(60)
        venue = SimulatorVenue(running)
        assert guard(venue, "10000").set() == ""
        found = venue.broker.control.pnl_exit()
        assert found is not None
        assert (found.loss, found.products, found.kill_switch) == (Decimal(12_000), ("INTRADAY",), False)
        # The spread alone is a greater loss than a twentieth of a rupee.
        assert guard(venue, "0.05").set() == ""
        assert venue.broker.place(marketable(venue, venue.instrument.lot)).outcome is Outcome.ACCEPTED
        net = eventually(venue, lambda: _flat_after_a_fill(venue))
        assert net == 0
        assert guard(venue, "10000").set() == "", "what has fired is set anew for what comes"


def _flat_after_a_fill(venue: SimulatorVenue) -> int | None:
    rows = venue.broker.snapshot().positions
    traded = venue.broker.snapshot().trades
    net = sum(row.net_quantity for row in rows)
    return net if len(traded) >= 2 and net == 0 else None


def test_an_exit_that_the_broker_does_not_take_is_told() -> None:
    with running_simulator() as running:
        running.open_market()
        venue = SimulatorVenue(running)
        running.fault("http_500", match="POST /pnlExit")
        assert guard(venue, "10000").set() != ""
        assert guard(venue, "10000").set() == ""
