"""Strikes that only prices tell: nearest a premium, nearest a delta, and the hedge of a sold option.

Invariant: an option that nobody quotes is never chosen, and a hedge lies further out of the money than what it covers.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from workbench.core.instrument import Instrument, Right
from workbench.core.leg_rules import StrikeKind, StrikeRule
from workbench.core.legs import Refusal
from workbench.core.messages.structures import ChainQuote

Key = tuple[Decimal, Right]


def by_price(
    listed: Sequence[Instrument], right: Right, rule: StrikeRule, chain: Iterable[ChainQuote]
) -> Instrument | Refusal:
    """Choose the listed option whose premium, or whose delta without its sign, is nearest to the rule's value.

    Of two that are equally near the cheaper is taken.
    """
    quoted = _quoted(right, chain)
    if rule.kind is StrikeKind.DELTA:
        known = {key: abs(row.delta) for key, row in quoted.items() if row.delta}
        what, told = f"a delta near {rule.value}", "delta"
    else:
        known = {key: (row.bid + row.ask) / 2 for key, row in quoted.items()}
        what, told = f"a premium near {rule.value}", "price"
    found = _nearest(listed, right, known, rule.value, lambda _: True)
    return found or Refusal(f"no {right.value} with {what}: the chain tells no {told} of any listed one")


def hedge_for(
    main: Instrument, listed: Sequence[Instrument], ratio: Decimal, chain: Iterable[ChainQuote]
) -> Instrument | Refusal:
    """Choose the option to be bought beside a sold one: its premium is nearest that share of the sold one's."""
    strike, right = main.strike, main.right
    if strike is None or right is None:
        return Refusal(f"{main.name} is no option, so nothing hedges it")
    quoted = _quoted(right, chain)
    own = quoted.get((strike, right))
    if own is None:
        return Refusal(f"the chain has no price of {main.name}, so its hedge cannot be chosen")
    wanted = (own.bid + own.ask) / 2 * ratio
    asks = {key: row.ask for key, row in quoted.items()}
    sign = 1 if right is Right.CE else -1
    found = _nearest(listed, right, asks, wanted, lambda other: sign * (other - strike) > 0)
    return found or Refusal(f"no {right.value} beyond {strike} is quoted that could hedge {main.name}")


def _quoted(right: Right, chain: Iterable[ChainQuote]) -> dict[Key, ChainQuote]:
    return {(row.strike, row.right): row for row in chain if row.right is right and row.bid > 0 and row.ask > 0}


def _nearest(
    listed: Sequence[Instrument],
    right: Right,
    known: dict[Key, Decimal],
    wanted: Decimal,
    fits: Callable[[Decimal], bool],
) -> Instrument | None:
    fitting = [
        (abs(known[each.strike, right] - wanted), known[each.strike, right], number)
        for number, each in enumerate(listed)
        if each.right is right and each.strike is not None and (each.strike, right) in known and fits(each.strike)
    ]
    return listed[min(fitting)[2]] if fitting else None
