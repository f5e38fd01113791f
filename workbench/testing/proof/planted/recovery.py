"""Bugs of a restart and of a new day: something is forgotten, decided again, or told otherwise (I8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from workbench.core.engine import beat, carrying, machine, postponing, settling
from workbench.core.engine.turn import Desk
from workbench.core.messages import AlertReceived, OrderMoved, SignalRaised
from workbench.core.order import OrderState
from workbench.live.runner import Runner
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("I8")
def recovery_decides_again() -> None:
    """A start hands the last alerts and signals to the engine again."""

    def make(recover: Any) -> Any:
        def again(self: Runner, entries: Any) -> None:
            recover(self, entries)
            asked = [each.message for each in entries if isinstance(each.message, AlertReceived | SignalRaised)]
            self._queue.extend((message, None) for message in asked[-3:])

        return again

    wrap(Runner, "recover", make)


@bug("I8")
def last_entry_forgotten() -> None:
    """A start leaves the last entry of the journal out."""

    def make(recover: Any) -> Any:
        return lambda self, entries: recover(self, entries[:-1])

    wrap(Runner, "recover", make)


@bug("I8")
def nothing_recovered() -> None:
    """A start begins with an empty book."""
    replace_with(Runner, "recover", lambda self, entries: None)


@bug("I8")
def under_way_forgotten() -> None:
    """What was under way when the process died stays under way for ever."""
    replace_with(settling, "settle_after_recovery", lambda turn: None)


@bug("I9")
def waiting_entry_forgotten() -> None:
    """An entry that waits dies with the process, and nothing is said of it, not on the next day either."""
    replace_with(postponing, "take_up", lambda turn: None)
    replace_with(postponing, "forgotten", lambda turn: [])


@bug("I8")
def halt_forgotten_over_night() -> None:
    """A person's halt ends with the day."""
    replace_with(carrying, "DAILY_LOSS", "operator")


@bug("I8")
def night_forgets_positions() -> None:
    """What is carried over the night is not told again on the new day."""
    replace_with(carrying, "_retold", lambda book, position, turn: iter(()))


@bug("I4")
def sold_before_the_first_look() -> None:
    """After a start, and over a night, what stands in the book is left before the broker's word on it is known."""
    replace_with(Desk, "await_word", lambda self, since=None, position_ids=None: None)


@bug("I4")
def open_slept_over() -> None:
    """Who slept over the open of a day that was opened before takes the book for the broker's word."""
    replace_with(machine, "SLEPT", timedelta.max)


@bug("I4")
def squared_off_unasked() -> None:
    """Who comes back after the broker's own square-off leaves what the book holds, without his word on it."""
    replace_with(Desk, "has_word", lambda self, begun, arrived: True)


@bug("I4")
def old_word_on_the_square_off() -> None:
    """A look of the first seconds of the broker's own square-off is believed until the close."""
    replace_with(machine, "WORD_LASTS", timedelta(hours=8))


@bug("I3")
def late_opening_forgets_orders() -> None:
    """A day that is opened after its market takes the orders of that morning for expired."""

    def make(retold: Any) -> Any:
        def forgetful(book: Any, order: Any, turn: Any) -> Any:
            for event in retold(book, order, turn):
                rests = isinstance(event, OrderMoved) and event.state.may_rest
                yield replace(event, state=OrderState.EXPIRED) if rests else event

        return forgetful

    wrap(carrying, "_order_retold", make)


@bug("I8")
def state_outside_of_events() -> None:
    """A trade is counted in the book without an event."""

    def make(on_beat: Any) -> Any:
        def leaky(turn: Any) -> None:
            on_beat(turn)
            turn.book.trades_today += bool(turn.events)

        return leaky

    wrap(beat, "on_beat", make)
