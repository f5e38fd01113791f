"""What a signal becomes: contract, size, exits, windows. A plan is data, read from YAML or given by name.

Invariant: a plan that cannot be carried out is refused when it is read, not when it trades.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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
from workbench.core.leg_rules import (
    Combined,
    Hedge,
    Leg,
    LegRight,
    StrikeKind,
    combined_from_mapping,
    combined_to_mapping,
    fitted,
    hedge_from_mapping,
    legs_from_list,
    legs_to_list,
    read_strike,
)
from workbench.core.order import Product
from workbench.core.plan_checks import (
    DISASTER_STOP,
    carried_out,
    check_protection,
    check_share,
    check_structure,
    parse_strike,
)
from workbench.core.plan_words import AlertTime, Contract, ExpiryRule, OnOpposite, Overnight, ProtectionRule
from workbench.core.signal import Side

__all__ = [
    "DISASTER_STOP",
    "NAMED_PLANS",
    "AlertTime",
    "Combined",
    "Contract",
    "Distance",
    "Exits",
    "ExpiryRule",
    "Hedge",
    "Leg",
    "Lock",
    "Look",
    "OnOpposite",
    "Overnight",
    "Plan",
    "ProtectionRule",
    "ScaleOut",
    "Trail",
    "Underlying",
    "index_as_future",
    "parse_strike",
    "plan_from_mapping",
    "plan_to_mapping",
]


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
    legs : tuple of Leg
        One to four options; empty: one contract, by `side`, `strike` and `exits`.
    combined : Combined or None
        Exits on the P&L of all legs together.
    hedge : Hedge or None
        An option bought before the plan's one sold option, and left after it.
    protection : ProtectionRule
        `stop_only`: the stop rests at the broker and becomes the target's order when the target is reached;
        `stop_and_target`: both rest there, which blocks the margin of a second sale; `super_order`: both go to the
        broker with the entry, as one order of his.
    value : Decimal or None
        Rupees that an entry of a share is worth at most; None where lots (shares) or a share of risk set its size.
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
    legs: tuple[Leg, ...] = ()
    combined: Combined | None = None
    hedge: Hedge | None = None
    value: Decimal | None = None
    protection: ProtectionRule = ProtectionRule.STOP_ONLY

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.lots, self.risk_share_pct, self.value)) != 1:
            raise BadInput(f"plan {self.name!r}: give lots, risk_share_pct or (for a share) value, one of them")
        if self.lots is not None and self.lots < 1:
            raise BadInput(f"plan {self.name!r}: lots must be 1 or more, not {self.lots}")
        if self.risk_share_pct is not None and self.exits.stop is None:
            raise BadInput(f"plan {self.name!r}: a size from risk_share_pct needs exits.stop")
        if self.overnight is not Overnight.SQUARE_OFF and self.product is Product.INTRADAY:
            raise BadInput(
                f"plan {self.name!r}: overnight {self.overnight.value!r} needs product MARGIN (CNC for a share); "
                "the broker squares INTRADAY off before the close"
            )
        if not 0 <= self.pyramiding <= 9:
            raise BadInput(f"plan {self.name!r}: pyramiding adds 0 to 9 entries, not {self.pyramiding}")
        check_share(self)
        rule = read_strike(self.strike)
        is_by_steps = rule.kind is StrikeKind.STEPS
        if rule.kind is StrikeKind.HEDGE or (not is_by_steps and self.contract is not Contract.OPTION):
            raise BadInput(f"plan {self.name!r}: strike {self.strike!r} is none of a plan of {self.contract.value}")
        if self.is_structure:
            check_structure(self)
            object.__setattr__(self, "legs", fitted(self.legs, f"plan {self.name!r}") if self.legs else ())
            self.carried_legs()
        object.__setattr__(self, "exits", carried_out(self))
        check_protection(self)

    @property
    def is_structure(self) -> bool:
        """It is entered leg by leg, with margin and chain asked where needed: several legs, a sold option, a hedge."""
        if self.legs or self.hedge is not None or self.combined is not None:
            return True
        is_option = self.contract is Contract.OPTION
        return is_option and (self.side is Side.SELL or read_strike(self.strike).kind is not StrikeKind.STEPS)

    def carried_legs(self) -> tuple[Leg, ...]:
        """Give all legs in the order in which they are entered: bought ones first, the hedge among them.

        Raises
        ------
        BadInput
            They cannot be carried out.
        """
        if self.legs:
            return self.legs
        right = LegRight.VIEW if self.side is Side.BUY else LegRight.AGAINST
        main = Leg(side=self.side, right=right, strike=self.strike, exits=self.exits)
        hedge = (Leg(right=right, strike="hedge"),) if self.hedge is not None else ()
        return fitted((*hedge, main), f"plan {self.name!r}")

    @property
    def leaves_at(self) -> dt.time | None:
        """Time of day at which the first of its parts is left, whatever it is worth."""
        clocks = [self.exits.time, *(leg.exits.time for leg in self.legs)]
        clocks += [self.combined.time] if self.combined is not None else []
        return min((each for each in clocks if each is not None), default=None)

    @property
    def is_synthetic(self) -> bool:
        """The index itself is traded as if it were a future; never beyond practice."""
        return self.contract is Contract.INDEX_AS_FUTURE


def index_as_future(**changes: Any) -> Plan:
    """Give the plan without a plan: one lot of the index as a future, flat at session end, exits by signal only."""
    base: dict[str, Any] = {"name": "index_as_future", "contract": Contract.INDEX_AS_FUTURE}
    return Plan(**{**base, **changes})


def _percent(value: int) -> Distance:
    return Distance(percent=Decimal(value))


def _short_leg(right: LegRight, strike: str, stop: int) -> Leg:
    return Leg(side=Side.SELL, right=right, strike=strike, exits=Exits(stop=_percent(stop)))


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
    "straddle": Plan(
        name="straddle",
        legs=(_short_leg(LegRight.CE, "ATM", 40), _short_leg(LegRight.PE, "ATM", 40)),
        combined=Combined(stop=_percent(25), target=_percent(50), time=dt.time(15, 10)),
        on_opposite=OnOpposite.IGNORE,
        no_entry_after=dt.time(14, 30),
    ),
    "strangle": Plan(
        name="strangle",
        legs=(_short_leg(LegRight.CE, "OTM3", 60), _short_leg(LegRight.PE, "OTM3", 60)),
        combined=Combined(stop=_percent(40), target=_percent(60), time=dt.time(15, 10)),
        on_opposite=OnOpposite.IGNORE,
        no_entry_after=dt.time(14, 30),
    ),
    "credit_spread": Plan(
        name="credit_spread",
        legs=(Leg(right=LegRight.AGAINST, strike="OTM4"), _short_leg(LegRight.AGAINST, "ATM", 80)),
        combined=Combined(stop=_percent(50), target=_percent(70)),
        no_entry_after=dt.time(14, 30),
    ),
    "hedged_sell": Plan(
        name="hedged_sell",
        side=Side.SELL,
        strike="OTM1",
        exits=Exits(stop=_percent(80), underlying=Underlying(strike=Look.TOUCH)),
        hedge=Hedge(premium_ratio=Decimal("0.30")),
        combined=Combined(target=_percent(70)),
        no_entry_after=dt.time(14, 30),
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
    by_rupees = body.get("risk_share_pct") is not None or body.get("value") is not None
    values: dict[str, Any] = {"lots": None} if by_rupees else {}
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
        if isinstance(value, Combined):
            body["combined"] = combined_to_mapping(value)
        elif isinstance(value, Hedge):
            body["hedge"] = {"premium_ratio": str(value.premium_ratio)}
        elif isinstance(value, tuple):
            body |= {item.name: legs_to_list(value)} if value else {}
        elif isinstance(value, Exits):
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
    "protection": _enum(ProtectionRule),
    "alert_time": _enum(AlertTime),
    "roll_on_expiry_at": read_time,
    "no_entry_before": read_time,
    "no_entry_after": read_time,
    "no_entry_after_on_expiry": read_time,
    "risk_share_pct": read_decimal,
    "value": read_decimal,
    "min_premium": read_decimal,
    "max_premium": read_decimal,
    "exits": exits_from_mapping,
    "legs": legs_from_list,
    "combined": combined_from_mapping,
    "hedge": hedge_from_mapping,
}
