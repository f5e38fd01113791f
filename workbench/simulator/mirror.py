"""The market of somebody else: prices that an engine forwards from the live feed, orders that stay in here.

A paper account trades against this. It knows of an instrument what it is told, matches by the same rules as any other
market of the simulator, and has no price of its own: not one fill comes from anything but a forwarded bid or ask.

Invariants: while the mirror is stale (nobody forwards, or the forwarder says that its own feed is dead) there is no bid
and no ask, so nothing triggers and nothing fills; after that an instrument fills again only on a newer quote; market
time never goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.charges import ChargeTable
from workbench.core.contracts import ContractTable
from workbench.core.errors import BadInput, UnknownSession
from workbench.core.instrument import Instrument, InstrumentKind
from workbench.core.money import ZERO
from workbench.core.session import Calendar
from workbench.simulator.board import Board, DayRange, Level
from workbench.simulator.exchange import Simulator, SimulatorConfig
from workbench.simulator.listing import Listed, Listing
from workbench.simulator.market import CLOCK_SEGMENT
from workbench.simulator.paths import DayPath, Minutes, midnight

STALE_AFTER_S = 3.0
"""Real seconds without a word of the forwarder after which nothing fills; it speaks once a second."""

_INSTANT = timedelta(microseconds=1)


class Forwarder:
    """Whether the forwarded prices are to be believed, by wire time.

    Parameters
    ----------
    stale_after_s : float
        Real seconds of silence that make them stale.
    monotonic : callable
        Wire time.
    """

    def __init__(self, stale_after_s: float = STALE_AFTER_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stale_after_s, self._monotonic = stale_after_s, monotonic
        self._spoke_at: float | None = None
        self._wrong = "nobody has forwarded anything yet"

    def spoke(self, *, alive: bool, reason: str) -> None:
        """Note a word of the forwarder about its own feed."""
        self._spoke_at = self._monotonic()
        self._wrong = "" if alive else f"the forwarder's own feed is dead: {reason or 'no reason given'}"

    @property
    def why_stale(self) -> str:
        """Why nothing may fill; empty while all is well."""
        if self._spoke_at is None:
            return self._wrong
        silent = self._monotonic() - self._spoke_at
        return f"nothing was forwarded for {silent:.0f} s" if silent > self._stale_after_s else self._wrong


class MirrorMarket:
    """Trading days without prices; implements `Market`.

    Parameters
    ----------
    calendar : Calendar
    day : date
        The first day; one without a session is moved to the next.
    """

    def __init__(self, calendar: Calendar, day: date) -> None:
        self._calendar = calendar
        self.symbols: tuple[str, ...] = ()
        session = calendar.session(CLOCK_SEGMENT, day)
        self.first_day = (session or calendar.next_session(CLOCK_SEGMENT, day)).date

    def next_day(self, day: date) -> date | None:
        """Give the next session's day."""
        try:
            return self._calendar.next_session(CLOCK_SEGMENT, day).date
        except UnknownSession:
            return None

    def path(self, symbol: str, day: date) -> DayPath:
        """Refuse: there are no prices but the forwarded ones."""
        raise BadInput(f"a mirror has no path of {symbol} on {day}; it shows what is forwarded to it")

    def minutes(self, symbol: str, day: date) -> Minutes:  # noqa: ARG002
        """Give no candles: they are asked of the broker whose prices these are."""
        return Minutes.joined(())

    def closes(self, symbol: str, before: date) -> Sequence[float]:  # noqa: ARG002
        """Give no closes."""
        return ()

    def facts(self) -> dict[str, object]:
        """Name the market."""
        return {"market": "mirror"}


@dataclass(slots=True)
class _Seen:
    """The newest forwarded quote of an instrument; `fresh` until a silence came after it."""

    quote: Quote
    fresh: bool = True


