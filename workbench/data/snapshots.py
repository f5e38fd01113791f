"""Snapshots of many instruments: last price, day's range, or the whole quote with its depth.

Dhan takes at most 1,000 instruments a call and one call a second; more are asked in several calls, which the transport
paces. An id that it does not know is left out of the answer without a word.

Invariant: every instrument asked for is either in the prices or among the unknown.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from workbench.core.errors import CorruptData
from workbench.core.instrument import Instrument
from workbench.core.session import IST
from workbench.data.answers import Verdict, read

MOST_PER_CALL = 1000
_PAISA = Decimal("0.01")
_NEVER = 2000  # an instrument that did not trade carries a time of 1980


class Detail(StrEnum):
    """How much is asked."""

    LTP = "ltp"
    OHLC = "ohlc"
    QUOTE = "quote"


class SnapshotSource(Protocol):
    """What is used of the official library."""

    def ticker_data(self, securities: Mapping[str, Sequence[int]]) -> Mapping[str, Any]:
        """Last prices."""
        ...

    def ohlc_data(self, securities: Mapping[str, Sequence[int]]) -> Mapping[str, Any]:
        """Last prices and the day's range."""
        ...

    def quote_data(self, securities: Mapping[str, Sequence[int]]) -> Mapping[str, Any]:
        """All that Dhan tells."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One instrument at one moment; None and 0 are what was not asked, or what there is not.

    Parameters
    ----------
    last, open, high, low, previous_close, bid, ask, lower_circuit, upper_circuit : Decimal or None
        Rupees.
    bid_quantity, ask_quantity, volume, oi : int
        Units.
    traded_at : datetime or None
        Last trade.
    """

    last: Decimal | None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_quantity: int = 0
    ask_quantity: int = 0
    lower_circuit: Decimal | None = None
    upper_circuit: Decimal | None = None
    volume: int = 0
    oi: int = 0
    traded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Prices by instrument key, and the instruments that Dhan left out."""

    prices: Mapping[str, Snapshot]
    unknown: tuple[Instrument, ...]


def read_snapshots(
    api: SnapshotSource,
    instruments: Iterable[Instrument],
    detail: Detail = Detail.LTP,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Snapshots:
    """Ask for snapshots, in as many calls as are needed.

    Raises
    ------
    BrokerUnavailable
        No usable answer, or a refusal.
    CorruptData
        The answer is no table of prices.
    """
    wanted = list({instrument.key: instrument for instrument in instruments}.values())
    ask = {Detail.LTP: api.ticker_data, Detail.OHLC: api.ohlc_data, Detail.QUOTE: api.quote_data}[detail]
    prices: dict[str, Snapshot] = {}
    for start in range(0, len(wanted), MOST_PER_CALL):
        batch = wanted[start : start + MOST_PER_CALL]
        by_segment: dict[str, list[int]] = {}
        for instrument in batch:
            by_segment.setdefault(instrument.segment.value, []).append(int(instrument.security_id))
        reading = read(lambda question=by_segment: ask(question), pause=pause)  # type: ignore[misc]
        what = f"{detail.value} of {len(batch)} instruments"
        if reading.verdict is not Verdict.DATA:
            raise reading.error(what)
        prices.update(_read(batch, reading.document, what))
    return Snapshots(prices=prices, unknown=tuple(one for one in wanted if one.key not in prices))


def _read(batch: Sequence[Instrument], document: Any, what: str) -> dict[str, Snapshot]:
    try:
        segments = document["data"]
        found = {}
        for instrument in batch:
            told = (segments.get(instrument.segment.value) or {}).get(instrument.security_id)
            if told:
                found[instrument.key] = _snapshot(told)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError):
        raise CorruptData(f"{what}: the answer is no table of prices; try again") from None
    return found


def _snapshot(told: Mapping[str, Any]) -> Snapshot:
    day = told.get("ohlc") or {}
    depth = told.get("depth") or {}
    bid, ask = ((depth.get(side) or [{}])[0] for side in ("buy", "sell"))
    return Snapshot(
        last=_price(told["last_price"]),
        open=_price(day.get("open")),
        high=_price(day.get("high")),
        low=_price(day.get("low")),
        previous_close=_price(day.get("close")),
        bid=_price(bid.get("price")),
        ask=_price(ask.get("price")),
        bid_quantity=int(bid.get("quantity") or 0),
        ask_quantity=int(ask.get("quantity") or 0),
        lower_circuit=_price(told.get("lower_circuit_limit")),
        upper_circuit=_price(told.get("upper_circuit_limit")),
        volume=int(told.get("volume") or 0),
        oi=int(told.get("oi") or 0),
        traded_at=_moment(told.get("last_trade_time")),
    )


def _price(value: Any) -> Decimal | None:
    number = 0.0 if value is None else float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no price")
    return Decimal(repr(number)).quantize(_PAISA) if number > 0 else None


def _moment(text: Any) -> datetime | None:
    if not text:
        return None
    moment = datetime.strptime(str(text), "%d/%m/%Y %H:%M:%S").replace(tzinfo=IST)
    return moment if moment.year >= _NEVER else None
