"""A busy market: full packets of 1,000 instruments through the real feed, gate, runner and engine, the tape on disk.

A child process sends (`feed_server`); the lag of a tick runs from its sending until the engine has decided on it, all
queues between the two processes included. Beside it stands the lateness of a timer on the same loop, which is how long
an order update may have to wait. Then the rate is raised until it does not hold any more.

A rate holds when no tick is lost, none replaced by a newer one, p99 is in its bound, and the sender was not held up.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from tests.bench.feed_server import micros
from tests.bench.figures import Bound, Figure, Size, spread
from tests.bench.stand import ROOT, NotReadyError
from tests.simulation.live.rig import NINE_THIRTY, Rig, rig
from workbench.core.bars import Quote
from workbench.core.engine import Decision, Engine, EngineConfig
from workbench.core.instrument import Instrument, InstrumentKind, Right, Segment
from workbench.core.messages import Message, QuoteReceived, TimerBeat
from workbench.data.feed import DhanFeed
from workbench.live.quote_gate import QuoteGate

INSTRUMENTS, TICKS_A_SECOND = 1000, 2
FIRST_ID = 40_000
P99_MS = 50.0
TRY_S, RATES = 4.0, (4000, 8000, 12_000, 16_000, 20_000, 24_000, 28_000, 32_000, 40_000, 50_000)
SLOWNESS_S, SLOW_RATE = 0.0003, 8000
"""An engine that takes this much longer for each quote decides on three thousand a second; more are sent."""

QUIET_S = 2.0


@dataclass
class Seen:
    """What came out of the engine in a course."""

    lags_ms: list[float] = field(default_factory=list)
    timer_ms: list[float] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    out_of_order: int = 0


class StampingEngine(Engine):
    """The engine, with a stamp behind each quote that it has decided on."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self.seen = Seen()
        self.slowness_s = 0.0

    def handle(self, message: Message, *, now: Any) -> Decision:
        """Decide, then note how old the tick is."""
        decision = super().handle(message, now=now)
        if isinstance(message, QuoteReceived):
            until = time.perf_counter() + self.slowness_s
            while time.perf_counter() < until:
                pass
            quote = message.quote
            self.seen.lags_ms.append((micros() - quote.ask_quantity & 0xFFFFFFFF) / 1000)
            if quote.bid_quantity <= self.seen.newest.get(quote.key, -1):
                self.seen.out_of_order += 1
            self.seen.newest[quote.key] = quote.bid_quantity
        return decision


@dataclass(frozen=True)
class Course:
    """One rate for some seconds, and what became of it."""

    rate: int
    seconds: float
    sent: int
    took_s: float
    seen: Seen
    conflated: int
    cpu_pct: float

    @property
    def lost(self) -> int:
        """Ticks that neither reached the engine nor were replaced by newer ones."""
        return self.sent - len(self.seen.lags_ms) - self.conflated

    @property
    def holds(self) -> bool:
        """Nothing was lost or replaced, in time, and the sender was not held up."""
        in_time = spread(self.seen.lags_ms)["p99"] <= P99_MS and self.took_s <= self.seconds * 1.05 + 0.1
        return self.lost == self.conflated == self.seen.out_of_order == 0 and in_time

    def facts(self) -> dict[str, Any]:
        """A line of it."""
        return {
            "rate": self.rate,
            "p99_ms": round(spread(self.seen.lags_ms)["p99"], 1),
            "timer_p99_ms": round(spread(self.seen.timer_ms)["p99"], 1),
            "lost": self.lost,
            "conflated": self.conflated,
            "cpu_pct": round(self.cpu_pct),
            "took_s": round(self.took_s, 2),
        }


class Line:
    """Server, feed, gate and engine joined as in the engine process."""

    def __init__(self, made: Rig, engine: StampingEngine, server: asyncio.subprocess.Process) -> None:
        self.made, self.engine, self.server = made, engine, server
        self.gate = QuoteGate(lambda quote: made.runner.enqueue(QuoteReceived(quote=quote)))

    def on_quote(self, quote: Quote, received: float) -> None:
        """What the engine process does with a quote."""
        self.made.system.watch.saw_quote(received, quote.key)
        self.gate.take(quote, received)

    async def course(self, rate: int, seconds: float) -> Course:
        """Drive one rate and wait until nothing comes any more."""
        self.engine.seen = seen = Seen()
        conflated, cpu = self.gate.conflated, time.process_time()
        timer = asyncio.create_task(self._time(seen))
        told = json.loads(await self._ask(f"{rate} {seconds}"))
        cpu_pct = (time.process_time() - cpu) * 100 / told["took_s"]
        handled, quiet_from = -1, time.monotonic()
        while len(seen.lags_ms) + self.gate.conflated - conflated < told["sent"]:
            if handled != len(seen.lags_ms):
                handled, quiet_from = len(seen.lags_ms), time.monotonic()
            elif time.monotonic() - quiet_from > QUIET_S:
                break
            await asyncio.sleep(0.01)
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)
        return Course(rate, seconds, int(told["sent"]), told["took_s"], seen, self.gate.conflated - conflated, cpu_pct)

    async def _ask(self, line: str) -> bytes:
        if self.server.stdin is None or self.server.stdout is None:
            raise NotReadyError("the load server has no pipes")
        self.server.stdin.write(f"{line}\n".encode())
        told = await self.server.stdout.readline()
        if not told:
            raise NotReadyError("the load server has ended")
        return told

    async def _time(self, seen: Seen) -> None:
        """Note how late a timer is, and beat once a second."""
        turns = 0
        while True:
            due = time.perf_counter() + 0.01
            await asyncio.sleep(0.01)
            seen.timer_ms.append((time.perf_counter() - due) * 1000)
            turns += 1
            if turns % 100 == 0:
                self.made.clock.pass_s(1)
                self.made.runner.enqueue(TimerBeat())


