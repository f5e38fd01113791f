"""Parity: two records of the same study, compared decision by decision.

A decision is one entry or one exit: when, which side, how much, at what price, why. A difference gets a cause only from
a witness: somebody who made the decision again with that cause undone, and came to the other side's decision. All else
is `unexplained`.

Invariant: nothing is called equal within a tolerance, and slippage never explains a decision that is missing, extra,
on another side, of another size, or made at another time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from workbench.core.deployment import Limits
from workbench.core.signal import Side
from workbench.research.backtest import backtest
from workbench.research.market import Market, Study
from workbench.research.replay import UNLIMITED, replay
from workbench.research.trades import StudyResult, Trade


class Step(StrEnum):
    """Which half of a trade."""

    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeDecision:
    """One decision as it was carried out.

    Parameters
    ----------
    entry_time : datetime
        Of the trade that it belongs to; with `step` its name.
    at : datetime
        Minute of the fill.
    side : Side
        Of this order.
    reason : str
        Of an exit.
    pnl, charges : Decimal
        Of the trade, rupees; zero on an entry.
    """

    entry_time: datetime
    step: Step
    at: datetime
    instrument: str
    side: Side
    quantity: int
    price: Decimal
    reason: str = ""
    charges: Decimal = Decimal(0)
    pnl: Decimal = Decimal(0)

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


def decisions_of(trades: Iterable[Trade]) -> tuple[TradeDecision, ...]:
    """Take trades apart into decisions."""
    found = []
    for trade in trades:
        entry = TradeDecision(
            entry_time=trade.entry_time,
            step=Step.ENTRY,
            at=trade.entry_time,
            instrument=trade.instrument,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.entry_price,
        )
        leave = replace(
            entry,
            step=Step.EXIT,
            at=trade.exit_time,
            side=trade.side.opposite,
            price=trade.exit_price,
            reason=trade.exit_reason,
            charges=trade.charges,
            pnl=trade.pnl,
        )
        found += [entry, leave]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two decisions that should be equal and are not; None where one side made none.

    Parameters
    ----------
    differs : tuple of str
        Fields that differ; ("missing",) or ("extra",) as seen from the left.
    cause : str
        "unexplained" without a witness.
    witness : str
        What was undone, and what it led to.
    """

    left: TradeDecision | None
    right: TradeDecision | None
    differs: tuple[str, ...]
    cause: str = "unexplained"
    witness: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {
            "left": self.left.to_dict() if self.left else None,
            "right": self.right.to_dict() if self.right else None,
            "differs": list(self.differs),
            "cause": self.cause,
            "witness": self.witness,
        }


class Witness(Protocol):
    """Makes decisions again with one cause undone.

    Contract: `testify` gives words only if the decision, made again, is equal to the other side's in every field;
    otherwise an empty text.
    """

    cause: str

    def testify(self, difference: Difference) -> str:
        """Say what was undone and that both sides then agree, or nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """What a comparison found."""

    left: str
    right: str
    decisions: int
    differences: tuple[Difference, ...]
    elapsed_s: dict[str, float]

    @property
    def unexplained(self) -> int:
        """Differences that no witness explains."""
        return sum(1 for difference in self.differences if difference.cause == "unexplained")

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        causes: dict[str, int] = {}
        for difference in self.differences:
            causes[difference.cause] = causes.get(difference.cause, 0) + 1
        return {
            "left": self.left,
            "right": self.right,
            "decisions": self.decisions,
            "differences": [difference.to_dict() for difference in self.differences],
            "causes": causes,
            "unexplained": self.unexplained,
            "elapsed_s": {name: round(value, 3) for name, value in self.elapsed_s.items()},
        }


def compare(
    left: Sequence[TradeDecision], right: Sequence[TradeDecision], witnesses: Sequence[Witness] = ()
) -> tuple[Difference, ...]:
    """Lay two records beside each other and hear the witnesses on every difference."""
    ours, theirs = _by_name(left), _by_name(right)
    found = []
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        if one == other:
            continue
        difference = Difference(left=one, right=other, differs=_differing(one, other))
        for witness in witnesses:
            words = witness.testify(difference)
            if words:
                difference = replace(difference, cause=witness.cause, witness=words)
                break
        found.append(difference)
    return tuple(found)


def parity(study: Study, market: Market, *, limits: Limits = UNLIMITED) -> ParityReport:
    """Compare backtest and replay of one study.

    Parameters
    ----------
    limits : Limits
        The account's limits for the replay. A backtest has none; what they refused is explained by a replay without.
    """
    first, second = backtest(study, market), replay(study, market, limits=limits)
    witnesses: tuple[Witness, ...] = ()
    if limits != UNLIMITED and first.trades != second.trades:
        witnesses = (GateWitness(replay(study, market), second),)
    left, right = decisions_of(first.trades), decisions_of(second.trades)
    return ParityReport(
        left=first.source,
        right=second.source,
        decisions=len(_by_name(left).keys() | _by_name(right).keys()),
        differences=compare(left, right, witnesses),
        elapsed_s={first.source: first.elapsed_s, second.source: second.elapsed_s},
    )


class GateWitness:
    """Replays with every gate of the account's limits lifted.

    Parameters
    ----------
    lifted : StudyResult
        The replay without limits.
    limited : StudyResult
        The replay with them, whose record names the gates.
    """

    cause = "gate"

    def __init__(self, lifted: StudyResult, limited: StudyResult) -> None:
        self._lifted = _by_name(decisions_of(lifted.trades))
        self._gates = sorted(limited.refused)

    def testify(self, difference: Difference) -> str:
        """Agree if, without limits, the right side decides as the left one."""
        known = difference.left or difference.right
        again = self._lifted.get(_name(known)) if known is not None else None
        if again != difference.left:
            return ""
        return f"replayed without the limits ({', '.join(self._gates)}), the decision is the same"


class SlippageWitness:
    """Prices the fill anew at the price that the other side had hoped for.

    For records of a market with a spread against ones without; never for backtest against replay, whose fills must be
    equal.
    """

    cause = "slippage"

    def testify(self, difference: Difference) -> str:
        """Agree if only the price differs, and what follows from it."""
        left, right = difference.left, difference.right
        if left is None or right is None:
            return ""
        again = replace(right, price=left.price, charges=left.charges, pnl=left.pnl)
        if again != left:
            return ""
        return f"at {left.price} instead of {right.price} the decision is the same"


def _by_name(decisions: Iterable[TradeDecision]) -> dict[tuple[datetime, str], TradeDecision]:
    return {_name(decision): decision for decision in decisions}


def _name(decision: TradeDecision) -> tuple[datetime, str]:
    return decision.entry_time, decision.step.value


def _differing(one: TradeDecision | None, other: TradeDecision | None) -> tuple[str, ...]:
    if one is None:
        return ("extra",)
    if other is None:
        return ("missing",)
    return tuple(item.name for item in fields(one) if getattr(one, item.name) != getattr(other, item.name))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value.value if isinstance(value, StrEnum) else value
