"""Bugs of leaving and protecting: no stop, a loose one, one on the wrong side, nobody who leaves (I5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.core import exit_rules, exits
from workbench.core.engine import beat, day_end, machine, sending, steering, underlying
from workbench.core.engine.turn import Turn
from workbench.core.messages import OrderChangeEnded, Outcome
from workbench.core.order import Purpose
from workbench.core.signal import Side
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("I5")
def no_stop() -> None:
    """No stop is ever placed."""
    replace_with(steering, "_protect", lambda turn, position, resting: None)


@bug("I5")
def trail_that_loosens() -> None:
    """A trailing stop follows the price in both directions."""

    def make(tightened: Any) -> Any:
        def follow(position: Any, peak: Any) -> Any:
            found = tightened(position, peak)
            if found is None or position.stop is None:
                return found
            return position.stop - position.side.sign * (found[0] - position.stop), found[1]

        return follow

    wrap(exits, "tightened_stop", make)


@bug("I5")
def stop_too_far() -> None:
    """The stop lies at twice the distance of the plan."""

    def make(levels: Any) -> Any:
        def wide(rules: Any, side: Side, price: Any, tick: Any) -> Any:
            found = levels(rules, side, price, tick)
            if found.stop is None:
                return found
            return exits.Levels(
                max(tick, found.stop - side.sign * abs(price - found.stop) // tick * tick), found.target
            )

        return wide

    wrap(exits, "levels", make)


@bug("I5")
def stop_on_the_wrong_side() -> None:
    """The stop lies beyond the entry in the direction of the gain."""

    def make(levels: Any) -> Any:
        def flipped(rules: Any, side: Side, price: Any, tick: Any) -> Any:
            return exits.Levels(levels(rules, side.opposite, price, tick).stop, levels(rules, side, price, tick).target)

        return flipped

    wrap(exits, "levels", make)


@bug("R16")
def not_resized() -> None:
    """A stop that rests is left as it is when more of the entry fills."""

    def make(protect: Any) -> Any:
        return lambda turn, position, resting: None if resting is not None else protect(turn, position, resting)

    wrap(steering, "_protect", make)


@bug("I5")
def nobody_warns() -> None:
    """A position whose stop is not answered is no alarm, and nothing is done about it."""
    replace_with(beat, "_warn_of_naked", lambda turn, position: None)


@bug("I5")
def change_believed() -> None:
    """A change of a stop counts as soon as it is asked."""

    def make(change: Any) -> Any:
        def hopeful(turn: Turn, order: Any, terms: Any, purpose: Any) -> None:
            change(turn, order, terms, purpose)
            turn.emit(
                OrderChangeEnded(
                    correlation_id=order.ticket.correlation_id, change=terms, outcome=Outcome.ACCEPTED, at=turn.now
                )
            )

        return hopeful

    wrap(sending, "change", make)


@bug("I5")
def exit_behind_a_gate() -> None:
    """While entries are halted nothing is left either."""

    def make(begin: Any) -> Any:
        def gated(turn: Turn, position_id: str, reason: str) -> None:
            if not turn.book.halted:
                begin(turn, position_id, reason)

        return gated

    wrap(steering, "begin_exit", make)


@bug("R14")
def nobody_chases() -> None:
    """One attempt to leave is made, and nobody looks after it."""
    replace_with(beat, "_chase", lambda turn, position: None)
    replace_with(steering, "TRIES_AT_ONCE", 1)


@bug("R14")
def passed_stop_ignored() -> None:
    """A stop that the market has jumped over is waited for."""
    replace_with(beat, "_passed_stop", lambda turn, position: False)


@bug("R22")
def session_end_ignored() -> None:
    """Nothing is left at the end of the session."""
    replace_with(exits, "due", lambda *_, **__: "")


@bug("I5")
def target_ignored() -> None:
    """A target is never taken."""
    replace_with(exits, "target_reached", lambda position, quote: False)


@bug("R14")
def escalation_backwards() -> None:
    """An exit's limit lies above the bid instead of below it."""

    def make(terms: Any) -> Any:
        def shy(position: Any, quote: Any, total: int, **where: Any) -> Any:
            found = terms(position, quote, total, **where)
            return replace(found, price=found.price * 2) if position.exit_reason != "target" else found

        return shy

    wrap(exits, "leaving_terms", make)


