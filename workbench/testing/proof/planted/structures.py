"""Bugs of several legs held together: cover and sale in the wrong order, what failed not unwound, levels ignored."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from workbench.core import hedge
from workbench.core.book import Book
from workbench.core.engine import building, steering, structures
from workbench.core.engine.turn import Building, Turn
from workbench.core.messages import MarginRead, StructurePlanned
from workbench.core.money import ZERO
from workbench.core.signal import Side
from workbench.live.runner import Runner
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("L3")
def hedge_sold_first() -> None:
    """A bought leg is sold while what it covers is still sold."""
    replace_with(steering, "sold_beside", lambda *_: [])


@bug("L3")
def long_sold_before_short() -> None:
    """Legs are left in the order in which they were entered, each for itself."""
    replace_with(steering, "sold_beside", lambda *_: [])

    def leave(turn: Turn, found: Any, reason: str) -> None:
        for leg in sorted(structures.legs_of(turn, found), key=lambda each: -each.side.sign):
            steering.begin_exit(turn, leg.position_id, reason)

    replace_with(structures, "_leave_legs", leave)


@bug("L1")
def sold_before_the_hedge_has_filled() -> None:
    """A sold leg is sent as soon as the bought one was sent."""

    def hopeful(turn: Turn, position_id: str) -> bool:
        return position_id in turn.book.positions

    replace_with(structures, "is_entered", hopeful)


@bug("L1")
def all_legs_at_once() -> None:
    """Sold legs are sent together with the bought ones."""

    def make(send: Any) -> Any:
        def both(turn: Turn, found: Building, side: Side) -> None:
            send(turn, found, side)
            if side is Side.BUY and found.structure_id:
                send(turn, found, Side.SELL)

        return both

    wrap(building, "_send_side", make)


@bug("L4")
def failed_leg_not_unwound() -> None:
    """A leg that came to nothing leaves the others as they are."""
    replace_with(structures, "_failed", lambda *_: ("", ""))


@bug("L4")
def half_a_leg_is_enough() -> None:
    """A leg that has filled in part counts as whole, and nobody waits for the time."""

    def make(failed: Any) -> Any:
        def lenient(turn: Turn, found: Any, legs: Any) -> tuple[str, str]:
            reason, why = failed(turn, found, legs)
            return ("", "") if reason == "leg_failed" and any(leg.entered_quantity for leg in legs) else (reason, why)

        return lenient

    wrap(structures, "_failed", make)


@bug("L4")
def unwound_in_silence() -> None:
    """Nobody is told that an entry of legs was taken back."""

    def make(leave: Any) -> Any:
        def silent(turn: Turn, found: Any, reason: str, why: str = "") -> None:
            before = len(turn.commands)
            leave(turn, found, reason, why)
            kept = [each for each in turn.commands[before:] if "legs are not whole" not in str(each)]
            turn.commands[before:] = kept

        return silent

    wrap(structures, "leave", make)


@bug("L6")
def combined_stop_ignored() -> None:
    """The combined stop of the plan is never taken; what the lock has raised is."""

    def make(due: Any) -> Any:
        def lenient(found: Any, pnl: Decimal) -> Any:
            is_raised = found.stood is not None and found.stop != found.stood.stop
            return due(found if is_raised else replace(found, stop=None), pnl)

        return lenient

    wrap(structures, "due", make)


@bug("L6")
def combined_target_ignored() -> None:
    """The combined target is never taken."""

    def make(due: Any) -> Any:
        return lambda found, pnl: due(replace(found, target=None), pnl)

    wrap(structures, "due", make)


@bug("L6")
def combined_lock_ignored() -> None:
    """The level of the combined P&L never rises."""
    replace_with(structures, "tightened", lambda *_: None)


@bug("L6")
def combined_time_ignored() -> None:
    """Legs are not left at the time that the plan gives for all of them."""

    def make(on_beat: Any) -> Any:
        def timeless(turn: Turn, *, new_minute: bool) -> None:
            held = dict(turn.book.structures)
            for name, each in held.items():
                combined = replace(each.plan.combined, time=None)
                turn.book.structures[name] = replace(each, plan=replace(each.plan, combined=combined))
            on_beat(turn, new_minute=new_minute)
            for name, each in held.items():
                known = turn.book.structures[name]
                turn.book.structures[name] = replace(known, plan=each.plan)

        return timeless

    wrap(structures, "on_beat", make)


@bug("L6")
def sold_legs_gain_when_they_rise() -> None:
    """The combined P&L counts every leg as bought."""

    def wrong(legs: Any, quotes: Any) -> Decimal | None:
        total = ZERO
        for position in legs:
            quote = quotes.get(position.plan.instrument.key)
            if quote is None:
                return None
            total += position.open_quantity * (quote.last - position.entry_price)
        return total

    replace_with(structures, "combined_pnl", wrong)


@bug("L6")
def percent_of_all_premiums() -> None:
    """A percentage is taken of the sum of all premiums, whoever paid them."""

    def make(payoff: Any) -> Any:
        def gross(legs: Any, *, without_cover: bool = False) -> Any:
            legs = tuple(legs)
            total = sum((leg.price * leg.quantity for leg in legs), ZERO)
            return replace(payoff(legs, without_cover=without_cover), premium=total)

        return gross

    wrap(structures, "payoff", make)


@bug("L2")
def margin_not_read_again() -> None:
    """The margin of before the purchase is good enough for the sale."""

    def make(sell: Any) -> Any:
        def hasty(turn: Turn, found: Building) -> None:
            name = found.wish.deployment.name
            known = turn.book.structures.get(found.structure_id)
            if known is not None:
                found.asked = f"{name}|{known.plan.subject}|margin again"
                found.margin = found.margin or MarginRead(asked_by="", total=ZERO, available=ZERO)
            sell(turn, found)

        return hasty

    wrap(building, "_sell_when_bought", make)


@bug("L2")
def margin_ignored() -> None:
    """Whatever the broker says that it blocks, it is sold."""
    replace_with(building, "lacking", lambda turn, read: "")


@bug("L5")
def cover_forgotten() -> None:
    """What covered is kept when nothing is left to be covered."""
    replace_with(structures, "_release_cover", lambda turn, legs: None)


@bug("L1")
def hedge_on_the_wrong_side() -> None:
    """The hedge is looked for among all strikes, also nearer to the money than what it covers."""

    def make(nearest: Any) -> Any:
        return lambda listed, right, known, wanted, fits: nearest(listed, right, known, wanted, lambda _: not fits(_))

    wrap(hedge, "_nearest", make)


@bug("L1")
def sold_leg_without_its_stop() -> None:
    """Legs are entered without the exits of their own."""

    def make(planned_legs: Any) -> Any:
        def bare(turn: Turn, sized: Any, legs: Any) -> Any:
            return tuple(
                replace(each, exits=replace(each.exits, stop=None)) for each in planned_legs(turn, sized, legs)
            )

        return bare

    wrap(building, "_planned_legs", make)


@bug("L8")
def each_leg_is_a_trade() -> None:
    """A structure counts as many trades as it has legs."""

    def make(apply: Any) -> Any:
        def counted(self: Any, event: Any) -> None:
            apply(self, event)
            if isinstance(event, StructurePlanned):
                self.trades_today += len(event.legs) - 1

        return counted

    wrap(Book, "apply", make)


@bug("I8")
def structures_forgotten_at_recovery() -> None:
    """A start remembers positions, and not which of them belong together."""

    def make(recover: Any) -> Any:
        def forgetful(self: Runner, entries: Any) -> None:
            recover(self, entries)
            self.engine.book.structures.clear()

        return forgetful

    wrap(Runner, "recover", make)


@bug("L4")
def old_structures_not_followed() -> None:
    """Only what was entered in this life of the process is followed."""
    mine: set[str] = set()

    def make(plan: Any) -> Any:
        def noted(turn: Turn, found: Building, planned: Any, combined: Any) -> None:
            mine.add(planned[0].position_id)
            plan(turn, found, planned, combined)

        return noted

    def make_follow(follow: Any) -> Any:
        def only_mine(turn: Turn, found: Any, legs: Any) -> None:
            if found.structure_id in mine:
                follow(turn, found, legs)

        return only_mine

    def make_recover(recover: Any) -> Any:
        def begin(self: Runner, entries: Any) -> None:
            mine.clear()
            recover(self, entries)

        return begin

    wrap(building, "_plan", make)
    wrap(structures, "_follow", make_follow)
    wrap(Runner, "recover", make_recover)


@bug("I7")
def halted_between_the_legs() -> None:
    """Sold legs are sent although a person has halted entries meanwhile."""
    replace_with(building, "_why_not", lambda turn, found: "")


@bug("L8")
def never_closed() -> None:
    """What all legs brought is never told."""
    replace_with(structures, "_close", lambda turn, found, legs: None)
