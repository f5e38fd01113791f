"""``workbench up``: simulator, engine and control app as children of one parent, on 127.0.0.1.

Invariant: when this process ends, none of its children is left.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from pathlib import Path

from workbench.bootstrap.desk import day as read_day
from workbench.bootstrap.practice import show
from workbench.bootstrap.venue import RUN_VARIABLE
from workbench.bootstrap.simulator_process import read_speed
from workbench.config import Config, data_dir, load
from workbench.core.errors import BadInput, WorkbenchError
from workbench.live.supervise import Child, Supervisor

PANEL = Path(__file__).resolve().parents[2] / "apps" / "control" / "launch.py"
"""The control app is a client of the engine's API and is started as a program of its own, never imported."""


def run(args: argparse.Namespace) -> int:
    """Start the whole workbench and stay until it is stopped."""
    if args.mode != "practice":
        raise WorkbenchError(f"mode {args.mode} is not carried out by this version yet; use --mode practice")
    config = load()
    read_speed(args.speed)
    market = f"synthetic:{args.seed}"
    if args.day is not None:
        market = f"recorded:{config.strategy.symbol}:{read_day(args.day, '--day')}"
        _must_be_recorded(config.strategy.symbol, args.day)
    ports = [config.server.simulator_port, config.server.engine_port]
    if not args.no_panel and not PANEL.is_file():
        raise BadInput(f"the control app is not at {PANEL}; run from a checkout of the project, or with --no-panel")
    if not args.no_panel:
        ports.append(config.server.panel_port)
    _ports_free(ports)
    supervisor = Supervisor(
        _children(config, market, args.speed, panel=not args.no_panel),
        latch_folder=data_dir() / "journal",
        show=show,
    )
    supervisor.catch_signals()
    show(f"workbench: practice on {market}, {args.speed} market seconds a second; Ctrl-C ends all of it")
    if not args.no_panel:
        show(f"control app: http://127.0.0.1:{config.server.panel_port}")
    code = supervisor.run()
    show(f"workbench: everything has ended ({supervisor.why or 'done'})")
    return code


def _children(config: Config, market: str, speed: str, *, panel: bool) -> list[Child]:
    env = {
        **os.environ,
        RUN_VARIABLE: secrets.token_hex(4),
        "WORKBENCH_DATA": str(data_dir()),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    token = config.secrets.admin_token
    if token is not None:
        # It may stand in .env only; the control app reads the environment.
        env["WORKBENCH_ADMIN_TOKEN"] = token.get_secret_value()
    python = [sys.executable, "-m", "workbench"]
    children = [
        Child(name="simulator", command=[*python, "simulator", "--market", market, "--speed", speed], env=env),
        Child(name="engine", command=[*python, "engine", "--mode", "practice"], env=env, restart=True),
    ]
    if panel:
        panel_command = [sys.executable, str(PANEL), "--port", str(config.server.panel_port)]
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
