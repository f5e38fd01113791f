"""The dispatch: one message in, events and commands out, in one order."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.engine import (
    beat,
    building,
    by_hand,
    carrying,
    day_end,
    entries,
    orders,
    pairing,
    ranges,
    sending,
    settling,
    steering,
    structures,
    underlying,
    watching,
)
from workbench.core.engine.turn import DAILY_LOSS, Decision, Desk, EngineConfig, Turn
from workbench.core.legs import Listings
from workbench.core.messages import (
    AccountUnfrozen,
    AlertReceived,
    AlertTurnedAway,
    BarClosed,
    ChainRead,
    ClosedByHand,
    DayBegan,
    DeploymentArmed,
    DeploymentChecked,
    DeploymentSwitched,
    Event,
    FeedChecked,
    FeedJudged,
    MarginRead,
    Message,
    Operator,
    OperatorOrdered,
    OrderUpdated,
    QuoteReceived,
    RangeMeasured,
    SettlementTold,
    SignalRaised,
    SnapshotTaken,
    SwitchTurned,
    TimerBeat,
    WriteAnswered,
)
from workbench.core.order import Product
from workbench.core.position import PositionState

FLATTENED = "flatten"
"""Who halts when everything was ordered to be left; a person resumes."""

SLEPT = timedelta(seconds=20)
"""So long nothing comes, not even a beat, only where the computer slept or the process stood still."""

WORD_LASTS = timedelta(seconds=5)
"""So long the broker's word on what he squares off is believed; then it is asked for again."""


class Engine:
    """Deterministic state machine of one account.

    Parameters
    ----------
    config : EngineConfig

    Notes
    -----
    The same events and messages with the same `now` give the same decisions. State changes by events only, and a wish
    that waits stands in them too; what else the engine holds (quotes, pauses) may be lost in a crash without harm.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._desk = Desk(config=config)
        self._recovered = False

    @property
    def config(self) -> EngineConfig:
        """What the engine was given."""
        return self._desk.config

    @property
    def book(self) -> Book:
        """The account's book; read only."""
        return self._desk.book

    @property
    def quotes(self) -> dict[str, Quote]:
        """Last quote by instrument key; read only."""
        return self._desk.quotes

    @property
    def is_entering(self) -> bool:
        """Legs are being chosen or sent: an answer, a price or a second may bring the next order."""
        return bool(self._desk.building)

    def open_pnl(self) -> Decimal:
        """P&L of what is open, charges so far counted, rupees."""
        return steering.open_pnl(self._desk)

    def day_loss_reached(self) -> Decimal | None:
        """Give the day's P&L in rupees where it has come to the account's limit, and halts entries at each beat."""
        return beat.day_loss_reached(self._desk)

    def watched_levels(self, key: str) -> list[Decimal]:
        """Prices of one instrument at which the engine itself would act (targets), for a market made of bars."""
        positions = (self.book.positions[item] for item in self._desk.held.get(key, ()))
        return [item.target for item in positions if item.target is not None and item.open_quantity]

    def list_instruments(self, listings: Listings) -> None:
        """Take another day's listings (a replay over many days)."""
        self._desk.config = _with_listings(self._desk.config, listings)

    def recover(self, events: Iterable[Event], since: datetime | None = None) -> None:
        """Apply journalled events; nothing is decided and no strategy is asked.

        A look at the broker that began before `since` tells nothing of what was lost.
        """
        self._desk.book.apply_all(events)
        self._desk.refresh_held()
        self._desk.await_word(since)
        self._recovered = True

    def handle(self, message: Message, *, now: datetime) -> Decision:
        """Decide on one message.

        Parameters
        ----------
        message : Message
        now : datetime
            Market time as stamped when the message left the queue.
        """
        turn = Turn(self._desk, now)
        _wake_up(turn, message)
        self._dispatch(turn, message)
        for name in list(turn.desk.building):
            building.advance(turn, name)
        structures.follow(turn)
        pairing.follow(turn)
        return Decision(events=tuple(turn.events), commands=tuple(turn.commands))

    def _dispatch(self, turn: Turn, message: Message) -> None:
        match message:
            case QuoteReceived():
                _on_quote(turn, message.quote)
            case TimerBeat():
                beat.on_beat(turn)
                for deployment in list(turn.desk.pending):
                    entries.retry_pending(turn, deployment)
            case SignalRaised():
                entries.on_signal(turn, message)
            case AlertReceived():
                entries.on_alert(turn, message)
            case AlertTurnedAway():
                entries.on_turned_away(turn, message)
            case OrderUpdated() | WriteAnswered() | SnapshotTaken():
                _on_broker(turn, message)
            case OperatorOrdered():
                _on_operator(turn, message)
            case SettlementTold() | ClosedByHand() | ChainRead() | MarginRead():
                _on_told(turn, message)
            case DayBegan():
                self._on_day(turn, message)
            case DeploymentChecked() | FeedChecked() | BarClosed() | RangeMeasured():
                _on_check(turn, message)
            case _:
                assert_never(message)

    def _on_day(self, turn: Turn, message: DayBegan) -> None:
        desk, recovered, self._recovered = turn.desk, self._recovered, False
        if turn.book.day != message.day:
            carrying.open_day(turn, message.day)
            entries.drop_all_pending(turn, "the day is over")
            desk.new_day()
        if recovered:  # of a day that is opened late, too, orders of the morning live on
            settling.settle_after_recovery(turn)
        desk.quotes.clear()
        desk.refresh_held()
        watching.subscribe_underlyings(turn)


