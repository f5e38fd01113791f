"""The words of plans with several legs: a leg, its strike rule, the hedge, exits on the combined P&L. Data and reading.

Invariant: a sold option always has a stop of its own on its premium, and one that nothing covers has it because the
plan says so; a bought option that covers a sold one has no exit of its own, so it never leaves before it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from workbench.core.errors import BadInput, UnknownName
from workbench.core.exit_rules import (
    Distance,
    Exits,
    Lock,
    exits_from_mapping,
    exits_to_mapping,
    read_distance,
    read_lock,
    read_percent,
    read_time,
)
from workbench.core.instrument import Right
from workbench.core.signal import Direction, Side

LEGS_AT_MOST = 4

DISASTER_STOP_SOLD = Distance(percent=Decimal(100))
"""At the broker for a sold option that a bought one covers, where the plan gives none: its premium has doubled."""

MOST_STEPS = 20


class LegRight(StrEnum):
    """Type of a leg's option: named, or by the signal (`view`: a call where it is bullish; `against`: the other)."""

    CE = "CE"
    PE = "PE"
    VIEW = "view"
    AGAINST = "against"

    def of(self, direction: Direction) -> Right:
        """Give the type for a signal's direction."""
        if self in (LegRight.CE, LegRight.PE):
            return Right(self.value)
        with_view = Right.CE if direction is Direction.LONG else Right.PE
        return with_view if self is LegRight.VIEW else with_view.other


class StrikeKind(StrEnum):
    """Kinds of strike rule."""

    STEPS = "steps"
    PREMIUM = "premium_near"
    DELTA = "delta_near"
    GIVEN = "given"
    HEDGE = "hedge"


