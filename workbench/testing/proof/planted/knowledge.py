"""Bugs of what is known: fills counted twice or not at all, unknown read as flat, a person's trades not seen (I3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from workbench.core.book import Book
from workbench.core.engine import orders, settling
from workbench.core.engine.turn import Turn
from workbench.core.order import Purpose
from workbench.core.reconcile import Findings
from workbench.testing.proof.planted.registry import bug, replace_with, wrap


@bug("S1")
def fill_counted_twice() -> None:
    """A doubled or later update books its whole quantity again."""

    def make(book_fill: Any) -> Any:
        def greedy(turn: Turn, order: Any, seen: Any, fresh: int) -> None:
            book_fill(turn, order, seen, seen.filled_quantity)

        return greedy

    wrap(orders, "_book_fill", make)


@bug("I3")
def unknown_read_as_flat() -> None:
    """A snapshot that could not be read is taken for an empty one."""

    def make(on_snapshot: Any) -> Any:
        return lambda turn, snapshot: on_snapshot(turn, replace(snapshot, known=True))

    wrap(settling, "on_snapshot", make)


@bug("I3")
def snapshot_not_folded() -> None:
    """What a snapshot tells of our orders is not taken over."""
    replace_with(settling, "compare_orders", lambda book, snapshot: Findings(updates=(), absent=(), foreign=()))


@bug("I3")
def average_as_price() -> None:
    """Each part of a fill is booked at the average of all parts."""

    def make(book_fill: Any) -> Any:
        def naive(turn: Turn, order: Any, seen: Any, fresh: int) -> None:
            told = replace(seen, last_fill_price=seen.average_price, average_price=Decimal(0))
            book_fill(turn, order, told, fresh)

        return naive

    wrap(orders, "_book_fill", make)


@bug("I3")
def gross_without_the_first_fill() -> None:
    """The P&L of a position leaves its first fill out."""
    from workbench.core.position import Position  # a bug in the class itself

    def make(gross_at: Any) -> Any:
        def short(self: Position, price: Any) -> Any:
            first = self.fills[:1]
            return gross_at(self, price) + sum(each.side.sign * each.quantity * each.price for each in first) // 100

        return short

    wrap(Position, "gross_at", make)


@bug("R1")
def late_fill_not_believed() -> None:
    """A fill of an order that was given up is not believed."""

    def make(fold: Any) -> Any:
        def stubborn(turn: Turn, order: Any, seen: Any) -> None:
            if not order.state.is_done:
                fold(turn, order, seen)

        return stubborn

    wrap(orders, "fold", make)


@bug("I3")
def frozen_for_a_moment() -> None:
    """A difference that is only a matter of time freezes the account."""
    replace_with(settling, "CONFIRM_S", 0)
    replace_with(settling, "in_flight", lambda book, contract: False)


@bug("R23")
def hand_not_seen() -> None:
    """That the broker holds less than our book says holds no exit back."""
    replace_with(settling, "_short", lambda turn, snapshot: {})


@bug("I3")
def differences_not_named() -> None:
    """Differences between the books are never found."""
    replace_with(settling, "compare_positions", lambda book, snapshot: ())


@bug("I3")
def part_of_an_entry_forgotten() -> None:
    """A position of one group hides the others of the same deployment from the books."""

    def make(net: Any) -> Any:
        def short(self: Book) -> Any:
            found = net(self)
            for position in self.positions.values():
                if position.plan.group:
                    instrument = position.plan.instrument
                    key = (instrument.segment.value, instrument.security_id)
                    found[key] = found.get(key, 0) - position.side.sign * position.open_quantity
            return found

        return short

    wrap(Book, "net_by_instrument", make)


@bug("I3")
def freezes_at_once() -> None:
    """A difference between the books freezes the account without having stood."""
    replace_with(settling, "CONFIRM_S", 0)


@bug("I3")
def younger_fills_not_waited_for() -> None:
    """A list of positions that lags behind one fill, and then behind the next, is taken for one difference."""
    replace_with(settling, "_last_traded", lambda turn, contract, earliest: earliest)


@bug("R23")
def never_freezes() -> None:
    """A difference between the books is seen and never taken for real."""
    replace_with(settling, "CONFIRM_S", 10**6)
    replace_with(settling, "STANDS_S", 10**6)


@bug("R1")
def failed_look_ups_counted() -> None:
    """A question about an order that ended in an error counts as one that found no order."""

    def make(on_snapshot: Any) -> Any:
        return lambda turn, snapshot: on_snapshot(turn, replace(snapshot, not_looked_up=()))

    wrap(settling, "on_snapshot", make)


@bug("R1")
def lost_exits_given_up_unasked() -> None:
    """While look-ups fail an exit is given up early, whatever the positions say that it has sold."""

    def make(_: Any) -> Any:
        return lambda turn, order, snapshot, short: order.ticket.purpose is Purpose.EXIT

    wrap(settling, "_shows_all", make)


@bug("I5")
def lost_exits_looked_for_as_entries() -> None:
    """While look-ups fail an exit is looked for half a minute, though all that it was to sell is there."""
    replace_with(settling, "EXIT_HELD_S", settling.ENTRY_ABSENT_S)


@bug("R1")
def never_given_up() -> None:
    """An order that nobody ever saw is looked for without end."""
    replace_with(settling, "ABSENT_LOOKS", 10**6)


@bug("R1")
def failed_look_ups_awaited_without_end() -> None:
    """While the question about an order ends in an error the order is not given up, however long."""

    def make(absent: Any) -> Any:
        def patient(turn: Turn, findings: Any, snapshot: Any) -> Any:
            lost = set(snapshot.not_looked_up)
            kept = tuple(each for each in findings.absent if each.ticket.correlation_id not in lost)
            return absent(turn, replace(findings, absent=kept), snapshot)

        return patient

    wrap(settling, "_absent", make)
