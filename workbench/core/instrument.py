"""What can be traded: instruments, keyed by contract and never by the broker's id.

The broker uses a security id again after a contract has expired, so everything that is kept is keyed by
:attr:`Instrument.key`; the id lives only as long as the day's master.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Segment(StrEnum):
    """Exchange segments, in the broker's spelling (its annexure)."""

    IDX_I = "IDX_I"
    NSE_EQ = "NSE_EQ"
    NSE_FNO = "NSE_FNO"
    BSE_EQ = "BSE_EQ"
    BSE_FNO = "BSE_FNO"


class InstrumentKind(StrEnum):
    """Kinds of instrument; `SYNTHETIC` is the index traded as if it were a future."""

    INDEX = "index"
    EQUITY = "equity"
    FUTURE = "future"
    OPTION = "option"
    SYNTHETIC = "synthetic"


class Right(StrEnum):
    """Option type."""

    CE = "CE"
    PE = "PE"

    @property
    def other(self) -> "Right":
        """The opposite right."""
        return Right.PE if self is Right.CE else Right.CE


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument as listed on one day.

    Parameters
    ----------
    segment : Segment
    security_id : str
        The broker's id; unique within the segment and only until expiry.
    symbol : str
        Underlying for derivatives ("NIFTY"), own symbol for an index or a stock.
    kind : InstrumentKind
    lot : int
        Units in one lot (1 for stocks and indices).
    tick : Decimal
        Rupees.
    expiry, strike, right
        Set for derivatives as they apply.
    freeze : int or None
        Most units the exchange takes in one order; None where there is no limit.
    display_name, trading_symbol : str
        What the broker prints ("NIFTY 16 JUN 15700 CALL").
    """

    segment: Segment
    security_id: str
    symbol: str
    kind: InstrumentKind
    lot: int = 1
    tick: Decimal = Decimal("0.05")
    expiry: date | None = None
    strike: Decimal | None = None
    right: Right | None = None
    freeze: int | None = None
    display_name: str = ""
    trading_symbol: str = ""

    @property
    def key(self) -> str:
        """The name that outlives ids: ``NSE_FNO:NIFTY:2022-06-16:15700:CE``."""
        parts: list[str] = [self.segment.value, self.symbol]
        if self.kind is InstrumentKind.SYNTHETIC:
            parts.append("index_as_future")
        if self.expiry is not None:
            parts.append(self.expiry.isoformat())
        if self.strike is not None and self.right is not None:
            parts += [f"{self.strike.normalize():f}", self.right.value]
        return ":".join(parts)

    @property
    def name(self) -> str:
        """What a person reads."""
        return self.display_name or self.key
