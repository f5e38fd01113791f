"""The broker of a replay: takes the engine's commands, matches them on quotes, answers in the broker's words.

An order that arrives on a quote may match on it; after a minute's end the last quote is stale, and an order that
arrives then waits for the next one.

Invariant: fills come from `workbench.core.matching` alone, the same that the simulator fills with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.matching import MatchBook, MatchFill, RestingOrder, arrive, step
from workbench.core.messages import (
    BrokerOrder,
    CancelOrder,
    ChainQuote,
    ChainRead,
    Command,
    MarginRead,
    Message,
    ModifyOrder,
    Notify,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    ReadChain,
    ReadMargin,
    Subscribe,
    TakeSnapshot,
    Unsubscribe,
    WriteAnswered,
    WriteKind,
)
from workbench.core.money import ZERO
from workbench.core.order import OrderState, OrderTicket
from workbench.core.signal import Side


@dataclass(slots=True)
class _Known:
    """An order as the venue knows it."""

    ticket: OrderTicket
    order_id: str
    quantity: int
    filled: int = 0
    value: Decimal = ZERO
    state: OrderState = OrderState.WORKING

    def told(self, price: Decimal = ZERO) -> BrokerOrder:
        """Say it in the broker's words; `price` is that of the newest execution."""
        instrument = self.ticket.instrument
        return BrokerOrder(
            order_id=self.order_id,
            correlation_id=self.ticket.correlation_id,
            state=self.state,
            segment=instrument.segment.value,
            security_id=instrument.security_id,
            side=self.ticket.side,
            quantity=self.quantity,
            filled_quantity=self.filled,
            average_price=self.value / self.filled if self.filled else ZERO,
            last_fill_price=price,
        )


NAKED_MARGIN_PCT = Decimal(14)
"""What a sold option blocks that nothing covers, percent of its strike's value: near what brokers asked since 2021."""


def modelled_margin(tickets: Iterable[OrderTicket]) -> Decimal:
    """Give what orders block together by a model, rupees: no history tells what a broker asked on a day.

    What is bought blocks its price. What is sold blocks a share of its strike's value, or no more than the distance to
    a bought one of its type and quantity beyond it.
    """
    orders = list(tickets)
    bought = [each for each in orders if each.side is Side.BUY]
    total = sum((each.price * each.quantity for each in bought), ZERO)
    covers = list(bought)
    for sold in (each for each in orders if each.side is Side.SELL):
        strike = sold.instrument.strike or sold.price
        blocked = strike * sold.quantity * NAKED_MARGIN_PCT / 100
        for cover in covers:
            same = cover.instrument.right is sold.instrument.right and cover.instrument.expiry == sold.instrument.expiry
            if same and cover.quantity >= sold.quantity and cover.instrument.strike is not None:
                blocked = min(blocked, abs(cover.instrument.strike - strike) * sold.quantity)
                covers.remove(cover)
                break
        total += blocked
    return total


