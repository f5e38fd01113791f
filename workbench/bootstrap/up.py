"""``workbench up``: simulator (practice) or mirror (paper), engine and control app as children of one parent.

All of them listen on 127.0.0.1 only.

Invariant: when this process ends, none of its children is left; when it is killed, a live engine that holds something
goes on with its exits and all others end.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from pathlib import Path

from workbench.bootstrap.desk import day as read_day
from workbench.bootstrap.places import Places
from workbench.bootstrap.practice import show
from workbench.bootstrap.simulator_process import MIRROR, read_speed
from workbench.bootstrap.venue import DRY_RUN_VARIABLE, RUN_VARIABLE
from workbench.config import Config, data_dir, load
from workbench.core.deployment import Mode
from workbench.core.errors import BadInput
from workbench.live.supervise import Child, Supervisor

UNDER_UP = "--under-up"
"""Tells a child that its stdin is held by this process, and that the end of it is our death."""

PANEL = Path(__file__).resolve().parents[2] / "apps" / "control" / "launch.py"
"""The control app is a client of the engine's API and is started as a program of its own, never imported."""


def run(args: argparse.Namespace) -> int:
    """Start the whole workbench and stay until it is stopped."""
    config, panel = load(), not args.no_panel
    market = _market(args, config)
    confirmed = _permitted(args, config)
    if panel and not PANEL.is_file():
        raise BadInput(f"the control app is not at {PANEL}; run from a checkout of the project, or with --no-panel")
    children = _children(config, args, market, confirmed)
    _ports_free(_ports(config, simulator=bool(market), panel=panel))
    supervisor = Supervisor(children, latch_folder=data_dir() / "journal", show=show)
    supervisor.catch_signals()
    show(f"workbench: {_words(args, market)}; Ctrl-C ends all of it")
    if panel:
        show(f"control app: http://127.0.0.1:{config.server.panel_port}")
    code = supervisor.run()
    show(f"workbench: everything has ended ({supervisor.why or 'done'})")
    if args.mode == Mode.LIVE.value and (left := _left_open(config)):
        show(f"CAUTION: {left}")
    from workbench.bootstrap import putting_away

    putting_away.at_the_end(data_dir(), show)
    return code


def _market(args: argparse.Namespace, config: Config) -> str:
    """Give the market of the simulator that is started; empty where none is."""
    if args.mode != Mode.PRACTICE.value:
        if args.day is not None:
            raise BadInput(f"--day replays a recorded day in practice; {args.mode} has the market of today")
        Places.of_environment()  # refuse a wrong address before anything is started
        return MIRROR if args.mode == Mode.PAPER.value else ""
    read_speed(args.speed)
    if args.day is None:
        return f"synthetic:{args.seed}"
    _must_be_recorded(config.strategy.symbol, args.day)
    return f"recorded:{config.strategy.symbol}:{read_day(args.day, '--day')}"


def _permitted(args: argparse.Namespace, config: Config) -> str:
    """Open the gates of paper and live before anything is started; gives the sentence that the engine is handed."""
    if args.mode == Mode.PRACTICE.value:
        return ""
    from workbench.bootstrap import live_start
    from workbench.bootstrap.paper import PaperVenue

    if args.mode == Mode.PAPER.value:
        PaperVenue(config, data_dir()).choose()
        if config.secrets.dhan_client_id is not None:
            held = live_start.open_positions(data_dir(), live_start.account_of(config))
            if held:
                show(f"CAUTION: {held} LIVE positions are open in the journal and paper does not watch them")
        return ""
    given = live_start.permit(config, data_dir(), args.confirm)
    live_start.LiveVenue(config, data_dir(), given).choose()
    return given.sentence


def _left_open(config: Config) -> str:
    """Say what nobody watches any more; empty when all is flat."""
    from workbench.bootstrap import live_start

    held = live_start.open_positions(data_dir(), live_start.account_of(config))
    return f"{held} live positions stay open and nothing watches them; their stops rest at the broker" if held else ""


def _words(args: argparse.Namespace, market: str) -> str:
    if args.mode == Mode.PRACTICE.value:
        return f"practice on {market}, {args.speed} market seconds a second"
    prices = Places.of_environment().name
    if args.mode == Mode.PAPER.value:
        return f"paper on the prices of {prices}; orders go to a mirror on this machine, none to Dhan"
    return f"LIVE at {prices}"


def _ports(config: Config, *, simulator: bool, panel: bool) -> list[int]:
    server = config.server
    wanted = ((simulator, server.simulator_port), (True, server.engine_port), (panel, server.panel_port))
    return [port for needed, port in wanted if needed]


def _children(config: Config, args: argparse.Namespace, market: str, confirmed: str) -> list[Child]:
    env = {
        **os.environ,
        RUN_VARIABLE: secrets.token_hex(4),
        "WORKBENCH_DATA": str(data_dir()),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    if args.mode == Mode.LIVE.value and config.dhan.dry_run:
        env[DRY_RUN_VARIABLE] = "yes"
    token = config.secrets.admin_token
    if token is not None:
        # It may stand in .env only; the control app reads the environment.
        env["WORKBENCH_ADMIN_TOKEN"] = token.get_secret_value()
    python = [sys.executable, "-m", "workbench"]
    children = []
    if market:
        speed = ["--speed", args.speed] if args.mode == Mode.PRACTICE.value else []
        simulator = [*python, "simulator", "--market", market, *speed, UNDER_UP]
        children.append(Child(name="simulator", command=simulator, env=env))
    confirm = ["--confirm", confirmed] if confirmed else []
    if args.mode == Mode.LIVE.value and not config.dhan.dry_run:
        confirm.append("--began-sending")
    engine = [*python, "engine", "--mode", args.mode, *confirm, UNDER_UP]
    children.append(Child(name="engine", command=engine, env=env, restart=True, can_refuse=True))
    if not args.no_panel:
        panel_command = [sys.executable, str(PANEL), "--port", str(config.server.panel_port), UNDER_UP]
        children.append(Child(name="control app", command=panel_command, env=env, restart=True))
    return children


def _must_be_recorded(symbol: str, text: str) -> None:
    from workbench.data.bar_store import BarStore
    from workbench.reference import calendar

    wanted = read_day(text, "--day")
    BarStore(data_dir() / "bars", calendar()).read(symbol, "1m", wanted, wanted)


def _ports_free(ports: list[int]) -> None:
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise BadInput(
                    f"port {port} on 127.0.0.1 is taken; stop the other workbench, or set WORKBENCH_ENGINE_PORT, "
                    "WORKBENCH_PANEL_PORT or WORKBENCH_SIMULATOR_PORT"
                )
