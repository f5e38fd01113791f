"""Builders of the tests of core: one day's listings, quotes, and a stand that drives an engine by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from workbench import reference
from workbench.core.bars import Quote
from workbench.core.book import Book
from workbench.core.codec import decode, encode
from workbench.core.deployment import Deployment, Limits, Mode
from workbench.core.engine import Decision, Engine, EngineConfig
from workbench.core.errors import UnknownName
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.legs import Listings
from workbench.core.messages import (
    AlertAction,
    AlertReceived,
    BrokerOrder,
    BrokerPosition,
    Command,
    DayBegan,
    DecisionMade,
    Event,
    Message,
    OrderUpdated,
    Outcome,
    PlaceOrder,
    QuoteReceived,
    SignalRaised,
    SnapshotTaken,
    TimerBeat,
    WriteAnswered,
    WriteKind,
)
from workbench.core.order import OrderChange, OrderState, OrderTicket
from workbench.core.plan import Distance, Exits, Plan
from workbench.core.position import Position
from workbench.core.session import IST
from workbench.core.signal import SignalValues

CommandT = TypeVar("CommandT", bound=Command)

DAY = date(2022, 6, 15)
EXPIRIES = (date(2022, 6, 16), date(2022, 6, 23), date(2022, 6, 30), date(2022, 7, 28))
SPOT = Decimal("15712.40")
INDEX_KEY = "IDX_I:NIFTY"
SCALP = "SCALP_ATM"


def at(clock: str, day: date = DAY) -> datetime:
    """Moment of that day in India."""
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=IST)


class Master:
    """The listings of one day: NIFTY with strikes of 50 rupees, and one share."""

    def __init__(self, expiries: Sequence[date] = EXPIRIES, strikes: Sequence[int] = tuple(range(15000, 16401, 50))):
        self._expiries = tuple(expiries)
        self._strikes = tuple(strikes)
        self.nifty = Instrument(segment=Segment.IDX_I, security_id="13", symbol="NIFTY", kind=InstrumentKind.INDEX)
        self.share = Instrument(
            segment=Segment.NSE_EQ, security_id="1333", symbol="HDFCBANK", kind=InstrumentKind.EQUITY
        )

    def index(self, underlying: str) -> Instrument:
        for each in (self.nifty, self.share):
            if each.symbol == underlying:
                return each
        raise UnknownName("underlying", underlying, ["NIFTY", "HDFCBANK"])

    def expiries(self, underlying: str) -> Sequence[date]:
        return self._expiries if underlying == "NIFTY" else ()

    def options(self, underlying: str, expiry: date) -> Sequence[Instrument]:
        if underlying != "NIFTY" or expiry not in self._expiries:
            return ()
        return [option(strike, right, expiry) for strike in self._strikes for right in Right]

    def future(self, underlying: str, expiry: date) -> Instrument | None:
        if underlying != "NIFTY" or expiry not in self._expiries[2:]:
            return None
        return Instrument(
            segment=Segment.NSE_FNO,
            security_id=f"F{expiry:%m%d}",
            symbol="NIFTY",
            kind=InstrumentKind.FUTURE,
            lot=50,
            expiry=expiry,
        )

    def by_id(self, segment: Segment, security_id: str) -> Instrument | None:
        return None

    def by_key(self, key: str) -> Instrument | None:
        return None


def option(strike: int, right: Right = Right.CE, expiry: date = EXPIRIES[0]) -> Instrument:
    """One listed option of NIFTY."""
    return Instrument(
        segment=Segment.NSE_FNO,
        security_id=f"{expiry:%m%d}{strike}{right.value}",
        symbol="NIFTY",
        kind=InstrumentKind.OPTION,
        lot=50,
        expiry=expiry,
        strike=Decimal(strike),
        right=right,
        freeze=1800,
    )


CALL, PUT = option(15700), option(15700, Right.PE)


def listings(master: Master | None = None) -> Listings:
    """Listings of the day with the dated facts."""
    return Listings(master or Master(), reference.contract_table())


def bracket(stop: str = "15", target: str = "30", **more: Any) -> Exits:
    """Stop and target in points."""
    return Exits(stop=Distance(points=Decimal(stop)), target=Distance(points=Decimal(target)), **more)


def scalp(name: str = SCALP, strategy: str | None = None, **plan: Any) -> Deployment:
    """A deployment of ATM options with stop 15 and target 30."""
    body: dict[str, Any] = {"name": "scalp", "exits": bracket(), **plan}
    return Deployment(name=name, symbol="NIFTY", strategy=strategy, plan=Plan(**body), interval="1m")


LIMITS = Limits(capital=Decimal(500_000), max_trades_per_day=50, max_daily_loss=Decimal(10_000))


def config(*deployments: Deployment, limits: Limits = LIMITS, master: Master | None = None) -> EngineConfig:
    """An engine's configuration of a practice account."""
    return EngineConfig(
        account_id="practice",
        mode=Mode.PRACTICE,
        deployments=deployments or (scalp(),),
        calendar=reference.calendar(),
        listings=listings(master),
        charges=reference.charge_table(),
        limits=limits,
    )


