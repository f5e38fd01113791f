"""What a signal becomes: contract, size, exits, windows. A plan is data, read from YAML or given by name.

Invariant: a plan that cannot be carried out is refused when it is read, not when it trades.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from workbench.core.errors import BadInput, UnknownName
from workbench.core.exit_rules import (
    Distance,
    Exits,
    Lock,
    Look,
    ScaleOut,
    Trail,
    Underlying,
    exits_from_mapping,
    exits_to_mapping,
    read_decimal,
    read_time,
)
from workbench.core.order import Product
from workbench.core.signal import Side

__all__ = [
    "DISASTER_STOP",
    "NAMED_PLANS",
    "AlertTime",
    "Contract",
    "Distance",
    "Exits",
    "ExpiryRule",
    "Lock",
    "Look",
    "OnOpposite",
    "Overnight",
    "Plan",
    "ScaleOut",
    "Trail",
    "Underlying",
    "index_as_future",
    "parse_strike",
    "plan_from_mapping",
    "plan_to_mapping",
]

DISASTER_STOP = Distance(percent=Decimal(40))
"""At the broker beside exits that are watched on the underlying: it holds while nothing watches."""


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
    no_entry_after_on_expiry : time or None
        The same for a contract on its expiry day.
    overnight : Overnight
        `keep_winners` and `keep` carry a position over the night; they need product MARGIN.
    reentry : bool
        Whether a position may follow one that was stopped in the same session.
    pyramiding : int
        Entries in the same direction that are added to a first one that is held; 0 to 9.
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
    pyramiding: int = 0
    no_entry_before: dt.time | None = None
    no_entry_after: dt.time | None = None
    no_entry_after_on_expiry: dt.time | None = None
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
        if self.side is Side.SELL and self.contract is Contract.OPTION:
            raise BadInput(f"plan {self.name!r}: selling options needs a hedge, which this version does not trade yet")
        if not 0 <= self.pyramiding <= 9:
            raise BadInput(f"plan {self.name!r}: pyramiding adds 0 to 9 entries, not {self.pyramiding}")
        parse_strike(self.strike)
        object.__setattr__(self, "exits", _carried_out(self))

    @property
    def is_synthetic(self) -> bool:
        """The index itself is traded as if it were a future; never beyond practice."""
        return self.contract is Contract.INDEX_AS_FUTURE


def _carried_out(plan: Plan) -> Exits:
    """Give the exits as they are carried out: levels on the underlying get their disaster stop on the traded price.

    Raises
    ------
    BadInput
        They contradict each other, or the contract.
    """
    exits, where = plan.exits, f"plan {plan.name!r}"
    if len(exits.atr_lengths) > 1:
        raise BadInput(f"{where}: all average true ranges of a plan need one length, not {sorted(exits.atr_lengths)}")
    if exits.lock is not None and not 0 < exits.lock.keep < 100:
        raise BadInput(f"{where}: exits.lock keeps a share between 0 and 100 %, not {exits.lock.keep}")
    for part in exits.scale_out:
        is_one = (part.lots is None) != (part.share is None)
        is_whole = part.lots is None or part.lots >= 1
        if not is_one or not is_whole or not (part.share is None or 0 < part.share <= 100):
            raise BadInput(f"{where}: a scale-out takes lots (1 or more) or a share (up to 100 %), one of the two")
    if plan.contract is Contract.OPTION and any(each.atr is not None for each in exits.premium_distances):
        raise BadInput(
            f"{where}: an average true range is one of the underlying, not of a premium; write it under "
            "exits.underlying, or give points or percent"
        )
    watched = exits.underlying
    if watched is None:
        return exits
    if plan.contract not in (Contract.OPTION, Contract.FUTURE):
        raise BadInput(
            f"{where}: the traded price is that of the underlying; give stop and target without 'underlying'"
        )
    if watched.strike is not None:
        if plan.contract is not Contract.OPTION:
            raise BadInput(f"{where}: exits.underlying.strike needs an option")
        if plan.side is Side.BUY and parse_strike(plan.strike) < 0:
            raise BadInput(f"{where}: an option bought out of the money is beyond its strike from the start")
    return exits if exits.stop is not None else replace(exits, stop=DISASTER_STOP)


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
            body["exits"] = exits_to_mapping(value)
        elif isinstance(value, dt.time):
            body[item.name] = value.strftime("%H:%M:%S")
        elif isinstance(value, Decimal):
            body[item.name] = str(value)
        elif value is not None:
            body[item.name] = value.value if isinstance(value, StrEnum) else value
    if plan.lots is None:
        body["lots"] = None
    return body


def _as_is(value: Any, key: str) -> Any:
    expected = {"name": str, "strike": str, "lots": int, "reentry": bool, "pyramiding": int}[key]
    if value is None and key == "lots":
        return None
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise BadInput(f"plan key {key!r}: expected {expected.__name__}, got {value!r}")
    return value


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
    "roll_on_expiry_at": read_time,
    "no_entry_before": read_time,
    "no_entry_after": read_time,
    "no_entry_after_on_expiry": read_time,
    "risk_share_pct": read_decimal,
    "min_premium": read_decimal,
    "max_premium": read_decimal,
    "exits": exits_from_mapping,
}
