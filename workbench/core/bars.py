"""Bars: intervals, closing by the clock, and the quotes that a bar stands for.

Invariants: a bar is named by its OPEN time and known at its CLOSE; a closed bar never changes; a bar without a trade
is absent.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from workbench.core.errors import BadInput
from workbench.core.money import snap_to_tick

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BARE = {"d": "1d", "1d": "1d"}


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Length of a bar.

    Parameters
    ----------
    seconds : int
        5 to 86,400; a day is the session.
    """

    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read ``30s``, ``5m``, ``1h``, ``1d`` or TradingView's bare minutes (``1``, ``5``, ``60``) and ``D``.

        Raises
        ------
        BadInput
            Not a length of time, shorter than five seconds, or minutes that are not whole.
        """
        lowered = text.strip().lower()
        lowered = _BARE.get(lowered, f"{lowered}m" if lowered.isdigit() else lowered)
        match = re.fullmatch(r"(\d{1,5})([smhd])", lowered)
        if match is None:
            raise BadInput(f"interval {text!r} is not understood; write 30s, 1m, 5m, 1h or 1d")
        seconds = int(match[1]) * _UNITS[match[2]]
        if not 5 <= seconds <= 86400 or (seconds > 60 and seconds % 60):
            raise BadInput(f"interval {text!r} is outside 5s to 1d (above a minute: whole minutes)")
        return cls(seconds)

    @property
    def delta(self) -> timedelta:
        """Length as a time delta."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        for unit in ("d", "h", "m"):
            if self.seconds % _UNITS[unit] == 0:
                return f"{self.seconds // _UNITS[unit]}{unit}"
        return f"{self.seconds}s"

    def opens_at(self, moment: datetime, session_open: datetime) -> datetime:
        """Open time of the bar that holds `moment`, anchored at the session open (hours close at XX:15)."""
        steps = int((moment - session_open).total_seconds() // self.seconds)
        return session_open + timedelta(seconds=steps * self.seconds)


MINUTE = Interval(60)


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar, prices in rupees, named by its open time."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int = 0


@dataclass(frozen=True, slots=True)
class Quote:
    """Best prices and last trade of one instrument at one moment.

    Parameters
    ----------
    key : str
        Instrument key.
    time : datetime
        Exchange time, aware.
    last, bid, ask : Decimal
        Rupees; an index has neither bid nor ask (both equal `last`).
    bid_quantity, ask_quantity : int
        Units at the best prices; 0 = not told.
    volume : int
        Units traded today.
    model : bool
        True where the price comes from the pricing model and not from a market.
    """

    key: str
    time: datetime
    last: Decimal
    bid: Decimal
    ask: Decimal
    bid_quantity: int = 0
    ask_quantity: int = 0
    volume: int = 0
    model: bool = False

    @property
    def spread(self) -> Decimal:
        """Ask less bid, rupees."""
        return self.ask - self.bid


class BarBuilder:
    """Make bars of one interval out of last prices; they are closed by the clock, never by a tick.

    Parameters
    ----------
    interval : Interval
    grace_s : float
        Market seconds after a bar's end in which a tick that belongs to it is still counted in.
    """

    def __init__(self, interval: Interval, grace_s: float = 1.0) -> None:
        self.interval = interval
        self.grace = timedelta(seconds=grace_s)
        self.late_ticks = 0
        self._open: dict[datetime, list[Decimal]] = {}
        self._volume: dict[datetime, int] = {}
        self._closed_through: datetime | None = None
        self._session_open: datetime | None = None
        self._day_volume = 0

    def tick(self, moment: datetime, price: Decimal, day_volume: int, session_open: datetime) -> None:
        """Count one last price in; a tick of a bar that is closed already is counted as late and dropped."""
        start = self.interval.opens_at(moment, session_open)
        if session_open != self._session_open:
            # The day's volume begins anew; of a day that was joined late, the volume before is in no bar of ours.
            self._session_open = session_open
            self._day_volume = 0 if start <= session_open else day_volume
        traded, self._day_volume = max(0, day_volume - self._day_volume), max(day_volume, self._day_volume)
        if self._closed_through is not None and start < self._closed_through:
            self.late_ticks += 1
            return
        prices = self._open.get(start)
        if prices is None:
            self._open[start] = [price, price, price, price]
            self._volume[start] = traded
            return
        prices[1], prices[2], prices[3] = max(prices[1], price), min(prices[2], price), price
        self._volume[start] += traded

    def close_due(self, now: datetime, session_close: datetime | None = None) -> list[Bar]:
        """Close what has ended: bars whose end plus grace is not after `now`, oldest first.

        A bar that would run past `session_close` ends there.
        """
        closed = []
        for start in sorted(self._open):
            end = start + self.interval.delta
            if session_close is not None and start < session_close < end:
                end = session_close
            if end + self.grace > now:
                break
            o, h, low, c = self._open.pop(start)
            closed.append(Bar(start, o, h, low, c, self._volume.pop(start)))
        self._pass(now, session_close)
        return closed

    def _pass(self, now: datetime, session_close: datetime | None) -> None:
        """Note which bars are over, those without a trade too: a tick of theirs is late from now on."""
        if self._session_open is None:
            return
        over = self.interval.opens_at(now - self.grace, self._session_open)
        if session_close is not None and now - self.grace >= session_close > over:
            over = session_close
        self._closed_through = max(self._closed_through or over, over)


def path(  # noqa: PLR0913 - each says one thing about the market that the bar stands for
    bar: Bar,
    *,
    key: str,
    interval: Interval = MINUTE,
    spread: Decimal = Decimal(0),
    adverse: str = "low",
    tick: Decimal = Decimal("0.05"),
    levels: Callable[[], Sequence[Decimal]] = lambda: (),
    model: bool = False,
) -> Iterator[Quote]:
    """Expand a bar into quotes: open, the adverse extreme, the other extreme, close.

    Between two of these points the price is taken to have moved without a gap, so a quote is made at every
    level that is crossed on the way; a gap between two bars stays a gap. The adverse extreme comes first
    (pessimistic: in one bar the stop is met before the target).

    Parameters
    ----------
    bar : Bar
    key : str
        Instrument key of the quotes.
    spread : Decimal
        Rupees between bid and ask, laid around the price.
    adverse : {"low", "high"}
        Which extreme hurts: "low" for a long position, "high" for a short one.
    levels : callable
        Asked before each stretch: prices at which something rests or is watched, rupees.

    Yields
    ------
    Quote
        In time order, within the bar.
    """
    corners = [bar.open, bar.low, bar.high, bar.close] if adverse == "low" else [bar.open, bar.high, bar.low, bar.close]
    points = [snap_to_tick(price, tick) for price in corners]
    half = spread / 2

    def quote(price: Decimal, share: float) -> Quote:
        bid, ask = (
            (price, price) if not spread else (snap_to_tick(price - half, tick), snap_to_tick(price + half, tick))
        )
        moment = bar.time + timedelta(seconds=interval.seconds * share)
        return Quote(key, moment, price, bid, ask, volume=bar.volume, model=model)

    yield quote(points[0], 0.0)
    for stretch, (start, end) in enumerate(pairwise(points)):
        position = start
        while True:
            ahead = _next_level(position, end, levels())
            if ahead is None:
                break
            position = ahead
            share = abs((position - start) / (end - start))
            yield quote(position, (stretch + float(share)) * 0.33)
        if position != end or start == end:
            yield quote(end, (stretch + 1) * 0.33)


def _next_level(position: Decimal, end: Decimal, levels: Sequence[Decimal]) -> Decimal | None:
    """Nearest level strictly beyond `position` and not beyond `end`, in the direction of travel."""
    if end > position:
        ahead = [level for level in levels if position < level <= end]
        return min(ahead) if ahead else None
    ahead = [level for level in levels if end <= level < position]
    return max(ahead) if ahead else None