def quote(key: str, last: Decimal | float | str, now: datetime, spread: str = "0.10") -> Quote:
    """A quote with that spread laid around the price."""
    price, half = Decimal(str(last)), Decimal(spread) / 2
    return Quote(key, now, price, price - half, price + half)


class Stand:
    """An engine on a test stand: it is told messages one by one and what it did is kept."""

    def __init__(self, *deployments: Deployment, clock: str = "10:00:00", **more: Any) -> None:
        self.config = config(*deployments, **more)
        self.engine = Engine(self.config)
        self.now = at(clock)
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self._orders = 0
        self.tell(DayBegan(day=self.now.date()))
        self.spot(SPOT)
        for each in (CALL, PUT):
            self.price(each, 120)

    # --- telling ------------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> Decision:
        decision = self.engine.handle(message, now=self.now)
        self.events += decision.events
        self.commands += decision.commands
        return decision

    def wait(self, seconds: float) -> None:
        """Let market seconds pass, a beat at each."""
        for _ in range(int(seconds)):
            self.now += timedelta(seconds=1)
            self.tell(TimerBeat())

    def go_to(self, clock: str) -> None:
        """Jump to a time of day and beat once there."""
        self.now = at(clock, self.now.date())
        self.tell(TimerBeat())

    def spot(self, price: Decimal) -> None:
        self.tell(QuoteReceived(quote=Quote(INDEX_KEY, self.now, price, price, price)))

    def price(self, instrument: Instrument, last: float | str, spread: str = "0.10") -> None:
        self.tell(QuoteReceived(quote=quote(instrument.key, last, self.now, spread)))

    def alert(self, action: AlertAction, alert_id: str = "", deployment: str = SCALP, **more: Any) -> Decision:
        return self.tell(
            AlertReceived(
                alert_id=alert_id or f"a{len(self.events)}",
                deployment=deployment,
                action=action,
                **{"symbol": "NIFTY", "received_at": self.now, "fired_at": self.now, **more},
            )
        )

    def signal(self, deployment: str, values: SignalValues, previous: SignalValues | None = None) -> Decision:
        return self.tell(
            SignalRaised(
                deployment=deployment,
                bar_time=self.now - timedelta(minutes=1),
                known_at=self.now,
                values=values,
                previous=previous,
                strategy_hash="h",
                close=SPOT,
            )
        )

    def answer(
        self,
        ticket: OrderTicket,
        outcome: Outcome = Outcome.ACCEPTED,
        kind: WriteKind = WriteKind.PLACE,
        reason: str = "",
        state: OrderState | None = None,
        order_id: str | None = None,
    ) -> Decision:
        known = f"B{ticket.correlation_id}" if outcome is Outcome.ACCEPTED else ""
        return self.tell(
            WriteAnswered(
                kind=kind,
                correlation_id=ticket.correlation_id,
                outcome=outcome,
                reason=reason,
                state=state,
                order_id=known if order_id is None else order_id,
            )
        )

    def row(
        self,
        ticket: OrderTicket,
        filled: int = 0,
        price: float | str = 0,
        state: OrderState | None = None,
        quantity: int | None = None,
        **more: Any,
    ) -> BrokerOrder:
        """An order of ours as the broker tells it."""
        units = ticket.quantity if quantity is None else quantity
        by_fill = OrderState.FILLED if filled >= units else OrderState.PARTLY_FILLED if filled else OrderState.WORKING
        body: dict[str, Any] = {
            "order_id": f"B{ticket.correlation_id}",
            "correlation_id": ticket.correlation_id,
            "state": state or by_fill,
            "segment": ticket.instrument.segment.value,
            "security_id": ticket.instrument.security_id,
            "side": ticket.side,
            "quantity": units,
            "filled_quantity": filled,
            "average_price": Decimal(str(price)),
            "price": ticket.price,
            "trigger_price": ticket.trigger_price,
        }
        return BrokerOrder(**{**body, **more})

    def update(self, ticket: OrderTicket, filled: int = 0, price: float | str = 0, **more: Any) -> Decision:
        return self.tell(OrderUpdated(order=self.row(ticket, filled, price, **more)))

    def snapshot(self, *rows: BrokerOrder, held: dict[Instrument, int] | None = None, **more: Any) -> Decision:
        positions = tuple(
            BrokerPosition(
                segment=each.segment.value, security_id=each.security_id, product="INTRADAY", net_quantity=units
            )
            for each, units in (held or {}).items()
        )
        return self.tell(SnapshotTaken(taken_at=self.now, orders=rows, positions=positions, **more))

    def shown(self) -> Decision:
        """The broker shows just what our book holds, as in most first looks after a start."""
        resting = [each for each in self.book.orders.values() if each.state.may_rest and each.order_id]
        rows = [
            self.row(each.ticket, each.filled_quantity, str(each.average_price), state=each.state) for each in resting
        ]
        held: dict[Instrument, int] = {}
        for each in self.book.positions.values():
            instrument = each.plan.instrument
            held[instrument] = held.get(instrument, 0) + each.side.sign * each.open_quantity
        return self.snapshot(*rows, held=held)

    # --- common starts ------------------------------------------------------------------------------------------

    def entered(self, price: float | str = 120, action: AlertAction = AlertAction.BULLISH) -> Position:
        """Give a filled position whose stop is on its way."""
        self.alert(action)
        entry = self.ticket("E")
        self.answer(entry)
        self.update(entry, entry.quantity, price)
        return self.position

    def protected(self, price: float | str = 120, action: AlertAction = AlertAction.BULLISH) -> Position:
        """Give a filled position whose stop rests at the broker."""
        self.entered(price, action)
        stop = self.ticket("S")
        self.answer(stop)
        self.update(stop)
        return self.position

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def book(self) -> Book:
        return self.engine.book

    @property
    def position(self) -> Position:
        """The newest position."""
        return list(self.book.positions.values())[-1]

    def of(self, kind: type[CommandT]) -> list[CommandT]:
        """All commands of a kind, oldest first."""
        return [each for each in self.commands if isinstance(each, kind)]

    def tickets(self, letter: str = "") -> list[OrderTicket]:
        """Tickets that were sent; E entries, S stops, X exits."""
        sent = [each.ticket for each in self.of(PlaceOrder)]
        return [each for each in sent if each.correlation_id.endswith(letter)]

    def ticket(self, letter: str) -> OrderTicket:
        """The newest of them."""
        return self.tickets(letter)[-1]

    def fates(self, subject: str | None = None) -> list[str]:
        """Fates of an alert or signal, or of all."""
        made = [each for each in self.events if isinstance(each, DecisionMade)]
        return [each.fate for each in made if subject in (None, each.subject)]

    def change(self, order: OrderTicket, outcome: Outcome = Outcome.ACCEPTED) -> OrderChange:
        """Answer the change that is under way."""
        pending = self.book.changes_pending[order.correlation_id]
        self.answer(order, outcome, WriteKind.MODIFY)
        return pending

    def reborn(self) -> Book:
        """The book that a fresh process would build from the journal."""
        fresh = Engine(self.config)
        fresh.recover(decode(encode(event)) for event in self.events)
        return fresh.book
