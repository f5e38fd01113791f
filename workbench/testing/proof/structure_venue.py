"""The venue with all options of the expiry: a chain that moves, a margin by a rule, and legs that fail.

Only what was subscribed is quoted, as on a real feed. Chains and margins are answered late, never or with an error.

Invariant: what was answered is remembered with what was held then, so that a sale can be judged by it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, Right
from workbench.core.messages import ChainQuote, ChainRead, MarginRead, Message, ReadChain, ReadMargin
from workbench.core.order import OrderState, OrderTicket, Purpose
from workbench.core.signal import Side
from workbench.testing.proof.market import CALL, PUT, STRIKE, SYMBOL, TICK, option
from workbench.testing.proof.structure_plans import LEGS, LegsWeather
from workbench.testing.proof.venue import Resting, Venue

STRIKES = range(15500, 15901, 50)
SOLD_BLOCKS = Decimal(1_100)
"""Rupees of margin a unit that is sold without cover, and a fourth of it with cover: nobody's rule, only a rule."""


@dataclass(slots=True)
class MarginAnswer:
    """A margin that was told: who asked for which orders, whether it allows them, what was held when it was asked."""

    asked_by: str
    basket: frozenset[tuple[str, Side, int]]
    asked_at: datetime
    held: dict[str, int]
    allows: bool
    heard_at: datetime | None = None


@dataclass(slots=True)
class ChainAnswer:
    """A chain as it was told."""

    at: datetime
    rows: tuple[ChainQuote, ...]


