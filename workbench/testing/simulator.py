"""A running simulator for tests: real sockets on a free port, in a thread of this process.

Use :func:`running_simulator` as a context manager. By default nobody has to acknowledge and the market is moved by hand
with :meth:`RunningSimulator.advance`; with `follow=True` it waits for a client of the sync socket, as in practice.

Invariant: when the block ends, the server has stopped and its port is free.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import TypeVar

import uvicorn

from workbench.core.bars import Quote
from workbench.core.instrument import Instrument, Right
from workbench.reference import calendar, charge_table, contract_table
from workbench.simulator import Application, Market, Simulator, SimulatorConfig, SyntheticMarket, server_of
from workbench.simulator.faults import Fault, read_fault
from workbench.simulator.listing import Listed

DAY = date(2026, 11, 16)
_START_S, _STOP_S = 10.0, 10.0

T = TypeVar("T")


class RunningSimulator:
    """A simulator that answers on a port of this machine.

    Parameters
    ----------
    application : Application
    port : int
    """

    def __init__(self, application: Application, port: int) -> None:
        self.application, self.port = application, port
        self.simulator: Simulator = application.simulator
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def origin(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """Base of the REST API."""
        return f"{self.origin}/v2"

    @property
    def feed_url(self) -> str:
        """The live feed, without its query."""
        return f"ws://127.0.0.1:{self.port}/feed"

    @property
    def updates_url(self) -> str:
        """The order-update socket."""
        return f"ws://127.0.0.1:{self.port}/order-update"

    @property
    def sync_url(self) -> str:
        """The socket that holds the market's clock."""
        return f"ws://127.0.0.1:{self.port}/simulator/sync"

    @property
    def compact_master_url(self) -> str:
        """The compact master."""
        return f"{self.origin}/api-data/api-scrip-master.csv"

    @property
    def detailed_master_url(self) -> str:
        """The detailed master."""
        return f"{self.origin}/api-data/api-scrip-master-detailed.csv"

    @property
    def token(self) -> str:
        """Token that the simulator asks for."""
        return self.simulator.token

    @property
    def client_id(self) -> str:
        """Client id that the simulator asks for."""
        return self.simulator.client_id

    def call(self, work: Callable[[], T]) -> T:
        """Do something with the simulator on its own thread, between two of its steps."""

        async def done() -> T:
            return work()

        if self.loop is None:
            raise RuntimeError("the simulator is not running: use it inside its with-block")
        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(_START_S)

    def advance(self, seconds: int = 1) -> None:
        """Move the market on by hand; packets and updates are sent as usual."""
        conductor = self.application.conductor
        if self.loop is None or conductor is None:
            raise RuntimeError("the simulator is not running: use it inside its with-block")

        async def moved() -> None:
            for _ in range(seconds):
                if not self.simulator.is_over:
                    await conductor.step()

        asyncio.run_coroutine_threadsafe(moved(), self.loop).result(60)

    def open_market(self) -> None:
        """Move to the first second of trading, if that is still to come."""
        self.advance(max(0, -self.simulator.board.second))

    def option(self, symbol: str = "NIFTY", *, right: Right = Right.CE, steps: int = 0, expiry: int = 0) -> Instrument:
        """Give a listed option: `steps` strikes above the one nearest to the spot, of the n-th expiry."""
        return self._option(symbol, right, steps, expiry).instrument

    def quote(self, instrument: Instrument) -> Quote:
        """Give the quote of this second."""

        def read() -> Quote:
            listed = self.simulator.listing.by_key(instrument.key)
            if listed is None:
                raise KeyError(instrument.key)
            return self.simulator.board.quote(listed)

        return self.call(read)

    def fault(self, kind: str, **options: object) -> None:
        """Order a fault by name, with what `POST /simulator/fault` takes: `match`, `count`, `seconds`, `after` …."""
        self.order(read_fault({"kind": kind, **options}))

    def order(self, *faults: Fault) -> None:
        """Order faults that have been read, for instance those of a plan."""

        async def ordered() -> None:
            for fault in faults:
                await self.application.order_fault(fault)

        if self.loop is None:
            raise RuntimeError("the simulator is not running: use it inside its with-block")
        asyncio.run_coroutine_threadsafe(ordered(), self.loop).result(_START_S)

    def fired(self) -> list[dict[str, object]]:
        """Give what has struck so far, the oldest first."""
        return self.call(lambda: list(self.application.faults.fired))

    def clear_faults(self) -> None:
        """Forget the faults that wait."""
        self.call(self.application.faults.clear)

    def _option(self, symbol: str, right: Right, steps: int, expiry: int) -> Listed:
        listing = self.simulator.listing
        day = listing.expiries(symbol)[expiry]
        found = [each for each in listing.options(symbol, day) if each.instrument.right is right]
        spot = Decimal(repr(self.simulator.board.spot(symbol)))
        strikes = [each.instrument.strike or spot for each in found]
        place = min(range(len(found)), key=lambda each: abs(strikes[each] - spot))
        return found[place + steps]


@contextmanager
def running_simulator(
    *,
    day: date = DAY,
    seed: int = 7,
    market: Market | None = None,
    config: SimulatorConfig | None = None,
    follow: bool = False,
) -> Iterator[RunningSimulator]:
    """Run a simulator on a free port.

    Parameters
    ----------
    day, seed : date, int
        Of the synthetic market.
    market : Market, optional
        Another market, for instance a recorded day; then `day` and `seed` are not used.
    config : SimulatorConfig, optional
    follow : bool
        Let the market run by itself (speed and acknowledgements of the sync socket, or `free_run`); else it stands and
        is moved with `advance`.
    """
    market = market or SyntheticMarket(seed, calendar(), day)
    simulator = Simulator(market, calendar(), contract_table(), charge_table(), config or SimulatorConfig())
    application = Application(simulator)
    # The protocol is named because asyncio switches Nagle's delay off only for sockets that say TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        running = RunningSimulator(application, listening.getsockname()[1])
        server = _Prompt(server_of(application, running.port).config)
        thread = threading.Thread(
            target=_serve, args=(server, listening, running), name=f"simulator-{running.port}", daemon=True
        )
        thread.start()
        try:
            _wait(lambda: server.started or not thread.is_alive(), _START_S)
            conductor = application.conductor
            if not server.started or conductor is None:
                raise RuntimeError("the simulator did not start: see the log above")
            conductor.halted = not follow
            yield running
        finally:
            server.should_exit = True
            thread.join(_STOP_S)
            if thread.is_alive():
                server.force_exit = True
                thread.join(_STOP_S)


class _Prompt(uvicorn.Server):
    """Hears within a hundredth of a second that it is to end, not a tenth: hundreds of tests wait for it."""

    async def main_loop(self) -> None:
        """Tick ten times a second, as ever."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            for _ in range(10):
                if not self.should_exit:
                    await asyncio.sleep(0.01)


def _serve(server: uvicorn.Server, listening: socket.socket, running: RunningSimulator) -> None:
    async def main() -> None:
        running.loop = asyncio.get_running_loop()
        await server.serve(sockets=[listening])

    asyncio.run(main())


def _wait(condition: Callable[[], bool], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
