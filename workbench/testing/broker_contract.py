"""What every implementation of the Broker port must do, as tests: one suite for the simulator, a fake, another broker.

Use: subclass :class:`BrokerContract` in a test module (the name begins with ``Test``) and define the fixture ``venue``.
The suite needs of a venue only what :class:`BrokerVenue` says; a venue that stands still between calls of `settle`
makes it deterministic.

Invariants under test: one call sends at most one order; four outcomes are told apart; unknown is never empty.
"""

# ruff: noqa: S101 - a published suite asserts, as tests do

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol, TypeVar

import pytest

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.messages import BrokerOrder, Outcome, WriteKind
from workbench.core.money import ZERO, snap_to_tick
from workbench.core.order import OrderChange, OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.ports import Broker
from workbench.core.signal import Side

PATIENCE_S = 5.0
_T = TypeVar("_T")
_numbers = itertools.count(1)


class BrokerVenue(Protocol):
    """A broker under test with a hand on its other side."""

    @property
    def broker(self) -> Broker:
        """The implementation under test."""
        ...

    @property
    def instrument(self) -> Instrument:
        """A liquid derivative that trades now."""
        ...

    def touch(self) -> Quote:
        """Best prices and sizes of the instrument, as the next order will meet them."""
        ...

    def settle(self) -> None:
        """Let what is in flight arrive; the market may move one step."""
        ...

    def true_orders(self, correlation_id: str) -> list[Mapping[str, Any]]:
        """The venue's own record of the orders with that id."""
        ...

    def withhold_next_reply(self) -> None:
        """Take the next order in and never answer."""
        ...

    def lose_next(self, kind: WriteKind, count: int) -> None:
        """Let the next writes of that kind end without a clear answer; they are not taken in."""
        ...

    def throttle_next(self, kind: WriteKind) -> None:
        """Refuse the next write of that kind for its pace alone."""
        ...

    def lag_look_up_of_next_order(self) -> None:
        """Let the look-up by correlation id not know the next order for a while."""
        ...

    def break_next_read(self, path: str) -> None:
        """Answer the next read of that REST path ("/positions") with a server error, also when it is asked again."""
        ...

    def deserted(self) -> Broker:
        """The same implementation, pointed at a port on which nobody listens."""
        ...