@bug("I7")
def daily_loss_not_latched() -> None:
    """A day's loss beyond the limit halts nothing and leaves nothing."""
    replace_with(beat, "_latch_daily_loss", lambda turn: None)


@bug("S6")
def price_of_nothing_believed() -> None:
    """A quote without a price is taken for a price of zero."""

    def make(on_quote: Any) -> Any:
        def naive(turn: Turn, quote: Any) -> None:
            on_quote(turn, quote)
            if quote.last <= 0:
                turn.desk.quotes[quote.key] = quote
                if quote.key in turn.desk.held:
                    steering.on_quote(turn, quote)

        return naive

    wrap(machine, "_on_quote", make)


@bug("I5")
def carried_and_forgotten() -> None:
    """What was carried over the night is not taken up again."""
    replace_with(day_end, "resume", lambda turn, position: None)


@bug("I7")
def losers_stay() -> None:
    """Every position stays over the night, whatever the plan says."""
    replace_with(day_end, "_why_not_kept", lambda turn, position: "")


@bug("R13")
def one_stop_only() -> None:
    """A refused stop is not placed anew, and the position is not left for it."""
    replace_with(steering, "STOP_TRIES", 10_000)

    def make(protect: Any) -> Any:
        def once(turn: Turn, position: Any, resting: Any) -> None:
            if resting is None and position.stop_failures:
                return
            protect(turn, position, resting)

        return once

    wrap(steering, "_protect", make)
    replace_with(beat, "_warn_of_naked", lambda turn, position: None)


@bug("I5")
def trail_never_moves() -> None:
    """A trailing stop stays where it was laid."""
    replace_with(exit_rules.Trail, "stop", lambda self, entry, peak, sign: None)


@bug("I5")
def lock_never_arms() -> None:
    """A profit lock keeps nothing."""
    replace_with(exit_rules.Lock, "stop", lambda self, entry, peak, sign: None)


@bug("I5")
def lock_gives_back_too_much() -> None:
    """A profit lock keeps half of the share that the plan says."""

    def make(stop: Any) -> Any:
        def loose(self: Any, entry: Any, peak: Any, sign: int) -> Any:
            found = stop(self, entry, peak, sign)
            return None if found is None else (entry + found) / 2

        return loose

    wrap(exit_rules.Lock, "stop", make)


@bug("I5")
def breakeven_never_comes() -> None:
    """A trail that begins after a gain never begins."""

    def make(stop: Any) -> Any:
        return lambda self, entry, peak, sign: None if self.after is not None else stop(self, entry, peak, sign)

    wrap(exit_rules.Trail, "stop", make)


@bug("I5")
def trail_before_its_gain() -> None:
    """A trail that begins after a gain begins at once."""

    def make(stop: Any) -> Any:
        return lambda self, entry, peak, sign: stop(replace(self, after=None), entry, peak, sign)

    wrap(exit_rules.Trail, "stop", make)


@bug("I5")
def trail_too_near() -> None:
    """A trail follows at half of its distance."""

    def make(stop: Any) -> Any:
        def near(self: Any, entry: Any, peak: Any, sign: int) -> Any:
            found = stop(self, entry, peak, sign)
            return None if found is None else (peak + found) / 2

        return near

    wrap(exit_rules.Trail, "stop", make)


@bug("R11")
def trail_without_its_step() -> None:
    """A trail moves the stop by less than its step."""
    replace_with(exits, "_least_step", lambda position, name: position.plan.instrument.tick)


@bug("I5")
def underlying_trail_never_moves() -> None:
    """The stop on the underlying stays where it was laid."""
    replace_with(underlying, "_trail", lambda turn, position: None)


@bug("I5")
def trail_decided_and_not_sent() -> None:
    """The stop is moved in the book, and the broker is never told."""

    def make(change: Any) -> Any:
        def unless_trailed(turn: Turn, order: Any, terms: Any, purpose: Any) -> None:
            position = turn.book.positions[order.ticket.position_id]
            if not (position.was_trailed and purpose is Purpose.STOP):
                change(turn, order, terms, purpose)

        return unless_trailed

    wrap(sending, "change", make)
