"""The words of leaving: distances, trail, lock, what is watched on the underlying, scale-outs. Data with small rules.

Each rule is a frozen class of its own that combines with all others; `Exits` holds one plan's choice of them. What a
rule says about a position (with its side, its fills, its tick) stands in `workbench.core.exits`.

Invariant: a distance in average true ranges is turned into points before anything is planned (`Exits.resolved`), so
that nothing behind the plan needs to know that average.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from workbench.core.errors import BadInput, UnknownName
from workbench.core.money import ZERO

ATR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """A distance from a price: exactly one of points (rupees), percent, or `atr` average true ranges of the underlying.

    `atr_length` is the number of bars of that average; it counts only beside `atr`.
    """

    points: Decimal | None = None
    percent: Decimal | None = None
    atr: Decimal | None = None
    atr_length: int = 14

    def __post_init__(self) -> None:
        given = [value for value in (self.points, self.percent, self.atr) if value is not None]
        if len(given) != 1 or given[0] <= 0 or not 1 <= self.atr_length <= 500:
            raise BadInput("a distance is points, percent or atr, one of them, above zero; write 15 or '10%'")

    def rupees(self, price: Decimal) -> Decimal:
        """Distance in rupees at that price.

        Raises
        ------
        BadInput
            It is given in average true ranges and was not resolved.
        """
        if self.atr is not None:
            raise BadInput(f"a distance of {self.atr} average true ranges has no rupees before the average is known")
        if self.percent is not None:
            return price * self.percent / 100
        return self.points or ZERO

    def resolved(self, atr: Decimal) -> "Distance":
        """Give the same distance in points, once the average true range (rupees) is known."""
        if self.atr is None:
            return self
        return Distance(points=max(ATR_PLACES, (self.atr * atr).quantize(ATR_PLACES)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Trailing stop: `distance` behind the best price, once the profit has reached `after`.

    `step` is the least by which the stop moves: a broker takes 25 modifications of one order.
    """

    distance: Distance
    after: Distance | None = None
    step: Distance | None = None

    def stop(self, entry: Decimal, peak: Decimal, sign: int) -> Decimal | None:
        """Level that the trail asks for at that peak, None before it is armed."""
        if self.after is not None and sign * (peak - entry) < self.after.rupees(entry):
            return None
        return peak - sign * self.distance.rupees(entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Profit lock: once the gain has reached `after`, `keep` percent of the best gain are not given back."""

    after: Distance
    keep: Decimal

    def stop(self, entry: Decimal, peak: Decimal, sign: int) -> Decimal | None:
        """Level that keeps its share of the best gain, None before it is armed."""
        gain = sign * (peak - entry)
        if gain < self.after.rupees(entry):
            return None
        return entry + sign * gain * self.keep / 100


class Look(StrEnum):
    """When a level of the underlying counts: as soon as it trades there, or when an hourly bar closes there."""

    TOUCH = "touch"
    HOURLY_CLOSE = "hourly_close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """Levels on the price of the underlying, counted from its price at the entry, in the direction of the view.

    Parameters
    ----------
    stop, target : Distance or None
        Looked at on every price.
    trail : Trail or None
        Moves the stop at the ends of minutes.
    hourly_close : Distance or None
        Leave when an hourly bar (it ends at XX:15) closes that far against the entry.
    strike : Look or None
        Leave when the underlying is beyond the strike of the option, against the view.
    """

    stop: Distance | None = None
    target: Distance | None = None
    trail: Trail | None = None
    hourly_close: Distance | None = None
    strike: Look | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleOut:
    """A part that leaves at a target of its own: whole lots, or a share (percent) of the position, at `at`."""

    at: Distance
    lots: int | None = None
    share: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """How a position is left besides the strategy's own exit.

    Stop, target, trail, lock and scale-outs are on the traded price (the premium of an option); `underlying` is watched
    by the engine and always has a stop on the traded price at the broker beside it.
    """

    stop: Distance | None = None
    target: Distance | None = None
    trail: Trail | None = None
    time: dt.time | None = None
    lock: Lock | None = None
    underlying: Underlying | None = None
    scale_out: tuple[ScaleOut, ...] = ()

    @property
    def atr_lengths(self) -> frozenset[int]:
        """Lengths of the average true ranges that some distance asks for."""
        return frozenset(each.atr_length for each in self._distances() if each.atr is not None)

    @property
    def premium_distances(self) -> tuple[Distance, ...]:
        """Distances on the traded price."""
        return _distances_of(replace(self, underlying=None))

    def resolved(self, atr: Decimal) -> "Exits":
        """Give the same exits with every average true range (rupees) turned into points."""
        resolved: Exits = _resolved(self, atr)
        return resolved

    def _distances(self) -> tuple[Distance, ...]:
        return _distances_of(self)


def _distances_of(value: Any) -> tuple[Distance, ...]:
    if isinstance(value, Distance):
        return (value,)
    if isinstance(value, tuple):
        return tuple(found for item in value for found in _distances_of(item))
    if isinstance(value, Exits | Trail | Lock | Underlying | ScaleOut):
        return tuple(found for item in fields(value) for found in _distances_of(getattr(value, item.name)))
    return ()


def _resolved(value: Any, atr: Decimal) -> Any:
    if isinstance(value, Distance):
        return value.resolved(atr)
    if isinstance(value, tuple):
        return tuple(_resolved(item, atr) for item in value)
    if isinstance(value, Exits | Trail | Lock | Underlying | ScaleOut):
        return replace(value, **{item.name: _resolved(getattr(value, item.name), atr) for item in fields(value)})
    return value


# --- reading and writing ------------------------------------------------------------------------------------------


def read_decimal(value: Any, key: str) -> Decimal | None:
    """Read a number above zero; None stays None."""
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise BadInput(f"plan key {key!r}: {value!r} is not a number") from None
    if isinstance(value, bool) or not number.is_finite() or number <= 0:
        raise BadInput(f"plan key {key!r}: {value!r} must be a number above zero")
    return number


def read_time(value: Any, key: str) -> dt.time | None:
    """Read a market time of day."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 86400:
        # YAML 1.1 reads an unquoted 15:10 as the base-60 number 910 (minutes) and 15:10:00 as 54600 (seconds).
        seconds = value * 60 if value < 1440 else value
        return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    try:
        clock = value if isinstance(value, dt.time) else dt.time.fromisoformat(str(value))
    except ValueError:
        clock = None
    if clock is None or clock.tzinfo is not None:
        raise BadInput(f"plan key {key!r}: {value!r} is not a market time of day; write '15:10'")
    return clock


def exits_from_mapping(value: Any, key: str = "exits") -> Exits:
    """Read exits from parsed YAML or JSON.

    Raises
    ------
    BadInput
        An unknown key (with "did you mean") or a value that is not understood.
    """
    if isinstance(value, Exits):
        return value
    body = _table(value, key, Exits, "exit")
    return Exits(
        stop=read_distance(body.get("stop"), f"{key}.stop"),
        target=read_distance(body.get("target"), f"{key}.target"),
        trail=_trail(body.get("trail"), f"{key}.trail"),
        time=read_time(body.get("time"), f"{key}.time"),
        lock=read_lock(body.get("lock"), f"{key}.lock"),
        underlying=_underlying(body.get("underlying"), f"{key}.underlying"),
        scale_out=tuple(
            _scale_out(item, f"{key}.scale_out.{number}") for number, item in enumerate(body.get("scale_out") or (), 1)
        ),
    )


def exits_to_mapping(exits: Exits) -> dict[str, Any]:
    """Give the plain form of exits; `exits_from_mapping` reads it back."""
    body = _plain(exits)
    return body if isinstance(body, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Distance):
        if value.atr is not None:
            return {"atr": {"length": value.atr_length, "factor": str(value.atr)}}
        return f"{value.percent}%" if value.percent is not None else str(value.points)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.time):
        return value.strftime("%H:%M:%S")
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Decimal):
        return f"{value}%"
    if isinstance(value, Exits | Trail | Lock | Underlying | ScaleOut):
        parts = {item.name: getattr(value, item.name) for item in fields(value)}
        return {name: _plain(part) for name, part in parts.items() if part is not None and part != ()}
    return value


