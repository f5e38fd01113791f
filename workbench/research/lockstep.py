"""One engine and one venue in lockstep: a message goes in, the answers go round until nobody has anything to say.

Invariant: messages are handled one at a time, each at the market time that it is stamped with; so the same history
gives the same decisions.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime

from workbench.core.bars import Quote
from workbench.core.engine import Engine
from workbench.core.messages import BrokerPosition, DecisionMade, Message, PositionClosed, QuoteReceived, TimerBeat
from workbench.core.order import Purpose
from workbench.core.position import Position
from workbench.core.signal import Side
from workbench.research.trades import Trade
from workbench.research.venue import Venue


@dataclass(slots=True, kw_only=True)
class Run:
    """An engine on a venue, and what came of it.

    Parameters
    ----------
    engine : Engine
    venue : Venue
    """

    engine: Engine
    venue: Venue = field(default_factory=Venue)
    trades: list[Trade] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    decisions: list[DecisionMade] = field(default_factory=list)

    def send(self, message: Message, now: datetime) -> None:
        """Hand one message to the engine, and carry out what follows from it."""
        waiting: deque[Message] = deque((message,))
        while waiting:
            decision = self.engine.handle(waiting.popleft(), now=now)
            for event in decision.events:
                if isinstance(event, PositionClosed):
                    self.trades.append(trade_of(self.engine.book.positions[event.position_id], event))
                elif isinstance(event, DecisionMade):
                    self._keep(event)
            for command in decision.commands:
                waiting.extend(self.venue.carry_out(command))

    def held(self) -> tuple[BrokerPosition, ...]:
        """Give what the venue holds, which is what the book does: no answer of it is ever lost."""
        return tuple(
            BrokerPosition(segment=segment, security_id=number, product="", net_quantity=units)
            for (segment, number), units in self.engine.book.net_by_instrument().items()
            if units
        )

    def beat(self, now: datetime) -> None:
        """Let the clock strike."""
        self.send(TimerBeat(), now)

    def quote(self, quote: Quote) -> None:
        """Let a quote reach the venue, then the engine, then the engine's ear for its fills."""
        updates = self.venue.quote(quote)
        self.send(QuoteReceived(quote=quote), quote.time)
        for update in updates:
            self.send(update, quote.time)

    def show(self, quote: Quote) -> None:
        """Let the engine see a price at which nothing can fill."""
        self.send(QuoteReceived(quote=quote), quote.time)

    @property
    def is_busy(self) -> bool:
        """Something is held, or may come to be held."""
        return self.engine.is_entering or any(position.is_live for position in self.engine.book.positions.values())

    def _keep(self, decision: DecisionMade) -> None:
        self.decisions.append(decision)
        if decision.fate == "denied":
            self.refused[decision.gate or "other"] += 1


def trade_of(position: Position, closed: PositionClosed) -> Trade:
    """Read a closed position as a trade; its times are the opens of the minutes in which it filled."""
    entries = [fill for fill in position.fills if fill.purpose is Purpose.ENTRY]
    exits = [fill for fill in position.fills if fill.purpose is not Purpose.ENTRY]
    return Trade(
        entry_time=_minute(entries[0].at),
        exit_time=_minute(exits[-1].at),
        side=position.side,
        quantity=position.entered_quantity,
        entry_price=closed.entry_price,
        exit_price=closed.exit_price,
        gross=closed.gross,
        charges=closed.charges,
        pnl=closed.net,
        exit_reason=closed.reason,
        instrument=position.plan.instrument.key,
        priced="model" if position.plan.priced_by_model else "market",
    )


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def adverse_extreme(side: Side) -> str:
    """Name the extreme of a bar that hurts a position entered on that side: it is taken to come first."""
    return "low" if side is Side.BUY else "high"
