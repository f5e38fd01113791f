"""Every gate as a rule of its own, written anew from the gate's meaning and never from its code (I7).

Invariant: each name of `core.risk.GATES` has its rule here (a test compares the lists).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from workbench.core.deployment import Limits
from workbench.core.signal import Side
from workbench.testing.proof.gatekeeper import AGAINST_US, Entered, Gatekeeper, Held
from workbench.testing.proof.market import session_of
from workbench.testing.proof.oracle import promise

Rule = Callable[[Gatekeeper, Entered], str]


def judge(keeper: Gatekeeper, entered: Entered) -> None:
    """Hold an entry against every rule; further orders of one entry against those that hold for them too."""
    rules = SLICE_RULES if entered.plan.group else RULES
    for name, rule in rules.items():
        why = rule(keeper, entered)
        promise(not why, "I7", f"gate {name}: {entered.plan.position_id} entered at {entered.now:%H:%M:%S}: {why}")


def _limits(keeper: Gatekeeper, entered: Entered) -> Limits:
    return keeper.config.limits.narrowed(entered.deployment.limits)


def _mine(keeper: Gatekeeper, entered: Entered) -> list[Held]:
    return [each for each in keeper.told.held.values() if each.plan.deployment == entered.plan.deployment]


def _units(entered: Entered) -> int:
    """Units of the whole entry."""
    lots = entered.deployment.plan.lots
    return entered.plan.quantity if lots is None else lots * entered.plan.instrument.lot


def _trading_switch(keeper: Gatekeeper, entered: Entered) -> str:
    if keeper.told.halted:
        return "entries are halted"
    return "entries of this deployment are halted" if entered.plan.deployment in keeper.told.switched_off else ""


def _frozen(keeper: Gatekeeper, _: Entered) -> str:
    return "the account is frozen" if keeper.told.frozen else ""


def _armed(keeper: Gatekeeper, entered: Entered) -> str:
    asked = keeper.told.asked.get(entered.plan.subject)
    is_signal = asked is not None and asked.is_signal
    return "not armed" if is_signal and not keeper.told.armed.get(entered.plan.deployment, False) else ""


def _session(_: Gatekeeper, entered: Entered) -> str:
    session = session_of(entered.now.date())
    return "" if session.open <= entered.now < session.square_off_start else "outside of the hours of entries"


def _entry_window(keeper: Gatekeeper, entered: Entered) -> str:
    clock, plan, limits = entered.now.time(), entered.deployment.plan, _limits(keeper, entered)
    first = max((each for each in (plan.no_entry_before, limits.no_entry_before) if each), default=dt.time.min)
    last = min((each for each in (plan.no_entry_after, limits.no_entry_after) if each), default=dt.time.max)
    if entered.plan.instrument.expiry == entered.now.date() and plan.no_entry_after_on_expiry is not None:
        last = min(last, plan.no_entry_after_on_expiry)
    leaves = [plan.exits.time, *(leg.exits.time for leg in plan.legs), plan.combined.time if plan.combined else None]
    last = min([last, *(each for each in leaves if each is not None)])
    is_shut = any(begin <= clock < end for begin, end in limits.no_entry_windows)
    return "" if first <= clock < last and not is_shut else f"the window is {first} to {last}"


def _stale(keeper: Gatekeeper, entered: Entered) -> str:
    asked = keeper.told.asked.get(entered.plan.subject)
    if asked is None:
        return "nobody asked for it"
    if asked.at is None:
        return "it does not say when it fired"
    age, most, own = entered.now - asked.at, asked.max_age, entered.deployment.limits.max_alert_age_s
    if own is not None and not asked.is_signal:
        most = min(most, timedelta(seconds=own))
    return "" if timedelta(seconds=-10) <= age <= most else f"asked {age.total_seconds():.0f} s ago"


def _duplicate(keeper: Gatekeeper, entered: Entered) -> str:
    return f"{entered.plan.subject} has entered before" if entered.plan.subject in keeper.told.entered else ""


def _stale_feed(keeper: Gatekeeper, entered: Entered) -> str:
    if not keeper.told.alive:
        return "market data is not alive"
    most, quote = _limits(keeper, entered).max_quote_age_s, entered.quote
    is_old = quote is None or (entered.now - quote.time).total_seconds() > most
    return f"the last quote is {quote}" if is_old else ""


def _one_position(keeper: Gatekeeper, entered: Entered) -> str:
    adds = entered.deployment.plan.pyramiding > 0
    for each in keeper.told.live_of(entered.plan.deployment):
        is_added_to = adds and each.plan.direction is entered.plan.direction and not each.exit_reason
        if not is_added_to:
            return f"{each.plan.position_id} lives"
    most = keeper.config.limits.max_positions_per_symbol
    live = {each.entry for each in keeper.told.held.values() if each.is_live}
    return f"{len(live)} entries are held, at most {most}" if most is not None and len(live) >= most else ""


def _pyramiding(keeper: Gatekeeper, entered: Entered) -> str:
    live, most = {each.entry for each in keeper.told.live_of(entered.plan.deployment)}, entered.deployment.plan
    return f"{len(live)} entries are held, {most.pyramiding} are added" if len(live) > most.pyramiding else ""


def _reentry(keeper: Gatekeeper, entered: Entered) -> str:
    stopped = any(each.exit_reason in AGAINST_US for each in _mine(keeper, entered))
    return "stopped out before" if stopped and not entered.deployment.plan.reentry else ""


def _unprotected(keeper: Gatekeeper, _: Entered) -> str:
    bare = [each.plan.position_id for each in keeper.told.held.values() if each.is_live and each.is_bare]
    held = [each for each in bare if keeper.told.held[each].units > 0]
    return f"{held[0]} has no stop at the broker" if held else ""


def _cooling_off(keeper: Gatekeeper, entered: Entered) -> str:
    minutes = _limits(keeper, entered).cooling_off_minutes or 0
    for each in _mine(keeper, entered):
        if each.exit_reason in AGAINST_US and each.closed_at is not None:
            since = entered.now - each.closed_at
            if since < timedelta(minutes=minutes):
                return f"stopped out {since.total_seconds():.0f} s ago"
    return ""


def _trades_a_day(keeper: Gatekeeper, entered: Entered) -> str:
    day = entered.now.date()
    trades = [each.plan for each in keeper.told.held.values() if not each.plan.group and each.plan.at.date() >= day]
    mine = [each for each in trades if each.deployment == entered.plan.deployment]
    for count, most in (
        (len(trades), keeper.config.limits.max_trades_per_day),
        (len(mine), entered.deployment.limits.max_trades_per_day),
    ):
        if most is not None and count >= most:
            return f"{count} trades, at most {most}"
    return ""


def _order_rate(keeper: Gatekeeper, entered: Entered) -> str:
    since = entered.now - timedelta(seconds=60)
    sent = [name for at, name in keeper.told.entries_at if at > since]
    mine = [name for name in sent if name == entered.plan.deployment]
    for count, most in (
        (len(sent), keeper.config.limits.max_entries_per_minute),
        (len(mine), entered.deployment.limits.max_entries_per_minute),
    ):
        if most is not None and count + 1 > most:
            return f"{count + 1} entry orders within a minute, at most {most}"
    return ""


def _daily_loss(keeper: Gatekeeper, entered: Entered) -> str:
    for whose, most in (
        (list(keeper.told.held.values()), keeper.config.limits.max_daily_loss),
        (_mine(keeper, entered), entered.deployment.limits.max_daily_loss),
    ):
        net = sum((each.net for each in whose), Decimal(0))
        if most is not None and net <= -most and not any(each.is_live for each in keeper.told.held.values()):
            return f"P&L of the day {net}, limit {most}"
    return ""


def _freeze_quantity(_: Gatekeeper, entered: Entered) -> str:
    units, instrument = entered.plan.quantity, entered.plan.instrument
    is_frozen = instrument.freeze is not None and units > instrument.freeze
    is_bad = units <= 0 or units % instrument.lot or is_frozen
    # Forty lots are two orders at most; a hundred times that would be a flood.
    return f"{units} units of {_units(entered)}" if is_bad or _units(entered) > 20_000 else ""


def _lots(keeper: Gatekeeper, entered: Entered) -> str:
    lot, limits = entered.plan.instrument.lot, _limits(keeper, entered)
    if limits.max_lots_per_entry is not None and _units(entered) > limits.max_lots_per_entry * lot:
        return f"{_units(entered) // lot} lots, at most {limits.max_lots_per_entry}"
    for whose, most in (
        (list(keeper.told.held.values()), keeper.config.limits.max_open_lots),
        (_mine(keeper, entered), entered.deployment.limits.max_open_lots),
    ):
        held = sum(each.units for each in whose if each.is_live) + _units(entered)
        if most is not None and held > most * lot:
            return f"{held // lot} lots open, at most {most}"
    return ""


def _price_band(keeper: Gatekeeper, entered: Entered) -> str:
    percent, asked = _limits(keeper, entered).max_price_gap_pct, keeper.told.asked.get(entered.plan.subject)
    if percent is None or asked is None or asked.price is None or entered.spot is None:
        return ""
    gap = abs(asked.price - entered.spot.last)
    is_far = gap > entered.spot.last * percent / 100
    return f"the alert says {asked.price}, the market {entered.spot.last}" if is_far else ""


def _spread(keeper: Gatekeeper, entered: Entered) -> str:
    quote, limits = entered.quote, _limits(keeper, entered)
    if quote is None or limits.max_spread_pct is None:
        return ""
    percent = (quote.ask - quote.bid) * 200 / (quote.ask + quote.bid)
    return f"{percent:.2f} % wide, at most {limits.max_spread_pct}" if percent > limits.max_spread_pct else ""


def _depth(keeper: Gatekeeper, entered: Entered) -> str:
    quote, percent = entered.quote, _limits(keeper, entered).min_depth_pct
    if quote is None or percent is None:
        return ""
    needed = _units(entered) * percent / 100
    return f"{quote.ask_quantity} shown, wanted {needed}" if quote.ask_quantity < needed else ""


def _premium_range(keeper: Gatekeeper, entered: Entered) -> str:
    price, quote, stop = entered.plan.reference_price, entered.quote, entered.deployment.plan.exits.stop
    for bounds in (entered.deployment.plan, _limits(keeper, entered)):
        least, most = bounds.min_premium or Decimal(0), bounds.max_premium or price
        if not least <= price <= most:
            return f"premium {price}, from {least} to {most}"
    if stop is not None and quote is not None and stop.rupees(price) < 3 * (quote.ask - quote.bid):
        return f"the stop is nearer than three spreads of {quote.ask - quote.bid}"
    return ""


def _open_premium(keeper: Gatekeeper, entered: Entered) -> str:
    own = entered.plan.reference_price * _units(entered)
    for whose, most in (
        (list(keeper.told.held.values()), keeper.config.limits.max_open_premium),
        (_mine(keeper, entered), entered.deployment.limits.max_open_premium),
    ):
        bought = [each for each in whose if each.is_live and each.units > 0 and each.plan.side is Side.BUY]
        held = sum((each.premium for each in bought), own)
        if most is not None and held > most:
            return f"Rs {held} open, at most {most}"
    return ""


def _loss_per_trade(keeper: Gatekeeper, entered: Entered) -> str:
    stop, limits = entered.plan.exits.stop, _limits(keeper, entered)
    if stop is None or limits.capital is None:
        return ""
    loss, most = stop.rupees(entered.plan.reference_price) * _units(entered), limits.capital
    most = most * limits.risk_per_trade_pct / 100
    return f"Rs {loss} at risk, at most {most}" if loss > most else ""


def _margin(keeper: Gatekeeper, entered: Entered) -> str:
    funds, cost = keeper.told.funds, entered.plan.reference_price * _units(entered)
    if funds is None:
        return "free funds are not known" if keeper.config.limits.needs_funds else ""
    return f"costs {cost}, funds are {funds}" if cost > funds else ""


RULES: dict[str, Rule] = {
    "trading_switch": _trading_switch,
    "frozen": _frozen,
    "armed": _armed,
    "session": _session,
    "entry_window": _entry_window,
    "stale": _stale,
    "duplicate": _duplicate,
    "stale_feed": _stale_feed,
    "unprotected": _unprotected,
    "one_position_per_symbol": _one_position,
    "pyramiding": _pyramiding,
    "reentry": _reentry,
    "cooling_off": _cooling_off,
    "trades_a_day": _trades_a_day,
    "order_rate": _order_rate,
    "daily_loss": _daily_loss,
    "freeze_quantity": _freeze_quantity,
    "lots": _lots,
    "price_band": _price_band,
    "spread": _spread,
    "depth": _depth,
    "premium_range": _premium_range,
    "open_premium": _open_premium,
    "loss_per_trade": _loss_per_trade,
    "margin": _margin,
}
"""By the name of the gate."""

SLICE_RULES: dict[str, Rule] = {
    name: RULES[name] for name in ("trading_switch", "frozen", "session", "freeze_quantity", "unprotected")
}
"""What holds for the further orders of one entry too."""