class BrokerContract:
    """The suite; a subclass gives the fixture ``venue``."""

    def test_an_accepted_order_stands_in_the_book_under_its_correlation_id(self, venue: BrokerVenue) -> None:
        """A resting order is found by either id and in the snapshot."""
        ticket = resting(venue)
        reply = venue.broker.place(ticket)
        assert reply.outcome is Outcome.ACCEPTED
        assert reply.order_id
        seen = wait_for_state(venue, reply.order_id, OrderState.WORKING)
        assert (seen.correlation_id, seen.quantity, seen.side) == (ticket.correlation_id, ticket.quantity, Side.BUY)
        assert (seen.price, seen.filled_quantity) == (ticket.price, 0)
        assert (seen.segment, seen.security_id) == (venue.instrument.segment.value, venue.instrument.security_id)
        assert eventually(venue, lambda: venue.broker.order_by_correlation(ticket.correlation_id)) == seen
        assert seen in venue.broker.snapshot().orders

    def test_a_fill_is_told_by_order_trade_position_and_funds(self, venue: BrokerVenue) -> None:
        """What was bought is the same in every part of the snapshot."""
        ticket = marketable(venue, venue.instrument.lot)
        before = venue.broker.snapshot()
        reply = venue.broker.place(ticket)
        order = wait_for_state(venue, reply.order_id, OrderState.FILLED)
        assert order.filled_quantity == ticket.quantity
        assert ZERO < order.average_price <= ticket.price
        after = venue.broker.snapshot()
        assert before.known and after.known
        fills = [trade for trade in after.trades if trade.order_id == reply.order_id]
        assert sum(fill.quantity for fill in fills) == ticket.quantity
        value = sum((fill.price * fill.quantity for fill in fills), ZERO)
        assert abs(value / ticket.quantity - order.average_price) < Decimal("0.01")
        assert _net(after, venue) - _net(before, venue) == ticket.quantity
        assert after.available_funds is not None and before.available_funds is not None
        assert after.available_funds < before.available_funds

    def test_an_order_larger_than_the_touch_is_filled_in_part(self, venue: BrokerVenue) -> None:
        """The filled part is counted while the rest stands."""
        lot = venue.instrument.lot
        ticket = marketable(venue, venue.touch().ask_quantity + lot)
        reply = venue.broker.place(ticket)
        seen = eventually(venue, lambda: _filled(venue.broker.order(reply.order_id)))
        assert seen.state is OrderState.PARTLY_FILLED
        assert 0 < seen.filled_quantity < ticket.quantity
        assert seen.filled_quantity % lot == 0
        trades = [trade for trade in venue.broker.snapshot().trades if trade.order_id == reply.order_id]
        assert sum(trade.quantity for trade in trades) == seen.filled_quantity

    def test_a_stop_rests_with_its_trigger_and_does_not_fill(self, venue: BrokerVenue) -> None:
        """A stop-limit below the market waits."""
        touch, tick = venue.touch(), venue.instrument.tick
        trigger = snap_to_tick(touch.bid * Decimal("0.7"), tick)
        ticket = order_ticket(venue, Side.SELL, OrderType.STOP_LIMIT, price=trigger - 10 * tick, trigger=trigger)
        wait_for_state(venue, venue.broker.place(marketable(venue, venue.instrument.lot)).order_id, OrderState.FILLED)
        reply = venue.broker.place(ticket)
        seen = wait_for_state(venue, reply.order_id, OrderState.WORKING)
        assert (seen.trigger_price, seen.price, seen.filled_quantity) == (trigger, ticket.price, 0)

    def test_a_modification_changes_the_terms_of_the_same_order(self, venue: BrokerVenue) -> None:
        """`quantity` of a change is the total."""
        ticket = resting(venue)
        order_id = venue.broker.place(ticket).order_id
        wait_for_state(venue, order_id, OrderState.WORKING)
        price = ticket.price + 2 * venue.instrument.tick
        change = OrderChange(order_type=OrderType.LIMIT, quantity=2 * ticket.quantity, price=price)
        reply = venue.broker.modify(order_id, ticket, change)
        assert (reply.outcome, reply.order_id) == (Outcome.ACCEPTED, order_id)
        seen = eventually(venue, lambda: _with_price(venue.broker.order(order_id), price))
        assert (seen.quantity, seen.correlation_id) == (2 * ticket.quantity, ticket.correlation_id)
        assert len(venue.true_orders(ticket.correlation_id)) == 1

    def test_a_cancelled_order_is_gone_and_a_second_cancel_is_refused_with_a_reason(self, venue: BrokerVenue) -> None:
        """Nothing to cancel is a rejection, not an unknown end."""
        order_id = venue.broker.place(resting(venue)).order_id
        wait_for_state(venue, order_id, OrderState.WORKING)
        assert venue.broker.cancel(order_id).outcome is Outcome.ACCEPTED
        wait_for_state(venue, order_id, OrderState.CANCELLED)
        again = venue.broker.cancel(order_id)
        assert again.outcome is Outcome.REJECTED
        assert again.reason

    @pytest.mark.parametrize("fault", ["lot", "tick", "trigger", "tag", "freeze"])
    def test_r20_an_order_that_breaks_a_rule_does_not_leave(self, venue: BrokerVenue, fault: str) -> None:
        """It is refused here, with a reason, and the broker never hears of it."""
        instrument = venue.instrument
        good = resting(venue)
        half_a_tick = instrument.tick / 2
        ticket = {
            "lot": replace(good, quantity=instrument.lot + 1),
            "tick": replace(good, price=good.price + half_a_tick),
            "trigger": replace(
                good, order_type=OrderType.STOP_LIMIT, price=2 * good.price, trigger_price=good.price + half_a_tick
            ),
            "tag": replace(good, correlation_id="x" * 26),
            "freeze": replace(good, instrument=replace(instrument, freeze=instrument.lot), quantity=2 * instrument.lot),
        }[fault]
        reply = venue.broker.place(ticket)
        assert (reply.outcome, bool(reply.reason), reply.throttled) == (Outcome.NOT_SENT, True, False)
        assert venue.true_orders(ticket.correlation_id) == []

    def test_r16_the_rest_of_a_partly_filled_order_can_be_cancelled_and_the_fill_stays(
        self, venue: BrokerVenue
    ) -> None:
        """Cancelled is not unfilled."""
        ticket = marketable(venue, venue.touch().ask_quantity + venue.instrument.lot)
        reply = venue.broker.place(ticket)
        eventually(venue, lambda: _filled(venue.broker.order(reply.order_id)))
        venue.broker.cancel(reply.order_id)
        seen = eventually(venue, lambda: _done(venue.broker.order(reply.order_id)))
        trades = [trade for trade in venue.broker.snapshot().trades if trade.order_id == reply.order_id]
        assert seen.state in (OrderState.CANCELLED, OrderState.FILLED)
        assert 0 < sum(trade.quantity for trade in trades) == seen.filled_quantity <= ticket.quantity

    @pytest.mark.parametrize("write", ["modify", "cancel"])
    def test_r10_a_change_that_crosses_the_fill_is_refused_and_the_fill_stands(
        self, venue: BrokerVenue, write: str
    ) -> None:
        """Too late is a rejection with a reason, not an unknown end, and does not touch what was filled."""
        ticket = marketable(venue, venue.instrument.lot)
        order_id = venue.broker.place(ticket).order_id
        wait_for_state(venue, order_id, OrderState.FILLED)
        if write == "modify":
            change = OrderChange(order_type=OrderType.LIMIT, quantity=ticket.quantity, price=ticket.price)
            reply = venue.broker.modify(order_id, ticket, change)
        else:
            reply = venue.broker.cancel(order_id)
        assert (reply.outcome, bool(reply.reason), reply.throttled) == (Outcome.REJECTED, True, False)
        assert wait_for_state(venue, order_id, OrderState.FILLED).filled_quantity == ticket.quantity

    def test_r2_a_write_refused_for_its_pace_says_so_and_may_be_sent_later(self, venue: BrokerVenue) -> None:
        """It was not taken in, so the same wish can be carried out a moment later."""
        ticket = resting(venue)
        venue.throttle_next(WriteKind.PLACE)
        reply = venue.broker.place(ticket)
        assert (reply.outcome, reply.throttled) == (Outcome.REJECTED, True)
        assert venue.true_orders(ticket.correlation_id) == []
        again = venue.broker.place(ticket)
        assert (again.outcome, again.throttled) == (Outcome.ACCEPTED, False)
        assert len(venue.true_orders(ticket.correlation_id)) == 1

    def test_r2_an_exit_goes_on_after_a_refused_pace(self, venue: BrokerVenue) -> None:
        """What lessens risk is tried again at once."""
        order_id = venue.broker.place(resting(venue)).order_id
        wait_for_state(venue, order_id, OrderState.WORKING)
        venue.throttle_next(WriteKind.CANCEL)
        assert venue.broker.cancel(order_id).throttled
        assert venue.broker.cancel(order_id).outcome is Outcome.ACCEPTED

    def test_r3_after_unclear_writes_entries_wait_for_an_answered_read(self, venue: BrokerVenue) -> None:
        """Five unclear ends in a row: no sixth order is risked until the broker is heard again."""
        venue.lose_next(WriteKind.PLACE, 5)
        assert [venue.broker.place(resting(venue)).outcome for _ in range(5)] == [Outcome.UNKNOWN] * 5
        ticket = resting(venue)
        reply = venue.broker.place(ticket)
        assert (reply.outcome, bool(reply.reason), reply.throttled) == (Outcome.NOT_SENT, True, False)
        assert venue.broker.snapshot().known
        assert venue.broker.place(ticket).outcome is Outcome.ACCEPTED

    def test_r3_exits_keep_trying_while_entries_wait(self, venue: BrokerVenue) -> None:
        """The way out is never barred by our own caution."""
        order_id = venue.broker.place(resting(venue)).order_id
        wait_for_state(venue, order_id, OrderState.WORKING)
        venue.lose_next(WriteKind.PLACE, 5)
        venue.lose_next(WriteKind.CANCEL, 1)
        for _ in range(5):
            venue.broker.place(resting(venue))
        assert venue.broker.place(resting(venue)).outcome is Outcome.NOT_SENT
        assert venue.broker.cancel(order_id).outcome is Outcome.UNKNOWN
        assert venue.broker.cancel(order_id).outcome is Outcome.ACCEPTED

    def test_r1_a_late_reply_is_not_taken_for_the_next_one(self, venue: BrokerVenue) -> None:
        """Each answer belongs to its own order."""
        first, second = resting(venue), resting(venue)
        venue.withhold_next_reply()
        assert venue.broker.place(first).outcome is Outcome.UNKNOWN
        reply = venue.broker.place(second)
        assert reply.outcome is Outcome.ACCEPTED
        seen = eventually(venue, lambda: venue.broker.order(reply.order_id))
        assert seen.correlation_id == second.correlation_id

    def test_r1_a_look_up_that_lags_is_no_proof_of_absence(self, venue: BrokerVenue) -> None:
        """The order is there though the look-up by our id does not know it yet."""
        ticket = resting(venue)
        venue.lag_look_up_of_next_order()
        reply = venue.broker.place(ticket)
        assert venue.broker.order_by_correlation(ticket.correlation_id) is None
        assert reply.order_id in [order.order_id for order in venue.broker.snapshot().orders]
        found = eventually(venue, lambda: venue.broker.order_by_correlation(ticket.correlation_id))
        assert found.order_id == reply.order_id

    def test_nobody_listening_is_not_sent(self, venue: BrokerVenue) -> None:
        """No connection, so no byte left: safe to decide anew. A snapshot is unknown, never flat."""
        nobody = venue.deserted()
        for reply in (nobody.place(resting(venue)), nobody.cancel("1")):
            assert reply.outcome is Outcome.NOT_SENT
            assert reply.reason
        snapshot = nobody.snapshot()
        assert not snapshot.known
        assert snapshot.reason

    def test_r1_an_unanswered_order_is_unknown_is_there_and_is_there_once(self, venue: BrokerVenue) -> None:
        """The reply was lost, the order was not: it is found by our id."""
        ticket = resting(venue)
        venue.withhold_next_reply()
        reply = venue.broker.place(ticket)
        assert (reply.outcome, reply.order_id) == (Outcome.UNKNOWN, "")
        found = eventually(venue, lambda: venue.broker.order_by_correlation(ticket.correlation_id))
        assert found.correlation_id == ticket.correlation_id
        snapshot = venue.broker.snapshot()
        assert [order.order_id for order in snapshot.orders if order.correlation_id == ticket.correlation_id] == [
            found.order_id
        ]
        assert len(venue.true_orders(ticket.correlation_id)) == 1

    @pytest.mark.parametrize("path", ["/orders", "/trades/", "/positions"])
    def test_a_snapshot_with_an_unreadable_part_is_unknown(self, venue: BrokerVenue, path: str) -> None:
        """One part that fails makes the whole unknown; the next reading is whole again."""
        venue.break_next_read(path)
        broken = venue.broker.snapshot()
        assert not broken.known
        assert broken.reason
        assert venue.broker.snapshot().known

    def test_a_snapshot_whose_funds_are_unreadable_is_known_without_them(self, venue: BrokerVenue) -> None:
        """Exits wait for a known snapshot, and none of them needs funds."""
        venue.break_next_read("/fundlimit")
        broken = venue.broker.snapshot()
        assert (broken.known, broken.available_funds) == (True, None)
        assert venue.broker.snapshot().available_funds is not None

    def test_ids_that_the_broker_does_not_know_give_none(self, venue: BrokerVenue) -> None:
        """A look-up without a find is no error."""
        assert venue.broker.order("999999999999") is None
        assert venue.broker.order_by_correlation(new_id()) is None


