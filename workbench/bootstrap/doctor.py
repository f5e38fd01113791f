"""The doctor: one line for each thing that must be right, with the way out where it is not.

Invariant: it only looks; nothing is changed, nothing is sent to a broker.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import strategies
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.client import EngineClient, EngineNotRunning
from workbench.bootstrap.desk import today
from workbench.config import Config
from workbench.core.errors import UnknownSession, WorkbenchError
from workbench.core.instrument import Segment
from workbench.reference import calendar

Finding = dict[str, Any]


def examine(data: Path, config: Config, client: EngineClient) -> list[Finding]:
    """Run every check; each finding has `check`, `ok`, `detail` and, where not ok, `way_out`."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("configuration", lambda: f"mode {config.trading.mode.value}, entries enabled: {config.trading.enabled}"),
        ("data folder", lambda: _folder(data)),
        ("bars", lambda: _bars(data)),
        ("sessions", _sessions),
        ("deployments", lambda: _deployments(data)),
        ("engine", lambda: _engine(client)),
    ]
    return [_run(name, check) for name, check in checks]


def _run(name: str, check: Callable[[], str]) -> Finding:
    try:
        return {"check": name, "ok": True, "detail": check()}
    except (WorkbenchError, OSError) as error:
        detail, _, way_out = str(error).partition("; ")
        return {"check": name, "ok": False, "detail": detail, "way_out": way_out}


def _python() -> str:
    return f"{sys.version.split()[0]} at {sys.executable}"


def _folder(data: Path) -> str:
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=data):
        return str(data)


def _bars(data: Path) -> str:
    from workbench.data.bar_store import BarStore

    store = BarStore(data / "bars", calendar())
    symbols = store.symbols()
    return ", ".join(symbols) if symbols else "none stored; practice on a synthetic market needs none"


def _sessions() -> str:
    day = today()
    try:
        following = calendar().next_session(Segment.NSE_FNO, day)
    except UnknownSession as error:
        raise WorkbenchError(
            f"no sessions known after {day}: {error}; install a newer version of the workbench"
        ) from None
    note = "" if following.times_confirmed else " (hours not confirmed: live trading is refused on it)"
    return f"next session of NSE F&O: {following.date}{note}"


def _deployments(data: Path) -> str:
    known = promoted.load_all(data)
    for item in known:
        if item.strategy is None:
            continue
        if item.strategy_hash and item.strategy_hash != strategies.code_hash(strategies.get(item.strategy)):
            raise WorkbenchError(
                f"{item.name}: the code of {item.strategy} has changed since promotion; promote it again"
            )
    return ", ".join(item.name for item in known) or "none yet; workbench up makes two for practice"


def _engine(client: EngineClient) -> str:
    try:
        health = client.get("/health")
    except EngineNotRunning:
        return "not running (start it with: workbench up)"
    if not health["ready"]:
        raise WorkbenchError(f"running but not ready: {health.get('reason', '')}; see workbench up's output")
    status = client.get("/api/status")
    if status["frozen"]:
        raise WorkbenchError(f"account is frozen: {status['frozen'][0]}; look at the broker's book, then resume")
    if status["naked"]:
        raise WorkbenchError(f"positions without a stop: {status['naked']}; flatten them or close them by hand")
    return f"ready, mode {health['mode']}, pid {health['pid']}, market open: {health['market_open']}"
