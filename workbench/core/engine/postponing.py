"""Entries that wait, in the journal: for a quote, for legs, or until the opposite position is closed.

A process may die while one waits. It was accepted and is not decided yet, so forgetting it would be silent; and no
order of it has been sent, so it may still be entered, once, as long as it is fresh.

Invariant: a wish that waits stands in the book until a decision about the same subject is made.
"""

from datetime import timedelta

from workbench.core.engine.turn import Pending, Turn, Wish
from workbench.core.messages import EntryPostponed, Level


def note(turn: Turn, pending: Pending) -> None:
    """Write down that a wish waits, unless just that is written already (a wish is tried again at each quote)."""
    wish, known = pending.wish, turn.book.postponed.get(pending.wish.deployment.name)
    now = (wish.subject, pending.waits_for, pending.until)
    if known is not None and (known.subject, known.waits_for, known.until) == now:
        return
    strike, right = wish.given or (None, None)
    turn.emit(
        EntryPostponed(
            subject=wish.subject,
            deployment=wish.deployment.name,
            at=turn.now,
            direction=wish.direction,
            origin=wish.origin,
            waits_for=pending.waits_for,
            until=pending.until,
            known_at=wish.known_at,
            max_age_s=wish.max_age.total_seconds(),
            price=wish.price,
            strike=strike,
            right=right,
            atr=turn.desk.atr.get(wish.deployment.name),
        )
    )


def take_up(turn: Turn) -> None:
    """Let what waited when the process died wait on; what is too old by now is refused at the next beat."""
    for noted in list(turn.book.postponed.values()):
        deployment = turn.config.deployment(noted.deployment)
        if deployment is None:
            text = f"the process ended while it waited for {noted.waits_for}, and its deployment is gone"
            turn.decide(noted.subject, noted.deployment, "denied", text, gate="withdrawn", direction=noted.direction)
            continue
        given = None if noted.strike is None or noted.right is None else (noted.strike, noted.right)
        wish = Wish(
            deployment=deployment,
            direction=noted.direction,
            subject=noted.subject,
            origin=noted.origin,
            known_at=noted.known_at,
            max_age=timedelta(seconds=noted.max_age_s),
            price=noted.price,
            given=given,
        )
        if noted.atr is not None:
            turn.desk.atr[noted.deployment] = noted.atr
        turn.desk.pending[noted.deployment] = Pending(wish, noted.until, noted.waits_for)
        text = f"{noted.subject} of {noted.deployment} waits on for {noted.waits_for} after the restart"
        turn.tell(Level.WARNING, text)


def forgotten(turn: Turn) -> list[EntryPostponed]:
    """Give what stands in the book as waiting and nobody here waits for: another process noted it, on a day before."""
    here = turn.desk.pending.keys() | turn.desk.building.keys()
    return [noted for name, noted in turn.book.postponed.items() if name not in here]
