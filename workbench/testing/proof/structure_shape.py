"""Whether a leg is one that the plan asks for: side, type, size, strike and stop, read from the plan anew (0075).

Invariant: strikes are found by the rule's own meaning over what is listed and what the chain told, not by `core.hedge`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from workbench.core.exit_rules import Distance
from workbench.core.instrument import Right
from workbench.core.messages import PositionPlanned
from workbench.core.plan import Plan
from workbench.core.signal import Side
from workbench.testing.proof.market import STRIKE
from workbench.testing.proof.structure_plans import Wanted, wanted_legs
from workbench.testing.proof.structure_venue import STRIKES, ChainAnswer, ChainVenue

CHAIN_AT_MOST = timedelta(seconds=30)
STEP = 50
DOUBLED = Distance(percent=Decimal(100))


def why_not_wanted(venue: ChainVenue, plan: Plan, leg: PositionPlanned, others: Iterable[PositionPlanned]) -> str:
    """Say why no leg of the plan that is still to come is this one, or ""."""
    left = list(wanted_legs(plan, leg.direction))
    for each in others:
        left = _without(left, each)
    fitting = [each for each in left if _is_like(each, leg)]
    if not fitting:
        return f"{leg.side.value} {leg.quantity} {leg.instrument.name}"
    if leg.side is Side.SELL and leg.exits.stop is None:
        return "a sold leg without a stop"
    if not any(_is_stop(plan, each, leg) for each in fitting):
        return f"its stop is {leg.exits.stop}"
    strike, others = leg.instrument.strike or Decimal(0), list(others)
    if any(strike in _strikes(venue, plan, each, leg, others) for each in fitting):
        return ""
    return f"strike {strike} for {[each.strike for each in fitting]}"


def _without(left: list[Wanted], leg: PositionPlanned) -> list[Wanted]:
    for number, each in enumerate(left):
        if _is_like(each, leg):
            return left[:number] + left[number + 1 :]
    return left


def _is_like(wanted: Wanted, leg: PositionPlanned) -> bool:
    right = leg.instrument.right
    same = right is not None and wanted.right == right.value
    return same and wanted.side is leg.side and wanted.lots * leg.instrument.lot == leg.quantity


def _is_stop(plan: Plan, wanted: Wanted, leg: PositionPlanned) -> bool:
    """A sold leg has the plan's stop, or leaves where its premium has doubled; a cover has none."""
    if plan.legs:
        given = [each.exits.stop for each in plan.legs if each.side is wanted.side and each.strike == wanted.strike]
        stops = set(given)
    else:
        stops = {plan.exits.stop} if wanted.strike != "hedge" else {None}
    if wanted.side is Side.SELL:
        stops = {each or DOUBLED for each in stops}
    return leg.exits.stop in stops


def _strikes(
    venue: ChainVenue, plan: Plan, wanted: Wanted, leg: PositionPlanned, others: list[PositionPlanned]
) -> set[Decimal]:
    """All strikes that the rule may have meant."""
    word, _, value = wanted.strike.partition(" ")
    right = Right(wanted.right)
    if word == "ATM" or word[:3] in ("ITM", "OTM"):
        steps = 0 if word == "ATM" else int(word[3:]) * (1 if word[:3] == "OTM" else -1)
        found = {Decimal(STRIKE + steps * STEP * (1 if right is Right.CE else -1))}
        # An alert may name the strike of a plan of one option.
        return found if plan.legs else found | {Decimal(STRIKE)}
    # All legs are chosen together; the later ones are sent when the earlier have filled.
    chosen = min(each.at for each in (leg, *others))
    recent = [each for each in venue.chains if timedelta(0) <= chosen - each.at <= CHAIN_AT_MOST]
    if word == "hedge":
        return _hedges(plan, recent, right, leg)
    near = Decimal(value)
    return {_nearest(each, right, near, word) for each in recent}


def _nearest(chain: ChainAnswer, right: Right, near: Decimal, word: str) -> Decimal:
    """Of two that are equally near the cheaper is meant."""

    def told(strike: int) -> Decimal:
        row = next(each for each in chain.rows if each.strike == strike and each.right is right)
        return abs(row.delta or Decimal(0)) if word == "delta_near" else (row.bid + row.ask) / 2

    return Decimal(min(STRIKES, key=lambda strike: (abs(told(strike) - near), told(strike))))


def _hedges(plan: Plan, recent: list[ChainAnswer], right: Right, leg: PositionPlanned) -> set[Decimal]:
    """Strikes beyond the sold one whose ask is nearest its share of the sold premium, for each that may be sold."""
    sign = 1 if right is Right.CE else -1
    ratio = plan.hedge.premium_ratio if plan.hedge is not None else Decimal(0)
    found = set()
    steps = int(plan.strike[3:]) * (1 if plan.strike[:3] == "OTM" else -1) if plan.strike != "ATM" else 0
    for main in (STRIKE + sign * steps * STEP, STRIKE):
        for chain in recent:
            rows = {int(each.strike): each for each in chain.rows if each.right is right}
            wanted = (rows[main].bid + rows[main].ask) / 2 * ratio
            beyond = [each for each in STRIKES if sign * (each - main) > 0]
            best = min(abs(rows[each].ask - wanted) for each in beyond)
            found |= {Decimal(each) for each in beyond if abs(rows[each].ask - wanted) == best}
    return found
