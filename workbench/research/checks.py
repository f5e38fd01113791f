"""What a strategy must show before it is promoted, and what its owner should know.

A check that MUST pass stops every promotion; one that SHOULD pass is shown, and stops promotion to live.

Invariant: a check says what it looked at, so that a pass can be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from workbench.core.errors import BadInput
from workbench.core.plan import Contract, Plan, ProtectionRule, index_as_future
from workbench.core.plan_checks import without_stop
from workbench.research.backtest import backtest
from workbench.research.law import broken_causality, broken_repeatability, broken_settlement
from workbench.research.market import Market, Study
from workbench.research.replay import replay
from workbench.research.trades import StudyResult

if TYPE_CHECKING:
    import pandas as pd

TRADES_AT_LEAST = 30
COSTS_AT_MOST = 0.5
LAW_BARS = 20_000


class Weight(StrEnum):
    """How much a check weighs."""

    MUST = "must"
    SHOULD = "should"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check and its outcome."""

    name: str
    weight: Weight
    passed: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {"name": self.name, "weight": self.weight.value, "passed": self.passed, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """All checks of one study.

    Parameters
    ----------
    result : StudyResult
        The trades that the checks looked at.
    """

    checks: tuple[Check, ...]
    result: StudyResult

    @property
    def passed(self) -> bool:
        """Every check that must pass has passed."""
        return not self.failed(Weight.MUST)

    def failed(self, weight: Weight) -> tuple[Check, ...]:
        """Checks of one weight that have not passed."""
        return tuple(check for check in self.checks if check.weight is weight and not check.passed)

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-able."""
        return {
            "passed": self.passed,
            "checks": [check.to_dict() for check in self.checks],
            "source": self.result.source,
            "stats": self.result.stats,
            "synthetic_instrument": self.result.synthetic_instrument,
        }


def check(study: Study, market: Market) -> CheckReport:
    """Run all checks of a study; its trades are those of `playable`."""
    played = playable(study)
    bars = played.signal_bars(market.history)
    result = backtest(played, market) if is_for_backtest(played.plan) else replay(played, market)
    checks = (*law_checks(played, bars), *plan_checks(study.plan), *trade_checks(result), stability(played, market))
    return CheckReport(checks=checks, result=result)


def playable(study: Study) -> Study:
    """Give the study as a replay plays it: a super order's levels as `stop_and_target`, which rests them one by one."""
    if study.plan.protection is not ProtectionRule.SUPER_ORDER:
        return study
    return replace(study, plan=replace(study.plan, protection=ProtectionRule.STOP_AND_TARGET))


def is_for_backtest(plan: Plan) -> bool:
    """Tell whether vectorbt can say the plan; else the engine replays it."""
    return plan.is_synthetic and plan.lots is not None and plan.reentry


def law_checks(study: Study, bars: pd.DataFrame) -> tuple[Check, ...]:
    """Check repeatable, causal, settled on the newest bars."""
    newest = bars.iloc[-LAW_BARS:]
    looked = f"{len(newest)} bars of {study.interval}"
    found = []
    for name, broken in (
        ("repeatable", broken_repeatability),
        ("causal", broken_causality),
        ("settled", broken_settlement),
    ):
        finding = broken(study.strategy, newest)
        found.append(Check(name=name, weight=Weight.MUST, passed=not finding, detail=finding or looked))
    return tuple(found)


def plan_checks(plan: Plan) -> tuple[Check, ...]:
    """Check that an option has a stop: without one a fast market takes the whole premium."""
    if plan.contract is not Contract.OPTION:
        return ()
    bare = without_stop(plan)
    return (Check(name="stop", weight=Weight.MUST, passed=not bare, detail=bare or "the plan has a stop"),)


def trade_checks(result: StudyResult) -> tuple[Check, ...]:
    """Check that there is enough to judge, that costs do not eat it, and that something is left."""
    stats = result.stats
    count, share, net = stats["trades"], stats["costs_share"], stats["net"]
    costs = "no trade has a gross profit" if share is None else f"{share:.0%} of gross profits go to charges"
    return (
        Check(
            name="enough_trades",
            weight=Weight.SHOULD,
            passed=count >= TRADES_AT_LEAST,
            detail=f"{count} trades, {TRADES_AT_LEAST} say something",
        ),
        Check(
            name="costs",
            weight=Weight.SHOULD,
            passed=share is not None and share <= COSTS_AT_MOST,
            detail=f"{costs}; at most {COSTS_AT_MOST:.0%}",
        ),
        Check(
            name="profit_after_charges",
            weight=Weight.SHOULD,
            passed=net > 0,
            detail=f"Rs {net:.2f} after all charges, traded by plan {result.study.plan.name}",
        ),
    )


def stability(study: Study, market: Market) -> Check:
    """Check that neighbours in parameter space end on the same side of zero, traded as the index's future."""
    plan = study.plan if is_for_backtest(study.plan) else index_as_future()
    traded = f"plan {plan.name}" if plan is study.plan else f"the index as a future, not plan {study.plan.name}"
    nets = {label: float(backtest(each, market).net) for label, each in neighbours(replace(study, plan=plan))}
    own = float(backtest(replace(study, plan=plan), market).net)
    alike = sum(1 for net in nets.values() if (net > 0) == (own > 0))
    side = "gain too" if own > 0 else "do not gain either"
    listed = ", ".join(f"{label} Rs {net:.0f}" for label, net in nets.items())
    return Check(
        name="stable_parameters",
        weight=Weight.SHOULD,
        passed=not nets or alike * 2 >= len(nets),
        detail=f"on {traded}: own Rs {own:.0f}; {alike} of {len(nets)} neighbours {side}: {listed or 'none'}",
    )


def neighbours(study: Study) -> Sequence[tuple[str, Study]]:
    """Give the study with one parameter one step lower or higher, where that is allowed."""
    found = []
    for name, declared in study.strategy.ranges().items():
        own = study.strategy.parameters()[name]
        for value in (own - declared.step, own + declared.step):
            try:
                strategy = study.strategy.with_parameters(**{name: round(value, 10)})
            except BadInput:
                continue
            found.append((f"{name}={strategy.parameters()[name]}", replace(study, strategy=strategy)))
    return found
