"""What the faces show: plain JSON of account, positions, alerts and limits, in one call.

Money and prices are numbers with at most four decimals, rupees; times are ISO text with an offset; ages are seconds.

Invariant: nothing is computed here that the ledger or the book already knows.
"""

from __future__ import annotations

import dataclasses
import os
from datetime import datetime
from decimal import Decimal
from typing import Any

from workbench.core.exits import leaving_price
from workbench.core.money import ZERO
from workbench.core.order import Order
from workbench.core.pnl import charges_so_far
from workbench.core.position import Position, PositionState, Protection
from workbench.core.stays import staying
from workbench.core.structure import combined_pnl, covers
from workbench.live.edges import DecisionLine, TradeRow
from workbench.live.system import LiveSystem

PROTECTION_WORDS = {
    Protection.AT_BROKER: "at Dhan",
    Protection.WATCHED: "watched",
    Protection.PENDING: "pending",
    Protection.NONE: "NONE",
}


def number(value: Decimal | None) -> float | None:
    """Give an amount or price as a JSON number that prints as the decimal does."""
    return None if value is None else float(round(value, 4))


def health(system: LiveSystem) -> dict[str, Any]:
    """Ready or not, in five facts."""
    runner = system.runner
    return {
        "ready": system.ready and not runner.stopped_because,
        "reason": runner.stopped_because or ("" if system.ready else system.not_ready_because),
        "market_open": system.market_open,
        "now": system.now.isoformat(),
        "pid": os.getpid(),
        "mode": system.mode.value,
        "account": runner.account_id,
    }


def status(system: LiveSystem) -> dict[str, Any]:
    """Everything the control page needs."""
    engine, book = system.runner.engine, system.runner.engine.book
    live = [view for item in book.live_positions() if (view := position_view(system, item))]
    limits = engine.config.limits
    pnl = pnl_view(system)
    last_alert = system.last_alert()
    return {
        **health(system),
        "dry_run": system.runner.dry_run,
        "phase": phase_view(system),
        "pnl": pnl,
        "limits": {
            "max_daily_loss": number(limits.max_daily_loss),
            "loss_used_pct": round(max(0.0, -pnl["net"]) * 100 / float(limits.max_daily_loss), 1),
            "max_trades_per_day": limits.max_trades_per_day,
            "risk_per_trade_pct": number(limits.risk_per_trade_pct),
            "capital": number(limits.capital),
        },
        "trades_used": book.trades_today,
        "funds": number(book.funds),
        "feed": {
            "alive": book.feed_alive and system.watch.connected,
            "age_s": _round(system.watch.age_s),
            "reason": book.feed_reason or ("" if system.watch.connected else system.watch.reason),
            "counters": dict(system.watch.counters()),
        },
        "order_socket": {"up": system.watch.orders_connected, "reason": system.watch.orders_reason},
        "token_hours_left": _round(system.token_hours_left()),
        "last_alert_age_s": None if last_alert is None else _round((system.now - last_alert).total_seconds()),
        "positions": live,
        "structures": structure_views(system),
        "alerts": alert_views(system, 10),
        "alerts_turned_away": system.turned_away,
        "halted": book.halted,
        "halt_reason": book.halt_reason,
        "entries_refused": entries_refused(system),
        "frozen": list(book.frozen),
        "faults": list(system.runner.faults),
        "naked": [view["id"] for view in live if _is_naked(view)],
        "without_deployment": without_deployment(system),
        "deployments": deployment_views(system),
        "notices": [dict(notice) for notice in list(system.notices())[-20:]],
        "alarms": alarm_views(system),
        "kill": None if system.kill is None else system.kill.view(),
        "reconciled_at": None if book.last_reconciled is None else book.last_reconciled.at.isoformat(),
    }


def entries_refused(system: LiveSystem) -> list[str]:
    """Say what refuses every entry now, each with the way out; a switch that a person turns back is one of several."""
    engine, kill = system.runner.engine, system.kill
    book, lost = engine.book, engine.day_loss_reached()
    found = []
    if book.halted:
        found.append(f"halted: {book.halt_reason}; workbench resume")
    found += [f"{name} is halted: {off.reason}; workbench resume {name}" for name, off in book.switched_off.items()]
    if lost is not None:
        limit = engine.config.limits.max_daily_loss
        found.append(f"the day stands at Rs {lost:.2f}, the limit is Rs {limit}: halted again each second of this day")
    if kill is not None and kill.is_done:
        found.append("the kill switch is done: the broker may reject all orders until his own switch is turned back")
    found += [f"frozen: {each}; look at the broker's book, then workbench unfreeze" for each in book.frozen]
    if not book.feed_alive:
        found.append(f"market data is not alive: {book.feed_reason}")
    return found


