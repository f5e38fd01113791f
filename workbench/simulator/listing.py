"""What is listed on a day: indices, futures and options around the money, with the facts of that date.

The broker's ids are made from the contract's own name, so that a contract has one id on every day and in every run.

Invariant: a contract stands here only with a known lot and tick of its date; ids are unique within the day.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from workbench.core.contracts import ContractTable, ExpiryKind, Underlying
from workbench.core.errors import UnknownContract
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import Calendar
from workbench.simulator.paths import midnight

STRIKES_EACH_WAY = 20
_FIRST_ID, _IDS = 100_000, 800_000_000
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One listed instrument and the simulator's facts about it."""

    instrument: Instrument
    series: ExpiryKind | None = None
    expires_at: datetime | None = None

    @property
    def number(self) -> int:
        """The id as the feed's packets carry it; 0 for what has no quote of its own."""
        text = self.instrument.security_id
        return int(text) if text.isdigit() else 0


class Listing:
    """All instruments of one day.

    Parameters
    ----------
    contracts : ContractTable
    calendar : Calendar
    day : date
    spots : mapping of symbol to float
        Price around which strikes are listed (the previous close), rupees.
    """

    def __init__(self, contracts: ContractTable, calendar: Calendar, day: date, spots: Mapping[str, float]) -> None:
        self.day = day
        self._contracts, self._calendar = contracts, calendar
        self._by_id: dict[tuple[str, str], Listed] = {}
        self._by_key: dict[str, Listed] = {}
        self._indices: dict[str, Listed] = {}
        for symbol, spot in spots.items():
            for listed in self._of(contracts.underlying(symbol), spot):
                self._add(listed)

    def __iter__(self) -> Iterator[Listed]:
        return iter(self._by_id.values())

    def find(self, segment: str, security_id: str) -> Listed | None:
        """Give an instrument by segment and the broker's id."""
        return self._by_id.get((segment, security_id))

    def by_key(self, key: str) -> Listed | None:
        """Give an instrument by our key."""
        return self._by_key.get(key)

    def index(self, symbol: str) -> Listed:
        """Give the index of an underlying."""
        return self._indices[symbol]

    def expiries(self, symbol: str) -> list[date]:
        """Give the listed option expiries, ascending."""
        found = {each.instrument.expiry for each in self.options(symbol)}
        return sorted(day for day in found if day is not None)

    def options(self, symbol: str, expiry: date | None = None) -> list[Listed]:
        """Give the options of an underlying, of one expiry or all, by strike then right."""
        return [
            each
            for each in self._by_id.values()
            if each.instrument.kind is InstrumentKind.OPTION
            and each.instrument.symbol == symbol
            and expiry in (None, each.instrument.expiry)
        ]

    def expires_at(self, segment: Segment, expiry: date) -> datetime:
        """Give the moment at which contracts of a segment and day end."""
        session = self._calendar.session(segment, expiry)
        return session.close if session else midnight(expiry).replace(hour=15, minute=30)

    def include(self, listed: Listed) -> None:
        """List a contract that is held though it has wandered out of the strikes of the day."""
        if listed.instrument.key not in self._by_key:
            self._add(listed)

    def _add(self, listed: Listed) -> None:
        instrument = listed.instrument
        if not instrument.security_id:
            number = stable_id(instrument.key)
            while (instrument.segment.value, str(number)) in self._by_id:
                number += 1
            instrument = replace(instrument, security_id=str(number))
            listed = replace(listed, instrument=instrument)
        self._by_id[instrument.segment.value, instrument.security_id] = listed
        self._by_key[instrument.key] = listed
        if instrument.kind is InstrumentKind.INDEX:
            self._indices[instrument.symbol] = listed

    def _of(self, underlying: Underlying, spot: float) -> Iterator[Listed]:
        symbol, segment = underlying.symbol, underlying.derivatives
        tick = self._contracts.tick(symbol, InstrumentKind.INDEX, self.day)
        yield Listed(
            instrument=Instrument(
                segment=Segment.IDX_I, security_id=underlying.index_id, symbol=symbol, kind=InstrumentKind.INDEX,
                tick=tick, display_name=symbol.title(), trading_symbol=symbol,
            )
        )  # fmt: skip
        if segment is None:
            return
        expiries = [each for each in self._contracts.listed_expiries(symbol, self.day) if self._lot(symbol, each)]
        months = [each for each in expiries if self._contracts.expiry_kind(symbol, each) is ExpiryKind.MONTHLY]
        if months:
            yield self._synthetic(symbol, segment, months[0])
        for expiry in months[:3]:
            yield self._future(symbol, segment, expiry)
        step = self._contracts.strike_step(symbol, self.day)
        middle = (Decimal(repr(spot)) / step).quantize(Decimal(1)) * step
        for expiry in expiries:
            for steps in range(-STRIKES_EACH_WAY, STRIKES_EACH_WAY + 1):
                for right in Right:
                    yield self._option(symbol, segment, expiry, middle + steps * step, right)

    def _synthetic(self, symbol: str, segment: Segment, expiry: date) -> Listed:
        """Give the index traded as if it were its near future: it is matched at the index's price."""
        return Listed(
            instrument=Instrument(
                segment=segment, security_id=self._contracts.underlying(symbol).synthetic_id, symbol=symbol,
                kind=InstrumentKind.SYNTHETIC,
                lot=self._lot(symbol, expiry), tick=self._contracts.tick(symbol, InstrumentKind.FUTURE, self.day),
                display_name=f"{symbol} index as future", trading_symbol=f"{symbol}-INDEX",
            )
        )  # fmt: skip

    def _future(self, symbol: str, segment: Segment, expiry: date) -> Listed:
        return Listed(
            instrument=Instrument(
                segment=segment, security_id="", symbol=symbol, kind=InstrumentKind.FUTURE, expiry=expiry,
                lot=self._lot(symbol, expiry), freeze=self._freeze(symbol),
                tick=self._contracts.tick(symbol, InstrumentKind.FUTURE, self.day),
                display_name=f"{symbol} {_MONTHS[expiry.month - 1]} FUT",
                trading_symbol=f"{symbol}-{_month(expiry)}-FUT",
            ),
            series=ExpiryKind.MONTHLY,
            expires_at=self.expires_at(segment, expiry),
        )  # fmt: skip

    def _option(self, symbol: str, segment: Segment, expiry: date, strike: Decimal, right: Right) -> Listed:
        word = "CALL" if right is Right.CE else "PUT"
        shown = f"{strike.normalize():f}"
        return Listed(
            instrument=Instrument(
                segment=segment, security_id="", symbol=symbol, kind=InstrumentKind.OPTION, expiry=expiry,
                strike=strike, right=right, lot=self._lot(symbol, expiry), freeze=self._freeze(symbol),
                tick=self._contracts.tick(symbol, InstrumentKind.OPTION, self.day),
                display_name=f"{symbol} {expiry.day:02d} {_MONTHS[expiry.month - 1]} {shown} {word}",
                trading_symbol=f"{symbol}-{_month(expiry)}-{shown}-{right.value}",
            ),
            series=self._contracts.expiry_kind(symbol, expiry),
            expires_at=self.expires_at(segment, expiry),
        )  # fmt: skip

    def _lot(self, symbol: str, expiry: date) -> int:
        """Give the lot of that expiry on the day, 0 when the tables do not know it (then it is not listed)."""
        try:
            return self._contracts.lot(symbol, expiry, self.day)
        except UnknownContract:
            return 0

    def _freeze(self, symbol: str) -> int | None:
        try:
            return self._contracts.freeze(symbol, self.day)
        except UnknownContract:
            return None


def stable_id(key: str) -> int:
    """Give the number of a contract, the same on every day."""
    return _FIRST_ID + zlib.crc32(key.encode()) % _IDS


def _month(day: date) -> str:
    return f"{_MONTHS[day.month - 1].title()}{day.year}"
