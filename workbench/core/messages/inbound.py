"""Messages: what goes into the engine, in one order."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from workbench.core.bars import Bar, Quote
from workbench.core.instrument import Right
from workbench.core.messages.broker import BrokerOrder, BrokerPosition, BrokerTrade, Outcome, WriteKind
from workbench.core.messages.structures import ChainRead, MarginRead
from workbench.core.order import OrderChange, OrderState
from workbench.core.signal import SignalValues


@dataclass(frozen=True, slots=True, kw_only=True)
class BarClosed:
    """A bar of an underlying has closed."""

    key: str
    interval: str
    bar: Bar
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRaised:
    """A strategy was evaluated at a closed bar (`bar_time` is its open, `known_at` its close).

    `values` is the newest row, `previous` the row before it; `stop_points` is the strategy's own stop distance on
    the underlying, where it has one; `atr` is the average true range of these bars (rupees) where the plan's exits ask
    for it.
    """

    deployment: str
    bar_time: datetime
    known_at: datetime
    values: SignalValues
    previous: SignalValues | None
    strategy_hash: str
    close: Decimal
    stop_points: Decimal | None = None
    atr: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteReceived:
    """A quote of an instrument that the engine subscribed to."""

    quote: Quote


class AlertAction(StrEnum):
    """What an alert asks for, whatever its payload looked like."""

    BULLISH = "bullish"
    BEARISH = "bearish"
    OPEN_CALL = "open_call"
    OPEN_PUT = "open_put"
    CLOSE_CALL = "close_call"
    CLOSE_PUT = "close_put"
    TARGET_LONG = "target_long"
    TARGET_SHORT = "target_short"
    TARGET_FLAT = "target_flat"
    ENTRY_GIVEN = "entry_given"
    EXIT_GIVEN = "exit_given"
    HOURLY = "hourly"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReceived:
    """An alert that is on disk already, read and authenticated.

    Parameters
    ----------
    alert_id : str
        Idempotency key; the inbox lets each through once, for ever.
    fired_at : datetime or None
        When it fired by the sender's word (exit alerts of one payload have none).
    given_strike, given_right
        For payloads that name the contract.
    source : str
        "webhook", "panel" or "test".
    """

    alert_id: str
    deployment: str
    action: AlertAction
    symbol: str
    received_at: datetime
    fired_at: datetime | None = None
    price: Decimal | None = None
    given_strike: Decimal | None = None
    given_right: Right | None = None
    source: str = "webhook"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTurnedAway:
    """An alert that was refused before the engine (bad field, wrong link, stale, ...); kept for the record."""

    alert_id: str
    deployment: str
    received_at: datetime
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdated:
    """The broker's word on one order, from the update socket, a look-up or a poll."""

    order: BrokerOrder
    source: str = "socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAnswered:
    """How one of our commands ended (place, modify or cancel).

    `change` is carried back for a modification, so that accepted terms are booked; `throttled` says that it was refused
    for its pace alone, so that the same wish is good a moment later.
    """

    kind: WriteKind
    correlation_id: str
    outcome: Outcome
    order_id: str = ""
    reason: str = ""
    state: OrderState | None = None
    change: OrderChange | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerBeat:
    """One market second has passed."""


class Operator(StrEnum):
    """What a person can order."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    CLOSE = "close"
    UNFREEZE = "unfreeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOrdered:
    """A person's command.

    `target` names a position for CLOSE and a deployment for HALT and RESUME (empty: all).
    """

    command: Operator
    target: str = ""
    reason: str = ""
    who: str = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedByHand:
    """A person says that he has closed units of a position himself, and at which price (rupees a unit)."""

    position_id: str
    quantity: int
    price: Decimal
    who: str = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """The broker's whole truth at one moment, for reconciliation.

    `known` is False where a part could not be read: unknown is never flat. `not_looked_up` are correlation ids of
    unanswered orders that the list does not show and whose look-up by id failed: nothing is known of them.
    `with_legs`: the list of super orders was asked for too; `legs_unread`: it could not be read.
    """

    taken_at: datetime
    orders: tuple[BrokerOrder, ...] = ()
    trades: tuple[BrokerTrade, ...] = ()
    positions: tuple[BrokerPosition, ...] = ()
    available_funds: Decimal | None = None
    known: bool = True
    with_legs: bool = False
    legs_unread: bool = False
    reason: str = ""
    not_looked_up: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentChecked:
    """The signal source says whether a deployment has enough verified bars."""

    deployment: str
    armed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeMeasured:
    """The signal source says the average true range of a deployment's bars, where its plan asks for it.

    Parameters
    ----------
    bar_time : datetime or None
        Open of the newest bar that it counts; None without bars.
    atr : Decimal or None
        Rupees; None while it is not known, for `reason`.
    """

    deployment: str
    bar_time: datetime | None
    atr: Decimal | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedChecked:
    """Feed supervision says whether market data is alive, by wire time."""

    alive: bool
    age_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBegan:
    """A trading day is opened (start-up, or the calendar job at dawn)."""

    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementTold:
    """The price (rupees of the underlying) at which contracts of that expiry were settled."""

    symbol: str
    expiry: date
    price: Decimal


Message = (
    BarClosed
    | SignalRaised
    | QuoteReceived
    | AlertReceived
    | AlertTurnedAway
    | OrderUpdated
    | WriteAnswered
    | TimerBeat
    | OperatorOrdered
    | SnapshotTaken
    | DeploymentChecked
    | RangeMeasured
    | FeedChecked
    | DayBegan
    | SettlementTold
    | ClosedByHand
    | ChainRead
    | MarginRead
)