def without_deployment(system: LiveSystem) -> list[str]:
    """Positions whose deployment is not on this account any more: watched, and left by no alert or signal."""
    engine = system.runner.engine
    names = {item.name for item in engine.config.deployments}
    return [item.position_id for item in engine.book.live_positions() if item.plan.deployment not in names]


def _is_naked(view: dict[str, Any]) -> bool:
    """Held and without a stop; a stop ends with its day, so at night and after expiry there is none to have."""
    is_out_of_hours = view["state"] in (PositionState.CARRIED.value, PositionState.EXPIRING.value)
    is_bare = view["protection"] == Protection.NONE.value and not view["covers"]
    return bool(is_bare and view["units"] and not is_out_of_hours)


def alarm_views(system: LiveSystem) -> list[dict[str, Any]]:
    """Alarms that nobody has acknowledged, newest first."""
    waiting = system.alarms.waiting if system.alarms is not None else ()
    return [
        {"number": item.number, "text": item.text, "at": item.at.isoformat(), "times": item.times}
        for item in reversed(waiting)
    ]


def pnl_view(system: LiveSystem) -> dict[str, Any]:
    """P&L of the day: `realised` and `charges` of closed trades, `open` after the charges so far, `net` of all."""
    ledger = system.runner.ledger
    open_pnl = system.runner.engine.open_pnl()
    return {
        "gross": number(ledger.gross),
        "charges": number(ledger.charges + ledger.open_charges),
        "realised": number(ledger.net),
        "open": number(open_pnl),
        "net": float(round(ledger.net + open_pnl, 4)),
        "note_rounding": number(ledger.rounding),
        "trades": len(ledger.trades),
    }


def phase_view(system: LiveSystem) -> dict[str, Any]:
    """Phase of the day with the seconds to its turning points (None once they are past)."""
    session, now = system.session(), system.now
    body: dict[str, Any] = {"name": system.phase().value, "day": now.date().isoformat()}
    points = {
        "open": session.open if session else None,
        "last_entry": system.last_entry(),
        "square_off": system.square_off(),
        "close": session.close if session else None,
    }
    for name, moment in points.items():
        body[f"{name}_at"] = None if moment is None else moment.isoformat()
        body[f"{name}_in_s"] = None if moment is None or moment < now else int((moment - now).total_seconds())
    return body


def position_view(system: LiveSystem, position: Position) -> dict[str, Any]:
    """One position as the page shows it; `pnl` is after the charges so far, `pnl_points` on the price alone."""
    engine = system.runner.engine
    plan, instrument = position.plan, position.plan.instrument
    quote = engine.quotes.get(instrument.key)
    price = leaving_price(position.side, quote) if quote else None
    units, stop = position.open_quantity, position.stop
    entry, sign = position.entry_price, position.side.sign
    net = position.gross_at(price) - charges_so_far(position, engine.config.charges) if price is not None else None
    order = engine.book.resting_exit(position.position_id)
    beside = engine.book.resting_targets(position.position_id)
    opened = position.opened_at
    return {
        "id": position.position_id,
        "deployment": plan.deployment,
        "structure": plan.structure,
        "covers": covers(engine.book.structures, position),
        "state": position.state.value,
        "instrument": instrument.name,
        "key": instrument.key,
        "symbol": instrument.symbol,
        "expiry": instrument.expiry.isoformat() if instrument.expiry else None,
        "strike": number(instrument.strike),
        "option_type": instrument.right.value if instrument.right else None,
        "direction": plan.direction.value,
        "side": plan.side.value,
        "lots": number(Decimal(units) / instrument.lot),
        "units": units,
        "planned_units": plan.quantity,
        "entry": number(entry) if units else None,
        "bid": number(quote.bid) if quote else None,
        "ask": number(quote.ask) if quote else None,
        "last": number(quote.last) if quote else None,
        "pnl": number(net if net is not None and units else None),
        "pnl_points": number(sign * (price - entry)) if price is not None and units else None,
        "stop": number(stop),
        "stop_order_id": order.order_id if order is not None else "",
        "protection": position.protection.value,
        "protection_word": PROTECTION_WORDS[position.protection],
        "target": number(position.target),
        "target_order_id": beside[-1].order_id if beside else "",
        "target_watched_for": position.target_watched_for,
        "protection_rule": plan.protection.value,
        "at_risk": number(max(ZERO, sign * (entry - stop) * units)) if stop is not None and units else None,
        "opened_at": opened.isoformat() if opened else None,
        "minutes_held": round((system.now - opened).total_seconds() / 60, 1) if opened else None,
        "exit_reason": position.exit_reason,
        "exiting_since": position.exit_began.isoformat() if position.exit_began else None,
        "subject": plan.subject,
        "priced_by_model": plan.priced_by_model,
    }


