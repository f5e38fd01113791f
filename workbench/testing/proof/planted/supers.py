"""Bugs of entries that go as super orders: what is believed of their legs, and what is placed beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.core import super_order
from workbench.core.engine import pairing, sending, settling, siblings, steering, supers
from workbench.core.engine.turn import Turn
from workbench.core.messages import OrderMoved, OrderSubmitted, PlaceOrder
from workbench.core.order import OrderState, Purpose
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("R13")
def leg_counted_before_it_is_shown() -> None:
    """Legs are taken to rest as soon as their entry has filled, without a word of the broker's."""

    def make(filled: Any) -> Any:
        def believed(turn: Turn, entry: Any) -> None:
            known = set(turn.book.orders)
            filled(turn, entry)
            for name in set(turn.book.orders) - known:
                turn.emit(OrderMoved(correlation_id=name, state=OrderState.WORKING, at=turn.now))

        return believed

    wrap(supers, "entry_filled", make)


@bug("R18")
def lost_leg_not_replaced() -> None:
    """A stop leg that was cancelled alone is waited for without end."""
    wrap(
        supers,
        "other_leg_decides",
        lambda decides: lambda turn, position: decides(turn, position) or supers.has_lost_its_leg(turn, position),
    )


@bug("R1")
def unread_list_counts_as_a_look() -> None:
    """An entry is given up, and may be entered anew, while the list that may show it cannot be read."""
    wrap(
        settling,
        "_absent",
        lambda absent: lambda turn, findings, seen: absent(turn, findings, replace(seen, legs_unread=False)),
    )


@bug("R15")
def exit_beside_both_legs() -> None:
    """An exit leaves at once, and the legs are taken back behind it."""
    replace_with(supers, "waits_no_longer", lambda turn, position: True)


@bug("R15")
def stop_beside_the_leg() -> None:
    """A plain stop is placed as soon as a leg covers less than is held."""

    def make(look_after: Any) -> Any:
        def beside(turn: Turn, position: Any, units: int) -> None:
            stop = turn.book.resting_exit(position.position_id)
            if stop is not None and stop.ticket.leg_of and stop.remaining_quantity < units:
                steering._place_stop(turn, position, units)
            look_after(turn, position, units)

        return beside

    wrap(supers, "look_after", make)


@bug("I5")
def trail_kept_from_the_leg() -> None:
    """The stop leg stays where it was laid, however the stop moves."""

    def make(terms: Any) -> Any:
        def same(position: Any, leg: Any) -> Any:
            return replace(terms(position, leg), trigger_price=leg.ticket.trigger_price)

        return same

    wrap(supers, "stop_terms", make)


@bug("R15")
def legs_kept_after_the_exit() -> None:
    """What is left of a position's legs is not taken back where an exit has ended it."""
    replace_with(siblings, "withdraw_targets", lambda turn, position_id: False)
    wrap(
        sending,
        "cancel",
        lambda cancel: lambda turn, order: None if order.ticket.purpose is Purpose.TARGET else cancel(turn, order),
    )


@bug("R15")
def both_legs_filled_and_kept() -> None:
    """What both legs have sold too much is not bought back."""

    def make(press: Any) -> Any:
        def no_excess(turn: Turn, position: Any, resting: Any) -> None:
            legs = [each for each in turn.book.orders_of(position.position_id) if each.ticket.leg_of]
            if position.open_quantity > 0 or not legs:
                press(turn, position, resting)

        return no_excess

    wrap(steering, "press", make)


@bug("R16")
def rest_of_an_entry_takes_the_legs() -> None:
    """What is left of an entry is taken back with its legs though a part of it has filled."""
    replace_with(sending, "_asks", lambda turn, order: 1)


@bug("R20")
def change_takes_the_other_leg_away() -> None:
    """A change of the stop leg is sent without the target's price, which the broker reads as no target."""

    def make(whole: Any) -> Any:
        def partial(turn: Turn, order: Any, terms: Any) -> Any:
            found = whole(turn, order, terms)
            is_stop = found is not None and order.ticket.purpose is Purpose.STOP
            return replace(found, target_price=found.target_price * 0) if is_stop else found

        return partial

    wrap(sending, "_whole", make)


@bug("R18")
def target_leg_added_again() -> None:
    """Where the target leg is gone a target is sent as an order of its own."""
    replace_with(pairing, "_why_not_again", lambda ended: "")
    wrap(
        pairing,
        "_offer",
        lambda offer: (
            lambda turn, position, units: sending.place(turn, position, Purpose.TARGET, pairing._terms(position, units))
        ),
    )


@bug("R15")
def one_sale_booked_for_both_legs() -> None:
    """A sale under the number that all share is booked for every leg that went to the exchange."""

    def sold(leg: Any, found: Any, trades: Any, *, entered: int) -> Any:
        is_gone = leg.state is OrderState.FILLED or leg.triggered_quantity
        return [each for each in trades if each.order_id == found.entry.order_id and each.side is leg.side and is_gone]

    replace_with(super_order, "_shared", sold)
    replace_with(settling, "counted_once", lambda book, rows: rows)


@bug("I2")
def legs_sent_as_orders() -> None:
    """The legs that the broker has already are sent once more, as orders."""

    def make(filled: Any) -> Any:
        def sent(turn: Turn, entry: Any) -> None:
            before = set(turn.book.orders)
            filled(turn, entry)
            new = [turn.book.orders[name] for name in turn.book.orders if name not in before]
            for leg in new:
                if leg.ticket.purpose is Purpose.STOP:
                    ticket = replace(leg.ticket, leg_of="", correlation_id=turn.correlation_id("S"))
                    turn.emit(OrderSubmitted(ticket=ticket, at=turn.now))
                    turn.command(PlaceOrder(ticket=ticket))

        return sent

    wrap(supers, "entry_filled", make)
