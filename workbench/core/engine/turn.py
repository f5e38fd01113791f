"""One call of the engine: its context, and the only two ways out of it (an event, a command).

Invariant: an event is applied to the book in the moment it is emitted, so later steps of the same turn see it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.charges import ChargeTable
from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.engine.refusals import Refusals
from workbench.core.errors import UnknownSession, WorkbenchError
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.legs import Listings
from workbench.core.messages import ChainQuote, Command, DecisionMade, Event, Level, MarginRead, Notify
from workbench.core.order import OrderState
from workbench.core.plan import Exits, ProtectionRule
from workbench.core.session import Calendar, Session
from workbench.core.signal import Direction, Side

DAILY_LOSS = "daily_loss"
"""Who halts when the day's loss has reached its limit; such a halt ends with the day, a person's does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """All that an engine is given, frozen.

    Parameters
    ----------
    id_prefix : str
        First characters of every correlation id (at most 8): names account and instance.
    entry_ttl_s : float
        Market seconds after which what has not filled of an entry is cancelled.
    chase_every_s : float
        Market seconds between two attempts to leave.
    quote_wait_s : float
        Market seconds that an entry waits for the first quote of its contract.
    """

    account_id: str
    mode: Mode
    deployments: tuple[Deployment, ...]
    calendar: Calendar
    listings: Listings
    charges: ChargeTable
    limits: Limits
    id_prefix: str = "w"
    entry_ttl_s: float = 5.0
    chase_every_s: float = 2.0
    quote_wait_s: float = 3.0

    def deployment(self, name: str) -> Deployment | None:
        """A deployment by name."""
        return next((item for item in self.deployments if item.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one message led to: events first to disk, then commands to the edges."""

    events: tuple[Event, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An entry that somebody wants, before contract, size and gates.

    `given` names strike and right where the alert does; `price` is the signal's close or the alert's price.
    """

    deployment: Deployment
    direction: Direction
    subject: str
    origin: str
    known_at: datetime | None
    max_age: timedelta
    price: Decimal | None = None
    given: tuple[Decimal, Right] | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an entry that becomes a position of its own: units, and how it is left."""

    units: int
    exits: Exits


@dataclass(slots=True, kw_only=True)
class Slicing:
    """An approved entry on its way: what of it was sent (as positions of one `group`) and what is left to be sent."""

    wish: Wish
    instrument: Instrument
    side: Side
    price: Decimal
    spot: Decimal
    left: tuple[Slice, ...]
    priced_by_model: bool
    until: datetime
    group: str = ""
    sent: int = 0


@dataclass(slots=True, kw_only=True)
class Building:
    """A wish that becomes several legs, or a sold option: what it has and what it waits for.

    `asked` names the question that is under way; `structure_id` is set once the first order was sent.
    """

    wish: Wish
    until: datetime
    waits_for: str = ""
    asked: str = ""
    chain: tuple[ChainQuote, ...] | None = None
    chosen: tuple[Instrument, ...] = ()
    margin: MarginRead | None = None
    structure_id: str = ""


@dataclass(slots=True, kw_only=True)
class MarginAsked:
    """A question what a target beside a stop would block, and its answer once it is there."""

    asked_by: str
    until: datetime
    read: MarginRead | None = None


@dataclass(slots=True)
class Pending:
    """A wish that waits: for a quote, or until the opposite position is closed."""

    wish: Wish
    until: datetime
    waits_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A difference of positions in one contract: what it is by the newest look, and how long it has stood.

    `excess` are units at the broker beyond our book, unchanged and unexplained `since`; `least` is the smallest of this
    sign, `looks` and `stood_since` count the looks that have seen at least so much.
    """

    excess: int
    since: datetime
    least: int
    stood_since: datetime
    looks: int


@dataclass(slots=True)
class Desk:
    """What the engine holds between turns: the book, and what may be lost in a crash without harm.

    `broker_holds` are units by instrument where the broker surely holds less than our book says: no exit may sell more
    (fault R23); `doubted` are those of them where a younger fill of ours may be all that is missing; `gone` is, by
    contract and signed, how much of what is missing another has traded. `blind` are
    positions of which nothing leaves after a start or the opening of a day, until the broker was read by a look that
    began at `blind_since` at the earliest; `word` is when the last known look began, and when
    it came; `heard_at` is when the last message came.
    `asked_at` is when a cancellation or change of an
    order was asked or refused last, `asks` how often a cancellation was asked while the order stood in that state,
    `told` what a person was told once.
    `throttled` is when a wish about a position was last refused for its pace (`targets_throttled` one about its target,
    which holds nothing else back), `refused` counts refused changes of an
    order, `naked_since` when a position was first seen without a stop, `begun_again` the count of attempts to leave it
    at which the steps of the chase began again. `spots` are positions by the key of an
    underlying that they watch, `spot_extremes` and `hours` its best price of the minute and its last of the hour.
    `atr` are average true ranges by deployment, `atr_missing` why one is not known.
    `building` are entries of several legs on their way, `best_pnl` the best P&L of such legs in the minute.
    `pairs` are live positions whose plan has the target rest beside the stop, `margins` what was asked about theirs,
    `target_since` when the market was first seen at a target that rests, `leg_gone` when a leg of a super order was
    last seen to be cancelled, `legs_seen` when the broker's list of them was last asked for, `legs_read` of when the
    last one is that could be read.
    """

    config: EngineConfig
    book: Book = field(default_factory=Book)
    quotes: dict[str, Quote] = field(default_factory=dict)
    watched: dict[str, Instrument] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)
    extremes: dict[str, Decimal] = field(default_factory=dict)
    passed_since: dict[str, datetime] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    watch_spot: dict[str, Decimal] = field(default_factory=dict)
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    last_minute: datetime | None = None
    last_snapshot_asked: datetime | None = None
    mismatches: dict[tuple[str, str], Mismatch] = field(default_factory=dict)
    broker_holds: dict[str, int] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    gone: dict[tuple[str, str], int] = field(default_factory=dict)
    blind: frozenset[str] = frozenset()
    blind_since: datetime | None = None
    word: tuple[datetime, datetime] | None = None
    heard_at: datetime | None = None
    asked_at: dict[str, datetime] = field(default_factory=dict)
    asks: dict[str, tuple[OrderState, int]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    slicing: dict[str, Slicing] = field(default_factory=dict)
    throttled: dict[str, datetime] = field(default_factory=dict)
    targets_throttled: dict[str, datetime] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    naked_since: dict[str, datetime] = field(default_factory=dict)
    begun_again: dict[str, int] = field(default_factory=dict)
    spots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spot_extremes: dict[str, Decimal] = field(default_factory=dict)
    hours: dict[str, tuple[datetime, Decimal]] = field(default_factory=dict)
    atr: dict[str, Decimal] = field(default_factory=dict)
    atr_missing: dict[str, str] = field(default_factory=dict)
    building: dict[str, Building] = field(default_factory=dict)
    best_pnl: dict[str, Decimal] = field(default_factory=dict)
    pairs: tuple[str, ...] = ()
    margins: dict[str, MarginAsked] = field(default_factory=dict)
    target_since: dict[str, datetime] = field(default_factory=dict)
    leg_gone: dict[str, datetime] = field(default_factory=dict)
    legs_seen: datetime | None = None
    legs_read: datetime | None = None
    refusals: Refusals = field(default_factory=Refusals)
    _sessions: dict[tuple[Segment, date], Session | None] = field(default_factory=dict)

    def session(self, segment: Segment, day: date) -> Session | None:
        """Session of a segment; None on a day without one, and in a year that the calendar does not know."""
        key = (segment, day)
        if key not in self._sessions:
            try:
                self._sessions[key] = self.config.calendar.session(segment, day)
            except UnknownSession:
                self._sessions[key] = None
        return self._sessions[key]

    def new_day(self) -> None:
        """Forget what belonged to the day before."""
        self.extremes.clear()
        self.passed_since.clear()
        self.looks.clear()
        self.asked_at.clear()
        self.asks.clear()
        self.told.clear()
        self.slicing.clear()
        self.throttled.clear()
        self.targets_throttled.clear()
        self.refused.clear()
        self.naked_since.clear()
        self.begun_again.clear()
        self.spot_extremes.clear()
        self.hours.clear()
        self.atr.clear()
        self.atr_missing.clear()
        self.building.clear()
        self.best_pnl.clear()
        self.margins.clear()
        self.target_since.clear()
        self.leg_gone.clear()
        self.refusals = Refusals()
        self.last_minute = None

    def session_of(self, instrument: Instrument, day: date) -> Session | None:
        """Session that an instrument keeps; an index traded as a future has a price only while the index has one."""
        synthetic = instrument.kind is InstrumentKind.SYNTHETIC
        return self.session(Segment.IDX_I if synthetic else instrument.segment, day)

    def refresh_held(self) -> None:
        """Index live positions by the keys whose quotes they follow: their own, and an underlying that they watch."""
        held: dict[str, tuple[str, ...]] = {}
        spots: dict[str, tuple[str, ...]] = {}
        for position in self.book.live_positions():
            key = position.plan.instrument.key
            held[key] = (*held.get(key, ()), position.position_id)
            if position.plan.exits.underlying is not None:
                key = self.underlying_key(position.plan.instrument.symbol)
                spots[key] = (*spots.get(key, ()), position.position_id)
        self.held, self.spots = held, spots
        paired = [each for each in self.book.live_positions() if each.plan.protection is not ProtectionRule.STOP_ONLY]
        self.pairs = tuple(each.position_id for each in paired)

    def await_word(self, since: datetime | None = None, position_ids: frozenset[str] | None = None) -> None:
        """Hold back all that may be held, or some of it, until the broker's own word on it is known.

        While nobody listened he, or a person, may have left it: an order of ours would then open the opposite. A look
        that began before `since` tells of another time.
        """
        self.blind = self.may_be_held() if position_ids is None else self.blind | position_ids
        self.blind_since = since

    def has_word(self, begun: datetime, arrived: datetime) -> bool:
        """A look that began at one moment at the earliest was known at another at the earliest."""
        return self.word is not None and self.word[0] >= begun and self.word[1] >= arrived

    def may_be_held(self) -> frozenset[str]:
        """Give the positions that are held, or may come to be by an order that rests or was given up."""
        live = {position.position_id for position in self.book.live_positions()}
        orders = self.book.orders.values()
        late = (each for each in orders if each.state.may_rest or each.state is OrderState.ABANDONED)
        return frozenset(live | {each.ticket.position_id for each in late})

    def is_followed(self, key: str) -> bool:
        """Say whether quotes of a contract still come; the last one of any other may be of any age."""
        return key in self.watched or key in self.held

    def underlying_key(self, symbol: str) -> str:
        """Key under which the quotes of an underlying come."""
        try:
            return self.config.listings.instruments.index(symbol).key
        except WorkbenchError:
            return f"IDX_I:{symbol}"

    def forget(self, position_id: str) -> None:
        """Forget what was held of a position that is over."""
        self.extremes.pop(position_id, None)
        self.passed_since.pop(position_id, None)
        self.throttled.pop(position_id, None)
        self.targets_throttled.pop(position_id, None)
        self.naked_since.pop(position_id, None)
        self.begun_again.pop(position_id, None)
        self.margins.pop(position_id, None)
        self.target_since.pop(position_id, None)
        self.leg_gone.pop(position_id, None)
        self.spot_extremes.pop(position_id, None)


@dataclass(slots=True)
class Turn:
    """Context of one call of `Engine.handle`."""

    desk: Desk
    now: datetime
    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    @property
    def book(self) -> Book:
        """The account's book."""
        return self.desk.book

    @property
    def config(self) -> EngineConfig:
        """The engine's configuration."""
        return self.desk.config

    @property
    def day(self) -> date:
        """The day that was opened: ids count within it, also past midnight, so that none is used twice."""
        return self.book.day or self.now.date()

    def emit(self, event: Event) -> None:
        """Record what was decided and apply it."""
        self.events.append(event)
        self.desk.book.apply(event)

    def command(self, command: Command) -> None:
        """Ask an edge to act, after the events are on disk."""
        self.commands.append(command)

    def tell(self, level: Level, text: str) -> None:
        """Tell a person."""
        self.commands.append(Notify(level=level, text=text))

    def tell_once(self, level: Level, text: str) -> None:
        """Tell a person something that stays true for a while; said once a day."""
        if text not in self.desk.told:
            self.desk.told.add(text)
            self.tell(level, text)

    def decide(
        self,
        wish_subject: str,
        deployment: str,
        fate: str,
        reason: str = "",
        *,
        gate: str = "",
        direction: Direction | None = None,
    ) -> None:
        """Record one line why something traded or not; a refused entry is told, too."""
        self.emit(
            DecisionMade(
                subject=wish_subject,
                deployment=deployment,
                at=self.now,
                fate=fate,
                reason=reason,
                gate=gate,
                direction=direction,
            )
        )
        if fate in ("denied", "refused"):
            self.tell_refused(deployment, gate, reason, direction)

    def tell_refused(self, deployment: str, gate: str, reason: str, direction: Direction | None) -> None:
        """Tell a person that an entry was refused, unless the like was told a few minutes ago."""
        text = self.desk.refusals.notice(deployment, gate, reason, direction, self.now)
        if text:
            self.tell(Level.WARNING, text)

    def correlation_id(self, letter: str) -> str:
        """Next correlation id: prefix, day, running number, purpose; never used twice."""
        return f"{self.config.id_prefix}{self.day:%y%m%d}{self.book.sequence + 1:05d}{letter}"