def stay_views(system: LiveSystem) -> list[dict[str, Any]]:
    """What is carried over the night or will be, each with the reason why."""
    engine, session, now = system.runner.engine, system.session(), system.now
    today, is_over = engine.book.day or now.date(), session is None or now >= session.close
    held, charges = engine.book.live_positions(), engine.config.charges
    found = staying(held, engine.quotes, charges=charges, today=today, is_over=is_over)
    return [plain(each) for each in found]


def structure_views(system: LiveSystem) -> list[dict[str, Any]]:
    """Legs that are held together, each with its common P&L (before charges), breakevens and worst loss at expiry."""
    engine = system.runner.engine
    views = []
    for structure in engine.book.structures.values():
        if structure.closed is not None:
            continue
        plan, told = structure.plan, structure.stood or structure.plan
        legs = [engine.book.positions[each] for each in structure.leg_ids if each in engine.book.positions]
        views.append(
            {
                "id": structure.structure_id,
                "deployment": plan.deployment,
                "state": "leaving" if structure.left_for else "open" if structure.stood else "opening",
                "legs": list(structure.leg_ids),
                "hedged": plan.is_hedged,
                "premium": number(told.premium),
                "pnl": number(combined_pnl(legs, engine.quotes)),
                "stop": number(structure.stop),
                "target": number(structure.target),
                "breakevens": [number(each) for each in told.breakevens],
                "worst_loss": number(told.worst_loss),
                "worst_loss_unhedged": number(told.worst_loss_unhedged),
                "margin": number(plan.margin),
                "exit_reason": structure.left_for,
                "priced_by_model": plan.priced_by_model,
            }
        )
    return views


def alert_views(system: LiveSystem, count: int, *, signals: bool = False) -> list[dict[str, Any]]:
    """The newest alerts (with `signals`: signals too), newest first, each with one line why it traded or not."""
    rows = [row for row in system.runner.ledger.decisions if signals or row.kind != "signal"]
    return [_decision_view(row) for row in reversed(rows[-count:])]


def _decision_view(row: DecisionLine) -> dict[str, Any]:
    return {
        "id": row.subject,
        "kind": row.kind,
        "deployment": row.deployment,
        "time": row.time.isoformat(),
        "action": row.action,
        "fate": row.fate,
        "gate": row.gate,
        "reason": row.reason,
        "line": row.line,
        "text": row.text,
    }


def order_view(order: Order, submitted: datetime | None) -> dict[str, Any]:
    """One order of ours."""
    ticket = order.ticket
    return {
        "correlation_id": ticket.correlation_id,
        "order_id": order.order_id,
        "position_id": ticket.position_id,
        "deployment": ticket.deployment,
        "purpose": ticket.purpose.value,
        "instrument": ticket.instrument.name,
        "side": ticket.side.value,
        "type": ticket.order_type.value,
        "product": ticket.product.value,
        "quantity": ticket.quantity,
        "filled": order.filled_quantity,
        "price": number(ticket.price),
        "trigger_price": number(ticket.trigger_price),
        "average_price": number(order.average_price),
        "state": order.state.value,
        "reason": order.reason,
        "modifications": order.modifications,
        "submitted_at": submitted.isoformat() if submitted else None,
    }


def trade_view(trade: TradeRow) -> dict[str, Any]:
    """One closed round trip."""
    return plain(trade)


def plain(row: Any) -> dict[str, Any]:
    """Give a row (a dataclass) as JSON values."""
    body = {}
    for item in dataclasses.fields(row):
        value = getattr(row, item.name)
        body[item.name] = (
            number(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, datetime) else value
        )
    return body


def deployment_views(system: LiveSystem) -> list[dict[str, Any]]:
    """Deployments, armed or why not, and whether a person has halted them."""
    book = system.runner.engine.book
    views = []
    for item in system.runner.engine.config.deployments:
        armed = book.armed.get(item.name)
        by_alerts = item.strategy is None
        views.append(
            {
                "name": item.name,
                "strategy": item.strategy,
                "symbol": item.symbol,
                "interval": item.interval,
                "account": item.account,
                "plan": item.plan.name,
                "contract": item.plan.contract.value,
                "webhook_path": f"/webhook/{item.webhook_link}" if item.webhook_link else "",
                "has_key": bool(item.key_sha256),
                "armed": by_alerts or (armed is not None and armed.armed),
                "reason": "driven by alerts" if by_alerts else (armed.reason if armed else "bars not checked yet"),
                "halted": item.name in book.switched_off,
                "halt_reason": book.switched_off[item.name].reason if item.name in book.switched_off else "",
            }
        )
    return views


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
