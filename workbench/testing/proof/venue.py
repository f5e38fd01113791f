"""A broker and a market that misbehave by seed, behind the order lanes; its own truth is kept apart from the engine's.

Writes end in all four ways, answers and updates are late, lost, doubled or in the wrong order, fills come in parts,
snapshots lag behind or cannot be read, and a person trades beside us.

Invariant: nothing here reads the engine's book; what it holds is what a broker's statement would say.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument
from workbench.core.messages import (
    BrokerOrder,
    BrokerPosition,
    CancelOrder,
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
from workbench.core.order import OrderState, OrderTicket, OrderType, Product, Purpose
from workbench.core.signal import Side
from workbench.testing.proof.faults import Faults
from workbench.testing.proof.market import CALL, PUT, TICK

MODIFICATIONS_TAKEN = 25
"""The broker refuses the 26th change of one order."""

Asked = PlaceOrder | ModifyOrder | CancelOrder | TakeSnapshot
Key = tuple[str, str]


def key_of(instrument: Instrument) -> Key:
    """Segment and security id, as the broker names a contract."""
    return instrument.segment.value, instrument.security_id


@dataclass(frozen=True, slots=True)
class LateOrder:
    """An order that nobody answered and that comes to the book much later."""

    ticket: OrderTicket


@dataclass(kw_only=True)
class Resting:
    """An order at the venue; `hand` marks one that a person gave in the broker's app, `had` are its earlier terms."""

    order_id: str
    ticket: OrderTicket
    since: datetime
    state: OrderState = OrderState.WORKING
    filled: int = 0
    value: Decimal = Decimal(0)
    last_price: Decimal = Decimal(0)
    triggered: bool = False
    changes: int = 0
    dies_at: datetime | None = None
    hand: bool = False
    had: list[OrderTicket] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Units not filled yet."""
        return self.ticket.quantity - self.filled

    def row(self) -> BrokerOrder:
        """Give the order as the broker tells it."""
        ticket = self.ticket
        return BrokerOrder(
            order_id=self.order_id,
            correlation_id="" if self.hand else ticket.correlation_id,
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
    """Broker and market in one.

    Attributes
    ----------
    orders : dict
        Every order that came to the book, by its id.
    sent : list of OrderTicket
        Every order that reached the broker, also those that were refused.
    prices : dict
        Last price by instrument key.
    nobody_bids : bool
        The bid side is empty.
    sold : set
        Contracts that an entry has sold: their net may lie below zero.
    settled : dict
        What was paid for contracts that expired, by position.
    late_s : callable, optional
        Seconds after which an order comes to the book without an answer; zero for most.
    is_cut : bool
        There is no line: no request arrives, and nobody can do anything about what happens here.
    """

    rng: random.Random
    faults: Faults
    now: datetime
    first: datetime
    funds: Decimal = Decimal(500_000)
    orders: dict[str, Resting] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    sent: list[OrderTicket] = field(default_factory=list)
    day_began: datetime | None = None
    nobody_bids: bool = False
    sold: set[Key] = field(default_factory=set)
    settled: dict[str, Decimal] = field(default_factory=dict)
    late_s: Callable[[OrderTicket], float] | None = None
    is_cut: bool = False
    _post: list[tuple[datetime, int, str, Message | Asked | LateOrder]] = field(default_factory=list)
    _count: int = 0
    _by_position: dict[str, list[Resting]] = field(default_factory=dict)
    _bad_left: dict[str, int] = field(default_factory=dict)
    _hand: list[Resting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prices = {each.key: Decimal(120) for each in (CALL, PUT)}

    # --- its own truth ------------------------------------------------------------------------------------------

    def of(self, position_id: str) -> list[Resting]:
        """Orders of one position, by the engine's own name for it."""
        return self._by_position.get(position_id, [])

    def held(self, position_id: str) -> int:
        """Units of a position, counted in the direction of its entry; what was settled is not held."""
        if position_id in self.settled:
            return 0
        return sum(
            each.filled if each.ticket.purpose is Purpose.ENTRY else -each.filled for each in self.of(position_id)
        )

    def resting_exits(self, position_id: str) -> list[Resting]:
        """Orders that could still leave a position."""
        return [
            each for each in self.of(position_id) if each.ticket.purpose is not Purpose.ENTRY and each.state.may_rest
        ]

    def position_ids(self) -> list[str]:
        """Positions that ever had an order here, oldest first."""
        return list(self._by_position)

    def net(self) -> dict[Key, int]:
        """Net units by instrument, a person's trades counted in."""
        return _net(list(self.orders.values()))

    def by_hand(self) -> dict[Key, int]:
        """Net units that a person traded."""
        return _net(self._hand)

    def value_of(self, position_id: str) -> Decimal:
        """Rupees that a position brought (above zero) or cost so far."""
        flow = sum((-each.ticket.side.sign * each.value for each in self.of(position_id)), Decimal(0))
        return flow + self.settled.get(position_id, Decimal(0))

    # --- what is asked of it ------------------------------------------------------------------------------------

    def take(self, command: Asked) -> None:
        """Take a request that has left: it arrives a little later, its answer later still, or never."""
        if isinstance(command, PlaceOrder):
            self.sent.append(command.ticket)
        self._later(command, "in")

    def quotes(self) -> list[Quote]:
        """Move the market one second on; some packets are broken, and in a silence none come."""
        found = []
        for key in self.prices:
            step = Decimal(self.rng.randint(-30, 30)) * TICK
            if self.rng.random() < self.faults.gap:
                step *= self.rng.choice([12, 25])
            self.prices[key] = max(Decimal(2), self.prices[key] + step)
            price = self.prices[key]
            bid = Decimal(0) if self.nobody_bids else price - TICK
            wide = Decimal(self.rng.choice([0, 0, 0, 0, 0, 1, 2]))
            sizes = self.rng.choice([5000, 5000, 500, 25]), self.rng.choice([5000, 5000, 500, 25])
            quote = Quote(key, self.now, price, bid, price + TICK + wide, *sizes)
            if self._bad_left.get(key, 0) > 0 or self.rng.random() < self.faults.bad_tick:
                # A broken line repeats itself for some seconds.
                self._bad_left[key] = (self._bad_left.get(key) or self.rng.randint(1, 6)) - 1
                quote = self.rng.choice([replace(quote, last=Decimal(0)), replace(quote, ask=Decimal(0))])
            found.append(quote)
        return found

    @property
    def is_silent(self) -> bool:
        """Whether no quote comes in this second."""
        return any(each.covers(self._second) for each in self.faults.silent)

    @property
    def outage(self) -> str:
        """Why nothing can be asked in this second; empty in most."""
        return next((each.reason for each in self.faults.outages if each.covers(self._second)), "")

    def step(self, now: datetime) -> list[Message]:
        """Let a second pass: match, take what has arrived here, give what has arrived there."""
        self.now = now
        for order in list(self.orders.values()):
            if order.dies_at is not None and order.dies_at <= now and order.state.may_rest and not order.filled:
                order.state = OrderState.REJECTED
                self._tell(order)
            self._match(order)
        return self.arrivals()

    def arrivals(self) -> list[Message]:
        """Give what is due at the engine now."""
        due: list[Message] = []
        while self._post and self._post[0][0] <= self.now:
            _, _, way, item = heapq.heappop(self._post)
            if way == "in":
                self._arrived(item)
            else:
                due.append(item)  # type: ignore[arg-type]
        return due

    def line_dead(self) -> None:
        """The engine's process died: what was on its way to it is lost, what had left it arrives."""
        self._post = [each for each in self._post if each[2] == "in" and not isinstance(each[3], TakeSnapshot)]
        heapq.heapify(self._post)

    # --- a person beside us, the end of a day --------------------------------------------------------------------

    def traded_by_hand(self) -> str:
        """Let a person trade in the broker's app: sell what we hold, buy more, or take an order of ours back."""
        resting = [each for each in self.orders.values() if each.state.may_rest and not each.hand]
        if resting and self.rng.random() < 0.4:
            order = self.rng.choice(resting)
            order.state = OrderState.CANCELLED
            self._tell(order)
            return f"took {order.order_id} back"
        instrument, side = self.rng.choice([CALL, PUT]), self.rng.choice(list(Side))
        held = self.net().get(key_of(instrument), 0)
        if side is Side.SELL and held < instrument.lot:
            side = Side.BUY
        lots = self.rng.randint(1, max(1, min(5, held // instrument.lot))) if side is Side.SELL else 1
        return self._by_hand(instrument, side, lots * instrument.lot)

    def sold_by_hand(self, instrument: Instrument, units: int) -> str:
        """Let a person sell so many units in the broker's app."""
        return self._by_hand(instrument, Side.SELL, units)

    def _by_hand(self, instrument: Instrument, side: Side, units: int) -> str:
        self._count += 1
        ticket = OrderTicket(
            correlation_id=f"hand{self._count}",
            intent_id="hand",
            position_id="hand",
            deployment="hand",
            purpose=Purpose.EXIT,
            instrument=instrument,
            side=side,
            quantity=units,
            order_type=OrderType.MARKET,
            product=Product.INTRADAY,
        )
        order = Resting(order_id=f"V{len(self.orders) + 1}", ticket=ticket, since=self.now, hand=True)
        order.filled, order.state = ticket.quantity, OrderState.FILLED
        order.last_price = self.prices[instrument.key]
        order.value = order.last_price * order.filled
        self.orders[order.order_id] = order
        self._hand.append(order)
        self._tell(order)
        return f"{side.value} {ticket.quantity} {instrument.name}"

    def end_day(self) -> None:
        """What rests expires with its day; the next day's order book does not know it."""
        for order in self.orders.values():
            if order.state.may_rest:
                order.state = OrderState.EXPIRED
                self._count += 1
                heapq.heappush(self._post, (self.now, self._count, "out", OrderUpdated(order=order.row())))

    def settle(self, worth: dict[str, Decimal]) -> None:
        """Pay what is still held of contracts that have expired, by instrument key, rupees a unit."""
        for position_id in self.position_ids():
            units, instrument = self.held(position_id), self.of(position_id)[0].ticket.instrument
            if units:
                sign = next(
                    each.ticket.side.sign for each in self.of(position_id) if each.ticket.purpose is Purpose.ENTRY
                )
                self.settled[position_id] = sign * units * worth[instrument.key]

    # --- inside -------------------------------------------------------------------------------------------------

    @property
    def _second(self) -> int:
        return int((self.now - self.first).total_seconds())

    def _later(self, item: Message | Asked, way: str, extra_s: float = 0.0) -> None:
        self._count += 1
        delay = self.rng.random() * self.faults.delay_s + extra_s
        heapq.heappush(self._post, (self.now + timedelta(seconds=delay), self._count, way, item))

    def _arrived(self, asked: object) -> None:
        match asked:
            case PlaceOrder():
                self._place(asked.ticket)
            case LateOrder():
                self._rests(asked.ticket)
            case ModifyOrder():
                self._modify(asked)
            case CancelOrder():
                self._cancel(asked)
            case TakeSnapshot():
                self._later(self._snapshot(), "out")

    def _refusal(self) -> tuple[Outcome, str, bool] | None:
        """Draw a refusal that comes before the order book: outcome, reason, throttled."""
        if self.outage:
            return Outcome.REJECTED, self.outage, False
        dice = self.rng.random()
        for share, outcome, reason, throttled in (
            (self.faults.rejected, Outcome.REJECTED, "refused by the dice", False),
            (self.faults.not_sent, Outcome.NOT_SENT, "no line", False),
            (self.faults.throttled, Outcome.NOT_SENT, "too many requests", True),
        ):
            if dice < share:
                return outcome, reason, throttled
            dice -= share
        return None

    def _answer(self, kind: WriteKind, correlation_id: str, outcome: Outcome, **more: object) -> None:
        late = self.rng.random() < self.faults.answer_late
        extra = self.rng.choice([8.0, 20.0]) if late else 2.0 if outcome is Outcome.UNKNOWN else 0.0
        answer = WriteAnswered(kind=kind, correlation_id=correlation_id, outcome=outcome)
        self._later(replace(answer, **more), "out", extra_s=extra)  # type: ignore[arg-type]

    def _place(self, ticket: OrderTicket) -> None:
        refusal = self._refusal()
        if refusal is not None:
            outcome, reason, throttled = refusal
            self._answer(WriteKind.PLACE, ticket.correlation_id, outcome, reason=reason, throttled=throttled)
            return
        wait_s = 0.0 if self.late_s is None else self.late_s(ticket)
        if wait_s:
            self._answer(WriteKind.PLACE, ticket.correlation_id, Outcome.UNKNOWN, reason="time-out")
            self._count += 1
            heapq.heappush(self._post, (self.now + timedelta(seconds=wait_s), self._count, "in", LateOrder(ticket)))
            return
        unknown = self.rng.random() < self.faults.unknown
        if unknown:
            self._answer(WriteKind.PLACE, ticket.correlation_id, Outcome.UNKNOWN, reason="time-out")
            if self.rng.random() < 0.5:
                return
        self._rests(ticket, is_answered=not unknown)

    def _rests(self, ticket: OrderTicket, *, is_answered: bool = False) -> None:
        """Take an order into the book."""
        order = Resting(order_id=f"V{len(self.orders) + 1}", ticket=ticket, since=self.now)
        if self.rng.random() < self.faults.rejected_later:
            order.dies_at = self.now + timedelta(seconds=1)
        self.orders[order.order_id] = order
        self._by_position.setdefault(ticket.position_id, []).append(order)
        if ticket.purpose is Purpose.ENTRY and ticket.side is Side.SELL:
            self.sold.add(key_of(ticket.instrument))
        if is_answered:
            self._answer(
                WriteKind.PLACE,
                ticket.correlation_id,
                Outcome.ACCEPTED,
                order_id=order.order_id,
                state=OrderState.ACCEPTED,
            )
        self._tell(order)
        self._match(order)

    def _modify(self, asked: ModifyOrder) -> None:
        order, change, refusal = self.orders[asked.order_id], asked.change, self._refusal()
        outcome, reason, throttled = refusal or (Outcome.ACCEPTED, "", False)
        if order.state.is_done or change.quantity <= order.filled or order.changes >= MODIFICATIONS_TAKEN:
            outcome, reason, throttled = Outcome.REJECTED, "the order cannot be changed", False
        elif outcome is Outcome.ACCEPTED and self.rng.random() < self.faults.unknown:
            outcome, reason = Outcome.UNKNOWN, "time-out"
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.rng.random() < 0.5):
            order.changes += 1
            order.had.append(order.ticket)
            order.ticket = replace(
                order.ticket,
                order_type=change.order_type,
                quantity=change.quantity,
                price=change.price,
                trigger_price=change.trigger_price,
            )
            order.triggered = False
        self._answer(
            WriteKind.MODIFY,
            asked.correlation_id,
            outcome,
            reason=reason,
            throttled=throttled,
            order_id=asked.order_id,
            change=change,
        )
        self._match(order)

    def _cancel(self, asked: CancelOrder) -> None:
        order, refusal = self.orders[asked.order_id], self._refusal()
        outcome, reason, throttled = refusal or (Outcome.ACCEPTED, "", False)
        if order.state.is_done:
            outcome, reason, throttled = Outcome.REJECTED, "the order is over", False
        elif outcome is Outcome.ACCEPTED and self.rng.random() < self.faults.unknown:
            outcome, reason = Outcome.UNKNOWN, "time-out"
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.rng.random() < 0.5):
            order.state = OrderState.CANCELLED
            self._tell(order)
        state = OrderState.CANCELLED if outcome is Outcome.ACCEPTED and self.rng.random() < 0.5 else None
        self._answer(
            WriteKind.CANCEL,
            asked.correlation_id,
            outcome,
            reason=reason,
            throttled=throttled,
            order_id=asked.order_id,
            state=state,
        )

    def _match(self, order: Resting) -> None:
        if order.state.is_done or order.remaining <= 0 or order.dies_at is not None:
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
        if ticket.order_type is not OrderType.MARKET and (best > ticket.price if buys else best < ticket.price):
            return
        units = order.remaining
        if self.rng.random() < self.faults.partial:
            lots = units // ticket.instrument.lot
            units = self.rng.randint(0, max(1, lots // 2)) * ticket.instrument.lot
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
        if self.outage or self.rng.random() < self.faults.blind_snapshot:
            return SnapshotTaken(taken_at=self.now, known=False, reason=self.outage or "by the dice")
        seen = self.now - timedelta(seconds=self.faults.lag_s * self.rng.random())
        known = [each for each in self.orders.values() if each.since <= seen]
        listed = [each for each in known if self.day_began is None or each.since >= self.day_began]
        positions = tuple(
            BrokerPosition(segment=key[0], security_id=key[1], product="INTRADAY", net_quantity=units)
            for key, units in _net(known).items()
        )
        return SnapshotTaken(
            taken_at=self.now,
            orders=tuple(each.row() for each in listed),
            positions=positions,
            available_funds=self.funds,
        )


def _net(orders: list[Resting]) -> dict[Key, int]:
    net: dict[Key, int] = {}
    for each in orders:
        key = key_of(each.ticket.instrument)
        net[key] = net.get(key, 0) + each.ticket.side.sign * each.filled
    return net
