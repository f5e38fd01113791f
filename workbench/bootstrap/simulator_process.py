"""The simulator process: a market, the dated tables and Dhan's wire on 127.0.0.1."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.bootstrap.desk import day as read_day
from workbench.bootstrap.desk import today
from workbench.bootstrap.logs import set_up
from workbench.bootstrap.practice import show
from workbench.config import data_dir, load
from workbench.core.errors import BadInput
from workbench.core.session import IST
from workbench.live.parent import when_parent_is_gone
from workbench.reference import calendar, charge_table, contract_table

FIRST_SYNTHETIC_DAY = dt.date(2026, 9, 28)
"""The first day after the shipped sample; fixed, so that a seed gives the same market whenever it is started."""

_FAULTS_AN_HOUR = 12.0

MIRROR = "mirror"
"""The market that has no prices of its own: it shows what a paper engine forwards."""

TRANSIT_S = 0.05
"""Real seconds that a paper order is on its way: about what an order to Dhan takes, so that fills do not flatter."""

if TYPE_CHECKING:
    from workbench.simulator.fault_plan import FaultPlan
    from workbench.simulator.market import Market


def run(args: argparse.Namespace) -> int:
    """``workbench simulator``."""
    from workbench.simulator.exchange import Simulator, SimulatorConfig
    from workbench.simulator.server import serve

    settings = load()
    set_up(data_dir(), "simulator", settings.secrets)
    if args.under_up:
        when_parent_is_gone(_end)
    port = args.port or settings.server.simulator_port
    if args.market == MIRROR:
        _run_mirror(args, port)
        return 0
    config = SimulatorConfig(speed=read_speed(args.speed), free_run=args.free_run)
    simulator = Simulator(make_market(args.market), calendar(), contract_table(), charge_table(), config)
    serve(simulator, port=port, plan=read_faults(args.faults))
    return 0


def _end() -> None:
    """End in order where the system can ask for that; on Windows at once, since nothing here outlives the process."""
    os.kill(os.getpid(), signal.SIGTERM)


def _run_mirror(args: argparse.Namespace, port: int) -> None:
    """Run the market that an engine forwards: its prices and its time come through the link."""
    from workbench.simulator.exchange import SimulatorConfig
    from workbench.simulator.mirror import MirrorSimulator
    from workbench.simulator.mirror_server import serve_mirror

    config = SimulatorConfig(transit_s=TRANSIT_S)
    if (capital := load().risk.capital) is not None:
        config = replace(config, starting_funds=capital)
    mirror = MirrorSimulator(calendar(), contract_table(), charge_table(), today(), config)
    serve_mirror(mirror, port=port, plan=read_faults(args.faults))


def read_faults(text: str | None) -> FaultPlan | None:
    """Read the plan of faults that ``--faults`` names: a file, or ``seed:SEED[:RATE]``, which is printed."""
    from workbench.simulator.fault_plan import FaultPlan

    if text is None:
        return None
    kind, _, rest = text.partition(":")
    if kind != "seed":
        return FaultPlan.read(Path(text))
    seed, _, rate = rest.partition(":")
    try:
        plan = FaultPlan.seeded(int(seed), float(rate or _FAULTS_AN_HOUR))
    except ValueError:
        raise BadInput(f"--faults {text!r} is not understood; write a file, seed:7 or seed:7:20") from None
    show(plan.lines().rstrip())
    return plan


def read_speed(text: str) -> float | None:
    """Market seconds a real second; ``max`` is lockstep (None)."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        raise BadInput(f"--speed {text!r}: give a number above zero, or max") from None
    if not 0 < speed <= 10_000:
        raise BadInput(f"--speed {text}: give a number above zero (at most 10000), or max")
    return speed


def make_market(text: str) -> Market:
    """Make the market that ``--market`` names."""
    from workbench.simulator.market import SyntheticMarket

    kind, _, rest = text.partition(":")
    if kind == "synthetic" and rest.isdigit():
        # The market of a seed is the same on every day that it is started.
        return SyntheticMarket(int(rest), calendar(), FIRST_SYNTHETIC_DAY)
    if kind == "recorded":
        symbol, _, text_day = rest.partition(":")
        wanted = read_day(text_day, "--market day")
        if symbol and wanted is not None:
            return recorded(symbol, wanted)
    raise BadInput(f"--market {text!r} is not understood; write synthetic:7, recorded:NIFTY:2022-06-15 or mirror")


def recorded(symbol: str, wanted: dt.date) -> Market:
    """Give a recorded day of the bar store."""
    from workbench.data.bar_store import BarStore
    from workbench.simulator.market import RecordedMarket

    store = BarStore(data_dir() / "bars", calendar())
    frame = store.read(symbol, "1m", wanted, wanted)

    def history(name: str, start: dt.date, end: dt.date) -> Any:
        first = dt.datetime(start.year, start.month, start.day, tzinfo=IST)
        return store.read(name, "1m", first, end)

    return RecordedMarket(wanted, {symbol: frame}, history, calendar())
