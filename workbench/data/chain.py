"""The option chain and the list of expiries, as typed values.

Dhan takes one unique question in three seconds here; the transport keeps that. Prices arrive as 32-bit floats and are
rounded to the paisa.

Invariants: a side that Dhan leaves out is None, never zeros; a price of zero is no price; a chain that does not read is
refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from workbench.core.errors import BadInput, CorruptData
from workbench.core.instrument import Instrument, Right
from workbench.data.answers import Verdict, read

_PAISA = Decimal("0.01")
_BAD_EXPIRY = "811"


class ChainSource(Protocol):
    """What is used of the official library."""

    def option_chain(self, under_security_id: int, under_exchange_segment: str, expiry: str) -> Mapping[str, Any]:
        """One expiry's chain in the library's envelope."""
        ...

    def expiry_list(self, under_security_id: int, under_exchange_segment: str) -> Mapping[str, Any]:
        """Expiries in the library's envelope."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSide:
    """One option of a chain.

    Parameters
    ----------
    security_id : str
        Empty where Dhan does not tell it (it did not before 2026).
    last, bid, ask, previous_close : Decimal or None
        Rupees; None where there is none.
    bid_quantity, ask_quantity, volume, oi, previous_oi : int
        Units.
    iv_pct : float
        Implied volatility in percent; 0 where Dhan gives none.
    delta, theta, gamma, vega : float
        Dhan's own.
    """

    security_id: str
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    previous_close: Decimal | None
    bid_quantity: int
    ask_quantity: int
    volume: int
    oi: int
    previous_oi: int
    iv_pct: float
    delta: float
    theta: float
    gamma: float
    vega: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRow:
    """A strike; a side that is not listed, or of which nothing is told, is None."""

    strike: Decimal
    ce: ChainSide | None
    pe: ChainSide | None

    def side(self, right: Right) -> ChainSide | None:
        """Give the call or the put."""
        return self.ce if right is Right.CE else self.pe


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionChain:
    """All strikes of an expiry, ascending, at one moment; `spot` is the underlying's last price."""

    underlying: str
    expiry: date
    spot: Decimal
    rows: tuple[ChainRow, ...]

    def row(self, strike: Decimal) -> ChainRow | None:
        """Give a strike's row."""
        return next((row for row in self.rows if row.strike == strike), None)

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able; money as text."""
        return {
            "underlying": self.underlying,
            "expiry": self.expiry.isoformat(),
            "spot": str(self.spot),
            "rows": [
                {"strike": str(row.strike), "ce": _told(row.ce), "pe": _told(row.pe)} for row in self.rows
            ],
        }  # fmt: skip


def read_expiries(
    api: ChainSource, underlying: Instrument, *, pause: Callable[[float], None] = time.sleep
) -> tuple[date, ...]:
    """Give the expiries that are listed, ascending.

    Raises
    ------
    BrokerUnavailable
        No usable answer, or a refusal.
    CorruptData
        The answer is no list of dates.
    """
    what = f"expiries of {underlying.symbol}"
    reading = read(lambda: api.expiry_list(_number(underlying), underlying.segment.value), pause=pause)
    if reading.verdict is not Verdict.DATA:
        raise reading.error(what)
    listed = reading.document.get("data") if isinstance(reading.document, dict) else None
    try:
        return tuple(sorted({date.fromisoformat(text) for text in listed or ()}))
    except (TypeError, ValueError):
        raise CorruptData(f"{what}: the answer is no list of dates; try again") from None


def read_chain(
    api: ChainSource, underlying: Instrument, expiry: date, *, pause: Callable[[float], None] = time.sleep
) -> OptionChain:
    """Give the chain of one expiry.

    Parameters
    ----------
    underlying : Instrument
        The index or stock itself: Dhan wants its id, not that of the derivatives' underlying.

    Raises
    ------
    BadInput
        Dhan knows no such expiry.
    BrokerUnavailable
        No usable answer, or a refusal.
    CorruptData
        The answer is no chain.
    """
    what = f"option chain of {underlying.symbol} {expiry}"
    reading = read(
        lambda: api.option_chain(_number(underlying), underlying.segment.value, expiry.isoformat()), pause=pause
    )
    if reading.code == _BAD_EXPIRY:
        raise BadInput(f"{what}: Dhan lists no such expiry; see: workbench data chain {underlying.symbol} --expiries")
    if reading.verdict is not Verdict.DATA:
        raise reading.error(what)
    try:
        body = reading.document["data"]
        strikes: Mapping[str, Any] = body["oc"]
        rows = [
            ChainRow(strike=_plain(Decimal(text)), ce=_side(both.get("ce")), pe=_side(both.get("pe")))
            for text, both in strikes.items()
        ]
        spot = _price(body["last_price"])
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError):
        raise CorruptData(f"{what}: the answer is no option chain; try again") from None
    if spot is None:
        raise CorruptData(f"{what}: without a price of the underlying; try again")
    rows.sort(key=lambda row: row.strike)
    return OptionChain(underlying=underlying.symbol, expiry=expiry, spot=spot, rows=tuple(rows))


def _side(told: Any) -> ChainSide | None:
    if not told:
        return None
    greeks = told.get("greeks") or {}
    return ChainSide(
        security_id=str(told.get("security_id") or ""),
        last=_price(told["last_price"]),
        bid=_price(told.get("top_bid_price")),
        ask=_price(told.get("top_ask_price")),
        previous_close=_price(told.get("previous_close_price")),
        bid_quantity=_count(told.get("top_bid_quantity")),
        ask_quantity=_count(told.get("top_ask_quantity")),
        volume=_count(told.get("volume")),
        oi=_count(told.get("oi")),
        previous_oi=_count(told.get("previous_oi")),
        iv_pct=_float(told.get("implied_volatility")),
        delta=_float(greeks.get("delta")),
        theta=_float(greeks.get("theta")),
        gamma=_float(greeks.get("gamma")),
        vega=_float(greeks.get("vega")),
    )


def _told(side: ChainSide | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(side).items()}


def _price(value: Any) -> Decimal | None:
    number = _float(value)
    return Decimal(repr(number)).quantize(_PAISA) if number > 0 else None


def _float(value: Any) -> float:
    number = 0.0 if value is None else float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _count(value: Any) -> int:
    return int(_float(value))


def _plain(strike: Decimal) -> Decimal:
    return Decimal(int(strike)) if strike == int(strike) else strike.normalize()


def _number(underlying: Instrument) -> int:
    return int(underlying.security_id)
