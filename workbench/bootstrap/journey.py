"""The demo: the whole journey, unattended, on the shipped sample and in a folder of its own.

Import, backtest, replay and parity, checks, promotion, a practice day at full speed with a strategy and with alerts,
its exits, and the report. Nothing stands in for the real thing: the day is run by `workbench up`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.client import EngineClient, EngineNotRunning
from workbench.bootstrap.desk import Desk
from workbench.core.errors import WorkbenchError

DAY_PATIENCE_S = 150.0
ALERTS = (("10:05", "BUY"), ("11:30", "SELL"), ("13:00", "BUY"), ("14:15", "SELL"))
"""Market times and sides of the alerts that the demo sends."""


def run(*, quiet: bool) -> dict[str, Any]:
    """Run every step; the result names each with its figures and files.

    Parameters
    ----------
    quiet : bool
        Print nothing on the way (the caller prints the result).
    """
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="workbench-demo-"))
    steps: list[dict[str, Any]] = []

    def done(name: str, **figures: Any) -> None:
        steps.append({"step": name, "at_s": round(time.monotonic() - began, 2), **figures})
        if not quiet:
            told = ", ".join(f"{key} {value}" for key, value in figures.items())
            sys.stdout.write(f"{name}: {told}\n")
            sys.stdout.flush()

    desk = Desk(folder)
    _research(desk, done)
    _practice_day(folder, done)
    return {"ok": True, "folder": str(folder), "elapsed_s": round(time.monotonic() - began, 2), "steps": steps}


def _research(desk: Desk, done: Any) -> None:
    report = desk.import_sample()
    again = desk.import_sample()
    done("import", bars=report.added, sessions=report.sessions, added_again=again.added, file=str(desk.sample_file()))
    strategy = desk.strategy("ema_cross")
    study = desk.study(strategy, plan="index_bracket")
    result = desk.backtest(study)
    done("backtest", trades=len(result.trades), net=str(result.net), elapsed_s=round(result.elapsed_s, 2))
    parity = desk.parity(study)
    done("parity", decisions=parity.to_dict()["decisions"], unexplained=parity.unexplained)
    if parity.unexplained:
        raise WorkbenchError("backtest and replay differ in a way that nothing explains; see workbench parity")
    options = desk.study(strategy, plan="atm_option", start="2026-08-10")
    checks = desk.check(options)
    done("check", passed=checks.passed, checks=len(checks.to_dict()["checks"]))
    deployment = desk.promote("DEMO_EMA", options)
    done("promote", deployment=deployment.name, file=str(promoted.folder(desk.data) / deployment.name / promoted.FILE))


def _practice_day(folder: Path, done: Any) -> None:
    ports = _free_ports(2)
    env = {
        **os.environ,
        "WORKBENCH_DATA": str(folder),
        "WORKBENCH_ENGINE_PORT": str(ports[0]),
        "WORKBENCH_SIMULATOR_PORT": str(ports[1]),
    }
    command = [
        sys.executable,
        "-m",
        "workbench",
        "up",
        "--mode",
        "practice",
        "--seed",
        "7",
        "--speed",
        "max",
        "--no-panel",
    ]
    output = folder / "up.log"
    with output.open("w", encoding="utf-8") as log:
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        process = subprocess.Popen(
            command, env=env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, creationflags=flags
        )
        try:
            _trade(folder, EngineClient(ports[0], folder), process, done)
        finally:
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
            process.wait(30)
    done("stopped", exit_code=process.returncode, log=str(output))


def _trade(folder: Path, client: EngineClient, process: subprocess.Popen[bytes], done: Any) -> None:
    """Send alerts through the first day, wait for its close, and write its report."""
    deadline = time.monotonic() + DAY_PATIENCE_S
    health = _wait(client, process, deadline, lambda told: bool(told["ready"]))
    day = health["now"][:10]
    done("practice day", day=day, ready_at=health["now"])
    scalp = promoted.load(folder, "SCALP_ATM")
    fates = []
    for at, side in ALERTS:
        now = _wait(client, process, deadline, lambda told, at=at: told["now"] >= f"{day}T{at}")["now"]
        if now[:10] != day:
            break
        body = {
            "strategy": scalp.name,
            "symbol": scalp.symbol,
            "side": side,
            "timeframe": "1m",
            "price": client.get("/live/spot-price")["price"],
            "timestamp": now,
        }
        answer = client.post("/webhook/" + scalp.webhook_link, body)
        fates.append(f"{side} {answer.get('fate') or answer.get('status')}")
    done("alerts", sent=len(fates), fates=fates)
    _wait(
        client,
        process,
        deadline,
        lambda told: told["now"][:10] > day or (folder / "reports" / day / "day.json").is_file(),
    )
    trades = _exported(folder, day)["trades"]
    reasons = sorted({row["reason"] for row in trades})
    done("exits", trades=len(trades), deployments=sorted({row["deployment"] for row in trades}), reasons=reasons)
    from workbench.reports.daily import render_daily

    html = render_daily(folder / "reports" / day)
    totals = _exported(folder, day)["totals"]
    done("report", html=str(html), net=totals["net"], charges=totals["charges"])


def _exported(folder: Path, day: str) -> dict[str, Any]:
    import json

    body: dict[str, Any] = json.loads((folder / "reports" / day / "day.json").read_text(encoding="utf-8"))
    return body


def _wait(client: EngineClient, process: subprocess.Popen[bytes], deadline: float, until: Any) -> dict[str, Any]:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise WorkbenchError(f"workbench up ended with code {process.returncode} in the middle of the demo")
        try:
            told: dict[str, Any] = client.get("/health")
            if until(told):
                return told
        except EngineNotRunning:
            pass
        time.sleep(0.02)
    raise WorkbenchError("the practice day of the demo did not come as far as it should in time")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
