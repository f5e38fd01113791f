"""From an alert's first byte to the last byte of its order at the broker, with the durable row before it.

Alerts go to a running engine by turns as BUY and as ``position: flat``, so that each leads to an order: an entry, and
the change of the resting stop into an exit. After each, the same is measured on the floor: a bare FastAPI route that
writes one fsynced row and calls ``dhanhq``. Both are stamped by the same recorder on one clock.

"Idle" is part of what is promised, so the machine is watched for a moment before each sample, and those that began on
an idle one are told apart from all.

A sample counts when our order came; what did not lead to one (an entry that waited for a first quote, a refusal) is
counted and told, never dropped in silence.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import psutil

from tests.bench.figures import Bound, Figure, Size, busy, percentile, spread
from tests.bench.recorder import OrderWrite, Recorder
from tests.bench.sender import Sent, get, send
from tests.bench.stand import ALERTED, LINK, Stand, stand
from workbench.testing.wire_stub import free_port

STEP_S = 20.0
QUIET_S = 0.15
IDLE_PCT = 15.0
"""A machine is idle below this; the stand itself takes about three percent."""

LEAST_IDLE = 30
"""Fewer idle samples than these say nothing."""
PAUSE_S = 6.0
"""Longer than a server on this machine keeps an idle connection, so that ours has to be opened anew."""

LONGEST_S = 420.0


class NoOrderError(OSError):
    """The stand did not do what the bench needs."""


@dataclass(slots=True)
class Samples:
    """Milliseconds of one side, and how busy the machine was just before each."""

    to_order: list[float] = field(default_factory=list)
    to_answer: list[float] = field(default_factory=list)
    busy_pct: list[float] = field(default_factory=list)

    def add(self, sent: Sent, order: OrderWrite, busy_pct: float) -> float:
        """Take one sample; give its milliseconds to the order."""
        self.to_order.append((order.at_ns - sent.at_ns) / 1e6)
        self.to_answer.append((sent.answered_ns - sent.at_ns) / 1e6)
        self.busy_pct.append(busy_pct)
        return self.to_order[-1]

    @property
    def idle(self) -> list[float]:
        """Milliseconds to the order of samples that began on an idle machine: chosen before, not by the outcome."""
        return [value for value, busy_pct in zip(self.to_order, self.busy_pct, strict=True) if busy_pct <= IDLE_PCT]


@dataclass(slots=True)
class Course:
    """Everything that one run needs and finds."""

    made: Stand
    floor: Recorder
    floor_port: int
    ours: Samples = field(default_factory=Samples)
    entries: list[float] = field(default_factory=list)
    exits: list[float] = field(default_factory=list)
    bare: Samples = field(default_factory=Samples)
    rested: Samples = field(default_factory=Samples)
    bare_rested: Samples = field(default_factory=Samples)
    without: Counter[str] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    units: int = 0


def measure(size: Size) -> Iterator[Figure]:
    """Run the course and give its figures."""
    with ExitStack() as stack:
        made = stack.enter_context(stand())
        floor = stack.enter_context(Recorder())
        course = Course(made, floor, free_port())
        database = made.folder / "floor.db"
        command = [sys.executable, "-m", "tests.bench.floor_app", str(course.floor_port)]
        command += [f"http://127.0.0.1:{floor.port}/v2", str(database)]
        made.child("floor", command, simulator_port=made.simulator_port).wait_for(course.floor_port, "/health", 30)
        engine = made.engine()
        engine.wait_for(made.engine_port, "/health", 60)
        try:
            run(course, size.alerts, size.pauses)
        except OSError as error:
            raise NoOrderError(f"{error}; the engine's last words: {engine.tail()}") from error
        told = get(made.engine_port, "/api/status")
        memory = psutil.Process(told["pid"]).memory_info().rss / 2**20
    yield from figures(course)
    bounds = (Bound(of="value", limit=200.0),)
    yield Figure(name="engine memory after the alerts", unit="MB", stats={"value": memory}, n=1, bounds=bounds)


def figures(course: Course) -> Iterator[Figure]:
    """Give the figures of a run."""
    ours, bare = course.ours, course.bare
    n = len(ours.to_order)
    promised = (Bound(of="p50", limit=5.0), Bound(of="p99", limit=20.0))
    notes = {"without_an_order": dict(course.without), "cpu_busy_pct": percentile(ours.busy_pct, 50)}
    yield Figure(
        name="alert to order at the broker", unit="ms", stats=spread(ours.to_order), n=n, bounds=promised, notes=notes
    )
    for name, values in (("of these, entries", course.entries), ("of these, exits", course.exits)):
        yield Figure(name=name, unit="ms", stats=spread(values), n=len(values))
    floor_n = len(bare.to_order)
    yield Figure(name="floor: alert to order, bare", unit="ms", stats=spread(bare.to_order), n=floor_n)
    yield _over_the_floor("alert to order over the floor", ours.to_order, bare.to_order)
    if min(len(ours.idle), len(bare.idle)) >= LEAST_IDLE:
        yield Figure(
            name="alert to order, on an idle machine",
            unit="ms",
            stats=spread(ours.idle),
            n=len(ours.idle),
            bounds=promised,
        )
        yield Figure(name="floor, on an idle machine", unit="ms", stats=spread(bare.idle), n=len(bare.idle))
        yield _over_the_floor("alert to order over the floor, on an idle machine", ours.idle, bare.idle)
    for name, rested in (("alert to order", course.rested), ("floor: alert to order", course.bare_rested)):
        if rested.to_order:
            count_rested = len(rested.to_order)
            yield Figure(
                name=f"{name}, after {PAUSE_S:g} s of rest", unit="ms", stats=spread(rested.to_order), n=count_rested
            )
    yield Figure(name="alert to its answer", unit="ms", stats=spread(ours.to_answer), n=n)


def _over_the_floor(name: str, ours: list[float], bare: list[float]) -> Figure:
    ratio = percentile(ours, 50) / percentile(bare, 50)
    bounds = (Bound(of="p50", limit=2.0),)
    return Figure(name=name, unit="ratio", stats={"p50": ratio}, n=min(len(ours), len(bare)), bounds=bounds)


def run(course: Course, alerts: int, pauses: int) -> None:
    """Send alerts by turns until there are enough samples or the time is over; then some with a rest before each."""
    until = time.monotonic() + LONGEST_S
    _until(lambda: _health(course)["market_open"], "the market opens", 60)
    _warm_up(course)
    while len(course.ours.to_order) < alerts and time.monotonic() < until:
        _round_trip(course, pause_s=0.0)
    if not course.ours.to_order:
        raise NoOrderError(f"no alert led to an order: {dict(course.without)}")
    if pauses:
        rest = replace(course, ours=course.rested, bare=course.bare_rested, entries=[], exits=[])
        while len(rest.ours.to_order) < pauses and time.monotonic() < until:
            _round_trip(rest, pause_s=PAUSE_S)


def _round_trip(course: Course, pause_s: float) -> None:
    """Enter and leave by one alert each, with as many on the floor."""
    time.sleep(pause_s)
    entered = _alert(course, {"side": "BUY", "timeframe": "1m"}, course.entries)
    _floor(course)
    if not entered:
        return
    _until(lambda: not _mine(course) or _is_protected(course), "the stop rests, or the entry came to nothing", STEP_S)
    if not _mine(course):
        return  # the market ran away from the entry's limit: its order is measured, there is no exit to measure
    time.sleep(pause_s)
    _alert(course, {"position": "flat"}, course.exits)
    _floor(course)
    _until(lambda: not _mine(course), "the position is closed", STEP_S)


def _warm_up(course: Course) -> None:
    """One round that does not count: connections open, code is loaded; the floor gets as much."""
    waste: list[float] = []
    _until(lambda: _spot(course) is not None, "the spot has a price", STEP_S)
    time.sleep(1.0)
    for _ in range(20):
        if _alert(course, {"side": "BUY", "timeframe": "1m"}, waste):
            break
        time.sleep(0.5)
    _until(lambda: _is_protected(course), "the first position has its stop at the broker", STEP_S)
    course.units = _mine(course)[0]["planned_units"]
    _alert(course, {"position": "flat"}, waste)
    _until(lambda: not _mine(course), "the first position is closed", STEP_S)
    for _ in range(3):
        _floor(course)
    course.ours, course.bare, course.without = Samples(), Samples(), Counter()


def _alert(course: Course, body: dict[str, Any], into: list[float]) -> bool:
    """Send one alert when all is quiet; tell whether our order came."""
    recorder, number = course.made.recorder, next(course.numbers)
    told = {"strategy": ALERTED, "symbol": "NIFTY", "timestamp": _health(course)["now"], "id": f"bench-{number}"}
    if "side" in body:
        told["price"] = _spot(course)
    busy_pct = _quiet(recorder)
    seen = recorder.count
    sent = send(course.made.engine_port, f"/webhook/{LINK}", told | body)
    if sent.status != 200:
        course.without[f"HTTP {sent.status}: {sent.answer.get('error')}"] += 1
        return False
    fate = sent.answer.get("fate")
    if fate not in ("entered", "exited"):
        course.without[f"{fate}: {sent.answer.get('gate')} {sent.answer.get('reason')}"] += 1
        _until(lambda: not _mine(course), "nothing is held", STEP_S)
        return False
    order = _own_order(course, seen)
    if order is None:
        raise NoOrderError(f"the alert was {fate} and no order came in {STEP_S:g} s")
    into.append(course.ours.add(sent, order, busy_pct))
    return True


def _own_order(course: Course, seen: int) -> OrderWrite | None:
    """Wait for an order of our size; a strategy's has more lots."""
    while (order := course.made.recorder.next_write(seen, STEP_S)) is not None:
        if not course.units or json.loads(order.body)["quantity"] == course.units:
            return order
        seen += 1
    return None


