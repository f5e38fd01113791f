"""The broker contract on the replay's venue: the same suite, without a wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.messages import WriteKind
from workbench.core.session import IST
from workbench.research.venue import Venue
from workbench.testing.broker_contract import BrokerContract
from workbench.testing.replay_broker import ReplayBroker, WireFault

OPTION = Instrument(
    segment=Segment.NSE_FNO,
    security_id="55796",
    symbol="NIFTY",
    kind=InstrumentKind.OPTION,
    lot=65,
    expiry=date(2026, 11, 24),
    strike=Decimal(25000),
    right=Right.CE,
    freeze=1800,
)


class ReplayVenue:
    """One option whose quote is renewed with each `settle`."""

    def __init__(self) -> None:
        self.instrument = OPTION
        self.venue = Venue()
        self.quote = Quote(
            key=OPTION.key,
            time=datetime(2026, 11, 20, 10, 0, tzinfo=IST),
            last=Decimal("150.05"),
            bid=Decimal("150.00"),
            ask=Decimal("150.10"),
            bid_quantity=650,
            ask_quantity=650,
        )
        self.broker = ReplayBroker(self.venue, lambda: self.quote.time)
        self.venue.quote(self.quote)

    def touch(self) -> Quote:
        return self.quote

    def settle(self) -> None:
        self.quote = replace(self.quote, time=self.quote.time + timedelta(seconds=1))
        self.broker.take(self.venue.quote(self.quote))

    def true_orders(self, correlation_id: str) -> list[Mapping[str, Any]]:
        return [
            asdict(known.told())
            for known in self.venue._orders.values()
            if known.ticket.correlation_id == correlation_id
        ]

    def withhold_next_reply(self) -> None:
        self.broker.write_faults[WriteKind.PLACE].append(WireFault.WITHHELD)

    def lose_next(self, kind: WriteKind, count: int) -> None:
        self.broker.write_faults[kind].extend([WireFault.LOST] * count)

    def throttle_next(self, kind: WriteKind) -> None:
        self.broker.write_faults[kind].append(WireFault.THROTTLED)

    def lag_look_up_of_next_order(self) -> None:
        self.broker.look_up_lag = 1

    def break_next_read(self, path: str) -> None:
        self.broker.unreadable.add(path)

    def deserted(self) -> ReplayBroker:
        nobody = ReplayBroker(Venue(), lambda: self.quote.time)
        nobody.is_deserted = True
        return nobody


@pytest.fixture
def venue() -> ReplayVenue:
    return ReplayVenue()


class TestReplayVenue(BrokerContract):
    """The published suite."""
