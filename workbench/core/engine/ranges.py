"""Distances in average true ranges become rupees before anything is planned, or the entry is refused in words.

The average is told, never computed here: with each signal of a strategy, and by messages of its own to a deployment
that only alerts drive. Both are taken over the same bars in live, practice and replay.

Invariant: no entry is planned on an average that is not known, nor on one from before a hole in the bars.
"""

from dataclasses import replace

from workbench.core.engine.turn import Turn, Wish
from workbench.core.messages import RangeMeasured


def on_measured(turn: Turn, message: RangeMeasured) -> None:
    """Take the newest average of a deployment's bars; without one, why there is none."""
    name, desk = message.deployment, turn.desk
    if message.atr is None:
        desk.atr.pop(name, None)
        desk.atr_missing[name] = message.reason
    else:
        desk.atr[name] = message.atr
        desk.atr_missing.pop(name, None)


def resolved(turn: Turn, wish: Wish) -> Wish | None:
    """Turn average true ranges of the plan into points; None while the average is not known."""
    deployment, known = wish.deployment, turn.desk.atr.get(wish.deployment.name)
    if not deployment.plan.exits.atr_lengths:
        return wish
    if known is None or known <= 0:
        return None
    plan = replace(deployment.plan, exits=deployment.plan.exits.resolved(known))
    return replace(wish, deployment=replace(deployment, plan=plan))


def why_unknown(turn: Turn, wish: Wish) -> str:
    """Say why the average is not known."""
    told = turn.desk.atr_missing.get(wish.deployment.name) or "no bars have told it yet"
    return f"the average true range of {wish.deployment.symbol} is not known: {told}"
