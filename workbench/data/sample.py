"""Generated one-minute bars that look like an index and are not: for demo, notebooks, tests and synthetic market.

NOT real data. The walk has regimes (calm, trend, storm), the day's U-shaped volatility, overnight gaps and the tick of
0.05. It uses only uniform draws, sums, products and square roots, which every machine rounds alike, so a seed gives the
same file everywhere.

Invariant: same calendar, segment, range, seed and first price: the same bars to the last digit.
"""

from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.errors import BadInput
from workbench.core.instrument import Segment
from workbench.core.session import IST, Calendar, Session, SessionKind
from workbench.data import frames

SAMPLE_SEED = 7
SAMPLE_FIRST, SAMPLE_LAST = date(2026, 7, 1), date(2026, 9, 25)
SAMPLE_FIRST_PRICE = 25_000.0
SAMPLE_NAME = "NIFTY-1m-sample.csv"

_STEPS = 12  # prices per minute that a bar is made of
_MINUTE_VOLATILITY = 0.00030  # of a calm noon minute; gives about 0.8 % a day
_GAP_VOLATILITY = 0.0035
_TICK = 0.05
# volatility factor, drift a minute in units of volatility, chance to begin
_REGIMES = ((0.75, 0.0, 0.40), (1.0, 0.07, 0.25), (1.0, -0.07, 0.25), (1.9, 0.0, 0.10))
_REGIME_ENDS = 1 / 75  # chance a minute


def generate(
    calendar: Calendar,
    start: date,
    end: date,
    *,
    seed: int = SAMPLE_SEED,
    first_price: float = SAMPLE_FIRST_PRICE,
    segment: Segment = Segment.IDX_I,
) -> pd.DataFrame:
    """Make one-minute bars for every normal session from `start` to `end`, both included.

    Parameters
    ----------
    calendar : Calendar
    start, end : date
    seed : int
    first_price : float
        Rupees before the first gap.
    segment : Segment
        Whose hours the bars follow; volume is 0 as an index has none.

    Returns
    -------
    DataFrame
        A bar frame; prices on a grid of 0.05.

    Raises
    ------
    BadInput
        A range without a session.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    sessions = [session for session in calendar.sessions(segment, start, end) if session.kind is SessionKind.NORMAL]
    if not sessions:
        raise BadInput(f"no normal session of {segment} from {start} to {end}")
    price, days = first_price, []
    for session in sessions:
        day, price = _day(rng, session, segment, price)
        days.append(day)
    return frames.checked(pd.concat(days), "generated bars")


def write_csv(frame: pd.DataFrame, path: Path, symbol: str) -> None:
    """Write bars as the importer reads them: ``symbol,datetime,open,high,low,close,volume``, labelled by start."""
    lines = ["symbol,datetime,open,high,low,close,volume"]
    values = zip(frame.index, *(frame[name].tolist() for name in frames.COLUMNS), strict=True)
    lines += [
        f"{symbol},{moment:%Y-%m-%d %H:%M},{o:.2f},{h:.2f},{low:.2f},{c:.2f},{v:.0f}"
        for moment, o, h, low, c, v in values
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("\n".join(lines) + "\n")


def write_shipped_sample(calendar: Calendar, folder: Path) -> Path:
    """Write the sample that the project ships, ``data/sample/NIFTY-1m-sample.csv``; the same bytes on every machine."""
    path = folder / SAMPLE_NAME
    write_csv(generate(calendar, SAMPLE_FIRST, SAMPLE_LAST), path, "NIFTY")
    return path


def _day(rng: np.random.Generator, session: Session, segment: Segment, previous: float) -> tuple[pd.DataFrame, float]:
    """Make one session: the gap, the regimes, the path of each minute."""
    close = min(session.close, session.spot_end) if segment is Segment.IDX_I and session.spot_end else session.close
    minutes = int((close - session.open).total_seconds() // 60)
    volatility, drift = _regimes(rng, minutes)
    through_day = np.linspace(-1.0, 1.0, minutes)
    volatility = volatility * (0.8 + 0.9 * through_day * through_day) * _MINUTE_VOLATILITY
    gap = previous * (1 + _GAP_VOLATILITY * float(_bell(rng, 1)[0]))
    steps = _bell(rng, minutes * _STEPS).reshape(minutes, _STEPS) * (volatility / np.sqrt(_STEPS))[:, None]
    steps += (drift * volatility / _STEPS)[:, None]
    steps[0, 0] = 0.0
    prices = gap * (1 + np.cumsum(steps.ravel())).reshape(minutes, _STEPS)
    on_tick = np.round(np.rint(prices / _TICK) * _TICK, 2)
    # The next bar opens where the market stands, most often a tick or more from the last close.
    data = {"open": on_tick[:, 0], "high": on_tick.max(axis=1), "low": on_tick.min(axis=1), "close": on_tick[:, -1]}
    index = pd.date_range(session.open, periods=minutes, freq="1min", name="time").tz_convert(IST)
    return pd.DataFrame({**data, "volume": 0.0}, index=index), float(on_tick[-1, -1])


def _regimes(rng: np.random.Generator, minutes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give volatility factor and drift for each minute; a regime lasts 75 minutes on average."""
    changes, choices = rng.random(minutes) < _REGIME_ENDS, rng.random(minutes)
    bounds = np.cumsum([chance for _, _, chance in _REGIMES])
    volatility, drift = np.empty(minutes), np.empty(minutes)
    regime = _REGIMES[0]
    for minute in range(minutes):
        if minute == 0 or changes[minute]:
            regime = _REGIMES[min(int(np.searchsorted(bounds, choices[minute], side="right")), len(_REGIMES) - 1)]
        volatility[minute], drift[minute] = regime[0], regime[1]
    return volatility, drift


def _bell(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Draw from a near-normal: twelve uniforms less six (no logarithm, whose last digit differs between machines)."""
    total = np.zeros(count)
    for _ in range(12):
        total += rng.random(count)
    return total - 6.0