class MirrorBoard(Board):
    """Prices as they were forwarded.

    Parameters
    ----------
    listing : Listing
        Empty; an instrument is listed with its first quote.
    open_at : datetime
        Of the day's session.
    """

    def __init__(self, listing: Listing, open_at: datetime) -> None:
        super().__init__(listing, {}, {}, {}, opens_at=open_at)
        self._open_at = open_at
        self._seen: dict[str, _Seen] = {}
        self._spots: dict[str, float] = {}
        self._day_ranges: dict[str, DayRange] = {}
        self.go_to(open_at - timedelta(days=1))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Underlyings of which something is known."""
        return tuple(self._spots)

    def go_to(self, moment: datetime) -> None:
        """Move to a market time."""
        self.now = moment
        self.second = (moment - self._open_at) // timedelta(seconds=1)

    def list_with(self, listed: Listed, quote: Quote) -> None:
        """Take a forwarded quote of an instrument, the first of which lists it."""
        instrument = listed.instrument
        self.listing.include(listed)
        before = self._seen.get(instrument.key)
        # Each forwarded quote is a new moment of that instrument, whatever second its last trade was in: the matching
        # rules take the sizes of one moment once.
        moment = self.now if before is None else max(self.now, before.quote.time + 2 * _INSTANT)
        self._seen[instrument.key] = _Seen(replace(_shown(instrument, quote), time=moment))
        if instrument.kind is InstrumentKind.INDEX:
            self._spots[instrument.symbol] = float(quote.last)
        else:
            # Until the index itself is heard, margins reckon with the strike or with the instrument's own price.
            self._spots.setdefault(instrument.symbol, float(instrument.strike or quote.last))
        known = self._day_ranges.setdefault(instrument.key, DayRange(*[float(quote.last)] * 3))
        known.widen(float(quote.last))

    def forget(self) -> None:
        """Believe no quote any more until a newer one comes."""
        for seen in self._seen.values():
            seen.fresh = False

    def spot(self, symbol: str) -> float:
        """Give the last price of an underlying."""
        return self._spots[symbol]

    def traded(self, symbol: str) -> bool:
        """Say whether the underlying is known."""
        return symbol in self._spots

    def level(self, listed: Listed) -> Level:
        """Give the last known prices: bands and margins reckon with them, fills never do."""
        seen = self._seen.get(listed.instrument.key)
        if seen is None:
            average = float(listed.instrument.strike or ZERO)
            return Level(average, average, average, 0, 0, 0)
        quote = seen.quote
        return Level(
            float(quote.bid), float(quote.last), float(quote.ask), quote.bid_quantity, quote.ask_quantity, quote.volume
        )

    def quote(self, listed: Listed) -> Quote:
        """Give what orders may meet: the newest quote, or one without prices while it is not to be believed."""
        seen = self._seen.get(listed.instrument.key)
        if seen is not None and seen.fresh:
            return seen.quote
        # A moment of its own: the matching rules keep the quote of a moment that they have seen.
        moment = self.now if seen is None else seen.quote.time + _INSTANT
        return Quote(key=listed.instrument.key, time=moment, last=ZERO, bid=ZERO, ask=ZERO)

    def day_range(self, listed: Listed) -> DayRange:
        """Give open, high and low since the first forwarded quote."""
        last = self.level(listed).last
        return self._day_ranges.get(listed.instrument.key) or DayRange(last, last, last)

    def minutes(self, listed: Listed) -> Minutes:  # noqa: ARG002
        """Give no candles."""
        return Minutes.joined(())

    def previous_close(self, listed: Listed) -> float:
        """Give the first price of the day in its place: nobody forwards the close."""
        return self.day_range(listed).open


class MirrorSimulator(Simulator):
    """The simulated broker over forwarded prices.

    Parameters
    ----------
    calendar : Calendar
    contracts : ContractTable
    charges : ChargeTable
    day : date
        Where it stands until somebody forwards a time.
    config : SimulatorConfig
    forwarder : Forwarder, optional
        Who forwards, as far as is known.
    """

    board: MirrorBoard

    def __init__(
        self,
        calendar: Calendar,
        contracts: ContractTable,
        charges: ChargeTable,
        day: date,
        config: SimulatorConfig | None = None,
        forwarder: Forwarder | None = None,
    ) -> None:
        self.forwarder = forwarder or Forwarder()
        self._was_stale = True
        self._known: dict[str, Listed] = {}
        self._day_closed = self._begun = False
        self.quotes_taken = 0
        super().__init__(MirrorMarket(calendar, day), calendar, contracts, charges, config or SimulatorConfig())

    def _floor(self, day: date) -> tuple[Listing, Board]:
        listing = Listing(self.contracts, self.calendar, day, {})
        self._day_closed = False
        board = MirrorBoard(listing, self.session.open)
        for position in self.account.positions.values():
            listing.include(position.listed)
        return listing, board

    @property
    def why_stale(self) -> str:
        """Why nothing fills now; empty while the forwarded prices are to be believed."""
        return self.forwarder.why_stale

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Take the facts of instruments; each is listed with its first quote."""
        for instrument in instruments:
            expiry = instrument.expiry
            session = None if expiry is None else self.calendar.session(instrument.segment, expiry)
            ends = (
                session.close if session else None if expiry is None else midnight(expiry).replace(hour=15, minute=30)
            )
            self._known[instrument.key] = Listed(instrument=instrument, expires_at=ends)

    def hear(self, moment: datetime, *, alive: bool, reason: str = "", quotes: Sequence[Quote] = ()) -> tuple[str, ...]:
        """Take a word of the forwarder: its market time, whether its feed lives, and new quotes in their order.

        Returns
        -------
        tuple of str
            Keys of quotes that were passed over, because the facts of the instrument are not known.
        """
        self.watch_the_silence()
        self.forwarder.spoke(alive=alive, reason=reason)
        self.watch_the_silence()
        self._admit()
        self._go_to(moment)
        unknown = []
        for quote in quotes:
            listed = self._known.get(quote.key)
            if listed is None or quote.last <= 0:
                unknown.append(quote.key)
                continue
            self.quotes_taken += 1
            self.board.list_with(listed, quote)
            if not self.why_stale and self.session.contains(self.now):
                self.desk.match((quote.key,))
        if not alive:
            self.board.forget()
        return tuple(unknown)

    def watch_the_silence(self) -> None:
        """Stop believing prices at the moment at which they become stale."""
        is_stale = bool(self.why_stale)
        if is_stale and not self._was_stale:
            self.board.forget()
        self._was_stale = is_stale

    def tick(self) -> None:
        """Do what the broker does without a quote: what was received reaches the exchange."""
        self.watch_the_silence()
        self._admit()

    def _admit(self) -> None:
        # An order that is a while on its way meets the quotes that come meanwhile; its door admits it then.
        if not self.config.transit_s:
            self.desk.admit_transit()

    def facts(self) -> dict[str, object]:
        """Name the market; nothing here is priced by a model."""
        return {**self.market.facts(), "date": self.day.isoformat()}

    def last(self, listed: Listed) -> Decimal:
        """Give the last forwarded price, rupees."""
        return Decimal(repr(self.board.level(listed).last))

    def _go_to(self, moment: datetime) -> None:
        if not self._begun:
            # Nobody has told the time yet: the first word may name any day, also one that is long past.
            self._begun = True
            if moment.date() != self.day and self._has_session(moment.date()):
                self.open_day(moment.date())
        if moment <= self.now:
            return
        if moment.date() > self.day and self._has_session(moment.date()):
            if not self._day_closed:
                self.desk.close_day()
            self.settle()
            self.open_day(moment.date())
        self.board.go_to(moment)
        if moment >= self.session.close:
            if not self._day_closed:
                self._day_closed = True
                self.desk.close_day()
        elif self.session.contains(moment):
            self.desk.square_off_due()

    def _has_session(self, day: date) -> bool:
        try:
            return self.calendar.session(CLOCK_SEGMENT, day) is not None
        except UnknownSession:
            return False


def _shown(instrument: Instrument, quote: Quote) -> Quote:
    """Give a quote as the matching rules may take it: a side without a size is no price."""
    if instrument.kind is InstrumentKind.INDEX:
        return quote
    return replace(
        quote,
        bid=quote.bid if quote.bid_quantity > 0 else ZERO,
        ask=quote.ask if quote.ask_quantity > 0 else ZERO,
        model=False,
    )
