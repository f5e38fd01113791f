"""Events, in the past tense: what was decided. State changes only by applying one of these."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from workbench.core.instrument import Instrument, Right
from workbench.core.messages.broker import Outcome
from workbench.core.messages.structures import (
    StructureClosed,
    StructureLeft,
    StructurePlanned,
    StructureStood,
    StructureTightened,
)
from workbench.core.money import ZERO
from workbench.core.order import OrderChange, OrderState, OrderTicket, Product
from workbench.core.plan import Exits, Overnight, ProtectionRule
from workbench.core.signal import Direction, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOpened:
    """A trading day begins with this book carried over; recovery starts here."""

    day: date
    realised_today: Decimal = ZERO
    halted: bool = False
    halt_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """One line why a signal or an alert traded or not.

    `subject` is the alert id or `signal:<deployment>:<bar time>`; `fate` a word ("entered", "denied", "exited",
    "nothing_to_exit", "ignored", "reversed", "refused", and "cut_short" for an entry whose later orders are not sent);
    `gate` the gate's name where one denied.
    """

    subject: str
    deployment: str
    at: datetime
    fate: str
    reason: str = ""
    gate: str = ""
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPostponed:
    """An entry waits for `waits_for`, until then; a decision about the same subject ends it.

    It stands in the journal with all that the wish was made of, so that a process that dies meanwhile forgets nothing.

    Parameters
    ----------
    known_at : datetime or None
        When the signal or alert was fired; its age counts from there.
    max_age_s : float
        Seconds that it may be old.
    strike, right
        Of the contract, where the alert names it.
    atr : Decimal or None
        Average true range of the signal's bars, rupees, by which a plan may lay its levels.
    """

    subject: str
    deployment: str
    at: datetime
    direction: Direction
    origin: str
    waits_for: str
    until: datetime
    known_at: datetime | None
    max_age_s: float
    price: Decimal | None = None
    strike: Decimal | None = None
    right: Right | None = None
    atr: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionPlanned:
    """An approved entry: what is to be bought or sold and how it will be left.

    Parameters
    ----------
    direction : Direction
        View on the underlying.
    side : Side
        Side of the entry order.
    exits : Exits
        How it is left besides the strategy's own exit; distances count from the entry fill.
    subject : str
        The signal or alert that led to it.
    priced_by_model : bool
        True where prices come from the pricing model.
    overnight : Overnight
        What happens to it at the end of the day.
    group : str
        The first position of an entry that became several (slices of one size, or legs); empty for the first itself.
    structure : str
        What it is a leg of; empty where it stands alone.
    protection : ProtectionRule
        What rests at the broker while it is held.
    unsent : int
        Units of the same entry that are still to be sent, as further positions of the group.
    """

    position_id: str
    deployment: str
    direction: Direction
    side: Side
    instrument: Instrument
    quantity: int
    product: Product
    exits: Exits
    reference_price: Decimal
    underlying_price: Decimal
    subject: str
    at: datetime
    priced_by_model: bool = False
    overnight: Overnight = Overnight.SQUARE_OFF
    group: str = ""
    structure: str = ""
    protection: ProtectionRule = ProtectionRule.STOP_ONLY
    unsent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSubmitted:
    """An order is about to leave; on disk before it does."""

    ticket: OrderTicket
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoved:
    """An order of ours changed its state."""

    correlation_id: str
    state: OrderState
    at: datetime
    order_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeAsked:
    """A modification is about to leave; on disk before it does."""

    correlation_id: str
    change: OrderChange
    purpose: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeEnded:
    """A modification was answered; `accepted` books the new terms."""

    correlation_id: str
    change: OrderChange
    outcome: Outcome
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked:
    """A cancellation is about to leave."""

    correlation_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelEnded:
    """A cancellation was answered, or its answer is lost with a restart; it may be asked again."""

    correlation_id: str
    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FillBooked:
    """Units of one order were executed at a price (rupees).

    `booked_as` is the broker's order number under which these units stood as another's: they are moved, not added.
    """

    correlation_id: str
    position_id: str
    quantity: int
    price: Decimal
    at: datetime
    reference_price: Decimal = ZERO
    booked_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMoved:
    """Stop and target were laid around the entry (`initial`), or the stop was tightened (rupees on the traded price).

    `by` names the rule that tightened it: "trail" or "lock". A `target` beside a tightened stop is laid anew, for more
    of the entry has filled.
    """

    position_id: str
    stop: Decimal | None
    at: datetime
    target: Decimal | None = None
    peak: Decimal | None = None
    initial: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakMoved:
    """The best traded price since entry moved at a beat (basis of the trail)."""

    position_id: str
    peak: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotLevelsMoved:
    """Levels on the underlying were laid (`initial`) or tightened, rupees; `peak` is its best price since the entry."""

    position_id: str
    at: datetime
    stop: Decimal | None
    peak: Decimal
    target: Decimal | None = None
    initial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionChanged:
    """Where the stop of a position is: "at_broker", "pending", "watched" or "none"."""

    position_id: str
    protection: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWatched:
    """A target cannot rest at the broker beside the stop, for `reason`: the engine watches it from here on."""

    position_id: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitBegan:
    """A position is being left, for `reason` (stop, target, trail, signal, session_end, ...)."""

    position_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionClosed:
    """A position is flat; gross P&L, charges and net in rupees."""

    position_id: str
    at: datetime
    reason: str
    entry_price: Decimal
    exit_price: Decimal
    gross: Decimal
    charges: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCarried:
    """A position stays over the night: decided before the close, for `reason`."""

    position_id: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionResumed:
    """A carried position is watched again: the market has opened."""

    position_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One position that stays over the night; P&L in rupees at the last price, charges so far counted."""

    position_id: str
    symbol: str
    expiry: date | None
    strike: Decimal | None
    right: str
    side: str
    quantity: int
    pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OvernightListed:
    """The list of what stays over the night."""

    at: datetime
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToExpire:
    """A position cannot be left any more and expires; it is booked when its settlement price is told."""

    position_id: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSettled:
    """An expired position was settled: `value` is its intrinsic value, rupees a unit.

    Without a `quantity` it is all that is open. A new day that tells it again names units and side, and no price of the
    underlying: what was booked after the settlement is told after it.
    """

    position_id: str
    at: datetime
    settlement_price: Decimal
    value: Decimal
    quantity: int = 0
    side: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledByHand:
    """Units of a position were left without us, at rupees a unit; `order_id` is the broker's, or says: told."""

    position_id: str
    quantity: int
    price: Decimal
    at: datetime
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFailed:
    """A planned position came to nothing (rejected, not sent, cancelled unfilled)."""

    position_id: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchTurned:
    """Entries were halted or allowed again; a latch needs a person."""

    halted: bool
    at: datetime
    reason: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSwitched:
    """A person has halted the entries of one deployment, or allows them again; its exits go on either way."""

    deployment: str
    halted: bool
    at: datetime
    reason: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFrozen:
    """Broker and book differ in a way that nothing explains; entries stop until a person has looked."""

    differences: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUnfrozen:
    """A person has looked, and the books agree."""

    at: datetime
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentArmed:
    """A deployment may enter, or may not, with the reason."""

    deployment: str
    armed: bool
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The broker's snapshot was laid beside the book; every difference is named."""

    at: datetime
    differences: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class FundsSeen:
    """Free funds by the broker's word, rupees."""

    available: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedJudged:
    """Market data went stale or came back."""

    alive: bool
    at: datetime
    reason: str = ""


Event = (
    DayOpened
    | DecisionMade
    | EntryPostponed
    | PositionPlanned
    | OrderSubmitted
    | OrderMoved
    | OrderChangeAsked
    | OrderChangeEnded
    | CancelAsked
    | CancelEnded
    | FillBooked
    | StopMoved
    | PeakMoved
    | SpotLevelsMoved
    | ProtectionChanged
    | TargetWatched
    | ExitBegan
    | PositionClosed
    | PositionCarried
    | PositionResumed
    | OvernightListed
    | LeftToExpire
    | PositionSettled
    | FilledByHand
    | EntryFailed
    | SwitchTurned
    | DeploymentSwitched
    | AccountFrozen
    | AccountUnfrozen
    | DeploymentArmed
    | Reconciled
    | FundsSeen
    | FeedJudged
    | StructurePlanned
    | StructureStood
    | StructureTightened
    | StructureLeft
    | StructureClosed
)
