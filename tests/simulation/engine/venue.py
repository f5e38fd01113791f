"""A broker and a market that misbehave by seed, at the engine's door; its own truth is kept apart from the engine's.

Writes end in all four ways, answers and updates are late, lost, doubled or in the wrong order, fills come in parts, and
snapshots lag behind or cannot be read.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from tests.unit.core.builders import CALL, PUT
from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.messages import (
    BrokerOrder,
    BrokerPosition,
    CancelOrder,
    Command,
    Message,
    ModifyOrder,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    SnapshotTaken,
    TakeSnapshot,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderState, OrderTicket, OrderType, Purpose
from workbench.core.signal import Side

TICK = Decimal("0.05")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How often things go wrong, 0 to 1, and how late they may be."""

    rejected: float = 0.0
    not_sent: float = 0.0
    unknown: float = 0.0
    lost_update: float = 0.0
    doubled_update: float = 0.0
    partial: float = 0.0
    blind_snapshot: float = 0.0
    delay_s: float = 0.0
    lag_s: float = 0.0
    gap: float = 0.0


@dataclass(kw_only=True)
class Resting:
    """An order at the venue."""

    order_id: str
    ticket: OrderTicket
    since: datetime
    state: OrderState = OrderState.WORKING
    filled: int = 0
    value: Decimal = Decimal(0)
    last_price: Decimal = Decimal(0)
    triggered: bool = False

    @property
    def remaining(self) -> int:
        return self.ticket.quantity - self.filled

    def row(self) -> BrokerOrder:
        ticket = self.ticket
        return BrokerOrder(
            order_id=self.order_id,
            correlation_id=ticket.correlation_id,
            state=self.state,
            segment=ticket.instrument.segment.value,
            security_id=ticket.instrument.security_id,
            side=ticket.side,
            quantity=ticket.quantity,
            filled_quantity=self.filled,
            average_price=(self.value / self.filled).quantize(Decimal("0.0001")) if self.filled else Decimal(0),
            last_fill_price=self.last_price,
            price=ticket.price,
            trigger_price=ticket.trigger_price,
        )


