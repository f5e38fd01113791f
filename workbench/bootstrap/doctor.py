"""The doctor: one line for each thing that must be right, with the way out where it is not.

Invariant: it only looks; nothing is changed, nothing is sent to a broker.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from workbench import strategies
from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.broker_checks import examine_broker, wall_clock
from workbench.bootstrap.client import EngineClient, EngineNotRunning
from workbench.bootstrap.day_checks import master, newest_master, sessions
from workbench.bootstrap.desk import today
from workbench.bootstrap.dhan_venue import refuse_beyond_practice, refuse_super_order
from workbench.bootstrap.findings import Blocks, Finding, Readiness, checked, not_right
from workbench.bootstrap.logging_in import given_token, needed_until, token_ways
from workbench.bootstrap.places import Places
from workbench.bootstrap.putting_away import records
from workbench.brokers.dhan.token_store import TokenStore
from workbench.config import Config, Mode
from workbench.core.errors import BrokerUnavailable, WorkbenchError
from workbench.core.order import Product
from workbench.core.session import IST, Calendar
from workbench.live.awake import kept_awake

Check = tuple[str, Callable[[], str], Blocks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at.

    Parameters
    ----------
    data : Path
    config : Config
    mode : Mode
        Practice asks nothing of Dhan.
    client : EngineClient
    places : Places
        Dhan's, or a simulator's in its place.
    calendar : Calendar
    now : callable
        This machine's clock.
    store : TokenStore, optional
        Another keyring than the system's.
    """

    data: Path
    config: Config
    mode: Mode
    client: EngineClient
    places: Places
    calendar: Calendar
    now: Callable[[], datetime] = wall_clock
    store: TokenStore | None = None


def examine(patient: Patient) -> Readiness:
    """Run every check of a mode."""
    data = patient.data
    checks: list[Check] = [
        ("python", _python, Blocks.ALL),
        ("configuration", lambda: _settings(patient), Blocks.ALL),
        ("data folder", lambda: _folder(data), Blocks.ALL),
        ("records", lambda: records(data), Blocks.NOTHING),
        ("bars", lambda: _bars(patient), Blocks.NOTHING),
        ("deployments", lambda: _deployments(data), Blocks.NOTHING),
        *([] if patient.mode is Mode.PRACTICE else [("account", lambda: _on_account(patient), Blocks.PAPER)]),
        ("engine", lambda: _engine(patient.client), Blocks.NOTHING),
    ]
    findings = [checked(*check) for check in checks]
    if patient.mode is Mode.PRACTICE:
        findings.append(checked("sessions", lambda: sessions(patient.calendar, today()), Blocks.LIVE))
    else:
        findings += _of_the_market(patient)
    return Readiness(mode=patient.mode, findings=findings)


def _of_the_market(patient: Patient) -> list[Finding]:
    """Look at what paper and live need: the day's sessions and contracts, and the broker."""
    try:
        day = _trading_day(patient)
    except BrokerUnavailable as error:
        return [not_right("broker", error, Blocks.PAPER)]
    secrets, places = patient.config.secrets, patient.places
    known = patient.calendar
    findings = [
        checked("sleep", kept_awake, Blocks.NOTHING),
        checked("sessions", lambda: sessions(known, day), Blocks.LIVE),
        checked("instrument master", lambda: _master(patient, day), Blocks.LIVE),
    ]
    try:
        ways = token_ways(secrets, patient.data, rest=places.rest, auth=places.auth, store=patient.store)
    except WorkbenchError as error:
        return [*findings, not_right("login", error, Blocks.PAPER)]
    found = ways.look(given_token(secrets), patient.now())
    if found is None:
        can = "; PIN and TOTP secret are there, so one is made at the start" if ways.can_mint else ""
        detail = f"there is none of client …{ways.wire.client_id[-3:]}{can}"
        return [*findings, Finding.bad("token", detail, "run workbench login", blocks=Blocks.PAPER)]
    findings.append(Finding.good("login", f"token from {found.source.value}; can be made anew: {ways.can_mint}"))
    until = needed_until(patient.calendar, patient.now())
    delivers = any(each.plan.product is Product.CNC for each in promoted.load_all(patient.data))
    asked = examine_broker(
        ways.wire, found.value, base_url=places.rest, needed_until=until, delivers=delivers, now=patient.now
    )
    return [*findings, *asked]


def _master(patient: Patient, day: date) -> str:
    """Look at the newest instrument master; before the very first start there is none, and that start fetches it."""
    folder, is_simulated = patient.data / "instruments", patient.places.is_simulated
    if newest_master(folder, "practice" if is_simulated else "dhan") is None:
        return "none yet: will be fetched by workbench up at its start"
    return master(patient.calendar, day, folder, is_simulated=is_simulated)


def _trading_day(patient: Patient) -> date:
    """Give the day on which the broker is: a simulator in Dhan's place has a day of its own."""
    if not patient.places.is_simulated:
        return patient.now().astimezone(IST).date()
    return datetime.fromisoformat(patient.places.clock_facts(patience_s=2.0)["now"]).date()


def _python() -> str:
    return f"{sys.version.split()[0]} at {sys.executable}"


def _folder(data: Path) -> str:
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=data):
        return str(data)


def _bars(patient: Patient) -> str:
    from workbench.data.bar_store import BarStore

    symbols = BarStore(patient.data / "bars", patient.calendar).symbols()
    if symbols:
        return ", ".join(symbols)
    if patient.mode is Mode.PRACTICE:
        return "none stored; practice on a synthetic market needs none"
    return (
        f"none stored; {patient.mode.value} asks the broker for the bars it needs, research wants workbench data fetch"
    )


def _settings(patient: Patient) -> str:
    config = patient.config
    sent = ", dry run: no order is sent" if config.dhan.dry_run else ", orders are sent"
    sent = sent if patient.mode is Mode.LIVE else ""
    return f"mode {patient.mode.value}, entries: {config.trading.enabled}{sent}"


def _on_account(patient: Patient) -> str:
    """Look at what a start in this mode would refuse in the deployments."""
    mode = patient.mode.value
    known = promoted.load_all(patient.data)
    chosen = [item for item in known if item.account == mode]
    if known and not chosen:
        raise WorkbenchError(f"no deployment is on the {mode} account; workbench deployments NAME --account {mode}")
    for item in chosen:
        refuse_beyond_practice(item)
        if patient.mode is Mode.LIVE:
            refuse_super_order(item, patient.config)
    return ", ".join(item.name for item in chosen) or "no deployment yet"


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
        raise WorkbenchError(
            f"account is frozen: {status['frozen'][0]}; look at the broker's book, then: workbench unfreeze"
        )
    if status["naked"]:
        raise WorkbenchError(f"positions without a stop: {status['naked']}; flatten them or close them by hand")
    if lost := status.get("without_deployment"):
        raise WorkbenchError(
            f"positions whose deployment is not on this account: {lost}; no alert leaves them: workbench close POSITION"
        )
    refused = "".join(f"; NO ENTRIES, {each}" for each in status["entries_refused"])
    return f"ready, mode {health['mode']}, pid {health['pid']}, market open: {health['market_open']}{refused}"
