"""A share in a replay: what is listed of it, and quotes out of its one-minute bars.

The minutes travel as those of an index do (`index_feed`); the share itself is what is traded, so no contract is chosen.

Invariant: bars have one price a moment, so bid and ask are that price: the spread is not in the fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from workbench.core.contracts import ContractTable
from workbench.core.errors import BadInput, UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Segment
from workbench.research.index_feed import OPEN, IndexFeed
from workbench.research.minutes import TradingDay

TICK = Decimal("0.05")
"""Shares of NSE moved by five paise until 2024; where they move finer since, bars are rounded to it."""


def share_of(symbol: str, contracts: ContractTable) -> Instrument:
    """Give a share of NSE as it is replayed.

    Raises
    ------
    BadInput
        It is an index.
    """
    if any(each.symbol == symbol for each in contracts.underlyings):
        raise BadInput(f"{symbol} is an index and cannot be bought itself; use contract option or index_as_future")
    return Instrument(
        segment=Segment.NSE_EQ,
        security_id=symbol,
        symbol=symbol,
        kind=InstrumentKind.EQUITY,
        tick=TICK,
        display_name=symbol,
    )


@dataclass(frozen=True, slots=True)
class ListedShare:
    """An `InstrumentSource` of one share."""

    share: Instrument

    def index(self, underlying: str) -> Instrument:
        """Give the share itself."""
        if underlying != self.share.symbol:
            raise UnknownName("underlying", underlying, [self.share.symbol])
        return self.share

    def expiries(self, underlying: str) -> Sequence[date]:  # noqa: ARG002 - the port asks so
        """Give none: only the share is replayed."""
        return ()

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:  # noqa: ARG002 - the port asks so
        """Give none."""
        return ()

    def future(self, underlying: str, expiry: date) -> Instrument | None:  # noqa: ARG002 - the port asks so
        """Give none."""
        return None

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        """Give the share by its id."""
        return self.share if (segment, security_id) == (self.share.segment, self.share.security_id) else None

    def by_key(self, key: str) -> Instrument | None:
        """Give the share by its key."""
        return self.share if key == self.share.key else None


class ShareFeed(IndexFeed):
    """Feeds one engine with a share."""

    def before_call(self, row: int, day: TradingDay) -> None:
        """Show the last close, or the day's first price, before a call that is heard at the open of `row`."""
        if row > day.first:
            IndexFeed.before_call(self, row, day)
        else:
            self.run.show(self._quote(day, row, self.minutes.price(row, OPEN), 0.0))
