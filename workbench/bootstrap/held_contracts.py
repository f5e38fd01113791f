"""What a new day's instrument master changes for contracts that are held: told at once, never acted on.

Invariant: a held contract whose lot, id or listing has changed is an alarm on the day it changes, not a refused order.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.core.deployment import Deployment
from workbench.core.messages import Level
from workbench.core.ports import InstrumentSource, Notifier
from workbench.core.position import Position, PositionState
from workbench.data.instruments import InstrumentMaster, lot_findings


def tell_orphans(
    positions: Iterable[Position], deployments: Iterable[Deployment], notifier: Notifier
) -> tuple[str, ...]:
    """Raise an alarm for each held position whose deployment is not on this account any more; gives what was told.

    Its stop and its end of day are kept as ever, but no alert and no signal reach it: a person has to leave it, or to
    put the deployment back.
    """
    names = {each.name for each in deployments}
    found = tuple(
        f"{item.open_quantity} {item.plan.instrument.name} are held by {item.plan.deployment}, which is not on this "
        f"account any more: stop and square-off are watched, but no alert and no signal leaves it; workbench close "
        f"{item.position_id}, or put the deployment back and start again"
        for item in positions
        if item.open_quantity and item.plan.deployment not in names
    )
    for text in found:
        notifier.send(Level.ALARM.value, text)
    return found


def tell_changes(positions: Iterable[Position], master: InstrumentSource, notifier: Notifier) -> tuple[str, ...]:
    """Raise an alarm for each held contract that the day's master lists otherwise (fault S13).

    Parameters
    ----------
    positions : iterable of Position
        Live ones; what waits for its settlement need not be listed any more.
    master : InstrumentSource
    notifier : Notifier

    Returns
    -------
    tuple of str
        What was told.
    """
    if not isinstance(master, InstrumentMaster):
        return ()
    held = {
        item.plan.instrument.key: item.plan.instrument
        for item in positions
        if item.open_quantity and item.state is not PositionState.EXPIRING
    }
    findings = lot_findings(held.values(), master)
    for finding in findings:
        notifier.send(Level.ALARM.value, finding)
    return findings