def new_id() -> str:
    """A correlation id that was never used."""
    return f"t{os.getpid()}-{next(_numbers)}-{time.time_ns() % 10**9}"[:25]


def order_ticket(
    venue: BrokerVenue,
    side: Side,
    order_type: OrderType,
    *,
    price: Decimal,
    trigger: Decimal = ZERO,
    quantity: int | None = None,
) -> OrderTicket:
    """Give a ticket on the venue's instrument, one lot by default."""
    correlation_id = new_id()
    return OrderTicket(
        correlation_id=correlation_id,
        intent_id=correlation_id,
        position_id="p1",
        deployment="contract",
        purpose=Purpose.STOP if order_type is OrderType.STOP_LIMIT else Purpose.ENTRY,
        instrument=venue.instrument,
        side=side,
        quantity=venue.instrument.lot if quantity is None else quantity,
        order_type=order_type,
        product=Product.INTRADAY,
        price=price,
        trigger_price=trigger,
    )


def resting(venue: BrokerVenue, *, quantity: int | None = None) -> OrderTicket:
    """A buy that is too low to fill and within the band."""
    price = snap_to_tick(venue.touch().bid * Decimal("0.9"), venue.instrument.tick)
    return order_ticket(venue, Side.BUY, OrderType.LIMIT, price=price, quantity=quantity)