def contracts(count: int) -> list[Instrument]:
    """Options of many strikes."""
    return [
        Instrument(
            segment=Segment.NSE_FNO,
            security_id=str(FIRST_ID + number),
            symbol="NIFTY",
            kind=InstrumentKind.OPTION,
            lot=50,
            expiry=NINE_THIRTY.date(),
            strike=Decimal(5000 + number * 50),
            right=Right.CE,
        )
        for number in range(count)
    ]


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    """Start server and engine, connect them, and end both."""
    engines: list[StampingEngine] = []

    def make(config: EngineConfig) -> StampingEngine:
        engines.append(StampingEngine(config))
        return engines[-1]

    traded_at = int(NINE_THIRTY.timestamp()) + 19800
    command = [sys.executable, "-m", "tests.bench.feed_server", "2", str(FIRST_ID), str(INSTRUMENTS), str(traded_at)]
    server = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        port = int(await server.stdout.readline()) if server.stdout is not None else 0
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            async with rig(Path(folder), make_engine=make) as made:
                found = Line(made, engines[-1], server)
                feed = DhanFeed(f"ws://127.0.0.1:{port}", "1", "bench")
                feed.subscribe(contracts(INSTRUMENTS))
                running = asyncio.create_task(feed.run(found.on_quote, lambda *_: None))
                gc.collect()
                gc.freeze()  # as the engine process does when it is ready
                try:
                    yield found
                finally:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)
                    gc.unfreeze()
    finally:
        if server.stdin is not None:
            server.stdin.close()
        with suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


async def _courses(size: Size) -> tuple[Course, list[Course], Course | None]:
    async with line() as joined:
        minute = await joined.course(INSTRUMENTS * TICKS_A_SECOND, size.feed_s)
        tries: list[Course] = []
        for rate in RATES[: size.feed_tries]:
            tries.append(await joined.course(rate, TRY_S))
            if not tries[-1].holds:
                # A single hiccup of the machine is no limit; two are.
                tries.append(await joined.course(rate, TRY_S))
                if not tries[-1].holds:
                    break
        joined.engine.slowness_s = SLOWNESS_S
        overloaded = await joined.course(SLOW_RATE, TRY_S) if size.feed_tries else None
        return minute, tries, overloaded


def measure(size: Size) -> Iterator[Figure]:
    """The promised minute, the highest rate that holds, and what an overload does to the loop."""
    busy = psutil.cpu_percent(0.5)
    minute, tries, overloaded = asyncio.run(_courses(size))
    n, bound = len(minute.seen.lags_ms), (Bound(of="p99", limit=P99_MS),)
    what = f"{INSTRUMENTS:,} instruments at {TICKS_A_SECOND} ticks a second for {size.feed_s:g} s"
    notes = minute.facts() | {"sent": minute.sent, "out_of_order": minute.seen.out_of_order, "cpu_busy_before": busy}
    yield Figure(
        name=f"tick to decision, {what}", unit="ms", stats=spread(minute.seen.lags_ms), n=n, bounds=bound, notes=notes
    )
    lost = (Bound(of="value", limit=0.0),)
    yield Figure(
        name="ticks lost or replaced",
        unit="ticks",
        stats={"value": float(minute.lost + minute.conflated)},
        n=minute.sent,
        bounds=lost,
    )
    timer = minute.seen.timer_ms
    yield Figure(name="timer lag in the same time", unit="ms", stats=spread(timer), n=len(timer), bounds=bound)
    best = max((each.rate for each in tries if each.holds), default=minute.rate if minute.holds else 0)
    notes = {"tries": [each.facts() for each in tries]}
    yield Figure(name="highest rate that holds", unit="ticks/s", stats={"value": float(best)}, n=1, notes=notes)
    if overloaded is not None:
        lags, timer = overloaded.seen.lags_ms, overloaded.seen.timer_ms
        notes = overloaded.facts() | {"sent": overloaded.sent, "decided": len(lags)}
        yield Figure(name="tick to decision, engine too slow", unit="ms", stats=spread(lags), n=len(lags), notes=notes)
        yield Figure(name="timer lag, engine too slow", unit="ms", stats=spread(timer), n=len(timer))