@dataclass(slots=True)
class Venue:
    """Order books of all instruments of a replay, and who is subscribed to what.

    `chain` prices all options of an expiry now; `free` are free funds where the engine's own book does not follow them.
    """

    books: dict[str, MatchBook] = field(default_factory=dict)
    subscribed: dict[str, Instrument] = field(default_factory=dict)
    told: list[Notify] = field(default_factory=list)
    chain: Callable[[ReadChain], tuple[ChainQuote, ...]] = lambda _: ()
    free: Decimal | None = None
    _orders: dict[str, _Known] = field(default_factory=dict)
    _sequence: int = 0

    def carry_out(self, command: Command) -> Sequence[Message]:
        """Do what the engine asks and give the answers, in order."""
        match command:
            case PlaceOrder():
                return self._place(command.ticket)
            case ModifyOrder():
                return self._modify(command)
            case CancelOrder():
                return self._cancel(command)
            case Subscribe():
                self.subscribed[command.instrument.key] = command.instrument
            case Unsubscribe():
                self.subscribed.pop(command.instrument.key, None)
            case Notify():
                self.told.append(command)
            case TakeSnapshot():
                # Answers are never lost here, so there is nothing to look up.
                pass
            case ReadChain():
                rows = self.chain(command)
                return (
                    ChainRead(
                        asked_by=command.asked_by,
                        symbol=command.symbol,
                        expiry=command.expiry,
                        rows=rows,
                        known=bool(rows),
                        reason="" if rows else "no option is priced now",
                    ),
                )
            case ReadMargin():
                total = modelled_margin(command.tickets)
                return (MarginRead(asked_by=command.asked_by, total=total, available=self.free),)
        return ()

    def quote(self, quote: Quote) -> Sequence[Message]:
        """Let a quote meet what rests."""
        book = self.books.get(quote.key)
        if book is None or not book.orders:
            # What is displayed limits an order that arrives on this quote, too.
            self.books[quote.key] = MatchBook(
                quote=quote, bid_left=quote.bid_quantity or None, ask_left=quote.ask_quantity or None
            )
            return ()
        fills, self.books[quote.key] = step(book, quote)
        return self._updates(fills)

    def let_quotes_go_stale(self) -> None:
        """A minute has ended: what arrives now waits for the next quote."""
        for key, book in self.books.items():
            if book.quote is not None:
                self.books[key] = replace(book, quote=None)

    def begin_day(self) -> None:
        """Nothing rests over night."""
        self.books.clear()
        self._orders.clear()

    def resting(self, key: str) -> Sequence[RestingOrder]:
        """Give the resting orders of an instrument."""
        book = self.books.get(key)
        return () if book is None else book.orders

    def levels(self, key: str) -> list[Decimal]:
        """Prices at which something of an instrument rests."""
        return [
            order.trigger_price if order.trigger_price and not order.triggered else order.price
            for order in self.resting(key)
        ]

    def _place(self, ticket: OrderTicket) -> Sequence[Message]:
        self._sequence += 1
        known = _Known(ticket=ticket, order_id=f"R{self._sequence:07d}", quantity=ticket.quantity)
        self._orders[known.order_id] = known
        answer = WriteAnswered(
            kind=WriteKind.PLACE,
            correlation_id=ticket.correlation_id,
            outcome=Outcome.ACCEPTED,
            order_id=known.order_id,
            state=OrderState.WORKING,
        )
        order = RestingOrder(
            id=known.order_id,
            side=ticket.side,
            quantity=ticket.quantity,
            order_type=ticket.order_type,
            price=ticket.price,
            trigger_price=ticket.trigger_price,
            sequence=self._sequence,
        )
        return (answer, *self._arrive(known, order))

    def _modify(self, command: ModifyOrder) -> Sequence[Message]:
        known = self._orders.get(command.order_id)
        if known is None or known.state.is_done:
            return (self._refused(WriteKind.MODIFY, command.correlation_id, known),)
        change = command.change
        known.quantity = change.quantity
        self._sequence += 1
        answer = WriteAnswered(
            kind=WriteKind.MODIFY,
            correlation_id=command.correlation_id,
            outcome=Outcome.ACCEPTED,
            order_id=known.order_id,
            change=change,
        )
        order = RestingOrder(
            id=known.order_id,
            side=known.ticket.side,
            quantity=change.quantity - known.filled,
            order_type=change.order_type,
            price=change.price,
            trigger_price=change.trigger_price,
            sequence=self._sequence,
        )
        return (answer, *self._arrive(known, order))

    def _cancel(self, command: CancelOrder) -> Sequence[Message]:
        known = self._orders.get(command.order_id)
        if known is None or known.state.is_done:
            return (self._refused(WriteKind.CANCEL, command.correlation_id, known),)
        key = known.ticket.instrument.key
        self.books[key] = self.books[key].without(known.order_id)
        known.state = OrderState.CANCELLED
        answer = WriteAnswered(
            kind=WriteKind.CANCEL,
            correlation_id=command.correlation_id,
            outcome=Outcome.ACCEPTED,
            order_id=known.order_id,
            state=OrderState.CANCELLED,
        )
        return (answer, OrderUpdated(order=known.told()))

    def _refused(self, kind: WriteKind, correlation_id: str, known: _Known | None) -> WriteAnswered:
        reason = "no such order" if known is None else f"order is {known.state.value}"
        return WriteAnswered(kind=kind, correlation_id=correlation_id, outcome=Outcome.REJECTED, reason=reason)

    def _arrive(self, known: _Known, order: RestingOrder) -> Sequence[Message]:
        key = known.ticket.instrument.key
        fills, self.books[key] = arrive(self.books.get(key, MatchBook()), order)
        return self._updates(fills)

    def _updates(self, fills: Iterable[MatchFill]) -> Sequence[Message]:
        messages: list[Message] = []
        for fill in fills:
            known = self._orders[fill.order_id]
            known.filled += fill.quantity
            known.value += fill.price * fill.quantity
            known.state = OrderState.FILLED if known.filled >= known.quantity else OrderState.PARTLY_FILLED
            messages.append(OrderUpdated(order=known.told(fill.price)))
        return messages
