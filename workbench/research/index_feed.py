"""Quotes of an index that is traded as if it were a future, out of its one-minute bars.

A minute in which no resting order and no watched target can be met is told in one or two quotes: nothing could happen
on the others. Any other minute travels open, adverse extreme, other extreme, close (`workbench.core.bars.path`).

Invariant: telling a quiet minute in short changes no decision; a test replays with and without.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

from workbench.core.bars import Quote, path
from workbench.core.order import OrderType
from workbench.core.position import Position, PositionState
from workbench.core.signal import Side
from workbench.research.lockstep import Run, adverse_extreme
from workbench.research.minutes import Minutes, TradingDay

OPEN, HIGH, LOW, CLOSE = range(4)


@dataclass(slots=True, kw_only=True)
class IndexFeed:
    """Feeds one engine with the index as a future.

    Parameters
    ----------
    abridge : bool
        Tell quiet minutes in short.
    """

    run: Run
    minutes: Minutes
    abridge: bool = True

    def before_call(self, row: int, day: TradingDay) -> None:
        """Show the last close before a call that is heard at the open of `row`."""
        if row > day.first:
            price = self.minutes.price(row - 1, CLOSE)
            self.run.show(self._quote(day, row, price, 0.0))

    def minute(self, row: int, day: TradingDay) -> None:
        """Tell one minute."""
        run, key = self.run, day.instrument.key
        position = self._position()
        if self.abridge and position is not None and self._is_quiet(row, day):
            if position.plan.exits.trail is not None or position.plan.exits.lock is not None:
                best = HIGH if position.side is Side.BUY else LOW
                run.show(self._quote(day, row, self.minutes.price(row, best), 0.5))
            run.show(self._quote(day, row, self.minutes.price(row, CLOSE), 0.99))
            return
        bar = self.minutes.bar(row)
        run.quote(self._quote(day, row, bar.open, 0.0))
        position = self._position()
        if position is not None:
            adverse = adverse_extreme(position.side)
            quotes = path(bar, key=key, adverse=adverse, tick=day.instrument.tick, levels=partial(self._levels, key))
            next(quotes)
            for quote in quotes:
                run.quote(quote)
                if not run.is_busy:
                    break
        run.venue.let_quotes_go_stale()

    def end(self, day: TradingDay) -> None:
        """Leave at the last close what the bars left no time for."""
        moment = self.minutes.closing_moment(day)
        self.run.beat(moment)
        if self.run.is_busy:
            price = self.minutes.price(day.last - 1, CLOSE)
            self.run.quote(Quote(day.instrument.key, moment, price, price, price))

    def notes(self) -> tuple[str, ...]:
        """Say nothing: each fill has a price of its own."""
        return ()

    def _position(self) -> Position | None:
        held = self.run.engine.book.live_positions()
        return held[0] if held else None

    def _levels(self, key: str) -> list[Decimal]:
        return [*self.run.venue.levels(key), *self.run.engine.watched_levels(key)]

    def _is_quiet(self, row: int, day: TradingDay) -> bool:
        """Tell whether no price of the minute meets an order or a target."""
        high, low = self.minutes.price(row, HIGH), self.minutes.price(row, LOW)
        for order in self.run.venue.resting(day.instrument.key):
            if order.order_type is not OrderType.STOP_LIMIT or order.triggered:
                return False
            met = low <= order.trigger_price if order.side is Side.SELL else high >= order.trigger_price
            if met:
                return False
        for position in self.run.engine.book.live_positions():
            if not position.open_quantity or position.state is PositionState.CARRIED:
                return False
            reached = high if position.side is Side.BUY else -low
            if position.target is not None and reached >= position.side.sign * position.target:
                return False
        return True

    def _quote(self, day: TradingDay, row: int, price: Decimal, share: float) -> Quote:
        moment = self.minutes.moment(row)
        if share:
            moment += timedelta(seconds=60 * share)
        return Quote(day.instrument.key, moment, price, price, price)
