"""Quotes of options out of the underlying's one-minute bars and the pricing model; every one says `model`.

The underlying travels each minute as pessimistically as `index_feed` has it, in finer steps, and the model prices what
the engine is subscribed to at each step. A minute in which no order and no target can be met takes four steps.

The options trade on when the index has its last price, since 2026-08-03 for 25 minutes, and the square-off lies there:
so the clock goes on to the end of their own session, and the model prices them at that last price as time passes.

Invariant: a day is priced from closes that were known before it; a day with too few of them does not trade.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from workbench.core.bars import Quote
from workbench.core.errors import BadInput
from workbench.core.instrument import Instrument, Segment
from workbench.core.messages import ChainQuote, DeploymentChecked, ReadChain, SettlementTold
from workbench.core.position import Position, PositionState
from workbench.core.pricing import OptionPricer, inputs_from_closes
from workbench.core.session import Calendar
from workbench.core.signal import Direction
from workbench.research.lockstep import Run
from workbench.research.market import Market, Study
from workbench.research.minutes import Minutes, TradingDay, day_of, local_days, stamps

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 6
"""Points on each stretch of a minute in which something may be met."""
CLOSES_AT_LEAST = 3
STILL_STEP_S = 2
"""Pace of the clock behind the last minute while something is under way: that at which the engine chases."""
AT_REST = frozenset({PositionState.OPEN, PositionState.CARRIED, PositionState.EXPIRING})
OPEN, HIGH, LOW, CLOSE = range(4)


@dataclass(slots=True, kw_only=True)
class OptionFeed:
    """Feeds one engine with an index and the options that it watches.

    Parameters
    ----------
    closes : list of (date, float)
        Daily closes of the underlying, oldest first, from before the range on.
    segment : Segment
        Where the options trade; its sessions say how long.
    late_exits : int
        Positions that were left after the last minute of a day.
    """

    run: Run
    minutes: Minutes
    symbol: str
    calendar: Calendar
    closes: list[tuple[date, float]]
    deployment: str
    segment: Segment
    late_exits: int = 0
    _pricer: OptionPricer | None = None
    _day: date | None = None
    _expiry_at: dict[date, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, minutes: Minutes, study: Study, market: Market) -> OptionFeed:
        """Read the closes that the model needs."""
        first = minutes.moment(0)
        daily = market.history.read(study.symbol, "1d", first - timedelta(days=60), study.end_moment)
        days = [day_of(number) for number in local_days(stamps(daily.index)).tolist()]
        feed = cls(
            run=run,
            minutes=minutes,
            symbol=study.symbol,
            calendar=market.calendar,
            closes=list(zip(days, daily["close"].tolist(), strict=True)),
            deployment=run.engine.config.deployments[0].name,
            segment=market.contracts.underlying(study.symbol).derivatives or Segment.NSE_FNO,
        )
        run.venue.chain = feed.chain
        return feed

    def chain(self, asked: ReadChain) -> tuple[ChainQuote, ...]:
        """Price all listed options of an expiry at the last price of the index that the engine has seen."""
        engine, pricer = self.run.engine, self._pricer
        instruments = engine.config.listings.instruments
        spot = engine.quotes.get(instruments.index(self.symbol).key)
        if pricer is None or spot is None:
            return ()
        found = []
        for option in instruments.options(asked.symbol, asked.expiry):
            quote = self._priced(pricer, option, float(spot.last), spot.time)
            if option.strike is not None and option.right is not None:
                found.append(ChainQuote(strike=option.strike, right=option.right, bid=quote.bid, ask=quote.ask))
        return tuple(found)

    def before_call(self, row: int, day: TradingDay) -> None:
        """Show the index's last price, and what the engine then wants to see."""
        pricer = self._pricer_of(row, day)
        if pricer is None:
            return
        spot = self.minutes.price(row - 1, CLOSE) if row > day.first else self.minutes.price(row, OPEN)
        moment = self.minutes.moment(row)
        self._show_index(moment, spot)
        for instrument in self._watched():
            self.run.show(self._priced(pricer, instrument, float(spot), moment))

    def minute(self, row: int, day: TradingDay) -> None:
        """Tell one minute."""
        pricer = self._pricer_of(row, day)
        if pricer is None:
            return
        corners = self._corners(row)
        steps = 1 if self._is_quiet(row, pricer) else STEPS
        for number, (moment, spot) in enumerate(_travel(self.minutes.moment(row), corners, steps)):
            self._show_index(moment, Decimal(repr(round(spot, 2))))
            if number == 0:
                # A reversal enters another contract in the same moment: it must know a price of it.
                for instrument in self._watched():
                    self.run.show(self._priced(pricer, instrument, spot, moment))
            self._quote_in_play(pricer, spot, moment)
            if self._live():
                self.run.beat(moment)
            if not self.run.is_busy:
                break
        self.run.venue.let_quotes_go_stale()

    def end(self, day: TradingDay) -> None:
        """Go on to the end of the options' session at the index's last price, then settle what has expired."""
        pricer = self._pricer
        if pricer is None:
            return
        session = self.calendar.session(self.segment, day.session.date) or day.session
        spot = float(self.minutes.price(day.last - 1, CLOSE))
        now = self.minutes.moment(day.last - 1) + timedelta(minutes=1)
        known = len(self.run.trades)
        while self.run.is_busy and now < session.close:
            if session.contains(now):
                self._still_minute(pricer, spot, now)
            now += timedelta(minutes=1)
        self.late_exits += len(self.run.trades) - known
        if self.run.is_busy:
            self._settle(now, spot)
            self.run.beat(now)

    def notes(self) -> tuple[str, ...]:
        """Say how many exits had no price of the index of their own."""
        if not self.late_exits:
            return ()
        what = "1 exit is" if self.late_exits == 1 else f"{self.late_exits} exits are"
        return (f"{what} after the index's last minute of the day and priced by the model at its last price",)

    def _still_minute(self, pricer: OptionPricer, spot: float, opened: datetime) -> None:
        """Tell a minute in which the index stands still: once, or step by step while something is under way."""
        for after in range(0, 60, STILL_STEP_S):
            now = opened + timedelta(seconds=after)
            self.run.beat(now)
            self._quote_in_play(pricer, spot, now)
            if not self.run.engine.is_entering and all(item.state in AT_REST for item in self._live()):
                break
        self.run.venue.let_quotes_go_stale()

    def _settle(self, now: datetime, spot: float) -> None:
        """Tell the price at which what expires today is settled: the last one of the index."""
        today = now.date()
        if any(item.plan.instrument.expiry == today for item in self._live()):
            price = Decimal(repr(round(spot, 2)))
            self.run.send(SettlementTold(symbol=self.symbol, expiry=today, price=price), now)

    def _quote_in_play(self, pricer: OptionPricer, spot: float, moment: datetime) -> None:
        """Quote what is held or has an order, and what such a quote brings into play."""
        quoted: set[str] = set()
        while True:
            held = {position.plan.instrument.key: position.plan.instrument for position in self._live()}
            waiting = [item for key, item in held.items() if key not in quoted]
            if not waiting:
                return
            for instrument in waiting:
                quoted.add(instrument.key)
                self.run.quote(self._priced(pricer, instrument, spot, moment))

    def _live(self) -> list[Position]:
        return self.run.engine.book.live_positions()

    def _corners(self, row: int) -> list[float]:
        o, h, low, c = (float(self.minutes.price(row, column)) for column in range(4))
        held = self._live()
        bullish = not held or held[0].plan.direction is Direction.LONG
        return [o, low, h, c] if bullish else [o, h, low, c]

    def _is_quiet(self, row: int, pricer: OptionPricer) -> bool:
        """Tell whether no price that the held option can have in this minute meets an order or the target."""
        held = self._live()
        if (
            any(item.plan.structure for item in held)
            or len(held) != 1
            or not held[0].open_quantity
            or held[0].state is not PositionState.OPEN
        ):
            return False
        if held[0].plan.exits.underlying is not None:
            return False
        instrument, target = held[0].plan.instrument, held[0].target
        moment = self.minutes.moment(row)
        ends = [
            self._priced(pricer, instrument, float(self.minutes.price(row, column)), moment + timedelta(seconds=after))
            for column in (HIGH, LOW)
            for after in (0, 60)
        ]
        lowest, highest = min(quote.bid for quote in ends), max(quote.ask for quote in ends)
        margin = 2 * instrument.tick
        levels = [*self.run.venue.levels(instrument.key), *([target] if target is not None else [])]
        resting = self.run.venue.resting(instrument.key)
        if any(order.triggered or not order.trigger_price for order in resting):
            return False
        return all(level < lowest - margin or level > highest + margin for level in levels)

    def _pricer_of(self, row: int, day: TradingDay) -> OptionPricer | None:
        """Give the pricer of a day, from the closes before it."""
        if self._day != day.session.date:
            self._day = day.session.date
            known = bisect_left(self.closes, (self._day, 0.0))
            before = [close for _, close in self.closes[:known]]
            self._pricer = None
            if len(before) >= CLOSES_AT_LEAST:
                self._pricer = OptionPricer(inputs_from_closes(before))
            else:
                reason = f"the pricing model needs {CLOSES_AT_LEAST} daily closes before {self._day}"
                self.run.send(
                    DeploymentChecked(deployment=self.deployment, armed=False, reason=reason), self.minutes.moment(row)
                )
        return self._pricer

    def _watched(self) -> list[Instrument]:
        return [item for item in self.run.venue.subscribed.values() if item.right is not None]

    def _show_index(self, moment: datetime, spot: Decimal) -> None:
        key = self.run.engine.config.listings.instruments.index(self.symbol).key
        self.run.show(Quote(key, moment, spot, spot, spot))

    def _priced(self, pricer: OptionPricer, instrument: Instrument, spot: float, moment: datetime) -> Quote:
        return pricer.quote(instrument, spot, moment, self._expires(instrument.segment, instrument.expiry))

    def _expires(self, segment: Segment, expiry: date | None) -> datetime:
        if expiry is None:
            raise BadInput("an option without an expiry cannot be priced")
        if expiry not in self._expiry_at:
            session = self.calendar.session(segment, expiry)
            if session is None:
                raise BadInput(f"{expiry} is an expiry without a session of {segment.value}; the calendar is wrong")
            self._expiry_at[expiry] = session.close
        return self._expiry_at[expiry]


def _travel(opened: datetime, corners: list[float], steps: int) -> Iterator[tuple[datetime, float]]:
    """Go from corner to corner in that many steps each, over a minute."""
    yield opened, corners[0]
    stretches = list(pairwise(corners))
    for number, (start, end) in enumerate(stretches):
        for step in range(1, steps + 1):
            share = step / steps
            seconds = (number + share) / len(stretches) * 59
            yield opened + timedelta(seconds=seconds), start + (end - start) * share
