"""A stand for plans of several legs: it answers the engine's questions, and orders as it is told."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tests.unit.core.builders import SCALP, Stand, option, quote
from workbench.core.bars import Quote
from workbench.core.deployment import Deployment
from workbench.core.instrument import Instrument, Right
from workbench.core.messages import (
    AlertAction,
    ChainQuote,
    ChainRead,
    MarginRead,
    QuoteReceived,
    ReadChain,
    ReadMargin,
)
from workbench.core.order import OrderTicket
from workbench.core.plan import Plan, plan_from_mapping
from workbench.core.position import Position
from workbench.core.structure import Structure

HEDGED = {"legs": [{"side": "BUY", "right": "CE", "strike": "otm4"}, {"side": "SELL", "right": "CE", "strike": "atm"}]}
"""A sold call at the money, and a bought one above it."""


def premium_of(strike: int, right: Right) -> Decimal:
    """A chain by a rule: 120 at the money, less by a sixth of each rupee out of it, never under 2."""
    away = (strike - 15700) if right is Right.CE else (15700 - strike)
    return max(Decimal(2), Decimal(120) - Decimal(away) * 3 / 10)


def chain_of(strikes: Iterable[int] = range(15000, 16401, 50)) -> tuple[ChainQuote, ...]:
    """All options of the expiry, ten paise between bid and ask."""
    half = Decimal("0.05")
    return tuple(
        ChainQuote(
            strike=Decimal(strike),
            right=right,
            bid=premium_of(strike, right) - half,
            ask=premium_of(strike, right) + half,
            delta=(Decimal("0.5") - Decimal(abs(strike - 15700)) / 2000) * (1 if right is Right.CE else -1),
        )
        for strike in strikes
        for right in Right
    )


def deployment_of(body: dict[str, Any] | Plan) -> Deployment:
    """A deployment that alerts drive."""
    plan = body if isinstance(body, Plan) else plan_from_mapping({"name": "legs", **body})
    return Deployment(name=SCALP, symbol="NIFTY", plan=plan, interval="1m")


class LegsStand(Stand):
    """An engine with such a plan, quotes of every option, and answers to its questions."""

    def __init__(self, body: dict[str, Any] | Plan, *, chain: bool = True, margin: int | None = 100_000, **more: Any):
        super().__init__(deployment_of(body), **more)
        self.answers_chain, self.margin = chain, margin
        self.answered = 0
        for strike in range(15000, 16401, 50):
            for right in Right:
                self.option_price(option(strike, right), premium_of(strike, right))

    def option_price(self, instrument: Instrument, price: Decimal | float | str) -> None:
        found: Quote = quote(instrument.key, price, self.now)
        self.tell(QuoteReceived(quote=found))

    def refresh(self) -> None:
        """Quote what is held anew at its price: quotes must be fresh."""
        for key, known in list(self.engine.quotes.items()):
            self.tell(QuoteReceived(quote=Quote(key, self.now, known.last, known.bid, known.ask)))

    def respond(self) -> None:
        """Answer the questions that were not answered yet."""
        asked = [each for each in self.commands if isinstance(each, ReadChain | ReadMargin)]
        while self.answered < len(asked):
            question = asked[self.answered]
            self.answered += 1
            if isinstance(question, ReadChain):
                if self.answers_chain:
                    rows = chain_of()
                    self.tell(ChainRead(asked_by=question.asked_by, symbol="NIFTY", expiry=question.expiry, rows=rows))
            else:
                known = self.margin is not None
                total = None if self.margin is None else Decimal(self.margin)
                self.tell(
                    MarginRead(
                        asked_by=question.asked_by,
                        total=total,
                        available=Decimal(400_000),
                        known=known,
                        reason="" if known else "time-out",
                    )
                )
            asked = [each for each in self.commands if isinstance(each, ReadChain | ReadMargin)]

    def go(self, action: AlertAction = AlertAction.BULLISH) -> None:
        """Let an alert come and answer what is asked."""
        self.alert(action)
        self.respond()

    def fill(self, ticket: OrderTicket, price: Decimal | float | str | None = None) -> None:
        """Take an order and fill it, at its instrument's price."""
        instrument = ticket.instrument
        told = price if price is not None else self.engine.quotes[instrument.key].last
        self.answer(ticket)
        self.update(ticket, ticket.quantity, str(told))

    def stand(self, action: AlertAction = AlertAction.BULLISH) -> Structure:
        """Enter all legs at their prices; their stops rest."""
        self.go(action)
        done: set[str] = set()
        while open_tickets := [each for each in self.tickets("E") if each.correlation_id not in done]:
            for ticket in open_tickets:
                done.add(ticket.correlation_id)
                self.fill(ticket)
            self.respond()
        for stop in self.tickets("S"):
            self.answer(stop)
            self.update(stop)
        return self.structure

    @property
    def structure(self) -> Structure:
        return list(self.book.structures.values())[-1]

    def legs(self) -> list[Position]:
        """Positions of the newest structure, in the order of entry."""
        return [self.book.positions[each] for each in self.structure.leg_ids if each in self.book.positions]

    def leave_all(self) -> None:
        """Fill every order that leaves until nothing is sent any more."""
        for _ in range(10):
            resting = [
                order
                for leg in self.book.live_positions()
                for order in self.book.resting_exits(leg.position_id)
                if leg.exit_reason
            ]
            if not resting:
                return
            for order in resting:
                if order.ticket.correlation_id in self.book.changes_pending:
                    self.change(order.ticket)
                elif not order.order_id:
                    self.answer(order.ticket)
                current = self.book.orders[order.ticket.correlation_id].ticket
                self.update(current, current.quantity, str(self.engine.quotes[current.instrument.key].last))

    def desk_is_waiting(self) -> bool:
        """Legs are being chosen or sent."""
        return self.engine.is_entering