def _table(value: Any, key: str, kind: type, word: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(f"plan key {key!r}: expected a table, got {value!r}")
    known = [item.name for item in fields(kind)]
    for name in value:
        if name not in known:
            raise UnknownName(word, str(name), known)
    return value


def read_distance(value: Any, key: str) -> Distance | None:
    """Read points, a percentage or average true ranges; None stays None."""
    if value is None or isinstance(value, Distance):
        return value
    if isinstance(value, Mapping):
        return _atr(value, key)
    text = str(value).strip()
    if text.endswith("%"):
        return Distance(percent=read_decimal(text[:-1], key))
    return Distance(points=read_decimal(value, key))


def _atr(value: Mapping[str, Any], key: str) -> Distance:
    body = value.get("atr")
    if set(value) != {"atr"} or not isinstance(body, Mapping) or not set(body) <= {"length", "factor"}:
        raise BadInput(f"plan key {key!r}: {dict(value)!r} is no distance; write {{atr: {{length: 14, factor: 1.5}}}}")
    length = body.get("length", 14)
    if not isinstance(length, int) or isinstance(length, bool):
        raise BadInput(f"plan key {key!r}: the length of an average is a whole number of bars, not {length!r}")
    return Distance(atr=read_decimal(body.get("factor", 1), key), atr_length=length)


def _needed(value: Any, key: str) -> Distance:
    found = read_distance(value, key)
    if found is None:
        raise BadInput(f"plan key {key!r}: a distance is needed")
    return found


def read_percent(value: Any, key: str) -> Decimal | None:
    """Read a number above zero, with or without its sign of percent; None stays None."""
    return read_decimal(str(value).strip().removesuffix("%"), key) if value is not None else None


def _trail(value: Any, key: str) -> Trail | None:
    if value is None or isinstance(value, Trail):
        return value
    if not isinstance(value, Mapping) or "atr" in value:
        value = {"distance": value}
    body = _table(value, key, Trail, "trail key")
    return Trail(
        distance=_needed(body.get("distance"), f"{key}.distance"),
        after=read_distance(body.get("after"), f"{key}.after"),
        step=read_distance(body.get("step"), f"{key}.step"),
    )


def read_lock(value: Any, key: str) -> Lock | None:
    """Read a profit lock; None stays None."""
    if value is None or isinstance(value, Lock):
        return value
    body = _table(value, key, Lock, "lock key")
    keep = read_percent(body.get("keep", 50), f"{key}.keep")
    return Lock(after=_needed(body.get("after", "2%"), f"{key}.after"), keep=keep or ZERO)


def _underlying(value: Any, key: str) -> Underlying | None:
    if value is None or isinstance(value, Underlying):
        return value
    body = _table(value, key, Underlying, "underlying exit")
    look = body.get("strike")
    if look is not None and look not in list(Look):
        raise UnknownName(f"value of plan key '{key}.strike'", str(look), [item.value for item in Look])
    return Underlying(
        stop=read_distance(body.get("stop"), f"{key}.stop"),
        target=read_distance(body.get("target"), f"{key}.target"),
        trail=_trail(body.get("trail"), f"{key}.trail"),
        hourly_close=read_distance(body.get("hourly_close"), f"{key}.hourly_close"),
        strike=None if look is None else Look(look),
    )


def _scale_out(value: Any, key: str) -> ScaleOut:
    if isinstance(value, ScaleOut):
        return value
    body = _table(value, key, ScaleOut, "scale-out key")
    lots = body.get("lots")
    if lots is not None and (not isinstance(lots, int) or isinstance(lots, bool)):
        raise BadInput(f"plan key {key + '.lots'!r}: expected whole lots, got {lots!r}")
    return ScaleOut(
        at=_needed(body.get("at"), f"{key}.at"), lots=lots, share=read_percent(body.get("share"), f"{key}.share")
    )
