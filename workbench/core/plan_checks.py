"""What a plan may not ask for, and what it gets besides: checked once, when it is read.

Invariant: nothing passes here that the engine could not carry out.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.core.errors import BadInput
from workbench.core.exit_rules import Distance, Exits
from workbench.core.leg_rules import StrikeKind, read_strike
from workbench.core.order import Product
from workbench.core.plan_words import Contract, OnOpposite, Overnight, ProtectionRule
from workbench.core.signal import Side

if TYPE_CHECKING:
    from workbench.core.plan import Plan

DISASTER_STOP = Distance(percent=Decimal(40))
"""At the broker beside exits that are watched on the underlying: it holds while nothing watches."""


def check_share(plan: "Plan") -> None:
    """Refuse products and sizes that do not fit shares, or fit shares only.

    Raises
    ------
    BadInput
        Such a plan.
    """
    where, is_share = f"plan {plan.name!r}", plan.contract is Contract.UNDERLYING
    if plan.value is not None and not is_share:
        raise BadInput(f"{where}: value sizes shares (contract underlying); give lots or risk_share_pct")
    if plan.product is Product.CNC and not is_share:
        raise BadInput(f"{where}: CNC is for shares (contract underlying); use INTRADAY or MARGIN")
    if plan.product is Product.MARGIN and is_share:
        raise BadInput(f"{where}: shares are traded as INTRADAY or CNC, not as MARGIN")
    if plan.product is Product.CNC and plan.overnight is Overnight.SQUARE_OFF:
        raise BadInput(f"{where}: CNC is for shares that stay (overnight: keep or keep_winners); or use INTRADAY")
    if plan.product is Product.CNC and plan.on_opposite is OnOpposite.REVERSE:
        raise BadInput(f"{where}: shares of CNC cannot be sold short; write on_opposite: exit")


def check_structure(plan: "Plan") -> None:
    """Refuse what is not offered for plans that are entered leg by leg.

    Raises
    ------
    BadInput
        Such a plan.
    """
    where = f"plan {plan.name!r}"
    if plan.contract is not Contract.OPTION:
        raise BadInput(f"{where}: legs, hedge and combined exits are for options, not for {plan.contract.value}")
    if plan.risk_share_pct is not None:
        raise BadInput(f"{where}: legs, sold options and strikes by price take lots, not risk_share_pct")
    if plan.overnight is not Overnight.SQUARE_OFF:
        raise BadInput(f"{where}: legs, sold options and strikes by price are left every day (overnight: square_off)")
    if plan.pyramiding:
        raise BadInput(f"{where}: nothing is added to legs, sold options and strikes by price (pyramiding: 0)")
    if plan.legs and plan.hedge is not None:
        raise BadInput(f"{where}: hedge is for one sold option; among legs write the bought one as a leg")
    if any(leg.exits.atr_lengths for leg in plan.legs):
        raise BadInput(f"{where}: legs give their distances in points or percent, not in average true ranges")
    if plan.hedge is not None and plan.side is not Side.SELL:
        raise BadInput(f"{where}: a hedge needs side SELL: it stands beside a sold option")
    if plan.legs and (plan.exits != Exits() or plan.side is not Side.BUY or plan.strike != "ATM"):
        raise BadInput(f"{where}: with legs, side, strike and exits stand in each leg; all together in combined")


def check_protection(plan: "Plan") -> None:
    """Refuse a target at the broker where there is none, or nothing rests beside it.

    Raises
    ------
    BadInput
        Such a plan.
    """
    where, word = f"plan {plan.name!r}", plan.protection.value
    if plan.protection is ProtectionRule.STOP_ONLY:
        return
    if plan.is_synthetic:
        raise BadInput(f"{where}: the index as a future has no broker where a target could rest; use stop_only")
    if plan.is_structure:
        raise BadInput(f"{where}: legs, sold options and strikes by price are protected by their stops; use stop_only")
    if plan.exits.stop is None or (plan.exits.target is None and not plan.exits.scale_out):
        raise BadInput(f"{where}: protection {word} needs exits.stop and exits.target on the traded price")
    if plan.protection is ProtectionRule.SUPER_ORDER:
        if plan.product is not Product.INTRADAY:
            raise BadInput(f"{where}: a super order ends with its day; write product: INTRADAY, or stop_and_target")
        if plan.exits.scale_out or plan.exits.target is None or plan.pyramiding:
            raise BadInput(
                f"{where}: a super order is one entry with one stop and one target; no scale_out and no pyramiding "
                "with it, or write stop_and_target"
            )


def without_stop(plan: "Plan") -> str:
    """Say which bought option of a plan has no stop, or "": a fast market would take its whole premium.

    Beside sold legs none is needed: those that nothing covers have stops since the plan was read, and a bought one
    stands for the others.
    """
    if plan.contract is not Contract.OPTION or (plan.combined is not None and plan.combined.stop is not None):
        return ""
    if not plan.is_structure:
        return (
            "" if plan.exits.stop is not None else f"plan {plan.name!r} trades options without a stop: give exits.stop"
        )
    legs = plan.carried_legs()
    bare = [leg.strike for leg in legs if leg.exits.stop is None]
    if not bare or any(leg.side is Side.SELL for leg in legs):
        return ""
    return f"plan {plan.name!r}: the leg at {bare[0]} has no stop: give its exits.stop, or combined.stop"


def carried_out(plan: "Plan") -> Exits:
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
        if plan.side is Side.BUY and not plan.is_structure and parse_strike(plan.strike) < 0:
            raise BadInput(f"{where}: an option bought out of the money is beyond its strike from the start")
    return exits if exits.stop is not None else replace(exits, stop=DISASTER_STOP)


def parse_strike(rule: str) -> int:
    """Steps into (+) or out of (-) the money: ``ATM`` 0, ``ITM2`` +2, ``OTM1`` -1.

    Raises
    ------
    BadInput
        Not such a rule.
    """
    found = read_strike(rule)
    if found.kind is not StrikeKind.STEPS:
        raise BadInput(f"strike rule {rule!r} has no steps: it is by price or given")
    return int(found.value)
