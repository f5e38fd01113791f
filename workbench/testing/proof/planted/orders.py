"""Bugs on the way of an order: sent unwritten, sent twice, too much, too often (I1, I2, I4)."""

from __future__ import annotations

from typing import Any

from workbench.core import exits
from workbench.core.engine import orders, sending, settling, slicing, steering
from workbench.core.engine.turn import Slice, Turn
from workbench.core.messages import CancelAsked, Event, OrderChangeAsked, OrderMoved, Outcome, PlaceOrder
from workbench.core.order import OrderState, Purpose
from workbench.live.runner import Runner
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("I1")
def send_before_the_disk() -> None:
    """Commands leave before their events are on the disk."""

    def make(keep: Any) -> Any:
        def eager(self: Runner, entry: Any, release: Any) -> None:
            release.durable = True
            self._release()
            keep(self, entry, release)

        return eager

    wrap(Runner, "_keep", make)


def _unwritten(kind: type) -> None:
    def make(emit: Any) -> Any:
        def forgetful(self: Turn, event: Event) -> None:
            if isinstance(event, kind):
                self.book.apply(event)
            else:
                emit(self, event)

        return forgetful

    wrap(Turn, "emit", make)


@bug("I1")
def change_not_journalled() -> None:
    """A modification leaves without its event in the journal."""
    _unwritten(OrderChangeAsked)


@bug("I1")
def cancel_not_journalled() -> None:
    """A cancellation leaves without its event in the journal."""
    _unwritten(CancelAsked)


@bug("I2")
def blind_resend() -> None:
    """An order without an answer is sent again."""

    def make(placed: Any) -> Any:
        def resend(turn: Turn, order: Any, answer: Any) -> None:
            placed(turn, order, answer)
            if answer.outcome is Outcome.UNKNOWN:
                turn.command(PlaceOrder(ticket=order.ticket))

        return resend

    wrap(orders, "_placed", make)


@bug("I2")
def recovery_sends_again() -> None:
    """A start sends what was under way when the process died."""

    def make(settle: Any) -> Any:
        def resend(turn: Turn) -> None:
            waiting = [each for each in turn.book.orders.values() if each.state is OrderState.SUBMITTED]
            settle(turn)
            for order in waiting:
                turn.command(PlaceOrder(ticket=order.ticket))

        return resend

    wrap(settling, "settle_after_recovery", make)


@bug("I2")
def numbers_used_twice() -> None:
    """The running number of an order counts what rests, not what was ever sent."""

    def name(self: Turn, letter: str) -> str:
        resting = sum(each.state.may_rest for each in self.book.orders.values())
        return f"{self.config.id_prefix}{self.day:%y%m%d}{resting + 1:05d}{letter}"

    replace_with(Turn, "correlation_id", name)


@bug("I4")
def unknown_is_rejected() -> None:
    """An unanswered order is taken for a rejected one."""
    orders._OUTCOMES[Outcome.UNKNOWN] = OrderState.REJECTED


@bug("I4")
def given_up_at_once() -> None:
    """An unanswered exit is given up at the first look that misses it."""
    replace_with(settling, "ABSENT_LOOKS", 1)
    replace_with(settling, "EXIT_ABSENT_S", 0)


@bug("I4")
def flipped_oco() -> None:
    """The exit is placed beside the resting stop instead of out of it."""

    def make(press: Any) -> Any:
        return lambda turn, position, resting: press(turn, position, None)

    wrap(steering, "press", make)


@bug("I4")
def whole_quantity_again() -> None:
    """What is left of a partial exit is left in the full quantity of the plan."""
    replace_with(steering, "leavable", lambda turn, position: position.plan.quantity)


@bug("I4")
def stop_for_what_is_hoped() -> None:
    """The stop of a partly filled entry holds the quantity of the whole entry."""

    def make(terms: Any) -> Any:
        return lambda position, total: terms(position, max(total, position.plan.quantity))

    wrap(exits, "stop_terms", make)


@bug("I4")
def cancel_believed() -> None:
    """A cancellation counts as soon as it is asked."""

    def make(cancel: Any) -> Any:
        def hopeful(turn: Turn, order: Any) -> None:
            cancel(turn, order)
            key = order.ticket.correlation_id
            if key in turn.book.cancels_pending:
                turn.emit(OrderMoved(correlation_id=key, state=OrderState.CANCELLED, at=turn.now))

        return hopeful

    wrap(sending, "cancel", make)


@bug("I4")
def orders_left_behind() -> None:
    """An order that rests is never taken back."""
    replace_with(sending, "cancel", lambda turn, order: None)


@bug("R19")
def freeze_ignored() -> None:
    """An entry is never divided by the freeze quantity."""
    replace_with(slicing, "slices_of", lambda plan, instrument, units: (Slice(units, plan),))


@bug("R20")
def off_the_tick() -> None:
    """The limit of an entry is not snapped to the tick."""
    replace_with(slicing, "snap_to_tick", lambda price, tick, rounding=None: price)


@bug("R20")
def limit_before_trigger() -> None:
    """The limit of a stop lies on the wrong side of its trigger."""

    def make(beyond: Any) -> Any:
        def inverted(side: Any, price: Any, percent: Any, tick: Any) -> Any:
            return beyond(side.opposite if percent == exits.STOP_BUFFER_PCT else side, price, percent, tick)

        return inverted

    wrap(exits, "_beyond", make)


@bug("I7")
def out_of_hours() -> None:
    """Orders leave while the market is closed."""
    replace_with(steering, "market_trades", lambda turn, position: True)


@bug("R11")
def changes_without_end() -> None:
    """The count of modifications that the broker takes is not kept."""
    replace_with(steering, "MODIFICATIONS_AT_MOST", 10_000)


@bug("I5")
def stop_on_the_side_of_the_entry() -> None:
    """The stop buys what it should sell."""

    def make(place: Any) -> Any:
        def wrong(turn: Turn, position: Any, purpose: Purpose, terms: Any) -> None:
            before = len(turn.commands)
            place(turn, position, purpose, terms)
            for command in turn.commands[before:]:
                if isinstance(command, PlaceOrder) and purpose is Purpose.STOP:
                    object.__setattr__(command.ticket, "side", command.ticket.side.opposite)

        return wrong

    wrap(sending, "place", make)
