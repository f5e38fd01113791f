"""The gates for an entry of several legs, written anew from decisions 0074 and 0075 (I7).

All legs are one trade and one position; its orders, lots, premium and margin are those of all legs together, and its
loss is the least of what bounds it.

Invariant: what a leg is, is what the journal planned; whether the plan asked for such a leg is judged elsewhere
(`structure_judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal

from workbench.core.instrument import Right
from workbench.core.messages import PlannedLeg, StructurePlanned
from workbench.core.signal import Side
from workbench.testing.proof.gate_rules import RULES
from workbench.testing.proof.gatekeeper import Entered, Gatekeeper
from workbench.testing.proof.oracle import promise

Rule = Callable[[Gatekeeper, Entered, StructurePlanned], str]


def judge_legs(keeper: Gatekeeper, entered: Entered) -> None:
    """Hold a leg against the rules: the first stands for the whole entry, a later one for itself."""
    plan = entered.plan
    whole = keeper.told.structures.get(plan.structure)
    if whole is None:
        promise(False, "I7", f"{plan.position_id} is a leg of nothing that was planned")
        return
    rules = LATER_RULES if plan.group else LEGS_RULES
    for name, rule in rules.items():
        why = rule(keeper, entered, whole)
        promise(not why, "I7", f"gate {name}: {plan.position_id} (legs) entered at {entered.now:%H:%M:%S}: {why}")


def _as_one(name: str) -> Rule:
    """Take the rule of a plain entry: it asks nothing that several legs answer otherwise."""
    return lambda keeper, entered, _: RULES[name](keeper, entered)


def _lots_of(whole: StructurePlanned) -> int:
    return sum(leg.quantity // leg.instrument.lot for leg in whole.legs)


def _paid(legs: Iterable[PlannedLeg]) -> Decimal:
    return sum((leg.price * leg.quantity for leg in legs if leg.side is Side.BUY), Decimal(0))


def _stale_feed(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    if not keeper.told.alive:
        return "market data is not alive"
    # Legs that are sent later are sent at the quote of that moment.
    mine = [leg for leg in whole.legs if not entered.plan.group or leg.position_id == entered.plan.position_id]
    for leg in mine:
        quote = keeper.quote(leg.instrument.key)
        if quote is None:
            return f"{leg.instrument.name} was never quoted"
        age = (entered.now - quote.time).total_seconds()
        if not entered.plan.group and age > keeper.config.limits.max_quote_age_s:
            return f"the last quote of {leg.instrument.name} is {age:.0f} s old"
    return ""


def _order_rate(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    since = entered.now - timedelta(seconds=60)
    sent = [name for at, name in keeper.told.entries_at if at > since]
    mine = [name for name in sent if name == entered.plan.deployment]
    for before, most in (
        (len(sent), keeper.config.limits.max_entries_per_minute),
        (len(mine), entered.deployment.limits.max_entries_per_minute),
    ):
        if most is not None and before + len(whole.legs) > most:
            return f"{before} and {len(whole.legs)} entry orders within a minute, at most {most}"
    return ""


def _freeze_quantity(_: Gatekeeper, __: Entered, whole: StructurePlanned) -> str:
    for leg in whole.legs:
        units, instrument = leg.quantity, leg.instrument
        is_frozen = instrument.freeze is not None and units > instrument.freeze
        if units <= 0 or units % instrument.lot or is_frozen:
            return f"{units} units of {instrument.name}"
    return ""


def _lots(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    limits = keeper.config.limits.narrowed(entered.deployment.limits)
    most = limits.max_lots_per_entry
    largest = max(leg.quantity // leg.instrument.lot for leg in whole.legs)
    if most is not None and largest > most:
        return f"{largest} lots in one leg, at most {most}"
    most = keeper.config.limits.max_open_lots
    lot = entered.plan.instrument.lot
    held = sum(each.units for each in keeper.told.held.values() if each.is_live) // lot + _lots_of(whole)
    return f"{held} lots open, at most {most}" if most is not None and held > most else ""


def _spread(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    most = keeper.config.limits.narrowed(entered.deployment.limits).max_spread_pct
    for leg in whole.legs:
        quote = keeper.quote(leg.instrument.key)
        if most is None or quote is None:
            continue
        percent = (quote.ask - quote.bid) * 200 / (quote.ask + quote.bid)
        if percent > most:
            return f"{leg.instrument.name} is {percent:.2f} % wide, at most {most}"
    return ""


def _depth(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    percent = keeper.config.limits.narrowed(entered.deployment.limits).min_depth_pct
    for leg in whole.legs:
        quote = keeper.quote(leg.instrument.key)
        if percent is None or quote is None:
            continue
        shown = quote.ask_quantity if leg.side is Side.BUY else quote.bid_quantity
        if shown < leg.quantity * percent / 100:
            return f"{shown} of {leg.instrument.name} shown, wanted {leg.quantity * percent / 100}"
    return ""


def _premium_range(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    limits = keeper.config.limits.narrowed(entered.deployment.limits)
    for leg in whole.legs:
        for bounds in (entered.deployment.plan, limits):
            least, most = bounds.min_premium or Decimal(0), bounds.max_premium or leg.price
            if not least <= leg.price <= most:
                return f"premium {leg.price} of {leg.instrument.name}, from {least} to {most}"
        quote, stop = keeper.quote(leg.instrument.key), leg.exits.stop
        if stop is not None and quote is not None and stop.rupees(leg.price) < 3 * (quote.ask - quote.bid):
            return f"the stop of {leg.instrument.name} is nearer than three spreads of {quote.ask - quote.bid}"
    return ""


def _open_premium(keeper: Gatekeeper, _: Entered, whole: StructurePlanned) -> str:
    most, total = keeper.config.limits.max_open_premium, _paid(whole.legs)
    if most is None or not total:
        return ""
    for each in keeper.told.held.values():
        if each.is_live and each.units > 0 and each.plan.side is Side.BUY:
            total += each.premium
    return f"Rs {total} open, at most {most}" if total > most else ""


def _loss_per_trade(keeper: Gatekeeper, entered: Entered, whole: StructurePlanned) -> str:
    limits = keeper.config.limits.narrowed(entered.deployment.limits)
    if limits.capital is None:
        return ""
    bounds = [each for each in (at_expiry(whole.legs), _combined(whole), _at_stops(whole.legs)) if each is not None]
    most = limits.capital * limits.risk_per_trade_pct / 100
    if not bounds:
        return "nothing bounds the loss"
    return f"Rs {min(bounds)} at risk, at most {most}" if min(bounds) > most else ""


def at_expiry(legs: Iterable[PlannedLeg]) -> Decimal | None:
    """Give the worst loss at expiry in rupees, 0 for none; None where calls sold outnumber those bought."""
    legs = list(legs)
    calls = sum(leg.side.sign * leg.quantity for leg in legs if leg.instrument.right is Right.CE)
    if calls < 0:
        return None
    strikes = [leg.instrument.strike or Decimal(0) for leg in legs]
    return max(Decimal(0), *(-_worth(legs, spot) for spot in (Decimal(0), *strikes)))


def _worth(legs: Iterable[PlannedLeg], spot: Decimal) -> Decimal:
    total = Decimal(0)
    for leg in legs:
        strike = leg.instrument.strike or Decimal(0)
        inside = spot - strike if leg.instrument.right is Right.CE else strike - spot
        total += leg.side.sign * leg.quantity * (max(Decimal(0), inside) - leg.price)
    return total


def _combined(whole: StructurePlanned) -> Decimal | None:
    stop = whole.combined.stop
    net = sum((leg.side.sign * leg.quantity * leg.price for leg in whole.legs), Decimal(0))
    return None if stop is None else stop.rupees(abs(net))


def _at_stops(legs: Iterable[PlannedLeg]) -> Decimal | None:
    """Loss with every leg left at its own stop; None where a sold one has none."""
    total = Decimal(0)
    for leg in legs:
        if leg.side is Side.SELL and leg.exits.stop is None:
            return None
        own = leg.price if leg.exits.stop is None else leg.exits.stop.rupees(leg.price)
        total += (own if leg.side is Side.SELL else min(own, leg.price)) * leg.quantity
    return total


def _margin(keeper: Gatekeeper, _: Entered, whole: StructurePlanned) -> str:
    funds, paid = keeper.told.funds, _paid(whole.legs)
    if funds is None:
        return "free funds are not known" if keeper.config.limits.needs_funds else ""
    is_sold = any(leg.side is Side.SELL for leg in whole.legs)
    # What selling blocks only the broker says; `structure_judge` holds his word against the moment of selling.
    return f"costs {paid}, funds are {funds}" if not is_sold and paid > funds else ""


LEGS_RULES: dict[str, Rule] = {name: _as_one(name) for name in RULES} | {
    "stale_feed": _stale_feed,
    "order_rate": _order_rate,
    "freeze_quantity": _freeze_quantity,
    "lots": _lots,
    "spread": _spread,
    "depth": _depth,
    "premium_range": _premium_range,
    "open_premium": _open_premium,
    "loss_per_trade": _loss_per_trade,
    "margin": _margin,
}
"""By the name of the gate; the same names as those of a plain entry."""

LATER_RULES: dict[str, Rule] = {
    name: LEGS_RULES[name] for name in ("trading_switch", "frozen", "session", "freeze_quantity", "stale_feed")
}
"""What holds for the legs that follow: the gates were asked for all of them before the first."""
