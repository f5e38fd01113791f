"""The account's book: everything the engine knows, built by applying events and by nothing else.

Invariant: two books that applied the same events are equal; recovery is nothing but that.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from decimal import Decimal

from workbench.core.messages import (
    AccountFrozen,
    AccountUnfrozen,
    BrokerOrder,
    CancelAsked,
    CancelEnded,
    DayOpened,
    DecisionMade,
    DeploymentArmed,
    DeploymentSwitched,
    EntryFailed,
    EntryPostponed,
    Event,
    ExitBegan,
    FeedJudged,
    FillBooked,
    FilledByHand,
    FundsSeen,
    LeftToExpire,
    OrderChangeAsked,
    OrderChangeEnded,
    OrderMoved,
    OrderSubmitted,
    Outcome,
    OvernightListed,
    PeakMoved,
    PositionCarried,
    PositionClosed,
    PositionPlanned,
    PositionResumed,
    PositionSettled,
    ProtectionChanged,
    Reconciled,
    SpotLevelsMoved,
    Stay,
    StopMoved,
    StructureClosed,
    StructureLeft,
    StructurePlanned,
    StructureStood,
    StructureTightened,
    SwitchTurned,
    TargetWatched,
)
from workbench.core.money import ZERO
from workbench.core.order import Order, OrderChange, Purpose, SuperLegName
from workbench.core.position import BY_HAND, TOLD, Fill, Position, PositionState, Protection
from workbench.core.signal import Side
from workbench.core.structure import Structure, applied


@dataclass(slots=True)
class Book:
    """State of one account; change it through `apply` only."""

    day: date | None = None
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    submitted_at: dict[str, datetime] = field(default_factory=dict)
    changes_pending: dict[str, OrderChange] = field(default_factory=dict)
    cancels_pending: set[str] = field(default_factory=set)
    by_order_id: dict[str, str] = field(default_factory=dict)
    decisions: list[DecisionMade] = field(default_factory=list)
    armed: dict[str, DeploymentArmed] = field(default_factory=dict)
    trades_today: int = 0
    sequence: int = 0
    halted: bool = False
    halt_reason: str = ""
    halted_by: str = ""
    switched_off: dict[str, DeploymentSwitched] = field(default_factory=dict)
    """By deployment: whose entries a person has halted."""
    frozen: tuple[str, ...] = ()
    funds: Decimal | None = None
    feed_alive: bool = True
    feed_reason: str = ""
    last_reconciled: Reconciled | None = None
    overnight: tuple[Stay, ...] = ()
    structures: dict[str, Structure] = field(default_factory=dict)
    postponed: dict[str, EntryPostponed] = field(default_factory=dict)
    unsent: dict[str, PositionPlanned] = field(default_factory=dict)
    """By signal or alert: the newest position of an entry of which more is to be sent."""

    # --- reading ------------------------------------------------------------------------------------------------

    def live_positions(self) -> list[Position]:
        """Positions that are held or may come to be held, oldest first."""
        return [position for position in self.positions.values() if position.is_live]

    def live_of(self, deployment: str) -> Position | None:
        """The live position of a deployment; of several the oldest that is not being left."""
        live = self.all_of(deployment)
        return next((position for position in live if not position.exit_reason), live[0] if live else None)

    def all_of(self, deployment: str) -> list[Position]:
        """All live positions of a deployment, oldest first: an entry may have become several.

        What is left to expire is not among them: no order can change it, and it stands in nobody's way.
        """
        live = [item for item in self.positions.values() if item.is_live and item.plan.deployment == deployment]
        return [item for item in live if item.state is not PositionState.EXPIRING]

    def orders_of(self, position_id: str) -> list[Order]:
        """All orders of a position, oldest first."""
        return [order for order in self.orders.values() if order.ticket.position_id == position_id]

    def resting_exits(self, position_id: str) -> list[Order]:
        """Exit and stop orders of a position that may rest at the broker (or are unknown), oldest first.

        There is one at most, unless an order that was given up has come back. Targets are not among them.
        """
        return [
            order
            for order in self.orders.values()
            if order.ticket.position_id == position_id
            and order.ticket.purpose not in (Purpose.ENTRY, Purpose.TARGET)
            and order.state.may_rest
        ]

    def resting_targets(self, position_id: str) -> list[Order]:
        """Targets of a position that may rest at the broker beside its stop (or are unknown), oldest first."""
        return [
            order
            for order in self.orders.values()
            if order.ticket.purpose is Purpose.TARGET
            and order.ticket.position_id == position_id
            and order.state.may_rest
        ]

    def resting_exit(self, position_id: str) -> Order | None:
        """The exit or stop order of a position that may rest at the broker (or is unknown); of two the newest."""
        resting = self.resting_exits(position_id)
        return resting[-1] if resting else None

    def resting_entry(self, position_id: str) -> Order | None:
        """The entry order of a position that may rest at the broker (or is unknown)."""
        for order in self.orders.values():
            ticket = order.ticket
            if ticket.position_id == position_id and ticket.purpose is Purpose.ENTRY and order.state.may_rest:
                return order
        return None

    def find(self, order_id: str, correlation_id: str) -> Order | None:
        """An order of ours by either id."""
        return self.orders.get(correlation_id) or self.orders.get(self.by_order_id.get(order_id, ""))

    def of_row(self, row: BrokerOrder) -> Order | None:
        """An order of ours by the broker's word on it; a leg of a super order also by where it belongs.

        A leg that stands under what is its entry's is not the entry, and which leg it is nobody can say (`is_own_leg`).
        """
        order = self.find(row.order_id, row.correlation_id)
        if order is not None and _is_a_leg_of(order, row):
            return None
        if order is not None or row.leg is None:
            return order
        entry, is_stop = self.by_order_id.get(row.leg.entry_id, ""), row.leg.name is SuperLegName.STOP
        legs = (each for each in self.orders.values() if entry and each.ticket.leg_of == entry)
        return next((each for each in legs if (each.ticket.purpose is Purpose.STOP) is is_stop), None)

    @property
    def has_super_orders(self) -> bool:
        """An entry of the day went as a super order: its legs stand in a list of their own at the broker."""
        return any(order.ticket.bracket is not None for order in self.orders.values())

    def is_own_leg(self, row: BrokerOrder) -> bool:
        """It is a leg of a super order of ours, also while its entry has not filled by our book."""
        if row.leg is not None:
            return row.leg.entry_id in self.by_order_id
        order = self.find(row.order_id, row.correlation_id)
        return order is not None and _is_a_leg_of(order, row)

    def net_by_instrument(self) -> dict[tuple[str, str], int]:
        """Net units by (segment, security id) that our fills say the broker holds."""
        net: dict[tuple[str, str], int] = {}
        for position in self.positions.values():
            instrument = position.plan.instrument
            key = (instrument.segment.value, instrument.security_id)
            net[key] = net.get(key, 0) + position.side.sign * position.open_quantity
        return net

    def realised(self) -> Decimal:
        """Net P&L of the day's closed positions, rupees after charges."""
        return sum((position.net for position in self.positions.values()), ZERO)

    # --- applying -----------------------------------------------------------------------------------------------

    def apply_all(self, events: Iterable[Event]) -> None:
        """Apply events in order."""
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Change the state by one event.

        Raises
        ------
        IllegalMove
            When an order would make a move that its table of transitions does not allow.
        """
        match event:
            case OrderSubmitted():
                self._submitted(event)
            case OrderMoved():
                self._moved(event)
            case OrderChangeAsked():
                self.changes_pending[event.correlation_id] = event.change
                self._attempted(event.correlation_id, event.purpose, event.at)
            case OrderChangeEnded():
                self.changes_pending.pop(event.correlation_id, None)
                if event.outcome is Outcome.ACCEPTED:
                    self.orders[event.correlation_id] = self.orders[event.correlation_id].changed(event.change)
            case CancelAsked():
                self.cancels_pending.add(event.correlation_id)
            case CancelEnded():
                self.cancels_pending.discard(event.correlation_id)
            case FillBooked():
                self._filled(event)
            case _:
                self._apply_to_position(event)

    def _apply_to_position(self, event: Event) -> None:
        match event:
            case PositionPlanned():
                self._planned(event)
            case StopMoved() | PeakMoved() | ProtectionChanged() | ExitBegan() | PositionClosed() | EntryFailed():
                self._position_moved(event)
            case SpotLevelsMoved() | PositionCarried() | PositionResumed() | LeftToExpire() | PositionSettled():
                self._stayed(event)
            case TargetWatched():
                position = self.positions[event.position_id]
                self.positions[event.position_id] = replace(position, target_watched_for=event.reason)
            case FilledByHand():
                self._filled_by_hand(event)
            case StructurePlanned() | StructureStood() | StructureTightened() | StructureLeft() | StructureClosed():
                applied(self.structures, event)
            case _:
                self._apply_rest(event)

    def _apply_rest(self, event: Event) -> None:
        match event:
            case OvernightListed():
                self.overnight = event.stays
            case DecisionMade() | EntryPostponed():
                self._decided(event)
            case DayOpened():
                self._day_opened(event)
            case SwitchTurned() | DeploymentSwitched():
                self._switched(event)
            case AccountFrozen():
                self.frozen = event.differences
            case AccountUnfrozen():
                self.frozen = ()
            case DeploymentArmed():
                self.armed[event.deployment] = event
            case FundsSeen():
                self.funds = event.available
            case FeedJudged():
                self.feed_alive, self.feed_reason = event.alive, event.reason
            case Reconciled():
                self.last_reconciled = event
            case _:
                raise TypeError(f"not an event: {type(event).__name__}")

    def _switched(self, event: SwitchTurned | DeploymentSwitched) -> None:
        if isinstance(event, SwitchTurned):
            self.halted, self.halt_reason = event.halted, event.reason if event.halted else ""
            self.halted_by = event.who if event.halted else ""
        elif event.halted:
            self.switched_off[event.deployment] = event
        else:
            self.switched_off.pop(event.deployment, None)

    def _decided(self, event: DecisionMade | EntryPostponed) -> None:
        match event:
            case DecisionMade():
                self.decisions.append(event)
                waiting = self.postponed.get(event.deployment)
                if waiting is not None and waiting.subject == event.subject:
                    del self.postponed[event.deployment]
                self.unsent.pop(event.subject, None)
            case EntryPostponed():
                self.postponed[event.deployment] = event

    def _position_moved(
        self, event: StopMoved | PeakMoved | ProtectionChanged | ExitBegan | PositionClosed | EntryFailed
    ) -> None:
        position = self.positions[event.position_id]
        match event:
            case StopMoved():
                position = replace(
                    position,
                    stop=event.stop if event.stop is not None else position.stop,
                    initial_stop=event.stop if event.initial else position.initial_stop,
                    target=event.target if event.initial or event.target is not None else position.target,
                    peak=event.peak if event.peak is not None else position.peak,
                    tightened_by=event.by or position.tightened_by,
                )
            case PeakMoved():
                position = replace(position, peak=event.peak)
            case ProtectionChanged():
                failures = position.stop_failures + (event.protection == Protection.NONE.value)
                position = replace(position, protection=Protection(event.protection), stop_failures=failures)
            case ExitBegan():
                position = replace(
                    position,
                    state=PositionState.EXITING,
                    exit_reason=event.reason,
                    exit_began=event.at,
                    exit_attempts=0,
                    last_attempt=None,
                )
            case PositionClosed():
                position = replace(
                    position,
                    state=PositionState.CLOSED,
                    exit_reason=event.reason,
                    closed_at=event.at,
                    gross=event.gross,
                    charges=event.charges,
                    net=event.net,
                    protection=Protection.NONE,
                )
            case EntryFailed():
                position = replace(
                    position,
                    state=PositionState.FAILED,
                    closed_at=event.at,
                    exit_reason=position.exit_reason or event.reason,
                )
        self.positions[event.position_id] = position

    def _planned(self, event: PositionPlanned) -> None:
        self.positions[event.position_id] = Position(plan=event)
        # Slices are one trade; what was carried over is one of another day.
        is_of_today = self.day is None or event.at.date() >= self.day
        self.trades_today += is_of_today and not event.group
        if event.unsent and is_of_today:
            self.unsent[event.subject] = event
        else:
            self.unsent.pop(event.subject, None)

    def _stayed(
        self, event: SpotLevelsMoved | PositionCarried | PositionResumed | LeftToExpire | PositionSettled
    ) -> None:
        position = self.positions[event.position_id]
        match event:
            case SpotLevelsMoved():
                position = replace(
                    position,
                    spot_stop=event.stop,
                    spot_peak=event.peak,
                    spot_target=event.target if event.initial else position.spot_target,
                )
            case PositionCarried():
                position = replace(position, state=PositionState.CARRIED, carried_at=event.at)
            case PositionResumed():
                position = replace(position, state=PositionState.OPEN, protection=Protection.NONE)
            case LeftToExpire():
                position = replace(
                    position, state=PositionState.EXPIRING, exit_reason="expired", protection=Protection.NONE
                )
            case PositionSettled():
                held = position.open_quantity * position.side.sign
                fill = Fill(
                    correlation_id="settlement",
                    purpose=Purpose.EXIT,
                    side=event.side or (Side.SELL if held > 0 else Side.BUY),
                    quantity=event.quantity or abs(held),
                    price=event.value,
                    at=event.at,
                    settled=True,
                )
                position = replace(position, fills=(*position.fills, fill))
        self.positions[event.position_id] = position

    def _filled_by_hand(self, event: FilledByHand) -> None:
        position = self.positions[event.position_id]
        fill = Fill(
            correlation_id=BY_HAND + event.order_id,
            purpose=Purpose.EXIT,
            side=position.side.opposite,
            quantity=event.quantity,
            price=event.price,
            at=event.at,
        )
        self.positions[event.position_id] = replace(position, fills=(*position.fills, fill))

    def _submitted(self, event: OrderSubmitted) -> None:
        ticket = event.ticket
        self.orders[ticket.correlation_id] = Order(ticket=ticket)
        self.submitted_at[ticket.correlation_id] = event.at
        self.sequence += 1
        if ticket.purpose is not Purpose.ENTRY:
            self._attempted(ticket.correlation_id, ticket.purpose.value, event.at)

    def _attempted(self, correlation_id: str, purpose: str, at: datetime) -> None:
        """Count an attempt to leave, for the escalation of the chase."""
        if purpose != Purpose.EXIT.value:
            return
        position_id = self.orders[correlation_id].ticket.position_id
        position = self.positions[position_id]
        self.positions[position_id] = replace(position, exit_attempts=position.exit_attempts + 1, last_attempt=at)

    def _moved(self, event: OrderMoved) -> None:
        order = self.orders[event.correlation_id].moved(event.state, order_id=event.order_id, reason=event.reason)
        self.orders[event.correlation_id] = order
        if order.order_id:
            self.by_order_id[order.order_id] = event.correlation_id
        if order.state.is_done:
            self.cancels_pending.discard(event.correlation_id)
            self.changes_pending.pop(event.correlation_id, None)

    def by_hand(self, order_id: str) -> int:
        """Units that are booked as another's trade under a number of the broker's."""
        number = BY_HAND + order_id
        fills = (fill for position in self.positions.values() for fill in position.fills)
        return sum(fill.quantity for fill in fills if fill.correlation_id == number)

    def told_by_hand(self, position_id: str) -> list[str]:
        """Numbers under which a person's own closings of that position are booked, newest first."""
        prefix = f"{BY_HAND}{TOLD}"
        fills = reversed(self.positions[position_id].fills)
        return [each.correlation_id.removeprefix(BY_HAND) for each in fills if each.correlation_id.startswith(prefix)]

    def _take_off_by_hand(self, order_id: str, quantity: int) -> None:
        """Take units off what is booked as another's under that number, whichever position it was taken for."""
        number, left = BY_HAND + order_id, quantity
        for position_id, position in list(self.positions.items()):
            kept: list[Fill] = []
            for fill in position.fills:
                units = min(left, fill.quantity) if fill.correlation_id == number else 0
                left -= units
                if fill.quantity > units:
                    kept.append(replace(fill, quantity=fill.quantity - units))
            if tuple(kept) != position.fills:
                self.positions[position_id] = _left_again(replace(position, fills=tuple(kept)))

    def _filled(self, event: FillBooked) -> None:
        if event.booked_as:
            self._take_off_by_hand(event.booked_as, event.quantity)
        order = self.orders[event.correlation_id].filled(event.quantity, event.price)
        self.orders[event.correlation_id] = order
        ticket = order.ticket
        position = self.positions[event.position_id]
        fill = Fill(
            correlation_id=event.correlation_id,
            purpose=ticket.purpose,
            side=ticket.side,
            quantity=event.quantity,
            price=event.price,
            at=event.at,
        )
        position = replace(position, fills=(*position.fills, fill), opened_at=position.opened_at or event.at)
        # FAILED and CLOSED: an order that was given up filled after all; the fill is believed and the position lives.
        if position.state is PositionState.OPENING:
            position = replace(position, state=PositionState.OPEN)
        elif position.state is PositionState.FAILED:
            left = position.exit_began is not None
            state, reason = (PositionState.EXITING, position.exit_reason) if left else (PositionState.OPEN, "")
            position = replace(position, state=state, exit_reason=reason, closed_at=None)
        self.positions[event.position_id] = _left_again(position)

    def _day_opened(self, event: DayOpened) -> None:
        """Begin anew: what is carried over follows as events of its own, so that recovery needs one day only."""
        fresh = Book(day=event.day, halted=event.halted, halt_reason=event.halt_reason)
        for item in fields(Book):
            setattr(self, item.name, getattr(fresh, item.name))


def _left_again(position: Position) -> Position:
    """Give a position back to those who leave it, if it was closed and turns out to hold units."""
    if position.state is not PositionState.CLOSED or not position.open_quantity:
        return position
    return replace(
        position, state=PositionState.EXITING, closed_at=None, exit_attempts=0, gross=ZERO, charges=ZERO, net=ZERO
    )


def _is_a_leg_of(entry: Order, row: BrokerOrder) -> bool:
    """A row under the id of a super order's entry is of the other side: only his list of them tells more of it."""
    ticket = entry.ticket
    is_there = row.security_id in ("", ticket.instrument.security_id)
    return ticket.bracket is not None and row.leg is None and is_there and row.side is not ticket.side