@dataclass
class Venue:
    """Broker and market in one; `step` gives what arrives at the engine in that second."""

    rng: random.Random
    faults: Faults
    now: datetime
    orders: dict[str, Resting] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    sent: list[OrderTicket] = field(default_factory=list)
    _post: list[tuple[datetime, int, str, Message | Command]] = field(default_factory=list)
    day_began: datetime | None = None
    nobody_bids: bool = False
    settled: dict[str, Decimal] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        self.prices = {each.key: Decimal(120) for each in (CALL, PUT)}

    # --- its own truth ------------------------------------------------------------------------------------------

    def held(self, position_id: str) -> int:
        """Units of a position, counted in the direction of its entry."""
        total = 0
        for each in self.orders.values():
            if each.ticket.position_id == position_id:
                total += each.filled if each.ticket.purpose is Purpose.ENTRY else -each.filled
        return total

    def resting_exits(self, position_id: str) -> int:
        """Units that could still be sold for a position."""
        return sum(
            each.remaining
            for each in self.orders.values()
            if each.ticket.position_id == position_id
            and each.ticket.purpose is not Purpose.ENTRY
            and each.state.may_rest
        )

    def net(self) -> dict[tuple[str, str], int]:
        """Net units by instrument."""
        return self._net(list(self.orders.values()))

    def position_ids(self) -> set[str]:
        return {each.ticket.position_id for each in self.orders.values()}

    # --- what the engine asks -----------------------------------------------------------------------------------

    def carry_out(self, command: Command) -> None:
        """Take a command: it reaches the venue a little later, and its answer later still, or never."""
        match command:
            case PlaceOrder():
                self.sent.append(command.ticket)
                self._later(command, "in")
            case ModifyOrder() | CancelOrder() | TakeSnapshot():
                self._later(command, "in")
            case _:
                return

    def quotes(self) -> list[Quote]:
        """Move the market one second on."""
        found = []
        for key in self.prices:
            step = Decimal(self.rng.randint(-30, 30)) * TICK
            if self.rng.random() < self.faults.gap:
                step *= 12
            self.prices[key] = max(Decimal(2), self.prices[key] + step)
            price = self.prices[key]
            bid = Decimal(0) if self.nobody_bids else price - TICK
            found.append(Quote(key, self.now, price, bid, price + TICK))
        return found

    def step(self, now: datetime) -> list[Message]:
        """Let a second pass: match, take what has arrived here, give what has arrived there."""
        self.now = now
        for order in list(self.orders.values()):
            self._match(order)
        return self.arrivals()

    def arrivals(self) -> list[Message]:
        """Give what is due at the engine now."""
        due: list[Message] = []
        while self._post and self._post[0][0] <= self.now:
            _, _, way, item = heapq.heappop(self._post)
            if way == "in":
                self._take(item)
            else:
                due.append(item)  # type: ignore[arg-type]
        return due

    def line_dead(self) -> None:
        """The engine's process died: what was on its way to it is lost, what had left it arrives."""
        self._post = [each for each in self._post if each[2] == "in" and not isinstance(each[3], TakeSnapshot)]
        heapq.heapify(self._post)

    def end_day(self) -> None:
        """What rests expires with its day; the next day's order book does not know it."""
        for order in self.orders.values():
            if order.state.may_rest:
                order.state = OrderState.EXPIRED
                self._post.append((self.now, self._count, "out", OrderUpdated(order=order.row())))
                self._count += 1
        heapq.heapify(self._post)

    def settle(self, value: dict[str, Decimal]) -> None:
        """Pay what is still held of contracts that have expired, by instrument key, rupees a unit."""
        for position_id in self.position_ids():
            units = self.held(position_id)
            ticket = next(each.ticket for each in self.orders.values() if each.ticket.position_id == position_id)
            if units:
                self.settled[position_id] = units * value[ticket.instrument.key]

    # --- inside -------------------------------------------------------------------------------------------------

    def _later(self, item: Message | Command, way: str, extra_s: float = 0.0) -> None:
        self._count += 1
        delay = self.rng.random() * self.faults.delay_s + extra_s
        heapq.heappush(self._post, (self.now + timedelta(seconds=delay), self._count, way, item))

    def _take(self, command: object) -> None:
        match command:
            case PlaceOrder():
                self._place(command.ticket)
            case ModifyOrder():
                self._modify(command)
            case CancelOrder():
                self._cancel(command)
            case TakeSnapshot():
                self._later(self._snapshot(), "out")

    def _place(self, ticket: OrderTicket) -> None:
        dice = self.rng.random()
        kind, key = WriteKind.PLACE, ticket.correlation_id
        if dice < self.faults.rejected:
            self._later(
                WriteAnswered(kind=kind, correlation_id=key, outcome=Outcome.REJECTED, reason="by the dice"), "out"
            )
            return
        if dice < self.faults.rejected + self.faults.not_sent:
            self._later(WriteAnswered(kind=kind, correlation_id=key, outcome=Outcome.NOT_SENT, reason="no line"), "out")
            return
        unknown = self.rng.random() < self.faults.unknown
        if unknown:
            answer = WriteAnswered(kind=kind, correlation_id=key, outcome=Outcome.UNKNOWN, reason="time-out")
            self._later(answer, "out", extra_s=2.0)
            if self.rng.random() < 0.5:
                return
        order = Resting(order_id=f"V{len(self.orders) + 1}", ticket=ticket, since=self.now)
        self.orders[order.order_id] = order
        if not unknown:
            answer = WriteAnswered(
                kind=kind,
                correlation_id=key,
                outcome=Outcome.ACCEPTED,
                order_id=order.order_id,
                state=OrderState.ACCEPTED,
            )
            self._later(answer, "out")
        self._tell(order)
        self._match(order)

    def _modify(self, command: ModifyOrder) -> None:
        order, change = self.orders[command.order_id], command.change
        dice = self.rng.random()
        outcome = Outcome.ACCEPTED
        if order.state.is_done or change.quantity <= order.filled or dice < self.faults.rejected:
            outcome = Outcome.REJECTED
        elif dice < self.faults.rejected + self.faults.not_sent:
            outcome = Outcome.NOT_SENT
        elif dice < self.faults.rejected + self.faults.not_sent + self.faults.unknown:
            outcome = Outcome.UNKNOWN
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.rng.random() < 0.5):
            order.ticket = replace(
                order.ticket,
                order_type=change.order_type,
                quantity=change.quantity,
                price=change.price,
                trigger_price=change.trigger_price,
            )
            order.triggered = False
        self._later(
            WriteAnswered(
                kind=WriteKind.MODIFY,
                correlation_id=command.correlation_id,
                outcome=outcome,
                order_id=command.order_id,
                change=change,
            ),
            "out",
        )
        self._match(order)

    def _cancel(self, command: CancelOrder) -> None:
        order = self.orders[command.order_id]
        dice = self.rng.random()
        outcome = Outcome.ACCEPTED
        if order.state.is_done or dice < self.faults.rejected:
            outcome = Outcome.REJECTED
        elif dice < self.faults.rejected + self.faults.unknown:
            outcome = Outcome.UNKNOWN
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.rng.random() < 0.5):
            order.state = OrderState.CANCELLED
            self._tell(order)
        state = OrderState.CANCELLED if outcome is Outcome.ACCEPTED and self.rng.random() < 0.5 else None
        self._later(
            WriteAnswered(
                kind=WriteKind.CANCEL,
                correlation_id=command.correlation_id,
                outcome=outcome,
                order_id=command.order_id,
                state=state,
            ),
            "out",
        )

    def _match(self, order: Resting) -> None:
        if order.state.is_done or order.remaining <= 0:
            return
        ticket, price = order.ticket, self.prices[order.ticket.instrument.key]
        buys = ticket.side is Side.BUY
        if ticket.order_type is OrderType.STOP_LIMIT and not order.triggered:
            order.triggered = price >= ticket.trigger_price if buys else price <= ticket.trigger_price
            if not order.triggered:
                return
        if self.nobody_bids and not buys:
            return
        best = price + TICK if buys else price - TICK
        limit = ticket.price
        if ticket.order_type is not OrderType.MARKET and (best > limit if buys else best < limit):
            return
        units = order.remaining
        lots = units // ticket.instrument.lot
        if self.rng.random() < self.faults.partial:
            units = self.rng.randint(0, lots) * ticket.instrument.lot
        if not units:
            return
        order.filled += units
        order.value += best * units
        order.last_price = best
        order.state = OrderState.FILLED if not order.remaining else OrderState.PARTLY_FILLED
        self._tell(order)

    def _tell(self, order: Resting) -> None:
        for _ in range(2 if self.rng.random() < self.faults.doubled_update else 1):
            if self.rng.random() >= self.faults.lost_update:
                self._later(OrderUpdated(order=order.row()), "out")

    def _snapshot(self) -> SnapshotTaken:
        if self.rng.random() < self.faults.blind_snapshot:
            return SnapshotTaken(taken_at=self.now, known=False, reason="by the dice")
        seen = self.now - timedelta(seconds=self.faults.lag_s * self.rng.random())
        known = [each for each in self.orders.values() if each.since <= seen]
        listed = [each for each in known if self.day_began is None or each.since >= self.day_began]
        positions = tuple(
            BrokerPosition(segment=key[0], security_id=key[1], product="INTRADAY", net_quantity=units)
            for key, units in self._net(known).items()
        )
        return SnapshotTaken(
            taken_at=self.now,
            orders=tuple(each.row() for each in listed),
            positions=positions,
            available_funds=Decimal(500_000),
        )

    @staticmethod
    def _net(orders: list[Resting]) -> dict[tuple[str, str], int]:
        net: dict[tuple[str, str], int] = {}
        for each in orders:
            instrument: Instrument = each.ticket.instrument
            key = (instrument.segment.value, instrument.security_id)
            net[key] = net.get(key, 0) + each.ticket.side.sign * each.filled
        return net