@dataclass
class ChainVenue(Venue):
    """Broker and market of a day with legs.

    Attributes
    ----------
    legs_rng : random.Random
        A stream of its own.
    watched : set of str
        Instrument keys that the engine subscribed in this life.
    margins : list of MarginAnswer
        What was told of margins; `heard_at` is set when the answer reaches the engine.
    """

    legs_rng: random.Random = field(default_factory=random.Random)
    weather: LegsWeather | None = None
    watched: set[str] = field(default_factory=set)
    margins: list[MarginAnswer] = field(default_factory=list)
    chains: list[ChainAnswer] = field(default_factory=list)
    _stuck: set[str] = field(default_factory=set)
    _refused: set[str] = field(default_factory=set)
    _told: dict[int, MarginAnswer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prices = {option(strike, right).key: first_price(strike, right) for strike in STRIKES for right in Right}
        self.watched = {CALL.key, PUT.key}

    def quotes(self) -> list[Quote]:
        """Move all prices; quote what is subscribed."""
        return [each for each in super().quotes() if each.key in self.watched]

    def is_broken(self, key: str) -> bool:
        """Whether the line of that contract repeats broken packets in this second."""
        return self._bad_left.get(key, 0) > 0

    def line_dead(self) -> None:
        """The process died: nothing is subscribed any more."""
        super().line_dead()
        self.watched = {CALL.key, PUT.key}
        self._told.clear()

    # --- questions ----------------------------------------------------------------------------------------------

    def asked(self, question: ReadChain | ReadMargin) -> None:
        """Take a question; its answer comes late, as an error, or never."""
        weather, rng = self.weather, self.legs_rng
        if weather is None or rng.random() < weather.unanswered:
            return
        bad = self.outage or ("the broker is busy" if rng.random() < weather.answered_badly else "")
        answer = self._chain(question, bad) if isinstance(question, ReadChain) else self._margin(question, bad)
        extra = rng.choice([5.0, 9.0, 20.0]) if rng.random() < weather.answered_late else 0.0
        self._count += 1
        due = self.now + timedelta(seconds=rng.random() * self.faults.delay_s + extra)
        heapq.heappush(self._post, (due, self._count, "out", answer))

    def arrivals(self) -> list[Message]:
        """Give what is due at the engine now, and note which margins it hears."""
        due = super().arrivals()
        for each in due:
            told = self._told.pop(id(each), None)
            if told is not None:
                told.heard_at = self.now
        return due

    def _chain(self, question: ReadChain, bad: str) -> ChainRead:
        about: dict[str, Any] = {"asked_by": question.asked_by, "symbol": SYMBOL, "expiry": question.expiry}
        if bad:
            return ChainRead(**about, known=False, reason=bad)
        rows = tuple(
            ChainQuote(
                strike=Decimal(strike),
                right=right,
                bid=self.prices[option(strike, right).key] - TICK,
                ask=self.prices[option(strike, right).key] + TICK,
                delta=delta_of(strike, right),
            )
            for strike in STRIKES
            for right in Right
        )
        self.chains.append(ChainAnswer(self.now, rows))
        return ChainRead(**about, rows=rows)

    def _margin(self, question: ReadMargin, bad: str) -> MarginRead:
        total = blocks(question.tickets)
        is_short = self.weather is not None and self.legs_rng.random() < self.weather.short_of_margin
        available = total - 1 if is_short else max(total, self.funds)
        answer = MarginRead(asked_by=question.asked_by, total=total, available=available)
        if bad:
            answer = MarginRead(asked_by=question.asked_by, known=False, reason=bad)
        held = {each.position_id: self.held(each.position_id) for each in question.tickets}
        basket = frozenset((each.instrument.key, each.side, each.quantity) for each in question.tickets)
        told = MarginAnswer(question.asked_by, basket, self.now, held, allows=not bad and not is_short)
        self.margins.append(told)
        self._told[id(answer)] = told
        return answer

    # --- legs that fail -----------------------------------------------------------------------------------------

    def _place(self, ticket: OrderTicket) -> None:
        if ticket.deployment == LEGS and ticket.purpose is Purpose.ENTRY and self.weather is not None:
            dice, order_id = self.legs_rng.random(), f"V{len(self.orders) + 1}"
            if dice < self.weather.leg_refused:
                self._refused.add(order_id)
            elif dice < self.weather.leg_refused + self.weather.leg_in_part:
                self._stuck.add(order_id)
        super()._place(ticket)

    def _match(self, order: Resting) -> None:
        if order.order_id in self._refused and order.ticket.purpose is Purpose.ENTRY:
            order.dies_at = order.dies_at or order.since + timedelta(seconds=1)
        elif order.order_id in self._stuck and order.ticket.purpose is Purpose.ENTRY:
            self._match_half(order)
            return
        super()._match(order)

    def _match_half(self, order: Resting) -> None:
        """Fill half of the lots at once, and nothing more after that."""
        ticket, lot = order.ticket, order.ticket.instrument.lot
        units = ticket.quantity // lot // 2 * lot
        if order.state.is_done or order.filled or order.dies_at is not None or not units:
            return
        best = self.prices[ticket.instrument.key] + ticket.side.sign * TICK
        if ticket.side.sign * (best - ticket.price) > 0:
            return
        order.filled, order.value, order.last_price = units, best * units, best
        order.state = OrderState.PARTLY_FILLED
        self._tell(order)


def first_price(strike: int, right: Right) -> Decimal:
    """Give the price at which an option begins: 120 at the money, less by half of each rupee out of it."""
    away = (strike - STRIKE) if right is Right.CE else (STRIKE - strike)
    return max(Decimal(2), Decimal(120) - Decimal(away) / 2)


def delta_of(strike: int, right: Right) -> Decimal:
    """Give a delta that falls as the strike goes out of the money; a put's is below zero."""
    away = (strike - STRIKE) if right is Right.CE else (STRIKE - strike)
    return (Decimal("0.5") - Decimal(away) / 1000) * (1 if right is Right.CE else -1)


def blocks(tickets: Sequence[OrderTicket]) -> Decimal:
    """Give what orders block together: bought ones their price, sold ones by the unit."""
    bought = {each.instrument.right for each in tickets if each.side is Side.BUY}
    total = Decimal(0)
    for each in tickets:
        if each.side is Side.BUY:
            total += each.price * each.quantity
        else:
            total += SOLD_BLOCKS * each.quantity / (4 if each.instrument.right in bought else 1)
    return total


class QuotedFeed:
    """The feed of a life: what it subscribes is quoted from then on."""

    def __init__(self, venue: ChainVenue) -> None:
        self._venue = venue

    async def run(self, on_quote: Any, on_state: Any) -> None:
        """Never asked."""

    def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Quote these too."""
        self._venue.watched |= {each.key for each in instruments}

    def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Quote these no more."""
        self._venue.watched -= {each.key for each in instruments} - {CALL.key, PUT.key}


class HandAnswers:
    """Questions without a thread: the venue answers them."""

    is_idle = True

    def __init__(self, venue: ChainVenue) -> None:
        self._venue = venue

    def start(self, loop: Any, deliver: Any) -> None:
        """Begin; answers come with all other arrivals."""

    def ask(self, question: ReadChain | ReadMargin) -> None:
        """Have a question answered."""
        self._venue.asked(question)
