"""Trail, profit lock and breakeven, judged at each end of a minute from the prices that were told.

The judge lays anew where a stop must stand by now: behind the best price told up to the end of the minute, by the
plan's own numbers, less the step that it may lag. That decision needs prices only, so it is demanded in every weather,
of the stop on the traded price and of the one on the underlying. And no stop moves further than the best price allows,
or by less than its step.

A death forgets the prices of its minute. A part of the entry changes what distances count from: before the stop was
moved, all that was told is judged anew by the next end of a minute; after it, nothing new is demanded of the position.

Invariant: the engine is not asked. Prices are those that were told, fills and stops are the journal's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from workbench.core.bars import Quote
from workbench.core.messages import (
    DayOpened,
    EntryFailed,
    Event,
    ExitBegan,
    FillBooked,
    FilledByHand,
    LeftToExpire,
    OrderSubmitted,
    PositionCarried,
    PositionClosed,
    PositionPlanned,
    SpotLevelsMoved,
    StopMoved,
)
from workbench.core.order import Purpose
from workbench.core.plan import Lock, Trail
from workbench.core.signal import Direction
from workbench.testing.proof.market import INDEX, TICK
from workbench.testing.proof.oracle import promise

_OVER = ExitBegan | PositionClosed | EntryFailed | LeftToExpire | PositionCarried | FilledByHand


@dataclass(slots=True)
class Track:
    """One stop that follows one price.

    Attributes
    ----------
    base : Decimal
        What distances count from: the average entry, or the underlying's price at the entry.
    best, fresh, peak : Decimal, optional
        Best told price ever, since the last death, and at the last end of a minute at which there was a new one.
    is_blind : bool
        A death has taken prices: how far the stop may have moved is not known any more.
    has_grown : bool
        A part of the entry was booked in this second, maybe after the minute had ended for the engine.
    """

    name: str
    key: str
    sign: int
    trail: Trail | None
    lock: Lock | None
    tick: Decimal
    base: Decimal = Decimal(0)
    stop: Decimal | None = None
    best: Decimal | None = None
    fresh: Decimal | None = None
    peak: Decimal | None = None
    is_blind: bool = False
    has_grown: bool = False

    def grew(self, average: Decimal) -> None:
        """Count distances from another average: what was told before is judged anew."""
        self.base, self.peak, self.has_grown = average, None, True

    def saw(self, price: Decimal) -> None:
        """Note a price that was told."""
        self.best, self.fresh = self._better(self.best, price), self._better(self.fresh, price)

    def asked(self, peak: Decimal) -> Iterator[tuple[str, Decimal, Decimal]]:
        """Give which rule asks for which level at that peak, and by how much the stop may lag behind it."""
        gain = self.sign * (peak - self.base)
        trail, lock = self.trail, self.lock
        if trail is not None and gain >= (Decimal(0) if trail.after is None else trail.after.rupees(self.base)):
            yield "trail", peak - self.sign * trail.distance.rupees(self.base), max(self.tick, self.step)
        if lock is not None and gain >= lock.after.rupees(self.base):
            yield "lock", self.base + self.sign * gain * lock.keep / 100, self.tick

    @property
    def step(self) -> Decimal:
        """Least by which its trail moves the stop."""
        step = None if self.trail is None else self.trail.step
        return Decimal(0) if step is None else step.rupees(self.base)

    def judge(self) -> bool:
        """Judge at the end of a minute; tell whether something was demanded."""
        fresh = self.fresh
        if fresh is None or self.sign * (fresh - self.base) <= 0:
            return False
        if self.peak is not None and self.sign * (fresh - self.peak) <= 0:
            return False
        self.peak, is_demanded = fresh, False
        for rule, level, lag in self.asked(fresh):
            is_demanded = True
            behind = None if self.stop is None else self.sign * (level - self.stop)
            is_there = behind is not None and behind <= lag + self.tick
            text = f"the {rule} asks for {level} at {fresh}, the stop is {self.stop}"
            promise(is_there, "I5", f"{self.name}: {text}")
        return is_demanded

    def moved(self, stop: Decimal, by: str) -> None:
        """Judge a stop that a rule has moved: as far as the best price allows, and by its step."""
        before, self.stop = self.stop, stop
        if self.is_blind or self.best is None:
            return
        best = self._better(self.base, self.best)
        most = [level for rule, level, _ in self.asked(best) if not by or rule == by]
        is_allowed = any(self.sign * (stop - level) <= self.tick for level in most)
        text = f"{self.name}: the {by or 'trail'} moves the stop to {stop}, the best price was {best}"
        promise(is_allowed, "I5", text)
        if by == "trail" and before is not None:
            text = f"{self.name}: the trail moves the stop by {self.sign * (stop - before)}, its step is {self.step}"
            promise(self.sign * (stop - before) >= self.step, "R11", text)

    def _better(self, one: Decimal | None, other: Decimal) -> Decimal:
        return other if one is None else max(one, other, key=lambda price: self.sign * price)


@dataclass(slots=True)
class _Told:
    """A position by the journal's words."""

    plan: PositionPlanned
    traded: Track
    spot: Track | None
    entered: int = 0
    paid: Decimal = Decimal(0)
    was_moved: bool = False