def marketable(venue: BrokerVenue, quantity: int) -> OrderTicket:
    """A buy that fills at once, as far as the touch holds."""
    price = snap_to_tick(venue.touch().ask * Decimal("1.03"), venue.instrument.tick)
    return order_ticket(venue, Side.BUY, OrderType.LIMIT, price=price, quantity=quantity)


def eventually(venue: BrokerVenue, look: Callable[[], _T | None]) -> _T:
    """Give what `look` finds, letting the venue settle between two looks."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"nothing found in {PATIENCE_S:g} s"
        venue.settle()
    return found


def wait_for_state(venue: BrokerVenue, order_id: str, state: OrderState) -> BrokerOrder:
    """Give the order once it is in that state."""

    def look() -> BrokerOrder | None:
        order = venue.broker.order(order_id)
        return order if order is not None and order.state is state else None

    return eventually(venue, look)


def _filled(order: BrokerOrder | None) -> BrokerOrder | None:
    return order if order is not None and order.filled_quantity else None


def _done(order: BrokerOrder | None) -> BrokerOrder | None:
    return order if order is not None and order.state.is_done else None


def _with_price(order: BrokerOrder | None, price: Decimal) -> BrokerOrder | None:
    return order if order is not None and order.price == price else None


def _net(snapshot: Any, venue: BrokerVenue) -> int:
    return sum(
        position.net_quantity for position in snapshot.positions if position.security_id == venue.instrument.security_id
    )