def _floor(course: Course) -> None:
    """The same on the floor."""
    busy_pct = _quiet(course.made.recorder)
    seen = course.floor.count
    body = {"strategy": ALERTED, "symbol": "NIFTY", "side": "BUY", "timeframe": "1m", "price": 25000.05}
    sent = send(course.floor_port, "/alert", body)
    order = course.floor.next_write(seen, STEP_S)
    if sent.status != 200 or order is None:
        raise NoOrderError(f"the floor answered {sent.status} and sent no order")
    if "floor-1" not in json.loads(order.body)["correlationId"]:
        raise NoOrderError("the floor sent another order than its own")
    course.bare.add(sent, order, busy_pct)


def _health(course: Course) -> dict[str, Any]:
    told: dict[str, Any] = get(course.made.engine_port, "/health")
    return told


def _spot(course: Course) -> float | None:
    try:
        price: float | None = get(course.made.engine_port, "/live/spot-price")["price"]
    except OSError:
        return None
    return price


def _mine(course: Course) -> list[dict[str, Any]]:
    return [item for item in get(course.made.engine_port, "/live/positions") if item["deployment"] == ALERTED]


def _is_protected(course: Course) -> bool:
    mine = _mine(course)
    return bool(mine) and mine[0]["protection"] == "at_broker" and mine[0]["units"] == mine[0]["planned_units"]


def _quiet(recorder: Recorder) -> float:
    """Wait until no order has gone for a moment (a strategy may trade just now); tell how busy the machine was then."""
    while True:
        seen = recorder.count
        busy_pct = busy(QUIET_S)
        if recorder.count == seen:
            return busy_pct


def _until(is_so: Any, what: str, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > until:
            raise NoOrderError(f"waited {timeout_s:g} s in vain until {what}")
        time.sleep(0.03)
