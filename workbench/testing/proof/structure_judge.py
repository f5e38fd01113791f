"""What holds for several legs together, judged by the venue's fills and orders and by what the plan asks for (0075).

A sold leg leaves only after its cover is held and the margin was read again; the cover is sold only after what it
covers is bought back; what cannot become whole is left; the combined P&L is followed at the prices that were heard.

Invariant: of the engine only the journal's words are used (which position is a leg, what was decided and why); the
rules of `core.structure` are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from workbench.core.messages import (
    DecisionMade,
    EntryFailed,
    ExitBegan,
    ModifyOrder,
    Operator,
    OperatorOrdered,
    OrderMoved,
    OrderSubmitted,
    PlaceOrder,
    PositionPlanned,
    StopMoved,
    StructureClosed,
    StructureLeft,
)
from workbench.core.order import Purpose
from workbench.core.plan import Plan
from workbench.core.ports import JournalEntry
from workbench.core.signal import Side
from workbench.testing.proof.gatekeeper import Gatekeeper
from workbench.testing.proof.oracle import ALARMED_AT_MOST_S, promise
from workbench.testing.proof.promptness import PASSED_S, SOON_S, Promptness
from workbench.testing.proof.structure_money import AT_ONCE_S, SAME, Purse, Together, rupees
from workbench.testing.proof.structure_plans import Wanted, wanted_legs
from workbench.testing.proof.structure_shape import why_not_wanted
from workbench.testing.proof.structure_venue import ChainVenue
from workbench.testing.proof.venue import Asked

WHOLE_AT_MOST_S = 38
"""Thirty seconds are promised; the rest is for what is on its way."""

RESTED_S = 4


class StructureJudge:
    """Watches one day.

    Parameters
    ----------
    venue : ChainVenue
    keeper : Gatekeeper
    promptness : Promptness
    """

    def __init__(self, venue: ChainVenue, keeper: Gatekeeper, promptness: Promptness) -> None:
        self.venue, self.keeper, self.promptness = venue, keeper, promptness
        self.purse = Purse(venue, keeper)
        self.known: dict[str, Together] = {}
        self.planned = self.whole = self.left = 0
        self._entries: dict[str, str] = {}
        self._rested = 0
        self._alarms = 0

    # --- what the journal says ------------------------------------------------------------------------------------

    def take(self, entry: JournalEntry, *, judging: bool = True) -> None:
        """Read one entry of the journal as it is written."""
        for event in entry.events:
            match event:
                case PositionPlanned() if event.structure:
                    self._planned(event, judging=judging and event.at == entry.now)
                case StructureLeft() if judging:
                    self._left(event)
                case StructureClosed():
                    together = self.known.get(event.structure_id)
                    if together is not None:
                        together.closed = event
                case DecisionMade() if judging and event.fate == "denied":
                    self._denied(event)
                case _:
                    self._moved(event)
        message = entry.message
        if isinstance(message, OperatorOrdered) and message.command in (Operator.FLATTEN, Operator.CLOSE):
            for together in self.known.values():
                together.must_leave = judging and any(self.venue.held(each) for each in together.legs)

    def again(self, entries: Iterable[JournalEntry]) -> None:
        """Begin anew after a death: only what is on the disk was decided."""
        before, self.known = self.known, {}
        self._entries.clear()
        for entry in entries:
            self.take(entry, judging=False)
        for structure_id, together in self.known.items():
            if structure_id in before:
                old = before[structure_id]
                together.was_whole, together.best, together.alarms = old.was_whole, old.best, -1
        self._rested = 0

    def _planned(self, event: PositionPlanned, *, judging: bool) -> None:
        together = self.known.get(event.structure)
        if together is None:
            together = Together(event.structure, event.deployment, event.at, alarms=self._alarms)
            self.known[event.structure] = together
            self.planned += judging
        if judging and event.position_id not in together.legs:
            others = list(together.legs.values())
            why = why_not_wanted(self.venue, self._plan(together), event, others)
            promise(not why, "L1", f"{event.position_id} is a leg that the plan does not ask for: {why}")
        together.legs[event.position_id] = event

    def _moved(self, event: object) -> None:
        match event:
            case OrderSubmitted() if event.ticket.purpose is Purpose.ENTRY:
                self._entries[event.ticket.correlation_id] = event.ticket.position_id
            case OrderMoved() if event.state.is_done and event.correlation_id in self._entries:
                position_id = self._entries[event.correlation_id]
                together = self._of(position_id)
                if together is not None:
                    together.dead.add(position_id)
            case EntryFailed() | ExitBegan() | StopMoved():
                self._of_a_leg(event)
            case _:
                return

    def _of_a_leg(self, event: EntryFailed | ExitBegan | StopMoved) -> None:
        together = self._of(event.position_id)
        if together is None:
            return
        if isinstance(event, EntryFailed):
            together.dead.add(event.position_id)
        elif isinstance(event, ExitBegan):
            together.begun[event.position_id] = event.reason
        elif event.stop is not None:
            together.stops.setdefault(event.position_id, []).append(event.stop)

    def _of(self, position_id: str) -> Together | None:
        return next((each for each in self.known.values() if position_id in each.legs), None)

    def _plan(self, together: Together) -> Plan:
        return next(each.plan for each in self.keeper.config.deployments if each.name == together.deployment)

    def _denied(self, event: DecisionMade) -> None:
        """Legs are one trade and one entry: nothing is refused for more of them than there are (0075)."""
        if event.gate != "trades_a_day":
            return
        day, limits = self.venue.now.date(), self.keeper.config.limits
        trades = [
            each.plan.deployment
            for each in self.keeper.told.held.values()
            if each.entry == each.plan.position_id and not each.plan.group and each.plan.at.date() >= day
        ]
        own = next(each.limits for each in self.keeper.config.deployments if each.name == event.deployment)
        most = own.max_trades_per_day
        is_full = len(trades) >= limits.max_trades_per_day
        is_full = is_full or (most is not None and trades.count(event.deployment) >= most)
        promise(is_full, "L8", f"{event.subject} is refused for its count, and {len(trades)} trades were made")

    # --- at the door ----------------------------------------------------------------------------------------------

    def leaves(self, asked: Asked) -> None:
        """Judge a request in the moment in which it leaves."""
        if not isinstance(asked, PlaceOrder | ModifyOrder):
            return
        ticket = asked.ticket if isinstance(asked, PlaceOrder) else self.venue.orders[asked.order_id].ticket
        together = self._of(ticket.position_id)
        if together is None:
            return
        leg = together.legs[ticket.position_id]
        if ticket.purpose is Purpose.ENTRY:
            if ticket.side is Side.SELL and isinstance(asked, PlaceOrder):
                self._sold(together, leg)
        elif leg.side is Side.BUY:
            self._cover_left(together, leg)

    def _sold(self, together: Together, leg: PositionPlanned) -> None:
        """Every bought leg of the plan is held in whole, and the margin was read after that (0075)."""
        lot, venue = leg.instrument.lot, self.venue
        wanted = sum(each.lots * lot for each in wanted_legs(self._plan(together), leg.direction) if _is_bought(each))
        bought = [each for each in together.legs.values() if each.side is Side.BUY]
        held = sum(venue.held(each.position_id) for each in bought)
        promise(held == wanted, "L1", f"{leg.position_id} is sold while {held} of {wanted} units to be bought are held")
        whole = self.keeper.told.structures[together.structure_id]
        basket = frozenset((each.instrument.key, each.side, each.quantity) for each in whole.legs)
        heard = [
            each
            for each in venue.margins
            if each.heard_at is not None and each.basket == basket and f"|{leg.subject}|" in each.asked_by
        ]
        after = [each for each in heard if all(each.held.get(one.position_id) == one.quantity for one in bought)]
        newest = max(after, key=lambda each: each.asked_at, default=None)
        promise(newest is not None, "L2", f"{leg.position_id} is sold and no margin was read since the rest was bought")
        promise(newest is None or newest.allows, "L2", f"{leg.position_id} is sold though the margin forbids it")

    def _cover_left(self, together: Together, leg: PositionPlanned) -> None:
        """A bought leg goes last: what it covers is bought back at the broker, and no sale of it is under way."""
        for other in self._covered_by(together, leg):
            entries = [each for each in self.venue.of(other.position_id) if each.ticket.purpose is Purpose.ENTRY]
            units, rests = self.venue.held(other.position_id), any(each.state.may_rest for each in entries)
            promise(
                not units and not rests,
                "L3",
                f"{leg.position_id} is sold while {units} units that it covers are sold ({other.position_id})",
            )

    def _covered_by(self, together: Together, leg: PositionPlanned) -> list[PositionPlanned]:
        return [
            each
            for each in together.legs.values()
            if each.side is Side.SELL and leg.side is Side.BUY and each.instrument.right is leg.instrument.right
        ]

    # --- every market second --------------------------------------------------------------------------------------

    def second(self, *, trades: bool, alarms: int) -> None:
        """Judge one market second."""
        self._alarms = alarms
        self._rested = 0 if self.venue.is_silent or not trades else self._rested + 1
        for together in self.known.values():
            self._covered(together)
            is_over = together.closed is not None and not any(self.venue.held(each) for each in together.legs)
            if is_over or self.venue.by_hand() or not trades:
                together.seconds.clear()
                continue
            self._followed(together)

    def _covered(self, together: Together) -> None:
        """What the plan covers is covered at the broker, at every moment."""
        if self.venue.by_hand():
            return
        for leg in together.legs.values():
            covered = self._covered_by(together, leg)
            if not covered:
                continue
            bought = sum(
                self.venue.held(each.position_id)
                for each in together.legs.values()
                if each.side is Side.BUY and each.instrument.right is leg.instrument.right
            )
            sold = sum(self.venue.held(each.position_id) for each in covered)
            promise(sold <= bought, "L3", f"{together.structure_id}: {sold} units are sold and {bought} cover them")

    def _followed(self, together: Together) -> None:
        venue, legs = self.venue, together.legs
        if not together.was_whole and self._is_whole(together):
            together.was_whole = True
            self.whole += 1
        is_left = self._is_left(together)
        is_part = not together.was_whole and not is_left and any(venue.held(each) for each in legs)
        age = (venue.now - together.at).total_seconds()
        promise(not is_part or age <= WHOLE_AT_MOST_S, "L4", f"{together.structure_id} is not whole after {age:.0f} s")
        told = self.keeper.told.held
        is_dead = any(each in told and told[each].units < legs[each].quantity for each in together.dead)
        failed = together.count("failed", is_part and is_dead)
        promise(failed <= AT_ONCE_S, "L4", f"a leg of {together.structure_id} came to nothing, the others stay")
        self._loud(together, is_left=is_left)
        self._released(together)
        if not is_left and self._rested > RESTED_S and self._is_known(together):
            self._must_leave(together)
            for leg in legs.values():
                self._own_levels(together, leg)

    def _is_whole(self, together: Together) -> bool:
        first = next(iter(together.legs.values()))
        wanted = wanted_legs(self._plan(together), first.direction)
        if len(together.legs) < len(wanted):
            return False
        return all(
            sum(each.filled for each in self.venue.of(name) if each.ticket.purpose is Purpose.ENTRY) == leg.quantity
            for name, leg in together.legs.items()
        )

    def _is_left(self, together: Together) -> bool:
        """All that is held is being left; a cover waits for what it covers."""
        told = self.keeper.told.held
        for name, leg in together.legs.items():
            if name in together.begun or not self.venue.held(name):
                continue
            waits = any(
                each.position_id in together.begun and told[each.position_id].is_live
                for each in self._covered_by(together, leg)
                if each.position_id in told
            )
            if not waits:
                return False
        return True

    def _is_known(self, together: Together) -> bool:
        """The journal has every fill: then a decision needs nothing but prices."""
        told = self.keeper.told.held
        return all(each in told and told[each].units == self.venue.held(each) for each in together.legs)

    def _loud(self, together: Together, *, is_left: bool) -> None:
        """What did not become whole is left with an alarm (a death may swallow it)."""
        had_any = any(each.filled for name in together.legs for each in self.venue.of(name))
        is_broken = is_left and not together.was_whole and had_any and bool(together.begun)
        seconds = together.count("loud", is_broken and together.alarms >= 0)
        is_quiet = seconds > SOON_S and self._alarms <= together.alarms
        promise(not is_quiet, "L4", f"{together.structure_id} is left half built and nobody was told")

    def _released(self, together: Together) -> None:
        """A cover is left as soon as nothing is left for it to cover, and is gone soon after."""
        told = self.keeper.told.held
        for name, leg in together.legs.items():
            covered = self._covered_by(together, leg)
            if not covered or not together.was_whole or self.venue.nobody_bids:
                continue
            is_free = not any(told[each.position_id].is_live for each in covered if each.position_id in told)
            stays = is_free and self.venue.held(name) > 0
            seconds = together.count(f"free {name}", stays and name not in together.begun)
            promise(seconds <= AT_ONCE_S, "L5", f"{name} covers nothing any more and stays for {seconds} s")
            seconds = together.count(f"gone {name}", stays)
            promise(seconds <= ALARMED_AT_MOST_S, "L5", f"{name} is being left for {seconds} s")

    # --- together -------------------------------------------------------------------------------------------------

    def _must_leave(self, together: Together) -> None:
        combined, now = self._plan(together).combined, self.venue.now
        asked = together.count("ordered", together.must_leave)
        promise(asked <= AT_ONCE_S, "L6", f"{together.structure_id} stays though a person ordered it to be left")
        limit = self.keeper.config.limits.max_daily_loss
        is_lossy = self._day_is_known() and self._day_loss() >= limit
        lossy = together.count("lossy", is_lossy)
        promise(lossy <= SOON_S, "I7", f"{together.structure_id} is held {lossy} s after the day's loss was reached")
        if combined is None:
            return
        late = together.count("time", combined.time is not None and now.time() >= combined.time)
        promise(late <= AT_ONCE_S, "L6", f"{together.structure_id} is held {late} s after its time")
        pnl = self.purse.pnl(together, fresh=True) if together.was_whole else None
        for name, is_reached in self.purse.reached(together, combined, pnl).items():
            seconds = together.count(name, is_reached)
            text = f"combined {name}: {together.structure_id} is held at Rs {pnl} for {seconds} s"
            promise(seconds <= AT_ONCE_S, "L6", text)
        if pnl is not None:
            self.purse.note_best(together, pnl)

    def _left(self, event: StructureLeft) -> None:
        """Nothing is left for a combined P&L that the market never gave (S6)."""
        self.left += 1
        together = self.known.get(event.structure_id)
        if together is None or not self._is_known(together):
            return
        combined, pnl = self._plan(together).combined, self.purse.pnl(together, fresh=False)
        if combined is None or pnl is None:
            return
        premium, name = abs(self.purse.premium(together)), event.structure_id
        stop, target = rupees(combined.stop, premium), rupees(combined.target, premium)
        if event.reason == "combined_stop":
            is_there = stop is not None and pnl <= -stop + SAME
            promise(is_there, "S6", f"{name} is left by its combined stop {stop} at Rs {pnl}")
        elif event.reason == "combined_target":
            is_there = target is not None and pnl >= target - SAME
            promise(is_there, "S6", f"{name} is left at its combined target {target} at Rs {pnl}")

    # --- each leg -------------------------------------------------------------------------------------------------

    def _own_levels(self, together: Together, leg: PositionPlanned) -> None:
        """A leg's own stop and target need prices only."""
        name, sign, venue = leg.position_id, leg.side.sign, self.venue
        if not venue.held(name) or name in together.begun:
            return
        stops, price = together.stops.get(name), venue.prices[leg.instrument.key]
        loosest = None if not stops else min(stops) if sign > 0 else max(stops)
        is_passed = loosest is not None and sign * (price - loosest) <= 0
        seconds = together.count(f"passed {name}", is_passed)
        promise(seconds <= PASSED_S, "I5", f"{name} is not left for {seconds} s though its stop {loosest} was passed")

    def _day_is_known(self) -> bool:
        told = self.keeper.told.held
        names = self.venue.position_ids()
        return all(
            each in told and told[each].units == self.venue.held(each) for each in names if self.venue.held(each)
        )

    def _day_loss(self) -> Decimal:
        total = Decimal(0)
        for name, begun in self.promptness.positions.items():
            if name in self.keeper.told.held:
                units = begun.plan.side.sign * self.venue.held(name)
                total += self.venue.value_of(name) + units * self.venue.prices[begun.plan.instrument.key]
        return -total

    # --- at the end -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """No sold option is held over the end of a session, least of all over its expiry."""
        for together in self.known.values():
            for name, leg in together.legs.items():
                units = self.venue.held(name) if leg.side is Side.SELL else 0
                promise(not units, "L7", f"{units} units of {name} are sold and stay over the close")

    def end(self) -> None:
        """Each entry of legs is closed, and its rupees are the broker's."""
        if self.venue.by_hand():
            return
        for together in self.known.values():
            had_any = any(each.filled for name in together.legs for each in self.venue.of(name))
            closed = together.closed
            promise(closed is not None or not had_any, "L8", f"{together.structure_id} was never closed")
            if closed is None:
                continue
            gross = sum((self.venue.value_of(each) for each in together.legs), Decimal(0))
            promise(
                abs(closed.gross - gross) < SAME * len(together.legs),
                "I3",
                f"{together.structure_id}: gross {closed.gross}, at the broker {gross}",
            )


def _is_bought(wanted: Wanted) -> bool:
    return wanted.side is Side.BUY
