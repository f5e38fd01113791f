"""The market of a proof: one index with weekly options, on two days of which the second is the day of expiry.

Invariant: contracts, hours and charges come from the same dated tables as in production; only the listings are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal

from workbench import reference
from workbench.core.errors import UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.legs import Listings
from workbench.core.session import IST, Session

DAY = date(2022, 6, 15)
SECOND_DAY = date(2022, 6, 16)
SPOT = Decimal("15712.40")
SYMBOL = "NIFTY"
STRIKE = 15700
TICK = Decimal("0.05")
FREEZE = 1800


def at(clock: str, day: date = DAY) -> datetime:
    """Give a moment of that day in India."""
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=IST)


def option(strike: int, right: Right, expiry: date = SECOND_DAY) -> Instrument:
    """Give one listed option."""
    return Instrument(
        segment=Segment.NSE_FNO,
        security_id=f"{expiry:%m%d}{strike}{right.value}",
        symbol=SYMBOL,
        kind=InstrumentKind.OPTION,
        lot=50,
        expiry=expiry,
        strike=Decimal(strike),
        right=right,
        freeze=FREEZE,
    )


INDEX = Instrument(segment=Segment.IDX_I, security_id="13", symbol=SYMBOL, kind=InstrumentKind.INDEX)
CALL, PUT = option(STRIKE, Right.CE), option(STRIKE, Right.PE)


class FewListings:
    """The index and the options of one expiry; `core.ports.InstrumentSource`."""

    def __init__(self) -> None:
        self._options = tuple(option(strike, right) for strike in range(15500, 15901, 50) for right in Right)

    def index(self, underlying: str) -> Instrument:
        """Give the index."""
        if underlying != SYMBOL:
            raise UnknownName("underlying", underlying, [SYMBOL])
        return INDEX

    def expiries(self, underlying: str) -> Sequence[date]:
        """Give the one expiry."""
        return (SECOND_DAY,) if underlying == SYMBOL else ()

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        """Give the options of that expiry."""
        return self._options if (underlying, expiry) == (SYMBOL, SECOND_DAY) else ()

    def future(self, underlying: str, expiry: date) -> Instrument | None:
        """Give none: futures are not traded in a proof."""
        return None

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        """Find an option by the broker's id."""
        return next((each for each in self._options if each.security_id == security_id), None)

    def by_key(self, key: str) -> Instrument | None:
        """Find an option by our key."""
        return next((each for each in self._options if each.key == key), None)


CALENDAR, CONTRACTS, CHARGES = reference.calendar(), reference.contract_table(), reference.charge_table()


def listings() -> Listings:
    """Give the listings with their dated facts."""
    return Listings(FewListings(), CONTRACTS)


def instrument_of(key: str) -> Instrument:
    """Give the instrument of a key."""
    found = INDEX if key == INDEX.key else FewListings().by_key(key)
    if found is None:
        raise LookupError(f"{key} is not listed")
    return found


def session_of(day: date) -> Session:
    """Give the session of a day of the proof."""
    found = CALENDAR.session(Segment.NSE_FNO, day)
    if found is None:
        raise LookupError(f"{day} has no session")
    return found
