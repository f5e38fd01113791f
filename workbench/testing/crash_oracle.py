"""Who watches from outside while an engine is killed: the broker's own book, the journal's file, and what they must be.

Nothing in here asks the engine what it believes, but where its belief is what is judged. Naked time is counted on the
broker's book, both in real seconds, the engine's death included, and in those of the market, which may wait for it.

Invariant: a spell is closed only by the broker's book: the position is gone, or orders that would close it rest there.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.core.signal import Side
from workbench.simulator import Simulator
from workbench.simulator.orders import Leg, SimOrder, Status

_LEGS = (Leg.STOP_LOSS.value, Leg.TARGET.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class NakedSpell:
    """A time in which a position had no order at the broker that would close it.

    Parameters
    ----------
    key : str
        Of the instrument.
    seconds, market_s : float
        Real and market seconds.
    """

    key: str
    seconds: float
    market_s: float


class Guard:
    """Watches the broker's positions; `look` is called on the simulator's own thread.

    Parameters
    ----------
    simulator : Simulator
    hidden : callable
        Gives the orders that the broker shows to nobody yet: what they have filled cannot be known, let alone
        protected, so no spell begins before they are shown.
    """

    def __init__(self, simulator: Simulator, hidden: Callable[[], AbstractSet[str]] = frozenset) -> None:
        self._simulator, self._hidden = simulator, hidden
        self._since: dict[str, tuple[float, datetime]] = {}
        self.spells: list[NakedSpell] = []

    def look(self) -> None:
        """Compare positions and resting orders now."""
        naked, orders = self.naked(), self._simulator.desk.orders
        unknowable = {orders[name].listed.instrument.key for name in self._hidden() if name in orders}
        for key in naked - unknowable:
            self._since.setdefault(key, (time.monotonic(), self._simulator.now))
        for key in [each for each in self._since if each not in naked]:
            self._close(key)

    def end(self) -> None:
        """Close what is still open: the watch ends."""
        for key in list(self._since):
            self._close(key)

    def net(self) -> dict[str, int]:
        """Give the broker's net position by instrument key; flat ones are left out."""
        held: Counter[str] = Counter()
        for position in self._simulator.account.positions.values():
            held[position.listed.instrument.key] += position.net
        return {key: net for key, net in held.items() if net}

    def naked(self) -> set[str]:
        """Give the instruments whose position the resting orders would not close."""
        resting: Counter[tuple[str, Side]] = Counter()
        for order in self._simulator.desk.orders.values():
            if order.status.is_open or order.status is Status.TRANSIT:
                resting[order.listed.instrument.key, order.side] += order.remaining
        for stop, units in self._sleeping():
            resting[stop.listed.instrument.key, stop.side] += units
        return {key for key, net in self.net().items() if resting[key, Side.SELL if net > 0 else Side.BUY] < abs(net)}

    def too_much(self) -> list[str]:
        """Give the legs of super orders that would sell, or buy back, more than is held when their price comes."""
        covered: Counter[tuple[str, Side]] = Counter()
        for stop, units in self._sleeping():
            covered[stop.listed.instrument.key, stop.side] += units
        net = self.net()
        return [
            f"legs {side.value} {units} of {key}, {net.get(key, 0)} held"
            for (key, side), units in covered.items()
            if units > -side.sign * net.get(key, 0)
        ]

    def _sleeping(self) -> Iterator[tuple[SimOrder, int]]:
        """Give stop legs that wait at the broker; they cover what their entry has filled from the fill on."""
        for each in self._simulator.super_orders.orders.values():
            stop = each.exits.get(Leg.STOP_LOSS)
            if stop is not None and stop.waits and each.entry.filled:
                yield stop.order, each.entry.filled

    def _close(self, key: str) -> None:
        since, market = self._since.pop(key)
        market_s = (self._simulator.now - market).total_seconds()
        self.spells.append(NakedSpell(key=key, seconds=time.monotonic() - since, market_s=market_s))


@dataclass(slots=True)
class JournalEyes:
    """Reads a journal's file from outside, as it grows.

    Parameters
    ----------
    path : Path
        The database; it need not exist yet.
    """

    path: Path
    last_seq: int = 0
    ours: dict[str, dict[str, Any]] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    frozen: list[str] = field(default_factory=list)

    def news(self) -> Iterator[dict[str, Any]]:
        """Give messages and events that are durable since the last call, in order, as their JSON."""
        if not self.path.is_file():
            return
        address = f"file:{self.path.as_posix()}?mode=ro"
        try:
            link = sqlite3.connect(address, uri=True, timeout=5)
        except sqlite3.OperationalError:
            return
        try:
            query = "SELECT seq, message, events FROM entries WHERE seq > ? ORDER BY seq"
            rows = link.execute(query, (self.last_seq,)).fetchall()
        except sqlite3.OperationalError:
            return  # the tables are being made
        finally:
            link.close()
        for seq, message, events in rows:
            self.last_seq = int(seq)
            if message is not None:
                yield json.loads(message)
            for event in json.loads(events):
                self._keep(event)
                yield event

    def _keep(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "OrderSubmitted":
                ticket = event["ticket"]
                self.ours[ticket["correlation_id"]] = ticket
            case "PositionPlanned":
                self.planned[event["position_id"]] = int(event["quantity"])
            case "AccountFrozen":
                self.frozen += event["differences"]
            case "DecisionMade":
                self.decided[event["subject"], event["fate"]] += 1
            case "FillBooked" if self.ours.get(event["correlation_id"], {}).get("purpose") == "entry":
                self.filled[event["position_id"]] += int(event["quantity"])
            case _:
                pass


def doubled(orders: Sequence[dict[str, Any]], eyes: JournalEyes) -> list[str]:
    """Name what was sent or counted twice: an intent with two orders, an entry filled beyond its plan, an alert.

    Legs of a super order bear the correlation id of their entry, and were sent with it.
    """
    found, orders = [], [row for row in orders if row["legName"] not in _LEGS]
    sent = Counter(str(row["correlationId"]) for row in orders if row["correlationId"])
    found += [f"intent {name} has {count} orders at the broker" for name, count in sent.items() if count > 1]
    bought: Counter[str] = Counter()
    for row in orders:
        ticket = eyes.ours.get(str(row["correlationId"]))
        if ticket is not None and ticket["purpose"] == "entry":
            bought[ticket["position_id"]] += int(row["filledQty"])
    for position_id, quantity in bought.items():
        if quantity > eyes.planned.get(position_id, 0):
            found.append(f"{position_id}: {quantity} entered at the broker, {eyes.planned.get(position_id, 0)} planned")
    found += [f"{subject}: {fate} {count} times" for (subject, fate), count in eyes.decided.items() if count > 1]
    return found


def lost(orders: Sequence[dict[str, Any]], eyes: JournalEyes, accepted: Sequence[str]) -> list[str]:
    """Name what was forgotten: an order at the broker that no intent explains, an alert taken and never decided on.

    An account that is frozen has lost its trading: nothing but our own orders was at the broker, so nothing is foreign.
    """
    found = [
        f"order {row['orderId']} ({row['correlationId']}) at the broker has no intent in the journal"
        for row in orders
        if str(row["correlationId"]) not in eyes.ours
    ]
    ends = {subject.rpartition(":")[2] for subject, _ in eyes.decided}
    found += [f"the account is frozen: {text}" for text in dict.fromkeys(eyes.frozen)]
    found += [f"alert {name} was answered with 200 and never decided on" for name in accepted if name not in ends]
    return found