def _wake_up(turn: Turn, message: Message) -> None:
    """Hold back what the broker, or a person, may have left while nobody saw it."""
    desk, now = turn.desk, turn.now
    heard_at, desk.heard_at = desk.heard_at or now, now
    is_opened, has_slept = turn.book.day in (None, now.date()), now - heard_at >= SLEPT
    if has_slept and desk.blind:
        desk.await_word(now, desk.blind)  # a look that was under way tells of the time before
    # Hours begin and end with a minute; whoever is cut off still hears beats.
    if is_opened and not isinstance(message, TimerBeat) and _is_same_minute(heard_at, now):
        return
    missed, begins = _missed(turn, heard_at, is_opened=is_opened)
    is_awaited = missed <= desk.blind and desk.blind_since is not None and desk.blind_since >= begins
    if missed and not is_awaited:
        desk.await_word(now, missed)


def _missed(turn: Turn, heard_at: datetime, *, is_opened: bool) -> tuple[frozenset[str], datetime]:
    """Give the positions of which nothing is sure, and since when: no look that began before that tells of them.

    All of them after an open that was missed, those of INTRADAY once the broker squares them off.

    Over the open the computer slept, or it is awake and its day was never opened. He squares off for some minutes, and
    an engine that is awake may be cut off in them: what it leaves then wants a look of the last seconds.
    """
    desk, now = turn.desk, turn.now
    held, has_slept, since = desk.may_be_held(), now - heard_at >= SLEPT, desk.blind_since
    squared_off, begins = set[str](), datetime.min.replace(tzinfo=now.tzinfo)
    for position_id in held:
        plan = turn.book.positions[position_id].plan
        session = desk.session_of(plan.instrument, now.date())
        if session is None or now < session.open:
            continue
        is_unopened = not is_opened and (since is None or since < session.open)
        if is_unopened or (has_slept and heard_at < session.open):
            return held, now
        is_his = plan.product is Product.INTRADAY and session.broker_square_off <= now < session.close
        if is_his and not desk.has_word(session.broker_square_off, now - WORD_LASTS):
            squared_off.add(position_id)
            begins = max(begins, session.broker_square_off)
    return frozenset(squared_off), begins


def _is_same_minute(one: datetime, other: datetime) -> bool:
    return one.minute == other.minute and abs(other - one) < timedelta(minutes=1)


def _on_quote(turn: Turn, quote: Quote) -> None:
    desk = turn.desk
    if quote.last <= 0:
        return  # nothing has traded, or the packet is broken: no price, least of all one that a stop has been passed at
    desk.quotes[quote.key] = quote
    if quote.key in desk.held:
        steering.on_quote(turn, quote)
        for position_id in desk.held.get(quote.key, ()):
            position = turn.book.positions[position_id]
            if position.state is PositionState.CARRIED:
                day_end.resume(turn, position)
    structures.on_quote(turn, quote)
    if quote.key in desk.spots:
        underlying.on_spot(turn, quote)
    if quote.key in desk.watched:
        watching.on_spot(turn, quote)
    if desk.pending:
        for deployment in list(desk.pending):
            entries.retry_pending(turn, deployment)


