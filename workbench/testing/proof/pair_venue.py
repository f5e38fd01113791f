"""A venue where a target rests beside a stop: it answers what a second sale blocks, and knows which order is which.

Invariant: of a position's orders the targets are told apart by what they were sent for; units are counted by side, so
that what was bought back after a double fill counts for what it is.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from workbench.core.bars import Quote
from workbench.core.messages import CancelOrder, MarginRead, Outcome, ReadChain, ReadMargin, WriteAnswered, WriteKind
from workbench.core.order import Purpose
from workbench.testing.proof.faults import Outage
from workbench.testing.proof.venue import Resting, Venue

SECOND_SALE = Decimal(110_000)
"""What a second sale blocks, rupees."""

RISE = Decimal(8)
"""Rupees by which the market rises to targets that do not fill."""


@dataclass(frozen=True, slots=True)
class Left:
    """Units of one position by what its orders were for; `working` are those that can still fill."""

    entered: int
    by_stop: int
    by_target: int
    bought_back: int
    stop_working: int
    target_working: int
    back_working: int


@dataclass
class PairVenue(Venue):
    """A venue that answers questions of margin, by a random stream of its own.

    Attributes
    ----------
    allowed : dict
        Units for which a second sale was allowed, by position.
    stuck : tuple of Outage
        Seconds in which targets neither fill (others stand before them) nor are taken back; as they begin the market
        rises to them.
    """

    pair_rng: random.Random = field(default_factory=random.Random)
    allowed: dict[str, set[int]] = field(default_factory=dict)
    stuck: tuple[Outage, ...] = ()

    @property
    def is_stuck(self) -> bool:
        """Whether no target fills or is taken back in this second."""
        return any(each.covers(self._second) for each in self.stuck)

    def quotes(self) -> list[Quote]:
        """Move the market one second on."""
        if any(each.begins == self._second for each in self.stuck):
            self.prices = {key: price + RISE for key, price in self.prices.items()}
        return super().quotes()

    def held(self, position_id: str) -> int:
        """Units of a position, counted in the direction of its entry; below zero after a double fill."""
        if position_id in self.settled:
            return 0
        return sum(each.filled * self._sign(position_id, each) for each in self.of(position_id))

    def resting_exits(self, position_id: str) -> list[Resting]:
        """Stops and exits that could still leave a position: neither targets nor what is bought back."""
        resting = super().resting_exits(position_id)
        stops = [each for each in resting if each.ticket.purpose is not Purpose.TARGET]
        return [each for each in stops if self._sign(position_id, each) < 0]

    def left(self, position_id: str) -> Left:
        """Count what the orders of a position have done and can still do."""
        counts = dict.fromkeys(Left.__dataclass_fields__, 0)
        for each in self.of(position_id):
            rests = each.remaining if each.state.may_rest else 0
            if each.ticket.purpose is Purpose.ENTRY:
                counts["entered"] += each.filled
            elif self._sign(position_id, each) > 0:
                counts["bought_back"] += each.filled
                counts["back_working"] += rests
            elif each.ticket.purpose is Purpose.TARGET:
                counts["by_target"] += each.filled
                counts["target_working"] += rests
            else:
                counts["by_stop"] += each.filled
                counts["stop_working"] += rests
        return Left(**counts)

    def has_target(self, position_id: str) -> bool:
        """Tell whether a target of it ever came to the book."""
        return any(each.ticket.purpose is Purpose.TARGET for each in self.of(position_id))

    def asked(self, question: ReadChain | ReadMargin) -> None:
        """Take a question; its answer may come late, as an error, or never."""
        if isinstance(question, ReadChain):
            return
        rng, is_foul = self.pair_rng, not self.faults.is_calm
        if is_foul and rng.random() < 0.1:
            return
        bad = self.outage or ("the broker is busy" if is_foul and rng.random() < 0.1 else "")
        is_short = rng.random() < 0.15
        available = SECOND_SALE - 1 if is_short else SECOND_SALE
        answer = MarginRead(asked_by=question.asked_by, total=SECOND_SALE, available=available)
        if bad:
            answer = MarginRead(asked_by=question.asked_by, known=False, reason=bad)
        for ticket in question.tickets:
            if not (bad or is_short):
                self.allowed.setdefault(ticket.position_id, set()).add(ticket.quantity)
        extra = rng.choice([5.0, 9.0, 20.0]) if rng.random() < 0.1 else 0.0
        self._count += 1
        due = self.now + timedelta(seconds=rng.random() * self.faults.delay_s + extra)
        heapq.heappush(self._post, (due, self._count, "out", answer))

    def _cancel(self, asked: CancelOrder) -> None:
        order = self.orders[asked.order_id]
        if not self.is_stuck or order.ticket.purpose is not Purpose.TARGET or order.state.is_done:
            super()._cancel(asked)
            return
        # Refused, not answered, or answered so late that the answer is worth nothing: it rests on.
        outcome, extra_s = self.pair_rng.choice(
            [(Outcome.REJECTED, 0.0), (Outcome.UNKNOWN, 2.0), (Outcome.UNKNOWN, 20.0)]
        )
        answer = WriteAnswered(
            kind=WriteKind.CANCEL, correlation_id=asked.correlation_id, outcome=outcome, order_id=asked.order_id
        )
        self._later(replace(answer, reason="it is not taken back"), "out", extra_s=extra_s)

    def _match(self, order: Resting) -> None:
        if not self.is_stuck or order.ticket.purpose is not Purpose.TARGET:
            super()._match(order)

    def _sign(self, position_id: str, order: Resting) -> int:
        """Tell whether an order adds to a position (+1) or leaves it (-1)."""
        entry = next((each for each in self.of(position_id) if each.ticket.purpose is Purpose.ENTRY), None)
        adds = order.ticket.purpose is Purpose.ENTRY or (entry is not None and order.ticket.side is entry.ticket.side)
        return 1 if adds else -1


class PairAnswers:
    """Questions without a thread: the venue answers them."""

    is_idle = True

    def __init__(self, venue: PairVenue) -> None:
        self._venue = venue

    def start(self, loop: Any, deliver: Any) -> None:
        """Begin; answers come with all other arrivals."""

    def ask(self, question: ReadChain | ReadMargin) -> None:
        """Have a question answered."""
        self._venue.asked(question)
