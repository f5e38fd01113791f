"""Commands: what the engine asks the edges to do; they leave only after their events are on disk."""

from dataclasses import dataclass
from enum import StrEnum

from workbench.core.instrument import Instrument
from workbench.core.messages.structures import ReadChain, ReadMargin
from workbench.core.order import Bracket, LegAddress, OrderChange, OrderTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Send a new order."""

    ticket: OrderTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyOrder:
    """Change a resting order of ours; of a leg of a super order all terms of the whole are sent (`bracket`)."""

    correlation_id: str
    order_id: str
    change: OrderChange
    is_exit: bool = True
    leg: LegAddress | None = None
    bracket: Bracket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Take a resting order of ours back; `leg` is set where it goes by way of its super order."""

    correlation_id: str
    order_id: str
    is_exit: bool = False
    leg: LegAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Ask for quotes of an instrument."""

    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Quotes of that instrument are not needed any more."""

    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSnapshot:
    """Read orders, trades, positions and funds again, because of `reason`.

    Orders that were not answered are also looked up one by one, by our own ids: a list can lag behind (fault R1).
    `with_legs`: super orders of ours may live, and their legs stand in a list of their own.
    """

    reason: str
    unanswered: tuple[str, ...] = ()
    with_legs: bool = False


class Level(StrEnum):
    """How loud a notice is."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell a person."""

    level: Level
    text: str


Command = (
    PlaceOrder | ModifyOrder | CancelOrder | Subscribe | Unsubscribe | TakeSnapshot | ReadChain | ReadMargin | Notify
)