@dataclass(slots=True)
class TrailJudge:
    """Watches the stops that follow; `demands` counts what was demanded of them.

    `is_new_for`: seconds up to the first beat of a life that has just begun, which does not know that a minute ends.
    """

    positions: dict[str, _Told] = field(default_factory=dict)
    last: dict[str, Decimal] = field(default_factory=dict)
    entries: set[str] = field(default_factory=set)
    day: date | None = None
    demands: int = 0
    is_new_for: int = 0

    def saw(self, quote: Quote) -> None:
        """Note a price that was told."""
        self.last[quote.key] = quote.last
        for told in self.positions.values():
            for track in self._tracks(told):
                if track.key == quote.key and told.entered:
                    track.saw(quote.last)

    def happened(self, event: Event, *, is_told_again: bool) -> None:
        """Read one event of the journal; what is told again was judged before."""
        match event:
            case DayOpened():
                self.day = event.day
                self.positions.clear()
            case OrderSubmitted():
                if event.ticket.purpose is Purpose.ENTRY:
                    self.entries.add(event.ticket.correlation_id)
            case PositionPlanned():
                self._planned(event)
            case FillBooked():
                self._filled(event)
            case StopMoved():
                self._moved(event, is_told_again=is_told_again)
            case SpotLevelsMoved():
                self._spot_moved(event, is_told_again=is_told_again)
            case _ if isinstance(event, _OVER):
                self.positions.pop(event.position_id, None)
            case _:
                pass

    def forget(self) -> None:
        """The process died, or time was jumped over: the prices of this minute are forgotten."""
        self.is_new_for = 2  # the second in which the last life ended, and the first of this one
        for told in self.positions.values():
            for track in self._tracks(told):
                track.fresh, track.is_blind = None, True

    def second(self, *, ends_minute: bool) -> None:
        """Let a market second pass, and judge the end of a minute."""
        if ends_minute and not self.is_new_for:
            self._minute()
        self.is_new_for = max(0, self.is_new_for - 1)
        for told in self.positions.values():
            told.traded.has_grown = False

    def _minute(self) -> None:
        for told in self.positions.values():
            for track in self._tracks(told):
                price = self.last.get(track.key)
                is_passed = price is None or track.stop is None or track.sign * (price - track.stop) <= 0
                if not told.entered or track.has_grown or (is_passed and track.stop is not None):
                    continue  # it grows, fires, or is chased: what was the best is looked at a minute later
                self.demands += track.judge()

    def _tracks(self, told: _Told) -> tuple[Track, ...]:
        return (told.traded,) if told.spot is None else (told.traded, told.spot)

    def _planned(self, plan: PositionPlanned) -> None:
        if plan.structure or (self.day is not None and plan.at.date() != self.day):
            return  # of several legs, or of the day before: their exits are judged as such
        exits, watched, name = plan.exits, plan.exits.underlying, plan.position_id
        spot = None
        if watched is not None and watched.trail is not None:
            sign = 1 if plan.direction is Direction.LONG else -1
            text = f"{name} on the underlying"
            spot = Track(text, INDEX.key, sign, watched.trail, None, Decimal(0), base=plan.underlying_price)
        traded = Track(name, plan.instrument.key, plan.side.sign, exits.trail, exits.lock, TICK)
        self.positions[name] = _Told(plan, traded, spot)

    def _filled(self, event: FillBooked) -> None:
        told = self.positions.get(event.position_id)
        if told is None or event.correlation_id not in self.entries:
            return
        if told.was_moved:
            del self.positions[event.position_id]
            return
        told.entered += event.quantity
        told.paid += event.price * event.quantity
        told.traded.grew(told.paid / told.entered)

    def _moved(self, event: StopMoved, *, is_told_again: bool) -> None:
        told = self.positions.get(event.position_id)
        if told is None or event.stop is None:
            return
        if event.initial or not event.by or is_told_again:
            told.traded.stop = event.stop
        else:
            told.traded.moved(event.stop, event.by)
        told.was_moved = told.was_moved or bool(event.by)

    def _spot_moved(self, event: SpotLevelsMoved, *, is_told_again: bool) -> None:
        told = self.positions.get(event.position_id)
        if told is None or told.spot is None or event.stop is None:
            return
        if event.initial or is_told_again or event.stop == told.spot.stop:
            told.spot.stop = event.stop
        else:
            told.spot.moved(event.stop, "")