def _on_broker(turn: Turn, message: OrderUpdated | WriteAnswered | SnapshotTaken) -> None:
    match message:
        case OrderUpdated():
            orders.on_update(turn, message)
        case WriteAnswered():
            orders.on_answer(turn, message)
        case SnapshotTaken():
            settling.on_snapshot(turn, message)
        case _:
            assert_never(message)


def _on_told(turn: Turn, message: SettlementTold | ClosedByHand | ChainRead | MarginRead) -> None:
    match message:
        case SettlementTold():
            day_end.on_settlement(turn, message)
        case ClosedByHand():
            by_hand.on_told(turn, message)
        case ChainRead() | MarginRead():
            building.on_read(turn, message)
            if isinstance(message, MarginRead):
                pairing.on_read(turn, message)
        case _:
            assert_never(message)


def _on_operator(turn: Turn, order: OperatorOrdered) -> None:
    book = turn.book
    match order.command:
        case Operator.HALT | Operator.RESUME if order.target:
            _switch(turn, order)
        case Operator.HALT:
            reason = order.reason or f"halted by {order.who}"
            who = "operator" if order.who == DAILY_LOSS else order.who
            turn.emit(SwitchTurned(halted=True, at=turn.now, reason=reason, who=who))
            entries.drop_all_pending(turn, reason)
        case Operator.RESUME:
            turn.emit(SwitchTurned(halted=False, at=turn.now, reason=order.reason, who=order.who))
        case Operator.UNFREEZE:
            turn.emit(AccountUnfrozen(at=turn.now, who=order.who))
            sending.ask_snapshot(turn, "unfrozen: looking again")
        case Operator.FLATTEN | Operator.CLOSE:
            is_his = book.halted and book.halted_by != DAILY_LOSS
            if order.command is Operator.FLATTEN and not is_his:
                # Who wants to be out of everything does not want a signal a minute later, or on the morning after a
                # day that its own loss had halted, to enter again.
                reason = order.reason or f"everything was left by {order.who}"
                turn.emit(SwitchTurned(halted=True, at=turn.now, reason=reason, who=FLATTENED))
            is_all = order.command is Operator.FLATTEN or not order.target
            if is_all:
                entries.drop_all_pending(turn, "everything was to be left")
            for position in book.live_positions():
                if is_all or order.target == position.position_id:
                    entries.drop_pending(turn, position.plan.deployment, f"{position.position_id} was closed by hand")
                    steering.begin_exit(turn, position.position_id, "manual")
        case _:
            assert_never(order.command)


def _switch(turn: Turn, order: OperatorOrdered) -> None:
    """Halt the entries of one deployment, or allow them again."""
    is_halt = order.command is Operator.HALT
    reason = order.reason or (f"halted by {order.who}" if is_halt else "")
    turn.emit(DeploymentSwitched(deployment=order.target, halted=is_halt, at=turn.now, reason=reason, who=order.who))
    if is_halt:
        entries.drop_pending(turn, order.target, reason)


def _on_check(turn: Turn, message: DeploymentChecked | FeedChecked | BarClosed | RangeMeasured) -> None:
    match message:
        case DeploymentChecked():
            known = turn.book.armed.get(message.deployment)
            if known is None or (known.armed, known.reason) != (message.armed, message.reason):
                turn.emit(
                    DeploymentArmed(
                        deployment=message.deployment, armed=message.armed, reason=message.reason, at=turn.now
                    )
                )
        case FeedChecked():
            if message.alive != turn.book.feed_alive:
                turn.emit(FeedJudged(alive=message.alive, at=turn.now, reason=message.reason))
        case RangeMeasured():
            ranges.on_measured(turn, message)
        case BarClosed():
            # Kept in the journal for the parity proof; signals come as messages of their own.
            return


def _with_listings(config: EngineConfig, listings: Listings) -> EngineConfig:
    return replace(config, listings=listings)
