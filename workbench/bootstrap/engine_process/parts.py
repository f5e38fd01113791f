"""What a process makes of its settings and its venue: the engine, the source of signals, and what the faces share.

Invariant: nothing is started here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.bootstrap.held_contracts import tell_orphans
from workbench.bootstrap.practice import limits_of, show
from workbench.bootstrap.reporting import exporter
from workbench.core.engine import Engine, EngineConfig
from workbench.core.messages import Level
from workbench.data.dhan_history import DhanHistory
from workbench.live.admin_token import admin_token
from workbench.live.alerts import AlertDesk
from workbench.live.kill import KillRun
from workbench.live.signal_source import SignalSource
from workbench.live.system import LiveSystem
from workbench.reference import calendar, charge_table

if TYPE_CHECKING:
    from workbench.bootstrap.engine_process.process import EngineProcess


def engine_of(process: EngineProcess) -> Engine:
    """Make the account's engine with the contracts of now: at the start, and again after a fault."""
    return Engine(
        EngineConfig(
            account_id=process.account_id,
            mode=process.venue.mode,
            deployments=process.deployments,
            calendar=calendar(),
            listings=process.listings,
            charges=charge_table(),
            limits=limits_of(process.config),
            id_prefix=process.venue.id_prefix + process.instance,
        )
    )


def tell_what_was_found(process: EngineProcess) -> None:
    """Say aloud what an earlier run left: a person may not know that there was a start at all."""
    book, notifier = process.runner.engine.book, process.notifier
    if held := book.live_positions():
        names = ", ".join(f"{item.open_quantity} {item.plan.instrument.name}" for item in held)
        notifier.send(Level.WARNING.value, f"started again and holds {names}")
    for text in tell_orphans(held, process.deployments, notifier):
        show(f"CAUTION: {text}")
    if book.halted:
        show(f"entries are HALTED since before this start: {book.halt_reason}; workbench resume lets them in again")
        notifier.send(Level.WARNING.value, f"started with entries halted: {book.halt_reason}")


def source_of(process: EngineProcess) -> SignalSource:
    """Make who evaluates the strategies at closed bars."""
    return SignalSource(
        deployments=process.deployments,
        key_of=lambda symbol: process.index(symbol).key,
        calendar=calendar(),
        history=DhanHistory(process.venue.wires.data.api, process.index, calendar(), process.clock.now),
        enqueue=process.runner.enqueue,
    )


def system_of(process: EngineProcess) -> LiveSystem:
    """Make what API, webhook, schedule and beat share."""
    venue, config, runner, notifier = process.venue, process.config, process.runner, process.notifier

    def spot(symbol: str) -> Decimal | None:
        return process.system.spot(symbol)

    desk = AlertDesk(
        deployments=process.deployments,
        mode=venue.mode,
        calendar=calendar(),
        max_age_s=config.risk.max_alert_age_s,
        spot=spot,
        scope=venue.scope,
    )
    given, risk = config.secrets.admin_token, config.risk
    limits = {"max_daily_loss": str(risk.max_daily_loss), "max_trades_per_day": risk.max_trades_per_day}

    def facts() -> dict[str, Any]:
        return {"mode": venue.mode.value, "account": process.account_id, "limits": limits, **venue.facts()}

    return LiveSystem(
        runner=runner,
        mode=venue.mode,
        calendar=calendar(),
        alerts=desk,
        watch=process.watch,
        admin_token=admin_token(process.data / "journal", given.get_secret_value() if given else None),
        alarms=notifier.alarms,
        notices=lambda: [
            {"level": item.level, "text": item.text, "at": item.at.isoformat()} for item in notifier.notices
        ],
        report=exporter(process.data, process.journal, process.account_id, facts),
        token_hours_left=venue.hours_left,
        candles=process.source.latest,
        kill=KillRun(runner, mode=venue.mode, control=process.broker.control),
    )
