"""What a signal becomes: contract, size, exits, windows. A plan is data, read from YAML or given by name.

Invariant: a plan that cannot be carried out is refused when it is read, not when it trades.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from workbench.core.errors import BadInput, UnknownName
from workbench.core.money import ZERO
from workbench.core.order import Product
from workbench.core.signal import Side


class Contract(StrEnum):
    """What is traded."""

    OPTION = "option"
    FUTURE = "future"
    UNDERLYING = "underlying"
    INDEX_AS_FUTURE = "index_as_future"


class ExpiryRule(StrEnum):
    """Which expiry."""

    NEAREST = "nearest"
    NEXT = "next"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    NEXT_MONTHLY = "next_monthly"


class OnOpposite(StrEnum):
    """What an opposite signal does to an open position."""

    REVERSE = "reverse"
    EXIT = "exit"
    IGNORE = "ignore"


class Overnight(StrEnum):
    """What happens at the end of the day."""

    SQUARE_OFF = "square_off"
    KEEP_WINNERS = "keep_winners"
    KEEP = "keep"


class AlertTime(StrEnum):
    """What an alert's timestamp means: when it fired, or the open of its bar."""

    FIRED = "fired"
    BAR_OPEN = "bar_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """A distance from the entry price: exactly one of points (rupees) or percent."""

    points: Decimal | None = None
    percent: Decimal | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.points, self.percent) if value is not None]
        if len(given) != 1 or given[0] <= 0:
            raise BadInput("a distance is either points or percent, above zero; write 15 or '10%'")

    def rupees(self, price: Decimal) -> Decimal:
        """Distance in rupees at that entry price."""
        if self.percent is not None:
            return price * self.percent / 100
        return self.points or ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Trailing stop: `distance` behind the best price, once the profit has reached `after` (rupees of price)."""

    distance: Distance
    after: Distance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """How a position is left besides the strategy's own exit; all are on the traded price (the premium)."""

    stop: Distance | None = None
    target: Distance | None = None
    trail: Trail | None = None
    time: dt.time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A trading plan.

    Parameters
    ----------
    name : str
    contract : Contract
    side : Side
        BUY: bullish buys CE, bearish buys PE.
    strike : str
        ``ATM``, ``ITM1``.., ``OTM1``.. (OTM is away from the money for calls and puts alike).
    lots : int or None
        Fixed lots; None where `risk_share_pct` of the capital sets them.
    no_entry_before, no_entry_after : time or None
        Market time of day; entries outside are refused.
    reentry : bool
        Whether a position may follow one that was stopped in the same session.
    max_spread_pct : Decimal
        Widest spread of the contract at entry, percent of its price.
    max_premium, min_premium : Decimal or None
        Rupees.
    """

    name: str = "plan"
    contract: Contract = Contract.OPTION
    side: Side = Side.BUY
    expiry: ExpiryRule = ExpiryRule.NEAREST
    roll_on_expiry_at: dt.time | None = None
    strike: str = "ATM"
    lots: int | None = 1
    risk_share_pct: Decimal | None = None
    exits: Exits = field(default_factory=Exits)
    product: Product = Product.INTRADAY
    on_opposite: OnOpposite = OnOpposite.REVERSE
    reentry: bool = True
    no_entry_before: dt.time | None = None
    no_entry_after: dt.time | None = None
    overnight: Overnight = Overnight.SQUARE_OFF
    alert_time: AlertTime = AlertTime.FIRED
    min_premium: Decimal | None = None
    max_premium: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.lots is None) == (self.risk_share_pct is None):
            raise BadInput(f"plan {self.name!r}: give lots or risk_share_pct, one of the two")
        if self.lots is not None and self.lots < 1:
            raise BadInput(f"plan {self.name!r}: lots must be 1 or more, not {self.lots}")
        if self.risk_share_pct is not None and self.exits.stop is None:
            raise BadInput(f"plan {self.name!r}: a size from risk_share_pct needs exits.stop")
        if self.overnight is not Overnight.SQUARE_OFF and self.product is Product.INTRADAY:
            raise BadInput(
                f"plan {self.name!r}: overnight {self.overnight.value!r} needs product MARGIN; "
                "the broker squares INTRADAY off before the close"
            )
        if self.overnight is not Overnight.SQUARE_OFF:
            raise BadInput(f"plan {self.name!r}: only overnight 'square_off' is carried out by this version")
        if self.side is Side.SELL and self.contract is Contract.OPTION:
            raise BadInput(f"plan {self.name!r}: selling options needs a hedge, which this version does not trade yet")
        parse_strike(self.strike)

    @property
    def is_synthetic(self) -> bool:
        """The index itself is traded as if it were a future; never beyond practice."""
        return self.contract is Contract.INDEX_AS_FUTURE


def parse_strike(rule: str) -> int:
    """Steps into (+) or out of (-) the money: ``ATM`` 0, ``ITM2`` +2, ``OTM1`` -1.

    Raises
    ------
    BadInput
        Not such a rule.
    """
    text = rule.strip().upper()
    if text == "ATM":
        return 0
    head, tail = text[:3], text[3:]
    if head in ("ITM", "OTM") and tail.isdigit() and 1 <= int(tail) <= 20:
        return int(tail) if head == "ITM" else -int(tail)
    raise BadInput(f"strike rule {rule!r} is not understood; write ATM, ITM1.. or OTM1.. (at most 20 steps)")


def index_as_future(**changes: Any) -> Plan:
    """Give the plan without a plan: one lot of the index as a future, flat at session end, exits by signal only."""
    base: dict[str, Any] = {"name": "index_as_future", "contract": Contract.INDEX_AS_FUTURE}
    return Plan(**{**base, **changes})


NAMED_PLANS: dict[str, Plan] = {
    "index_as_future": index_as_future(),
    "index_bracket": index_as_future(
        name="index_bracket",
        exits=Exits(
            stop=Distance(points=Decimal(30)),
            target=Distance(points=Decimal(50)),
            trail=Trail(distance=Distance(points=Decimal(30)), after=Distance(points=Decimal(30))),
        ),
    ),
    "atm_option": Plan(
        name="atm_option",
        exits=Exits(stop=Distance(percent=Decimal(20)), target=Distance(percent=Decimal(40))),
        no_entry_after=dt.time(15, 0),
    ),
    "scalp_atm": Plan(
        name="scalp_atm",
        exits=Exits(stop=Distance(points=Decimal(15)), target=Distance(points=Decimal(30))),
        no_entry_after=dt.time(15, 10),
    ),
}


def plan_from_mapping(body: Mapping[str, Any]) -> Plan:
    """Read a plan from parsed YAML or JSON.

    Raises
    ------
    BadInput
        Unknown key (with "did you mean"), wrong type, or a plan that cannot be carried out.
    """
    if not isinstance(body, Mapping):
        raise BadInput(f"a plan is a table of keys and values, not {type(body).__name__}")
    known = {item.name for item in fields(Plan)}
    # A share of risk sets the lots; it need not be said twice.
    values: dict[str, Any] = {"lots": None} if body.get("risk_share_pct") is not None else {}
    for key, value in body.items():
        if key not in known:
            raise UnknownName("plan key", str(key), known)
        values[key] = _READERS.get(key, _as_is)(value, key)
    return Plan(**values)


def plan_to_mapping(plan: Plan) -> dict[str, Any]:
    """Give the plain form of a plan; `plan_from_mapping` reads it back."""
    body: dict[str, Any] = {}
    for item in fields(Plan):
        value = getattr(plan, item.name)
        if isinstance(value, Exits):
            body["exits"] = _exits_to_mapping(value)
        elif isinstance(value, dt.time):
            body[item.name] = value.strftime("%H:%M:%S")
        elif isinstance(value, Decimal):
            body[item.name] = str(value)
        elif value is not None:
            body[item.name] = value.value if isinstance(value, StrEnum) else value
    if plan.lots is None:
        body["lots"] = None
    return body


def _exits_to_mapping(exits: Exits) -> dict[str, Any]:
    def distance(value: Distance | None) -> str | None:
        if value is None:
            return None
        return f"{value.percent}%" if value.percent is not None else str(value.points)

    body = {"stop": distance(exits.stop), "target": distance(exits.target)}
    trail = exits.trail
    extra: dict[str, Any] = {}
    if trail is not None:
        parts = {"distance": distance(trail.distance), "after": distance(trail.after)}
        extra["trail"] = {key: value for key, value in parts.items() if value is not None}
    if exits.time is not None:
        extra["time"] = exits.time.strftime("%H:%M:%S")
    return {key: value for key, value in body.items() if value is not None} | extra


def _as_is(value: Any, key: str) -> Any:
    expected = {"name": str, "strike": str, "lots": int, "reentry": bool}[key]
    if value is None and key == "lots":
        return None
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise BadInput(f"plan key {key!r}: expected {expected.__name__}, got {value!r}")
    return value


def _time(value: Any, key: str) -> dt.time | None:
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


def _decimal(value: Any, key: str) -> Decimal | None:
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise BadInput(f"plan key {key!r}: {value!r} is not a number") from None
    if isinstance(value, bool) or not number.is_finite() or number <= 0:
        raise BadInput(f"plan key {key!r}: {value!r} must be a number above zero")
    return number


def _distance(value: Any, key: str) -> Distance | None:
    if value is None or isinstance(value, Distance):
        return value
    text = str(value).strip()
    if text.endswith("%"):
        return Distance(percent=_decimal(text[:-1], key))
    return Distance(points=_decimal(value, key))


def _exits(value: Any, key: str) -> Exits:
    if isinstance(value, Exits):
        return value
    if not isinstance(value, Mapping):
        raise BadInput(f"plan key {key!r}: expected a table of exits, got {value!r}")
    known = {"stop", "target", "trail", "time"}
    for name in value:
        if name not in known:
            raise UnknownName("exit", str(name), known)
    return Exits(
        stop=_distance(value.get("stop"), "exits.stop"),
        target=_distance(value.get("target"), "exits.target"),
        trail=_trail(value.get("trail")),
        time=_time(value.get("time"), "exits.time"),
    )


def _trail(value: Any) -> Trail | None:
    if value is None or isinstance(value, Trail):
        return value
    if not isinstance(value, Mapping):
        value = {"distance": value}
    for name in value:
        if name not in ("distance", "after"):
            raise UnknownName("trail key", str(name), ("distance", "after"))
    distance = _distance(value.get("distance"), "exits.trail.distance")
    if distance is None:
        raise BadInput("plan key 'exits.trail': a distance is needed")
    return Trail(distance=distance, after=_distance(value.get("after"), "exits.trail.after"))


def _enum(kind: type[StrEnum]) -> Any:
    def read(value: Any, key: str) -> StrEnum:
        try:
            return kind(value)
        except ValueError:
            raise UnknownName(f"value of plan key {key!r}", str(value), [item.value for item in kind]) from None

    return read


_READERS: dict[str, Any] = {
    "contract": _enum(Contract),
    "side": _enum(Side),
    "expiry": _enum(ExpiryRule),
    "product": _enum(Product),
    "on_opposite": _enum(OnOpposite),
    "overnight": _enum(Overnight),
    "alert_time": _enum(AlertTime),
    "roll_on_expiry_at": _time,
    "no_entry_before": _time,
    "no_entry_after": _time,
    "risk_share_pct": _decimal,
    "min_premium": _decimal,
    "max_premium": _decimal,
    "exits": _exits,
}
