"""What an entry of several legs would be, before it is made: the legs, their premium, breakevens and worst loss.

Strikes by steps are chosen here as the entry chooses them; strikes by price are known only from the chain, which is
read at the entry, and so is the margin. Of those only the rules are told, and the entry is possible all the same.

Invariant: nothing is asked of the broker, and what is not known is said and not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from workbench.core.charges import Execution, charge_kind, exchange_of, trade_charges
from workbench.core.deployment import Deployment
from workbench.core.errors import UnknownFact, UnknownName
from workbench.core.exits import levels
from workbench.core.leg_rules import Combined, Leg, StrikeKind
from workbench.core.legs import Refusal, by_strike, expiry_of
from workbench.core.messages import PlannedLeg
from workbench.core.money import ZERO
from workbench.core.plan import Plan
from workbench.core.signal import Direction, Side
from workbench.core.structure import level, payoff
from workbench.live.status import number
from workbench.live.system import LiveSystem

_BY_THE_ALERT = "a strike is chosen by the alert: no preview"


def legs_preview(
    system: LiveSystem, deployment: Deployment, direction: Direction, spot: Decimal
) -> dict[str, Any] | str:
    """Lay out an entry of several legs at the quotes of now; a text says why that cannot be done.

    Returns
    -------
    dict or str
        `legs`, and over all of them `premium` (rupees; below zero it is paid), `breakevens`, `charges` of getting in
        and out, `worst_loss` at expiry with charges (None: not bounded) and the combined levels, rupees. Where the
        chain decides: `chosen_at_entry`, a line for each leg, and `units` only.
    """
    legs = deployment.plan.carried_legs()
    try:
        if any(leg.rule.needs_chain for leg in legs):
            return _chosen_at_entry(system, deployment, direction, legs)
        planned = _planned(system, deployment, direction, spot)
        if isinstance(planned, str):
            return planned
        charges = sum((_charges(system, leg) for leg in planned), ZERO)
    except (UnknownFact, UnknownName) as error:
        return str(error)
    together = payoff(planned)
    combined = deployment.plan.combined or Combined()
    return {
        "instrument": " + ".join(f"{leg.side.value.lower()} {leg.instrument.name}" for leg in planned),
        "legs": [_leg_view(leg, rule) for leg, rule in zip(planned, legs, strict=True)],
        "units": sum(leg.quantity for leg in planned),
        "premium": number(together.premium),
        "breakevens": [number(each) for each in together.breakevens],
        "charges": number(charges),
        "worst_loss": None if together.worst_loss is None else number(together.worst_loss + charges),
        "combined_stop": number(level(combined.stop, together.premium)),
        "combined_target": number(level(combined.target, together.premium)),
        "priced_by_model": any(system.runner.engine.quotes[leg.instrument.key].model for leg in planned),
    }


def _chosen_at_entry(
    system: LiveSystem, deployment: Deployment, direction: Direction, legs: Sequence[Leg]
) -> dict[str, Any] | str:
    """Tell by which rules the engine will choose; it asks the chain, the margin and the gates when it is ordered."""
    plan, listings = deployment.plan, system.runner.engine.config.listings
    expiry = expiry_of(plan, deployment.symbol, system.now, listings)
    if isinstance(expiry, Refusal):
        return expiry.reason
    lines, total = list[str](), 0
    for leg in legs:
        if leg.rule.kind is StrikeKind.GIVEN:
            return _BY_THE_ALERT
        right = leg.right.of(direction)
        lot = next(
            (each.lot for each in listings.instruments.options(deployment.symbol, expiry) if each.right is right), 0
        )
        if not lot:
            return f"no {right.value} of {deployment.symbol} {expiry} is listed"
        units = leg.lots * (plan.lots or 0) * lot
        total += units
        lines.append(f"{leg.side.value} {units} units of a {right.value}, {_rule_in_words(leg, plan)}")
    return {
        "instrument": f"{deployment.symbol} {expiry:%d %b}, chosen from the chain at entry",
        "chosen_at_entry": lines,
        "units": total,
    }


def _rule_in_words(leg: Leg, plan: Plan) -> str:
    if leg.rule.kind is StrikeKind.HEDGE and plan.hedge is not None:
        return f"its premium nearest {(plan.hedge.premium_ratio * 100).normalize():f} % of the sold one's"
    return leg.strike.replace("_", " ")


def _planned(
    system: LiveSystem, deployment: Deployment, direction: Direction, spot: Decimal
) -> Sequence[PlannedLeg] | str:
    engine, plan = system.runner.engine, deployment.plan
    listings, found = engine.config.listings, list[PlannedLeg]()
    expiry = expiry_of(plan, deployment.symbol, system.now, listings)
    if isinstance(expiry, Refusal):
        return expiry.reason
    for number_, leg in enumerate(plan.carried_legs()):
        if leg.rule.kind is StrikeKind.GIVEN:
            return _BY_THE_ALERT
        chosen = by_strike(
            listings.instruments, deployment.symbol, expiry, leg.right.of(direction), spot=spot,
            steps=int(leg.rule.value),
        )  # fmt: skip
        if isinstance(chosen, Refusal):
            return chosen.reason
        quote = engine.quotes.get(chosen.key)
        if quote is None or quote.bid <= 0 or quote.ask <= 0:
            return f"no quote of {chosen.name} yet"
        found.append(
            PlannedLeg(
                position_id=str(number_),
                instrument=chosen,
                side=leg.side,
                quantity=leg.lots * (plan.lots or 0) * chosen.lot,
                exits=leg.exits,
                price=quote.ask if leg.side is Side.BUY else quote.bid,
            )
        )
    return found


def _charges(system: LiveSystem, leg: PlannedLeg) -> Decimal:
    """Charges of getting in and out again at the same price."""
    entry = Execution(side=leg.side, quantity=leg.quantity, price=leg.price, on=system.now.date())
    exit_ = Execution(side=leg.side.opposite, quantity=leg.quantity, price=leg.price, on=system.now.date())
    table, kind = system.runner.engine.config.charges, charge_kind(leg.instrument.kind, delivery=False)
    return trade_charges(table, kind, exchange_of(leg.instrument.segment), entry=entry, exit=exit_).total


def _leg_view(leg: PlannedLeg, rule: Leg) -> dict[str, Any]:
    return {
        "side": leg.side.value,
        "instrument": leg.instrument.name,
        "key": leg.instrument.key,
        "lots": number(Decimal(leg.quantity) / leg.instrument.lot),
        "units": leg.quantity,
        "price": number(leg.price),
        "stop": number(levels(rule.exits, leg.side, leg.price, leg.instrument.tick).stop),
    }
