"""Dhan's rolling options: what the option so many strikes from the money has cost, minute by minute, over past days.

The series is not of one contract: the money moves with the index, and the strike with it; `strike` says which one it
was. Prices come from the model over the past of the index, as everywhere in this market.

Invariant: each candle is of one contract, the one that stood where it was asked for when the candle opened.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from workbench.core.contracts import ExpiryKind
from workbench.core.errors import UnknownFact
from workbench.core.instrument import InstrumentKind, Right, Segment
from workbench.simulator.board import LOTS_A_SECOND
from workbench.simulator.charts import bad_input, bars, moment, read_interval
from workbench.simulator.exchange import Simulator
from workbench.simulator.market import CLOCK_SEGMENT
from workbench.simulator.paths import days_between

MOST_DAYS = 30
_NEAR_STRIKES, _FAR_STRIKES = 10, 3
_COLUMNS = ("open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot")
_STRIKE = re.compile(r"ATM([+-]\d{1,2})?")
_BAD = "Missing required fields, bad values for parameters etc."
_LEAST_INTEREST_LOTS, _MORE_INTEREST_LOTS = 8_000, 60_000

Column = dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    symbol: str
    weekly: bool
    code: int
    steps: int
    right: Right
    columns: frozenset[str]
    first: date
    end: date
    interval: int


def rolling_option(simulator: Simulator, body: dict[str, Any]) -> tuple[int, Any]:
    """Give the answer of `/charts/rollingoption`: status and body."""
    asked = _read(simulator, body)
    if isinstance(asked, str):
        return bad_input(asked)
    columns: Column = {name: [] for name in (*_COLUMNS, "timestamp")}
    last = min(asked.end, simulator.day)
    for day in days_between(asked.first, last):
        # The end is not included, and a day that still trades is not history.
        if day < last and simulator.calendar.knows(CLOCK_SEGMENT, day):
            for row in _candles(simulator, asked, day):
                for name, value in row.items():
                    columns[name].append(value)
    side = {name: values if name in asked.columns else [] for name, values in columns.items()}
    both: dict[str, Column | None] = {"ce": None, "pe": None}
    return 200, {"data": {**both, asked.right.value.lower(): side}}


def _read(simulator: Simulator, body: dict[str, Any]) -> _Asked | str:
    start, end = moment(body.get("fromDate"), end_of_day=False), moment(body.get("toDate"), end_of_day=False)
    listed = simulator.find(Segment.IDX_I.value, body.get("securityId"))
    interval, strike = read_interval(body), _STRIKE.fullmatch(str(body.get("strike")))
    flag, word, code = str(body.get("expiryFlag")), str(body.get("drvOptionType")), body.get("expiryCode")
    columns = body.get("requiredData")
    if start is None or end is None or start > end or listed is None or interval is None or strike is None:
        return _BAD
    if flag not in ("WEEK", "MONTH") or word not in ("CALL", "PUT") or code not in (1, 2, 3):
        return _BAD
    if not isinstance(columns, list) or not columns or not set(columns) <= set(_COLUMNS):
        return _BAD
    if (end - start).days > MOST_DAYS:
        return f"Data for Expired Options can be fetched for {MOST_DAYS} days at a time"
    steps = int(strike.group(1) or 0)
    most = _NEAR_STRIKES if code == 1 else _FAR_STRIKES
    if abs(steps) > most:
        return f"Invalid strike: this expiry has ATM-{most} to ATM+{most}"
    return _Asked(
        symbol=listed.instrument.symbol, weekly=flag == "WEEK", code=int(code), steps=steps,
        right=Right.CE if word == "CALL" else Right.PE, columns=frozenset({*columns, "timestamp"}),
        first=start.date(), end=end.date(), interval=interval,
    )  # fmt: skip


def _candles(simulator: Simulator, asked: _Asked, day: date) -> Iterator[dict[str, float]]:
    """Give the candles of one day."""
    found = _contract(simulator, asked, day)
    if found is None or simulator.calendar.session(CLOCK_SEGMENT, day) is None:
        return
    expiry, lot, step, tick = found
    spot = bars(simulator.market.minutes(asked.symbol, day), asked.interval)
    pricer, end = simulator.pricer(asked.symbol, day), _expires_at(simulator, asked.symbol, expiry).timestamp()
    call = asked.right is Right.CE
    for place, stamp in enumerate(spot.times.tolist()):
        opened = float(spot.open[place])
        strike = float((Decimal(repr(opened)) / step).quantize(Decimal(1)) * step + asked.steps * step)
        corners = (opened, float(spot.high[place]), float(spot.low[place]), float(spot.close[place]))
        prices = [
            round(max(1, round(pricer.premium(asked.right, strike, price, end - stamp) / tick)) * tick, 2)
            for price in corners
        ]
        yield {
            "open": prices[0],
            "high": prices[1] if call else prices[2],
            "low": prices[2] if call else prices[1],
            "close": prices[3],
            "iv": round(pricer.volatility(strike, opened) * 100, 4),
            "volume": float(lot * LOTS_A_SECOND * asked.interval * 60),
            "strike": strike,
            "oi": float(lot * _interest_lots(asked, expiry, strike)),
            "spot": opened,
            "timestamp": float(stamp),
        }


def _contract(simulator: Simulator, asked: _Asked, day: date) -> tuple[date, int, Decimal, float] | None:
    """Give (expiry, lot, strike step, tick) of the asked contract on a day; None where nothing is listed or known."""
    contracts, symbol = simulator.contracts, asked.symbol
    try:
        listed = contracts.listed_expiries(symbol, day)
        if asked.weekly:
            # The last week of a month trades the monthly contract.
            expiries = list(listed) if contracts.has_weekly(symbol, day) else []
        else:
            expiries = [each for each in listed if contracts.expiry_kind(symbol, each) is ExpiryKind.MONTHLY]
        if len(expiries) < asked.code:
            return None
        expiry = expiries[asked.code - 1]
        tick = float(contracts.tick(symbol, InstrumentKind.OPTION, day))
        return expiry, contracts.lot(symbol, expiry, day), contracts.strike_step(symbol, day), tick
    except UnknownFact:
        return None


def _expires_at(simulator: Simulator, symbol: str, expiry: date) -> datetime:
    segment = simulator.contracts.underlying(symbol).derivatives or CLOCK_SEGMENT
    return simulator.listing.expires_at(segment, expiry)


def _interest_lots(asked: _Asked, expiry: date, strike: float) -> int:
    name = f"{asked.symbol} {expiry} {strike:.2f} {asked.right}"
    return _LEAST_INTEREST_LOTS + zlib.crc32(name.encode()) % _MORE_INTEREST_LOTS
