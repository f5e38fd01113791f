"""What was listed on a day of history: indices, options around the money, by the dated tables.

Invariant: a contract stands here only with its lot and tick of that date; ids are of the replay alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from workbench.core.contracts import ContractTable
from workbench.core.errors import UnknownContract, UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment

STRIKES_EACH_WAY = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """An `InstrumentSource` of one underlying on one day.

    Parameters
    ----------
    contracts : ContractTable
    symbol : str
    day : date
    spot : Decimal
        Price around which strikes are listed, usually the previous close, rupees.
    """

    contracts: ContractTable
    symbol: str
    day: date
    spot: Decimal
    _expiries: list[date] = field(default_factory=list, compare=False, repr=False)
    _options: dict[date, tuple[Instrument, ...]] = field(default_factory=dict, compare=False, repr=False)

    def index(self, underlying: str) -> Instrument:
        """Give the index itself."""
        if underlying != self.symbol:
            raise UnknownName("underlying", underlying, [self.symbol])
        known = self.contracts.underlying(underlying)
        tick = self.contracts.tick(underlying, InstrumentKind.INDEX, self.day)
        return Instrument(
            segment=Segment.IDX_I,
            security_id=known.index_id,
            symbol=underlying,
            kind=InstrumentKind.INDEX,
            tick=tick,
            display_name=underlying,
        )

    def expiries(self, underlying: str) -> Sequence[date]:
        """Expiries with a known lot on that day, ascending."""
        if not self._expiries:
            listed = self.contracts.listed_expiries(underlying, self.day)
            self._expiries.extend(day for day in listed if self._lot(day))
        return self._expiries

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        """Options of one expiry, twenty strikes to either side of the money, by strike then right."""
        if underlying != self.symbol or expiry not in self.expiries(underlying):
            return ()
        if expiry not in self._options:
            self._options[expiry] = tuple(self._chain(expiry))
        return self._options[expiry]

    def future(self, underlying: str, expiry: date) -> Instrument | None:  # noqa: ARG002 - the port asks so
        """Futures have no bars of their own here: none is listed."""
        return None

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        """Ids of a replay are our own keys."""
        return self.by_key(security_id) if segment is not Segment.IDX_I else self.index(self.symbol)

    def by_key(self, key: str) -> Instrument | None:
        """Instrument by our key."""
        listed = (option for expiry in self.expiries(self.symbol) for option in self.options(self.symbol, expiry))
        return next((option for option in listed if option.key == key), None)

    def _chain(self, expiry: date) -> list[Instrument]:
        step = self.contracts.strike_step(self.symbol, self.day)
        middle = (self.spot / step).quantize(Decimal(1)) * step
        segment = self.contracts.underlying(self.symbol).derivatives or Segment.NSE_FNO
        tick = self.contracts.tick(self.symbol, InstrumentKind.OPTION, self.day)
        lot, freeze = self._lot(expiry), self._freeze()
        chain = []
        for steps in range(-STRIKES_EACH_WAY, STRIKES_EACH_WAY + 1):
            for right in Right:
                strike = middle + steps * step
                word = "CALL" if right is Right.CE else "PUT"
                option = Instrument(
                    segment=segment,
                    security_id=f"{self.symbol}-{expiry:%Y%m%d}-{strike.normalize():f}-{right.value}",
                    symbol=self.symbol,
                    kind=InstrumentKind.OPTION,
                    lot=lot,
                    tick=tick,
                    expiry=expiry,
                    strike=strike,
                    right=right,
                    freeze=freeze,
                    display_name=f"{self.symbol} {expiry:%d %b} {strike.normalize():f} {word}".upper(),
                )
                chain.append(option)
        return chain

    def _lot(self, expiry: date) -> int:
        try:
            return self.contracts.lot(self.symbol, expiry, self.day)
        except UnknownContract:
            return 0

    def _freeze(self) -> int | None:
        try:
            return self.contracts.freeze(self.symbol, self.day)
        except UnknownContract:
            return None
