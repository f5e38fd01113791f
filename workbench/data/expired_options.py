"""Expired options: Dhan's rolling series taken apart and put together again, one series a contract.

Dhan keeps no expired contract by itself. It gives "the call two strikes above the money of the near week", and the
money moves with the index: from minute to minute the series is of another contract, which its `strike` array names.
Here the series of ATM-10 to ATM+10 are read together, and each row goes to the contract it is of.

A contract that drifts further than that from the money disappears from the series: its silence is absence of data, not
of a price, so the report counts the minutes in which a contract is missing although its neighbours trade.

Invariants: rows of one contract and minute that disagree are listed and none of them is stored; what is stored is keyed
by contract (underlying, expiry, strike, right), since ids are used again after expiry.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd

from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.session import Calendar
from workbench.data.answers import Reading, Verdict, read
from workbench.data.candles import columns_of, in_session, instrument_word, stamped, usable_rows
from workbench.data.frames import COLUMNS, empty

WINDOW_DAYS = 29
"""The documents allow 30 days and say that the last is not included; it was seen included, so one less fits both."""

MOST_STEPS = 10
NEAR = 1
"""`expiryCode` of the near expiry on this endpoint; zero is refused there, unlike what the annexure says."""

_ASKED = ("open", "high", "low", "close", "volume", "strike", "spot")
_SHOWN = 20


class RollingSource(Protocol):
    """What is used of the official library."""

    def expired_options_data(  # noqa: PLR0913, PLR0917 - the library's own signature
        self,
        security_id: str,
        exchange_segment: str,
        instrument_type: str,
        expiry_flag: str,
        expiry_code: int,
        strike: str,
        drv_option_type: str,
        required_data: list[str],
        from_date: str,
        to_date: str,
        interval: int = 1,
    ) -> Mapping[str, Any]:
        """One rolling series in the library's envelope."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The options of one expiry that has passed.

    Parameters
    ----------
    underlying : Instrument
        The index or stock itself.
    segment : Segment
        Where its options trade.
    expiry : date
    weekly : bool
        Of the weekly series; a monthly expiry is asked of the monthly one.
    first, last : date
        Days on which this expiry was the nearest of its series: only on them the series' near contract is this one.
    """

    underlying: Instrument
    segment: Segment
    expiry: date
    weekly: bool
    first: date
    last: date

    def contract(self, strike: Decimal, right: Right) -> Instrument:
        """Name a contract; it has no id any more."""
        return Instrument(
            segment=self.segment,
            security_id="",
            symbol=self.underlying.symbol,
            kind=InstrumentKind.OPTION,
            expiry=self.expiry,
            strike=strike,
            right=right,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """A window of one rolling series: `frame` has open to volume, strike and spot by time; rows are not checked."""

    frame: pd.DataFrame
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Two rows of one contract and minute that differ."""

    strike: Decimal
    time: datetime
    rows: tuple[tuple[float, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {"strike": str(self.strike), "time": self.time.isoformat(), "rows": [list(row) for row in self.rows]}


@dataclass(slots=True, kw_only=True)
class Stitched:
    """Series by strike, and what could not be used."""

    series: dict[Decimal, pd.DataFrame] = field(default_factory=dict)
    spot: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64"))
    disagreements: list[Disagreement] = field(default_factory=list)
    unusable: int = 0

    def absent(self, strike: Decimal) -> int:
        """Minutes in which others trade and this strike has no row."""
        return len(self.spot) - len(self.series[strike])


def step_name(step: int) -> str:
    """Give Dhan's word for a distance from the money: ATM, ATM+2, ATM-3."""
    return f"ATM{step:+d}" if step else "ATM"


class RollingReader:
    """Asks for windows of rolling series.

    Parameters
    ----------
    api : RollingSource
        The library on a transport with the `data` endpoint.
    calendar : Calendar
    pause : callable
        Waits between two tries.
    """

    def __init__(self, api: RollingSource, calendar: Calendar, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._api, self._calendar, self._pause = api, calendar, pause

    def window(self, expired: Expired, right: Right, step: int, span: tuple[date, date]) -> Rolling:
        """Give the rows of one series on the days of `span`, both included.

        Raises
        ------
        CorruptData
            The answer is no such table.
        """
        first, last = span
        word = "OPTIDX" if instrument_word(expired.underlying) == "INDEX" else "OPTSTK"
        reading = read(
            lambda: self._api.expired_options_data(
                security_id=expired.underlying.security_id,
                exchange_segment=expired.segment.value,
                instrument_type=word,
                expiry_flag="WEEK" if expired.weekly else "MONTH",
                expiry_code=NEAR,
                strike=step_name(step),
                drv_option_type="CALL" if right is Right.CE else "PUT",
                required_data=list(_ASKED),
                from_date=first.isoformat(),
                to_date=(last + timedelta(days=1)).isoformat(),
                interval=1,
            ),
            pause=self._pause,
        )
        nothing = empty().assign(strike=np.empty(0), spot=np.empty(0))
        if reading.verdict is not Verdict.DATA:
            return Rolling(frame=nothing, reading=reading)
        what = f"{expired.underlying.symbol} {expired.expiry} {step_name(step)} {right}"
        side = _side(reading.document, right)
        if side is None:
            return Rolling(frame=nothing, reading=reading)
        frame = stamped(columns_of(side, what, (*COLUMNS, "strike", "spot")), what)
        # The series goes on with the next expiry the day after: those rows are of other contracts.
        days = np.array([first <= moment.date() <= last for moment in frame.index], dtype=bool)
        frame = frame[days]
        return Rolling(
            frame=frame[in_session(pd.DatetimeIndex(frame.index), self._calendar, expired.segment)], reading=reading
        )


def stitch(frames: Iterable[pd.DataFrame]) -> Stitched:
    """Put the rows of several rolling series together, contract by contract.

    Parameters
    ----------
    frames : iterable of DataFrame
        Of one right, as `Rolling.frame`.

    Returns
    -------
    Stitched
        Bar frames by strike. Rows that are equal count once; rows that disagree are listed, and their minute is left
        out of that contract.
    """
    parts = [frame for frame in frames if len(frame)]
    if not parts:
        return Stitched()
    rows = pd.concat(parts)
    good = usable_rows(rows) & np.isfinite(rows["strike"].to_numpy()) & (rows["strike"].to_numpy() > 0)
    result = Stitched(unusable=int((~good).sum()))
    rows = rows[good]
    spot = rows["spot"]
    result.spot = spot[~spot.index.duplicated(keep="first")].sort_index()
    for strike, part in rows.groupby("strike", sort=True):
        ordered = part[list(COLUMNS)].sort_index(kind="stable")
        single = ordered[~ordered.reset_index().duplicated().to_numpy()]
        several = single.index.duplicated(keep=False)
        name = _strike(cast(float, strike))
        for moment, rivals in single[several].groupby(level=0):
            told = tuple(tuple(float(value) for value in row) for row in rivals.to_numpy())
            result.disagreements.append(
                Disagreement(strike=name, time=pd.Timestamp(str(moment)).to_pydatetime(), rows=told)
            )
        kept = single[~several]
        if len(kept):
            result.series[name] = kept
    return result


def settles_at_intrinsic(stitched: Stitched, expired: Expired, right: Right) -> bool | None:
    """Say whether the contracts near the money end at their intrinsic value, as on an expiry day they must.

    A series that is another expiry's ends with time value left. None where the last day has too little to judge.
    """
    gaps = []
    for strike, frame in stitched.series.items():
        last = frame.index[-1]
        if last.date() != expired.expiry or last not in stitched.spot.index:
            continue
        spot = float(stitched.spot.loc[last])
        distance = spot - float(strike) if right is Right.CE else float(strike) - spot
        if abs(distance) <= 0.01 * spot:
            gaps.append((float(frame["close"].iloc[-1]) - max(0.0, distance)) / spot)
    return sorted(gaps)[len(gaps) // 2] <= 0.0025 if len(gaps) >= 3 else None


def shown(disagreements: Sequence[Disagreement]) -> list[dict[str, Any]]:
    """Give the first of them JSON-able."""
    return [each.to_dict() for each in disagreements[:_SHOWN]]


def _side(document: Any, right: Right) -> Any:
    """Give the series out of the doubled envelope; None where Dhan has nothing for that side."""
    body = document.get("data") if isinstance(document, dict) else None
    return body.get(right.value.lower()) if isinstance(body, dict) else document


def _strike(value: float) -> Decimal:
    paise = round(value * 100)
    return Decimal(paise // 100) if paise % 100 == 0 and math.isfinite(value) else Decimal(paise) / 100