@dataclass(frozen=True, slots=True)
class StrikeRule:
    """A strike rule as it is carried out: steps into the money, rupees of premium, delta, or a share of the main."""

    kind: StrikeKind
    value: Decimal = Decimal(0)

    @property
    def needs_chain(self) -> bool:
        """Only the prices of all strikes tell which one is meant."""
        return self.kind in (StrikeKind.PREMIUM, StrikeKind.DELTA, StrikeKind.HEDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One option of a plan.

    Parameters
    ----------
    side : Side
    right : LegRight
    strike : str
        ``ATM``, ``ITM1``.., ``OTM1``.., ``premium_near 100``, ``delta_near 0.30``, or ``given`` (by the alert).
    lots : int
        For each lot of the plan.
    exits : Exits
        Its own, on its premium or the underlying.
    """

    side: Side = Side.BUY
    right: LegRight = LegRight.VIEW
    strike: str = "ATM"
    lots: int = 1
    exits: Exits = field(default_factory=Exits)

    @property
    def rule(self) -> StrikeRule:
        """Its strike rule."""
        return read_strike(self.strike)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """Exits on the P&L of all legs together, before charges: rupees, or percent of the net premium received or paid.

    `time` is a market time of day at which all legs are left.
    """

    stop: Distance | None = None
    target: Distance | None = None
    lock: Lock | None = None
    time: dt.time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """A bought option beside the sold one: same type and expiry, premium nearest `premium_ratio` of the sold one's."""

    premium_ratio: Decimal


def read_strike(rule: str) -> StrikeRule:
    """Understand a strike rule.

    Raises
    ------
    BadInput
        Not such a rule.
    """
    text = rule.strip()
    head, _, tail = text.partition(" ")
    upper = text.upper()
    if upper == "ATM":
        return StrikeRule(StrikeKind.STEPS)
    if upper[:3] in ("ITM", "OTM") and text[3:].isdigit() and 1 <= int(text[3:]) <= MOST_STEPS:
        return StrikeRule(StrikeKind.STEPS, Decimal(text[3:]) * (1 if upper[:3] == "ITM" else -1))
    if text in ("given", "hedge"):
        return StrikeRule(StrikeKind(text))
    number = _number(tail)
    if head == "premium_near" and number is not None:
        return StrikeRule(StrikeKind.PREMIUM, number)
    if head == "delta_near" and number is not None and number < 1:
        return StrikeRule(StrikeKind.DELTA, number)
    raise BadInput(
        f"strike rule {rule!r} is not understood; write ATM, ITM1.. or OTM1.. (at most {MOST_STEPS} steps), "
        "premium_near 100, delta_near 0.30 or given"
    )


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except ArithmeticError:
        return None
    return number if number.is_finite() and number > 0 else None


def fitted(legs: Sequence[Leg], where: str) -> tuple[Leg, ...]:
    """Give the legs as they are carried out: bought ones first, each sold one with its stop.

    Raises
    ------
    BadInput
        They cannot be carried out.
    """
    if not 1 <= len(legs) <= LEGS_AT_MOST:
        raise BadInput(f"{where}: a plan has one to {LEGS_AT_MOST} legs, not {len(legs)}")
    found = []
    for leg in legs:
        if leg.lots < 1:
            raise BadInput(f"{where}: a leg has 1 lot or more, not {leg.lots}")
        if leg.exits.scale_out:
            raise BadInput(f"{where}: a leg leaves as a whole; scale_out is for plans of one bought option")
        if leg.exits.premium_distances and any(each.atr is not None for each in leg.exits.premium_distances):
            raise BadInput(f"{where}: an average true range is one of the underlying; use exits.underlying or points")
        if leg.strike == "hedge" and leg.side is Side.SELL:
            raise BadInput(f"{where}: a hedge is bought")
        found.append(leg if leg.side is Side.BUY else _sold(leg, legs, where))
    if len({leg.right in (LegRight.CE, LegRight.PE) for leg in legs}) > 1:
        raise BadInput(f"{where}: the types of all legs are named (CE, PE) or all by the signal (view, against)")
    bought = [leg for leg in found if leg.side is Side.BUY]
    for leg in bought:
        if leg.exits != Exits() and any(each.side is Side.SELL and each.right is leg.right for each in legs):
            raise BadInput(f"{where}: a bought leg that covers a sold one has no exits of its own: it leaves after it")
    bought = [_bought(leg) for leg in bought]
    return (*bought, *(leg for leg in found if leg.side is Side.SELL))


def _bought(leg: Leg) -> Leg:
    if leg.exits.underlying is None or leg.exits.stop is not None:
        return leg
    return replace(leg, exits=replace(leg.exits, stop=Distance(percent=Decimal(40))))


def _sold(leg: Leg, legs: Sequence[Leg], where: str) -> Leg:
    if leg.exits.stop is not None:
        return leg
    lots = sum(-each.lots * each.side.sign for each in legs if each.right is leg.right)
    if lots > 0:
        raise BadInput(
            f"{where}: a sold option that no bought one of its type covers needs exits.stop; or give hedge: "
            "{premium_ratio: 0.30}"
        )
    return replace(leg, exits=replace(leg.exits, stop=DISASTER_STOP_SOLD))


# --- reading and writing ------------------------------------------------------------------------------------------


def legs_from_list(value: Any, key: str = "legs") -> tuple[Leg, ...]:
    """Read the legs of a plan from parsed YAML or JSON."""
    if not isinstance(value, list | tuple):
        raise BadInput(f"plan key {key!r}: expected a list of legs, got {value!r}")
    return tuple(_leg(item, f"{key}.{number}") for number, item in enumerate(value, 1))


def _leg(value: Any, key: str) -> Leg:
    if isinstance(value, Leg):
        return value
    body = _table(value, key, {item.name for item in fields(Leg)} | {"contract"}, "leg key")
    if body.get("contract", "option") != "option":
        raise BadInput(f"plan key {key!r}: this version trades options as legs; a future or share is a plan of its own")
    lots = body.get("lots", 1)
    if not isinstance(lots, int) or isinstance(lots, bool):
        raise BadInput(f"plan key {key + '.lots'!r}: expected whole lots, got {lots!r}")
    leg = Leg(
        side=_word(Side, str(body.get("side", "BUY")).upper(), f"{key}.side"),
        right=_word(LegRight, body.get("right", LegRight.VIEW), f"{key}.right"),
        strike=str(body.get("strike", "ATM")),
        lots=lots,
        exits=exits_from_mapping(body.get("exits", {}), f"{key}.exits"),
    )
    if leg.rule.kind is StrikeKind.HEDGE:
        raise BadInput(f"plan key {key!r}: write hedge: {{premium_ratio: 0.30}} beside the plan's one sold option")
    return leg


def legs_to_list(legs: Sequence[Leg]) -> list[dict[str, Any]]:
    """Give the plain form of legs; `legs_from_list` reads it back."""
    return [
        {
            "side": leg.side.value,
            "right": leg.right.value,
            "strike": leg.strike,
            "lots": leg.lots,
            "exits": exits_to_mapping(leg.exits),
        }
        for leg in legs
    ]


def combined_from_mapping(value: Any, key: str = "combined") -> Combined | None:
    """Read exits on the combined P&L."""
    if value is None or isinstance(value, Combined):
        return value
    body = _table(value, key, {item.name for item in fields(Combined)}, "combined exit")
    found = Combined(
        stop=read_distance(body.get("stop"), f"{key}.stop"),
        target=read_distance(body.get("target"), f"{key}.target"),
        lock=read_lock(body.get("lock"), f"{key}.lock"),
        time=read_time(body.get("time"), f"{key}.time"),
    )
    for distance in (found.stop, found.target, None if found.lock is None else found.lock.after):
        if distance is not None and distance.atr is not None:
            raise BadInput(f"plan key {key!r}: the P&L of all legs is in rupees or percent of the premium, not in ATR")
    if found.lock is not None and not 0 < found.lock.keep < 100:
        raise BadInput(f"plan key {key!r}: lock keeps a share between 0 and 100 %, not {found.lock.keep}")
    return found


def combined_to_mapping(combined: Combined) -> dict[str, Any]:
    """Give the plain form; `combined_from_mapping` reads it back."""
    return exits_to_mapping(Exits(stop=combined.stop, target=combined.target, lock=combined.lock, time=combined.time))


def hedge_from_mapping(value: Any, key: str = "hedge") -> Hedge | None:
    """Read the hedge; a ratio is a share (0.30) or percent (30%)."""
    if value is None or isinstance(value, Hedge):
        return value
    ratio = _table(value, key, {"premium_ratio"}, "hedge key").get("premium_ratio", "0.30")
    if str(ratio).strip().endswith("%"):
        share = (read_percent(ratio, key) or Decimal(0)) / 100
    else:
        share = _number(str(ratio)) or Decimal(0)
    if not 0 < share < 1:
        raise BadInput(f"plan key {key!r}: premium_ratio is a share of the sold premium between 0 and 1, not {ratio!r}")
    return Hedge(premium_ratio=share)


def _table(value: Any, key: str, known: set[str], word: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(f"plan key {key!r}: expected a table, got {value!r}")
    for name in value:
        if name not in known:
            raise UnknownName(word, str(name), sorted(known))
    return value


def _word(kind: Any, value: Any, key: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise UnknownName(f"value of plan key {key!r}", str(value), [item.value for item in kind]) from None
